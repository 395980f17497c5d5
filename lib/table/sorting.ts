/**
 * Sorts the rows of a listing in bounded memory, and yields to other clients in between. Rows are held with their octets
 * in few large buffers, and with the values of their keys in columns.
 */

import { HttpError, RETRY_SOON } from "../http_message.ts";
import { LISTING_PIECE_BYTES, MAX_SENT_SORTED_BYTES, MAX_SORTED_BYTES } from "../limits.ts";
import type { Pacer } from "../turns.ts";
import { type Kind, NUMBER, TEXT, Value } from "./comparison.ts";
import { compareBy, type SortKey } from "./query.ts";
import { type RowJoiner, StoredRows } from "./stored_rows.ts";

/** Rows that a sorted listing may collect beyond twice those it keeps, before it sorts and drops the rest. */
export const MAX_SORT_SLACK_ROWS: number = 1000;

/** Work of one comparison, in octets read. */
const COMPARISON_WORK = 32;

/** Collects rows, and keeps the first ones in order. */
export class Sorter {
  #rows: HeldRows;
  /** The row that others must come before to be kept; `undefined` while there are too few rows. */
  #last: number | undefined;
  /** What all rows that were added would take, and the largest of them, in bytes. */
  #seen = { bytes: 0, most: 0 };

  /** Keeps the rows up to the end of the requested page. */
  constructor(private readonly keys: readonly SortKey[], private readonly end: number, private readonly pacer: Pacer) {
    this.#rows = new HeldRows(keys);
  }

  get bytes(): number {
    return this.#rows.bytes;
  }

  /** Whether the rows up to this one may surely be held, as the page that ends there needs. */
  reaches(end: number): boolean {
    const more = Math.max(0, end - this.end) * this.#seen.most;
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
    const isFull = this.#rows.count > 2 * this.end + MAX_SORT_SLACK_ROWS || this.#rows.bytes > 2 * MAX_SORTED_BYTES;
    return isFull ? this.#keepFirst() : undefined;
  }

