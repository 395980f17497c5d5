/**
 * Reads one row from JSON text, within the limits on what can be read and stored.
 *
 * @module
 */

import { isUtf8 } from "node:buffer";
import { type FieldProblem, HttpError } from "../http_message.ts";
import { type BadNumber, JsonScanner } from "../json.ts";
import { JSON_PIECE_BYTES, MAX_JSON_DEPTH, MAX_PROBLEM_ERRORS, MAX_ROW_FIELDS, MAX_ROW_MEMBERS } from "../limits.ts";
import { unfit } from "./row_content.ts";
import type { RowSchema } from "./row_schema.ts";
import { storedText } from "./stored_text.ts";

const UTF8 = new TextDecoder("utf-8", { ignoreBOM: true });

const OPEN_BRACE = 0x7b;
/** The byte order mark, which a parser may ignore instead of treating it as an error (RFC 8259 §8.1). */
const MARK = [0xef, 0xbb, 0xbf];

/**
 * Reads the row in the content, bare or wrapped under its name. Returns its value as it is stored.
 *
 * @param name The row's name; without one, the row is bare.
 * @throws {HttpError} 400 if the content is not JSON in UTF-8; 422 if it is not an object, has a member twice, or
 * exceeds the limits on members, nesting or numbers.
 */
export function* readRow(
  content: Uint8Array,
  name: string | undefined,
  schema: RowSchema,
): Generator<number, Uint8Array> {
  const scanner = scannerOf(content);
  const start = scanner.at;
  const survey = new Survey(content, scanner);
  yield* survey.steps();
  if (!scanner.isObject) throw notObject(content.subarray(start));
  const isWrapped = name !== undefined && survey.hasOneMember && content[scanner.valueStart] === OPEN_BRACE &&
    isRow(JSON.parse(UTF8.decode(content.subarray(scanner.nameStart, scanner.nameEnd))), name, schema);
  survey.check(isWrapped);
  const detail = tooManyFor(schema, survey.members);
  if (detail !== undefined) throw unfit([{ field: "*", detail }]);
  const value = isWrapped ? content.subarray(scanner.valueStart, scanner.valueEnd) : content.subarray(start);
  return yield* storedText(value);
}

/**
 * Whether the only member of the content is the row with this name, and no field of the row.
 *
 * @throws {HttpError} 422 if it is another row.
 */
function isRow(member: string, name: string, schema: RowSchema): boolean {
  if (member === name) return true;
  if (schema.fields === undefined || schema.has(member)) return false;
  throw new HttpError(
    422,
    `The content has a row named ${JSON.stringify(member)}, but the target names ${JSON.stringify(name)}`,
  );
}

/**
 * Checks a row's value after a patch against the limit on members.
 *
 * @throws {HttpError} 422
 */
export function* requireFewMembers(value: Uint8Array): Generator<number, void> {
  // A member or an element has at least two octets.
  if (value.length <= 2 * MAX_ROW_MEMBERS) return;
  const survey = new Survey(value, new JsonScanner(value));
  yield* survey.steps();
  survey.requireFewMembers(false);
}

/**
 * Checks a row's value, as it is stored, against the schema.
 *
 * @throws {HttpError} 422 with an entry of `errors` for each invalid field.
 */
export function requireSchema(value: Uint8Array, schema: RowSchema): void {
  const errors = schemaProblems(value, schema);
  if (errors.length > 0) throw unfit(errors);
}

/** Returns the problems of a value's fields, at most one for each. */
export function schemaProblems(value: Uint8Array, schema: RowSchema): readonly FieldProblem[] {
  return schema.fields === undefined ? [] : schema.check(JSON.parse(UTF8.decode(value)));
}

/** Scans one row's content. */
class Survey {
  readonly #content: Uint8Array;
  readonly #scanner: JsonScanner;
  /** The members of the outermost object, and those nested in them. */
  #outer = 0;
  #inner = 0;
  #depth = 1;
  #badNumber: BadNumber | undefined;

