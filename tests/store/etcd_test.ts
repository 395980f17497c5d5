import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { type Row, type Snapshot, START } from "../../lib/store.ts";
import { EtcdStore } from "../../lib/store/etcd.ts";
import { testStore } from "./contract.ts";
import { ETCD_MISSING, EtcdNodes, etcdTest as test } from "./etcd_nodes.ts";
import { FakeEtcd, Faulty, refused } from "./fake_etcd.ts";

let nodes: EtcdNodes;
let prefixes = 0;

Deno.test.beforeAll(async () => {
  if (ETCD_MISSING === undefined) nodes = await EtcdNodes.start();
});
Deno.test.afterAll(() => nodes?.[Symbol.asyncDispose]());

function freshPrefix(): string {
  return `t${++prefixes}`;
}

function open(prefix = freshPrefix(), first = 0): EtcdStore {
  return new EtcdStore({ nodes: [...nodes.urls.slice(first), ...nodes.urls.slice(0, first)], prefix });
}

testStore("etcd", open, { sorted: true, missing: ETCD_MISSING });

function row(name: string, value: unknown = {}): { name: string; json: string } {
  return { name, json: JSON.stringify(value) };
}

/** What etcd itself knows of a row. */
async function keyOf(prefix: string, name: string): Promise<{ version: number; mod: number }> {
  const key = Buffer.from(`${prefix}/r/${name}`).toString("base64");
  const { kvs } = await nodes.ask(0, "/v3/kv/range", { key });
  return { version: Number(kvs[0].version), mod: Number(kvs[0].mod_revision) };
}

test("32 clients on two servers that compare and swap one counter end at the exact count", async () => {
  const prefix = freshPrefix();
  const stores = [open(prefix, 0), open(prefix, 1)];
  const each = 1;
  const clients = Array.from({ length: 32 }, async (_, i) => {
    const store = stores[i % 2];
    for (let done = 0; done < each;) {
      const current = await store.get("counter");
      const count = current === undefined ? 0 : JSON.parse(current.content as string).counter.count;
      if (await store.put(row("counter", { count: count + 1 }), current?.version ?? 0) !== undefined) done++;
    }
  });
  await Promise.all(clients);
  const last = await stores[0].get("counter") as Row;
  assert.equal(last.content, `{"counter":{"count":${32 * each}}}`);
  assert.equal((await keyOf(prefix, "counter")).version, 32 * each);
  await Promise.all(stores.map((store) => store.close()));
});

test("what was written through one server is read through another at once", async () => {
  const prefix = freshPrefix();
  const stores = [open(prefix, 0), open(prefix, 1), open(prefix, 2)];
  for (let i = 0; i < 60; i++) {
    const { row: written } = (await stores[i % 3].put(row("a", { i })))!;
    assert.deepEqual(await stores[(i + 1) % 3].get("a"), written);
  }
  assert.equal((await stores[0].snapshot()).revision, (await stores[1].get("a"))!.version);
  await Promise.all(stores.map((store) => store.close()));
});

test("writes that wait together share transactions, each row's in their order", async () => {
  const prefix = freshPrefix();
  const store = open(prefix);
  await store.put(row("first"));
  const before = (await keyOf(prefix, "first")).mod;
  const results = await Promise.all([
    store.put(row("a", { n: 1 })),
    store.put(row("a", { n: 2 })),
    store.insert([row("a"), row("b")]),
    store.remove("a"),
    store.insert([row("a", { n: 3 })]),
    ...Array.from({ length: 500 }, (_, i) => store.put(row(`n${i}`))),
  ]);
  assert.equal((results[0] as { created: boolean }).created, true);
  assert.equal((results[1] as { created: boolean }).created, false);
  assert.deepEqual(results.slice(2, 5), [["a"], true, []]);
  assert.equal((await store.get("a"))!.content, '{"a":{"n":3}}');
  const transactions = (await keyOf(prefix, "n499")).mod - before;
  assert(transactions < 30, `${transactions} transactions`);
  await store.close();
});

