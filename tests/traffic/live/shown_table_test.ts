import assert from "node:assert/strict";
import { PAGE_CONTENT_BYTES, PAGE_ROW_CHARACTERS } from "../../../lib/limits.ts";
import { cellsOf, rowOf, rowsOf, ShownTable } from "../../../lib/traffic/live/shown_table.ts";
import { wireOctets } from "../../wire_cases.ts";

const A = '{"A":{"type":"ant","age":1}}';
const LONG = "y".repeat(PAGE_CONTENT_BYTES);
const CELLS_OF_A = [["type", "ant"], ["age", "1"]];

const contents: [what: string, content: string | Uint8Array, name: string, cells: unknown][] = [
  ["text", A, "A", CELLS_OF_A],
  ["octets", new TextEncoder().encode('{"핑":{"x":"é"}}'), "핑", [["x", "é"]]],
  ["a name to unescape", '{"\\"}{\\\\":{"x":1}}', '"}{\\', [["x", "1"]]],
  ["a name that objects have", '{"__proto__":{"x":1}}', "__proto__", [["x", "1"]]],
  ["a long row", `{"\\"A":{"x":"${LONG}"}}`, '"A', [["", `{"x":"${"y".repeat(1018)}…`]]],
  ["a long row in octets", wireOctets(`{"A":{"x":"${LONG}"}}`), "A", [["", `{"x":"${"y".repeat(1018)}…`]]],
  ["a damaged row", '{"A":{"x":}}', "A", [["", '{"x":}}']]],
];

for (const [what, content, name, cells] of contents) {
  Deno.test(`a row is shown: ${what}`, () => assert.deepEqual(rowOf(content), [name, cells]));
}

Deno.test("rows are added, changed and removed; other responses change nothing", () => {
  const table = new ShownTable();
  table.follow({ kind: "table", rows: rowsOf(A)!, total: 1, large: false });
  const [row] = rowsOf(A)!;
  assert.equal(table.apply(row, "read"), false, "the same again");
  assert.equal(table.apply([row[0], [["type", "bee"]]], "replaced"), true);
  assert.deepEqual([...table.rows], [["A", [["type", "bee"]]]]);
  assert.equal(table.apply(["B", []], "created"), true);
  assert.equal(table.total, 2);
  assert.equal(table.apply(["A", null], "removed"), true);
  assert.equal(table.apply(["A", null], "removed"), false, "gone already");
  assert.deepEqual([...table.rows.keys()], ["B"]);
  assert.equal(table.total, 1);
});

Deno.test("of a table with more than 500 rows the last changed ones are kept", () => {
  const rows = (count: number) => Array.from({ length: count }, (_, i) => [`${i}`, []] as const);
  const table = new ShownTable();
  table.follow({ kind: "table", rows: rows(500), total: 500, large: false });
  assert.deepEqual([table.large, table.rows.size], [false, 500]);
  table.apply(["new", []], "created");
  assert.deepEqual([table.large, table.total, [...table.rows.keys()]], [true, 501, ["new"]]);
  table.apply(["7", null], "removed");
  assert.deepEqual([table.total, [...table.rows.keys()]], [500, ["new", "7"]]);
});

Deno.test("a table that follows another one becomes equal to it", () => {
  const table = new ShownTable();
  table.follow({ kind: "table", rows: [["A", []], ["B", []]], total: 2, large: false });
  table.follow({ kind: "read", rows: [["A", null], ["C", []]], total: 2, large: false });
  assert.deepEqual([...table.rows.keys()], ["B", "C"]);
  table.follow({ kind: "read", rows: [["D", []]], total: 501, large: true });
  assert.deepEqual([...table.rows.keys()], ["D"]);
});

Deno.test("values are shown as text, up to a limit", () => {
  assert.deepEqual(cellsOf({ a: "x", b: 1, c: null, d: { e: [1] } }), [["a", "x"], ["b", "1"], ["c", "null"], [
    "d",
    '{"e":[1]}',
  ]]);
  assert.deepEqual(cellsOf({ a: "x".repeat(1024) })[0][1], "x".repeat(1024));
  assert.deepEqual(cellsOf({ a: "x".repeat(1025) })[0][1], `${"x".repeat(1024)}…`);
  const many = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`m${i}`, i]));
  assert.equal(cellsOf(many).length, 50);
  const long = cellsOf(Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`m${i}`, "x".repeat(1000)])));
  assert.deepEqual(long.map(([, value]) => value.length), [1000, 1000, 1000, 1000, PAGE_ROW_CHARACTERS - 4 * 1002 + 1]);
});

Deno.test("a table that is too long to be shown is large, however few rows it has", () => {
  const table = new ShownTable();
  table.follow({ kind: "table", rows: [], total: 2, large: true });
  assert.deepEqual([table.large, table.total, table.rows.size], [true, 2, 0]);
  table.apply(rowsOf(A)![0], "created");
  assert.deepEqual([table.large, table.total, table.rows.size], [true, 3, 1]);
});
