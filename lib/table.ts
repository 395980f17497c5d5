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
import { isBlank } from "./json.ts";
import { Creator, retried } from "./table/creation.ts";
import { listTable } from "./table/listing.ts";
import { mergePatch } from "./table/merge_patch.ts";
import { type Contents, readContents, reportOf, type TableListener, type TableReport } from "./table/reports.ts";
import {
  allow,
  createdResponse,
  hasPreconditions,
  JSON_TYPE,
  LINES_TYPE,
  noSuchRow,
  preconditionsHold,
  refuseMethod,
  refuseStoreError,
  requireContent,
  response,
  rowFieldsLine,
  rowName,
  rowResponse,
  writtenResponse,
} from "./table/resource.ts";
import { type RowField, type RowFieldType, type RowLimits, RowSchema } from "./table/row_schema.ts";
import { CanonicalRows, readRow, requireFewMembers, requireSchema, rowOf } from "./table/row_text.ts";
import { Lanes, Pacer, then } from "./turns.ts";

export { type Contents, type RowField, type RowFieldType, RowSchema, type TableListener, type TableReport };

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

interface RowCall {
  readonly request: RequestHead;
  readonly name: string;
  readonly content: Uint8Array;
  readonly requester: Requester | undefined;
}

/** Serves a store's rows as resources: one at `/NAME`, all of them at `/`. */
export class Table implements Pick<Service, "precheck" | "answer"> {
  /** Receives what was written and read. */
  listener: TableListener | undefined;
  readonly #limits: RowLimits;
  readonly #tableMethods: readonly string[];
  readonly #rowMethods: readonly string[];
  readonly #canonical: CanonicalRows;
  readonly #lanes = new Lanes();
  readonly #creator: Creator;
  /** The field of its OPTIONS responses that names the fields of rows. */
  readonly #rowFields: readonly FieldLine[];

  /** Serves a store. The caller closes the store. */
  constructor(private readonly store: Store, { schema, readOnly = false, maxRowBytes = Infinity }: TableOptions) {
    this.#limits = { schema, maxRowBytes };
    this.#canonical = new CanonicalRows(schema);
    this.#creator = new Creator(store, this.#limits, this.#lanes);
    this.#tableMethods = readOnly ? READING_METHODS : TABLE_METHODS;
    this.#rowMethods = readOnly ? READING_METHODS : ROW_METHODS;
    this.#rowFields = rowFieldsLine(schema);
  }

  /** Refuses what is invalid whatever its content: an unknown target or method (404, 405, 501), a wrong type (415). */
  precheck(request: RequestHead): void {
    this.#route(request);
  }

  /** Answers a request, or throws an {@linkcode HttpError}. Long work is aborted once the requester has disconnected. */
  answer(request: RequestHead, content: Uint8Array, requester?: Requester): Awaitable<HttpResponse> {
    try {
      const name = this.#route(request);
      const response = name === undefined
        ? this.#answerTable(request, content, requester)
        : this.#answerRow({ request, name, content, requester });
      // The server chooses names such as r1, and no name that there was.
      if (name?.[0] === "r" && !READING_METHODS.includes(request.method)) this.#creator.names.note(name);
      const { listener } = this;
      const reported = listener === undefined || requester === undefined ? response : then(response, (made) => {
        const report = reportOf(request, name, content, made);
        if (report !== undefined) listener(requester, report);
        return made;
      });
      return reported instanceof Promise ? reported.catch((error) => this.#refuse(error)) : reported;
    } catch (error) {
      this.#refuse(error);
    }
  }

  /** Throws the response to an error; where a row does not fit, it says what fields a row has. */
  #refuse(error: unknown): never {
    if (error instanceof HttpError && error.status === 422) error.rowFields = this.#limits.schema.toString();
    refuseStoreError(error);
  }

