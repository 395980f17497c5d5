/**
 * Non-blocking output: messages are buffered and written in batches, so that printing never delays the server.
 *
 * @module
 */

import { ByteBuffer, type Sink, writeAll } from "./bytes.ts";
import { MAX_UNPRINTED_BYTES } from "./limits.ts";
import { within } from "./turns.ts";

const INITIAL_BYTES = 16 * 1024;
/** A buffer larger than this many bytes is released once it has been written. */
const KEPT_BYTES = 1024 * 1024;
/** How long messages are buffered before they are written together. */
const PRINT_DELAY_MS = 10;
/** The delay before writing is retried after a failure, such as a full disk. */
const PRINT_RETRY_MS = 1000;

/** Options of a {@linkcode BatchWriter}. */
export interface BatchWriterOptions {
  /** The maximum of buffered bytes. Beyond it messages are omitted and counted. */
  readonly maxBytes?: number;
  /** Receives the error of a failed write that will be retried: once, until a write succeeds. */
  readonly failed?: (error: Error) => void;
  /** The delay before a failed write is retried, in milliseconds. */
  readonly retryMs?: number;
}

/** Buffers messages and writes them to a sink in batches. */
export class BatchWriter {
  readonly #options: Required<BatchWriterOptions>;
  #gathered = new ByteBuffer(INITIAL_BYTES);
  #messages = 0;
  #spare = new ByteBuffer(INITIAL_BYTES);
  #omitted = 0;
  #writing: Promise<void> | undefined;
  /** Whether the sink is closed for good. */
  #broken = false;
  #failing = false;

  /** Creates a writer for a sink. */
  constructor(private readonly sink: Sink, options: BatchWriterOptions = {}) {
    this.#options = { maxBytes: MAX_UNPRINTED_BYTES, failed: () => {}, retryMs: PRINT_RETRY_MS, ...options };
  }

  /** Prints a message: text in UTF-8, and bytes as they are. It is omitted if the buffer is full. */
  print(...parts: readonly (string | Uint8Array)[]): void {
    if (this.#broken) return;
    let most = this.#gathered.length;
    for (const part of parts) most += typeof part === "string" ? 3 * part.length : part.length;
    if (most > this.#options.maxBytes) {
      this.#omitted++;
      return;
    }
    for (const part of parts) {
      if (typeof part === "string") this.#gathered.appendText(part);
      else this.#gathered.append(part);
    }
    this.#messages++;
    this.#writing ??= this.#writeAll();
  }

  /** Resolves once all messages are written or cannot be; after `withinMs` at the latest. */
  async flush(withinMs: number = Infinity): Promise<void> {
    if (this.#writing === undefined) return;
    if (withinMs === Infinity) await this.#writing;
    else await within(this.#writing, withinMs);
  }

  async #writeAll(): Promise<void> {
    let delayMs = PRINT_DELAY_MS;
    do {
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      delayMs = 0;
      const reason = this.#failing ? "it could not be written" : "the output is too slow";
      if (this.#omitted > 0) this.#gathered.appendText(`... ${this.#omitted} messages omitted: ${reason}\n`);
      const batch = this.#gathered;
      const messages = this.#messages + this.#omitted;
      this.#gathered = this.#spare;
      this.#spare = batch;
      this.#messages = this.#omitted = 0;
      try {
        await writeAll(this.sink, batch.view());
        this.#failing = false;
      } catch (error) {
        // The reader has closed the pipe, as in `serve | head`: the server goes on without output.
        if (error instanceof Deno.errors.BrokenPipe) this.#broken = true;
        else {
          // A full disk may have room again: later messages are retried.
          if (!this.#failing) this.#options.failed(error as Error);
          this.#failing = true;
          this.#omitted += messages;
          delayMs = this.#options.retryMs;
        }
      }
      batch.clear(KEPT_BYTES);
    } while (this.#gathered.length > 0 && !this.#broken);
    this.#writing = undefined;
  }
}
