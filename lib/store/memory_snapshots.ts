/**
 * Snapshots of the table in memory, and the memory that only they hold: what was replaced or removed while they are
 * read.
 *
 * @module
 */

import { collectSoon } from "../bytes.ts";
import { MAX_GARBAGE_BYTES, MEMORY_PAGE_BYTES } from "../limits.ts";
import { type Page, type Place, type SharedMemory, type Snapshot, START, StoreError } from "../store.ts";
import { type Segment, SEGMENT_ROWS } from "./memory_segment.ts";

const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

const ENCODER = new TextEncoder();

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
  /** The shared memory that is counted against. */
  memory: SharedMemory | undefined;
  #taken = 0;
  #oldest: MemorySnapshot | undefined;
  #newest: MemorySnapshot | undefined;

  /** How many snapshots had been taken when the newest open one was. */
  get newest(): number {
    return this.#newest?.number ?? 0;
  }

  /** The bytes released since garbage was collected. */
  #released = 0;

  /** Takes a snapshot: see {@linkcode Store.snapshot}. */
  take(segments: readonly Segment[], total: number, revision: number, ended?: () => void): Snapshot {
    const snapshot = new MemorySnapshot(++this.#taken, segments, {
      total,
      revision,
      ended,
      close: () => this.#close(snapshot),
    });
    snapshot.before = this.#newest;
    if (this.#newest === undefined) this.#oldest = snapshot;
    else this.#newest.after = snapshot;
    this.#newest = snapshot;
    return snapshot;
  }

  /** Counts memory that leaves the table, if a snapshot holds it. */
  retire(since: number, bytes: number): void {
    if (this.newest <= since) return;
    this.#newest!.retired.push({ since, bytes });
    this.memory?.take(bytes);
    // Ends snapshots if there is too much.
    this.memory?.has(0);
  }

  /** Ends the oldest snapshot that holds memory. Returns whether there was one. */
  endSlowest(): boolean {
    let since = Infinity;
    for (let each = this.#oldest; each !== undefined; each = each.after) {
      for (const retired of each.retired) since = Math.min(since, retired.since);
    }
    for (let each = this.#oldest; each !== undefined; each = each.after) {
      if (each.number <= since) continue;
      each.end();
      return true;
    }
    return false;
  }

  #close(snapshot: MemorySnapshot): void {
    const { before, after, retired } = snapshot;
    if (before === undefined) this.#oldest = after;
    else before.after = after;
    if (after === undefined) this.#newest = before;
    else after.before = before;
    for (const each of retired) {
      if (before !== undefined && before.number > each.since) before.retired.push(each);
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

/** The rows of a segment from one place to before another. */
interface Stretch {
  readonly segment: Segment;
  readonly from: number;
  readonly to: number;
}

interface SnapshotOptions {
  readonly total: number;
  readonly revision: number;
  /** Called if the snapshot is ended before it is closed. */
  readonly ended?: () => void;
  /** Called once it is closed. */
  readonly close: () => void;
}

/** Reads segments that no longer change. Its cursor is an index in its own list of segments. */
class MemorySnapshot implements Snapshot {
  readonly total: number;
  readonly revision: number;
  /** What is counted with this snapshot. */
  readonly retired: Retired[] = [];
  /** The open snapshots taken before and after this one. */
  before: MemorySnapshot | undefined;
  after: MemorySnapshot | undefined;
  #segments: readonly Segment[] | undefined;
  readonly #options: SnapshotOptions;
  #isEnded = false;

  constructor(readonly number: number, segments: readonly Segment[], options: SnapshotOptions) {
    this.total = options.total;
    this.revision = options.revision;
    this.#segments = segments;
    this.#options = options;
  }

  json(cursor: number): Page<Uint8Array> {
    const { stretches, bytes, next } = this.#page(cursor);
    if (bytes === 0) return { content: ENCODER.encode("{}"), next };
    const members = new Uint8Array(bytes + 1);
    let end = 0;
    for (const { segment, from, to } of stretches) end = segment.writeMembers(from, to, members, end);
    if (cursor === START) members[0] = OPEN_BRACE;
    if (next === undefined) members[end++] = CLOSE_BRACE;
    return { content: members.subarray(0, end), next };
  }

  seek(row: number): Place {
    const segments = this.#segments ?? [];
    let before = 0;
    for (const [index, segment] of segments.entries()) {
      if (row < before + segment.live) {
        return { cursor: index * SEGMENT_ROWS + segment.places()[row - before], row };
      }
      before += segment.live;
    }
    return { cursor: segments.length * SEGMENT_ROWS, row: before };
  }

  close(): void {
    if (this.#segments === undefined) return;
    this.#segments = undefined;
    this.#options.close();
  }

  /** Closes the snapshot though it is being read. */
  end(): void {
    this.#isEnded = true;
    this.close();
    this.#options.ended?.();
  }

  /** Returns the rows of a page, with their length in bytes. */
  #page(cursor: number): { stretches: Stretch[]; bytes: number; next: number | undefined } {
    if (this.#isEnded) throw new StoreError("unavailable", "The listing was ended: it was read too slowly");
    const segments = this.#segments ?? [];
    const stretches: Stretch[] = [];
    let bytes = 0;
    let from = cursor % SEGMENT_ROWS;
    for (let index = Math.floor(cursor / SEGMENT_ROWS); index < segments.length; index++, from = 0) {
      const segment = segments[index];
      let to = from;
      for (; to < segment.rows; to++) {
        if (bytes >= MEMORY_PAGE_BYTES && segment.length(to) > 0) break;
        bytes += segment.length(to);
      }
      stretches.push({ segment, from, to });
      if (to < segment.rows) return { stretches, bytes, next: index * SEGMENT_ROWS + to };
    }
    return { stretches, bytes, next: undefined };
  }
}
