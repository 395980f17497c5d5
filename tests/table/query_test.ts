import assert from "node:assert/strict";
import { StoredRows } from "../../lib/table/stored_rows.ts";
import { HttpError } from "../../lib/http/error.ts";
import { compareSortValues, parseQuery, sortValue } from "../../lib/table/query.ts";
import type { JsonObject } from "../../lib/json.ts";
import { RowSchema } from "../../lib/table/row_schema.ts";

const SHAPE = RowSchema.parse("type,age,leg");
const FREE = RowSchema.parse("*");

const filters: [query: string, row: JsonObject, matches: boolean][] = [
  ["type=snail", { type: "snail" }, true],
  ["type=snail", { type: "Snail" }, false],
  ["type=", { type: "" }, true],
  ["age=1", { age: 1 }, true],
  ["age=1", { age: "1.0" }, true],
  ["age=1e1", { age: 10 }, true],
  ["age=0x10", { age: 16 }, false],
  ["age:eq=1", { age: "1" }, true],
  ["age=12345678901234567891", { age: "12345678901234567890" }, false],
  ["age:lt=12345678901234567891", { age: "12345678901234567890" }, true],
  ["age=1e999", { age: "1e999" }, true],
  ["age:ne=1e999", { age: "2e999" }, false],
  ["age:ne=1", { age: "2" }, true],
  ["age:ne=1", { age: 1 }, false],
  ["age:gte=2", { age: "10" }, true],
  ["age:gt=10", { age: "10" }, false],
  ["age:lt=10", { age: "9" }, true],
  ["age:lte=9", { age: 9 }, true],
  ["age:lt=10", { age: "9a" }, false],
  ["age:gt=10", { age: "9a" }, true],
  ["type:gt=cat", { type: "dog" }, true],
  ["age:in=1,2,3", { age: "2" }, true],
  ["age:in=1,2,3", { age: "4" }, false],
  ["type:contains=NAI", { type: "snail" }, true],
  ["type:startsWith=sn", { type: "Snail" }, true],
  ["type:endsWith=l", { type: "snail" }, true],
  ["type:endsWith=s", { type: "snail" }, false],
  ["age:contains=1", { age: 210 }, true],
  ["leg=null", { leg: null }, true],
  ["leg=true", { leg: true }, true],
  ["leg:ne=1", {}, false],
  ["type=%EB%8B%AC", { type: "달" }, true],
  ["type=a+b", { type: "a b" }, true],
  ["age:gte=1&age:lt=5", { age: 3 }, true],
  ["age:gte=1&age:lt=5", { age: 5 }, false],
];

/** A row as it is stored. */
function stored(row: JsonObject): StoredRows {
  const rows = new StoredRows(new TextEncoder().encode(`{"name":${JSON.stringify(row)}}`));
  assert(rows.next());
  return rows;
}

/** Whether a row passes all filters of a query. */
function passes(query: string, row: JsonObject, schema = SHAPE): boolean {
  return parseQuery(query, schema).filters.every((test) => test(stored(row)));
}

for (const [query, row, matches] of filters) {
  Deno.test(`${query} ${matches ? "takes" : "leaves"} ${JSON.stringify(row)}`, () => {
    assert.equal(passes(query, row), matches);
  });
}

Deno.test("in rows of any form a path selects a nested member", () => {
  assert.equal(passes("author.name=foo", { author: { name: "foo" } }, FREE), true);
  assert.equal(passes("author.name=foo", { author: "foo" }, FREE), false);
  assert.equal(passes("author.name=foo", { author: { name: ["foo"] } }, FREE), false);
  assert.equal(passes("constructor.name=Object", {}, FREE), false);
});

const refused: [query: string, message: RegExp][] = [
  ["color=red", /^The parameter color names the unknown field "color": a row has the fields type, age, leg$/],
  ["age:near=1", /^The parameter age:near has an unknown operator "near": known are eq, ne/],
  ["age:toString=1", /unknown operator "toString"/],
  ["age:=1", /unknown operator ""/],
  ["=1", /names the unknown field ""/],
  [":eq=1", /names the unknown field ""/],
  ["_limit=1", /^The parameter _limit is unknown/],
  ["_sort=color", /^The parameter _sort names the unknown field "color"/],
  ["_sort=", /^The parameter _sort names the unknown field ""/],
  ["_sort=age,,type", /^The parameter _sort names the unknown field ""/],
  ["_sort=age,age,age,age,age,age,age,age,age", /^The parameter _sort takes at most 8 fields, saw 9$/],
  ["type=%FF", /^The query must be percent-encoded UTF-8$/],
  ["_sort=age&_sort=type", /^The parameter _sort is given twice$/],
  ["_page=0", /^The parameter _page takes a whole number from 1 to \d+, saw "0"$/],
  ["_page=-1", /^The parameter _page takes/],
  ["_page=1.5", /^The parameter _page takes/],
  ["_page=x", /^The parameter _page takes/],
  ["_page=9007199254740992", /^The parameter _page takes/],
  ["_per_page=0", /^The parameter _per_page takes/],
  ["_page=99999999999999999", /^The parameter _page takes/],
  ["_per_page=10001", /^The parameter _per_page takes a whole number from 1 to 10000, saw "10001"$/],
  [Array(65).fill("age=1").join("&"), /^A query may have 64 parameters, saw 65$/],
];

