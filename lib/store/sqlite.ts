/**
 * The table in an SQLite file: it outlives the process, and grows beyond the memory.
 *
 * Rows are read from the file, on this thread: a read takes microseconds. Writes go to a thread of their own, where
 * all that wait at a moment share one transaction, and with it one wait for the disk; each is answered once that has
 * synced them. So a write that was answered is there after a crash of the process or of the machine.
 *
 * @module
 */

import { basename, dirname, join } from "node:path";
import { setImmediate } from "node:timers";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { MAX_BATCH_CHARACTERS, MAX_BATCH_WRITES, MAX_WAITING_WRITES } from "../limits.ts";
import { isFailure, type Write, type WriteResult } from "./sqlite_batch.ts";
import { openFile, prepareFile, READ_STATE, storeError, type TableState } from "./sqlite_file.ts";
import { fitsOnePage, SnapshotPool } from "./sqlite_snapshots.ts";
import { type NewRow, type Row, rowContent, type Snapshot, type Store, StoreError, type Written } from "../store.ts";
import type { WriterReady } from "./sqlite_writer.ts";

/** A write that waits for its transaction. */
interface Waiting {
  readonly write: Write;
  readonly done: (result: WriteResult) => void;
  readonly failed: (error: StoreError) => void;
}

interface FoundRow {
  readonly json: string;
  readonly version: number;
}

/** The table in an SQLite file. */
export class SqliteStore implements Store {
  readonly #lock: Deno.FsFile;
  readonly #reader: DatabaseSync;
  readonly #readRow: StatementSync;
  readonly #readState: StatementSync;
  readonly #readAll: StatementSync;
  readonly #snapshots: SnapshotPool;
  readonly #writer: Worker;
  /**
   * Reads since the event loop's last turn. From the second on they share a transaction, which is four times as fast.
   */
  #readsThisTurn = 0;
  /** Writes that the next transaction takes up. */
  #waiting: Waiting[] = [];
  /** Writes whose transaction is under way. */
  #underWay: Waiting[] = [];
  #sending = false;
  /** Why no more writes are taken. */
  #ended: StoreError | undefined;
  #allWritten: (() => void) | undefined;

