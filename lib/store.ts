/**
 * The table behind the server: what every store does, and promises.
 *
 * A table is a list of rows, each under a name of its own, in the order of their insertion, or of their names in a
 * cluster. Every write gets the table's next *revision*, a number that is never used twice in one table, not even after
 * a restart; in a cluster, writes to different rows may share one. A row's *version* is the revision of its last write.
 * So a row with an equal version is an equal row.
 *
 * A write is told to be done only when it is durable for that store: in memory until the process ends,
 * in SQLite through a crash of the process or the machine, in a cluster through the loss of a minority of its nodes.
 *
 * If a method returns a value or a promise of one, a store answers at once if it can:
 * the table's HTTP need not wait for a turn of the event loop then.
 *
 * @module
 */

const UTF8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** One row, as it was at some version. */
export interface Row {
  /** The row's name: 1 to 256 bytes of UTF-8, without `/` and control characters. */
  readonly name: string;
  /** The row under its name, serialised, as text or in UTF-8: `{"Pingping":{"type":"snail","age":"1","leg":"0"}}`. */
  readonly content: string | Uint8Array;
  /** The revision of the row's last write; 1 or more. */
  readonly version: number;
}

/** A row to be written. */
export interface NewRow {
  /** As {@linkcode Row.name}. */
  readonly name: string;
  /** The row's value, serialised: `{"type":"snail","age":"1","leg":"0"}`. */
  readonly json: string;
  /** The row as {@linkcode Row.content} would be, in UTF-8, if it is at hand; it is lent until the write is done. */
  readonly content?: Uint8Array;
}

/** What came of an unconditional or met write. */
export interface Written {
  /** The row as it is now. */
  readonly row: Row;
  /** Whether there was no row of this name before. */
  readonly created: boolean;
}

/** A value now, or a promise of it. */
export type Awaitable<T> = T | Promise<T>;

/** The version that stands for "no row of this name" in the expectation of a write. */
export const ABSENT: number = 0;

/** A table of rows. Every method may throw, or reject with, a {@linkcode StoreError}. */
export interface Store {
  /** The row of this name, or `undefined`. */
  get(name: string): Awaitable<Row | undefined>;

  /**
   * Writes a row, new or over the one of that name, which keeps its place in the order.
   *
   * @param expected The version the row must have now, {@linkcode ABSENT} for no row; left out, any will do.
   * @returns `undefined` if the expectation was not met; then nothing was written.
   */
  put(row: NewRow, expected?: number): Awaitable<Written | undefined>;

  /**
   * Writes all of the rows, in this order, if none of their names has a row yet; else none of them. The names must
   * differ.
   *
   * @param expected The revision the table must have now; left out, any will do.
   * @returns The names that have a row already; `undefined` if the expectation was not met.
   */
  insert(rows: readonly NewRow[], expected?: number): Awaitable<readonly string[] | undefined>;

  /**
   * Removes the row of this name.
   *
   * @param expected The version the row must have now; left out, any will do.
   * @returns Whether there was such a row.
   */
  remove(name: string, expected?: number): Awaitable<boolean>;

  /** The table as it is now, unaffected by later writes. It must be closed. */
  snapshot(): Awaitable<Snapshot>;

  /** Ends the store; writes that are under way are done first. */
  close(): Awaitable<void>;
}

/**
 * The table as it was at one revision: later writes do not show.
 *
 * It is read in pages, each from the cursor that the page before gave, the first from {@linkcode START}.
 * A page's size is limited, so reading needs no memory that grows with the table.
 */
export interface Snapshot {
  /** The table's revision: it changes with every write. */
  readonly revision: number;
  /** How many rows there are. */
  readonly total: number;
  /** The next part of one JSON object that has every row as a member. The pages joined are that object. */
  json(cursor: number): Awaitable<Page<string | Uint8Array>>;
  /** The next rows, each as {@linkcode Row.content}. */
  rows(cursor: number): Awaitable<Page<readonly string[]>>;
  /** Gives up what the snapshot holds. It may be called more than once. */
  close(): void;
}

/** Where a snapshot's first page starts. */
export const START: number = 0;

/** Some of a snapshot's rows. */
export interface Page<T> {
  /** What was read. */
  readonly content: T;
  /** Where the next page starts; `undefined` after the last row. */
  readonly next: number | undefined;
}

/** Why a store cannot do what it was asked: there is no room, it cannot be reached now, or it is too much at once. */
export type StoreFault = "full" | "unavailable" | "too-large";

/** A store that cannot do what it was asked, for a reason that may pass. Its message is for people. */
export class StoreError extends Error {
  /** Tells this error from others by name. */
  override name = "StoreError";
  /** Which kind of reason it is. */
  readonly fault: StoreFault;

  /** Makes the error. */
  constructor(fault: StoreFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.fault = fault;
  }
}

/** A row's content from its name and its value serialised. */
export function rowContent(name: string, json: string): string {
  return `{${JSON.stringify(name)}:${json}}`;
}

/** A row's value from its content. */
export function rowValue(content: string | Uint8Array): { [field: string]: unknown } {
  const text = typeof content === "string" ? content : UTF8.decode(content);
  // Parsed without its name: an object of another shape for each row costs the engine as much again.
  let end = text.indexOf('"', 2);
  while (end > 0 && isEscaped(text, end)) end = text.indexOf('"', end + 1);
  if (end < 0) throw new TypeError("The content of a row must be an object with the row as its member");
  return JSON.parse(text.slice(end + 2, -1));
}

/** Whether an odd number of backslashes stands before this place. */
function isEscaped(text: string, at: number): boolean {
  let before = at;
  while (text[before - 1] === "\\") before--;
  return (at - before) % 2 === 1;
}
