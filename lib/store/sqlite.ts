/**
 * The table in an SQLite file: it outlives the process, and grows beyond the memory.
 *
 * Rows are read from the file, on this thread: a read takes microseconds. Writes go to a thread of their own, where
 * all that wait at a moment share one transaction, and with it one wait for the disk; each is answered once that has
 * synced them. So a write that was answered is there after a crash of the process or of the machine.
 *
 * @module
 */

import { basename, dirname, join, resolve } from "node:path";
import { setImmediate } from "node:timers";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import {
  MAX_BATCH_CHARACTERS,
  MAX_BATCH_WRITES,
  MAX_WAITING_WRITES,
  SNAPSHOT_GRACE_MS,
  SQLITE_PIECE_ROWS,
} from "../limits.ts";
import { FAIR_TURNS } from "../turns.ts";
import { isFailure, type PutResult, type Write, type WriteResult } from "./sqlite_batch.ts";
import { openFile, prepareFile, READ_STATE, storeError, type TableState } from "./sqlite_file.ts";
import { fitsOnePage, SnapshotPool } from "./sqlite_snapshots.ts";
import {
  type Awaitable,
  type NewRow,
  type Row,
  rowContent,
  type Snapshot,
  type Store,
  StoreError,
  type Written,
} from "../store.ts";
import { LogGuard } from "./sqlite_log_guard.ts";
import type { WriterReply, WriterRequest } from "./sqlite_writer.ts";

