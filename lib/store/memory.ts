/**
 * The table in memory, which lasts as long as the process.
 *
 * No write blocks for long, however many rows there are: long operations run in steps, or their cost is amortized over
 * the writes that led to them.
 */

import { parseOctets } from "../json.ts";
import {
  ABSENT,
  type Awaitable,
  type NewRow,
  type NewRows,
  type Row,
  rowContent,
  type SharedMemory,
  type Snapshot,
  type Store,
  type Written,
} from "../store.ts";
import { FAIR_TURNS, Gate, shardOf, SHARDS } from "../turns.ts";
import { type Content, Segment, SEGMENT_ROWS, Snapshots } from "./memory_segments.ts";

/** Rows inserted at once; more are inserted in steps of this size, and yield to others in between. */
const STEP_ROWS = 256;
/** A segment with fewer rows is merged with a neighbour, if the two have at most {@linkcode MERGED_ROWS}. */
const SPARSE_ROWS = SEGMENT_ROWS / 4;
const MERGED_ROWS = SEGMENT_ROWS / 2;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

interface Found {
  readonly segment: Segment;
  readonly place: number;
}

/** The table in memory. */
export class MemoryStore implements Store {
  /** The position of each row by its name: its segment's id times {@linkcode SEGMENT_ROWS}, plus its place there. */
  readonly #index: readonly Map<string, number>[] = Array.from({ length: SHARDS }, () => new Map());
  /** The segments by their ids, in the order of their rows. Those with rows that are being inserted are not among them. */
  readonly #segments = new Map<number, Segment>();
  /** The id of the segment that was published last, to whose end rows are written if it is still there. */
  #last = 0;
  #lastId = 0;
  #size = 0;
  #revision: number;
  readonly #snapshots = new Snapshots();
  /** Insertions in steps, one after the other, and writes to names that are being inserted. */
  readonly #insertions = new Gate(1);

  /** @param revision The revision before the first write. By default the clock in microseconds: no version is reused. */
  constructor(revision: number = Date.now() * 1000) {
    this.#revision = revision;
  }

  get(name: string): Row | undefined {
    const found = this.#find(name);
    if (found === undefined || found === "being inserted") return undefined;
    return { name, content: found.segment.content(found.place), version: versionOf(found) };
  }

  put(row: NewRow, expected?: number): Awaitable<Written | undefined> {
    const { name } = row;
    const found = this.#find(name);
    if (found === "being inserted") return this.#insertions.run(() => this.put(row, expected));
    if (expected !== undefined && expected !== versionOf(found)) return undefined;
    const version = ++this.#revision;
    const content = contentOf(row);
    if (found === undefined) this.#append(name, content, version);
    else this.#writable(found.segment).put(found.place, content, version);
    return { row: { name, content, version }, created: found === undefined };
  }

