import assert from "node:assert/strict";
import { MemoryStore } from "../../lib/store/memory.ts";
import { type Portion, rowContent, START } from "../../lib/store.ts";
import { Segment, SEGMENT_ROWS, Snapshots } from "../../lib/store/memory_segments.ts";

const SNAPSHOTS = new Snapshots();
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const row = (name: string, size: number) => rowContent(name, JSON.stringify("x".repeat(size)));

Deno.test("a segment has a maximum number of rows", () => {
  const segment = new Segment(0, SNAPSHOTS);
  for (let i = 0; i < SEGMENT_ROWS; i++) {
    assert(segment.hasRoom(10));
    segment.put(i, rowContent(String(i), "1"), i + 1);
  }
  assert(!segment.hasRoom(10));
  assert.equal(segment.live, SEGMENT_ROWS);
});

Deno.test("a copy does not change with its segment, for rows of any size", () => {
  const segment = new Segment(3, SNAPSHOTS);
  segment.put(0, row("small", 10), 1);
  segment.put(1, row("large", 50_000), 2);
  const copy = segment.copy();
  for (let i = 0; i < 100; i++) segment.put(0, row("small", 10_000 + i), 3 + i);
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
  const segment = new Segment(0, SNAPSHOTS);
  for (const size of [1, 100_000, 5, 16_372, 16_373, 16_374, 16_375, 2]) {
    segment.put(0, row("a", size), size);
    assert.equal(text(segment.content(0)), `{"a":"${"x".repeat(size)}"}`);
  }
  assert.equal(segment.live, 1);
});

Deno.test("the other rows stay as they are while one grows, and once most are removed", () => {
  const segment = new Segment(0, SNAPSHOTS);
  const content = (place: number) => rowContent(`r${place}`, JSON.stringify(String(place).repeat(500)));
  for (let place = 0; place < 200; place++) segment.put(place, content(place), 1);
  for (let size = 1; size < 300; size++) segment.put(1, row("r1", size * 50), 2);
  for (const place of [0, 2, 100, 199]) assert.equal(text(segment.content(place)), content(place));
  for (let place = 1; place < 190; place++) segment.remove(place);
  for (const place of [0, 190, 199]) assert.equal(text(segment.content(place)), content(place));
});

Deno.test("members are written in order, wherever their contents stand", () => {
  const segment = new Segment(0, SNAPSHOTS);
  const sizes = [10, 0, 20_000, 30, 30, 17_000, 16_373, 16_374, 5, 5, 5];
  sizes.forEach((size, place) => segment.put(place, row(`r${place}`, size), place + 1));
  // Moved behind the others, grown and shrunk over the size of a large row, and removed at the start, in a run, at the end.
  const changes = [
    () => {},
    () => segment.put(3, row("r3", 31), 20),
    () => segment.put(2, row("r2", 1), 21),
    () => segment.put(4, row("r4", 20_000), 22),
    () => segment.remove(0),
    () => segment.remove(9),
    () => segment.remove(5),
    () => segment.put(5, row("r5", 7), 23),
    () => segment.remove(10),
  ];
  for (const change of changes) {
    change();
    for (const [from, to] of [[0, sizes.length], [1, 4], [3, sizes.length], [9, 10]]) {
      const contents = segment.places().filter((place) => place >= from && place < to).map((place) =>
        text(segment.content(place))
      );
      const members = new Uint8Array(2 + contents.join("").length);
      const end = segment.writeMembers(from, to, members, 2);
      assert.equal(text(members.subarray(2, end)), contents.map((content) => `,${content.slice(1, -1)}`).join(""));
    }
  }
});

Deno.test("rows of every length are moved whole", () => {
  const table = new MemoryStore();
  const rows: Record<string, string> = {};
  for (let length = 0; length < 100; length++) {
    rows[`n${length}`] = Array.from({ length }, (_, i) => String.fromCharCode(0x40 + i % 60 + length % 5)).join("é");
    table.put({ name: `n${length}`, json: JSON.stringify(rows[`n${length}`]) });
  }
  const { content } = table.snapshot().json(START) as Portion<Uint8Array>;
  assert(text(content) === JSON.stringify(rows));
});
