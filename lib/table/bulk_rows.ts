/** The content of a bulk POST: one JSON object with rows as members, or one such object a line, with a row each. */

import { octetString } from "../bytes.ts";
import { type FieldProblem, HttpError } from "../http_message.ts";
import { isBlank, JSON_PIECE_BYTES, JsonScanner, parseOctets } from "../json.ts";
import { MAX_PROBLEM_ERRORS } from "../limits.ts";
import type { NewRow } from "../store.ts";
import { type Pacer, shardOf, SHARDS } from "../turns.ts";
import { nameProblem } from "./resource.ts";
import type { RowLimits } from "./row_schema.ts";
import {
  CanonicalRows,
  notJson,
  notObject,
  requireSchema,
  rowOf,
  scannerOf,
  scanWhole,
  SentRow,
  storedRow,
} from "./row_text.ts";

const LF = 0x0a;
const OPEN_BRACE = 0x7b;
/** A name of ASCII without escapes: its octets are its characters. */
const PLAIN_NAME = /^[^\\\x80-\xff]*$/;

/** The content of a POST is one row's fields, not rows under their names. */
export class BareRow extends Error {}

/** What a POST of the table takes. */
export const TABLE_FORMS = 'POST / takes rows as {"NAME":{…}}, or the fields of one row';

/** Rows part by part, read while others are served. */
type Parts = AsyncGenerator<readonly NewRow[], void>;

/**
 * Reads the rows in the content part by part, and yields to other clients in between.
 *
 * @throws {BareRow} If a member's value is not an object, and the content may be one row.
 * @throws {HttpError} After the last part: 400 if the content is not JSON in UTF-8; 413 if a row is too long as it is
 * stored; 422 if it is not an object or if rows do not fit the table, with the first problems.
 */
export async function* readRows(content: Uint8Array, limits: RowLimits, pacer: Pacer): Parts {
  const reader = new RowsReader(limits);
  yield* reader.parts(reader.object(content), pacer);
  yield reader.end();
}

/** Reads the rows in the content line by line, as {@linkcode readRows} does. Lines of blanks are skipped. */
export async function* readLines(content: Uint8Array, limits: RowLimits, pacer: Pacer): Parts {
  const reader = new RowsReader(limits, "line");
  yield* reader.parts(reader.lines(content.subarray(scannerOf(content).at)), pacer);
  yield reader.end();
}

/** Reads rows under their names, and collects what is wrong with any. */
export class RowsReader {
  readonly #canonical: CanonicalRows;
  readonly #names = Array.from({ length: SHARDS }, () => new Set<string>());
  #rows: NewRow[] = [];
  /** Octets of the rows of the current part. */
  #length = 0;
  /** The number of the current line or row, for errors. */
  number = 0;
  readonly #errors: FieldProblem[] = [];
  #refused = 0;
  #tooLong: HttpError | undefined;

  /** Errors name the line or the row with its number. */
  constructor(private readonly limits: RowLimits, private readonly what?: "line" | "row") {
    this.#canonical = new CanonicalRows(limits.schema);
  }

