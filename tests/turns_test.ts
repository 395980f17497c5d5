import assert from "node:assert/strict";
import { MAX_SHARE_MS, MAX_TURN_MS } from "../lib/limits.ts";
import { FairTurns } from "../lib/turns.ts";

/** Two turns of the event loop, by when every timer of no time has run. */
async function anyTurn(): Promise<void> {
  for (let i = 0; i < 2; i++) await new Promise((resolve) => setTimeout(resolve, 0));
}

Deno.test("a turn is due once the budget is spent", async () => {
  let now = 1000;
  const turns = new FairTurns(() => now);
  assert.equal(turns.yieldIfBusy(), undefined, "the first call starts the time");
  now += MAX_TURN_MS - 1;
  assert.equal(turns.yieldIfBusy(), undefined);
  now += 1;
  const due = turns.yieldIfBusy();
  assert(due instanceof Promise);
  await due;
  await anyTurn();
  assert.equal(turns.yieldIfBusy(), undefined, "the time starts anew");
  await anyTurn();
});

Deno.test("a turn of the event loop renews the budget", async () => {
  let now = 1000;
  const turns = new FairTurns(() => now);
  turns.yieldIfBusy();
  await anyTurn();
  now += MAX_TURN_MS;
  assert.equal(turns.yieldIfBusy(), undefined);
  await anyTurn();
});

Deno.test("a client has a share of a turn though others wait, and all of it if nobody waits", async () => {
  let now = 1000;
  const turns = new FairTurns(() => now);
  let share = turns.beginShare();
  assert.equal(turns.mustYield(share), false, "the first call starts the time");
  now += MAX_TURN_MS - MAX_SHARE_MS;
  assert.equal(turns.mustYield(share), false, "nobody waits");
  now += MAX_SHARE_MS;
  assert.equal(turns.mustYield(share), true, "the turn is over");
  const [first, second] = [turns.yieldIfBusy(), turns.yieldIfBusy()];
  await first;
  share = turns.beginShare();
  assert.equal(turns.mustYield(share), false, "it answers what it has at hand");
  assert(turns.yieldIfBusy() instanceof Promise, "but begins nothing new before the others");
  now += MAX_SHARE_MS;
  assert.equal(turns.mustYield(share), true);
  await second;
  await anyTurn();
});

/** Clients that each do so much at a time, and wait in between. Notes who goes on, and when the event loop turns. */
async function work(
  turns: FairTurns,
  clients: { name: string }[],
  rounds: number,
  step: () => void,
) {
  const notes: string[] = [];
  let busy = clients.length;
  const watch = () => {
    if (busy === 0) return;
    notes.push("turn");
    setTimeout(watch, 0);
  };
  await Promise.all(clients.map(async ({ name }) => {
    for (let i = 0; i < rounds; i++) {
      await turns.yieldIfBusy();
      notes.push(name);
      step();
      if (notes.length === 1) watch();
    }
    busy--;
  }));
  return notes;
}

Deno.test("all waiting callers share the budget of one turn", async () => {
  let now = 0;
  const turns = new FairTurns(() => now);
  turns.yieldIfBusy();
  now += MAX_TURN_MS;
  const clients = Array.from({ length: 50 }, (_, i) => ({ name: String(i) }));
  const notes = await work(turns, clients, 4, () => now += MAX_TURN_MS / 4);
  // Between two turns of the event loop nobody does more than the turn's time allows, and all get the same.
  const between = notes.join(" ").split("turn").map((names) => names.trim().split(" ").filter(Boolean).length);
  assert(Math.max(...between) <= 5, between.join());
  const order = notes.filter((note) => note !== "turn");
  assert.deepEqual(order.slice(0, 50), clients.map(({ name }) => name));
  assert.deepEqual(order.slice(50, 100), clients.map(({ name }) => name));
  await anyTurn();
});
