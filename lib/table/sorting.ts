/**
 * Sorts the rows of a listing in bounded memory, and yields to other clients in between.
 *
 * @module
 */

import { HttpError, type Requester } from "../http_message.ts";
import {
  LISTING_PIECE_BYTES,
  MAX_SENT_SORTED_BYTES,
  MAX_SORT_SLACK_ROWS,
  MAX_SORTED_BYTES,
  MAX_SORTS,
  SORTED_ROW_BYTES,
} from "../limits.ts";
import type { Pacer } from "./pacer.ts";
import { compareSortValues, type SortKey, type SortValue, sortValue } from "./query.ts";
import { RowJoiner, RowPile } from "./row_pile.ts";
import type { StoredRows } from "./stored_rows.ts";

/** Rows sorted in one step. */
const RUN_ROWS = 512;

/** Collects rows, and keeps the first ones in order. */
export class Sorter {
  readonly #keys: readonly SortKey[];
  readonly #end: number;
  readonly #pacer: Pacer;
  #rows = new RowPile();
  /** For each key, the values of the rows. */
  #values: SortValue[][];
  /** The memory that each row takes, in bytes. */
  #sizes: number[] = [];
  #bytes = 0;
  /** The row that others must come before to be kept; `undefined` while there are too few rows. */
  #last: number | undefined;

  /**
   * Creates a sorter.
   *
   * @param end How many rows to keep: those up to the end of the requested page.
   */
  constructor(keys: readonly SortKey[], end: number, pacer: Pacer) {
    this.#keys = keys;
    this.#end = end;
    this.#pacer = pacer;
    this.#values = keys.map(() => []);
  }

