/**
 * Lines from a user: edited at a terminal, or piped in.
 *
 * @module
 */

import { InputError } from "../client.ts";
import { MAX_HISTORY_LINES, MAX_LINE_CHARACTERS } from "../limits.ts";

/** Lines, one at a time. */
export interface LineInput {
  /** The next line without its line end; `undefined` at the input's end. */
  next(): Promise<string | undefined>;
  /** Gives the terminal back as it was. */
  close(): void;
}

/** Where a user types, and where the echo goes. */
export interface TerminalStreams {
  /** The keys. */
  readonly input: NodeJS.ReadableStream;
  /** The echo. */
  readonly output: NodeJS.WritableStream;
}

/** The terminal that the program runs in. */
export async function processTerminal(): Promise<TerminalStreams> {
  const { stdin, stdout, stderr } = (await import("node:process")).default;
  // The echo belongs on a terminal, and the output may be none.
  return { input: stdin, output: stdout.isTTY ? stdout : stderr };
}

/**
 * Lines typed at the terminal, with editing, the arrow keys' history, and Tab completing a first word.
 *
 * @param words What Tab completes.
 * @param interrupted Called on Ctrl-C.
 */
export async function terminalInput(
  { input, output }: TerminalStreams,
  words: readonly string[],
  interrupted: () => void,
): Promise<LineInput> {
  // Loaded only when it is needed, since that takes a part of the start's time.
  const { createInterface } = await import("node:readline");
  const editor = createInterface({
    input,
    output,
    terminal: true,
    historySize: MAX_HISTORY_LINES,
    prompt: "",
    completer: (line: string) => [line.includes(" ") ? [] : words.filter((word) => word.startsWith(line)), line],
  });
  // Lines may come before they are asked for: typed ahead, or many in one paste.
  const lines: string[] = [];
  let ended = false;
  let wake = () => {};
  editor.on("line", (line) => {
    lines.push(line);
    wake();
  });
  editor.on("close", () => {
    ended = true;
    wake();
  });
  editor.on("SIGINT", interrupted);
  // Ctrl-Z does nothing: after being stopped and going on, the terminal would not be the editor's any more.
  editor.on("SIGTSTP", () => {});
  return {
    async next() {
      // What was typed while something else was shown is shown where it belongs.
      if (lines.length === 0 && editor.line !== "") editor.prompt(true);
      while (lines.length === 0 && !ended) await new Promise<void>((resolve) => wake = resolve);
      return lines.shift();
    },
    close: () => editor.close(),
  };
}

/**
 * Lines from a stream of bytes in UTF-8.
 *
 * @throws {InputError} From `next`, if a line is too long.
 */
export function pipedInput(stream: ReadableStream<Uint8Array>): LineInput {
  const lines = splitLines(stream);
  return {
    async next() {
      const { done, value } = await lines.next();
      return done ? undefined : value;
    },
    close: () => void lines.return(undefined),
  };
}

async function* splitLines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of stream) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop()!;
    for (const line of lines) yield withoutCr(line);
    if (rest.length > MAX_LINE_CHARACTERS) {
      throw new InputError(`A line of the input is longer than ${MAX_LINE_CHARACTERS} characters`);
    }
  }
  rest += decoder.decode();
  if (rest !== "") yield withoutCr(rest);
}

function withoutCr(line: string): string {
  return line.endsWith("\r") ? line.slice(0, -1) : line;
}
