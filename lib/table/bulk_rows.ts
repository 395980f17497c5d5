/** The content of a bulk POST: one JSON object with rows as members, or one such object a line, with a row each. */

import { octetString } from "../bytes.ts";
import { type FieldProblem, HttpError } from "../http_message.ts";
import { isBlank, JSON_PIECE_BYTES, JsonScanner, parseOctets, type Scanned } from "../json.ts";
import { MAX_PROBLEM_ERRORS } from "../limits.ts";
import type { NewRow } from "../store.ts";
import { type Pacer, shardOf, SHARDS } from "../turns.ts";
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
  textProblem,
} from "./row_text.ts";

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
  const reader = new RowsReader(limits, pacer);
  let isFirst = true;
  for (;;) {
    const scanned = scanner.next(scanner.at + JSON_PIECE_BYTES);
    if (scanned === "end") break;
    if (scanned === "error") throw notJson(content, scanner.at);
    if (scanned === "member") {
      // In a table with declared fields, a row that begins with an object is none: its other members are reported instead.
      const mayBeBare = limits.schema.fields === undefined || isFirst;
      if (mayBeBare && content[scanner.valueStart] !== OPEN_BRACE) throw new BareRow();
      isFirst = false;
    }
    const turn = scanned === "member" ? reader.add(content, scanner) : pacer.after(JSON_PIECE_BYTES);
    if (turn instanceof Promise) await turn;
    const rows = reader.part();
    if (rows !== undefined) yield rows;
  }
  if (!scanner.isObject) throw notObject(content.subarray(start), TABLE_FORMS);
  yield reader.end();
}

/** Reads the rows in the content line by line, as {@linkcode readRows} does. Lines of blanks are skipped. */
export function readLines(content: Uint8Array, limits: RowLimits, pacer: Pacer): AsyncGenerator<readonly NewRow[]> {
  return readEach([linesIn(content.subarray(scannerOf(content).at))], "Line", limits, pacer);
}

function* linesIn(content: Uint8Array): Generator<Uint8Array> {
  for (let start = 0; start < content.length;) {
    const line = content.subarray(start, content.indexOf(LF, start) >>> 0);
    yield line;
    start += line.length + 1;
  }
}

/**
 * Reads texts in UTF-8 of one row each, as {@linkcode readRows} does. Blank ones are skipped.
 *
 * @param what What a text is called in errors, with its number; at the start of a sentence.
 */
export async function* readEach(
  texts: Iterable<Iterable<Uint8Array>> | AsyncIterable<Iterable<Uint8Array>>,
  what: "Line" | "row",
  limits: RowLimits,
  pacer: Pacer,
): AsyncGenerator<readonly NewRow[], void> {
  const reader = new RowsReader(limits, pacer);
  const kind = what.toLowerCase();
  let number = 0;
  for await (const some of texts) {
    for (const text of some) {
      const place = `${kind} ${++number}`;
      const scanner = new JsonScanner(text);
      let members = 0;
      let scanned: Scanned;
      do {
        scanned = scanner.next(scanner.at + JSON_PIECE_BYTES);
        if (scanned === "member") members++;
        else if (scanned === "more") await pacer.after(JSON_PIECE_BYTES);
      } while (scanned === "member" || scanned === "more");
      if (scanned === "error") {
        // Only the end of the text tells that it is blank.
        if (text.every(isBlank)) continue;
        throw notJson(text, scanner.at, `${what} ${number}`);
      }
      if (members === 1) {
        const turn = reader.add(text, scanner, place);
        if (turn instanceof Promise) await turn;
      } else {
        const seen = members === 0 ? "no row" : `${members} members`;
        reader.refuse(place, `must be one object with one member, saw ${seen}`);
      }
      const rows = reader.part();
      if (rows !== undefined) yield rows;
    }
  }
  yield reader.end();
}

