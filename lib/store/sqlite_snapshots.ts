/**
 * Snapshots of the SQLite table, read page by page in a read transaction.
 *
 * Snapshots of the same revision share a connection to the file. Connections are reused.
 *
 * @module
 */

import type { DatabaseSync, StatementSync } from "node:sqlite";
import { MAX_SNAPSHOTS } from "../limits.ts";
import { IS_OBJECT, openFile, READ_STATE, storeError, type TableState } from "./sqlite_file.ts";
import { type Page, type Place, type Snapshot, START, StoreError } from "../store.ts";
import { FAIR_TURNS } from "../turns.ts";

/** The most rows read at a time. */
const PAGE_ROWS = 1000;
/** Bytes of rows read at a time, plus at most one row. */
const PAGE_BYTES = 256 * 1024;
/** Rows skipped at a time. */
const SKIPPED_ROWS = 50_000;
/** Connections to the file kept for later snapshots. */
const MAX_IDLE = 4;

/** Whether this many rows fit one page, even if all are as long as the longest ever. */
export function fitsOnePage(longest: number, rows: number): boolean {
  return rows <= PAGE_ROWS && rows * longest <= PAGE_BYTES;
}

interface JsonPage {
  readonly members: string | null;
  readonly last: number;
  readonly count: number;
}

/** A connection, with a read transaction while it has readers. */
class ReadTransaction {
  state: TableState = { revision: 0, total: 0, longest: 0 };
  /** Its readers, each with what is called if its snapshot is ended. */
  readonly readers = new Map<Snapshot, (() => void) | undefined>();
  readonly #database: DatabaseSync;
  readonly #readState: StatementSync;
  readonly #readJson: StatementSync;
  readonly #skipRows: StatementSync;
  readonly #readSizes: StatementSync;

