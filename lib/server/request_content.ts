/**
 * A request's content, gathered as it comes.
 *
 * @module
 */

import { resized } from "../bytes.ts";

const NO_BYTES = new Uint8Array(0);
/** Room for content that comes in more than one piece, unless less is announced. */
const MIN_ROOM_BYTES = 4096;

/** Gathers one request's content after the other's. */
export class RequestContent {
  #bytes: Uint8Array = NO_BYTES;
  #length = 0;

  /**
   * Adds a piece. One that is all the content is kept as it is, so it must stay valid until it is taken.
   *
   * @param announced The length of all the content, in bytes, if it is known.
   */
  add(piece: Uint8Array, announced: number = Infinity): void {
    const length = this.#length + piece.length;
    if (length === announced && this.#length === 0) this.#bytes = piece;
    else {
      // Room is made as content comes, not as it is announced: announcing costs a client nothing.
      const room = Math.min(Math.max(2 * length, MIN_ROOM_BYTES), announced);
      if (length > this.#bytes.length) this.#bytes = resized(this.#bytes, this.#length, room);
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
}
