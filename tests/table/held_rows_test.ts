import assert from "node:assert/strict";
import { HeldRows } from "../../lib/table/held_rows.ts";
import { fieldOf, StoredRows } from "../../lib/table/stored_rows.ts";

const AGE = [{ field: fieldOf(["age"]), descending: false }];

Deno.test("held rows are returned as they were added or copied, short and larger than a buffer", () => {
  const rows = new HeldRows(AGE);
  const texts = Array.from({ length: 300 }, (_, i) => `"${i}":{"n":"${"x".repeat(i % 97 === 0 ? 70_000 : i)}"}`);
  for (const text of texts) {
    const page = new StoredRows(new TextEncoder().encode(`{${text}}`));
    assert(page.next());
    rows.add(page);
  }
  const copies = new HeldRows(AGE);
  for (let i = 299; i >= 0; i--) copies.copy(rows, i);
  assert.deepEqual([rows.count, copies.count, copies.bytes], [300, 300, rows.bytes]);
  for (const [i, text] of texts.entries()) {
    for (const row of [rows.row(i), copies.row(299 - i)]) assert.equal(new TextDecoder().decode(row), text);
  }
});
