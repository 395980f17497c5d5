/**
 * The way into a connection: reads into a buffer that grows with what the client sends, and perhaps one read ahead.
 *
 * @module
 */

import type { ServerContext } from "./context.ts";

/** Reads what a client sends. */
export class Reader {
  readonly #conn: Deno.Conn;
  readonly #context: ServerContext;
  /** What the last read filled: it stays the decoder's until all in it is answered. */
  #buffer: Uint8Array<ArrayBuffer>;
  /** What a read ahead fills. */
  #other: Uint8Array<ArrayBuffer> | undefined;
  #ahead: Promise<number | null> | undefined;
  #bytes: Uint8Array;
  /** Bytes taken from the budget, beyond the smallest buffer. */
  #held = 0;

  /** Reads from a connection. */
  constructor(conn: Deno.Conn, context: ServerContext) {
    this.#conn = conn;
    this.#context = context;
    this.#bytes = this.#buffer = new Uint8Array(context.limits.minReadBytes);
  }

  /** What the last read filled. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Reads once: how many octets came, or `null` at the end. */
  read(): Promise<number | null> {
    const ahead = this.#ahead;
    if (ahead !== undefined) {
      this.#ahead = undefined;
      [this.#buffer, this.#other] = [this.#other!, this.#buffer];
    }
    this.#bytes = this.#buffer;
    return ahead ?? this.#conn.read(this.#buffer);
  }

  /** Reads once before it is asked to, into a buffer of its own, unless it has done so already. */
  readAhead(came: (count: number | null) => void, failed: () => void): void {
    if (this.#ahead !== undefined) return;
    this.#other ??= new Uint8Array(this.#context.limits.minReadBytes);
    this.#ahead = this.#conn.read(this.#other);
    this.#ahead.then(came, failed);
  }

  /** Makes the next read larger after one that filled its buffer, and small again after one that brought little. */
  resize(count: number): void {
    const { limits, budget } = this.#context;
    const size = this.#buffer.length;
    const fitting = count === size
      ? Math.min(4 * size, limits.maxReadBytes)
      : count < size / 16
      ? limits.minReadBytes
      : size;
    const more = fitting - size;
    if (more <= 0 ? more === 0 : !budget.has(more)) return;
    budget.take(more);
    this.#held += more;
    this.#buffer = new Uint8Array(fitting);
  }

  /** Gives the buffers back. */
  end(): void {
    this.#context.budget.take(-this.#held);
    this.#held = 0;
  }
}
