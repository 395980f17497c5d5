/**
 * What HTTP says of the table and its rows: names in targets, media types, preconditions, and responses.
 *
 * Preconditions are If-Match and If-None-Match over entity tags (RFC 9110 §13). Rows have no modification dates, so
 * If-Modified-Since and If-Unmodified-Since are ignored, as §13.1.3 and §13.1.4 require; If-Range is ignored because
 * ranges are not supported (§13.1.5).
 */

import { Buffer } from "node:buffer";
import { byteLength } from "../bytes.ts";
import {
  type FieldLine,
  type FieldProblem,
  type Fields,
  HttpError,
  type HttpResponse,
  percentDecoded,
  type RequestHead,
  RETRY_SOON,
} from "../http_message.ts";
import { MAX_ENTITY_TAGS, MAX_NAME_BYTES, MAX_ROW_FIELDS_LINE_BYTES } from "../limits.ts";
import { maskTarget } from "../masking.ts";
import { type Row, StoreError, type StoreFault, type Written } from "../store.ts";
import type { RowSchema } from "./row_schema.ts";

export const JSON_TYPE = "application/json";
/** One JSON object a line, in the listing's order, which an object loses for names that are whole numbers. */
export const LINES_TYPE = "application/x-ndjson";

const SLASH = 0x2f;
/** The methods of RFC 9110 §9.3, and PATCH (RFC 5789); any other is answered with 501 (RFC 9110 §9.1). */
const KNOWN_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];
/** The responses to the faults of a store; what is not here is 503 (RFC 9110 §15.6.4). */
const FAULT_STATUS: { readonly [fault in StoreFault]?: number } = {
  "too-large": 413,
  full: 507, // RFC 4918 §11.5
  damaged: 500,
};

/** Returns the row's name in a path: percent-decoded UTF-8 after the first slash. Throws a 400 or 404. */
export function rowName(path: string): string {
  if (path.indexOf("/", 1) > 0) {
    throw new HttpError(404, `Nothing is at ${maskTarget(path)}: a row is at /NAME, and a name has no /`);
  }
  // Without a percent sign, a valid path is visible ASCII: it needs no decoding, and only its length can be wrong.
  const isEncoded = path.includes("%");
  const name = isEncoded ? percentDecoded(path.slice(1)) : path.slice(1);
  if (name === undefined) {
    const saw = JSON.stringify(path.slice(1));
    throw new HttpError(400, `The row's name must be percent-encoded UTF-8, saw ${saw}`, { rule: "RFC 3986 §2.5" });
  }
  if (!isEncoded && name.length <= MAX_NAME_BYTES && name[0] !== ".") return name;
  const problem = nameProblem(name);
  if (problem !== undefined) throw new HttpError(400, `The row's name ${problem}`);
  return name;
}

/** Returns why a row cannot have this name; `undefined` if it can. */
export function nameProblem(name: string): string | undefined {
  if (name === "") return "must not be empty";
  if (name === "." || name === "..") return `must not be ${name}, which stands for another place in a path`;
  // A UTF-16 code unit has at most three octets in UTF-8, so most names need not be counted.
  const octets = name.length * 3 > MAX_NAME_BYTES ? byteLength(name) : 0;
  if (octets > MAX_NAME_BYTES) return `has at most ${MAX_NAME_BYTES} octets of UTF-8, saw ${octets}`;
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code < 0x20 || code >= 0x7f && code < 0xa0) return "must not contain control characters";
    if (code === SLASH) return "must not contain a /";
  }
  if (!name.isWellFormed()) return "must be well-formed Unicode, saw half of a surrogate pair";
}

export function rowPath(name: string): string {
  return `/${encodeURIComponent(name)}`;
}

export function mediaType(fields: Fields): string | undefined {
  return fields.get("content-type")?.split(";", 1)[0].trimEnd().toLowerCase();
}

/**
 * Requires content of one of these media types that is the complete, uncoded representation (RFC 9110 §8.4, §14.5). A
 * form on another site cannot send JSON without a CORS preflight, so this also protects against cross-site requests.
 * A 415 has the hints, too.
 */
