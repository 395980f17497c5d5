/**
 * Many rows held in few large buffers, and rows joined to a JSON object.
 *
 * @module
 */

import { ByteBuffer } from "../bytes.ts";

/** The size of a buffer in bytes, unless a row needs more. */
const PILE_BYTES = 64 * 1024;

const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const COMMA = 0x2c;

/** Rows in the order in which they were added. */
export class RowPile {
  readonly #buffers: Uint8Array[] = [];
  /** Room in the last buffer. */
  #used = PILE_BYTES;
  /** Where each row starts: the number of its buffer, times the most that one can have, plus its place in it. */
  readonly #starts: number[] = [];
  readonly #lengths: number[] = [];

  /** The number of rows. */
  get count(): number {
    return this.#starts.length;
  }

  /** Adds a copy of a row. */
  add(row: Uint8Array): void {
    if (this.#used + row.length > PILE_BYTES) {
      this.#buffers.push(new Uint8Array(Math.max(PILE_BYTES, row.length)));
      this.#used = 0;
    }
    const last = this.#buffers.length - 1;
    this.#buffers[last].set(row, this.#used);
    this.#starts.push(last * PILE_BYTES + this.#used);
    this.#lengths.push(row.length);
    this.#used += row.length;
  }

  /** Returns a row. */
  get(index: number): Uint8Array {
    const start = this.#starts[index];
    const place = start % PILE_BYTES;
    return this.#buffers[(start - place) / PILE_BYTES].subarray(place, place + this.#lengths[index]);
  }
}

/** Joins rows to one JSON object, in pieces. */
export class RowJoiner {
  readonly #buffer = new ByteBuffer(1024);
  #before = OPEN_BRACE;

  /** The number of bytes that were not taken. */
  get length(): number {
    return this.#buffer.length;
  }

  /** Adds a row: its name, a colon and its value. */
  add(row: Uint8Array): void {
    this.#octet(this.#before);
    this.#before = COMMA;
    this.#buffer.append(row);
  }

  /** Ends the object, and takes its last piece. */
  end(): Uint8Array {
    if (this.#before === OPEN_BRACE) this.#octet(OPEN_BRACE);
    this.#octet(CLOSE_BRACE);
    return this.take();
  }

  /** Takes what was joined since the last piece. */
  take(): Uint8Array {
    const piece = this.#buffer.view().slice();
    this.#buffer.length = 0;
    return piece;
  }

  #octet(octet: number): void {
    this.#buffer.reserve(1);
    this.#buffer.bytes[this.#buffer.length++] = octet;
  }
}
