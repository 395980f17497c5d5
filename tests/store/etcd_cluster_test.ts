import assert from "node:assert/strict";
import { numberOf } from "../../lib/store/etcd_cluster.ts";
import { encode } from "../../lib/store/etcd_messages.ts";
import { answered, FakeEtcd, Faulty, refused, refuses } from "./fake_etcd.ts";

Deno.test("while the cluster is away requests fail at once, and the operator hears of it twice", async () => {
  const etcd = new FakeEtcd();
  etcd.otherwise = refused;
  await using faulty = new Faulty(etcd);
  const error = { name: "StoreError", fault: "unavailable", message: "The table's cluster does not answer" };
  await assert.rejects(faulty.store.get("a"), error);
  assert.equal(etcd.requests.length, 2, "each node was asked once");
  await assert.rejects(faulty.put("a"), error);
  await assert.rejects(async () => await faulty.store.snapshot(), error);
  assert(etcd.requests.every(({ url }) => url.endsWith("/v3/kv/range")), "nothing but its own question was sent");

  etcd.otherwise = answered;
  await faulty.recovered();
  assert.equal((await faulty.put("a"))!.created, true);
  assert.deepEqual(faulty.reports, [
    "The table's cluster does not answer: http://b:2379: Connection refused (os error 111); asked again until it does",
    "The table's cluster answers",
  ]);
});

Deno.test("answers that are not those of etcd do not end the program", async () => {
  const etcd = new FakeEtcd();
  const header = { revision: "1" };
  const answers = [null, { header }, { header, kvs: 1 }, { header, kvs: [null] }, {
    header,
    succeeded: false,
    responses: [],
  }];
  etcd.otherwise = () => Response.json(answers[etcd.requests.length % answers.length]);
  await using faulty = new Faulty(etcd);
  const { length } = answers;
  while (etcd.requests.length < 4 * length) {
    await assert.rejects(faulty.store.get("a"), { fault: "unavailable" });
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  assert(faulty.reports.every((line) => line.includes("the answer is not from etcd")), faulty.reports.join("\n"));
  etcd.otherwise = answered;
  await faulty.recovered();
});

Deno.test("a cluster that goes away is found again", async () => {
  await using faulty = await new Faulty().ready();
  faulty.etcd.otherwise = refused;
  await assert.rejects(faulty.put("a"), { fault: "unavailable" });
  faulty.etcd.otherwise = answered;
  await faulty.recovered();
  assert.equal((await faulty.put("a"))!.created, true);
  assert.equal(faulty.reports.length, 2);
});

Deno.test("what this server may not do is no reason to take the cluster for lost", async () => {
  await using faulty = await new Faulty().ready();
  faulty.etcd.faults.push(refuses(403, "etcdserver: permission denied", 7));
  await assert.rejects(faulty.put("a"), { message: "The table's cluster does not allow this server to do that" });
  assert.equal(await faulty.store.get("a"), undefined);
  assert.deepEqual(faulty.reports, []);
});

Deno.test("servers that start together agree on what makes versions", async () => {
  const etcd = new FakeEtcd();
  const servers = Array.from({ length: 5 }, () => new Faulty(etcd));
  const revisions = await Promise.all(servers.map(async ({ store }) => (await store.snapshot()).revision));
  assert.equal(new Set(revisions).size, 1);
  assert(revisions[0] >= 1.7e15, "it is the time in microseconds");
  for (const { store } of servers) await store.close();
});

Deno.test("a base is a number", () => {
  assert.equal(numberOf(encode("17")), 17);
  for (const text of ["", "snail", "0", "017", "-1", "1.5", "9007199254740993"]) {
    assert.throws(() => numberOf(encode(text)), { name: "EtcdError", fault: "damaged" }, text);
  }
});
