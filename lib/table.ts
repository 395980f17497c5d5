/**
 * The table over HTTP: maps methods and targets to operations on the store, and their results to responses.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { byteLength } from "./bytes.ts";
import { entityTag, type Preconditions, preconditionsHold, readPreconditions } from "./table/preconditions.ts";
import {
  type FieldLine,
  HttpError,
  type HttpResponse,
  type Requester,
  type RequestHead,
  type Service,
} from "./http_message.ts";
import { MAX_WRITE_ATTEMPTS } from "./limits.ts";
import { requireMediaType, requirePlainContent, rowName, rowPath } from "./table/row_content.ts";
import type { RowSchema } from "./table/row_schema.ts";
import { readRow, requireSchema } from "./table/row_text.ts";
import { readRows } from "./table/bulk_rows.ts";
import { CanonicalRows, rowOf } from "./table/canonical_row.ts";
import { mergePatch } from "./table/merge_patch.ts";
import { Lanes } from "./table/lanes.ts";
import { type Contents, readContents, reportOf, type TableObserver } from "./table/reports.ts";
import { Pacer } from "./table/pacer.ts";
import {
  ABSENT,
  type Awaitable,
  type NewRow,
  type Row,
  rowContent,
  type Store,
  StoreError,
  type StoreFault,
  type Written,
} from "./store.ts";
import { listTable } from "./table/listing.ts";

/** Options of a {@linkcode Table}. */
export interface TableOptions {
  /** The fields of its rows. */
  readonly schema: RowSchema;
  /** Whether all writes are refused with 405. */
  readonly readOnly?: boolean;
  /** The most bytes of a row, as it is stored under its name (`--max-body`); by default any. */
  readonly maxRowBytes?: number;
}

/** The methods of RFC 9110 §9.3, and PATCH (RFC 5789); any other is answered with 501 (RFC 9110 §9.1). */
const KNOWN_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];
const READING_METHODS = ["GET", "HEAD", "OPTIONS"];
const TABLE_METHODS = ["GET", "HEAD", "POST", "OPTIONS"];
const ROW_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

const JSON_TYPE = "application/json";
const WRITE_TYPES = [JSON_TYPE];
const PATCH_TYPES = [JSON_TYPE, "application/merge-patch+json"];
/** What a PATCH may have as its content: in OPTIONS of what may be patched, and in a 415 (RFC 5789 §2.2, §3.1). */
const ACCEPT_PATCH: readonly FieldLine[] = [["Accept-Patch", PATCH_TYPES.join(", ")]];

/** Serves a store's rows as resources: one at `/NAME`, all of them at `/`. */
export class Table implements Pick<Service, "precheck" | "answer"> {
  /** Receives what was written and read. */
  observer: TableObserver | undefined;
  readonly #store: Store;
  readonly #schema: RowSchema;
  readonly #maxRowBytes: number;
  readonly #tableMethods: readonly string[];
  readonly #rowMethods: readonly string[];
  readonly #canonical: CanonicalRows;
  readonly #lanes = new Lanes();

  /** Serves a store. The caller closes the store. */
  constructor(store: Store, { schema, readOnly = false, maxRowBytes = Infinity }: TableOptions) {
    this.#store = store;
    this.#schema = schema;
    this.#maxRowBytes = maxRowBytes;
    this.#canonical = new CanonicalRows(schema);
    this.#tableMethods = readOnly ? READING_METHODS : TABLE_METHODS;
    this.#rowMethods = readOnly ? READING_METHODS : ROW_METHODS;
  }

  /**
   * Refuses requests that are invalid whatever their content: an unknown target or method, a wrong media type.
   *
   * @throws {HttpError} 400, 404, 405, 415 or 501
   */
  precheck(request: RequestHead): void {
    this.#route(request);
  }

  /**
   * Answers a request.
   *
   * @param requester The client: long work is aborted once it has disconnected. Without one, work is never aborted.
   * @throws {HttpError} 400 to 422, 501, or 503 and 507 if the store cannot do the operation.
   */
  answer(request: RequestHead, content: Uint8Array, requester?: Requester): Awaitable<HttpResponse> {
    try {
      const name = this.#route(request);
      const response = name === undefined
        ? this.#answerTable(request, content, requester)
        : this.#answerRow(request, name, content, requester);
      const told = this.#told(request, name, content, response, requester);
      return told instanceof Promise ? told.catch(refuseStoreError) : told;
    } catch (error) {
      refuseStoreError(error);
    }
  }

