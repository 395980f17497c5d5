import assert from "node:assert/strict";
import { FairTurns } from "../lib/turns.ts";
import { MAX_TURN_MS } from "../lib/limits.ts";

/** Two turns of the event loop, by when every timer of no time has run. */
async function anyTurn(): Promise<void> {
  for (let i = 0; i < 2; i++) await new Promise((resolve) => setTimeout(resolve, 0));
}

Deno.test("a turn is due when the time is over, and not before", async () => {
  let now = 1000;
  const turns = new FairTurns(() => now);
  assert.equal(turns.yieldIfBusy(), undefined, "the first call starts the time");
  now += MAX_TURN_MS - 1;
  assert.equal(turns.yieldIfBusy(), undefined);
  now += 1;
  const due = turns.yieldIfBusy();
  assert(due instanceof Promise);
  assert.equal(turns.yieldIfBusy(), due, "all wait for the same turn");
  await due;
  assert.equal(turns.yieldIfBusy(), undefined, "the time starts anew");
  await anyTurn();
});

Deno.test("a turn that the event loop has anyhow ends the time", async () => {
  let now = 1000;
  const turns = new FairTurns(() => now);
  turns.yieldIfBusy();
  await anyTurn();
  now += MAX_TURN_MS;
  assert.equal(turns.yieldIfBusy(), undefined);
  await anyTurn();
});
