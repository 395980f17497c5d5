/**
 * Collects the content of a request.
 *
 * @module
 */

import { NO_BYTES, resized } from "../bytes.ts";
import type { Budget } from "./context.ts";
import { overloaded } from "./problem.ts";

/** Initial room for content in several pieces, unless less is announced. */
const MIN_ROOM_BYTES = 4096;

/** Collects the content of one request after another, within a budget shared by all connections. */
export class RequestContent {
  readonly #budget: Budget;
  #bytes: Uint8Array = NO_BYTES;
  #length = 0;
  /** Bytes taken from the budget. */
  #held = 0;

  /** Creates a collector that takes its memory from this budget. */
  constructor(budget: Budget) {
    this.#budget = budget;
  }

  /**
   * Adds a piece. A piece that is the whole content is not copied, so it must stay valid until the content is taken.
   *
   * @param announced The length of the whole content in bytes, if known.
   * @throws {HttpError} 503 if the budget is exhausted.
   */
  add(piece: Uint8Array, announced: number = Infinity): void {
    const length = this.#length + piece.length;
    if (length === announced && this.#length === 0) this.#bytes = piece;
    else {
      // Memory is allocated as content arrives, because a client could announce any length.
      if (length > this.#bytes.length) this.#grow(Math.min(Math.max(2 * length, MIN_ROOM_BYTES), announced));
      this.#bytes.set(piece, this.#length);
    }
    this.#length = length;
  }

  /** Takes the complete content. Pieces added later belong to the next request. */
  take(): Uint8Array {
    const whole = this.#bytes.length === this.#length ? this.#bytes : this.#bytes.subarray(0, this.#length);
    this.#bytes = NO_BYTES;
    this.#length = 0;
    return whole;
  }

  /** Releases the collected content and its share of the budget. */
  release(): void {
    if (this.#held > 0) this.#budget.take(-this.#held);
    this.#held = 0;
  }

  #grow(room: number): void {
    const more = room - this.#held;
    if (!this.#budget.has(more)) throw overloaded();
    this.#budget.take(more);
    this.#held = room;
    this.#bytes = resized(this.#bytes, this.#length, room);
  }
}
