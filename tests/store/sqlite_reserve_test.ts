import assert from "node:assert/strict";
import type { DatabaseSync } from "node:sqlite";
import { SqliteStore } from "../../lib/store/sqlite.ts";
import { BatchRunner, isFailure, type Write } from "../../lib/store/sqlite_batch.ts";
import { isFull, openFile, prepareFile, sizeOf } from "../../lib/store/sqlite_file.ts";
import { resizeFile, Room } from "../../lib/store/sqlite_reserve.ts";
import { TempFolder, until } from "../support.ts";

const MIB = 1024 * 1024;
const text = (length: number) => JSON.stringify({ text: "x".repeat(length) });
const put = (name: string, json: string): Write => ({ kind: "put", name, json });
const remove = (name: string): Write => ({ kind: "remove", name });

/** A table on a disk that can be filled: then neither the table nor the reserve can grow. */
class Disk implements Disposable {
  readonly #folder = new TempFolder();
  readonly database: DatabaseSync;
  readonly room: Room;
  readonly runner: BatchRunner;
  /** The sizes that the reserve was given. */
  readonly sizes: number[] = [];
  isFull = false;

  constructor() {
    const file = this.#folder.file();
    prepareFile(file);
    this.database = openFile(file);
    const exec = this.database.exec.bind(this.database);
    // The least limit that SQLite takes is the file's size.
    this.database.exec = (sql) => exec(this.isFull ? sql.replace(/max_page_count = \d+/, "max_page_count = 1") : sql);
    this.room = new Room(this.database, file, (_path, from, to) => {
      if (this.isFull && to > from) return false;
      this.sizes.push(to);
      return true;
    });
    this.runner = new BatchRunner(this.database, this.room);
  }

  fill(): void {
    this.isFull = true;
    this.database.exec("PRAGMA max_page_count = 0");
  }

  run(...writes: Write[]): unknown[] {
    return this.runner.run(writes).map((result) => isFailure(result) ? result.fault : "done");
  }

  [Symbol.dispose](): void {
    this.database.close();
    this.#folder[Symbol.dispose]();
  }
}

Deno.test("a file's size is changed, and what it gains is filled", () => {
  using folder = new TempFolder();
  const file = folder.file();
  for (const [from, to] of [[0, 100_000], [100_000, 300_000], [300_000, 50_000], [50_000, 50_000]]) {
    assert.equal(resizeFile(file, from, to), true);
    assert.equal(sizeOf(file), to);
  }
  assert(new Set(Deno.readFileSync(file)).size > 200);
  assert.equal(resizeFile(file, 50_000, 0), true);
  assert.equal(resizeFile(file, 50_000, 0), true);
  assert.throws(() => Deno.statSync(file), Deno.errors.NotFound);
  for (const message of ["database or disk is full", "No space left on device (os error 28)"]) {
    assert(isFull(new Error(message)));
  }
  assert(!isFull(new Error("Is a directory (os error 21)")));
});

Deno.test("on a full disk rows are removed, made smaller and put into free pages, and grow again once there is room", () => {
  using disk = new Disk();
  assert.deepEqual(disk.run(...Array.from({ length: 20 }, (_, i) => put(`n${i}`, text(20_000)))).length, 20);
  assert.deepEqual(disk.sizes, [MIB]);
  disk.fill();
  // The writes of one batch each get what is possible.
  assert.deepEqual(
    disk.run(put("new", text(20_000)), remove("n0"), put("n1", text(10)), put("n2", text(90_000))),
    ["full", "done", "done", "full"],
  );
  assert.equal(disk.room.isLow, true);
  assert.equal(disk.sizes.at(-1), 0);
  assert.deepEqual(disk.run(put("new", text(20_000))), ["done"], "it fits into the free pages");
  assert.deepEqual(disk.run(put("more", text(60_000))), ["full"]);
  assert.deepEqual(disk.run(remove("n3")), ["done"]);
  assert.equal(disk.room.isLow, true);
  disk.isFull = false;
  disk.room.settle();
  assert.equal(disk.room.isLow, false);
  assert.equal(disk.sizes.at(-1), MIB);
  assert.deepEqual(disk.run(put("more", text(60_000))), ["done"]);
  assert.equal(disk.runner.leastVersion, 0);
  disk.room.close();
  assert.equal(disk.sizes.at(-1), MIB, "it is needed to open the table again");
});

