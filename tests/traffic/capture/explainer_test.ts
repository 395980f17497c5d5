import assert from "node:assert/strict";
import {
  CaptureExplainer,
  type CaptureExplainerOptions,
  type Explained,
} from "../../../lib/traffic/capture/explainer.ts";
import { ACK, RST } from "../../../lib/traffic/capture/link_layers.ts";
import { capture, handshake, interleaved, type SegmentSpec, talk, type Turn } from "../captures.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const TALK = talk([`> ${GET}`, `< ${OK}`, "> FIN", "< FIN"]);
const LAYOUT = { width: 80, all: false, painter: (_style: string, text: string) => text };

/** Explains a file as often as it takes. */
function explained(segments: readonly SegmentSpec[], options: Partial<CaptureExplainerOptions> = {}) {
  const file = capture(segments);
  let text = "";
  let valid = true;
  let printed: Explained["printed"];
  for (let from = 1, passes = 1;; passes++) {
    const explainer = new CaptureExplainer({
      ...LAYOUT,
      print: (piece) => text += piece,
      from,
      printed,
      ...options,
    });
    for (let at = 0; at < file.length; at += 100) explainer.receive(file.subarray(at, at + 100).slice());
    const { leftOut, ...rest } = explainer.end();
    printed = rest.printed;
    const { connections } = explainer.reader;
    valid &&= rest.valid;
    if (leftOut === undefined) return { text, passes, connections, ...rest, valid };
    assert(leftOut > from, "each pass explains at least one connection");
    from = leftOut;
  }
}

/** What TCP did beside the messages. */
const TCP = /, handshake in packets .*$|, acknowledged after .*$/;

/** The lines on connections, messages and what is missing, without the explanations. */
function outline(text: string): string[] {
  return text.split("\n").filter((line) => /^(?:connection|request|response|interim|from|left out)| -- /.test(line))
    .map((line) =>
      line.replace(/: 127\S+ to \S+, tcp.stream == (\d+) in Wireshark/, " is stream $1").replace(TCP, "").trim()
    );
}

Deno.test("connections that overlap are explained one after the other", () => {
  const { text, valid, passes } = explained(interleaved(TALK, talk([`> ${GET}`, `< ${OK}`, "> RST"], 40_001)));
  assert.deepEqual(outline(text), [
    "connection 1 is stream 0",
    "request 1 at 0.006000 s, from packet 7",
    "response 1 at 0.008000 s, 2.000 ms after the request, from packet 9",
    "connection 1: FIN by the client at 0.010000 s (packet 11), FIN by the server at 0.012000 s (packet 13)",
    "connection 2 is stream 1",
    "request 1 at 0.007000 s, from packet 8",
    "response 1 at 0.009000 s, 2.000 ms after the request, from packet 10",
    "connection 2: closed reset at 0.011000 s (packet 12)",
  ]);
  assert.deepEqual([valid, passes], [true, 1]);
  assert.match(
    text,
    /packet 13\)\n\nconnection 2: 127\.0\.0\.1:40001 to 127\.0\.0\.1:9999, tcp\.stream == 1 in Wireshark, handshake in .*\n\nrequest 1/,
  );
});

Deno.test("a response to a request of which only the acknowledgment was captured says so, in its turn or later", () => {
  const turns: Turn[] = [`>x ${GET}`, `< ${OK}`, `> ${GET}`, `< ${OK}`];
  const { text, valid } = explained(interleaved(talk(turns), talk(turns, 40_001)));
  for (const line of outline(text).filter((line) => line.startsWith("response 1"))) {
    assert.match(line, /, to a request that was not captured, from packet \d+$/);
  }
  assert.equal(
    outline(text).filter((line) => line === "-- 27 octets of the client not captured (before packet 9)").length,
    1,
  );
  assert.doesNotMatch(text, /to no request here/);
  assert.equal(valid, false);
  const unseen = outline(explained(talk([`< ${OK}`, `> ${GET}`, `< ${OK}`]).slice(3)).text);
  assert.equal(unseen[1], "response 1 at 0.000000 s, to a request that was not captured, from packet 1");
});

