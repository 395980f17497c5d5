import assert from "node:assert/strict";
import { rowsIn } from "./contract.ts";
import { BatchRunner } from "../../lib/store/sqlite_batch.ts";
import { openFile, prepareFile } from "../../lib/store/sqlite_file.ts";
import { fitsOnePortion, SnapshotPool } from "../../lib/store/sqlite_snapshots.ts";
import { type Portion, START } from "../../lib/store.ts";
import { TempFolder } from "../support.ts";

Deno.test("tables that fit one page are recognised without reading", () => {
  assert.equal(fitsOnePortion(50, 1000), true);
  assert.equal(fitsOnePortion(50, 1001), false);
  assert.equal(fitsOnePortion(500, 1000), false);
  assert.equal(fitsOnePortion(500, 500), true);
});

Deno.test("a long row shortens only its own page", () => {
  using folder = new TempFolder();
  prepareFile(folder.file());
  using database = openFile(folder.file());
  const runner = new BatchRunner(database);
  const long = JSON.stringify({ text: "x".repeat(700_000) });
  const rows = Array.from(
    { length: 3000 },
    (_, i) => ({ name: `n${i}`, json: i === 1100 || i === 1101 ? long : "{}" }),
  );
  runner.run([{ kind: "insert", rows }]);
  const pool = new SnapshotPool(folder.file());
  const snapshot = pool.snapshot(0);
  const pages: number[] = [];
  for (let cursor: number | undefined = START; cursor !== undefined;) {
    const page = snapshot.json(cursor) as Portion<string>;
    pages.push(page.content.split('"n').length - 1);
    cursor = page.next;
  }
  assert.deepEqual(pages, [1000, 100, 1, 1, 1000, 898, 0]);
  snapshot.close();
  pool.close();
});

Deno.test("reads of a damaged file fail, other reads do not", () => {
  using folder = new TempFolder();
  prepareFile(folder.file());
  {
    using database = openFile(folder.file());
    const rows = Array.from(
      { length: 3000 },
      (_, i) => ({ name: `n${i}`, json: JSON.stringify({ text: "x".repeat(100) }) }),
    );
    new BatchRunner(database).run([{ kind: "insert", rows }]);
  }
  const bytes = Deno.readFileSync(folder.file());
  bytes.fill(0xff, 4096 * 20, 4096 * 60);
  Deno.writeFileSync(folder.file(), bytes);
  const pool = new SnapshotPool(folder.file());
  for (let i = 0; i < 3; i++) {
    const snapshot = pool.snapshot(0);
    assert.throws(() => {
      for (let cursor: number | undefined = START; cursor !== undefined;) {
        cursor = (snapshot.json(cursor) as Portion<string>).next;
      }
    }, { name: "StoreError", message: /malformed/ });
    snapshot.close();
  }
  pool.close();
});

Deno.test("snapshots of one revision share a transaction until the last is closed", async () => {
  using folder = new TempFolder();
  const file = folder.file();
  prepareFile(file);
  const database = openFile(file);
  const runner = new BatchRunner(database);
  runner.run([{ kind: "put", name: "a", json: "{}" }]);
  const pool = new SnapshotPool(file);
  const first = pool.snapshot(0);
  const second = pool.snapshot(first.revision);
  runner.run([{ kind: "put", name: "b", json: "{}" }]);
  const third = pool.snapshot(first.revision + 1);
  assert.deepEqual([first.total, second.total, third.total], [1, 1, 2]);
  first.close();
  first.close();
  assert.throws(() => first.json(START), { name: "StoreError" });
  assert.deepEqual(await second.json(START), { content: '{"a":{}}', next: undefined });
  assert.deepEqual(await third.json(START), { content: '{"a":{},"b":{}}', next: undefined });
  second.close();
  third.close();
  pool.close();
  database.close();
});

Deno.test("a closed pool reads no more pages", () => {
  using folder = new TempFolder();
  const file = folder.file();
  prepareFile(file);
  const pool = new SnapshotPool(file);
  const snapshot = pool.snapshot(0);
  pool.close();
  assert.throws(() => snapshot.json(START), { name: "StoreError", message: "The store is closed" });
  snapshot.close();
});

Deno.test("the oldest revision is ended first, and only its readers get an error", () => {
  using folder = new TempFolder();
  prepareFile(folder.file());
  using database = openFile(folder.file());
  const runner = new BatchRunner(database);
  const lines: string[] = [];
  const told: string[] = [];
  const pool = new SnapshotPool(folder.file(), undefined, (line) => lines.push(line));
  const snapshots = [1, 2].map((i) => {
    runner.run([{ kind: "put", name: `n${i}`, json: "{}" }]);
    return pool.snapshot(0, () => told.push(`n${i}`));
  });
  const same = pool.snapshot(snapshots[0].revision, () => told.push("same"));
  assert.equal(pool.open, 2);
  pool.endSlowest();
  assert.equal(pool.open, 1);
  assert.deepEqual(told, ["n1", "same"]);
  assert.deepEqual(lines, [
    "The slowest 2 listings were ended: the file's log could not be shortened while they were read",
  ]);
  for (const ended of [snapshots[0], same]) {
    assert.throws(() => ended.json(START), { name: "StoreError", fault: "unavailable", message: /read too slowly/ });
    ended.close();
  }
  assert.equal(rowsIn((snapshots[1].json(START) as Portion<string>).content).length, 2);
  snapshots[1].close();
  assert.equal(pool.open, 0);
  pool.endSlowest();
  pool.close();
});
