/**
 * Reads lines from a terminal, with editing, a history and completion.
 *
 * Keys are preprocessed before they reach the editor. A run of text is passed as a whole, because the editor redraws
 * its line after each key; text typed ahead waits until it is needed; and Ctrl-C is handled immediately. The terminal
 * marks what is pasted ("bracketed paste"): its tabs and line ends are no keys.
 */

import process from "node:process";
import { createInterface, type Interface } from "node:readline";
import { PassThrough } from "node:stream";
import { setImmediate } from "node:timers";
import { MAX_HISTORY_LINES, MAX_TYPED_AHEAD_CHARACTERS } from "../limits.ts";
import type { Completion } from "./help.ts";
import type { Line, LineInput } from "./line_input.ts";

export interface TerminalStreams {
  /** The keys as text. The terminal is in raw mode. */
  readonly keys: AsyncIterable<string>;
  readonly output: NodeJS.WritableStream;
  restore(): void;
}

interface TerminalOptions {
  /** Completes the last word of a partly typed line. */
  readonly complete: (line: string) => Completion;
  /** Called on Ctrl-C while no line is being read. */
  readonly interrupted: () => void;
  /** Lines of earlier sessions, oldest first. */
  readonly history?: readonly string[];
}

/** Opens the terminal of the process; `undefined` if it has no raw mode, as in Git Bash on Windows. */
export function processTerminal(): TerminalStreams | undefined {
  try {
    Deno.stdin.setRaw(true);
  } catch {
    return undefined;
  }
  const { stdout, stderr } = process;
  return {
    keys: Deno.stdin.readable.pipeThrough(new TextDecoderStream()),
    // Text is shown on the terminal even if the output is redirected.
    output: stdout.isTTY ? stdout : stderr,
    restore: () => Deno.stdin.setRaw(false),
  };
}

const CTRL_C = "\x03";
const MARK_PASTES = "\x1b[?2004h";
const MARK_NO_PASTES = "\x1b[?2004l";
const PASTE_START = "\x1b[200~";
const PASTE_END = "\x1b[201~";
/** A run of text, a line end, or keys for the editor up to the next text or line end. */
// deno-lint-ignore no-control-regex -- the keys are control characters
const KEYS = /[^\x00-\x1f\x7f]+|\r\n|[\r\n]|\x1b(?:\[[0-9;]*[ -/]*[@-~]|O.|[^\x00-\x1f\x7f])|[^]/uy;
/** A run of pasted text, or a line end. */
const PASTED = /[^\n]+|\n/y;
// deno-lint-ignore no-control-regex -- all but the tab
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f]/g;

export class TerminalInput implements LineInput {
  readonly #editor: Interface;
  /** What the editor reads keys from, other than text. */
  readonly #control = new PassThrough();
  readonly #interrupted: () => void;
  /** Text that was typed ahead, or pasted, and that the editor has not received yet. */
  #ahead: { text: string; readonly isPasted: boolean }[] = [];
  /** The start of a mark, of which the rest is still to come. */
  #partOfMark = "";
  /** What of a paste has come, until its end has. */
  #paste: string | undefined;
  /** What was pasted after the line that the editor receives. */
  #rest: string | undefined;
  #isFeeding = false;
  #hasEnded = false;
  /** Receives the requested line; `undefined` while none is requested. */
  #answer: ((line: Line) => void) | undefined;

