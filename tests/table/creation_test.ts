import assert from "node:assert/strict";
import { MemoryStore } from "../../lib/store/memory.ts";
import { ChosenNames } from "../../lib/table/creation.ts";
import { Pacer } from "../../lib/turns.ts";
import { CountedTurns } from "../support.ts";

Deno.test("the names of a large table are looked at once, in turns", async () => {
  const store = new MemoryStore(0);
  await store.insert(Array.from({ length: 30_000 }, (_, i) => ({ name: `r${i}`, json: "{}" })));
  const names = new ChosenNames(store);
  const turns = new CountedTurns();
  const pacer = new Pacer(undefined, turns);
  assert.deepEqual(await Promise.all([names.next(pacer), names.next(pacer)]), ["r30000", "r30001"]);
  const { asked } = turns;
  assert(asked > 5, `${asked} turns`);
  assert.equal(await names.next(pacer), "r30002");
  assert.equal(turns.asked, asked);
});

Deno.test("only names of the form are noted", async () => {
  const names = new ChosenNames(new MemoryStore(0));
  for (const name of ["r07", "r1.5", "r1e3", "r-9", "s8", "r9007199254740993", "r", "rr3"]) names.note(name);
  assert.equal(await names.next(new Pacer()), "r1");
  names.note("r41");
  names.note("r40");
  assert.equal(await names.next(new Pacer()), "r42");
});

Deno.test("a search that fails is made again", async () => {
  const store = new MemoryStore(0);
  const snapshot = store.snapshot.bind(store);
  let calls = 0;
  store.snapshot = (...args) => {
    if (calls++ === 0) throw new Error("away");
    return snapshot(...args);
  };
  const names = new ChosenNames(store);
  await assert.rejects(names.next(new Pacer()), /away/);
  assert.equal(await names.next(new Pacer()), "r1");
});
