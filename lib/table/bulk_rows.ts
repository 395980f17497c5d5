/**
 * The content of a bulk POST, read row by row: one JSON object with rows as members, or one such object a line, with a
 * row each.
 *
 * @module
 */

import { octetString } from "../bytes.ts";
import { type FieldProblem, HttpError } from "../http_message.ts";
import { JSON_PIECE_BYTES, MAX_JSON_DEPTH, MAX_PROBLEM_ERRORS, MAX_ROW_MEMBERS } from "../limits.ts";
import type { NewRow } from "../store.ts";
import { JsonScanner, type Scanned } from "../json.ts";
import { CanonicalRows, rowOf, SentRow } from "./canonical_row.ts";
import { NameSet } from "./name_set.ts";
import type { Pacer } from "./pacer.ts";
import { nameProblem } from "./row_content.ts";
import type { RowSchema } from "./row_schema.ts";
import { notJson, notObject, scannerOf, schemaProblems, tooDeep, tooMany, tooManyFor } from "./row_text.ts";
import { storedText } from "./stored_text.ts";

const UTF8 = new TextDecoder("utf-8", { ignoreBOM: true });
const OPEN_BRACE = 0x7b;
const LF = 0x0a;
const BLANKS = [0x20, 0x09, 0x0d];
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
  schema: RowSchema,
  maxRowBytes: number,
  pacer: Pacer,
): AsyncGenerator<readonly NewRow[], void> {
  const scanner = scannerOf(content);
  const start = scanner.at;
  const reader = new RowsReader(content, schema, maxRowBytes);
  let isFirst = true;
  let scanned: Scanned;
  do {
    scanned = scanner.next(scanner.at + JSON_PIECE_BYTES);
    if (scanned === "member") {
      // In a table with declared fields, a row that begins with an object is none: its other members are told instead.
      const mayBeBare = schema.fields === undefined || isFirst;
      if (mayBeBare && content[scanner.valueStart] !== OPEN_BRACE) throw new BareRow();
      isFirst = false;
      reader.add(scanner);
    } else if (scanned === "error") throw notJson(content, scanner.at);
    else await pacer.after(JSON_PIECE_BYTES);
    if (scanned === "member" && reader.waiting < JSON_PIECE_BYTES) continue;
    await pacer.after(reader.waiting);
    const rows = await pacer.run(reader.flush());
    if (rows.length > 0) yield rows;
  } while (scanned !== "end");
  if (!scanner.isObject) throw notObject(content.subarray(start), TABLE_FORMS);
  reader.finish();
}

/**
 * Reads the rows in the content line by line, as {@linkcode readRows} does. Lines of blanks are skipped.
 *
 * @throws {HttpError} As {@linkcode readRows}; the detail names the line.
 */
export async function* readLines(
  content: Uint8Array,
  schema: RowSchema,
  maxRowBytes: number,
  pacer: Pacer,
): AsyncGenerator<readonly NewRow[], void> {
  const reader = new RowsReader(content, schema, maxRowBytes);
  for (let start = scannerOf(content).at, number = 1; start < content.length; number++) {
    const end = content.indexOf(LF, start) >>> 0;
    const line = content.subarray(start, end);
    await pacer.run(readLine(line, start, number, reader));
    start += line.length + 1;
    if (reader.waiting < JSON_PIECE_BYTES && start < content.length) continue;
    await pacer.after(reader.waiting);
    const rows = await pacer.run(reader.flush());
    if (rows.length > 0) yield rows;
  }
  reader.finish();
}

/** Reads a line, which starts at this octet of the content. */
function* readLine(line: Uint8Array, start: number, number: number, reader: RowsReader): Generator<number, void> {
  const scanner = new JsonScanner(line);
  let members = 0;
  for (let scanned: Scanned = "more"; scanned !== "end";) {
    scanned = scanner.next(scanner.at + JSON_PIECE_BYTES);
    if (scanned === "member" && members++ === 0) reader.add(scanner, { start, line: number });
    else if (scanned === "more") yield JSON_PIECE_BYTES;
    else if (scanned === "error") {
      // Only the end of the text tells a line of blanks.
      if (line.every((octet) => BLANKS.includes(octet))) return;
      throw notJson(line, scanner.at, `Line ${number}`);
    }
  }
  if (members !== 1) reader.refuseLine(number, members === 0 ? "no row" : `${members} members`, members > 0);
}

/**
 * Numbers per row in the list of {@linkcode RowsReader}: start and end of its name, start and end of its value, in
 * octets, and the number of its line, 0 if the content has no lines.
 */
const SPAN = 5;

/** Creates rows from their positions in the content. */
class RowsReader {
  readonly #content: Uint8Array;
  readonly #schema: RowSchema;
  readonly #maxRowBytes: number;
  readonly #canonical: CanonicalRows;
  #rows: NewRow[] = [];
  readonly #names: NameSet;
  readonly #errors: FieldProblem[] = [];
  #refused = 0;
  #tooLong: HttpError | undefined;
  /** The rows of the current piece, {@linkcode SPAN} numbers for each. */
  #spans: number[] = [];
  /** Problems in the text of rows in the current piece, by their index in `#spans`. */
  #problems = new Map<number, string>();

