/**
 * Some rows of the table in memory that follow one another.
 *
 * The rows' contents lie in UTF-8 in one buffer rather than in many small strings: that halves the memory, spares the
 * garbage collector, and a response is one copy of bytes. Bytes once written never change in their buffer, so a reader
 * may hold on to them.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { type NewRow, rowContent } from "../store.ts";

/** Rows in one segment at most. A snapshot costs a reference to each; the first write after it copies one's index. */
export const SEGMENT_ROWS = 1024;
/** Bytes in one segment's buffer at first. */
const SEGMENT_BYTES = 64 * 1024;
/** A row with more bytes has a buffer of its own, which goes when the row goes. So a segment's offsets stay small. */
const LARGE_ROW_BYTES = 16 * 1024;
/** Bytes of rows that were replaced or removed which a segment may hold beside those of its rows. */
const DEAD_BYTES = 32 * 1024;

const ENCODER = new TextEncoder();

/** Some rows that follow one another. A version of 0 marks a hole: the row was removed. */
export class Segment {
  /** Where it stands among the others. */
  index = 0;
  /** Rows and holes. */
  rows = 0;
  /** Rows. */
  live = 0;
  /** Small rows' contents; filled from its start. */
  #bytes = new Uint8Array(0);
  #used = 0;
  #dead = 0;
  #large: Map<number, Uint8Array> | undefined;
  #offsets = new Uint32Array(0);
  #lengths = new Uint32Array(0);
  #versions = new Float64Array(0);

  /**
   * Makes a segment without room for rows.
   *
   * @param id Its number, which stays with every copy of it.
   * @param epoch How many snapshots had been taken when it was made: one of an older epoch may belong to a snapshot.
   */
  private constructor(readonly id: number, readonly epoch: number) {}

  /** Makes an empty segment. */
  static empty(id: number, epoch: number): Segment {
    const segment = new Segment(id, epoch);
    segment.#bytes = new Uint8Array(SEGMENT_BYTES);
    segment.#offsets = new Uint32Array(SEGMENT_ROWS);
    segment.#lengths = new Uint32Array(SEGMENT_ROWS);
    segment.#versions = new Float64Array(SEGMENT_ROWS);
    return segment;
  }

  /** Makes a copy that may be changed; both share the bytes that are there. */
  copy(epoch: number): Segment {
    const copy = new Segment(this.id, epoch);
    copy.index = this.index;
    copy.rows = this.rows;
    copy.live = this.live;
    copy.#bytes = this.#bytes;
    copy.#used = this.#used;
    copy.#dead = this.#dead;
    copy.#large = this.#large && new Map(this.#large);
    copy.#offsets = this.#offsets.slice();
    copy.#lengths = this.#lengths.slice();
    copy.#versions = this.#versions.slice();
    return copy;
  }

  /** Whether another row may be written behind the others. */
  hasRoom(length: number): boolean {
    return this.rows < SEGMENT_ROWS && (length > LARGE_ROW_BYTES || this.#used + length <= this.#bytes.length);
  }

  /** The version of the row at a place; 0 for a hole. */
  version(place: number): number {
    return this.#versions[place];
  }

  /** The bytes of the content at a place. */
  length(place: number): number {
    return this.#lengths[place];
  }

  /** The content at a place. */
  content(place: number): Uint8Array {
    const length = this.#lengths[place];
    if (length > LARGE_ROW_BYTES) return this.#large!.get(place)!;
    const offset = this.#offsets[place];
    return this.#bytes.subarray(offset, offset + length);
  }

  /** Writes a row at a place, which is a row's or the first free one. Returns its content, as it is or as it was given. */
  write(place: number, row: NewRow, version: number): Uint8Array | string {
    const content = row.content ?? rowContent(row.name, row.json);
    const length = typeof content === "string" ? Buffer.byteLength(content) : content.length;
    this.put(place, content, length, version);
    return content;
  }

  /** Puts content of this many bytes at a place, which is a row's or the first free one. */
  put(place: number, content: Uint8Array | string, length: number, version: number): void {
    if (place === this.rows) {
      this.rows++;
      this.live++;
    } else this.#forget(place);
    if (length > LARGE_ROW_BYTES) {
      const own = typeof content === "string" ? ENCODER.encode(content) : content.slice();
      (this.#large ??= new Map()).set(place, own);
    } else {
      if (this.#used + length > this.#bytes.length) this.#pack(length);
      if (typeof content === "string") {
        ENCODER.encodeInto(content, this.#bytes.subarray(this.#used, this.#used + length));
      } else this.#bytes.set(content, this.#used);
      this.#offsets[place] = this.#used;
      this.#used += length;
    }
    this.#lengths[place] = length;
    this.#versions[place] = version;
  }

  /** Removes the row at a place. */
  remove(place: number): void {
    this.#forget(place);
    this.#versions[place] = 0;
    this.live--;
    // The bytes may be much; a snapshot has its own hold on them.
    if (this.#dead > DEAD_BYTES && this.#dead > this.#used / 2) this.#pack(0);
  }

  #forget(place: number): void {
    if (this.#lengths[place] > LARGE_ROW_BYTES) this.#large!.delete(place);
    else this.#dead += this.#lengths[place];
    this.#lengths[place] = 0;
  }

  /** Moves the small contents into a new buffer, with room for so many bytes and some more. */
  #pack(length: number): void {
    const needed = this.#used - this.#dead + length;
    const bytes = new Uint8Array(Math.max(length > 0 ? SEGMENT_BYTES : 0, Math.ceil(1.25 * needed)));
    let used = 0;
    for (let place = 0; place < this.rows; place++) {
      const size = this.#lengths[place];
      if (size === 0 || size > LARGE_ROW_BYTES) continue;
      bytes.set(this.content(place), used);
      this.#offsets[place] = used;
      used += size;
    }
    this.#bytes = bytes;
    this.#used = used;
    this.#dead = 0;
  }
}
