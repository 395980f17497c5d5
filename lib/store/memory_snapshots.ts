/**
 * Snapshots of the table in memory, and the memory that only they hold: what was replaced or removed while they are
 * read.
 *
 * @module
 */

import { collectSoon } from "../bytes.ts";
import { MAX_GARBAGE_BYTES } from "../limits.ts";
import { type Page, type Place, type SharedMemory, type Snapshot, START, StoreError } from "../store.ts";
import { type Readers, type Segment, SEGMENT_ROWS } from "./memory_segment.ts";

/** Bytes of rows read at a time, plus at most one row. */
const PAGE_BYTES = 64 * 1024;

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
export class Snapshots implements Readers {
  memory: SharedMemory | undefined;
  #taken = 0;
  /** The open snapshots, the oldest first. */
  readonly #open: MemorySnapshot[] = [];
  /** The bytes released since garbage was collected. */
  #released = 0;

  get newest(): number {
    return this.#open.at(-1)?.number ?? 0;
  }

  snapshot(table: TableAtRevision, ended?: () => void): Snapshot {
    const snapshot = new MemorySnapshot(++this.#taken, table, () => this.#close(snapshot), ended);
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

/** The table's segments, which no longer change, and its state. */
interface TableAtRevision {
  readonly segments: readonly Segment[];
  readonly total: number;
  readonly revision: number;
}

/** Its cursor is an index in its own list of segments, times the rows of one, plus a place. */
class MemorySnapshot implements Snapshot {
  readonly total: number;
  readonly revision: number;
  /** What is counted with this snapshot. */
  readonly retired: Retired[] = [];
  #segments: readonly Segment[] | undefined;
  #isEnded = false;

  constructor(
    readonly number: number,
    { segments, total, revision }: TableAtRevision,
    private readonly onClose: () => void,
    private readonly ended?: () => void,
  ) {
    this.total = total;
    this.revision = revision;
    this.#segments = segments;
  }

  json(cursor: number): Page<Uint8Array> {
    if (this.#isEnded) throw new StoreError("unavailable", "The listing was ended: it was read too slowly");
    const segments = this.#segments ?? [];
    const stretches: { segment: Segment; from: number; to: number }[] = [];
    let bytes = 0;
    let next: number | undefined;
    let from = cursor % SEGMENT_ROWS;
    for (let i = Math.floor(cursor / SEGMENT_ROWS); i < segments.length && next === undefined; i++, from = 0) {
      const segment = segments[i];
      let to = from;
      for (; to < segment.rows; to++) {
        if (bytes >= PAGE_BYTES && segment.length(to) > 0) break;
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
    const segments = this.#segments ?? [];
    let before = 0;
    for (const [i, segment] of segments.entries()) {
      if (row < before + segment.live) return { cursor: i * SEGMENT_ROWS + segment.places()[row - before], row };
      before += segment.live;
    }
    return { cursor: segments.length * SEGMENT_ROWS, row: before };
  }

  close(): void {
    if (this.#segments === undefined) return;
    this.#segments = undefined;
    this.onClose();
  }

  /** Closes the snapshot though it is being read. */
  end(): void {
    this.#isEnded = true;
    this.close();
    this.ended?.();
  }
}
