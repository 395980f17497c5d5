/**
 * Writes to a cluster's table, one transaction after another, each executed exactly once.
 *
 * Writes that wait at the same time share a transaction. If no answer arrives, the transaction is sent again unchanged,
 * and the writer's marker shows whether it was executed before. If the retries run out, its clients learn that the
 * outcome is unknown, and a transaction with only the marker is sent until it succeeds. It invalidates everything sent
 * before, so a write that was given up cannot overwrite a later one.
 */

import { Batches, type Waiting } from "./batches.ts";
import { clusterError, type EtcdCluster } from "./etcd_cluster.ts";
import { EtcdError } from "./etcd_gateway.ts";
import * as etcd from "./etcd_messages.ts";

/** Base64 in one transaction; a single row may have more. Nodes accept requests of 1.5 MiB by default. */
const MAX_BATCH_BYTES = 1024 * 1024;
/** Waiting writes considered for one transaction, which has each row once. */
const MAX_CONSIDERED_WRITES = 4_000;
/** How often a transaction is built anew because the marker or `meta` was replaced. */
const MAX_LOSSES = 3;
/** Age at which the marker of a server that writes no more is removed. */
const MARKER_MS = 7 * 24 * 60 * 60 * 1000;

type Write = etcd.RowWrite | etcd.Insertion;
type WrittenOutcome = etcd.Outcome & { readonly version: number };
/** The result of a write; of an insertion the indexes of the rows whose names are taken. */
type Result = WrittenOutcome | readonly number[] | undefined;
type WaitingWrite = Waiting<Write, Result>;

/** Whether a transaction was executed; `lost` if another program replaced the marker or the data. */
type Fate = "done" | "not-done" | "lost";

interface Sent {
  /** How the transaction ended: with answers, executed by an earlier attempt, or refused by a compare of its rows. */
  readonly kind: "answered" | "repeated" | "refused";
  readonly answers: readonly etcd.OperationAnswer[];
  readonly revision: number;
  readonly base: number;
}

export class EtcdWriter {
  readonly #marker: string;
  readonly #batches: Batches<Write, Result>;
  /** The number of the last transaction sent. */
  #number = 0;
  /** The revision of the marker's last write, as far as known; 0 before the first one. */
  #revision = 0;
  #maxWrites = etcd.MAX_WRITES;
  /** Whether the rows that are being written may have been written, or may be later. */
  #maybeDone = false;

