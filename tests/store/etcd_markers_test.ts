import assert from "node:assert/strict";
import { encode } from "../../lib/store/etcd_messages.ts";
import { FakeEtcd, Faulty } from "./fake_etcd.ts";
import { until } from "../support.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

Deno.test("markers that nobody uses are removed when a server starts, but not the latest", async () => {
  const etcd = new FakeEtcd();
  const ages = [8, 6, 8, 100, 9];
  ages.forEach((days, i) => {
    const value = encode(`1 ${Date.now() - days * DAY_MS}`);
    etcd.answer("/v3/kv/txn", { success: [{ request_put: { key: encode(`m/lane${i}`), value } }] });
  });
  await using faulty = new Faulty(etcd);
  const { revision } = await faulty.store.snapshot();
  const markers = () => etcd.keys.filter((key) => key.startsWith("m/"));
  await until(() => markers().length < 5);
  assert.deepEqual(markers(), ["m/lane1", "m/lane4"]);
  assert.equal((await faulty.store.snapshot()).revision, revision, "the table has not changed");
});
