/**
 * Runs of consecutive rows of the table in memory, and snapshots of them.
 *
 * The rows' contents are stored in UTF-8 in one buffer instead of many small strings: this halves the memory, relieves
 * the garbage collector, and makes a response one copy of bytes. Bytes in the buffer never change once written, so
 * readers may keep references to them.
 */

import { byteLength, collectSoon, ownPages } from "../bytes.ts";
import { MAX_GARBAGE_BYTES } from "../limits.ts";
import { type Place, type Portion, type Row, type SharedMemory, type Snapshot, START, unavailable } from "../store.ts";

/**
 * The most rows in a segment. A snapshot references each segment; the first write after it copies one segment's index.
 */
export const SEGMENT_ROWS = 1024;
/** The initial size of a segment's buffer in bytes. */
const SEGMENT_BYTES = 64 * 1024;
/**
 * A row with more bytes has a buffer of its own, which is released with the row. This keeps a segment's offsets small.
 */
const LARGE_ROW_BYTES = 16 * 1024;
/** Bytes of replaced or removed rows that a segment may hold besides those of its rows. */
const DEAD_BYTES = 32 * 1024;

const INDEX_BYTES = SEGMENT_ROWS * (2 * Uint32Array.BYTES_PER_ELEMENT + Float64Array.BYTES_PER_ELEMENT);
/** Bytes of rows read at a time, plus at most one row. */
const PORTION_BYTES = 64 * 1024;

const WORD_BYTES = BigUint64Array.BYTES_PER_ELEMENT;
/** Up to this length, moving word by word is faster than a native call. */
const MAX_WORDWISE_BYTES = 192;

const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const COMMA = 0x2c;

const ENCODER = new TextEncoder();

/** The content of a row, as {@linkcode Row.content}. */
export type Content = Row["content"];

/** A row with a buffer of its own, and the segment's epoch when it was written. */
interface LargeRow {
  readonly bytes: Uint8Array;
  readonly epoch: number;
}

/** Some consecutive rows. A row of version 0 is a hole: it was removed. */
export class Segment {
  /** The newest snapshot when the segment was made: only later ones use it. */
  readonly epoch: number;
  /** The number of rows and holes. */
  rows = 0;
  /** The number of rows. */
  live = 0;
  /** The contents of small rows, filled from the start. */
  #bytes: Uint8Array;
  #bytesEpoch: number;
  #used = 0;
  #dead = 0;
  #large: Map<number, LargeRow> | undefined;
  #offsets: Uint32Array;
  #lengths: Uint32Array;
  #versions: Float64Array;

  /** Creates an empty segment, or a copy, which has the same id. */
  constructor(readonly id: number, private readonly snapshots: Snapshots, from?: Segment) {
    this.epoch = snapshots.newest;
    // Memory that is not written to is not used.
    this.#bytes = from === undefined ? ownPages(SEGMENT_BYTES) : from.#bytes;
    this.#bytesEpoch = from === undefined ? this.epoch : from.#bytesEpoch;
    this.#offsets = from === undefined ? new Uint32Array(SEGMENT_ROWS) : from.#offsets.slice();
    this.#lengths = from === undefined ? new Uint32Array(SEGMENT_ROWS) : from.#lengths.slice();
    this.#versions = from === undefined ? new Float64Array(SEGMENT_ROWS) : from.#versions.slice();
    if (from !== undefined) this.#share(from);
  }

