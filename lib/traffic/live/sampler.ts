/**
 * Whose events are taken when there are too many: whole connections are left out, and what they bring is counted.
 *
 * @module
 */

import type { Untold } from "../../traffic.ts";
import { PAGE_BYTES_PER_SECOND, PAGE_EVENTS_PER_SECOND } from "../../limits.ts";

const SECOND = 1_000_000;

/** What was left out. */
export interface LeftOut {
  /** Connections, ever. */
  readonly connections: number;
  /** Events of theirs, ever. */
  readonly events: number;
}

/** Takes the events of connections until a second has too many; a connection that is left out stays so to its end. */
export class Sampler {
  readonly #maxEvents: number;
  readonly #maxBytes: number;
  readonly #out = new Set<number>();
  #second = -Infinity;
  #events = 0;
  #bytes = 0;
  #leftOutConnections = 0;
  /** Counts what connections that are left out bring. */
  readonly untold: Untold = { events: 0 };

  /** Takes so many events and octets a second. */
  constructor(maxEvents: number = PAGE_EVENTS_PER_SECOND, maxBytes: number = PAGE_BYTES_PER_SECOND) {
    this.#maxEvents = maxEvents;
    this.#maxBytes = maxBytes;
  }

  /** What was left out so far. */
  get leftOut(): LeftOut {
    return { connections: this.#leftOutConnections, events: this.untold.events };
  }

  /**
   * Whether an event is taken.
   *
   * @param bytes Octets that it brings.
   * @param time When it happened, in microseconds.
   */
  takes(connection: number, bytes: number, time: number): boolean {
    if (this.#out.has(connection)) {
      this.untold.events++;
      return false;
    }
    if (time >= this.#second + SECOND) {
      this.#second = time;
      this.#events = this.#bytes = 0;
    }
    if (this.#events + 1 > this.#maxEvents || this.#bytes + bytes > this.#maxBytes) {
      this.#out.add(connection);
      this.#leftOutConnections++;
      this.untold.events++;
      return false;
    }
    this.#events++;
    this.#bytes += bytes;
    return true;
  }

  /** Forgets a connection that has ended. */
  ended(connection: number): void {
    this.#out.delete(connection);
  }
}
