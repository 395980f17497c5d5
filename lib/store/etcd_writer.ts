/**
 * Writes to a cluster's table, one transaction after another, each executed exactly once.
 *
 * Writes that wait at the same time share a transaction. If no answer arrives, the transaction is sent again unchanged,
 * and the writer's marker shows whether it was executed before. If the retries run out, its clients learn that the
 * outcome is unknown, and a transaction with only the marker is sent until it succeeds. It invalidates everything sent
 * before, so a write that was given up cannot overwrite a later one.
 */

import { Batches } from "./batches.ts";
import { clusterError, type EtcdCluster } from "./etcd_cluster.ts";
import { EtcdError } from "./etcd_gateway.ts";
import {
  type BatchContext,
  batchRequest,
  decode,
  encode,
  guarded,
  guardsHold,
  type Insertion,
  insertionRequest,
  isSure,
  type KeyValue,
  latestMarker,
  MAX_OPERATIONS,
  MAX_ROWS,
  MAX_UNSURE_WRITES,
  MAX_WRITES,
  type OperationAnswer,
  type Outcome,
  outcomeAfter,
  outcomeOf,
  put,
  range,
  type RangeAnswer,
  rangeRequest,
  remove,
  type RowWrite,
  transaction,
  type TxnAnswer,
  wasMarked,
  writtenAt,
} from "./etcd_messages.ts";

/** Base64 in one transaction; a single row may have more. Nodes accept requests of 1.5 MiB by default. */
const MAX_BATCH_BYTES = 1024 * 1024;

/** Waiting writes considered for one transaction, which has each row once. */
const MAX_CONSIDERED_WRITES = 4_000;

/** How often a transaction is built anew because the marker or `meta` was replaced. */
const MAX_LOSSES = 3;

/** Age at which the marker of a server that writes no more is removed. */
const MARKER_MS = 7 * 24 * 60 * 60 * 1000;

/** The result of a row's write, and the version it gave. */
type WrittenOutcome = Outcome & { readonly version: number };

interface WaitingRow extends PromiseWithResolvers<WrittenOutcome> {
  readonly write: RowWrite;
}
interface WaitingInsertion extends PromiseWithResolvers<readonly number[] | undefined> {
  readonly write: Insertion;
}
type WaitingWrite = WaitingRow | WaitingInsertion;

/** Whether a transaction was executed; `lost` if another program replaced the marker or the data. */
type Fate = "done" | "not-done" | "lost";

interface Sent {
  /** How the transaction ended: with answers, executed by an earlier attempt, or refused by a compare of its rows. */
  readonly kind: "answered" | "repeated" | "refused";
  readonly answers: readonly OperationAnswer[];
  readonly revision: number;
  readonly base: number;
}

export class EtcdWriter {
  readonly #cluster: EtcdCluster;
  readonly #marker: string;
  readonly #batches: Batches<WaitingWrite>;
  /** The number of the last transaction sent. */
  #number = 0;
  /** The revision of the marker's last write, as far as known; 0 before the first one. */
  #revision = 0;
  #maxWrites = MAX_WRITES;

