/**
 * The table in an SQLite file: it survives the process, and may be larger than memory.
 *
 * Rows are read from the file on this thread, which takes microseconds. Writes run on a thread of their own: all writes
 * waiting at a moment share one transaction and one sync to disk, and resolve after it. A resolved write therefore
 * survives a crash of the process or the machine.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import {
  MAX_BATCH_CHARACTERS,
  MAX_BATCH_WRITES,
  MAX_WAITING_WRITES,
  SNAPSHOT_GRACE_MS,
  SQLITE_PIECE_ROWS,
} from "../limits.ts";
import {
  bareRow,
  charactersOf,
  isFailure,
  partsOf,
  type PutResult,
  type Write,
  type WriteFailure,
  type WriteResult,
} from "./sqlite_batch.ts";
import {
  damageReport,
  IS_OBJECT,
  openFile,
  openingError,
  type PreparedFile,
  prepareFile,
  prepareToRead,
  READ_STATE,
  storeError,
  type TableState,
} from "./sqlite_file.ts";
import { fitsOnePage, largestNumber, SnapshotPool } from "./sqlite_snapshots.ts";
import {
  type Awaitable,
  type NewRow,
  type NewRows,
  type Row,
  rowContent,
  type Snapshot,
  START,
  type Store,
  StoreError,
  type Written,
} from "../store.ts";
import { lockFile, realPath } from "./sqlite_lock.ts";
import { leastVersion } from "./sqlite_others.ts";
import { LogGuard } from "./sqlite_log_guard.ts";
import { startThread, startWriter } from "./sqlite_thread.ts";
import type { WriterReply, WriterRequest } from "./sqlite_writer.ts";

/** The delay before the log is truncated again after a failure. */
const LOG_MOMENT_MS = 50;

/** A write that waits for its transaction. */
interface Waiting {
  readonly write: Write;
  /** The rows of an insertion that has a transaction of its own, because they are handed over part by part. */
  readonly parts?: Iterable<readonly NewRow[]> | AsyncIterable<readonly NewRow[]>;
  readonly done: (result: WriteResult) => void;
  readonly failed: (error: Error) => void;
}

interface FoundRow {
  readonly json: string;
  readonly version: number;
  readonly ok: number;
}

/** The table in an SQLite file. */
export class SqliteStore implements Store {
  readonly #file: string;
  readonly #lock: Deno.FsFile | undefined;
  readonly #reader: DatabaseSync;
  readonly #readRow: StatementSync;
  readonly #readState: StatementSync;
  readonly #readAll: StatementSync;
  readonly #snapshots: SnapshotPool;
  /** The writing thread; `undefined` if nothing is written. */
  readonly #writer: Worker | undefined;
  /** Whether the writing thread cannot even be closed any more. */
  #writerLost = false;
  /** The thread that looks for damage. */
  #checker: Worker | undefined;
  /**
   * The number of reads since the event loop's last turn. From the second on they share a transaction, which is four
   * times as fast.
   */
  #readsThisTurn = 0;
  /** Writes for the next transaction. */
  #waiting: Waiting[] = [];
  /** Writes of the current transaction. */
  #underWay: Waiting[] = [];
  #sending = false;
  /** Why no more writes are accepted. */
  #refusal: StoreError | undefined;
  #allWritten: (() => void) | undefined;
  readonly #log: LogGuard;
  /** Resolves once the writer has reported whether the log could be truncated. */
  #logCleared: ((isClear: boolean) => void) | undefined;
  /** See {@linkcode leastVersion}. */
  #leastVersion = 0;
  /** Resolves once the writer has inserted the last part. */
  #partTaken: (() => void) | undefined;
  readonly #report: (line: string) => void;
  /** Whether damage was found, and reported. */
  #isDamaged = false;

