/**
 * The content of a bulk POST: one JSON object with rows as members, read row by row.
 *
 * @module
 */

import { type FieldProblem, HttpError } from "../http_message.ts";
import { JSON_PIECE_BYTES, MAX_JSON_DEPTH, MAX_PROBLEM_ERRORS, MAX_ROW_MEMBERS } from "../limits.ts";
import type { NewRow } from "../store.ts";
import { CanonicalRows, SentRow } from "./canonical_row.ts";
import { isObject, JsonScanner } from "../json.ts";
import { NameSet } from "./name_set.ts";
import type { Pacer } from "./pacer.ts";
import { nameProblem } from "./row_content.ts";
import type { RowSchema } from "./row_schema.ts";
import { decode, notJson, notObject, parseObject, requireUtf8, tooDeep, tooMany } from "./row_text.ts";

const UTF8 = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Reads the rows in the content, and yields to other clients in between.
 *
 * Content is decoded in pieces that end with a row, and each row is parsed by itself.
 *
 * @throws {HttpError} 400 if the content is not JSON in UTF-8; 422 if it is not an object or if rows do not fit the
 * table, with the first problems.
 */
export async function readRows(content: Uint8Array, schema: RowSchema, pacer: Pacer): Promise<NewRow[]> {
  requireUtf8(content);
  const scanner = new JsonScanner(content);
  const reader = new RowsReader(content, schema);
  for (;;) {
    const scanned = scanner.next(scanner.at + JSON_PIECE_BYTES);
    if (scanned === "member") reader.add(scanner);
    else if (scanned === "error") throw syntaxError(content, scanner.at);
    else {
      reader.flush();
      await pacer.after(JSON_PIECE_BYTES);
      if (scanned === "end") break;
    }
    if (reader.waiting >= JSON_PIECE_BYTES) {
      await pacer.after(reader.waiting);
      reader.flush();
    }
  }
  if (!scanner.isObject) throw notObject(UTF8.decode(content.subarray(0, JSON_PIECE_BYTES)));
  return reader.rows();
}

/** Returns the parser's own message for short content. For long content, parsing again would block other clients. */
function syntaxError(content: Uint8Array, octet: number): HttpError {
  if (content.length <= JSON_PIECE_BYTES) parseObject(decode(content));
  return notJson(octet);
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
  readonly #canonical: CanonicalRows;
  readonly #rows: NewRow[] = [];
  readonly #names = new NameSet();
  readonly #errors: FieldProblem[] = [];
  #refused = 0;
  /** The rows of the current piece, {@linkcode SPAN} numbers for each. */
  #spans: number[] = [];
  /** Problems in the text of rows in the current piece, by their index in `#spans`. */
  #problems = new Map<number, string>();

  constructor(content: Uint8Array, schema: RowSchema) {
    this.#content = content;
    this.#schema = schema;
    this.#canonical = new CanonicalRows(schema);
  }

  /** Octets from the start of the current piece's first row to the end of its last. */
  get waiting(): number {
    return this.#spans.length === 0 ? 0 : this.#spans[this.#spans.length - 1] - this.#spans[0];
  }

  /** Adds the member that the scanner found last. */
  add(scanner: JsonScanner): void {
    const problem = textProblem(scanner);
    if (problem !== undefined) this.#problems.set(this.#spans.length, problem);
    this.#spans.push(scanner.nameStart, scanner.nameEnd, scanner.valueStart, scanner.valueEnd);
  }

  /** Reads the rows of the current piece, and starts the next piece. */
  flush(): void {
    const spans = this.#spans;
    if (spans.length === 0) return;
    const start = spans[0];
    const octets = this.#content.subarray(start, spans[spans.length - 1]);
    const text = UTF8.decode(octets);
    const place = text.length === octets.length ? (octet: number) => octet - start : placesIn(octets, start);
    for (let at = 0; at < spans.length; at += SPAN) {
      const quoted = text.slice(place(spans[at]), place(spans[at + 1]));
      const name = quoted.includes("\\") ? JSON.parse(quoted) : quoted.slice(1, -1);
      const valueStart = spans[at + 2];
      const valueEnd = spans[at + 3];
      const nameIsWrong = nameProblem(name) ?? (this.#names.add(name) ? undefined : "is given twice");
      if (nameIsWrong !== undefined) this.#refuse(name, nameIsWrong);
      else if (this.#canonical.rowEnd(this.#content, valueStart) === valueEnd) {
        this.#rows.push(new SentRow(name, this.#content, valueStart, valueEnd, false));
      } else {
        const value = text.slice(place(valueStart), place(valueEnd));
        this.#read(name, value, this.#problems.get(at));
      }
    }
    this.#spans = [];
    this.#problems.clear();
  }

  /** Returns all rows. */
  rows(): NewRow[] {
    if (this.#refused === 0) return this.#rows;
    const [{ field, detail }] = this.#errors;
    const first = `${this.#refused} are invalid, the first one ${JSON.stringify(field)}`;
    throw new HttpError(422, `No row was created: ${first}: it ${detail}`, { errors: this.#errors });
  }

  #read(name: string, text: string, textProblem: string | undefined): void {
    if (textProblem !== undefined) return this.#refuse(name, textProblem);
    const value: unknown = JSON.parse(text);
    const problem = this.#schemaProblem(value);
    if (problem !== undefined) return this.#refuse(name, problem);
    this.#rows.push({ name, json: JSON.stringify(value) });
  }

  #schemaProblem(value: unknown): string | undefined {
    if (!isObject(value)) return "must be an object with the row's fields";
    const [first] = this.#schema.check(value);
    return first && `has a wrong field: ${first.field} ${first.detail}`;
  }

  #refuse(field: string, detail: string): void {
    this.#refused++;
    if (this.#errors.length < MAX_PROBLEM_ERRORS) this.#errors.push({ field, detail });
  }
}

/** Returns the problem of the row that was scanned last. */
function textProblem({ members, depth, badNumber }: JsonScanner): string | undefined {
  if (members > MAX_ROW_MEMBERS) return tooMany(members);
  // The outermost object is not part of the row.
  if (depth - 1 > MAX_JSON_DEPTH) return tooDeep();
  // A number at the outer level is not a row: that problem is reported when the row is read.
  const field = badNumber?.path[1];
  return field && `has a wrong field: ${JSON.parse(field)} ${badNumber!.problem}`;
}

/** Maps octets, in ascending order, to positions in the text in UTF-16 code units. */
function placesIn(octets: Uint8Array, start: number): (octet: number) => number {
  let at = 0;
  let place = 0;
  return (octet) => {
    for (; at < octet - start; at++) {
      const byte = octets[at];
      // Continuation octets add nothing; a character of four octets has two code units.
      if ((byte & 0xc0) !== 0x80) place += byte >= 0xf0 ? 2 : 1;
    }
    return place;
  };
}
