/**
 * Buffered output: many small pieces are written together.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import { type Sink, writeAll } from "../bytes.ts";
import { GATHERED_OUTPUT_BYTES } from "../limits.ts";

const ENCODER = new TextEncoder();

/** Buffers bytes and writes them to a sink at the end of the event loop's turn, or earlier if there are many. */
export class Output {
  readonly #sink: Sink;
  #gathered = new Uint8Array(GATHERED_OUTPUT_BYTES);
  #length = 0;
  #spare = new Uint8Array(GATHERED_OUTPUT_BYTES);
  #writing: Promise<void> | undefined;
  #scheduled = false;
  #failure: { readonly error: unknown } | undefined;

  /** Creates an output to a sink. */
  constructor(sink: Sink) {
    this.#sink = sink;
  }

  /**
   * Buffers bytes. If there are too many, waits until they are written.
   *
   * @throws {Error} If this or an earlier write failed.
   */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.#length + bytes.length > this.#gathered.length) await this.flush();
    this.#throwFailure();
    if (bytes.length > this.#gathered.length) return await writeAll(this.#sink, bytes);
    this.#gathered.set(bytes, this.#length);
    this.#length += bytes.length;
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#write();
    });
  }

  /** Buffers text. Errors of writing are reported by {@linkcode flush}. */
  print(text: string): void {
    this.write(ENCODER.encode(text)).catch(() => {});
  }

  /**
   * Resolves once everything is written.
   *
   * @throws {Error} If a write failed.
   */
  async flush(): Promise<void> {
    while (this.#length > 0 || this.#writing !== undefined) await this.#write();
    this.#throwFailure();
  }

  #write(): Promise<void> {
    return this.#writing ??= this.#writeGathered().finally(() => this.#writing = undefined);
  }

  async #writeGathered(): Promise<void> {
    const bytes = this.#gathered.subarray(0, this.#length);
    [this.#gathered, this.#spare] = [this.#spare, this.#gathered];
    this.#length = 0;
    try {
      await writeAll(this.#sink, bytes);
    } catch (error) {
      this.#failure ??= { error };
    }
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
