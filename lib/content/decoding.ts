/**
 * Decodes content in pieces: from its content codings, and from its charset into UTF-8, for a terminal.
 *
 * A few octets may decode to gigabytes. So a decoder makes one piece of 16 KiB at a time, the next one once that was
 * taken, and ends at a limit. (DecompressionStream decodes all of a chunk at once.)
 */

import { Buffer } from "node:buffer";
import { NO_BYTES, octetString } from "../bytes.ts";
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

/** Undoes a coding, and has what comes of it decoded by the next decoder, of the coding that was applied before. */
export class ContentDecoder {
  #state: DecodingState = "going";
  #stream: Stream | undefined;
  #length = 0;
  #hasEnded = false;
  /** Continues the decoding that waits for the stream. */
  #wake = () => {};

  private constructor(private readonly name: string, private readonly next: ContentDecoder | undefined) {}

  /** Creates a decoder for codings in the order in which they were applied; `undefined` if one is unknown. */
  static for(codings: readonly string[]): ContentDecoder | undefined {
    if (codings.length > MAX_CODINGS || !codings.every((name) => Object.hasOwn(CODINGS, name))) return undefined;
    return codings.reduce<ContentDecoder | undefined>((next, name) => new ContentDecoder(name, next), undefined);
  }

  get state(): DecodingState {
    const after = this.next?.state ?? "going";
    return after === "going" ? this.#state : after;
  }

  /**
   * Decodes a chunk, or the end of the content, and yields what comes of it in pieces of at most 16 KiB. Nothing more
   * comes once the state is not `going`. The chunk must not change before the last piece.
   */
  async *decode(chunk: Uint8Array | "end"): AsyncGenerator<Uint8Array> {
    const { next } = this;
    for await (const piece of this.#undo(chunk)) {
      if (next === undefined) yield piece;
      else yield* next.decode(piece);
    }
    if (chunk === "end" && next !== undefined) yield* next.decode(chunk);
  }

  close(): void {
    this.#stream?.destroy();
    this.next?.close();
  }

  async #open(first: number): Promise<Stream> {
    // Loaded on demand, because loading takes a noticeable part of the start.
    const stream = CODINGS[this.name](await import("node:zlib"), first);
    stream.on("readable", () => this.#wake());
    stream.on("error", () => {
      this.#state = "invalid";
      this.#wake();
    });
    // A coding may mark its end itself; octets after it are ignored.
    stream.on("end", () => {
      this.#hasEnded = true;
      this.#wake();
    });
    return stream;
  }

  async *#undo(chunk: Uint8Array | "end"): AsyncGenerator<Uint8Array> {
    while (this.#state === "going" && !this.#hasEnded && chunk.length > 0) {
      const stream = this.#stream ??= await this.#open(chunk === "end" ? 0 : chunk[0]);
      const before = stream.bytesWritten;
      let isTaken = false;
      if (chunk === "end") stream.end();
      else {
        stream.write(chunk, () => {
          isTaken = true;
          this.#wake();
        });
      }
      while (this.#state === "going" && !this.#hasEnded) {
        const piece: Uint8Array | null = stream.read();
        if (piece !== null) yield this.#bounded(piece);
        else if (isTaken) return;
        else await new Promise<void>((resolve) => this.#wake = resolve);
      }
      if (chunk === "end" || this.name !== "zstd") return;
      // The stream ends where a frame does; another frame may follow (RFC 8878 §3.1).
      chunk = chunk.subarray(stream.bytesWritten - before);
      stream.destroy();
      this.#stream = undefined;
      this.#hasEnded = false;
    }
  }

  #bounded(piece: Uint8Array): Uint8Array {
    const rest = MAX_DECODED_SHOWN_BYTES - this.#length;
    this.#length += piece.length;
    if (piece.length <= rest) return piece;
    this.#state = "cut";
    this.#stream?.destroy();
    return piece.subarray(0, rest);
  }
}

