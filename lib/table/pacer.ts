/**
 * Long work for one request: yields to other clients, and is aborted once its own client has disconnected.
 *
 * @module
 */

import type { Requester } from "../http_message.ts";
import { MAX_WORK_BETWEEN_TURNS } from "../limits.ts";
import type { Awaitable } from "../store.ts";
import { FAIR_TURNS, type FairTurns } from "../turns.ts";

/** Paces the work for one request. */
export class Pacer {
  readonly #requester: Requester | undefined;
  readonly #turns: FairTurns;
  #work = 0;

  /**
   * Creates a pacer.
   *
   * @param requester The client; without one the work is never aborted.
   */
  constructor(requester?: Requester, turns: FairTurns = FAIR_TURNS) {
    this.#requester = requester;
    this.#turns = turns;
  }

  /**
   * Counts work done, in characters read or equivalent work.
   *
   * @returns A promise to await before more work; `undefined` while there is time left.
   * @throws {DOMException} `AbortError` if the client has disconnected.
   */
  after(work: number): Promise<void> | undefined {
    this.#work += work;
    if (this.#work < MAX_WORK_BETWEEN_TURNS) return undefined;
    this.#work = 0;
    this.#requester?.signal.throwIfAborted();
    return this.#turns.yieldIfBusy();
  }

  /** Runs steps, each of which yields the work it has done: at once while there is time left. */
  run<T>(steps: Generator<number, T>): Awaitable<T> {
    for (;;) {
      const { done, value } = steps.next();
      if (done) return value;
      const turn = this.after(value);
      if (turn !== undefined) return turn.then(() => this.run(steps));
    }
  }
}
