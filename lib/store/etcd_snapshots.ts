/**
 * A cluster's table as it was at one revision, read page by page. It holds nothing in the cluster: a listing that takes
 * so long that its revision is compacted meanwhile ends with an error.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { octetString } from "../bytes.ts";
import { type Page, type Place, type Snapshot, START, StoreError } from "../store.ts";
import { FAIR_TURNS } from "../turns.ts";
import { clusterError, type EtcdCluster, numberOf } from "./etcd_cluster.ts";
import { parseAnswer } from "./etcd_gateway.ts";
import {
  decode,
  type KeyValue,
  range,
  type RangeAnswer,
  rangeRequest,
  transaction,
  type TxnAnswer,
} from "./etcd_messages.ts";
import { latestMarkerRange } from "./etcd_reads.ts";

/** Bytes that are read of a node's answer with a page; the rest is asked for again. */
const CLUSTER_PAGE_ANSWER_BYTES = 4 * 1024 * 1024;

/** Bytes of rows on a page, give or take one row. */
const CLUSTER_PAGE_BYTES = 1024 * 1024;

/** Rows on a page: each page costs the nodes as much as all rows behind it. */
const CLUSTER_PAGE_ROWS = 10_000;

/** How many times as many rows a page may have as the page before it. */
const CLUSTER_PAGE_GROWTH = 4;

/** Rows on the first page of a listing from a cluster. */
const CLUSTER_FIRST_PAGE_ROWS = 256;

/** How long it may take for a page of a listing. */
const CLUSTER_PAGE_TRY_MS = 10_000;

/** Rows that are decoded before others have their turn. */
const STEP_ROWS = 500;
/** What stands between two keys of an answer, and nowhere else in it. */
const BETWEEN_KEYS = '"},{"';

/** Takes the table as it is now: all who ask while another one is being taken share the next. */
export class SharedSnapshots {
  readonly #cluster: EtcdCluster;
  #current: Promise<unknown> | undefined;
  #next: Promise<Snapshot> | undefined;

  /** Takes snapshots of this cluster's table. */
  constructor(cluster: EtcdCluster) {
    this.#cluster = cluster;
  }

  /** The table as it is now. */
  take(): Promise<Snapshot> {
    if (this.#next !== undefined) return this.#next;
    if (this.#current === undefined) return this.#start();
    const start = () => {
      this.#next = undefined;
      return this.#start();
    };
    return this.#next = this.#current.then(start, start);
  }

  #start(): Promise<Snapshot> {
    const taken = takeSnapshot(this.#cluster).finally(() => {
      if (this.#current === taken) this.#current = undefined;
    });
    this.#current = taken;
    return taken;
  }
}

/** Where a page starts, and how many rows it is asked for. */
interface PageStart {
  readonly key: string;
  readonly rows: number;
}

/** Rows of an answer, as they came. */
interface Rows {
  readonly kvs: readonly KeyValue[];
  /** How long the answer was. */
  readonly bytes: number;
}

async function takeSnapshot(cluster: EtcdCluster): Promise<Snapshot> {
  const { keys: { meta, rows: [start, end] } } = cluster;
  const body = transaction([], [
    range(meta),
    latestMarkerRange(cluster),
    range(start, { range_end: end, count_only: true }),
    range(start, { range_end: end, limit: CLUSTER_FIRST_PAGE_ROWS }),
  ]);
  try {
    for (;;) {
      const { answer, bytes } = await askForRows<TxnAnswer>(cluster, "/v3/kv/txn", body, "]}}]}");
      const [base, marker, count, first] = answer.responses!.map(({ response_range }) => response_range!);
      if (base.kvs !== undefined) {
        const table = {
          at: Number(answer.header.revision),
          revision: numberOf(base.kvs[0].value!) + Number(marker.kvs?.[0].mod_revision ?? 0),
          total: Number(count.count ?? 0),
        };
        return new EtcdSnapshot(cluster, table, { kvs: first.kvs ?? [], bytes });
      }
      await cluster.reopen();
    }
  } catch (error) {
    throw clusterError(error);
  }
}

/** A table at one revision. */
class EtcdSnapshot implements Snapshot {
  readonly revision: number;
  readonly total: number;
  readonly #cluster: EtcdCluster;
  /** The cluster's revision. */
  readonly #at: number;
  readonly #first: Rows;
  /** Where the pages start that come next, by the number of rows before them. */
  readonly #starts = new Map<number, PageStart>();

