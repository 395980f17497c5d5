/**
 * The state shared by a server and its connections, and the events they report.
 *
 * @module
 */

import { byteLength } from "../bytes.ts";
import {
  Decoder,
  Encoder,
  type Fields,
  type HttpError,
  type HttpResponse,
  isStream,
  type RequestHead,
} from "../http_message.ts";
import { LISTING_PIECE_BYTES, type MessageLimits, type ServerLimits } from "../limits.ts";

/** Receives events of a server's connections. Bytes are valid only during the call. */
export interface Observer {
  /** A client has connected. */
  opened?(connection: number, peer: string): void;
  /** A request is complete and will be answered. */
  request?(connection: number, request: RequestHead, content: Uint8Array, trailers: Fields): void;
  /** The request reported last had so many octets. The last one came at this time of the monotonic clock (in ms). */
  received?(connection: number, octets: number, at: number): void;
  /**
   * A request is invalid. Reports its head if that was complete, the bytes that were not decoded, and their offset from
   * the message's first octet.
   */
  refused?(connection: number, error: HttpError, head: string, rest: Uint8Array, position: number): void;
  /** A request that was received, at least in part, is not answered: its connection ends. Reports the same of it. */
  abandoned?(connection: number, head: string, rest: Uint8Array, position: number): void;
  /** Bytes of a response will be sent; `status` is `undefined` if they continue its content. */
  response?(connection: number, bytes: Uint8Array, status: number | undefined): void;
  /** The bytes reported last end the final response, which is this one unless its content was a stream. */
  answered?(connection: number, response?: HttpResponse): void;
  /** So many more octets of the responses were sent. */
  sent?(connection: number, octets: number): void;
  /** A connection has ended. */
  closed?(connection: number, reason: string, requests: number): void;
  /** Accepting fails at the moment, and will be retried. */
  cannotAccept?(reason: string): void;
  /** A service has failed with an error other than {@linkcode HttpError}, which is a defect of this program. */
  failed?(error: unknown): void;
}

/** Returns an observer that passes each event to all of these in turn. An event that none receives costs nothing. */
export function joined<Told extends object = Observer>(observers: readonly Told[]): Told {
  const all: Record<string, (...args: unknown[]) => void> = {};
  for (
    const [event, receive] of observers.flatMap((observer) =>
      Object.entries(observer as Record<string, (...args: unknown[]) => void>)
    )
  ) {
    const before = all[event];
    all[event] = before === undefined ? receive : (...args) => {
      before(...args);
      receive(...args);
    };
  }
  return all as Told;
}

/** A connection that a server has accepted, as its server sees it. */
export interface AcceptedConnection {
  /** The order of idle connections, the longest idle first; `Infinity` if it is not idle. */
  readonly idleOrder: number;
  /** When the client must have read a piece of a listing; `Infinity` if it reads none. */
  readonly pieceEnd: number;
  /** How long the server itself has let a response wait since it began to stop, in milliseconds. */
  readonly ownMs: number;
  /** Serves the connection until it ends, or only sends this error. Never rejects. */
  serve(refusal?: HttpError): Promise<void>;
  /** Ends the current wait if its deadline has passed, so many milliseconds after the last call. */
  sweep(sinceMs: number): void;
  /** Ends the connection soon if it is idle: the server stops. */
  stop(): void;
  /** Closes the connection immediately. */
  cutOff(reason: string): void;
}

/** Takes over accepted connections, which are numbered from 1. */
export type ConnectionMaker = (id: number, conn: Deno.Conn, context: ServerContext) => AcceptedConnection;

/** The state shared by all connections of a server. */
export interface ServerContext {
  /** Limits on each request. */
  readonly messageLimits: MessageLimits;
  /** Limits on connections and durations. */
  readonly limits: ServerLimits;
  /** Receives events. */
  readonly observer: Observer;
  /** Encoders and decoders that no connection uses at the moment. */
  readonly codecs: CodecPool;
  /** Bytes that all connections hold together. */
  readonly budget: Budget;
  /** The monotonic time in milliseconds, as of the last sweep. */
  readonly clock: number;
  /** The value of the Date field, as of the last sweep. */
  readonly date: string;
  /** Whether every response is the last one on its connection. */
  readonly stopping: boolean;
  /** Called by each connection when it has ended. */
  ended(connection: unknown): void;
}

/** A pool of encoders and decoders: an idle connection needs none. */
export class CodecPool {
  readonly #encoders: Encoder[] = [];
  readonly #decoders: Decoder[] = [];
  readonly #limits: MessageLimits;
  readonly #spare: number;

  /** Creates a pool of request decoders with these limits, which keeps at most `spare` codecs of each kind. */
  constructor(limits: MessageLimits, spare: number) {
    this.#limits = limits;
    this.#spare = spare;
  }

