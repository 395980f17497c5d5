/**
 * Room on the disk for the SQLite store: on a full disk rows can still be removed.
 *
 * A removal, too, needs room, in the log. So a file beside the table's reserves some, and is given up once a write has
 * met the full disk. Until it can be made again, the table's file may not grow: then only removals, smaller rows and
 * what fits into the file's free pages are written.
 *
 * What the log holds beyond the file's end needs room a second time when it is moved into the file, without which the
 * log cannot be truncated. So it is moved before it outgrows half of the reserve, and a transaction that outgrows it at
 * once, or a log that is being read, has as much reserved first.
 */

import type { DatabaseSync, StatementSync } from "node:sqlite";
import { StoreError } from "../store.ts";
import { clearLog, isFull, reserveOf, sizeOf } from "./sqlite_file.ts";

/** Room that is reserved, so that rows can be removed on a full disk. */
const RESERVE_BYTES = 1024 * 1024;
/** The same on a disk that has no room for more. */
const SMALL_RESERVE_BYTES = 256 * 1024;
/** Bytes that no file system compresses. */
const FILLING = crypto.getRandomValues(new Uint8Array(64 * 1024));
/** The limit of an SQLite file, in pages. */
const MAX_PAGES = 0xffff_fffe;

/** The room of one table's file, for the connection that writes to it. */
export class Room {
  readonly #pages: StatementSync;
  readonly #pageBytes: number;
  /** The size of the file that reserves room. */
  #held: number;
  /** The part of it that is not for what the log holds. */
  #size: number = RESERVE_BYTES;
  /** Whether the reserve was given up, and could not be made again yet. */
  isLow = false;
  /** Since the last transaction. */
  #wasFull = false;
  #wasEverFull = false;

  /** Makes the reserve, unless the disk is full. */
  constructor(
    private readonly database: DatabaseSync,
    private readonly file: string,
    private readonly resize: typeof resizeFile = resizeFile,
  ) {
    this.#pages = database.prepare("PRAGMA page_count");
    this.#pageBytes = database.prepare("PRAGMA page_size").get()!.page_size as number;
    this.#held = sizeOf(reserveOf(file));
    this.settle();
  }

  /** Call it at the start of a transaction. Returns whether the disk was full since the last one. */
  begin(): boolean {
    // The least limit that SQLite takes is the file's size in this transaction.
    if (this.isLow) this.database.exec("PRAGMA max_page_count = 1");
    const wasFull = this.#wasFull || this.isLow;
    this.#wasEverFull ||= wasFull;
    this.#wasFull = false;
    return wasFull;
  }

  /** Reserves room for what a transaction adds to the file, or throws. Call it before COMMIT. */
  claim(): void {
    const growth = this.#growth();
    if (this.isLow || growth <= this.#size / 2 || this.#held >= growth + this.#size) return;
    if (!this.#hold(growth + this.#size)) throw new StoreError("full", "The table's file: database or disk is full");
  }

  /** Truncates the log: a write has met the full disk. Returns whether that made room. */
  truncateLog(): boolean {
    const log = `${this.file}-wal`;
    const before = sizeOf(log);
    this.#wasFull = true;
    this.#moveLog();
    this.#restore();
    return sizeOf(log) < before;
  }

  /** Gives the reserve up, because truncating the log was not enough. Returns whether there was one. */
  giveUp(): boolean {
    const held = this.#held;
    this.isLow = true;
    this.#hold(0);
    return held > 0;
  }

  /** Truncates the log before it needs too much room, and makes the reserve again. Call it after each batch. */
  settle(): void {
    if (this.isLow || this.#growth() > this.#size / 2) this.#moveLog();
    if (this.isLow || this.#held !== this.#size) this.#restore();
  }

  /** Removes the reserve, because the table is closed; but on a disk that was full it is needed to open it again. */
  close(): void {
    if (!this.#wasEverFull && !this.#wasFull) this.#hold(0);
  }

  /** Moves the log into the file, which on a full disk takes the room that is reserved for it. */
  #moveLog(): void {
    if (clearLog(this.database) !== undefined) return;
    this.#wasFull = true;
    this.#hold(0);
    clearLog(this.database);
  }

  /** Makes the reserve again, as large as there is room for it. */
  #restore(): void {
    // What a log needs that is being read stays reserved.
    if (this.#held > 0 && this.#growth() > this.#size / 2) return;
    const size = [RESERVE_BYTES, SMALL_RESERVE_BYTES].find((size) => this.#hold(size));
    this.isLow = size === undefined;
    if (size === undefined) return;
    this.#size = size;
    this.database.exec(`PRAGMA max_page_count = ${MAX_PAGES}`);
  }

  /** The bytes by which the file grows once the log is moved into it. */
  #growth(): number {
    return this.#pages.get()!.page_count as number * this.#pageBytes - sizeOf(this.file);
  }

  #hold(bytes: number): boolean {
    if (!this.resize(reserveOf(this.file), this.#held, bytes)) return false;
    this.#held = bytes;
    return true;
  }
}

/** Changes a file's size, and fills what is new. Returns whether there is room on the disk; if not, it stays as it was. */
export function resizeFile(path: string, from: number, to: number): boolean {
  if (to === 0) {
    if (sizeOf(path) > 0) Deno.removeSync(path);
    return true;
  }
  using file = Deno.openSync(path, { create: true, write: true });
  try {
    file.seekSync(from, Deno.SeekMode.Start);
    for (let at = from; at < to;) at += file.writeSync(FILLING.subarray(0, to - at));
    file.truncateSync(to);
    return true;
  } catch (error) {
    if (!isFull(error)) throw error;
    file.truncateSync(from);
    if (from === 0) Deno.removeSync(path);
    return false;
  }
}
