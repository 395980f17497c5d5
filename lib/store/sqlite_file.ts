/**
 * The file of the SQLite store: its path and lock, its format, how it is opened, and its errors.
 *
 * The table `rows` has the rows in the order of `position`, and the one row of `state` has the properties of the whole
 * table. Other programs may read the file at any time. A file of a newer format is refused.
 */

import { basename, dirname, join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { FILE_LOCK_WAIT_MS } from "../limits.ts";
import { StoreError, unavailable } from "../store.ts";

/** The size to which the log (WAL) is truncated, in bytes. */
const MAX_KEPT_LOG_BYTES = 16 * 1024 * 1024;
/** The size of a file up to which it is checked for damage before it is served; a larger one while it is. */
const MAX_CHECKED_FIRST_BYTES = 100 * 1024 * 1024;
const MAX_LINKS = 40;
/** Identifies this program's SQLite files (`PRAGMA application_id`): "wire" in ASCII. */
const APPLICATION_ID = 0x77697265;
/** The newest format (`PRAGMA user_version`). */
const FORMAT = 1;

function create(database: DatabaseSync): void {
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
    PRAGMA application_id = ${APPLICATION_ID};
    PRAGMA user_version = ${FORMAT}`);
  // The revision starts from the clock in microseconds, so that the versions of a deleted file are never reused.
  database.prepare("INSERT INTO state VALUES (1, ?, 0, 0)").run(Date.now() * 1000);
}

/** The messages of SQLITE_CORRUPT and SQLITE_NOTADB. */
const DAMAGE = /disk image is malformed|malformed database|file is not a database/;

export interface TableState {
  revision: number;
  total: number;
  /** The largest number of characters that a row's name and value have ever had together. */
  longest: number;
}

/** Whether a row's value is a JSON object: another program may have written something else. */
export const IS_OBJECT = "CASE WHEN json_valid(json) THEN json_type(json) = 'object' END";

/** Returns what reads the table's state. */
export function stateReader(database: DatabaseSync): () => TableState {
  const query = database.prepare("SELECT revision, total, longest FROM state");
  return () => {
    const state = query.get();
    if (state === undefined) throw new StoreError("damaged", "The table's file: its table state has no row");
    return state as unknown as TableState;
  };
}

/** The least version of all rows: the revision at which another program's write was noticed last. */
export function leastVersion(database: DatabaseSync): number {
  const sql = "SELECT 1 FROM sqlite_schema WHERE name = 'written_by_others'";
  if (database.prepare(sql).get() === undefined) return 0;
  return (database.prepare("SELECT max(revision) AS least FROM written_by_others").get()!.least ?? 0) as number;
}

/** Returns the path of a file, which need not exist, with symbolic links resolved. */
export async function realPath(file: string, links = 0): Promise<string> {
  try {
    const { isFile, nlink } = await Deno.stat(file);
    if (isFile && nlink !== null && nlink > 1) {
      throw unavailable(`${file} has ${nlink} names (hard links): two servers might use it unseen`);
    }
    return await Deno.realPath(file);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    const folder = await Deno.realPath(dirname(file)).catch(() => dirname(file));
    const path = join(folder, basename(file));
    // A link may point to a file that does not exist yet.
    const target = links < MAX_LINKS ? await Deno.readLink(path).catch(() => undefined) : undefined;
    return target === undefined ? path : await realPath(resolve(folder, target), links + 1);
  }
}

export interface FileLock {
  close(): Promise<void>;
}

/** Locks a file beside the store's for as long as the store is open. The system releases the lock even after a crash. */
export async function lockFile(file: string): Promise<FileLock> {
  let lock: Deno.FsFile | undefined;
  try {
    const opened = await Deno.open(`${file}-lock`, { create: true, write: true });
    lock = opened;
    // Closing it does not release it while a process that is being started holds a copy of every descriptor. Where
    // unlocking fails, as it may on Windows, closing is enough.
    const close = () => opened.unlock().catch(() => {}).finally(() => opened.close());
    // Some file systems cannot lock, and on Windows a folder can be opened, but not locked.
    if (await lock.tryLock(true)) return { close };
  } catch (error) {
    lock?.close();
    if (error instanceof Deno.errors.NotCapable) throw error;
    const what = lock === undefined ? "written" : "locked";
    const reason = error instanceof Deno.errors.NotFound
      ? "its folder does not exist"
      : `${file}-lock cannot be ${what} (${(error as Error).message.replace(/: open '.*/s, "")})`;
    throw unavailable(`${file} cannot be opened: ${reason}`);
  }
  lock.close();
  throw unavailable(`${file} is in use by another server`);
}

/** Opens the file. If it may only be read, nothing is changed: neither its rows nor how it is kept. */
export function openFile(file: string, readOnly = false): DatabaseSync {
  const database = new DatabaseSync(file, { timeout: FILE_LOCK_WAIT_MS, readOnly });
  if (!readOnly) configure(database);
  return database;
}

function configure(database: DatabaseSync): void {
  // Commits are synced to disk, and readers do not wait for the writer. After a long read the log is truncated.
  database.exec(`
    PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA fullfsync = ON;
    PRAGMA journal_size_limit = ${MAX_KEPT_LOG_BYTES}`);
}

export interface PreparedFile {
  /** The name to open it under: its path, or a URL. */
  readonly name: string;
  /** Its damage, for people; `undefined` if none was found. */
  readonly damage: string | undefined;
  /** Whether its damage was looked for: in a large file, that takes too long to wait for. */
  readonly isChecked: boolean;
}

/** Creates the file if there is none, and looks whether it can be served. */
export function prepareFile(file: string): PreparedFile {
  let database: DatabaseSync | undefined;
  let ready: PreparedFile | undefined;
  try {
    // Nothing is changed in a file before it is identified as this program's.
    database = new DatabaseSync(file, { timeout: FILE_LOCK_WAIT_MS });
    const isEmpty = formatOf(database, file) === 0;
    const prepared = checked(database, file);
    if (prepared.damage !== undefined) return prepared;
    configure(database);
    if (!isEmpty) ready = prepared;
    // Closing the file rolls back what fails.
    database.exec("BEGIN IMMEDIATE");
    if (isEmpty) create(database);
    // Fails now, instead of at the first write, if the file is read-only.
    const { changes } = database.prepare("UPDATE state SET id = id").run();
    if (changes !== 1) throw unavailable(`${file} is damaged: its table state has ${changes} rows`);
    database.exec("COMMIT");
    return prepared;
  } catch (error) {
    // On a full disk, what is in the file can be served, and perhaps removed.
    if (isFull(error) && ready !== undefined) return ready;
    if (!isFull(error) || sizeOf(reserveOf(file)) === 0) throw openingError(error, file);
    Deno.removeSync(reserveOf(file));
  } finally {
    database?.close();
  }
  return prepareFile(file);
}

/** Looks at a file that may only be read, and changes nothing. */
export function prepareToRead(file: string): PreparedFile {
  if (sizeOf(file) === 0) throw unavailable(`${file} holds no table, and --read-only makes none`);
  try {
    return readFile(file, file);
  } catch (error) {
    if (!/unable to open|readonly/.test((error as Error).message)) throw openingError(error, file);
    // Where nothing may be written, SQLite cannot read a log, and does not open a file that may have one.
    const log = [`${file}-wal`, `${file}-journal`].find((log) => sizeOf(log) > 0);
    if (log !== undefined) {
      const why =
        `${log} holds changes that are not yet in ${file}, and it cannot be read where nothing may be written`;
      throw unavailable(`${why}: copy both to a folder that may be written, or serve them there once`);
    }
    try {
      // Without a log, the file is whole. Deno takes a URL only with all permissions.
      return readFile(`${pathToFileURL(file)}?immutable=1`, file);
    } catch {
      const detail = `${file} was left by a server that was killed, or may not be read`;
      throw unavailable(`${detail}: if it may be, all permissions (deno run -A) open it as it is`, { cause: error });
    }
  }
}

function readFile(name: string, file: string): PreparedFile {
  using database = new DatabaseSync(name, { timeout: FILE_LOCK_WAIT_MS, readOnly: true });
  if (formatOf(database, file) === 0) throw unavailable(`${file} holds no table`);
  return { ...checked(database, file), name };
}

function checked(database: DatabaseSync, file: string): PreparedFile {
  const isChecked = sizeOf(file) <= MAX_CHECKED_FIRST_BYTES;
  return { name: file, damage: isChecked ? damageOf(database) : undefined, isChecked };
}

/** Returns the format of a file of this program, 0 for an empty one. */
function formatOf(database: DatabaseSync, file: string): number {
  const { application_id: application } = database.prepare("PRAGMA application_id").get()!;
  const { user_version: format } = database.prepare("PRAGMA user_version").get() as { user_version: number };
  if (database.prepare("SELECT 1 FROM sqlite_schema").get() === undefined) return 0;
  if (application !== APPLICATION_ID) throw unavailable(`${file} is the database of another program`);
  if (format < 1) {
    throw unavailable(`${file} is damaged: it has format ${format}, and formats start from 1`);
  }
  if (format > FORMAT) {
    const detail = `${file} was written by a newer version of this program: it has format ${format}`;
    throw unavailable(`${detail}, and ${FORMAT} is the newest one known here`);
  }
  return format;
}

/** Looks for damage in all pages of the file, which takes 0.2 s a million rows. Returns the first, for people. */
export function damageOf(database: DatabaseSync): string | undefined {
  try {
    const found = String(Object.values(database.prepare("PRAGMA quick_check(1)").get()!)[0]);
    return found === "ok" ? undefined : found.replace(/^\*\*\*.*\*\*\*/, "").replaceAll(/\s+/g, " ").trim();
  } catch (error) {
    if (!DAMAGE.test((error as Error).message)) throw error;
    return (error as Error).message;
  }
}

/** Returns what tells, after a transaction, what happened to an open file or its log; `undefined` if nothing did. */
export function watchFile(file: string): () => string | undefined {
  const names = [file, `${file}-wal`];
  const seen: (string | undefined)[] = [];
  const change = () => {
    for (const [i, name] of names.entries()) {
      const identity = identityOf(name);
      seen[i] ??= identity;
      if (identity !== seen[i]) return `${name} was ${identity === undefined ? "removed" : "replaced"}`;
    }
  };
  change();
  return change;
}

/** The file that reserves room on the disk for a table's file. */
export function reserveOf(file: string): string {
  return `${file}-reserve`;
}

/** Whether an error of SQLite or of the system means that the disk, or what this user may use of it, is full. */
export function isFull(error: unknown): boolean {
  return /disk is full|os error (?:28|112|122|69)\b/.test((error as Error).message);
}

/** In bytes, 0 if there is no file. */
export function sizeOf(file: string): number {
  try {
    return Deno.statSync(file).size;
  } catch {
    return 0;
  }
}

/** Some systems only report that a file exists. */
function identityOf(file: string): string | undefined {
  try {
    const { dev, ino } = Deno.statSync(file);
    return `${dev} ${ino}`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Truncates the log. Returns false if it is being read, `undefined` if it failed: on a full disk, for example. */
export function clearLog(database: DatabaseSync): boolean | undefined {
  const state = atOnce(database, () => database.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get()!);
  return state && state.busy === 0;
}

/** Keeps no log from now on, unless the file is being read: one with a log cannot be opened where nothing is written. */
export function leaveLog(database: DatabaseSync): void {
  atOnce(database, () => database.exec("PRAGMA journal_mode = DELETE"));
}

/** Lets a connection fail at once where another program has locked the file: waiting would hold up the thread. */
export function neverWait(database: DatabaseSync): void {
  database.exec("PRAGMA busy_timeout = 0");
}

/** Does something without waiting for locks. Returns its result; `undefined` if it failed. */
export function atOnce<T>(database: DatabaseSync, work: () => T): T | undefined {
  neverWait(database);
  try {
    return work();
  } catch {
    return undefined;
  } finally {
    database.exec(`PRAGMA busy_timeout = ${FILE_LOCK_WAIT_MS}`);
  }
}

/** Converts an error of SQLite for a client, without the file's path. */
export function storeError(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const { message } = error as Error;
  const reason = message.replace(/^(unable to open database file).*/s, "$1");
  const fault = isFull(error) ? "full" : DAMAGE.test(message) ? "damaged" : "unavailable";
  return new StoreError(fault, `The table's file: ${reason}`, { cause: error });
}

/** Converts an error of SQLite for the operator. */
export function openingError(error: unknown, file: string): Error {
  if (error instanceof StoreError || error instanceof Deno.errors.NotCapable) return error;
  const { message } = error as Error;
  const about = message.includes(file) ? message : `${file}: ${message}`;
  const hint = /unable to open/.test(message) ? " (is its folder there, and may it be written?)" : "";
  return unavailable(`${about}${hint}`, { cause: error });
}
