import assert from "node:assert/strict";
import { StoredRows } from "../../lib/table/stored_rows.ts";
import { HttpError } from "../../lib/http/error.ts";
import { compareBy, parseQuery } from "../../lib/table/query.ts";
import type { JsonObject } from "../../lib/json.ts";
import { RowSchema } from "../../lib/table/row_schema.ts";

const SHAPE = RowSchema.parse("type,age,leg");
const FREE = RowSchema.parse("*");

const TYPED = RowSchema.parse("ver:string,n:integer,x:number,b:boolean,n_gte");

const filters: [schema: RowSchema, query: string, row: JsonObject, matches: boolean][] = [
  [SHAPE, "type=snail", { type: "snail" }, true],
  [SHAPE, "type=snail", { type: "Snail" }, false],
  [SHAPE, "type=", { type: "" }, true],
  [SHAPE, "age=1", { age: 1 }, true],
  [SHAPE, "age=1", { age: "1.0" }, true],
  [SHAPE, "age=1e1", { age: 10 }, true],
  [SHAPE, "age=0x10", { age: 16 }, false],
  [SHAPE, "age:eq=1", { age: "1" }, true],
  [SHAPE, "age=12345678901234567891", { age: "12345678901234567890" }, false],
  [SHAPE, "age:lt=12345678901234567891", { age: "12345678901234567890" }, true],
  [SHAPE, "age=1e999", { age: "1e999" }, true],
  [SHAPE, "age:ne=1e999", { age: "2e999" }, true],
  [SHAPE, "age:ne=1", { age: "2" }, true],
  [SHAPE, "age:ne=1", { age: 1 }, false],
  [SHAPE, "age:ne=1", {}, true],
  [SHAPE, "age:ne=null", { age: null }, false],
  [SHAPE, "age:gte=2", { age: "10" }, true],
  [SHAPE, "age:gt=10", { age: "10" }, false],
  [SHAPE, "age:lt=10", { age: "9" }, true],
  [SHAPE, "age:lte=9", { age: 9 }, true],
  // A number has no order with a text, null or a boolean.
  [SHAPE, "age:lt=10", { age: "9a" }, false],
  [SHAPE, "age:gt=10", { age: "9a" }, false],
  [SHAPE, "age:gt=5", { age: "apple" }, false],
  [SHAPE, "age:gt=5", { age: null }, false],
  [SHAPE, "age:gt=5", { age: true }, false],
  [SHAPE, "age:gt=a", { age: "b" }, true],
  [SHAPE, "age:gt=a", { age: 5 }, false],
  [SHAPE, "age:gt=a", { age: true }, false],
  [SHAPE, "age:lt=null", { age: null }, false],
  [SHAPE, "age:gte=2026-01-01", { age: "2026-11-29" }, true],
  [SHAPE, "type:gt=cat", { type: "dog" }, true],
  [SHAPE, "type:gt=%EF%BF%BF", { type: "😀" }, true],
  [SHAPE, "age:in=1,2,3", { age: "2" }, true],
  [SHAPE, "age:in=1,2,3", { age: "4" }, false],
  [SHAPE, "age:in=1%2C2", { age: "2" }, true],
  [SHAPE, "age:in=true,null", { age: null }, true],
  [SHAPE, "type:contains=NAI", { type: "snail" }, true],
  [SHAPE, "type:startsWith=sn", { type: "Snail" }, true],
  [SHAPE, "type:endsWith=l", { type: "snail" }, true],
  [SHAPE, "type:endsWith=s", { type: "snail" }, false],
  [SHAPE, "type:contains=%CE%9F%CE%94%CE%9F%CE%A3", { type: "ΟΔΟΣΤΡΩΜΑ" }, true],
  [SHAPE, "type:endsWith=%CF%83", { type: "ΟΔΟΣ" }, true],
  [SHAPE, "type:contains=%E1%84%92%E1%85%A1%E1%86%AB", { type: "대한민국" }, true],
  [SHAPE, "type:startsWith=%ED%95%9C", { type: "한".normalize("NFD") }, true],
  [SHAPE, "type:contains=i", { type: "İ" }, true],
  [SHAPE, "age:contains=1", { age: 210 }, true],
  [SHAPE, "age:startsWith=00", { age: "007" }, true],
  [SHAPE, "age:contains=ru", { age: true }, false],
  [SHAPE, "age:contains=", { age: null }, false],
  [SHAPE, "leg=null", { leg: null }, true],
  [SHAPE, "leg=null", { leg: "null" }, true],
  [SHAPE, "leg=null", {}, false],
  [SHAPE, "leg=true", { leg: true }, true],
  [SHAPE, "leg=true", { leg: "true" }, true],
  [SHAPE, "type=%EB%8B%AC", { type: "달" }, true],
  [SHAPE, "type=a+b", { type: "a b" }, true],
  [SHAPE, "type=a%0A%22b", { type: 'a\n"b' }, true],
  [SHAPE, "age:gte=1&age:lt=5", { age: 3 }, true],
  [SHAPE, "age:gte=1&age:lt=5", { age: 5 }, false],
  // The same field with =, eq and in: any of the values.
  [SHAPE, "type=a&type=b", { type: "b" }, true],
  [SHAPE, "type=a&type=b", { type: "c" }, false],
  [SHAPE, "type:eq=a&type=b", { type: "a" }, true],
  [SHAPE, "age:in=1,2&age:in=3", { age: "3" }, true],
  [SHAPE, "age=1&age:in=2", { age: "1" }, true],
  [SHAPE, "type=a%2Cb&type=c", { type: "a,b" }, true],
  [SHAPE, "type=a&age=1", { type: "a", age: "2" }, false],
  [SHAPE, "age:ne=1&age:ne=2", { age: "2" }, false],
  [SHAPE, "age:in=1,2&age:ne=2", { age: "2" }, false],
  // A typed field compares by its type.
  [TYPED, "ver=1.1", { ver: "1.10" }, false],
  [TYPED, "ver=7", { ver: "007" }, false],
  [TYPED, "ver:lt=9", { ver: "10" }, true],
  [TYPED, "ver:in=1.1,2", { ver: "1.1" }, true],
  [TYPED, "ver=null", { ver: "null" }, true],
  [TYPED, "n=7.0", { n: 7 }, true],
  [TYPED, "n:gt=6.5", { n: 7 }, true],
  [TYPED, "n:contains=7", { n: 178 }, true],
  [TYPED, "x=5e-1", { x: 0.5 }, true],
  [TYPED, "b=true", { b: true }, true],
  [TYPED, "b:ne=true", { b: false }, true],
  [TYPED, "b:in=true,false", { b: false }, true],
  [TYPED, "n_gte:eq=5", { n_gte: 5 }, true],
  [TYPED, "n_gte=5", { n_gte: "5" }, true],
  // Rows of any form.
  [FREE, "_id=7", { _id: 7 }, true],
  [FREE, "__v:gte=1", { __v: 2 }, true],
  [FREE, "_limit:eq=3", { _limit: 3 }, true],
  [FREE, "_sort:eq=a", { _sort: "a" }, true],
  [FREE, "check_in=x", { check_in: "x" }, true],
  [FREE, "a%5Bb%5D=1", { "a[b]": 1 }, true],
  [FREE, "xml:lang:eq=en", { "xml:lang": "en" }, true],
  [FREE, "n_gte:eq=5", { n_gte: 5 }, true],
  [FREE, "tags=b", { tags: ["a", "b"] }, true],
  [FREE, "tags:in=x,7", { tags: ["7"] }, true],
  [FREE, "tags:contains=B", { tags: ["a", "xby"] }, true],
  [FREE, "tags:startsWith=a", { tags: ["a"] }, false],
  [FREE, "tags:gt=0", { tags: [1] }, false],
  [FREE, "tags=a", { tags: [["a"], { a: "a" }] }, false],
  [FREE, "tags:ne=a", { tags: ["a", "b"] }, false],
  [FREE, "tags:ne=c", { tags: ["a", "b"] }, true],
  [FREE, "tags:ne=c", { tags: {} }, true],
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

for (const [schema, query, row, matches] of filters) {
  Deno.test(`${query} ${matches ? "takes" : "leaves"} ${JSON.stringify(row)} (${schema})`, () => {
    assert.equal(passes(query, row, schema), matches);
  });
}

Deno.test("in rows of any form a path selects a nested member", () => {
  assert.equal(passes("author.name=foo", { author: { name: "foo" } }, FREE), true);
  assert.equal(passes("author.name=foo", { author: "foo" }, FREE), false);
  assert.equal(passes("author.name=foo", { author: { name: ["foo"] } }, FREE), true);
  assert.equal(passes("author.name=foo", { author: [{ name: "foo" }] }, FREE), false);
  assert.equal(passes("constructor.name=Object", {}, FREE), false);
});

const refused: [query: string, message: RegExp, schema?: RowSchema][] = [
  ["color=red", /^The parameter color names the unknown field "color": a row has the fields type, age, leg$/],
  ["age:near=1", /^The parameter age:near has an unknown operator "near": known are eq, ne/],
  ["age:toString=1", /unknown operator "toString"/],
  ["age:=1", /unknown operator ""/],
  ["=1", /names the unknown field ""/],
  [":eq=1", /names the unknown field ""/],
  ["_limit=1", /^The parameter _limit is unknown/],
  ["n_gte=5", /^The parameter n_gte is unknown: an operator follows a colon, as n:gte=5; the field .* n_gte:eq$/, FREE],
  ["n_ne=", /as n:ne=/, FREE],
  ["n_like=x", /as n:contains=x;/, FREE],
  ["age%5Bgte%5D=1", /^The parameter age\[gte\] is unknown: an operator follows a colon, as age:gte=1;/, FREE],
  ["age%3E=5", /as age:gte=5;/, FREE],
  ["age_gte=5", /as age:gte=5$/],
  ["_limit=1", /^The parameter _limit is unknown/, FREE],
  ["_start=1", /^The parameter _start is unknown/, FREE],
  ["_embed=x", /^The parameter _embed is unknown/, FREE],
  ["n=abc", /^The parameter n takes a number, saw "abc"$/, TYPED],
  ["x:gt=", /^The parameter x:gt takes a number, saw ""$/, TYPED],
  ["n:in=1,x", /^The parameter n:in takes a number, saw "x"$/, TYPED],
  ["n=null", /takes a number/, TYPED],
  ["b=yes", /^The parameter b takes true or false, saw "yes"$/, TYPED],
  ["b:gt=true", /^The parameter b:gt: true and false have no order/, TYPED],
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
  [Array(65).fill("age=1").join("&"), /^A query has at most 64 parameters, saw 65$/],
];

for (const [query, message, schema = SHAPE] of refused) {
  Deno.test(`the query ${query.slice(0, 30)} is refused`, () => {
    assert.throws(() => parseQuery(query, schema), (error) => {
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
      const order = compareBy(key, stored(a).value(key.field), stored(b).value(key.field));
      if (order !== 0) return order;
    }
    return 0;
  };
  return rows.toSorted(order);
}

Deno.test("numbers sort before texts, these before booleans; the rest comes last in either direction", () => {
  const values = [true, "10", "9a", 9, "b", false, "1a", 2.5];
  const last = [{}, { age: null }, { age: [1] }, { age: {} }];
  const rows = [...last, ...values.map((age) => ({ age }))];
  const ages = (sort: string) => sorted(sort, rows).slice(0, values.length).map(({ age }) => age);
  assert.deepEqual(ages("age"), [2.5, 9, "10", "1a", "9a", "b", false, true]);
  assert.deepEqual(ages("-age"), [true, false, "b", "9a", "1a", "10", 9, 2.5]);
  for (const sort of ["age", "-age"]) assert.deepEqual(sorted(sort, rows).slice(values.length), last);
});

Deno.test("a second key orders equal rows, and the sort is stable", () => {
  const rows = [{ a: 1, b: "x", n: 1 }, { a: 2, b: "x", n: 2 }, { a: 1, b: "y", n: 3 }, { a: 1, b: "y", n: 4 }];
  assert.deepEqual(sorted("a,-b", rows).map(({ n }) => n), [3, 4, 1, 2]);
});

Deno.test("long digits cost no more than their length", () => {
  const digits = "1".repeat(500_000);
  assert.equal(passes("age=1", { age: `${digits}x` }), false);
});

Deno.test("filters of one field read its value once, and filters of two fields are independent", () => {
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
  assert.equal(parseQuery(Array(64).fill("age:ne=1").join("&"), SHAPE).filters.length, 64);
  assert.equal(parseQuery(`_sort=${Array(8).fill("age").join()}`, SHAPE).sort.length, 8);
});
