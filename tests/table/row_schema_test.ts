import assert from "node:assert/strict";
import { RowSchema } from "../../lib/table/row_schema.ts";

const ANIMAL = RowSchema.parse("type,age:integer,leg");
const ANY = RowSchema.parse("*");

Deno.test("a list of fields is parsed and formatted", () => {
  for (const text of ["type,age,leg", "a:string,b:number,c:integer,d:boolean,e", "*", "핑핑"]) {
    assert.equal(RowSchema.parse(text).toString(), text);
  }
  assert.equal(RowSchema.parse(" type , age ").toString(), "type,age");
});

Deno.test("as many fields, with names as long, as are allowed", () => {
  assert.equal(RowSchema.parse(Array.from({ length: 64 }, (_, i) => `f${i}`).join()).fields!.length, 64);
  assert(RowSchema.parse("x".repeat(64)).has("x".repeat(64)));
});

const refused: [text: string, message: RegExp][] = [
  ["", /has no name/],
  ["a,,b", /has no name/],
  [":integer", /has no name/],
  ["a,a", /"a" is named twice/],
  ["a:date", /type is string, number, integer, boolean, or left out, saw "date"/],
  ["_sort", /must not be \* or start with _, saw "_sort"/],
  ["a,*", /must not be \*/],
  ["x".repeat(65), /at most 64 characters, saw 65/],
  [Array.from({ length: 65 }, (_, i) => `f${i}`).join(","), /At most 64 fields are allowed, saw 65/],
];

for (const [text, message] of refused) {
  Deno.test(`the fields ${JSON.stringify(text.slice(0, 20))} are refused`, () => {
    assert.throws(() => RowSchema.parse(text), { name: "RangeError", message });
  });
}

const rows: [row: Record<string, unknown>, problems: string[]][] = [
  [{ type: "snail", age: 1, leg: "0" }, []],
  [{ type: 1.5, age: -1, leg: null }, []],
  [{ type: true, age: 1e15, leg: 1e300 }, []],
  [{ age: 1, leg: "0" }, ["type is missing: expected a string, a number, true, false or null"]],
  [{ type: "a", age: "1", leg: 0 }, ['age must be an integer, saw "1"']],
  [{ type: "a", age: 1.5, leg: 0 }, ["age must be an integer, saw 1.5"]],
  [{ type: ["a"], age: 1, leg: {} }, [
    "type must be a string, a number, true, false or null, saw an array",
    "leg must be a string, a number, true, false or null, saw an object",
  ]],
  [{ type: "a", age: 1, leg: 0, color: "red" }, ["color is unknown: a row has the fields type, age, leg"]],
  [{ type: "a", age: 2 ** 53, leg: 0 }, [
    "age is an integer beyond 2^53 - 1, which cannot be stored exactly: send it as a string",
  ]],
  [{ type: "a", age: 1e300, leg: 0 }, [
    "age is an integer beyond 2^53 - 1, which cannot be stored exactly: send it as a string",
  ]],
  [{ type: "a", age: -(2 ** 53) + 1, leg: 0 }, []],
];

for (const [row, problems] of rows) {
  Deno.test(`an animal that is ${JSON.stringify(row)}`, () => {
    assert.deepEqual(ANIMAL.check(row).map(({ field, detail }) => `${field} ${detail}`), problems);
  });
}

Deno.test("the types of fields", () => {
  const schema = RowSchema.parse("s:string,n:number,b:boolean");
  assert.deepEqual(schema.check({ s: "", n: 0.5, b: false }), []);
  assert.deepEqual(schema.check({ s: 1, n: "1", b: 0 }).map(({ detail }) => detail), [
    "must be a string, saw 1",
    'must be a number, saw "1"',
    "must be a boolean, saw 0",
  ]);
});

Deno.test("fields may have names of Object.prototype", () => {
  const schema = RowSchema.parse("toString");
  assert.equal(schema.check({})[0].field, "toString");
  assert.deepEqual(schema.check(JSON.parse('{"toString":"a"}')), []);
  assert.equal(ANIMAL.check(JSON.parse('{"type":"a","age":1,"leg":0,"__proto__":1}'))[0].field, "__proto__");
});

Deno.test("a row of any form may have any members", () => {
  assert.deepEqual(ANY.check({ a: [{ b: null }], c: "d" }), []);
  assert.equal(ANY.has("anything"), true);
});

Deno.test("an invalid value is shown up to 40 characters", () => {
  const seen = (length: number) => ANIMAL.check({ type: "a", age: "x".repeat(length - 2), leg: 0 })[0].detail;
  assert.equal(seen(40), `must be an integer, saw "${"x".repeat(38)}"`);
  assert.equal(seen(41), `must be an integer, saw "${"x".repeat(39)}…`);
  assert(ANIMAL.check({ type: "a", age: "x".repeat(1000), leg: 0 })[0].detail.length < 100);
});
