import assert from "node:assert/strict";
import { JsonScanner, memberSpans, numberProblem } from "../lib/json.ts";
import { Random } from "./fuzzing.ts";

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });

interface Member {
  name: string;
  value: string;
  members: number;
  depth: number;
  bad?: string;
}

/** Scans `step` octets at a time. Returns all outermost members, and the result of the scan. */
function scan(text: string | Uint8Array, step = Infinity): { members: Member[]; end: string; at: number } {
  const bytes = typeof text === "string" ? ENCODER.encode(text) : text;
  const scanner = new JsonScanner(bytes);
  const members: Member[] = [];
  for (;;) {
    const scanned = scanner.next(scanner.at + step);
    if (scanned === "more") continue;
    if (scanned !== "member") return { members, end: scanned, at: scanner.at };
    const part = (start: number, end: number) => DECODER.decode(bytes.subarray(start, end));
    members.push({
      name: part(scanner.nameStart, scanner.nameEnd),
      value: part(scanner.valueStart, scanner.valueEnd),
      members: scanner.members - 1,
      depth: scanner.depth,
      ...scanner.badNumber && { bad: `${scanner.badNumber.at} ${scanner.badNumber.problem}` },
    });
    scanner.forget();
  }
}

const objects: [text: string, names: string[]][] = [
  ["{}", []],
  [' { "b" : 1 , "a":[1,{"c":"}"}] } ', ["b", "a"]],
  ['{"10":1,"9":"2","a":3}', ["10", "9", "a"]],
  ['{"a":1,"a":2}', ["a", "a"]],
  ['{"a\\"":"b\\\\","{":"\\\\\\""}', ['a\\"', "{"]],
  ['{"\\u0061":{"x":{"y":[]}},"z":null}', ["\\u0061", "z"]],
];

for (const [text, names] of objects) {
  Deno.test(`the names in ${text} in order`, () => {
    for (const step of [Infinity, 1, 3]) {
      const { members, end } = scan(text, step);
      assert.deepEqual(members.map(({ name }) => name), names.map((name) => `"${name}"`));
      assert.equal(end, "end");
    }
  });
}

Deno.test("the outermost value alone decides whether the text is an object", () => {
  for (const [text, isObject] of [['{"a":[1]}', true], ["[{}]", false], ["1", false]] as const) {
    const scanner = new JsonScanner(ENCODER.encode(text));
    while (scanner.next(Infinity) === "member");
    assert.equal(scanner.isObject, isObject);
  }
});

Deno.test("members, elements and nesting are counted", () => {
  assert.deepEqual(scan('{"a":1,"b":{"x":[1,2,{}],"y":{"z":null}},"c":[]}').members, [
    { name: '"a"', value: "1", members: 0, depth: 1 },
    { name: '"b"', value: '{"x":[1,2,{}],"y":{"z":null}}', members: 6, depth: 4 },
    { name: '"c"', value: "[]", members: 0, depth: 2 },
  ]);
});

Deno.test("the first number of a member that cannot be stored is reported with its place", () => {
  const [a, b, c, d] =
    scan('{"a":{"x":1,"y":[1e400,1e-400]},"b":1e400,"c":{"z":9007199254740991},"d":[1e400]}').members;
  assert.match(a.bad!, /^17 is a number beyond/);
  assert.match(b.bad!, /^36 is a number beyond/);
  assert.equal(c.bad, undefined);
  assert.match(d.bad!, /^74 is a number beyond/);
  // The longest numbers that need no further check, and the shortest that do.
  for (const number of ["999999999999999", "-99999999999999", "0.9999999999999"]) {
    assert.equal(scan(`{"a":${number}}`).members[0].bad, undefined);
  }
  assert.match(scan('{"a":9999999999999999}').members[0].bad!, /2\^53 - 1/);
});