  private constructor(file: string, lock: Deno.FsFile, writer: Worker) {
    this.#lock = lock;
    this.#writer = writer;
    this.#reader = openFile(file);
    this.#readRow = this.#reader.prepare("SELECT json, version FROM rows WHERE name = ?");
    this.#readState = this.#reader.prepare(READ_STATE);
    this.#readAll = this.#reader.prepare("SELECT name, json FROM rows ORDER BY position");
    this.#snapshots = new SnapshotPool(file);
    writer.onmessage = ({ data }: MessageEvent<WriteResult[]>) => this.#onResults(data);
    writer.onerror = (event) => {
      event.preventDefault();
      this.#end(
        new StoreError("unavailable", `The thread that writes the table failed (${event.message}): restart the server`),
      );
    };
  }

  /**
   * Opens the file, which is made if there is none. No other process may have it open as a store.
   *
   * @throws {StoreError} If that is not possible.
   */
  static async open(file: string): Promise<SqliteStore> {
    // Two names of one file, as by a symbolic link, have one lock.
    const path = await realPath(file);
    const lock = await lockFile(path);
    try {
      prepareFile(path);
      return new SqliteStore(path, lock, await startWriter(path));
    } catch (error) {
      lock.close();
      throw error;
    }
  }

  /** See {@linkcode Store.get}. */
  get(name: string): Row | undefined {
    const found = this.#read(() => this.#readRow.get(name)) as FoundRow | undefined;
    return found && { name, content: rowContent(name, found.json), version: found.version };
  }

  /** See {@linkcode Store.put}. */
  put({ name, json }: NewRow, expected?: number): Promise<Written | undefined> {
    return this.#write({ kind: "put", name, json, expected: expected ?? null }, (result) => {
      if (result === null) return undefined;
      const version = result as number;
      // A negative version says that the row is new.
      return { row: { name, content: rowContent(name, json), version: Math.abs(version) }, created: version < 0 };
    });
  }

  /** See {@linkcode Store.insert}. */
  insert(rows: readonly NewRow[], expected?: number): Promise<readonly string[] | undefined> {
    return this.#write({ kind: "insert", rows, expected: expected ?? null }, (result) => {
      return result === null ? undefined : result as readonly string[];
    });
  }

  /** See {@linkcode Store.remove}. */
  remove(name: string, expected?: number): Promise<boolean> {
    return this.#write({ kind: "remove", name, expected: expected ?? null }, (result) => result as boolean);
  }

  /** See {@linkcode Store.snapshot}. */
  snapshot(): Snapshot {
    const state = this.#read(() => this.#readState.get()) as unknown as TableState;
    // What fits a page is read at once; only a longer reading needs a transaction of its own.
    return fitsOnePage(state.longest, state.total + 1) ? this.#smallSnapshot() : this.#snapshots.take(state.revision);
  }

  /** See {@linkcode Store.close}. */
  async close(): Promise<void> {
    if (this.#waiting.length + this.#underWay.length > 0) await new Promise<void>((done) => this.#allWritten = done);
    const broken = this.#ended !== undefined;
    this.#end(new StoreError("unavailable", "The store is closed"));
    this.#endReads();
    this.#snapshots.close();
    this.#reader.close();
    if (!broken) {
      await new Promise<void>((closed) => {
        this.#writer.onmessage = () => closed();
        this.#writer.postMessage([]);
      });
    }
    this.#writer.terminate();
    this.#lock.close();
  }

  #read<T>(query: () => T): T {
    try {
      if (this.#readsThisTurn++ === 0) setImmediate(() => this.#endReads());
      else if (this.#readsThisTurn === 2) this.#reader.exec("BEGIN");
      return query();
    } catch (error) {
      throw storeError(error);
    }
  }

  /**
   * Lets go of what reads share, so that they see what was written meanwhile, and the log of writes can be cleared.
   * Nothing was written; and COMMIT would fail where a read has failed.
   */
  #endReads(): void {
    if (this.#readsThisTurn > 1 && this.#reader.isOpen && this.#reader.isTransaction) this.#reader.exec("ROLLBACK");
    this.#readsThisTurn = 0;
  }

  #smallSnapshot(): Snapshot {
    // It is not this turn's first read, so it is in a transaction: the state and the rows are of one revision.
    const [state, rows] = this.#read(() => [this.#readState.get(), this.#readAll.all()]) as unknown as [
      TableState,
      NewRow[],
    ];
    const contents = rows.map(({ name, json }) => rowContent(name, json));
    return {
      revision: state.revision,
      total: state.total,
      json: () => ({ content: `{${contents.map((content) => content.slice(1, -1)).join(",")}}`, next: undefined }),
      rows: () => ({ content: contents, next: undefined }),
      close: () => {},
    };
  }

  /** Has a write done. What comes of it is read by `use`. */
  #write<T>(write: Write, use: (result: WriteResult) => T): Promise<T> {
    if (this.#ended) return Promise.reject(this.#ended);
    if (this.#waiting.length >= MAX_WAITING_WRITES) {
      const detail = `${MAX_WAITING_WRITES} writes wait for the disk already: try again soon`;
      return Promise.reject(new StoreError("unavailable", detail));
    }
    return new Promise((resolve, failed) => {
      this.#waiting.push({ write, done: (result) => resolve(use(result)), failed });
      if (this.#underWay.length > 0 || this.#sending) return;
      // All that this turn of the event loop brings goes together.
      this.#sending = true;
      setImmediate(() => this.#send());
    });
  }

  /** Hands the writes that wait to the writer, as many as one transaction may have. */
  #send(): void {
    this.#sending = false;
    if (this.#ended || this.#waiting.length === 0) return;
    let count = 0;
    for (let characters = 0; count < this.#waiting.length && count < MAX_BATCH_WRITES; count++) {
      if (characters > MAX_BATCH_CHARACTERS) break;
      characters += charactersOf(this.#waiting[count].write);
    }
    this.#underWay = this.#waiting.slice(0, count);
    this.#waiting = this.#waiting.slice(count);
    this.#writer.postMessage(this.#underWay.map(({ write }) => write));
  }

  #onResults(results: WriteResult[]): void {
    this.#endReads();
    const written = this.#underWay;
    this.#underWay = [];
    this.#send();
    written.forEach(({ done, failed }, i) => {
      const result = results[i];
      if (isFailure(result)) failed(new StoreError(result.fault, result.message));
      else done(result);
    });
    if (this.#underWay.length + this.#waiting.length === 0) this.#allWritten?.();
  }

  /** Takes no more writes, and fails those that are not done. */
  #end(error: StoreError): void {
    this.#ended ??= error;
    for (const { failed } of [...this.#underWay.splice(0), ...this.#waiting.splice(0)]) failed(error);
    this.#allWritten?.();
  }
}

function charactersOf(write: Write): number {
  if (write.kind === "insert") return write.rows.reduce((sum, { name, json }) => sum + name.length + json.length, 0);
  return write.kind === "put" ? write.name.length + write.json.length : write.name.length;
}

/** The one name of a file, whether it is there already or not. */
async function realPath(file: string): Promise<string> {
  try {
    const { isFile, nlink } = await Deno.stat(file);
    if (isFile && nlink !== null && nlink > 1) {
      throw new StoreError("unavailable", `${file} has ${nlink} names (hard links): two servers might use it unseen`);
    }
    return await Deno.realPath(file);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return await Deno.realPath(dirname(file)).then((folder) => join(folder, basename(file)), () => file);
  }
}

/** A file beside the store's, locked for as long as the store is open: the system lets go of it even after a crash. */
async function lockFile(file: string): Promise<Deno.FsFile> {
  let lock: Deno.FsFile;
  try {
    lock = await Deno.open(`${file}-lock`, { create: true, write: true });
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    const reason = error instanceof Deno.errors.NotFound
      ? "its folder does not exist"
      : error instanceof Deno.errors.PermissionDenied
      ? "its folder is not writable"
      : (error as Error).message;
    throw new StoreError("unavailable", `${file} cannot be opened: ${reason}`);
  }
  if (await lock.tryLock(true)) return lock;
  lock.close();
  throw new StoreError("unavailable", `${file} is in use by another server`);
}

/** Starts the thread, which reads its part of the program's files itself: that takes the permission to. */
async function startWriter(file: string): Promise<Worker> {
  const writer = new Worker(new URL("./sqlite_writer.ts", import.meta.url), { type: "module" });
  return await new Promise((started, failed) => {
    writer.onmessage = ({ data }: MessageEvent<WriterReady>) => {
      if (data.ready) return started(writer);
      writer.terminate();
      failed(new StoreError("unavailable", data.message));
    };
    writer.onerror = (event) => {
      event.preventDefault();
      writer.terminate();
      failed(new StoreError("unavailable", `The thread that writes cannot start: ${event.message}`));
    };
    writer.postMessage(file);
  });
}
