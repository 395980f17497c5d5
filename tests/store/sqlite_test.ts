import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { type Row, type Snapshot, START, StoreError } from "../../lib/store.ts";
import { SqliteStore } from "../../lib/store/sqlite.ts";
import { prepareFile } from "../../lib/store/sqlite_file.ts";
import { TempFolder, until } from "../support.ts";
import { readJson, testStore } from "./contract.ts";

const folders: TempFolder[] = [];

function freshFile(): string {
  const folder = new TempFolder();
  folders.push(folder);
  return folder.file();
}

Deno.test.afterEach(() => {
  for (const folder of folders.splice(0)) folder[Symbol.dispose]();
});

/** Tests what Windows forbids: symbolic links without a privilege, and removing an open file. */
function unixTest(name: string, fn: () => Promise<void>): void {
  if (Deno.build.os !== "windows") Deno.test(name, fn);
  else Deno.test.ignore(`skipped, for Windows forbids it: ${name}`, fn);
}

testStore("SQLite", () => SqliteStore.open(freshFile()));

async function jsonOf(snapshot: Snapshot): Promise<string> {
  const { text } = await readJson(snapshot);
  snapshot.close();
  return text;
}

Deno.test("writes are present when the file is opened again", async () => {
  const file = freshFile();
  const first = await SqliteStore.open(file);
  const { row } = (await first.put({ name: "a", json: '{"b":1}' }))!;
  await first.put({ name: "c", json: "{}" });
  await first.remove("c");
  await first.close();

  const second = await SqliteStore.open(file);
  assert.deepEqual(second.get("a"), row);
  assert.equal(await jsonOf(await second.snapshot()), '{"a":{"b":1}}');
  const again = (await second.put({ name: "a", json: '{"b":2}' }))!;
  assert(again.row.version > row.version + 2, "no version is used twice, not even a removed row's");
  await second.close();
});

Deno.test("waiting writes are performed in order", async () => {
  const store = await SqliteStore.open(freshFile());
  const results = await Promise.all([
    store.put({ name: "a", json: '{"n":1}' }),
    store.put({ name: "a", json: '{"n":2}' }),
    store.insert([{ name: "a", json: "{}" }, { name: "b", json: "{}" }]),
    store.remove("a"),
    store.insert([{ name: "a", json: '{"n":3}' }]),
    ...Array.from({ length: 500 }, (_, i) => store.put({ name: `n${i}`, json: "{}" })),
  ]);
  assert.deepEqual(results.slice(0, 5).map((result) => JSON.stringify(result).replace(/1\d{15}/g, "v")), [
    '{"row":{"name":"a","content":"{\\"a\\":{\\"n\\":1}}","version":v},"created":true}',
    '{"row":{"name":"a","content":"{\\"a\\":{\\"n\\":2}}","version":v},"created":false}',
    '["a"]',
    "true",
    "[]",
  ]);
  assert.equal((await store.snapshot()).total, 501);
  await store.close();
});

Deno.test("closing waits for pending writes", async () => {
  const file = freshFile();
  const store = await SqliteStore.open(file);
  const writes = Promise.all(Array.from({ length: 100 }, (_, i) => store.put({ name: `n${i}`, json: "{}" })));
  await store.close();
  await writes;
  await assert.rejects(store.put({ name: "late", json: "{}" }), { name: "StoreError", message: "The store is closed" });
  const again = await SqliteStore.open(file);
  assert.equal((await again.snapshot()).total, 100);
  await again.close();
});

Deno.test("snapshots of one revision share a connection, and do not see later writes", async () => {
  const store = await SqliteStore.open(freshFile());
  await store.insert(Array.from({ length: 3000 }, (_, i) => ({ name: `n${i}`, json: "{}" })));
  const readings = await Promise.all(Array.from({ length: 500 }, () => store.snapshot()));
  await store.put({ name: "late", json: "{}" });
  const later = await store.snapshot();
  assert.equal(later.total, 3001);
  for (const reading of readings) assert.equal(reading.total, 3000);
  assert.equal((await jsonOf(readings[0])).length, (await jsonOf(readings[499])).length);
  for (const reading of readings) reading.close();
  assert.match(await jsonOf(later), /,"late":\{\}\}$/);
  await store.close();
});

