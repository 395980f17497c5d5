/**
 * Reads rows where they are stored: in the pages of a snapshot, as octets, without parsing.
 *
 * What is stored was checked before, so the ends of strings, objects and arrays are all that must be found.
 *
 * @module
 */

import { octetString } from "../bytes.ts";
import { Operand, type Scalar } from "./operand.ts";

const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });

/** Reads the rows of a page one after the other. A page is a part of one JSON object with the rows as its members. */
export class StoredRows {
  /** The current row as a member of the object: its name, a colon and its value. */
  start = 0;
  /** The octet after the row; at first after the object's opening brace, or a comma. */
  end = 1;
  readonly #bytes: Uint8Array;
  readonly #filters: readonly ((row: StoredRows) => boolean)[];
  #value = 0;
  /** Where the value converted last starts, and the value. */
  #lastStart = 0;
  #last: Operand | undefined;

  /** Starts before the page's first row. */
  constructor(bytes: Uint8Array, filters: readonly ((row: StoredRows) => boolean)[] = []) {
    this.#bytes = bytes;
    this.#filters = filters;
  }

  /** Goes to the next row that passes all filters. Returns whether there is one. */
  next(): boolean {
    const bytes = this.#bytes;
    for (;;) {
      this.start = between(bytes, this.end);
      if (bytes[this.start] !== QUOTE) return this.#ended();
      this.#value = between(bytes, stringEnd(bytes, this.start));
      this.end = valueEnd(bytes, this.#value);
      if (this.#passes()) return true;
    }
  }

  #ended(): false {
    if (this.start < this.#bytes.length && this.#bytes[this.start] !== CLOSE_BRACE) throw notJson(this.start);
    return false;
  }

  #passes(): boolean {
    for (const passes of this.#filters) if (!passes(this)) return false;
    return true;
  }

  /** Returns the current row, valid as long as the page. */
  row(): Uint8Array {
    return this.#bytes.subarray(this.start, this.end);
  }

  /** Returns the scalar at a path in the current row; `null` if there is none. */
  operand(path: Path): Operand | null {
    let at = this.#value;
    for (const name of path) if ((at = memberAt(this.#bytes, at, name)) === 0) return null;
    return this.#operandAt(at);
  }

  /** Converts the value that starts here; `null` if it is no scalar. */
  #operandAt(start: number): Operand | null {
    const bytes = this.#bytes;
    if (bytes[start] === OPEN_BRACE || bytes[start] === OPEN_BRACKET) return null;
    // The filters of one field convert its value once.
    if (start === this.#lastStart) return this.#last!;
    this.#lastStart = start;
    return this.#last = new Operand(scalarAt(bytes, start, valueEnd(bytes, start)));
  }
}

/** The names of nested members, each as it is stored: a JSON string with its quotes. */
export type Path = readonly Uint8Array[];

/** Returns the path of these names. */
export function pathOf(names: readonly string[]): Path {
  return names.map((name) => ENCODER.encode(JSON.stringify(name)));
}

/** Returns where the member's value starts in the object that starts here; 0 if there is none. */
function memberAt(bytes: Uint8Array, object: number, name: Uint8Array): number {
  if (bytes[object] !== OPEN_BRACE) return 0;
  for (let at = between(bytes, object + 1); bytes[at] === QUOTE;) {
    const nameEnd = stringEnd(bytes, at);
    const value = between(bytes, nameEnd);
    if (isSame(bytes, at, nameEnd, name)) return value;
    at = between(bytes, valueEnd(bytes, value));
  }
  return 0;
}

function isSame(bytes: Uint8Array, start: number, end: number, other: Uint8Array): boolean {
  if (end - start !== other.length) return false;
  for (let i = 0; i < other.length; i++) if (bytes[start + i] !== other[i]) return false;
  return true;
}

/** Returns the end of the string that starts at this quote. */
function stringEnd(bytes: Uint8Array, quote: number): number {
  for (let at = quote + 1; at < bytes.length; at++) {
    if (bytes[at] === QUOTE) return at + 1;
    if (bytes[at] === BACKSLASH) at++;
  }
  throw notJson(quote);
}

/** Returns the end of the value that starts here. */
function valueEnd(bytes: Uint8Array, start: number): number {
  let depth = 0;
  for (let at = start;;) {
    switch (bytes[at]) {
      case QUOTE:
        at = stringEnd(bytes, at);
        break;
      case OPEN_BRACE:
      case OPEN_BRACKET:
        depth++;
        at++;
        break;
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        depth--;
        at++;
        break;
      case COMMA:
      case COLON:
        at++;
        continue;
      default:
        if (at >= bytes.length) throw notJson(at);
        if (bytes[at] <= SPACE) {
          at++;
          continue;
        }
        while (isWithin(bytes[at])) at++;
    }
    if (depth === 0) return at;
  }
}

/** Skips what stands between tokens. */
function between(bytes: Uint8Array, start: number): number {
  let at = start;
  while (bytes[at] === COMMA || bytes[at] === COLON || bytes[at] <= SPACE) at++;
  return at;
}

/** Whether the octet is one of a number, `true`, `false` or `null`. */
function isWithin(byte: number): boolean {
  return byte > SPACE && byte !== COMMA && byte !== CLOSE_BRACE && byte !== CLOSE_BRACKET;
}

/** Creates the error for what another program has stored. */
function notJson(octet: number): TypeError {
  return new TypeError(`What is stored is not JSON at octet ${octet} of a page`);
}

/** Returns a scalar. JSON.parse enters each short text in a table of the engine, which is slow if many differ. */
function scalarAt(bytes: Uint8Array, start: number, end: number): Scalar {
  if (bytes[start] !== QUOTE) return JSON.parse(octetString(bytes, start, end));
  let isPlain = true;
  for (let at = start; at < end; at++) if (bytes[at] >= 0x80 || bytes[at] === BACKSLASH) isPlain = false;
  if (isPlain) return octetString(bytes, start + 1, end - 1);
  return JSON.parse(DECODER.decode(bytes.subarray(start, end)));
}