Deno.test("one connection alone keeps its number", () => {
  const { text, connections } = explained([...TALK, ...talk([`> ${GET}`], 40_001), ...talk([], 40_002)], {
    connection: 2,
  });
  assert.deepEqual(outline(text), [
    "connection 2 is stream 1",
    "request 1 at 0.010000 s, from packet 11",
    "-- no response to request 1",
    "connection 2: open where the capture ends",
  ]);
  assert.equal(connections, 3);
});

const MANY = interleaved(...Array.from({ length: 5 }, (_, i) => talk([`> ${GET}`, `< ${OK}`, `> ${GET}`], 40_000 + i)));

Deno.test("what does not fit into memory is explained in another pass", () => {
  const whole = explained(MANY);
  const passed = explained(MANY, { again: true, maxHeld: 3600 });
  assert.deepEqual([passed.text, passed.valid], [whole.text, true]);
  assert(passed.passes > 1 && passed.passes <= 5, `${passed.passes} passes`);
});

Deno.test("what does not fit into memory, and cannot be read again, is named", () => {
  const { text, valid } = explained(MANY, { maxHeld: 3600 });
  assert.match(
    text,
    /\nconnection 5: \S+ to \S+, tcp\.stream == 4 in Wireshark: left out: too much waits for those before it\n$/,
  );
  assert.equal(valid, false);
});

Deno.test("a connection that needs too much memory is cut off, and that is reported", () => {
  const put = `PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n${"x".repeat(9000)}`;
  for (const again of [true, false]) {
    const { text, valid } = explained(talk([`> ${GET}`, `< ${OK}`, `> ${put}`]), { all: true, maxHeld: 8000, again });
    assert.deepEqual(outline(text).at(-1), "connection 1: the rest is left out: it needs too much memory");
    assert.equal(valid, false);
  }
});

Deno.test("what waits long is held as text, which is less than its octets", () => {
  const put = `PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\n${"x".repeat(50_000)}`;
  const rest = "x".repeat(50_000);
  const turns = [`> ${put}`, ...Array(7).fill(`> ${rest}`), `< ${OK}`, "> FIN", "< FIN"] as Turn[];
  const { text, valid } = explained([...talk([`> ${GET}`]), ...talk(turns, 40_001)], { maxHeld: 200_000 });
  assert.match(text, /\nconnection 2: [^]*400000 octets of content[^]*\nresponse 1 /);
  assert.equal(valid, true);
});

Deno.test("a connection that is opened again after a reset is explained under its number", () => {
  const refused = { by: "server", sequence: 0, acknowledged: 1, flags: RST | ACK } as const;
  const segments = [talk([])[0], refused, ...talk([`> ${GET}`, `< ${OK}`])];
  for (const before of [[], talk([`> ${GET}`], 40_001)]) {
    const { text, valid } = explained([...before, ...segments]);
    const number = before.length === 0 ? 1 : 2;
    const name = `connection ${number}: 127.0.0.1:40000 to 127.0.0.1:9999, tcp.stream == ${number - 1} in Wireshark`;
    assert.match(
      text,
      new RegExp(`${name}: no octets, closed reset at .*\n\n?${name}, handshake in .*\n\nrequest 1 [^]*\nresponse 1 `),
    );
    assert.equal(valid, true);
  }
});

Deno.test("octets after a reset are counted where there is HTTP", () => {
  const late = (segments: SegmentSpec[]) => segments.map((segment, i) => i < 7 ? segment : { ...segment, time: 5000 });
  const turns = (request: string) => [`> ${request}`, "< HTTP/1.1 100 Continue\r\n\r\n", "> RST", "< more"] as const;
  const { notes, valid } = explained(late(talk([...turns(GET)])).map((s, i) => i === 6 ? { ...s, time: 2000 } : s));
  assert.deepEqual([notes, valid], [["connection 1: 4 octets after the reset not explained"], false]);
  const other = explained(late(talk(["> \x16\x03\x01", "< \x16\x03\x03", "> RST", "< more"])));
  assert.deepEqual([other.notes, other.valid], [[], true]);
});

