import assert from "node:assert/strict";
import { CapturedConnection } from "../../../lib/traffic/capture/captured_connection.ts";
import { ACK, FIN, RST, type Segment, segmentOf, SYN } from "../../../lib/traffic/capture/link_layers.ts";
import { capture, handshake, inShort, packetsOf, readCapture, type SegmentSpec } from "../captures.ts";

const GET = "GET / HTTP/1.1\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\n\r\n";
const REQUEST: SegmentSpec = { sequence: 1, acknowledged: 501, octets: GET };
const RESPONSE: SegmentSpec = { by: "server", sequence: 501, acknowledged: 1 + GET.length, octets: OK };
const AFTER_REQUEST = 1 + GET.length;
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

const SYN_SENT: SegmentSpec = { sequence: 0, flags: SYN };
/** An ACK of a connection that the client has forgotten, and its reset (RFC 9293 §3.5.1). */
const STALE: SegmentSpec = { by: "server", sequence: 9000, acknowledged: 2_000_000_000 };
const STALE_RESET: SegmentSpec = { sequence: 2_000_000_000, flags: RST };
const RESET: SegmentSpec = { by: "server", sequence: 501, acknowledged: AFTER_REQUEST, flags: RST | ACK };
const SECOND: SegmentSpec = { sequence: AFTER_REQUEST, acknowledged: 501, octets: GET };

