/**
 * Reads of a cluster's table: single rows, and the whole table at one revision.
 *
 * Reads that wait at the same time share a transaction, which sees every write that was answered before it was sent,
 * through whatever server. A listing holds nothing in the cluster: if its revision is compacted before it ends, it ends
 * with an error.
 */

import { Buffer, isUtf8 } from "node:buffer";
import { octetString } from "../bytes.ts";
import { isObject, JSON_PIECE_BYTES, memberSpans, parsedJson } from "../json.ts";
import { notARow, type Portion, type Row, rowContent, type Snapshot, START, unavailable } from "../store.ts";
import { FAIR_TURNS } from "../turns.ts";
import { Batches } from "./batches.ts";
import { clusterError, type EtcdCluster, numberOf } from "./etcd_cluster.ts";
import { parseAnswer } from "./etcd_gateway.ts";
import * as etcd from "./etcd_messages.ts";

/** Base64 that one transaction reads, estimated from the rows read before. */
const MAX_READ_BYTES = 8 * 1024 * 1024;
/** Rows in one transaction, beside `meta`. */
const MAX_READS = etcd.MAX_OPERATIONS - 1;
/** Bytes that are read of an answer with a portion. Rows after that are requested again. */
const MAX_PORTION_ANSWER_BYTES = 4 * 1024 * 1024;
/** Characters of a portion, except for one with a single row. */
const PORTION_CHARACTERS = 1024 * 1024;
/** Rows in a portion. Each portion costs the nodes as much as all rows after it, so portions should be large. */
const MAX_PORTION_ROWS = 10_000;
/** Rows in the first portion, before their size is known. */
const FIRST_PORTION_ROWS = 256;
/** How many times as many rows a portion may have as the one before: they may be larger. */
const PORTION_GROWTH = 4;
/** Rows that are decoded before other clients have their turn. */
const STEP_ROWS = 500;
/** What separates two keys in an answer, and occurs nowhere else in it. */
const BETWEEN_KEYS = '"},{"';

/** Returns what reads the rows of names, in one transaction all that wait. */
export function batchedReads(cluster: EtcdCluster): Batches<string, Row | undefined> {
  const { keys } = cluster;
  /** The size of the longest row read recently, in base64. */
  let longest = 1;

  async function read(names: readonly string[]): Promise<(Row | Error | undefined)[]> {
    const ranges = names.map((name) => etcd.range(keys.row(name)));
    const { responses } = await cluster.transact(etcd.transaction([], [etcd.range(keys.meta), ...ranges]));
    const [meta, ...rows] = responses!.map(({ response_range }) => response_range!.kvs?.[0]);
    // Without meta there are no rows either: the cluster has lost its data.
    const base = meta === undefined ? 0 : numberOf(meta.value!);
    longest = Math.max(1, Math.floor(longest / 2), ...rows.map((row) => row?.value?.length ?? 0));
    return rows.map((row, i) => {
      if (row === undefined) return undefined;
      const name = names[i];
      const json = objectIn(row.value);
      if (json === undefined) return notARow(name);
      return { name, content: rowContent(name, json), version: base + Number(row.mod_revision) };
    });
  }

  return new Batches(
    (waiting) => waiting.splice(0, Math.min(MAX_READS, Math.max(1, Math.floor(MAX_READ_BYTES / longest)))),
    (batch) => read(batch.map(({ item }) => item)).catch(forClient),
  );
}

/** Returns what takes snapshots: calls that wait for one being taken share the next. */
export function sharedSnapshots(cluster: EtcdCluster): Batches<void, Snapshot> {
  return new Batches((waiting) => waiting.splice(0), async (batch) => {
    const snapshot = await takeSnapshot(cluster).catch(forClient);
    return batch.map(() => snapshot);
  });
}

