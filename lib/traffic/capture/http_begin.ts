/**
 * Decides by the first octets of a connection whether it carries HTTP.
 *
 * @module
 */

import { MAX_SEARCHED_LINE_BYTES } from "../../limits.ts";
import type { Direction } from "../../exchange.ts";
import { METHOD_MEANINGS } from "../explain/words.ts";

const METHODS = Object.keys(METHOD_MEANINGS);
/** What a status line starts with (RFC 9112 §4). */
const STATUS_START = "HTTP/";

/**
 * Returns whether octets start with a request or status line, a broken one included; `undefined` if that needs more
 * octets.
 */
export function beginsAsHttp(octets: string, direction: Direction): boolean | undefined {
  if (direction === "response") return startsWith(octets, [STATUS_START]);
  // Empty lines before a request are ignored (RFC 9112 §2.2).
  const start = octets.replace(/^(?:\r?\n)+/, "");
  const line = start.split("\n", 1)[0];
  const known = startsWith(start, METHODS.flatMap((method) => [`${method} `, `${method}\t`]));
  if (known === true || /HTTP\/\d/i.test(line)) return true;
  if (line.length < start.length || line.length > MAX_SEARCHED_LINE_BYTES) return false;
  // A start line has no control characters; TLS starts with one.
  return /^[\t\r\x20-\x7e\x80-\xff]*$/.test(line) ? undefined : false;
}

/** Returns whether a text starts with one of the words; `undefined` if it ends within all that are possible. */
function startsWith(text: string, words: readonly string[]): boolean | undefined {
  if (words.some((word) => text.startsWith(word))) return true;
  return words.some((word) => word.startsWith(text)) ? undefined : false;
}