  constructor(content: Uint8Array, scanner: JsonScanner) {
    this.#content = content;
    this.#scanner = scanner;
  }

  /** Whether the outermost object has exactly one member. */
  get hasOneMember(): boolean {
    return this.#outer === 1;
  }

  /** Members and elements of the outermost object, those nested in them included. */
  get members(): number {
    return this.#outer + this.#inner;
  }

  /**
   * Scans to the end.
   *
   * @throws {HttpError} 400 if the text is not JSON.
   */
  *steps(): Generator<number, void> {
    const scanner = this.#scanner;
    for (let limit = JSON_PIECE_BYTES;;) {
      const scanned = scanner.next(limit);
      if (scanned === "end") return;
      if (scanned === "error") throw notJson(this.#content, scanner.at);
      if (scanned === "member") {
        this.#outer++;
        this.#inner += scanner.members;
        this.#depth = Math.max(this.#depth, scanner.depth);
        this.#badNumber ??= scanner.badNumber;
      } else {
        yield JSON_PIECE_BYTES;
        limit = scanner.at + JSON_PIECE_BYTES;
      }
    }
  }

  /** Refuses a row that cannot be stored as it was sent. */
  check(wrapped: boolean): void {
    this.requireFewMembers(wrapped);
    if (this.#depth - Number(wrapped) > MAX_JSON_DEPTH) throw unfit([{ field: "*", detail: tooDeep() }]);
    if (this.#badNumber === undefined) return;
    const { path, problem } = this.#badNumber;
    throw unfit([{ field: JSON.parse(path[wrapped ? 1 : 0] ?? path[0]), detail: problem }], "RFC 8259 §6");
  }

  /** Refuses a row with too many members and elements. */
  requireFewMembers(wrapped: boolean): void {
    const members = wrapped ? this.#inner : this.members;
    if (members > MAX_ROW_MEMBERS) throw unfit([{ field: "*", detail: tooMany(members) }]);
  }
}

/** Returns the problem of a row with too many members and elements. */
export function tooMany(members: number): string {
  return `has at most ${MAX_ROW_MEMBERS} members and elements, saw ${members}`;
}

/**
 * Returns the problem of a row with more members and elements than are worth listing: JSON.parse would block other
 * clients on tens of thousands of names.
 */
export function tooManyFor(schema: RowSchema, members: number): string | undefined {
  if (schema.fields === undefined || members <= MAX_ROW_FIELDS + MAX_PROBLEM_ERRORS) return undefined;
  return `has the fields ${schema}, saw ${members} members and elements`;
}

/** Returns the problem of a row nested too deeply. */
export function tooDeep(): string {
  return `has objects or arrays more than ${MAX_JSON_DEPTH} deep`;
}

/**
 * Returns a scanner at the start of the content's JSON text.
 *
 * @throws {HttpError} 400 if the content is not UTF-8.
 */
export function scannerOf(content: Uint8Array): JsonScanner {
  if (!isUtf8(content)) throw new HttpError(400, "The content is not UTF-8", { rule: "RFC 8259 §8.1" });
  const scanner = new JsonScanner(content);
  if (MARK.every((octet, i) => content[i] === octet)) scanner.at = MARK.length;
  return scanner;
}

/**
 * Creates the error for content that is not JSON from this octet on: with the parser's own message if it is short. On
 * long content the parser would block other clients.
 *
 * @param what What it is, as a sentence begins.
 */
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

/**
 * Creates the error for JSON text that is not an object. Only its start is looked at.
 *
 * @param expected What is expected, as a sentence.
 */
export function notObject(text: Uint8Array, expected = "The content must be a JSON object"): HttpError {
  const first = text.findIndex((octet) => octet > 0x20);
  const start = UTF8.decode(text.subarray(first, first + 160)).slice(0, 40).trimEnd();
  return new HttpError(422, `${expected}, saw ${start.startsWith("[") ? "an array" : start}`);
}