  /** The memory that all held rows take, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Adds the current row of a page.
   *
   * @returns Sometimes a promise to await before more rows are added.
   */
  add(page: StoredRows): Promise<void> | undefined {
    const index = this.#rows.count;
    let size = page.end - page.start + SORTED_ROW_BYTES * (1 + this.#keys.length);
    for (let i = 0; i < this.#keys.length; i++) {
      const value = this.#values[i][index] = sortValue(page, this.#keys[i]);
      if (typeof value === "string") size += value.length;
    }
    if (this.#last !== undefined && this.#compare(index, this.#last) >= 0) return undefined;
    this.#rows.add(page.row());
    this.#sizes[index] = size;
    this.#bytes += size;
    // Up to twice the kept rows are collected, so that not every row causes a sort.
    const isFull = index > 2 * this.#end + MAX_SORT_SLACK_ROWS || this.#bytes > 2 * MAX_SORTED_BYTES;
    return isFull ? this.#keepFirst() : undefined;
  }

  /**
   * Returns the rows from `first` on, in order, as pieces of one JSON object.
   *
   * @throws {HttpError} 400 if the held rows exceed the limit.
   */
  async pieces(first: number): Promise<Generator<Uint8Array>> {
    const order = await this.#order();
    return joined(this.#rows, order.slice(first));
  }

  #compare(a: number, b: number): number {
    for (let i = 0; i < this.#keys.length; i++) {
      const order = compareSortValues(this.#values[i][a], this.#values[i][b], this.#keys[i]);
      if (order !== 0) return order;
    }
    return 0;
  }

  /** Returns the first rows in order. */
  async #order(): Promise<number[]> {
    const all = this.#sizes.map((_, index) => index);
    const order = await sortInTurns(all, (a, b) => this.#compare(a, b), this.#end, this.#pacer);
    this.#bytes = order.reduce((sum, index) => sum + this.#sizes[index], 0);
    if (this.#bytes <= MAX_SORTED_BYTES) return order;
    const limit = `${MAX_SORTED_BYTES / 1024 / 1024} MiB`;
    throw new HttpError(
      400,
      `The parameter _sort: more than ${limit} of rows would have to be held; filter, or ask for an earlier _page`,
    );
  }

  async #keepFirst(): Promise<void> {
    const kept = await this.#order();
    const rows = new RowPile();
    for (const index of kept) {
      rows.add(this.#rows.get(index));
      const turn = this.#pacer.after(SORTED_ROW_BYTES);
      if (turn !== undefined) await turn;
    }
    this.#rows = rows;
    this.#sizes = kept.map((index) => this.#sizes[index]);
    this.#values = this.#values.map((values) => kept.map((index) => values[index]));
    if (kept.length === this.#end) this.#last = this.#end - 1;
  }
}

function* joined(rows: RowPile, order: readonly number[]): Generator<Uint8Array> {
  const joiner = new RowJoiner();
  for (const index of order) {
    joiner.add(rows.get(index));
    if (joiner.length >= LISTING_PIECE_BYTES) yield joiner.take();
  }
  yield joiner.end();
}

/** Sorts the first `end` items. The sort is stable. */
export async function sortInTurns<T>(
  items: readonly T[],
  order: (a: T, b: T) => number,
  end: number,
  pacer: Pacer,
): Promise<T[]> {
  let runs: T[][] = [];
  for (let at = 0; at < items.length; at += RUN_ROWS) {
    const run = items.slice(at, at + RUN_ROWS).sort(order);
    runs.push(run);
    await pacer.after(run.length * SORTED_ROW_BYTES);
  }
  while (runs.length > 1) {
    const merged: T[][] = [];
    for (let i = 0; i < runs.length; i += 2) {
      merged.push(i + 1 < runs.length ? await merge(runs[i], runs[i + 1], order, end, pacer) : runs[i]);
    }
    runs = merged;
  }
  return (runs[0] ?? []).slice(0, end);
}

async function merge<T>(
  first: readonly T[],
  second: readonly T[],
  order: (a: T, b: T) => number,
  end: number,
  pacer: Pacer,
): Promise<T[]> {
  const merged: T[] = [];
  const length = Math.min(first.length + second.length, end);
  for (let i = 0, j = 0; merged.length < length;) {
    const takesFirst = j === second.length || i < first.length && order(first[i], second[j]) <= 0;
    merged.push(takesFirst ? first[i++] : second[j++]);
    const turn = pacer.after(SORTED_ROW_BYTES);
    if (turn !== undefined) await turn;
  }
  return merged;
}

/**
 * Bounds the memory of all sorted listings: how many are produced at a time, and how much is held while they are sent.
 *
 * A client that has closed its side may have disconnected, so its listing waits for all others and makes room for them.
 */
export class SortQueue {
  #running = 0;
  readonly #waiting = new Map<() => void, Requester | undefined>();
  #sentBytes = 0;

  /** Sorted listings that wait. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Produces a sorted listing when it is its turn. A listing whose client disconnects stops waiting at once.
   *
   * @param make Calls `giveWay` at intervals, which throws if the listing must make room for another client's.
   * @throws {DOMException} `AbortError` if the client has disconnected.
   * @throws {HttpError} 503 if the listing made room.
   */
  async run<T>(requester: Requester | undefined, make: (giveWay: () => void) => Promise<T>): Promise<T> {
    if (this.#running < MAX_SORTS) this.#running++;
    else await this.#turn(requester);
    try {
      return await make(() => {
        if (!requester?.halfClosed || this.#firstInNeed() === undefined) return;
        throw new HttpError(503, "Sorted listings for clients that have not closed their side come first: try again", {
          fields: [["Retry-After", "1"]],
        });
      });
    } finally {
      const next = this.#firstInNeed() ?? this.#waiting.keys().next().value;
      if (next === undefined) this.#running--;
      else {
        this.#waiting.delete(next);
        next();
      }
    }
  }

  /** Returns the first waiting listing whose client has not closed its side. */
  #firstInNeed(): (() => void) | undefined {
    for (const [start, requester] of this.#waiting) if (!requester?.halfClosed) return start;
  }

  /**
   * Reserves memory for a sorted listing while it is sent.
   *
   * @returns A function that releases the memory.
   * @throws {HttpError} 503 if slow clients hold too much already.
   */
  hold(bytes: number): () => void {
    if (this.#sentBytes + bytes > MAX_SENT_SORTED_BYTES) {
      throw new HttpError(503, "Too many sorted listings are being sent: try again soon", {
        fields: [["Retry-After", "1"]],
      });
    }
    this.#sentBytes += bytes;
    return () => {
      this.#sentBytes -= bytes;
      bytes = 0;
    };
  }

  #turn(requester: Requester | undefined): Promise<void> {
    const signal = requester?.signal;
    signal?.throwIfAborted();
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.delete(start);
        reject(signal!.reason);
      };
      const start = () => {
        signal?.removeEventListener("abort", leave);
        resolve();
      };
      this.#waiting.set(start, requester);
      signal?.addEventListener("abort", leave);
    });
  }
}