async function takeSnapshot(cluster: EtcdCluster): Promise<Snapshot> {
  const { keys, keys: { rows: [start, range_end] } } = cluster;
  const { header, responses } = await readRows(cluster, [
    etcd.range(keys.meta),
    etcd.latestMarker(keys),
    etcd.range(start, { range_end, count_only: true }),
    etcd.range(start, { range_end, limit: FIRST_PORTION_ROWS }),
  ]);
  const [meta, marker, count, first] = responses!.map(({ response_range }) => response_range!);
  if (meta.kvs === undefined) {
    await cluster.reopen();
    return await takeSnapshot(cluster);
  }
  const total = Number(count.count ?? 0);
  /** The keys of portions, each found from the one before, by the number of rows before them. */
  const portions = new Map([[START, () => Promise.resolve(first.kvs ?? [])]]);

  async function json(cursor: number, isFirst = cursor === START): Promise<Portion<string>> {
    const kvs = await portions.get(cursor)!();
    const members: string[] = [];
    let rows = 0;
    let size = 0;
    for (const { key, value } of kvs) {
      const object = objectIn(value);
      const member = object === undefined ? "" : `${JSON.stringify(keys.nameOf(key))}:${object}`;
      if (rows > 0 && size + member.length > PORTION_CHARACTERS) break;
      size += member.length;
      if (object !== undefined) members.push(member);
      if (++rows % STEP_ROWS === 0) await FAIR_TURNS.yieldIfBusy();
    }
    const end = cursor + rows;
    const next = end < total ? end : undefined;
    if (next !== undefined) {
      // The count and the rows are of the same revision.
      if (rows === 0) throw unavailable("The table's cluster did not return all rows");
      // As many rows as fit if they are of the same size.
      const fitting = Math.max(1, Math.floor(PORTION_CHARACTERS / (size / rows)));
      const limit = Math.min(fitting, PORTION_GROWTH * kvs.length, MAX_PORTION_ROWS);
      const options = { range_end, limit, revision: Number(header.revision) };
      const range = etcd.range(keys.after(kvs[rows - 1].key), options);
      portions.set(next, async () => (await readRows(cluster, [range])).responses![0].response_range!.kvs ?? []);
      // Without a row, the start of the object goes with the next portion.
      if (members.length === 0) return await json(next, isFirst);
    }
    const before = isFirst ? "{" : members.length === 0 ? "" : ",";
    return { content: `${before}${members.join(",")}${next === undefined ? "}" : ""}`, next };
  }

  return {
    revision: numberOf(meta.kvs[0].value!) + Number(marker.kvs?.[0].mod_revision ?? 0),
    total,
    json: (cursor) => json(cursor),
    seek: () => ({ cursor: START, row: 0 }),
    close: () => {},
  };
}

/** Returns a row's value; `undefined` if it is not a JSON object: another program may have written something else. */
function objectIn(value = ""): string | undefined {
  const bytes = Buffer.from(value, "base64");
  const text = bytes.toString();
  // Parsing a short text is faster; a long one would block other clients.
  const isRow = bytes.length <= JSON_PIECE_BYTES ? isObject(parsedJson(text)) : memberSpans(bytes) !== undefined;
  return isRow && isUtf8(bytes) ? text : undefined;
}

/** Runs operations, of which the last one reads rows. Of a long answer, only the first rows are returned. */
function readRows(cluster: EtcdCluster, operations: readonly string[]): Promise<etcd.TxnAnswer> {
  const body = etcd.transaction([], operations);
  return cluster.ask("/v3/kv/txn", body, { isLong: true, read: readPortion }).catch(forClient);
}

function forClient(error: unknown): never {
  throw clusterError(error);
}

async function readPortion(source: AsyncIterable<Uint8Array>): Promise<etcd.TxnAnswer> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  // Base64 and digits are ASCII.
  const text = () => octetString(Buffer.concat(pieces));
  for await (const piece of source) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes < MAX_PORTION_ANSWER_BYTES) continue;
    const soFar = text();
    const end = soFar.lastIndexOf(BETWEEN_KEYS);
    if (end >= 0) return JSON.parse(`${soFar.slice(0, end + 2)}]}}]}`);
  }
  return parseAnswer(text());
}