  constructor(cluster: EtcdCluster, table: { at: number; revision: number; total: number }, first: Rows) {
    this.#cluster = cluster;
    this.#at = table.at;
    this.revision = table.revision;
    this.total = table.total;
    this.#first = first;
  }

  async json(cursor: number): Promise<Page<string>> {
    const { content, next } = await this.#page(cursor);
    const before = cursor === START ? "{" : ",";
    return { content: `${before}${content.join(",")}${next === undefined ? "}" : ""}`, next };
  }

  /** A page is found only from the one before. */
  seek(): Place {
    return { cursor: START, row: 0 };
  }

  close(): void {}

  async #page(cursor: number): Promise<Page<string[]>> {
    const { keys } = this.#cluster;
    const asked = this.#starts.get(cursor)?.rows ?? CLUSTER_FIRST_PAGE_ROWS;
    const { kvs, bytes } = cursor === START ? this.#first : await this.#read(this.#starts.get(cursor)!);
    const content: string[] = [];
    let size = 0;
    for (const { key, value } of kvs) {
      const json = decode(value);
      if (content.length > 0 && size + json.length > CLUSTER_PAGE_BYTES) break;
      size += json.length;
      content.push(`${JSON.stringify(keys.nameOf(key))}:${json}`);
      if (content.length % STEP_ROWS === 0) await FAIR_TURNS.yieldIfBusy();
    }
    const next = cursor + content.length;
    if (next >= this.total) return { content, next: undefined };
    // The cluster's count and its rows are of one revision.
    if (content.length === 0) throw new StoreError("unavailable", "The table's cluster has left out rows");
    this.#starts.set(next, {
      key: keys.after(kvs[content.length - 1].key),
      rows: pageRows(asked, kvs.length, bytes, size / content.length),
    });
    return { content, next };
  }

  async #read({ key, rows }: PageStart): Promise<Rows> {
    const { keys: { rows: [, end] } } = this.#cluster;
    const body = rangeRequest(key, { range_end: end, limit: rows, revision: this.#at });
    try {
      const { answer, bytes } = await askForRows<RangeAnswer>(this.#cluster, "/v3/kv/range", body, "]}");
      return { kvs: answer.kvs ?? [], bytes };
    } catch (error) {
      throw clusterError(error);
    }
  }
}

/** How many rows the next page is asked for: as many as fit if they are like those of the last one. */
function pageRows(asked: number, answered: number, answerBytes: number, rowBytes: number): number {
  const fitting = Math.min(CLUSTER_PAGE_BYTES / rowBytes, CLUSTER_PAGE_ANSWER_BYTES / (answerBytes / answered));
  return Math.max(1, Math.min(Math.floor(fitting), asked * CLUSTER_PAGE_GROWTH, CLUSTER_PAGE_ROWS));
}

/** Asks for keys, and reads no more of the answer than a page may have: keys behind that are left out. */
function askForRows<T>(
  cluster: EtcdCluster,
  path: string,
  body: string,
  ending: string,
): Promise<{ answer: T; bytes: number }> {
  return cluster.ask(path, body, {
    tryMs: CLUSTER_PAGE_TRY_MS,
    waitMs: CLUSTER_PAGE_TRY_MS,
    read: async (response) => {
      const pieces: Uint8Array[] = [];
      let bytes = 0;
      // Base64 and digits are ASCII.
      const text = () => octetString(Buffer.concat(pieces));
      for await (const piece of response.body!) {
        pieces.push(piece);
        bytes += piece.length;
        if (bytes < CLUSTER_PAGE_ANSWER_BYTES) continue;
        const soFar = text();
        const end = soFar.lastIndexOf(BETWEEN_KEYS);
        if (end >= 0) return { answer: JSON.parse(soFar.slice(0, end + 2) + ending), bytes: end };
      }
      return { answer: parseAnswer(text()), bytes };
    },
  });
}
