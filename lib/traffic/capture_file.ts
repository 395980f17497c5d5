/**
 * Reads the file of a capture, event by event, so that its size is not limited.
 *
 * @module
 */

import type { Source } from "../bytes.ts";
import { EXPLAIN_READ_BYTES } from "../limits.ts";
import { type CaptureEvent, CaptureReader, type CaptureReaderOptions } from "./capture_reader.ts";

/**
 * Yields the events of a capture in order. Their octets stay unchanged. Returns how many
 * connections there are, and one line on each thing that was not read.
 *
 * @throws {CaptureError} If the file is no pcapng.
 */
export async function* captureEvents(
  source: Source,
  options: CaptureReaderOptions = {},
): AsyncGenerator<CaptureEvent, { readonly connections: number; readonly notes: string[] }> {
  let events: CaptureEvent[] = [];
  const reader = new CaptureReader((event) => {
    events.push("bytes" in event ? { ...event, bytes: event.bytes.slice() } : event);
  }, options);
  const buffer = new Uint8Array(EXPLAIN_READ_BYTES);
  for (;;) {
    const count = await source.read(buffer);
    if (count !== null) reader.receive(buffer.subarray(0, count));
    const notes = count === null ? reader.end() : undefined;
    yield* events;
    events = [];
    if (notes !== undefined) return { connections: reader.connections, notes };
  }
}
