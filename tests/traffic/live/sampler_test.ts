import assert from "node:assert/strict";
import { Sampler } from "../../../lib/traffic/live/sampler.ts";

Deno.test("events are taken up to the number of a second, then connections are left out whole", () => {
  const sampler = new Sampler(3, 100);
  assert.deepEqual([1, 2, 3].map((connection) => sampler.admits(connection, 0, 0)), [true, true, true]);
  assert.equal(sampler.admits(2, 0, 999_999), false, "the fourth in a second");
  assert.deepEqual(sampler.leftOut, { connections: 1, events: 1 });
  assert.equal(sampler.admits(1, 0, 1_000_000), true, "another second");
  assert.equal(sampler.admits(2, 0, 1_000_000), false, "left out to its end");
  assert.deepEqual(sampler.leftOut, { connections: 1, events: 2 });
  sampler.forget(2);
  assert.equal(sampler.admits(2, 0, 1_000_001), true, "another connection of the number");
});

Deno.test("octets are taken up to the number of a second", () => {
  const sampler = new Sampler(100, 10);
  assert.equal(sampler.admits(1, 4, 5), true);
  assert.equal(sampler.admits(1, 6, 6), true);
  assert.equal(sampler.admits(1, 1, 7), false);
  assert.equal(sampler.admits(2, 0, 8), true, "one without octets still fits");
});
