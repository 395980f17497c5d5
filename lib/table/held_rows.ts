/**
 * Rows held for sorting: their octets in few large buffers, and the values of their keys in columns.
 *
 * @module
 */

import { type Kind, NUMBER, TEXT, Value } from "./comparison.ts";
import { compareBy, type SortKey } from "./query.ts";
import type { StoredRows } from "./stored_rows.ts";

/** The size of a buffer in bytes, unless a row needs more. */
const BUFFER_BYTES = 64 * 1024;
/** Bytes that a row takes besides its octets: its place and length, and its place in the order, twice. */
const ROW_BYTES = 16;
/** Bytes that each key of a row takes, besides the octets of a text that had to be copied. */
const KEY_BYTES = 17;
const INITIAL_ROWS = 64;
// Added to the kind of a value: a number that its double does not tell from all others; a text that is not in the row.
const INEXACT = 8;
const COPIED = 16;

/** Rows in the order in which they were added. */
export class HeldRows {
  /** The memory that all rows take, in bytes. */
  bytes = 0;
  /** The number of rows. */
  count = 0;
  readonly #keys: readonly SortKey[];
  readonly #buffers: Uint8Array[] = [];
  /** Room in the last buffer. */
  #used = BUFFER_BYTES;
  #places = new Uint32Array(INITIAL_ROWS);
  #lengths = new Uint32Array(INITIAL_ROWS);
  // Of key k of row i, at i * keys + k: the kind, a number's double, and where the text or the digits are.
  #kinds: Uint8Array<ArrayBuffer>;
  #numbers: Float64Array<ArrayBuffer>;
  #textPlaces: Uint32Array<ArrayBuffer>;
  #textLengths: Uint32Array<ArrayBuffer>;
  readonly #a = new Value();
  readonly #b = new Value();

  /** Holds no rows yet. */
  constructor(keys: readonly SortKey[]) {
    const values = INITIAL_ROWS * keys.length;
    this.#keys = keys;
    this.#kinds = new Uint8Array(values);
    this.#numbers = new Float64Array(values);
    this.#textPlaces = new Uint32Array(values);
    this.#textLengths = new Uint32Array(values);
  }

  /** Returns the memory that the current row of a page would take, in bytes. */
  sizeOf(page: StoredRows): number {
    let size = page.end - page.start + ROW_BYTES + KEY_BYTES * this.#keys.length;
    for (const { field } of this.#keys) {
      const value = page.value(field);
      if (hasOctets(value) && !isInRow(value, page)) size += value.end - value.start;
    }
    return size;
  }

  /** Adds the current row of a page. */
  add(page: StoredRows): void {
    this.bytes += this.sizeOf(page);
    const place = this.#addRow(page.row());
    for (let k = 0; k < this.#keys.length; k++) {
      const value = page.value(this.#keys[k].field);
      const at = this.count * this.#keys.length + k;
      const isHere = isInRow(value, page);
      this.#kinds[at] = value.kind | (value.isExact ? 0 : INEXACT) | (isHere ? 0 : COPIED);
      this.#numbers[at] = value.number;
      if (!hasOctets(value)) continue;
      this.#textLengths[at] = value.end - value.start;
      this.#textPlaces[at] = isHere
        ? place + value.start - page.start
        : this.#addOctets(value.bytes.subarray(value.start, value.end));
    }
    this.count++;
  }

  /** Adds a copy of another holder's row. */
  copy(from: HeldRows, index: number): void {
    const row = from.row(index);
    const place = this.#addRow(row);
    this.bytes += row.length + ROW_BYTES + KEY_BYTES * this.#keys.length;
    for (let k = 0; k < this.#keys.length; k++) {
      const at = this.count * this.#keys.length + k;
      const other = index * this.#keys.length + k;
      this.#kinds[at] = from.#kinds[other];
      this.#numbers[at] = from.#numbers[other];
      this.#textLengths[at] = from.#textLengths[other];
      this.#textPlaces[at] = place + from.#textPlaces[other] - from.#places[index];
      if ((this.#kinds[at] & COPIED) === 0) continue;
      from.#read(index, k, this.#a);
      if (!hasOctets(this.#a)) continue;
      this.#textPlaces[at] = this.#addOctets(this.#a.bytes.subarray(this.#a.start, this.#a.end));
      this.bytes += this.#textLengths[at];
    }
    this.count++;
  }

  /** Returns the octets of a row: its name, a colon and its value. */
  row(index: number): Uint8Array {
    const place = this.#places[index];
    return this.#bufferAt(place).subarray(place % BUFFER_BYTES, place % BUFFER_BYTES + this.#lengths[index]);
  }

  /** Compares two rows by their keys. */
  compare(a: number, b: number): number {
    for (let k = 0; k < this.#keys.length; k++) {
      this.#read(a, k, this.#a);
      this.#read(b, k, this.#b);
      const order = compareBy(this.#keys[k], this.#a, this.#b);
      if (order !== 0) return order;
    }
    return 0;
  }

  /** Compares the current row of a page with a held one. */
  compareTo(page: StoredRows, index: number): number {
    for (let k = 0; k < this.#keys.length; k++) {
      this.#read(index, k, this.#b);
      const order = compareBy(this.#keys[k], page.value(this.#keys[k].field), this.#b);
      if (order !== 0) return order;
    }
    return 0;
  }

  #read(index: number, key: number, value: Value): void {
    const at = index * this.#keys.length + key;
    const kind = this.#kinds[at];
    value.kind = (kind & ~(INEXACT | COPIED)) as Kind;
    value.number = this.#numbers[at];
    value.isExact = (kind & INEXACT) === 0;
    if (!hasOctets(value)) return;
    const place = this.#textPlaces[at];
    value.bytes = this.#bufferAt(place);
    value.start = place % BUFFER_BYTES;
    value.end = value.start + this.#textLengths[at];
  }

  #addRow(row: Uint8Array): number {
    if (this.count === this.#places.length) this.#grow();
    this.#places[this.count] = this.#addOctets(row);
    this.#lengths[this.count] = row.length;
    return this.#places[this.count];
  }

  #addOctets(octets: Uint8Array): number {
    if (this.#used + octets.length > BUFFER_BYTES) {
      this.#buffers.push(new Uint8Array(Math.max(BUFFER_BYTES, octets.length)));
      this.#used = 0;
    }
    const last = this.#buffers.length - 1;
    const place = last * BUFFER_BYTES + this.#used;
    this.#buffers[last].set(octets, this.#used);
    this.#used += octets.length;
    return place;
  }

  #bufferAt(place: number): Uint8Array {
    return this.#buffers[Math.floor(place / BUFFER_BYTES)];
  }

  #grow(): void {
    const rows = 2 * this.#places.length;
    const values = rows * this.#keys.length;
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
function isInRow(value: Value, page: StoredRows): boolean {
  return value.bytes === page.bytes && value.start - page.start < BUFFER_BYTES;
}
