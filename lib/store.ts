/**
 * The table's storage: the interface of all stores, and their guarantees.
 *
 * A table is a list of rows with unique names, in order of insertion, or in a cluster in order of names. Every write
 * gets the table's next *revision*, a number that is never reused within a table, even after a restart; in a cluster,
 * writes to different rows may share one. A row's *version* is the revision of its last write, so rows with equal
 * versions are equal.
 *
 * A write resolves once it is durable for the store: in memory until the process ends, in SQLite despite a crash of the
 * process or the machine, in a cluster despite the loss of a minority of its nodes.
 *
 * A method that returns an {@linkcode Awaitable} returns a plain value where it can, so that the table's response does
 * not wait for a turn of the event loop.
 *
 * @module
 */

import { ReportedError } from "./exit_code.ts";

/** A row at some version. */
export interface Row {
  /** The row's name: 1 to 256 bytes of UTF-8, without `/` and control characters. */
  readonly name: string;
  /** The row under its name, serialized as text or in UTF-8: `{"Pingping":{"type":"snail","age":"1","leg":"0"}}`. */
  readonly content: string | Uint8Array;
  /** The revision of the row's last write, at least 1. */
  readonly version: number;
}

/** A row to write. */
export interface NewRow {
  /** The row's name, as {@linkcode Row.name}. */
  readonly name: string;
  /** The row's value, serialized: `{"type":"snail","age":"1","leg":"0"}`. */
  readonly json: string;
  /** The row as {@linkcode Row.content}, in UTF-8, if available: unchanged until the write is done. */
  readonly content?: Uint8Array;
}

/** Rows to write, all at once or part by part. */
export type NewRows = readonly NewRow[] | AsyncIterable<readonly NewRow[]>;

/** The result of a write whose expectation was met. */
export interface Written {
  /** The row after the write. */
  readonly row: Row;
  /** Whether the row is new. */
  readonly created: boolean;
}

/** A value, or a promise of it. */
export type Awaitable<T> = T | Promise<T>;

/** As an expected version: no row of this name exists. */
export const ABSENT: number = 0;

/** A table of rows. Every method may throw, or reject with, a {@linkcode StoreError}. */
export interface Store {
  /** Returns the row of this name, or `undefined`. */
  get(name: string): Awaitable<Row | undefined>;

  /**
   * Writes a row. An existing row keeps its place in the order.
   *
   * @param expected The version the row must have, or {@linkcode ABSENT}; by default any.
   * @returns `undefined` if the row has another version; then nothing was written.
   */
  put(row: NewRow, expected?: number): Awaitable<Written | undefined>;

  /**
   * Writes all rows, in this order, if all their names are free; otherwise none. The names must differ.
   *
   * @param rows The rows, or parts of them one after the other, which are not held longer than it takes to write them.
   * If reading them fails, nothing is written, and the promise is rejected with that error.
   * @param expected The revision the table must have; by default any.
   * @returns The names that are taken; `undefined` if the table has another revision.
   */
  insert(rows: NewRows, expected?: number): Awaitable<readonly string[] | undefined>;

  /**
   * Removes the row of this name.
   *
   * @param expected The version the row must have; by default any.
   * @returns Whether a row was removed.
   */
  remove(name: string, expected?: number): Awaitable<boolean>;

  /**
   * Returns the table as of now, unaffected by later writes. The caller must close it.
   *
   * @param ended Called if the store ends the snapshot before, because it is read too slowly while the table changes.
   */
  snapshot(ended?: () => void): Awaitable<Snapshot>;

  /**
   * Returns the largest N, up to 2^53 - 1, of the rows named rN, in decimal without leading zeros; 0 if there are none.
   * A store that has no faster way than to read all rows leaves it out.
   */
  largestNumber?(): Promise<number>;

  /** Closes the store after writes in progress have ended. */
  close(): Awaitable<void>;
}

/** Memory that a store shares with others, in bytes. */
export interface SharedMemory {
  /** Whether this many more bytes are available, if need be after {@linkcode SharedMemory.reclaim}. */
  has(bytes: number): boolean;
  /** Takes bytes, even beyond the limit; a negative number returns them. */
  take(bytes: number): void;
  /** Called where memory is short: frees some, and returns whether there was any. */
  reclaim: () => boolean;
}

/** The table at one revision, read in portions of limited size: each from the cursor that the one before returned. */
export interface Snapshot {
  /** The table's revision, which changes with every write. */
  readonly revision: number;
  /** The number of rows. */
  readonly total: number;
  /** Returns the next part of one JSON object that has every row as a member. The joined parts are that object. */
  json(cursor: number): Awaitable<Portion<string | Uint8Array>>;
  /** Returns the cursor of a portion that starts at the row of this index, or before it if that is not found fast. */
  seek(row: number): Awaitable<Place>;
  /** Releases the snapshot. Further calls have no effect. */
  close(): void;
}

/** The cursor of a snapshot's first portion. */
export const START: number = 0;

/** A place in a snapshot. */
export interface Place {
  /** The cursor of a portion. */
  readonly cursor: number;
  /** How many rows are before it. */
  readonly row: number;
}

/** A portion of a snapshot. */
export interface Portion<T> {
  /** The portion's content. */
  readonly content: T;
  /** The cursor of the next portion; `undefined` after the last row. */
  readonly next: number | undefined;
}

/** Why a store fails. Only damage does not pass. */
export type StoreFault = "full" | "unavailable" | "too-large" | "damaged";

/** A failure of the store. The message is for people. */
export class StoreError extends ReportedError {
  /** The name of this error class. */
  override name = "StoreError";

  /** How many rows may be inserted at once instead; `undefined` if fewer rows are no help. */
  readonly maxRows?: number;

  /** Creates an error, with why the store failed. */
  constructor(readonly fault: StoreFault, message: string, options: ErrorOptions & { readonly maxRows?: number } = {}) {
    super(message, options);
    this.maxRows = options.maxRows;
  }
}

/** Returns the error of a store that cannot be reached, or not now. */
export function unavailable(message: string, options?: ErrorOptions): StoreError {
  return new StoreError("unavailable", message, options);
}

/** Returns the error of a row that is not one. */
export function notARow(name: string): StoreError {
  const detail = `Another program has written the row ${JSON.stringify(name)}: it is not a JSON object`;
  return new StoreError("damaged", detail);
}

/** Returns a row's content from its name and serialized value. */
export function rowContent(name: string, json: string): string {
  return `{${JSON.stringify(name)}:${json}}`;
}
