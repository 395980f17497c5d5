/**
 * The table over HTTP: maps methods and targets to operations on the store, and their results to responses.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { byteLength } from "./bytes.ts";
import {
  type FieldLine,
  HttpError,
  type HttpResponse,
  type Requester,
  type RequestHead,
  type Service,
} from "./http_message.ts";
import { ABSENT, type Awaitable, type NewRow, type Row, rowContent, type Store, type Written } from "./store.ts";
import { Creator, retried } from "./table/creation.ts";
import { listTable } from "./table/listing.ts";
import { mergePatch } from "./table/merge_patch.ts";
import { type Contents, readContents, reportOf, type TableObserver, type TableReport } from "./table/reports.ts";
import {
  allow,
  createdResponse,
  JSON_TYPE,
  LINES_TYPE,
  noSuchRow,
  type Preconditions,
  preconditionsHold,
  readPreconditions,
  refuseMethod,
  refuseStoreError,
  requireContent,
  response,
  rowFieldsLine,
  rowName,
  rowResponse,
  writtenResponse,
} from "./table/resource.ts";
import { type RowField, type RowFieldType, RowSchema } from "./table/row_schema.ts";
import { CanonicalRows, readRow, requireFewMembers, requireSchema, rowOf } from "./table/row_text.ts";
import { Lanes, Pacer, then } from "./turns.ts";

export { type Contents, type RowField, type RowFieldType, RowSchema, type TableObserver, type TableReport };

/** Options of a {@linkcode Table}. */
export interface TableOptions {
  /** The fields of its rows. */
  readonly schema: RowSchema;
  /** Whether all writes are refused with 405. */
  readonly readOnly?: boolean;
  /** The most bytes of a row, as it is stored under its name (`--max-body`); by default any. */
  readonly maxRowBytes?: number;
}

const READING_METHODS = ["GET", "HEAD", "OPTIONS"];
const TABLE_METHODS = ["GET", "HEAD", "POST", "OPTIONS"];
const ROW_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

