/**
 * Orders the writes to one name, first come, first served. A write that depends on a read runs alone, so it never has
 * to be retried because of another write of this process.
 *
 * @module
 */

import type { Requester } from "../http_message.ts";
import type { Awaitable } from "../store.ts";
import { FAIR_TURNS } from "../turns.ts";

/** A write that waits. */
interface Waiting {
  readonly alone: boolean;
  readonly requester: Requester | undefined;
  readonly start: () => void;
  readonly giveUp: (reason: unknown) => void;
}

/** The writes of one name. */
interface Lane {
  /** Writes in progress that may run at the same time. */
  shared: number;
  /** Whether a write is in progress that must run alone. */
  alone: boolean;
  readonly waiting: Waiting[];
}

/** Queues writes by name: a lane for each name with writes in progress. */
export class Lanes {
  readonly #lanes = new Map<string, Lane>();

  /** How many names have writes in progress. */
  get size(): number {
    return this.#lanes.size;
  }

  /**
   * Runs a write that does not depend on a read: it may run at the same time as others of its kind.
   *
   * @param requester The client: if it disconnects while the write waits, the write is aborted.
   * @throws {DOMException} `AbortError` if the write was aborted.
   */
  share<T>(name: string, requester: Requester | undefined, write: () => Awaitable<T>): Awaitable<T> {
    const lane = this.#lanes.size === 0 ? undefined : this.#lanes.get(name);
    if (lane !== undefined && (lane.alone || lane.waiting.length > 0)) {
      return this.#wait(lane, false, requester).then(() => this.#finish(name, lane, write));
    }
    const written = write();
    // A store that writes synchronously needs no lane.
    if (!(written instanceof Promise)) return written;
    const used = lane ?? this.#open(name);
    used.shared++;
    return written.finally(() => this.#leave(name, used));
  }

  /** Runs a write that depends on a read: alone. Otherwise as {@linkcode share}. */
  async alone<T>(name: string, requester: Requester | undefined, write: () => Awaitable<T>): Promise<T> {
    let lane = this.#lanes.get(name);
    if (lane !== undefined) await this.#wait(lane, true, requester);
    else {
      lane = this.#open(name);
      lane.alone = true;
    }
    return await this.#finish(name, lane, write);
  }

  #open(name: string): Lane {
    const lane = { shared: 0, alone: false, waiting: [] };
    this.#lanes.set(name, lane);
    return lane;
  }

  /** Resolves once it is the write's turn, which is a turn between clients too: many writes may wait in one lane. */
  async #wait(lane: Lane, alone: boolean, requester: Requester | undefined): Promise<void> {
    await new Promise<void>((start, giveUp) => lane.waiting.push({ alone, requester, start, giveUp }));
    await FAIR_TURNS.yieldIfBusy();
  }

  async #finish<T>(name: string, lane: Lane, write: () => Awaitable<T>): Promise<T> {
    try {
      return await write();
    } finally {
      this.#leave(name, lane);
    }
  }

  /** Ends a write, and starts those that may run now. */
  #leave(name: string, lane: Lane): void {
    if (lane.alone) lane.alone = false;
    else lane.shared--;
    for (let next = lane.waiting[0]; next !== undefined; next = lane.waiting[0]) {
      if (next.requester?.signal.aborted) {
        next.giveUp(next.requester.signal.reason);
      } else {
        if (lane.alone || next.alone && lane.shared > 0) break;
        if (next.alone) lane.alone = true;
        else lane.shared++;
        next.start();
      }
      lane.waiting.shift();
    }
    if (lane.shared === 0 && !lane.alone) this.#lanes.delete(name);
  }
}
