/**
 * Joins rows to the content of a listing: one JSON object, or one object a line.
 *
 * @module
 */

import { ByteBuffer } from "../bytes.ts";

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const COMMA = 0x2c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** The forms of a listing. */
export type ListingForm = "application/json" | "application/x-ndjson";

/** Joins rows, each given as its name, a colon and its value. */
export class RowJoiner {
  readonly #buffer = new ByteBuffer(1024);
  readonly #isLines: boolean;
  #before = OPEN_BRACE;

  /** Joins no rows yet. */
  constructor(form: ListingForm) {
    this.#isLines = form === "application/x-ndjson";
  }

  /** The number of bytes that were not taken. */
  get length(): number {
    return this.#buffer.length;
  }

  /** Adds a row. */
  add(row: Uint8Array): void {
    this.#octet(this.#isLines ? OPEN_BRACE : this.#before);
    this.#before = COMMA;
    this.#buffer.append(row);
    if (!this.#isLines) return;
    // A line end between tokens, which another program may have written, is a blank.
    const written = this.#buffer.view(this.#buffer.length - row.length);
    for (let i = 0; i < written.length; i++) if (written[i] === LF || written[i] === CR) written[i] = SPACE;
    this.#octet(CLOSE_BRACE);
    this.#octet(LF);
  }

  /** Ends the content, and takes its last piece. */
  end(): Uint8Array {
    if (!this.#isLines) {
      if (this.#before === OPEN_BRACE) this.#octet(OPEN_BRACE);
      this.#octet(CLOSE_BRACE);
    }
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
