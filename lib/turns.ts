/**
 * A fair share of the event loop for every client.
 *
 * A read or a write that can be done at once resolves without a turn of the event loop. So a client that sends as fast
 * as it is read, or takes as fast as it is written to, would have the server to itself: nobody else would be read from,
 * no timer would run, no signal would be heard.
 *
 * @module
 */

import { MAX_TURN_MS } from "./limits.ts";

/** Knows when the event loop must have its turn. */
export class FairTurns {
  /** When the event loop last had its turn, in milliseconds; `undefined` if nobody has done much since. */
  #since: number | undefined;
  /** Resolves after the turn that is due. */
  #turn: Promise<void> | undefined;
  readonly #now: () => number;

  /** Measures by this clock, in milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /**
   * The promise to be awaited before more is done for a client that may want more at once; `undefined` if there is time
   * left.
   */
  yieldIfBusy(): Promise<void> | undefined {
    if (this.#turn !== undefined) return this.#turn;
    if (this.#since === undefined) {
      this.#since = this.#now();
      setTimeout(() => this.#since = undefined, 0);
    } else if (this.#now() >= this.#since + MAX_TURN_MS) {
      // Only a timer that is still to come makes the runtime look for I/O before it goes on; setImmediate does not.
      this.#turn = new Promise((resolve) =>
        setTimeout(() => {
          this.#turn = undefined;
          resolve();
        }, 0)
      );
      return this.#turn;
    }
  }
}

/** The event loop is one, and so is what watches over it: for connections and for handlers that take their time. */
export const FAIR_TURNS: FairTurns = new FairTurns();
