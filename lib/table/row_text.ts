/**
 * Reads one row from JSON text, within the limits on what can be read and stored, and brings it into the form in which
 * it is stored: as JSON.stringify writes it, but with the members in the order in which they were sent, and with the
 * sign of a zero.
 *
 * Content that equals, octet for octet, what would be stored is recognised, and needs no parsing. Other content is
 * worked on as octets, in steps that a {@linkcode Pacer} runs, because JSON.parse and JSON.stringify block other clients
 * for 0.2 s on a row of 90,000 names.
 */

import { isUtf8 } from "node:buffer";
import { ByteBuffer, octetString, withoutMark } from "../bytes.ts";
import { HttpError } from "../http_message.ts";
import {
  isBlank,
  isDigit,
  JSON_PIECE_BYTES,
  JsonScanner,
  MAX_PLAIN_OCTETS,
  memberSpans,
  parseOctets,
  UTF8,
} from "../json.ts";
import { MAX_JSON_DEPTH, MAX_PROBLEM_ERRORS, MAX_ROW_FIELDS, MAX_ROW_MEMBERS } from "../limits.ts";
import type { NewRow } from "../store.ts";
import { unfit } from "./resource.ts";
import type { RowFieldType, RowSchema } from "./row_schema.ts";

const ENCODER = new TextEncoder();
const QUOTE = 0x22;
const MINUS = 0x2d;
const ZERO = 0x30;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** A row in the form in which it is stored. Its JSON text is created on demand. */
export class SentRow implements NewRow {
  /** The value is the octets from `start` to `end`; `content` are all of them, if they are the row under its name. */
  constructor(
    readonly name: string,
    private readonly bytes: Uint8Array,
    private readonly start: number,
    private readonly end: number,
    readonly content?: Uint8Array,
  ) {}

  get json(): string {
    return UTF8.decode(this.bytes.subarray(this.start, this.end));
  }
}

/** Returns the row with this value as it is stored. Throws a 413 if nobody could write back what they read. */
export function rowOf(name: string, value: Uint8Array, maxBytes: number): NewRow {
  const quoted = JSON.stringify(name);
  // Text is encoded into memory that is there: an array of its own takes several times as long.
  const row = new ByteBuffer(3 * quoted.length + value.length + 9);
  row.appendText(`{${quoted}:`);
  const start = row.length;
  row.append(value);
  row.appendText("}");
  const { length } = row;
  if (length > maxBytes) {
    const detail = `The row ${quoted} has ${length} bytes as it is stored: at most ${maxBytes} are allowed`;
    throw new HttpError(413, `${detail} (--max-body)`, { rule: "RFC 9110 §15.5.14" });
  }
  const content = row.view();
  return new SentRow(name, content, start, length - 1, content);
}

/**
 * Recognises rows of one schema in canonical form: as JSON.stringify writes a row, bare or under its name, with its fields
 * in the table's order, without blanks or escapes, and with integers only.
 */
export class CanonicalRows {
  /** The fields in order, each with the octets before its value; `undefined` if the schema does not name them. */
  readonly #fields: readonly { readonly before: Uint8Array; readonly type: RowFieldType }[] | undefined;