  constructor(private readonly streams: TerminalStreams, options: TerminalOptions) {
    this.#interrupted = options.interrupted;
    const editor = this.#editor = createInterface({
      input: this.#control,
      output: streams.output,
      terminal: true,
      historySize: MAX_HISTORY_LINES,
      history: [...options.history ?? []].reverse(),
      prompt: "",
      completer: options.complete,
    });
    editor.on("line", (text) => {
      // Keys that are not UTF-8 have become U+FFFD.
      const isDamaged = text.includes("\ufffd") || !text.isWellFormed();
      const rest = this.#rest;
      this.#rest = undefined;
      this.#give(isDamaged ? { kind: "damaged" } : { kind: "line", text, ...rest && { rest } });
    });
    editor.on("close", () => this.#end());
    // Ctrl-Z is ignored: after a stop, the terminal would no longer be in the editor's mode.
    editor.on("SIGTSTP", () => {});
    streams.output.write(MARK_PASTES);
    this.#read();
  }

  next(): Promise<Line> {
    if (this.#hasEnded) return Promise.resolve({ kind: "end" });
    return new Promise((resolve) => {
      this.#answer = resolve;
      this.#feed();
    });
  }

  /** Shows a line above the text being typed. */
  notify(line: string): void {
    const { rows } = this.#editor.getCursorPos();
    const up = rows > 0 ? `\x1b[${rows}A` : "";
    // The editor draws its line again as many rows further up as the cursor was.
    this.streams.output.write(`${up}\r\x1b[J${line}\n${"\n".repeat(rows)}`);
    if (this.#editor.line !== "") this.#editor.prompt(true);
  }

  close(): void {
    this.#hasEnded = true;
    this.#editor.close();
    this.streams.output.write(MARK_NO_PASTES);
    this.streams.restore();
  }

  #give(line: Line): void {
    const answer = this.#answer;
    this.#answer = undefined;
    answer?.(line);
  }

  #end(): void {
    this.#hasEnded = true;
    this.#give({ kind: "end" });
  }

  async #read(): Promise<void> {
    try {
      for await (const keys of this.streams.keys) this.#receive(keys);
    } catch {
      // The terminal is closed.
    }
    this.#end();
  }

  #receive(keys: string): void {
    const interrupt = keys.lastIndexOf(CTRL_C);
    if (interrupt >= 0) {
      // Drops text that was typed ahead, and a paste that has no end.
      const ahead = this.#ahead.map(({ text }) => text).join("") + (this.#paste ?? "");
      const typed = this.#editor.line + ahead + keys.slice(0, keys.indexOf(CTRL_C));
      this.#ahead = [];
      this.#paste = undefined;
      this.#partOfMark = "";
      this.#interrupt(typed === "");
    }
    this.#cutAtMarks(this.#partOfMark + keys.slice(interrupt + 1));
    this.#feed();
  }

  /** Cuts text at the marks of pastes. */
  #cutAtMarks(text: string): void {
    const paste = this.#paste;
    const mark = paste === undefined ? PASTE_START : PASTE_END;
    const at = text.indexOf(mark);
    const end = at < 0 ? text.length - startIn(text, mark) : at;
    if (paste === undefined) this.#add(text.slice(0, end), false);
    // Of what is too long to be kept, no more is kept.
    else if (paste.length <= MAX_TYPED_AHEAD_CHARACTERS) this.#paste += text.slice(0, end);
    this.#partOfMark = at < 0 ? text.slice(end) : "";
    if (at < 0) return;
    // Controls in what was pasted are no keys.
    if (paste !== undefined) this.#add(this.#paste!.replace(/\r\n?/g, "\n").replace(CONTROLS, ""), true);
    this.#paste = paste === undefined ? "" : undefined;
    this.#cutAtMarks(text.slice(at + mark.length));
  }

  #add(text: string, isPasted: boolean): void {
    const room = MAX_TYPED_AHEAD_CHARACTERS - this.#ahead.reduce((sum, { text }) => sum + text.length, 0);
    if (isPasted && text.length > room) return this.notify(`(left out: more than ${room} characters at once)`);
    const last = this.#ahead.at(-1);
    if (last?.isPasted === false && !isPasted) last.text += text.slice(0, room);
    else if (text !== "") this.#ahead.push({ text: text.slice(0, room), isPasted });
  }

  #interrupt(wasEmpty: boolean): void {
    if (this.#answer === undefined) return this.#interrupted();
    const typed = this.#editor.line;
    this.#editor.write(null, { ctrl: true, name: "e" });
    this.#editor.write(null, { ctrl: true, name: "u" });
    // The editor has erased the line: it stays readable above the next one.
    this.streams.output.write(`${typed}^C\r\n`);
    this.#give({ kind: "cancelled", wasEmpty });
  }

  async #feed(): Promise<void> {
    if (this.#isFeeding) return;
    this.#isFeeding = true;
    while (this.#answer !== undefined && this.#ahead.length > 0 && !this.#hasEnded) {
      const [first] = this.#ahead;
      const pieces = first.isPasted ? PASTED : KEYS;
      pieces.lastIndex = 0;
      const [key] = pieces.exec(first.text) ?? [""];
      first.text = first.text.slice(key.length);
      if (first.text === "") this.#ahead.shift();
      const isLineEnd = /^[\r\n]/.test(key);
      this.#rest = first.isPasted && isLineEnd ? first.text : undefined;
      if (!isLineEnd && (first.isPasted || key >= " " && key !== "\x7f")) this.#editor.write(key);
      else {
        // A line end is one key in every form.
        this.#control.write(isLineEnd ? "\r" : key);
        // The editor reads other keys from a stream, and must handle them before the text after them.
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    this.#isFeeding = false;
  }
}

/** Returns how many characters at the end of a text are the start of a mark. */
function startIn(text: string, mark: string): number {
  let length = Math.min(mark.length - 1, text.length);
  while (!text.endsWith(mark.slice(0, length))) length--;
  return length;
}
