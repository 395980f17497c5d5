/**
 * Sources of command lines.
 *
 * @module
 */

import { InputError } from "../client.ts";
import { MAX_LINE_CHARACTERS } from "../limits.ts";

/** The result of asking for a line: a line without its end, the end of the input, or a cancelled line. */
export type Line =
  | { readonly kind: "line"; readonly text: string }
  | { readonly kind: "end" }
  /** Ctrl-C; `wasEmpty` is whether nothing was typed. */
  | { readonly kind: "cancelled"; readonly wasEmpty: boolean };

/** A source of lines. */
export interface LineInput {
  /** Returns the next line. */
  next(): Promise<Line>;
  /** Shows a line above the text being typed. */
  notify(line: string): void;
  /** Restores the terminal. */
  close(): void;
}

/**
 * Reads lines from a stream of bytes in UTF-8.
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
  // A byte order mark at the start of a file is not part of the first command.
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
