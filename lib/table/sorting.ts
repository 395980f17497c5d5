/**
 * Sorts the rows of a listing in bounded memory, and yields to other clients in between.
 *
 * @module
 */

import { HttpError } from "../http_message.ts";
import { LISTING_PIECE_BYTES, MAX_SENT_SORTED_BYTES, MAX_SORTED_BYTES } from "../limits.ts";
import type { Pacer } from "../turns.ts";
import { HeldRows } from "./held_rows.ts";
import type { SortKey } from "./query.ts";
import type { RowJoiner, StoredRows } from "./stored_rows.ts";

/** Rows that a sorted listing may collect beyond twice those it keeps, before it sorts and drops the rest. */
export const MAX_SORT_SLACK_ROWS: number = 1000;

const RUN_ROWS = 512;
/** Work of one comparison, in octets read. */
const COMPARISON_WORK = 32;

/** Collects rows, and keeps the first ones in order. */
export class Sorter {
  readonly #keys: readonly SortKey[];
  readonly #end: number;
  readonly #pacer: Pacer;
  #rows: HeldRows;
  /** The row that others must come before to be kept; `undefined` while there are too few rows. */
  #last: number | undefined;
  /** What all rows that were added would take, and the largest of them, in bytes. */
  #seen = { bytes: 0, most: 0 };

  /** Keeps the rows up to the end of the requested page. */
  constructor(keys: readonly SortKey[], end: number, pacer: Pacer) {
    this.#keys = keys;
    this.#end = end;
    this.#pacer = pacer;
    this.#rows = new HeldRows(keys);
  }

  get bytes(): number {
    return this.#rows.bytes;
  }

  /** Whether the rows up to this one may surely be held, as the page that ends there needs. */
  reaches(end: number): boolean {
    const more = Math.max(0, end - this.#end) * this.#seen.most;
    return Math.min(this.#seen.bytes, this.#rows.bytes + more) <= MAX_SORTED_BYTES;
  }

  /** Adds the current row of a page. Sometimes returns a promise to await before more rows are added. */
  add(page: StoredRows): Promise<void> | undefined {
    const size = this.#rows.sizeOf(page);
    this.#seen.bytes += size;
    this.#seen.most = Math.max(this.#seen.most, size);
    if (this.#last !== undefined && this.#rows.compareTo(page, this.#last) >= 0) return undefined;
    this.#rows.add(page);
    // Up to twice the kept rows are collected, so that not every row causes a sort.
    const isFull = this.#rows.count > 2 * this.#end + MAX_SORT_SLACK_ROWS || this.#rows.bytes > 2 * MAX_SORTED_BYTES;
    return isFull ? this.#keepFirst() : undefined;
  }

  /** Returns the rows from `first` on, in order, as pieces of a listing. Throws a 400 if they exceed the limit. */
  async pieces(first: number, joiner: RowJoiner): Promise<Generator<Uint8Array>> {
    if (this.#rows.bytes > MAX_SORTED_BYTES) await this.#keepFirst();
    const order = await this.#order();
    return joined(this.#rows, order.subarray(first, this.#end), joiner);
  }

  #order(): Promise<Uint32Array> {
    return sortInTurns(this.#rows.count, (a, b) => this.#rows.compare(a, b), this.#pacer);
  }

  async #keepFirst(): Promise<void> {
    const order = (await this.#order()).subarray(0, this.#end);
    const kept = new HeldRows(this.#keys);
    for (const index of order) {
      kept.copy(this.#rows, index);
      if (kept.bytes > MAX_SORTED_BYTES) {
        const limit = `${MAX_SORTED_BYTES / 1024 / 1024} MiB`;
        throw new HttpError(
          400,
          `The parameter _sort: more than ${limit} of rows would have to be held; filter, or ask for an earlier _page`,
        );
      }
      const turn = this.#pacer.after(COMPARISON_WORK);
      if (turn !== undefined) await turn;
    }
    this.#rows = kept;
    if (kept.count === this.#end) this.#last = this.#end - 1;
  }
}

function* joined(rows: HeldRows, order: Uint32Array, joiner: RowJoiner): Generator<Uint8Array> {
  for (const index of order) {
    joiner.add(rows.row(index));
    if (joiner.length >= LISTING_PIECE_BYTES) yield joiner.take();
  }
  yield joiner.end();
}

/** Sorts the numbers from 0 to before `count`; those that compare as 0 keep their order. */
export async function sortInTurns(
  count: number,
  compare: (a: number, b: number) => number,
  pacer: Pacer,
): Promise<Uint32Array> {
  let order = new Uint32Array(count);
  for (let i = 0; i < count; i++) order[i] = i;
  for (let at = 0; at < count; at += RUN_ROWS) {
    order.subarray(at, at + RUN_ROWS).sort((a, b) => compare(a, b) || a - b);
    await pacer.after(RUN_ROWS * COMPARISON_WORK);
  }
  let merged = new Uint32Array(count > RUN_ROWS ? count : 0);
  for (let width = RUN_ROWS; width < count; width *= 2) {
    for (let at = 0, i = 0, j = 0, middle = 0, end = 0; at < count; at++) {
      if (at === end) {
        i = at;
        j = middle = Math.min(at + width, count);
        end = Math.min(at + 2 * width, count);
      }
      const takesFirst = j === end || i < middle && compare(order[i], order[j]) <= 0;
      merged[at] = takesFirst ? order[i++] : order[j++];
      const turn = pacer.after(COMPARISON_WORK);
      if (turn !== undefined) await turn;
    }
    [order, merged] = [merged, order];
  }
  return order;
}

/** Bytes of all sorted listings that are being sent. */
let sentBytes = 0;

/**
 * Reserves memory for a sorted listing while it is sent, and returns a function that releases it. Throws a 503 if slow
 * clients hold too much already.
 */
export function holdSorted(bytes: number): () => void {
  if (sentBytes + bytes > MAX_SENT_SORTED_BYTES) {
    throw new HttpError(503, "Too many sorted listings are being sent: try again soon", {
      fields: [["Retry-After", "1"]],
    });
  }
  sentBytes += bytes;
  return () => {
    sentBytes -= bytes;
    bytes = 0;
  };
}
