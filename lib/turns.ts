/**
 * A fair share of the event loop for every client.
 *
 * A read or a write that can be done at once resolves without a turn of the event loop. So a client that sends as fast
 * as it is read, or takes as fast as it is written to, would have the server to itself: nobody else would be read from,
 * no timer would run, no signal would be heard. The same goes for a handler that computes for long.
 *
 * Whoever may go on for long asks {@linkcode FairTurns.yieldIfBusy} now and then. All who wait share one budget of each
 * turn, however many they are: they go on one after the other until it is spent, and then I/O and timers come first.
 *
 * @module
 */

import { MAX_TURN_MS } from "./limits.ts";

/** For whom something is done: a client that may have left goes on behind all others. */
export interface Precedence {
  /** Whether the client has ended its side. */
  readonly halfClosed: boolean;
}

/** Shares out the turns of the event loop. */
export class FairTurns {
  /** When the event loop last had its turn, in milliseconds; `undefined` if nobody has done much since. */
  #since: number | undefined;
  /** Those who wait, in the order in which they go on; behind them those whose clients may have left. */
  readonly #waiting: (() => void)[] = [];
  readonly #behind: (() => void)[] = [];
  /** Whether the next one is going to be let go on. */
  #scheduled = false;
  readonly #now: () => number;

  /** Measures by this clock, in milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Whether whoever asks has to wait before more is done: the time is over, or others wait. */
  isBusy(): boolean {
    if (this.#scheduled) return true;
    if (this.#since !== undefined) return this.#now() >= this.#since + MAX_TURN_MS;
    this.#since = this.#now();
    setTimeout(() => {
      if (!this.#scheduled) this.#since = undefined;
    }, 0);
    return false;
  }

  /** The promise to await before more is done; `undefined` while there is time left and nobody waits. */
  yieldIfBusy(client?: Precedence): Promise<void> | undefined {
    if (!this.isBusy()) return undefined;
    if (!this.#scheduled) {
      this.#scheduled = true;
      this.#afterTurn();
    }
    return new Promise((resolve) => (client?.halfClosed ? this.#behind : this.#waiting).push(resolve));
  }

  /** Lets the first one go on after a turn. Only a timer makes the runtime look for I/O first; setImmediate does not. */
  #afterTurn(): void {
    setTimeout(() => {
      this.#since = this.#now();
      this.#next();
    }, 0);
  }

  #next(): void {
    const resume = this.#waiting.shift() ?? this.#behind.shift();
    if (resume === undefined) {
      this.#scheduled = false;
      this.#since = undefined;
      return;
    }
    resume();
    // It goes on as soon as this returns, and the next one when it waits again, or has done its work.
    setImmediate(() => {
      if (this.#now() < this.#since! + MAX_TURN_MS) this.#next();
      else this.#afterTurn();
    });
  }
}

/** The event loop is one, and so is what shares it out: among connections and among handlers that take their time. */
export const FAIR_TURNS: FairTurns = new FairTurns();
