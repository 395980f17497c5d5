/**
 * Reads the file of a capture, event by event, so that its size is not limited.
 *
 * @module
 */

import type { Source } from "../bytes.ts";
import { EXPLAIN_READ_BYTES } from "../limits.ts";
import { type CaptureEvent, CaptureReader, type CaptureReaderOptions } from "./capture_reader.ts";
import { CaptureError, captureFormatOf } from "./pcapng_reader.ts";

/**
 * Yields the events of a capture in order. Their octets stay unchanged. Returns how many
 * connections there are, and one line on each thing that was not read.
 *
 * @param name The file's name, for the command that converts a file of another format.
 * @throws {CaptureError} If the file is no pcapng.
 */
export async function* captureEvents(
  source: Source,
  name: string,
  options: CaptureReaderOptions = {},
): AsyncGenerator<CaptureEvent, { readonly connections: number; readonly notes: string[] }> {
  let events: CaptureEvent[] = [];
  const reader = new CaptureReader((event) => {
    events.push("bytes" in event ? { ...event, bytes: event.bytes.slice() } : event);
  }, options);
  const buffer = new Uint8Array(EXPLAIN_READ_BYTES);
  let length = 0;
  let isKnown = false;
  for (;;) {
    const count = await source.read(buffer.subarray(length));
    length += count ?? 0;
    if (!isKnown && (length >= 4 || count === null)) {
      refuseOthers(buffer.subarray(0, length), name);
      isKnown = true;
    }
    if (isKnown) {
      reader.receive(buffer.subarray(0, length));
      length = 0;
    }
    const notes = count === null ? reader.end() : undefined;
    yield* events;
    events = [];
    if (notes !== undefined) return { connections: reader.connections, notes };
  }
}

function refuseOthers(start: Uint8Array, name: string): void {
  const format = captureFormatOf(start);
  if (format === "pcapng") return;
  throw new CaptureError(
    format === "pcap"
      ? `${name} is a capture of the older format pcap: editcap -F pcapng ${name} NEW.pcapng converts it`
      : `${name} is no capture in the format pcapng`,
  );
}
