import assert from "node:assert/strict";
import { LogGuard } from "../../lib/store/sqlite_log_guard.ts";

/** Snapshots and a log in memory, which can be truncated once nobody reads. */
function guarded(open: number) {
  const notes: string[] = [];
  let now = 0;
  const readers = {
    open,
    endSlowest() {
      readers.open--;
      notes.push(`ended at ${now}`);
    },
  };
  const guard = new LogGuard(readers, {
    clear: () => Promise.resolve(readers.open === 0),
    graceMs: 100,
    moment: async () => {
      now += 30;
      await Promise.resolve();
    },
    now: () => now,
  });
  return { guard, readers, notes };
}

Deno.test("snapshots that keep the log long are ended one by one, and new ones wait", async () => {
  const { guard, notes } = guarded(3);
  assert.equal(guard.clearing, undefined);
  guard.start();
  const clearing: unknown = guard.clearing;
  assert(clearing instanceof Promise);
  guard.start();
  assert.equal(guard.clearing, clearing);
  await clearing;
  assert.deepEqual(notes, ["ended at 120", "ended at 120", "ended at 120"]);
  assert.equal(guard.clearing, undefined);
});

Deno.test("snapshots that end in time are not ended by the guard", async () => {
  const { guard, readers, notes } = guarded(1);
  guard.start();
  readers.open = 0;
  await guard.clearing;
  assert.deepEqual(notes, []);
});

Deno.test("a stopped guard does not truncate the log", async () => {
  const { guard, notes } = guarded(1);
  guard.start();
  guard.stop();
  await guard.clearing;
  guard.start();
  assert.equal(guard.clearing, undefined);
  assert.deepEqual(notes, []);
});
