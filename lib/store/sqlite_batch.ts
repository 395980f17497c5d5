/**
 * Writes to an SQLite file, many in one transaction, and what other programs wrote to it although they may only read it.
 *
 * What others changed is unknown. So the table's revision rises, its rows are counted again, and the version of every
 * row is from then on at least that revision, so that no client takes an older row for the current one. The revision is
 * in the table `written_by_others`, which only such a file has.
 */

import type { DatabaseSync } from "node:sqlite";
import { atOnce, leastVersion, stateReader, storeError, type TableState } from "./sqlite_file.ts";
import type { Room } from "./sqlite_reserve.ts";
import type { NewRow, StoreFault } from "../store.ts";

/** A write: of plain values, because it crosses threads. Without an expected version, any is accepted. */
export type Write =
  | { readonly kind: "put"; readonly name: string; readonly json: string; readonly expected?: number }
  | { readonly kind: "insert"; readonly rows: readonly NewRow[]; readonly expected?: number }
  | { readonly kind: "remove"; readonly name: string; readonly expected?: number };

/** The row's new version, and whether it is new; `undefined` if the expectation was not met. */
export type PutResult = { readonly version: number; readonly created: boolean } | undefined;
/** The names that are taken: with any, nothing was inserted. `undefined` if the table has another revision. */
type InsertResult = readonly string[] | undefined;

export interface WriteFailure {
  readonly fault: StoreFault;
  readonly message: string;
}

/** The result of a write; of a removal, whether there was a row. */
export type WriteResult = PutResult | InsertResult | boolean | WriteFailure;

export function isFailure(result: WriteResult): result is WriteFailure {
  return typeof result === "object" && "fault" in result;
}

export class BatchRunner {
  readonly #sql;
  #state: TableState = { revision: 0, total: 0, longest: 0 };
  /** The result so far of an insertion whose rows come part by part. */
  #insertion: string[] | WriteFailure | undefined;
  /** The least version of all rows, which rises when another program's write is noticed. */
  leastVersion: number;
  /** The same in the current transaction. */
  #floor = 0;
  /** The file's `data_version`, which other programs' writes change, in the last transaction that was committed. */
  #seen: number | undefined;
  /** The same in the current transaction. */
  #current: number | undefined;
  /** Whether the current transaction is the first after another program's write. */
  #isCorrecting = false;

