/**
 * Printing that never holds up the work it reports: what is printed gathers, and is written in batches.
 *
 * @module
 */

import { ByteBuffer, type Sink, writeAll } from "./bytes.ts";
import { MAX_UNPRINTED_BYTES, PRINT_DELAY_MS, PRINT_RETRY_MS } from "./limits.ts";

const INITIAL_BYTES = 16 * 1024;
/** A buffer that grew beyond this many bytes is given up once it is written. */
const KEPT_BYTES = 1024 * 1024;

/** How a writer behaves. */
export interface BatchWriterOptions {
  /** Bytes that may wait for the sink; beyond it messages are left out, and counted. */
  readonly maxBytes?: number;
  /** Receives the error of a write that failed and is tried again: once, until a write succeeds. */
  readonly failed?: (error: Error) => void;
  /** How long to wait before the next write after one that failed, in milliseconds. */
  readonly retryMs?: number;
}

/** Gathers what is printed and writes it to a sink, one batch after the other. */
export class BatchWriter {
  readonly #sink: Sink;
  readonly #options: Required<BatchWriterOptions>;
  #gathered = new ByteBuffer(INITIAL_BYTES);
  #messages = 0;
  #spare = new ByteBuffer(INITIAL_BYTES);
  #leftOut = 0;
  /** Why messages were left out last. */
  #reason = "";
  #writing: Promise<void> | undefined;
  /** Whether the sink takes nothing any more, for good. */
  #broken = false;
  #failing = false;

  /** Writes to the sink. */
  constructor(sink: Sink, options: BatchWriterOptions = {}) {
    this.#sink = sink;
    this.#options = { maxBytes: MAX_UNPRINTED_BYTES, failed: () => {}, retryMs: PRINT_RETRY_MS, ...options };
  }

  /** Prints a message: text in UTF-8, then bytes as they are, then text again. Left out if too much waits already. */
  print(before: string, bytes?: Uint8Array, after = ""): void {
    const most = 3 * (before.length + after.length) + (bytes?.length ?? 0);
    if (this.#broken) return;
    if (this.#gathered.length + most > this.#options.maxBytes) {
      this.#leaveOut(1, this.#failing ? "it could not be written" : "the output is too slow");
      return;
    }
    this.#gathered.appendText(before);
    if (bytes !== undefined) this.#gathered.append(bytes);
    if (after !== "") this.#gathered.appendText(after);
    this.#messages++;
    this.#writing ??= this.#writeAll();
  }

  /** Resolves once all that was printed is written, or cannot be; after `withinMs` in any case. */
  async flush(withinMs: number = Infinity): Promise<void> {
    if (this.#writing === undefined) return;
    if (withinMs === Infinity) return await this.#writing;
    let timer;
    const late = new Promise<void>((resolve) => timer = setTimeout(resolve, withinMs));
    await Promise.race([this.#writing, late]);
    clearTimeout(timer);
  }

  async #writeAll(): Promise<void> {
    let delayMs = PRINT_DELAY_MS;
    do {
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      delayMs = 0;
      const messages = this.#messages + this.#leftOut;
      try {
        await this.#writeBatch();
        this.#failing = false;
      } catch (error) {
        // Nobody reads any more, as with `serve | head`: the work goes on, unreported.
        if (error instanceof Deno.errors.BrokenPipe) this.#broken = true;
        else {
          // A full disk may have room again: what comes later is tried again.
          if (!this.#failing) this.#options.failed(error as Error);
          this.#failing = true;
          this.#leaveOut(messages, "it could not be written");
          delayMs = this.#options.retryMs;
        }
      }
    } while (this.#gathered.length > 0 && !this.#broken);
    this.#writing = undefined;
  }

  async #writeBatch(): Promise<void> {
    if (this.#leftOut > 0) {
      const note = `... ${this.#leftOut} messages omitted: ${this.#reason}\n`;
      this.#leftOut = 0;
      this.#gathered.appendText(note);
    }
    const batch = this.#gathered;
    this.#gathered = this.#spare;
    this.#spare = batch;
    this.#messages = 0;
    try {
      await writeAll(this.#sink, batch.view());
    } finally {
      batch.clear(KEPT_BYTES);
    }
  }

  #leaveOut(messages: number, reason: string): void {
    this.#leftOut += messages;
    this.#reason = reason;
  }
}
