import assert from "node:assert/strict";
import type { Row } from "../../lib/store.ts";
import { decode, encode } from "../../lib/store/etcd_messages.ts";
import { until } from "../support.ts";
import { answered, answerLost, FakeEtcd, Faulty, late, refused, refuses, requestLost } from "./fake_etcd.ts";

interface Operation {
  readonly request_put?: { readonly key: string };
  readonly request_txn?: { readonly success: readonly Operation[] };
}

/** The keys that operations write if what they expect is there. */
function written(operations: readonly Operation[]): string[] {
  return operations.flatMap(({ request_put, request_txn }) => {
    return request_put === undefined ? written(request_txn?.success ?? []) : decode(request_put.key);
  });
}

/** The rows that each transaction writes, those of an insertion in brackets. */
function batches(etcd: FakeEtcd): string[] {
  return etcd.requests.filter(({ body }) => body.compare?.length > 0).map(({ body }) => {
    const names = written(body.success).filter((key) => key.startsWith("r/")).map((key) => key.slice(2)).join(" ");
    // An insertion compares its rows beside the marker.
    return body.compare.length > 1 ? `[${names}]` : names;
  });
}

function markers(etcd: FakeEtcd): string[] {
  return etcd.keys.filter((key) => key.startsWith("m/"));
}

Deno.test("a write whose answer is lost is done once, and its outcome is told", async () => {
  await using faulty = await new Faulty().ready();
  const { put, store, etcd } = { put: faulty.put.bind(faulty), store: faulty.store, etcd: faulty.etcd };
  etcd.faults.push(answerLost);
  const created = await put("a");
  assert.equal(created!.created, true);
  etcd.faults.push(answerLost, answerLost);
  const replaced = await put("a", '{"b":1}');
  assert.equal(replaced!.created, false);
  assert.deepEqual(await store.get("a"), replaced!.row);
  etcd.faults.push(answerLost);
  assert.equal((await put("a", '{"b":2}', replaced!.row.version))!.created, false);
  etcd.faults.push(answerLost);
  assert.equal(await put("a", '{"b":3}', replaced!.row.version), undefined, "it expects an older version");
  etcd.faults.push(answerLost);
  assert.equal((await put("b", "{}", 0))!.created, true);
  assert.equal(faulty.writes("a"), 3);
  assert.equal(faulty.writes("b"), 1);
  etcd.faults.push(answerLost);
  assert.equal(await store.remove("a"), true);
  etcd.faults.push(answerLost);
  assert.equal(await store.remove("a"), false);
});

Deno.test("a write that was lost on the way is sent again", async () => {
  await using faulty = await new Faulty().ready();
  faulty.etcd.faults.push(requestLost, refused, requestLost);
  assert.equal((await faulty.put("a"))!.created, true);
  assert.equal(faulty.writes("a"), 1);
});

Deno.test("a write that comes late does nothing, since it was sent again", async () => {
  await using faulty = await new Faulty().ready();
  const { fault, done } = late();
  faulty.etcd.faults.push(fault);
  await faulty.put("a", '{"b":1}');
  await faulty.put("a", '{"b":2}');
  done();
  assert.equal((await faulty.store.get("a") as Row).content, '{"a":{"b":2}}');
  assert.equal(faulty.writes("a"), 2);
});

Deno.test("a write that was refused by what is there cannot come true later", async () => {
  await using faulty = await new Faulty().ready();
  await faulty.put("a");
  const { fault, done } = late();
  faulty.etcd.faults.push(fault);
  assert.equal(await faulty.put("a", '{"b":1}', 0), undefined);
  await faulty.store.remove("a");
  done();
  assert.equal(await faulty.store.get("a"), undefined);
});

Deno.test("a write that came true while it was made sure that it cannot is told to be done", async () => {
  await using faulty = await new Faulty().ready();
  await faulty.put("a");
  const { fault, done } = late();
  const other = new Faulty(faulty.etcd);
  await other.ready();
  // The first try is late; the second is refused, for the row is there; then another server removes the row.
  faulty.etcd.faults.push(fault, (etcd, path, body) => {
    const response = etcd.answer(path, body);
    return other.store.remove("a").then(() => {
      done();
      return response;
    });
  });
  const written = await faulty.put("a", '{"b":1}', 0);
  assert.equal(written!.created, true);
  assert.deepEqual(await faulty.store.get("a"), written!.row);
  await other.store.close();
});