  #share(from: Segment): void {
    this.rows = from.rows;
    this.live = from.live;
    this.#used = from.#used;
    this.#dead = from.#dead;
    this.#large = from.#large && new Map(from.#large);
  }

  /** Creates a copy that replaces this segment and may be changed; both share the bytes written so far. */
  copy(): Segment {
    this.snapshots.retire(this.epoch, INDEX_BYTES);
    return new Segment(this.id, this.snapshots, this);
  }

  /** Ends the use of this segment, whose rows are in another one. */
  retire(): void {
    this.snapshots.retire(this.epoch, INDEX_BYTES);
    this.snapshots.retire(this.#bytesEpoch, this.#bytes.length);
    for (const { bytes, epoch } of this.#large?.values() ?? []) this.snapshots.retire(epoch, bytes.length);
  }

  /** Whether another row can be appended. */
  hasRoom(length: number): boolean {
    return this.rows < SEGMENT_ROWS && (length > LARGE_ROW_BYTES || this.#used + length <= this.#bytes.length);
  }

  /** 0 for a hole. */
  version(place: number): number {
    return this.#versions[place];
  }

  /** In bytes; 0 for a hole. */
  length(place: number): number {
    return this.#lengths[place];
  }

  content(place: number): Uint8Array {
    const length = this.#lengths[place];
    if (length > LARGE_ROW_BYTES) return this.#large!.get(place)!.bytes;
    const offset = this.#offsets[place];
    return this.#bytes.subarray(offset, offset + length);
  }

  places(): number[] {
    const places: number[] = [];
    for (let place = 0; place < this.rows; place++) if (this.#lengths[place] > 0) places.push(place);
    return places;
  }

  /**
   * Writes the rows from one place to before another into an array, as members of an object: a comma replaces the
   * opening brace of each content, and the next member its closing brace.
   *
   * @param at Where the first member begins; the array needs room for all contents from there.
   * @returns Where the last member ends.
   */
  writeMembers(from: number, to: number, members: Uint8Array, at: number): number {
    const words = new DataView(members.buffer, members.byteOffset);
    for (let place = from; place < to;) {
      // A run is copied whole, which is faster than row by row; then each row moves up to the one before it.
      const runEnd = this.#runEnd(place, to);
      let source = at;
      members.set(
        this.#lengths[place] > LARGE_ROW_BYTES
          ? this.content(place)
          : this.#bytes.subarray(this.#offsets[place], this.#offsets[runEnd - 1] + this.#lengths[runEnd - 1]),
        at,
      );
      for (; place < runEnd; place++) {
        const length = this.#lengths[place];
        if (length === 0) continue;
        moveDown(members, words, source, length, at);
        members[at] = COMMA;
        source += length;
        at += length - 1;
      }
    }
    return at;
  }

  /** Returns the end of a run: rows whose contents are adjacent in the buffer, or one large row. */
  #runEnd(place: number, to: number): number {
    let next = place + 1;
    if (this.#lengths[place] > LARGE_ROW_BYTES) return next;
    let end = this.#offsets[place] + this.#lengths[place];
    for (; next < to && this.#offsets[next] === end && this.#lengths[next] <= LARGE_ROW_BYTES; next++) {
      end += this.#lengths[next];
    }
    return next;
  }

  /** Writes a row at a place, an existing row's or the first free one. */
  put(place: number, content: Content, version: number): void {
    const length = byteLength(content);
    if (place === this.rows) {
      this.rows++;
      this.live++;
    } else this.#forget(place);
    if (length > LARGE_ROW_BYTES) {
      const own = ownPages(length);
      if (typeof content === "string") ENCODER.encodeInto(content, own);
      else own.set(content);
      (this.#large ??= new Map()).set(place, { bytes: own, epoch: this.epoch });
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

  remove(place: number): void {
    this.#forget(place);
    this.#versions[place] = 0;
    this.live--;
    // Releases a large row's bytes; a snapshot has its own reference.
    if (this.#dead > DEAD_BYTES && this.#dead > this.#used / 2) this.#pack(0);
  }

  #forget(place: number): void {
    if (this.#lengths[place] > LARGE_ROW_BYTES) {
      this.snapshots.retire(this.#large!.get(place)!.epoch, this.#lengths[place]);
      this.#large!.delete(place);
    } else this.#dead += this.#lengths[place];
    this.#lengths[place] = 0;
  }

  /** Moves the small contents into a new buffer, with room for this many bytes and some more. */
  #pack(length: number): void {
    const needed = this.#used - this.#dead + length;
    const bytes = ownPages(Math.max(length > 0 ? SEGMENT_BYTES : 0, Math.ceil(1.25 * needed)));
    let used = 0;
    for (let place = 0; place < this.rows; place++) {
      const size = this.#lengths[place];
      if (size === 0 || size > LARGE_ROW_BYTES) continue;
      bytes.set(this.content(place), used);
      this.#offsets[place] = used;
      used += size;
    }
    this.snapshots.retire(this.#bytesEpoch, this.#bytes.length);
    this.#bytes = bytes;
    this.#bytesEpoch = this.epoch;
    this.#used = used;
    this.#dead = 0;
  }
}

/** Moves bytes down. For a short row, doing so word by word takes a third of the time of a native call. */
function moveDown(bytes: Uint8Array, words: DataView, from: number, length: number, to: number): void {
  const ahead = length - WORD_BYTES;
  if (ahead < 0 || length > MAX_WORDWISE_BYTES) return void bytes.copyWithin(to, from, from + length);
  // The last word overlaps the one before it, so it is read first.
  const last = words.getBigUint64(from + ahead);
  for (let i = 0; i < ahead; i += WORD_BYTES) words.setBigUint64(to + i, words.getBigUint64(from + i));
  words.setBigUint64(to + ahead, last);
}

/** Memory that left the table, and how many snapshots had been taken when it came: earlier ones do not hold it. */
interface Retired {
  readonly since: number;
  readonly bytes: number;
}

/**
 * The open snapshots of a table. What leaves the table is counted with the newest one that holds it, and when that is
 * closed with the one before.
 */
export class Snapshots {
  memory: SharedMemory | undefined;
  #taken = 0;
  /** The open snapshots, the oldest first. */
  readonly #open: MemorySnapshot[] = [];
  /** The bytes released since garbage was collected. */
  #released = 0;

  get newest(): number {
    return this.#open.at(-1)?.number ?? 0;
  }

  /** Returns a snapshot of segments, which no longer change from now on. */
  snapshot(segments: readonly Segment[], total: number, revision: number, ended?: () => void): Snapshot {
    const snapshot = new MemorySnapshot(++this.#taken, segments, total, revision, (snapshot) => {
      this.#close(snapshot);
      if (snapshot.isEnded) ended?.();
    });
    this.#open.push(snapshot);
    return snapshot;
  }

  /** Counts memory that leaves the table, if a snapshot holds it. */
  retire(since: number, bytes: number): void {
    if (this.newest <= since) return;
    this.#open.at(-1)!.retired.push({ since, bytes });
    this.memory?.take(bytes);
    // Ends snapshots if there is too much.
    this.memory?.has(0);
  }

  /** Ends the oldest snapshot that holds memory. Returns whether there was one. */
  endSlowest(): boolean {
    let since = Infinity;
    for (const { retired } of this.#open) for (const each of retired) since = Math.min(since, each.since);
    const slowest = this.#open.find(({ number }) => number > since);
    slowest?.end();
    return slowest !== undefined;
  }

  #close(snapshot: MemorySnapshot): void {
    const index = this.#open.indexOf(snapshot);
    const before = this.#open[index - 1];
    this.#open.splice(index, 1);
    for (const each of snapshot.retired) {
      if (before?.number > each.since) before.retired.push(each);
      else {
        this.memory?.take(-each.bytes);
        this.#released += each.bytes;
      }
    }
    if (this.#released < MAX_GARBAGE_BYTES) return;
    this.#released = 0;
    collectSoon();
  }
}

/** Its cursor is an index in its own list of segments, times the rows of one, plus a place. */
class MemorySnapshot implements Snapshot {
  /** What is counted with this snapshot. */
  readonly retired: Retired[] = [];
  isEnded = false;

  constructor(
    readonly number: number,
    private segments: readonly Segment[] | undefined,
    readonly total: number,
    readonly revision: number,
    private readonly onClose: (snapshot: MemorySnapshot) => void,
  ) {}

  json(cursor: number): Portion<Uint8Array> {
    if (this.isEnded) throw unavailable("The listing was ended: it was read too slowly");
    const { segments = [] } = this;
    const stretches: { segment: Segment; from: number; to: number }[] = [];
    let bytes = 0;
    let next: number | undefined;
    let from = cursor % SEGMENT_ROWS;
    for (let i = Math.floor(cursor / SEGMENT_ROWS); i < segments.length && next === undefined; i++, from = 0) {
      const segment = segments[i];
      let to = from;
      for (; to < segment.rows; to++) {
        if (bytes >= PORTION_BYTES && segment.length(to) > 0) break;
        bytes += segment.length(to);
      }
      stretches.push({ segment, from, to });
      if (to < segment.rows) next = i * SEGMENT_ROWS + to;
    }
    if (bytes === 0) return { content: ENCODER.encode("{}"), next };
    const members = new Uint8Array(bytes + 1);
    let end = 0;
    for (const { segment, from, to } of stretches) end = segment.writeMembers(from, to, members, end);
    if (cursor === START) members[0] = OPEN_BRACE;
    if (next === undefined) members[end++] = CLOSE_BRACE;
    return { content: members.subarray(0, end), next };
  }

  seek(row: number): Place {
    const { segments = [] } = this;
    let before = 0;
    for (const [i, segment] of segments.entries()) {
      if (row < before + segment.live) return { cursor: i * SEGMENT_ROWS + segment.places()[row - before], row };
      before += segment.live;
    }
    return { cursor: segments.length * SEGMENT_ROWS, row: before };
  }

  close(): void {
    if (this.segments === undefined) return;
    this.segments = undefined;
    this.onClose(this);
  }

  /** Closes the snapshot though it is being read. */
  end(): void {
    this.isEnded = true;
    this.close();
  }
}
