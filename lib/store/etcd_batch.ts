/**
 * Writes that share one transaction of etcd, and what came of each.
 *
 * The transaction first compares the marker of the lane that writes it with what the lane saw last, and writes it. So
 * of a transaction that is sent again and again, to one node after the other, one at most is done; and the marker then
 * tells which, for it holds the batch's number.
 *
 * @module
 */

import { CLUSTER_TXN_OPERATIONS } from "../limits.ts";
import {
  hasValue,
  type KeyValue,
  nested,
  notWrittenAt,
  type OperationAnswer,
  put,
  range,
  remove,
  replace,
  transaction,
  writtenAt,
} from "./etcd_messages.ts";

/** What the write of one row is about. */
export interface RowTarget {
  /** The row's key. */
  readonly key: string;
  /** The version that it must have, 0 for no row; left out, any will do. */
  readonly expected?: number;
}

/** One row's write; `value` is the row's value, in base64. */
export type RowWrite =
  & RowTarget
  & ({ readonly kind: "put"; readonly value: string } | { readonly kind: "remove" });

/** New rows, all of them or none. */
export interface Insertion {
  /** Tells it from other writes. */
  readonly kind: "insert";
  /** Their keys. */
  readonly keys: readonly string[];
  /** Their values, in base64. */
  readonly values: readonly string[];
  /** The revision that the table must have; left out, any will do. */
  readonly expected?: number;
}

/** What came of one row's write. */
export interface Outcome {
  /** Whether it was done: what it expected was there. */
  readonly done: boolean;
  /** Whether there was a row before. */
  readonly existed: boolean;
}

/** A lane's marker in the cluster. */
export interface Marker {
  /** Its key. */
  readonly key: string;
  /** The revision at which it was last written; 0 if it is not there. */
  readonly revision: number;
}

/** Writes of single rows that one transaction may have beside the marker, with etcd's own limit. */
export const MOST_WRITES: number = CLUSTER_TXN_OPERATIONS - 2;
/** How many, if none of them is sure to be done: then the marker's compares count too. */
export const MOST_UNSURE_WRITES: number = CLUSTER_TXN_OPERATIONS / 2 - 1;

/** New rows that one transaction may have with etcd's own limit, beside a marker that is there. */
export const MOST_ROWS: number = CLUSTER_TXN_OPERATIONS - 1;

/** Returns how many rows to insert at once after this many were too many; `undefined` if fewer are no help. */
export function fewerRows(rows: number): number | undefined {
  if (rows > MOST_ROWS) return MOST_ROWS;
  return rows > 1 ? Math.floor(rows / 2) : undefined;
}

/** Whether a write is done whatever is there. */
export function isSure(write: RowWrite): boolean {
  return write.kind === "put" && write.expected === undefined;
}

/** What guards a batch: which lane writes it, and what makes versions. */
export interface BatchContext {
  /** The lane's marker, as it was seen last. */
  readonly marker: Marker;
  /** What the marker is set to, in base64. */
  readonly value: string;
  /** The key of the number that makes versions, and the number, in base64. */
  readonly meta: readonly [key: string, base: string];
  /** The number. */
  readonly base: number;
}

/** The compares that guard a batch. A marker that is there proves that `meta` is what it was. */
export function guards({ marker, meta: [key, base] }: BatchContext): string[] {
  const own = writtenAt(marker.key, marker.revision);
  return marker.revision > 0 ? [own] : [own, hasValue(key, base)];
}

/** What a batch that is not done answers with: the marker and `meta`. */
export function found({ marker, meta: [key] }: BatchContext): string[] {
  return [range(marker.key), range(key)];
}

/** Whether these answers are those of a cluster where the guards hold: the batch expected something else. */
export function guardsHold([marker, meta]: readonly OperationAnswer[], context: BatchContext): boolean {
  const revision = Number(marker.response_range!.kvs?.[0].mod_revision ?? 0);
  return revision === context.marker.revision && meta.response_range!.kvs?.[0].value === context.meta[1];
}

/**
 * A transaction with writes of different rows. If none of them is done the marker stays too, for the table's revision
 * is that of the latest marker.
 */
export function batchRequest(writes: readonly RowWrite[], context: BatchContext): string {
  const { marker, value, base } = context;
  const mark = put(marker.key, value);
  const operations = writes.map((write) => operationOf(write, base));
  // That something is done is that not all fail.
  const first = writes.some(isSure) ? mark : nested(writes.map((write) => failing(write, base)), [], [mark]);
  return transaction(guards(context), [first, ...operations], found(context));
}

/** Whether the marker was written, as the first answer of a batch tells. */
export function wasMarked({ response_put, response_txn }: OperationAnswer): boolean {
  return response_put !== undefined || response_txn !== undefined && !response_txn.succeeded;
}

function operationOf(write: RowWrite, base: number): string {
  if (write.kind === "put") {
    if (write.expected === undefined) return replace(write.key, write.value);
    return nested([writtenAt(write.key, revisionOf(write.expected, base))], [put(write.key, write.value)], []);
  }
  if (write.expected === undefined) return remove(write.key);
  return nested([writtenAt(write.key, revisionOf(write.expected, base))], [remove(write.key)], []);
}

/** A compare that holds if the write is not done. */
function failing(write: RowWrite, base: number): string {
  // A removal that expects nothing else expects a row.
  if (write.expected === undefined) return writtenAt(write.key, 0);
  return notWrittenAt(write.key, revisionOf(write.expected, base));
}

/** The revision that a version stands for: 0 for no row, -1, which no key has, for what is of another cluster. */
function revisionOf(version: number, base: number): number {
  if (version === 0) return 0;
  return version > base ? version - base : -1;
}

/** What came of a write, as its part of the answer tells. */
export function outcomeOf(write: RowWrite, answer: OperationAnswer): Outcome {
  if (write.expected !== undefined) {
    const done = answer.response_txn?.succeeded === true;
    return { done, existed: write.expected !== 0 };
  }
  if (write.kind === "put") return { done: true, existed: answer.response_put?.prev_kv !== undefined };
  const removed = answer.response_delete_range?.deleted !== undefined;
  return { done: removed, existed: removed };
}

/** What came of a write, as the row before it tells: the compares of a transaction see the rows as they were. */
export function outcomeAfter(write: RowWrite, before: KeyValue | undefined, base: number): Outcome {
  const existed = before !== undefined;
  if (write.expected === undefined) return { done: existed || write.kind === "put", existed };
  return { done: Number(before?.mod_revision ?? 0) === revisionOf(write.expected, base), existed };
}

/** A transaction with new rows, none of which may be there. */
export function insertionRequest(
  { keys, values, expected }: Insertion,
  unchanged: (revision: number) => string,
  context: BatchContext,
): string {
  const { marker, value, base } = context;
  const compares = [...guards(context), ...keys.map((key) => writtenAt(key, 0))];
  if (expected !== undefined) compares.push(unchanged(Math.max(expected - base, -1)));
  const puts = keys.map((key, i) => put(key, values[i]));
  return transaction(compares, [put(marker.key, value), ...puts], found(context));
}
