/**
 * A table's cluster. While it does not answer it is asked again until it does, and requests fail at once, so that no
 * client waits in vain.
 */

import { StoreError, unavailable } from "../store.ts";
import {
  type AskOptions,
  EtcdError,
  type EtcdFault,
  EtcdGateway,
  type GatewayOptions,
  NO_ETCD,
} from "./etcd_gateway.ts";
import * as etcd from "./etcd_messages.ts";

/** Interval between login attempts after a refusal. Checking a password is slow for the node. */
const DENIED_PROBE_MS = 5_000;

export class EtcdCluster extends EtcdGateway {
  /** The base of the table's versions: version = base + revision. */
  base = 0;
  /** Why requests fail at once; `undefined` while the cluster answers. */
  down: StoreError | undefined;
  /** Resolves once the cluster answers, or the store is closed. */
  answers: Promise<void>;
  /** Resolves after the first request, successful or not. */
  readonly starting: Promise<void>;

  constructor(readonly keys: etcd.TableKeys, options: GatewayOptions, private readonly note: (line: string) => void) {
    super(options);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.starting = promise;
    this.answers = this.#find(resolve);
  }

  transact(body: string, unanswered?: () => void): Promise<etcd.TxnAnswer> {
    return this.ask<etcd.TxnAnswer>("/v3/kv/txn", body, { unanswered });
  }

  /** Sends a request, unless the cluster did not answer earlier ones. */
  override async ask<T>(path: string, body: string, options?: AskOptions<T>): Promise<T> {
    await this.starting;
    if (this.down !== undefined) throw this.down;
    try {
      return await super.ask(path, body, options);
    } catch (error) {
      const isLost = error instanceof EtcdError && (error.fault === "unavailable" || error.fault === "denied");
      if (isLost && this.down === undefined) {
        this.#setDown(error);
        this.answers = this.#find();
      }
      throw error;
    }
  }

  /** Reads `meta` again, because the cluster's data may have been replaced. */
  async reopen(): Promise<void> {
    this.base = await this.#open();
  }

  override close(): void {
    super.close();
    this.down = unavailable("The store is closed");
  }

  #setDown(error: EtcdError): void {
    const down = clusterError(error) as StoreError;
    if (this.down?.message === down.message) return;
    this.down = down;
    this.note(`The table's cluster does not answer: ${error.message}; asked again until it does`);
  }

  /** Asks the cluster for the base until it answers. */
  async #find(tried: () => void = () => {}): Promise<void> {
    while (!this.isClosed) {
      let pauseMs: number | undefined;
      try {
        this.base = await this.#open();
        if (this.isClosed) return;
        if (this.down !== undefined) this.note("The table's cluster answers");
        this.down = undefined;
        return;
      } catch (thrown) {
        if (this.isClosed) return;
        // An answer that parses like one of etcd may lack its parts.
        const error = thrown instanceof EtcdError ? thrown : new EtcdError("unavailable", NO_ETCD);
        this.#setDown(error);
        if (error.fault === "denied") pauseMs = DENIED_PROBE_MS;
      } finally {
        tried();
      }
      await this.pause(pauseMs);
    }
  }

  /**
   * Reads the base of versions, and creates it if there is none. It grows with the clock: after a loss of all data the
   * cluster counts revisions from 1 again, but no version recurs.
   */
  async #open(): Promise<number> {
    const { meta } = this.keys;
    const options = { once: true };
    const { kvs } = await super.ask<etcd.RangeAnswer>("/v3/kv/range", etcd.rangeRequest(meta), options);
    if (kvs !== undefined) return numberOf(kvs[0].value!);
    const base = Date.now() * 1000;
    const make = etcd.put(meta, etcd.encode(String(base)));
    const body = etcd.transaction([etcd.writtenAt(meta, 0)], [make], [etcd.range(meta)]);
    const made = await super.ask<etcd.TxnAnswer>("/v3/kv/txn", body, options);
    return made.succeeded ? base : numberOf(made.responses![0].response_range!.kvs![0].value!);
  }
}

/** Parses a base from base64, or throws an {@linkcode EtcdError}: another program wrote the key. */
export function numberOf(base: string): number {
  const text = etcd.decode(base);
  const number = Number(text);
  if (Number.isSafeInteger(number) && number > 0 && String(number) === text) return number;
  throw new EtcdError("damaged", `the key meta holds ${JSON.stringify(text)}: expected a number`);
}

/** Converts an error of etcd for clients, without the cluster's address; `unknown` if a write may have been done. */
export function clusterError(error: unknown, unknown = false, rows = 1): Error {
  if (unknown) {
    const reason = error instanceof EtcdError ? reasonOf(error) : REASONS.unavailable;
    return unavailable(`${reason}: the outcome of this write is unknown, it may have been done or not`);
  }
  if (!(error instanceof EtcdError)) return error as Error;
  const { fault } = error;
  if (fault === "too-large") return new StoreError(fault, reasonOf(error, rows), { maxRows: etcd.fewerRows(rows) });
  return new StoreError(fault === "full" || fault === "damaged" ? fault : "unavailable", reasonOf(error));
}

const REASONS: { readonly [F in Exclude<EtcdFault, "too-large">]: string } = {
  full: "The table's cluster has no room (etcd's --quota-backend-bytes)",
  compacted: "The table's cluster has compacted the revision that was read",
  damaged: "Another program has written the table's key meta in the cluster: it is not a number",
  forbidden: "The table's cluster does not allow this server to do that",
  denied: "The table's cluster refuses this server",
  closed: "The store is closed",
  unavailable: "The table's cluster does not answer",
};

function reasonOf({ fault, message }: EtcdError, rows = 1): string {
  if (fault !== "too-large") return REASONS[fault];
  if (/operations/.test(message)) return "The table's cluster takes fewer rows at once (etcd's --max-txn-ops)";
  return rows > etcd.MAX_ROWS
    ? "The table's cluster takes fewer rows at once (etcd's --max-request-bytes and --max-txn-ops)"
    : "The table's cluster takes fewer octets at once (etcd's --max-request-bytes)";
}