const ENCODER = new TextEncoder();
/** Octets of a character whose rest may still come: one less than the longest has, in GB 18030. */
const MAX_CUT_OCTETS = 3;
/** Octets that may be invalid before the rest is passed on as it came: what is valid is sought octet by octet. */
const MAX_INVALID_OCTETS = 1000;
// deno-lint-ignore no-control-regex -- an escape starts with this one
const ESCAPES = /\x1b(?:\([BIJ]|\$[@B])/g;
const ESCAPE_START = 0x1b;

/** Decodes text that arrives in pieces. Octets that are not valid in the charset are passed on as they came. */
export class CharsetDecoder {
  readonly label: string;
  readonly #decoder: TextDecoder;
  #invalid = 0;
  /** The start of a character. */
  #cut: Uint8Array = NO_BYTES;
  /** The last escape in ISO-2022-JP, whose characters depend on it (Encoding Standard §12.2). */
  #escape: Uint8Array = NO_BYTES;

  /** @throws {RangeError} If the charset is not known. */
  constructor(label: string) {
    this.label = label.toLowerCase();
    this.#decoder = new TextDecoder(label, { fatal: true });
  }

  /** Whether all text so far is valid in the charset. */
  get isValid(): boolean {
    return this.#invalid === 0;
  }

  /** Decodes a piece, the last one with all that was kept back. Returns UTF-8. */
  decode(piece: Uint8Array, isLast: boolean): Uint8Array {
    const octets = this.#cut.length === 0 ? piece : Buffer.concat([this.#cut, piece]);
    this.#cut = NO_BYTES;
    if (this.#invalid >= MAX_INVALID_OCTETS) return octets;
    for (let cut = 0; cut <= (isLast ? 0 : Math.min(MAX_CUT_OCTETS, octets.length)); cut++) {
      const start = octets.subarray(0, octets.length - cut);
      try {
        const escape = this.#escapeBefore(start);
        const text = this.#decoder.decode(escape.length === 0 ? start : Buffer.concat([escape, start]));
        this.#cut = octets.slice(start.length);
        this.#noteEscape(start);
        return ENCODER.encode(text);
      } catch {
        // A character may be cut off.
      }
    }
    return this.#decodeInvalid(octets, isLast);
  }

  /** The escape that holds for these octets; none if they begin with one, because two in a row are not valid. */
  #escapeBefore(octets: Uint8Array): Uint8Array {
    return octets[0] === ESCAPE_START ? NO_BYTES : this.#escape;
  }

  #noteEscape(decoded: Uint8Array): void {
    const escape = this.#decoder.encoding === "iso-2022-jp" ? octetString(decoded).match(ESCAPES)?.at(-1) : undefined;
    if (escape !== undefined) this.#escape = Buffer.from(escape, "latin1");
  }

  #decodeInvalid(octets: Uint8Array, isLast: boolean): Uint8Array {
    const parts: Uint8Array[] = [];
    /** How far escapes are noted: what precedes an invalid octet is looked at once. */
    let noted = 0;
    const startAt = (at: number) => {
      this.#noteEscape(octets.subarray(noted, at));
      noted = at;
      const decoder = new TextDecoder(this.label, { fatal: true });
      decoder.decode(this.#escapeBefore(octets.subarray(at)), { stream: true });
      return decoder;
    };
    let decoder = startAt(0);
    let done = 0;
    for (let at = 0; at < octets.length && this.#invalid < MAX_INVALID_OCTETS; at++) {
      try {
        const text = decoder.decode(octets.subarray(at, at + 1), { stream: true });
        if (text === "") continue;
        parts.push(ENCODER.encode(text));
        done = at + 1;
      } catch {
        // The octet that begins here is no character; the next one may begin one.
        this.#invalid++;
        parts.push(octets.subarray(done, done + 1));
        at = done++;
        decoder = startAt(done);
      }
    }
    this.#noteEscape(octets.subarray(noted, done));
    const isCut = !isLast && this.#invalid < MAX_INVALID_OCTETS;
    if (isCut) this.#cut = octets.slice(done);
    else if (done < octets.length) {
      this.#invalid++;
      parts.push(octets.subarray(done));
    }
    return Buffer.concat(parts);
  }
}

/**
 * Returns the charset to decode text from; `undefined` if it is UTF-8, or not known.
 *
 * @param type The media type with its parameters.
 * @param start The first octets. A byte order mark outweighs the type's parameter (Encoding Standard, "BOM sniff").
 */
export function charsetOf(type: string, start: Uint8Array): string | undefined {
  if (start[0] === 0xfe && start[1] === 0xff) return "utf-16be";
  if (start[0] === 0xff && start[1] === 0xfe) return "utf-16le";
  const [, label] = /;[ \t]*charset=["']?([^\s;"']+)/i.exec(type) ?? [];
  if (label === undefined || start[0] === 0xef && start[1] === 0xbb && start[2] === 0xbf) return undefined;
  try {
    return new TextDecoder(label).encoding === "utf-8" ? undefined : label;
  } catch {
    return undefined;
  }
}

/** Whether octets are UTF-8, but for a character that may be cut off at their end. */
export function isUtf8Start(octets: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(octets, { stream: true });
    return true;
  } catch {
    return false;
  }
}