  /** Returns the rows from `first` on, in order, as pieces of a listing. Throws a 400 if they exceed the limit. */
  async pieces(first: number, joiner: RowJoiner): Promise<Generator<Uint8Array>> {
    if (this.#rows.bytes > MAX_SORTED_BYTES) await this.#keepFirst();
    const order = await this.#order();
    return joined(this.#rows, order.subarray(first, this.end), joiner);
  }

  #order(): Promise<Uint32Array> {
    return sortInTurns(this.#rows.count, (a, b) => this.#rows.compare(a, b), this.pacer);
  }

  async #keepFirst(): Promise<void> {
    const order = (await this.#order()).subarray(0, this.end);
    const kept = new HeldRows(this.keys);
    for (const index of order) {
      kept.copy(this.#rows, index);
      if (kept.bytes > MAX_SORTED_BYTES) {
        const limit = `${MAX_SORTED_BYTES / 1024 / 1024} MiB`;
        throw new HttpError(
          400,
          `The parameter _sort: the rows to sort exceed ${limit}: add a filter, or ask for an earlier _page`,
        );
      }
      const turn = this.pacer.after(COMPARISON_WORK);
      if (turn !== undefined) await turn;
    }
    this.#rows = kept;
    if (kept.count === this.end) this.#last = this.end - 1;
  }
}

function* joined(rows: HeldRows, order: Uint32Array, joiner: RowJoiner): Generator<Uint8Array> {
  for (const index of order) {
    joiner.add(rows.row(index));
    if (joiner.length >= LISTING_PIECE_BYTES) yield joiner.piece();
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
  let merged = new Uint32Array(count);
  for (let width = 1; width < count; width *= 2) {
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

/** Reserves memory for a sorted listing; returns its release. Throws a 503 if slow clients hold too much already. */
export function holdSorted(bytes: number): () => void {
  if (sentBytes + bytes > MAX_SENT_SORTED_BYTES) {
    throw new HttpError(503, "Too many sorted listings are being sent: try again soon", { fields: RETRY_SOON });
  }
  sentBytes += bytes;
  return () => {
    sentBytes -= bytes;
    bytes = 0;
  };
}

/** The size of a buffer in bytes, unless a row needs more. */
const BUFFER_BYTES = 64 * 1024;
/** Bytes that a row takes besides its octets: its place and length, and its place in the order, twice. */
const ROW_BYTES = 16;
/** Bytes that each key of a row takes, besides the octets of a text that had to be copied. */
const KEY_BYTES = 17;
/** Added to the kind of a number that its double does not tell from all others. */
const INEXACT = 8;

/** Octets of a row, a text or digits: a page's row or a {@linkcode Value}. */
type Octets = Pick<Value, "bytes" | "start" | "end">;

export class HeldRows {
  bytes = 0;
  count = 0;
  readonly #buffers: Uint8Array[] = [];
  #used = BUFFER_BYTES;
  #places = new Uint32Array();
  #lengths = new Uint32Array();
  // Of key k of row i, at i * keys + k: the kind, a number's double, and where the text or the digits are.
  #kinds = new Uint8Array();
  #numbers = new Float64Array();
  #textPlaces = new Uint32Array();
  #textLengths = new Uint32Array();
  readonly #a = new Value();
  readonly #b = new Value();

  constructor(private readonly keys: readonly SortKey[]) {}

  /** Returns the memory that the current row of a page would take, in bytes. */
  sizeOf(page: StoredRows): number {
    let size = page.end - page.start + ROW_BYTES + KEY_BYTES * this.keys.length;
    for (const { field } of this.keys) {
      const value = page.value(field);
      if (hasOctets(value) && !isInRow(value, page)) size += value.end - value.start;
    }
    return size;
  }

  add(page: StoredRows): void {
    if (this.count === this.#places.length) this.#grow();
    const place = this.#addOctets(page);
    this.#places[this.count] = place;
    this.#lengths[this.count] = page.end - page.start;
    this.bytes += this.sizeOf(page);
    for (let k = 0; k < this.keys.length; k++) {
      const value = page.value(this.keys[k].field);
      const at = this.count * this.keys.length + k;
      this.#kinds[at] = value.kind | (value.isExact ? 0 : INEXACT);
      this.#numbers[at] = value.number;
      if (!hasOctets(value)) continue;
      this.#textLengths[at] = value.end - value.start;
      this.#textPlaces[at] = isInRow(value, page) ? place + value.start - page.start : this.#addOctets(value);
    }
    this.count++;
  }

  /** Adds a row that others hold. */
  copy(from: HeldRows, index: number): void {
    const page = new StoredRows(from.row(index), [], 0);
    page.next();
    this.add(page);
  }

  /** Returns the octets of a row: its name, a colon and its value. */
  row(index: number): Uint8Array {
    const place = this.#places[index];
    return this.#bufferAt(place).subarray(place % BUFFER_BYTES, place % BUFFER_BYTES + this.#lengths[index]);
  }

  compare(a: number, b: number): number {
    for (let k = 0; k < this.keys.length; k++) {
      this.#read(a, k, this.#a);
      this.#read(b, k, this.#b);
      const order = compareBy(this.keys[k], this.#a, this.#b);
      if (order !== 0) return order;
    }
    return 0;
  }

  compareTo(page: StoredRows, index: number): number {
    for (let k = 0; k < this.keys.length; k++) {
      this.#read(index, k, this.#b);
      const order = compareBy(this.keys[k], page.value(this.keys[k].field), this.#b);
      if (order !== 0) return order;
    }
    return 0;
  }

  #read(index: number, key: number, value: Value): Value {
    const at = index * this.keys.length + key;
    const kind = this.#kinds[at];
    value.kind = (kind & ~INEXACT) as Kind;
    value.number = this.#numbers[at];
    value.isExact = (kind & INEXACT) === 0;
    if (!hasOctets(value)) return value;
    const place = this.#textPlaces[at];
    value.bytes = this.#bufferAt(place);
    value.start = place % BUFFER_BYTES;
    value.end = value.start + this.#textLengths[at];
    return value;
  }

  #addOctets({ bytes, start, end }: Octets): number {
    const length = end - start;
    if (this.#used + length > BUFFER_BYTES) {
      this.#buffers.push(new Uint8Array(Math.max(BUFFER_BYTES, length)));
      this.#used = 0;
    }
    const last = this.#buffers.length - 1;
    const place = last * BUFFER_BYTES + this.#used;
    this.#buffers[last].set(bytes.subarray(start, end), this.#used);
    this.#used += length;
    return place;
  }

  #bufferAt(place: number): Uint8Array {
    return this.#buffers[Math.floor(place / BUFFER_BYTES)];
  }

  #grow(): void {
    const rows = Math.max(64, 2 * this.#places.length);
    const values = rows * this.keys.length;
    this.#places = grown(this.#places, new Uint32Array(rows));
    this.#lengths = grown(this.#lengths, new Uint32Array(rows));
    this.#kinds = grown(this.#kinds, new Uint8Array(values));
    this.#numbers = grown(this.#numbers, new Float64Array(values));
    this.#textPlaces = grown(this.#textPlaces, new Uint32Array(values));
    this.#textLengths = grown(this.#textLengths, new Uint32Array(values));
  }
}

function grown<Column extends { set(from: Column): void }>(from: Column, to: Column): Column {
  to.set(from);
  return to;
}

/** Whether the octets of a value are needed to compare it. */
function hasOctets({ kind, isExact }: Value): boolean {
  return kind === TEXT || kind === NUMBER && !isExact;
}

/** Whether a place in the row's buffer tells where the value's octets are: they have no escape, and begin early. */
function isInRow({ bytes, start, end }: Value, row: Octets): boolean {
  return bytes === row.bytes && start >= row.start && end <= row.end && start - row.start < BUFFER_BYTES;
}
