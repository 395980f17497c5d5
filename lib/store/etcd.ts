/**
 * The table in an etcd cluster: many servers share it, and it outlives each of them and a minority of the nodes.
 *
 * Every read sees all that was answered before it, through whatever server; nothing is cached. Writes that wait at a
 * moment share one transaction, and with it one agreement among the nodes, and so do reads. A write is done exactly
 * once, or its error says that its outcome is unknown.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import { CLUSTER_LANES } from "../limits.ts";
import {
  type NewRow,
  type NewRows,
  type Row,
  rowContent,
  type Snapshot,
  type Store,
  StoreError,
  type Written,
} from "../store.ts";
import { fewerRows, type Outcome, type RowWrite } from "./etcd_batch.ts";
import { FAIR_TURNS } from "../turns.ts";
import { EtcdCluster } from "./etcd_cluster.ts";
import { EtcdError, EtcdGateway, type GatewayOptions } from "./etcd_gateway.ts";
import { Lane } from "./etcd_lane.ts";
import { removeOldMarkers } from "./etcd_markers.ts";
import { encode, TableKeys } from "./etcd_messages.ts";
import { BatchedReads } from "./etcd_reads.ts";
import { SharedSnapshots } from "./etcd_snapshots.ts";
import { WriteQueue } from "./etcd_write_queue.ts";

/** Bytes of their values in total. */
const CLUSTER_INSERTED_BYTES = 32 * 1024 * 1024;

/** Rows that one request may create in a cluster, whatever its nodes would take. */
const CLUSTER_INSERTED_ROWS = 30_000;

/** Which cluster, and which of its tables. */
export interface EtcdStoreOptions extends GatewayOptions {
  /** What the table's keys begin with, up to a `/` that is added; left out, they begin with nothing. */
  readonly prefix?: string;
  /** Receives a line for the operator when the cluster goes away and when it is back. */
  readonly report?: (line: string) => void;
}

/** The table in an etcd cluster. */
export class EtcdStore implements Store {
  readonly #cluster: EtcdCluster;
  readonly #reads: BatchedReads;
  readonly #snapshots: SharedSnapshots;
  readonly #queue = new WriteQueue();
  readonly #lanes: Lane[];
  #gathering = false;
  /** Writes that were asked for, and neither done nor failed. */
  #writes = 0;
  #allWritten: (() => void) | undefined;
  #closed = false;

