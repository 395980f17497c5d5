/** Formats octets as readable text in which every octet is distinguishable: `\r\n`, `\xff`. */

import { Buffer } from "node:buffer";
import { octetsToText } from "../bytes.ts";

const NAMED: Readonly<Record<string, string>> = { "\r": "\\r", "\n": "\\n", "\t": "\\t", "\0": "\\0", "\\": "\\\\" };

/** A character beyond ASCII in UTF-8 (RFC 3629 §4), one character for each of its octets. */
const UTF8_CHARACTER =
  /[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}/y;

/** Letters, digits, punctuation and symbols, except those that are invisible or combine with the one before. */
const VISIBLE =
  /^(?![\u1160-\u11ff\u115f\u17b4\u17b5\u3164\ud7b0-\ud7ff\uffa0\ufff0-\ufffd\u{1f1e6}-\u{1f1ff}\u{1f3fb}-\u{1f3ff}])[\p{L}\p{N}\p{P}\p{S}]$/u;

/** Marks that a terminal draws over the letter before them. */
const MARK = /^(?![\u034f\u180b-\u180f\ufe00-\ufe0f\u{e0100}-\u{e01ef}])[\p{Mn}\p{Me}]$/u;
const LETTER = /^[\p{L}\p{M}]$/u;

/** Splits octets into units of readable text. Each octet that is no part of a visible character is escaped. */
export function units(octets: string): string[] {
  const all: string[] = [];
  for (let at = 0; at < octets.length;) {
    const octet = octets[at];
    if (octet > "~") {
      UTF8_CHARACTER.lastIndex = at;
      const [encoded = octet] = UTF8_CHARACTER.exec(octets) ?? [];
      const character = encoded === octet ? "" : octetsToText(encoded);
      if (isVisible(character, all.at(-1))) all.push(character);
      else for (const hidden of encoded) all.push(escaped(hidden));
      at += encoded.length;
    } else if (octet === "\r" && octets[at + 1] === "\n") {
      // A line end is one unit.
      all.push("\\r\\n");
      at += 2;
    } else {
      all.push(NAMED[octet] ?? (octet < " " ? escaped(octet) : octet));
      at++;
    }
  }
  return all;
}

/** Returns octets as one line of readable text. */
export function readable(octets: string): string {
  return units(octets).join("");
}

function isVisible(character: string, before: string | undefined): boolean {
  return VISIBLE.test(character) || MARK.test(character) && before !== undefined && LETTER.test(before);
}

function escaped(octet: string): string {
  return `\\x${octet.charCodeAt(0).toString(16).padStart(2, "0")}`;
}

/** Returns the number of octets in a unit. */
export function octetsOf(unit: string): number {
  if (unit === "\\r\\n") return 2;
  return unit <= "~" ? 1 : Buffer.byteLength(unit);
}
