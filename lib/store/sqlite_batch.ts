/**
 * Writes to the SQLite store, many in one transaction: what is asked for, how it is done, what is answered.
 *
 * The messages between the store and its writer are made of plain values, since they cross from one thread to another.
 *
 * @module
 */

import type { DatabaseSync, StatementSync } from "node:sqlite";
import { inTransaction, READ_STATE, storeError, type TableState } from "./sqlite_file.ts";
import type { NewRow, StoreFault } from "../store.ts";

/** A write to be done: a row to put (`null` expects nothing), rows to insert, or a name to remove. */
export type Write =
  | { readonly kind: "put"; readonly name: string; readonly json: string; readonly expected: number | null }
  | {
    readonly kind: "insert";
    /** The rows, or the number under which they were handed over in pieces. */
    readonly rows: readonly NewRow[] | number;
    readonly expected: number | null;
  }
  | { readonly kind: "remove"; readonly name: string; readonly expected: number | null };

/** What came of a put: the row's new version, and whether there was no row before. `null` if it was not done. */
export type PutResult = { readonly version: number; readonly created: boolean } | null;
/** The names that are taken: if there is one, nothing was inserted. `null` if the revision was not the expected one. */
export type InsertResult = readonly string[] | null;
/** Whether there was a row to remove. */
export type RemoveResult = boolean;
/** A write that was not possible. */
export interface WriteFailure {
  /** What kind of reason. */
  readonly fault: StoreFault;
  /** The reason, for people. */
  readonly message: string;
}

/** What came of a write, in the order of the writes. */
export type WriteResult = PutResult | InsertResult | RemoveResult | WriteFailure;

/** Whether a write was not possible. */
export function isFailure(result: WriteResult): result is WriteFailure {
  return typeof result === "object" && result !== null && "fault" in result;
}

/** Does writes in the file. */
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
  /** Rows that were handed over in pieces, until their write is done. */
  readonly #pieces = new Map<number, NewRow[]>();
  #state: TableState = { revision: 0, total: 0, longest: 0 };

  /** Works on an open database. */
  constructor(database: DatabaseSync) {
    this.#database = database;
    const prepare = (sql: string) => database.prepare(sql);
    this.#readState = prepare(READ_STATE);
    this.#writeState = prepare("UPDATE state SET revision = ?, total = ?, longest = ?");
    this.#find = prepare("SELECT 1 FROM rows WHERE name = ?");
    this.#update = prepare("UPDATE rows SET json = ?, version = ? WHERE name = ?");
    this.#updateVersion = prepare("UPDATE rows SET json = ?, version = ? WHERE name = ? AND version = ?");
    this.#insert = prepare("INSERT INTO rows (name, json, version) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING");
    this.#delete = prepare("DELETE FROM rows WHERE name = ?");
    this.#deleteVersion = prepare("DELETE FROM rows WHERE name = ? AND version = ?");
  }

  /**
   * Does the writes in one transaction, and answers once that is on the disk. If there is no room for all,
   * each write has a transaction of its own, so that only those fail that must.
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

  /** Takes some of the rows that an insertion will name by this number. */
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
      // Another program's lock, or a broken disk, is no single write's fault, and to wait for it once is enough.
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
    return inTransaction(this.#database, () => {
      this.#state = this.#readState.get() as unknown as TableState;
      const results = writes.map((write) => this.#write(write));
      this.#writeState.run(this.#state.revision, this.#state.total, this.#state.longest);
      return results;
    });
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

  /** Rows that were handed over in pieces, or those that the write has. */
  #rowsOf(rows: readonly NewRow[] | number): readonly NewRow[] {
    return typeof rows === "number" ? this.#pieces.get(rows) ?? [] : rows;
  }

  #put(name: string, json: string, expected: number | null): PutResult {
    const version = this.#state.revision + 1;
    if (expected === null || expected > 0) {
      const { changes } = expected === null
        ? this.#update.run(json, version, name)
        : this.#updateVersion.run(json, version, name, expected);
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
    const { changes } = expected === null ? this.#delete.run(name) : this.#deleteVersion.run(name, expected);
    if (changes === 0) return false;
    this.#state.revision++;
    this.#state.total--;
    return true;
  }

  /** A row was written. */
  #note(name: string, json: string): void {
    this.#state.revision++;
    this.#state.longest = Math.max(this.#state.longest, name.length + json.length);
  }
}
