/**
 * The table in memory, which lasts as long as the process.
 *
 * No write blocks for long, however many rows there are: long operations run in steps, or their cost is amortized over
 * the writes that led to them.
 *
 * @module
 */

import { MAX_NAME_BYTES } from "../limits.ts";
import {
  ABSENT,
  type Awaitable,
  type NewRow,
  type NewRows,
  type Row,
  type SharedMemory,
  type Snapshot,
  type Store,
  type Written,
} from "../store.ts";
import { FAIR_TURNS } from "../turns.ts";
import { Segment, SEGMENT_ROWS } from "./memory_segment.ts";
import { Snapshots } from "./memory_snapshots.ts";
import { NameIndex } from "./name_index.ts";

/** Rows inserted at once; more are inserted in steps of this size, and yield to others in between. */
const STEP_ROWS = 256;
/** A segment with fewer rows is merged with a neighbour, if the two have at most {@linkcode MERGED_ROWS}. */
const SPARSE_ROWS = SEGMENT_ROWS / 4;
const MERGED_ROWS = SEGMENT_ROWS / 2;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });
const NAME_BYTES = new Uint8Array(MAX_NAME_BYTES);

/** Rows being inserted in steps, not yet visible. */
interface Bulk {
  /** The position of each row. Writes to these names wait. */
  readonly names: NameIndex;
  /** The names that are not free. From the first one on, no row is written. */
  readonly taken: string[];
  readonly segments: Segment[];
  /** Resolves once the insertion has succeeded or failed. */
  readonly done: PromiseWithResolvers<void>;
}

/** The table in memory. */
export class MemoryStore implements Store {
  /** The position of each row: its segment's id times {@linkcode SEGMENT_ROWS}, plus its place in the segment. */
  #index = new NameIndex();
  /** Positions of rows that were inserted in steps and are being moved into the index. */
  #recent: NameIndex | undefined;
  #bulk: Bulk | undefined;
  /** Resolves once the next insertion in steps may start. */
  #bulksDone: Promise<void> = Promise.resolve();

  /** The segments, in the order of their rows. */
  #order: Segment[] = [];
  readonly #byId: Segment[] = [];
  readonly #freeIds: number[] = [];
  #size = 0;
  #revision: number;
  readonly #snapshots = new Snapshots();

  /**
   * Creates an empty table.
   *
   * @param revision The revision before the first write. The default is the clock in microseconds, so that versions of
   * an earlier process are never reused.
   */
  constructor(revision: number = Date.now() * 1000) {
    this.#revision = revision;
  }

  /** Implements {@linkcode Store.get}. */
  get(name: string): Row | undefined {
    const position = this.#find(name);
    if (position === undefined) return undefined;
    const segment = this.#byId[idOf(position)];
    const place = placeOf(position);
    return { name, content: segment.content(place), version: segment.version(place) };
  }

