import assert from "node:assert/strict";
import { MAX_COMPARED_DIGITS, MAX_NATIVE_NEEDLE_CHARACTERS } from "../../lib/limits.ts";
import { anyOf, compare, containing, Operand, type Scalar } from "../../lib/table/operand.ts";
import { Random } from "../fuzzing.ts";

const comparisons: [a: Scalar, b: Scalar, order: number][] = [
  ["1", "1.0", 0],
  ["1", 1, 0],
  ["9", "10", -1],
  ["9", "10a", 1],
  ["-1", "+1", -1],
  ["12345678901234567890", "12345678901234567891", -1],
  ["-12345678901234567890", "-12345678901234567891", 1],
  ["+12345678901234567891", "0012345678901234567891", 0],
  ["-12345678901234567890", "12345678901234567890", -1],
  ["123456789012345678900", "12345678901234567890", 1],
  ["-0", "0", 0],
  ["-0", "+00", 0],
  ["1e999", "2e999", 0],
  [true, "true", 0],
  [null, "null", 0],
  ["", "0", -1],
];

for (const [a, b, order] of comparisons) {
  Deno.test(`${JSON.stringify(a)} and ${JSON.stringify(b)} compare as ${order}`, () => {
    assert.equal(Math.sign(compare(new Operand(a), new Operand(b))), order);
    assert.equal(Math.sign(compare(new Operand(b), new Operand(a))), order === 0 ? 0 : -order);
  });
}

Deno.test("whole numbers compare as BigInts do", () => {
  const random = new Random(4);
  for (let i = 0; i < 5000; i++) {
    const [a, b] = [0, 0].map(() => random.pick(["", "-", "+"]) + random.text("0019", 1, 25));
    const expected = BigInt(a) === BigInt(b) ? 0 : BigInt(a) < BigInt(b) ? -1 : 1;
    assert.equal(Math.sign(compare(new Operand(a), new Operand(b))), expected, `${a} and ${b}`);
  }
});

Deno.test("texts are numbers up to a limited length", () => {
  assert.equal(new Operand(`0.${"0".repeat(MAX_COMPARED_DIGITS - 2)}`).number, 0);
  assert.equal(new Operand(`0.${"0".repeat(MAX_COMPARED_DIGITS - 1)}`).number, undefined);
});

Deno.test("a filter matches any of many values, as a number or text", () => {
  const test = anyOf(["1", "12345678901234567890", "12345678901234567891", "snail", "1e999"]);
  for (const value of ["1", 1, "1.0", "snail", "12345678901234567891", "+12345678901234567890", "2e999"]) {
    assert.equal(test(new Operand(value)), true, String(value));
  }
  for (const value of ["2", "Snail", "12345678901234567892", null, ""]) {
    assert.equal(test(new Operand(value)), false, String(value));
  }
});

Deno.test("a value compared with many is converted once", () => {
  // Each of these would take as long as the value is, and all together minutes.
  const test = anyOf(Array.from({ length: 100_000 }, (_, i) => String(i)));
  const value = new Operand("1".repeat(1_000_000));
  for (let i = 0; i < 100_000; i++) assert.equal(test(value), false);
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
