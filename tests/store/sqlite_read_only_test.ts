import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { setImmediate } from "node:timers/promises";
import { SqliteStore } from "../../lib/store/sqlite.ts";
import { runProgram, ServeProcess, signalTest } from "../serve_process.ts";
import { TempFolder } from "../support.ts";
import { listing, readJson } from "./contract.ts";
import { meddle } from "./sqlite_others.ts";

const ignore = () => {};

/** Creates a file with one row. */
async function makeFile(file: string): Promise<void> {
  const store = await SqliteStore.open(file);
  await store.put({ name: "a", json: '{"b":1}' });
  await store.close();
}

/** Prevents SQLite from making the index of the log (`-shm`), as it is where nothing may be written. */
function preventIndex(file: string): void {
  Deno.symlinkSync("nowhere", `${file}-shm`);
}

/** Tests what needs symbolic links, for which Windows demands a privilege. */
function linkTest(name: string, fn: () => Promise<void>): void {
  if (Deno.build.os !== "windows") Deno.test(name, fn);
  else Deno.test.ignore(`skipped, for Windows demands a privilege for symbolic links: ${name}`, fn);
}

function namesIn(folder: TempFolder): string[] {
  return [...Deno.readDirSync(folder.path)].map(({ name }) => name).sort();
}

Deno.test("a server that stops leaves its file without a log, so that it can be read anywhere", async () => {
  using folder = new TempFolder();
  const file = folder.file();
  await makeFile(file);
  assert.deepEqual(namesIn(folder), ["table.db", "table.db-lock"]);
  const database = new DatabaseSync(file, { readOnly: true });
  assert.deepEqual({ ...database.prepare("PRAGMA journal_mode").get() }, { journal_mode: "delete" });
  database.close();
});

Deno.test("a file that another program reads at the end keeps its log, and no row is lost", async () => {
  using folder = new TempFolder();
  const file = folder.file();
  await makeFile(file);
  const store = await SqliteStore.open(file);
  await store.put({ name: "c", json: "{}" });
  const other = new DatabaseSync(file, { readOnly: true });
  other.exec("BEGIN");
  other.prepare("SELECT * FROM rows").all();
  await store.close();
  assert.equal(other.prepare("SELECT * FROM rows").all().length, 2);
  other.close();
  const again = await SqliteStore.open(file, ignore, true);
  assert.equal(await listing(again), '{"a":{"b":1},"c":{}}');
  await again.close();
});

Deno.test("a file that is only read is not changed, and nothing is left beside it", async () => {
  using folder = new TempFolder();
  const file = folder.file();
  await makeFile(file);
  Deno.removeSync(`${file}-lock`);
  const before = Deno.readFileSync(file);
  const store = await SqliteStore.open(file, ignore, true);
  assert.equal((await store.get("a"))!.content, '{"a":{"b":1}}');
  assert.equal(await listing(store), '{"a":{"b":1}}');
  await assert.rejects(store.put({ name: "b", json: "{}" }), { name: "StoreError", message: /may only be read/ });
  await store.close();
  assert.deepEqual(Deno.readFileSync(file), before);
  assert.deepEqual(namesIn(folder), ["table.db"]);
});

Deno.test("each turn of reads sees what another server has written by then", async () => {
  using folder = new TempFolder();
  const file = folder.file();
  await makeFile(file);
  const writer = await SqliteStore.open(file);
  const reader = await SqliteStore.open(file, ignore, true);
  for (let b = 1; b < 5; b++) {
    await writer.put({ name: "a", json: `{"b":${b}}` });
    for (let read = 0; read < b; read++) assert.equal((await reader.get("a"))!.content, `{"a":{"b":${b}}}`);
    await setImmediate();
  }
  await reader.close();
  await writer.close();
});

Deno.test("a file is read beside the server that writes it", async () => {
  using folder = new TempFolder();
  const file = folder.file();
  await makeFile(file);
  const writer = await SqliteStore.open(file);
  const reader = await SqliteStore.open(file, ignore, true);
  await writer.put({ name: "late", json: "{}" });
  assert.equal(await listing(reader), '{"a":{"b":1},"late":{}}');
  await writer.close();
  assert.equal(await listing(reader), '{"a":{"b":1},"late":{}}');
  await reader.close();
});