  /** Implements {@linkcode Store.put}. */
  put(row: NewRow, expected?: number): Awaitable<Written | undefined> {
    const { name } = row;
    if (this.#bulk?.names.get(name) !== undefined) return this.#bulk.done.promise.then(() => this.put(row, expected));
    const position = this.#find(name);
    if (expected !== undefined && expected !== this.#version(position)) return undefined;
    const version = ++this.#revision;
    if (position === undefined) return { row: { name, content: this.#append(row, version), version }, created: true };
    const content = this.#writable(this.#byId[idOf(position)]).write(placeOf(position), row, version);
    return { row: { name, content, version }, created: false };
  }

  /** Implements {@linkcode Store.insert}. */
  insert(rows: NewRows, expected?: number): Awaitable<readonly string[] | undefined> {
    const bulk = this.#bulk;
    if (!("length" in rows) || rows.length > STEP_ROWS) return this.#insertInSteps(rows, expected);
    if (bulk !== undefined && rows.some(({ name }) => bulk.names.get(name) !== undefined)) {
      return bulk.done.promise.then(() => this.insert(rows, expected));
    }
    if (expected !== undefined && expected !== this.#revision) return undefined;
    const taken = rows.filter(({ name }) => this.#find(name) !== undefined).map(({ name }) => name);
    if (taken.length === 0) { for (const row of rows) this.#append(row, ++this.#revision); }
    return taken;
  }

  /** Implements {@linkcode Store.remove}. */
  remove(name: string, expected?: number): Awaitable<boolean> {
    if (this.#bulk?.names.get(name) !== undefined) {
      return this.#bulk.done.promise.then(() => this.remove(name, expected));
    }
    const position = this.#find(name);
    if (position === undefined || expected !== undefined && expected !== this.#version(position)) return false;
    if (!this.#index.delete(name)) this.#recent!.delete(name);
    this.#revision++;
    this.#size--;
    const segment = this.#writable(this.#byId[idOf(position)]);
    segment.remove(placeOf(position));
    if (segment.live < SPARSE_ROWS) this.#mergeSparse(segment);
    return true;
  }

  /** Implements {@linkcode Store.snapshot}. */
  snapshot(ended?: () => void): Snapshot {
    return this.#snapshots.take(this.#order.slice(), this.#size, this.#revision, ended);
  }

  /**
   * Counts the memory that only snapshots hold as a part of shared memory. Where that is short, the slowest snapshots
   * are ended.
   *
   * @param report Receives a line for the operator.
   */
  share(memory: SharedMemory, report: (line: string) => void): void {
    this.#snapshots.memory = memory;
    const others = memory.reclaim;
    memory.reclaim = () => {
      if (!this.#snapshots.endSlowest()) return others();
      report("The slowest listing was ended: what it held of the changing table did not fit --max-buffered");
      return true;
    };
  }

  /** Implements {@linkcode Store.close}. */
  async close(): Promise<void> {
    await this.#bulksDone;
  }

  #find(name: string): number | undefined {
    const position = this.#index.get(name);
    return position !== undefined || this.#recent === undefined ? position : this.#recent.get(name);
  }

  #version(position: number | undefined): number {
    return position === undefined ? ABSENT : this.#byId[idOf(position)].version(placeOf(position));
  }

  /** Appends a new row. Returns its content. */
  #append(row: NewRow, version: number): Uint8Array | string {
    const segment = this.#lastWith(room(row), this.#order);
    const place = segment.rows;
    const content = segment.write(place, row, version);
    this.#index.set(ownName(row.name), segment.id * SEGMENT_ROWS + place);
    this.#size++;
    return content;
  }

  /** Returns the last segment if it has room for a row, else a new one after it. */
  #lastWith(length: number, segments: Segment[]): Segment {
    const last = segments.at(-1);
    if (last?.hasRoom(length)) return segments === this.#order ? this.#writable(last) : last;
    const segment = this.#newSegment(this.#freeIds.pop() ?? this.#byId.length, last?.neededBytes);
    this.#byId[segment.id] = segment;
    segment.index = segments.push(segment) - 1;
    return segment;
  }

  #newSegment(id: number, bytes?: number): Segment {
    return Segment.empty(id, this.#snapshots.newest, (since, bytes) => this.#snapshots.retire(since, bytes), bytes);
  }

  /** Returns the segment, or a copy if a snapshot uses it. */
  #writable(segment: Segment): Segment {
    if (segment.epoch >= this.#snapshots.newest) return segment;
    const copy = segment.copy(this.#snapshots.newest);
    this.#byId[copy.id] = this.#order[copy.index] = copy;
    return copy;
  }

  /** Inserts many rows: in steps that nobody sees, then published at once. */
  async #insertInSteps(rows: NewRows, expected?: number): Promise<readonly string[] | undefined> {
    const before = this.#bulksDone;
    const bulk: Bulk = { names: new NameIndex(), taken: [], segments: [], done: Promise.withResolvers() };
    let finished = () => {};
    this.#bulksDone = new Promise((resolve) => finished = resolve);
    await before;
    try {
      if (expected !== undefined && expected !== this.#revision) return undefined;
      this.#bulk = bulk;
      const first = this.#revision;
      if ("length" in rows) await this.#stage(rows, bulk);
      else for await (const part of rows) await this.#stage(part, bulk);
      if (bulk.taken.length > 0) return bulk.taken;
      if (expected !== undefined && this.#revision !== first + bulk.names.size) return undefined;
      this.#publish(bulk);
      return bulk.taken;
    } finally {
      this.#bulk = undefined;
      bulk.done.resolve();
      if (this.#recent !== undefined) this.#mergeRecent().then(finished);
      else {
        this.#freeIds.push(...bulk.segments.map(({ id }) => id));
        finished();
      }
    }
  }

  /** Writes rows into new segments. */
  async #stage(rows: readonly NewRow[], { names, taken, segments }: Bulk): Promise<void> {
    // Their versions are reserved; other writes meanwhile get later ones.
    let version = this.#revision;
    this.#revision += rows.length;
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i];
      if (this.#find(row.name) !== undefined) taken.push(row.name);
      else if (taken.length === 0) {
        const segment = this.#lastWith(room(row), segments);
        const place = segment.rows;
        segment.write(place, row, ++version);
        // The name is not copied, because whoever reads the rows has it in a set, too.
        names.set(row.name, segment.id * SEGMENT_ROWS + place);
      }
      if (i % STEP_ROWS === STEP_ROWS - 1) await FAIR_TURNS.yieldIfBusy();
    }
  }

  /** Publishes the rows. */
  #publish({ names, segments }: Bulk): void {
    for (const segment of segments) segment.index = this.#order.push(segment) - 1;
    this.#size += names.size;
    this.#revision++;
    // The smaller index is merged into the larger one.
    [this.#index, this.#recent] = names.size > this.#index.size ? [names, this.#index] : [this.#index, names];
  }

  /** Moves the names of rows that were inserted in steps into the index, in steps. */
  async #mergeRecent(): Promise<void> {
    const recent = this.#recent!;
    let moved = 0;
    for (const [name, position] of recent) {
      this.#index.set(name, position);
      recent.delete(name);
      if (++moved % STEP_ROWS === 0) await FAIR_TURNS.yieldIfBusy();
    }
    this.#recent = undefined;
  }

  /** Merges a segment that has few rows with a neighbour. Its cost is amortized over the removals before it. */
  #mergeSparse(segment: Segment): void {
    const { index } = segment;
    if (segment.live === 0) return this.#replace(index, 1, []);
    for (const first of [index - 1, index]) {
      const pair = this.#order.slice(Math.max(0, first), first + 2);
      if (pair.length < 2 || pair[0].live + pair[1].live > MERGED_ROWS) continue;
      const merged = this.#newSegment(pair[0].id);
      for (const { place, from } of pair.flatMap((from) => from.places().map((place) => ({ place, from })))) {
        const position = merged.id * SEGMENT_ROWS + merged.rows;
        const content = from.content(place);
        merged.put(merged.rows, content, content.length, from.version(place));
        const name = nameIn(content);
        if (this.#index.get(name) !== undefined) this.#index.set(name, position);
        else this.#recent!.set(name, position);
      }
      return this.#replace(first, 2, [merged]);
    }
  }

  /** Replaces some segments by others. */
  #replace(index: number, count: number, segments: Segment[]): void {
    const removed = this.#order.splice(index, count, ...segments);
    const kept = segments.map(({ id }) => id);
    for (const segment of removed) {
      segment.retire();
      if (!kept.includes(segment.id)) this.#freeIds.push(segment.id);
    }
    for (const segment of segments) this.#byId[segment.id] = segment;
    for (let i = index; i < this.#order.length; i++) this.#order[i].index = i;
  }
}

function idOf(position: number): number {
  return Math.floor(position / SEGMENT_ROWS);
}

function placeOf(position: number): number {
  return position % SEGMENT_ROWS;
}

/** Returns a lower bound of a row's length in bytes, without encoding text. */
function room({ name, json, content }: NewRow): number {
  return content?.length ?? name.length + json.length;
}

/** Copies the name: as a slice it would keep the text of a whole request in memory. */
function ownName(name: string): string {
  return DECODER.decode(NAME_BYTES.subarray(0, ENCODER.encodeInto(name, NAME_BYTES).written));
}

/** Returns the name in a row's content, which starts with `{"name":`. */
function nameIn(content: Uint8Array): string {
  let end = 2;
  while (content[end] !== QUOTE) end += content[end] === BACKSLASH ? 2 : 1;
  return JSON.parse(DECODER.decode(content.subarray(1, end + 1)));
}
