/** Output of a client: what it prints, and lines for the user, on what happens beside the commands too. */

import { setImmediate } from "node:timers";
import { addressText } from "../address.ts";
import { ByteBuffer, type Sink, writeAll, writeLine } from "../bytes.ts";
import { terminalColumns, wrapMessage, wrapWords } from "../terminal.ts";
import type { TerminalInput } from "./terminal_input.ts";

const ENCODER = new TextEncoder();
/** Octets that are gathered before a writer has to wait. */
const GATHERED_OCTETS = 64 * 1024;

/** Gathers octets and writes them at the end of the event loop's turn, or earlier if there are many. */
export class Output {
  readonly #gathered = new ByteBuffer(0);
  #writing: Promise<void> | undefined;
  #error: Error | undefined;

  constructor(private readonly sink: Sink) {}

  /** Prints octets. If there are too many, waits until they are written. Throws the error of an earlier write. */
  async write(octets: Uint8Array): Promise<void> {
    if (this.#gathered.length + octets.length > GATHERED_OCTETS) await this.flush();
    if (this.#error !== undefined) throw this.#error;
    if (octets.length > GATHERED_OCTETS) return await writeAll(this.sink, octets);
    this.#gathered.append(octets);
    this.#writing ??= this.#writeGathered();
  }

  /** Prints text. Errors of writing are reported by {@linkcode flush}. */
  print(text: string): void {
    this.write(ENCODER.encode(text)).catch(() => {});
  }

  /** Resolves once everything is written; rejects if a write failed. */
  async flush(): Promise<void> {
    await this.#writing;
    if (this.#error !== undefined) throw this.#error;
  }

  async #writeGathered(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#gathered.length > 0) {
      const octets = this.#gathered.view().slice();
      this.#gathered.length = 0;
      await writeAll(this.sink, octets).catch((error) => this.#error ??= error);
    }
    this.#writing = undefined;
  }
}

/** The screen of this process. Notices are shown in their order, each after all that was printed before it. */
export class ProcessScreen extends Output {
  /** Whether it is a terminal. Data from the server is escaped on a terminal, and exact otherwise. */
  readonly terminal = Deno.stdout.isTerminal();
  readonly columns = terminalColumns;
  input: TerminalInput | undefined;
  /** Resolves once the notices so far are shown; errors of writing are reported where the output ends. */
  #noticed: Promise<void> = Promise.resolve();

  constructor(private readonly interactive: boolean) {
    super(Deno.stdout);
  }

  /** Writes a line for the user that is not part of a message: beside the output if that is not a terminal. */
  async note(line: string): Promise<void> {
    await this.#noticed;
    await this.flush();
    const shown = this.interactive ? wrapMessage(line, terminalColumns()) : line;
    await writeLine(this.interactive && this.terminal ? Deno.stdout : Deno.stderr, shown);
  }

  /** Shows a line in parentheses as soon as the prompt can, without waiting for that. */
  notify(line: string): void {
    this.#notice(wrapMessage(`(${line})`, terminalColumns()));
  }

  /** Shows the addresses of a connection. Each of these words is copied as a whole. */
  notifyConnected(local: Deno.NetAddr, remote: Deno.NetAddr): void {
    const port = `(tcp.port == ${local.port})`;
    const words = ["(connected", addressText(local), "->", addressText(remote), port, "in Wireshark)"];
    this.#notice(wrapWords(words, terminalColumns()).join("\n"));
  }

  #notice(text: string): void {
    this.#noticed = this.#noticed.then(() => this.flush()).then(() => this.input?.notify(text), () => {});
  }
}