  private constructor(
    file: string,
    { name, damage, isChecked }: PreparedFile,
    { lock, writer, report }: { lock?: Deno.FsFile; writer?: Worker; report: (line: string) => void },
  ) {
    this.#file = file;
    this.#lock = lock;
    this.#writer = writer;
    this.#reader = openFile(name, true);
    this.#readRow = this.#reader.prepare(`SELECT json, version, ${IS_OBJECT} AS ok FROM rows WHERE name = ?`);
    this.#readState = this.#reader.prepare(READ_STATE);
    this.#readAll = this.#reader.prepare(`
      SELECT group_concat(json_quote(name) || ':' || json) AS members
      FROM (SELECT name, json FROM rows WHERE ${IS_OBJECT} ORDER BY position)`);
    this.#snapshots = new SnapshotPool(name, (error) => this.#failure(error), report);
    this.#report = report;
    if (damage !== undefined) this.#onDamage(damage);
    else this.#leastVersion = leastVersion(this.#reader);
    if (!isChecked) this.#check(name);
    this.#log = new LogGuard(this.#snapshots, {
      clear: () => this.#clearLog(),
      graceMs: SNAPSHOT_GRACE_MS,
      moment: () => new Promise((resolve) => setTimeout(resolve, LOG_MOMENT_MS)),
      now: () => performance.now(),
    });
    if (writer === undefined) {
      this.#refusal ??= new StoreError("unavailable", "The table's file may only be read");
      return;
    }
    writer.onmessage = ({ data }: MessageEvent<WriterReply>) => this.#onReply(data);
    writer.onerror = (event) => {
      event.preventDefault();
      this.#end(
        new StoreError("unavailable", `The thread that writes the table failed (${event.message}): restart the server`),
      );
    };
  }

  /**
   * Opens the file, and creates it if it does not exist. No other process may use it as a store at the same time. Of a
   * damaged file, what can be read is served, and writes are refused.
   *
   * @param readOnly Whether the file may only be read, beside any others that use it: no permission to write is needed.
   * @param report Receives a line for the operator when the open file is removed or replaced, or found to be damaged.
   * @throws {StoreError} If the file cannot be opened.
   */
  static async open(
    file: string,
    report: (line: string) => void = () => {},
    readOnly: boolean = false,
  ): Promise<SqliteStore> {
    if (readOnly) return new SqliteStore(file, prepareToRead(file), { report });
    // Two names of one file, for example through a symbolic link, must have the same lock.
    const path = await realPath(file);
    const lock = await lockFile(path);
    try {
      const prepared = prepareFile(path);
      if (prepared.damage !== undefined) return new SqliteStore(path, prepared, { lock, report });
      const { writer, othersWrote } = await startWriter(path);
      const store = new SqliteStore(path, prepared, { lock, writer, report });
      if (othersWrote) store.#onOthers();
      return store;
    } catch (error) {
      lock.close();
      throw openingError(error, path);
    }
  }

  /** Implements {@linkcode Store.get}. */
  get(name: string): Row | undefined {
    const found = this.#read(() => this.#readRow.get(name)) as FoundRow | undefined;
    if (found === undefined) return undefined;
    if (!found.ok) {
      throw new StoreError(
        "damaged",
        `Another program has written the row ${JSON.stringify(name)}: it is not a JSON object`,
      );
    }
    return { name, content: rowContent(name, found.json), version: Math.max(found.version, this.#leastVersion) };
  }

  /** Implements {@linkcode Store.put}. */
  put({ name, json }: NewRow, expected?: number): Promise<Written | undefined> {
    return this.#write({ kind: "put", name, json, expected: expected ?? null }, (result) => {
      const put = result as PutResult;
      if (put === null) return undefined;
      return { row: { name, content: rowContent(name, json), version: put.version }, created: put.created };
    });
  }

  /** Implements {@linkcode Store.insert}. */
  insert(rows: NewRows, expected?: number): Promise<readonly string[] | undefined> {
    const isSmall = "length" in rows && rows.length <= SQLITE_PIECE_ROWS;
    const write = { kind: "insert", rows: isSmall ? rows.map(bareRow) : [], expected: expected ?? null } as const;
    const parts = isSmall ? undefined : "length" in rows ? partsOf(rows) : rows;
    return this.#write(write, (result) => result === null ? undefined : result as readonly string[], parts);
  }

  /** Implements {@linkcode Store.remove}. */
  remove(name: string, expected?: number): Promise<boolean> {
    return this.#write({ kind: "remove", name, expected: expected ?? null }, (result) => result as boolean);
  }

  /** Implements {@linkcode Store.snapshot}. */
  snapshot(ended?: () => void): Awaitable<Snapshot> {
    const state = this.#read(() => this.#readState.get()) as unknown as TableState;
    // A table that fits one page is read at once; only a larger one needs a transaction of its own.
    if (fitsOnePage(state.longest, state.total + 1)) return this.#smallSnapshot();
    if (this.#log.clearing !== undefined) return this.#log.clearing.then(() => this.snapshot(ended));
    return this.#snapshots.take(state.revision, ended);
  }

  /** Implements {@linkcode Store.largestNumber}. */
  largestNumber(): Promise<number> {
    return largestNumber(this.#reader, (query) => this.#read(query));
  }

  /** Implements {@linkcode Store.close}. */
  async close(): Promise<void> {
    if (this.#waiting.length + this.#underWay.length > 0) await new Promise<void>((done) => this.#allWritten = done);
    this.#refuse(new StoreError("unavailable", "The store is closed"));
    this.#checker?.terminate();
    this.#endReads();
    this.#log.stop();
    this.#snapshots.close();
    this.#reader.close();
    if (this.#writer !== undefined && !this.#writerLost) {
      await new Promise<void>((closed) => {
        this.#writer!.onmessage = ({ data }: MessageEvent<WriterReply>) => data.kind === "closed" && closed();
        this.#tell({ kind: "close" });
      });
    }
    this.#writer?.terminate();
    this.#lock?.close();
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

  /** Converts an error of SQLite. Damage is reported, and ends writing: it could spread. */
  #failure(error: unknown): StoreError {
    const failure = storeError(error);
    if (failure.fault === "damaged") this.#onDamage(failure.message);
    return failure;
  }

  #onDamage(damage: string): void {
    if (this.#isDamaged) return;
    this.#isDamaged = true;
    this.#report(damageReport(this.#file, damage.replace("The table's file: ", "")));
    this.#refuse(new StoreError("damaged", "The table's file is damaged: nothing is written to it any more"));
  }

  /** Looks for damage while the table is served. */
  #check(name: string): void {
    this.#checker = startThread({ kind: "check", file: name }, (reply) => {
      this.#checker?.terminate();
      this.#checker = undefined;
      if (reply.kind === "checked" && reply.damage !== undefined) this.#onDamage(reply.damage);
    });
  }

  /**
   * Ends the transaction that reads share, so that they see later writes and the log can be truncated. It is rolled
   * back: nothing was written, and COMMIT would fail after a failed read.
   */
  #endReads(): void {
    if (this.#reader.isOpen && this.#reader.isTransaction) this.#reader.exec("ROLLBACK");
    this.#readsThisTurn = 0;
  }

  #smallSnapshot(): Snapshot {
    // This is not the turn's first read, so it runs in a transaction: state and rows have the same revision.
    const [{ revision, total }, { members }] = this.#read(
      () => [this.#readState.get(), this.#readAll.get()],
    ) as unknown as [
      TableState,
      { readonly members: string | null },
    ];
    return {
      revision,
      total,
      json: () => ({ content: `{${members ?? ""}}`, next: undefined }),
      seek: () => ({ cursor: START, row: 0 }),
      close: () => {},
    };
  }

  /** Queues a write; `use` converts its result. */
  #write<T>(write: Write, use: (result: WriteResult) => T, parts?: Waiting["parts"]): Promise<T> {
    if (this.#refusal) return Promise.reject(this.#refusal);
    if (this.#waiting.length >= MAX_WAITING_WRITES) {
      const detail = `${MAX_WAITING_WRITES} writes wait for the disk already: try again soon`;
      return Promise.reject(new StoreError("unavailable", detail));
    }
    return new Promise((resolve, failed) => {
      this.#waiting.push({ write, parts, done: (result) => resolve(use(result)), failed });
      if (this.#underWay.length > 0 || this.#sending) return;
      // All writes of one turn of the event loop share a batch.
      this.#sending = true;
      setImmediate(() => this.#send());
    });
  }

  /** Sends waiting writes to the writer, as many as one transaction may have. */
  #send(): void {
    this.#sending = false;
    if (this.#refusal || this.#waiting.length === 0) return;
    let count = 0;
    for (let characters = 0; count < this.#waiting.length && count < MAX_BATCH_WRITES; count++) {
      if (characters > MAX_BATCH_CHARACTERS || this.#waiting[count].parts !== undefined) break;
      characters += charactersOf(this.#waiting[count].write);
    }
    this.#underWay = this.#waiting.splice(0, Math.max(1, count));
    const [{ parts, write, failed }] = this.#underWay;
    if (parts !== undefined) return void this.#handOver(parts, write.expected, failed);
    this.#tell({ kind: "batch", writes: this.#underWay.map(({ write }) => write) });
  }

  #tell(request: WriterRequest): void {
    this.#writer?.postMessage(request);
  }

  #onReply(reply: WriterReply): void {
    switch (reply.kind) {
      case "results":
        if (reply.othersWrote) this.#onOthers();
        this.#onResults(reply.results);
        // The check reads at one revision, too, and cannot be ended.
        if (reply.logIsFull && this.#checker === undefined) this.#log.start();
        return;
      case "taken":
        return this.#partTaken?.();
      case "log":
        return this.#logCleared?.(reply.isClear);
      case "room":
        return this.#report(
          `${this.#file}: ${
            reply.isLow
              ? "the disk is full: until it has room, only removals, smaller rows and what fits into the file are written"
              : "the disk has room again"
          }`,
        );
      case "lost": {
        if (this.#writerLost) return;
        this.#report(`${reply.reason} while it was open: no more is written; put it back, or restart the server`);
        // A write in progress may be in a file that is never opened again.
        return this.#end(new StoreError("unavailable", "The table's file was removed or replaced while it was open"));
      }
    }
  }

  /** Has rows inserted while they are read. */
  async #handOver(
    parts: NonNullable<Waiting["parts"]>,
    expected: number | null,
    failed: Waiting["failed"],
  ): Promise<void> {
    this.#tell({ kind: "begin", expected });
    let commit = false;
    try {
      for await (const rows of parts) {
        this.#tell({ kind: "rows", rows: rows.map(bareRow) });
        await new Promise<void>((taken) => this.#partTaken = taken);
        if (this.#writerLost) return;
      }
      commit = true;
    } catch (error) {
      failed(error as Error);
    }
    this.#tell({ kind: "end", commit });
  }

  #clearLog(): Promise<boolean> {
    this.#endReads();
    this.#tell({ kind: "clear-log" });
    return new Promise((resolve) => this.#logCleared = resolve);
  }

  /** Another program has written to the file. */
  #onOthers(): void {
    this.#endReads();
    this.#leastVersion = leastVersion(this.#reader);
    const line = "another program has written to it, but may only read it: every row counts as changed";
    this.#report(`${this.#file}: ${line}`);
  }

  #onResults(results: readonly WriteResult[]): void {
    this.#endReads();
    const written = this.#underWay;
    this.#underWay = [];
    const damage = results.find((result) => isFailure(result) && result.fault === "damaged");
    if (damage !== undefined) this.#onDamage((damage as WriteFailure).message);
    this.#send();
    written.forEach(({ done, failed }, i) => {
      const result = results[i];
      if (isFailure(result)) failed(new StoreError(result.fault, result.message));
      else done(result);
    });
    if (this.#underWay.length + this.#waiting.length === 0) this.#allWritten?.();
  }

  /** Stops accepting writes, and fails those that wait. */
  #refuse(error: StoreError): void {
    this.#refusal ??= error;
    for (const { failed } of this.#waiting.splice(0)) failed(error);
  }

  /** The writer has ended: fails the writes in progress, too. */
  #end(error: StoreError): void {
    this.#writerLost = true;
    this.#refuse(error);
    for (const { failed } of this.#underWay.splice(0)) failed(error);
    this.#partTaken?.();
    this.#allWritten?.();
  }
}