  /** Creates a writer. Its marker is written with its first rows. */
  constructor(cluster: EtcdCluster) {
    this.#cluster = cluster;
    this.#marker = cluster.keys.marker(crypto.randomUUID());
    this.#batches = new Batches(
      "writes wait for the table's cluster",
      (waiting) => this.#nextBatch(waiting),
      (batch) => this.#do(batch),
    );
  }

  write(write: RowWrite): Promise<WrittenOutcome> {
    const waiting = { write, ...Promise.withResolvers<WrittenOutcome>() };
    this.#batches.add(waiting);
    return waiting.promise;
  }

  /** Returns the indexes of the rows whose names are taken; `undefined` if the table has another revision. */
  insert(write: Insertion): Promise<readonly number[] | undefined> {
    const waiting = { write, ...Promise.withResolvers<readonly number[] | undefined>() };
    this.#batches.add(waiting);
    return waiting.promise;
  }

  /** Removes and returns the writes of the next transaction: one insertion, or rows, because etcd accepts a key once. */
  #nextBatch(writes: WaitingWrite[]): readonly WaitingWrite[] {
    if (isInsertion(writes[0])) return writes.splice(0, 1);
    const taken: WaitingRow[] = [];
    const left: WaitingWrite[] = [];
    const keys = new Set<string>();
    let bytes = 0;
    let anySure = false;
    let at = 0;
    for (; at < Math.min(writes.length, MAX_CONSIDERED_WRITES); at++) {
      const waiting = writes[at];
      if (isInsertion(waiting) || keys.has(waiting.write.key)) {
        left.push(waiting);
        // Writes of its rows follow it.
        if (isInsertion(waiting)) { for (const key of waiting.write.keys) keys.add(key); }
        continue;
      }
      const { write } = waiting;
      const size = write.key.length + (write.kind === "put" ? write.value.length : 0);
      const sure: boolean = anySure || isSure(write);
      const most = sure ? this.#maxWrites : Math.min(this.#maxWrites, MAX_UNSURE_WRITES);
      if (taken.length >= most || taken.length > 0 && bytes + size > MAX_BATCH_BYTES) break;
      anySure = sure;
      bytes += size;
      keys.add(write.key);
      taken.push(waiting);
    }
    writes.splice(0, at, ...left);
    return taken;
  }

  async #do(batch: readonly WaitingWrite[]): Promise<void> {
    const [first] = batch;
    try {
      if (isInsertion(first)) await this.#insert(first);
      else await this.#writeRows(batch as readonly WaitingRow[]);
    } catch (error) {
      const unknown = error instanceof EtcdError && error.maybeDone;
      if (error instanceof EtcdError && error.fault === "too-large" && !unknown && batch.length > 1) {
        this.#maxWrites = Math.ceil(batch.length / 2);
        this.#batches.putBack(batch);
        return;
      }
      const failure = clusterError(error, unknown, isInsertion(first) ? first.write.keys.length : 1);
      for (const { reject } of batch) reject(failure);
      if (unknown) await this.#settle();
    }
  }

  async #writeRows(batch: readonly WaitingRow[]): Promise<void> {
    const writes = batch.map(({ write }) => write);
    const sent = await this.#send((context) => batchRequest(writes, context), wasMarked);
    const version = sent.base + sent.revision;
    if (sent.kind === "answered") {
      batch.forEach(({ write, resolve }, i) => resolve({ ...outcomeOf(write, sent.answers[i + 1]), version }));
      return;
    }
    const before = await whatWasDone(() => this.#readRows(writes.map(({ key }) => key), sent.revision - 1));
    batch.forEach(({ write, resolve }, i) => resolve({ ...outcomeAfter(write, before[i], sent.base), version }));
  }

  async #insert({ write, resolve }: WaitingInsertion): Promise<void> {
    // With a marker, the transaction has room for one more row. But writing one changes the table's revision.
    if (this.#revision === 0 && write.expected === undefined) await besideRows(() => this.#fence());
    const sent = await this.#send((context) => insertionRequest(write, context), () => true);
    if (sent.kind !== "refused") return resolve([]);
    if (write.expected !== undefined) {
      const marker = latestMarker(this.#cluster.keys, sent.revision);
      const { responses } = await besideRows(() => this.#cluster.transact(transaction([], [marker])));
      const latest = Number(responses![0].response_range!.kvs?.[0].mod_revision ?? 0);
      if (sent.base + latest > write.expected) return resolve(undefined);
    }
    const rows = await besideRows(() => this.#readRows(write.keys, sent.revision));
    resolve(write.keys.map((_, i) => i).filter((i) => rows[i] !== undefined));
  }

  /** Reads rows at a revision, without their values; `undefined` for those that do not exist. */
  async #readRows(keys: readonly string[], revision: number): Promise<(KeyValue | undefined)[]> {
    const rows: (KeyValue | undefined)[] = [];
    for (let i = 0; i < keys.length; i += MAX_OPERATIONS) {
      const some = keys.slice(i, i + MAX_OPERATIONS);
      const ranges = some.map((key) => range(key, { revision, keys_only: true }));
      const { responses } = await this.#cluster.transact(transaction([], ranges));
      rows.push(...responses!.map(({ response_range }) => response_range!.kvs?.[0]));
    }
    return rows;
  }

  /**
   * Sends a transaction with the marker until its fate is known.
   *
   * @param isMarked Whether the marker was written, from the first answer.
   */
  async #send(
    request: (context: BatchContext) => string,
    isMarked: (first: OperationAnswer) => boolean,
  ): Promise<Sent> {
    for (let losses = 0;; losses++) {
      const context = this.#nextContext();
      const { base } = context;
      let repeated = false;
      const answer = await this.#cluster.transact(request(context), () => repeated = true);
      const revision = Number(answer.header.revision);
      const answers = answer.responses!;
      const result: Sent = { kind: answer.succeeded ? "answered" : "refused", answers, revision, base };
      if (answer.succeeded && isMarked(answers[0])) {
        this.#revision = revision;
        return result;
      }
      let fate: Fate = "not-done";
      if (!answer.succeeded && !guardsHold(answers, context)) fate = this.#fateIn(answer);
      // Nothing was written. But an attempt without an answer may still arrive.
      else if (repeated) fate = await whatWasDone(() => this.#fence());
      if (fate === "not-done") return result;
      if (fate === "done") return { ...result, kind: "repeated", revision: this.#revision };
      if (repeated || losses === MAX_LOSSES) throw new EtcdError("unavailable", "the data was replaced", repeated);
      await this.#cluster.reopen();
    }
  }

  /** Writes only the marker, which invalidates all transactions sent before. Returns the last one's fate. */
  async #fence(): Promise<Fate> {
    const before = this.#number;
    const context = this.#nextContext();
    const answer = await this.#cluster.transact(guarded(context, [put(context.marker, context.value)]));
    if (!answer.succeeded) return this.#fateIn(answer, before);
    this.#revision = Number(answer.header.revision);
    return "not-done";
  }

  /** Reads the marker's new revision, and the fate of the last transaction or of the one with this number. */
  #fateIn(answer: TxnAnswer, number: number = this.#number): Fate {
    const marker = answer.responses![0].response_range!.kvs?.[0];
    this.#revision = Number(marker?.mod_revision ?? 0);
    const last = marker === undefined ? NaN : parseInt(decode(marker.value));
    if (last === number) return "done";
    return last === this.#number ? "not-done" : "lost";
  }

  /** Invalidates all transactions sent before, however long it takes. Meanwhile no write starts. */
  async #settle(): Promise<void> {
    for (;;) {
      // No client waits for a cluster that may never come back.
      if (this.#cluster.down !== undefined) this.#batches.reject(this.#cluster.down);
      await this.#cluster.answers;
      if (this.#cluster.isClosed) return;
      try {
        await this.#fence();
        return;
      } catch (error) {
        this.#batches.reject(clusterError(error));
        if (this.#cluster.down === undefined) await this.#cluster.pause();
      }
    }
  }

  #nextContext(): BatchContext {
    const { base, keys } = this.#cluster;
    const value = encode(`${++this.#number} ${Date.now()}`);
    return { keys, marker: this.#marker, revision: this.#revision, value, base };
  }
}

function isInsertion(waiting: WaitingWrite): waiting is WaitingInsertion {
  return waiting.write.kind === "insert";
}

/** Finds out about a write that may have been executed. If that fails, its outcome is unknown. */
async function whatWasDone<T>(find: () => Promise<T>): Promise<T> {
  try {
    return await find();
  } catch (error) {
    throw new EtcdError(error instanceof EtcdError ? error.fault : "unavailable", (error as Error).message, true);
  }
}

/** Runs a request that writes no rows. If it fails, no row's outcome is unknown. */
async function besideRows<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    throw error instanceof EtcdError ? new EtcdError(error.fault, error.message, false) : error;
  }
}

/**
 * Removes markers that were not written for a week, except the latest, whose revision is the table's. A server that was
 * idle for so long starts again with a new one.
 */
export async function removeOldMarkers(cluster: EtcdCluster): Promise<void> {
  const [start, range_end] = cluster.keys.markers;
  const { kvs = [] } = await cluster.ask<RangeAnswer>("/v3/kv/range", rangeRequest(start, { range_end }));
  const latest = Math.max(...kvs.map(({ mod_revision }) => Number(mod_revision)));
  const old = kvs.filter(({ value, mod_revision }) => {
    const writtenMs = Number(decode(value).split(" ")[1]);
    return Number(mod_revision) < latest && writtenMs < Date.now() - MARKER_MS;
  });
  for (let i = 0; i < old.length; i += MAX_ROWS) {
    const some = old.slice(i, i + MAX_ROWS);
    // A marker that was written meanwhile is in use.
    const unchanged = some.map(({ key, mod_revision }) => writtenAt(key, Number(mod_revision)));
    await cluster.transact(transaction(unchanged, some.map(({ key }) => remove(key))));
  }
}
