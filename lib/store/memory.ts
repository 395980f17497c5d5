/**
 * The table in memory: it lasts as long as the process.
 *
 * The rows' contents lie in UTF-8 in a few large buffers rather than in a million small strings: that halves the
 * memory,
 * spares the garbage collector, and an answer is one copy of bytes. Bytes once written never change in their buffer,
 * so a reader may hold on to them.
 *
 * @module
 */

import { byteLength } from "../bytes.ts";
import { MAX_NAME_BYTES, MEMORY_PAGE_BYTES } from "../limits.ts";
import {
  ABSENT,
  type NewRow,
  type Page,
  type Row,
  rowContent,
  type Snapshot,
  START,
  type Store,
  type Written,
} from "../store.ts";

/**
 * Rows in one segment at most. A snapshot costs a reference to each segment, the first write after it a copy of one's
 * index.
 */
const SEGMENT_ROWS = 1024;
/** Bytes in one segment, unless a row alone has more or rows are replaced. */
const SEGMENT_BYTES = 64 * 1024;
/** Places for rows that a table may have beyond twice its rows, before its holes are closed. */
const SPARE_ROWS = 64 * SEGMENT_ROWS;

const OPEN_BRACE = 0x7b;
const COMMA = 0x2c;

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();
const NAME_BYTES = new Uint8Array(MAX_NAME_BYTES);

/** Some rows that follow one another. A version of 0 marks a hole: the row was removed. */
class Segment {
  /** Filled from its start; what is filled does not change, so copies of the segment may share it. */
  bytes: Uint8Array;
  bytesUsed = 0;
  rows = 0;
  /** Rows that are no holes. */
  live = 0;

  constructor(
    /** How many snapshots had been taken when it was made: one of an older epoch may belong to a snapshot. */
    readonly epoch: number,
    bytes: Uint8Array,
    readonly offsets = new Uint32Array(SEGMENT_ROWS),
    readonly lengths = new Uint32Array(SEGMENT_ROWS),
    readonly versions = new Float64Array(SEGMENT_ROWS),
  ) {
    this.bytes = bytes;
  }

  /** A copy that may be changed. */
  copy(epoch: number): Segment {
    const copy = new Segment(epoch, this.bytes, this.offsets.slice(), this.lengths.slice(), this.versions.slice());
    copy.bytesUsed = this.bytesUsed;
    copy.rows = this.rows;
    copy.live = this.live;
    return copy;
  }

  hasRoom(length: number): boolean {
    return this.rows < SEGMENT_ROWS && this.bytesUsed + length <= this.bytes.length;
  }

  content(place: number): Uint8Array {
    const offset = this.offsets[place];
    return this.bytes.subarray(offset, offset + this.lengths[place]);
  }

  /** Puts content at a place, which is a row's or the first free one. */
  write(place: number, content: string | Uint8Array, length: number, version: number): void {
    if (this.bytesUsed + length > this.bytes.length) this.#makeRoom(length);
    const room = this.bytes.subarray(this.bytesUsed, this.bytesUsed + length);
    if (typeof content === "string") ENCODER.encodeInto(content, room);
    else room.set(content);
    if (place === this.rows) {
      this.rows++;
      this.live++;
    }
    this.offsets[place] = this.bytesUsed;
    this.lengths[place] = length;
    this.versions[place] = version;
    this.bytesUsed += length;
  }

  remove(place: number): void {
    this.versions[place] = 0;
    this.lengths[place] = 0;
    // The bytes may be much; a snapshot has its own hold on them.
    if (--this.live === 0) this.bytes = new Uint8Array(0);
  }

  /** Moves the contents that are still somebody's into a new buffer, with room for more. */
  #makeRoom(length: number): void {
    let needed = length;
    for (let place = 0; place < this.rows; place++) needed += this.lengths[place];
    const bytes = new Uint8Array(Math.max(SEGMENT_BYTES, Math.ceil(1.25 * needed)));
    let used = 0;
    for (let place = 0; place < this.rows; place++) {
      bytes.set(this.content(place), used);
      this.offsets[place] = used;
      used += this.lengths[place];
    }
    this.bytes = bytes;
    this.bytesUsed = used;
  }
}

/** The table in memory. */
export class MemoryStore implements Store {
  /**
   * Where each row stands: its segment's number times {@linkcode SEGMENT_ROWS} and its place there. In the rows' order.
   */
  readonly #positions = new Map<string, number>();
  #segments: Segment[] = [];
  #revision: number;
  #epoch = 0;

  /**
   * Makes an empty table.
   *
   * @param revision The revision before the first write. Unless told otherwise it is the clock's, in microseconds,
   * so that no version of an earlier process is ever met again.
   */
  constructor(revision: number = Date.now() * 1000) {
    this.#revision = revision;
  }

  /** See {@linkcode Store.get}. */
  get(name: string): Row | undefined {
    const position = this.#positions.get(name);
    return position === undefined ? undefined : this.#row(name, position);
  }