/** How long to wait before the log is tried to be cleared again. */
const LOG_MOMENT_MS = 50;
/** Symbolic links that may lead from one to the next. */
const MAX_LINKS = 40;

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
  readonly #log: LogGuard;
  /** Resolves once the writer has told whether the log could be cleared. */
  #logCleared: ((isClear: boolean) => void) | undefined;
  /** Insertions that were handed over in pieces. */
  #inPieces = 0;
  readonly #report: (line: string) => void;

  private constructor(file: string, lock: Deno.FsFile, writer: Worker, report: (line: string) => void) {
    this.#lock = lock;
    this.#writer = writer;
    this.#reader = openFile(file);
    this.#readRow = this.#reader.prepare("SELECT json, version FROM rows WHERE name = ?");
    this.#readState = this.#reader.prepare(READ_STATE);
    this.#readAll = this.#reader.prepare("SELECT name, json FROM rows ORDER BY position");
    this.#snapshots = new SnapshotPool(file);
    this.#report = report;
    this.#log = new LogGuard(this.#snapshots, {
      clear: () => this.#clearLog(),
      graceMs: SNAPSHOT_GRACE_MS,
      moment: () => new Promise((resolve) => setTimeout(resolve, LOG_MOMENT_MS)),
      now: () => performance.now(),
    });
    writer.onmessage = ({ data }: MessageEvent<WriterReply>) => this.#onReply(data);
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
   * @param report Receives a line for the operator when the file is lost while it is open.
   * @throws {StoreError} If that is not possible.
   */
  static async open(file: string, report: (line: string) => void = () => {}): Promise<SqliteStore> {
    // Two names of one file, as by a symbolic link, have one lock.
    const path = await realPath(file);
    const lock = await lockFile(path);
    try {
      prepareFile(path);
      return new SqliteStore(path, lock, await startWriter(path), report);
    } catch (error) {
      lock.close();
      throw error;
    }
  }

  /** As {@linkcode Store.get}. */
  get(name: string): Row | undefined {
    const found = this.#read(() => this.#readRow.get(name)) as FoundRow | undefined;
    return found && { name, content: rowContent(name, found.json), version: found.version };
  }

  /** As {@linkcode Store.put}. */
  put({ name, json }: NewRow, expected?: number): Promise<Written | undefined> {
    return this.#write({ kind: "put", name, json, expected: expected ?? null }, (result) => {
      const put = result as PutResult;
      if (put === null) return undefined;
      return { row: { name, content: rowContent(name, json), version: put.version }, created: put.created };
    });
  }

  /** As {@linkcode Store.insert}. */
  async insert(rows: readonly NewRow[], expected?: number): Promise<readonly string[] | undefined> {
    const handed = rows.length > SQLITE_PIECE_ROWS ? await this.#handOver(rows) : rows.map(bareRow);
    return await this.#write({ kind: "insert", rows: handed, expected: expected ?? null }, (result) => {
      return result === null ? undefined : result as readonly string[];
    });
  }

  /** As {@linkcode Store.remove}. */
  remove(name: string, expected?: number): Promise<boolean> {
    return this.#write({ kind: "remove", name, expected: expected ?? null }, (result) => result as boolean);
  }

  /** As {@linkcode Store.snapshot}. */
  snapshot(): Awaitable<Snapshot> {
    const state = this.#read(() => this.#readState.get()) as unknown as TableState;
    // What fits a page is read at once; only a longer reading needs a transaction of its own.
    if (fitsOnePage(state.longest, state.total + 1)) return this.#smallSnapshot();
    if (this.#log.clearing !== undefined) return this.#log.clearing.then(() => this.snapshot());
    return this.#snapshots.take(state.revision);
  }

  /** As {@linkcode Store.close}. */
  async close(): Promise<void> {
    if (this.#waiting.length + this.#underWay.length > 0) await new Promise<void>((done) => this.#allWritten = done);
    const broken = this.#ended !== undefined;
    this.#end(new StoreError("unavailable", "The store is closed"));
    this.#endReads();
    this.#log.stop();
    this.#snapshots.close();
    this.#reader.close();
    if (!broken) {
      await new Promise<void>((closed) => {
        this.#writer.onmessage = ({ data }: MessageEvent<WriterReply>) => data.kind === "closed" && closed();
        this.#tell({ kind: "close" });
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
    this.#tell({ kind: "batch", writes: this.#underWay.map(({ write }) => write) });
  }

  #tell(request: WriterRequest): void {
    this.#writer.postMessage(request);
  }

  #onReply(reply: WriterReply): void {
    switch (reply.kind) {
      case "results":
        this.#onResults(reply.results);
        if (reply.logIsFull) this.#log.start();
        return;
      case "log":
        return this.#logCleared?.(reply.isClear);
      case "lost": {
        if (this.#ended) return;
        this.#report(`${reply.reason} while it was open: no more is written; put it back, or restart the server`);
        // A write that was under way is in no file that will be opened again.
        return this.#end(new StoreError("unavailable", "The table's file was removed or replaced while it was open"));
      }
    }
  }

  /** Hands rows to the writer, some at a time. Returns the number by which their insertion names them. */
  async #handOver(rows: readonly NewRow[]): Promise<number> {
    const number = ++this.#inPieces;
    for (let i = 0; i < rows.length && !this.#ended; i += SQLITE_PIECE_ROWS) {
      this.#tell({ kind: "rows", number, rows: rows.slice(i, i + SQLITE_PIECE_ROWS).map(bareRow) });
      await FAIR_TURNS.yieldIfBusy();
    }
    return number;
  }

  #clearLog(): Promise<boolean> {
    this.#endReads();
    this.#tell({ kind: "clear-log" });
    return new Promise((resolve) => this.#logCleared = resolve);
  }

  #onResults(results: readonly WriteResult[]): void {
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

/** A row without its content, which is not needed, and would be copied to the other thread. */
function bareRow({ name, json }: NewRow): NewRow {
  return { name, json };
}

function charactersOf(write: Write): number {
  if (write.kind === "insert") {
    // What was handed over in pieces is in the other thread already.
    return typeof write.rows === "number"
      ? MAX_BATCH_CHARACTERS
      : write.rows.reduce((sum, { name, json }) => sum + name.length + json.length, 0);
  }
  return write.kind === "put" ? write.name.length + write.json.length : write.name.length;
}

/** The one name of a file, whether it is there already or not, and whatever symbolic links lead to it. */
async function realPath(file: string, links = 0): Promise<string> {
  try {
    const { isFile, nlink } = await Deno.stat(file);
    if (isFile && nlink !== null && nlink > 1) {
      throw new StoreError("unavailable", `${file} has ${nlink} names (hard links): two servers might use it unseen`);
    }
    return await Deno.realPath(file);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    const folder = await Deno.realPath(dirname(file)).catch(() => dirname(file));
    const path = join(folder, basename(file));
    // A link may lead to a file that is not there yet.
    const target = links < MAX_LINKS ? await Deno.readLink(path).catch(() => undefined) : undefined;
    return target === undefined ? path : await realPath(resolve(folder, target), links + 1);
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
      : `${file}-lock cannot be written (${(error as Error).message.replace(/: open '.*/s, "")})`;
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
    writer.onmessage = ({ data }: MessageEvent<WriterReply>) => {
      if (data.kind !== "failed") return started(writer);
      writer.terminate();
      failed(new StoreError("unavailable", data.message));
    };
    writer.onerror = (event) => {
      event.preventDefault();
      writer.terminate();
      failed(new StoreError("unavailable", `The thread that writes cannot start: ${event.message}`));
    };
    writer.postMessage({ kind: "open", file } satisfies WriterRequest);
  });
}
