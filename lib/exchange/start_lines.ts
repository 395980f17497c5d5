/**
 * Recognises the start lines of messages in octets, before anything is decoded.
 *
 * @module
 */

import { octetString } from "../bytes.ts";
import { MAX_SEARCHED_LINE_BYTES } from "../limits.ts";
import type { Direction } from "./messages.ts";
import { METHOD_MEANINGS } from "./words.ts";

/** A request line (RFC 9112 §3). */
const REQUEST_LINE = /^[!#$%&'*+.^_`|~\w-]+ [!-~]+ HTTP\/1\.[01]\r?\n$/;
/** A status line (RFC 9112 §4). */
const STATUS_LINE = /^HTTP\/1\.[01] [1-5]\d\d(?: [^\r\n]*)?\r?\n$/;
/** What the known methods and a broken request line may start with, and a status line. */
const BEGINNINGS: Readonly<Record<Direction, readonly string[]>> = {
  request: Object.keys(METHOD_MEANINGS).flatMap((method) => [`${method} `, `${method}\t`]),
  response: ["HTTP/"],
};
/** What TLS starts with: a handshake record of version 3 (RFC 8446 §5.1). */
const TLS_START = "\x16\x03";

/** Returns what a line with its end starts; `undefined` if it is no start line. */
export function kindOfLine(line: string): Direction | undefined {
  if (line.length > MAX_SEARCHED_LINE_BYTES) return undefined;
  return STATUS_LINE.test(line) ? "response" : REQUEST_LINE.test(line) ? "request" : undefined;
}

/** Whether octets begin with a whole start line of this direction. */
export function startsMessage(octets: Uint8Array, direction: Direction): boolean {
  const start = octetString(octets, 0, Math.min(octets.length, MAX_SEARCHED_LINE_BYTES));
  return kindOfLine(start.substring(0, start.indexOf("\n") + 1)) === direction;
}

/**
 * Returns whether octets start with a request or status line, a broken one included; `undefined` if that needs more
 * octets.
 */
export function beginsAsHttp(octets: string, direction: Direction): boolean | undefined {
  const words = BEGINNINGS[direction];
  // Empty lines before a request are ignored (RFC 9112 §2.2).
  const start = direction === "request" ? octets.replace(/^(?:\r?\n)+/, "") : octets;
  if (words.some((word) => start.startsWith(word))) return true;
  if (direction === "response") return words.some((word) => word.startsWith(start)) ? undefined : false;
  const line = start.split("\n", 1)[0];
  if (/HTTP\/\d/i.test(line)) return true;
  if (line.length < start.length || line.length > MAX_SEARCHED_LINE_BYTES) return false;
  // A start line has no control characters; TLS starts with one.
  return /^[\t\r\x20-\x7e\x80-\xff]*$/.test(line) ? undefined : false;
}

/** Decides by the first octets of both directions whether a connection carries HTTP. */
export class Beginning {
  /** Whether it does: if a direction begins with a start line; `undefined` until that is known. */
  isHttp: boolean | undefined;
  /** How many octets came until then. */
  readonly octets: Record<Direction, number> = { request: 0, response: 0 };
  /** The first octets of each direction while it may begin a message; then enough to recognise TLS. */
  readonly #starts: Record<Direction, string> = { request: "", response: "" };
  readonly #others = new Set<Direction>();

  /** Whether the client spoke TLS. */
  get isTls(): boolean {
    return this.#starts.request.startsWith(TLS_START);
  }

  /** Receives the next octets of a direction. */
  receive(direction: Direction, bytes: Uint8Array): void {
    if (this.isHttp) return;
    this.octets[direction] += bytes.length;
    if (this.#others.has(direction)) return;
    const text = this.#starts[direction] + octetString(bytes, 0, Math.min(bytes.length, MAX_SEARCHED_LINE_BYTES + 1));
    const begins = beginsAsHttp(text, direction);
    this.#starts[direction] = begins === undefined ? text : text.slice(0, TLS_START.length);
    if (begins === false) this.#others.add(direction);
    this.isHttp = begins || (this.#others.size === 2 ? false : undefined);
  }
}
