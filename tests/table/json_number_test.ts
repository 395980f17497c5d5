import assert from "node:assert/strict";
import { numberProblem } from "../../lib/table/json_number.ts";

const KEPT = [
  "0",
  "-0",
  "0.0",
  "0e400",
  "9007199254740991",
  "-9007199254740991",
  "9007199254740991.0",
  "1.5",
  "0.1",
  "0.10000000000000001",
  "12345678901234567e-17",
  "0.99999999999999999",
  "1e21",
  "1e308",
  "5e-324",
  "1e-7",
  `1.${"0".repeat(400)}`,
  `0.${"0".repeat(30)}1`,
];

for (const text of KEPT) {
  Deno.test(`the number ${text.slice(0, 30)} can be kept`, () => assert.equal(numberProblem(text), undefined));
}

const CHANGED: [text: string, problem: RegExp][] = [
  ["9007199254740992", /^is an integer beyond 2\^53 - 1/],
  ["-9007199254740992", /^is an integer beyond 2\^53 - 1/],
  ["123456789012345678901234567890", /^is an integer beyond 2\^53 - 1/],
  ["9007199254740992.0", /^is an integer beyond 2\^53 - 1/],
  ["1e20", /^is an integer beyond 2\^53 - 1/],
  ["1e400", /^is a number beyond the range that can be stored/],
  ["-1e309", /^is a number beyond the range that can be stored/],
  ["9".repeat(310), /^is a number beyond the range that can be stored/],
  ["1e-400", /^is a number too close to 0 to be stored/],
  [`0.${"0".repeat(400)}1`, /^is a number too close to 0 to be stored/],
  ["0.100000000000000001", /^is a number of 18 digits, of which at most 17 can be stored/],
  ["0.999999999999999999", /^is a number of 18 digits/],
  ["1.00000000000000000001e5", /^is a number of 21 digits/],
];

for (const [text, problem] of CHANGED) {
  Deno.test(`the number ${text.slice(0, 30)} cannot be stored`, () => assert.match(numberProblem(text)!, problem));
}
