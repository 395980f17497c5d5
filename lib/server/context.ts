/**
 * What a server and its connections share, and what they tell to whoever watches.
 *
 * @module
 */

import type { Decoder, Encoder, Fields, Handler, HttpError, HttpResponse, RequestHead } from "../http_message.ts";
import type { MessageLimits, ServerLimits } from "../limits.ts";

/** What a server tells about its connections, as it happens. Bytes are lent: they must be copied to be kept. */
export interface Observer {
  /** A client has connected. */
  opened?(connection: number, peer: string): void;
  /** A request is complete and is going to be answered. */
  request?(connection: number, request: RequestHead, content: Uint8Array, trailers: Fields): void;
  /** A request broke a rule. There is its head, if that was whole, and the bytes that were not understood. */
  refused?(connection: number, error: HttpError, head: string, rest: Uint8Array): void;
  /** Bytes of an answer are going to be sent; `continues` says that its head was told before. */
  response?(connection: number, bytes: Uint8Array, continues: boolean): void;
  /** A connection has ended. */
  closed?(connection: number, reason: string, requests: number): void;
  /** No connection can be accepted now; it is tried again soon. */
  cannotAccept?(reason: string): void;
  /** A handler has failed with something else than an {@linkcode HttpError}: a defect of this program. */
  failed?(error: unknown): void;
}

/** What all connections of a server share. */
export interface ServerContext {
  /** Makes the answers. */
  readonly handler: Handler;
  /**
   * Throws an {@linkcode HttpError} for a request that is refused whatever its content: asked before 100 (Continue) is
   * sent.
   */
  readonly screen?: (request: RequestHead) => void;
  /** Makes of the answer to a request that broke a rule, and that no handler sees, what is sent. */
  readonly refusal: (response: HttpResponse) => HttpResponse;
  /** Caps on each request. */
  readonly messageLimits: MessageLimits;
  /** Caps on connections and times. */
  readonly limits: ServerLimits;
  /** Is told what happens. */
  readonly observer: Observer;
  /** The time in milliseconds, as of the last sweep. */
  readonly clock: number;
  /** The Date field's value, as of the last sweep. */
  readonly date: string;
  /** Whether every answer is the last one on its connection. */
  readonly stopping: boolean;
  /** Encoders that no connection needs right now. */
  readonly encoders: Encoder[];
  /** Decoders that no connection needs right now. */
  readonly decoders: Decoder[];
  /** Is called by each connection when it has ended. */
  ended(connection: unknown): void;
}

/** Who closed a connection, and why: what {@linkcode Observer.closed} is told. */
export const CLOSED = {
  /** The client ended its side. */
  byClient: "by the client",
  /** The connection broke. */
  lost: "by the client (connection lost)",
  /** A response was the last one, as its request or the version of HTTP wants it. */
  finished: "by the server (last response sent)",
  /** The server shuts down. */
  stopping: "by the server (shutting down)",
  /** No request came in time. */
  idle: "by the server (idle too long)",
  /** The client took nothing, or too little, in time. */
  unread: "by the server (the client stopped reading)",
  /** The server failed. */
  defect: "by the server (internal error)",
} as const;

/** The client's address. */
export function peerOf(conn: Deno.Conn): string {
  const { remoteAddr } = conn;
  return "hostname" in remoteAddr ? `${remoteAddr.hostname}:${remoteAddr.port}` : "a local socket";
}
