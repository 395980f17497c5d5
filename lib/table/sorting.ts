/**
 * Sorts the rows of a listing in bounded memory, and yields to other clients in between.
 *
 * @module
 */

import { HttpError, type Requester } from "../http_message.ts";
import {
  MAX_SENT_SORTED_CHARACTERS,
  MAX_SORT_SLACK_ROWS,
  MAX_SORTED_CHARACTERS,
  MAX_SORTS,
  SORTED_ROW_CHARACTERS,
} from "../limits.ts";
import type { Pacer } from "./pacer.ts";
import { compareSortValues, type SortKey, type SortValues, sortValues } from "./query.ts";
import type { JsonObject } from "../json.ts";

/** Rows sorted in one step. */
const RUN_ROWS = 512;

interface SortedRow {
  readonly values: SortValues;
  readonly content: string;
  /** The memory that holding the row takes, in characters. */
  readonly characters: number;
}

/** Collects rows, and keeps the first ones in order. */
export class Sorter {
  readonly #keys: readonly SortKey[];
  readonly #end: number;
  readonly #pacer: Pacer;
  #rows: SortedRow[] = [];
  #characters = 0;

  /**
   * Creates a sorter.
   *
   * @param end How many rows to keep: those up to the end of the requested page.
   */
  constructor(keys: readonly SortKey[], end: number, pacer: Pacer) {
    this.#keys = keys;
    this.#end = end;
    this.#pacer = pacer;
  }

  /** The memory that all held rows take, in characters. */
  get characters(): number {
    return this.#characters;
  }

  /**
   * Adds a row.
   *
   * @returns Sometimes a promise to await before more rows are added.
   */
  add(row: JsonObject, content: string): Promise<void> | undefined {
    const values = sortValues(row, this.#keys);
    let characters = content.length + SORTED_ROW_CHARACTERS * (1 + values.length);
    for (const value of values) if (typeof value === "string") characters += value.length;
    this.#rows.push({ values, content, characters });
    this.#characters += characters;
    // Up to twice the kept rows are collected, so that not every row causes a sort.
    const isFull = this.#rows.length > 2 * this.#end + MAX_SORT_SLACK_ROWS ||
      this.#characters > 2 * MAX_SORTED_CHARACTERS;
    return isFull ? this.#keepFirst() : undefined;
  }

  /**
   * Returns the contents of the first rows, in order.
   *
   * @throws {HttpError} 400 if they exceed the limit.
   */
  async contents(): Promise<string[]> {
    await this.#keepFirst();
    return this.#rows.map(({ content }) => content);
  }

  async #keepFirst(): Promise<void> {
    this.#rows = await sortInTurns(
      this.#rows,
      (a, b) => compareSortValues(a.values, b.values, this.#keys),
      this.#end,
      this.#pacer,
    );
    this.#characters = this.#rows.reduce((sum, { characters }) => sum + characters, 0);
    if (this.#characters <= MAX_SORTED_CHARACTERS) return;
    const limit = `${MAX_SORTED_CHARACTERS / 1024 / 1024} Mi characters`;
    throw new HttpError(
      400,
      `The parameter _sort: more than ${limit} of rows would have to be held; filter, or ask for an earlier _page`,
    );
  }
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
    await pacer.after(run.length * SORTED_ROW_CHARACTERS);
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
    const turn = pacer.after(SORTED_ROW_CHARACTERS);
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
  #sentCharacters = 0;

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
  hold(characters: number): () => void {
    if (this.#sentCharacters + characters > MAX_SENT_SORTED_CHARACTERS) {
      throw new HttpError(503, "Too many sorted listings are being sent: try again soon", {
        fields: [["Retry-After", "1"]],
      });
    }
    this.#sentCharacters += characters;
    return () => {
      this.#sentCharacters -= characters;
      characters = 0;
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
