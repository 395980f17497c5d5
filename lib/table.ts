/**
 * The table over HTTP: which method on which target does what to the store, and how it is answered.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { byteLength } from "./bytes.ts";
import { entityTag, type Preconditions, preconditionsHold, readPreconditions } from "./table/preconditions.ts";
import { type FieldLine, type FieldProblem, HttpError, type HttpResponse, type RequestHead } from "./http_message.ts";
import { MAX_WRITE_ATTEMPTS } from "./limits.ts";
import {
  memberNames,
  mergePatch,
  nameProblem,
  parseObject,
  requireMediaType,
  requirePlainContent,
  requireSchema,
  rowName,
  rowPath,
  unwrapRow,
} from "./table/row_content.ts";
import { isObject, type JsonObject, type RowSchema } from "./table/row_schema.ts";
import {
  ABSENT,
  type Awaitable,
  type NewRow,
  type Row,
  rowValue,
  type Store,
  StoreError,
  type Written,
} from "./store.ts";
import { listTable } from "./table/listing.ts";

/** How a table behaves. */
export interface TableOptions {
  /** Which fields its rows have. */
  readonly schema: RowSchema;
  /** Whether every write is refused with 405. */
  readonly readOnly?: boolean;
}

/** The methods of RFC 9110 §9.3, and PATCH (RFC 5789); any other is answered with 501 (RFC 9110 §9.1). */
const KNOWN_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];
const READING_METHODS = ["GET", "HEAD", "OPTIONS"];
const TABLE_METHODS = ["GET", "HEAD", "POST", "OPTIONS"];
const ROW_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

const JSON_TYPE = "application/json";
const PATCH_TYPE = "application/merge-patch+json";

/** A store that cannot do something is no fault of the client (RFC 9110 §15.6.4, RFC 4918 §11.5). */
function refuseStoreError(error: unknown): never {
  if (!(error instanceof StoreError)) throw error;
  const full = error.fault === "full";
  throw new HttpError(full ? 507 : 503, error.message, { fields: full ? [] : [["Retry-After", "1"]] });
}

/** The store's rows as resources: one at `/NAME`, all of them at `/`. */
export class Table {
  readonly #store: Store;
  readonly #schema: RowSchema;
  readonly #tableMethods: readonly string[];
  readonly #rowMethods: readonly string[];

  /** Serves a store, which stays its maker's to close. */
  constructor(store: Store, { schema, readOnly = false }: TableOptions) {
    this.#store = store;
    this.#schema = schema;
    this.#tableMethods = readOnly ? READING_METHODS : TABLE_METHODS;
    this.#rowMethods = readOnly ? READING_METHODS : ROW_METHODS;
  }

  /**
   * Refuses what is refused whatever the content: a target or method that does not exist here, a wrong media type.
   *
   * @throws {HttpError} 400, 404, 405, 415 or 501
   */
  precheck(request: RequestHead): void {
    this.#route(request);
  }

  /** Answers a request. */
  answer(request: RequestHead, content: Uint8Array): Awaitable<HttpResponse> {
    const name = this.#route(request);
    return name === undefined ? this.#answerTable(request, content) : this.#answerRow(request, name, content);
  }