Deno.test("the number of revisions read at a time is limited", async () => {
  const store = await SqliteStore.open(freshFile());
  await store.insert(Array.from({ length: 2000 }, (_, i) => ({ name: `n${i}`, json: "{}" })));
  const readings: Snapshot[] = [];
  for (let i = 0; i < 256; i++) {
    readings.push(await store.snapshot());
    await store.put({ name: "a", json: `{"n":${i}}` });
  }
  assert.throws(() => store.snapshot(), { name: "StoreError", fault: "unavailable", message: /at 256 revisions/ });
  readings.pop()!.close();
  (await store.snapshot()).close();
  for (const reading of readings) reading.close();
  await store.close();
});

Deno.test("a page may end with the last row", async () => {
  const store = await SqliteStore.open(freshFile());
  const rows = Array.from({ length: 1000 }, (_, i) => ({ name: `n${i}`, json: "{}" }));
  await store.insert(rows);
  const snapshot = await store.snapshot();
  assert.equal((await snapshot.json(START)).content.length > 0, true);
  assert.equal(Object.keys(JSON.parse(await jsonOf(snapshot))).length, 1000);
  await store.close();
});

unixTest("a file with another name is the same file", async () => {
  const file = freshFile();
  const store = await SqliteStore.open(file);
  Deno.symlinkSync(file, `${file}-link`);
  await assert.rejects(SqliteStore.open(`${file}-link`), { message: /is in use by another server$/ });
  await store.close();
  await (await SqliteStore.open(`${file}-link`)).close();
  Deno.linkSync(file, `${file}-hard`);
  await assert.rejects(SqliteStore.open(`${file}-hard`), { message: /has 2 names \(hard links\)/ });
});

Deno.test("a refused file is not changed", async () => {
  const file = databaseWith("CREATE TABLE t (a)");
  const before = Deno.readFileSync(file);
  await assert.rejects(SqliteStore.open(file), StoreError);
  assert.deepEqual(Deno.readFileSync(file), before);
});

Deno.test("a second store on the same file is refused, until the first is closed", async () => {
  const file = freshFile();
  const store = await SqliteStore.open(file);
  await assert.rejects(SqliteStore.open(file), { name: "StoreError", message: `${file} is in use by another server` });
  await store.put({ name: "a", json: "{}" });
  await store.close();
  await (await SqliteStore.open(file)).close();
});

function databaseWith(sql: string): string {
  const file = freshFile();
  const database = new DatabaseSync(file);
  database.exec(sql);
  database.close();
  return file;
}