  constructor(private readonly database: DatabaseSync, private readonly room?: Room) {
    this.leastVersion = leastVersion(database);
    const prepare = (sql: string) => database.prepare(sql);
    // Any version is expected where none is given.
    const isExpected = "ifnull(max(version, ?) = ?, 1)";
    this.#sql = {
      readState: stateReader(database),
      writeState: prepare("UPDATE state SET revision = ?, total = ?, longest = ?"),
      dataVersion: prepare("PRAGMA data_version"),
      count: prepare("SELECT count(*) AS total FROM rows"),
      find: prepare("SELECT 1 FROM rows WHERE name = ?"),
      update: prepare(`UPDATE rows SET json = ?, version = ? WHERE name = ? AND ${isExpected}`),
      insert: prepare("INSERT INTO rows (name, json, version) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING"),
      remove: prepare(`DELETE FROM rows WHERE name = ? AND ${isExpected}`),
    };
  }

  /** Writes in one transaction, synced to disk; on a full disk each in its own, so that as few as possible fail. */
  run(writes: readonly Write[]): WriteResult[] {
    try {
      return this.#inOne(writes);
    } catch (error) {
      const failure = failureOf(error);
      // Another program's lock or a broken disk affects all writes: waiting for it once is enough.
      if (failure.fault !== "full") return writes.map(() => failure);
      return writes.map((write) => this.#again(write, failure, writes.length === 1));
    } finally {
      this.room?.settle();
    }
  }

  /** Notices another program's write while nothing is written, unless the file is locked: then another time. */
  notice(): void {
    atOnce(this.database, () => {
      if (this.#dataVersion !== this.#seen) this.run([]);
    });
  }

  get #dataVersion(): number {
    return this.#sql.dataVersion.get()!.data_version as number;
  }

  /** Tries a write again that met the full disk: by itself, and once there is more room. */
  #again(write: Write, first: WriteFailure, wasAlone: boolean): WriteResult {
    let failure = first;
    for (const hasRoom of [() => !wasAlone, () => this.room?.truncateLog(), () => this.room?.giveUp()]) {
      if (failure.fault !== "full" || !hasRoom()) continue;
      try {
        return this.#inOne([write])[0];
      } catch (error) {
        failure = failureOf(error);
      }
    }
    return failure;
  }

  #inOne(writes: readonly Write[]): WriteResult[] {
    try {
      this.#begin();
      const results = writes.map((write) => this.#write(write));
      this.#commit(writes.length > 0);
      return results;
    } finally {
      this.#rollBack();
    }
  }

  /** Begins an insertion of rows that come part by part, in a transaction of its own. */
  begin(expected?: number): void {
    this.#step(() => {
      this.#begin();
      this.#insertion = expected !== undefined && expected !== this.#state.revision ? undefined : [];
    });
  }

  add(rows: readonly NewRow[]): void {
    const taken = this.#insertion;
    if (!Array.isArray(taken)) return;
    this.#step(() => {
      for (const { name, json } of rows) if (!this.#add(name, json)) taken.push(name);
    });
  }

  /** Ends an insertion: commits it if all its names were free and it shall be, and returns its result. */
  end(commit: boolean): WriteResult {
    this.#step(() => {
      if (commit && Array.isArray(this.#insertion) && this.#insertion.length === 0) this.#commit(true);
    });
    this.#rollBack();
    this.room?.settle();
    return this.#insertion;
  }

  #step(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#insertion = failureOf(error);
    }
  }

  #begin(): void {
    this.database.exec("BEGIN IMMEDIATE");
    const wasFull = this.room?.begin();
    this.#state = this.#sql.readState();
    this.#floor = this.leastVersion;
    // After a full disk, SQLite may take the own failure for another's write.
    if (wasFull) this.#seen = undefined;
    this.#current = this.#dataVersion;
    // Of a file that was just opened, only another number of rows shows others' writes.
    this.#isCorrecting = this.#seen === undefined
      ? this.#sql.count.get()!.total !== this.#state.total
      : this.#current !== this.#seen;
    if (this.#isCorrecting) this.#correct();
  }

  /** Corrects the table's state, because another program has written to the file. */
  #correct(): void {
    const { total, longest, revision } = this.database.prepare(`
      SELECT count(*) AS total, ifnull(max(version), 0) AS revision,
        ifnull(max(octet_length(name) + octet_length(json)), 0) AS longest FROM rows`).get() as unknown as TableState;
    this.#state.total = total;
    this.#state.longest = Math.max(this.#state.longest, longest);
    this.#state.revision = Math.max(this.#state.revision, revision, this.#floor) + 1;
    this.database.exec(`
      CREATE TABLE IF NOT EXISTS written_by_others (revision INTEGER NOT NULL) STRICT;
      INSERT INTO written_by_others VALUES (${this.#state.revision})`);
    this.#floor = this.#state.revision;
  }

  #commit(isWritten: boolean): void {
    if (isWritten || this.#isCorrecting) {
      this.#sql.writeState.run(this.#state.revision, this.#state.total, this.#state.longest);
      this.room?.claim();
    }
    this.database.exec("COMMIT");
    // What the transaction corrected need not be corrected again.
    this.#seen = this.#current;
    this.leastVersion = this.#floor;
  }

  /** Some errors, such as a full disk, have already ended the transaction. */
  #rollBack(): void {
    if (this.database.isTransaction) this.database.exec("ROLLBACK");
  }

  #write(write: Write): WriteResult {
    const { kind, expected } = write;
    if (kind === "put") return this.#put(write.name, write.json, expected);
    return kind === "insert" ? this.#insertAll(write.rows, expected) : this.#remove(write.name, expected);
  }

  #put(name: string, json: string, expected?: number): PutResult {
    const version = this.#state.revision + 1;
    if (
      expected !== 0 && this.#sql.update.run(json, version, name, this.#floor, expected ?? null).changes === 1
    ) {
      this.#note(name, json);
      return { version, created: false };
    }
    return !expected && this.#add(name, json) ? { version, created: true } : undefined;
  }

  #insertAll(rows: readonly NewRow[], expected?: number): InsertResult {
    if (expected !== undefined && expected !== this.#state.revision) return undefined;
    const taken = rows.filter(({ name }) => this.#sql.find.get(name) !== undefined).map(({ name }) => name);
    if (taken.length === 0) { for (const { name, json } of rows) this.#add(name, json); }
    return taken;
  }

  #remove(name: string, expected?: number): boolean {
    if (this.#sql.remove.run(name, this.#floor, expected ?? null).changes === 0) return false;
    this.#state.revision++;
    this.#state.total--;
    return true;
  }

  /** Writes a new row. Returns whether its name was free. */
  #add(name: string, json: string): boolean {
    if (this.#sql.insert.run(name, json, this.#state.revision + 1).changes === 0) return false;
    this.#note(name, json);
    this.#state.total++;
    return true;
  }

  #note(name: string, json: string): void {
    this.#state.revision++;
    this.#state.longest = Math.max(this.#state.longest, name.length + json.length);
  }
}

function failureOf(error: unknown): WriteFailure {
  const { fault, message } = storeError(error);
  return { fault, message };
}
