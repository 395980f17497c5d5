/**
 * A lane: one transaction after the other that writes to a cluster, each exactly once.
 *
 * Where no answer came, the transaction is sent again as it is, and the lane's marker tells whether it was done before.
 * Where it has not come to an end in time, its clients learn that its outcome is unknown. The lane goes on only when a
 * transaction with nothing but the marker has made sure that nothing of what was sent can be done any more: no write
 * that was given up can undo a later one.
 *
 * @module
 */

import { CLUSTER_PROBE_MS } from "../limits.ts";
import { waitFor } from "../turns.ts";
import {
  type BatchContext,
  batchRequest,
  found,
  guards,
  guardsHold,
  insertionRequest,
  MOST_WRITES,
  outcomeAfter,
  outcomeOf,
  wasMarked,
} from "./etcd_batch.ts";
import { clusterError, type EtcdCluster, numberOf } from "./etcd_cluster.ts";
import { EtcdError } from "./etcd_gateway.ts";
import {
  decode,
  encode,
  type OperationAnswer,
  put,
  transaction,
  type TxnAnswer,
  unchangedSince,
} from "./etcd_messages.ts";
import { latestMarker, readRows } from "./etcd_reads.ts";
import type { Batch, BatchLimits, WaitingInsertion, WriteQueue } from "./etcd_write_queue.ts";

/** Bytes of rows that share one transaction; a single row may have more. The nodes take 1.5 MiB unless told otherwise. */
const CLUSTER_BATCH_BYTES = 1024 * 1024;

/** What a lane works with. */
export interface LaneOptions {
  /** Where it writes. */
  readonly cluster: EtcdCluster;
  /** What it writes. */
  readonly queue: WriteQueue;
  /** A clock in milliseconds since 1970. */
  readonly now?: () => number;
  /** Resolves after so many milliseconds. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** Whether a batch was done, and at which revision; `lost` if the marker is not what this lane has written. */
type Fate = { readonly kind: "done"; readonly revision: number } | { readonly kind: "not-done" | "lost" };

/**
 * What came of a transaction: its answer; that an earlier try was done, at some revision; or that what it expected was
 * not there at some revision.
 */
type Sent =
  & { readonly revision: number; readonly base: number }
  & (
    | { readonly kind: "answered"; readonly answers: readonly OperationAnswer[] }
    | { readonly kind: "repeated" | "refused" }
  );

/** How often a lane begins anew for one batch. */
const MAX_LOSSES = 3;

/** A writing lane. */
export class Lane {
  readonly #cluster: EtcdCluster;
  readonly #queue: WriteQueue;
  readonly #now: () => number;
  readonly #wait: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly #key: string;
  /** The number of the last batch that was sent. */
  #number = 0;
  /** The revision at which the marker was last written, as far as it is known. */
  #revision = 0;
  #limits: BatchLimits = { writes: MOST_WRITES, bytes: CLUSTER_BATCH_BYTES };
  /** Whether it is at work. */
  isBusy = false;

  /** Makes a lane with a marker of its own, which is not there before the first write. */
  constructor({ cluster, queue, now = Date.now, wait = waitFor }: LaneOptions) {
    this.#cluster = cluster;
    this.#queue = queue;
    this.#now = now;
    this.#wait = wait;
    this.#key = cluster.keys.marker(crypto.randomUUID());
  }

