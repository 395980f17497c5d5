/**
 * Bytes: growing buffers, lengths of text in UTF-8, and writing to a sink.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/** No bytes at all. */
export const NO_BYTES: Uint8Array<ArrayBuffer> = new Uint8Array(0);

/** Where bytes go, as `Deno.stdout` or a connection. */
export interface Sink {
  /** Writes some of the bytes, and tells how many. */
  write(bytes: Uint8Array): Promise<number>;
}

/** Writes all of the bytes. */
export async function writeAll(sink: Sink, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await sink.write(bytes.subarray(sent));
}

/** Writes a line of text and its end. */
export async function writeLine(sink: Sink, line: string): Promise<void> {
  await writeAll(sink, new TextEncoder().encode(`${line}\n`));
}

/** Where bytes come from, as a file or `Deno.stdin`. */
export interface Source {
  /** Reads some bytes into a buffer, and tells how many; `null` at the end. */
  read(buffer: Uint8Array): Promise<number | null>;
}

/**
 * Reads all bytes of a source. Its size is not asked for: that of a device or a pipe says nothing.
 *
 * @throws {RangeError} If there are more than `most`.
 */
export async function readAtMost(source: Source, most: number): Promise<Uint8Array> {
  let bytes = new Uint8Array(Math.min(64 * 1024, most + 1));
  let length = 0;
  for (;;) {
    const count = await source.read(bytes.subarray(length));
    if (count === null) return bytes.subarray(0, length);
    length += count;
    if (length > most) throw new RangeError(`More than ${most} bytes`);
    if (length === bytes.length) bytes = resized(bytes, length, Math.min(2 * length, most + 1));
  }
}

/** A copy of the first `used` bytes with room for `size`. */
export function resized(bytes: Uint8Array, used: number, size: number): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(size);
  copy.set(bytes.subarray(0, used));
  return copy;
}

const ENCODER = new TextEncoder();

/** A buffer that grows by doubling as bytes and text are appended. */
export class ByteBuffer {
  /** The memory: its first {@linkcode length} bytes are in use. */
  bytes: Uint8Array<ArrayBuffer>;
  /** How many bytes are in use. */
  length = 0;
  readonly #initialBytes: number;

  /** Allocates this many bytes at first. */
  constructor(initialBytes: number) {
    this.#initialBytes = initialBytes;
    this.bytes = new Uint8Array(initialBytes);
  }

  /** The bytes in use, from an index on; valid until more are appended. */
  view(from = 0): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(from, this.length);
  }

  /** Grows the memory, if need be, so that `count` more bytes fit. */
  reserve(count: number): void {
    const needed = this.length + count;
    if (needed > this.bytes.length) {
      this.bytes = resized(this.bytes, this.length, Math.max(needed, 2 * this.bytes.length));
    }
  }

  /** Appends bytes. */
  append(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** Appends text in UTF-8, which takes at most `most` bytes. */
  appendText(text: string, most: number = 3 * text.length): void {
    this.reserve(most);
    this.length += ENCODER.encodeInto(text, this.bytes.subarray(this.length)).written;
  }

  /** Empties the buffer. Memory beyond `keptBytes` is given up. */
  clear(keptBytes: number): void {
    this.length = 0;
    if (this.bytes.length > keptBytes) this.bytes = new Uint8Array(this.#initialBytes);
  }
}

/** Octets as text, one character each (U+0000 to U+00FF). */
export function octetString(bytes: Uint8Array, start = 0, end: number = bytes.length): string {
  // Called on the bytes themselves: a Buffer around them would cost as much as the conversion.
  return Buffer.prototype.toString.call(bytes, "latin1", start, end);
}

/** How many bytes the content has, a text in UTF-8. */
export function byteLength(content: string | Uint8Array): number {
  return typeof content === "string" ? Buffer.byteLength(content) : content.length;
}
