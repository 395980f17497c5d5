import assert from "node:assert/strict";
import { NameSet } from "../../lib/table/name_set.ts";

Deno.test("a name is new only once", () => {
  const names = new NameSet();
  for (let i = 0; i < 10_000; i += 2) assert.equal(names.add(`name${i}`), true);
  for (let i = 0; i < 10_000; i++) assert.equal(names.add(`name${i}`), i % 2 === 1);
  for (const name of ["", "a", "핑", "\ufeffa", "__proto__"]) {
    assert.equal(names.add(name), true);
    assert.equal(names.add(name), false);
  }
});
