/**
 * Writes of the SQLite store, many in one transaction: the operations, their execution and their results.
 *
 * Messages between the store and its writer consist of plain values, because they cross threads.
 *
 * @module
 */

import type { DatabaseSync, StatementSync } from "node:sqlite";
import { SQLITE_PIECE_ROWS } from "../limits.ts";
import { inTransaction, READ_STATE, storeError, type TableState } from "./sqlite_file.ts";
import { OtherWriters } from "./sqlite_others.ts";
import type { Room } from "./sqlite_reserve.ts";
import type { NewRow, StoreFault } from "../store.ts";

/** An operation: a row to put (an `expected` of `null` accepts any version), rows to insert, or a name to remove. */
export type Write =
  | { readonly kind: "put"; readonly name: string; readonly json: string; readonly expected: number | null }
  | { readonly kind: "insert"; readonly rows: readonly NewRow[]; readonly expected: number | null }
  | { readonly kind: "remove"; readonly name: string; readonly expected: number | null };

/** The result of a put: the row's new version, and whether it is new. `null` if the expectation was not met. */
export type PutResult = { readonly version: number; readonly created: boolean } | null;
/**
 * The result of an insertion: the names that are taken; with any, nothing was inserted. `null` if the table has another
 * revision.
 */
export type InsertResult = readonly string[] | null;
/** The result of a removal: whether there was a row. */
export type RemoveResult = boolean;
/** A write that failed. */
export interface WriteFailure {
  /** Why it failed. */
  readonly fault: StoreFault;
  /** The reason, for people. */
  readonly message: string;
}

/** The result of an operation. Results have the order of the operations. */
export type WriteResult = PutResult | InsertResult | RemoveResult | WriteFailure;

/** Whether a write failed. */
export function isFailure(result: WriteResult): result is WriteFailure {
  return typeof result === "object" && result !== null && "fault" in result;
}

/** Performs writes in the file. */
export class BatchRunner {
  readonly #database: DatabaseSync;
  readonly #readState: StatementSync;
  readonly #writeState: StatementSync;
  readonly #find: StatementSync;
  readonly #update: StatementSync;
  readonly #updateVersion: StatementSync;
  readonly #insert: StatementSync;
  readonly #delete: StatementSync;
  readonly #deleteVersion: StatementSync;
  /** The result so far of an insertion whose rows come part by part. */
  #insertion: InsertResult | WriteFailure = null;
  readonly #others: OtherWriters;
  #correcting = false;
  #state: TableState = { revision: 0, total: 0, longest: 0 };
  #othersWrote = false;
  readonly #room: Room | undefined;

  /**
   * Prepares the statements on an open database, and corrects the table's state if it does not fit its rows.
   *
   * @param room The room on the disk.
   */
  constructor(database: DatabaseSync, room?: Room) {
    this.#database = database;
    this.#room = room;
    this.#others = new OtherWriters(database);
    const prepare = (sql: string) => database.prepare(sql);
    this.#readState = prepare(READ_STATE);
    this.#writeState = prepare("UPDATE state SET revision = ?, total = ?, longest = ?");
    this.#find = prepare("SELECT 1 FROM rows WHERE name = ?");
    this.#update = prepare("UPDATE rows SET json = ?, version = ? WHERE name = ?");
    this.#updateVersion = prepare("UPDATE rows SET json = ?, version = ? WHERE name = ? AND max(version, ?) = ?");
    this.#insert = prepare("INSERT INTO rows (name, json, version) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING");
    this.#delete = prepare("DELETE FROM rows WHERE name = ?");
    this.#deleteVersion = prepare("DELETE FROM rows WHERE name = ? AND max(version, ?) = ?");
    this.run([]);
  }

  /** Whether another program has written to the file since this was asked last. */
  takeOthersWrote(): boolean {
    const wrote = this.#othersWrote;
    this.#othersWrote = false;
    return wrote;
  }

  /**
   * Performs writes in one transaction, and returns once it is synced to disk. If the disk has no room for all, each
   * write gets a transaction of its own, so that as few as possible fail.
   */
  run(writes: readonly Write[]): WriteResult[] {
    try {
      return this.#runAll(writes);
    } finally {
      this.#room?.settle();
    }
  }

  #runAll(writes: readonly Write[]): WriteResult[] {
    try {
      return this.#inOne(writes);
    } catch (error) {
      const failure = this.#failure(error);
      // Another program's lock or a broken disk affects all writes: waiting for it once is enough.
      if (failure.fault !== "full") return writes.map(() => failure);
      return writes.map((write) => this.#onFullDisk(write, writes.length === 1 ? failure : this.#alone(write)));
    }
  }

