import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { type Portion, type Snapshot, START, type StoreError } from "../../lib/store.ts";
import { encode } from "../../lib/store/etcd_messages.ts";
import { ServeProcess, signalTest } from "../serve_process.ts";
import { until } from "../support.ts";
import { readJson, rowsIn } from "./contract.ts";
import { answered, FakeEtcd, Faulty, requestLost } from "./fake_etcd.ts";

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

/** The limits that the pages after the first were asked for. */
function limits(etcd: FakeEtcd): number[] {
  const ranges = etcd.requests.map(({ body }) => body.success?.[0].request_range);
  return ranges.filter((range) => range?.revision !== undefined).map(({ limit }) => limit);
}

async function fill(faulty: Faulty, rows: number, bytes: number): Promise<void> {
  const json = JSON.stringify({ x: "x".repeat(bytes - 8) });
  await faulty.store.insert(Array.from({ length: rows }, (_, i) => ({ name: `n${String(i).padStart(6, "0")}`, json })));
}

async function rowsOf(snapshot: Snapshot): Promise<number[]> {
  const counts: number[] = [];
  for (let cursor: number | undefined = START; cursor !== undefined;) {
    const page: Portion<string | Uint8Array> = await snapshot.json(cursor);
    counts.push(rowsIn(page.content).length);
    cursor = page.next;
  }
  return counts;
}

Deno.test("pages grow while rows are small", async () => {
  await using faulty = await new Faulty().ready();
  await fill(faulty, 26_000, 20);
  faulty.etcd.requests.length = 0;
  const snapshot = await faulty.store.snapshot();
  assert.deepEqual(await rowsOf(snapshot), [256, 1024, 4096, 10_000, 10_000, 624]);
  assert.deepEqual(limits(faulty.etcd), [1024, 4096, 10_000, 10_000, 10_000]);
  assert.deepEqual(await rowsOf(snapshot), [256, 1024, 4096, 10_000, 10_000, 624], "a second time");
});

Deno.test("pages are as small as large rows make them, and hold every row once", async () => {
  await using faulty = await new Faulty().ready();
  await fill(faulty, 300, 10_000);
  await faulty.put("o", JSON.stringify({ x: "x".repeat(3_000_000) }));
  await faulty.put("p");
  const snapshot = await faulty.store.snapshot();
  assert.equal(snapshot.total, 302);
  assert.deepEqual(await rowsOf(snapshot), [104, 104, 92, 1, 1]);
  const { text } = await readJson(snapshot);
  assert.equal(Object.keys(JSON.parse(text)).length, 302);
});

Deno.test("an answer that is too long is read up to a row's end", async () => {
  await using faulty = await new Faulty().ready();
  await fill(faulty, 200, 100_000);
  let pieces = 0;
  faulty.etcd.faults.push(async (etcd, path, body) => {
    const bytes = new Uint8Array(await (await answered(etcd, path, body)).arrayBuffer());
    const body2 = new ReadableStream({
      pull(controller) {
        const piece = bytes.subarray(pieces * 65_536, ++pieces * 65_536);
        if (piece.length > 0) controller.enqueue(piece);
        else controller.close();
      },
    });
    return new Response(body2);
  });
  const snapshot = await faulty.store.snapshot();
  assert(pieces < 80, `${pieces} pieces of 64 KiB`);
  assert.equal(snapshot.total, 200);
  assert.equal((await rowsOf(snapshot)).reduce((sum, count) => sum + count), 200);
});

