import assert from "node:assert/strict";
import { PAGE_ROW_CHARACTERS, RESPONSE_LIMITS } from "../../../lib/limits.ts";
import { Decoder } from "../../../lib/http/decoder.ts";
import { cellsOf, type Complete, effectOf, rowsOf, TableState } from "../../../lib/traffic/live/table_state.ts";
import { requestOf } from "../../support.ts";
import { wireOctets } from "../../wire_cases.ts";

const A = '{"A":{"type":"ant","age":1}}';
const CELLS_OF_A = [["type", "ant"], ["age", "1"]];

function exchange(request: string, status: number, received = "", fields = "", sent = ""): Complete {
  const decoder = new Decoder("response", RESPONSE_LIMITS);
  decoder.receive(wireOctets(`HTTP/1.1 ${status} X\r\n${fields}\r\n`));
  const head = decoder.next();
  assert(head?.kind === "response");
  return {
    request: requestOf(`${request} HTTP/1.1\r\nHost: a\r\n\r\n`),
    sent: wireOctets(sent),
    status,
    fields: head.fields,
    received: wireOctets(received),
  };
}

const effects: [name: string, complete: Complete, kind: string, changes?: unknown][] = [
  ["PUT that created", exchange("PUT /A", 201, A, 'ETag: "7"\r\n'), "rows", [{
    name: "A",
    cells: CELLS_OF_A,
    version: 7,
  }]],
  ["PUT that replaced", exchange("PUT /A", 200, A), "rows", [{ name: "A", cells: CELLS_OF_A, version: undefined }]],
  ["PATCH", exchange("PATCH /A", 200, A), "rows"],
  ["POST", exchange("POST /A", 201, A), "rows"],
  ["PUT that was refused", exchange("PUT /A", 422, "{}"), "nothing"],
  ["DELETE", exchange("DELETE /%41", 204), "rows", [{ name: "A", cells: null }]],
  ["DELETE of nothing", exchange("DELETE /A", 404), "nothing"],
  ["GET of a row", exchange("GET /A", 200, A), "rows"],
  ["GET of nothing", exchange("GET /A", 404), "rows", [{ name: "A", cells: null }]],
  ["GET not modified", exchange("GET /A", 304), "nothing"],
  ["HEAD", exchange("HEAD /A", 200), "nothing"],
  ["many rows", exchange("POST /", 201, '{"created":1}', "", A), "rows", [{ name: "A", cells: CELLS_OF_A }]],
  ["the whole table", exchange("GET /", 200, A), "table"],
  ["a filtered listing", exchange("GET /?type=ant", 200, A), "nothing"],
  ["a write whose answer is not understood", exchange("PUT /A", 200, "x"), "unknown"],
  ["a write whose answer is too long", { ...exchange("PUT /A", 200), received: undefined }, "unknown"],
];

for (const [name, complete, kind, changes] of effects) {
  Deno.test(`the table follows ${name}`, () => {
    const effect = effectOf(complete);
    assert.equal(effect.kind, kind);
    if (changes !== undefined) assert.deepEqual(effect.kind === "rows" && effect.changes, changes);
  });
}

Deno.test("rows are added, changed and removed; other responses change nothing", () => {
  const table = new TableState();
  table.reset({ rows: rowsOf(A)!, total: 1 });
  const [row] = rowsOf(A)!;
  assert.equal(table.apply(row, undefined), false, "the same again");
  assert.equal(table.apply({ ...row, cells: [["type", "bee"]], version: 5 }, false), true);
  assert.equal(table.apply({ ...row, version: 4 }, false), false, "older than what is known");
  assert.deepEqual(table.rows, [{ name: "A", cells: [["type", "bee"]], version: 5 }]);
  assert.equal(table.apply({ name: "B", cells: [] }, true), true);
  assert.equal(table.total, 2);
  assert.equal(table.apply({ name: "A", cells: null }, false), true);
  assert.equal(table.apply({ name: "A", cells: null }, false), false, "gone already");
  assert.deepEqual(table.rows.map(({ name }) => name), ["B"]);
  assert.equal(table.total, 1);
});

Deno.test("of a table with more than 500 rows the last changed ones are kept", () => {
  const rows = (count: number) => Array.from({ length: count }, (_, i) => ({ name: `${i}`, cells: [] }));
  const table = new TableState();
  table.reset({ rows: rows(500), total: 500 });
  assert.deepEqual([table.large, table.rows.length], [false, 500]);
  table.apply({ name: "new", cells: [] }, true);
  assert.deepEqual([table.large, table.total, table.rows.map(({ name }) => name)], [true, 501, ["new"]]);
  table.apply({ name: "7", cells: null }, false);
  assert.deepEqual([table.total, table.rows.map(({ name }) => name)], [500, ["new", "7"]]);
  table.reset({ rows: rows(500), total: 501 });
  assert.deepEqual([table.large, table.rows], [true, []]);
});

Deno.test("a table that follows another one becomes equal to it", () => {
  const table = new TableState();
  table.follow([["A", []], ["B", []]], 2, false, true);
  table.follow([["A", null], ["C", []]], 2, false, false);
  assert.deepEqual(table.rows.map(({ name }) => name), ["B", "C"]);
  table.follow([["D", []]], 501, true, false);
  assert.deepEqual(table.rows.map(({ name }) => name), ["D"]);
});

Deno.test("a complete listing shows the differences", () => {
  const table = new TableState();
  table.reset({ rows: rowsOf('{"A":{},"B":{"x":1}}')!, total: 2 });
  const changes = table.replace({ rows: rowsOf('{"B":{"x":2},"C":{}}')!, total: 2 });
  assert.deepEqual(changes.map(({ name, cells }) => [name, cells]), [["A", null], ["B", [["x", "2"]]], ["C", []]]);
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
  const table = new TableState();
  table.reset({ rows: undefined, total: 2 });
  assert.deepEqual([table.large, table.total, table.rows], [true, 2, []]);
  table.apply(rowsOf(A)![0], true);
  assert.deepEqual([table.large, table.total, table.rows.length], [true, 3, 1]);
});
