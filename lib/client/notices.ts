/**
 * Notices: lines on what happens besides the commands.
 *
 * @module
 */

import { addressText } from "../address.ts";
import { terminalColumns, wrapMessage, wrapWords } from "../terminal.ts";
import type { LineInput } from "./line_input.ts";
import type { Output } from "./output.ts";

/** Shows notices in their order, each after all that was printed before it. */
export class Notices {
  /** Resolves once the notices so far are shown; errors of writing are reported where the output ends. */
  shown: Promise<void> = Promise.resolve();
  /** Shows them, once it is there. */
  input: LineInput | undefined;
  readonly #output: Output;
  readonly #interactive: boolean;

  /** Creates notices that are shown after what an output has; addresses only at a prompt. */
  constructor(output: Output, interactive: boolean) {
    this.#output = output;
    this.#interactive = interactive;
  }

  /** Shows a line in parentheses. */
  showNote(line: string): void {
    this.#show(wrapMessage(`(${line})`, terminalColumns()));
  }

  /** Shows the addresses of a connection at the prompt. */
  showConnected(local: Deno.NetAddr, remote: Deno.NetAddr): void {
    // Each of these is copied as a whole.
    const words = [
      "(connected",
      addressText(local),
      "->",
      addressText(remote),
      `(tcp.port == ${local.port})`,
      "in Wireshark)",
    ];
    if (this.#interactive) this.#show(wrapWords(words, terminalColumns()).join("\n"));
  }

  #show(text: string): void {
    this.shown = this.shown.then(() => this.#output.flush()).then(() => this.input?.notify(text), () => {});
  }
}