  constructor(content: Uint8Array, schema: RowSchema, maxRowBytes: number) {
    this.#content = content;
    this.#schema = schema;
    this.#maxRowBytes = maxRowBytes;
    this.#names = new NameSet(content);
    this.#canonical = new CanonicalRows(schema);
  }

  /** Octets from the start of the current piece's first row to the end of its last. */
  get waiting(): number {
    return this.#spans.length === 0 ? 0 : this.#spans[this.#spans.length - 2] - this.#spans[0];
  }

  /**
   * Adds the member that the scanner found last.
   *
   * @param place Where the scanner's text starts in the content, and in which line.
   */
  add(scanner: JsonScanner, { start, line } = { start: 0, line: 0 }): void {
    const problem = textProblem(scanner, this.#schema);
    if (problem !== undefined) this.#problems.set(this.#spans.length, problem);
    const { nameStart, nameEnd, valueStart, valueEnd } = scanner;
    this.#spans.push(start + nameStart, start + nameEnd, start + valueStart, start + valueEnd, line);
  }

  /** Refuses a line that has not exactly one row; its first one may have been added. */
  refuseLine(line: number, seen: string, wasAdded: boolean): void {
    if (wasAdded) this.#spans.length -= SPAN;
    this.#refuse(`line ${line}`, `must be one object with one member, saw ${seen}`, 0);
  }

  /** Returns the rows of the current piece, and starts the next piece. */
  *flush(): Generator<number, readonly NewRow[]> {
    const spans = this.#spans;
    if (spans.length === 0) return [];
    this.#rows = [];
    for (let at = 0; at < spans.length; at += SPAN) {
      const octets = octetString(this.#content, spans[at] + 1, spans[at + 1] - 1);
      // A string of its own: a slice of a longer one would keep that in memory.
      const name: string = PLAIN_NAME.test(octets)
        ? octets
        : JSON.parse(UTF8.decode(this.#content.subarray(spans[at], spans[at + 1])));
      const isNew = this.#names.add(spans[at], octets.includes("\\") ? JSON.stringify(name) : undefined);
      const valueStart = spans[at + 2];
      const valueEnd = spans[at + 3];
      const line = spans[at + 4];
      const nameIsWrong = nameProblem(name) ?? (isNew ? undefined : "is given twice");
      if (nameIsWrong !== undefined) this.#refuse(name, nameIsWrong, line);
      else if (this.#canonical.rowEnd(this.#content, valueStart) === valueEnd) {
        this.#rows.push(new SentRow(name, this.#content, valueStart, valueEnd, false));
      } else {
        const problem = yield* this.#read(name, this.#content.subarray(valueStart, valueEnd), this.#problems.get(at));
        if (problem !== undefined) this.#refuse(name, problem, line);
      }
    }
    this.#spans = [];
    this.#problems.clear();
    return this.#refused === 0 ? this.#rows : [];
  }

  /** Refuses the rows if some are invalid. */
  finish(): void {
    if (this.#tooLong !== undefined) throw this.#tooLong;
    if (this.#refused === 0) return;
    const [{ field, detail }] = this.#errors;
    const first = `${this.#refused} ${this.#refused === 1 ? "is" : "are"} invalid, the first one ${
      JSON.stringify(field)
    }`;
    throw new HttpError(422, `No row was created: ${first}: it ${detail}`, { errors: this.#errors });
  }

  /** Reads a row, and returns its problem, if any. */
  *#read(name: string, sent: Uint8Array, textProblem: string | undefined): Generator<number, string | undefined> {
    if (textProblem !== undefined) return textProblem;
    if (sent[0] !== OPEN_BRACE) return "must be an object with the row's fields";
    try {
      const value = yield* storedText(sent);
      const [problem] = schemaProblems(value, this.#schema);
      if (problem !== undefined) return wrongField(problem);
      this.#rows.push(rowOf(name, value, this.#maxRowBytes));
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      // A member that is given twice is one more problem of the rows; a row that is too long is not.
      if (error.errors !== undefined) return wrongField(error.errors[0]);
      this.#tooLong ??= error;
    }
  }

  #refuse(field: string, problem: string, line: number): void {
    this.#refused++;
    const detail = line === 0 ? problem : `${problem} (line ${line})`;
    if (this.#errors.length < MAX_PROBLEM_ERRORS) this.#errors.push({ field, detail });
  }
}

/** Returns the problem of the row that was scanned last. */
function textProblem({ members, depth, badNumber }: JsonScanner, schema: RowSchema): string | undefined {
  if (members > MAX_ROW_MEMBERS) return tooMany(members);
  // The outermost object is not part of the row.
  if (depth - 1 > MAX_JSON_DEPTH) return tooDeep();
  // A number at the outer level is not a row: that problem is reported when the row is read.
  const field = badNumber?.path[1];
  if (field !== undefined) return wrongField({ field: JSON.parse(field), detail: badNumber!.problem });
  return tooManyFor(schema, members);
}

function wrongField({ field, detail }: FieldProblem): string {
  return `has a wrong field: ${field} ${detail}`;
}
