/**
 * Lines typed at a terminal, with editing, the arrow keys' history, and Tab.
 *
 * The keys pass through here before the editor sees them: a run of text goes to it as a whole, since it draws its line
 * anew after each key; what is typed ahead waits until it is asked for; and Ctrl-C is noticed at once.
 *
 * @module
 */

import type { Interface } from "node:readline";
import { setImmediate } from "node:timers";
import { MAX_HISTORY_LINES, MAX_TYPED_AHEAD_CHARACTERS } from "../limits.ts";
import type { Line, LineInput } from "./line_input.ts";

/** Where a user types, and where the echo goes. */
export interface TerminalStreams {
  /** The keys, as text; the terminal is in raw mode. */
  readonly keys: AsyncIterable<string>;
  /** The echo. */
  readonly output: NodeJS.WritableStream;
  /** Gives the terminal back as it was. */
  restore(): void;
}

/** What a terminal's user can do beside typing lines. */
export interface TerminalOptions {
  /** The words that may complete a line, as far as it is typed. */
  readonly complete: (line: string) => readonly string[];
  /** Called on Ctrl-C while no line is asked for. */
  readonly interrupted: () => void;
  /** Lines of earlier sessions, the oldest first. */
  readonly history?: readonly string[];
  /** Receives each line that was typed. */
  readonly typed?: (line: string) => void;
}

/**
 * The terminal that the program runs in; `undefined` if it is none that can be put into raw mode, as Git Bash's on
 * Windows.
 */
export async function processTerminal(): Promise<TerminalStreams | undefined> {
  try {
    Deno.stdin.setRaw(true);
  } catch {
    return undefined;
  }
  const { stdout, stderr } = (await import("node:process")).default;
  return {
    keys: Deno.stdin.readable.pipeThrough(new TextDecoderStream()),
    // The echo belongs on a terminal, and the output may be none.
    output: stdout.isTTY ? stdout : stderr,
    restore: () => Deno.stdin.setRaw(false),
  };
}

const CTRL_C = "\x03";
/** A run of text, a line's end, or the keys that the editor has to tell apart: up to the next of the others. */
// deno-lint-ignore no-control-regex -- the keys are control characters
const KEYS = /[^\x00-\x1f\x7f]+|\r\n|[\r\n]|\x1b(?:\[[0-9;]*[ -/]*[@-~]|O.|[^\x00-\x1f\x7f])|[^]/uy;

/** Reads lines from a terminal. */
export async function terminalInput(streams: TerminalStreams, options: TerminalOptions): Promise<LineInput> {
  // Loaded only when they are needed, since that takes a part of the start's time.
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
    completer: (line: string) => [options.complete(line), line],
  });
  if (options.typed !== undefined) editor.on("line", options.typed);
  return new TerminalInput(streams, editor, control, options.interrupted);
}

class TerminalInput implements LineInput {
  readonly #streams: TerminalStreams;
  readonly #editor: Interface;
  readonly #control: { write(text: string): unknown };
  readonly #interrupted: () => void;
  /** What was typed and not given to the editor yet. */
  #ahead = "";
  #feeding = false;
  #ended = false;
  /** Whoever waits for the next line. */
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
    editor.on("line", (text) => this.#answer({ kind: "line", text }));
    editor.on("close", () => this.#end());
    // Ctrl-Z does nothing: after being stopped and going on, the terminal would not be the editor's any more.
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
    this.#streams.output.write(`\r\x1b[K${line}\n`);
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
      // The terminal is gone.
    }
    this.#end();
  }

  #take(keys: string): void {
    const interrupt = keys.lastIndexOf(CTRL_C);
    if (interrupt >= 0) {
      // What was typed before is not wanted any more.
      const typed = this.#editor.line + this.#ahead + keys.slice(0, keys.indexOf(CTRL_C));
      this.#ahead = "";
      this.#interrupt(typed === "");
    }
    this.#ahead = (this.#ahead + keys.slice(interrupt + 1)).slice(0, MAX_TYPED_AHEAD_CHARACTERS);
    this.#feed();
  }

  #interrupt(wasEmpty: boolean): void {
    if (this.#asked === undefined) return this.#interrupted();
    this.#editor.write(null, { ctrl: true, name: "e" });
    this.#editor.write(null, { ctrl: true, name: "u" });
    this.#streams.output.write("^C\r\n");
    this.#answer({ kind: "cancelled", wasEmpty });
  }

  /** Gives the editor what was typed, up to the end of the line that is asked for. */
  async #feed(): Promise<void> {
    if (this.#feeding) return;
    this.#feeding = true;
    while (this.#asked !== undefined && this.#ahead !== "" && !this.#ended) {
      KEYS.lastIndex = 0;
      const [key] = KEYS.exec(this.#ahead)!;
      this.#ahead = this.#ahead.slice(key.length);
      if (key >= " " && key !== "\x7f") this.#editor.write(key);
      else {
        // A line's end is one key, however it came.
        this.#control.write(/[\r\n]/.test(key) ? "\r" : key);
        // The editor takes it from a stream, and it must be done before what was typed behind it.
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    this.#feeding = false;
  }
}