  /** The name of the row that the request is for; `undefined` for the table. */
  #route(request: RequestHead): string | undefined {
    const { method, path } = request;
    const name = path.length > 1 ? rowName(path) : undefined;
    // `OPTIONS *` asks what the server can do anywhere, and a row can do most.
    const methods = path === "/" ? this.#tableMethods : this.#rowMethods;
    if (!methods.includes(method)) refuseMethod(method, request.target, methods);
    if (method === "POST" || method === "PUT") requireMediaType(request.fields, [JSON_TYPE]);
    else if (method === "PATCH") requireMediaType(request.fields, [JSON_TYPE, PATCH_TYPE]);
    else return name;
    requirePlainContent(request.fields);
    return name;
  }

  #answerTable(request: RequestHead, content: Uint8Array): Awaitable<HttpResponse> {
    switch (request.method) {
      case "GET":
      case "HEAD":
        return listTable(this.#store, this.#schema, request).catch(refuseStoreError);
      case "POST":
        return this.#createRows(request, content);
      default:
        return allow(request.path === "/" ? this.#tableMethods : this.#rowMethods);
    }
  }

  #answerRow(request: RequestHead, name: string, content: Uint8Array): Awaitable<HttpResponse> {
    switch (request.method) {
      case "GET":
      case "HEAD":
        return whenReady(() => this.#store.get(name), (row) => showRow(request, name, row));
      case "POST":
        return this.#createRow(request, name, content);
      case "PUT":
        return this.#putRow(request, name, content);
      case "PATCH":
        return this.#patchRow(request, name, content);
      case "DELETE":
        return this.#deleteRow(request, name);
      default:
        return allow(this.#rowMethods);
    }
  }

  #createRow(request: RequestHead, name: string, content: Uint8Array): Awaitable<HttpResponse> {
    // What cannot be created anyhow is refused with 409, whatever the preconditions are (RFC 9110 §13.2.1).
    const preconditions = readPreconditions(request.fields);
    if (preconditions === undefined) return this.#insertRow(name, content);
    return whenReady(() => this.#store.get(name), (current) => {
      if (current === undefined) preconditionsHold(preconditions, request.method, undefined);
      return this.#insertRow(name, content);
    });
  }

  #insertRow(name: string, content: Uint8Array): Awaitable<HttpResponse> {
    return whenReady(() => this.#store.put(this.#readRow(name, content), ABSENT), (written) => {
      if (written === undefined) throw new HttpError(409, `A row named ${JSON.stringify(name)} already exists`);
      return showWritten(written);
    });
  }

  #putRow(request: RequestHead, name: string, content: Uint8Array): Awaitable<HttpResponse> {
    const preconditions = readPreconditions(request.fields);
    if (preconditions === undefined) {
      return whenReady(
        () => this.#store.put(this.#readRow(name, content)),
        (written) => showWritten(written!, content),
      );
    }
    let row: NewRow | undefined;
    return this.#readAndWrite(request, name, preconditions, (current) => {
      const checked = row ??= this.#readRow(name, content);
      const expected = current?.version ?? ABSENT;
      return whenReady(() => this.#store.put(checked, expected), (written) => written && showWritten(written, content));
    });
  }

  #patchRow(request: RequestHead, name: string, content: Uint8Array): Awaitable<HttpResponse> {
    return this.#readAndWrite(request, name, readPreconditions(request.fields), (current) => {
      if (current === undefined) throw noSuchRow(name);
      const patch = unwrapRow(parseObject(content).object, name, this.#schema);
      const row = this.#checkedRow(name, mergePatch(rowValue(current.content), patch));
      return whenReady(() => this.#store.put(row, current.version), (written) => written && showWritten(written));
    });
  }

  #deleteRow(request: RequestHead, name: string): Awaitable<HttpResponse> {
    const preconditions = readPreconditions(request.fields);
    if (preconditions === undefined) {
      return whenReady(() => this.#store.remove(name), (removed) => {
        if (!removed) throw noSuchRow(name);
        return { status: 204 };
      });
    }
    return this.#readAndWrite(request, name, preconditions, (current) => {
      if (current === undefined) throw noSuchRow(name);
      return whenReady(
        () => this.#store.remove(name, current.version),
        (removed) => removed ? { status: 204 } : undefined,
      );
    });
  }

  /**
   * Reads the row, evaluates the preconditions over it, and writes, provided that the row is still the one that was
   * read; else it starts again. So no client overwrites unseen what another one wrote (RFC 9110 §13.1.1).
   *
   * @param write Writes, and returns `undefined` if the row is not the one that was read any more.
   */
  #readAndWrite(
    request: RequestHead,
    name: string,
    preconditions: Preconditions | undefined,
    write: (current: Row | undefined) => Awaitable<HttpResponse | undefined>,
    attempts = MAX_WRITE_ATTEMPTS,
  ): Awaitable<HttpResponse> {
    if (attempts === 0) throw tooMuchContention(`The row ${JSON.stringify(name)}`);
    return whenReady(() => this.#store.get(name), (current) => {
      // If the response would be 404 anyhow, preconditions do not count (RFC 9110 §13.2.1).
      if (preconditions !== undefined && (current !== undefined || request.method === "PUT")) {
        preconditionsHold(preconditions, request.method, current?.version);
      }
      return whenReady(() => write(current), (response) => {
        return response ?? this.#readAndWrite(request, name, preconditions, write, attempts - 1);
      });
    });
  }

  /** Creates all of the rows in the content, or none. */
  #createRows(request: RequestHead, content: Uint8Array): Awaitable<HttpResponse> {
    const rows = this.#readRows(content);
    const preconditions = readPreconditions(request.fields);
    if (preconditions === undefined) {
      return whenReady(() => this.#store.insert(rows), (taken) => showCreated(rows, taken!));
    }
    return this.#insertIf(preconditions, request.method, rows).catch(refuseStoreError);
  }

  /** Inserts the rows if the preconditions hold for the whole table. */
  async #insertIf(preconditions: Preconditions, method: string, rows: readonly NewRow[]): Promise<HttpResponse> {
    for (let attempts = 0; attempts < MAX_WRITE_ATTEMPTS; attempts++) {
      const snapshot = await this.#store.snapshot();
      const { revision } = snapshot;
      snapshot.close();
      preconditionsHold(preconditions, method, revision);
      const taken = await this.#store.insert(rows, revision);
      if (taken !== undefined) return showCreated(rows, taken);
    }
    throw tooMuchContention("The table");
  }

  #readRows(content: Uint8Array): NewRow[] {
    const rows = new Map<string, NewRow>();
    const errors: FieldProblem[] = [];
    const { object, text } = parseObject(content);
    for (const name of memberNames(text)) {
      const value = object[name];
      const problem = rows.has(name) ? "is given twice" : nameProblem(name) ?? this.#schemaProblem(value);
      if (problem === undefined) rows.set(name, { name, json: JSON.stringify(value) });
      else errors.push({ field: name, detail: problem });
    }
    if (errors.length > 0) {
      const detail = `No row was created: ${errors.length} of them cannot be, the first one ${
        JSON.stringify(errors[0].field)
      }`;
      throw new HttpError(422, `${detail}: it ${errors[0].detail}`, { errors });
    }
    return [...rows.values()];
  }

  #schemaProblem(value: unknown): string | undefined {
    if (!isObject(value)) return "must be an object with the row's fields";
    const [first] = this.#schema.check(value);
    return first && `has a wrong field: ${first.field} ${first.detail}`;
  }

  #readRow(name: string, content: Uint8Array): NewRow {
    return this.#checkedRow(name, unwrapRow(parseObject(content).object, name, this.#schema));
  }

  #checkedRow(name: string, row: JsonObject): NewRow {
    requireSchema(row, this.#schema);
    return { name, json: JSON.stringify(row) };
  }
}

