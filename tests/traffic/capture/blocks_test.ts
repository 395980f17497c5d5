import assert from "node:assert/strict";
import { packetBlock, recordingStart } from "../../../lib/traffic/capture/writer.ts";

Deno.test("a recording starts with a section of this program and an interface of raw IP packets", () => {
  const start = recordingStart("wiretable 1");
  const view = new DataView(start.buffer);
  const section = view.getUint32(4, true);
  assert.deepEqual([view.getUint32(0, true), view.getUint32(8, true)], [0x0a0d0d0a, 0x1a2b3c4d]);
  assert.deepEqual([view.getUint16(12, true), view.getUint16(14, true), view.getBigInt64(16, true)], [1, 0, -1n]);
  assert.deepEqual([view.getUint16(24, true), view.getUint16(26, true)], [4, 11]);
  assert.equal(new TextDecoder().decode(start.subarray(28, 39)), "wiretable 1");
  assert.equal(view.getUint32(section - 4, true), section);
  assert.deepEqual([view.getUint32(section, true), view.getUint32(section + 4, true)], [1, 20]);
  assert.equal(view.getUint16(section + 8, true), 101);
  assert.equal(start.length, section + 20);
});

Deno.test("a packet has its time, its padding and its comment", () => {
  const block = packetBlock(2 ** 33 + 5, Uint8Array.of(7, 8, 9), "né", 0);
  const view = new DataView(block.buffer);
  assert.deepEqual([0, 4, 12, 16, 20, 24].map((at) => view.getUint32(at, true)), [6, block.length, 2, 5, 3, 3]);
  assert.deepEqual([...block.subarray(28, 32)], [7, 8, 9, 0]);
  assert.deepEqual([view.getUint16(32, true), view.getUint16(34, true)], [1, 3]);
  assert.equal(new TextDecoder().decode(block.subarray(36, 39)), "né");
  assert.equal(view.getUint32(40, true), 0, "the options end");
  assert.equal(view.getUint32(block.length - 4, true), block.length);
});
