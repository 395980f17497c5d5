import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { SqliteStore } from "../../lib/store/sqlite.ts";
import { BatchRunner, isFailure } from "../../lib/store/sqlite_batch.ts";
import { leastVersion, openFile, prepareFile, stateReader } from "../../lib/store/sqlite_file.ts";
import { TempFolder } from "../support.ts";
import { readJson } from "./contract.ts";
import { meddle } from "./sqlite_others.ts";

async function listed(store: SqliteStore): Promise<{ text: string; total: number; revision: number }> {
  const snapshot = await store.snapshot();
  const { text } = await readJson(snapshot);
  snapshot.close();
  return { text, total: snapshot.total, revision: snapshot.revision };
}

const WRITTEN = /table\.db: another program has written to it, but may only read it: every row counts as changed$/;

Deno.test("another program's write is noticed in the next transaction: every tag changes, and rows are counted again", async () => {
  using folder = new TempFolder();
  const file = folder.file();
  const lines: string[] = [];
  const report = (line: string) => lines.push(line);
  const store = await SqliteStore.open(file, report);
  const { row } = (await store.put({ name: "a", json: '{"n":1}' }))!;
  await store.put({ name: "b", json: "{}" });
  const before = await listed(store);
  meddle(
    file,
    `UPDATE rows SET json = '{"n":2}' WHERE name = 'a'; INSERT INTO rows (name, json, version) VALUES ('c', '{}', 1)`,
  );
  // The writes of one batch already expect the new versions.
  assert.deepEqual(
    await Promise.all([store.put({ name: "a", json: "{}" }, row.version), store.remove("a", row.version)]),
    [undefined, false],
  );
  assert.equal(lines.length, 1);
  assert.match(lines[0], WRITTEN);
  const after = await listed(store);
  assert.deepEqual([after.text, after.total], ['{"a":{"n":2},"b":{},"c":{}}', 3]);
  assert(after.revision > before.revision);
  assert.equal((await store.get("a"))!.version, after.revision);
  assert.equal((await store.get("c"))!.version, after.revision);
  const again = (await store.put({ name: "a", json: "{}" }, after.revision))!;
  assert(again.row.version > after.revision);
  assert.equal((await store.get("a"))!.version, again.row.version);
  assert.equal(await store.remove("b", after.revision), true);
  await store.put({ name: "d", json: "{}" });
  assert.equal(lines.length, 1);
  await store.close();

  const later = await SqliteStore.open(file, report);
  assert.equal((await later.get("c"))!.version, after.revision);
  assert.equal((await listed(later)).total, 3);
  await later.close();
  const read = await SqliteStore.open(file, report, true);
  assert.equal((await read.get("c"))!.version, after.revision);
  await read.close();
  assert.equal(lines.length, 1);
});

Deno.test("rows that another program wrote while nothing served them are counted at the start", async () => {
  using folder = new TempFolder();
  const file = folder.file();
  const first = await SqliteStore.open(file);
  const { row } = (await first.put({ name: "a", json: "{}" }))!;
  await first.close();
  // A version beyond the table's revision is not used again.
  meddle(file, `INSERT INTO rows (name, json, version) VALUES ('b', '{}', ${row.version + 1000})`);
  const lines: string[] = [];
  const store = await SqliteStore.open(file, (line) => lines.push(line));
  assert.match(lines.join("\n"), WRITTEN);
  const { total, revision } = await listed(store);
  assert.deepEqual([total, revision], [2, row.version + 1001]);
  assert.equal((await store.get("a"))!.version, revision);
  await store.close();
});

Deno.test("another program's write is noticed while nothing is written, but a lock is not waited for", () => {
  using folder = new TempFolder();
  const file = folder.file();
  prepareFile(file);
  using database = openFile(file);
  const runner = new BatchRunner(database);
  runner.run([{ kind: "put", name: "a", json: "{}" }]);
  runner.notice();
  assert.equal(runner.leastVersion, 0);
  meddle(file, "UPDATE rows SET json = '[]'");
  const other = new DatabaseSync(file);
  other.exec("BEGIN IMMEDIATE");
  runner.notice();
  assert.equal(runner.leastVersion, 0);
  other.exec("COMMIT");
  other.close();
  runner.notice();
  assert(runner.leastVersion > 0);
});

