import assert from "node:assert/strict";
import { Segment, SEGMENT_ROWS } from "../../lib/store/memory_segment.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const row = (name: string, size: number) => ({ name, json: JSON.stringify("x".repeat(size)) });

Deno.test("a segment has a maximum number of rows", () => {
  const segment = Segment.empty(0, 0);
  for (let i = 0; i < SEGMENT_ROWS; i++) {
    assert(segment.hasRoom(10));
    segment.write(i, { name: String(i), json: "1" }, i + 1);
  }
  assert(!segment.hasRoom(10));
  assert.equal(segment.live, SEGMENT_ROWS);
});

Deno.test("a copy does not change with its segment, for rows of any size", () => {
  const segment = Segment.empty(3, 0);
  segment.write(0, row("small", 10), 1);
  segment.write(1, row("large", 50_000), 2);
  const copy = segment.copy(1);
  for (let i = 0; i < 100; i++) segment.write(0, row("small", 10_000 + i), 3 + i);
  segment.remove(1);
  assert.equal(text(copy.content(0)), '{"small":"xxxxxxxxxx"}');
  assert.equal(copy.content(1).length, 50_012);
  assert.equal(copy.version(1), 2);
  assert.equal(segment.version(1), 0);
  assert.equal(segment.live, 1);
  assert.equal(segment.content(0).length, 10_111);
  assert.equal(copy.id, segment.id);
});

Deno.test("a row may become large and small again", () => {
  const segment = Segment.empty(0, 0);
  for (const size of [1, 100_000, 5, 16_372, 16_373, 16_374, 16_375, 2]) {
    segment.write(0, row("a", size), size);
    assert.equal(text(segment.content(0)), `{"a":"${"x".repeat(size)}"}`);
  }
  assert.equal(segment.live, 1);
});
