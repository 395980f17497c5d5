/**
 * Recognises content that equals, octet for octet, what would be stored. Such content needs no parsing.
 *
 * It has the form that JSON.stringify gives a wrapped row with its fields in the table's order: no blanks, no escapes,
 * only integers. Other forms of a row are read by `row_text.ts`.
 *
 * @module
 */

import { isUtf8 } from "node:buffer";
import { HttpError } from "../http_message.ts";
import { JSON_PIECE_BYTES } from "../limits.ts";
import type { NewRow } from "../store.ts";
import { canonicalIntegerEnd, literalEnd, plainStringEnd } from "../json.ts";
import type { RowFieldType, RowSchema } from "./row_schema.ts";

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });

const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const COLON = 0x3a;
const QUOTE = 0x22;

/** A field and the octets before its value: comma, name and colon. */
interface CanonicalField {
  readonly before: Uint8Array;
  readonly type: RowFieldType;
}

/** A row in the form in which it is stored. Its JSON text is created on demand. */
export class SentRow implements NewRow {
  /** The row's name. */
  readonly name: string;
  /** The octets, if they are exactly the wrapped row. */
  readonly content?: Uint8Array;
  readonly #bytes: Uint8Array;
  readonly #start: number;
  readonly #end: number;

  /**
   * Creates a row whose value is the octets from `start` to `end`.
   *
   * @param isWhole Whether the octets are exactly the row wrapped under its name.
   */
  constructor(name: string, bytes: Uint8Array, start: number, end: number, isWhole: boolean) {
    this.name = name;
    this.content = isWhole ? bytes : undefined;
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
  }

  /** The row's value, serialised. */
  get json(): string {
    return DECODER.decode(this.#bytes.subarray(this.#start, this.#end));
  }
}

/**
 * Returns the row with this value, which is in the form in which it is stored.
 *
 * @throws {HttpError} 413 if the row is longer than it may be sent: nobody could write back what they read.
 */
export function rowOf(name: string, value: Uint8Array, maxBytes: number): NewRow {
  const before = ENCODER.encode(`{${JSON.stringify(name)}:`);
  const length = before.length + value.length + 1;
  if (length > maxBytes) {
    const detail = `The row ${
      JSON.stringify(name)
    } has ${length} bytes as it is stored: at most ${maxBytes} are allowed`;
    throw new HttpError(413, `${detail} (--max-body)`, { rule: "RFC 9110 §15.5.14" });
  }
  const content = new Uint8Array(length);
  content.set(before);
  content.set(value, before.length);
  content[length - 1] = CLOSE_BRACE;
  return new SentRow(name, content, before.length, length - 1, true);
}

/** Recognises canonical rows of one schema. */
export class CanonicalRows {
  /** The fields in order; `undefined` if the schema does not name them. */
  readonly #fields: readonly CanonicalField[] | undefined;

  /** Prepares the fields of a schema. */
  constructor({ fields }: RowSchema) {
    this.#fields = fields?.map(({ name, type }, i) => ({
      before: ENCODER.encode(`${i === 0 ? "{" : ","}${JSON.stringify(name)}:`),
      type,
    }));
  }

  /** Returns the row in the content, if that is the row of this name in canonical form. */
  read(content: Uint8Array, name: string): NewRow | undefined {
    if (this.#fields === undefined || content.length > JSON_PIECE_BYTES) return undefined;
    const start = nameEnd(content, name);
    if (start === 0) return undefined;
    const end = this.rowEnd(content, start);
    if (end === 0 || content[end] !== CLOSE_BRACE || end + 1 !== content.length) return undefined;
    return isUtf8(content) ? new SentRow(name, content, start, end, true) : undefined;
  }

  /** Returns the end of the canonical, valid UTF-8 row that starts here; 0 if it has another form. */
  rowEnd(content: Uint8Array, start: number): number {
    if (this.#fields === undefined) return 0;
    let at = start;
    for (const { before, type } of this.#fields) {
      for (let i = 0; i < before.length; i++) if (content[at++] !== before[i]) return 0;
      at = valueEnd(content, at, type);
      if (at === 0) return 0;
    }
    return content[at] === CLOSE_BRACE ? at + 1 : 0;
  }
}

/** Returns the start of the row's value, if the content starts with the row's name; else 0. */
function nameEnd(content: Uint8Array, name: string): number {
  if (content[0] !== OPEN_BRACE || content[1] !== QUOTE) return 0;
  let at = 2;
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    // Other names than printable ASCII have characters of several octets, or escapes.
    if (code >= 0x80 || code === QUOTE || code === 0x5c || content[at++] !== code) return 0;
  }
  return content[at] === QUOTE && content[at + 1] === COLON ? at + 2 : 0;
}

/** Returns the end of a field's value, if it has the type and the canonical form; else 0. */
function valueEnd(content: Uint8Array, at: number, type: RowFieldType): number {
  switch (content[at]) {
    case QUOTE:
      return type === "string" || type === "scalar" ? plainStringEnd(content, at) : 0;
    case 0x74:
      return type === "boolean" || type === "scalar" ? literalEnd(content, at, "true") : 0;
    case 0x66:
      return type === "boolean" || type === "scalar" ? literalEnd(content, at, "false") : 0;
    case 0x6e:
      return type === "scalar" ? literalEnd(content, at, "null") : 0;
    default:
      return type === "string" || type === "boolean" ? 0 : canonicalIntegerEnd(content, at);
  }
}
