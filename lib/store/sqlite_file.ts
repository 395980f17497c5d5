/**
 * The file of the SQLite store: its format, opening it, and what its errors mean.
 *
 * Format 1, as `PRAGMA user_version` tells it: the table `rows` has the rows, in the order of `position`;
 * the one row of `state` has what concerns them all. Other programs may read the file at any time.
 *
 * A new format is a new entry of {@linkcode MIGRATIONS}: opening a file applies those that it has not seen yet,
 * each in one transaction, in which its `user_version` moves on. A file of a newer format is refused.
 *
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import { FILE_LOCK_WAIT_MS, MAX_KEPT_LOG_BYTES } from "../limits.ts";
import { StoreError } from "../store.ts";

/** What tells this program's files from other SQLite files (`PRAGMA application_id`): "wire" in ASCII. */
const APPLICATION_ID = 0x77697265;

/** Each entry brings a file from the format of its index to the next one. */
const MIGRATIONS: readonly ((database: DatabaseSync) => void)[] = [
  (database) => {
    database.exec(`
      CREATE TABLE rows (
        position INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        json TEXT NOT NULL,
        version INTEGER NOT NULL
      ) STRICT;
      CREATE TABLE state (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        revision INTEGER NOT NULL,
        total INTEGER NOT NULL,
        longest INTEGER NOT NULL
      ) STRICT;
    `);
    // The revision starts from the clock, in microseconds, so that the versions of a file that was deleted are not met
    // again.
    database.prepare("INSERT INTO state VALUES (1, ?, 0, 0)").run(Date.now() * 1000);
  },
];

/** What concerns all rows together. */
export interface TableState {
  /** The revision of the last write. */
  revision: number;
  /** How many rows there are. */
  total: number;
  /** The most characters that a row's name and value ever had together. */
  longest: number;
}

/** The query that gives the {@linkcode TableState}. */
export const READ_STATE = "SELECT revision, total, longest FROM state";

/**
 * Opens the file for one of its uses. Commits are synced to the disk, and readers do not wait for the writer (WAL).
 *
 * @throws {StoreError} If it cannot be opened, or is no database.
 */
export function openFile(file: string): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file, { timeout: FILE_LOCK_WAIT_MS });
    configure(database);
    return database;
  } catch (error) {
    database?.close();
    throw openingError(error, file);
  }
}

function configure(database: DatabaseSync): void {
  // A reader that takes its time lets the log grow; when it has gone, the log is cut to the limit.
  database.exec(`
    PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA fullfsync = ON;
    PRAGMA journal_size_limit = ${MAX_KEPT_LOG_BYTES}`);
}

/**
 * Makes the file ready: creates it, or brings an older one to this format.
 *
 * @throws {StoreError} If that is not possible, or the file is another program's, or of a newer format.
 */
export function prepareFile(file: string): void {
  let database: DatabaseSync | undefined;
  try {
    // Nothing is changed in a file before it is known to be this program's.
    database = new DatabaseSync(file, { timeout: FILE_LOCK_WAIT_MS });
    const { application_id: application } = database.prepare("PRAGMA application_id").get()!;
    const { user_version: format } = database.prepare("PRAGMA user_version").get() as { user_version: number };
    const isEmpty = database.prepare("SELECT 1 FROM sqlite_schema").get() === undefined;
    if (application !== APPLICATION_ID && !isEmpty) {
      throw new StoreError("unavailable", `${file} is the database of another program`);
    }
    if (!isEmpty && format < 1) {
      throw new StoreError("unavailable", `${file} is damaged: it has format ${format}, and formats start from 1`);
    }
    if (format > MIGRATIONS.length) {
      const detail = `${file} was written by a newer version of this program: it has format ${format}`;
      throw new StoreError("unavailable", `${detail}, and ${MIGRATIONS.length} is the newest one known here`);
    }
    configure(database);
    for (let next = isEmpty ? 0 : format; next < MIGRATIONS.length; next++) {
      inTransaction(database, (database) => {
        MIGRATIONS[next](database);
        database.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${next + 1}`);
      });
    }
    // Whether it can be written shows now, and not with the first write.
    const { changes } = inTransaction(database, (database) => database.prepare("UPDATE state SET id = id").run());
    if (changes !== 1) throw new StoreError("unavailable", `${file} is damaged: its table state has ${changes} rows`);
  } catch (error) {
    throw openingError(error, file);
  } finally {
    database?.close();
  }
}

/** Tells whether the file that is open is still the one at its path, and so its log. */
export class FileWatch {
  readonly #file: string;
  readonly #identity: string;
  #logIdentity: string | undefined;

  /** Watches a file that is open. */
  constructor(file: string) {
    this.#file = file;
    this.#identity = identityOf(file) ?? "";
  }

  /** What has become of the file, for people; `undefined` if it is as it was. To be asked after a transaction. */
  change(): string | undefined {
    const identity = identityOf(this.#file);
    if (identity !== this.#identity) return `${this.#file} was ${identity === undefined ? "removed" : "replaced"}`;
    const log = identityOf(`${this.#file}-wal`);
    this.#logIdentity ??= log;
    if (log !== this.#logIdentity) return `${this.#file}-wal was ${log === undefined ? "removed" : "replaced"}`;
  }

  /** Bytes of the log. */
  logBytes(): number {
    try {
      return Deno.statSync(`${this.#file}-wal`).size;
    } catch {
      return 0;
    }
  }
}

/** What tells a file from others; `undefined` if there is none. Some systems know no more than that there is one. */
function identityOf(file: string): string | undefined {
  try {
    const { dev, ino } = Deno.statSync(file);
    return `${dev} ${ino}`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Clears the log, if nobody reads from it. Returns whether that was possible. */
export function clearLog(database: DatabaseSync): boolean {
  database.exec("PRAGMA busy_timeout = 0");
  try {
    return database.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get()?.busy === 0;
  } catch {
    return false;
  } finally {
    database.exec(`PRAGMA busy_timeout = ${FILE_LOCK_WAIT_MS}`);
  }
}

/** Does the work in one transaction that writes; if it throws, nothing was written. */
export function inTransaction<T>(database: DatabaseSync, work: (database: DatabaseSync) => T): T {
  database.exec("BEGIN IMMEDIATE");
  try {
    const result = work(database);
    database.exec("COMMIT");
    return result;
  } catch (error) {
    // Some errors, as that of a full disk, have ended the transaction already.
    if (database.isTransaction) database.exec("ROLLBACK");
    throw error;
  }
}

/**
 * What an error of SQLite means for whoever wanted something from the table: a client, who is not told where the file
 * is.
 */
export function storeError(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const { message } = error as Error;
  const reason = message.replace(/^(unable to open database file).*/s, "$1");
  return new StoreError(/disk is full/.test(message) ? "full" : "unavailable", `The table's file: ${reason}`, {
    cause: error,
  });
}

/** What an error of SQLite means for who starts the program. */
export function openingError(error: unknown, file: string): Error {
  if (error instanceof StoreError || error instanceof Deno.errors.NotCapable) return error;
  const { message } = error as Error;
  const about = message.includes(file) ? message : `${file}: ${message}`;
  const hint = /unable to open/.test(message) ? " (is its folder there, and may it be written?)" : "";
  return new StoreError("unavailable", `${about}${hint}`, { cause: error });
}
