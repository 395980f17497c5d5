/**
 * The table over HTTP: maps methods and targets to operations on the store, and their results to responses.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { byteLength, collectSoon } from "./bytes.ts";
import { type Preconditions, preconditionsHold, readPreconditions } from "./table/preconditions.ts";
import {
  type FieldLine,
  HttpError,
  type HttpResponse,
  type Requester,
  type RequestHead,
  type Service,
} from "./http_message.ts";
import { JSON_PIECE_BYTES, MAX_GARBAGE_BYTES, MAX_WRITE_ATTEMPTS } from "./limits.ts";
import { mediaType, requireMediaType, requirePlainContent, rowName } from "./table/row_content.ts";
import type { RowSchema } from "./table/row_schema.ts";
import { readRow, requireFewMembers, requireSchema } from "./table/row_text.ts";
import { BareRow, readLines, readRows, TABLE_FORMS } from "./table/bulk_rows.ts";
import { CanonicalRows, rowOf } from "./table/canonical_row.ts";
import { mergePatch } from "./table/merge_patch.ts";
import { ChosenNames } from "./table/chosen_names.ts";
import { Lanes } from "./table/lanes.ts";
import { type Contents, readContents, reportOf, type TableObserver } from "./table/reports.ts";
import { Pacer } from "./table/pacer.ts";
import {
  allCreatedResponse,
  allow,
  createdResponse,
  noSuchRow,
  refuseMethod,
  refuseStoreError,
  removedResponse,
  response,
  rowFieldsLine,
  rowResponse,
  writtenResponse,
} from "./table/responses.ts";
import { ABSENT, type Awaitable, type NewRow, type Row, rowContent, type Store, type Written } from "./store.ts";
import { LINES_TYPE, listTable } from "./table/listing.ts";

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

const JSON_TYPE = "application/json";
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
  readonly #names: ChosenNames;
  /** The field of its OPTIONS responses that names the fields of rows. */
  readonly #rowFields: readonly FieldLine[];

  /** Serves a store. The caller closes the store. */
  constructor(store: Store, { schema, readOnly = false, maxRowBytes = Infinity }: TableOptions) {
    this.#store = store;
    this.#schema = schema;
    this.#maxRowBytes = maxRowBytes;
    this.#canonical = new CanonicalRows(schema);
    this.#names = new ChosenNames(store);
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
      if (name !== undefined && !READING_METHODS.includes(request.method)) this.#names.note(name);
      const told = this.#told(request, name, content, response, requester);
      return told instanceof Promise ? told.catch((error) => this.#refuse(error)) : told;
    } catch (error) {
      this.#refuse(error);
    }
  }

  /** Throws the response to an error; where a row does not fit, it says what fields a row has. */
  #refuse(error: unknown): never {
    if (error instanceof HttpError && error.status === 422) error.rowFields = this.#schema.toString();
    refuseStoreError(error);
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
    if (method === "POST" && name === undefined) requireMediaType(request.fields, ROWS_TYPES);
    else if (method === "POST" || method === "PUT") requireMediaType(request.fields, WRITE_TYPES);
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
        return allow(this.#rowMethods, [
          ...this.#rowMethods.includes("PATCH") ? ACCEPT_PATCH : [],
          ...this.#rowFields,
        ]);
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

  /** Creates all rows in the content, or none; or one row under a name of the server's choice. */
  async #createRows(request: RequestHead, content: Uint8Array, requester?: Requester): Promise<HttpResponse> {
    const { fields, method } = request;
    const read = mediaType(fields) === LINES_TYPE ? readLines : readRows;
    const create = async (expected?: number) => {
      try {
        return await this.#insertRows(read(content, this.#schema, this.#maxRowBytes, new Pacer(requester)), {
          isShort: content.length <= JSON_PIECE_BYTES,
          expected,
        });
      } catch (error) {
        if (!(error instanceof BareRow)) throw error;
        return await this.#insertBareRow(content, requester, expected);
      } finally {
        if (content.length > MAX_GARBAGE_BYTES) collectSoon();
      }
    };
    const preconditions = readPreconditions(fields);
    if (preconditions === undefined) return (await create())!;
    return await retried("The table", async () => {
      const snapshot = await this.#store.snapshot();
      const { revision } = snapshot;
      snapshot.close();
      preconditionsHold(preconditions, method, revision);
      return await create(revision);
    });
  }

  /** Inserts the rows while they are read; those of short content at once. */
  async #insertRows(
    parts: AsyncGenerator<readonly NewRow[]>,
    { isShort, expected }: { readonly isShort: boolean; readonly expected?: number },
  ): Promise<HttpResponse | undefined> {
    const names = this.#names;
    let count = 0;
    async function* counted(): AsyncGenerator<readonly NewRow[]> {
      for await (const rows of parts) {
        count += rows.length;
        for (const { name } of rows) names.note(name);
        yield rows;
      }
    }
    const rows = isShort ? (await Array.fromAsync(counted())).flat() : counted();
    const taken = await this.#store.insert(rows, expected);
    return taken && allCreatedResponse(count, taken);
  }

  /** Inserts the row in the content under a name that the server chooses: another one, if others have it by now. */
  async #insertBareRow(
    content: Uint8Array,
    requester: Requester | undefined,
    expected?: number,
  ): Promise<HttpResponse | undefined> {
    const pacer = new Pacer(requester);
    const value = await pacer.run(this.#bareValue(content));
    for (;;) {
      const name = await this.#names.next(pacer);
      const row = rowOf(name, value, this.#maxRowBytes);
      if (expected === undefined) {
        const written = await this.#write(row, ABSENT, requester);
        if (written !== undefined) return writtenResponse(written);
      } else {
        const taken = await this.#store.insert([row], expected);
        if (taken === undefined) return undefined;
        const current = taken.length === 0 ? await this.#store.get(name) : undefined;
        if (current !== undefined) return writtenResponse({ row: current, created: true });
      }
    }
  }

  *#bareValue(content: Uint8Array): Generator<number, Uint8Array> {
    try {
      const value = yield* readRow(content, undefined, this.#schema);
      requireSchema(value, this.#schema);
      return value;
    } catch (error) {
      if (!(error instanceof HttpError) || error.status !== 422) throw error;
      const { message, errors, rule } = error;
      throw new HttpError(422, `${message}; ${TABLE_FORMS}`, { errors, rule });
    }
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
