import assert from "node:assert/strict";
import { octetString } from "../../lib/bytes.ts";
import { Capture } from "../../lib/traffic/capture.ts";
import { captureEvents } from "../../lib/traffic/capture_file.ts";
import type { CaptureEvent } from "../../lib/traffic/capture_reader.ts";
import { CaptureError } from "../../lib/traffic/pcapng_reader.ts";
import { recordingStart } from "../../lib/traffic/pcapng.ts";
import { wireOctets } from "../wire_cases.ts";

/** A file that gives so many bytes at a time. */
function sourceOf(bytes: Uint8Array, most: number) {
  let at = 0;
  return {
    read(buffer: Uint8Array): Promise<number | null> {
      const piece = bytes.subarray(at, at + Math.min(most, buffer.length));
      buffer.set(piece);
      at += piece.length;
      return Promise.resolve(piece.length === 0 ? null : piece.length);
    },
  };
}

function recording(): Uint8Array {
  const blocks = [recordingStart("test")];
  const capture = new Capture((block) => blocks.push(block), 0);
  const seen = { end: "server", connection: 1, time: 0 } as const;
  const address = (port: number) => ({ hostname: "127.0.0.1", port });
  capture.tell({ ...seen, kind: "opened", local: address(80), remote: address(5000), secure: false });
  for (const text of ["GET ", "/ HTTP/1.1\r\n"]) capture.tell({ ...seen, kind: "read", bytes: wireOctets(text) });
  return Uint8Array.from(blocks.flatMap((block) => [...block]));
}

async function all(
  bytes: Uint8Array,
  most: number,
): Promise<{ events: CaptureEvent[]; connections: number; notes: string[] }> {
  const reading = captureEvents(sourceOf(bytes, most));
  const events: CaptureEvent[] = [];
  let next = await reading.next();
  for (; !next.done; next = await reading.next()) events.push(next.value);
  return { events, ...next.value };
}

for (const most of [1, 7, 100_000]) {
  Deno.test(`the events of a file that gives ${most} bytes at a time keep their octets`, async () => {
    const { events, connections, notes } = await all(recording(), most);
    const texts = events.map((event) => event.kind === "read" ? octetString(event.bytes) : event.kind);
    assert.deepEqual([texts, connections, notes], [["opened", "GET ", "/ HTTP/1.1\r\n"], 1, []]);
  });
}

Deno.test("what was not read is said at the end", async () => {
  const { notes } = await all(recording().subarray(0, -1), 50);
  assert.equal(notes.length, 1);
});

Deno.test("a file that is no pcapng is an error", async () => {
  await assert.rejects(all(wireOctets("GET / HTTP/1.1\r\n"), 3), CaptureError);
});
