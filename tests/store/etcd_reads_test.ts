import assert from "node:assert/strict";
import { type FakeEtcd, Faulty, requestLost } from "./fake_etcd.ts";

/** How many keys each transaction has read, beside `meta`. */
function batches(etcd: FakeEtcd): number[] {
  return etcd.requests.filter(({ url }) => url.endsWith("/txn")).map(({ body }) => body.success.length - 1);
}

Deno.test("reads that wait share transactions of at most 127 rows", async () => {
  await using faulty = await new Faulty().ready();
  await faulty.put("n1", '{"a":1}');
  faulty.etcd.requests.length = 0;
  const rows = await Promise.all(Array.from({ length: 300 }, (_, i) => faulty.store.get(`n${i}`)));
  assert.deepEqual(rows.map((row) => row?.content).filter(Boolean), ['{"n1":{"a":1}}']);
  assert.deepEqual(batches(faulty.etcd).toSorted((a, b) => b - a), [127, 127, 46]);
});

Deno.test("where rows are large, fewer are read at a time", async () => {
  await using faulty = await new Faulty().ready();
  const value = JSON.stringify({ x: "x".repeat(1_000_000) });
  await faulty.put("a", value);
  const getMany = () => Promise.all(Array.from({ length: 20 }, () => faulty.store.get("a")));
  faulty.etcd.requests.length = 0;
  await faulty.store.get("a");
  await getMany();
  assert.deepEqual(batches(faulty.etcd), [1, 6, 6, 6, 2]);
});

Deno.test("a read that gets no answer is asked again", async () => {
  await using faulty = await new Faulty().ready();
  await faulty.put("a");
  faulty.etcd.faults.push(requestLost, requestLost, requestLost);
  assert.equal((await faulty.store.get("a"))!.content, '{"a":{}}');
});