for (const [query, message] of refused) {
  Deno.test(`the query ${query.slice(0, 30)} is refused`, () => {
    assert.throws(() => parseQuery(query, SHAPE), (error) => {
      assert(error instanceof HttpError);
      assert.equal(error.status, 400);
      assert.match(error.message, message);
      return true;
    });
  });
}

Deno.test("a page is used only if requested", () => {
  assert.equal(parseQuery("", SHAPE).page, undefined);
  assert.deepEqual(parseQuery("", SHAPE).filters, []);
  assert.deepEqual(parseQuery("_page=3", SHAPE).page, { number: 3, size: 10 });
  assert.deepEqual(parseQuery("_per_page=5", SHAPE).page, { number: 1, size: 5 });
});

function sorted(sort: string, rows: JsonObject[]): JsonObject[] {
  const { sort: keys } = parseQuery(`_sort=${sort}`, FREE);
  const order = (a: JsonObject, b: JsonObject) => {
    for (const key of keys) {
      const order = compareSortValues(sortValue(stored(a), key), sortValue(stored(b), key), key);
      if (order !== 0) return order;
    }
    return 0;
  };
  return rows.toSorted(order);
}

Deno.test("numbers sort as numbers, before texts, and missing values come last", () => {
  const rows = ["10", "9a", 9, "b", "1a", 2.5].map((age) => ({ age }));
  assert.deepEqual(
    sorted("age", [{}, ...rows]),
    [2.5, 9, "10", "1a", "9a", "b"].map((age) => ({ age })).concat([{} as never]),
  );
  assert.deepEqual(
    sorted("-age", [{}, ...rows]),
    ["b", "9a", "1a", "10", 9, 2.5].map((age) => ({ age })).concat([{} as never]),
  );
});

Deno.test("a second key orders equal rows, and the sort is stable", () => {
  const rows = [{ a: 1, b: "x", n: 1 }, { a: 2, b: "x", n: 2 }, { a: 1, b: "y", n: 3 }, { a: 1, b: "y", n: 4 }];
  assert.deepEqual(sorted("a,-b", rows).map(({ n }) => n), [3, 4, 1, 2]);
});

Deno.test("long digits cost no more than their length", () => {
  const digits = "1".repeat(500_000);
  assert.equal(passes("age=1", { age: `${digits}x` }), false);
});

Deno.test("filters of one field convert its value once, and filters of two fields are independent", () => {
  assert.equal(passes("age:gte=1&type=a&age:lte=3", { type: "a", age: "2" }), true);
  assert.equal(passes("age:gte=1&type=a&age:lte=3", { type: "2", age: "a" }), false);
});

const bounds: [query: string, page: { number: number; size: number }][] = [
  ["_per_page=1", { number: 1, size: 1 }],
  ["_per_page=10000", { number: 1, size: 10_000 }],
  ["_page=1", { number: 1, size: 10 }],
  ["_page=9007199254740991", { number: Number.MAX_SAFE_INTEGER, size: 10 }],
];

for (const [query, page] of bounds) {
  Deno.test(`${query} is allowed`, () => assert.deepEqual(parseQuery(query, SHAPE).page, page));
}

Deno.test("as many parameters and sort fields as are allowed", () => {
  assert.equal(parseQuery(Array(64).fill("age=1").join("&"), SHAPE).filters.length, 64);
  assert.equal(parseQuery(`_sort=${Array(8).fill("age").join()}`, SHAPE).sort.length, 8);
});

Deno.test("rows with equal keys compare as equal, in either direction", () => {
  for (const descending of [false, true]) {
    for (const age of [1, "a", undefined]) assert.equal(compareSortValues(age, age, { path: [], descending }), 0);
  }
});

Deno.test("rows without the field sort last, in either direction", () => {
  for (const descending of [false, true]) {
    const key = { path: [], descending };
    for (const age of [1, "a"]) {
      assert.equal(compareSortValues(undefined, age, key), 1);
      assert.equal(compareSortValues(age, undefined, key), -1);
    }
  }
});