export function requireContent(fields: Fields, allowed: readonly string[], hints: readonly FieldLine[] = []): void {
  const sent = fields.get("content-type");
  if (sent !== allowed[0] && !allowed.includes(mediaType(fields) ?? "")) {
    const seen = sent === undefined ? "no Content-Type" : JSON.stringify(sent);
    throw refused(`The content must be ${allowed.join(" or ")}, saw ${seen}`, ["Accept", allowed.join(", ")], hints);
  }
  const coding = fields.get("content-encoding");
  if (coding !== undefined && coding.toLowerCase() !== "identity") {
    throw refused(
      `The content must not be coded, saw ${JSON.stringify(coding)}`,
      ["Accept-Encoding", "identity"],
      hints,
    );
  }
  if (fields.get("content-range") !== undefined) {
    throw new HttpError(400, "The content must be the whole row: Content-Range is not supported", {
      rule: "RFC 9110 §14.5",
    });
  }
}

function refused(detail: string, wanted: FieldLine, hints: readonly FieldLine[]): HttpError {
  return new HttpError(415, detail, { rule: "RFC 9110 §15.5.16", fields: [wanted, ...hints] });
}

export function unfit(errors: readonly FieldProblem[], rule?: string): HttpError {
  const [{ field, detail }] = errors;
  const more = errors.length > 1 ? `, and ${errors.length - 1} more (see errors)` : "";
  return new HttpError(422, `The row does not fit the table: ${field} ${detail}${more}`, { errors, rule });
}

/** Returns the strong entity tag of a version (RFC 9110 §8.8.3); each form has tags of its own (§8.8.3.3). */
export function entityTag(version: number, form = ""): string {
  return `"${version}${form}"`;
}

/** Whether a request has preconditions that the table evaluates. */
export function hasPreconditions(fields: Fields): boolean {
  return fields.get("if-match") !== undefined || fields.get("if-none-match") !== undefined;
}

/**
 * Evaluates a request's preconditions on a version, or on what does not exist, in the order of RFC 9110 §13.2.2: throws a
 * 412 if one is false; returns `false` if the response is 304.
 */
export function preconditionsHold(
  { fields, method }: Pick<RequestHead, "fields" | "method">,
  version: number | undefined,
  form?: string,
): boolean {
  const ifMatch = fields.get("if-match");
  const ifNoneMatch = fields.get("if-none-match");
  if (ifMatch === undefined && ifNoneMatch === undefined) return true;
  const tag = version === undefined ? undefined : entityTag(version, form);
  if (ifMatch !== undefined && !matches(ifMatch, "If-Match", tag, true)) {
    const is = tag === undefined ? "nothing exists" : `the tag is ${tag}`;
    throw new HttpError(412, `If-Match asks for ${ifMatch}, but ${is}`, { rule: "RFC 9110 §13.1.1" });
  }
  if (ifNoneMatch === undefined || !matches(ifNoneMatch, "If-None-Match", tag, false)) return true;
  if (method === "GET" || method === "HEAD") return false;
  const wanted = ifNoneMatch === "*" ? "asks that nothing exists" : `asks for a tag other than ${ifNoneMatch}`;
  const detail = `If-None-Match ${wanted}, but the tag is ${tag}`;
  throw new HttpError(412, detail, { rule: "RFC 9110 §13.1.2" });
}

/**
 * Whether a list of entity tags, or `*`, matches the current tag: with the strong comparison, in which weak tags never
 * match, or with the weak one, in which they are equal to strong ones (RFC 9110 §8.8.3.2).
 *
 * The list is `#entity-tag`, with `entity-tag = [ %s"W/" ] DQUOTE *etagc DQUOTE` (§8.8.3). A tag may contain commas.
 */
function matches(value: string, name: string, current: string | undefined, strong: boolean): boolean {
  if (value === "*") return current !== undefined;
  const member = /[ \t]*(?:(W\/)?("[\x21\x23-\x7e\x80-\xff]*")[ \t]*)?(?:,|$)/y;
  let count = 0;
  let isMatch = false;
  while (member.lastIndex < value.length) {
    const at = member.lastIndex;
    const found = member.exec(value);
    if (found === null) throw notTags(name, `such as "1", but saw ${value.slice(at, at + 40)}`);
    const [, weak, tag] = found;
    if (tag !== undefined) count++;
    if (count > MAX_ENTITY_TAGS) {
      throw new HttpError(400, `${name} has at most ${MAX_ENTITY_TAGS} entity tags`, { rule: "RFC 9110 §13.1" });
    }
    isMatch ||= tag !== undefined && tag === current && !(strong && weak !== undefined);
  }
  if (count === 0) throw notTags(name, "saw none");
  return isMatch;
}