const WRITE_TYPES = [JSON_TYPE];
const ROWS_TYPES = [JSON_TYPE, LINES_TYPE];
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
  readonly #creator: Creator;
  /** The field of its OPTIONS responses that names the fields of rows. */
  readonly #rowFields: readonly FieldLine[];

  /** Serves a store. The caller closes the store. */
  constructor(store: Store, { schema, readOnly = false, maxRowBytes = Infinity }: TableOptions) {
    this.#store = store;
    this.#schema = schema;
    this.#maxRowBytes = maxRowBytes;
    this.#canonical = new CanonicalRows(schema);
    this.#creator = new Creator(store, { schema, maxRowBytes }, this.#lanes);
    this.#tableMethods = readOnly ? READING_METHODS : TABLE_METHODS;
    this.#rowMethods = readOnly ? READING_METHODS : ROW_METHODS;
    this.#rowFields = rowFieldsLine(schema);
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
      if (name !== undefined && !READING_METHODS.includes(request.method)) this.#creator.note(name);
      const reported = this.observer === undefined || requester === undefined
        ? response
        : then(response, (made) => this.#reported(request, name, content, made, requester));
      return reported instanceof Promise ? reported.catch((error) => this.#refuse(error)) : reported;
    } catch (error) {
      this.#refuse(error);
    }
  }

  /** Throws the response to an error; where a row does not fit, it says what fields a row has. */
  #refuse(error: unknown): never {
    if (error instanceof HttpError && error.status === 422) error.rowFields = this.#schema.toString();
    refuseStoreError(error);
  }

  /** Reports to the observer what was done for a request, and returns the response. */
  #reported(
    request: RequestHead,
    name: string | undefined,
    content: Uint8Array,
    made: HttpResponse,
    requester: Requester,
  ): HttpResponse {
    const report = reportOf(request, name, content, made);
    if (report !== undefined) this.observer?.(requester, report);
    return made;
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
    if (method === "POST" && name === undefined) requireContent(request.fields, ROWS_TYPES);
    else if (method === "POST" || method === "PUT") requireContent(request.fields, WRITE_TYPES);
    else if (method === "PATCH") requireContent(request.fields, PATCH_TYPES, ACCEPT_PATCH);
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
        return this.#creator.create(request, content, requester);
      default:
        return allow(request.path === "/" ? this.#tableMethods : this.#rowMethods, this.#rowFields);
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
        return then(this.#store.get(name), respond);
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
        return allow(this.#rowMethods, [
          ...this.#rowMethods.includes("PATCH") ? ACCEPT_PATCH : [],
          ...this.#rowFields,
        ]);
    }
  }

  #createRow(request: RequestHead, name: string, content: Uint8Array, requester?: Requester): Awaitable<HttpResponse> {
    const preconditions = readPreconditions(request.fields);
    if (preconditions === undefined) {
      return then(this.#write(name, content, ABSENT, requester), (written) => createdResponse(name, written));
    }
    return this.#lanes.alone(name, requester, async () => {
      // A row that exists is a 409 whatever the preconditions are (RFC 9110 §13.2.1).
      const current = await this.#store.get(name);
      if (current === undefined) preconditionsHold(preconditions, request.method, undefined);
      const row = await this.#readRow(name, content, requester);
      return createdResponse(name, await this.#store.put(row, ABSENT));
    });
  }

  #putRow(request: RequestHead, name: string, content: Uint8Array, requester?: Requester): Awaitable<HttpResponse> {
    const preconditions = readPreconditions(request.fields);
    if (preconditions === undefined) {
      return then(this.#write(name, content, undefined, requester), (written) => writtenResponse(written!, content));
    }
    let row: NewRow | undefined;
    return this.#readAndWrite(request, name, preconditions, requester, async (current) => {
      row ??= await this.#readRow(name, content, requester);
      const written = await this.#store.put(row, current?.version ?? ABSENT);
      return written && writtenResponse(written, content);
    });
  }

  /**
   * Writes a row unconditionally, or over the expected version, possibly at the same time as other writes of this kind.
   */
  #write(
    name: string,
    content: Uint8Array,
    expected: number | undefined,
    requester?: Requester,
  ): Awaitable<Written | undefined> {
    return then(
      this.#readRow(name, content, requester),
      (row) => this.#lanes.share(name, requester, () => this.#store.put(row, expected)),
    );
  }

  #patchRow(request: RequestHead, name: string, content: Uint8Array, requester?: Requester): Promise<HttpResponse> {
    let patch: Uint8Array | undefined;
    const pacer = new Pacer(requester);
    return this.#readAndWrite(request, name, readPreconditions(request.fields), requester, async (current) => {
      if (current === undefined) throw noSuchRow(name);
      patch ??= await pacer.run(readRow(content, name, this.#schema));
      const value = await pacer.run(this.#patched(current, patch));
      const written = await this.#store.put(this.#checked(name, value), current.version);
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
    return then(this.#lanes.share(name, requester, () => this.#store.remove(name)), (removed) => {
      if (!removed) throw noSuchRow(name);
      return response(204);
    });
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

  #readRow(name: string, content: Uint8Array, requester?: Requester): Awaitable<NewRow> {
    return this.#canonical.read(content, name) ?? new Pacer(requester).run(this.#parsed(name, content));
  }

  *#parsed(name: string, content: Uint8Array): Generator<number, NewRow> {
    return this.#checked(name, yield* readRow(content, name, this.#schema));
  }

  *#patched(row: Row, patch: Uint8Array): Generator<number, Uint8Array> {
    const value = yield* mergePatch(valueIn(row), patch);
    yield* requireFewMembers(value);
    return value;
  }

  #checked(name: string, value: Uint8Array): NewRow {
    requireSchema(value, this.#schema);
    return rowOf(name, value, this.#maxRowBytes);
  }
}

/** Returns a row's value, serialized in UTF-8. */
function valueIn({ name, content }: Row): Uint8Array {
  const bytes = typeof content === "string" ? Buffer.from(content) : content;
  return bytes.subarray(byteLength(rowContent(name, "")) - 1, -1);
}