Deno.test("a table whose state another program has removed is damaged", async () => {
  using folder = new TempFolder();
  const file = folder.file();
  const lines: string[] = [];
  const store = await SqliteStore.open(file, (line) => lines.push(line));
  await store.put({ name: "a", json: "{}" });
  meddle(file, "DELETE FROM state");
  const damaged = { name: "StoreError", fault: "damaged" };
  await assert.rejects(async () => await store.put({ name: "a", json: "{}" }), damaged);
  assert.throws(() => store.snapshot(), damaged);
  assert.equal((await store.get("a"))!.content, '{"a":{}}');
  assert.equal(lines.length, 1);
  assert.match(lines[0], /table\.db is damaged \(its table state has no row\)/);
  await store.close();
});

Deno.test("a row that is no JSON object fails alone, and is left out of listings", async () => {
  for (const wrong of ["{bad", "", "[1]", '"text"', "7", "null", '{"a":1}x']) {
    using folder = new TempFolder();
    const file = folder.file();
    const lines: string[] = [];
    const store = await SqliteStore.open(file, (line) => lines.push(line));
    for (const name of ["a", "b", "c"]) await store.put({ name, json: "{}" });
    meddle(file, `UPDATE rows SET json = '${wrong}' WHERE name = 'a'`);
    assert.throws(() => store.get("a"), {
      name: "StoreError",
      fault: "damaged",
      message: 'Another program has written the row "a": it is not a JSON object',
    });
    assert.equal((await listed(store)).text, '{"b":{},"c":{}}');
    assert.equal((await store.get("b"))!.content, '{"b":{}}');
    assert.equal((await store.put({ name: "a", json: '{"n":1}' }))!.created, false);
    assert.equal((await store.get("a"))!.content, '{"a":{"n":1}}');
    assert.equal(lines.length, 1);
    await store.close();
  }
});

Deno.test("pages whose rows are all wrong leave the listing one JSON object", async () => {
  using folder = new TempFolder();
  const file = folder.file();
  const store = await SqliteStore.open(file);
  await store.insert(Array.from({ length: 4000 }, (_, i) => ({ name: `n${i}`, json: "{}" })));
  for (const [where, left] of [["position <= 2000", 2000], ["position > 3000", 1000], ["true", 0]] as const) {
    meddle(file, `UPDATE rows SET json = '{' WHERE ${where}`);
    const { text } = await listed(store);
    assert.equal(Object.keys(JSON.parse(text)).length, left);
    // The next snapshot has another revision.
    await store.put({ name: "n0", json: "{" });
  }
  await store.close();
});

Deno.test("what a failed transaction would have corrected is corrected in the next one", () => {
  using folder = new TempFolder();
  const file = folder.file();
  prepareFile(file);
  using database = openFile(file);
  const runner = new BatchRunner(database);
  const put = (json: string) => runner.run([{ kind: "put", name: "a", json }])[0];
  assert(!isFailure(put("{}")));
  assert.equal(runner.leastVersion, 0);
  meddle(file, "INSERT INTO rows (name, json, version) VALUES ('b', '{}', 1)");
  database.exec("CREATE TEMP TRIGGER refuse BEFORE UPDATE ON rows BEGIN SELECT RAISE(ABORT, 'no'); END");
  assert(isFailure(put('{"n":1}')));
  assert.deepEqual([runner.leastVersion, leastVersion(database)], [0, 0]);
  database.exec("DROP TRIGGER refuse");
  assert(!isFailure(put('{"n":2}')));
  const least = leastVersion(database);
  assert.equal(runner.leastVersion, least);
  const { total, revision } = stateReader(database)();
  assert.deepEqual([total, revision], [2, least + 1]);
  // This program's own writes, failures and truncations of the log are not another's.
  database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  put('{"n":3}');
  assert.equal(runner.leastVersion, least);
});
