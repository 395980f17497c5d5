/**
 * Snapshots of the SQLite table, read portion by portion in a read transaction.
 *
 * Snapshots of the same revision share a connection to the file. Connections are reused.
 */

import type { DatabaseSync } from "node:sqlite";
import { MAX_SNAPSHOTS } from "../limits.ts";
import { IS_OBJECT, neverWait, openFile, stateReader, storeError, type TableState } from "./sqlite_file.ts";
import { type Place, type Portion, type Snapshot, START, type StoreError, unavailable } from "../store.ts";
import { FAIR_TURNS } from "../turns.ts";

const PORTION_ROWS = 1000;
/** Bytes of rows read at a time, plus at most one row. */
const PORTION_BYTES = 256 * 1024;
const SKIPPED_ROWS = 50_000;
/** Connections to the file kept for later snapshots. */
const MAX_IDLE = 4;
/** Names read at a time when the largest number is looked for. */
const NAMES_PER_READ = 20_000;

/** Whether this many rows fit one portion, even if all are as long as the longest ever. */
export function fitsOnePortion(longest: number, rows: number): boolean {
  return rows <= PORTION_ROWS && rows * longest <= PORTION_BYTES;
}

/** A connection, with a read transaction while it has readers. */
class ReadTransaction {
  state: TableState = { revision: 0, total: 0, longest: 0 };
  /** Its open snapshots, each with what is called if it is ended. */
  readonly readers = new Map<Snapshot, (() => void) | undefined>();
  readonly database: DatabaseSync;
  readonly #query;

  constructor(file: string) {
    this.database = openFile(file, true);
    neverWait(this.database);
    const prepare = (sql: string) => this.database.prepare(sql);
    const after = "FROM rows WHERE position > ? ORDER BY position LIMIT";
    this.#query = {
      state: stateReader(this.database),
      // The rows keep the order of the inner query and are joined in it: sorting them again would double the time.
      json: prepare(`
        SELECT group_concat(json_quote(name) || ':' || json) FILTER (WHERE ${IS_OBJECT}) AS members,
          max(position) AS last, count(*) AS count
        FROM (SELECT position, name, json ${after} ?)`),
      skip: prepare(`SELECT position ${after} 1 OFFSET ?`),
      sizes: prepare(`SELECT octet_length(name) + octet_length(json) AS bytes ${after} ?`),
    };
  }

  begin(): void {
    this.database.exec("BEGIN");
    this.state = this.#query.state();
  }

  /** Nothing was written, and COMMIT would fail after a failed read. */
  rollBack(): void {
    if (this.database.isTransaction) this.database.exec("ROLLBACK");
    this.readers.clear();
  }

  /** Returns how many rows the portion at the cursor has: fewer than usual if some of them are long. */
  #portionRows(cursor: number): number {
    if (fitsOnePortion(this.state.longest, PORTION_ROWS)) return PORTION_ROWS;
    let rows = 0;
    let bytes = 0;
    for (const row of this.#query.sizes.iterate(cursor, PORTION_ROWS)) {
      bytes += row.bytes as number;
      if (rows > 0 && bytes > PORTION_BYTES) break;
      rows++;
    }
    return Math.max(1, rows);
  }

  json(cursor: number, isFirst = cursor === START): Portion<string> {
    const limit = this.#portionRows(cursor);
    const portion = this.#query.json.get(cursor, limit) as { members: string | null; last: number; count: number };
    const next = portion.count < limit ? undefined : portion.last;
    // Without a row, the start of the object goes with the next portion.
    if (portion.members === null && next !== undefined) return this.json(next, isFirst);
    const before = isFirst ? "{" : portion.members === null ? "" : ",";
    return { content: `${before}${portion.members ?? ""}${next === undefined ? "}" : ""}`, next };
  }

  /** Skips rows in steps that do not block other clients. */
  async seek(row: number): Promise<Place> {
    const end = Math.min(row, this.state.total);
    let cursor = START;
    for (let at = 0; at < end;) {
      const step = Math.min(end - at, SKIPPED_ROWS);
      cursor = this.#query.skip.get(cursor, step - 1)!.position as number;
      at += step;
      await FAIR_TURNS.yieldIfBusy();
    }
    return { cursor, row: end };
  }
}

