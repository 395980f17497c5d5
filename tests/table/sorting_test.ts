import assert from "node:assert/strict";
import { MAX_SENT_SORTED_BYTES, MAX_SORTED_BYTES, MAX_SORTS } from "../../lib/limits.ts";
import { Gate, Pacer } from "../../lib/turns.ts";
import { HeldRows, holdSorted, MAX_SORT_SLACK_ROWS, Sorter, sortInTurns } from "../../lib/table/sorting.ts";
import type { JsonObject } from "../../lib/json.ts";
import { fieldOf, RowJoiner, StoredRows } from "../../lib/table/stored_rows.ts";
import { Random } from "../fuzzing.ts";
import { CountedTurns, REQUESTER } from "../support.ts";

const KEYS = [{ field: fieldOf(["age"]), descending: false }];

Deno.test("sorting in turns is the same as sorting at once", async () => {
  const random = new Random(5);
  for (const length of [0, 1, 511, 512, 513, 1024, 1537, 5000]) {
    const keys = Array.from({ length }, () => random.below(100));
    const order = (a: number, b: number) => keys[a] - keys[b];
    const turns = new CountedTurns();
    const sorted = await sortInTurns(length, order, new Pacer(undefined, turns));
    assert.deepEqual([...sorted], keys.map((_, i) => i).toSorted(order));
    if (length === 5000) assert(turns.asked > 10);
  }
});

/** Adds rows to a sorter, a page each. */
async function addTo(sorter: Sorter, row: JsonObject, extra = ""): Promise<void> {
  const rows = new StoredRows(new TextEncoder().encode(`{"${extra}":${JSON.stringify(row)}}`));
  assert(rows.next());
  await sorter.add(rows);
}

/** Adds rows that are alike but for their ages, of two digits: what is large is made once. */
async function addLarge(sorter: Sorter, ages: Iterable<number>, extra: string, added = () => {}): Promise<void> {
  const octets = new TextEncoder().encode(`{"${extra}":{"age":10}}`);
  for (const age of ages) {
    octets.set(new TextEncoder().encode(String(age)), octets.length - "10}}".length);
    const rows = new StoredRows(octets);
    assert(rows.next());
    await sorter.add(rows);
    added();
  }
}

async function sortedText(sorter: Sorter, first = 0): Promise<string> {
  let text = "";
  for (const piece of await sorter.pieces(first, new RowJoiner("application/json"))) {
    text += new TextDecoder().decode(piece);
  }
  return text;
}

Deno.test("few more rows are held than the page needs", async () => {
  const sorter = new Sorter(KEYS, 2, new Pacer());
  let most = 0;
  for (let i = 0; i < 5000; i++) {
    await addTo(sorter, { age: (i * 7919) % 5000 }, String(i));
    most = Math.max(most, sorter.bytes);
  }
  assert(most <= (4 + MAX_SORT_SLACK_ROWS + 1) * (33 + 20), `${most} bytes were held`);
  const second = Array(5000).keys().find((i) => (i * 7919) % 5000 === 1);
  assert.equal(await sortedText(sorter), `{"0":{"age":0},"${second}":{"age":1}}`);
});

Deno.test("at most twice the limit of bytes and one row are held", async () => {
  const content = "x".repeat(10_000_000);
  const sorter = new Sorter(KEYS, 2, new Pacer());
  let most = 0;
  const ages = Array.from({ length: 40 }, (_, i) => 50 - i);
  await addLarge(sorter, ages, content, () => most = Math.max(most, sorter.bytes));
  assert(most <= 2 * MAX_SORTED_BYTES + content.length + 100, `${most} bytes were held`);
  const row = (age: number) => `"${content}":{"age":${age}}`;
  assert((await sortedText(sorter)) === `{${row(11)},${row(12)}}`);
});

Deno.test("sorted rows are the same as those sorted at once, with any page", async () => {
  const random = new Random(6);
  const rows = Array.from({ length: 4000 }, (_, i) => ({ age: random.below(50), leg: ["a", 1, "2", null, i][i % 5] }));
  const keys = [{ field: fieldOf(["age"]), descending: true }, { field: fieldOf(["leg"]), descending: false }];
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

Deno.test("a number whose digits are not held sorts beside one with the same double by its decimal value", async () => {
  const ordered = ["-1.5", "0.1", "0.10000000000000000001", "0.3", "0.30000000000000000001", "7.50", "75e-1", "9e0"];
  for (const ages of [ordered, ordered.toReversed()]) {
    const sorter = new Sorter(KEYS, Infinity, new Pacer());
    for (const age of ages) await addTo(sorter, { age }, age);
    const sorted = Object.keys(JSON.parse(await sortedText(sorter)));
    // 7.50 and 75e-1 are one number: they stay as they were.
    assert.deepEqual(sorted, ages === ordered ? ordered : ordered.with(5, "75e-1").with(6, "7.50"));
  }
});

async function settled(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 0));
}