  insert(rows: NewRows, expected?: number): Awaitable<readonly string[] | undefined> {
    if (!("length" in rows) || rows.length > STEP_ROWS) {
      return this.#insertions.run(() => this.#insertInSteps(rows, expected));
    }
    if (rows.some(({ name }) => this.#find(name) === "being inserted")) {
      return this.#insertions.run(() => this.insert(rows, expected));
    }
    if (expected !== undefined && expected !== this.#revision) return undefined;
    const taken = rows.filter(({ name }) => this.#find(name) !== undefined).map(({ name }) => name);
    if (taken.length === 0) { for (const row of rows) this.#append(row.name, contentOf(row), ++this.#revision); }
    return taken;
  }

  remove(name: string, expected?: number): Awaitable<boolean> {
    const found = this.#find(name);
    if (found === "being inserted") return this.#insertions.run(() => this.remove(name, expected));
    if (found === undefined || expected !== undefined && expected !== versionOf(found)) return false;
    this.#shardOf(name).delete(name);
    this.#revision++;
    this.#size--;
    const segment = this.#writable(found.segment);
    segment.remove(found.place);
    // A neighbour is looked for only now and then, because that takes the longer the more segments there are.
    if (segment.live < SPARSE_ROWS && (segment.live & segment.live - 1) === 0) this.#mergeSparse(segment);
    return true;
  }

  snapshot(ended?: () => void): Snapshot {
    return this.#snapshots.snapshot([...this.#segments.values()], this.#size, this.#revision, ended);
  }

  /** Counts what only snapshots hold as shared: where memory is short, the slowest end, and the operator is told. */
  share(memory: SharedMemory, note: (line: string) => void): void {
    this.#snapshots.memory = memory;
    const others = memory.reclaim;
    memory.reclaim = () => {
      if (!this.#snapshots.endSlowest()) return others();
      note("The slowest listing was ended: what it held of the changing table did not fit --max-buffered");
      return true;
    };
  }

  async close(): Promise<void> {
    await this.#insertions.run(() => {});
  }

  #shardOf(name: string): Map<string, number> {
    return this.#index[shardOf(name)];
  }

  #find(name: string): Found | "being inserted" | undefined {
    const position = this.#shardOf(name).get(name);
    if (position === undefined) return undefined;
    const segment = this.#segments.get(Math.floor(position / SEGMENT_ROWS));
    return segment === undefined ? "being inserted" : { segment, place: position % SEGMENT_ROWS };
  }

  #append(name: string, content: Content, version: number): void {
    let last = this.#segments.get(this.#last);
    if (!last?.hasRoom(content.length)) {
      last = new Segment(++this.#lastId, this.#snapshots);
      this.#publish(last);
    }
    // A name that is a slice would keep the text of a whole request in memory. Whoever reads many rows has names of
    // its own, in a set.
    this.#put(this.#writable(last), JSON.parse(JSON.stringify(name)), content, version);
    this.#size++;
  }

  #publish(segment: Segment): void {
    this.#segments.set(segment.id, segment);
    this.#last = segment.id;
  }

  #put(segment: Segment, name: string, content: Content, version: number): void {
    this.#shardOf(name).set(name, segment.id * SEGMENT_ROWS + segment.rows);
    segment.put(segment.rows, content, version);
  }

  /** Returns the segment, or a copy that replaces it if a snapshot uses it. */
  #writable(segment: Segment): Segment {
    if (segment.epoch >= this.#snapshots.newest) return segment;
    const copy = segment.copy();
    this.#segments.set(copy.id, copy);
    return copy;
  }

  /** Inserts many rows: in steps that nobody sees, then published at once. */
  async #insertInSteps(rows: NewRows, expected?: number): Promise<readonly string[] | undefined> {
    let staged: Segment[] = [];
    try {
      if (expected !== undefined && expected !== this.#revision) return undefined;
      const first = this.#revision;
      const taken: string[] = [];
      if ("length" in rows) await this.#stage(rows, staged, taken);
      else for await (const part of rows) await this.#stage(part, staged, taken);
      if (taken.length > 0) return taken;
      const count = staged.reduce((sum, { live }) => sum + live, 0);
      if (expected !== undefined && this.#revision !== first + count) return undefined;
      for (const segment of staged) this.#publish(segment);
      staged = [];
      this.#size += count;
      if (count > 0) this.#revision++;
      return taken;
    } finally {
      await this.#freeNames(staged);
    }
  }

  /** Writes rows into new segments, and notes names that are taken. From the first of them on, no row is written. */
  async #stage(rows: readonly NewRow[], staged: Segment[], taken: string[]): Promise<void> {
    // Their versions are reserved; other writes meanwhile get later ones.
    let version = this.#revision;
    this.#revision += rows.length;
    for (let i = 0; i < rows.length; i++) {
      const { name } = rows[i];
      if (this.#find(name) !== undefined) taken.push(name);
      else if (taken.length === 0) {
        const content = contentOf(rows[i]);
        if (!staged.at(-1)?.hasRoom(content.length)) staged.push(new Segment(++this.#lastId, this.#snapshots));
        this.#put(staged.at(-1)!, name, content, ++version);
      }
      if (i % STEP_ROWS === STEP_ROWS - 1) await FAIR_TURNS.yieldIfBusy();
    }
  }

  async #freeNames(staged: readonly Segment[]): Promise<void> {
    for (const segment of staged) {
      for (const place of segment.places()) {
        const name = nameIn(segment.content(place));
        this.#shardOf(name).delete(name);
      }
      await FAIR_TURNS.yieldIfBusy();
    }
  }

  /** Merges a segment that has few rows with a neighbour. Its cost is amortized over the removals before it. */
  #mergeSparse(segment: Segment): void {
    if (segment.live === 0) return this.#retire(segment);
    const segments = [...this.#segments.values()];
    const at = segments.indexOf(segment);
    for (const [first, second] of [segments.slice(Math.max(0, at - 1), at + 1), segments.slice(at, at + 2)]) {
      if (second !== undefined && first.live + second.live <= MERGED_ROWS) return this.#merge(first, second);
    }
  }

  #merge(first: Segment, second: Segment): void {
    const merged = new Segment(first.id, this.#snapshots);
    for (const from of [first, second]) {
      for (const place of from.places()) {
        const content = from.content(place);
        this.#put(merged, nameIn(content), content, from.version(place));
      }
    }
    this.#retire(second);
    first.retire();
    this.#segments.set(merged.id, merged);
  }

  #retire(segment: Segment): void {
    segment.retire();
    this.#segments.delete(segment.id);
  }
}

function versionOf(found: Found | undefined): number {
  return found === undefined ? ABSENT : found.segment.version(found.place);
}

/** The JSON text of a row is made on demand: not for one whose content is at hand. */
function contentOf(row: NewRow): Content {
  return row.content ?? rowContent(row.name, row.json);
}

/** Returns the name in a row's content, which starts with `{"name":`. */
function nameIn(content: Uint8Array): string {
  let end = 2;
  while (content[end] !== QUOTE) end += content[end] === BACKSLASH ? 2 : 1;
  return parseOctets(content, 1, end + 1);
}
