/**
 * Reading rows of a cluster: all reads that wait share one transaction, which sees every write that was answered before
 * it was sent, through whatever server.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import { CLUSTER_LANES, CLUSTER_TXN_OPERATIONS, MAX_WAITING_WRITES } from "../limits.ts";
import { type Row, rowContent, StoreError } from "../store.ts";
import { clusterError, type EtcdCluster, numberOf } from "./etcd_cluster.ts";
import { decode, type KeyValue, range, transaction } from "./etcd_messages.ts";

/** Bytes of rows that one transaction reads, as far as they can be told from those read before. */
const CLUSTER_READ_BYTES = 8 * 1024 * 1024;

/** Rows in one transaction, beside `meta`. */
const MOST_READS = CLUSTER_TXN_OPERATIONS - 1;

/** Rows that are read at some revision; `undefined` for those that are not there. */
export async function readRows(
  cluster: EtcdCluster,
  keys: readonly string[],
  revision: number,
): Promise<(KeyValue | undefined)[]> {
  const rows: (KeyValue | undefined)[] = [];
  for (let i = 0; i < keys.length; i += MOST_READS) {
    const ranges = keys.slice(i, i + MOST_READS).map((key) => range(key, { revision, keys_only: true }));
    const { responses } = await cluster.transact(transaction([], ranges));
    rows.push(...responses!.map(({ response_range }) => response_range!.kvs?.[0]));
  }
  return rows;
}

/** The revision of the latest marker, and so of the table, at some revision of the cluster. */
export async function latestMarker(cluster: EtcdCluster, revision: number): Promise<number> {
  const { responses } = await cluster.transact(transaction([], [latestMarkerRange(cluster, revision)]));
  return Number(responses![0].response_range!.kvs?.[0].mod_revision ?? 0);
}

/** An operation that reads the latest marker. */
export function latestMarkerRange({ keys: { markers: [start, end] } }: EtcdCluster, revision?: number): string {
  return range(start, {
    range_end: end,
    revision,
    limit: 1,
    keys_only: true,
    sort_target: "MOD",
    sort_order: "DESCEND",
  });
}

interface Reader {
  readonly name: string;
  readonly done: (row: Row | undefined) => void;
  readonly failed: (error: Error) => void;
}

/** Reads that wait for one another. */
export class BatchedReads {
  readonly #cluster: EtcdCluster;
  #waiting: Reader[] = [];
  #underWay = 0;
  #gathering = false;
  /** What the longest row that was read lately has in bytes of base64. */
  #longest = 1;

  /** Reads rows of this cluster. */
  constructor(cluster: EtcdCluster) {
    this.#cluster = cluster;
  }

  /** The row of this name, or `undefined`. */
  get(name: string): Promise<Row | undefined> {
    return new Promise((done, failed) => {
      if (this.#waiting.length >= MAX_WAITING_WRITES) {
        const detail = `${MAX_WAITING_WRITES} reads wait for the table's cluster already: try again soon`;
        return failed(new StoreError("unavailable", detail));
      }
      this.#waiting.push({ name, done, failed });
      if (this.#gathering || this.#underWay === CLUSTER_LANES) return;
      // All that this turn of the event loop brings goes together.
      this.#gathering = true;
      setImmediate(() => {
        this.#gathering = false;
        this.#run();
      });
    });
  }

  async #run(): Promise<void> {
    if (this.#underWay === CLUSTER_LANES) return;
    this.#underWay++;
    while (this.#waiting.length > 0) {
      const most = Math.min(MOST_READS, Math.max(1, Math.floor(CLUSTER_READ_BYTES / this.#longest)));
      await this.#read(this.#waiting.splice(0, most));
    }
    this.#underWay--;
  }

  async #read(readers: readonly Reader[]): Promise<void> {
    const { keys } = this.#cluster;
    try {
      const ranges = readers.map(({ name }) => range(keys.row(name)));
      const { responses } = await this.#cluster.transact(transaction([], [range(keys.meta), ...ranges]));
      const meta = responses![0].response_range!.kvs?.[0];
      // Without it there are no rows either: the cluster has lost its data.
      const base = meta === undefined ? 0 : numberOf(meta.value!);
      let longest = 1;
      readers.forEach(({ name, done }, i) => {
        const found = responses![i + 1].response_range!.kvs?.[0];
        const { value, mod_revision } = found ?? {};
        longest = Math.max(longest, value?.length ?? 0);
        done(found && { name, content: rowContent(name, decode(value)), version: base + Number(mod_revision) });
      });
      this.#longest = Math.max(longest, Math.floor(this.#longest / 2));
    } catch (error) {
      const failure = clusterError(error);
      for (const { failed } of readers) failed(failure);
    }
  }
}
