import assert from "node:assert/strict";
import {
  MAX_SENT_SORTED_BYTES,
  MAX_SORT_SLACK_ROWS,
  MAX_SORTED_BYTES,
  MAX_SORTS,
  SORTED_ROW_BYTES,
} from "../../lib/limits.ts";
import { Pacer } from "../../lib/table/pacer.ts";
import { Sorter, sortInTurns, SortQueue } from "../../lib/table/sorting.ts";
import type { JsonObject } from "../../lib/json.ts";
import { pathOf, StoredRows } from "../../lib/table/stored_rows.ts";
import { Random } from "../fuzzing.ts";
import { CountedTurns } from "../support.ts";

const KEYS = [{ path: pathOf(["age"]), descending: false }];

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

/** Adds rows to a sorter, a page each. */
async function addTo(sorter: Sorter, row: JsonObject, extra = ""): Promise<void> {
  const rows = new StoredRows(new TextEncoder().encode(`{"${extra}":${JSON.stringify(row)}}`));
  assert(rows.next());
  await sorter.add(rows);
}

async function sortedText(sorter: Sorter, first = 0): Promise<string> {
  let text = "";
  for (const piece of await sorter.pieces(first)) text += new TextDecoder().decode(piece);
  return text;
}

Deno.test("few more rows are held than the page needs", async () => {
  const sorter = new Sorter(KEYS, 2, new Pacer());
  let most = 0;
  for (let i = 0; i < 5000; i++) {
    await addTo(sorter, { age: (i * 7919) % 5000 }, String(i));
    most = Math.max(most, sorter.bytes);
  }
  assert(most <= (4 + MAX_SORT_SLACK_ROWS + 1) * (2 * SORTED_ROW_BYTES + 20), `${most} bytes were held`);
  const second = Array(5000).keys().find((i) => (i * 7919) % 5000 === 1);
  assert.equal(await sortedText(sorter), `{"0":{"age":0},"${second}":{"age":1}}`);
});

Deno.test("at most twice the limit of bytes and one row are held", async () => {
  const content = "x".repeat(10_000_000);
  const sorter = new Sorter(KEYS, 2, new Pacer());
  let most = 0;
  for (let age = 60; age > 0; age--) {
    await addTo(sorter, { age }, content);
    most = Math.max(most, sorter.bytes);
  }
  assert(most <= 2 * MAX_SORTED_BYTES + content.length + 100, `${most} bytes were held`);
  assert.equal((await sortedText(sorter)).length, 2 * (content.length + '"":{"age":1}'.length) + 3);
});

Deno.test("sorted rows are the same as those sorted at once, with any page", async () => {
  const random = new Random(6);
  const rows = Array.from({ length: 4000 }, (_, i) => ({ age: random.below(50), leg: ["a", 1, "2", null, i][i % 5] }));
  const keys = [{ path: pathOf(["age"]), descending: true }, { path: pathOf(["leg"]), descending: false }];
  const whole = new Sorter(keys, Infinity, new Pacer());
  for (const [i, row] of rows.entries()) await addTo(whole, row, `n${i}`);
  const names = [...(await sortedText(whole)).matchAll(/"n(\d+)"/g)].map(([, n]) => Number(n));
  const key = (i: number) => rows[i];
  for (let i = 1; i < names.length; i++) {
    const [a, b] = [key(names[i - 1]), key(names[i])];
    assert(a.age >= b.age);
    if (a.age === b.age && String(a.leg) === String(b.leg)) assert(names[i - 1] < names[i]);
  }
  for (const [first, end] of [[0, 3], [10, 20], [990, 1000], [3990, 4000], [5000, 5010]]) {
    const sorter = new Sorter(keys, end, new Pacer());
    for (const [i, row] of rows.entries()) await addTo(sorter, row, `n${i}`);
    const some = [...(await sortedText(sorter, first)).matchAll(/"n(\d+)"/g)].map(([, n]) => Number(n));
    assert.deepEqual(some, names.slice(first, end));
  }
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
  const giveBack = queue.hold(MAX_SENT_SORTED_BYTES - 1);
  queue.hold(1);
  assert.throws(() => queue.hold(1), { name: "HttpError", status: 503 });
  giveBack();
  giveBack();
  queue.hold(MAX_SENT_SORTED_BYTES - 1);
  assert.throws(() => queue.hold(1), { name: "HttpError", status: 503 });
});

Deno.test("the memory of a row is counted when it is added, including text keys", async () => {
  const sorter = new Sorter(KEYS, 2, new Pacer());
  await addTo(sorter, { age: 1 }, "x".repeat(10));
  assert.equal(sorter.bytes, 10 + '"":{"age":1}'.length + 2 * SORTED_ROW_BYTES);
  await addTo(sorter, { age: "four" }, "x".repeat(20));
  assert.equal(sorter.bytes, 30 + '"":{"age":1}"":{"age":"four"}'.length + 4 * SORTED_ROW_BYTES + 4);
});
