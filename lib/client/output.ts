/**
 * Output of a client: what it prints, and notices on what happens beside the commands.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import { addressText } from "../address.ts";
import { ByteBuffer, type Sink, writeAll } from "../bytes.ts";
import { GATHERED_OUTPUT_BYTES } from "../limits.ts";
import { terminalColumns, wrapMessage, wrapWords } from "../terminal.ts";
import type { LineInput } from "./line_input.ts";

const ENCODER = new TextEncoder();

/** Gathers octets and writes them at the end of the event loop's turn, or earlier if there are many. */
export class Output {
  readonly #sink: Sink;
  readonly #gathered = new ByteBuffer(0);
  #writing: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  /**
   * Prints octets. If there are too many, waits until they are written.
   *
   * @throws {Error} If this or an earlier write failed.
   */
  async write(octets: Uint8Array): Promise<void> {
    if (this.#gathered.length + octets.length > GATHERED_OUTPUT_BYTES) await this.flush();
    this.#throwFailure();
    if (octets.length > GATHERED_OUTPUT_BYTES) return await writeAll(this.#sink, octets);
    this.#gathered.append(octets);
    this.#writing ??= this.#writeGathered();
  }

  /** Prints text. Errors of writing are reported by {@linkcode flush}. */
  print(text: string): void {
    this.write(ENCODER.encode(text)).catch(() => {});
  }

  /**
   * Resolves once everything is written.
   *
   * @throws {Error} If a write failed.
   */
  async flush(): Promise<void> {
    await this.#writing;
    this.#throwFailure();
  }

  async #writeGathered(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#gathered.length > 0) {
      const octets = this.#gathered.view().slice();
      this.#gathered.length = 0;
      await writeAll(this.#sink, octets).catch((error) => {
        this.#failure ??= { error };
      });
    }
    this.#writing = undefined;
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

/** Shows notices in their order, each after all that was printed before it. */
export class Notices {
  /** Resolves once the notices so far are shown; errors of writing are reported where the output ends. */
  shown: Promise<void> = Promise.resolve();
  /** Shows them, once it is there. */
  input: LineInput | undefined;
  readonly #output: Output;

  constructor(output: Output) {
    this.#output = output;
  }

  /** Shows a line in parentheses. */
  showNote(line: string): void {
    this.#show(wrapMessage(`(${line})`, terminalColumns()));
  }

  /** Shows the addresses of a connection. Each of these words is copied as a whole. */
  showConnected(local: Deno.NetAddr, remote: Deno.NetAddr): void {
    const port = `(tcp.port == ${local.port})`;
    const words = ["(connected", addressText(local), "->", addressText(remote), port, "in Wireshark)"];
    this.#show(wrapWords(words, terminalColumns()).join("\n"));
  }

  #show(text: string): void {
    this.shown = this.shown.then(() => this.#output.flush()).then(() => this.input?.notify(text), () => {});
  }
}
