/**
 * What is sent to etcd and comes back, as its HTTP/JSON gateway has it: keys and values in base64, 64-bit numbers as
 * text, and whatever is false, 0 or empty left out.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/** A key and its value at some revision. */
export interface KeyValue {
  /** The key, in base64. */
  readonly key: string;
  /** The value, in base64; left out where it is empty, or was not asked for. */
  readonly value?: string;
  /** The revision of the transaction that wrote the key last. */
  readonly mod_revision: string;
}

/** The keys in a range. */
export interface RangeAnswer {
  /** The keys, in their order. */
  readonly kvs?: readonly KeyValue[];
  /** How many there are, also where fewer were asked for. */
  readonly count?: string;
}

/** What came of one operation of a transaction. */
export interface OperationAnswer {
  /** The keys that were read. */
  readonly response_range?: RangeAnswer;
  /** A key was written; what it had before, if that was asked for. */
  readonly response_put?: { readonly prev_kv?: KeyValue };
  /** How many keys were removed. */
  readonly response_delete_range?: { readonly deleted?: string };
  /** What came of a transaction in it. */
  readonly response_txn?: TxnAnswer;
}

/** What came of a transaction. */
export interface TxnAnswer {
  /** The cluster's revision after it; a nested transaction has none. */
  readonly header: { readonly revision: string };
  /** Whether all of its compares held, so that its first list of operations was done, and not its second. */
  readonly succeeded?: boolean;
  /** What came of each of its operations. */
  readonly responses?: readonly OperationAnswer[];
}

/** Text in base64. */
export function encode(text: string): string {
  return Buffer.from(text).toString("base64");
}

/** The text that base64 stands for, without its first bytes. */
export function decode(base64 = "", skippedBytes = 0): string {
  const bytes = Buffer.from(base64, "base64");
  return bytes.toString("utf8", skippedBytes);
}

/** The keys of one table, in base64, all under its prefix. */
export class TableKeys {
  /** The number that is added to etcd's revisions to make versions. */
  readonly meta: string;
  /** The first key that may be a row's, and the first one behind them. */
  readonly rows: readonly [start: string, end: string];
  /** The same for the markers of writing lanes. */
  readonly markers: readonly [start: string, end: string];
  readonly #prefix: string;
  readonly #rowPrefixBytes: number;

  /** The keys below a prefix, which ends in `/`, or is empty. */
  constructor(prefix: string) {
    this.#prefix = prefix;
    this.#rowPrefixBytes = Buffer.byteLength(prefix) + 2;
    this.meta = encode(`${prefix}meta`);
    // "0" is the character behind "/".
    this.rows = [encode(`${prefix}r/`), encode(`${prefix}r0`)];
    this.markers = [encode(`${prefix}m/`), encode(`${prefix}m0`)];
  }

  /** A row's key. */
  row(name: string): string {
    return encode(`${this.#prefix}r/${name}`);
  }

  /** The name of the row that has this key. */
  nameOf(key: string): string {
    return decode(key, this.#rowPrefixBytes);
  }

  /** The first key behind this one. */
  after(key: string): string {
    return Buffer.concat([Buffer.from(key, "base64"), Buffer.of(0)]).toString("base64");
  }

  /** The key of a lane's marker. */
  marker(lane: string): string {
    return encode(`${this.#prefix}m/${lane}`);
  }
}

/** A compare that holds if the key was last written at this revision; 0 stands for a key that is not there. */
export function writtenAt(key: string, revision: number): string {
  return `{"key":"${key}","target":"MOD","mod_revision":"${revision}"}`;
}

/** A compare that holds if the key was not last written at this revision. */
export function notWrittenAt(key: string, revision: number): string {
  return `{"key":"${key}","target":"MOD","result":"NOT_EQUAL","mod_revision":"${revision}"}`;
}

/** A compare that holds if no key in the range was written after this revision. */
export function unchangedSince([start, end]: readonly [string, string], revision: number): string {
  return `{"key":"${start}","range_end":"${end}","target":"MOD","result":"LESS","mod_revision":"${revision + 1}"}`;
}

/** A compare that holds if the key has this value. */
export function hasValue(key: string, value: string): string {
  return `{"key":"${key}","target":"VALUE","value":"${value}"}`;
}

/** An operation that writes a key. */
export function put(key: string, value: string): string {
  return `{"request_put":{"key":"${key}","value":"${value}"}}`;
}

/** An operation that writes a key, and answers with what it had before. */
export function replace(key: string, value: string): string {
  return `{"request_put":{"key":"${key}","value":"${value}","prev_kv":true}}`;
}

/** An operation that removes a key. */
export function remove(key: string): string {
  return `{"request_delete_range":{"key":"${key}"}}`;
}

/** What a range is asked for, beside its first key. */
export interface RangeOptions {
  /** The first key behind the range; left out, it is the one key. */
  readonly range_end?: string;
  /** The most keys that are given. */
  readonly limit?: number;
  /** The revision at which they are given; left out, the latest. */
  readonly revision?: number;
  /** Whether values are left out. */
  readonly keys_only?: boolean;
  /** Whether only their number is given. */
  readonly count_only?: boolean;
  /** What they are sorted by; left out, by key. */
  readonly sort_target?: "MOD";
  /** In which order. */
  readonly sort_order?: "DESCEND";
}

/** An operation that reads keys. */
export function range(key: string, options: RangeOptions = {}): string {
  return `{"request_range":${rangeRequest(key, options)}}`;
}

/** A request that reads keys. */
export function rangeRequest(key: string, options: RangeOptions): string {
  return JSON.stringify({ key, ...options });
}

/** An operation that is a transaction in a transaction. */
export function nested(compares: readonly string[], then: readonly string[], otherwise: readonly string[]): string {
  return `{"request_txn":${transaction(compares, then, otherwise)}}`;
}

/** A transaction: operations that are done if all of the compares hold, and others that are done if not. */
export function transaction(
  compares: readonly string[],
  then: readonly string[],
  otherwise: readonly string[] = [],
): string {
  return `{"compare":[${compares.join()}],"success":[${then.join()}],"failure":[${otherwise.join()}]}`;
}