/** Three segments of the client, and two of the server, each acknowledged; the second of the client is sent again. */
function acknowledged(): SegmentSpec[] {
  const [one, two, three] = [GET.slice(0, 5), GET.slice(5, 9), GET.slice(9)];
  const end = 1 + GET.length;
  return [
    ...handshake(),
    { sequence: 1, acknowledged: 501, octets: one },
    { sequence: 6, acknowledged: 501, octets: two },
    { sequence: 6, acknowledged: 501, octets: two },
    { sequence: 10, acknowledged: 501, octets: three },
    { by: "server", sequence: 501, acknowledged: 10 },
    { by: "server", sequence: 501, acknowledged: end },
    { by: "server", sequence: 501, acknowledged: end, octets: OK.slice(0, -1) },
    { by: "server", sequence: 500 + OK.length, acknowledged: end, octets: OK.slice(-1) },
    { sequence: end, acknowledged: 500 + OK.length },
    { sequence: end, acknowledged: 501 + OK.length },
  ];
}

Deno.test("the TCP beside the HTTP: segments, acknowledgments, what was sent again", () => {
  const { text } = explained(acknowledged());
  assert.deepEqual(text.split("\n").filter((line) => /^(?:connection|request|response)/.test(line)), [
    "connection 1: 127.0.0.1:40000 to 127.0.0.1:9999, tcp.stream == 0 in Wireshark, handshake in packets 1, 2 and 3, " +
    "round trip 2.000 ms, MSS 65495 and 65495",
    "request 1 at 0.003000 s, in 3 segments, packets 4 to 7, acknowledged after 2.000 ms (packet 9)",
    "response 1 at 0.009000 s, 3.000 ms after the request, in 2 segments, packets 10 to 11, acknowledged after 2.000 ms (packet 13)",
    "connection 1: open where the capture ends, 1 segment sent again by the client",
  ]);
});

Deno.test("what is acknowledged after its side's FIN is said, too", () => {
  assert.match(explained(talk([`> ${GET}`, "> FIN", `< ${OK}`])).text, /\nrequest 1 .* \(packet 6\)\n/);
});

Deno.test("a message without an acknowledgment is explained at the end, and holds back others only for a while", () => {
  const client = acknowledged().filter(({ by }) => by === undefined).slice(0, -2);
  assert.match(explained(client).text, /\nrequest 1 at 0\.002000 s, in 3 segments, packets 3 to 6\n/);
  // Only what the server sends is captured, so nothing tells what has come of it.
  const content = "x".repeat(1000);
  const response = `HTTP/1.1 200 OK\r\nContent-Length: ${content.length}\r\n\r\n${content}`;
  let sequence = 501;
  const many = Array.from({ length: 5000 }, (): SegmentSpec => {
    const segment = { by: "server", sequence, acknowledged: 1, octets: response } as const;
    sequence += response.length;
    return segment;
  });
  assert.equal(explained([...handshake(), ...many], { all: true }).text.match(/^response /gm)!.length, 5000);
});

Deno.test("the TCP beside the HTTP as JSON", () => {
  const { text } = explained(acknowledged(), { isJson: true });
  const { tcp, request, response } = JSON.parse(text);
  assert.deepEqual(tcp, {
    ...{ handshake: [1, 2, 3], roundTrip: 0.002, mss: { client: 65495, server: 65495 } },
    ...{ repeated: { client: 1, server: 0 }, late: { client: 0, server: 0 } },
  });
  assert.deepEqual(request.tcp, { segments: 3, acknowledged: { packet: 9, after: 0.002 } });
  assert.deepEqual(response.tcp, { segments: 2, acknowledged: { packet: 13, after: 0.002 } });
});
