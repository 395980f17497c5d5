import assert from "node:assert/strict";
import { BatchRunner } from "../lib/sqlite_batch.ts";
import { openFile, prepareFile } from "../lib/sqlite_file.ts";
import { pageRows, SnapshotPool } from "../lib/sqlite_snapshots.ts";
import { START } from "../lib/store.ts";
import { TempFolder } from "./support.ts";

Deno.test("the longer the longest row, the fewer on a page", () => {
  const rows = [0, 50, 1048, 2000, 500_000, 5_000_000].map((longest) => pageRows({ revision: 0, total: 0, longest }));
  assert.deepEqual(rows, [1000, 1000, 1000, 524, 2, 1]);
});

Deno.test("snapshots of one revision are one view, which lasts until the last is closed", async () => {
  using folder = new TempFolder();
  const file = folder.file();
  prepareFile(file);
  const database = openFile(file);
  const runner = new BatchRunner(database);
  runner.run([{ kind: "put", name: "a", json: "{}", expected: null }]);
  const pool = new SnapshotPool(file);
  const first = pool.take(0);
  const second = pool.take(first.revision);
  runner.run([{ kind: "put", name: "b", json: "{}", expected: null }]);
  const third = pool.take(first.revision + 1);
  assert.deepEqual([first.total, second.total, third.total], [1, 1, 2]);
  first.close();
  first.close();
  assert.throws(() => first.json(START), { name: "StoreError" });
  assert.deepEqual(await second.json(START), { content: '{"a":{}}', next: undefined });
  assert.deepEqual(await third.rows(START), { content: ['{"a":{}}', '{"b":{}}'], next: undefined });
  second.close();
  third.close();
  pool.close();
  database.close();
});

Deno.test("a closed pool gives no more pages", () => {
  using folder = new TempFolder();
  const file = folder.file();
  prepareFile(file);
  const pool = new SnapshotPool(file);
  const snapshot = pool.take(0);
  pool.close();
  assert.throws(() => snapshot.json(START), { name: "StoreError", message: "The store is closed" });
  snapshot.close();
});
