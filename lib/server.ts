/**
 * The server: accepts connections, enforces limits and timeouts, shuts down gracefully.
 *
 * @module
 */

import { counted, type Listener, type Socket } from "./bytes.ts";
import { Decoder, Encoder, type Service } from "./http_message.ts";
import { type MessageLimits, REQUEST_LIMITS, SERVER_LIMITS, type ServerLimits } from "./limits.ts";
import type { AcceptedConnection } from "./server/accepted.ts";
import { ServerConnection } from "./server/connection.ts";
import { Budget, type Observer, Pool, type ServerContext } from "./server/context.ts";
import { CLOSE_REASONS, hadLeft, overloaded, scarcity } from "./server/errors.ts";
import { FAIR_TURNS } from "./turns.ts";

export { AcceptedConnection, closeAll, Reader, type Wait } from "./server/accepted.ts";
export { Budget, type Observer, Pool, type ServerContext } from "./server/context.ts";
export { CLOSE_REASONS, isDisconnect, overloaded, problemResponse, textResponse, tooSlow } from "./server/errors.ts";
export { Exchanges, type LoggedExchange } from "./server/exchange_log.ts";
export { Banners } from "./server/request_log.ts";

/** Options of a {@linkcode Server}. */
export interface ServerOptions {
  /** Limits on each request. */
  readonly messageLimits?: MessageLimits;
  /** Limits on connections and durations. */
  readonly limits?: ServerLimits;
  /** Receives events of connections. */
  readonly observer?: Observer;
  /** The wall clock in milliseconds, for the Date field. */
  readonly now?: () => number;
  /** A monotonic clock in milliseconds, for timeouts. */
  readonly monotonicNow?: () => number;
}

/** Takes over accepted connections, which are numbered from 1. */
export type ConnectionMaker = (connection: number, conn: Socket, context: ServerContext) => AcceptedConnection;

/** Serves HTTP/1.1 on a listener, from construction until {@linkcode Server.shutdown}. */
export class Server {
  /** The servers of this process, which share its descriptors. */
  static readonly #running = new Set<Server>();

  readonly #context: ServerContext;
  readonly #clocks: Required<Pick<ServerOptions, "now" | "monotonicNow">>;
  readonly #make: ConnectionMaker;
  readonly #connections = new Set<AcceptedConnection>();
  /** Those of them that are beyond the limit, and only refused. */
  readonly #refused = new Set<AcceptedConnection>();
  readonly #accepting: Promise<void>;
  #timer: ReturnType<typeof setInterval>;
  #accepted = 0;
  #allClosed: (() => void) | undefined;
  #stopped: Promise<void> | undefined;
  /** When all connections are closed, apart from the time that this server itself lets requests wait. */
  #stopsAt = Infinity;

