import assert from "node:assert/strict";
import { byteLength, resized, writeAll } from "../lib/bytes.ts";

Deno.test("all bytes are written, however few go at a time", async () => {
  const written: number[] = [];
  const sink = {
    write(bytes: Uint8Array) {
      const count = Math.min(2, bytes.length);
      written.push(...bytes.subarray(0, count));
      return Promise.resolve(count);
    },
  };
  await writeAll(sink, Uint8Array.of(1, 2, 3, 4, 5));
  await writeAll(sink, new Uint8Array(0));
  assert.deepEqual(written, [1, 2, 3, 4, 5]);
});

Deno.test("what is used is copied, the rest is room", () => {
  assert.deepEqual([...resized(Uint8Array.of(1, 2, 3), 2, 4)], [1, 2, 0, 0]);
});

Deno.test("lengths count bytes", () => {
  assert.equal(byteLength("핑"), 3);
  assert.equal(byteLength(new Uint8Array(2)), 2);
});
