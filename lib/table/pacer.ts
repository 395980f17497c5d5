/**
 * Long work for one request: in turns with other clients, and given up once its own client has left.
 *
 * @module
 */

import type { Requester } from "../http_message.ts";
import { MAX_WORK_BETWEEN_TURNS } from "../limits.ts";
import { FAIR_TURNS, type FairTurns } from "../turns.ts";

/** Paces the work for one request. */
export class Pacer {
  readonly #requester: Requester | undefined;
  readonly #turns: FairTurns;
  readonly #check: (() => void) | undefined;
  #work = 0;

  /**
   * Starts with no work done.
   *
   * @param requester Whom the work is for; without one it is never given up.
   * @param check Throws if the work has to be given up for another reason.
   */
  constructor(requester?: Requester, turns: FairTurns = FAIR_TURNS, check?: () => void) {
    this.#check = check;
    this.#requester = requester;
    this.#turns = turns;
  }

  /**
   * Counts work that was done, in characters read or whatever takes as long.
   *
   * @returns A promise to wait for before more is done; `undefined` if there is time left.
   * @throws {DOMException} `AbortError` if the client has left.
   */
  after(work: number): Promise<void> | undefined {
    this.#work += work;
    if (this.#work < MAX_WORK_BETWEEN_TURNS) return undefined;
    this.#work = 0;
    this.#requester?.signal.throwIfAborted();
    this.#check?.();
    return this.#turns.yieldIfBusy(this.#requester);
  }
}
