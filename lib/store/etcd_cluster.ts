/**
 * The cluster that keeps a table, as the parts of the store see it: whether it is there, and the number that makes
 * versions of its revisions.
 *
 * A cluster that does not answer is asked again and again until it does. Meanwhile requests fail at once: clients are
 * told to come back, and none of them waits for nothing.
 *
 * @module
 */

import { CLUSTER_PROBE_MS } from "../limits.ts";
import { StoreError } from "../store.ts";
import { waitFor } from "../turns.ts";
import { fewerRows, MOST_ROWS } from "./etcd_batch.ts";
import { type AskOptions, EtcdError, type EtcdGateway, NO_ETCD } from "./etcd_gateway.ts";
import {
  decode,
  encode,
  type KeyValue,
  put,
  range,
  type RangeAnswer,
  rangeRequest,
  type TableKeys,
  transaction,
  type TxnAnswer,
  writtenAt,
} from "./etcd_messages.ts";

/** How often, where it has refused the user: each time costs it a slow hash. */
const CLUSTER_DENIED_PROBE_MS = 5_000;

/** What a cluster is used with. */
export interface ClusterOptions {
  /** How it is asked. */
  readonly gateway: Pick<EtcdGateway, "ask" | "close">;
  /** The table's keys. */
  readonly keys: TableKeys;
  /** Receives a line for the operator when the cluster goes away and when it is back. */
  readonly report?: (line: string) => void;
  /** A clock in milliseconds since 1970. */
  readonly now?: () => number;
  /** Resolves after so many milliseconds, or when the signal is aborted. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** A cluster that may come and go. */
export class EtcdCluster {
  /** The table's keys. */
  readonly keys: TableKeys;
  readonly #gateway: ClusterOptions["gateway"];
  readonly #report: (line: string) => void;
  readonly #now: () => number;
  readonly #wait: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly #closed = new AbortController();
  #base = "";
  /** Why requests fail at once; `undefined` while they do not. */
  #down: StoreError | undefined;
  /** Resolves once the cluster answers, or the store is closed. */
  #answers: Promise<void>;
  /** Resolves once it was asked for the first time; `undefined` after that. */
  #asked: Promise<void> | undefined;

  /** Asks for the cluster at once. */
  constructor({ gateway, keys, report = () => {}, now = Date.now, wait = waitFor }: ClusterOptions) {
    this.keys = keys;
    this.#gateway = gateway;
    this.#report = report;
    this.#now = now;
    this.#wait = wait;
    const asked = Promise.withResolvers<void>();
    this.#asked = asked.promise.then(() => this.#asked = undefined);
    this.#answers = this.#find(asked.resolve);
  }

  /** What is added to a revision to make a version, as the table's `meta` has it, in base64. */
  get base(): string {
    return this.#base;
  }

  /** Why nothing can be asked now; `undefined` if it can. */
  get down(): StoreError | undefined {
    return this.#down;
  }

  /** Resolves once the cluster was asked for the first time, successfully or not; `undefined` after that. */
  get starting(): Promise<void> | undefined {
    return this.#asked;
  }

  /** Resolves once the cluster answers, or the store is closed. */
  get answers(): Promise<void> {
    return this.#answers;
  }

  /** Aborted once the store is closed. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  /**
   * Runs a transaction.
   *
   * @param unanswered As {@linkcode AskOptions.unanswered}.
   * @throws {EtcdError}
   * @throws {StoreError} If the cluster was not there before.
   */
  transact(body: string, unanswered?: () => void): Promise<TxnAnswer> {
    return this.ask<TxnAnswer>("/v3/kv/txn", body, { unanswered });
  }

