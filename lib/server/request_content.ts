/**
 * A request's content, gathered as it comes.
 *
 * @module
 */

import { NO_BYTES, resized } from "../bytes.ts";
import { HttpError } from "../http_message.ts";
import type { Budget } from "./context.ts";

/** Room for content that comes in more than one piece, unless less is announced. */
const MIN_ROOM_BYTES = 4096;

/** Gathers one request's content after the other's, within a budget that all connections share. */
export class RequestContent {
  readonly #budget: Budget;
  #bytes: Uint8Array = NO_BYTES;
  #length = 0;
  /** Bytes taken from the budget. */
  #held = 0;

  /** Takes its memory from this budget. */
  constructor(budget: Budget) {
    this.#budget = budget;
  }

  /**
   * Adds a piece. One that is all the content is kept as it is, so it must stay valid until it is taken.
   *
   * @param announced The length of all the content, in bytes, if it is known.
   * @throws {HttpError} 503 if the budget is used up.
   */
  add(piece: Uint8Array, announced: number = Infinity): void {
    const length = this.#length + piece.length;
    if (length === announced && this.#length === 0) this.#bytes = piece;
    else {
      // Room is made as content comes, not as it is announced: announcing costs a client nothing.
      if (length > this.#bytes.length) this.#grow(Math.min(Math.max(2 * length, MIN_ROOM_BYTES), announced));
      this.#bytes.set(piece, this.#length);
    }
    this.#length = length;
  }

  /** The content, which is whole; what is added from now on is the next request's. */
  take(): Uint8Array {
    const whole = this.#bytes.length === this.#length ? this.#bytes : this.#bytes.subarray(0, this.#length);
    this.#bytes = NO_BYTES;
    this.#length = 0;
    return whole;
  }

  /** Gives back to the budget what was gathered: nobody needs it any more. */
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

/** The error for what would exceed the budget. */
export function overloaded(): HttpError {
  const detail = "The server holds as much content and as many responses as --max-buffered allows: try again soon";
  return new HttpError(503, detail, { rule: "RFC 9110 §15.6.4", fields: [["Retry-After", "1"]] });
}
