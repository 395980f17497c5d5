import assert from "node:assert/strict";
import { StoreError } from "../../lib/store.ts";
import { Batches } from "../../lib/store/batches.ts";

Deno.test("what arrives in one turn shares a batch, and what arrives meanwhile waits for the next", async () => {
  const batches: (readonly number[])[] = [];
  let later: Promise<number> | undefined;
  const queue: Batches<number, number> = new Batches(
    (waiting) => waiting.splice(0, 3),
    (batch) => {
      const numbers = batch.map(({ item }) => item);
      batches.push(numbers);
      if (numbers[0] === 1) later = queue.add(5);
      return Promise.resolve(numbers.map((number) => number === 4 ? new RangeError("no") : 10 * number));
    },
  );
  const added = [1, 2, 3, 4].map((number) => queue.add(number));
  assert(queue.isRunning);
  const results = await Promise.allSettled(added);
  assert.deepEqual(results.map((result) => result.status === "fulfilled" ? result.value : result.reason.message), [
    ...[10, 20, 30],
    "no",
  ]);
  assert.equal(await later, 50);
  await queue.done();
  assert.deepEqual(batches, [[1, 2, 3], [4, 5]]);
  assert.equal(await queue.add(6), 60);
  assert.deepEqual(batches.at(-1), [6]);
  await Promise.resolve();
  assert(!queue.isRunning);
});

Deno.test("a batch that fails fails each of its items, and one of which nothing was done goes first again", async () => {
  const batches: string[] = [];
  const answers: (() => undefined)[] = [() => undefined, () => {
    throw new RangeError("no");
  }];
  const queue: Batches<number, number> = new Batches((waiting) => waiting.splice(0, 2), (batch) => {
    batches.push(batch.map(({ item }) => item).join());
    return new Promise((resolve) => resolve(answers.shift()?.()));
  });
  const added = [1, 2].map((number) => queue.add(number));
  await assert.rejects(added[0], new RangeError("no"));
  await assert.rejects(added[1], new RangeError("no"));
  assert.deepEqual(batches, ["1,2", "1,2"]);
});

Deno.test("what waits may be refused, and what comes later", async () => {
  const queue = new Batches<number, number>((waiting) => waiting.splice(0), () => Promise.resolve([]));
  const added = Promise.allSettled([1, 2, 3].map((number) => queue.add(number)));
  const closed = new StoreError("unavailable", "closed");
  queue.refuse(closed);
  await assert.rejects(queue.add(0), closed);
  const results = await added;
  assert(results.every((result) => result.status === "rejected" && result.reason === closed));
  await queue.done();
});
