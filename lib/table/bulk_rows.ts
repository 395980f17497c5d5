/** The content of a bulk POST: one JSON object with rows as members, or one such object a line, with a row each. */

import { ByteBuffer, octetString } from "../bytes.ts";
import { type FieldProblem, HttpError } from "../http_message.ts";
import { isBlank, JSON_PIECE_BYTES, JsonScanner, parseOctets, type Scanned } from "../json.ts";
import { MAX_PROBLEM_ERRORS } from "../limits.ts";
import type { NewRow } from "../store.ts";
import type { Pacer } from "../turns.ts";
import { nameProblem } from "./resource.ts";
import type { RowLimits } from "./row_schema.ts";
import {
  CanonicalRows,
  notJson,
  notObject,
  rowOf,
  scannerOf,
  schemaProblems,
  SentRow,
  storedText,
  type TextProblem,
  textProblem,
  tooManyFor,
} from "./row_text.ts";

const ENCODER = new TextEncoder();
const OPEN_BRACE = 0x7b;
const LF = 0x0a;
/** A name of ASCII without escapes: its octets are its characters. */
const PLAIN_NAME = /^[^\\\x80-\xff]*$/;

/** The content of a POST is one row's fields, not rows under their names. */
export class BareRow extends Error {}

/** What a POST of the table takes. */
export const TABLE_FORMS = 'POST / takes rows as {"NAME":{…}}, or the fields of one row';

/**
 * Reads the rows in the content part by part, and yields to other clients in between.
 *
 * @throws {BareRow} If a member's value is not an object, and the content may be one row.
 * @throws {HttpError} After the last part: 400 if the content is not JSON in UTF-8; 413 if a row is too long as it is
 * stored; 422 if it is not an object or if rows do not fit the table, with the first problems.
 */
export async function* readRows(
  content: Uint8Array,
  limits: RowLimits,
  pacer: Pacer,
): AsyncGenerator<readonly NewRow[], void> {
  const scanner = scannerOf(content);
  const start = scanner.at;
  const reader = new RowsReader(content, limits, pacer);
  let isFirst = true;
  for (let scanned: Scanned = "more"; scanned !== "end";) {
    scanned = scanner.next(scanner.at + JSON_PIECE_BYTES);
    if (scanned === "error") throw notJson(content, scanner.at);
    if (scanned === "member") {
      // In a table with declared fields, a row that begins with an object is none: its other members are reported instead.
      const mayBeBare = limits.schema.fields === undefined || isFirst;
      if (mayBeBare && content[scanner.valueStart] !== OPEN_BRACE) throw new BareRow();
      isFirst = false;
    }
    const turn = scanned === "member" ? reader.add(scanner) : pacer.after(JSON_PIECE_BYTES);
    if (turn instanceof Promise) await turn;
    const rows = reader.part(scanned === "end");
    if (rows !== undefined) yield rows;
  }
  if (!scanner.isObject) throw notObject(content.subarray(start), TABLE_FORMS);
  reader.finish();
}

/** Reads the rows in the content line by line, as {@linkcode readRows} does. Lines of blanks are skipped. */
export async function* readLines(
  content: Uint8Array,
  limits: RowLimits,
  pacer: Pacer,
): AsyncGenerator<readonly NewRow[], void> {
  const reader = new RowsReader(content, limits, pacer);
  for (let start = scannerOf(content).at, number = 1; start < content.length; number++) {
    const line = content.subarray(start, content.indexOf(LF, start) >>> 0);
    const scanner = new JsonScanner(line);
    let members = 0;
    let scanned: Scanned;
    while ((scanned = scanner.next(scanner.at + JSON_PIECE_BYTES)) === "member" || scanned === "more") {
      if (scanned === "member") members++;
      else await pacer.after(JSON_PIECE_BYTES);
    }
    // Only the end of the text tells a line of blanks.
    const isEmpty = scanned === "error" && line.every(isBlank);
    if (scanned === "error" && !isEmpty) throw notJson(line, scanner.at, `Line ${number}`);
    if (members === 1) {
      const turn = reader.add(scanner, start, number);
      if (turn instanceof Promise) await turn;
    } else if (!isEmpty) reader.refuseLine(number, members === 0 ? "no row" : `${members} members`);
    start += line.length + 1;
    const rows = reader.part(start >= content.length);
    if (rows !== undefined) yield rows;
  }
  reader.finish();
}

