import assert from "node:assert/strict";
import { MAX_TURN_MS } from "../../lib/limits.ts";
import { Lanes } from "../../lib/table/lanes.ts";
import { FAIR_TURNS } from "../../lib/turns.ts";
import { REQUESTER } from "../support.ts";

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
  for (let turn; (turn = FAIR_TURNS.yieldIfBusy()) !== undefined;) await turn;
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