  /** Makes the store at once; the cluster may come later. */
  constructor(options: EtcdStoreOptions) {
    const keys = new TableKeys(options.prefix === undefined ? "" : `${options.prefix}/`);
    this.#cluster = new EtcdCluster({ ...options, gateway: new EtcdGateway(options), keys, now: undefined });
    const parts = { cluster: this.#cluster, queue: this.#queue, wait: options.wait };
    this.#reads = new BatchedReads(this.#cluster);
    this.#snapshots = new SharedSnapshots(this.#cluster);
    this.#lanes = Array.from({ length: CLUSTER_LANES }, () => new Lane(parts));
    this.#cluster.answers.then(() => this.#tidy());
  }

  /** As {@linkcode Store.get}. */
  get(name: string): Promise<Row | undefined> {
    return this.#reads.get(name);
  }

  /** As {@linkcode Store.put}. */
  async put({ name, json }: NewRow, expected?: number): Promise<Written | undefined> {
    const write: RowWrite = { kind: "put", key: this.#cluster.keys.row(name), value: encode(json), expected };
    const { outcome, version } = await this.#writeRow(write);
    if (!outcome.done) return undefined;
    return { row: { name, content: rowContent(name, json), version }, created: !outcome.existed };
  }

  /** As {@linkcode Store.insert}. */
  async insert(given: NewRows, expected?: number): Promise<readonly string[] | undefined> {
    const rows = "length" in given ? given : (await Array.fromAsync(given)).flat();
    const encoded = new EncodedRows(rows, this.#cluster.keys);
    // A few rows are queued at once, before writes that are asked for later.
    while (!encoded.step()) await FAIR_TURNS.yieldIfBusy();
    const write = { kind: "insert", keys: encoded.keys, values: encoded.values, expected } as const;
    const names = rows.map(({ name }) => name);
    const taken = await this.#write<readonly number[] | undefined>((done, failed) => {
      this.#queue.add({ write, done, failed });
    });
    return taken?.map((i) => names[i]);
  }

  /** As {@linkcode Store.remove}. */
  async remove(name: string, expected?: number): Promise<boolean> {
    const { outcome } = await this.#writeRow({ kind: "remove", key: this.#cluster.keys.row(name), expected });
    return outcome.done;
  }

  /** As {@linkcode Store.snapshot}. */
  snapshot(): Promise<Snapshot> {
    return this.#snapshots.take();
  }

  /** As {@linkcode Store.close}. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#writes > 0) await new Promise<void>((done) => this.#allWritten = done);
    this.#cluster.close();
  }

  #writeRow(write: RowWrite): Promise<{ outcome: Outcome; version: number }> {
    return this.#write((done, failed) => {
      this.#queue.add({ write, done: (outcome, version) => done({ outcome, version }), failed });
    });
  }

  /** Has a write done, which `add` puts in the queue. */
  async #write<T>(add: (done: (result: T) => void, failed: (error: Error) => void) => void): Promise<T> {
    if (this.#closed) throw new StoreError("unavailable", "The store is closed");
    this.#writes++;
    try {
      if (this.#cluster.starting !== undefined) await this.#cluster.starting;
      if (this.#cluster.down !== undefined) throw this.#cluster.down;
      return await new Promise<T>((done, failed) => {
        add(done, failed);
        this.#start();
      });
    } finally {
      if (--this.#writes === 0) this.#allWritten?.();
    }
  }

  /** Starts lanes that have nothing to do; all that this turn of the event loop brings goes together. */
  #start(): void {
    if (this.#gathering || this.#lanes.every(({ isBusy }) => isBusy)) return;
    this.#gathering = true;
    setImmediate(() => {
      this.#gathering = false;
      for (const lane of this.#lanes) lane.run();
    });
  }

  async #tidy(): Promise<void> {
    try {
      await removeOldMarkers(this.#cluster, Date.now());
    } catch (error) {
      // They are removed at the next start.
      if (!(error instanceof EtcdError || error instanceof StoreError)) throw error;
    }
  }
}

/** Rows that are encoded before others have their turn. */
const STEP_ROWS = 500;

/** The keys and values of new rows, in base64. */
class EncodedRows {
  readonly keys: string[] = [];
  readonly values: string[] = [];
  readonly #rows: readonly NewRow[];
  readonly #keys: TableKeys;
  #bytes = 0;

  /** Begins with none of the rows. */
  constructor(rows: readonly NewRow[], keys: TableKeys) {
    if (rows.length > CLUSTER_INSERTED_ROWS) throw tooLarge(CLUSTER_INSERTED_ROWS);
    this.#rows = rows;
    this.#keys = keys;
  }

  /** Encodes some rows, and returns whether all are encoded. */
  step(): boolean {
    const rows = this.#rows;
    const end = Math.min(this.keys.length + STEP_ROWS, rows.length);
    while (this.keys.length < end) {
      const { name, json } = rows[this.keys.length];
      this.keys.push(this.#keys.row(name));
      this.values.push(encode(json));
      this.#bytes += json.length;
      if (this.#bytes > CLUSTER_INSERTED_BYTES) throw tooLarge(fewerRows(rows.length));
    }
    return end === rows.length;
  }
}

/** Creates the error for more rows than a transaction may have here: it would delay other clients of the nodes. */
function tooLarge(maxRows: number | undefined): StoreError {
  const most = `${CLUSTER_INSERTED_ROWS} rows or ${CLUSTER_INSERTED_BYTES / 1024 / 1024} MiB`;
  const detail = `The table's cluster takes fewer rows at once: at most ${most}, and no more than etcd's --max-txn-ops`;
  return new StoreError("too-large", detail, { maxRows });
}