  /** Starts accepting connections, whose requests a service answers, unless a function takes them over. */
  constructor(private readonly listener: Listener, answers: Service | ConnectionMaker, options: ServerOptions = {}) {
    const { messageLimits = REQUEST_LIMITS, limits = SERVER_LIMITS, observer = {} } = options;
    const { maxSpareCodecs } = limits;
    this.#context = {
      limits,
      observer,
      encoders: new Pool(() => new Encoder(), (encoder) => encoder.clear(), maxSpareCodecs),
      decoders: new Pool(() => new Decoder("request", messageLimits), (decoder) => decoder.release(), maxSpareCodecs),
      budget: new Budget(limits.maxBufferedBytes),
      clock: 0,
      date: "",
      stopping: false,
      ended: (connection) => this.#ended(connection),
    };
    this.#make = typeof answers === "function"
      ? answers
      : (connection, conn, context) => new ServerConnection(connection, conn, context, answers);
    // The listing that is to be read soonest gives way.
    this.#context.budget.reclaim = () => cutOffLeast(this.#connections, "pieceEnd", CLOSE_REASONS.memory);
    this.#clocks = { now: Date.now, monotonicNow: () => performance.now(), ...options };
    this.sweep();
    this.#timer = setInterval(() => this.sweep(), limits.sweepMs);
    this.#accepting = this.#accept();
    Server.#running.add(this);
  }

  /** The number of connections within the limit. */
  get connections(): number {
    return this.#connections.size - this.#refused.size;
  }

  /** Octets that all connections hold together. */
  get budget(): Budget {
    return this.#context.budget;
  }

  /** Updates the clocks and ends every wait whose deadline has passed. Called every `sweepMs`. */
  sweep(): void {
    const clock = this.#clocks.monotonicNow();
    const sinceMs = clock - this.#context.clock;
    this.#context.clock = clock;
    this.#context.date = new Date(this.#clocks.now()).toUTCString();
    for (const connection of this.#connections) {
      connection.sweep(sinceMs);
      if (clock < this.#stopsAt + connection.ownMs) continue;
      connection.cutOff(CLOSE_REASONS.stopping);
      // Shutdown does not wait for a running handler.
      this.#ended(connection);
    }
  }

  /**
   * Stops accepting, answers every request received so far, and closes all connections: idle ones after a short delay,
   * in which a request in transit is still answered, and all others after `shutdownMs` at the latest, not counting the
   * time that this server itself lets a request wait.
   */
  shutdown(): Promise<void> {
    return this.#stopped ??= this.#stop();
  }

  async #stop(): Promise<void> {
    this.#context.stopping = true;
    this.listener.close();
    clearInterval(this.#timer);
    this.sweep();
    this.#stopsAt = this.#context.clock + this.#context.limits.shutdownMs;
    for (const connection of this.#connections) connection.stop();
    this.#timer = setInterval(
      () => this.sweep(),
      Math.min(this.#context.limits.sweepMs, this.#context.limits.shutdownIdleMs / 4),
    );
    await this.#accepting;
    if (this.#connections.size > 0) await new Promise<void>((resolve) => this.#allClosed = resolve);
    clearInterval(this.#timer);
    Server.#running.delete(this);
  }

  async #accept(): Promise<void> {
    const { limits, observer } = this.#context;
    let failures = 0;
    while (!this.#context.stopping) {
      let conn: Socket;
      try {
        conn = await this.listener.accept();
      } catch (error) {
        if (this.#context.stopping) return;
        // A client that disconnected before it was accepted is ignored. A lack of descriptors or memory ends when
        // connections close. What else it is may never end.
        const lack = scarcity(error);
        if (hadLeft(error) || lack === undefined && ++failures < limits.maxAcceptFailures) {
          await FAIR_TURNS.yieldIfBusy();
          continue;
        }
        if (lack !== undefined || failures === limits.maxAcceptFailures) {
          observer.cannotAccept?.((error as Error).message);
        }
        const isFree = lack === "descriptors" && Server.#closeIdlest();
        await new Promise((resolve) => setTimeout(resolve, isFree ? 0 : limits.acceptRetryMs));
        continue;
      }
      failures = 0;
      this.#admit(conn);
    }
  }

  /**
   * Opens something that needs descriptors. While the system lacks them, connections that are idle for longest give way.
   */
  static async withDescriptors<Opened>(open: () => Promise<Opened>): Promise<Opened> {
    for (;;) {
      try {
        return await open();
      } catch (error) {
        if (scarcity(error) !== "descriptors" || !Server.#closeIdlest()) throw error;
        // What was closed is free with the next turn.
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
    }
  }

  /** Closes the connection that is idle for longest, whichever server it is of. Returns whether there was one. */
  static #closeIdlest(): boolean {
    const connections = [...Server.#running].flatMap((server) => [...server.#connections]);
    return cutOffLeast(connections, "idleOrder", CLOSE_REASONS.descriptors);
  }

  #admit(conn: Socket): void {
    const { maxConnections, maxRefusedConnections } = this.#context.limits;
    // Every accepted connection is counted, so that the numbers equal those of a tap.
    const number = ++this.#accepted;
    const isBeyond = this.connections >= maxConnections;
    if (isBeyond && this.#refused.size >= maxRefusedConnections) return conn.close();
    const connection = this.#make(number, conn, this.#context);
    this.#connections.add(connection);
    if (!isBeyond) return void connection.serve();
    this.#refused.add(connection);
    connection.serve(
      overloaded(`The server is at its limit of ${counted(maxConnections, "connection")}: try again soon`),
    );
  }

  #ended(connection: AcceptedConnection): void {
    this.#connections.delete(connection);
    this.#refused.delete(connection);
    if (this.#connections.size === 0) this.#allClosed?.();
  }
}

/** Closes the connection with the least of an order. Returns whether there was one: those without it have `Infinity`. */
function cutOffLeast(
  connections: Iterable<AcceptedConnection>,
  order: "idleOrder" | "pieceEnd",
  reason: string,
): boolean {
  let least: AcceptedConnection | undefined;
  for (const connection of connections) {
    if (connection[order] < (least?.[order] ?? Infinity)) least = connection;
  }
  least?.cutOff(reason);
  return least !== undefined;
}