const unusable: [name: string, file: () => string, message: RegExp][] = [
  ["no database", () => {
    const file = freshFile();
    Deno.writeTextFileSync(file, "This is a text and no database. ".repeat(10));
    return file;
  }, /table\.db: file is not a database$/],
  [
    "another program's database",
    () => databaseWith("CREATE TABLE t (a)"),
    /table\.db is the database of another program$/,
  ],
  [
    "a newer version's file",
    () => databaseWith("CREATE TABLE t (a); PRAGMA application_id = 0x77697265; PRAGMA user_version = 2"),
    /table\.db was written by a newer version of this program: it has format 2, and 1 is the newest one known here$/,
  ],
  [
    "a file of a format below the first",
    () => databaseWith("CREATE TABLE t (a); PRAGMA application_id = 0x77697265; PRAGMA user_version = -1"),
    /table\.db is damaged: it has format -1, and formats start from 1$/,
  ],
  ["a file that has lost its state", () => {
    const file = freshFile();
    prepareFile(file);
    using database = new DatabaseSync(file);
    database.exec("DELETE FROM state");
    return file;
  }, /table\.db is damaged: its table state has 0 rows$/],
  ["a file whose lock cannot be written", () => {
    const file = freshFile();
    Deno.mkdirSync(`${file}-lock`);
    return file;
  }, /table\.db cannot be opened: \S+table\.db-lock cannot be (?:written \(.*directory.*|locked \(.+)\)$/],
  ["a folder", () => {
    const file = freshFile();
    Deno.mkdirSync(file);
    return file;
  }, /unable to open database file/],
  [
    "a file in a folder that is not there",
    () => freshFile().replace("table.db", "no/table.db"),
    /no[\\/]table\.db cannot be opened: its folder does not exist$/,
  ],
];

for (const [name, file, message] of unusable) {
  Deno.test(`${name} cannot be opened, and one line says why`, async () => {
    await assert.rejects(SqliteStore.open(file()), (error) => {
      assert(error instanceof StoreError);
      assert.match(error.message, message);
      assert(!error.message.includes("\n"));
      return true;
    });
  });
}

Deno.test("a file that cannot be opened is not left locked", async () => {
  const file = databaseWith("CREATE TABLE t (a)");
  await assert.rejects(SqliteStore.open(file), StoreError);
  Deno.removeSync(file);
  await (await SqliteStore.open(file)).close();
});

Deno.test("the store waits for another program's lock", async () => {
  const file = freshFile();
  const store = await SqliteStore.open(file);
  const other = new DatabaseSync(file);
  other.exec("BEGIN IMMEDIATE");
  const put = store.put({ name: "a", json: "{}" });
  assert.equal(store.get("a"), undefined);
  other.exec("ROLLBACK");
  other.close();
  assert.equal((await put)!.created, true);
  await store.close();
});

Deno.test("the file can be read by other programs", async () => {
  const file = freshFile();
  const store = await SqliteStore.open(file);
  const { version } = (await store.put({ name: "a", json: '{"b":[1]}' }))!.row as Row;
  const other = new DatabaseSync(file, { readOnly: true });
  const row = other.prepare("SELECT name, json ->> '$.b[0]' AS b, version FROM rows").get();
  assert.deepEqual({ ...row }, { name: "a", b: 1, version });
  other.close();
  await store.close();
});

unixTest("a symbolic link to a file that does not exist yet names that file", async () => {
  const file = freshFile();
  Deno.symlinkSync("table.db", `${file}-link`);
  const store = await SqliteStore.open(`${file}-link`);
  await assert.rejects(SqliteStore.open(file), { message: `${file} is in use by another server` });
  await store.close();
  assert(Deno.lstatSync(file).isFile);
  Deno.symlinkSync(`${file}-circle`, `${file}-circle`);
  await assert.rejects(SqliteStore.open(`${file}-circle`));
});

unixTest("removing the open file is reported, and writes are refused", async () => {
  for (
    const spoil of [
      (file: string) => Deno.removeSync(file),
      (file: string) => Deno.removeSync(`${file}-wal`),
      (file: string) => {
        Deno.copyFileSync(file, `${file}-new`);
        Deno.renameSync(`${file}-new`, file);
      },
    ]
  ) {
    const file = freshFile();
    const lines: string[] = [];
    const store = await SqliteStore.open(file, (line) => lines.push(line));
    await store.put({ name: "a", json: "{}" });
    spoil(file);
    for (let i = 0; i < 2; i++) {
      await assert.rejects(async () => await store.put({ name: "b", json: "{}" }), {
        name: "StoreError",
        fault: "unavailable",
        message: "The table's file was removed or replaced while it was open",
      });
    }
    assert.equal((await store.get("a"))!.content, '{"a":{}}');
    await store.close();
    assert.equal(lines.length, 1);
    assert.match(
      lines[0],
      /table\.db(-wal)? was (removed|replaced) while it was open: no more is written, and what it held can be/,
    );
  }
});

unixTest("removing the open file is noticed even without writes", async () => {
  const file = freshFile();
  const lines: string[] = [];
  const store = await SqliteStore.open(file, (line) => lines.push(line));
  await store.put({ name: "a", json: "{}" });
  Deno.removeSync(file);
  await until(() => lines.length > 0);
  await store.close();
});

Deno.test("many rows are sent in pieces, and written in one transaction", async () => {
  const store = await SqliteStore.open(freshFile());
  const rows = (name: string) => Array.from({ length: 20_000 }, (_, i) => ({ name: `${name}${i}`, json: "{}" }));
  let turns = 0;
  const timer = setInterval(() => turns++, 0);
  const [a, b, taken] = await Promise.all([
    store.insert(rows("a")),
    store.insert(rows("b")),
    store.insert([...rows("c"), ...rows("a")]),
  ]);
  clearInterval(timer);
  assert.deepEqual([a, b], [[], []]);
  assert.equal(taken!.length, 20_000);
  assert(turns > 0);
  const snapshot = await store.snapshot();
  assert.equal(snapshot.total, 40_000);
  assert.equal(await store.insert(rows("d"), snapshot.revision - 1), undefined);
  snapshot.close();
  await store.close();
});

Deno.test("a store may be closed in the turn in which it was read", async () => {
  const file = freshFile();
  for (const reads of [1, 2, 3]) {
    const store = await SqliteStore.open(file);
    for (let i = 0; i < reads; i++) assert.equal(store.get("a"), undefined);
    await store.close();
    await new Promise((resolve) => setImmediate(resolve));
  }
});

Deno.test("the largest number of a name is found, whatever other names there are", async () => {
  using folder = new TempFolder();
  const store = await SqliteStore.open(folder.file());
  assert.equal(await store.largestNumber(), 0);
  const names = [
    "r",
    "r0",
    "r007",
    "r9",
    "r10",
    "r1.5",
    "r12x",
    "R99",
    "r-7",
    "r9007199254740992",
    "r99999999999999999",
  ];
  await store.insert([...names, "r\u0661", "q500", "s500"].map((name) => ({ name, json: "{}" })));
  assert.equal(await store.largestNumber(), 10);
  await store.insert(Array.from({ length: 25_000 }, (_, i) => ({ name: `r${100 + i}`, json: "{}" })));
  assert.equal(await store.largestNumber(), 25_099);
  await store.put({ name: "r9007199254740991", json: "{}" });
  assert.equal(await store.largestNumber(), Number.MAX_SAFE_INTEGER);
  await store.close();
});

Deno.test("listings that keep the log long have some time; then they are ended, and new ones wait", async () => {
  const lines: string[] = [];
  const store = await SqliteStore.open(freshFile(), (line) => lines.push(line));
  const put = (i: number) => store.put({ name: "a", json: JSON.stringify({ text: `${i % 9}`.repeat(1_000_000) }) });
  await put(1);
  const ended: string[] = [];
  const first = await store.snapshot(() => ended.push("first"));
  const second = await store.snapshot(() => ended.push("second"));
  const { now } = performance;
  try {
    for (let i = 0; i < 70; i++) await put(i);
    const waiting = store.snapshot();
    assert(waiting instanceof Promise);
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.deepEqual([ended, lines], [[], []]);
    performance.now = () => now.call(performance) + 5_000;
    const third = await waiting;
    assert.deepEqual(ended, ["first", "second"]);
    assert.deepEqual(lines, [
      "The slowest 2 listings were ended: the file's log could not be shortened while they were read",
    ]);
    assert.throws(() => first.json(START), { name: "StoreError", message: /read too slowly/ });
    for (const snapshot of [first, second, third]) snapshot.close();
  } finally {
    performance.now = now;
  }
  await store.close();
});

Deno.test("a log that another program keeps long does not hold up listings for long", async () => {
  const file = freshFile();
  const store = await SqliteStore.open(file);
  const put = (i: number) => store.put({ name: "a", json: JSON.stringify({ text: `${i % 9}`.repeat(1_000_000) }) });
  await put(1);
  const other = new DatabaseSync(file, { readOnly: true });
  other.exec("BEGIN");
  other.prepare("SELECT total FROM state").get();
  for (let i = 0; i < 70; i++) await put(i);
  const first = await store.snapshot();
  await put(1);
  const waiting = store.snapshot();
  assert(waiting instanceof Promise);
  first.close();
  const second = await waiting;
  await put(2);
  const third = store.snapshot();
  assert(!(third instanceof Promise));
  for (const snapshot of [second, third]) snapshot.close();
  other.close();
  await store.close();
});