  constructor(file: string) {
    this.#database = openFile(file, true);
    this.#readState = this.#database.prepare(READ_STATE);
    const page = "SELECT position, name, json FROM rows WHERE position > ? ORDER BY position LIMIT ?";
    // The rows keep the order of the inner query and are joined in it: sorting them again would double the time.
    this.#readJson = this.#database.prepare(`
      SELECT group_concat(json_quote(name) || ':' || json) FILTER (WHERE ${IS_OBJECT}) AS members, max(position) AS last, count(*) AS count
      FROM (${page})`);
    this.#skipRows = this.#database.prepare(
      "SELECT position FROM rows WHERE position > ? ORDER BY position LIMIT 1 OFFSET ?",
    );
    this.#readSizes = this.#database.prepare(`
      SELECT octet_length(name) + octet_length(json) AS bytes FROM rows WHERE position > ? ORDER BY position LIMIT ?`);
  }

  /** Starts a read transaction, which does not see later writes. */
  begin(): void {
    this.#database.exec("BEGIN");
    this.state = this.#readState.get() as unknown as TableState;
  }

  /** Rolls back: nothing was written, and COMMIT would fail after a failed read. */
  end(): void {
    if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
  }

  close(): void {
    this.#database.close();
  }

  /** Returns how many rows the page at the cursor has: fewer than usual if some of them are long. */
  #pageRows(cursor: number): number {
    if (fitsOnePage(this.state.longest, PAGE_ROWS)) return PAGE_ROWS;
    let rows = 0;
    let bytes = 0;
    for (const row of this.#readSizes.iterate(cursor, PAGE_ROWS)) {
      bytes += row.bytes as number;
      if (rows > 0 && bytes > PAGE_BYTES) break;
      rows++;
    }
    return Math.max(1, rows);
  }

  json(cursor: number, isFirst = cursor === START): Page<string> {
    const limit = this.#pageRows(cursor);
    const { members, last, count } = this.#readJson.get(cursor, limit) as unknown as JsonPage;
    const next = count < limit ? undefined : last;
    // Without a row, the start of the object goes with the next page.
    if (members === null && next !== undefined) return this.json(next, isFirst);
    const before = isFirst ? "{" : members === null ? "" : ",";
    return { content: `${before}${members ?? ""}${next === undefined ? "}" : ""}`, next };
  }

  /** Skips rows in steps that do not block other clients. */
  async seek(row: number): Promise<Place> {
    const end = Math.min(row, this.state.total);
    let cursor = START;
    for (let at = 0; at < end;) {
      const step = Math.min(end - at, SKIPPED_ROWS);
      cursor = this.#skipRows.get(cursor, step - 1)!.position as number;
      at += step;
      await FAIR_TURNS.yieldIfBusy();
    }
    return { cursor, row: end };
  }
}

/** The snapshots of one file. */
export class SnapshotPool {
  readonly #file: string;
  readonly #failure: (error: unknown) => StoreError;
  readonly #open = new Map<number, ReadTransaction>();
  readonly #idle: ReadTransaction[] = [];
  readonly #report: (line: string) => void;
  #closed = false;

  /**
   * Creates snapshots of this file.
   *
   * @param failure Converts the errors of SQLite.
   * @param report Receives a line for the operator when snapshots are ended.
   */
  constructor(
    file: string,
    failure: (error: unknown) => StoreError = storeError,
    report: (line: string) => void = () => {},
  ) {
    this.#file = file;
    this.#failure = failure;
    this.#report = report;
  }

  /**
   * Returns the table as of now.
   *
   * @param revision The revision that the caller has just read: a transaction that reads it is shared.
   * @param ended Called if the snapshot is ended before it is closed.
   * @throws {StoreError} If too many revisions are being read, or the file cannot be opened.
   */
  take(revision: number, ended?: () => void): Snapshot {
    const transaction = this.#open.get(revision) ?? this.#begin();
    const snapshot = this.#snapshotOf(transaction);
    transaction.readers.set(snapshot, ended);
    return snapshot;
  }

  /** The number of revisions being read. */
  get open(): number {
    return this.#open.size;
  }

  /** Ends the snapshots of the oldest revision; their readers get an error. */
  endSlowest(): void {
    for (const [revision, transaction] of this.#open) {
      this.#open.delete(revision);
      const readers = [...transaction.readers.values()];
      this.#release(transaction);
      for (const ended of readers) ended?.();
      const which = readers.length === 1 ? "listing was" : `${readers.length} listings were`;
      return this.#report(`The slowest ${which} ended: the file's log could not be shortened while they were read`);
    }
  }

  /** Ends all snapshots, and closes the file. */
  close(): void {
    this.#closed = true;
    for (const transaction of [...this.#open.values(), ...this.#idle]) transaction.close();
    this.#open.clear();
    this.#idle.length = 0;
  }

  #begin(): ReadTransaction {
    if (this.#open.size >= MAX_SNAPSHOTS) {
      throw new StoreError(
        "unavailable",
        `The table is being read at ${MAX_SNAPSHOTS} revisions already: try again soon`,
      );
    }
    let transaction: ReadTransaction | undefined;
    try {
      transaction = this.#idle.pop() ?? new ReadTransaction(this.#file);
      transaction.begin();
      const same = this.#open.get(transaction.state.revision);
      if (same !== undefined) {
        this.#release(transaction);
        return same;
      }
      this.#open.set(transaction.state.revision, transaction);
      return transaction;
    } catch (error) {
      transaction?.close();
      throw this.#failure(error);
    }
  }

  #release(transaction: ReadTransaction): void {
    transaction.end();
    transaction.readers.clear();
    if (this.#idle.length < MAX_IDLE) this.#idle.push(transaction);
    else transaction.close();
  }

  #snapshotOf(transaction: ReadTransaction): Snapshot {
    const { revision, total } = transaction.state;
    let open = true;
    const read = <T>(page: () => T): T => {
      if (!open || this.#closed) throw new StoreError("unavailable", "The store is closed");
      if (this.#open.get(revision) !== transaction) {
        const detail = "The snapshot was ended: it was read too slowly while much was written";
        throw new StoreError("unavailable", detail);
      }
      try {
        return page();
      } catch (error) {
        throw this.#failure(error);
      }
    };
    const snapshot: Snapshot = {
      revision,
      total,
      json: (cursor) => read(() => transaction.json(cursor)),
      seek: (row) => read(() => transaction.seek(row)),
      close: () => {
        if (!open) return;
        open = false;
        transaction.readers.delete(snapshot);
        if (this.#open.get(revision) !== transaction || transaction.readers.size > 0) return;
        this.#open.delete(revision);
        this.#release(transaction);
      },
    };
    return snapshot;
  }
}

/** Names read at a time when the largest number is looked for. */
const NAMES_PER_READ = 20_000;

/**
 * Finds the largest N of the rows named rN in the index of names, some at a time: see {@linkcode Store.largestNumber}.
 *
 * @param read Runs a query.
 */
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
