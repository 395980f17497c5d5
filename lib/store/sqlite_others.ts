/**
 * What other programs wrote to the SQLite file, although they may only read it: it is noticed in the next transaction.
 *
 * What they changed is unknown. So the table's revision rises, its rows are counted again, and the version of every row
 * is from then on at least that revision, so that no client takes an older row for the current one. The revision is in
 * the table `written_by_others`, which only such a file has.
 *
 * @module
 */

import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { TableState } from "./sqlite_file.ts";

/** The least version of all rows: the revision at which another program's write was noticed last. */
export function leastVersion(database: DatabaseSync): number {
  const sql = "SELECT 1 FROM sqlite_schema WHERE name = 'written_by_others'";
  if (database.prepare(sql).get() === undefined) return 0;
  return (database.prepare("SELECT max(revision) AS least FROM written_by_others").get()!.least ?? 0) as number;
}

/** Notices the writes of others in the transactions of the writer. */
export class OtherWriters {
  readonly #database: DatabaseSync;
  readonly #dataVersion: StatementSync;
  readonly #count: StatementSync;
  /** The file's data version in the last committed transaction; `undefined` before the first. */
  #seen: number | undefined;
  #current: number | undefined;
  /** The least version of all rows. */
  leastVersion: number;

  /** Observes the file of the writer's connection. */
  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#dataVersion = database.prepare("PRAGMA data_version");
    this.#count = database.prepare("SELECT count(*) AS total FROM rows");
    this.leastVersion = leastVersion(database);
  }

  /**
   * Corrects the table's state if another program has written to the file, which is known of a file that was just
   * opened only if the number of rows has changed. Call it in a transaction. Returns whether one has.
   *
   * @param isUnsure Whether the disk was full since: then SQLite may take the own failure for another's write.
   */
  correct(state: TableState, isUnsure: boolean = false): boolean {
    if (isUnsure) this.#seen = undefined;
    const version = this.#dataVersion.get()!.data_version as number;
    const hasWritten = this.#seen === undefined ? this.#count.get()!.total !== state.total : version !== this.#seen;
    this.#current = version;
    if (!hasWritten) return false;
    const rows = this.#database.prepare(`
      SELECT count(*) AS total, ifnull(max(version), 0) AS revision,
        ifnull(max(octet_length(name) + octet_length(json)), 0) AS longest FROM rows`).get() as unknown as TableState;
    state.total = rows.total;
    state.longest = Math.max(state.longest, rows.longest);
    state.revision = Math.max(state.revision, rows.revision, this.leastVersion) + 1;
    this.#database.exec(`
      CREATE TABLE IF NOT EXISTS written_by_others (revision INTEGER NOT NULL) STRICT;
      INSERT INTO written_by_others VALUES (${state.revision})`);
    this.leastVersion = state.revision;
    return true;
  }

  /** The transaction was committed: what it corrected need not be corrected again. */
  committed(): void {
    this.#seen = this.#current;
  }
}
