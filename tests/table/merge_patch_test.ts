import assert from "node:assert/strict";
import { mergePatch } from "../../lib/table/merge_patch.ts";
import { Pacer } from "../../lib/turns.ts";
import { Random } from "../fuzzing.ts";
import { CountedTurns } from "../support.ts";
import { JSON_PIECE_BYTES } from "../../lib/json.ts";

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();

function merged(target: string, patch: string, turns = new CountedTurns()): string {
  const result = new Pacer(undefined, turns).run(mergePatch(ENCODER.encode(target), ENCODER.encode(patch)));
  return DECODER.decode(result as Uint8Array);
}

/** RFC 7396 appendix A, the patches that are objects. */
const cases: [target: string, patch: string, result: string][] = [
  ['{"a":"b"}', '{"a":"c"}', '{"a":"c"}'],
  ['{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'],
  ['{"a":"b"}', '{"a":null}', "{}"],
  ['{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'],
  ['{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'],
  ['{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'],
  ['{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'],
  ['{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'],
  ['["a","b"]', '{"a":"b"}', '{"a":"b"}'],
  ['{"e":null}', '{"a":1}', '{"e":null,"a":1}'],
  ["[1,2]", '{"a":"b","c":null}', '{"a":"b"}'],
  ["{}", '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'],
  // Beyond the appendix: names beyond ASCII, other escapes of a name, and names that are special in JavaScript.
  ['{"핑":1,"b":2}', '{"핑":{"🐌":-0}}', '{"핑":{"🐌":-0},"b":2}'],
  ['{"\\u0061":1}', '{"a":2}', '{"\\u0061":2}'],
  ['{"10":1,"9":1}', '{"8":1,"__proto__":{"x":1}}', '{"10":1,"9":1,"8":1,"__proto__":{"x":1}}'],
];

for (const [target, patch, result] of cases) {
  Deno.test(`${target} with ${patch} becomes ${result}`, () => assert.equal(merged(target, patch), result));
}

/** RFC 7396 §2 in its own words. */
function reference(target: unknown, patch: unknown): unknown {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const isObject = typeof target === "object" && target !== null && !Array.isArray(target);
  const result = new Map(isObject ? Object.entries(target) : []);
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) result.delete(name);
    else result.set(name, reference(result.get(name), value));
  }
  return Object.fromEntries(result);
}

function randomValue(random: Random, depth: number): unknown {
  const kind = random.below(depth > 0 ? 5 : 3);
  if (kind < 3) return [null, 1.5, 'x"핑'][kind];
  if (kind === 3) return [randomValue(random, depth - 1)];
  return randomObject(random, depth - 1);
}

function randomObject(random: Random, depth: number): Record<string, unknown> {
  const members = Array.from({ length: random.below(4) }, () => [
    random.pick(["a", "b", "c", 'q"', "핑"]),
    randomValue(random, depth),
  ]);
  return Object.fromEntries(members);
}

Deno.test("random patches do what RFC 7396 says", () => {
  const random = new Random(7396);
  for (let i = 0; i < 5000; i++) {
    const [target, patch] = [randomObject(random, 3), randomObject(random, 3)];
    const texts = [JSON.stringify(target), JSON.stringify(patch)] as const;
    assert.equal(merged(...texts), JSON.stringify(reference(target, patch)), texts.join(" with "));
  }
});

Deno.test("a patch of a long row is applied in turns", () => {
  const names = Array.from({ length: 20_000 }, (_, i) => `"name${i}":${i}`).join();
  const turns = new CountedTurns();
  assert.equal(merged(`{${names}}`, '{"a":1}', turns), `{${names},"a":1}`);
  assert(turns.asked >= Math.floor(names.length / JSON_PIECE_BYTES), `${turns.asked} turns`);
});

Deno.test("a row that is not JSON any more is a failure of the store", () => {
  assert.throws(() => merged('{"a":', '{"a":1}'), TypeError);
});
