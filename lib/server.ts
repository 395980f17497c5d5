/**
 * The server: accepts connections, enforces limits and timeouts, shuts down gracefully.
 *
 * @module
 */

import { HttpError, type Service } from "./http_message.ts";
import { type MessageLimits, REQUEST_LIMITS, SERVER_LIMITS, type ServerLimits } from "./limits.ts";
import { ServerConnection } from "./server/connection.ts";
import { Budget, CLOSE_REASONS, CodecPool, type Observer, type ServerContext } from "./server/context.ts";
import { FAIR_TURNS } from "./turns.ts";

/** How a server behaves. */
export interface ServerOptions {
  /** Caps on each request. */
  readonly messageLimits?: MessageLimits;
  /** Caps on connections and times. */
  readonly limits?: ServerLimits;
  /** Receives what happens. */
  readonly observer?: Observer;
  /** The time of day in milliseconds, for the Date field. */
  readonly now?: () => number;
  /** A clock in milliseconds that nobody sets, for timeouts. */
  readonly monotonicNow?: () => number;
}

/** The system's codes for a want of descriptors or of memory, and their numbers where an error has only a message. */
const SCARCE_CODES = ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"];
const SCARCE_NUMBERS = /\(os error (?:12|23|24|105)\)/;
const DESCRIPTOR_CODES = ["EMFILE", "ENFILE"];

/** Serves HTTP/1.1 on a listener, from construction until {@linkcode Server.shutdown}. */
export class Server implements ServerContext {
  /** As {@linkcode ServerContext.service}. */
  readonly service: Service;
  /** As {@linkcode ServerOptions.messageLimits}. */
  readonly messageLimits: MessageLimits;
  /** As {@linkcode ServerOptions.limits}. */
  readonly limits: ServerLimits;
  /** As {@linkcode ServerOptions.observer}. */
  readonly observer: Observer;
  /** As {@linkcode ServerContext.codecs}. */
  readonly codecs: CodecPool;
  /** As {@linkcode ServerContext.budget}. */
  readonly budget: Budget;
  /** As {@linkcode ServerContext.clock}. */
  clock = 0;
  /** The Date field's value (RFC 9110 §5.6.7) as of the last sweep. */
  date = "";
  /** Whether {@linkcode shutdown} was called. */
  stopping = false;

  readonly #listener: Deno.Listener;
  readonly #now: () => number;
  readonly #monotonicNow: () => number;
  readonly #connections = new Set<ServerConnection>();
  readonly #refused = new Set<ServerConnection>();
  readonly #accepting: Promise<void>;
  #timer: ReturnType<typeof setInterval>;
  #lastId = 0;
  #allClosed: (() => void) | undefined;
  #stopped: Promise<void> | undefined;

  /** Starts to accept connections. */
  constructor(listener: Deno.Listener, service: Service, options: ServerOptions = {}) {
    this.service = service;
    this.messageLimits = options.messageLimits ?? REQUEST_LIMITS;
    this.limits = options.limits ?? SERVER_LIMITS;
    this.observer = options.observer ?? {};
    this.codecs = new CodecPool(this.messageLimits, this.limits.maxSpareCodecs);
    this.budget = new Budget(this.limits.maxBufferedBytes);
    this.#listener = listener;
    this.#now = options.now ?? Date.now;
    this.#monotonicNow = options.monotonicNow ?? (() => performance.now());
    this.sweep();
    this.#timer = setInterval(() => this.sweep(), this.limits.sweepMs);
    this.#accepting = this.#accept();
  }

  /** How many connections there are. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Moves the clocks on and ends every wait that is over. It runs by itself, every `sweepMs`. */
  sweep(): void {
    this.clock = this.#monotonicNow();
    this.date = new Date(this.#now()).toUTCString();
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
    for (const connection of [...this.#connections, ...this.#refused]) connection.cutOff(CLOSE_REASONS.stopping);
    // A service that takes its time is not waited for.
    this.#allClosed?.();
  }

  async #accept(): Promise<void> {
    while (!this.stopping) {
      let conn: Deno.Conn;
      try {
        conn = await this.#listener.accept();
      } catch (error) {
        if (this.stopping) return;
        // A client that went away before it was accepted is no news. A want of descriptors or memory passes when
        // connections close.
        if (isScarcity(error)) await this.#makeRoom(error as Error);
        else await FAIR_TURNS.yieldIfBusy();
        continue;
      }
      this.#admit(conn);
    }
  }

  /** Closes the connection that is idle for longest where there are no more descriptors, and waits a moment. */
  async #makeRoom(error: Error & { code?: string }): Promise<void> {
    this.observer.cannotAccept?.(error.message);
    if (DESCRIPTOR_CODES.includes(error.code ?? "")) {
      let idlest: ServerConnection | undefined;
      for (const connection of this.#connections) {
        if (connection.idleUntil < (idlest?.idleUntil ?? Infinity)) idlest = connection;
      }
      idlest?.cutOff(CLOSE_REASONS.descriptors);
    }
    await new Promise((resolve) => setTimeout(resolve, this.limits.acceptRetryMs));
  }

  #admit(conn: Deno.Conn): void {
    // Every connection that is accepted counts, so that a tap's numbers are those of the log.
    const id = ++this.#lastId;
    if (this.#connections.size < this.limits.maxConnections) {
      const connection = new ServerConnection(id, conn, this);
      this.#connections.add(connection);
      connection.serve();
    } else if (this.#refused.size < this.limits.maxRefusedConnections) {
      const connection = new ServerConnection(id, conn, this);
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

/** Whether accepting failed for want of descriptors or memory, and not because the client has left. */
function isScarcity(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code, message } = error as Error & { code?: string };
  return code === undefined ? SCARCE_NUMBERS.test(message) : SCARCE_CODES.includes(code);
}
