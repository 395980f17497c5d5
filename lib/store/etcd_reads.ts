/**
 * Reads of a cluster's table: single rows, and the whole table at one revision.
 *
 * Reads that wait at the same time share a transaction, which sees every write that was answered before it was sent,
 * through whatever server. A listing holds nothing in the cluster: if its revision is compacted before it ends, it ends
 * with an error.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { octetString } from "../bytes.ts";
import { type Page, type Place, type Row, rowContent, type Snapshot, START, StoreError } from "../store.ts";
import { FAIR_TURNS } from "../turns.ts";
import { Batches } from "./batches.ts";
import { clusterError, type EtcdCluster, numberOf } from "./etcd_cluster.ts";
import { parseAnswer } from "./etcd_gateway.ts";
import {
  decode,
  type KeyValue,
  latestMarker,
  MAX_OPERATIONS,
  range,
  transaction,
  type TxnAnswer,
} from "./etcd_messages.ts";

/** Base64 that one transaction reads, estimated from the rows read before. */
const MAX_READ_BYTES = 8 * 1024 * 1024;

/** Rows in one transaction, beside `meta`. */
const MAX_READS = MAX_OPERATIONS - 1;

/** Bytes that are read of an answer with a page. Rows after that are requested again. */
const MAX_PAGE_ANSWER_BYTES = 4 * 1024 * 1024;

/** Characters of a page, except for one with a single row. */
const PAGE_CHARACTERS = 1024 * 1024;

/** Rows on a page. Each page costs the nodes as much as all rows after it, so pages should be large. */
const MAX_PAGE_ROWS = 10_000;

/** Rows on the first page, before their size is known. */
const FIRST_PAGE_ROWS = 256;

/** How many times as many rows a page may have as the one before: they may be larger. */
const PAGE_GROWTH = 4;

/** How long one attempt to read a page may take. */
const PAGE_TRY_MS = 10_000;

/** Rows that are decoded before other clients have their turn. */
const STEP_ROWS = 500;

/** What separates two keys in an answer, and occurs nowhere else in it. */
const BETWEEN_KEYS = '"},{"';

interface WaitingRead extends PromiseWithResolvers<Row | undefined> {
  readonly name: string;
}

/** Reads single rows, with one transaction after another. */
export class BatchedReads {
  readonly #cluster: EtcdCluster;
  readonly #batches: Batches<WaitingRead>;
  /** The size of the longest row read recently, in base64. */
  #longest = 1;

