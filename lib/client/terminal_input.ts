/**
 * Reads lines from a terminal, with editing, a history and completion.
 *
 * Keys are preprocessed before they reach the editor. A run of text is passed as a whole, because the editor redraws
 * its line after each key; text typed ahead waits until it is needed; and Ctrl-C is handled immediately.
 *
 * @module
 */

import type { Interface } from "node:readline";
import { setImmediate } from "node:timers";
import { MAX_HISTORY_LINES, MAX_TYPED_AHEAD_CHARACTERS } from "../limits.ts";
import type { Completion } from "./completion.ts";
import type { Line, LineInput } from "./line_input.ts";

/** The terminal's input and output. */
export interface TerminalStreams {
  /** The keys as text. The terminal is in raw mode. */
  readonly keys: AsyncIterable<string>;
  /** Where typed text is shown. */
  readonly output: NodeJS.WritableStream;
  /** Restores the terminal. */
  restore(): void;
}

/** Options of the input besides the lines. */
export interface TerminalOptions {
  /** Completes the last word of a partly typed line. */
  readonly complete: (line: string) => Completion;
  /** Called on Ctrl-C while no line is being read. */
  readonly interrupted: () => void;
  /** Lines of earlier sessions, oldest first. */
  readonly history?: readonly string[];
}

/** Opens the terminal of the process; `undefined` if it has no raw mode, as in Git Bash on Windows. */
export async function processTerminal(): Promise<TerminalStreams | undefined> {
  try {
    Deno.stdin.setRaw(true);
  } catch {
    return undefined;
  }
  const { stdout, stderr } = (await import("node:process")).default;
  return {
    keys: Deno.stdin.readable.pipeThrough(new TextDecoderStream()),
    // Text is shown on the terminal even if the output is redirected.
    output: stdout.isTTY ? stdout : stderr,
    restore: () => Deno.stdin.setRaw(false),
  };
}

const CTRL_C = "\x03";
/** A run of text, a line end, or keys for the editor up to the next text or line end. */
// deno-lint-ignore no-control-regex -- the keys are control characters
const KEYS = /[^\x00-\x1f\x7f]+|\r\n|[\r\n]|\x1b(?:\[[0-9;]*[ -/]*[@-~]|O.|[^\x00-\x1f\x7f])|[^]/uy;

/** Reads lines from a terminal. */
export async function terminalInput(streams: TerminalStreams, options: TerminalOptions): Promise<LineInput> {
  // Loaded on demand, because loading takes a noticeable part of the start.
  const { createInterface } = await import("node:readline");
  const { PassThrough } = await import("node:stream");
  const control = new PassThrough();
  const editor = createInterface({
    input: control,
    output: streams.output,
    terminal: true,
    historySize: MAX_HISTORY_LINES,
    history: [...options.history ?? []].reverse(),
    prompt: "",
    completer: options.complete,
  });
  return new TerminalInput(streams, editor, control, options.interrupted);
}

class TerminalInput implements LineInput {
  readonly #streams: TerminalStreams;
  readonly #editor: Interface;
  readonly #control: { write(text: string): unknown };
  readonly #interrupted: () => void;
  /** Typed text that the editor has not received yet. */
  #ahead = "";
  #feeding = false;
  #ended = false;
  /** Resolves the next line. */
  #asked: ((line: Line) => void) | undefined;

  constructor(
    streams: TerminalStreams,
    editor: Interface,
    control: { write(text: string): unknown },
    interrupted: () => void,
  ) {
    this.#streams = streams;
    this.#editor = editor;
    this.#control = control;
    this.#interrupted = interrupted;
    editor.on("line", (text) => {
      // Keys that are not UTF-8 have become U+FFFD.
      const isDamaged = text.includes("\ufffd") || !text.isWellFormed();
      this.#answer(isDamaged ? { kind: "damaged" } : { kind: "line", text });
    });
    editor.on("close", () => this.#end());
    // Ctrl-Z is ignored: after a stop, the terminal would no longer be in the editor's mode.
    editor.on("SIGTSTP", () => {});
    this.#read();
  }

  next(): Promise<Line> {
    if (this.#ended) return Promise.resolve({ kind: "end" });
    const line = new Promise<Line>((resolve) => this.#asked = resolve);
    this.#feed();
    return line;
  }

  notify(line: string): void {
    const { rows } = this.#editor.getCursorPos();
    const up = rows > 0 ? `\x1b[${rows}A` : "";
    // The editor draws its line again as many rows further up as the cursor was.
    this.#streams.output.write(`${up}\r\x1b[J${line}\n${"\n".repeat(rows)}`);
    if (this.#editor.line !== "") this.#editor.prompt(true);
  }

  close(): void {
    this.#ended = true;
    this.#editor.close();
    this.#streams.restore();
  }

  #answer(line: Line): void {
    const asked = this.#asked;
    this.#asked = undefined;
    asked?.(line);
  }

  #end(): void {
    this.#ended = true;
    this.#answer({ kind: "end" });
  }

  async #read(): Promise<void> {
    try {
      for await (const keys of this.#streams.keys) this.#take(keys);
    } catch {
      // The terminal is closed.
    }
    this.#end();
  }

  #take(keys: string): void {
    const interrupt = keys.lastIndexOf(CTRL_C);
    if (interrupt >= 0) {
      // Drops text that was typed ahead.
      const typed = this.#editor.line + this.#ahead + keys.slice(0, keys.indexOf(CTRL_C));
      this.#ahead = "";
      this.#interrupt(typed === "");
    }
    this.#ahead = (this.#ahead + keys.slice(interrupt + 1)).slice(0, MAX_TYPED_AHEAD_CHARACTERS);
    this.#feed();
  }

  #interrupt(wasEmpty: boolean): void {
    if (this.#asked === undefined) return this.#interrupted();
    const typed = this.#editor.line;
    this.#editor.write(null, { ctrl: true, name: "e" });
    this.#editor.write(null, { ctrl: true, name: "u" });
    // The editor has erased the line: it stays readable above the next one.
    this.#streams.output.write(`${typed}^C\r\n`);
    this.#answer({ kind: "cancelled", wasEmpty });
  }

  /** Passes typed text to the editor, up to the end of the requested line. */
  async #feed(): Promise<void> {
    if (this.#feeding) return;
    this.#feeding = true;
    while (this.#asked !== undefined && this.#ahead !== "" && !this.#ended) {
      KEYS.lastIndex = 0;
      const [key] = KEYS.exec(this.#ahead)!;
      this.#ahead = this.#ahead.slice(key.length);
      if (key >= " " && key !== "\x7f") this.#editor.write(key);
      else {
        // A line end is one key in every form.
        this.#control.write(/[\r\n]/.test(key) ? "\r" : key);
        // The editor reads other keys from a stream, and must handle them before the text after them.
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    this.#feeding = false;
  }
}
