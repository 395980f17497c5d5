import assert from "node:assert/strict";
import { Budget } from "../../lib/server/context.ts";
import { MemoryStore } from "../../lib/store/memory.ts";
import { START } from "../../lib/store.ts";
import { readJson } from "./contract.ts";

const KIB = 1024;
const long = (filler: string) => JSON.stringify(filler.repeat(100 * KIB));

/** A store of 10 rows of 100 KiB each, and 1000 small ones, with a budget of so many KiB. */
function storeWith(kib = 1_000_000) {
  const store = new MemoryStore();
  const budget = new Budget(kib * KIB);
  const lines: string[] = [];
  store.share(budget, (line) => lines.push(line));
  const rewrite = (filler: string) => {
    for (let i = 0; i < 10; i++) store.put({ name: `n${i}`, json: long(filler) });
  };
  rewrite("a");
  for (let i = 0; i < 1000; i++) store.put({ name: `s${i}`, json: "{}" });
  return { store, budget, lines, rewrite };
}

Deno.test("what the table holds is not counted, and what was replaced only while a snapshot holds it", () => {
  const { store, budget, rewrite } = storeWith();
  rewrite("b");
  assert.equal(budget.used, 0);
  const first = store.snapshot();
  assert.equal(budget.used, 0);
  rewrite("c");
  const { used } = budget;
  assert(used >= 1000 * KIB && used <= 1100 * KIB, `${used} bytes`);
  // No snapshot has these rows.
  rewrite("d");
  assert.equal(budget.used, used);
  const second = store.snapshot();
  rewrite("e");
  assert(budget.used >= 2000 * KIB);
  first.close();
  assert(budget.used >= 1000 * KIB && budget.used <= 1100 * KIB, `${budget.used} bytes`);
  second.close();
  assert.equal(budget.used, 0);
});

Deno.test("what several snapshots hold is counted once, until the last of them is closed", async () => {
  const { store, budget } = storeWith();
  const snapshots = Array.from({ length: 3 }, () => store.snapshot());
  for (let i = 0; i < 10; i++) await store.remove(`n${i}`);
  const { used } = budget;
  assert(used >= 1000 * KIB && used <= 1100 * KIB, `${used} bytes`);
  for (const at of [2, 0]) {
    snapshots[at].close();
    snapshots[at].close();
    assert.equal(budget.used, used);
  }
  assert.equal(JSON.parse((await readJson(snapshots[1])).text).n9.length, 100 * KIB);
  snapshots[1].close();
  assert.equal(budget.used, 0);
});

Deno.test("segments that were packed or merged are counted", async () => {
  const { store, budget } = storeWith();
  const snapshot = store.snapshot();
  for (let i = 0; i < 1000; i++) store.put({ name: `s${i}`, json: JSON.stringify("x".repeat(1000)) });
  assert(budget.used > 60 * KIB, `${budget.used} bytes`);
  for (let i = 0; i < 1000; i++) await store.remove(`s${i}`);
  assert(budget.used >= 80 * KIB, `${budget.used} bytes`);
  assert.equal(Object.keys(JSON.parse((await readJson(snapshot)).text)).length, 1010);
  snapshot.close();
  assert.equal(budget.used, 0);
});

Deno.test("where memory is short, the oldest snapshot that holds some is ended, and its reader told", () => {
  const { store, budget, lines, rewrite } = storeWith(2500);
  const ended: string[] = [];
  const take = (name: string) => store.snapshot(() => ended.push(name));
  const first = take("first");
  rewrite("b");
  const second = take("second");
  rewrite("c");
  assert.deepEqual(ended, []);
  rewrite("d");
  const third = take("third");
  assert.deepEqual([ended, lines.length], [[], 0]);
  rewrite("e");
  assert.deepEqual(ended, ["first"]);
  assert.equal(lines.length, 1);
  assert.match(lines[0], /^The slowest listing was ended: .* --max-buffered$/);
  assert.throws(() => first.json(START), { name: "StoreError" });
  first.close();
  assert(second.json(START) !== undefined);
  // A request for memory that others need ends all that hold some, and no others.
  const idle = take("idle");
  assert.equal(budget.has(2500 * KIB), true);
  assert.deepEqual(ended, ["first", "second", "third"]);
  assert.equal(budget.used, 0);
  assert.equal(budget.has(2501 * KIB), false);
  idle.close();
  third.close();
  assert.deepEqual(ended, ["first", "second", "third"]);
});
