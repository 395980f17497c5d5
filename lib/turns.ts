/**
 * Shares the event loop fairly among clients.
 *
 * A read or write that completes at once resolves without a turn of the event loop. A client that sends as fast as it
 * is read could therefore keep the server busy: no other connection would be read, no timer would fire, no signal would
 * be handled. A handler that computes for long has the same effect.
 *
 * A client with several requests at hand has a share of a turn for them, so that they are answered together though others
 * wait.
 *
 * Code that may run for long calls {@linkcode FairTurns.yieldIfBusy} at intervals. All callers share one budget per
 * turn: they continue one after the other until it is spent; then I/O and timers run first.
 *
 * @module
 */

import { setTimeout as sleep } from "node:timers/promises";
import { MAX_SHARE_MS, MAX_TURN_MS } from "./limits.ts";

/** Distributes turns of the event loop. */
export class FairTurns {
  /** When the current turn began, in milliseconds; `undefined` if the event loop is not busy. */
  #since: number | undefined;
  /** Callers that wait, in order. */
  readonly #waiting: (() => void)[] = [];
  /** Whether the next caller is already scheduled. */
  #scheduled = false;
  readonly #now: () => number;

  /** Creates the queue with a clock in milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Begins a client's share of the turn. Returns its end, for {@linkcode mustYield}. */
  beginShare(): number {
    return this.#now() + MAX_SHARE_MS;
  }

  /** Whether a client must yield: its share has ended and others wait, or the budget of the turn is spent. */
  mustYield(shareEnd: number): boolean {
    return this.#scheduled && this.#now() >= shareEnd || this.#isTurnOver();
  }

  /** Returns a promise to await before more work is done; `undefined` while budget is left and nobody waits. */
  yieldIfBusy(): Promise<void> | undefined {
    if (!this.#scheduled && !this.#isTurnOver()) return undefined;
    if (!this.#scheduled) {
      this.#scheduled = true;
      this.#afterTurn();
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #isTurnOver(): boolean {
    if (this.#since !== undefined) return this.#now() >= this.#since + MAX_TURN_MS;
    this.#since = this.#now();
    setTimeout(() => {
      if (!this.#scheduled) this.#since = undefined;
    }, 0);
    return false;
  }

  /**
   * Schedules the first caller after a turn of the event loop. Only a timer lets the runtime poll I/O first;
   * setImmediate does not.
   */
  #afterTurn(): void {
    setTimeout(() => {
      this.#since = this.#now();
      this.#next();
    }, 0);
  }

  #next(): void {
    if (this.#waiting.length === 0) {
      this.#scheduled = false;
      this.#since = undefined;
      return;
    }
    this.#waiting.shift()!();
    // The caller continues after this returns. The next one follows when it waits again or has finished.
    setImmediate(() => {
      if (this.#now() < this.#since! + MAX_TURN_MS) this.#next();
      else this.#afterTurn();
    });
  }
}

/** The queue of this process: connections and handlers share one event loop. */
export const FAIR_TURNS: FairTurns = new FairTurns();

/** Resolves after so many milliseconds, or when the signal is aborted. */
export async function waitFor(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal }).catch(() => {});
}

/**
 * Whether a promise resolves in time.
 *
 * @throws {DOMException} `AbortError`, if the signal ends the wait.
 */
export async function within(
  promise: Promise<unknown>,
  milliseconds: number,
  signal?: AbortSignal,
): Promise<boolean> {
  const timer = new AbortController();
  try {
    const signals = signal === undefined ? timer.signal : AbortSignal.any([signal, timer.signal]);
    const time = sleep(milliseconds, false, { signal: signals });
    return await Promise.race([promise.then(() => true), time]);
  } finally {
    timer.abort();
  }
}
