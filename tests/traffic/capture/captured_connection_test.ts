import assert from "node:assert/strict";
import { ACK, FIN, RST, SYN } from "../../../lib/traffic/capture/packets.ts";
import { capture, handshake, inShort, readCapture, type SegmentSpec } from "../captures.ts";

const GET = "GET / HTTP/1.1\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\n\r\n";
const REQUEST: SegmentSpec = { sequence: 1, acknowledged: 501, octets: GET };
const RESPONSE: SegmentSpec = { by: "server", sequence: 501, acknowledged: 1 + GET.length, octets: OK };
const AFTER = { client: 1 + GET.length, server: 501 + OK.length };
const OPENED = "1 opened by 40000 to 9999";
const UNSEEN = `${OPENED}, start not captured`;
const CLIENT_FIN: SegmentSpec = { sequence: AFTER.client, acknowledged: AFTER.server, flags: FIN | ACK };
const SERVER_FIN: SegmentSpec = {
  by: "server",
  sequence: AFTER.server,
  acknowledged: AFTER.client + 1,
  flags: FIN | ACK,
};

const cases: [name: string, segments: SegmentSpec[], events: string[]][] = [
  [
    "whole",
    [...handshake(), REQUEST, RESPONSE, CLIENT_FIN, SERVER_FIN],
    [OPENED, `1 > ${GET}`, `1 < ${OK}`, "1 FIN client", "1 FIN server", "1 closed by the client"],
  ],
  ["that goes on at the end", [...handshake(), REQUEST], [OPENED, `1 > ${GET}`]],
  ["that is refused", [{ sequence: 0, flags: SYN }, { by: "server", sequence: 0, acknowledged: 1, flags: RST | ACK }], [
    OPENED,
    "1 closed reset",
  ]],
  ["that is reset", [...handshake(), REQUEST, { sequence: AFTER.client, flags: RST | ACK }], [
    OPENED,
    `1 > ${GET}`,
    "1 closed reset",
  ]],
  ["whose first SYN is repeated", [handshake()[0], ...handshake(), REQUEST], [OPENED, `1 > ${GET}`]],
  ["whose SYN is not captured, but its answer is", [...handshake().slice(1), REQUEST, RESPONSE], [
    OPENED,
    `1 > ${GET}`,
    `1 < ${OK}`,
  ]],
  ["that starts with a request", [REQUEST, RESPONSE], [UNSEEN, `1 > ${GET}`, `1 < ${OK}`]],
  ["that starts with a response", [RESPONSE, { ...REQUEST, sequence: AFTER.client }], [
    UNSEEN,
    `1 < ${OK}`,
    `1 > ${GET}`,
  ]],
  ["that starts in the middle of content", [
    { ...RESPONSE, sequence: 500 - 8, octets: "rest of " },
    { ...RESPONSE, sequence: 500, octets: `a\r\n${OK}` },
    REQUEST,
  ], [UNSEEN, "1 11 of the server skipped", `1 < ${OK}`, `1 > ${GET}`]],
  ["that has no start line", [{ ...RESPONSE, octets: "hello" }, CLIENT_FIN], [
    UNSEEN,
    "1 FIN client",
    "1 5 of the server skipped",
  ]],
  ["with a gap, and a start line later", [
    ...handshake(),
    REQUEST,
    { ...RESPONSE, octets: OK.slice(0, 5) },
    { ...RESPONSE, sequence: 511, octets: "content" },
    { sequence: AFTER.client, acknowledged: 518 },
    { ...RESPONSE, sequence: 518 },
  ], [OPENED, `1 > ${GET}`, "1 < HTTP/", "1 5 of the server not captured", "1 7 of the server skipped", `1 < ${OK}`]],
];

for (const [name, segments, events] of cases) {
  Deno.test(`a captured connection ${name} has these events`, () => {
    const { events: told, notes, connections } = readCapture(capture(segments));
    assert.deepEqual(inShort(told), events);
    assert.deepEqual([notes, connections], [[], 1]);
  });
}

Deno.test("the client's port may be the lower one", () => {
  const ends = { client: { hostname: "10.0.0.1", port: 80 }, server: { hostname: "10.0.0.2", port: 8080 } };
  const { events } = readCapture(capture([{ ...RESPONSE, ...ends }, { ...REQUEST, ...ends }]));
  assert.equal(inShort(events)[0], "1 opened by 80 to 8080, start not captured");
});

Deno.test("each event has the packet that shows it and its time", () => {
  const { events } = readCapture(capture([...handshake(), REQUEST, RESPONSE, CLIENT_FIN, SERVER_FIN]));
  assert.deepEqual(events.map(({ time, origin }) => [time, origin.packet]), [
    [0, 1],
    [3000, 4],
    [4000, 5],
    [5000, 6],
    [6000, 7],
    [6000, 7],
  ]);
});
