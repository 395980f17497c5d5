/**
 * Undoes content codings, in pieces of bounded size.
 *
 * A few octets may decode to gigabytes. So a decoder makes one piece of 16 KiB at a time, the next one once that was
 * taken, and ends at a limit. (DecompressionStream decodes all of a chunk at once.)
 *
 * @module
 */

import { MAX_CODINGS, MAX_DECODED_SHOWN_BYTES } from "../limits.ts";

type Zlib = typeof import("node:zlib");
type Stream = ReturnType<Zlib["createGunzip"]>;

/** Content codings and their decoders, by names in lower case (RFC 9110 §8.4.1, RFC 7932, RFC 8878). */
const CODINGS: Readonly<Record<string, (zlib: Zlib, first: number) => Stream>> = {
  "gzip": (zlib) => zlib.createGunzip(),
  "x-gzip": (zlib) => zlib.createGunzip(),
  // Some servers leave out the wrapper (RFC 9110 §8.4.1.2), whose first octet names the method, 8 (RFC 1950 §2.2).
  "deflate": (zlib, first) => (first & 0x0f) === 8 ? zlib.createInflate() : zlib.createInflateRaw(),
  "br": (zlib) => zlib.createBrotliDecompress(),
  "zstd": (zlib) => zlib.createZstdDecompress(),
};

/** How decoding goes: it may go on, it has reached the limit, or the octets are invalid or end too early. */
export type DecodingState = "going" | "cut" | "invalid";

/** Decodes the content of one message, up to a limit. */
export class ContentDecoder {
  readonly #names: readonly string[];
  #stages: Stage[] | undefined;

  private constructor(names: readonly string[]) {
    this.#names = names;
  }

  /** Creates a decoder for codings in the order in which they were applied; `undefined` if one is unknown. */
  static for(codings: readonly string[]): ContentDecoder | undefined {
    const areKnown = codings.every((name) => Object.hasOwn(CODINGS, name));
    return areKnown && codings.length <= MAX_CODINGS ? new ContentDecoder(codings.toReversed()) : undefined;
  }

  /** How decoding goes. */
  get state(): DecodingState {
    return this.#stages?.findLast(({ state }) => state !== "going")?.state ?? "going";
  }

  /**
   * Decodes a chunk, or the end of the content, and yields what comes of it in pieces of at most 16 KiB. Nothing more
   * comes once the state is not `going`. The chunk must not change before the last piece.
   */
  async *decode(chunk: Uint8Array | "end"): AsyncGenerator<Uint8Array> {
    if (this.#stages === undefined) {
      // Loaded on demand, because loading takes a noticeable part of the start.
      const zlib = await import("node:zlib");
      this.#stages = this.#names.map((name) => new Stage((first) => CODINGS[name](zlib, first)));
    }
    yield* this.#from(0, chunk);
  }

  async *#from(index: number, chunk: Uint8Array | "end"): AsyncGenerator<Uint8Array> {
    const stage = this.#stages![index];
    if (stage === undefined) return chunk === "end" ? undefined : yield chunk;
    for await (const piece of stage.decode(chunk)) yield* this.#from(index + 1, piece);
    if (chunk === "end") yield* this.#from(index + 1, chunk);
  }

  /** Releases the decoder's memory. */
  close(): void {
    for (const stage of this.#stages ?? []) stage.close();
  }
}

/** Undoes one coding. */
class Stage {
  state: DecodingState = "going";
  readonly #create: (first: number) => Stream;
  /** Created for the first octet. */
  #stream: Stream | undefined;
  #length = 0;
  #hasEnded = false;
  /** Continues the decoding that waits for the stream. */
  #wake = () => {};

  /** @param create Creates a stream for content with this first octet. */
  constructor(create: (first: number) => Stream) {
    this.#create = create;
  }

  #open(first: number): Stream {
    const stream = this.#create(first);
    stream.on("readable", () => this.#wake());
    stream.on("error", () => {
      this.state = "invalid";
      this.#wake();
    });
    // A coding may mark its end itself; octets after it are ignored.
    stream.on("end", () => {
      this.#hasEnded = true;
      this.#wake();
    });
    return stream;
  }

  async *decode(chunk: Uint8Array | "end"): AsyncGenerator<Uint8Array> {
    let isTaken = false;
    if (this.state !== "going" || this.#hasEnded || chunk.length === 0) return;
    const stream = this.#stream ??= this.#open(chunk === "end" ? 0 : chunk[0]);
    if (chunk === "end") stream.end();
    else {
      stream.write(chunk, () => {
        isTaken = true;
        this.#wake();
      });
    }
    while (this.state === "going" && !this.#hasEnded) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const piece: Uint8Array | null = stream.read();
      if (piece !== null) yield this.#bounded(piece);
      else if (isTaken) return;
      else await promise;
    }
  }

  #bounded(piece: Uint8Array): Uint8Array {
    const rest = MAX_DECODED_SHOWN_BYTES - this.#length;
    this.#length += piece.length;
    if (piece.length <= rest) return piece;
    this.state = "cut";
    this.close();
    return piece.subarray(0, rest);
  }

  close(): void {
    this.#stream?.destroy();
  }
}
