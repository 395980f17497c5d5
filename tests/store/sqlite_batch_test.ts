import assert from "node:assert/strict";
import type { DatabaseSync } from "node:sqlite";
import { BatchRunner, isFailure, type Write } from "../../lib/store/sqlite_batch.ts";
import { openFile, prepareFile } from "../../lib/store/sqlite_file.ts";
import { TempFolder } from "../support.ts";

interface Opened extends Disposable {
  database: DatabaseSync;
  runner: BatchRunner;
  /** The table's state and rows, for comparison. */
  contents(): unknown;
}

function open(): Opened {
  const folder = new TempFolder();
  const file = folder.file();
  prepareFile(file);
  const database = openFile(file);
  database.exec("UPDATE state SET revision = 10");
  return {
    database,
    runner: new BatchRunner(database),
    contents: () => ({
      ...database.prepare("SELECT revision, total, longest FROM state").get(),
      rows: database.prepare("SELECT name || ' ' || json || ' ' || version AS row FROM rows ORDER BY position").all()
        .map(({ row }) => row),
    }),
    [Symbol.dispose]() {
      database.close();
      folder[Symbol.dispose]();
    },
  };
}

const put = (name: string, json = "{}", expected?: number): Write => ({
  kind: "put",
  name,
  json,
  expected,
});

Deno.test("a batch answers each write, and keeps the table's state", () => {
  using opened = open();
  const results = opened.runner.run([
    put("a"),
    put("b", '{"x":1}'),
    put("a", '{"y":2}'),
    put("a", "{}", 12),
    put("a", "{}", 13),
    put("c", "{}", 0),
    put("c", "{}", 0),
    put("d", "{}", 5),
    { kind: "remove", name: "b", expected: 99 },
    { kind: "remove", name: "b", expected: 12 },
    { kind: "remove", name: "b" },
    { kind: "insert", rows: [{ name: "e", json: "{}" }, { name: "f", json: "{}" }] },
    { kind: "insert", rows: [{ name: "g", json: "{}" }, { name: "a", json: "{}" }] },
  ]);
  const [created, replaced] = [true, false].map((created) => (version: number) => ({ version, created }));
  assert.deepEqual(results, [
    created(11),
    created(12),
    replaced(13),
    undefined,
    replaced(14),
    created(15),
    undefined,
    undefined,
    false,
    true,
    false,
    [],
    ["a"],
  ]);
  assert.deepEqual(opened.contents(), {
    revision: 18,
    total: 4,
    longest: 8,
    rows: ["a {} 14", "c {} 15", "e {} 17", "f {} 18"],
  });
});

Deno.test("on a full disk only writes that need room fail, and none is lost or incomplete", () => {
  using opened = open();
  opened.runner.run([put("small", '{"a":1}')]);
  const { page_count: pages } = opened.database.prepare("PRAGMA page_count").get() as { page_count: number };
  opened.database.exec(`PRAGMA max_page_count = ${pages}`);
  const large = JSON.stringify({ text: "x".repeat(100_000) });
  const results = opened.runner.run([
    put("small", '{"a":2}'),
    put("large", large),
    { kind: "insert", rows: [{ name: "first", json: "{}" }, { name: "second", json: large }] },
    { kind: "remove", name: "nobody" },
  ]);
  assert.deepEqual(results[0], { version: 12, created: false });
  for (const result of results.slice(1, 3)) {
    assert(isFailure(result));
    assert.deepEqual(result, { fault: "full", message: "The table's file: database or disk is full" });
  }
  assert.equal(results[3], false);
  assert.deepEqual(opened.contents(), { revision: 12, total: 1, longest: 12, rows: ['small {"a":2} 12'] });

  opened.database.exec("PRAGMA max_page_count = 1000000");
  assert.deepEqual(opened.runner.run([put("large", large)]), [{ version: 13, created: true }]);
});

Deno.test("a single failing write is tried once", () => {
  using opened = open();
  opened.database.exec("PRAGMA max_page_count = 1");
  const [result] = opened.runner.run([put("large", JSON.stringify("x".repeat(100_000)))]);
  assert(isFailure(result));
});

Deno.test("a broken table is unavailable", () => {
  using opened = open();
  opened.database.exec("DROP TABLE rows");
  const [result] = opened.runner.run([put("a")]);
  assert(isFailure(result));
  assert.equal(result.fault, "unavailable");
});

Deno.test("rows that come part by part are inserted together, or none of them", () => {
  using opened = open();
  const rows = (from: number) => [0, 1].map((i) => ({ name: `n${from + i}`, json: "{}" }));
  const insert = (parts: number[], commit = true, expected?: number) => {
    opened.runner.begin(expected);
    for (const from of parts) opened.runner.add(rows(from));
    return opened.runner.end(commit);
  };
  assert.deepEqual(insert([0, 2]), []);
  const all = { revision: 14, total: 4, longest: 4, rows: ["n0 {} 11", "n1 {} 12", "n2 {} 13", "n3 {} 14"] };
  assert.deepEqual(opened.contents(), all);
  assert.deepEqual(insert([10, 3, 20, 1]), ["n3", "n1", "n2"]);
  assert.deepEqual(insert([10, 12], false), []);
  assert.equal(insert([10], true, 13), undefined);
  assert.deepEqual(opened.contents(), all);
  assert.deepEqual(insert([10], true, 14), []);
  assert.deepEqual(insert([]), []);
  assert.equal((opened.contents() as { total: number }).total, 6);
});

Deno.test("an insertion part by part that fails leaves nothing, and the next write is done", () => {
  using opened = open();
  opened.database.exec(
    "CREATE TRIGGER t BEFORE INSERT ON rows WHEN NEW.name = 'bad' BEGIN SELECT RAISE(ABORT, 'no'); END",
  );
  opened.runner.begin();
  opened.runner.add([{ name: "a", json: "{}" }, { name: "bad", json: "{}" }]);
  opened.runner.add([{ name: "b", json: "{}" }]);
  const result = opened.runner.end(true);
  assert(isFailure(result));
  assert.equal((opened.contents() as { total: number }).total, 0);
  assert.deepEqual(opened.runner.run([put("a")]), [{ version: 11, created: true }]);
});
