import assert from "node:assert/strict";
import { RowJoiner, RowPile } from "../../lib/table/row_pile.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (octets: Uint8Array) => new TextDecoder().decode(octets);

Deno.test("a pile returns its rows, short, empty and larger than a buffer", () => {
  const pile = new RowPile();
  const rows = Array.from({ length: 3000 }, (_, i) => `${i}`.repeat(i % 97 === 0 ? 70_000 : i % 50));
  for (const row of rows) pile.add(bytes(row));
  assert.equal(pile.count, rows.length);
  rows.forEach((row, i) => assert.equal(text(pile.get(i)), row));
});

Deno.test("joined rows are one JSON object, however many pieces are taken", () => {
  assert.equal(text(new RowJoiner().end()), "{}");
  const joiner = new RowJoiner();
  joiner.add(bytes('"a":{}'));
  assert.equal(text(joiner.take()), '{"a":{}');
  joiner.add(bytes('"b":{}'));
  assert.equal(text(joiner.end()), ',"b":{}}');
});
