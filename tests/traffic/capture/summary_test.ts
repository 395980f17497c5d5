import assert from "node:assert/strict";
import { summaryText } from "../../../lib/traffic/capture/summary.ts";

const cases: [start: number | undefined, text: string][] = [
  [1_577_836_800_123_456, "first packet at 2020-01-01 00:00:00.123456 UTC; 1 packet, 2 connections"],
  [1_577_836_800_999_999.75, "first packet at 2020-01-01 00:00:00.999999 UTC; 1 packet, 2 connections"],
  [0, "first packet at 1970-01-01 00:00:00.000000 UTC; 1 packet, 2 connections"],
  [-1, "first packet at 1969-12-31 23:59:59.999999 UTC; 1 packet, 2 connections"],
  // No date, as an interface may have any resolution and offset.
  [1e20, "1 packet, 2 connections"],
  [undefined, "1 packet, 2 connections"],
];

for (const [start, text] of cases) {
  Deno.test(`a capture from ${start} on is summed up`, () => {
    assert.equal(summaryText({ start, packets: 1, connections: 2 }, false), text);
    assert.equal(summaryText({ start, packets: 1, connections: 2 }, true), `${text} so far`);
  });
}
