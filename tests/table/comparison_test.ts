import assert from "node:assert/strict";
import { MAX_COMPARED_DIGITS } from "../../lib/limits.ts";
import {
  anyOf,
  compare,
  containing,
  folded,
  MAX_NATIVE_NEEDLE_CHARACTERS,
  NUMBER,
  TEXT,
  type Value,
  valueOf,
} from "../../lib/table/comparison.ts";
import { fieldOf, StoredRows } from "../../lib/table/stored_rows.ts";
import { Random } from "../fuzzing.ts";

type Json = string | number | boolean | null | Json[] | { [name: string]: Json };

/** Returns a value as a row has it; `undefined` for none. */
function stored(value: Json | undefined, isText = false): Value {
  const rows = new StoredRows(new TextEncoder().encode(JSON.stringify({ row: { value } })));
  assert(rows.next());
  return rows.value(fieldOf(["value"], isText ? "string" : "scalar"));
}

/** Values in the order of sorting; those in one list are equal, or tie. */
const ORDER: (Json | undefined)[][] = [
  ["-1e400"],
  ["-12345678901234567891", -12345678901234567891n as never],
  ["-12345678901234567890"],
  [-1.5, "-1.5", "-1.50", "-15e-1"],
  ["-1e-400"],
  [0, "0", "-0", "+0", "00", "0e9", ".0", "0."],
  ["1e-400"],
  ["2e-400"],
  [0.1, ".1", "0.1", "+.1"],
  ["0.10000000000000001"],
  [5, "5", "5.", "+5", "005", "5e0", "0.5e1", "50e-1"],
  [7, "007"],
  [9, "9"],
  [10, "10", "1e1"],
  [9007199254740991],
  ["9007199254740992"],
  ["9007199254740993"],
  ["12345678901234567890"],
  ["12345678901234567891"],
  ["1e400"],
  ["1e401", "10e400"],
  ["1e99999999999999999999"],
  [""],
  [" 1"],
  ["+"],
  ["-"],
  ["."],
  ["0x10"],
  ["1 "],
  ["1,5"],
  ["1.1.1"],
  ["1a"],
  ["1e"],
  ["9a"],
  ["A"],
  ["a"],
  ["a\n"],
  ['a"b'],
  ["ab"],
  ["null"],
  ["true"],
  ["é"],
  ["\uffff"],
  ["😀"],
  [false],
  [true],
  [null, undefined, [], [1], {}, { a: 1 }],
];

Deno.test("any two values have one order", () => {
  for (const [i, group] of ORDER.entries()) {
    for (const [j, others] of ORDER.entries()) {
      for (const a of group) {
        for (const b of others) {
          const left = typeof a === "bigint" ? valueOf(String(a), true) : stored(a);
          const right = typeof b === "bigint" ? valueOf(String(b), true) : stored(b);
          assert.equal(Math.sign(compare(left, right)), Math.sign(i - j), `${JSON.stringify(String(a))} and ${b}`);
        }
      }
    }
  }
});

Deno.test("in a text field no text is a number", () => {
  for (const [a, b] of [["1.1", "1.10"], ["007", "7"], ["10", "9"], ["1e1", "10"]]) {
    const order = compare(stored(a, true), stored(b, true));
    assert.equal(Math.sign(order), a < b ? -1 : 1);
  }
  assert.equal(stored(5, true).kind, TEXT);
});

Deno.test("whole numbers compare as BigInts do", () => {
  const random = new Random(4);
  for (let i = 0; i < 5000; i++) {
    const [a, b] = [0, 0].map(() => random.pick(["", "-", "+"]) + random.text("0019", 1, 25));
    const expected = BigInt(a) === BigInt(b) ? 0 : BigInt(a) < BigInt(b) ? -1 : 1;
    assert.equal(Math.sign(compare(stored(a), stored(b))), expected, `${a} and ${b}`);
  }
});

Deno.test("texts are numbers up to a limited length", () => {
  assert.equal(valueOf(`0.${"0".repeat(MAX_COMPARED_DIGITS - 2)}`, true).kind, NUMBER);
  assert.equal(valueOf(`0.${"0".repeat(MAX_COMPARED_DIGITS - 1)}`, true).kind, TEXT);
});

Deno.test("a filter matches any of many values, as a number, a text or a literal", () => {
  const wanted = ["1", "12345678901234567890", "12345678901234567891", "snail", "1e999", "null", "true"];
  const test = anyOf(wanted.map((text) => valueOf(text, true)), false);
  for (
    const value of [
      "1",
      1,
      "1.0",
      "snail",
      "12345678901234567891",
      "+12345678901234567890",
      "10e998",
      null,
      "null",
      true,
    ]
  ) {
    assert.equal(test(stored(value)), true, String(value));
  }
  for (const value of ["2", "Snail", "12345678901234567892", "2e999", false, "", [1], {}, undefined]) {
    assert.equal(test(stored(value)), false, String(value));
  }
});

Deno.test("null, true and false name the value and the text, in a text field the text alone", () => {
  for (const [text, value] of [["null", null], ["true", true], ["false", false]] as const) {
    for (const others of [[], ["x"]]) {
      const untyped = anyOf([text, ...others].map((text) => valueOf(text, true)), false);
      assert.deepEqual([untyped(stored(value)), untyped(stored(text))], [true, true]);
      const typed = anyOf([text, ...others].map((text) => valueOf(text, false)), true);
      assert.deepEqual([typed(stored(value, true)), typed(stored(text, true))], [false, true]);
    }
  }
});

Deno.test("a value compared with many is converted once", () => {
  // Each of these would take as long as the value is, and all together minutes.
  const test = anyOf(Array.from({ length: 100_000 }, (_, i) => valueOf(String(i), true)), false);
  assert.equal(test(stored("1".repeat(1_000_000))), false);
});

Deno.test("composition, case and the form of a final sigma make no difference to parts", () => {
  assert.equal(folded("한글".normalize("NFD")), folded("한글"));
  assert(folded("ΟΔΟΣΤΡΩΜΑ").includes(folded("ΟΔΟΣ")));
  assert(folded("İ").includes(folded("i")));
  assert.equal(folded("ÀB"), folded("a\u0300b"));
});

Deno.test("long parts are found like short ones", () => {
  const random = new Random(4);
  for (let i = 0; i < 300; i++) {
    const part = random.text("ab", MAX_NATIVE_NEEDLE_CHARACTERS - 1, MAX_NATIVE_NEEDLE_CHARACTERS + 2);
    const text = random.text("ab", 0, 300) + random.pick([part, part.slice(1), part.slice(0, -1)]) +
      random.text("ab", 0, 300);
    assert.equal(containing(part)(text), text.includes(part));
  }
  const periodic = "ab".repeat(200);
  assert.equal(containing(`${periodic}c`)(`${periodic}${periodic}c`), true);
  assert.equal(containing(`${periodic}c`)(`${periodic}${periodic}d`), false);
});

/** A text that counts how often its characters are read. */
class CountedText extends String {
  reads = 0;

  override charCodeAt(at: number): number {
    this.reads++;
    return super.charCodeAt(at);
  }
}

Deno.test("searching takes linear time in the worst case", () => {
  const text = new CountedText("a".repeat(100_000));
  assert.equal(containing(`${"a".repeat(100)}b${"a".repeat(7800)}`)(text as unknown as string), false);
  assert.equal(text.reads, 100_000);
});