  /** See {@linkcode Store.put}. */
  put(row: NewRow, expected?: number): Written | undefined {
    const position = this.#positions.get(row.name);
    if (expected !== undefined && expected !== this.#version(position)) return undefined;
    if (position === undefined) return { row: this.#row(row.name, this.#append(row)), created: true };
    const content = rowContent(row.name, row.json);
    const segment = this.#writable(segmentOf(position));
    segment.write(placeOf(position), content, byteLength(content), ++this.#revision);
    return { row: this.#row(row.name, position), created: false };
  }

  /** See {@linkcode Store.insert}. */
  insert(rows: readonly NewRow[], expected?: number): readonly string[] | undefined {
    if (expected !== undefined && expected !== this.#revision) return undefined;
    const taken = rows.filter(({ name }) => this.#positions.has(name)).map(({ name }) => name);
    if (taken.length === 0) { for (const row of rows) this.#append(row); }
    return taken;
  }

  /** See {@linkcode Store.remove}. */
  remove(name: string, expected?: number): boolean {
    const position = this.#positions.get(name);
    if (position === undefined || expected !== undefined && expected !== this.#version(position)) return false;
    this.#positions.delete(name);
    this.#revision++;
    this.#writable(segmentOf(position)).remove(placeOf(position));
    if (this.#segments.length * SEGMENT_ROWS > 2 * this.#positions.size + SPARE_ROWS) this.#closeHoles();
    return true;
  }

  /** See {@linkcode Store.snapshot}. */
  snapshot(): Snapshot {
    this.#epoch++;
    return new MemorySnapshot(this.#segments.slice(), this.#positions.size, this.#revision);
  }

  /** See {@linkcode Store.close}. */
  close(): void {}

  #version(position: number | undefined): number {
    return position === undefined ? ABSENT : this.#segments[segmentOf(position)].versions[placeOf(position)];
  }

  #row(name: string, position: number): Row {
    const segment = this.#segments[segmentOf(position)];
    const place = placeOf(position);
    return { name, content: segment.content(place), version: segment.versions[place] };
  }

  /** Writes a new row behind the others. Returns its position. */
  #append({ name, json }: NewRow): number {
    // The name may be a slice that keeps a whole request's text alive; this makes it a string of its own.
    const ownName = DECODER.decode(NAME_BYTES.subarray(0, ENCODER.encodeInto(name, NAME_BYTES).written));
    const position = this.#place(rowContent(ownName, json), ++this.#revision);
    this.#positions.set(ownName, position);
    return position;
  }

  /** Writes content behind the last row's. Returns its position. */
  #place(content: string | Uint8Array, version: number): number {
    const length = byteLength(content);
    if (!this.#segments.at(-1)?.hasRoom(length)) {
      this.#segments.push(new Segment(this.#epoch, new Uint8Array(Math.max(SEGMENT_BYTES, length))));
    }
    const number = this.#segments.length - 1;
    const segment = this.#writable(number);
    const place = segment.rows;
    segment.write(place, content, length, version);
    return number * SEGMENT_ROWS + place;
  }

  /** The segment, copied first if a snapshot may hold it. */
  #writable(number: number): Segment {
    const segment = this.#segments[number];
    return segment.epoch === this.#epoch ? segment : this.#segments[number] = segment.copy(this.#epoch);
  }

  /** Moves the rows together. The many removals that came before have paid for it. */
  #closeHoles(): void {
    const old = this.#segments;
    this.#segments = [];
    for (const [name, position] of this.#positions) {
      const segment = old[segmentOf(position)];
      const place = placeOf(position);
      this.#positions.set(name, this.#place(segment.content(place), segment.versions[place]));
    }
  }
}

function segmentOf(position: number): number {
  return Math.floor(position / SEGMENT_ROWS);
}

function placeOf(position: number): number {
  return position % SEGMENT_ROWS;
}

/** Reads segments that nobody changes any more. Its cursor is a position. */
class MemorySnapshot implements Snapshot {
  #segments: readonly Segment[];

  constructor(segments: readonly Segment[], readonly total: number, readonly revision: number) {
    this.#segments = segments;
  }

  json(cursor: number): Page<Uint8Array> {
    const { content: contents, next } = this.#page(cursor);
    if (contents.length === 0) return { content: ENCODER.encode("{}"), next };
    const bytes = new Uint8Array(contents.reduce((sum, content) => sum + content.length - 1, 1));
    let at = 0;
    for (const content of contents) {
      // A row's opening brace gives way to the comma before it, its closing brace to what follows.
      bytes.set(content, at);
      bytes[at] = COMMA;
      at += content.length - 1;
    }
    if (cursor === START) bytes[0] = OPEN_BRACE;
    // The last row's closing brace ends the whole object.
    return { content: next === undefined ? bytes : bytes.subarray(0, at), next };
  }

  rows(cursor: number): Page<readonly string[]> {
    const { content, next } = this.#page(cursor);
    return { content: content.map((bytes) => DECODER.decode(bytes)), next };
  }

  close(): void {
    this.#segments = [];
  }

  #page(cursor: number): Page<Uint8Array[]> {
    const content: Uint8Array[] = [];
    let bytes = 0;
    let place = placeOf(cursor);
    for (let number = segmentOf(cursor); number < this.#segments.length; number++, place = 0) {
      const segment = this.#segments[number];
      for (; place < segment.rows; place++) {
        if (segment.versions[place] === 0) continue;
        if (bytes >= MEMORY_PAGE_BYTES) return { content, next: number * SEGMENT_ROWS + place };
        content.push(segment.content(place));
        bytes += segment.lengths[place];
      }
    }
    return { content, next: undefined };
  }
}
