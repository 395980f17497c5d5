/**
 * Requests to etcd and its answers, in the JSON of its HTTP gateway: keys and values in base64, 64-bit numbers as
 * strings, and every value that is false, 0 or empty omitted.
 *
 * Writes share one transaction, a batch. It first compares its writer's marker, a key of the table, with the revision
 * the writer last saw, and then writes the marker. So if a batch is sent several times, even to several nodes, etcd
 * executes it at most once; and the marker, whose value starts with the batch's number, shows which one was executed.
 */

import { Buffer } from "node:buffer";

/** Operations in one transaction, unless the nodes have another `--max-txn-ops`. */
export const MAX_OPERATIONS = 128;
/** The number of rows that fit a transaction beside its marker, with etcd's default limit. */
export const MAX_WRITES = MAX_OPERATIONS - 2;
/** The same if every row may fail: the marker then needs a compare for each row. */
export const MAX_UNSURE_WRITES = MAX_OPERATIONS / 2 - 1;
/** The number of new rows that fit a transaction if its marker exists, with etcd's default limit. */
export const MAX_ROWS = MAX_OPERATIONS - 1;

export interface KeyValue {
  readonly key: string;
  /** Omitted if it is empty or was not requested. */
  readonly value?: string;
  /** The revision of the key's last write. */
  readonly mod_revision: string;
}

export interface RangeAnswer {
  /** The keys, sorted. */
  readonly kvs?: readonly KeyValue[];
  /** The number of keys in the range, regardless of the request's limit. */
  readonly count?: string;
}

export interface OperationAnswer {
  readonly response_range?: RangeAnswer;
  /** With the key's previous value after {@linkcode replace}. */
  readonly response_put?: { readonly prev_kv?: KeyValue };
  readonly response_delete_range?: { readonly deleted?: string };
  readonly response_txn?: TxnAnswer;
}

/** The answer to a transaction, or to one that is nested and has no header. */
export interface TxnAnswer {
  /** The cluster's revision after it. */
  readonly header: { readonly revision: string };
  /** Whether all compares held. */
  readonly succeeded?: boolean;
  readonly responses?: readonly OperationAnswer[];
}

export function encode(text: string): string {
  return Buffer.from(text).toString("base64");
}

/** Decodes text from base64, without its first bytes. */
export function decode(base64 = "", skippedBytes = 0): string {
  return Buffer.from(base64, "base64").toString("utf8", skippedBytes);
}

/** The keys of one table, in base64, all under its prefix, which ends in `/` or is empty. */
export class TableKeys {
  /** The key of the base of versions: version = base + revision. */
  readonly meta: string;
  /** The range of the rows' keys: its first key, and the first key after it. */
  readonly rows: readonly [start: string, end: string];
  readonly markers: readonly [start: string, end: string];

  constructor(private readonly prefix: string) {
    this.meta = encode(`${prefix}meta`);
    // "0" follows "/" in ASCII.
    this.rows = [encode(`${prefix}r/`), encode(`${prefix}r0`)];
    this.markers = [encode(`${prefix}m/`), encode(`${prefix}m0`)];
  }

  row(name: string): string {
    return encode(`${this.prefix}r/${name}`);
  }

  nameOf(key: string): string {
    return decode(key, Buffer.byteLength(this.prefix) + 2);
  }

  /** Returns the key that directly follows this one. */
  after(key: string): string {
    return Buffer.concat([Buffer.from(key, "base64"), Buffer.of(0)]).toString("base64");
  }

  marker(writer: string): string {
    return encode(`${this.prefix}m/${writer}`);
  }
}

/** Compares: the key's last write has this revision; 0 means that the key is absent. */
export function writtenAt(key: string, revision: number): string {
  return `{"key":"${key}","target":"MOD","mod_revision":"${revision}"}`;
}

function notWrittenAt(key: string, revision: number): string {
  return `{"key":"${key}","target":"MOD","result":"NOT_EQUAL","mod_revision":"${revision}"}`;
}

/** Compares: no key in the range was written after this revision. */
function unchangedSince([start, end]: readonly [string, string], revision: number): string {
  return `{"key":"${start}","range_end":"${end}","target":"MOD","result":"LESS","mod_revision":"${revision + 1}"}`;
}

export function put(key: string, value: string): string {
  return `{"request_put":{"key":"${key}","value":"${value}"}}`;
}

/** Returns an operation that writes a key and returns its previous value. */
export function replace(key: string, value: string): string {
  return `{"request_put":{"key":"${key}","value":"${value}","prev_kv":true}}`;
}

export function remove(key: string): string {
  return `{"request_delete_range":{"key":"${key}"}}`;
}

interface RangeOptions {
  /** The first key after the range; by default the range is a single key. */
  readonly range_end?: string;
  readonly limit?: number;
  /** The revision to read; by default the latest. */
  readonly revision?: number;
  readonly keys_only?: boolean;
  readonly count_only?: boolean;
  readonly sort_target?: "MOD";
  readonly sort_order?: "DESCEND";
}

export function range(key: string, options?: RangeOptions): string {
  return `{"request_range":${rangeRequest(key, options)}}`;
}

/** Returns an operation that reads the latest marker, without its value. Its revision is the table's. */
export function latestMarker({ markers: [start, range_end] }: TableKeys, revision?: number): string {
  return range(start, { range_end, revision, limit: 1, keys_only: true, sort_target: "MOD", sort_order: "DESCEND" });
}

export function rangeRequest(key: string, options?: RangeOptions): string {
  return JSON.stringify({ key, ...options });
}

