/**
 * The table in an etcd cluster: many servers share it, and it outlives each of them and a minority of the nodes.
 *
 * Nothing is cached: a read sees every write that was answered before it, through whatever server. Writes that wait at
 * the same time share one transaction, and so do reads, because each transaction needs an agreement among the nodes. A
 * write is done exactly once, or its error says that its outcome is unknown.
 */

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
import { FAIR_TURNS } from "../turns.ts";
import type { Batches } from "./batches.ts";
import { EtcdCluster } from "./etcd_cluster.ts";
import type { GatewayOptions } from "./etcd_gateway.ts";
import { encode, fewerRows, TableKeys } from "./etcd_messages.ts";
import { batchedReads, sharedSnapshots } from "./etcd_reads.ts";
import { EtcdWriter, removeOldMarkers } from "./etcd_writer.ts";

/** Rows that one request may insert, regardless of the nodes' limits: a large transaction delays other clients. */
const MAX_INSERTED_ROWS = 30_000;
/** The size of their values in total, in characters. */
const MAX_INSERTED_BYTES = 32 * 1024 * 1024;
/** Rows that are encoded before other clients have their turn. */
const STEP_ROWS = 500;

export interface EtcdStoreOptions extends GatewayOptions {
  /** The prefix of the table's keys, to which a `/` is added; by default none. */
  readonly prefix?: string;
  /** Receives a line for the operator when the cluster stops answering, and when it answers again. */
  readonly note?: (line: string) => void;
}

export class EtcdStore implements Store {
  readonly #cluster: EtcdCluster;
  readonly #reads: Batches<string, Row | undefined>;
  readonly #writer: EtcdWriter;
  readonly #snapshots: Batches<void, Snapshot>;

  /** Creates the store. The cluster need not answer yet. */
  constructor(options: EtcdStoreOptions) {
    const { prefix, note = () => {} } = options;
    this.#cluster = new EtcdCluster(new TableKeys(prefix === undefined ? "" : `${prefix}/`), options, note);
    this.#reads = batchedReads(this.#cluster);
    this.#snapshots = sharedSnapshots(this.#cluster);
    this.#writer = new EtcdWriter(this.#cluster);
    // What fails is done when the next server starts.
    this.#cluster.answers.then(() => removeOldMarkers(this.#cluster)).catch(() => {});
  }

  get(name: string): Promise<Row | undefined> {
    return this.#reads.add(name);
  }

  async put({ name, json }: NewRow, expected?: number): Promise<Written | undefined> {
    const write = { kind: "put", key: this.#cluster.keys.row(name), value: encode(json), expected } as const;
    const { done, existed, version } = await this.#writer.write(write);
    return done ? { row: { name, content: rowContent(name, json), version }, created: !existed } : undefined;
  }

  async insert(given: NewRows, expected?: number): Promise<readonly string[] | undefined> {
    const rows = "length" in given ? given : (await Array.fromAsync(given)).flat();
    if (rows.length > MAX_INSERTED_ROWS) throw tooLarge(MAX_INSERTED_ROWS);
    // A marker would be a change of the table.
    if (rows.length === 0) {
      return expected === undefined || (await this.snapshot()).revision === expected ? [] : undefined;
    }
    const keys: string[] = [];
    const values: string[] = [];
    let bytes = 0;
    for (const { name, json } of rows) {
      bytes += json.length;
      if (bytes > MAX_INSERTED_BYTES) throw tooLarge(fewerRows(rows.length));
      keys.push(this.#cluster.keys.row(name));
      values.push(encode(json));
      // A few rows are queued at once, before later writes.
      if (keys.length % STEP_ROWS === 0) await FAIR_TURNS.yieldIfBusy();
    }
    const taken = await this.#writer.insert({ kind: "insert", keys, values, expected });
    return taken?.map((i) => rows[i].name);
  }

  async remove(name: string, expected?: number): Promise<boolean> {
    const write = { kind: "remove", key: this.#cluster.keys.row(name), expected } as const;
    return (await this.#writer.write(write)).done;
  }

  snapshot(): Promise<Snapshot> {
    return this.#snapshots.add();
  }

  async close(): Promise<void> {
    await this.#writer.done();
    this.#cluster.close();
  }
}

function tooLarge(maxRows: number | undefined): StoreError {
  const most = `${MAX_INSERTED_ROWS} rows or ${MAX_INSERTED_BYTES / 1024 / 1024} MiB`;
  const detail = `The table's cluster takes fewer rows at once: at most ${most}, and no more than etcd's --max-txn-ops`;
  return new StoreError("too-large", detail, { maxRows });
}