class RowsReader {
  readonly #canonical: CanonicalRows;
  readonly #names = Array.from({ length: SHARDS }, () => new Set<string>());
  #rows: NewRow[] = [];
  /** Octets of the rows of the current part. */
  #length = 0;
  readonly #errors: FieldProblem[] = [];
  #refused = 0;
  #tooLong: HttpError | undefined;

  constructor(private readonly limits: RowLimits, private readonly pacer: Pacer) {
    this.#canonical = new CanonicalRows(limits.schema);
  }

  /** Adds the member that a scanner found last. Its place is for errors. */
  add(text: Uint8Array, scanner: JsonScanner, place?: string): Promise<void> | void {
    const { nameStart, nameEnd, valueStart, valueEnd } = scanner;
    const octets = octetString(text, nameStart + 1, nameEnd - 1);
    // A string of its own: a slice of a longer one would keep that in memory.
    const name: string = PLAIN_NAME.test(octets) ? octets : parseOctets(text, nameStart, nameEnd);
    const problem = nameProblem(name) ?? (this.#isNew(name) ? undefined : "is given twice");
    const length = valueEnd - nameStart;
    this.#length += length;
    if (problem !== undefined) this.refuse(name, problem, place);
    else if (length + 2 <= this.limits.maxRowBytes && this.#canonical.rowEnd(text, valueStart) === valueEnd) {
      this.#rows.push(new SentRow(name, text, valueStart, valueEnd));
    } else return this.pacer.run(this.#read(name, text.subarray(valueStart, valueEnd), scanner, place));
    return this.pacer.after(length);
  }

  #isNew(name: string): boolean {
    const names = this.#names[shardOf(name)];
    const { size } = names;
    return names.add(name).size > size;
  }

  /** Returns the rows of a part that is large enough; `undefined` without any, or if any was refused. */
  part(): readonly NewRow[] | undefined {
    if (this.#length < JSON_PIECE_BYTES) return undefined;
    const rows = this.#rows;
    this.#rows = [];
    this.#length = 0;
    return this.#refused === 0 && rows.length > 0 ? rows : undefined;
  }

  /** Returns the last rows, or throws what is wrong with any. */
  end(): readonly NewRow[] {
    if (this.#tooLong !== undefined) throw this.#tooLong;
    if (this.#refused === 0) return this.#rows;
    const [{ field, detail }] = this.#errors;
    const first = `${this.#refused} ${this.#refused === 1 ? "is" : "are"} invalid, the first one ${
      JSON.stringify(field)
    }`;
    throw new HttpError(422, `No row was created: ${first}: it ${detail}`, { errors: this.#errors });
  }

  *#read(name: string, sent: Uint8Array, scanner: JsonScanner, place?: string): Generator<number, void> {
    const { schema, maxRowBytes } = this.limits;
    yield sent.length;
    // The outermost object is not part of the row.
    const problem = textProblem(scanner, 1, schema);
    if (problem !== undefined) {
      return this.refuse(name, problem.rule === undefined ? problem.detail : wrongField(problem), place);
    }
    if (sent[0] !== OPEN_BRACE) return this.refuse(name, "must be an object with the row's fields", place);
    try {
      const value = yield* storedText(sent);
      const [wrong] = schemaProblems(value, schema);
      if (wrong !== undefined) this.refuse(name, wrongField(wrong), place);
      else this.#rows.push(rowOf(name, value, maxRowBytes));
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      // A member that is given twice is one more problem of the rows; a row that is too long is not.
      if (error.errors !== undefined) this.refuse(name, wrongField(error.errors[0]), place);
      else this.#tooLong ??= new HttpError(error.status, placed(error.message, place), { rule: error.rule });
    }
  }

  refuse(field: string, problem: string, place?: string): void {
    this.#refused++;
    if (this.#errors.length < MAX_PROBLEM_ERRORS) this.#errors.push({ field, detail: placed(problem, place) });
  }
}

function wrongField({ field, detail }: FieldProblem): string {
  return `has a wrong field: ${field} ${detail}`;
}

function placed(problem: string, place: string | undefined): string {
  return place === undefined ? problem : `${problem} (${place})`;
}