export class SnapshotPool {
  /** By revision, the oldest first. */
  readonly #open = new Map<number, ReadTransaction>();
  readonly #idle: ReadTransaction[] = [];
  #isClosed = false;

  /** @param failure Converts the errors of SQLite. */
  constructor(
    private readonly file: string,
    private readonly failure: (error: unknown) => StoreError = storeError,
    private readonly note: (line: string) => void = () => {},
  ) {}

  /** The table at a revision that the caller has just read: a transaction that reads it is shared. */
  snapshot(revision: number, ended?: () => void): Snapshot {
    const transaction = this.#open.get(revision) ?? this.#begin();
    const { readers, state } = transaction;
    const read = <T>(portion: () => T): T => {
      if (this.#isClosed) throw unavailable("The store is closed");
      if (!readers.has(snapshot)) {
        throw unavailable("The snapshot was ended: it was read too slowly while much was written");
      }
      try {
        return portion();
      } catch (error) {
        throw this.failure(error);
      }
    };
    const snapshot: Snapshot = {
      revision: state.revision,
      total: state.total,
      json: (cursor) => read(() => transaction.json(cursor)),
      seek: (row) => read(() => transaction.seek(row)),
      close: () => {
        if (readers.delete(snapshot) && readers.size === 0 && !this.#isClosed) this.#release(transaction);
      },
    };
    readers.set(snapshot, ended);
    return snapshot;
  }

  get open(): number {
    return this.#open.size;
  }

  /** Ends the snapshots of the oldest revision; their readers get an error. */
  endSlowest(): void {
    const [transaction] = this.#open.values();
    if (transaction === undefined) return;
    const readers = [...transaction.readers.values()];
    this.#release(transaction);
    for (const ended of readers) ended?.();
    const which = readers.length === 1 ? "listing was" : `${readers.length} listings were`;
    this.note(`The slowest ${which} ended: the file's log could not be shortened while they were read`);
  }

  close(): void {
    this.#isClosed = true;
    for (const { database } of [...this.#open.values(), ...this.#idle]) database.close();
  }

  #begin(): ReadTransaction {
    if (this.#open.size >= MAX_SNAPSHOTS) {
      throw unavailable(`The table is being read at ${MAX_SNAPSHOTS} revisions already: try again soon`);
    }
    let transaction: ReadTransaction | undefined;
    try {
      transaction = this.#idle.pop() ?? new ReadTransaction(this.file);
      transaction.begin();
      const same = this.#open.get(transaction.state.revision);
      if (same !== undefined) this.#keep(transaction);
      else this.#open.set(transaction.state.revision, transaction);
      return same ?? transaction;
    } catch (error) {
      transaction?.database.close();
      throw this.failure(error);
    }
  }

  #release(transaction: ReadTransaction): void {
    this.#open.delete(transaction.state.revision);
    this.#keep(transaction);
  }

  #keep(transaction: ReadTransaction): void {
    transaction.rollBack();
    if (this.#idle.length < MAX_IDLE) this.#idle.push(transaction);
    else transaction.database.close();
  }
}

/** Looks through the index of names, some at a time: see {@linkcode Store.largestNumber}. */
export async function largestNumber(database: DatabaseSync, read: <T>(query: () => T) => T): Promise<number> {
  const beyond = Number.MAX_SAFE_INTEGER + 1;
  const some = database.prepare(`
    SELECT max(name) AS last, max(number) AS largest
    FROM (SELECT name, CASE WHEN name NOT GLOB 'r*[^0-9]*' AND name NOT GLOB 'r0?*' AND length(name) < 18
        THEN nullif(min(CAST(substr(name, 2) AS INTEGER), ${beyond}), ${beyond}) END AS number
      FROM rows WHERE name > ? AND name < 'r:' ORDER BY name LIMIT ${NAMES_PER_READ})`);
  let largest = 0;
  for (let last: string | null = "r"; last !== null; await FAIR_TURNS.yieldIfBusy()) {
    const after: string = last;
    const found = read(() => some.get(after)) as { last: string | null; largest: number | null };
    largest = Math.max(largest, found.largest ?? 0);
    last = found.last;
  }
  return largest;
}
