/**
 * The order of writes to one name: a write that depends on what it has read has the name to itself, so that none has to
 * start over because of another. Who comes first goes first.
 *
 * @module
 */

import type { Requester } from "../http_message.ts";
import type { Awaitable } from "../store.ts";

/** A write that waits for its turn. */
interface Waiting {
  readonly alone: boolean;
  readonly requester: Requester | undefined;
  readonly start: () => void;
  readonly giveUp: (reason: unknown) => void;
}

/** The writes of one name. */
interface Lane {
  /** Writes under way that may overlap. */
  shared: number;
  /** Whether a write is under way that must not overlap with any. */
  alone: boolean;
  readonly waiting: Waiting[];
}

/** A lane for each name that is being written to. */
export class Lanes {
  readonly #lanes = new Map<string, Lane>();

  /** How many names are being written to. */
  get size(): number {
    return this.#lanes.size;
  }

  /**
   * Runs a write that depends on nothing that was read: it may overlap with others of its kind.
   *
   * @param requester The client that the write is for: if it leaves while the write waits, the write is given up.
   * @throws {DOMException} `AbortError` if it was given up.
   */
  share<T>(name: string, requester: Requester | undefined, write: () => Awaitable<T>): Awaitable<T> {
    const lane = this.#lanes.size === 0 ? undefined : this.#lanes.get(name);
    if (lane !== undefined && (lane.alone || lane.waiting.length > 0)) {
      return this.#wait(lane, false, requester).then(() => this.#finish(name, lane, write));
    }
    const written = write();
    // A store that writes at once needs no lane.
    if (!(written instanceof Promise)) return written;
    const used = lane ?? this.#open(name);
    used.shared++;
    return written.finally(() => this.#leave(name, used));
  }

  /** As {@linkcode share}, for a write that depends on what it reads: it overlaps with no other. */
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

  #wait(lane: Lane, alone: boolean, requester: Requester | undefined): Promise<void> {
    return new Promise((start, giveUp) => lane.waiting.push({ alone, requester, start, giveUp }));
  }

  async #finish<T>(name: string, lane: Lane, write: () => Awaitable<T>): Promise<T> {
    try {
      return await write();
    } finally {
      this.#leave(name, lane);
    }
  }

  /** Notes that a write is done, and lets those start that may. */
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