/**
 * Asks the store and goes on with what it answers: at once if that is there, so that a store in memory costs no wait.
 *
 * @throws {HttpError} 503 or 507 if the store cannot answer, however it says so.
 */
function whenReady<T, R>(ask: () => Awaitable<T>, use: (value: T) => Awaitable<R>): Awaitable<R> {
  let value: Awaitable<T>;
  try {
    value = ask();
  } catch (error) {
    refuseStoreError(error);
  }
  return value instanceof Promise ? value.then(use, refuseStoreError) : use(value);
}

function tooMuchContention(what: string): HttpError {
  const detail = `${what} was changed by other clients ${MAX_WRITE_ATTEMPTS} times meanwhile`;
  return new HttpError(503, detail, { fields: [["Retry-After", "1"]] });
}

function showCreated(rows: readonly NewRow[], taken: readonly string[]): HttpResponse {
  if (taken.length === 0) return { status: 201, contentType: JSON_TYPE, content: `{"created":${rows.length}}` };
  const first = JSON.stringify(taken[0]);
  throw new HttpError(409, `No row was created: ${taken.length} of the names are taken, the first one ${first}`, {
    errors: taken.map((field) => ({ field, detail: "already exists" })),
  });
}

function showRow(request: RequestHead, name: string, row: Row | undefined): HttpResponse {
  if (row === undefined) throw noSuchRow(name);
  const fields: FieldLine[] = [["ETag", entityTag(row.version)]];
  const preconditions = readPreconditions(request.fields);
  if (preconditions !== undefined && !preconditionsHold(preconditions, request.method, row.version)) {
    return { status: 304, fields };
  }
  return { status: 200, contentType: JSON_TYPE, fields, content: row.content };
}

/**
 * The row as it is now.
 *
 * @param put The content of a PUT: its response has a validator only if the row is, octet for octet, what was sent;
 * else the client would take what it has for the row (RFC 9110 §9.3.4).
 */
function showWritten({ row, created }: Written, put?: Uint8Array): HttpResponse {
  const fields: FieldLine[] = created ? [["Location", rowPath(row.name)]] : [];
  if (put === undefined || isSame(put, row.content)) fields.push(["ETag", entityTag(row.version)]);
  return { status: created ? 201 : 200, contentType: JSON_TYPE, fields, content: row.content };
}

function isSame(octets: Uint8Array, content: string | Uint8Array): boolean {
  if (octets.length !== byteLength(content)) return false;
  return Buffer.compare(octets, typeof content === "string" ? Buffer.from(content) : content) === 0;
}

function noSuchRow(name: string): HttpError {
  return new HttpError(404, `No row is named ${JSON.stringify(name)}`);
}

function allow(methods: readonly string[]): HttpResponse {
  return { status: 204, fields: [["Allow", methods.join(", ")]] };
}

function refuseMethod(method: string, target: string, allowed: readonly string[]): never {
  const fields: FieldLine[] = [["Allow", allowed.join(", ")]];
  if (KNOWN_METHODS.includes(method)) {
    throw new HttpError(405, `${method} is not allowed on ${target}: use ${allowed.join(", ")}`, {
      rule: "RFC 9110 §15.5.6",
      fields,
    });
  }
  throw new HttpError(501, `The method ${method} is not known`, { rule: "RFC 9110 §9.1", fields });
}
