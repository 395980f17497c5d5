/**
 * What a server and its connections share, and what they tell an observer.
 *
 * @module
 */

import { Decoder, Encoder, type Fields, type HttpError, type RequestHead, type Service } from "../http_message.ts";
import type { MessageLimits, ServerLimits } from "../limits.ts";

/** Receives what happens on a server's connections. Bytes are lent: copy them to keep them. */
export interface Observer {
  /** A client has connected. */
  opened?(connection: number, peer: string): void;
  /** A request is complete and is going to be answered. */
  request?(connection: number, request: RequestHead, content: Uint8Array, trailers: Fields): void;
  /**
   * A request broke a rule. There is its head, if that was whole, the bytes that were not decoded, and the offset at
   * which these start, from the message's first octet.
   */
  refused?(connection: number, error: HttpError, head: string, rest: Uint8Array, position: number): void;
  /** Bytes of a response are going to be sent; `status` is `undefined` where they go on with its content. */
  response?(connection: number, bytes: Uint8Array, status: number | undefined): void;
  /** A connection has ended. */
  closed?(connection: number, reason: string, requests: number): void;
  /** No connection can be accepted now; it is tried again soon. */
  cannotAccept?(reason: string): void;
  /** A service has failed with something else than an {@linkcode HttpError}: a defect of this program. */
  failed?(error: unknown): void;
}

/** What all connections of a server share. */
export interface ServerContext {
  /** Answers the requests. */
  readonly service: Service;
  /** Caps on each request. */
  readonly messageLimits: MessageLimits;
  /** Caps on connections and times. */
  readonly limits: ServerLimits;
  /** Receives what happens. */
  readonly observer: Observer;
  /** Encoders and decoders that no connection needs right now. */
  readonly codecs: CodecPool;
  /** Bytes that all connections hold together. */
  readonly budget: Budget;
  /** The monotonic time in milliseconds, as of the last sweep. */
  readonly clock: number;
  /** The Date field's value, as of the last sweep. */
  readonly date: string;
  /** Whether every response is the last one on its connection. */
  readonly stopping: boolean;
  /** Is called by each connection when it has ended. */
  ended(connection: unknown): void;
}

/** Keeps some encoders and decoders for connections to come: an idle connection needs none. */
export class CodecPool {
  readonly #encoders: Encoder[] = [];
  readonly #decoders: Decoder[] = [];
  readonly #limits: MessageLimits;
  readonly #spare: number;

  /** Makes decoders of requests within these limits, and keeps as many codecs of each kind as `spare` says. */
  constructor(limits: MessageLimits, spare: number) {
    this.#limits = limits;
    this.#spare = spare;
  }

  /** An encoder that holds nothing. */
  encoder(): Encoder {
    return this.#encoders.pop() ?? new Encoder();
  }

  /** A decoder that stands before a request. */
  decoder(): Decoder {
    return this.#decoders.pop() ?? new Decoder("request", this.#limits);
  }

  /** Takes back an encoder; what it holds is forgotten. */
  releaseEncoder(encoder: Encoder): void {
    encoder.clear();
    if (this.#encoders.length < this.#spare) this.#encoders.push(encoder);
  }

  /** Takes back a decoder that is reusable. */
  releaseDecoder(decoder: Decoder): void {
    decoder.release();
    if (this.#decoders.length < this.#spare) this.#decoders.push(decoder);
  }
}

/** A number of bytes that is shared: by content that is being received and by responses that clients have not taken. */
export class Budget {
  readonly #most: number;
  #used = 0;

  /** Shares out this many bytes. */
  constructor(most: number) {
    this.#most = most;
  }

  /** How many bytes are used. */
  get used(): number {
    return this.#used;
  }

  /** Whether so many bytes more are to be had. */
  has(bytes: number): boolean {
    return this.#used + bytes <= this.#most;
  }

  /** Takes bytes, even beyond the limit; gives some back if there are fewer than none. */
  take(bytes: number): void {
    this.#used += bytes;
  }
}

/** What a connection may wait for. */
export type Waiting =
  | "the handshake"
  | "a request"
  | "a head"
  | "content"
  | "the service"
  | "the client to read"
  | "the client to close";

/** A wait that ends at some time. */
export class Deadline {
  /** What is being waited for. */
  waiting: Waiting = "a request";
  /** When the wait is over, by the monotonic clock in milliseconds. */
  at: number = Infinity;

  /** Waits for something else, until `at`. */
  set(waiting: Waiting, at: number): void {
    this.waiting = waiting;
    this.at = at;
  }
}

/** Who closed a connection, and why: what {@linkcode Observer.closed} is told. */
export const CLOSE_REASONS = {
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
  /** TLS was not agreed on in time. */
  handshake: "by the server (no TLS handshake in time)",
  /** It was idle for longest when the system had no more descriptors. */
  descriptors: "by the server (out of descriptors)",
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
