import assert from "node:assert/strict";
import { lockFile, realPath } from "../../lib/store/sqlite_lock.ts";
import { TempFolder } from "../support.ts";

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

Deno.test("a file's path is the same whether it exists or not, and whatever leads to it", async () => {
  using folder = new TempFolder();
  const file = folder.file();
  assert.equal(await realPath(file), file);
  Deno.writeTextFileSync(file, "");
  assert.equal(await realPath(folder.file("./table.db")), file);
  Deno.linkSync(file, folder.file("other.db"));
  await assert.rejects(realPath(file), { name: "StoreError", message: /has 2 names/ });
});
