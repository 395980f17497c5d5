import assert from "node:assert/strict";
import { BatchWriter } from "../lib/batch_writer.ts";

/** Collects what is written, some bytes at a time, and counts the writes. */
class Collector {
  text = "";
  writes = 0;
  readonly #most: number;

  constructor(most = Infinity) {
    this.#most = most;
  }

  write(bytes: Uint8Array): Promise<number> {
    const part = bytes.subarray(0, this.#most);
    this.text += new TextDecoder("latin1").decode(part);
    this.writes++;
    return Promise.resolve(part.length);
  }
}

Deno.test("messages are written in order, together", async () => {
  const sink = new Collector();
  const writer = new BatchWriter(sink);
  for (let i = 0; i < 1000; i++) writer.print(`${i}:`, new Uint8Array([0x61, 0x0a]));
  writer.print("a", "b\n");
  await writer.flush();
  assert.equal(sink.text, `${Array.from({ length: 1000 }, (_, i) => `${i}:a\n`).join("")}ab\n`);
  assert.equal(sink.writes, 1);
  writer.print("later\n");
  await writer.flush();
  assert(sink.text.endsWith("later\n"));
});

Deno.test("a sink may write a batch in parts", async () => {
  const sink = new Collector(7);
  const writer = new BatchWriter(sink);
  writer.print("0123456789".repeat(10));
  await writer.flush();
  assert.equal(sink.text, "0123456789".repeat(10));
});

Deno.test("messages printed during a write are written after it", async () => {
  const sink = new Collector();
  const writer = new BatchWriter({
    write(bytes) {
      if (sink.writes === 0) writer.print("second\n");
      return sink.write(bytes);
    },
  });
  writer.print("first\n");
  await writer.flush();
  assert.equal(sink.text, "first\nsecond\n");
});

Deno.test("messages for a slow output are limited, and omitted ones are counted", async () => {
  const sink = new Collector();
  const writer = new BatchWriter(sink, { maxBytes: 1000 });
  for (let i = 0; i < 30; i++) writer.print("x".repeat(99));
  await writer.flush();
  // Room is kept for three bytes a character, so not all of the 1000 are used.
  assert.equal(sink.text, `${"x".repeat(8 * 99)}... 22 messages omitted: the output is too slow\n`);
  writer.print("next\n");
  await writer.flush();
  assert(sink.text.endsWith("slow\nnext\n"));
});

Deno.test("a message may fill the buffer, of three bytes a character, and not one more", async () => {
  for (const [letters, isPrinted] of [[3, true], [4, false]] as const) {
    const sink = new Collector();
    const writer = new BatchWriter(sink, { maxBytes: 3 * 5 + 6 });
    writer.print("핑핑", new Uint8Array(6).fill(0x61), "x".repeat(letters));
    await writer.flush();
    assert.equal(sink.text !== "", isPrinted);
  }
});

Deno.test("a broken output is not written to again", async () => {
  let writes = 0;
  const writer = new BatchWriter({
    write() {
      writes++;
      return Promise.reject(new Deno.errors.BrokenPipe());
    },
  });
  writer.print("a");
  await writer.flush();
  writer.print("b");
  await writer.flush();
  assert.equal(writes, 1);
});

Deno.test("a failing output is reported once and retried, and omitted messages are counted", async () => {
  const sink = new Collector();
  let full = true;
  let attempts = 0;
  const errors: string[] = [];
  const writer = new BatchWriter({
    write(bytes) {
      attempts++;
      return full ? Promise.reject(new Error("No space left on device (os error 28)")) : sink.write(bytes);
    },
  }, { retryMs: 0, failed: ({ message }) => errors.push(message) });
  for (const text of ["one\n", "two\n", "three\n"]) {
    writer.print(text);
    await writer.flush();
  }
  assert.equal(attempts, 3);
  assert.deepEqual(errors, ["No space left on device (os error 28)"]);
  full = false;
  writer.print("four\n");
  await writer.flush();
  assert.equal(sink.text, "four\n... 3 messages omitted: it could not be written\n");
  full = true;
  writer.print("five\n");
  await writer.flush();
  assert.equal(errors.length, 2, "it is told again when it has worked in between");
});

Deno.test("a flush ends at its timeout, even if the output is blocked", async () => {
  const stuck = Promise.withResolvers<number>();
  const writer = new BatchWriter({ write: () => stuck.promise });
  writer.print("abc");
  await writer.flush(1);
  stuck.resolve(3);
  await writer.flush();
});
