/** What all accepted connections share: reading and writing within a budget, the deadlines of waits, and their end. */

import { addressText, socketAddress } from "../address.ts";
import { nextReadSize, NO_BYTES, type Socket } from "../bytes.ts";
import { type Encoder, HttpError } from "../http_message.ts";
import { FAIR_TURNS } from "../turns.ts";
import type { ServerContext } from "./context.ts";
import { CLOSE_REASONS, closeReasonOf, isDisconnect } from "./errors.ts";

/** Reads into a buffer whose size adapts to the peer, with at most one read ahead. */
export class Reader {
  /** The octets of the last read. */
  bytes: Uint8Array;
  /** When they came, by the monotonic clock in milliseconds, if the observer receives that. */
  at = 0;
  /** The buffer of the last read, which the decoder uses until all its requests are answered. */
  #buffer: Uint8Array<ArrayBuffer>;
  /** The buffer of a read ahead. */
  #other: Uint8Array<ArrayBuffer> | undefined;
  #ahead: Promise<number | null> | undefined;
  /** When a read ahead was done that was not used yet. */
  #aheadAt: number | undefined;
  /** Octets taken from the budget beyond the smallest buffer. */
  #held = 0;
  #ended = false;

  /** Creates a reader of a connection. */
  constructor(private readonly conn: Socket, private readonly context: ServerContext) {
    this.bytes = this.#buffer = new Uint8Array(context.limits.minReadBytes);
  }