Deno.test("few sorts run at a time, and one whose client disconnects stops waiting immediately", async () => {
  const queue = new Gate(MAX_SORTS);
  const ends: (() => void)[] = [];
  const started: number[] = [];
  const clients = Array.from({ length: MAX_SORTS + 3 }, () => new AbortController());
  const sorts = clients.map(({ signal }, i) =>
    queue.run(async () => {
      started.push(i);
      await new Promise<void>((end) => ends.push(end));
      return i;
    }, { ...REQUESTER, signal }).catch((error) => error.name)
  );
  await settled();
  assert.equal(started.length, MAX_SORTS);
  clients[MAX_SORTS].abort();
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
  assert.equal(await queue.run(() => Promise.resolve("next")), "next");
});

Deno.test("listings being sent share one limit", () => {
  const giveBack = holdSorted(MAX_SENT_SORTED_BYTES - 1);
  const releases = [holdSorted(1)];
  assert.throws(() => holdSorted(1), { name: "HttpError", status: 503 });
  giveBack();
  giveBack();
  releases.push(holdSorted(MAX_SENT_SORTED_BYTES - 1));
  assert.throws(() => holdSorted(1), { name: "HttpError", status: 503 });
  for (const release of releases) release();
});

Deno.test("the memory of a row is counted when it is added: its octets, 33 bytes, and a text key that was copied", async () => {
  const sorter = new Sorter(KEYS, 2, new Pacer());
  await addTo(sorter, { age: 1 }, "x".repeat(10));
  assert.equal(sorter.bytes, 10 + '"":{"age":1}'.length + 33);
  await addTo(sorter, { age: "four" }, "x".repeat(20));
  assert.equal(sorter.bytes, 30 + '"":{"age":1}"":{"age":"four"}'.length + 66);
  await addTo(sorter, { age: 'a\n"' });
  assert.equal(sorter.bytes, 30 + '"":{"age":1}"":{"age":"four"}"":{"age":"a\\n\\""}'.length + 99 + 3);
});

Deno.test("keys are compared wherever they are in a row, in rows that were kept too", async () => {
  const long = "x".repeat(70_000);
  const rows = ["b", "a", 'a\n"', "12345678901234567891", "12345678901234567890", null, true].flatMap((age) => [
    { age },
    { before: long, age },
  ]);
  const sorter = new Sorter(KEYS, rows.length, new Pacer());
  for (let round = 0; round < 200; round++) for (const row of rows) await addTo(sorter, row);
  const text = await sortedText(sorter);
  const [first, second] = ['"age":"12345678901234567890"', '"age":"12345678901234567891"'];
  assert.equal(text.split(first).length - 1, rows.length);
  assert.equal(text.includes(second), false);
});

Deno.test("a million rows with two keys of up to 16 octets each are within the limit", () => {
  const rows = new HeldRows([KEYS[0], { field: fieldOf(["name"]), descending: false }]);
  const page = new StoredRows(
    new TextEncoder().encode('{"n123456":{"age":"1234567890123456","name":"a234567890123456"}}'),
  );
  assert(page.next());
  assert(1_000_000 * rows.sizeOf(page) <= MAX_SORTED_BYTES);
});

Deno.test("a page is reached if its rows are surely within the limit", async () => {
  const sorter = new Sorter(KEYS, 1, new Pacer());
  const size = 30_000_000;
  await addLarge(sorter, [10, 11, 12, 13, 14, 15, 16, 17], "x".repeat(size));
  await sorter.pieces(0, new RowJoiner("application/json"));
  assert.deepEqual([1, 2, 3, 4, 5, 8].map((end) => sorter.reaches(end)), [true, true, true, true, false, false]);
});

Deno.test("held rows are returned as they were added or copied, short and larger than a buffer", () => {
  const rows = new HeldRows(KEYS);
  const texts = Array.from({ length: 300 }, (_, i) => `"${i}":{"n":"${"x".repeat(i % 97 === 0 ? 70_000 : i)}"}`);
  for (const text of texts) {
    const page = new StoredRows(new TextEncoder().encode(`{${text}}`));
    assert(page.next());
    rows.add(page);
  }
  const copies = new HeldRows(KEYS);
  for (let i = 299; i >= 0; i--) copies.copy(rows, i);
  assert.deepEqual([rows.count, copies.count, copies.bytes], [300, 300, rows.bytes]);
  for (const [i, text] of texts.entries()) {
    for (const row of [rows.row(i), copies.row(299 - i)]) assert.equal(new TextDecoder().decode(row), text);
  }
});
