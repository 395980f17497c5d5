/**
 * Reads from a connection into a buffer whose size adapts to the client, with at most one read ahead.
 *
 * @module
 */

import { nextReadSize } from "../bytes.ts";
import { FAIR_TURNS, type Precedence } from "../turns.ts";
import type { Deadline, ServerContext } from "./context.ts";

/** Reads from a client. */
export class Reader {
  readonly #conn: Deno.Conn;
  readonly #context: ServerContext;
  /** The buffer of the last read, which the decoder uses until all its requests are answered. */
  #buffer: Uint8Array<ArrayBuffer>;
  /** The buffer of a read ahead. */
  #other: Uint8Array<ArrayBuffer> | undefined;
  #ahead: Promise<number | null> | undefined;
  /** When a read ahead was done that was not used yet. */
  #aheadAt: number | undefined;
  #at = 0;
  #bytes: Uint8Array;
  /** Bytes taken from the budget beyond the smallest buffer. */
  #held = 0;

  /** Creates a reader of a connection. */
  constructor(conn: Deno.Conn, context: ServerContext) {
    this.#conn = conn;
    this.#context = context;
    this.#bytes = this.#buffer = new Uint8Array(context.limits.minReadBytes);
  }

  /** The bytes of the last read. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** When the bytes of the last read came, by the monotonic clock in milliseconds. */
  get at(): number {
    return this.#at;
  }

  /** Reads once. Returns the number of bytes, or `null` at the end. */
  read(): Promise<number | null> {
    const ahead = this.#ahead;
    if (ahead !== undefined) {
      this.#ahead = undefined;
      [this.#buffer, this.#other] = [this.#other!, this.#buffer];
    }
    this.#bytes = this.#buffer;
    return ahead ?? this.#conn.read(this.#buffer);
  }

  /** Reads once in advance, into a second buffer, unless such a read was already made. */
  readAhead(came: (count: number | null) => void, failed: (error: unknown) => void): void {
    if (this.#ahead !== undefined) return;
    this.#other ??= new Uint8Array(this.#context.limits.minReadBytes);
    this.#ahead = this.#conn.read(this.#other);
    this.#ahead.then((count) => {
      this.#aheadAt = performance.now();
      came(count);
    }, failed);
  }

  /** Notes the time of a read; enlarges the next buffer if it filled the last one, and shrinks it if it was small. */
  done(count: number): void {
    this.#at = this.#aheadAt ?? performance.now();
    this.#aheadAt = undefined;
    const { limits, budget } = this.#context;
    const size = this.#buffer.length;
    const fitting = nextReadSize(size, count, limits.minReadBytes, limits.maxReadBytes);
    const more = fitting - size;
    if (more <= 0 ? more === 0 : !budget.has(more)) return;
    budget.take(more);
    this.#held += more;
    this.#buffer = new Uint8Array(fitting);
  }

  /**
   * Reads what is ignored until the client closes its side, is silent for a while, or the time is over. Closing with
   * unread bytes would reset the connection, which can destroy the last response before the client has read it (RFC 9112
   * §9.6).
   */
  async drain(deadline: Deadline, end: number, client: Precedence): Promise<void> {
    for (let count = await this.read(); count !== null; count = await this.read()) {
      deadline.at = Math.min(this.#context.clock + this.#context.limits.lingerMs, end);
      this.done(count);
      await FAIR_TURNS.yieldIfBusy(client);
    }
  }

  /** Releases the buffers. */
  end(): void {
    this.#context.budget.take(-this.#held);
    this.#held = 0;
  }
}
