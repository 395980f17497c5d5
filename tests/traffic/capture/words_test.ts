import assert from "node:assert/strict";
import {
  durationText,
  handshakeText,
  repeatedText,
  segmentsText,
  summaryText,
  timeText,
} from "../../../lib/traffic/capture/words.ts";
import type { TcpFacts } from "../../../lib/traffic/capture/reader.ts";

const NONE = { repeated: 0, late: 0 };
const FACTS: TcpFacts = {
  handshake: [1, 2, 4],
  roundTrip: 23_000,
  client: { ...NONE, mss: 1460 },
  server: { ...NONE, mss: 1400 },
  mayLackResponses: false,
};

Deno.test("a connection's handshake, round trip and MSS", () => {
  assert.equal(handshakeText(FACTS), ", handshake in packets 1, 2 and 4, round trip 23.000 ms, MSS 1460 and 1400");
  assert.equal(
    handshakeText({ ...FACTS, roundTrip: undefined, client: NONE, server: NONE }),
    ", handshake in packets 1, 2 and 4",
  );
  assert.equal(
    handshakeText({ ...FACTS, handshake: [1, 2], roundTrip: undefined, client: NONE }),
    ", MSS 1400 of the server",
  );
  assert.equal(handshakeText({ ...FACTS, handshake: [], roundTrip: undefined, client: NONE, server: NONE }), "");
});

Deno.test("segments that were sent again or late are counted for each end", () => {
  assert.equal(repeatedText(FACTS), "");
  assert.equal(
    repeatedText({ ...FACTS, client: { repeated: 2, late: 0 }, server: { repeated: 0, late: 1 } }),
    ", 2 segments sent again by the client, 1 segment of the server late",
  );
});

const ORIGIN = {
  start: 0,
  end: 10_000,
  packets: [10, 11, 13, 14],
  pieces: 4,
  largest: 1400,
  isRecorded: false,
  texts: [],
};
const ONE = { ...ORIGIN, packets: [10], pieces: 1 };
const ACK = { packet: 15, time: 33_000 };
const cases: [what: string, text: string, shown: string][] = [
  [
    "several segments",
    segmentsText({ ...ORIGIN, acknowledged: ACK }, 5000, 1400),
    ", in 4 segments, packets 10 to 14, acknowledged after 23.000 ms (packet 15)",
  ],
  [
    "segments out of order",
    segmentsText({ ...ORIGIN, packets: [14, 13], pieces: 2 }, 0),
    ", in 2 segments, packets 13 to 14",
  ],
  ["one segment", segmentsText(ONE, 1400, 1400), ", from packet 10"],
  [
    "a packet that the card splits",
    segmentsText({ ...ONE, acknowledged: ACK }, 1401, 1399),
    ", in 1 packet, before the card split it, packet 10, acknowledged after 23.000 ms (packet 15)",
  ],
  [
    "packets that the card splits",
    segmentsText(ORIGIN, 5000, 1399),
    ", in 4 packets, before the card split them, packets 10 to 14",
  ],
  ["an unknown MSS", segmentsText(ONE, 60_000), ", from packet 10"],
  ["more than 100 KB", segmentsText(ORIGIN, 125_000, 1400), ", in 4 segments, packets 10 to 14, 12.5 MB/s"],
  [
    "more than 100 KB, slowly",
    segmentsText({ ...ORIGIN, end: 1_000_000 }, 125_000, 1400),
    ", in 4 segments, packets 10 to 14, 125.0 kB/s",
  ],
  ["more than 100 KB at once", segmentsText({ ...ONE, end: 0 }, 125_000), ", from packet 10"],
  ["nothing", segmentsText({ ...ORIGIN, pieces: 0, packets: [], acknowledged: ACK }, 0, 1400), ""],
];

for (const [what, text, shown] of cases) {
  Deno.test(`how a message of ${what} came`, () => assert.equal(text, shown));
}

const summaries: [start: number | undefined, text: string][] = [
  [1_577_836_800_123_456, "first packet at 2020-01-01 00:00:00.123456 UTC; 1 packet, 2 connections"],
  [1_577_836_800_999_999.75, "first packet at 2020-01-01 00:00:00.999999 UTC; 1 packet, 2 connections"],
  [0, "first packet at 1970-01-01 00:00:00.000000 UTC; 1 packet, 2 connections"],
  [-1, "first packet at 1969-12-31 23:59:59.999999 UTC; 1 packet, 2 connections"],
  // No date, as an interface may have any resolution and offset.
  [1e20, "1 packet, 2 connections"],
  [undefined, "1 packet, 2 connections"],
];

for (const [start, text] of summaries) {
  Deno.test(`a capture from ${start} on is summed up`, () => {
    assert.equal(summaryText({ start, packets: 1, connections: 2 }, false), text);
    assert.equal(summaryText({ start, packets: 1, connections: 2 }, true), `${text} so far`);
  });
}

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
