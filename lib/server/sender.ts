/**
 * The way out of a connection: what is encoded gathers, and is written within the time that the client's reading earns.
 *
 * @module
 */

import type { Encoder } from "../http_message.ts";
import type { Deadline, ServerContext } from "./context.ts";

/** Gathers responses and writes them. */
export class Sender {
  readonly #conn: Deno.Conn;
  readonly #context: ServerContext;
  readonly #deadline: Deadline;
  /** Holds what is not written yet; `undefined` while there is nothing. */
  #encoder: Encoder | undefined;
  /** How long the client may still take, in milliseconds: it is used up while octets wait, and earned by taking them. */
  #patienceMs = 0;
  /** Octets that are being written. */
  #held = 0;

  /** Writes to a connection, whose deadline it sets while it waits. */
  constructor(conn: Deno.Conn, context: ServerContext, deadline: Deadline) {
    this.#conn = conn;
    this.#context = context;
    this.#deadline = deadline;
  }

  /** How many octets wait to be written. */
  get length(): number {
    return this.#encoder === undefined ? 0 : this.#encoder.length;
  }

  /** Where responses are encoded. */
  get encoder(): Encoder {
    return this.#encoder ??= this.#context.codecs.encoder();
  }

  /** Gives the client its full time for what comes. */
  restart(): void {
    this.#patienceMs = this.#context.limits.sendTimeoutMs;
  }

  /**
   * Writes all that is encoded. The client has so long for it as {@linkcode restart} says, and each octet that it takes
   * buys it more; so it has in all that time and the time of all octets at the slowest rate allowed.
   */
  async flush(): Promise<void> {
    if (this.#encoder === undefined) return;
    const { budget, limits } = this.#context;
    const bytes = this.#encoder.bytes();
    const { length } = bytes;
    budget.take(this.#held = length);
    for (let sent = 0; sent < length;) {
      const end = Math.min(length, sent + limits.maxWriteBytes);
      const start = this.#context.clock;
      const earnedMs = (end - sent) * 1000 / limits.minSendBytesPerSecond;
      this.#deadline.set("the client to read", start + this.#patienceMs + earnedMs);
      const count = await this.#conn.write(sent === 0 && end === length ? bytes : bytes.subarray(sent, end));
      this.#patienceMs += count * 1000 / limits.minSendBytesPerSecond - (this.#context.clock - start);
      sent += count;
      budget.take(-count);
      this.#held -= count;
    }
    this.#release();
  }

  /** Forgets what is not written; the connection is closed. */
  end(): void {
    // A write that is under way reads from the encoder's memory until it fails, so nobody else may have that.
    if (this.#held > 0) this.#encoder = undefined;
    else this.#release();
    this.#context.budget.take(-this.#held);
    this.#held = 0;
  }

  #release(): void {
    if (this.#encoder !== undefined) this.#context.codecs.releaseEncoder(this.#encoder);
    this.#encoder = undefined;
  }
}
