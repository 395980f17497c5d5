/**
 * The content of a bulk POST: one JSON object with rows as members, read row by row.
 *
 * @module
 */

import { octetString } from "../bytes.ts";
import { type FieldProblem, HttpError } from "../http_message.ts";
import { JSON_PIECE_BYTES, MAX_JSON_DEPTH, MAX_PROBLEM_ERRORS, MAX_ROW_MEMBERS } from "../limits.ts";
import type { NewRow } from "../store.ts";
import type { JsonScanner, Scanned } from "../json.ts";
import { CanonicalRows, rowOf, SentRow } from "./canonical_row.ts";
import { NameSet } from "./name_set.ts";
import type { Pacer } from "./pacer.ts";
import { nameProblem } from "./row_content.ts";
import type { RowSchema } from "./row_schema.ts";
import { notJson, notObject, scannerOf, schemaProblems, tooDeep, tooMany, tooManyFor } from "./row_text.ts";
import { storedText } from "./stored_text.ts";

const UTF8 = new TextDecoder("utf-8", { ignoreBOM: true });
const OPEN_BRACE = 0x7b;
/** A name of ASCII without escapes: its octets are its characters. */
const PLAIN_NAME = /^[^\\\x80-\xff]*$/;

/**
 * Reads the rows in the content part by part, and yields to other clients in between.
 *
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
  let scanned: Scanned;
  do {
    scanned = scanner.next(scanner.at + JSON_PIECE_BYTES);
    if (scanned === "member") reader.add(scanner);
    else if (scanned === "error") throw notJson(content, scanner.at);
    else await pacer.after(JSON_PIECE_BYTES);
    if (scanned === "member" && reader.waiting < JSON_PIECE_BYTES) continue;
    await pacer.after(reader.waiting);
    const rows = await pacer.run(reader.flush());
    if (rows.length > 0) yield rows;
  } while (scanned !== "end");
  if (!scanner.isObject) throw notObject(content.subarray(start));
  reader.finish();
}

/**
 * Numbers per row in the list of {@linkcode RowsReader}: start and end of its name, start and end of its value, in
 * octets.
 */
const SPAN = 4;

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
    return this.#spans.length === 0 ? 0 : this.#spans[this.#spans.length - 1] - this.#spans[0];
  }

  /** Adds the member that the scanner found last. */
  add(scanner: JsonScanner): void {
    const problem = textProblem(scanner, this.#schema);
    if (problem !== undefined) this.#problems.set(this.#spans.length, problem);
    this.#spans.push(scanner.nameStart, scanner.nameEnd, scanner.valueStart, scanner.valueEnd);
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
      const nameIsWrong = nameProblem(name) ?? (isNew ? undefined : "is given twice");
      if (nameIsWrong !== undefined) this.#refuse(name, nameIsWrong);
      else if (this.#canonical.rowEnd(this.#content, valueStart) === valueEnd) {
        this.#rows.push(new SentRow(name, this.#content, valueStart, valueEnd, false));
      } else {
        yield* this.#read(name, this.#content.subarray(valueStart, valueEnd), this.#problems.get(at));
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
    const first = `${this.#refused} are invalid, the first one ${JSON.stringify(field)}`;
    throw new HttpError(422, `No row was created: ${first}: it ${detail}`, { errors: this.#errors });
  }

  *#read(name: string, sent: Uint8Array, textProblem: string | undefined): Generator<number, void> {
    if (textProblem !== undefined) return this.#refuse(name, textProblem);
    if (sent[0] !== OPEN_BRACE) return this.#refuse(name, "must be an object with the row's fields");
    try {
      const value = yield* storedText(sent);
      const [problem] = schemaProblems(value, this.#schema);
      if (problem !== undefined) return this.#refuse(name, wrongField(problem));
      this.#rows.push(rowOf(name, value, this.#maxRowBytes));
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      // A member that is given twice is one more problem of the rows; a row that is too long is not.
      if (error.errors !== undefined) this.#refuse(name, wrongField(error.errors[0]));
      else this.#tooLong ??= error;
    }
  }

  #refuse(field: string, detail: string): void {
    this.#refused++;
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
