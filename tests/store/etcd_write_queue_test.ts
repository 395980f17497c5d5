import assert from "node:assert/strict";
import { MAX_WAITING_WRITES } from "../../lib/limits.ts";
import { MOST_UNSURE_WRITES, MOST_WRITES } from "../../lib/store/etcd_batch.ts";
import { type Batch, type Waiting, WriteQueue } from "../../lib/store/etcd_write_queue.ts";

const LIMITS = { writes: MOST_WRITES, bytes: 1000 };
const nothing = { done: () => {}, failed: () => {} };

function put(key: string, expected?: number, value = ""): Waiting {
  return { write: { kind: "put", key, value, expected }, ...nothing };
}

function insertion(...keys: string[]): Waiting {
  return { write: { kind: "insert", keys, values: keys }, ...nothing };
}

function queueOf(...waiting: Waiting[]): WriteQueue {
  const queue = new WriteQueue();
  for (const one of waiting) queue.add(one);
  return queue;
}

/** The keys of a batch, those of an insertion in brackets. */
function keysOf(batch: Batch | undefined): string | undefined {
  if (batch === undefined) return undefined;
  return batch.kind === "rows"
    ? batch.writes.map(({ write }) => write.key).join(" ")
    : `[${batch.insertion.write.keys.join(" ")}]`;
}

Deno.test("a row that is being written waits, and whatever is for it behind that", () => {
  const queue = queueOf(put("a"), put("a"), put("b"), insertion("a", "c"), put("c"), put("d"));
  const first = queue.take(LIMITS)!;
  assert.equal(keysOf(first), "a b d");
  assert.equal(queue.take(LIMITS), undefined);
  queue.release(first);
  const second = queue.take(LIMITS)!;
  assert.equal(keysOf(second), "a");
  queue.release(second);
  const third = queue.take(LIMITS)!;
  assert.equal(keysOf(third), "[a c]");
  assert.equal(queue.take(LIMITS), undefined);
  queue.release(third);
  assert.equal(keysOf(queue.take(LIMITS)), "c");
  assert.equal(queue.length, 0);
});

Deno.test("an insertion has a transaction of its own, and its turn", () => {
  const queue = queueOf(insertion("a"), insertion("b"), put("c"));
  assert.deepEqual([1, 2, 3, 4].map(() => keysOf(queue.take(LIMITS))), ["[a]", "[b]", "c", undefined]);
});

Deno.test("a batch has so many writes, and fewer if none of them is sure to be done", () => {
  const many = (expected?: number) => Array.from({ length: 200 }, (_, i) => put(`k${i}`, expected));
  const sizes = (queue: WriteQueue) => {
    const found: number[] = [];
    for (let batch; (batch = queue.take({ ...LIMITS, bytes: 1e6 })) !== undefined;) {
      found.push(batch.kind === "rows" ? batch.writes.length : 1);
    }
    return found;
  };
  assert.deepEqual(sizes(queueOf(...many())), [126, 74]);
  assert.deepEqual(sizes(queueOf(...many(0))), [63, 63, 63, 11]);
  assert.deepEqual(sizes(queueOf(put("sure"), ...many(0))), [126, 63, 12]);
  assert.equal(MOST_UNSURE_WRITES, 63);
});

Deno.test("a batch has so many bytes, and one write may have more", () => {
  const taken = (...values: number[]) => {
    const queue = queueOf(...values.map((bytes, i) => put(`k${i}`, undefined, "x".repeat(bytes))));
    return values.map(() => keysOf(queue.take(LIMITS))).filter((keys) => keys !== undefined);
  };
  assert.deepEqual(taken(2000, 996, 0), ["k0", "k1 k2"]);
  assert.deepEqual(taken(2000, 997, 0), ["k0", "k1", "k2"]);
});

Deno.test("what is put back comes first", () => {
  const queue = queueOf(put("a"), put("b"));
  const batch = queue.take(LIMITS)!;
  queue.add(put("a"));
  queue.putBack(batch);
  assert.equal(keysOf(queue.take({ ...LIMITS, writes: 1 })), "a");
  assert.equal(keysOf(queue.take({ ...LIMITS, writes: 1 })), "b");
  assert.equal(queue.length, 1);
});

Deno.test("too many writes are refused, and those that wait can be failed", () => {
  const queue = new WriteQueue();
  let failed = 0;
  const waiting: Waiting = { write: { kind: "remove", key: "a" }, done: () => {}, failed: () => failed++ };
  for (let i = 0; i < MAX_WAITING_WRITES; i++) queue.add(waiting);
  assert.throws(() => queue.add(waiting), { name: "StoreError", fault: "unavailable" });
  queue.fail(new Error());
  assert.equal(failed, MAX_WAITING_WRITES);
  assert.equal(queue.length, 0);
});