const wrong: [text: string, at: number][] = [
  ["", 0],
  [" ", 1],
  ["{", 1],
  ["\ufeff{}", 0],
  ["{}x", 2],
  ["{} {}", 3],
  ["{,}", 1],
  ['{"a":1,}', 7],
  ['{"a"}', 4],
  ['{"a":1]', 6],
  ["[1}", 2],
  ["[1,]", 3],
  ["01", 1],
  ["1.", 2],
  ["-", 1],
  ["1e", 2],
  ["tru", 3],
  [" nulx", 4],
  ['"a\tb"', 2],
  ['"\\x"', 1],
  ['"\\u12g4"', 1],
  ['"a', 2],
];

for (const [text, at] of wrong) {
  Deno.test(`${JSON.stringify(text)} is no JSON from octet ${at} on`, () => {
    assert.throws(() => JSON.parse(text));
    for (const step of [Infinity, 1]) {
      const scanned = scan(text, step);
      assert.deepEqual([scanned.end, scanned.at], ["error", at]);
    }
  });
}

Deno.test("an escape has exactly the hexadecimal digits", () => {
  for (const digit of "0123456789abcdefABCDEF") assert.equal(scan(`"\\u${digit.repeat(4)}"`).end, "end", digit);
  for (const digit of "/:@G`g") {
    for (const at of [0, 1, 2, 3]) {
      assert.equal(scan(`"\\u${"000".slice(0, at)}${digit}${"000".slice(at)}"`).end, "error");
    }
  }
});

/** Returns a random JSON text that is sometimes invalid. */
function randomText(random: Random, depth = 0): string {
  const blank = () => random.pick(["", "", "", " ", "\n\t"]);
  const items = (make: () => string) => Array.from({ length: random.below(4) }, make).join(`${blank()},${blank()}`);
  const value = () => randomText(random, depth + 1);
  switch (random.below(depth > 4 ? 4 : 7)) {
    case 0:
      return random.pick(["0", "-1", "1.5e3", "1E+2", "-0.0", "12345678901234567890", "01", "1.", "+1", ".5"]);
    case 1:
      return random.pick(["true", "false", "null", "nul", "True"]);
    case 2:
    case 3:
      return random.pick(['""', '"a"', '"\\n\\u00e9"', '"핑"', '"\\ud800"', '"\u007f"', '"\\/"', '"\\a"', '"\n"']);
    case 4:
      return `[${blank()}${items(value)}${random.pick(["", "", "", ","])}]`;
    default:
      return `{${blank()}${items(() => `"${random.pick(["a", "b", "\\u0061"])}"${blank()}:${value()}`)}${blank()}}`;
  }
}

Deno.test("the scan accepts what JSON.parse accepts, and counts its members", () => {
  const random = new Random(8);
  let valid = 0;
  for (let i = 0; i < 20_000; i++) {
    const text = `{"x":${randomText(random)}}`;
    let parsed: { x: unknown } | undefined;
    try {
      parsed = JSON.parse(text);
      valid++;
    } catch {
      // It is not JSON.
    }
    const { members, end } = scan(text, 1 + random.below(40));
    assert.equal(end, parsed === undefined ? "error" : "end", text);
    if (parsed === undefined) continue;
    assert.deepEqual(JSON.parse(members[0].value), parsed.x);
    // Repeated names are counted twice, but parsed once.
    if (!/"a"|u0061|"b"/.test(text)) assert.equal(members[0].members, count(parsed.x), text);
  }
  assert(valid > 2000 && valid < 18_000, `${valid} texts of 20,000 were JSON`);
});

function count(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  return Object.values(value).reduce((sum: number, member) => sum + 1 + count(member), 0);
}

Deno.test("the members of an object are found where they stand", () => {
  const text = '{ "a" : [1, {"b":"}"}] ,"\\u0041":2}';
  const parts = memberSpans(ENCODER.encode(text))!.map(({ start, nameEnd, end }) => [
    text.slice(start, nameEnd),
    text.slice(nameEnd, end),
  ]);
  assert.deepEqual(parts, [['"a"', ' : [1, {"b":"}"}]'], ['"\\u0041"', ":2"]]);
  assert.deepEqual(memberSpans(ENCODER.encode("{}")), []);
  for (const other of ["[1]", '{"a":1', '{"a":1}x', ""]) assert.equal(memberSpans(ENCODER.encode(other)), undefined);
});

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