  /** Returns all rows, unless they are too many or have too many characters, and their number. */
  contents(mostRows: number, mostLength: number): Promise<Contents> {
    return readContents(this.store, mostRows, mostLength).catch(refuseStoreError);
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
    if (request.method === "POST") return this.#creator.create(request, content, requester);
    if (request.method === "OPTIONS") {
      return allow(request.path === "/" ? this.#tableMethods : this.#rowMethods, this.#rowFields);
    }
    const snapshot = () => this.store.snapshot(() => requester?.tooSlow?.());
    return listTable({ snapshot }, this.#limits.schema, request, requester);
  }

  #answerRow(call: RowCall): Awaitable<HttpResponse> {
    const { method } = call.request;
    if (method === "GET" || method === "HEAD") return this.#readRow(call);
    if (method === "PUT" || method === "POST") return this.#putRow(call);
    if (method === "PATCH") return this.#patchRow(call);
    if (method === "DELETE") return this.#deleteRow(call);
    const patches = this.#rowMethods.includes("PATCH") ? ACCEPT_PATCH : [];
    return allow(this.#rowMethods, [...patches, ...this.#rowFields]);
  }

  #readRow({ request, name, requester }: RowCall): Awaitable<HttpResponse> {
    return then(this.store.get(name), (row) => {
      if (row === undefined && requester) this.listener?.(requester, { name, content: undefined, how: "read" });
      return rowResponse(request, name, row);
    });
  }

  #putRow(call: RowCall): Awaitable<HttpResponse> {
    const { request, name, content, requester } = call;
    const isNew = request.method === "POST";
    const respond = (written: Written | undefined) =>
      isNew ? createdResponse(name, written) : writtenResponse(written!, content);
    if (!hasPreconditions(request.fields)) {
      const write = (row: NewRow) =>
        this.#lanes.share(name, requester, () => this.store.put(row, isNew ? ABSENT : undefined));
      return then(then(this.#newRow(call), write), respond);
    }
    let row: NewRow | undefined;
    return this.#readAndWrite(call, async (current) => {
      row ??= await this.#newRow(call);
      const written = await this.store.put(row, isNew || current === undefined ? ABSENT : current.version);
      return written !== undefined || isNew ? respond(written) : undefined;
    });
  }

  #patchRow(call: RowCall): Promise<HttpResponse> {
    const { name, content, requester } = call;
    let patch: Uint8Array | undefined;
    const pacer = new Pacer(requester);
    return this.#readAndWrite(call, async (current) => {
      if (current === undefined) throw noSuchRow(name);
      patch ??= await pacer.run(readRow(content, name, this.#limits.schema));
      const value = await pacer.run(this.#patched(current, patch));
      const written = await this.store.put(this.#checked(name, value), current.version);
      return written && writtenResponse(written);
    });
  }

  #deleteRow(call: RowCall): Awaitable<HttpResponse> {
    const { request, name, requester } = call;
    if (!hasPreconditions(request.fields)) {
      return then(this.#lanes.share(name, requester, () => this.store.remove(name)), (isRemoved) => {
        if (!isRemoved) throw noSuchRow(name);
        return response(204);
      });
    }
    return this.#readAndWrite(call, async (current) => {
      if (current === undefined) throw noSuchRow(name);
      return await this.store.remove(name, current.version) ? response(204) : undefined;
    });
  }

  /**
   * Reads the row, evaluates the preconditions, and writes, again if that returns `undefined`: the row has changed since.
   * No client overwrites another one's change unseen (RFC 9110 §13.1.1).
   */
  #readAndWrite(
    { request, name, requester }: RowCall,
    write: (current: Row | undefined) => Promise<HttpResponse | undefined>,
  ): Promise<HttpResponse> {
    const attempt = async () => {
      const current = await this.store.get(name);
      // Preconditions are ignored where the response would be 404 or 409 without them (RFC 9110 §13.2.1).
      const isDone = request.method === "PUT" || (request.method === "POST") === (current === undefined);
      if (isDone) preconditionsHold(request, current?.version);
      return await write(current);
    };
    return this.#lanes.alone(name, requester, () => retried(`The row ${JSON.stringify(name)}`, attempt));
  }

  #newRow({ name, content, requester }: RowCall): Awaitable<NewRow> {
    return this.#canonical.read(content, name, this.#limits.maxRowBytes) ??
      new Pacer(requester).run(this.#parsed(name, content));
  }

  *#parsed(name: string, content: Uint8Array): Generator<number, NewRow> {
    return this.#checked(name, yield* readRow(content, name, this.#limits.schema));
  }

  *#patched(row: Row, patch: Uint8Array): Generator<number, Uint8Array> {
    const value = yield* mergePatch(valueIn(row), patch);
    yield* requireFewMembers(value);
    return value;
  }

  #checked(name: string, value: Uint8Array): NewRow {
    // What is recognised need not be parsed.
    if (this.#canonical.rowEnd(value, 0) !== value.length) requireSchema(value, this.#limits.schema);
    return rowOf(name, value, this.#limits.maxRowBytes);
  }
}

function valueIn({ name, content }: Row): Uint8Array {
  const bytes = typeof content === "string" ? Buffer.from(content) : content;
  const value = bytes.subarray(byteLength(rowContent(name, "")) - 1, -1);
  // Another program may have written blanks before it.
  return value.subarray(value.findIndex((octet) => !isBlank(octet)));
}