  /** Tells the observer, if there is one, what was done for a request. */
  #told(
    request: RequestHead,
    name: string | undefined,
    content: Uint8Array,
    response: Awaitable<HttpResponse>,
    requester: Requester | undefined,
  ): Awaitable<HttpResponse> {
    const { observer } = this;
    if (observer === undefined || requester === undefined) return response;
    const tell = (made: HttpResponse) => {
      const report = reportOf(request, name, content, made);
      if (report !== undefined) observer(requester, report);
      return made;
    };
    return response instanceof Promise ? response.then(tell) : tell(response);
  }

  /**
   * Returns all rows, unless they are too many or have too many characters, and their number.
   *
   * @throws {HttpError} 503 if the store cannot be read.
   */
  contents(mostRows: number, mostLength: number): Promise<Contents> {
    return readContents(this.#store, mostRows, mostLength).catch(refuseStoreError);
  }

  /** Returns the name of the requested row; `undefined` for the table. */
  #route(request: RequestHead): string | undefined {
    const { method, path } = request;
    const name = path.length > 1 ? rowName(path) : undefined;
    // `OPTIONS *` asks what the server supports on any resource, and a row supports most.
    const methods = path === "/" ? this.#tableMethods : this.#rowMethods;
    if (!methods.includes(method)) refuseMethod(method, request.target, methods);
    const hints = method === "PATCH" ? ACCEPT_PATCH : [];
    if (method === "POST" || method === "PUT") requireMediaType(request.fields, WRITE_TYPES);
    else if (method === "PATCH") requireMediaType(request.fields, PATCH_TYPES, hints);
    else return name;
    requirePlainContent(request.fields, hints);
    return name;
  }

  #answerTable(request: RequestHead, content: Uint8Array, requester?: Requester): Awaitable<HttpResponse> {
    switch (request.method) {
      case "GET":
      case "HEAD": {
        const snapshot = () => this.#store.snapshot(() => requester?.tooSlow?.());
        return listTable({ snapshot }, this.#schema, request, requester);
      }
      case "POST":
        return this.#createRows(request, content, requester);
      default:
        return allow(request.path === "/" ? this.#tableMethods : this.#rowMethods);
    }
  }

  #answerRow(
    request: RequestHead,
    name: string,
    content: Uint8Array,
    requester?: Requester,
  ): Awaitable<HttpResponse> {
    switch (request.method) {
      case "GET":
      case "HEAD": {
        const respond = (row: Row | undefined) => {
          if (row === undefined && requester) this.observer?.(requester, { name, content: undefined, how: "read" });
          return rowResponse(request, name, row);
        };
        const row = this.#store.get(name);
        return row instanceof Promise ? row.then(respond) : respond(row);
      }
      case "POST":
        return this.#createRow(request, name, content, requester);
      case "PUT":
        return this.#putRow(request, name, content, requester);
      case "PATCH":
        return this.#patchRow(request, name, content, requester);
      case "DELETE":
        return this.#deleteRow(request, name, requester);
      default:
        return allow(this.#rowMethods, this.#rowMethods.includes("PATCH") ? ACCEPT_PATCH : []);
    }
  }

  #createRow(request: RequestHead, name: string, content: Uint8Array, requester?: Requester): Awaitable<HttpResponse> {
    const preconditions = readPreconditions(request.fields);
    if (preconditions === undefined) return this.#insertRow(name, content, requester);
    return this.#lanes.alone(name, requester, async () => {
      // A row that exists is a 409 whatever the preconditions are (RFC 9110 §13.2.1).
      const current = await this.#store.get(name);
      if (current === undefined) preconditionsHold(preconditions, request.method, undefined);
      const row = await this.#readRow(name, content, requester);
      return createdResponse(name, await this.#store.put(row, ABSENT));
    });
  }

  #insertRow(name: string, content: Uint8Array, requester?: Requester): Awaitable<HttpResponse> {
    const row = this.#readRow(name, content, requester);
    const written = row instanceof Promise
      ? row.then((row) => this.#write(row, ABSENT, requester))
      : this.#write(row, ABSENT, requester);
    return written instanceof Promise
      ? written.then((written) => createdResponse(name, written))
      : createdResponse(name, written);
  }

  #putRow(request: RequestHead, name: string, content: Uint8Array, requester?: Requester): Awaitable<HttpResponse> {
    const preconditions = readPreconditions(request.fields);
    if (preconditions !== undefined) {
      let row: NewRow | undefined;
      return this.#readAndWrite(request, name, preconditions, requester, async (current) => {
        row ??= await this.#readRow(name, content, requester);
        const written = await this.#store.put(row, current?.version ?? ABSENT);
        return written && writtenResponse(written, content);
      });
    }
    const row = this.#readRow(name, content, requester);
    const written = row instanceof Promise
      ? row.then((row) => this.#write(row, undefined, requester))
      : this.#write(row, undefined, requester);
    return written instanceof Promise
      ? written.then((written) => writtenResponse(written!, content))
      : writtenResponse(written!, content);
  }

  /**
   * Writes a row unconditionally, or over the expected version, possibly at the same time as other writes of this kind.
   */
  #write(row: NewRow, expected: number | undefined, requester?: Requester): Awaitable<Written | undefined> {
    return this.#lanes.share(row.name, requester, () => this.#store.put(row, expected));
  }

  #patchRow(request: RequestHead, name: string, content: Uint8Array, requester?: Requester): Promise<HttpResponse> {
    let patch: Uint8Array | undefined;
    const pacer = new Pacer(requester);
    return this.#readAndWrite(request, name, readPreconditions(request.fields), requester, async (current) => {
      if (current === undefined) throw noSuchRow(name);
      patch ??= await pacer.run(readRow(content, name, this.#schema));
      const value = await pacer.run(mergePatch(valueIn(current), patch));
      const written = await this.#store.put(await pacer.run(this.#checked(name, value)), current.version);
      return written && writtenResponse(written);
    });
  }

  #deleteRow(request: RequestHead, name: string, requester?: Requester): Awaitable<HttpResponse> {
    const preconditions = readPreconditions(request.fields);
    if (preconditions !== undefined) {
      return this.#readAndWrite(request, name, preconditions, requester, async (current) => {
        if (current === undefined) throw noSuchRow(name);
        return await this.#store.remove(name, current.version) ? response(204) : undefined;
      });
    }
    const removed = this.#lanes.share(name, requester, () => this.#store.remove(name));
    return removed instanceof Promise
      ? removed.then((removed) => removedResponse(name, removed))
      : removedResponse(name, removed);
  }

  /**
   * Reads the row, evaluates the preconditions, and writes if the row has not changed since. No client overwrites
   * another one's change unseen (RFC 9110 §13.1.1).
   *
   * @param write Returns `undefined` if the row has changed.
   */
  #readAndWrite(
    request: RequestHead,
    name: string,
    preconditions: Preconditions | undefined,
    requester: Requester | undefined,
    write: (current: Row | undefined) => Promise<HttpResponse | undefined>,
  ): Promise<HttpResponse> {
    const attempt = async () => {
      const current = await this.#store.get(name);
      // Preconditions are ignored where the response would be 404 without them (RFC 9110 §13.2.1).
      if (preconditions !== undefined && (current !== undefined || request.method === "PUT")) {
        preconditionsHold(preconditions, request.method, current?.version);
      }
      return await write(current);
    };
    return this.#lanes.alone(name, requester, () => retried(`The row ${JSON.stringify(name)}`, attempt));
  }

  /** Creates all rows in the content, or none. */
  async #createRows(request: RequestHead, content: Uint8Array, requester?: Requester): Promise<HttpResponse> {
    const rows = await readRows(content, this.#schema, this.#maxRowBytes, new Pacer(requester));
    const preconditions = readPreconditions(request.fields);
    if (preconditions === undefined) return allCreatedResponse(rows, (await this.#store.insert(rows))!);
    return await retried("The table", async () => {
      const snapshot = await this.#store.snapshot();
      const { revision } = snapshot;
      snapshot.close();
      preconditionsHold(preconditions, request.method, revision);
      const taken = await this.#store.insert(rows, revision);
      return taken && allCreatedResponse(rows, taken);
    });
  }

  #readRow(name: string, content: Uint8Array, requester?: Requester): Awaitable<NewRow> {
    return this.#canonical.read(content, name) ?? new Pacer(requester).run(this.#parsed(name, content));
  }

  *#parsed(name: string, content: Uint8Array): Generator<number, NewRow> {
    return yield* this.#checked(name, yield* readRow(content, name, this.#schema));
  }

  *#checked(name: string, value: Uint8Array): Generator<number, NewRow> {
    yield* requireSchema(value, this.#schema);
    return rowOf(name, value, this.#maxRowBytes);
  }
}

