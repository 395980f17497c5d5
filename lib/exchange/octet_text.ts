/** Formats octets as readable text in which every octet is distinguishable: `\r\n`, `\xff`. */

import { Buffer } from "node:buffer";

const NAMED: Readonly<Record<string, string>> = { "\r": "\\r", "\n": "\\n", "\t": "\\t", "\0": "\\0", "\\": "\\\\" };

/** Letters, digits, punctuation and symbols, except those that are invisible or combine with the one before. */
const VISIBLE =
  /^(?![\u1160-\u11ff\u115f\u17b4\u17b5\u3164\ud7b0-\ud7ff\uffa0\ufff0-\ufffd\u{1f1e6}-\u{1f1ff}\u{1f3fb}-\u{1f3ff}])[\p{L}\p{N}\p{P}\p{S}]$/u;

/** Marks that a terminal draws over the letter before them. */
const MARK = /^(?![\u034f\u180b-\u180f\ufe00-\ufe0f\u{e0100}-\u{e01ef}])[\p{Mn}\p{Me}]$/u;
const LETTER = /^[\p{L}\p{M}]$/u;

/** Splits octets into units of readable text. Each octet that is no part of a visible character is escaped. */
export function units(octets: string): string[] {
  const all: string[] = [];
  for (let at = 0, unit = ""; at < octets.length; at += octetsOf(unit)) {
    unit = unitAt(octets, at, unit);
    all.push(unit);
  }
  return all;
}

/** Returns the unit that starts at an offset, after another one. */
export function unitAt(octets: string, at: number, before: string): string {
  const octet = octets[at];
  // A line end is one unit.
  if (octet === "\r" && octets[at + 1] === "\n") return "\\r\\n";
  if (octet <= "~") return NAMED[octet] ?? (octet < " " ? escaped(octet) : octet);
  const length = octet < "\xe0" ? 2 : octet < "\xf0" ? 3 : 4;
  const character = Buffer.from(octets.substring(at, at + length), "latin1").toString();
  return VISIBLE.test(character) || MARK.test(character) && LETTER.test(before) ? character : escaped(octet);
}

/** Returns octets as one line of readable text. */
export function readable(octets: string): string {
  return units(octets).join("");
}

function escaped(octet: string): string {
  return `\\x${octet.charCodeAt(0).toString(16).padStart(2, "0")}`;
}

/** Returns the number of octets in a unit. */
export function octetsOf(unit: string): number {
  if (unit === "\\r\\n") return 2;
  return unit <= "~" ? 1 : Buffer.byteLength(unit);
}
