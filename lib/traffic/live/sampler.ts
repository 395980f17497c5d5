/** Chooses events when there are too many: whole connections are left out, and their events are counted. */

import { PAGE_BYTES_PER_SECOND, PAGE_EVENTS_PER_SECOND } from "../../limits.ts";
import type { EventCounter } from "../../traffic.ts";

const SECOND = 1_000_000;

/** What was left out so far: connections, and events of theirs. */
export interface LeftOut {
  readonly connections: number;
  readonly events: number;
}

/** Admits the events of connections until a second has too many; a connection that is left out stays so to its end. */
export class Sampler {
  readonly #maxEvents: number;
  readonly #maxBytes: number;
  readonly #out = new Set<number>();
  #connections = 0;
  #second = -Infinity;
  #events = 0;
  #bytes = 0;
  /** Counts the events of connections that are left out. */
  readonly counter: EventCounter = { events: 0 };

  constructor(maxEvents: number = PAGE_EVENTS_PER_SECOND, maxBytes: number = PAGE_BYTES_PER_SECOND) {
    this.#maxEvents = maxEvents;
    this.#maxBytes = maxBytes;
  }

  get leftOut(): LeftOut {
    return { connections: this.#connections, events: this.counter.events };
  }

  /** Whether an event with so many octets is admitted, at a time in microseconds. */
  admits(connection: number, bytes: number, time: number): boolean {
    if (time >= this.#second + SECOND) {
      this.#second = time;
      this.#events = this.#bytes = 0;
    }
    const isOut = this.#out.has(connection);
    if (isOut || this.#events + 1 > this.#maxEvents || this.#bytes + bytes > this.#maxBytes) {
      if (!isOut) this.#connections++;
      this.#out.add(connection);
      this.counter.events++;
      return false;
    }
    this.#events++;
    this.#bytes += bytes;
    return true;
  }

  forget(connection: number): void {
    this.#out.delete(connection);
  }
}
