import assert from "node:assert/strict";
import { timeoutError, unseenMs, withTimeout } from "../../lib/client/waiting.ts";

Deno.test("what was handed over has time for 64 KiB/s, for its last 4 MiB", () => {
  assert.equal(unseenMs(0), 0);
  assert.equal(unseenMs(64 * 1024), 1000);
  assert.equal(unseenMs(4 * 1024 * 1024), 64_000);
  assert.equal(unseenMs(1e12), 64_000);
});

Deno.test("a timeout names its flag, and the time for an upload", () => {
  assert.equal(timeoutError(1000).message, "No response came within 1 second (--timeout)");
  assert.equal(timeoutError(500, 400).message, "No response came within 0.5 seconds (--timeout)");
  assert.equal(
    timeoutError(30_000, 64_000).message,
    "No response came within 30 seconds (--timeout), and 64 seconds for what was sent last",
  );
});

Deno.test("a promise is waited for up to a time, or until it is cancelled", async () => {
  const never = new Promise<void>(() => {});
  let left = 0;
  await assert.rejects(withTimeout(never, 1, () => left++, undefined), { name: "TimeoutError" });
  const cancel = new AbortController();
  const waiting = withTimeout(never, 10_000, () => left++, cancel.signal);
  cancel.abort();
  await assert.rejects(waiting, { name: "AbortError" });
  assert.equal(left, 2);
  assert.equal(await withTimeout(Promise.resolve(7), 10_000, () => left++, undefined), 7);
});
