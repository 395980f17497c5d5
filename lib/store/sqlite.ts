/**
 * The table in an SQLite file: it survives the process, and may be larger than memory.
 *
 * Rows are read from the file on this thread, which takes microseconds. Writes run on a thread of their own: all writes
 * waiting at a moment share one transaction and one sync to disk, and resolve after it. A resolved write therefore
 * survives a crash of the process or the machine.
 */

import { setImmediate } from "node:timers";
import { setTimeout as sleep } from "node:timers/promises";
import type { DatabaseSync } from "node:sqlite";
import { FILE_LOCK_WAIT_MS } from "../limits.ts";
import { Batches, type Waiting } from "./batches.ts";
import { isFailure, type PutResult, type Write, type WriteFailure, type WriteResult } from "./sqlite_batch.ts";
import {
  type FileLock,
  IS_OBJECT,
  leastVersion,
  lockFile,
  neverWait,
  openFile,
  openingError,
  type PreparedFile,
  prepareFile,
  prepareToRead,
  realPath,
  stateReader,
  storeError,
} from "./sqlite_file.ts";
import { fitsOnePortion, largestNumber, SnapshotPool } from "./sqlite_snapshots.ts";
import {
  type Awaitable,
  type NewRow,
  type NewRows,
  notARow,
  type Row,
  rowContent,
  type Snapshot,
  START,
  type Store,
  StoreError,
  unavailable,
  type Written,
} from "../store.ts";
import type { BatchReply, CallResult, WriterCall, WriterCalls } from "./sqlite_writer.ts";

/** Writes in one transaction; more wait for the next. */
const MAX_BATCH_WRITES = 10_000;
/** Characters of rows in one transaction, plus at most one write. */
const MAX_BATCH_CHARACTERS = 16 * 1024 * 1024;
/** How long snapshots may still be read that prevent the log from being truncated. */
const SNAPSHOT_GRACE_MS = 5_000;
/** The delay before the log is truncated again after a failure. */
const LOG_PAUSE_MS = 50;
/** How often that is tried while no snapshot is open, and when again after that. */
const LOG_ATTEMPTS = 5;
const OTHERS_PAUSE_MS = 60_000;
/** The delay before a locked file is read again. */
const LOCK_PAUSE_MS = 10;
/** How often the thread looks whether the file is still the open one, while nothing is written. */
const LOOK_MS = 1_000;

/** A write, or rows that are inserted part by part, in a transaction of their own. */
type Work = Write | {
  readonly kind: "parts";
  readonly parts: AsyncIterable<readonly NewRow[]>;
  readonly expected?: number;
};

/** Calls the thread. It loads its modules itself, which needs read permission. */
class WriterThread {
  readonly #worker = new Worker(new URL("./sqlite_writer.ts", import.meta.url), { type: "module" });
  readonly #calls: PromiseWithResolvers<unknown>[] = [];
  #ended: StoreError | undefined;

  constructor() {
    this.#worker.onmessage = ({ data: { result, failure } }: MessageEvent<CallResult>) => {
      const { resolve, reject } = this.#calls.shift()!;
      if (failure === undefined) resolve(result);
      else reject(unavailable(failure));
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.terminate(unavailable(`The thread beside the server failed (${event.message}): restart the server`));
    };
  }

  /** Calls a method of the thread. Fails if the file cannot be opened, or the thread has ended. */
  call<K extends keyof WriterCalls>(
    method: K,
    ...args: Parameters<WriterCalls[K]>
  ): Promise<ReturnType<WriterCalls[K]>> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    const call = Promise.withResolvers<unknown>();
    this.#calls.push(call);
    this.#worker.postMessage({ method, args } satisfies WriterCall);
    return call.promise as Promise<ReturnType<WriterCalls[K]>>;
  }

  /** Ends the thread, and fails the calls without a result and all later ones. */
  terminate(error: StoreError = unavailable("The thread has ended")): void {
    this.#ended ??= error;
    this.#worker.terminate();
    for (const { reject } of this.#calls.splice(0)) reject(error);
  }
}

