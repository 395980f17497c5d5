/**
 * Writes to a cluster that wait for a lane.
 *
 * Two writes of one row are never under way together, and go in the order in which they came: etcd takes each key only
 * once in a transaction, and nobody could tell which of two lanes was first.
 *
 * @module
 */

import { MAX_WAITING_WRITES } from "../limits.ts";
import { StoreError } from "../store.ts";
import { type Insertion, isSure, MOST_UNSURE_WRITES, type Outcome, type RowWrite } from "./etcd_batch.ts";

/** Writes that are looked at for one transaction: those to a row that is being written have to wait. */
const CLUSTER_LOOKED_AT_WRITES = 4_000;

/** A row's write that waits. */
export interface WaitingRow {
  /** What is to be done. */
  readonly write: RowWrite;
  /** Receives what came of it, and the version that it gave. */
  readonly done: (outcome: Outcome, version: number) => void;
  /** Receives why it was not done, or why its outcome is unknown. */
  readonly failed: (error: Error) => void;
}

/** An insertion that waits. */
export interface WaitingInsertion {
  /** What is to be done. */
  readonly write: Insertion;
  /** Receives the places of the rows whose names are taken; `undefined` if the table has changed. */
  readonly done: (taken: readonly number[] | undefined) => void;
  /** Receives why it was not done, or why its outcome is unknown. */
  readonly failed: (error: Error) => void;
}

/** What one transaction does. */
export type Batch =
  | { readonly kind: "rows"; readonly writes: readonly WaitingRow[] }
  | { readonly kind: "insertion"; readonly insertion: WaitingInsertion };

/** A write that waits. */
export type Waiting = WaitingRow | WaitingInsertion;

/** How much one transaction may hold. */
export interface BatchLimits {
  /** Writes of single rows. */
  readonly writes: number;
  /** Bytes of their keys and values in base64; a single write may have more. */
  readonly bytes: number;
}

/** Writes in the order in which they came. */
export class WriteQueue {
  #waiting: Waiting[] = [];
  /** The keys that are being written. */
  readonly #busy = new Set<string>();

  /** How many writes wait. */
  get length(): number {
    return this.#waiting.length;
  }

  /**
   * Adds a write.
   *
   * @throws {StoreError} If too many wait already.
   */
  add(waiting: Waiting): void {
    if (this.#waiting.length >= MAX_WAITING_WRITES) {
      const detail = `${MAX_WAITING_WRITES} writes wait for the table's cluster already: try again soon`;
      throw new StoreError("unavailable", detail);
    }
    this.#waiting.push(waiting);
  }

  /** Takes the writes of the next transaction, whose rows are nobody else's until they are released. */
  take({ writes: mostWrites, bytes: mostBytes }: BatchLimits): Batch | undefined {
    const taken: WaitingRow[] = [];
    const passed: Waiting[] = [];
    const passedKeys = new Set<string>();
    let bytes = 0;
    let isSureToWrite = false;
    let at = 0;
    for (; at < this.#waiting.length && at < CLUSTER_LOOKED_AT_WRITES; at++) {
      const waiting = this.#waiting[at];
      const keys = keysOf(waiting.write);
      const mayGo = keys.every((key) => !this.#busy.has(key) && !passedKeys.has(key));
      if (isInsertion(waiting)) {
        if (mayGo && taken.length === 0) {
          this.#keep(passed, at + 1);
          for (const key of keys) this.#busy.add(key);
          return { kind: "insertion", insertion: waiting };
        }
      } else if (mayGo) {
        const size = sizeOf(waiting.write);
        const sure: boolean = isSureToWrite || isSure(waiting.write);
        const most = sure ? mostWrites : Math.min(mostWrites, MOST_UNSURE_WRITES);
        if (taken.length >= most || taken.length > 0 && bytes + size > mostBytes) break;
        isSureToWrite = sure;
        bytes += size;
        taken.push(waiting);
        this.#busy.add(keys[0]);
        continue;
      }
      passed.push(waiting);
      for (const key of keys) passedKeys.add(key);
    }
    this.#keep(passed, at);
    return taken.length === 0 ? undefined : { kind: "rows", writes: taken };
  }

  /** Puts writes that were taken, and not done, before all others. */
  putBack(batch: Batch): void {
    this.release(batch);
    this.#waiting.unshift(...batch.kind === "rows" ? batch.writes : [batch.insertion]);
  }

  /** Lets others write these rows. */
  release(batch: Batch): void {
    if (batch.kind === "insertion") { for (const key of batch.insertion.write.keys) this.#busy.delete(key); }
    else for (const { write } of batch.writes) this.#busy.delete(write.key);
  }

  /** Fails all that wait. */
  fail(error: Error): void {
    for (const { failed } of this.#waiting.splice(0)) failed(error);
  }

  #keep(passed: Waiting[], from: number): void {
    this.#waiting = passed.length === 0 ? this.#waiting.slice(from) : [...passed, ...this.#waiting.slice(from)];
  }
}

function isInsertion(waiting: Waiting): waiting is WaitingInsertion {
  return waiting.write.kind === "insert";
}

function keysOf(write: RowWrite | Insertion): readonly string[] {
  return write.kind === "insert" ? write.keys : [write.key];
}

/** Bytes that a write takes in a transaction, or a little more. */
function sizeOf(write: RowWrite): number {
  return write.key.length + (write.kind === "put" ? write.value.length : 0);
}
