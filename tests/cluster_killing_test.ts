import assert from "node:assert/strict";
import { EtcdGateway } from "../lib/store/etcd_gateway.ts";
import { type NewRow, rowContent, type Store, type Written } from "../lib/store.ts";
import { EtcdStore } from "../lib/store/etcd.ts";
import { encode, replace, TableKeys, transaction } from "../lib/store/etcd_messages.ts";
import { Table } from "../lib/table.ts";
import { RowSchema } from "../lib/table/row_schema.ts";
import { type Verdict, WritingClients } from "./cluster_killing.ts";
import { Random } from "./fuzzing.ts";
import { answered, answerLost, FakeEtcd, type Fault, Faulty, requestLost } from "./store/fake_etcd.ts";
import { serviceOf, startServer } from "./support.ts";

/** Loses a request, or its answer, now and then. */
function losing(random: Random): Fault {
  return (fake, path, body) => {
    const fault = path === "/v3/kv/txn" ? [answerLost, requestLost][random.below(10)] ?? answered : answered;
    return fault(fake, path, body);
  };
}

/** Judges writes through two servers, each with a store on the same cluster. */
async function judge(stores: readonly Store[], etcd: FakeEtcd): Promise<Verdict> {
  const schema = RowSchema.parse("number:integer");
  await using stack = new AsyncDisposableStack();
  const servers = stores.map((store) => {
    const table = new Table(store, { schema });
    return stack.use(startServer(serviceOf((...request) => table.answer(...request), (head) => table.precheck(head))));
  });
  const clients = new WritingClients(servers.map(({ port }) => port), new Random(1));
  await clients.progress(500);
  return await clients.stop((name) => {
    const entry = etcd.entry(`r/${name}`);
    const number = entry === undefined ? 0 : JSON.parse(atob(entry.value)).number;
    return Promise.resolve({ writes: entry?.version ?? 0, number });
  });
}

Deno.test("through requests and answers that get lost, each write is done once, or said to be unknown", async () => {
  const etcd = new FakeEtcd();
  await using one = await new Faulty(etcd).ready();
  await using other = await new Faulty(etcd).ready();
  etcd.otherwise = losing(new Random(1));
  const verdict = await judge([one.store, other.store], etcd);
  assert(verdict.acknowledged >= 500);
  assert.deepEqual([verdict.lost, verdict.twice, verdict.doneThoughRefused], [0, 0, 0]);
  assert(verdict.byServer.every((count) => count > 0));
});

/** A store that sends a write again until there is an answer, whatever became of it before. */
class BlindStore extends EtcdStore {
  readonly #keys = new TableKeys("");
  readonly #gateway: EtcdGateway;

  constructor({ fetch }: FakeEtcd) {
    const options = { nodes: ["http://a:2379"], fetch, wait: () => Promise.resolve() };
    super(options);
    this.#gateway = new EtcdGateway(options);
  }

  override async put({ name, json }: NewRow): Promise<Written> {
    const body = transaction([], [replace(this.#keys.row(name), encode(json))]);
    const { header } = await this.#gateway.ask<{ header: { revision: string } }>("/v3/kv/txn", body);
    return { row: { name, content: rowContent(name, json), version: Number(header.revision) }, created: false };
  }

  override async close(): Promise<void> {
    await super.close();
    this.#gateway.close();
  }
}

Deno.test("a store that sends writes again blindly is found to apply them twice", async () => {
  const etcd = new FakeEtcd();
  etcd.otherwise = losing(new Random(1));
  const store = new BlindStore(etcd);
  const verdict = await judge([store], etcd);
  await store.close();
  assert.equal(verdict.lost, 0);
  assert(verdict.twice > 0);
});

/** A store that acknowledges a write before it is done, and so may lose it. */
class HastyStore extends BlindStore {
  #puts = 0;

  override put(row: NewRow): Promise<Written> {
    if (++this.#puts % 50 > 0) return super.put(row);
    return Promise.resolve({ row: { ...row, content: rowContent(row.name, row.json), version: 1 }, created: false });
  }
}

Deno.test("a store that acknowledges before a write is done is found to lose writes", async () => {
  const etcd = new FakeEtcd();
  const store = new HastyStore(etcd);
  const verdict = await judge([store], etcd);
  await store.close();
  assert(verdict.lost > 0);
  assert.equal(verdict.twice, 0);
});