Deno.test("a transaction has the room reserved that its log needs in the file", () => {
  using disk = new Disk();
  assert.deepEqual(disk.run(put("a", text(3 * MIB))), ["done"]);
  assert.equal(disk.sizes.length, 3);
  assert.deepEqual([disk.sizes[0], disk.sizes[2]], [MIB, MIB]);
  assert(disk.sizes[1] >= 4 * MIB, String(disk.sizes));
  disk.isFull = true;
  assert.deepEqual(disk.run(put("b", text(3 * MIB)), put("c", text(10))), ["full", "done"]);
  assert.equal(disk.database.prepare("SELECT count(*) AS rows FROM rows").get()!.rows, 2);
});

Deno.test("a log that is being read keeps the room reserved that it needs", () => {
  using disk = new Disk();
  const reader = openFile(disk.database.location()!, true);
  reader.exec("BEGIN");
  reader.prepare("SELECT * FROM rows").all();
  for (let i = 0; i < 4; i++) assert.deepEqual(disk.run(put(`n${i}`, text(MIB / 2))), ["done"]);
  assert(disk.sizes.at(-1)! > 3 * MIB - 100_000, String(disk.sizes));
  reader.close();
  disk.room.settle();
  assert.equal(disk.sizes.at(-1), MIB);
  disk.room.close();
  assert.equal(disk.sizes.at(-1), 0);
});

/** Mounts a small file system, which only root on Linux can; `undefined` elsewhere. */
function mountSmall(folder: TempFolder): Disposable | undefined {
  const run = (...args: string[]) => {
    try {
      return new Deno.Command(args[0], { args: args.slice(1), stdout: "null", stderr: "null" }).outputSync().success;
    } catch {
      return false;
    }
  };
  if (Deno.build.os !== "linux" || !run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder.path)) {
    return undefined;
  }
  return { [Symbol.dispose]: () => void run("umount", folder.path) };
}

const canMount = (() => {
  using folder = new TempFolder();
  using small = mountSmall(folder);
  return small !== undefined;
})();

Deno.test({
  name: `${
    canMount ? "" : "skipped, for only root on Linux can mount a disk: "
  }on a full disk rows are removed, and after a restart`,
  ignore: !canMount,
  async fn() {
    using folder = new TempFolder();
    using _small = mountSmall(folder);
    const lines: string[] = [];
    let store = await SqliteStore.open(folder.file(), (line) => lines.push(line));
    const row = text(5000);
    let rows = 0;
    await assert.rejects(async () => {
      for (;; rows++) await store.put({ name: `n${rows}`, json: row });
    }, { name: "StoreError", fault: "full" });
    assert(rows > 50, String(rows));
    for (let i = 0; i < 10; i++) assert.equal(await store.remove(`n${i}`), true);
    await store.put({ name: "n10", json: "{}" });
    await store.put({ name: "fits", json: row });
    await store.close();

    // Another program takes all that is left.
    const fill = Deno.openSync(folder.file("fill"), { create: true, write: true });
    assert.throws(() => {
      for (;;) fill.writeSync(new Uint8Array(1024));
    }, isFull);
    fill.close();
    store = await SqliteStore.open(folder.file(), (line) => lines.push(line));
    for (let i = 11; i < 20; i++) assert.equal(await store.remove(`n${i}`), true);
    await until(() => lines.length === 1);
    assert.match(lines[0], /table\.db: the disk is full: until it has room, only removals, smaller rows and what fits/);
    await store.put({ name: "fits too", json: row });
    Deno.removeSync(folder.file("fill"));
    await until(() => lines.length === 2);
    assert.match(lines[1], /table\.db: the disk has room again$/);
    assert.equal((await store.snapshot()).total, rows - 19 + 2);
    await store.close();
  },
});
