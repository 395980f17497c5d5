/**
 * Lines of commands, from whatever they come.
 *
 * @module
 */

import { InputError } from "../client.ts";
import { MAX_LINE_CHARACTERS } from "../limits.ts";

/** What comes of asking for a line: the line without its end, the end of the input, or that its user does not want it. */
export type Line =
  | { readonly kind: "line"; readonly text: string }
  | { readonly kind: "end" }
  /** Ctrl-C; `wasEmpty` says that nothing was typed. */
  | { readonly kind: "cancelled"; readonly wasEmpty: boolean };

/** Lines, one at a time. */
export interface LineInput {
  /** The next line. */
  next(): Promise<Line>;
  /** Shows a line above what is being typed. */
  notify(line: string): void;
  /** Gives the terminal back as it was. */
  close(): void;
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
      return done ? { kind: "end" } : { kind: "line", text: value };
    },
    // A script asks for nothing that it has not asked for.
    notify: () => {},
    close: () => void lines.return(undefined),
  };
}

async function* splitLines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  // A mark at the start of a file is no part of its first command.
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
