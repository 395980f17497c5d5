import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { StoreError } from "../../lib/store.ts";
import { SqliteStore } from "../../lib/store/sqlite.ts";
import { ServeProcess, signalTest } from "../serve_process.ts";
import { TempFolder, until } from "../support.ts";
import { readJson } from "./contract.ts";

/** Fills a file with 3,000 rows. */
async function fill(file: string): Promise<void> {
  const store = await SqliteStore.open(file);
  const json = JSON.stringify({ text: "x".repeat(100) });
  await store.insert(Array.from({ length: 3000 }, (_, i) => ({ name: `n${i}`, json })));
  await store.close();
}

/** Overwrites pages of a file. */
function damage(file: string, from: number, to: number): void {
  using open = Deno.openSync(file, { read: true, write: true });
  open.seekSync(4096 * from, Deno.SeekMode.Start);
  open.writeSync(new Uint8Array(4096 * (to - from)).fill(0xff));
}

const DAMAGED =
  /table\.db is damaged \([^*\n]+\): what can be read is served, and writes are refused; .*restore a backup/;
const NOT_WRITTEN = {
  name: "StoreError",
  fault: "damaged",
  message: "The table's file is damaged: nothing is written to it any more",
};

Deno.test("what can be read of a damaged file is served, and nothing is written", async () => {
  using folder = new TempFolder();
  const file = folder.file();
  await fill(file);
  damage(file, 40, 80);
  const lines: string[] = [];
  const store = await SqliteStore.open(file, (line) => lines.push(line));
  await assert.rejects(store.put({ name: "new", json: "{}" }), NOT_WRITTEN);
  await assert.rejects(store.remove("n0"), NOT_WRITTEN);
  let failed = 0;
  let found = 0;
  for (let i = 0; i < 3000; i++) {
    try {
      if (store.get(`n${i}`) !== undefined) found++;
    } catch (error) {
      assert(error instanceof StoreError);
      assert.equal(error.fault, "damaged");
      failed++;
    }
  }
  assert.equal(lines.length, 1);
  assert.match(lines[0], DAMAGED);
  assert(failed > 0 && found > 0, `${failed} failed, ${found} found`);
  // The transaction that reads share ends in another turn of the event loop.
  await new Promise((resolve) => setImmediate(resolve));
  assert(store.get("n0") !== undefined);
  await store.close();
});

Deno.test("damage that a read or a write finds is reported once, and nothing is written from then on", async () => {
  const found: ((store: SqliteStore) => Promise<unknown>)[] = [
    async (store) => {
      for (let i = 0; i < 3000; i++) await store.get(`n${i}`);
    },
    async (store) => await readJson(await store.snapshot()),
    (store) => Promise.all(Array.from({ length: 3000 }, (_, i) => store.remove(`n${i}`))),
  ];
  for (const meet of found) {
    using folder = new TempFolder();
    const file = folder.file();
    await fill(file);
    const lines: string[] = [];
    const store = await SqliteStore.open(file, (line) => lines.push(line));
    await store.put({ name: "n0", json: "{}" });
    // Pages that no connection has read yet.
    damage(file, 20, 110);
    await assert.rejects(meet(store), { name: "StoreError", fault: "damaged", message: /malformed/ });
    await assert.rejects(store.put({ name: "new", json: "{}" }), NOT_WRITTEN);
    assert.equal(lines.length, 1);
    assert.match(lines[0], DAMAGED);
    await store.close();
  }
});

Deno.test("a file too large to be checked first is checked while it is served", async () => {
  using folder = new TempFolder();
  const file = folder.file();
  await fill(file);
  const database = new DatabaseSync(file);
  database.exec("UPDATE rows SET json = printf('{\"text\":\"%.*c\"}', 101 * 1024 * 1024, 'x') WHERE name = 'n2999'");
  database.close();
  damage(file, 40, 41);
  const lines: string[] = [];
  const store = await SqliteStore.open(file, (line) => lines.push(line));
  await until(() => lines.length > 0);
  assert.match(lines[0], DAMAGED);
  await assert.rejects(store.put({ name: "new", json: "{}" }), NOT_WRITTEN);
  await store.close();
});

signalTest("a listing that meets damage midway ends its connection, and one line is printed", async () => {
  using folder = new TempFolder();
  const file = folder.file();
  await fill(file);
  const args = ["--quiet", "--store", `sqlite:${file}`];
  await using server = await ServeProcess.start(args, ["--allow-net", "--allow-read", "--allow-write"]);
  damage(file, 60, 110);
  const peer = await server.connect();
  await peer.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const octets = await peer.receiveAll();
  assert.match(octets, /^HTTP\/1\.1 200 OK\r\n/);
  assert.doesNotMatch(octets, /\r\n0\r\n/);
  const other = await server.connect();
  const { head, content } = await other.exchange("DELETE /n0 HTTP/1.1\r\nHost: localhost\r\n\r\n");
  assert.equal(head.status, 500);
  assert.equal(head.fields.get("retry-after"), undefined);
  assert.match(content, /nothing is written to it any more/);
  other.close();
  peer.close();
  const { code, stderr } = await server.stop();
  assert.equal(code, 0);
  assert.match(stderr.trimEnd(), new RegExp(`^wiretable: \\S*${DAMAGED.source}[^\n]*$`));
});
