/**
 * Recognises the start lines of messages in octets, before anything is decoded.
 *
 * @module
 */

import { octetString } from "../bytes.ts";
import type { MessageKind } from "../http_message.ts";
import { MAX_SEARCHED_LINE_BYTES } from "../limits.ts";

/** A request line (RFC 9112 §3). */
const REQUEST_LINE = /^[!#$%&'*+.^_`|~\w-]+ [!-~]+ HTTP\/1\.[01]\r?\n$/;
/** A status line (RFC 9112 §4). */
const STATUS_LINE = /^HTTP\/1\.[01] [1-5]\d\d(?: [^\r\n]*)?\r?\n$/;

/** Returns what a line with its end starts; `undefined` if it is no start line. */
export function kindOfLine(line: string): MessageKind | undefined {
  if (line.length > MAX_SEARCHED_LINE_BYTES) return undefined;
  return STATUS_LINE.test(line) ? "response" : REQUEST_LINE.test(line) ? "request" : undefined;
}

/** Whether octets begin with a whole start line of this kind. */
export function startsMessage(octets: Uint8Array, kind: MessageKind): boolean {
  const start = octetString(octets, 0, Math.min(octets.length, MAX_SEARCHED_LINE_BYTES));
  return kindOfLine(start.substring(0, start.indexOf("\n") + 1)) === kind;
}