class RowsReader {
  readonly #content: Uint8Array;
  readonly #limits: RowLimits;
  readonly #pacer: Pacer;
  readonly #canonical: CanonicalRows;
  readonly #names = new NameSet();
  #rows: NewRow[] = [];
  /** Octets of the rows of the current part. */
  #length = 0;
  readonly #errors: FieldProblem[] = [];
  #refused = 0;
  #tooLong: HttpError | undefined;

  constructor(content: Uint8Array, limits: RowLimits, pacer: Pacer) {
    this.#content = content;
    this.#limits = limits;
    this.#pacer = pacer;
    this.#canonical = new CanonicalRows(limits.schema);
  }

  /** Adds the member that a scanner found last in text that starts here, in this line; 0 if there are no lines. */
  add(scanner: JsonScanner, start = 0, line = 0): Promise<void> | void {
    const nameStart = start + scanner.nameStart + 1;
    const nameEnd = start + scanner.nameEnd - 1;
    const octets = octetString(this.#content, nameStart, nameEnd);
    // A string of its own: a slice of a longer one would keep that in memory.
    const name: string = PLAIN_NAME.test(octets) ? octets : parseOctets(this.#content, nameStart - 1, nameEnd + 1);
    let problem = nameProblem(name);
    if (problem === undefined) {
      const isNew = octets.includes("\\")
        ? this.#names.add(ENCODER.encode(name))
        : this.#names.add(this.#content, nameStart, nameEnd);
      if (!isNew) problem = "is given twice";
    }
    const length = scanner.valueEnd - scanner.nameStart;
    this.#length += length;
    if (problem !== undefined) this.#refuse(name, problem, line);
    else {
      const [from, to] = [start + scanner.valueStart, start + scanner.valueEnd];
      if (this.#canonical.rowEnd(this.#content, from) !== to) {
        return this.#pacer.run(this.#read(name, this.#content.subarray(from, to), scanner, line));
      }
      this.#rows.push(new SentRow(name, this.#content, from, to, false));
    }
    return this.#pacer.after(length);
  }

  /** Refuses a line that has not exactly one row. */
  refuseLine(line: number, seen: string): void {
    this.#refuse(`line ${line}`, `must be one object with one member, saw ${seen}`, 0);
  }

  /** Returns the rows of a part that is large enough, or the last; `undefined` without any, or if any was refused. */
  part(isLast: boolean): readonly NewRow[] | undefined {
    if (this.#length < JSON_PIECE_BYTES && !isLast) return undefined;
    const rows = this.#rows;
    this.#rows = [];
    this.#length = 0;
    return this.#refused === 0 && rows.length > 0 ? rows : undefined;
  }

  finish(): void {
    if (this.#tooLong !== undefined) throw this.#tooLong;
    if (this.#refused === 0) return;
    const [{ field, detail }] = this.#errors;
    const first = `${this.#refused} ${this.#refused === 1 ? "is" : "are"} invalid, the first one ${
      JSON.stringify(field)
    }`;
    throw new HttpError(422, `No row was created: ${first}: it ${detail}`, { errors: this.#errors });
  }

  /** Reads a row that is not in canonical form. */
  *#read(name: string, sent: Uint8Array, scanner: JsonScanner, line: number): Generator<number, void> {
    const { schema, maxRowBytes } = this.#limits;
    yield sent.length;
    // The outermost object is not part of the row.
    const problem: TextProblem | undefined = textProblem(scanner, 1) ?? tooManyFor(schema, scanner.members);
    if (problem !== undefined) {
      return this.#refuse(name, problem.rule === undefined ? problem.detail : wrongField(problem), line);
    }
    if (sent[0] !== OPEN_BRACE) return this.#refuse(name, "must be an object with the row's fields", line);
    try {
      const value = yield* storedText(sent);
      const [wrong] = schemaProblems(value, schema);
      if (wrong !== undefined) this.#refuse(name, wrongField(wrong), line);
      else this.#rows.push(rowOf(name, value, maxRowBytes));
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      // A member that is given twice is one more problem of the rows; a row that is too long is not.
      if (error.errors !== undefined) this.#refuse(name, wrongField(error.errors[0]), line);
      else this.#tooLong ??= error;
    }
  }

  #refuse(field: string, problem: string, line: number): void {
    this.#refused++;
    const detail = line === 0 ? problem : `${problem} (line ${line})`;
    if (this.#errors.length < MAX_PROBLEM_ERRORS) this.#errors.push({ field, detail });
  }
}

function wrongField({ field, detail }: FieldProblem): string {
  return `has a wrong field: ${field} ${detail}`;
}

const PARTS = 256;
const FIRST_SLOTS = 16;

/**
 * A set of names that grows without a pause, with some 8 octets a name besides its own: a set of strings takes several
 * times as much, and blocks for 0.2 s when it grows to a million.
 */
class NameSet {
  /** The names, each with a NUL after it. */
  readonly #names = new ByteBuffer(1024);
  /** In each part the places of its names, from 1, by their hash or in the next free slot after it. */
  readonly #parts = Array.from({ length: PARTS }, () => new Uint32Array(FIRST_SLOTS));
  readonly #sizes = new Uint32Array(PARTS);
  /** Unknown to clients, who could otherwise choose names with equal hashes. */
  readonly #seed = crypto.getRandomValues(new Uint32Array(1))[0];

  /** Adds a name without control characters, in UTF-8. Returns whether it was new. */
  add(octets: Uint8Array, start = 0, end: number = octets.length): boolean {
    const place = this.#names.length;
    this.#names.reserve(end - start + 1);
    const { bytes } = this.#names;
    let to = place;
    for (let at = start; at < end; at++) bytes[to++] = octets[at];
    bytes[to++] = 0;
    const hash = this.#hash(place);
    const part = hash & PARTS - 1;
    if (this.#sizes[part] * 2 >= this.#parts[part].length) this.#grow(part);
    const slots = this.#parts[part];
    const slot = this.#slotOf(place, hash, slots);
    if (slots[slot] !== 0) return false;
    this.#names.length = to;
    slots[slot] = place + 1;
    this.#sizes[part]++;
    return true;
  }

  #grow(part: number): void {
    const slots = new Uint32Array(2 * this.#parts[part].length);
    for (const place of this.#parts[part]) {
      if (place > 0) slots[this.#slotOf(place - 1, this.#hash(place - 1), slots)] = place;
    }
    this.#parts[part] = slots;
  }

  /** Returns the slot of an equal name, or else the free one for this name. */
  #slotOf(place: number, hash: number, slots: Uint32Array): number {
    for (let slot = hash >>> 8;; slot++) {
      slot &= slots.length - 1;
      if (slots[slot] === 0 || this.#areEqual(slots[slot] - 1, place)) return slot;
    }
  }

  #hash(place: number): number {
    const { bytes } = this.#names;
    let hash = this.#seed;
    for (let at = place; bytes[at] !== 0; at++) {
      hash = Math.imul(hash ^ bytes[at], 0x01000193);
      hash ^= hash >>> 15;
    }
    hash = Math.imul(hash, 0x85ebca6b);
    return hash ^ hash >>> 13;
  }

  #areEqual(first: number, second: number): boolean {
    const { bytes } = this.#names;
    let length = 0;
    while (bytes[first + length] === bytes[second + length] && bytes[first + length] !== 0) length++;
    return bytes[first + length] === bytes[second + length];
  }
}