  constructor(cluster: EtcdCluster) {
    this.#cluster = cluster;
    this.#batches = new Batches("reads wait for the table's cluster", (waiting) => {
      return waiting.splice(0, Math.min(MAX_READS, Math.max(1, Math.floor(MAX_READ_BYTES / this.#longest))));
    }, (batch) => this.#read(batch));
  }

  get(name: string): Promise<Row | undefined> {
    const read = { name, ...Promise.withResolvers<Row | undefined>() };
    this.#batches.add(read);
    return read.promise;
  }

  async #read(reads: readonly WaitingRead[]): Promise<void> {
    const { keys } = this.#cluster;
    try {
      const ranges = reads.map(({ name }) => range(keys.row(name)));
      const { responses } = await this.#cluster.transact(transaction([], [range(keys.meta), ...ranges]));
      const meta = responses![0].response_range!.kvs?.[0];
      // Without meta there are no rows either: the cluster has lost its data.
      const base = meta === undefined ? 0 : numberOf(meta.value!);
      let longest = 1;
      reads.forEach(({ name, resolve }, i) => {
        const found = responses![i + 1].response_range!.kvs?.[0];
        const { value, mod_revision } = found ?? {};
        longest = Math.max(longest, value?.length ?? 0);
        resolve(found && { name, content: rowContent(name, decode(value)), version: base + Number(mod_revision) });
      });
      this.#longest = Math.max(longest, Math.floor(this.#longest / 2));
    } catch (error) {
      const failure = clusterError(error);
      for (const { reject } of reads) reject(failure);
    }
  }
}

/** Returns the table as of now. */
export async function takeSnapshot(cluster: EtcdCluster): Promise<Snapshot> {
  const { keys, keys: { rows: [start, range_end] } } = cluster;
  const operations = [
    range(keys.meta),
    latestMarker(keys),
    range(start, { range_end, count_only: true }),
    range(start, { range_end, limit: FIRST_PAGE_ROWS }),
  ];
  for (;;) {
    const { header, responses } = await readRows(cluster, operations);
    const [meta, marker, count, first] = responses!.map(({ response_range }) => response_range!);
    if (meta.kvs !== undefined) {
      const revision = numberOf(meta.kvs[0].value!) + Number(marker.kvs?.[0].mod_revision ?? 0);
      const table = { revision, total: Number(count.count ?? 0), at: header.revision, first: first.kvs ?? [] };
      return new EtcdSnapshot(cluster, table);
    }
    await cluster.reopen().catch((error) => Promise.reject(clusterError(error)));
  }
}

/** Where a page starts, and how many rows to request. */
interface PageStart {
  readonly key: string;
  readonly limit: number;
}

/** The table at one revision. */
class EtcdSnapshot implements Snapshot {
  readonly revision: number;
  readonly total: number;
  readonly #cluster: EtcdCluster;
  /** The cluster's revision. */
  readonly #at: number;
  readonly #first: readonly KeyValue[];
  /** The pages after those that were read, by the number of rows before them. */
  readonly #starts = new Map<number, PageStart>();

  constructor(
    cluster: EtcdCluster,
    { revision, total, at, first }: { revision: number; total: number; at: string; first: readonly KeyValue[] },
  ) {
    this.#cluster = cluster;
    this.#at = Number(at);
    this.revision = revision;
    this.total = total;
    this.#first = first;
  }

  async json(cursor: number): Promise<Page<string>> {
    const { keys } = this.#cluster;
    const kvs = cursor === START ? this.#first : await this.#read(this.#starts.get(cursor)!);
    const members: string[] = [];
    let size = 0;
    for (const { key, value } of kvs) {
      const member = `${JSON.stringify(keys.nameOf(key))}:${decode(value)}`;
      if (members.length > 0 && size + member.length > PAGE_CHARACTERS) break;
      size += member.length;
      members.push(member);
      if (members.length % STEP_ROWS === 0) await FAIR_TURNS.yieldIfBusy();
    }
    const end = cursor + members.length;
    const next = end < this.total ? end : undefined;
    if (next !== undefined) {
      // The count and the rows are of the same revision.
      if (members.length === 0) throw new StoreError("unavailable", "The table's cluster did not return all rows");
      // As many rows as fit if they are of the same size.
      const fitting = Math.max(1, Math.floor(PAGE_CHARACTERS / (size / members.length)));
      const limit = Math.min(fitting, PAGE_GROWTH * kvs.length, MAX_PAGE_ROWS);
      this.#starts.set(next, { key: keys.after(kvs[members.length - 1].key), limit });
    }
    const start = cursor === START ? "{" : ",";
    return { content: `${start}${members.join(",")}${next === undefined ? "}" : ""}`, next };
  }

  /** A page is found only from the one before. */
  seek(): Place {
    return { cursor: START, row: 0 };
  }

  close(): void {}

  async #read({ key, limit }: PageStart): Promise<readonly KeyValue[]> {
    const { keys: { rows: [, range_end] } } = this.#cluster;
    const { responses } = await readRows(this.#cluster, [range(key, { range_end, limit, revision: this.#at })]);
    return responses![0].response_range!.kvs ?? [];
  }
}

/** Runs operations, of which the last one reads rows. Of a long answer, only the first rows are returned. */
async function readRows(cluster: EtcdCluster, operations: readonly string[]): Promise<TxnAnswer> {
  const times = { tryMs: PAGE_TRY_MS, waitMs: PAGE_TRY_MS };
  try {
    return await cluster.ask("/v3/kv/txn", transaction([], operations), { ...times, read: readPage });
  } catch (error) {
    throw clusterError(error);
  }
}

async function readPage(response: Response): Promise<TxnAnswer> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  // Base64 and digits are ASCII.
  const text = () => octetString(Buffer.concat(pieces));
  for await (const piece of response.body!) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes < MAX_PAGE_ANSWER_BYTES) continue;
    const soFar = text();
    const end = soFar.lastIndexOf(BETWEEN_KEYS);
    if (end >= 0) return JSON.parse(`${soFar.slice(0, end + 2)}]}}]}`);
  }
  return parseAnswer(text());
}
