/**
 * The name and the lock of an SQLite file, so that no two servers write to it.
 *
 * @module
 */

import { basename, dirname, join, resolve } from "node:path";
import { StoreError } from "../store.ts";

/** The maximum of symbolic links to follow. */
const MAX_LINKS = 40;

/** Returns the canonical path of a file, which need not exist, with symbolic links resolved. */
export async function realPath(file: string, links = 0): Promise<string> {
  try {
    const { isFile, nlink } = await Deno.stat(file);
    if (isFile && nlink !== null && nlink > 1) {
      throw new StoreError("unavailable", `${file} has ${nlink} names (hard links): two servers might use it unseen`);
    }
    return await Deno.realPath(file);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    const folder = await Deno.realPath(dirname(file)).catch(() => dirname(file));
    const path = join(folder, basename(file));
    // A link may point to a file that does not exist yet.
    const target = links < MAX_LINKS ? await Deno.readLink(path).catch(() => undefined) : undefined;
    return target === undefined ? path : await realPath(resolve(folder, target), links + 1);
  }
}

/**
 * Locks a file beside the store's for as long as the store is open. The system releases the lock even after a crash.
 *
 * @throws {StoreError} If another server has locked it, or it cannot be locked.
 */
export async function lockFile(file: string): Promise<Deno.FsFile> {
  let lock: Deno.FsFile | undefined;
  try {
    lock = await Deno.open(`${file}-lock`, { create: true, write: true });
    // Some file systems cannot lock, and on Windows a folder can be opened, but not locked.
    if (await lock.tryLock(true)) return lock;
  } catch (error) {
    lock?.close();
    if (error instanceof Deno.errors.NotCapable) throw error;
    const what = lock === undefined ? "written" : "locked";
    const reason = error instanceof Deno.errors.NotFound
      ? "its folder does not exist"
      : `${file}-lock cannot be ${what} (${(error as Error).message.replace(/: open '.*/s, "")})`;
    throw new StoreError("unavailable", `${file} cannot be opened: ${reason}`);
  }
  lock.close();
  throw new StoreError("unavailable", `${file} is in use by another server`);
}