  /** Reads once. Returns the number of octets, or `null` at the end. */
  read(): Promise<number | null> {
    const ahead = this.#ahead;
    if (ahead !== undefined) {
      this.#ahead = undefined;
      [this.#buffer, this.#other] = [this.#other!, this.#buffer];
    }
    this.bytes = this.#buffer;
    return ahead ?? this.conn.read(this.#buffer);
  }

  /** Reads once in advance, into a second buffer, unless such a read was already made. */
  readAhead(came: (count: number | null) => void, failed: (error: unknown) => void): void {
    if (this.#ahead !== undefined) return;
    this.#other ??= new Uint8Array(this.context.limits.minReadBytes);
    this.#ahead = this.conn.read(this.#other);
    this.#ahead.then((count) => {
      this.#aheadAt = performance.now();
      came(count);
    }, failed);
  }

  /** Notes the time of a read; enlarges the next buffer if it filled the last one, and shrinks it if it was small. */
  done(count: number): void {
    const { limits: { minReadBytes, maxReadBytes }, budget, observer } = this.context;
    if (observer.received !== undefined) this.at = this.#aheadAt ?? performance.now();
    this.#aheadAt = undefined;
    const fitting = nextReadSize(this.#buffer.length, count, minReadBytes, maxReadBytes);
    const more = fitting - this.#buffer.length;
    // A read may have come to its end just before the connection did.
    if (this.#ended || more === 0 || more > 0 && !budget.has(more)) return;
    budget.take(more);
    this.#held += more;
    this.#buffer = new Uint8Array(fitting);
  }

  /** Releases the buffers. */
  end(): void {
    this.#ended = true;
    this.context.budget.take(-this.#held);
    this.#held = 0;
  }
}

/** What a connection may wait for. */
export type Wait =
  | "the handshake"
  | "a request"
  | "a head"
  | "content"
  | "the service"
  | "the delay"
  | "the client to read"
  | "the client to close";

/** A connection that a server has accepted. Subclasses decide on what is read and written. */
export abstract class AcceptedConnection {
  /** How often connections have become idle, for their order: the clock is too coarse. */
  static #timesIdle = 0;
  /** How long the server itself has let a response wait since it began to stop, in milliseconds. */
  ownMs = 0;
  /** Reads from the client. */
  protected readonly reader: Reader;
  /** What it waits for. */
  protected waitsFor: Wait = "a request";
  /** When the wait ends, by the monotonic clock in milliseconds. */
  protected deadline: number;
  /** The number of complete requests. */
  protected requests = 0;
  /** Whether its client speaks plain HTTP where TLS is expected, and is told so in a form that every client shows. */
  protected isPlain = false;
  /** Whether the socket is closed. */
  protected closed = false;
  /** Why the connection ends, once that is known. */
  protected closeReason: string | undefined;
  #idleOrder = Infinity;
  /** Encodes responses that are not written yet; `undefined` if there are none. */
  #encoder: Encoder | undefined;
  /** The time the client has left, in milliseconds: it runs while octets wait, and grows as they are read. */
  #patienceMs: number;
  /** The number of octets of what is being written: memory is held for all until the last is written. */
  #held = 0;
  #inPieces = false;
  #finished: Promise<number> | undefined;

  /** Takes over a socket. */
  constructor(
    /** Its number, from 1. */
    readonly connection: number,
    /** The socket. */
    protected readonly conn: Socket,
    /** The state that all connections share. */
    protected readonly context: ServerContext,
  ) {
    this.reader = new Reader(conn, context);
    this.deadline = context.clock + context.limits.idleTimeoutMs;
    this.#patienceMs = context.limits.sendTimeoutMs;
  }

  /** The order of idle connections, the longest idle first; `Infinity` if it is not idle. */
  get idleOrder(): number {
    return this.waitsFor === "a request" ? this.#idleOrder : Infinity;
  }

  /** When the client must have read the piece of a listing that is written; `Infinity` if there is none. */
  get pieceEnd(): number {
    return this.#inPieces && this.#held > 0 ? this.deadline : Infinity;
  }

  /**
   * Serves the connection until it ends, or only sends this error, whatever the request is. Never rejects.
   *
   * It calls {@linkcode begin} and {@linkcode end}: a function around it would stay in memory for every idle connection.
   */
  abstract serve(refusal?: HttpError): Promise<void>;

  /** Reports the connection. Returns whether it begins with {@linkcode handshake}. */
  protected begin(): boolean {
    this.context.observer.opened?.(this.connection, addressText(socketAddress(this.conn.remoteAddr)));
    try {
      // Else the end of a response in pieces waits for the client's system, which acknowledges after 40 ms.
      this.conn.setNoDelay?.();
    } catch {
      // The client has left.
    }
    return "handshake" in this.conn;
  }

  /** Closes the connection: nothing is left to do for it. */
  protected end(): void {
    this.close();
    this.context.ended(this);
  }

  /** Notes why the connection has failed. */
  protected fail(error: unknown): void {
    if (this.closed || isDisconnect(error)) this.closeReason ??= closeReasonOf(error);
    else {
      this.closeReason ??= CLOSE_REASONS.defect;
      this.context.observer.failed?.(error);
    }
  }

  /** Releases what the subclass holds: the socket is being closed. */
  protected abstract release(): void;

  /** Why the connection has ended. */
  protected get endReason(): string {
    return this.closeReason ?? CLOSE_REASONS.byClient;
  }

  /** Ends the current wait if its deadline has passed, so many milliseconds after the last call. */
  sweep(sinceMs = 0): void {
    const { clock, limits, stopping } = this.context;
    if (stopping && (this.waitsFor === "the service" || this.waitsFor === "the delay")) {
      this.ownMs = Math.min(this.ownMs + sinceMs, limits.delayMs + limits.storeMs);
    }
    if (clock < this.deadline) return;
    this.deadline = Infinity;
    this.timeOut(this.waitsFor);
  }

  /** Ends a wait whose deadline has passed. */
  protected timeOut(wait: Wait): void {
    const idle = this.context.stopping ? CLOSE_REASONS.stopping : CLOSE_REASONS.idle;
    if (wait === "the handshake") this.cutOff(CLOSE_REASONS.handshake);
    else if (wait === "the client to read") this.cutOff(CLOSE_REASONS.unread);
    else if (wait === "a request") {
      this.closeReason ??= idle;
      // Over TLS, the last response may still be on its way.
      this.finish().catch(() => {}).then(() => this.close());
    } else this.cutOff(idle);
  }

  /** Ends the connection soon if it is idle; otherwise it ends with its response. */
  stop(): void {
    if (this.waitsFor !== "a request") return;
    this.deadline = Math.min(this.deadline, this.context.clock + this.context.limits.shutdownIdleMs);
  }

  /** Closes the connection immediately. */
  cutOff(reason: string): void {
    this.closeReason ??= reason;
    this.close();
  }

  /** Starts another wait. */
  protected wait(wait: Wait, deadline: number): void {
    this.waitsFor = wait;
    this.deadline = deadline;
  }

  /** Waits for a request: the connection is idle, after all others that are. */
  protected awaitRequest(): void {
    const { clock, limits, stopping } = this.context;
    this.#idleOrder = ++AcceptedConnection.#timesIdle;
    this.wait("a request", clock + (stopping ? limits.shutdownIdleMs : limits.idleTimeoutMs));
  }

  /** Performs the TLS handshake, with the deadline of a head. Returns why a client that speaks plain HTTP is refused. */
  protected async handshake(): Promise<HttpError | undefined> {
    this.wait("the handshake", this.context.clock + this.context.limits.headTimeoutMs);
    try {
      await this.conn.handshake!();
      this.awaitRequest();
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      this.isPlain = true;
      return error;
    }
  }

  /** The number of octets that are encoded and not written. */
  protected get unsent(): number {
    return this.#encoder?.length ?? 0;
  }

  /** The encoder of responses. */
  protected get encoder(): Encoder {
    return this.#encoder ??= this.context.encoders.take();
  }

  /** Encodes the next piece of content, or its end. Returns what it added. */
  protected encodePiece(minor: number, piece: string | Uint8Array | undefined): Uint8Array {
    const { encoder } = this;
    const from = encoder.length;
    this.#inPieces = true;
    if (minor === 0) encoder.content(piece ?? NO_BYTES);
    else piece === undefined ? encoder.lastChunk() : encoder.chunk(piece);
    return encoder.bytes(from);
  }

  /** Gives the client the full time for the next responses. */
  protected restart(): void {
    this.#inPieces = false;
    this.#patienceMs = this.context.limits.sendTimeoutMs;
  }

  /**
   * Writes everything encoded. The client has the time set by {@linkcode restart}, extended by each octet it reads. In
   * total this is that time plus the time for all octets at the minimum rate.
   */
  protected async flush(): Promise<void> {
    if (this.#encoder === undefined) return;
    const { budget, limits, observer } = this.context;
    const bytes = this.#encoder.bytes();
    const { length } = bytes;
    budget.take(this.#held = length);
    for (let sent = 0; sent < length;) {
      const end = Math.min(length, sent + limits.maxWriteBytes);
      const start = this.context.clock;
      const earnedMs = (end - sent) * 1000 / limits.minSendBytesPerSecond;
      this.wait("the client to read", start + this.#patienceMs + earnedMs);
      const count = await this.conn.write(sent === 0 && end === length ? bytes : bytes.subarray(sent, end));
      this.#patienceMs += count * 1000 / limits.minSendBytesPerSecond - (this.context.clock - start);
      sent += count;
      observer.sent?.(this.connection, count);
    }
    this.#dropUnsent(false);
  }

  /** Whether this side ends, or has ended. */
  protected get isFinishing(): boolean {
    return this.#finished !== undefined;
  }

  /**
   * Ends this side after everything written, and returns when that was. Over TLS the end may wait for the client, which
   * has as much time as is left to it. Then the client has a while to close its side. Further calls wait for the first.
   */
  protected finish(): Promise<number> {
    return this.#finished ??= (async () => {
      this.wait("the client to read", this.context.clock + this.#patienceMs);
      await this.conn.closeWrite();
      const { clock, limits } = this.context;
      this.wait("the client to close", clock + limits.lingerMs);
      return clock;
    })();
  }

  /**
   * Reads what is ignored until the client closes its side, is silent for a while, or the time is over. Closing with
   * unread octets would reset the connection, which can destroy the last response before the client has read it (RFC
   * 9112 §9.6).
   */
  protected async linger(): Promise<void> {
    const end = await this.finish() + this.context.limits.maxLingerMs;
    for (let count = await this.reader.read(); count !== null; count = await this.reader.read()) {
      this.deadline = Math.min(this.context.clock + this.context.limits.lingerMs, end);
      this.reader.done(count);
      await FAIR_TURNS.yieldIfBusy();
    }
  }

  /** Closes the socket, releases all resources, and reports that. Further calls have no effect. */
  protected close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#dropUnsent(this.#held > 0);
    this.reader.end();
    try {
      // What it holds ends first: the connection of a relay to its server, for one.
      this.release();
    } finally {
      closeAll({ close: () => this.conn.close(this.endReason) });
    }
    this.context.observer.closed?.(this.connection, this.endReason, this.requests);
  }

  /** Drops what is encoded. A pending write uses the encoder's memory until it fails: such an encoder is not reused. */
  #dropUnsent(isWriting: boolean): void {
    if (!isWriting && this.#encoder !== undefined) this.context.encoders.release(this.#encoder);
    this.#encoder = undefined;
    this.context.budget.take(-this.#held);
    this.#held = 0;
  }
}

/** Closes connections, of which some may be closed already. */
export function closeAll(...connections: readonly (Pick<Socket, "close"> | undefined)[]): void {
  for (const connection of connections) {
    try {
      connection?.close();
    } catch {
      // It is closed.
    }
  }
}
