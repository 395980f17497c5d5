/**
 * Reads rows where they are stored: in the portions of a snapshot, as octets, without parsing; and joins them to listings.
 *
 * What is stored was checked before, so the ends of strings, objects and arrays are all that must be found.
 */

import { Buffer } from "node:buffer";
import { ByteBuffer } from "../bytes.ts";
import { parseOctets } from "../json.ts";
import type { Portion, Snapshot } from "../store.ts";
import type { Pacer } from "../turns.ts";
import { ARRAY, FALSE, type Kind, MISSING, NULL, OBJECT, TRUE, Value } from "./comparison.ts";
import { type JSON_TYPE, LINES_TYPE } from "./resource.ts";
import type { RowFieldType } from "./row_schema.ts";

const LF = 0x0a;
const CR = 0x0d;
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

export type RowTest = (row: StoredRows) => boolean;

/** Yields the rows of each portion of a snapshot from a cursor on, as far as they pass all filters. */
export async function* storedPages(
  snapshot: Snapshot,
  from: number,
  pacer: Pacer,
  filters: readonly RowTest[] = [],
): AsyncGenerator<StoredRows> {
  for (let cursor: number | undefined = from; cursor !== undefined;) {
    const { content, next }: Portion<string | Uint8Array> = await snapshot.json(cursor);
    yield new StoredRows(typeof content === "string" ? ENCODER.encode(content) : content, filters);
    await pacer.after(content.length * (1 + filters.length));
    cursor = next;
  }
}

/** Reads the rows of a portion one after the other. A portion is a part of one JSON object with the rows as its members. */
export class StoredRows {
  /** The current row as a member of the object: its name, a colon and its value. */
  start = 0;
  #row = 0;
  readonly #value = new Value();
  readonly #element = new Value();
  /** The row and the field of the value read last. */
  #lastRow = 0;
  #lastField: Field | undefined;

  /** `end` is the octet after the current row; at first after the object's opening brace, or a comma. */
  constructor(readonly bytes: Uint8Array, private readonly filters: readonly RowTest[] = [], public end = 1) {}

