/** Sources of command lines. */

import { isUtf8 } from "node:buffer";
import { ByteBuffer, NOT_UTF8, withoutMark } from "../bytes.ts";
import { ReportedError } from "../exit_code.ts";
import { LF } from "../http_message.ts";
import { UTF8 } from "../json.ts";
import { MAX_LINE_CHARACTERS } from "../limits.ts";
import { WrongInput } from "./words.ts";

export type Line =
  /** A line without its end, and what was pasted after it, if there is more. */
  | { readonly kind: "line"; readonly text: string; readonly rest?: string }
  /** A line that is not UTF-8, so that it would be changed if it were used. */
  | { readonly kind: "damaged" }
  | { readonly kind: "end" }
  /** Ctrl-C; `wasEmpty` is whether nothing was typed. */
  | { readonly kind: "cancelled"; readonly wasEmpty: boolean };

export interface LineInput {
  next(): Promise<Line>;
  close(): void;
}

/** Returns the text of a line, which must be UTF-8; empty at the end of the input. */
export function textOf(line: Line): string {
  if (line.kind === "damaged") throw new WrongInput(NOT_UTF8);
  return line.kind === "line" ? line.text : "";
}

/** Reads lines from a stream of octets in UTF-8. A line that is too long, and UTF-16, are a {@linkcode ReportedError}. */
export function pipedInput(stream: ReadableStream<Uint8Array>): LineInput {
  const lines = splitLines(stream);
  return {
    next: async () => (await lines.next()).value ?? { kind: "end" },
    close: () => void lines.return(undefined),
  };
}

async function* splitLines(stream: ReadableStream<Uint8Array>): AsyncGenerator<Line, undefined> {
  const rest = new ByteBuffer(0);
  let isFirst = true;
  const lineOf = (octets: Uint8Array): Line => {
    if (isFirst && isUtf16(octets)) throw new ReportedError("The commands are in UTF-16: save them as UTF-8");
    // A byte order mark at the start of a file is not part of the first command.
    const line = isFirst ? withoutMark(octets) : octets;
    isFirst = false;
    if (!isUtf8(line)) return { kind: "damaged" };
    const text = UTF8.decode(line);
    if (text.length > MAX_LINE_CHARACTERS) throw tooLong();
    return { kind: "line", text: text.endsWith("\r") ? text.slice(0, -1) : text };
  };
  for await (const octets of stream) {
    let start = 0;
    for (let end = octets.indexOf(LF); end >= 0; end = octets.indexOf(LF, start)) {
      rest.append(octets.subarray(start, end));
      start = end + 1;
      yield lineOf(rest.view());
      rest.length = 0;
    }
    rest.append(octets.subarray(start));
    // A character takes at most three octets.
    if (rest.length > 3 * MAX_LINE_CHARACTERS) throw tooLong();
  }
  if (rest.length > 0) yield lineOf(rest.view());
}

/** Whether text starts as UTF-16, with a mark or a character of ASCII. */
function isUtf16([first, second]: Uint8Array): boolean {
  return first === 0xff && second === 0xfe || first === 0xfe && second === 0xff || (first === 0) !== (second === 0);
}

function tooLong(): ReportedError {
  return new ReportedError(`A line of the input is longer than ${MAX_LINE_CHARACTERS} characters`);
}
