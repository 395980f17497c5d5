import assert from "node:assert/strict";
import type { DatabaseSync } from "node:sqlite";
import {
  clearLog,
  lockFile,
  openFile,
  openingError,
  prepareFile,
  realPath,
  sizeOf,
  storeError,
  watchFile,
} from "../../lib/store/sqlite_file.ts";
import { StoreError } from "../../lib/store.ts";
import { TempFolder } from "../support.ts";

function withFile(body: (file: string) => void): void {
  using folder = new TempFolder();
  body(folder.file());
}

const single = (database: DatabaseSync, sql: string) => Object.values(database.prepare(sql).get()!)[0];

Deno.test("a new file has this format, and syncs its commits", () => {
  withFile((file) => {
    prepareFile(file);
    prepareFile(file);
    const database = openFile(file);
    assert.equal(single(database, "PRAGMA user_version"), 1);
    assert.equal(single(database, "PRAGMA application_id"), 0x77697265);
    assert.equal(single(database, "PRAGMA journal_mode"), "wal");
    assert.equal(single(database, "PRAGMA synchronous"), 2);
    assert.equal(single(database, "SELECT total FROM state"), 0);
    assert.throws(() => database.exec("INSERT INTO state VALUES (2, 0, 0, 0)"));
    database.close();
  });
});

Deno.test("a new file's revisions start from the clock", () => {
  withFile((file) => {
    const before = Date.now() * 1000;
    prepareFile(file);
    const database = openFile(file);
    assert(single(database, "SELECT revision FROM state") as number >= before);
    database.close();
  });
});

Deno.test("an error has a kind; only the operator sees the file's path", () => {
  const full = storeError(new Error("database or disk is full"));
  assert.deepEqual([full.fault, full.message], ["full", "The table's file: database or disk is full"]);
  const locked = new Error("database is locked");
  assert.deepEqual(storeError(locked).fault, "unavailable");
  assert.equal(openingError(locked, "a.db").message, "a.db: database is locked");
  const missing = new Error("unable to open database file: a.db");
  assert.equal(storeError(missing).message, "The table's file: unable to open database file");
  assert.equal(
    openingError(missing, "a.db").message,
    "unable to open database file: a.db (is its folder there, and may it be written?)",
  );
  const own = new StoreError("full", "x");
  assert.equal(storeError(own), own);
  assert.equal(openingError(own, "a.db"), own);
});

Deno.test({
  name: Deno.build.os === "windows"
    ? "skipped, for Windows forbids to rename an open file: a removed or replaced file or log is noticed"
    : "a removed or replaced file or log is noticed",
  ignore: Deno.build.os === "windows",
  fn: noticesChanges,
});

function noticesChanges(): void {
  withFile((file) => {
    prepareFile(file);
    const database = openFile(file);
    const change = watchFile(file);
    const write = () => database.exec("UPDATE state SET total = total + 1");
    write();
    assert.equal(change(), undefined);
    assert(sizeOf(`${file}-wal`) > 0);
    Deno.renameSync(file, `${file}-old`);
    assert.equal(change(), `${file} was removed`);
    Deno.copyFileSync(`${file}-old`, file);
    assert.equal(change(), `${file} was replaced`);
    Deno.renameSync(`${file}-old`, file);
    assert.equal(change(), undefined);
    Deno.renameSync(`${file}-wal`, `${file}-wal-old`);
    assert.equal(change(), `${file}-wal was removed`);
    Deno.writeTextFileSync(`${file}-wal`, "");
    assert.equal(change(), `${file}-wal was replaced`);
    database.close();
  });
}

Deno.test("the log is truncated if nobody reads it, without waiting", () => {
  withFile((file) => {
    prepareFile(file);
    const database = openFile(file);
    const reader = openFile(file);
    reader.exec("BEGIN");
    single(reader, "SELECT total FROM state");
    database.exec("UPDATE state SET total = 5");
    assert.equal(clearLog(database), false);
    assert(sizeOf(`${file}-wal`) > 0);
    reader.exec("ROLLBACK");
    assert.equal(clearLog(database), true);
    assert.equal(sizeOf(`${file}-wal`), 0);
    database.close();
    reader.close();
  });
});

Deno.test("a file system that cannot lock is named in one line, and the file is not left open", async () => {
  using folder = new TempFolder();
  const { tryLock } = Deno.FsFile.prototype;
  try {
    Deno.FsFile.prototype.tryLock = () => Promise.reject(new Error("No locks available (os error 37)"));
    await assert.rejects(lockFile(folder.file()), {
      name: "StoreError",
      message: /table\.db cannot be opened: \S+table\.db-lock cannot be locked \(No locks available \(os error 37\)\)$/,
    });
  } finally {
    Deno.FsFile.prototype.tryLock = tryLock;
  }
});

Deno.test("a lock is given back even while another process holds a copy of its descriptor", async () => {
  using folder = new TempFolder();
  const lock = await lockFile(folder.file());
  const { close } = Deno.FsFile.prototype;
  try {
    // As the copy does, the descriptor stays open.
    Deno.FsFile.prototype.close = () => {};
    await lock.close();
  } finally {
    Deno.FsFile.prototype.close = close;
  }
  await (await lockFile(folder.file())).close();
  await lock.close();
});

Deno.test("a lock that cannot be unlocked is given back by closing it", async () => {
  using folder = new TempFolder();
  const { unlock } = Deno.FsFile.prototype;
  Deno.FsFile.prototype.unlock = () => Promise.reject(new Error("Lock violation. (os error 33)"));
  try {
    await (await lockFile(folder.file())).close();
    await (await lockFile(folder.file())).close();
  } finally {
    Deno.FsFile.prototype.unlock = unlock;
  }
});

Deno.test("a file's path is the same whether it exists or not, and whatever leads to it", async () => {
  using folder = new TempFolder();
  const file = folder.file();
  assert.equal(await realPath(file), file);
  Deno.writeTextFileSync(file, "");
  assert.equal(await realPath(folder.file("./table.db")), file);
  Deno.linkSync(file, folder.file("other.db"));
  await assert.rejects(realPath(file), { name: "StoreError", message: /has 2 names/ });
});