Deno.test("a file that another program has locked is read once it is free, and no client waits for it", async () => {
  using folder = new TempFolder();
  const file = folder.file();
  await makeFile(file);
  const store = await SqliteStore.open(file, ignore, true);
  const other = new DatabaseSync(file);
  const large = JSON.stringify({ b: "x".repeat(300_000) });
  for (const json of ['{"b":2}', large]) {
    other.exec("BEGIN EXCLUSIVE");
    other.prepare("UPDATE rows SET json = ?").run(json);
    other.exec(`UPDATE state SET longest = ${json.length}`);
    const reads = [store.get("a"), store.snapshot()] as const;
    assert(reads.every((read) => read instanceof Promise));
    other.exec("COMMIT");
    const [row, snapshot] = await Promise.all(reads);
    assert.equal(row!.content, `{"a":${json}}`);
    assert.equal((await readJson(snapshot)).text, `{"a":${json}}`);
    snapshot.close();
    // The store's reads of one turn have a transaction.
    await setImmediate();
  }
  other.close();
  await store.close();
});

Deno.test("a row's tag is the same from a server that only reads, also after another program's write", async () => {
  using folder = new TempFolder();
  const file = folder.file();
  await makeFile(file);
  const writer = await SqliteStore.open(file);
  const reader = await SqliteStore.open(file, ignore, true);
  const before = (await reader.get("a"))!;
  meddle(file, `UPDATE rows SET json = '{"b":2}'`);
  await writer.put({ name: "late", json: "{}" });
  const after = (await reader.get("a"))!;
  assert.deepEqual(after, await writer.get("a"));
  assert(after.version > before.version);
  await reader.close();
  await writer.close();
});

linkTest("a log that cannot be read is named, and no fewer rows are served", async () => {
  using folder = new TempFolder();
  using copy = new TempFolder();
  const file = copy.file();
  const store = await SqliteStore.open(folder.file());
  await store.put({ name: "a", json: "{}" });
  for (const suffix of ["", "-wal"]) Deno.copyFileSync(`${folder.file()}${suffix}`, `${file}${suffix}`);
  await store.close();
  preventIndex(file);
  await assert.rejects(SqliteStore.open(file, ignore, true), (error: Error) => {
    assert.equal(error.name, "StoreError");
    const start =
      `${file}-wal holds changes that are not yet in ${file}, and it cannot be read where nothing may be written`;
    assert(error.message.startsWith(start), error.message);
    return true;
  });
});

linkTest("a file whose server was killed is read as it is, if there is no log", async () => {
  using folder = new TempFolder();
  const file = folder.file();
  await makeFile(file);
  const database = new DatabaseSync(file);
  database.exec("PRAGMA journal_mode = WAL");
  database.close();
  preventIndex(file);
  const args = ["serve", "--read-only", "--port", "0", "--store", `sqlite:${file}`];
  const { code, stderr } = await runProgram(args, "", ["--allow-net", "--allow-read"]);
  assert.equal(code, 1);
  assert.match(
    stderr,
    /^wiretable: \S+table\.db was left by a server that was killed, or may not be read: .*deno run -A[^\n]*\n$/,
  );
  await using server = await ServeProcess.start(args.slice(1), ["--allow-all"]);
  const peer = await server.connect();
  assert.equal((await peer.exchange("GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n")).content, '{"a":{"b":1}}');
  peer.close();
});

Deno.test("a file that is not there cannot be read only", async () => {
  using folder = new TempFolder();
  await assert.rejects(SqliteStore.open(folder.file(), ignore, true), {
    name: "StoreError",
    message: /table\.db holds no table, and --read-only makes none$/,
  });
  assert.deepEqual(namesIn(folder), []);
});

signalTest("a read-only table in a file needs no permission to write", async () => {
  using folder = new TempFolder();
  const file = folder.file();
  await makeFile(file);
  const args = ["--quiet", "--read-only", "--store", `sqlite:${file}`];
  await using server = await ServeProcess.start(args, ["--allow-net", "--allow-read"]);
  const peer = await server.connect();
  assert.equal((await peer.exchange("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")).content, '{"a":{"b":1}}');
  assert.equal((await peer.exchange("DELETE /a HTTP/1.1\r\nHost: localhost\r\n\r\n")).head.status, 405);
  peer.close();
  assert.deepEqual(await server.stop(), { code: 0, stderr: "" });
});
