/**
 * Formats octets as readable text in which every octet is distinguishable: `\r
 * `, `\xff`.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { escapeText } from "../terminal.ts";

/** Lines of octets as text. */
export interface Wrapped {
  /** The lines. */
  lines: string[];
  /** The number of octets in the lines. */
  octets: number;
}

/** Splits octets into units of readable text: each octet that is not a visible character is escaped. */
export function units(octets: string): string[] {
  const text = decodeUtf8(octets);
  const all: string[] = [];
  for (const character of text ?? octets) {
    // A line end is one unit.
    if (character === "\n" && all.at(-1) === "\\r") all[all.length - 1] = "\\r\\n";
    else all.push(escapeUnit(character, text !== undefined));
  }
  return all;
}

const NAMED: Readonly<Record<string, string>> = { "\r": "\\r", "\n": "\\n", "\t": "\\t", "\0": "\\0", "\\": "\\\\" };

function escapeUnit(character: string, decoded: boolean): string {
  const named = NAMED[character];
  if (named !== undefined) return named;
  if (character >= " " && character <= "~") return character;
  return decoded ? escapeText(character) : `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
}

/** Decodes UTF-8; `undefined` if it is invalid. An incomplete character at the end is shown as octets. */
export function decodeUtf8(octets: string): string | undefined {
  // deno-lint-ignore no-control-regex -- ASCII needs no decoding
  if (/^[\x00-\x7f]*$/.test(octets)) return octets;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Buffer.from(octets, "latin1"));
  } catch {
    return undefined;
  }
}

/** Fills lines with units. A line end in the text also ends a line. */
export function wrapUnits(all: readonly string[], width: number, most = Infinity): Wrapped {
  const lines: string[] = [];
  let line = "";
  let octets = 0;
  for (let i = 0; i < all.length; i++) {
    const unit = all[i];
    const breaks = line !== "" && (line.length + unit.length > width || all[i - 1].endsWith("\\n"));
    if (breaks) {
      lines.push(line);
      line = "";
      if (lines.length >= most) return { lines, octets };
    }
    line += unit;
    octets += octetsOf(unit);
  }
  lines.push(line);
  return { lines, octets };
}

/** Returns the number of octets in a unit. */
export function octetsOf(unit: string): number {
  if (unit === "\\r\\n") return 2;
  if (unit.startsWith("\\u")) return Buffer.byteLength(String.fromCharCode(parseInt(unit.slice(2), 16)));
  return unit.startsWith("\\") ? 1 : Buffer.byteLength(unit);
}

/** Fills lines with words. */
export function wrapWords(words: readonly string[], width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of words) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
