/**
 * The table's responses: what happened to a row, as status, fields and content.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { byteLength } from "../bytes.ts";
import { type FieldLine, HttpError, type HttpResponse, type RequestHead } from "../http_message.ts";
import { MAX_ROW_FIELDS_LINE_BYTES } from "../limits.ts";
import { type Row, StoreError, type StoreFault, type Written } from "../store.ts";
import { entityTag, preconditionsHold, readPreconditions } from "./preconditions.ts";
import { rowPath } from "./row_content.ts";
import type { RowSchema } from "./row_schema.ts";

/** The methods of RFC 9110 §9.3, and PATCH (RFC 5789); any other is answered with 501 (RFC 9110 §9.1). */
const KNOWN_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];
const JSON_TYPE = "application/json";

/** The responses to the faults of a store; what is not here is 503 (RFC 9110 §15.6.4). */
const FAULT_STATUS: { readonly [fault in StoreFault]?: number } = {
  "too-large": 413,
  full: 507, // RFC 4918 §11.5
  damaged: 500,
};

/** Throws the response to an error of the store. */
export function refuseStoreError(error: unknown): never {
  if (!(error instanceof StoreError)) throw error;
  const { message, maxRows, fault } = error;
  const status = FAULT_STATUS[fault] ?? 503;
  throw new HttpError(status, message, { maxRows, fields: status === 503 ? [["Retry-After", "1"]] : [] });
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

/** Returns the response to GET or HEAD of a row, or throws 404 or 412. */
export function rowResponse(request: RequestHead, name: string, row: Row | undefined): HttpResponse {
  if (row === undefined) throw noSuchRow(name);
  const preconditions = readPreconditions(request.fields);
  if (preconditions !== undefined && !preconditionsHold(preconditions, request.method, row.version)) {
    return response(304, row.version);
  }
  return response(200, row.version, row.content);
}

/**
 * Returns the response to a write, with the row as it is now.
 *
 * @param put The content of a PUT: the response has a validator only if the content was stored unchanged; otherwise the
 * client would take what it sent for the row (RFC 9110 §9.3.4).
 */
export function writtenResponse({ row, created }: Written, put?: Uint8Array): HttpResponse {
  const etag = put === undefined || isSame(put, row.content) ? row.version : undefined;
  if (!created) return response(200, etag, row.content);
  const fields: FieldLine[] = [["Location", rowPath(row.name)]];
  if (etag !== undefined) fields.push(["ETag", entityTag(etag)]);
  return response(201, undefined, row.content, fields);
}

/** Returns the response to a row that was to be created: 409 if its name is taken. */
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

/** Returns the response to a DELETE. */
export function removedResponse(name: string, removed: boolean): HttpResponse {
  if (!removed) throw noSuchRow(name);
  return response(204);
}

function isSame(octets: Uint8Array, content: string | Uint8Array): boolean {
  if (octets === content) return true;
  if (octets.length !== byteLength(content)) return false;
  return Buffer.compare(octets, typeof content === "string" ? Buffer.from(content) : content) === 0;
}

/** Creates the error for a row that does not exist. */
export function noSuchRow(name: string): HttpError {
  return new HttpError(404, `No row is named ${JSON.stringify(name)}`);
}

/** Returns the response to OPTIONS (RFC 9110 §9.3.7). */
export function allow(methods: readonly string[], hints: readonly FieldLine[] = []): HttpResponse {
  return response(204, undefined, undefined, [["Allow", methods.join(", ")], ...hints]);
}

/**
 * Returns the field of OPTIONS responses that names the fields of rows, as in `--fields`: other than ASCII is
 * percent-encoded, and so is the percent sign. There is none for a long list.
 */
export function rowFieldsLine(schema: RowSchema): FieldLine[] {
  const value = schema.toString().toWellFormed().replace(/[^ -$&-~]+/g, encodeURIComponent);
  return value.length > MAX_ROW_FIELDS_LINE_BYTES ? [] : [["Row-Fields", value]];
}

/** Throws 405 with the methods that are allowed, or 501 for one that is not known. */
export function refuseMethod(method: string, target: string, allowed: readonly string[]): never {
  const fields: FieldLine[] = [["Allow", allowed.join(", ")]];
  if (KNOWN_METHODS.includes(method)) {
    throw new HttpError(405, `${method} is not allowed on ${target}: use ${allowed.join(", ")}`, {
      rule: "RFC 9110 §15.5.6",
      fields,
    });
  }
  throw new HttpError(501, `The method ${method} is not known`, { rule: "RFC 9110 §9.1", fields });
}
