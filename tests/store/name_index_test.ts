import assert from "node:assert/strict";
import { NameIndex } from "../../lib/store/name_index.ts";

Deno.test("an index has each name's position, and their number", () => {
  const index = new NameIndex();
  const names = ["", "a", "b", "핑핑", "__proto__", ...Array.from({ length: 5000 }, (_, i) => `n${i}`)];
  names.forEach((name, i) => index.set(name, i));
  names.forEach((name, i) => assert.equal(index.get(name), i));
  index.set("a", 77);
  assert.equal(index.get("a"), 77);
  assert.equal(index.size, names.length);
  assert.equal(index.get("nobody"), undefined);
  assert.equal(index.delete("a"), true);
  assert.equal(index.delete("a"), false);
  assert.equal(index.get("a"), undefined);
  assert.equal(index.size, names.length - 1);
  assert.deepEqual([...index].map(([name]) => name).sort(), names.filter((name) => name !== "a").sort());
});

Deno.test("names may be deleted during iteration", () => {
  const index = new NameIndex();
  for (let i = 0; i < 3000; i++) index.set(`n${i}`, i);
  let seen = 0;
  for (const [name] of index) {
    seen++;
    index.delete(name);
  }
  assert.equal(seen, 3000);
  assert.equal(index.size, 0);
});