  /** Creates a writer. Its marker is written with its first rows. */
  constructor(private readonly cluster: EtcdCluster) {
    this.#marker = cluster.keys.marker(crypto.randomUUID());
    this.#batches = new Batches(
      (waiting) => this.#nextBatch(waiting),
      (batch) => this.#do(batch),
    );
  }

  write(write: etcd.RowWrite): Promise<WrittenOutcome> {
    return this.#add(write) as Promise<WrittenOutcome>;
  }

  /** Returns the indexes of the rows whose names are taken; `undefined` if the table has another revision. */
  insert(write: etcd.Insertion): Promise<readonly number[] | undefined> {
    return this.#add(write) as Promise<readonly number[] | undefined>;
  }

  /** Resolves once all writes that were asked for are done. */
  done(): Promise<void> {
    return this.#batches.done();
  }

  #add(write: Write): Promise<Result> {
    // No client waits for a cluster that may never come back.
    return this.cluster.down === undefined ? this.#batches.add(write) : Promise.reject(this.cluster.down);
  }

  /** Removes and returns the writes of the next transaction: one insertion, or rows, because etcd accepts a key once. */
  #nextBatch(waiting: WaitingWrite[]): readonly WaitingWrite[] {
    if (waiting[0].item.kind === "insert") return waiting.splice(0, 1);
    const taken: WaitingWrite[] = [];
    const left: WaitingWrite[] = [];
    const keys = new Set<string>();
    let bytes = 0;
    let anySure = false;
    let at = 0;
    for (; at < Math.min(waiting.length, MAX_CONSIDERED_WRITES); at++) {
      const { item } = waiting[at];
      if (item.kind === "insert" || keys.has(item.key)) {
        left.push(waiting[at]);
        // Writes of its rows follow it.
        if (item.kind === "insert") { for (const key of item.keys) keys.add(key); }
        continue;
      }
      const size = item.key.length + (item.kind === "put" ? item.value.length : 0);
      const sure: boolean = anySure || etcd.isSure(item);
      const most = sure ? this.#maxWrites : Math.min(this.#maxWrites, etcd.MAX_UNSURE_WRITES);
      if (taken.length >= most || taken.length > 0 && bytes + size > MAX_BATCH_BYTES) break;
      anySure = sure;
      bytes += size;
      keys.add(item.key);
      taken.push(waiting[at]);
    }
    waiting.splice(0, at, ...left);
    return taken;
  }

  async #do(batch: readonly WaitingWrite[]): Promise<readonly Result[] | undefined> {
    const [{ item: first }] = batch;
    this.#maybeDone = false;
    try {
      await this.cluster.starting;
      if (first.kind === "insert") return [await this.#insert(first)];
      return await this.#writeRows(batch.map(({ item }) => item as etcd.RowWrite));
    } catch (error) {
      const unknown = this.#maybeDone;
      if (error instanceof EtcdError && error.fault === "too-large" && !unknown && batch.length > 1) {
        this.#maxWrites = Math.ceil(batch.length / 2);
        return undefined;
      }
      const failure = clusterError(error, unknown, first.kind === "insert" ? first.keys.length : 1);
      for (const { reject } of batch) reject(failure);
      if (unknown) await this.#settle();
      return [];
    }
  }

  async #writeRows(writes: readonly etcd.RowWrite[]): Promise<WrittenOutcome[]> {
    const sent = await this.#send((context) => etcd.batchRequest(writes, context), etcd.wasMarked);
    const version = sent.base + sent.revision;
    if (sent.kind === "answered") {
      return writes.map((write, i) => ({ ...etcd.outcomeOf(write, sent.answers[i + 1]), version }));
    }
    const before = await this.#readRows(writes.map(({ key }) => key), sent.revision - 1);
    return writes.map((write, i) => ({ ...etcd.outcomeAfter(write, before[i], sent.base), version }));
  }

  async #insert(write: etcd.Insertion): Promise<readonly number[] | undefined> {
    // With a marker, the transaction has room for one more row. But writing one changes the table's revision.
    if (this.#revision === 0 && write.expected === undefined) await this.#fence();
    const sent = await this.#send((context) => etcd.insertionRequest(write, context), () => true);
    if (sent.kind !== "refused") return [];
    if (write.expected !== undefined) {
      const marker = etcd.latestMarker(this.cluster.keys, sent.revision);
      const { responses } = await this.cluster.transact(etcd.transaction([], [marker]));
      const latest = Number(responses![0].response_range!.kvs?.[0].mod_revision ?? 0);
      if (sent.base + latest > write.expected) return undefined;
    }
    const rows = await this.#readRows(write.keys, sent.revision);
    return write.keys.map((_, i) => i).filter((i) => rows[i] !== undefined);
  }

  /** Reads rows at a revision, without their values; `undefined` for those that do not exist. */
  async #readRows(keys: readonly string[], revision: number): Promise<(etcd.KeyValue | undefined)[]> {
    const rows: (etcd.KeyValue | undefined)[] = [];
    for (let i = 0; i < keys.length; i += etcd.MAX_OPERATIONS) {
      const some = keys.slice(i, i + etcd.MAX_OPERATIONS);
      const ranges = some.map((key) => etcd.range(key, { revision, keys_only: true }));
      const { responses } = await this.cluster.transact(etcd.transaction([], ranges));
      rows.push(...responses!.map(({ response_range }) => response_range!.kvs?.[0]));
    }
    return rows;
  }

  /** Sends a transaction until its fate is known. Its first answer tells whether it wrote the marker. */
  async #send(
    request: (context: etcd.BatchContext) => string,
    isMarked: (first: etcd.OperationAnswer) => boolean,
  ): Promise<Sent> {
    for (let losses = 0;; losses++) {
      const context = this.#nextContext();
      const answer = await this.cluster.transact(request(context), () => this.#maybeDone = true);
      const revision = Number(answer.header.revision);
      const answers = answer.responses!;
      const kind = answer.succeeded ? "answered" : "refused";
      const result: Sent = { kind, answers, revision, base: context.base };
      if (answer.succeeded && isMarked(answers[0])) {
        this.#revision = revision;
        return result;
      }
      let fate: Fate = "not-done";
      if (!answer.succeeded && !etcd.guardsHold(answers, context)) fate = this.#fateIn(answer);
      // Nothing was written. But an attempt without an answer may still arrive.
      else if (this.#maybeDone) fate = await this.#fence();
      if (fate === "done") return { ...result, kind: "repeated", revision: this.#revision };
      if (fate === "not-done") {
        this.#maybeDone = false;
        return result;
      }
      if (this.#maybeDone || losses === MAX_LOSSES) throw new EtcdError("unavailable", "the data was replaced");
      await this.cluster.reopen();
    }
  }

  /** Writes only the marker, which invalidates all transactions sent before. Returns the last one's fate. */
  async #fence(): Promise<Fate> {
    const before = this.#number;
    const context = this.#nextContext();
    const answer = await this.cluster.transact(etcd.guarded(context, [etcd.put(context.marker, context.value)]));
    if (!answer.succeeded) return this.#fateIn(answer, before);
    this.#revision = Number(answer.header.revision);
    return "not-done";
  }

  /** Reads the marker's new revision, and the fate of the last transaction or of the one with this number. */
  #fateIn(answer: etcd.TxnAnswer, number: number = this.#number): Fate {
    const marker = answer.responses![0].response_range!.kvs?.[0];
    this.#revision = Number(marker?.mod_revision ?? 0);
    const last = marker === undefined ? NaN : parseInt(etcd.decode(marker.value));
    if (last === number) return "done";
    return last === this.#number ? "not-done" : "lost";
  }

  /** Invalidates all transactions sent before, however long it takes. Meanwhile no write starts. */
  async #settle(): Promise<void> {
    for (;;) {
      if (this.cluster.down !== undefined) this.#batches.reject(this.cluster.down);
      await this.cluster.answers;
      if (this.cluster.isClosed) return;
      try {
        await this.#fence();
        return;
      } catch (error) {
        this.#batches.reject(clusterError(error));
        if (this.cluster.down === undefined) await this.cluster.pause();
      }
    }
  }

  #nextContext(): etcd.BatchContext {
    const { base, keys } = this.cluster;
    const value = etcd.encode(`${++this.#number} ${Date.now()}`);
    return { keys, marker: this.#marker, revision: this.#revision, value, base };
  }
}

/** Removes markers that were not written for a week, whose servers would make new ones, but not the table's latest. */
export async function removeOldMarkers(cluster: EtcdCluster): Promise<void> {
  const [start, range_end] = cluster.keys.markers;
  const { kvs = [] } = await cluster.ask<etcd.RangeAnswer>("/v3/kv/range", etcd.rangeRequest(start, { range_end }));
  const latest = Math.max(...kvs.map(({ mod_revision }) => Number(mod_revision)));
  const old = kvs.filter(({ value, mod_revision }) => {
    const writtenMs = Number(etcd.decode(value).split(" ")[1]);
    return Number(mod_revision) < latest && writtenMs < Date.now() - MARKER_MS;
  });
  for (let i = 0; i < old.length; i += etcd.MAX_ROWS) {
    const some = old.slice(i, i + etcd.MAX_ROWS);
    // A marker that was written meanwhile is in use.
    const unchanged = some.map(({ key, mod_revision }) => etcd.writtenAt(key, Number(mod_revision)));
    await cluster.transact(etcd.transaction(unchanged, some.map(({ key }) => etcd.remove(key))));
  }
}