test("many reads at a time find each its row", async () => {
  const store = open();
  await Promise.all(Array.from({ length: 300 }, (_, i) => store.put(row(`n${i}`, { i }))));
  const found = await Promise.all(Array.from({ length: 600 }, (_, i) => store.get(`n${i}`)));
  found.forEach((one, i) => assert.equal(one?.content, i < 300 ? `{"n${i}":{"i":${i}}}` : undefined));
  await store.close();
});

test("tables with different prefixes share a cluster and nothing else", async () => {
  const [one, other] = [open("p"), open("p/q")];
  await one.put(row("a"));
  assert.equal(await other.get("a"), undefined);
  await other.put(row("b"));
  const totals = await Promise.all([one, other].map(async (store) => (await store.snapshot()).total));
  assert.deepEqual(totals, [1, 1]);
  await Promise.all([one.close(), other.close()]);
});

test("a listing whose revision is compacted ends with an error, never with rows left out", async () => {
  const store = open();
  await store.insert(Array.from({ length: 2000 }, (_, i) => row(`n${i}`)));
  const snapshot: Snapshot = await store.snapshot();
  const { next } = await snapshot.json(START);
  const { row: { version } } = (await store.put(row("n1")))!;
  const { header } = await nodes.ask(0, "/v3/kv/range", { key: btoa("x") });
  assert(version > snapshot.revision);
  await nodes.ask(0, "/v3/kv/compaction", { revision: header.revision, physical: true });
  await assert.rejects(async () => await snapshot.json(next!), {
    fault: "unavailable",
    message: "The table's cluster has compacted the revision that was read",
  });
  assert.equal((await store.snapshot()).total, 2000);
  await store.close();
});

test("a listing asks the next node when one is silent, as fast as others do, and the cluster is not taken for lost", async () => {
  const silent = (await nodes.leader() + 1) % nodes.count;
  const notes: string[] = [];
  const urls = [...nodes.urls.slice(silent), ...nodes.urls.slice(0, silent)];
  const store = new EtcdStore({ nodes: urls, prefix: freshPrefix(), note: (line) => notes.push(line) });
  await store.put(row("a"));
  await nodes.signal(silent, "SIGSTOP");
  try {
    const start = performance.now();
    const [snapshot, found, written] = await Promise.all([store.snapshot(), store.get("a"), store.put(row("b"))]);
    const ms = performance.now() - start;
    assert(ms >= 2000 && ms < 4000, `${ms} ms`);
    assert.deepEqual([snapshot.total >= 1, found?.content, written?.created], [true, '{"a":{}}', true]);
    assert.deepEqual(notes, []);
  } finally {
    await nodes.signal(silent, "SIGCONT");
  }
  await store.close();
  await nodes.healthy();
});

test("closing waits for the writes that were asked for", async () => {
  const prefix = freshPrefix();
  const store = open(prefix);
  const writes = Promise.all(Array.from({ length: 100 }, (_, i) => store.put(row(`n${i}`))));
  await store.close();
  await writes;
  await assert.rejects(store.put(row("late")), { name: "StoreError", message: "The store is closed" });
  const again = open(prefix);
  assert.equal((await again.snapshot()).total, 100);
  await again.close();
});

Deno.test("a store without its cluster closes at once", async () => {
  const etcd = new FakeEtcd();
  etcd.otherwise = refused;
  const faulty = new Faulty(etcd);
  await assert.rejects(faulty.store.get("a"), { fault: "unavailable" });
  await faulty.store.close();
});

Deno.test("a store refuses insertions that are larger than etcd is made for, before it encodes them", async () => {
  await using faulty = await new Faulty().ready();
  const rows = (count: number, json = "{}") => Array.from({ length: count }, (_, i) => ({ name: `n${i}`, json }));
  const message = "The table's cluster takes fewer rows at once: at most 30000 rows or 32 MiB, " +
    "and no more than etcd's --max-txn-ops";
  const sent = faulty.etcd.requests.length;
  await assert.rejects(faulty.store.insert(rows(30_001)), { fault: "too-large", message, maxRows: 30_000 });
  const large = "x".repeat(1024 * 1024);
  await assert.rejects(faulty.store.insert(rows(33, large)), { fault: "too-large", message, maxRows: 16 });
  assert.equal(faulty.etcd.requests.length, sent);
  assert.deepEqual(await faulty.store.insert(rows(32, large)), []);
});
