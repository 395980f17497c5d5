import assert from "node:assert/strict";
import type { HttpError } from "../../lib/http/error.ts";
import { JSON_PIECE_BYTES } from "../../lib/limits.ts";
import { Pacer } from "../../lib/table/pacer.ts";
import { storedText } from "../../lib/table/stored_text.ts";
import { Random } from "../fuzzing.ts";
import { CountedTurns } from "../support.ts";

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();

function stored(text: string, turns = new CountedTurns()): string {
  return DECODER.decode(new Pacer(undefined, turns).run(storedText(ENCODER.encode(text))) as Uint8Array);
}

const texts: [sent: string, stored: string][] = [
  ["{}", "{}"],
  [' { "a" : [ 1 , true ,null ] }\r\n\t', '{"a":[1,true,null]}'],
  ['{"a":"핑 \\u0041\\/\\"\\ud800"}', '{"a":"핑 A/\\"\\ud800"}'],
  ['{"\\u0061" :"\\\\"}', '{"a":"\\\\"}'],
  ['{"10":1,"9":2}', '{"10":1,"9":2}'],
  [
    "[9e15,1.50,1E2,1e21,0.0000001,-1,123456789012345678]",
    "[9000000000000000,1.5,100,1e+21,1e-7,-1,123456789012345680]",
  ],
  ["[-0,-0.0,-0e5,0,0.0]", "[-0,-0,-0,0,0]"],
  ['["a b","  ", " "]', '["a b","  "," "]'],
];

for (const [sent, result] of texts) {
  Deno.test(`${JSON.stringify(sent)} is stored as ${result}`, () => assert.equal(stored(sent), result));
}

Deno.test("text that is as it is stored is not copied", () => {
  const octets = ENCODER.encode('{"a":{"b":[1,"핑",true]},"c":null}');
  assert.equal(new Pacer().run(storedText(octets)), octets);
});

const twice: [text: string, name: string][] = [
  ['{"age":"3","age":"99"}', "age"],
  ['{"a":{"b":1,"b":1}}', "b"],
  ['{"a":[{"b":1},{"b":{"c":1},"x":1,"b" :2}]}', "b"],
  ['{"a":1,"\\u0061":2}', "a"],
  ['{"핑":1,"핑":2}', "핑"],
  ['{"":1,"":2}', ""],
  ['{"__proto__":1,"__proto__":2}', "__proto__"],
];

for (const [text, name] of twice) {
  Deno.test(`${text} has a member twice`, () => {
    assert.throws(() => stored(text), (error: HttpError) => {
      assert.deepEqual([error.status, error.rule], [422, "RFC 8259 §4"]);
      assert.deepEqual(error.errors, [{ field: name, detail: "is given twice" }]);
      return true;
    });
  });
}

Deno.test("one name in several objects is not given twice", () => {
  const text = '{"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}],"c":{"a":"a"}}';
  assert.equal(stored(text), text);
});

function randomText(random: Random, depth: number): string {
  const blank = random.pick(["", "", " ", "\n "]);
  const kind = random.below(depth > 0 ? 4 : 2);
  const items = Array.from({ length: kind < 2 ? 0 : random.below(4) }, () => randomText(random, depth - 1));
  const value = kind === 0
    ? random.pick(["0", "-1", "1.50", "1e3", "-2.5E-3", "true", "false", "null", "1234567890123456"])
    : kind === 1
    ? random.pick(['"x"', '"\\n\\u00e9"', '"핑🐌"', '""', '"\\\\"', '"\\""', '"{,}:"'])
    : kind === 2
    ? `[${items.join()}]`
    : `{${items.map((item, i) => `"n${i}"${blank}:${item}`).join()}}`;
  return `${blank}${value}${blank}`;
}

Deno.test("random text is stored as JSON.stringify writes it", () => {
  const random = new Random(8259);
  for (let i = 0; i < 5000; i++) {
    const text = randomText(random, 4);
    assert.equal(stored(text), JSON.stringify(JSON.parse(text)), text);
  }
});

Deno.test("long text is stored in turns", () => {
  const turns = new CountedTurns();
  const text = `{${Array.from({ length: 20_000 }, (_, i) => `"name${i}":${i}`).join()}}`;
  assert.equal(stored(text, turns), text);
  assert(turns.asked >= Math.floor(text.length / JSON_PIECE_BYTES), `${turns.asked} turns`);
});