  /** Asks the cluster; as {@linkcode EtcdGateway.ask}. */
  async ask<T>(path: string, body: string, options?: AskOptions<T>): Promise<T> {
    if (this.#asked !== undefined) await this.#asked;
    if (this.#down !== undefined) throw this.#down;
    try {
      return await this.#gateway.ask(path, body, options);
    } catch (error) {
      if (error instanceof EtcdError && (error.fault === "unavailable" || error.fault === "denied")) {
        this.#lose(error);
      }
      throw error;
    }
  }

  /** Finds the table's `meta` again: somebody else's cluster may have taken the place of this one. */
  async reopen(): Promise<void> {
    this.#base = await this.#open();
  }

  /** Gives up what is under way. */
  close(): void {
    this.#closed.abort();
    this.#down = new StoreError("unavailable", "The store is closed");
    this.#gateway.close();
  }

  #lose(error: EtcdError): void {
    if (this.#down !== undefined) return;
    this.#down = clusterError(error);
    this.#report(`The table's cluster does not answer: ${error.message}; asked again until it does`);
    this.#answers = this.#find(() => {});
  }

  /** Asks until there is an answer. */
  async #find(asked: () => void): Promise<void> {
    for (;;) {
      let pause = CLUSTER_PROBE_MS;
      try {
        this.#base = await this.#open();
        if (this.closed.aborted) return;
        if (this.#down !== undefined) this.#report("The table's cluster answers");
        this.#down = undefined;
        return;
      } catch (thrown) {
        if (this.closed.aborted) return;
        // The answer may have the form of one of etcd, and not its parts.
        const error = thrown instanceof EtcdError ? thrown : new EtcdError("unavailable", NO_ETCD, false);
        if (error.fault === "denied") pause = CLUSTER_DENIED_PROBE_MS;
        if (this.#down?.message !== clusterError(error).message) {
          this.#down = clusterError(error);
          this.#report(`The table's cluster does not answer: ${error.message}; asked again until it does`);
        }
      } finally {
        asked();
      }
      await this.#wait(pause, this.#closed.signal);
      if (this.closed.aborted) return;
    }
  }

  /**
   * The base of versions, made if there is none yet. It is later than that of any cluster before this one, whose data
   * may have been lost: then revisions begin at 1 again, but no version is met twice.
   */
  async #open(): Promise<string> {
    const { meta } = this.keys;
    const options = { once: true };
    const { kvs } = await this.#gateway.ask<RangeAnswer>("/v3/kv/range", rangeRequest(meta, {}), options);
    if (kvs !== undefined) return baseOf(kvs[0]);
    const base = encode(String(this.#now() * 1000));
    const body = transaction([writtenAt(meta, 0)], [put(meta, base)], [range(meta)]);
    const made = await this.#gateway.ask<TxnAnswer>("/v3/kv/txn", body, options);
    return made.succeeded ? base : baseOf(made.responses![0].response_range!.kvs![0]);
  }
}

function baseOf({ value }: KeyValue): string {
  numberOf(value!);
  return value!;
}

/**
 * The number that a base in base64 stands for.
 *
 * @throws {EtcdError} If somebody else has written something else there.
 */
export function numberOf(base: string): number {
  const number = Number(decode(base));
  if (Number.isSafeInteger(number) && number > 0) return number;
  throw new EtcdError("unavailable", `the key meta holds ${JSON.stringify(decode(base))}: expected a number`, false);
}

/**
 * What an error of etcd means for a client of the table, who is not told where the cluster is.
 *
 * @param unknown Whether it is a write that may have been done all the same.
 * @param rows How many rows it was to insert.
 */
export function clusterError(error: EtcdError, unknown?: boolean, rows?: number): StoreError;
/** As above; what is no error of etcd is returned as it is. */
export function clusterError(error: unknown, unknown?: boolean, rows?: number): Error;
export function clusterError(error: unknown, unknown = false, rows = 1): Error {
  if (!(error instanceof EtcdError)) return error as Error;
  const { fault } = error;
  if (unknown) {
    const outcome = "the outcome of this write is unknown, it may have been done or not";
    return new StoreError("unavailable", `${reasonOf(error)}: ${outcome}`);
  }
  if (fault === "too-large") return new StoreError(fault, reasonOf(error, rows), { maxRows: fewerRows(rows) });
  return new StoreError(fault === "full" ? fault : "unavailable", reasonOf(error));
}

function reasonOf({ fault, message }: EtcdError, rows = 1): string {
  switch (fault) {
    case "too-large":
      if (/operations/.test(message)) return "The table's cluster takes fewer rows at once (etcd's --max-txn-ops)";
      return rows > MOST_ROWS
        ? "The table's cluster takes fewer rows at once (etcd's --max-request-bytes and --max-txn-ops)"
        : "The table's cluster takes fewer octets at once (etcd's --max-request-bytes)";
    case "full":
      return "The table's cluster has no room (etcd's --quota-backend-bytes)";
    case "compacted":
      return "The table's cluster has compacted the revision that was read";
    case "forbidden":
      return "The table's cluster does not allow this server to do that";
    case "denied":
      return "The table's cluster refuses this server";
    case "closed":
      return "The store is closed";
    case "unavailable":
      return "The table's cluster does not answer";
  }
}
