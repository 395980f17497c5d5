import assert from "node:assert/strict";
import {
  FAIR_TURNS,
  FairTurns,
  Lanes,
  MAX_SHARE_MS,
  MAX_TURN_MS,
  MAX_WORK_BETWEEN_TURNS,
  Pacer,
} from "../lib/turns.ts";
import { CountedTurns, REQUESTER } from "./support.ts";

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

/** A write that lasts until it is told to end, and records its start and end. */
function writer(notes: string[]) {
  const ends = new Map<string, () => void>();
  return {
    write: (what: string) => async () => {
      notes.push(`+${what}`);
      await new Promise<void>((end) => ends.set(what, end));
      notes.push(`-${what}`);
      return what;
    },
    async end(...whats: string[]): Promise<void> {
      for (const what of whats) ends.get(what)!();
      await settled();
    },
  };
}

/** Resolves once all writes that may start have started, also those that wait for a turn. */
async function settled(): Promise<void> {
  await nextTurn();
  // Who asks for turns without end always gets one.
  for (let i = 0; i < 5; i++) await FAIR_TURNS.yieldIfBusy();
  await nextTurn();
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

Deno.test("unconditional writes overlap, others run alone", async () => {
  const lanes = new Lanes();
  const notes: string[] = [];
  const { write, end } = writer(notes);
  const all = [
    lanes.share("a", undefined, write("put1")),
    lanes.share("a", undefined, write("put2")),
    lanes.alone("a", undefined, write("patch1")),
    lanes.share("a", undefined, write("put3")),
    lanes.share("a", undefined, write("put4")),
    lanes.alone("a", undefined, write("patch2")),
    lanes.alone("b", undefined, write("other")),
  ];
  await settled();
  assert.equal(notes.join(" "), "+put1 +put2 +other");
  await end("put2");
  assert.equal(notes.join(" "), "+put1 +put2 +other -put2");
  await end("put1");
  assert.equal(notes.splice(0).join(" "), "+put1 +put2 +other -put2 -put1 +patch1");
  await end("patch1");
  assert.equal(notes.splice(0).join(" "), "-patch1 +put3 +put4");
  await end("put3", "put4");
  assert.equal(notes.splice(0).join(" "), "-put3 -put4 +patch2");
  await end("patch2", "other");
  assert.deepEqual(await Promise.all(all), ["put1", "put2", "patch1", "put3", "put4", "patch2", "other"]);
  assert.equal(lanes.size, 0);
});

Deno.test("a lane exists while any of its writes is in progress", async () => {
  const lanes = new Lanes();
  const notes: string[] = [];
  const { write, end } = writer(notes);
  const all = [lanes.share("a", undefined, write("put1")), lanes.share("a", undefined, write("put2"))];
  await end("put1");
  all.push(lanes.alone("a", undefined, write("patch")));
  await settled();
  assert.equal(notes.join(" "), "+put1 +put2 -put1");
  await end("put2");
  await end("patch");
  await Promise.all(all);
  assert.equal(lanes.size, 0);
});

Deno.test("a synchronous write needs no lane, and returns synchronously", () => {
  const lanes = new Lanes();
  assert.equal(lanes.share("a", undefined, () => 1), 1);
  assert.equal(lanes.size, 0);
});

Deno.test("a failed write leaves its lane", async () => {
  const lanes = new Lanes();
  const fail = () => Promise.reject(new Error("The disk is away"));
  const results = await Promise.allSettled([
    lanes.alone("a", undefined, fail),
    lanes.share("a", undefined, fail),
    lanes.alone("a", undefined, () => {
      throw new Error("The disk is away");
    }),
    lanes.alone("a", undefined, () => "done"),
  ]);
  assert.deepEqual(results.map(({ status }) => status), ["rejected", "rejected", "rejected", "fulfilled"]);
  assert.equal(lanes.size, 0);
});

Deno.test("a waiting write is aborted when its client disconnects", async () => {
  const lanes = new Lanes();
  const notes: string[] = [];
  const { write, end } = writer(notes);
  const left = new AbortController();
  const requester = { ...REQUESTER, signal: left.signal };
  const first = lanes.alone("a", requester, write("first"));
  const given = Promise.allSettled([
    lanes.alone("a", requester, write("left1")),
    lanes.share("a", requester, write("left2")),
  ]);
  const last = lanes.alone("a", undefined, write("last"));
  left.abort();
  await settled();
  await end("first");
  await end("last");
  assert.deepEqual((await given).map(({ status }) => status), ["rejected", "rejected"]);
  assert.deepEqual([await first, await last], ["first", "last"]);
  assert.equal(notes.join(" "), "+first -first +last -last");
  assert.equal(lanes.size, 0);
});

Deno.test("between the writes of one lane the event loop turns", async () => {
  const { now } = performance;
  let time = 0;
  // Every look at the clock costs a whole turn.
  performance.now = () => time += MAX_TURN_MS;
  try {
    const lanes = new Lanes();
    const order: string[] = [];
    const turned = new Promise<void>((resolve) => setTimeout(() => resolve(void order.push("turn")), 0));
    const writes = Array.from({ length: 10 }, (_, i) => {
      const write = () => void order.push("write");
      return i % 2 === 0 ? lanes.alone("a", undefined, write) : lanes.share("a", undefined, write);
    });
    await Promise.all([...writes, turned]);
    assert.equal(order.length, 11);
    assert(order.indexOf("turn") < 10, order.join());
  } finally {
    performance.now = now;
  }
});