export class SqliteStore implements Store {
  readonly #reader: DatabaseSync;
  readonly #query;
  readonly #snapshots: SnapshotPool;
  #writer: WriterThread | undefined;
  #checker: WriterThread | undefined;
  /** Reads since the event loop's last turn. From the second on they share a transaction: four times as fast. */
  #readsThisTurn = 0;
  readonly #writes = new Batches<Work, WriteResult>(nextBatch, (batch) => this.#perform(batch));
  #timer: ReturnType<typeof setInterval> | undefined;
  /** Resolves once a snapshot may start; `undefined` if it may start now. */
  #clearing: Promise<void> | undefined;
  /** Before this time, the log is not shortened, because another program reads the file. */
  #nextShortening = 0;
  #leastVersion = 0;
  #isDamaged = false;
  #diskIsFull = false;

  private constructor(
    private readonly file: string,
    { name, damage, isChecked }: PreparedFile,
    private readonly note: (line: string) => void,
    private readonly lock: FileLock | undefined,
  ) {
    this.#reader = openFile(name, true);
    this.#query = {
      row: this.#reader.prepare(`SELECT json, version, ${IS_OBJECT} AS ok FROM rows WHERE name = ?`),
      state: stateReader(this.#reader),
      all: this.#reader.prepare(`
        SELECT group_concat(json_quote(name) || ':' || json) AS members
        FROM (SELECT name, json FROM rows WHERE ${IS_OBJECT} ORDER BY position)`),
    };
    this.#snapshots = new SnapshotPool(name, (error) => this.#failure(error), note);
    if (damage !== undefined) this.#onDamage(damage);
    else this.#leastVersion = leastVersion(this.#reader);
    neverWait(this.#reader);
    if (!isChecked) this.#check(name);
  }

  /**
   * Opens the file, and creates it if it does not exist. No other process may use it as a store at the same time. Of a
   * damaged file, what can be read is served, and writes are refused.
   *
   * @param note Receives lines for the operator.
   * @param readOnly Whether the file may only be read, beside any others that use it: no permission to write is needed.
   */
  static async open(
    file: string,
    note: (line: string) => void = () => {},
    readOnly: boolean = false,
  ): Promise<SqliteStore> {
    // Two names of one file, for example through a symbolic link, must have the same lock.
    const path = readOnly ? file : await realPath(file);
    const lock = readOnly ? undefined : await lockFile(path);
    let store: SqliteStore | undefined;
    try {
      const prepared = readOnly ? prepareToRead(path) : prepareFile(path);
      store = new SqliteStore(path, prepared, note, lock);
      if (readOnly) store.#writes.refuse(unavailable("The table's file may only be read"));
      else if (prepared.damage === undefined) await store.#startWriter();
      return store;
    } catch (error) {
      await (store ?? lock)?.close();
      throw openingError(error, path);
    }
  }

  async #startWriter(): Promise<void> {
    this.#writer = new WriterThread();
    this.#heed(await this.#writer.call("open", this.file));
    this.#timer = setInterval(() => {
      if (!this.#writes.isRunning) this.#writer!.call("look").then((reply) => this.#heed(reply)).catch(() => {});
    }, LOOK_MS);
  }

  get(name: string): Awaitable<Row | undefined> {
    return unlocked(() => {
      // Beside another server, which may notice another program's write.
      if (this.lock === undefined && !this.#isDamaged) {
        this.#leastVersion = this.#read(() => leastVersion(this.#reader));
      }
      const found = this.#read(() => this.#query.row.get(name)) as
        | { json: string; version: number; ok: number }
        | undefined;
      if (found === undefined) return undefined;
      if (!found.ok) throw notARow(name);
      return { name, content: rowContent(name, found.json), version: Math.max(found.version, this.#leastVersion) };
    });
  }

  async put({ name, json }: NewRow, expected?: number): Promise<Written | undefined> {
    const put = await this.#writes.add({ kind: "put", name, json, expected }) as PutResult;
    return put && { row: { name, content: rowContent(name, json), version: put.version }, created: put.created };
  }

  insert(rows: NewRows, expected?: number): Promise<readonly string[] | undefined> {
    const work: Work = "length" in rows
      ? { kind: "insert", rows: rows.map(bareRow), expected }
      : { kind: "parts", parts: rows, expected };
    return this.#writes.add(work) as Promise<readonly string[] | undefined>;
  }

  remove(name: string, expected?: number): Promise<boolean> {
    return this.#writes.add({ kind: "remove", name, expected }) as Promise<boolean>;
  }

  snapshot(ended?: () => void): Awaitable<Snapshot> {
    return unlocked<Snapshot>(() => {
      const { longest, revision: current, total: rows } = this.#read(this.#query.state);
      if (!fitsOnePortion(longest, rows + 1)) {
        if (this.#clearing !== undefined) return this.#clearing.then(() => this.snapshot(ended));
        return this.#snapshots.snapshot(current, ended);
      }
      // A table that fits one portion is read at once, in the transaction that a turn's reads share from the second on.
      const { revision, total } = this.#read(this.#query.state);
      const { members } = this.#read(() => this.#query.all.get()) as { readonly members: string | null };
      return {
        revision,
        total,
        json: () => ({ content: `{${members ?? ""}}`, next: undefined }),
        seek: () => ({ cursor: START, row: 0 }),
        close: () => {},
      };
    });
  }

  largestNumber(): Promise<number> {
    return largestNumber(this.#reader, (query) => this.#read(query));
  }

  async close(): Promise<void> {
    await this.#writes.done();
    this.#writes.refuse(unavailable("The store is closed"));
    clearInterval(this.#timer);
    this.#checker?.terminate();
    this.#endReads();
    this.#snapshots.close();
    this.#reader.close();
    // A thread that has failed cannot even be closed.
    await this.#writer?.call("close").catch(() => {});
    this.#writer?.terminate();
    await this.lock?.close();
  }

  #read<T>(query: () => T): T {
    try {
      if (this.#readsThisTurn++ === 0) setImmediate(() => this.#endReads());
      else if (this.#readsThisTurn === 2) this.#reader.exec("BEGIN");
      return query();
    } catch (error) {
      throw this.#failure(error);
    }
  }

  /** Ends the transaction that reads share, so that they see later writes. COMMIT would fail after a failed read. */
  #endReads(): void {
    if (this.#reader.isOpen && this.#reader.isTransaction) this.#reader.exec("ROLLBACK");
    this.#readsThisTurn = 0;
  }

  /** Converts an error of SQLite. Damage is reported, and ends writing: it could spread. */
  #failure(error: unknown): StoreError {
    const failure = storeError(error);
    if (failure.fault === "damaged") this.#onDamage(failure.message);
    return failure;
  }

  #onDamage(damage: string): void {
    if (this.#isDamaged) return;
    this.#isDamaged = true;
    const found = `${this.file} is damaged (${damage.replace("The table's file: ", "")})`;
    const rescue = "stop the server, then restore a backup or try: sqlite3 FILE .recover | sqlite3 NEW-FILE";
    this.note(`${found}: what can be read is served, and writes are refused; ${rescue}`);
    this.#writes.refuse(new StoreError("damaged", "The table's file is damaged: nothing is written to it any more"));
  }

  /** Looks for damage while the table is served. */
  async #check(name: string): Promise<void> {
    this.#checker = new WriterThread();
    const damage = await this.#checker.call("check", name).catch(() => undefined);
    this.#checker.terminate();
    this.#checker = undefined;
    if (damage !== undefined) this.#onDamage(damage);
  }

  async #perform(batch: readonly Waiting<Work, WriteResult>[]): Promise<(WriteResult | StoreError)[]> {
    const [{ item: first }] = batch;
    const { results } = this.#heed(
      first.kind === "parts"
        ? await this.#handOver(first.parts, first.expected)
        : await this.#writer!.call("batch", batch.map(({ item }) => item as Write)),
    );
    return results.map((result) => isFailure(result) ? new StoreError(result.fault, result.message) : result);
  }

  async #handOver(parts: AsyncIterable<readonly NewRow[]>, expected?: number): Promise<BatchReply> {
    const writer = this.#writer!;
    writer.call("begin", expected).catch(() => {});
    try {
      for await (const rows of parts) await writer.call("add", rows.map(bareRow));
    } catch (error) {
      this.#heed(await writer.call("end", false));
      throw error;
    }
    return await writer.call("end", true);
  }

  /** Heeds what the thread found beside the results. */
  #heed(reply: BatchReply): BatchReply {
    const { results, lost, leastVersion, diskIsFull, logIsFull } = reply;
    this.#endReads();
    if (lost !== undefined) {
      const rest = "what it held can be read until the server stops: save it, or put the file back first";
      this.note(`${lost} while it was open: no more is written, and ${rest}`);
      // What was written may be in a file that is never opened again.
      const error = unavailable("The table's file was removed or replaced while it was open");
      this.#writer!.terminate(error);
      throw error;
    }
    if (leastVersion > this.#leastVersion) {
      this.#leastVersion = leastVersion;
      const line = "another program has written to it, but may only read it: every row counts as changed";
      this.note(`${this.file}: ${line}`);
    }
    if (diskIsFull !== this.#diskIsFull) {
      this.#diskIsFull = diskIsFull;
      const full = "is full: until it has room, only removals, smaller rows and what fits into the file are written";
      this.note(`${this.file}: the disk ${diskIsFull ? full : "has room again"}`);
    }
    const damage = results.find((result) => isFailure(result) && result.fault === "damaged");
    if (damage !== undefined) this.#onDamage((damage as WriteFailure).message);
    // The check reads at one revision, too, and cannot be ended.
    const canShorten = this.#checker === undefined && performance.now() >= this.#nextShortening;
    if (logIsFull && canShorten && this.#snapshots.open > 0) this.#clearing ??= this.#shortenLog();
    return reply;
  }

  /**
   * Truncates a log that is too long, because a snapshot that is read keeps all later writes there. Meanwhile no
   * snapshot starts: ending only the slowest does not help while others overlap. Open ones have some time to finish;
   * then they are ended, the slowest first. What another program reads cannot be ended: then snapshots start again.
   */
  async #shortenLog(): Promise<void> {
    const end = performance.now() + SNAPSHOT_GRACE_MS;
    const isClear = () => {
      this.#endReads();
      // There is no log any more once the thread has ended.
      return this.#writer!.call("clearLog").catch(() => true);
    };
    for (let attempts = 0; this.#reader.isOpen && !await isClear();) {
      if (performance.now() >= end && this.#snapshots.open > 0) this.#snapshots.endSlowest();
      else await sleep(LOG_PAUSE_MS);
      // Without snapshots, reads of single rows are in the way, which the next attempts miss, or another program is.
      if (this.#snapshots.open > 0 || ++attempts < LOG_ATTEMPTS) continue;
      this.#nextShortening = performance.now() + OTHERS_PAUSE_MS;
      break;
    }
    this.#clearing = undefined;
  }
}

/** Reads. While another program has locked the file, as one without a log may be, tries again, and others go on. */
function unlocked<T>(read: () => Awaitable<T>, end?: number): Awaitable<T> {
  try {
    return read();
  } catch (error) {
    end ??= performance.now() + FILE_LOCK_WAIT_MS;
    if (!/database is locked/.test((error as Error).message) || performance.now() >= end) throw error;
    return sleep(LOCK_PAUSE_MS).then(() => unlocked(read, end));
  }
}

/** Takes as many of the waiting writes as one transaction may have. */
function nextBatch(waiting: Waiting<Work, WriteResult>[]): readonly Waiting<Work, WriteResult>[] {
  let count = 0;
  for (let characters = 0; count < waiting.length && count < MAX_BATCH_WRITES; count++) {
    const { item } = waiting[count];
    if (characters > MAX_BATCH_CHARACTERS || item.kind === "parts") break;
    characters += charactersOf(item);
  }
  return waiting.splice(0, Math.max(1, count));
}

/** Returns the row without its UTF-8 content, which is not needed and would be copied to the other thread. */
function bareRow({ name, json }: NewRow): NewRow {
  return { name, json };
}

function charactersOf(write: Write): number {
  if (write.kind === "insert") return write.rows.reduce((sum, { name, json }) => sum + name.length + json.length, 0);
  return write.kind === "put" ? write.name.length + write.json.length : write.name.length;
}