function notTags(name: string, seen: string): HttpError {
  return new HttpError(400, `${name} takes * or entity tags in double quotes, ${seen}`, { rule: "RFC 9110 §8.8.3" });
}

export function refuseStoreError(error: unknown): never {
  if (!(error instanceof StoreError)) throw error;
  const { message, maxRows, fault } = error;
  const status = FAULT_STATUS[fault] ?? 503;
  throw new HttpError(status, message, { maxRows, fields: status === 503 ? RETRY_SOON : [] });
}

/** Creates a response. All have the same object shape, so that the engine encodes them fast. */
export function response(
  status: number,
  etag?: number,
  content?: string | Uint8Array,
  fields?: readonly FieldLine[],
): HttpResponse {
  return { status, contentType: content === undefined ? undefined : JSON_TYPE, etag, fields, content };
}

export function rowResponse(request: RequestHead, name: string, row: Row | undefined): HttpResponse {
  if (row === undefined) throw noSuchRow(name);
  if (!preconditionsHold(request, row.version)) return response(304, row.version);
  return response(200, row.version, row.content);
}

/**
 * Returns the response to a write, with the row as it is now. To a PUT it has a validator only if the content was stored
 * unchanged; otherwise the client would take what it sent for the row (RFC 9110 §9.3.4).
 */
export function writtenResponse({ row, created }: Written, put?: Uint8Array): HttpResponse {
  const etag = put === undefined || isSame(put, row.content) ? row.version : undefined;
  if (!created) return response(200, etag, row.content);
  const fields: FieldLine[] = [["Location", rowPath(row.name)]];
  if (etag !== undefined) fields.push(["ETag", entityTag(etag)]);
  return response(201, undefined, row.content, fields);
}

function isSame(octets: Uint8Array, content: string | Uint8Array): boolean {
  return octets === content || octets.length === byteLength(content) &&
      Buffer.compare(octets, typeof content === "string" ? Buffer.from(content) : content) === 0;
}

/** Responds to a row that was to be created: 409 if its name is taken. */
export function createdResponse(name: string, written: Written | undefined): HttpResponse {
  if (written !== undefined) return writtenResponse(written);
  throw new HttpError(409, `A row named ${JSON.stringify(name)} already exists`);
}

/** Returns the response to rows that were to be created together: 409 if any of their names are taken. */
export function allCreatedResponse(count: number, taken: readonly string[]): HttpResponse {
  if (taken.length === 0) return response(201, undefined, `{"created":${count}}`);
  const first = JSON.stringify(taken[0]);
  throw new HttpError(409, `No row was created: ${taken.length} of the names are taken, the first one ${first}`, {
    errors: taken.map((field) => ({ field, detail: "already exists" })),
  });
}

export function noSuchRow(name: string): HttpError {
  return new HttpError(404, `No row is named ${JSON.stringify(name)}`);
}

export function allow(methods: readonly string[], hints: readonly FieldLine[]): HttpResponse {
  return response(204, undefined, undefined, [["Allow", methods.join(", ")], ...hints]);
}

/** The fields of rows as in `--fields`; other than ASCII, and `%`, percent-encoded. None for a long list. */
export function rowFieldsLine(schema: RowSchema): FieldLine[] {
  const value = schema.toString().toWellFormed().replace(/[^ -$&-~]+/g, encodeURIComponent);
  return value.length > MAX_ROW_FIELDS_LINE_BYTES ? [] : [["Row-Fields", value]];
}

/** Throws 405 with the methods that are allowed, or 501 for one that is not known. */
export function refuseMethod(method: string, target: string, allowed: readonly string[]): never {
  const methods = allowed.join(", ");
  const fields: FieldLine[] = [["Allow", methods]];
  if (!KNOWN_METHODS.includes(method)) {
    throw new HttpError(501, `The method ${method} is not known`, { rule: "RFC 9110 §9.1", fields });
  }
  const rule = "RFC 9110 §15.5.6";
  throw new HttpError(405, `${method} is not allowed on ${target}: use ${methods}`, { rule, fields });
}