const cases: [name: string, segments: SegmentSpec[], events: string[], afterReset?: number][] = [
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
  ["whose SYN comes behind its request", [...handshake().slice(1), REQUEST, handshake()[0], RESPONSE, CLIENT_FIN], [
    OPENED,
    `1 > ${GET}`,
    `1 < ${OK}`,
    "1 FIN client",
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
  ["with a gap", [
    ...handshake(),
    REQUEST,
    { ...RESPONSE, octets: OK.slice(0, 5) },
    { ...RESPONSE, sequence: 511, octets: "content" },
    { sequence: AFTER.client, acknowledged: 518 },
    { ...RESPONSE, sequence: 518 },
  ], [OPENED, `1 > ${GET}`, "1 < HTTP/", "1 5 of the server not captured", "1 < content", `1 < ${OK}`]],
  ["whose server had another one half open", [
    ...[SYN_SENT, STALE, STALE_RESET, ...handshake(), REQUEST, RESPONSE],
  ], [OPENED, `1 > ${GET}`, `1 < ${OK}`]],
  ["that is refused, and accepted when the same SYN comes again", [
    SYN_SENT,
    { by: "server", sequence: 0, acknowledged: 1, flags: RST | ACK },
    ...handshake(),
    REQUEST,
  ], [OPENED, "1 closed reset", OPENED, `1 > ${GET}`]],
  ["whose SYN is captured behind its answer", [
    handshake()[1],
    handshake()[0],
    handshake()[2],
    REQUEST,
    RESPONSE,
  ], [OPENED, `1 > ${GET}`, `1 < ${OK}`]],
  ["with an acknowledgment a megabyte ahead", [
    ...handshake(),
    REQUEST,
    { ...RESPONSE, acknowledged: AFTER_REQUEST + 2 ** 20 },
  ], [OPENED, `1 > ${GET}`, `1 < ${OK}`, "1 1048576 of the client not captured"]],
  ["with an acknowledgment of what no window holds", [
    ...handshake(),
    REQUEST,
    { ...RESPONSE, acknowledged: 2 ** 30 },
  ], [OPENED, `1 > ${GET}`, `1 < ${OK}`]],
  ["whose reset is before what is expected", [...handshake(), REQUEST, { ...RESET, sequence: 400 }, RESPONSE], [
    OPENED,
    `1 > ${GET}`,
    `1 < ${OK}`,
  ]],
  ["whose reset is beyond the window", [...handshake(), REQUEST, { ...RESET, sequence: 100_000 }, RESPONSE], [
    OPENED,
    `1 > ${GET}`,
    `1 < ${OK}`,
  ]],
  ["whose reset is in the window, and whose receiver goes on", [
    ...[...handshake(), REQUEST, { ...RESET, sequence: 600 }],
    { ...RESPONSE, time: 100 },
    { ...SECOND, time: 101 },
    { ...RESPONSE, sequence: AFTER.server, acknowledged: AFTER_REQUEST + GET.length, time: 102 },
  ], [OPENED, `1 > ${GET}`, `1 < ${OK}`, `1 > ${GET}`, `1 < ${OK}`]],
  ["whose reset is in the window, and whose receiver ends it later", [
    ...[...handshake(), REQUEST, { ...RESET, sequence: 600 }],
    { ...RESPONSE, time: 100 },
    { ...SECOND, octets: "", flags: ACK | FIN, time: 101 },
  ], [OPENED, `1 > ${GET}`, `1 < ${OK}`, "1 FIN client"]],
  [
    "whose reset is in the window, and whose receiver sends nothing new",
    [
      ...[...handshake(), REQUEST, { ...RESET, sequence: 600 }],
      { ...REQUEST, time: 100 },
      { ...RESPONSE, time: 101 },
    ],
    [OPENED, `1 > ${GET}`, "1 closed reset"],
    OK.length,
  ],
  [
    "with octets in flight at its reset, repeated ones, and new ones",
    [
      ...[...handshake(), REQUEST, RESET],
      SECOND,
      { ...SECOND, time: 100 },
      { ...REQUEST, time: 101 },
      { ...SECOND, sequence: AFTER_REQUEST + GET.length, octets: "12345", time: 102 },
      { ...SECOND, sequence: AFTER_REQUEST + GET.length, octets: "1234567", time: 103 },
    ],
    [OPENED, `1 > ${GET}`, `1 > ${GET}`, "1 closed reset"],
    7,
  ],
  ["whose reset acknowledges what is not captured", [
    ...[...handshake(), REQUEST, { ...RESET, acknowledged: AFTER_REQUEST + 7 }],
  ], [OPENED, `1 > ${GET}`, "1 7 of the client not captured", "1 closed reset"]],
  ["whose reset has text in it", [...handshake(), REQUEST, { ...RESET, octets: "went away" }], [
    OPENED,
    `1 > ${GET}`,
    "1 closed reset",
  ]],
];

for (const [name, segments, events, afterReset = 0] of cases) {
  Deno.test(`a captured connection ${name} has these events`, () => {
    const { events: told, notes, connections, afterResets } = readCapture(capture(segments));
    assert.deepEqual(inShort(told), events);
    assert.deepEqual([notes, connections, afterResets], [[], 1, afterReset === 0 ? [] : [[1, afterReset]]]);
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

Deno.test("what TCP did is known: the handshake, its round trip, the MSS, what was sent again or came late", () => {
  const [head, tail] = [{ ...REQUEST, octets: "GET" }, { ...REQUEST, sequence: 4, octets: GET.slice(3) }];
  const { events } = readCapture(capture([...handshake(), tail, tail, head, head, RESPONSE]));
  const [{ tcp }] = events.flatMap((event) => event.kind === "opened" ? [event] : []);
  assert.deepEqual(tcp, {
    handshake: [1, 2, 3],
    roundTrip: 2000,
    client: { mss: 65_495, repeated: 2, late: 1 },
    server: { mss: 65_495, repeated: 0, late: 0 },
    mayLackResponses: false,
  });
  const again = readCapture(capture([SYN_SENT, ...handshake()])).events[0];
  assert(again.kind === "opened");
  assert.deepEqual([again.tcp.handshake, again.tcp.roundTrip], [[1, 3, 4], undefined]);
});

Deno.test("what was sent again before it is known who the client is counts for its end only", () => {
  const [head, tail] = [{ ...REQUEST, octets: "GET" }, { ...REQUEST, sequence: 4, octets: GET.slice(3) }];
  const part = { ...RESPONSE, octets: "HTTP" };
  for (
    const [segments, repeated] of [
      [[head, head, tail], { client: 1, server: 0 }],
      [[part, part, head, head, head, tail], { client: 2, server: 1 }],
      [[part, part], { client: 0, server: 1 }],
    ] as const
  ) {
    const [opened] = readCapture(capture(segments)).events;
    assert(opened.kind === "opened");
    const { client, server } = opened.tcp;
    assert.deepEqual({ client: client.repeated, server: server.repeated }, repeated);
  }
});

Deno.test("what was sent again still counts once a connection ends with its last FIN, behind a gap, at a new one", () => {
  const behindGap = { ...CLIENT_FIN, sequence: AFTER.client + 5 };
  const serverFin = { ...SERVER_FIN, acknowledged: AFTER.client };
  const segments = [...handshake(), REQUEST, REQUEST, RESPONSE, behindGap, serverFin, ...handshake(100_000)];
  const { events } = readCapture(capture(segments));
  const [opened] = events;
  assert(opened.kind === "opened");
  assert.deepEqual([opened.tcp.client.repeated, opened.tcp.server.repeated], [1, 0]);
  assert.deepEqual(inShort(events).slice(3), [
    "1 FIN server",
    "1 5 of the client not captured",
    "1 FIN client",
    "1 closed by the server",
    OPENED.replace("1", "2"),
  ]);
});

Deno.test("what waits behind a doubtful reset takes memory of the budget only until it is read", () => {
  const segments = [...handshake(), REQUEST, { ...RESET, sequence: 600 }, { ...RESPONSE, time: 100 }];
  const goesOn = { ...SECOND, time: 101 };
  const read = packetsOf(capture([...segments, goesOn])).packets.map((packet) => {
    return { packet, segment: segmentOf(packet.bytes, packet.linkType) as Segment };
  });
  const budget = { used: 0, most: 1e6 };
  const context = { budget, isLeftOut: () => false, listener: () => {}, expires: () => {} };
  const { from, to } = read[0].segment;
  const connection = new CapturedConnection(1, [from, to], context, true, true);
  const used = read.map(({ segment, packet }) => {
    connection.segment(segment, packet);
    return budget.used > 0;
  });
  assert.deepEqual(used, read.map((_, i) => i === segments.length - 1));
});
