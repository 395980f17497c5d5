import assert from "node:assert/strict";
import { MAX_WAITING_CALLS } from "../../lib/limits.ts";
import { StoreError } from "../../lib/store.ts";
import { Batches } from "../../lib/store/batches.ts";

Deno.test("what arrives in one turn shares a batch, and what arrives meanwhile waits for the next", async () => {
  const batches: (readonly number[])[] = [];
  const item = (number: number) => ({ number, reject: () => {} });
  const queue: Batches<ReturnType<typeof item>> = new Batches(
    "numbers wait",
    (waiting) => waiting.splice(0, 3),
    async (batch) => {
      batches.push(batch.map(({ number }) => number));
      if (batch[0].number === 1) queue.add(item(5));
      await Promise.resolve();
    },
  );
  for (const number of [1, 2, 3, 4]) queue.add(item(number));
  await queue.running;
  assert.deepEqual(batches, [[1, 2, 3], [4, 5]]);
  assert.equal(queue.running, undefined);
  queue.add(item(6));
  await queue.running;
  assert.deepEqual(batches.at(-1), [6]);
});

Deno.test("what may wait is limited", async () => {
  const queue = new Batches<{ reject: (reason: unknown) => void }>(
    "numbers wait",
    (waiting) => waiting.splice(0),
    () => Promise.resolve(),
  );
  const rejected: unknown[] = [];
  const item = { reject: (reason: unknown) => void rejected.push(reason) };
  for (let i = 0; i < MAX_WAITING_CALLS; i++) queue.add(item);
  assert.deepEqual(rejected, []);
  queue.add(item);
  assert.deepEqual(rejected, [new StoreError("unavailable", "100000 numbers wait already: try again soon")]);
  queue.reject("closed");
  assert.equal(rejected.length, 1 + MAX_WAITING_CALLS);
  await queue.running;
});
