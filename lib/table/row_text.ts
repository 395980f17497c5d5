/**
 * Parses one row from JSON text, within the limits on what can be read and stored.
 *
 * @module
 */

import { isUtf8 } from "node:buffer";
import { HttpError } from "../http_message.ts";
import { JSON_PIECE_BYTES, MAX_JSON_DEPTH, MAX_ROW_MEMBERS } from "../limits.ts";
import type { Awaitable } from "../store.ts";
import { type BadNumber, isObject, type JsonObject, JsonScanner } from "../json.ts";
import type { Pacer } from "./pacer.ts";
import { unfit, unwrapRow } from "./row_content.ts";
import type { RowSchema } from "./row_schema.ts";

/** A byte order mark is not allowed in JSON texts (RFC 8259 §8.1), so it is not ignored. */
const UTF8 = new TextDecoder("utf-8", { ignoreBOM: true });
const STRICT_UTF8 = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

/**
 * Reads the row in the content, bare or wrapped under its name. Content larger than {@linkcode JSON_PIECE_BYTES} is
 * scanned in pieces.
 *
 * @throws {HttpError} 400 if the content is not JSON in UTF-8; 422 if it is not an object, or exceeds the limits on
 * members, nesting or numbers.
 */
export function readRow(content: Uint8Array, name: string, schema: RowSchema, pacer: Pacer): Awaitable<JsonObject> {
  if (content.length > JSON_PIECE_BYTES) return readLongRow(content, name, schema, pacer);
  const object = parseObject(decode(content));
  const survey = new Survey(new JsonScanner(content));
  survey.scan(content.length);
  return keepable(object, survey, name, schema);
}

async function readLongRow(
  content: Uint8Array,
  name: string,
  schema: RowSchema,
  pacer: Pacer,
): Promise<JsonObject> {
  requireUtf8(content);
  const scanner = new JsonScanner(content);
  const survey = new Survey(scanner);
  while (survey.scan(scanner.at + JSON_PIECE_BYTES)) await pacer.after(JSON_PIECE_BYTES);
  // An object with millions of members must not reach JSON.parse.
  if (survey.membersAtLeast > MAX_ROW_MEMBERS) throw tooManyMembers(survey.membersAtLeast);
  await pacer.after(content.length);
  return keepable(parseObject(UTF8.decode(content)), survey, name, schema);
}

/** Scans one row's content. */
class Survey {
  readonly #scanner: JsonScanner;
  /** The members of the outermost object, and those nested in them. */
  #outer = 0;
  #inner = 0;
  #depth = 1;
  #badNumber: BadNumber | undefined;

  constructor(scanner: JsonScanner) {
    this.#scanner = scanner;
  }

  /** How many members and elements the row has at least, wrapped or bare. */
  get membersAtLeast(): number {
    return this.#outer > 1 ? this.#outer + this.#inner : this.#inner;
  }

  /**
   * Continues the scan up to the limit. Returns false at the end.
   *
   * @throws {HttpError} 400 if the text is not JSON.
   */
  scan(limit: number): boolean {
    for (;;) {
      const scanned = this.#scanner.next(limit);
      if (scanned === "error") throw notJson(this.#scanner.at);
      if (scanned !== "member") return scanned === "more";
      this.#outer++;
      this.#inner += this.#scanner.members;
      this.#depth = Math.max(this.#depth, this.#scanner.depth);
      this.#badNumber ??= this.#scanner.badNumber;
    }
  }

  /** Refuses a row that cannot be stored as it was sent. */
  check(wrapped: boolean): void {
    const members = wrapped ? this.#inner : this.#outer + this.#inner;
    if (members > MAX_ROW_MEMBERS) throw tooManyMembers(members);
    if (this.#depth - Number(wrapped) > MAX_JSON_DEPTH) throw unfit([{ field: "*", detail: tooDeep() }]);
    if (this.#badNumber === undefined) return;
    const { path, problem } = this.#badNumber;
    throw unfit([{ field: JSON.parse(path[wrapped ? 1 : 0] ?? path[0]), detail: problem }], "RFC 8259 §6");
  }
}

function keepable(object: JsonObject, survey: Survey, name: string, schema: RowSchema): JsonObject {
  const row = unwrapRow(object, name, schema);
  survey.check(row !== object);
  return row;
}

/**
 * Refuses a row that exceeds the limits after a patch.
 *
 * @param json The row, serialized.
 * @throws {HttpError} 422
 */
export function requireFewMembers(row: JsonObject, json: string): void {
  // A member or an element has at least two characters.
  if (json.length <= 2 * MAX_ROW_MEMBERS) return;
  const members = countMembers(row);
  if (members > MAX_ROW_MEMBERS) throw tooManyMembers(members);
}

function countMembers(value: object): number {
  const members = Object.values(value);
  return members.reduce<number>(
    (sum, member) => typeof member === "object" && member !== null ? sum + countMembers(member) : sum,
    members.length,
  );
}

function tooManyMembers(members: number): HttpError {
  return unfit([{ field: "*", detail: tooMany(members) }]);
}

/** Returns the problem of a row with too many members and elements. */
export function tooMany(members: number): string {
  return `has at most ${MAX_ROW_MEMBERS} members and elements, saw ${members}`;
}

/** Returns the problem of a row nested too deeply. */
export function tooDeep(): string {
  return `has objects or arrays more than ${MAX_JSON_DEPTH} deep`;
}

/** Creates the error for content that is not JSON from this octet on. */
export function notJson(octet: number): HttpError {
  return new HttpError(400, `The content is not JSON: unexpected octet or end at ${octet}`, { rule: "RFC 8259 §2" });
}

/**
 * Refuses content that is not UTF-8.
 *
 * @throws {HttpError} 400
 */
export function requireUtf8(content: Uint8Array): void {
  if (!isUtf8(content)) throw notUtf8();
}

function notUtf8(): HttpError {
  return new HttpError(400, "The content is not UTF-8", { rule: "RFC 8259 §8.1" });
}

/**
 * Decodes the content.
 *
 * @throws {HttpError} 400 if it is not UTF-8.
 */
export function decode(content: Uint8Array): string {
  try {
    return STRICT_UTF8.decode(content);
  } catch {
    throw notUtf8();
  }
}

/**
 * Parses the text as a JSON object.
 *
 * @throws {HttpError} 400 if it is not JSON; 422 if it is not an object.
 */
export function parseObject(text: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const detail = text === ""
      ? "The content is empty: expected a JSON object"
      : `The content is not JSON: ${(error as Error).message}`;
    throw new HttpError(400, detail, { rule: "RFC 8259 §2" });
  }
  if (isObject(value)) return value;
  throw notObject(text);
}

/** Creates the error for JSON text that is not an object. Only its start is looked at. */
export function notObject(text: string): HttpError {
  const start = text.trimStart().slice(0, 40).trimEnd();
  return new HttpError(422, `The content must be a JSON object, saw ${start.startsWith("[") ? "an array" : start}`);
}