  /** Returns an empty encoder. */
  encoder(): Encoder {
    return this.#encoders.pop() ?? new Encoder();
  }

  /** Returns a decoder at the start of a request. */
  decoder(): Decoder {
    return this.#decoders.pop() ?? new Decoder("request", this.#limits);
  }

  /** Returns an encoder to the pool and clears it. */
  releaseEncoder(encoder: Encoder): void {
    encoder.clear();
    if (this.#encoders.length < this.#spare) this.#encoders.push(encoder);
  }

  /** Returns a reusable decoder to the pool. */
  releaseDecoder(decoder: Decoder): void {
    decoder.release();
    if (this.#decoders.length < this.#spare) this.#decoders.push(decoder);
  }
}

/**
 * A number of bytes shared by the content being received, the responses that clients have not read, and what the service
 * keeps for them.
 */
export class Budget {
  /** Called where bytes are short: frees some, and returns whether there were any. */
  reclaim: () => boolean = () => false;
  readonly #most: number;
  #used = 0;

  /** Creates a budget of this many bytes. */
  constructor(most: number) {
    this.#most = most;
  }

  /** The number of bytes in use. */
  get used(): number {
    return this.#used;
  }

  /** Whether this many more bytes are available, if need be after some were freed. */
  has(bytes: number): boolean {
    if (bytes > this.#most) return false;
    while (this.#used + bytes > this.#most) if (!this.reclaim()) return false;
    return true;
  }

  /** Whether there is room for content. A stream needs room only for one piece at a time. */
  fits(content: HttpResponse["content"]): boolean {
    if (content === undefined) return true;
    if (isStream(content)) return this.has(LISTING_PIECE_BYTES);
    if (typeof content !== "string") return this.has(content.length);
    // Measuring a text takes time, and usually there is room for its largest possible size.
    return this.#used + 3 * content.length <= this.#most || this.has(byteLength(content));
  }

  /** Takes bytes, even beyond the limit; a negative number returns them. */
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
  | "the delay"
  | "the client to read"
  | "the client to close";

/** The end of a wait. */
export class Deadline {
  /** How often connections have become idle, for their order: the clock is too coarse. */
  static #timesIdle = 0;

  /** What the connection waits for. */
  waiting: Waiting = "a request";
  /** When the wait ends, by the monotonic clock in milliseconds. */
  at: number = Infinity;

  /** Returns the place of a connection that becomes idle now, behind those of all others. */
  static nextIdleOrder(): number {
    return ++Deadline.#timesIdle;
  }

  /** Starts another wait, until `at`. */
  set(waiting: Waiting, at: number): void {
    this.waiting = waiting;
    this.at = at;
  }
}

/** Reasons for closing a connection, as passed to {@linkcode Observer.closed}. */
export const CLOSE_REASONS = {
  /** The client closed its side. */
  byClient: "by the client",
  /** The client reset the connection. */
  reset: "by the client (reset)",
  /** The connection was lost. */
  lost: "by the client (connection lost)",
  /** The response was the last one, as requested or as required by the HTTP version. */
  finished: "by the server (last response sent)",
  /** The server is shutting down. */
  stopping: "by the server (shutting down)",
  /** No request arrived in time. */
  idle: "by the server (idle too long)",
  /** The client does not speak TLS, or trusts no certificate of this server. */
  noTls: "by the server (no TLS handshake)",
  /** The TLS handshake took too long. */
  handshake: "by the server (no TLS handshake in time)",
  /** It was idle for longest when the system ran out of descriptors. */
  descriptors: "by the server (out of descriptors)",
  /** The client read nothing, or too slowly. */
  unread: "by the server (the client stopped reading)",
  /** The client read a listing too slowly while the table changed. */
  slow: "by the server (a listing was read too slowly)",
  /** Others needed the memory of a piece of a listing that it had not read. */
  memory: "by the server (out of memory: a listing was not read)",
  /** The server failed. */
  defect: "by the server (internal error)",
} as const;

/** Returns why a connection ended whose read, write or handshake failed with this error. */
export function closeReasonOf(error: unknown): string {
  const { errors } = Deno;
  if (error instanceof errors.ConnectionReset) return CLOSE_REASONS.reset;
  // Many clients of TLS end the connection without saying so in TLS first (RFC 8446 §6.1).
  if (error instanceof errors.UnexpectedEof) return CLOSE_REASONS.byClient;
  return error instanceof errors.InvalidData ? CLOSE_REASONS.noTls : CLOSE_REASONS.lost;
}

/** Reports the listings that were ended for lack of memory. */
export function endedListings(report: (line: string) => void): Observer {
  return {
    closed: (_, reason) => {
      if (reason === CLOSE_REASONS.memory) report("A listing that was not read was ended: --max-buffered was reached");
    },
  };
}
