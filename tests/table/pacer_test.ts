import assert from "node:assert/strict";
import { MAX_TURN_MS, MAX_WORK_BETWEEN_TURNS } from "../../lib/limits.ts";
import { Pacer } from "../../lib/table/pacer.ts";
import { FairTurns } from "../../lib/turns.ts";
import { CountedTurns, REQUESTER } from "../support.ts";

Deno.test("yields depend on the work done, in any steps", async () => {
  const turns = new CountedTurns();
  const pacer = new Pacer(undefined, turns);
  assert.equal(pacer.after(MAX_WORK_BETWEEN_TURNS - 1), undefined);
  assert.equal(turns.asked, 0);
  await pacer.after(1);
  assert.equal(turns.asked, 1);
  for (let i = 0; i < 10 * MAX_WORK_BETWEEN_TURNS; i++) await pacer.after(1);
  assert.equal(turns.asked, 11);
});

Deno.test("work for a disconnected client is aborted", () => {
  const left = new AbortController();
  const pacer = new Pacer({ ...REQUESTER, signal: left.signal }, new CountedTurns());
  pacer.after(MAX_WORK_BETWEEN_TURNS);
  left.abort();
  assert.throws(() => pacer.after(MAX_WORK_BETWEEN_TURNS), { name: "AbortError" });
});

Deno.test("steps run at once while there is time left, and in turns otherwise", async () => {
  function* steps(count: number): Generator<number, string> {
    for (let i = 0; i < count; i++) yield MAX_WORK_BETWEEN_TURNS;
    return `${count} steps`;
  }
  const turns = new CountedTurns();
  assert.equal(new Pacer(undefined, turns).run(steps(3)), "3 steps");
  assert.equal(turns.asked, 3);
  let now = 0;
  const spent = new FairTurns(() => now += MAX_TURN_MS);
  const later = new Pacer(undefined, spent).run(steps(3));
  assert(later instanceof Promise);
  assert.equal(await later, "3 steps");
});
