/**
 * `POST /`: creates rows together, or one row under a name that the server chooses: r1, r2 and so on (RFC 9110 §9.3.3).
 */

import { collectSoon, octetString } from "../bytes.ts";
import { HttpError, type HttpResponse, type Requester, type RequestHead, RETRY_SOON } from "../http_message.ts";
import { MAX_GARBAGE_BYTES, MAX_WRITE_ATTEMPTS } from "../limits.ts";
import { ABSENT, type NewRow, START, type Store } from "../store.ts";
import { type Lanes, Pacer } from "../turns.ts";
import { BareRow, readLines, readRows, TABLE_FORMS } from "./bulk_rows.ts";
import {
  allCreatedResponse,
  hasPreconditions,
  LINES_TYPE,
  mediaType,
  preconditionsHold,
  writtenResponse,
} from "./resource.ts";
import type { RowLimits } from "./row_schema.ts";
import { readRow, requireSchema, rowOf } from "./row_text.ts";
import { storedPages } from "./stored_rows.ts";
import { JSON_PIECE_BYTES } from "../json.ts";

const LOWER_R = 0x72;
const QUOTE = 0x22;
/** The digits of 2^53 - 1, the largest number that is counted with. */
const MAX_DIGITS = 16;

export class Creator {
  readonly names: ChosenNames;

  constructor(private readonly store: Store, private readonly limits: RowLimits, private readonly lanes: Lanes) {
    this.names = new ChosenNames(store);
  }

  async create(request: RequestHead, content: Uint8Array, requester?: Requester): Promise<HttpResponse> {
    const read = mediaType(request.fields) === LINES_TYPE ? readLines : readRows;
    const create = async (expected?: number) => {
      try {
        const parts = read(content, this.limits, new Pacer(requester));
        return await this.#insertRows(parts, content.length <= JSON_PIECE_BYTES, expected);
      } catch (error) {
        if (!(error instanceof BareRow)) throw error;
        return await this.#insertBareRow(content, requester, expected);
      } finally {
        if (content.length > MAX_GARBAGE_BYTES) collectSoon();
      }
    };
    if (!hasPreconditions(request.fields)) return (await create())!;
    return await retried("The table", async () => {
      const snapshot = await this.store.snapshot();
      const { revision } = snapshot;
      snapshot.close();
      preconditionsHold(request, revision);
      return await create(revision);
    });
  }

  /** Inserts the rows while they are read; those of short content at once. */
  async #insertRows(
    parts: AsyncGenerator<readonly NewRow[]>,
    isShort: boolean,
    expected?: number,
  ): Promise<HttpResponse | undefined> {
    const { names } = this;
    let count = 0;
    async function* counted(): AsyncGenerator<readonly NewRow[]> {
      for await (const rows of parts) {
        count += rows.length;
        for (const { name } of rows) names.note(name);
        yield rows;
      }
    }
    const rows = isShort ? (await Array.fromAsync(counted())).flat() : counted();
    const taken = await this.store.insert(rows, expected);
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
      const name = await this.names.next(pacer);
      const row = rowOf(name, value, this.limits.maxRowBytes);
      if (expected === undefined) {
        const written = await this.lanes.share(name, requester, () => this.store.put(row, ABSENT));
        if (written !== undefined) return writtenResponse(written);
      } else {
        const taken = await this.store.insert([row], expected);
        if (taken === undefined) return undefined;
        const current = taken.length === 0 ? await this.store.get(name) : undefined;
        if (current !== undefined) return writtenResponse({ row: current, created: true });
      }
    }
  }

  *#bareValue(content: Uint8Array): Generator<number, Uint8Array> {
    try {
      const value = yield* readRow(content, undefined, this.limits.schema);
      requireSchema(value, this.limits.schema);
      return value;
    } catch (error) {
      if (!(error instanceof HttpError) || error.status !== 422) throw error;
      const { message, errors, rule } = error;
      throw new HttpError(422, `${message}; ${TABLE_FORMS}`, { errors, rule });
    }
  }
}

/** The numbers of names of this form that have existed since the server's start. */
export class ChosenNames {
  #last = 0;
  #found: Promise<void> | undefined;

  constructor(private readonly store: Store) {}

  /** Takes note of a name that was written or removed: no later name has its number, or a lower one. */
  note(name: string): void {
    if (name.charCodeAt(0) !== LOWER_R || name.length > MAX_DIGITS + 1 || !/^r(?:0|[1-9]\d*)$/.test(name)) return;
    const number = Number(name.slice(1));
    if (number > this.#last && Number.isSafeInteger(number)) this.#last = number;
  }

  /** Returns the next name. The first time, all names in the store are looked at. */
  async next(pacer: Pacer): Promise<string> {
    await (this.#found ??= this.#find(pacer).catch((error) => {
      this.#found = undefined;
      throw error;
    }));
    if (this.#last === Number.MAX_SAFE_INTEGER) {
      throw new HttpError(507, `The server cannot choose a name above r${this.#last}: send the row under a name`);
    }
    return `r${++this.#last}`;
  }

  async #find(pacer: Pacer): Promise<void> {
    if (this.store.largestNumber !== undefined) return this.note(`r${await this.store.largestNumber()}`);
    const snapshot = await this.store.snapshot();
    try {
      for await (const rows of storedPages(snapshot, START, pacer)) while (rows.next()) this.#noteIn(rows.row());
    } finally {
      snapshot.close();
    }
  }

  /** Takes note of a row's name, of which most are of another form. */
  #noteIn(row: Uint8Array): void {
    if (row[1] === LOWER_R) this.note(octetString(row, 1, row.indexOf(QUOTE, 2)));
  }
}

/** Retries a conditional write until it returns a response: other servers on the same store may write meanwhile. */
export async function retried(what: string, attempt: () => Promise<HttpResponse | undefined>): Promise<HttpResponse> {
  for (let attempts = 0; attempts < MAX_WRITE_ATTEMPTS; attempts++) {
    const response = await attempt();
    if (response !== undefined) return response;
  }
  const detail = `${what} was changed by other clients ${MAX_WRITE_ATTEMPTS} times meanwhile`;
  throw new HttpError(503, detail, { fields: RETRY_SOON });
}