Deno.test("a write without any answer has an unknown outcome, and cannot undo a later one", async () => {
  await using faulty = await new Faulty().ready();
  await faulty.put("a", '{"b":1}');
  const { fault, done } = late();
  faulty.etcd.faults.push(fault);
  faulty.etcd.otherwise = requestLost;
  await assert.rejects(faulty.put("a", '{"b":2}'), {
    fault: "unavailable",
    message: "The table's cluster does not answer: the outcome of this write is unknown, it may have been done or not",
  });
  faulty.etcd.otherwise = answered;
  await faulty.recovered();
  await faulty.put("a", '{"b":3}');
  done();
  assert.equal((await faulty.store.get("a") as Row).content, '{"a":{"b":3}}');
});

Deno.test("a write whose outcome is unknown cannot come true any more soon after the cluster is back", async () => {
  await using faulty = await new Faulty().ready();
  await faulty.put("a", '{"b":1}');
  const [marker] = markers(faulty.etcd);
  const before = faulty.etcd.entry(marker)!.mod;
  const { fault, done } = late();
  faulty.etcd.faults.push(fault);
  faulty.etcd.otherwise = requestLost;
  await assert.rejects(faulty.put("a", '{"b":2}'), /the outcome of this write is unknown/);
  faulty.etcd.otherwise = answered;
  await until(() => faulty.etcd.entry(marker)!.mod > before);
  done();
  assert.equal((await faulty.store.get("a") as Row).content, '{"a":{"b":1}}');
});

