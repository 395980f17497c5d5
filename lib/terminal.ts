/**
 * Text for a terminal: escaped, coloured, wrapped.
 *
 * Control characters of a peer can move the cursor, change the title, or reorder text so that it reads differently. They
 * are shown escaped.
 *
 * @module
 */

import { styleText } from "node:util";
import { octetsToText, octetString } from "./bytes.ts";
import { FALLBACK_COLUMNS } from "./limits.ts";

/**
 * Control characters: C0 except tab and line feed, DEL, C1; line and paragraph separators; and invisible characters
 * that change how others are displayed (Unicode's Cf and other default-ignorable ones), except the joiners and
 * variation selectors that letters and emoji need.
 */
const UNSAFE =
  // deno-lint-ignore no-control-regex -- the pattern matches what must be escaped
  /[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]/gu;

/** Escapes text for a terminal: control characters become `\x1b` or `\u202e`, CR LF becomes a line end. */
export function escapeText(text: string): string {
  return text.replaceAll("\r\n", "\n").replace(UNSAFE, (character) => {
    const code = character.codePointAt(0)!;
    if (code === 0x0d) return "\\r";
    if (code > 0xffff) return `\\u{${code.toString(16)}}`;
    return code <= 0xff ? escapeOctet(code) : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

/** Escapes JSON text for a terminal. The JSON value is unchanged: in JSON, any character may be escaped. */
export function escapeJson(json: string): string {
  return json.replace(
    UNSAFE,
    (character) => character.split("").map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join(""),
  );
}

/** Characters that take two columns (Unicode Standard Annex 11: W and F). */
const WIDE =
  /[\u1100-\u115f\u2329\u232a\u2630-\u2637\u268a-\u268f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dff\u4e00-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{16fe0}-\u{18cff}\u{1aff0}-\u{1b2ff}\u{1d300}-\u{1d376}\u{1f200}-\u{1f265}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/gu;
/** Characters that take none: accents that combine with the letter before them, joiners, variation selectors. */
const NARROW = /[\p{Mn}\p{Me}\u200c\u200d]/gu;

/** Returns the number of terminal columns that text takes. */
export function displayWidth(text: string): number {
  // deno-lint-ignore no-control-regex -- ASCII needs no look at each character
  if (/^[\x00-\x7f]*$/.test(text)) return text.length;
  const count = (pattern: RegExp) => text.match(pattern)?.length ?? 0;
  return [...text].length + count(WIDE) - count(NARROW);
}

/** Returns what is shown of an octet that is no text: `\xe9`. */
export function escapeOctet(octet: number): string {
  return `\\x${octet.toString(16).padStart(2, "0")}`;
}

/** Escapes octets for a terminal, one character each: UTF-8 as text, any other octet as `\xe9`. */
export function escapeOctets(octets: string): string {
  return escapeText(octetsToText(octets, escapeOctet));
}

/** The start of a character in UTF-8, or of a line end, at the end of octets. */
const CUT = /(?:\r|[\xc2-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf4][\x80-\xbf]{0,2})$/;

/** Escapes content in pieces, which may split a character or a line end. Octets that are no UTF-8 become `\xe9`. */
export class ContentText {
  /** Octets of a character or a line end whose rest is still to come. */
  #cut = "";

  /** Returns the piece's text, except for an incomplete character or line end. */
  add(bytes: Uint8Array): string {
    const octets = this.#cut + octetString(bytes);
    this.#cut = CUT.exec(octets)?.[0] ?? "";
    return escapeOctets(octets.slice(0, octets.length - this.#cut.length));
  }

  /** Returns the rest that {@linkcode add} has kept back. */
  end(): string {
    return escapeOctets(this.#cut);
  }
}

/** A colour or weight of text. */
export type Style = "bold" | "dim" | "blue" | "green" | "cyan" | "yellow" | "red";

/** Colours text for a terminal, or returns it unchanged. */
export type Painter = (style: Style, text: string) => string;

/** Returns a painter that colours, or one that does not. */
export function painterFor(colored: boolean): Painter {
  return colored ? (style, text) => styleText(style, text, { validateStream: false }) : (_style, text) => text;
}

/** Whether the standard output is coloured: `auto` colours a terminal, unless NO_COLOR is set. */
export function isColored(choice: "auto" | "always" | "never"): boolean {
  return choice === "auto" ? Deno.stdout.isTerminal() && !Deno.noColor : choice === "always";
}

const STATUS_STYLES: readonly Style[] = ["dim", "dim", "green", "cyan", "yellow", "red"];

/** Formats a head as safe text: the start line coloured by status, the field names highlighted. */
export function showHead(head: string, painter: Painter): string {
  const [startLine, ...fieldLines] = escapeOctets(head).split("\n");
  const status = /^HTTP\/\d\.\d (\d)/.exec(startLine)?.[1];
  const style: Style = status === undefined ? "bold" : STATUS_STYLES[Number(status)] ?? "red";
  const shown = fieldLines.map((line) => {
    const colon = line.indexOf(":");
    return colon < 0 ? line : painter("blue", line.slice(0, colon)) + line.slice(colon);
  });
  return [painter(style, startLine), ...shown].join("\n");
}

/** Splits a sentence into words; a section such as `RFC 9112 §6.1` is one of them. */
export function wordsOf(sentence: string): string[] {
  return sentence.split(/ (?!§|\d{4} §)/);
}

/** Returns the width of the terminal in characters. Not every terminal reports it. */
export function terminalColumns(): number {
  try {
    return Deno.consoleSize().columns || FALLBACK_COLUMNS;
  } catch {
    return FALLBACK_COLUMNS;
  }
}

/** Fills lines of a width with words; a longer word has its own line. */
export function wrapWords(words: readonly string[], width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of words) {
    if (line !== "" && displayWidth(line) + 1 + displayWidth(word) > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** A command line at the end of a message, which is copied as a whole. */
const COMMAND = /: (?=(?:deno run|wiretable|openssl) [^]*$)/;

/** Wraps a message between words, but for a command line at its end; without a width, it is one line. */
export function wrapMessage(text: string, width = Infinity): string {
  // A stack trace has lines of its own.
  if (width === Infinity || text.includes("\n")) return text;
  const at = COMMAND.exec(text)?.index;
  const wrapped = wrapWords(wordsOf(text.slice(0, at)), width).join("\n");
  return at === undefined ? wrapped : `${wrapped}:\n${text.slice(at + 2)}`;
}
