/**
 * The server: accepts connections, watches over their time and number, and stops in good order.
 *
 * @module
 */

import {
  type Decoder,
  type Encoder,
  type Handler,
  HttpError,
  type HttpResponse,
  type RequestHead,
} from "./http_message.ts";
import { type MessageLimits, REQUEST_LIMITS, SERVER_LIMITS, type ServerLimits } from "./limits.ts";
import { ServerConnection } from "./server/connection.ts";
import type { Observer, ServerContext } from "./server/context.ts";

/** What a server may be told beside its listener and its handler. */
export interface ServerOptions {
  /**
   * Throws an {@linkcode HttpError} for a request that is refused whatever its content: asked before 100 (Continue) is
   * sent.
   */
  readonly screen?: (request: RequestHead) => void;
  /** Makes of the answer to a request that broke a rule, and that no handler sees, what is sent. */
  readonly refusal?: (response: HttpResponse) => HttpResponse;
  /** Caps on each request. */
  readonly messageLimits?: MessageLimits;
  /** Caps on connections and times. */
  readonly limits?: ServerLimits;
  /** Is told what happens. */
  readonly observer?: Observer;
  /** The clock, in milliseconds. */
  readonly now?: () => number;
}

/** Serves HTTP/1.1 on a listener, from its making until {@linkcode Server.shutdown}. */
export class Server implements ServerContext {
  /** Makes the answers. */
  readonly handler: Handler;
  /** See {@linkcode ServerOptions.screen}. */
  readonly screen?: (request: RequestHead) => void;
  /** See {@linkcode ServerOptions.refusal}. */
  readonly refusal: (response: HttpResponse) => HttpResponse;
  /** Caps on each request. */
  readonly messageLimits: MessageLimits;
  /** Caps on connections and times. */
  readonly limits: ServerLimits;
  /** Is told what happens. */
  readonly observer: Observer;
  /** Encoders that no connection needs right now. */
  readonly encoders: Encoder[] = [];
  /** Decoders that no connection needs right now. */
  readonly decoders: Decoder[] = [];
  /** The time of the last sweep, in milliseconds. */
  clock = 0;
  /** The Date field's value (RFC 9110 §5.6.7) as of the last sweep. */
  date = "";
  /** Whether {@linkcode shutdown} was called. */
  stopping = false;

  readonly #listener: Deno.Listener;
  readonly #now: () => number;
  readonly #connections = new Set<ServerConnection>();
  readonly #refused = new Set<ServerConnection>();
  readonly #accepting: Promise<void>;
  #timer: ReturnType<typeof setInterval>;
  #lastId = 0;
  #allClosed: (() => void) | undefined;
  #stopped: Promise<void> | undefined;

  /** Starts to accept connections. */
  constructor(listener: Deno.Listener, handler: Handler, options: ServerOptions = {}) {
    this.handler = handler;
    this.screen = options.screen;
    this.refusal = options.refusal ?? ((response) => response);
    this.messageLimits = options.messageLimits ?? REQUEST_LIMITS;
    this.limits = options.limits ?? SERVER_LIMITS;
    this.observer = options.observer ?? {};
    this.#listener = listener;
    this.#now = options.now ?? Date.now;
    this.sweep();
    this.#timer = setInterval(() => this.sweep(), this.limits.sweepMs);
    this.#accepting = this.#accept();
  }

  /** How many connections there are. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Moves the clock on and ends every wait that is over. It runs by itself, every `sweepMs`. */
  sweep(): void {
    this.clock = this.#now();
    this.date = new Date(this.clock).toUTCString();
    for (const connection of this.#connections) connection.sweep();
    for (const connection of this.#refused) connection.sweep();
  }

  /**
   * Accepts no more, answers every request that was read, and closes all connections: idle ones after a moment,
   * in which a request that is on its way still gets its answer; and all of them, answered or not, after `shutdownMs`.
   */
  shutdown(): Promise<void> {
    return this.#stopped ??= this.#stop();
  }

  async #stop(): Promise<void> {
    this.stopping = true;
    this.#listener.close();
    clearInterval(this.#timer);
    this.sweep();
    for (const connection of this.#connections) connection.stop();
    this.#timer = setInterval(() => this.sweep(), Math.min(this.limits.sweepMs, this.limits.shutdownIdleMs / 4));
    const abort = setTimeout(() => this.#abort(), this.limits.shutdownMs);
    await this.#accepting;
    if (this.#connections.size + this.#refused.size > 0) {
      await new Promise<void>((resolve) => this.#allClosed = resolve);
    }
    clearTimeout(abort);
    clearInterval(this.#timer);
  }

  #abort(): void {
    for (const connection of [...this.#connections, ...this.#refused]) connection.abort();
    // A handler that takes its time is not waited for.
    this.#allClosed?.();
  }

  async #accept(): Promise<void> {
    while (!this.stopping) {
      let conn: Deno.Conn;
      try {
        conn = await this.#listener.accept();
      } catch (error) {
        if (this.stopping) return;
        // A client that went away before it was accepted is no news; anything else, such as the want of
        // file descriptors, passes when connections close.
        if (!(error instanceof Deno.errors.ConnectionAborted)) {
          this.observer.cannotAccept?.((error as Error).message);
          await new Promise((resolve) => setTimeout(resolve, this.limits.acceptRetryMs));
        }
        continue;
      }
      this.#admit(conn);
    }
  }

  #admit(conn: Deno.Conn): void {
    if (this.#connections.size < this.limits.maxConnections) {
      const connection = new ServerConnection(++this.#lastId, conn, this);
      this.#connections.add(connection);
      connection.serve();
    } else if (this.#refused.size < this.limits.maxRefusedConnections) {
      const connection = new ServerConnection(++this.#lastId, conn, this);
      const detail = `The server is at its limit of ${this.limits.maxConnections} connections: try again soon`;
      const error = new HttpError(503, detail, { rule: "RFC 9110 §15.6.4", fields: [["Retry-After", "1"]] });
      this.#refused.add(connection);
      connection.refuse(error);
    } else conn.close();
  }

  /** Is called by each connection when it has ended. */
  ended(connection: ServerConnection): void {
    this.#connections.delete(connection);
    this.#refused.delete(connection);
    if (this.#connections.size + this.#refused.size === 0) this.#allClosed?.();
  }
}