  constructor({ fields }: RowSchema) {
    this.#fields = fields?.map(({ name, type }, i) => ({
      before: ENCODER.encode(`${i === 0 ? "{" : ","}${JSON.stringify(name)}:`),
      type,
    }));
  }

  /** Returns the row in the content, if that is the row of this name in canonical form. Throws as {@linkcode rowOf}. */
  read(content: Uint8Array, name: string, maxBytes = Infinity): NewRow | undefined {
    if (this.#fields === undefined || content.length > JSON_PIECE_BYTES) return undefined;
    const start = nameEnd(content, name);
    const end = this.rowEnd(content, start);
    if (end === 0 || !isUtf8(content)) return undefined;
    if (start === 0) return end === content.length ? rowOf(name, content, maxBytes) : undefined;
    if (content[end] !== CLOSE_BRACE || end + 1 !== content.length) return undefined;
    return new SentRow(name, content, start, end, content);
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
    if (code >= 0x80 || code === QUOTE || code === BACKSLASH || content[at++] !== code) return 0;
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

function literalEnd(bytes: Uint8Array, start: number, literal: string): number {
  for (let i = 0; i < literal.length; i++) if (bytes[start + i] !== literal.charCodeAt(i)) return 0;
  return start + literal.length;
}

/** Returns the end of the string that starts at this quote; 0 if it has an escape or no end. */
export function plainStringEnd(bytes: Uint8Array, quote: number): number {
  for (let at = quote + 1; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) return at + 1;
    if (byte === BACKSLASH || byte < 0x20) return 0;
  }
  return 0;
}

/** Returns the end of the integer that starts here; 0 if it is not exact or not in canonical form. */
export function canonicalIntegerEnd(bytes: Uint8Array, start: number): number {
  const first = bytes[start] === MINUS ? start + 1 : start;
  // A single 0 is canonical; -0 and 01 are not.
  if (bytes[first] === ZERO) return first === start ? first + 1 : 0;
  let end = first;
  while (end < bytes.length && isDigit(bytes[end])) end++;
  return end === first || end - start > MAX_PLAIN_OCTETS ? 0 : end;
}

/**
 * Reads the row in the content, bare or wrapped under its name. Returns its value as it is stored. Throws a 400 if the
 * content is not JSON in UTF-8; a 422 if it is not an object, has a member twice, or exceeds the limits of a row.
 */
export function* readRow(
  content: Uint8Array,
  name: string | undefined,
  schema: RowSchema,
): Generator<number, Uint8Array> {
  const scanner = scannerOf(content);
  const start = scanner.at;
  const members = yield* scanWhole(content, scanner);
  if (!scanner.isObject) throw notObject(content.subarray(start));
  const isWrapped = name !== undefined && members === 1 && content[scanner.valueStart] === OPEN_BRACE &&
    isRow(parseOctets(content, scanner.nameStart, scanner.nameEnd), name, schema);
  if (!isWrapped) return yield* storedRow(content, start, content.length, 0, scanner, schema);
  return yield* storedRow(content, scanner.valueStart, scanner.valueEnd, 1, scanner, schema);
}

/** Whether the content's only member is the row with this name, and no field of it. Throws a 422 for another row. */
function isRow(member: string, name: string, schema: RowSchema): boolean {
  if (member === name) return true;
  if (schema.fields === undefined || schema.has(member)) return false;
  throw new HttpError(
    422,
    `The content has a row named ${JSON.stringify(member)}, but the target names ${JSON.stringify(name)}`,
  );
}

/** Refuses a row that has too many members after a patch. */
export function* requireFewMembers(value: Uint8Array): Generator<number, void> {
  // A member or an element has at least two octets.
  if (value.length <= 2 * MAX_ROW_MEMBERS) return;
  const scanner = new JsonScanner(value);
  yield* scanWhole(value, scanner);
  if (scanner.members > MAX_ROW_MEMBERS) throw tooMany(scanner.members);
}

/** Refuses a row whose fields are others than the table has. */
export function requireSchema(value: Uint8Array, schema: RowSchema): void {
  const errors = schema.fields === undefined ? [] : schema.check(parseOctets(value));
  if (errors.length > 0) throw unfit(errors);
}

/** Scans a text to its end. Returns how many outermost members it has. Throws a 400 if it is not JSON. */
export function* scanWhole(text: Uint8Array, scanner: JsonScanner, what?: string): Generator<number, number> {
  for (let members = 0;; members++) {
    const scanned = yield* scanner.steps();
    if (scanned === "error") throw notJson(text, scanner.at, what);
    if (scanned === "end") return members;
  }
}

/**
 * Returns the row from `start` to `end` as it is stored. Throws a 422 if it cannot be stored as it was sent. It stands in
 * so many objects, whose members a scanner has counted, too.
 */
export function* storedRow(
  text: Uint8Array,
  start: number,
  end: number,
  level: number,
  { members, depth, badNumber }: JsonScanner,
  schema: RowSchema,
): Generator<number, Uint8Array> {
  const row = text.subarray(start, end);
  const count = members - level;
  if (count > MAX_ROW_MEMBERS) throw tooMany(count);
  if (depth - level > MAX_JSON_DEPTH) throw unfitRow(`has objects or arrays more than ${MAX_JSON_DEPTH} deep`);
  if (badNumber !== undefined) {
    const field = memberSpans(row)!.find((member) => badNumber.at < start + member.end)!;
    const name = parseOctets(row, field.start, field.nameEnd);
    throw unfit([{ field: name, detail: badNumber.problem }], "RFC 8259 §6");
  }
  // More than are worth listing: JSON.parse would block other clients.
  if (schema.fields !== undefined && count > MAX_ROW_FIELDS + MAX_PROBLEM_ERRORS) {
    throw unfitRow(`has the fields ${schema}, saw ${count} members and elements`);
  }
  return yield* storedText(row);
}

/** Creates the error of a whole row: the detail begins with `has`, which that of a field never does. */
function unfitRow(detail: string): HttpError {
  return unfit([{ field: "*", detail }]);
}

function tooMany(members: number): HttpError {
  return unfitRow(`has at most ${MAX_ROW_MEMBERS} members and elements, saw ${members}`);
}

/** A scanner of content, which must be UTF-8; a byte order mark before it may be ignored (RFC 8259 §8.1). */
export function scannerOf(content: Uint8Array): JsonScanner {
  if (!isUtf8(content)) throw new HttpError(400, "The content is not UTF-8", { rule: "RFC 8259 §8.1" });
  return new JsonScanner(content, content.length - withoutMark(content).length);
}

/** Creates the error for what is not JSON from this octet on. The parser, whose message is best, blocks on long text. */
export function notJson(content: Uint8Array, octet: number, what = "The content"): HttpError {
  let detail = `${what} is not JSON: unexpected octet or end at ${octet}`;
  if (content.length <= JSON_PIECE_BYTES) {
    const text = UTF8.decode(content).replace("\ufeff", "");
    try {
      JSON.parse(text);
    } catch (error) {
      detail = text === ""
        ? "The content is empty: expected a JSON object"
        : `${what} is not JSON: ${(error as Error).message}`;
    }
  }
  return new HttpError(400, detail, { rule: "RFC 8259 §2" });
}

/** Creates the error for JSON text that is not an object. Only its start is looked at. */
export function notObject(text: Uint8Array, expected = "The content must be a JSON object"): HttpError {
  const first = text.findIndex((octet) => octet > 0x20);
  const start = UTF8.decode(text.subarray(first, first + 160)).slice(0, 40).trimEnd();
  return new HttpError(422, `${expected}, saw ${start.startsWith("[") ? "an array" : start}`);
}

/**
 * Returns the JSON text of a value as it is stored: the octets passed, if they are that already. Throws a 422 if an
 * object has two members of one name: receivers differ in which one they take (RFC 8259 §4).
 */
export function* storedText(bytes: Uint8Array): Generator<number, Uint8Array> {
  let text: ByteBuffer | undefined;
  /** The names in each open object. */
  const names: Set<string>[] = [];
  let copied = 0;
  let pause = JSON_PIECE_BYTES;
  let escape = -1;
  const replace = (from: number, to: number, by: string) => {
    text ??= new ByteBuffer(bytes.length);
    text.append(bytes.subarray(copied, from));
    if (by !== "") text.appendText(by);
    copied = to;
  };
  for (let at = 0; at < bytes.length;) {
    if (at >= pause) {
      yield at - pause + JSON_PIECE_BYTES;
      pause = at + JSON_PIECE_BYTES;
    }
    const from = at;
    const byte = bytes[at];
    if (byte === QUOTE) {
      at = stringEnd(bytes, from);
      if (escape < from) escape = bytes.indexOf(BACKSLASH, from) >>> 0;
      const string = escape < at ? canonicalString(bytes.subarray(from, at)) : undefined;
      if (string !== undefined) replace(from, at, string);
      const afterString = at;
      while (isBlank(bytes[at])) at++;
      if (at > afterString) replace(afterString, at, "");
      if (bytes[at] !== COLON) continue;
      const name = string === undefined ? octetString(bytes, from, afterString) : octetString(ENCODER.encode(string));
      const known = names[names.length - 1];
      const { size } = known;
      if (known.add(name).size > size) continue;
      throw unfit([{ field: parseOctets(bytes, from, afterString), detail: "is given twice" }], "RFC 8259 §4");
    } else if (byte === MINUS || isDigit(byte)) {
      at = canonicalIntegerEnd(bytes, from);
      if (at > 0 && !isInNumber(bytes[at])) continue;
      for (at = from; isInNumber(bytes[at]);) at++;
      const value = Number(octetString(bytes, from, at));
      // JSON.stringify would drop the sign of a zero.
      replace(from, at, Object.is(value, -0) ? "-0" : String(value));
    } else if (isBlank(byte)) replace(from, ++at, "");
    else {
      at++;
      if (byte === OPEN_BRACE) names.push(new Set());
      else if (byte === CLOSE_BRACE) names.pop();
    }
  }
  if (text === undefined) return bytes;
  text.append(bytes.subarray(copied));
  return text.view();
}

/** Returns a string of JSON as JSON.stringify writes it. */
export function canonicalString(octets: Uint8Array): string {
  return JSON.stringify(parseOctets(octets));
}

/** Returns the end of the string that starts at this quote. */
function stringEnd(bytes: Uint8Array, quote: number): number {
  for (let at = quote + 1;; at++) {
    at = bytes.indexOf(QUOTE, at);
    let before = at;
    while (bytes[before - 1] === BACKSLASH) before--;
    if ((at - before) % 2 === 0) return at + 1;
  }
}

function isInNumber(byte: number): boolean {
  return isDigit(byte) || byte === MINUS || byte === 0x2b || byte === 0x2e || (byte | 0x20) === 0x65;
}