function nested(compares: readonly string[], then: readonly string[], otherwise: readonly string[] = []): string {
  return `{"request_txn":${transaction(compares, then, otherwise)}}`;
}

/** Returns a transaction, which executes the first operations if all compares hold, and the others if not. */
export function transaction(
  compares: readonly string[],
  then: readonly string[],
  otherwise: readonly string[] = [],
): string {
  return `{"compare":[${compares.join()}],"success":[${then.join()}],"failure":[${otherwise.join()}]}`;
}

/** A write of one row, which must have the expected version, 0 for no row; by default any. The value is in base64. */
export type RowWrite =
  & { readonly key: string; readonly expected?: number }
  & ({ readonly kind: "put"; readonly value: string } | { readonly kind: "remove" });

/** New rows, inserted all or none. The table must have the expected revision; by default any. */
export interface Insertion {
  readonly kind: "insert";
  readonly keys: readonly string[];
  /** In base64. */
  readonly values: readonly string[];
  readonly expected?: number;
}

/** The result of a {@linkcode RowWrite}: whether it was done, and whether the row existed before. */
export interface Outcome {
  readonly done: boolean;
  readonly existed: boolean;
}

/** Returns how many rows to try after this many were too many; `undefined` if fewer do not help. */
export function fewerRows(rows: number): number | undefined {
  if (rows > MAX_ROWS) return MAX_ROWS;
  return rows > 1 ? Math.floor(rows / 2) : undefined;
}

/** Whether a write cannot fail, whatever the row's state. */
export function isSure(write: RowWrite): boolean {
  return write.kind === "put" && write.expected === undefined;
}

/** What a batch checks and writes beside its rows. */
export interface BatchContext {
  readonly keys: TableKeys;
  readonly marker: string;
  /** The revision of the marker's last write; 0 if it does not exist. */
  readonly revision: number;
  /** The marker's new value, in base64. */
  readonly value: string;
  /** The base, which `meta` must hold: version = base + revision. */
  readonly base: number;
}

/** Returns a transaction that a writer's marker guards. If it is not executed, its answer has the marker and `meta`. */
export function guarded(
  { keys, marker, revision, base }: BatchContext,
  operations: readonly string[],
  compares: readonly string[] = [],
): string {
  const guards = [writtenAt(marker, revision)];
  // A marker that exists proves that meta is unchanged.
  if (revision === 0) guards.push(`{"key":"${keys.meta}","target":"VALUE","value":"${encode(String(base))}"}`);
  return transaction([...guards, ...compares], operations, [range(marker), range(keys.meta)]);
}

/** Whether the guards held although the transaction was not executed, so that another of its compares failed. */
export function guardsHold([marker, meta]: readonly OperationAnswer[], { revision, base }: BatchContext): boolean {
  const written = Number(marker.response_range!.kvs?.[0].mod_revision ?? 0);
  return written === revision && decode(meta.response_range!.kvs?.[0].value) === String(base);
}

/** Writes different rows, and the marker only if a row changes, because the latest marker's revision is the table's. */
export function batchRequest(writes: readonly RowWrite[], context: BatchContext): string {
  const { marker, value, base } = context;
  const mark = put(marker, value);
  const operations = writes.map((write) => operationOf(write, base));
  const first = writes.some(isSure) ? mark : nested(writes.map((write) => failing(write, base)), [], [mark]);
  return guarded(context, [first, ...operations]);
}

/** Whether a batch wrote its marker, from its first answer. */
export function wasMarked({ response_put, response_txn }: OperationAnswer): boolean {
  return response_put !== undefined || response_txn !== undefined && !response_txn.succeeded;
}

function operationOf(write: RowWrite, base: number): string {
  const { key, expected } = write;
  if (expected === undefined) return write.kind === "put" ? replace(key, write.value) : remove(key);
  const operation = write.kind === "put" ? put(key, write.value) : remove(key);
  return nested([writtenAt(key, revisionOf(expected, base))], [operation]);
}

/** Compares: the write fails. */
function failing({ key, expected }: RowWrite, base: number): string {
  // Only a removal may fail without an expected version: it needs a row.
  return expected === undefined ? writtenAt(key, 0) : notWrittenAt(key, revisionOf(expected, base));
}

/** Returns the revision of a version: 0 for no row; -1, which no key has, for a version of an earlier cluster. */
function revisionOf(version: number, base: number): number {
  if (version === 0) return 0;
  return version > base ? version - base : -1;
}

export function outcomeOf({ kind, expected }: RowWrite, answer: OperationAnswer): Outcome {
  if (expected !== undefined) return { done: answer.response_txn?.succeeded === true, existed: expected !== 0 };
  if (kind === "put") return { done: true, existed: answer.response_put?.prev_kv !== undefined };
  const removed = answer.response_delete_range?.deleted !== undefined;
  return { done: removed, existed: removed };
}

/** Returns the result of a write from its row before the transaction, which is what the compares saw. */
export function outcomeAfter({ kind, expected }: RowWrite, before: KeyValue | undefined, base: number): Outcome {
  const existed = before !== undefined;
  if (expected === undefined) return { done: existed || kind === "put", existed };
  return { done: Number(before?.mod_revision ?? 0) === revisionOf(expected, base), existed };
}

/** Returns a transaction with new rows, none of which may exist. */
export function insertionRequest({ keys, values, expected }: Insertion, context: BatchContext): string {
  const { marker, value, base } = context;
  const compares = keys.map((key) => writtenAt(key, 0));
  if (expected !== undefined) compares.push(unchangedSince(context.keys.markers, Math.max(expected - base, -1)));
  return guarded(context, [put(marker, value), ...keys.map((key, i) => put(key, values[i]))], compares);
}
