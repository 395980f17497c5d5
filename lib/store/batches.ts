/**
 * Work that is done in batches: what arrives in one turn of the event loop, or while a batch is under way, waits for the
 * next one.
 */

import { setImmediate } from "node:timers/promises";
import { MAX_WAITING_CALLS } from "../limits.ts";
import { unavailable } from "../store.ts";

/** Something to do, whose promise may be rejected. */
interface Rejectable {
  readonly reject: (reason: unknown) => void;
}

/** A queue of which one batch after another is performed. */
export class Batches<T extends Rejectable> {
  readonly #waiting: T[] = [];
  /** Resolves once nothing waits and nothing is under way; `undefined` then. */
  running: Promise<void> | undefined;

  /**
   * @param what What waits, and for whom: words for an error.
   * @param take Removes and returns the next batch.
   */
  constructor(
    private readonly what: string,
    private readonly take: (waiting: T[]) => readonly T[],
    private readonly perform: (batch: readonly T[]) => Promise<void>,
  ) {}

  /** Adds something to do, or rejects it if too much waits. */
  add(item: T): void {
    if (this.#waiting.length >= MAX_WAITING_CALLS) {
      return item.reject(unavailable(`${MAX_WAITING_CALLS} ${this.what} already: try again soon`));
    }
    this.#waiting.push(item);
    this.running ??= this.#run();
  }

  /** Puts a batch, of which nothing was done, before all that waits. */
  putBack(batch: readonly T[]): void {
    this.#waiting.unshift(...batch);
  }

  reject(reason: unknown): void {
    for (const { reject } of this.#waiting.splice(0)) reject(reason);
  }

  async #run(): Promise<void> {
    await setImmediate();
    while (this.#waiting.length > 0) await this.perform(this.take(this.#waiting));
    this.running = undefined;
  }
}