  /** Tries a write again that met the full disk, once there is more room. */
  #onFullDisk(write: Write, first: WriteResult): WriteResult {
    const room = this.#room;
    let result = first;
    for (const makeRoom of room === undefined ? [] : [() => room.truncateLog(), () => room.giveUp()]) {
      if (!isFailure(result) || result.fault !== "full") break;
      if (makeRoom()) result = this.#alone(write);
    }
    return result;
  }

  #alone(write: Write): WriteResult {
    try {
      return this.#inOne([write])[0];
    } catch (error) {
      return this.#failure(error);
    }
  }

  /** Begins an insertion of rows that come part by part, in a transaction of its own. */
  begin(expected: number | null): void {
    this.#step(() => {
      this.#database.exec("BEGIN IMMEDIATE");
      const wasFull = this.#room?.begin();
      this.#state = this.#readState.get() as unknown as TableState;
      this.#correcting = this.#others.correct(this.#state, wasFull);
      this.#insertion = expected !== null && expected !== this.#state.revision ? null : [];
    });
  }

  /** Inserts some rows, and notes the names that are taken. */
  add(rows: readonly NewRow[]): void {
    const taken = this.#insertion;
    if (!Array.isArray(taken)) return;
    this.#step(() => {
      for (const { name, json } of rows) {
        if (this.#insert.run(name, json, this.#state.revision + 1).changes === 0) taken.push(name);
        else this.#added(name, json);
      }
    });
  }

  /** Ends an insertion: commits it if all its names were free and it shall be, and returns its result. */
  end(commit: boolean): WriteResult {
    this.#step(() => {
      if (!commit || !Array.isArray(this.#insertion) || this.#insertion.length > 0) return;
      this.#saveState();
      this.#room?.claim();
      this.#database.exec("COMMIT");
      this.#others.committed();
      this.#othersWrote ||= this.#correcting;
    });
    if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
    this.#room?.settle();
    return this.#insertion;
  }

  #step(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#insertion = this.#failure(error);
    }
  }

  #inOne(writes: readonly Write[]): WriteResult[] {
    let othersWrote = false;
    const results = inTransaction(this.#database, () => {
      const wasFull = this.#room?.begin();
      this.#state = this.#readState.get() as unknown as TableState;
      othersWrote = this.#others.correct(this.#state, wasFull);
      const results = writes.map((write) => this.#write(write));
      if (writes.length > 0 || othersWrote) this.#saveState();
      this.#room?.claim();
      return results;
    });
    this.#others.committed();
    this.#othersWrote ||= othersWrote;
    return results;
  }

  #failure(error: unknown): WriteFailure {
    const { fault, message } = storeError(error);
    return { fault, message };
  }

  #write(write: Write): WriteResult {
    switch (write.kind) {
      case "put":
        return this.#put(write.name, write.json, write.expected);
      case "insert":
        return this.#insertAll(write.rows, write.expected);
      case "remove":
        return this.#remove(write.name, write.expected);
    }
  }

  #put(name: string, json: string, expected: number | null): PutResult {
    const version = this.#state.revision + 1;
    if (expected === null || expected > 0) {
      const { changes } = expected === null
        ? this.#update.run(json, version, name)
        : this.#updateVersion.run(json, version, name, this.#others.leastVersion, expected);
      if (changes === 1) {
        this.#note(name, json);
        return { version, created: false };
      }
      if (expected !== null) return null;
    }
    if (this.#insert.run(name, json, version).changes === 0) return null;
    this.#added(name, json);
    return { version, created: true };
  }

  #insertAll(rows: readonly NewRow[], expected: number | null): InsertResult {
    if (expected !== null && expected !== this.#state.revision) return null;
    const taken = rows.filter(({ name }) => this.#find.get(name) !== undefined).map(({ name }) => name);
    if (taken.length > 0) return taken;
    for (const { name, json } of rows) {
      this.#insert.run(name, json, this.#state.revision + 1);
      this.#added(name, json);
    }
    return taken;
  }

  #remove(name: string, expected: number | null): RemoveResult {
    const { changes } = expected === null
      ? this.#delete.run(name)
      : this.#deleteVersion.run(name, this.#others.leastVersion, expected);
    if (changes === 0) return false;
    this.#state.revision++;
    this.#state.total--;
    return true;
  }

  #saveState(): void {
    this.#writeState.run(this.#state.revision, this.#state.total, this.#state.longest);
  }

  /** Records that a new row was written. */
  #added(name: string, json: string): void {
    this.#note(name, json);
    this.#state.total++;
  }

  /** Records that a row was written. */
  #note(name: string, json: string): void {
    this.#state.revision++;
    this.#state.longest = Math.max(this.#state.longest, name.length + json.length);
  }
}

/** Returns the row without its UTF-8 content, which is not needed and would be copied to the other thread. */
export function bareRow({ name, json }: NewRow): NewRow {
  return { name, json };
}

/** Cuts rows into parts that are short enough to be passed to the writing thread at once. */
export function* partsOf(rows: readonly NewRow[]): Generator<readonly NewRow[]> {
  for (let i = 0; i < rows.length; i += SQLITE_PIECE_ROWS) yield rows.slice(i, i + SQLITE_PIECE_ROWS);
}

/** Returns the characters that a write has. */
export function charactersOf(write: Write): number {
  if (write.kind === "insert") return write.rows.reduce((sum, { name, json }) => sum + name.length + json.length, 0);
  return write.kind === "put" ? write.name.length + write.json.length : write.name.length;
}
