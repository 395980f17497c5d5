/**
 * Printing that never holds up the work it reports: what is printed gathers, and is written in batches.
 *
 * @module
 */

import { resized, type Sink, writeAll } from "./bytes.ts";
import { MAX_UNPRINTED_BYTES, PRINT_DELAY_MS } from "./limits.ts";

const INITIAL_BYTES = 16 * 1024;
/** A buffer that grew beyond this many bytes is given up once it is written. */
const KEPT_BYTES = 1024 * 1024;
const ENCODER = new TextEncoder();

/** Gathers what is printed and writes it to a sink, one batch after the other. */
export class BatchWriter {
  readonly #sink: Sink;
  readonly #maxBytes: number;
  #gathered = new Uint8Array(INITIAL_BYTES);
  #length = 0;
  #spare = new Uint8Array(INITIAL_BYTES);
  #leftOut = 0;
  #writing: Promise<void> | undefined;
  #broken = false;

  /** Writes to the sink; `maxBytes` may wait for it. */
  constructor(sink: Sink, maxBytes: number = MAX_UNPRINTED_BYTES) {
    this.#sink = sink;
    this.#maxBytes = maxBytes;
  }

  /** Prints a message: text in UTF-8, then bytes as they are, then text again. Left out if too much waits already. */
  print(before: string, bytes?: Uint8Array, after = ""): void {
    const most = 3 * (before.length + after.length) + (bytes?.length ?? 0);
    if (this.#broken) return;
    if (this.#length + most > this.#maxBytes) {
      this.#leftOut++;
      return;
    }
    this.#reserve(most);
    this.#text(before);
    if (bytes !== undefined) {
      this.#gathered.set(bytes, this.#length);
      this.#length += bytes.length;
    }
    if (after !== "") this.#text(after);
    this.#writing ??= this.#writeAll();
  }

  /** Resolves once all that was printed is written, or cannot be. */
  async flush(): Promise<void> {
    await this.#writing;
  }

  async #writeAll(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, PRINT_DELAY_MS));
    try {
      while (this.#length > 0) await this.#writeBatch();
    } catch {
      // Nobody reads any more, as with `serve | head`: the work goes on, unreported.
      this.#broken = true;
    }
    this.#writing = undefined;
  }

  async #writeBatch(): Promise<void> {
    if (this.#leftOut > 0) {
      const note = `... ${this.#leftOut} messages omitted: the output is too slow\n`;
      this.#leftOut = 0;
      this.#reserve(3 * note.length);
      this.#text(note);
    }
    const batch = this.#gathered.subarray(0, this.#length);
    [this.#gathered, this.#spare] = [this.#spare, this.#gathered];
    this.#length = 0;
    await writeAll(this.#sink, batch);
    if (this.#spare.length > KEPT_BYTES) this.#spare = new Uint8Array(INITIAL_BYTES);
  }

  #text(text: string): void {
    this.#length += ENCODER.encodeInto(text, this.#gathered.subarray(this.#length)).written;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#gathered.length) return;
    const size = Math.max(2 * this.#gathered.length, this.#length + bytes);
    this.#gathered = resized(this.#gathered, this.#length, size);
  }
}
