/**
 * The content of a bulk POST: one JSON object with many rows as its members, read row by row.
 *
 * @module
 */

import { type FieldProblem, HttpError } from "../http_message.ts";
import { JSON_PIECE_BYTES, MAX_JSON_DEPTH, MAX_PROBLEM_ERRORS, MAX_ROW_MEMBERS } from "../limits.ts";
import type { NewRow } from "../store.ts";
import { CanonicalRows, SentRow } from "./canonical_row.ts";
import { JsonScanner } from "./json_scan.ts";
import { NameSet } from "./name_set.ts";
import type { Pacer } from "./pacer.ts";
import { nameProblem } from "./row_content.ts";
import { isObject, type RowSchema } from "./row_schema.ts";
import { decode, notJson, parseObject, requireUtf8, tooDeep, tooMany } from "./row_text.ts";

const UTF8 = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Reads the rows in the content, in turns with other clients.
 *
 * Rows are decoded by the piece, a piece ending with a row, and parsed one by one.
 *
 * @throws {HttpError} 400 if the content is not JSON in UTF-8; else 422 if it is not an object, or if rows are not fit
 * for the table, with the first ones' problems.
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
  if (!scanner.isObject) parseObject(decode(content));
  return reader.rows();
}

/** The parser's own words for short content; for long content they take a second parse that nobody may wait for. */
function syntaxError(content: Uint8Array, octet: number): HttpError {
  if (content.length <= JSON_PIECE_BYTES) parseObject(decode(content));
  return notJson(octet);
}

/** Numbers for each row in {@linkcode RowsReader}'s list: where its name and its value start and end, in octets. */
const SPAN = 4;

/** Makes rows of their places in the content. */
class RowsReader {
  readonly #content: Uint8Array;
  readonly #schema: RowSchema;
  readonly #canonical: CanonicalRows;
  readonly #rows: NewRow[] = [];
  readonly #names = new NameSet();
  readonly #errors: FieldProblem[] = [];
  #refused = 0;
  /** The rows of the current piece, {@linkcode SPAN} numbers each. */
  #spans: number[] = [];
  /** Why rows of the current piece cannot be kept, as far as their text tells, by their place among its rows. */
  #problems = new Map<number, string>();

  constructor(content: Uint8Array, schema: RowSchema) {
    this.#content = content;
    this.#schema = schema;
    this.#canonical = new CanonicalRows(schema);
  }

  /** Octets from the current piece's first row to its last one's end. */
  get waiting(): number {
    return this.#spans.length === 0 ? 0 : this.#spans[this.#spans.length - 1] - this.#spans[0];
  }

  /** Adds the member that was scanned last. */
  add(scanner: JsonScanner): void {
    const problem = textProblem(scanner);
    if (problem !== undefined) this.#problems.set(this.#spans.length, problem);
    this.#spans.push(scanner.nameStart, scanner.nameEnd, scanner.valueStart, scanner.valueEnd);
  }

  /** Reads the rows of the current piece, and begins another. */
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

  /** All rows. */
  rows(): NewRow[] {
    if (this.#refused === 0) return this.#rows;
    const [{ field, detail }] = this.#errors;
    const first = `${this.#refused} of them cannot be, the first one ${JSON.stringify(field)}`;
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

/** Why the row that was scanned last cannot be kept. */
function textProblem({ members, depth, badNumber }: JsonScanner): string | undefined {
  if (members > MAX_ROW_MEMBERS) return tooMany(members);
  // The outermost object is no row.
  if (depth - 1 > MAX_JSON_DEPTH) return tooDeep();
  // A number that is no field stands for a row, which is refused for that.
  const field = badNumber?.path[1];
  return field && `has a wrong field: ${JSON.parse(field)} ${badNumber!.problem}`;
}

/** For octets in ascending order, where they are in the text, in UTF-16 code units. */
function placesIn(octets: Uint8Array, start: number): (octet: number) => number {
  let at = 0;
  let place = 0;
  return (octet) => {
    for (; at < octet - start; at++) {
      const byte = octets[at];
      // Octets that continue a character add nothing; a character of four octets is two code units.
      if ((byte & 0xc0) !== 0x80) place += byte >= 0xf0 ? 2 : 1;
    }
    return place;
  };
}
