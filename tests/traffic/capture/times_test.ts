import assert from "node:assert/strict";
import { durationText, timeText } from "../../../lib/traffic/capture/times.ts";

Deno.test("times are seconds, durations have a unit that fits", () => {
  assert.deepEqual([0, 1.5, 61_000_001].map(timeText), ["0.000000 s", "0.000002 s", "61.000001 s"]);
  assert.deepEqual([0, 999.4, 1000, 24_557, 1_234_567].map(durationText), [
    "0 µs",
    "999 µs",
    "1.000 ms",
    "24.557 ms",
    "1.235 s",
  ]);
});
