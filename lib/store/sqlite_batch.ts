/**
 * Writes of the SQLite store, many in one transaction: the operations, their execution and their results.
 *
 * Messages between the store and its writer consist of plain values, because they cross threads.
 *
 * @module
 */

import type { DatabaseSync, StatementSync } from "node:sqlite";
import { inTransaction, READ_STATE, storeError, type TableState } from "./sqlite_file.ts";
import { OtherWriters } from "./sqlite_others.ts";
import type { NewRow, StoreFault } from "../store.ts";

/** An operation: a row to put (an `expected` of `null` accepts any version), rows to insert, or a name to remove. */
export type Write =
  | { readonly kind: "put"; readonly name: string; readonly json: string; readonly expected: number | null }
  | {
    readonly kind: "insert";
    /** The rows, or the number under which they were sent in pieces. */
    readonly rows: readonly NewRow[] | number;
    readonly expected: number | null;
  }
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
  /** Rows received in pieces, until they are inserted. */
  readonly #pieces = new Map<number, NewRow[]>();
  readonly #others: OtherWriters;
  #state: TableState = { revision: 0, total: 0, longest: 0 };
  #othersWrote = false;

  /** Prepares the statements on an open database, and corrects the table's state if it does not fit its rows. */
  constructor(database: DatabaseSync) {
    this.#database = database;
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
      for (const write of writes) {
        if (write.kind === "insert" && typeof write.rows === "number") this.#pieces.delete(write.rows);
      }
    }
  }

  /** Receives a piece of the rows that an insertion names by this number. */
  takeRows(number: number, rows: readonly NewRow[]): void {
    const pieces = this.#pieces.get(number);
    if (pieces === undefined) this.#pieces.set(number, [...rows]);
    else for (const row of rows) pieces.push(row);
  }

  #runAll(writes: readonly Write[]): WriteResult[] {
    try {
      return this.#inOne(writes);
    } catch (error) {
      const failure = this.#failure(error);
      // Another program's lock or a broken disk affects all writes: waiting for it once is enough.
      if (writes.length === 1 || failure.fault !== "full") return writes.map(() => failure);
    }
    return writes.map((write) => {
      try {
        return this.#inOne([write])[0];
      } catch (error) {
        return this.#failure(error);
      }
    });
  }

  #inOne(writes: readonly Write[]): WriteResult[] {
    let othersWrote = false;
    const results = inTransaction(this.#database, () => {
      this.#state = this.#readState.get() as unknown as TableState;
      othersWrote = this.#others.correct(this.#state);
      const results = writes.map((write) => this.#write(write));
      if (writes.length > 0 || othersWrote) {
        this.#writeState.run(this.#state.revision, this.#state.total, this.#state.longest);
      }
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
        return this.#insertAll(this.#rowsOf(write.rows), write.expected);
      case "remove":
        return this.#remove(write.name, write.expected);
    }
  }

  /** Returns the rows of an insertion, whether they were received in pieces or with the operation. */
  #rowsOf(rows: readonly NewRow[] | number): readonly NewRow[] {
    return typeof rows === "number" ? this.#pieces.get(rows) ?? [] : rows;
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
    this.#note(name, json);
    this.#state.total++;
    return { version, created: true };
  }

  #insertAll(rows: readonly NewRow[], expected: number | null): InsertResult {
    if (expected !== null && expected !== this.#state.revision) return null;
    const taken = rows.filter(({ name }) => this.#find.get(name) !== undefined).map(({ name }) => name);
    if (taken.length > 0) return taken;
    for (const { name, json } of rows) {
      this.#insert.run(name, json, this.#state.revision + 1);
      this.#note(name, json);
      this.#state.total++;
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

  /** Records that a row was written. */
  #note(name: string, json: string): void {
    this.#state.revision++;
    this.#state.longest = Math.max(this.#state.longest, name.length + json.length);
  }
}
