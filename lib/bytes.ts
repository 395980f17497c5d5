/**
 * Bytes: how many a text has, room for more, and writing them all.
 *
 * @module
 */

import { Buffer } from "node:buffer";

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

/** A copy of the first `used` bytes with room for `size`. */
export function resized(bytes: Uint8Array, used: number, size: number): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(size);
  copy.set(bytes.subarray(0, used));
  return copy;
}

/** How many bytes the content has, a text in UTF-8. */
export function byteLength(content: string | Uint8Array): number {
  return typeof content === "string" ? Buffer.byteLength(content) : content.length;
}
