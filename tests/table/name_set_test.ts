import assert from "node:assert/strict";
import { NameSet } from "../../lib/table/name_set.ts";

/** Adds names that stand in one text, and returns which of them were new. */
function added(names: readonly string[]): boolean[] {
  const text = new TextEncoder().encode(names.join(" "));
  const set = new NameSet(text);
  let quote = 0;
  return names.map((name) => {
    const isNew = set.add(quote, name.includes("\\") ? JSON.stringify(JSON.parse(name)) : undefined);
    quote += new TextEncoder().encode(name).length + 1;
    return isNew;
  });
}

Deno.test("a name is new only once", () => {
  const names = Array.from({ length: 20_000 }, (_, i) => `"name${i % 10_000}"`);
  assert.deepEqual(added(names), names.map((_, i) => i < 10_000));
  const others = ['""', '"a"', '"ab"', '"핑"', '"\ufeffa"', '"__proto__"'];
  assert.deepEqual(added([...others, ...others]), [...others.map(() => true), ...others.map(() => false)]);
});

Deno.test("a name is the same with and without escapes", () => {
  const same = [
    '"a"',
    '"\\u0061"',
    '"\\"',
    '"\\u0022"',
    '"\\\\"',
    '"\\u005c"',
    '"\\"a"',
    '"\\u0022\\u0061"',
    '"핑"',
    '"\\ud551"',
  ];
  const news = [true, false, true, false, true, false, true, false, true, false];
  assert.deepEqual(added(same.map((name) => name === '"\\"' ? '"\\""' : name)), news);
});