  /** Goes to the next row that passes all filters. Returns whether there is one. */
  next(): boolean {
    const bytes = this.bytes;
    for (;;) {
      this.start = between(bytes, this.end);
      if (bytes[this.start] !== QUOTE) break;
      this.#row = between(bytes, stringEnd(bytes, this.start));
      this.end = valueEnd(bytes, this.#row);
      if (this.#passes()) return true;
    }
    if (this.start < this.bytes.length && this.bytes[this.start] !== CLOSE_BRACE) throw notJson(this.start);
    return false;
  }

  #passes(): boolean {
    for (const passes of this.filters) if (!passes(this)) return false;
    return true;
  }

  /** Returns the current row, valid as long as the portion. */
  row(): Uint8Array {
    return this.bytes.subarray(this.start, this.end);
  }

  /** Returns the value of a field in the current row, valid until the next call. */
  value(field: Field): Value {
    // The filters of one field find its value once, and so does sorting.
    if (this.#row === this.#lastRow && field === this.#lastField) return this.#value;
    this.#lastRow = this.#row;
    this.#lastField = field;
    let at = this.#row;
    for (const name of field.path) {
      at = memberAt(this.bytes, at, name);
      if (at === 0) {
        this.#value.kind = MISSING;
        return this.#value;
      }
    }
    readValue(this.bytes, at, field.type !== "string", this.#value);
    return this.#value;
  }

  /** Whether a field's value, or for an array any of its elements but objects and arrays, passes a test. */
  anyPasses(field: Field, test: (value: Value) => boolean): boolean {
    const value = this.value(field);
    if (value.kind !== ARRAY) return test(value);
    for (let at = between(this.bytes, value.start + 1); at < value.end - 1; at = between(this.bytes, at)) {
      at = readValue(this.bytes, at, field.type !== "string", this.#element);
      const { kind } = this.#element;
      if (kind !== ARRAY && kind !== OBJECT && test(this.#element)) return true;
    }
    return false;
  }
}

export interface Field {
  /** The names of nested members, each as it is stored: a JSON string with its quotes. */
  readonly path: readonly Uint8Array[];
  /** In a `string`, no text counts as a number. */
  readonly type: RowFieldType;
}

export function fieldOf(names: readonly string[], type: RowFieldType = "scalar"): Field {
  return { path: names.map((name) => Buffer.from(JSON.stringify(name))), type };
}

/** The kinds of values that the first octet decides. */
const KINDS: { readonly [octet: number]: Kind } = {
  [OPEN_BRACE]: OBJECT,
  [OPEN_BRACKET]: ARRAY,
  0x6e: NULL,
  0x74: TRUE,
  0x66: FALSE,
};

/** Reads the value that starts here, and returns its end. */
function readValue(bytes: Uint8Array, start: number, mayBeNumber: boolean, value: Value): number {
  const end = valueEnd(bytes, start);
  const kind = KINDS[bytes[start]];
  if (kind !== undefined) {
    value.kind = kind;
    value.start = start;
    value.end = end;
  } else if (bytes[start] !== QUOTE) value.setText(bytes, start, end, mayBeNumber);
  else if (!hasEscape(bytes, start, end)) value.setText(bytes, start + 1, end - 1, mayBeNumber);
  else {
    const text = Buffer.from(parseOctets(bytes, start, end));
    value.setText(text, 0, text.length, mayBeNumber);
  }
  return end;
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

/** Whether a member's name is this one. A hand may have written it with escapes. */
function isSame(bytes: Uint8Array, start: number, end: number, name: Uint8Array): boolean {
  if (end - start === name.length) {
    let i = 0;
    while (i < name.length && bytes[start + i] === name[i]) i++;
    if (i === name.length) return true;
  }
  return hasEscape(bytes, start, end) && parseOctets(bytes, start, end) === parseOctets(name);
}

function hasEscape(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at] === BACKSLASH) return true;
  return false;
}

function stringEnd(bytes: Uint8Array, quote: number): number {
  for (let at = quote + 1; at < bytes.length; at++) {
    if (bytes[at] === QUOTE) return at + 1;
    if (bytes[at] === BACKSLASH) at++;
  }
  throw notJson(quote);
}

function valueEnd(bytes: Uint8Array, start: number): number {
  let depth = 0;
  for (let at = start; at < bytes.length;) {
    const byte = bytes[at];
    if (byte === QUOTE) at = stringEnd(bytes, at);
    else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      depth++;
      at++;
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      depth--;
      at++;
    } else if (byte === COMMA || byte === COLON || byte <= SPACE) {
      at++;
      continue;
    } else while (isWithin(bytes[at])) at++;
    if (depth === 0) return at;
  }
  throw notJson(bytes.length);
}

function between(bytes: Uint8Array, start: number): number {
  let at = start;
  while (bytes[at] === COMMA || bytes[at] === COLON || bytes[at] <= SPACE) at++;
  return at;
}

/** Whether the octet is one of a number, `true`, `false` or `null`. */
function isWithin(byte: number): boolean {
  return byte > SPACE && byte !== COMMA && byte !== CLOSE_BRACE && byte !== CLOSE_BRACKET;
}

function notJson(octet: number): TypeError {
  return new TypeError(`What is stored is not JSON at octet ${octet} of a page`);
}

export type ListingForm = typeof JSON_TYPE | typeof LINES_TYPE;

/** Joins rows, each given as its name, a colon and its value, to one JSON object, or to one object a line. */
export class RowJoiner {
  readonly #buffer = new ByteBuffer(1024);
  readonly #isLines: boolean;
  #before = OPEN_BRACE;

  constructor(form: ListingForm) {
    this.#isLines = form === LINES_TYPE;
  }

  get length(): number {
    return this.#buffer.length;
  }

  add(row: Uint8Array): void {
    this.#octet(this.#isLines ? OPEN_BRACE : this.#before);
    this.#before = COMMA;
    this.#buffer.append(row);
    if (!this.#isLines) return;
    // A line end between tokens, which another program may have written, is a blank.
    const written = this.#buffer.view(this.#buffer.length - row.length);
    for (let i = 0; i < written.length; i++) if (written[i] === LF || written[i] === CR) written[i] = SPACE;
    this.#octet(CLOSE_BRACE);
    this.#octet(LF);
  }

  /** Ends the content, and returns its last piece. */
  end(): Uint8Array {
    if (!this.#isLines) {
      if (this.#before === OPEN_BRACE) this.#octet(OPEN_BRACE);
      this.#octet(CLOSE_BRACE);
    }
    return this.piece();
  }

  /** Returns what was joined since the last piece. */
  piece(): Uint8Array {
    const piece = this.#buffer.view().slice();
    this.#buffer.length = 0;
    return piece;
  }

  #octet(octet: number): void {
    this.#buffer.reserve(1);
    this.#buffer.bytes[this.#buffer.length++] = octet;
  }
}