/** Returns a row's value, serialized in UTF-8. */
function valueIn({ name, content }: Row): Uint8Array {
  const bytes = typeof content === "string" ? Buffer.from(content) : content;
  return bytes.subarray(byteLength(rowContent(name, "")) - 1, -1);
}

/** The responses to the faults of a store; what is not here is 503 (RFC 9110 §15.6.4). */
const FAULT_STATUS: { readonly [fault in StoreFault]?: number } = {
  "too-large": 413,
  full: 507, // RFC 4918 §11.5
  damaged: 500,
};

/** Throws the response to an error of the store. */
function refuseStoreError(error: unknown): never {
  if (!(error instanceof StoreError)) throw error;
  const { message, maxRows, fault } = error;
  const status = FAULT_STATUS[fault] ?? 503;
  throw new HttpError(status, message, { maxRows, fields: status === 503 ? [["Retry-After", "1"]] : [] });
}

/**
 * Retries a conditional write until the row has not changed meanwhile. Writes of this server are queued, but those of
 * other servers on the same store are not.
 *
 * @param attempt Returns `undefined` if the row has changed.
 * @throws {HttpError} 503 after {@linkcode MAX_WRITE_ATTEMPTS}.
 */
async function retried(what: string, attempt: () => Promise<HttpResponse | undefined>): Promise<HttpResponse> {
  for (let attempts = 0; attempts < MAX_WRITE_ATTEMPTS; attempts++) {
    const response = await attempt();
    if (response !== undefined) return response;
  }
  const detail = `${what} was changed by other clients ${MAX_WRITE_ATTEMPTS} times meanwhile`;
  throw new HttpError(503, detail, { fields: [["Retry-After", "1"]] });
}

