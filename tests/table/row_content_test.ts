import assert from "node:assert/strict";
import { HttpError } from "../../lib/http/error.ts";
import { Fields } from "../../lib/http/fields.ts";
import {
  mergePatch,
  nameProblem,
  requireMediaType,
  requireSchema,
  rowName,
  rowPath,
  unwrapRow,
} from "../../lib/table/row_content.ts";
import { RowSchema } from "../../lib/table/row_schema.ts";

const SHAPE = RowSchema.parse("type,age,leg");

function refusal(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof HttpError) return `${error.status} ${error.message}`;
    throw error;
  }
  return "none";
}

Deno.test("a name is percent-decoded from a path, and encoded into one", () => {
  for (const name of ["Pingping", "핑핑", "a b", "100%", "a?b#c", "...", "🐌", "\u{10ffff}"]) {
    assert.equal(rowName(rowPath(name)), name);
  }
  assert.equal(rowPath("핑핑"), "/%ED%95%91%ED%95%91");
});

const paths: [path: string, refusal: string][] = [
  ["/a/b", "404 Nothing is at /a/b: a row is at /NAME, and a name has no /"],
  ["//b", "404 Nothing is at //b: a row is at /NAME, and a name has no /"],
  ["/a%2Fb", "400 The row's name may not hold a /"],
  ["/.", "400 The row's name must not be ., which stands for another place in a path"],
  ["/%2E.", "400 The row's name must not be .., which stands for another place in a path"],
  ["/%00", "400 The row's name may not hold control characters"],
  ["/a%1Bb", "400 The row's name may not hold control characters"],
  ["/%C2%85", "400 The row's name may not hold control characters"],
  ["/%FF", '400 The row\'s name must be percent-encoded UTF-8, saw "%FF"'],
  ["/%ED%A0%80", '400 The row\'s name must be percent-encoded UTF-8, saw "%ED%A0%80"'],
  [`/${"a".repeat(257)}`, "400 The row's name has at most 256 bytes of UTF-8, saw 257"],
  [`/${"%ED%95%91".repeat(86)}`, "400 The row's name has at most 256 bytes of UTF-8, saw 258"],
];

for (const [path, expected] of paths) {
  Deno.test(`the path ${path.slice(0, 30)} names no row`, () => assert.equal(refusal(() => rowName(path)), expected));
}

Deno.test("a name has 1 to 256 bytes and is well-formed", () => {
  assert.equal(nameProblem("a".repeat(256)), undefined);
  assert.equal(nameProblem("핑".repeat(85)), undefined);
  assert.equal(nameProblem(""), "must not be empty");
  for (const control of ["\x00", "\x1f", "\x7f", "\x9f"]) {
    assert.match(nameProblem(`a${control}`)!, /control characters/);
  }
  for (const visible of [" ", "~", "\xa0"]) assert.equal(nameProblem(`a${visible}`), undefined);
  assert.match(nameProblem("\ud800")!, /half of a surrogate pair/);
});

Deno.test("media types are compared without case and parameters", () => {
  const text = "Content-Type: Application/JSON ; charset=utf-8\r\n\r\n";
  const fields = new Fields(text, [0, 12, 14, 46]);
  requireMediaType(fields, ["application/json"]);
  assert.match(refusal(() => requireMediaType(fields, ["text/plain"])), /^415 .* text\/plain, saw "Application\/JSON/);
  assert.match(refusal(() => requireMediaType(Fields.EMPTY, ["text/plain"])), /^415 .* saw no Content-Type/);
});

Deno.test("a row may be sent bare or wrapped under its name", () => {
  const row = { type: "a", age: "1", leg: "2" };
  assert.equal(unwrapRow({ Pingping: row }, "Pingping", SHAPE), row);
  assert.equal(unwrapRow(row, "Pingping", SHAPE), row);
  assert.match(
    refusal(() => unwrapRow({ Woo: row }, "Pingping", SHAPE)),
    /^422 .* named "Woo", but the target names "Pingping"/,
  );
  const free = { Woo: { a: 1 } };
  assert.equal(unwrapRow(free, "Pingping", RowSchema.parse("*")), free);
  assert.equal(unwrapRow(free, "Woo", RowSchema.parse("*")), free.Woo);
});

Deno.test("invalid fields are refused one by one", () => {
  requireSchema({ type: "a", age: "1", leg: "2" }, SHAPE);
  assert.match(refusal(() => requireSchema({}, SHAPE)), /^422 .*: type is missing: .*, and 2 more \(see errors\)/);
});

Deno.test("RFC 7396 appendix A: the test cases", () => {
  const cases: [target: unknown, patch: Record<string, unknown>, result: unknown][] = [
    [{ a: "b" }, { a: "c" }, { a: "c" }],
    [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
    [{ a: "b" }, { a: null }, {}],
    [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
    [{ a: ["b"] }, { a: "c" }, { a: "c" }],
    [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
    [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
    [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
    [["a", "b"], { a: "b" }, { a: "b" }],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: "b", c: null }, { a: "b" }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ];
  for (const [target, patch, result] of cases) assert.deepEqual(mergePatch(target, patch), result);
});

Deno.test("a patch cannot change a prototype", () => {
  const merged = mergePatch({}, JSON.parse('{"__proto__":{"polluted":true}}'));
  assert.equal(Object.hasOwn(merged, "__proto__"), true);
  assert.equal(({} as Record<string, unknown>).polluted, undefined);
});
