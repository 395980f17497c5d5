/**
 * Writes a connection's responses in batches, and limits the time by how fast the client reads.
 *
 * @module
 */

import { NO_BYTES } from "../bytes.ts";
import { type ContentStream, type Encoder, type HttpResponse, isStream } from "../http_message.ts";
import type { Deadline, ServerContext } from "./context.ts";

/** Collects responses and writes them. */
export class Sender {
  readonly #id: number;
  readonly #conn: Deno.Conn;
  readonly #context: ServerContext;
  readonly #deadline: Deadline;
  /** Responses that are not written yet; `undefined` if there are none. */
  #encoder: Encoder | undefined;
  /** The time the client has left, in milliseconds: it runs while octets wait, and grows as they are read. */
  #patienceMs: number;
  /** The number of octets of what is being written: memory is held for all until the last is written. */
  #held = 0;
  #inPieces = false;
  #finished: Promise<number> | undefined;

  /** Creates a sender for a connection, which sets the deadline while it waits. */
  constructor(id: number, conn: Deno.Conn, context: ServerContext, deadline: Deadline) {
    this.#id = id;
    this.#conn = conn;
    this.#context = context;
    this.#deadline = deadline;
    this.#patienceMs = context.limits.sendTimeoutMs;
  }

  /** The number of octets that are not written. */
  get length(): number {
    return this.#encoder === undefined ? 0 : this.#encoder.length;
  }

  /** When the client must have read the piece that is written; `Infinity` if it is no piece of larger content. */
  get pieceEnd(): number {
    return this.#inPieces && this.#held > 0 ? this.#deadline.at : Infinity;
  }

  /** The encoder of responses. */
  get encoder(): Encoder {
    return this.#encoder ??= this.#context.codecs.encoder();
  }

  /** Gives the client the full time for the next responses. */
  restart(): void {
    this.#inPieces = false;
    this.#patienceMs = this.#context.limits.sendTimeoutMs;
  }

  /** Encodes the next piece of content, or its end. Returns what it added. */
  encodePiece(minor: number, piece: string | Uint8Array | undefined): Uint8Array {
    this.#inPieces = true;
    return this.encode((encoder) => {
      if (minor === 0) encoder.content(piece ?? NO_BYTES);
      else piece === undefined ? encoder.lastChunk() : encoder.chunk(piece);
    });
  }

  /** Encodes octets. Returns what that added. */
  encode(encode: (encoder: Encoder) => void): Uint8Array {
    const { encoder } = this;
    const from = encoder.length;
    encode(encoder);
    return encoder.bytes(from);
  }

  /**
   * Writes everything encoded. The client has the time set by {@linkcode restart}, extended by each octet it reads. In
   * total this is that time plus the time for all octets at the minimum rate.
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
      this.#context.observer.sent?.(this.#id, count);
    }
    budget.take(-this.#held);
    this.#held = 0;
    this.#release();
  }

  /**
   * Ends this side after everything written, and returns when that was. Over TLS the end may wait for the client, which
   * has as much time as is left to it. Then the client has a while to close its side. Further calls wait for the first.
   */
  finish(): Promise<number> {
    return this.#finished ??= (async () => {
      this.#deadline.set("the client to read", this.#context.clock + this.#patienceMs);
      await this.#conn.closeWrite();
      const { clock, limits } = this.#context;
      this.#deadline.set("the client to close", clock + limits.lingerMs);
      return clock;
    })();
  }

  /** Drops what is not written: the connection is closed. */
  end(): void {
    // A pending write uses the encoder's memory until it fails, so the encoder must not be reused.
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

/** Starts the stream that is a response's content, if it is one. */
export function piecesOf(response: HttpResponse | undefined): AsyncIterator<string | Uint8Array> | undefined {
  const content = response?.content;
  return isStream(content) ? (content as ContentStream)[Symbol.asyncIterator]() : undefined;
}