/** Creates a response. All have the same object shape, so that the engine encodes them fast. */
function response(
  status: number,
  etag?: number,
  content?: string | Uint8Array,
  fields?: readonly FieldLine[],
): HttpResponse {
  return { status, contentType: content === undefined ? undefined : JSON_TYPE, etag, fields, content };
}

function rowResponse(request: RequestHead, name: string, row: Row | undefined): HttpResponse {
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
function writtenResponse({ row, created }: Written, put?: Uint8Array): HttpResponse {
  const etag = put === undefined || isSame(put, row.content) ? row.version : undefined;
  if (!created) return response(200, etag, row.content);
  const fields: FieldLine[] = [["Location", rowPath(row.name)]];
  if (etag !== undefined) fields.push(["ETag", entityTag(etag)]);
  return response(201, undefined, row.content, fields);
}

function createdResponse(name: string, written: Written | undefined): HttpResponse {
  if (written !== undefined) return writtenResponse(written);
  throw new HttpError(409, `A row named ${JSON.stringify(name)} already exists`);
}

function allCreatedResponse(rows: readonly NewRow[], taken: readonly string[]): HttpResponse {
  if (taken.length === 0) return response(201, undefined, `{"created":${rows.length}}`);
  const first = JSON.stringify(taken[0]);
  throw new HttpError(409, `No row was created: ${taken.length} of the names are taken, the first one ${first}`, {
    errors: taken.map((field) => ({ field, detail: "already exists" })),
  });
}

function removedResponse(name: string, removed: boolean): HttpResponse {
  if (!removed) throw noSuchRow(name);
  return response(204);
}

function isSame(octets: Uint8Array, content: string | Uint8Array): boolean {
  if (octets === content) return true;
  if (octets.length !== byteLength(content)) return false;
  return Buffer.compare(octets, typeof content === "string" ? Buffer.from(content) : content) === 0;
}

function noSuchRow(name: string): HttpError {
  return new HttpError(404, `No row is named ${JSON.stringify(name)}`);
}

function allow(methods: readonly string[], hints: readonly FieldLine[] = []): HttpResponse {
  return response(204, undefined, undefined, [["Allow", methods.join(", ")], ...hints]);
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