  /** Does writes of the queue until none may be done. */
  async run(): Promise<void> {
    if (this.isBusy) return;
    this.isBusy = true;
    for (let batch; (batch = this.#queue.take(this.#limits)) !== undefined;) await this.#do(batch);
    this.isBusy = false;
  }

  async #do(batch: Batch): Promise<void> {
    try {
      if (batch.kind === "rows") await this.#writeRows(batch);
      else await this.#insert(batch.insertion);
    } catch (error) {
      if (error instanceof EtcdError && error.fault === "too-large" && !error.maybeDone && this.#halve(batch)) return;
      const unknown = error instanceof EtcdError && error.maybeDone;
      const failure = clusterError(error, unknown, batch.kind === "insertion" ? batch.insertion.write.keys.length : 1);
      if (batch.kind === "insertion") batch.insertion.failed(failure);
      else for (const { failed } of batch.writes) failed(failure);
      if (unknown) await this.#settle();
    }
    this.#queue.release(batch);
  }

  /** Tries rows that were too many, or too large, in smaller batches from now on. */
  #halve(batch: Batch): boolean {
    if (batch.kind === "insertion" || batch.writes.length === 1) return false;
    const writes = Math.ceil(Math.min(batch.writes.length, this.#limits.writes) / 2);
    this.#limits = { ...this.#limits, writes };
    this.#queue.putBack(batch);
    return true;
  }

  async #writeRows({ writes }: Batch & { kind: "rows" }): Promise<void> {
    const rows = writes.map(({ write }) => write);
    const sent = await this.#send((context) => batchRequest(rows, context), wasMarked);
    const version = sent.base + sent.revision;
    if (sent.kind === "answered") {
      writes.forEach(({ write, done }, i) => done(outcomeOf(write, sent.answers[i + 1]), version));
      return;
    }
    const keys = rows.map(({ key }) => key);
    const before = await whatWasDone(() => readRows(this.#cluster, keys, sent.revision - 1));
    writes.forEach(({ write, done }, i) => done(outcomeAfter(write, before[i], sent.base), version));
  }

  async #insert({ write, done }: WaitingInsertion): Promise<void> {
    const { markers } = this.#cluster.keys;
    // A marker that is there leaves room for one more row. But writing it gives the table another revision.
    if (this.#revision === 0 && write.expected === undefined) await besideRows(() => this.#fence());
    const unchanged = (revision: number) => unchangedSince(markers, revision);
    const sent = await this.#send((context) => insertionRequest(write, unchanged, context), () => true);
    if (sent.kind !== "refused") return done([]);
    if (write.expected !== undefined) {
      const latest = await besideRows(() => latestMarker(this.#cluster, sent.revision));
      if (sent.base + latest > write.expected) return done(undefined);
    }
    const there = await besideRows(() => readRows(this.#cluster, write.keys, sent.revision));
    done(write.keys.map((_, i) => i).filter((i) => there[i] !== undefined));
  }

  /**
   * Sends a transaction that the lane's marker guards, until it is known what came of it.
   *
   * @param isMarked Whether the marker was written, as the first part of the answer tells.
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
      const result: Sent = answer.succeeded
        ? { kind: "answered", answers, revision, base }
        : { kind: "refused", revision, base };
      if (answer.succeeded && isMarked(answers[0])) {
        this.#revision = revision;
        return result;
      }
      let fate: Fate;
      if (answer.succeeded || guardsHold(answers, context)) {
        // Nothing was done; but what got no answer may yet be done.
        fate = repeated ? await whatWasDone(() => this.#fence()) : { kind: "not-done" };
        if (fate.kind === "not-done") return result;
      } else fate = this.#fateIn(answer);
      if (fate.kind === "done") return { kind: "repeated", revision: fate.revision, base };
      if (repeated || losses === MAX_LOSSES) throw new EtcdError("unavailable", "the data was replaced", repeated);
      await this.#cluster.reopen();
    }
  }

  /** Writes the marker alone: of what was sent before, nothing is done after this. Tells what came of that. */
  async #fence(): Promise<Fate> {
    const before = this.#number;
    const context = this.#nextContext();
    const { marker, value } = context;
    const answer = await this.#cluster.transact(
      transaction(guards(context), [put(marker.key, value)], found(context)),
    );
    if (answer.succeeded) {
      this.#revision = Number(answer.header.revision);
      return { kind: "not-done" };
    }
    const fate = this.#fateIn(answer, before);
    if (fate.kind === "lost") await this.#cluster.reopen();
    return fate;
  }

  /** What a marker that is not as it was tells of the last batch, or of the one with another number. */
  #fateIn(answer: TxnAnswer, number: number = this.#number): Fate {
    const marker = answer.responses![0].response_range!.kvs?.[0];
    this.#revision = Number(marker?.mod_revision ?? 0);
    const last = marker === undefined ? NaN : parseInt(decode(marker.value));
    if (last === number) return { kind: "done", revision: this.#revision };
    return { kind: last === this.#number ? "not-done" : "lost" };
  }

  /** Makes sure that nothing of what was sent is done after this, however long it takes. */
  async #settle(): Promise<void> {
    for (;;) {
      // Nobody else may write the rows of this lane, so nobody waits for a cluster that may never come back.
      if (this.#cluster.down !== undefined) this.#queue.fail(this.#cluster.down);
      await this.#cluster.answers;
      if (this.#cluster.closed.aborted) return;
      try {
        await this.#fence();
        return;
      } catch (error) {
        this.#queue.fail(clusterError(error));
        if (this.#cluster.down === undefined) await this.#wait(CLUSTER_PROBE_MS, this.#cluster.closed);
      }
    }
  }

  #nextContext(): BatchContext {
    const { base, keys } = this.#cluster;
    return {
      marker: { key: this.#key, revision: this.#revision },
      value: encode(`${++this.#number} ${this.#now()}`),
      meta: [keys.meta, base],
      base: numberOf(base),
    };
  }
}

/** Finds out about a write that may have been done: if that fails, its outcome is unknown. */
async function whatWasDone<T>(find: () => Promise<T>): Promise<T> {
  try {
    return await find();
  } catch (error) {
    throw new EtcdError(error instanceof EtcdError ? error.fault : "unavailable", (error as Error).message, true);
  }
}

/** Runs a request that writes no rows: its failure leaves no row's outcome unknown. */
async function besideRows<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    throw error instanceof EtcdError ? new EtcdError(error.fault, error.message, false) : error;
  }
}
