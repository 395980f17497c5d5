import assert from "node:assert/strict";
import { NameSet } from "../../lib/table/name_set.ts";

Deno.test("a set has the names that were added, and no others", () => {
  const names = new NameSet();
  for (let i = 0; i < 10_000; i += 2) names.add(`name${i}`);
  for (let i = 0; i < 10_000; i++) assert.equal(names.has(`name${i}`), i % 2 === 0);
  for (const name of ["", "a", "핑", "\ufeffa", "__proto__"]) {
    assert.equal(names.has(name), false);
    names.add(name);
    assert.equal(names.has(name), true);
  }
});
