import assert from "node:assert/strict";
import { MAX_SENT_SORTED_CHARACTERS, MAX_SORT_SLACK_ROWS, MAX_SORTED_CHARACTERS, MAX_SORTS } from "../../lib/limits.ts";
import { Pacer } from "../../lib/table/pacer.ts";
import { Sorter, sortInTurns, SortQueue } from "../../lib/table/sorting.ts";
import { Random } from "../fuzzing.ts";
import { CountedTurns } from "../support.ts";

const KEYS = [{ path: ["age"], descending: false }];

Deno.test("sorting in turns is the same as sorting at once", async () => {
  const random = new Random(5);
  const order = (a: { key: number }, b: { key: number }) => a.key - b.key;
  for (const length of [0, 1, 511, 512, 513, 5000]) {
    const items = Array.from({ length }, (_, i) => ({ key: random.below(100), i }));
    for (const end of [Infinity, 0, 1, 700]) {
      const turns = new CountedTurns();
      const sorted = await sortInTurns(items, order, end, new Pacer(undefined, turns));
      assert.deepEqual(sorted, items.toSorted(order).slice(0, end));
      if (length === 5000 && end === Infinity) assert(turns.asked > 10);
    }
  }
});

Deno.test("few more rows are held than the page needs", async () => {
  const sorter = new Sorter(KEYS, 2, new Pacer());
  let most = 0;
  for (let i = 0; i < 5000; i++) {
    await sorter.add({ age: (i * 7919) % 5000 }, `{"n":${i}}`);
    most = Math.max(most, sorter.characters);
  }
  assert(most <= (4 + MAX_SORT_SLACK_ROWS + 1) * (2 * 64 + 10), `${most} characters were held`);
  assert.deepEqual(await sorter.contents(), [
    '{"n":0}',
    `{"n":${Array(5000).keys().find((i) => (i * 7919) % 5000 === 1)}}`,
  ]);
});

Deno.test("at most twice the limit of characters and one row are held", async () => {
  const content = "x".repeat(1_000_000);
  const sorter = new Sorter(KEYS, 2, new Pacer());
  let most = 0;
  for (let age = 100; age > 0; age--) {
    await sorter.add({ age }, content);
    most = Math.max(most, sorter.characters);
  }
  assert(most <= 2 * MAX_SORTED_CHARACTERS + content.length + 2 * 64, `${most} characters were held`);
  assert.equal((await sorter.contents()).length, 2);
});

Deno.test("the limit of a sort counts contents and keys, at the limit and one beyond", async () => {
  // A row adds its content, its overhead and that of its key.
  const rest = 2 * 64;
  const sorted = async (contents: number[], key = 1) => {
    const sorter = new Sorter(KEYS, Infinity, new Pacer());
    for (const length of contents) await sorter.add({ age: "x".repeat(key) }, "x".repeat(length));
    return (await sorter.contents()).length;
  };
  const half = MAX_SORTED_CHARACTERS / 2 - rest;
  assert.equal(await sorted([half - 1, half - 1]), 2);
  await assert.rejects(sorted([half - 1, half]), { name: "HttpError", status: 400 });
  assert.equal(await sorted([1000, 1000], half - 1000), 2);
  await assert.rejects(sorted([1000, 1001], half - 1000), { name: "HttpError", status: 400 });
});

async function settled(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 0));
}

Deno.test("few sorts run at a time, and one whose client disconnects stops waiting immediately", async () => {
  const queue = new SortQueue();
  const ends: (() => void)[] = [];
  const started: number[] = [];
  const clients = Array.from({ length: MAX_SORTS + 3 }, () => new AbortController());
  const sorts = clients.map(({ signal }, i) =>
    queue.run({ signal, halfClosed: false }, async () => {
      started.push(i);
      await new Promise<void>((end) => ends.push(end));
      return i;
    }).catch((error) => error.name)
  );
  await settled();
  assert.equal(started.length, MAX_SORTS);
  assert.equal(queue.waiting, 3);
  clients[MAX_SORTS].abort();
  assert.equal(queue.waiting, 2);
  assert.equal(await sorts[MAX_SORTS], "AbortError");
  ends.shift()!();
  await settled();
  assert.equal(started.at(-1), MAX_SORTS + 1);
  while (ends.length > 0) {
    ends.shift()!();
    await settled();
  }
  assert.equal((await Promise.all(sorts)).filter((result) => result === "AbortError").length, 1);
  assert.equal(started.length, MAX_SORTS + 2);
  assert.equal(await queue.run(undefined, () => Promise.resolve("next")), "next");
});

Deno.test("sorts of half-closed clients make room for others, and wait for them", async () => {
  const queue = new SortQueue();
  const { signal } = new AbortController();
  const halfClosed = { signal, halfClosed: true };
  const giveWays: (() => void)[] = [];
  const ends: (() => void)[] = [];
  const order: string[] = [];
  const sort = (name: string, requester?: typeof halfClosed) =>
    queue.run(requester, async (giveWay) => {
      order.push(name);
      giveWays.push(giveWay);
      await new Promise<void>((end) => ends.push(end));
    });
  const sorts = Array.from({ length: MAX_SORTS + 1 }, (_, i) => sort(`gone${i}`, halfClosed));
  // Among themselves they do not make room.
  for (const giveWay of giveWays) giveWay();
  sorts.push(sort("here"));
  assert.equal(queue.waiting, 2);
  assert.throws(() => giveWays[0](), { name: "HttpError", status: 503 });
  ends.shift()!();
  await settled();
  assert.equal(order.at(-1), "here");
  giveWays[1]();
  giveWays.at(-1)!();
  while (ends.length > 0) {
    ends.shift()!();
    await settled();
  }
  await Promise.all(sorts);
  assert.equal(order.at(-1), `gone${MAX_SORTS}`);
});

Deno.test("listings being sent share one limit", () => {
  const queue = new SortQueue();
  const giveBack = queue.hold(MAX_SENT_SORTED_CHARACTERS - 1);
  queue.hold(1);
  assert.throws(() => queue.hold(1), { name: "HttpError", status: 503 });
  giveBack();
  giveBack();
  queue.hold(MAX_SENT_SORTED_CHARACTERS - 1);
  assert.throws(() => queue.hold(1), { name: "HttpError", status: 503 });
});

Deno.test("the memory of a row is counted when it is added, including text keys", async () => {
  const sorter = new Sorter(KEYS, 2, new Pacer());
  await sorter.add({ age: 1 }, "x".repeat(10));
  assert.equal(sorter.characters, 10 + 2 * 64);
  await sorter.add({ age: "four" }, "x".repeat(20));
  assert.equal(sorter.characters, 30 + 4 * 64 + 4);
});