Deno.test("no write waits for a cluster that is away, also behind one whose outcome is unknown", async () => {
  await using faulty = await new Faulty().ready();
  faulty.etcd.otherwise = requestLost;
  // The row is once in a transaction: the other write waits.
  const [first, second] = await Promise.allSettled([faulty.put("a"), faulty.put("a")]);
  assert(first.status === "rejected" && second.status === "rejected");
  assert.match(first.reason.message, /the outcome of this write is unknown/);
  const error = { message: "The table's cluster does not answer" };
  assert.equal(second.reason.message, error.message);
  // Until the cluster is back it is tried to make sure that the first one cannot come true.
  for (let i = 0; i < 3; i++) {
    await assert.rejects(faulty.put("b"), error);
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
});

Deno.test("a write that certainly was not done does not say that its outcome is unknown", async () => {
  await using faulty = await new Faulty().ready();
  faulty.etcd.otherwise = refused;
  await assert.rejects(faulty.put("a"), { fault: "unavailable", message: "The table's cluster does not answer" });
});

Deno.test("an outcome that was compacted is unknown", async () => {
  await using faulty = await new Faulty().ready();
  await faulty.put("a");
  faulty.etcd.faults.push((etcd, path, body) => {
    etcd.answer(path, body);
    etcd.compacted = etcd.revision;
    return answerLost(etcd, path, body);
  });
  await assert.rejects(faulty.put("a", '{"b":1}'), /compacted the revision that was read: the outcome .* is unknown/);
  assert.equal(faulty.writes("a"), 2);
  assert.equal((await faulty.put("a", '{"b":2}'))!.created, false);
});

Deno.test("a full cluster refuses a write; one that may have been done before that is unknown", async () => {
  await using faulty = await new Faulty().ready();
  const full = refuses(429, "etcdserver: mvcc: database space exceeded", 8);
  faulty.etcd.faults.push(full);
  await assert.rejects(faulty.put("a"), {
    fault: "full",
    message: "The table's cluster has no room (etcd's --quota-backend-bytes)",
  });
  faulty.etcd.faults.push(answerLost, full, full);
  await assert.rejects(faulty.put("a"), { fault: "unavailable", message: /the outcome of this write is unknown/ });
  assert.equal(faulty.writes("a"), 1);
  await assert.rejects(faulty.put("a"), { fault: "full" }, "until it is sure that the first one cannot come again");
  assert.equal((await faulty.put("a"))!.created, false);
});

Deno.test("writes that are too many, or too large, together are tried apart", async () => {
  await using faulty = await new Faulty().ready();
  const { etcd } = faulty;
  const most = 5;
  const bounded = (fake: FakeEtcd, path: string, body: { success?: unknown[] }): Response => {
    if ((body.success?.length ?? 0) > most) {
      return refuses(400, "etcdserver: too many operations")(fake, path, body) as Response;
    }
    return fake.answer(path, body);
  };
  etcd.otherwise = bounded;
  etcd.requests.length = 0;
  const written = await Promise.all(Array.from({ length: 40 }, (_, i) => faulty.put(`n${i}`)));
  assert(written.every((one) => one!.created));
  const sizes = batches(etcd).map((names) => names.split(" ").length);
  assert.deepEqual(sizes, [40, 20, 10, 5, ...Array(13).fill(3), 1]);
  const rows = Array.from({ length: most - 1 }, (_, i) => ({ name: `m${i}`, json: "{}" }));
  assert.deepEqual(await faulty.store.insert(rows), []);
  await assert.rejects(faulty.store.insert([...rows, { name: "m", json: "{}" }]), {
    fault: "too-large",
    message: "The table's cluster takes fewer rows at once (etcd's --max-txn-ops)",
    maxRows: 2,
  });
  etcd.otherwise = answered;
  etcd.faults.push(refuses(400, "etcdserver: request is too large"));
  await assert.rejects(faulty.store.insert(Array.from({ length: 128 }, (_, i) => ({ name: `l${i}`, json: "{}" }))), {
    message: "The table's cluster takes fewer rows at once (etcd's --max-request-bytes and --max-txn-ops)",
    maxRows: 127,
  });
  etcd.faults.push(refuses(400, "etcdserver: request is too large"));
  await assert.rejects(faulty.put("a"), {
    fault: "too-large",
    message: "The table's cluster takes fewer octets at once (etcd's --max-request-bytes)",
    maxRows: undefined,
  });
});

Deno.test("an insertion whose answer is lost is done once, or refused for what was there before", async () => {
  await using faulty = await new Faulty().ready();
  const rows = ["a", "b"].map((name) => ({ name, json: "{}" }));
  faulty.etcd.faults.push(answered, answerLost);
  assert.deepEqual(await faulty.store.insert(rows), []);
  assert.equal(faulty.writes("a"), 1);
  faulty.etcd.faults.push(answerLost);
  assert.deepEqual(await faulty.store.insert([...rows, { name: "c", json: "{}" }]), ["a", "b"]);
  assert.equal(faulty.writes("c"), 0);
});

Deno.test("an insertion that was never sent does not say that its outcome is unknown", async () => {
  await using faulty = await new Faulty().ready();
  const { fault, done } = late();
  faulty.etcd.faults.push(fault);
  faulty.etcd.otherwise = requestLost;
  const rows = [{ name: "a", json: "{}" }];
  await assert.rejects(faulty.store.insert(rows), { message: "The table's cluster does not answer" });
  faulty.etcd.otherwise = answered;
  await faulty.recovered();
  // What made room for it comes late.
  done();
  assert.deepEqual(await faulty.store.insert(rows), []);
  assert.equal((await faulty.put("a"))!.created, false);
  assert.equal(faulty.writes("a"), 2);
});

Deno.test("an insertion that was refused does not say that its outcome is unknown, if it cannot be told why", async () => {
  await using faulty = await new Faulty().ready();
  await faulty.put("a");
  faulty.etcd.faults.push(answered);
  faulty.etcd.otherwise = requestLost;
  const rows = [{ name: "a", json: "{}" }];
  await assert.rejects(faulty.store.insert(rows), { message: "The table's cluster does not answer" });
});

Deno.test("an insertion that expects a revision sees the writes of other servers, and its own", async () => {
  await using faulty = await new Faulty().ready();
  await using other = await new Faulty(faulty.etcd).ready();
  const revision = async () => (await faulty.store.snapshot()).revision;
  const insert = (name: string, expected: number) => faulty.store.insert([{ name, json: "{}" }], expected);
  const empty = await revision();
  assert.deepEqual(await insert("a", empty), []);
  assert.equal(await insert("b", empty), undefined);
  const seen = await revision();
  await other.put("c");
  assert.equal(await insert("b", seen), undefined);
  assert.deepEqual(await insert("b", await revision()), []);
});

Deno.test("data that was lost and made anew has new versions, and old ones are met no more", async () => {
  await using faulty = await new Faulty().ready();
  const { row } = (await faulty.put("a"))!;
  // Versions start from the clock, which must have moved on.
  for (const now = Date.now(); Date.now() === now;) await new Promise((resolve) => setTimeout(resolve, 1));
  faulty.etcd.wipe();
  assert.equal(await faulty.store.get("a"), undefined);
  const again = (await faulty.put("a"))!;
  assert.equal(again.created, true);
  assert(again.row.version > row.version);
  assert.equal(await faulty.put("a", "{}", row.version), undefined);
  assert.equal((await faulty.store.snapshot()).total, 1);
});

Deno.test("the first write of a server sees that the data was lost since its start", async () => {
  await using faulty = await new Faulty().ready();
  faulty.etcd.wipe();
  const written = await faulty.put("a");
  assert.equal(written!.created, true);
  assert.deepEqual(await faulty.store.get("a"), written!.row);
});

Deno.test("a marker that was removed is made anew", async () => {
  await using faulty = await new Faulty().ready();
  await faulty.put("a");
  const [marker, ...others] = markers(faulty.etcd);
  assert.deepEqual(others, []);
  faulty.etcd.answer("/v3/kv/txn", { success: [{ request_delete_range: { key: btoa(marker) } }] });
  assert.equal((await faulty.put("a", '{"b":1}'))!.created, false);
  assert.equal(faulty.writes("a"), 2);
});

/** Starts writes of a writer that has its marker. */
async function writer(): Promise<Faulty> {
  const faulty = await new Faulty().ready();
  await faulty.put("first");
  faulty.etcd.requests.length = 0;
  return faulty;
}

Deno.test("a row is once in a transaction, and whatever concerns it goes in its order", async () => {
  await using faulty = await writer();
  const insert = (...names: string[]) => faulty.store.insert(names.map((name) => ({ name, json: "{}" })));
  const results = await Promise.all([
    ...["a", "a", "b"].map((name) => faulty.put(name)),
    insert("d", "c"),
    ...["c", "e"].map((name) => faulty.put(name)),
  ]);
  assert.deepEqual(batches(faulty.etcd), ["a b e", "a", "[d c]", "c"]);
  assert.deepEqual(results[3], []);
});

Deno.test("an insertion has a transaction of its own, and its turn", async () => {
  await using faulty = await writer();
  const insert = (name: string) => faulty.store.insert([{ name, json: "{}" }, { name: `${name}2`, json: "{}" }]);
  await Promise.all([insert("a"), insert("b"), faulty.put("c"), insert("d")]);
  assert.deepEqual(batches(faulty.etcd), ["[a a2]", "[b b2]", "c", "[d d2]"]);
});

Deno.test("a transaction has so many writes, and fewer if none of them is sure to be done", async () => {
  await using faulty = await writer();
  let rows = 0;
  const sizes = async (sure: number, unsure: number) => {
    faulty.etcd.requests.length = 0;
    const expected = [...Array(sure).fill(undefined), ...Array(unsure).fill(0)];
    await Promise.all(expected.map((version) => faulty.put(`n${rows++}`, "{}", version)));
    return batches(faulty.etcd).map((keys) => keys.split(" ").length);
  };
  assert.deepEqual(await sizes(200, 0), [126, 74]);
  assert.deepEqual(await sizes(0, 200), [63, 63, 63, 11]);
  assert.deepEqual(await sizes(1, 200), [126, 63, 12]);
});

Deno.test("a transaction has so many bytes, and one write may have more", async () => {
  await using faulty = await writer();
  // Keys and values in base64 may have 1 MiB together.
  const key = encode("r/a").length;
  const fitting = (1024 * 1024 - 2 * key - encode("{}").length) * 3 / 4;
  const json = (bytes: number) => JSON.stringify("x".repeat(bytes - 2));
  const taken = async (...bytes: number[]) => {
    faulty.etcd.requests.length = 0;
    await Promise.all(bytes.map((count, i) => faulty.put("abc"[i], json(count))));
    return batches(faulty.etcd);
  };
  assert.deepEqual(await taken(2_000_000, Math.floor(fitting), 2), ["a", "b c"]);
  assert.deepEqual(await taken(2_000_000, Math.floor(fitting) + 3, 2), ["a", "b", "c"]);
});

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
  await until(() => markers(etcd).length < 5);
  assert.deepEqual(markers(etcd), ["m/lane1", "m/lane4"]);
  assert.equal((await faulty.store.snapshot()).revision, revision, "the table has not changed");
});