  /** Runs steps of reading in turns, and yields the rows of each part that is large enough, unless any was refused. */
  async *parts(steps: Generator<number, void>, pacer: Pacer): Parts {
    for (const work of steps) {
      const turn = pacer.after(work);
      if (turn !== undefined) await turn;
      if (this.#length < JSON_PIECE_BYTES) continue;
      const rows = this.#rows;
      this.#rows = [];
      this.#length = 0;
      if (this.#refused === 0 && rows.length > 0) yield rows;
    }
  }

  /** Returns the last rows, or throws what is wrong with any. */
  end(): readonly NewRow[] {
    if (this.#tooLong !== undefined) throw this.#tooLong;
    if (this.#refused === 0) return this.#rows;
    const first = `the first one ${JSON.stringify(this.#errors[0].field)}: it ${this.#errors[0].detail}`;
    const problem = `${this.#refused} ${this.#refused === 1 ? "is" : "are"} invalid, ${first}`;
    throw new HttpError(422, `No row was created: ${problem}`, { errors: this.#errors });
  }

  /** Reads an object with rows as members. */
  *object(content: Uint8Array): Generator<number, void> {
    const scanner = scannerOf(content);
    const start = scanner.at;
    let mayBeBare = true;
    for (;;) {
      const scanned = yield* scanner.steps();
      if (scanned === "error") throw notJson(content, scanner.at);
      if (scanned === "end") break;
      if (mayBeBare && content[scanner.valueStart] !== OPEN_BRACE) throw new BareRow();
      // In a table with declared fields, a row that begins with an object is none: its other members are reported instead.
      mayBeBare = this.limits.schema.fields === undefined;
      const steps = this.take(content, scanner);
      if (steps !== undefined) yield* steps;
      yield scanner.valueEnd - scanner.nameStart;
      scanner.forget();
    }
    if (!scanner.isObject) throw notObject(content.subarray(start), TABLE_FORMS);
  }

  /** Reads objects of one row each, in lines. */
  *lines(content: Uint8Array): Generator<number, void> {
    for (let start = 0, line = content; start < content.length; start += line.length + 1) {
      line = content.subarray(start, content.indexOf(LF, start) >>> 0);
      this.number++;
      if (line.every(isBlank)) continue;
      const scanner = new JsonScanner(line);
      const members = yield* scanWhole(line, scanner, `Line ${this.number}`);
      yield line.length;
      if (members !== 1) {
        const seen = members === 0 ? "no row" : `${members} members`;
        this.#refuse(undefined, `must be one object with one member, saw ${seen}`);
        continue;
      }
      const steps = this.take(line, scanner);
      if (steps !== undefined) yield* steps;
    }
  }

  /** Takes the row that a scanner found last, or refuses its name. Returns the steps of reading a row of unusual form. */
  take(text: Uint8Array, scanner: JsonScanner): Generator<number, void> | undefined {
    const { nameStart, nameEnd, valueStart, valueEnd } = scanner;
    const length = valueEnd - nameStart;
    this.#length += length;
    const octets = octetString(text, nameStart + 1, nameEnd - 1);
    // A string of its own: a slice of a longer one would keep that in memory.
    const name: string = PLAIN_NAME.test(octets) ? octets : parseOctets(text, nameStart, nameEnd);
    const problem = nameProblem(name) ?? (this.#isNew(name) ? undefined : "is given twice");
    if (problem !== undefined) return this.#refuse(name, problem);
    const isCanonical = this.#canonical.rowEnd(text, valueStart) === valueEnd;
    if (!isCanonical || length + 2 > this.limits.maxRowBytes) return this.#read(name, text, scanner);
    this.#rows.push(new SentRow(name, text, valueStart, valueEnd));
  }

  *#read(name: string, text: Uint8Array, scanner: JsonScanner): Generator<number, void> {
    const { schema, maxRowBytes } = this.limits;
    const { valueStart, valueEnd } = scanner;
    if (text[valueStart] !== OPEN_BRACE) return this.#refuse(name, "must be an object with the row's fields");
    try {
      const value = yield* storedRow(text, valueStart, valueEnd, 1, scanner, schema);
      requireSchema(value, schema);
      this.#rows.push(rowOf(name, value, maxRowBytes));
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      const [wrong] = error.errors ?? [];
      if (wrong !== undefined) {
        const isWhole = wrong.field === "*" && wrong.detail.startsWith("has ");
        this.#refuse(name, isWhole ? wrong.detail : `has a wrong field: ${wrong.field} ${wrong.detail}`);
      } else this.#tooLong ??= new HttpError(error.status, this.#placed(error.message), { rule: error.rule });
    }
  }

  #isNew(name: string): boolean {
    const names = this.#names[shardOf(name)];
    const { size } = names;
    return names.add(name).size > size;
  }

  #refuse(name: string | undefined, problem: string): undefined {
    this.#refused++;
    if (this.#errors.length === MAX_PROBLEM_ERRORS) return undefined;
    const error = name === undefined
      ? { field: this.#place!, detail: problem }
      : { field: name, detail: this.#placed(problem) };
    this.#errors.push(error);
  }

  #placed(problem: string): string {
    return this.#place === undefined ? problem : `${problem} (${this.#place})`;
  }

  get #place(): string | undefined {
    return this.what && `${this.what.toLowerCase()} ${this.number}`;
  }
}