Deno.test("snapshots that are asked for together are taken together, and none is older than its question", async () => {
  await using faulty = await new Faulty().ready();
  await faulty.put("a");
  faulty.etcd.requests.length = 0;
  const answer = Promise.withResolvers<void>();
  faulty.etcd.faults.push((etcd, path, body) => answer.promise.then(() => etcd.answer(path, body)));
  const first = faulty.store.snapshot();
  await until(() => faulty.etcd.requests.length > 0);
  const others: Promise<Snapshot>[] = [];
  for (let turn = 0; turn < 3; turn++) {
    for (let i = 0; i < 20; i++) others.push(faulty.store.snapshot());
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  answer.resolve();
  const snapshots = await Promise.all([first, ...others]);
  assert.equal(faulty.etcd.requests.length, 2);
  assert.equal(new Set(snapshots).size, 2);
  await faulty.put("b");
  assert.equal((await faulty.store.snapshot()).total, 2);
});

Deno.test("a table whose rows are not all there is an error", async () => {
  await using faulty = await new Faulty().ready();
  await fill(faulty, 300, 20);
  const snapshot = await faulty.store.snapshot();
  const responses = [{ response_range: {} }];
  faulty.etcd.faults.push(() => Response.json({ header: { revision: "1" }, responses }));
  const { next } = await snapshot.json(START);
  await assert.rejects(async () => await snapshot.json(next!), {
    message: "The table's cluster did not return all rows",
  });
});

Deno.test("a row that another program wrote, and that is no JSON object, fails alone and is not listed", async () => {
  await using faulty = await new Faulty().ready();
  for (const wrong of ["{bad", "", "[1]", '"text"', "7", "null", '{"a":1}x']) {
    for (const name of ["a", "c"]) await faulty.put(name);
    await faulty.put("b", wrong);
    const [a, b] = await Promise.allSettled([faulty.store.get("a"), faulty.store.get("b")]);
    assert.equal(a.status === "fulfilled" && a.value!.content, '{"a":{}}');
    const { fault, message } = (b as PromiseRejectedResult).reason as StoreError;
    assert.equal(fault, "damaged");
    assert.equal(message, 'Another program has written the row "b": it is not a JSON object');
    assert.equal((await readJson(await faulty.store.snapshot())).text, '{"a":{},"c":{}}');
  }
});

Deno.test("portions without any row leave the listing one JSON object", async () => {
  const names = Array.from({ length: 1500 }, (_, i) => `n${String(i).padStart(4, "0")}`);
  for (const [from, to] of [[0, 300], [200, 1400], [1000, 1500], [0, 1500]]) {
    await using faulty = await new Faulty().ready();
    await faulty.store.insert(names.map((name, i) => ({ name, json: from <= i && i < to ? "{" : "{}" })));
    const { text } = await readJson(await faulty.store.snapshot());
    assert.deepEqual(Object.keys(JSON.parse(text)), names.filter((_, i) => i < from || i >= to));
  }
});

Deno.test("what another program wrote in place of the base of versions is said, and no stack is shown", async () => {
  await using faulty = await new Faulty().ready();
  await faulty.put("a");
  const success = [{ request_put: { key: encode("meta"), value: encode("junk") } }];
  faulty.etcd.answer("/v3/kv/txn", { success });
  const damaged = {
    name: "StoreError",
    fault: "damaged",
    message: "Another program has written the table's key meta in the cluster: it is not a number",
  };
  await assert.rejects(faulty.store.get("a"), damaged);
  await assert.rejects(faulty.store.snapshot(), damaged);
});

Deno.test("a table without data gets what makes versions again", async () => {
  await using faulty = await new Faulty().ready();
  const { revision } = await faulty.store.snapshot();
  await new Promise((resolve) => setTimeout(resolve, 2));
  faulty.etcd.wipe();
  const again = await faulty.store.snapshot();
  assert.equal(again.total, 0);
  assert(again.revision > revision);
  assert.equal(faulty.etcd.keys.includes("meta"), true);
  assert.equal(Buffer.from(faulty.etcd.entry("meta")!.value, "base64").toString(), String(again.revision));
});

signalTest("a listing that is ended by compaction is reported in one line, without a stack", async () => {
  const etcd = new FakeEtcd();
  const gateway = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const { pathname } = new URL(request.url);
    return etcd.answer(pathname, await request.json());
  });
  try {
    const store = `etcd:http://127.0.0.1:${gateway.addr.port}`;
    await using server = await ServeProcess.start(["--quiet", "--fields", "*", "--store", store]);
    const peer = await server.connect();
    const json = JSON.stringify({ text: "x".repeat(20_000) });
    for (let i = 0; i < 300; i++) {
      await peer.exchange(
        `PUT /n${i} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${json.length}\r\n\r\n${json}`,
      );
    }
    // Every revision is compacted but for the first page of the listing, which is of the newest.
    etcd.compacted = etcd.revision + 1;
    await peer.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const octets = await peer.receiveAll();
    assert.match(octets, /^HTTP\/1\.1 200 OK\r\n/);
    assert.doesNotMatch(octets, /\r\n0\r\n\r\n$/);
    peer.close();
    const { code, stderr } = await server.stop();
    assert.deepEqual([code, stderr], [
      0,
      "wiretable: The table's cluster has compacted the revision that was read\n",
    ]);
  } finally {
    await gateway.shutdown();
  }
});
