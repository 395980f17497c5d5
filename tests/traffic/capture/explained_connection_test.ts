import assert from "node:assert/strict";
import { ExplainedConnection } from "../../../lib/traffic/capture/explained_connection.ts";
import { capture, ipPacket, pcap, readCapture, talk, type Turn } from "../captures.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const LAYOUT = { width: 80, all: false, painter: (_style: string, text: string) => text };

/** Returns the text on the only connection of a capture, and whether it is valid. */
function explainedFile(file: Uint8Array): { text: string; valid: boolean } {
  let connection: ExplainedConnection | undefined;
  for (const event of readCapture(file).events) {
    if (event.kind === "opened") connection = new ExplainedConnection(event, LAYOUT);
    else connection!.receive(event);
  }
  connection!.end();
  const text = connection!.take();
  assert.equal(connection!.held, 0, "nothing is kept");
  return { text, valid: connection!.valid };
}

function explained(turns: Turn[], skip = 0): { text: string; valid: boolean } {
  return explainedFile(capture(talk(turns).slice(skip)));
}

Deno.test("what waits for an acknowledgment is counted as held, and so is its text until it is taken", () => {
  const [opened, ...events] = readCapture(capture(talk([`> ${GET}`, `> ${GET.slice(0, 9)}`]))).events;
  assert(opened.kind === "opened");
  const connection = new ExplainedConnection(opened, LAYOUT);
  const [request, part] = events;
  assert(request.kind === "read" && part.kind === "read");
  connection.receive(request);
  const waiting = connection.held;
  assert(waiting > 0);
  connection.receive(part);
  assert.equal(connection.held, waiting + 9);
  connection.end();
  const { held } = connection;
  assert(held > 0);
  assert(connection.take().length >= held);
  assert.equal(connection.held, 0);
});

const others: [name: string, turns: Turn[], text: string][] = [
  [
    "no octets",
    ["> FIN", "< FIN"],
    "no octets, FIN by the client at 0.003000 s (packet 4), FIN by the server at 0.004000 s (packet 5)",
  ],
  [
    "TLS",
    ["> \x16\x03\x01a", "< \x16\x03\x03bc"],
    "not HTTP/1 but TLS (RFC 8446 §5.1), 4 octets from the client, 5 from the server",
  ],
  ["as many octets from either side", ["> abc", "< abc"], "not HTTP, 3 octets from the client, 3 from the server"],
  [
    "SMTP",
    ["< 220 hi\r\n", "> EHLO a\r\n", "< 250 a\r\n"],
    "not HTTP/1 but SMTP (RFC 5321 §3.1), 8 octets from the client, 15 from the server",
  ],
  ["less than a line", ["> hel"], "not HTTP, 3 octets from the client, 0 from the server"],
  [
    "a gap and no line",
    ["> a\0", "<x b", "> c"],
    "not HTTP, 3 octets from the client, 0 from the server, 1 octet not captured",
  ],
];

for (const [name, turns, text] of others) {
  Deno.test(`a connection with ${name} is one line, and not invalid`, () => {
    assert.deepEqual(explained(turns), {
      text: `connection 1: 127.0.0.1:40000 to 127.0.0.1:9999, tcp.stream == 0 in Wireshark: ${text}\n`,
      valid: true,
    });
  });
}

Deno.test("without a handshake the start was not captured", () => {
  const { text, valid } = explained(["< rest of content", `> ${GET}`, "< HTTP/1.1 204 No Content\r\n\r\n"], 3);
  assert.match(
    text,
    /^connection 1: 127\.0\.0\.1:40000 to 127\.0\.0\.1:9999, tcp\.stream == 0 in Wireshark, start not captured\n\nrequest 1 /,
  );
  assert.match(text, /-- 15 octets of the server skipped, up to the next start line \(packet 3\)\n\nresponse 1 at/);
  assert.equal(valid, true);
  const other = explained(["< rest", "> more"], 3);
  assert.match(other.text, /: not HTTP, .* 8 octets without a start line, start not captured\n$/);
});

Deno.test("a response to octets that are not HTTP is explained", () => {
  const { text, valid } = explained([
    "> hello\r\n",
    "< HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "< FIN",
  ]);
  assert.match(
    text,
    /\nrequest 1 at [^]*0 hello\\r\\n\n +\^ octet 5\n[^]*\nresponse 1 at 0\.004000 s, 1\.000 ms after the request, /,
  );
  assert.equal(valid, false);
});

function textOf(file: Uint8Array): string {
  return explainedFile(file).text;
}

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

Deno.test("a direction that was not captured, but acknowledged, is named, and nothing is said of responses", () => {
  const all = talk([`> ${GET}`, `< ${OK}`, "> FIN"]);
  const clients = pcap(all.filter(({ by }) => by !== "server").map(ipPacket));
  assert.match(textOf(clients), /-- the server's octets were not captured: the client acknowledged 40\n/);
  assert.doesNotMatch(textOf(clients), /no response/);
  const servers = pcap(
    [...all, { by: "server", sequence: 541, acknowledged: 29 } as const].filter(({ by }) => by === "server").map(
      ipPacket,
    ),
  );
  assert.match(textOf(servers), /\nresponse 1 at .*, to no request here|, to a request that was not captured/);
  assert.match(textOf(servers), /-- the client's octets were not captured: the server acknowledged 28\n/);
});

Deno.test("what was left out between two ends leaves open whether there was a response", () => {
  const packets = talk([`> ${GET}`, `< ${OK}`]).map(ipPacket);
  const fragment = packets[4].with(6, 0x20);
  const text = textOf(pcap([...packets.slice(0, 4), fragment]));
  assert.match(text, /-- response to request 1 not seen: packets of the server are not here\n/);
  assert.match(text, /, tcp\.stream == 0 in Wireshark, handshake in packets 1, 2 and 3, /);
  const before = textOf(pcap([fragment, ...packets]));
  assert.match(
    before,
    /, ip\.addr == 127\.0\.0\.1 && ip\.addr == 127\.0\.0\.1 && tcp\.port == 40000 && tcp\.port == 9999 in Wireshark, handshake /,
  );
});

Deno.test("packets that were cut are named as the cause of what is missing", () => {
  const packets = talk([`> ${GET}`, `< ${OK}`, "> FIN"]).map(ipPacket);
  const text = textOf(pcap(packets, { snapLength: 60 }));
  assert.match(
    text,
    /-- 20 octets of the server not captured \(before packet 6\): packet 5 was cut at 60 octets: tcpdump -s 0\n/,
  );
  assert.match(text, /\nresponse 1 at 0\.004000 s, before all of the request was captured, /);
});

Deno.test("a packet with fewer octets than its header says is not said to be cut", () => {
  const packets = talk([`> ${GET}`, `< ${OK}`, "> FIN"]).map(ipPacket);
  packets[4] = packets[4].subarray(0, 60);
  assert.match(textOf(pcap(packets)), /-- 20 octets of the server not captured \(before packet 6\)\n/);
});

Deno.test("a clock that goes back changes no order, and no time is less than none", () => {
  const packets = talk([`> ${GET}`, `< ${OK}`, `> ${GET}`]).map(ipPacket);
  const text = textOf(pcap(packets, { times: packets.map((_, i) => 1000 - i) }));
  assert.match(text, /\nresponse 1 at -0\.004000 s, 0 µs after the request, from packet 5\b/);
  assert.doesNotMatch(text, /round trip|answered before/);
});

const HEAD = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
const EXPECT = "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
const BAD = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/** Lines that name messages, without their time and packets, and what is missing. */
function outline(text: string): string[] {
  return text.split("\n").flatMap((line) => {
    const title = /^(?:(?:interim )?(?:request|response) \d+|from the \w+)/.exec(line)?.[0];
    const after = /, (?:[\d.]+ m?s (after [^,]*)|(answered [^,]*|before [^,]*|to [^,]*))/.exec(line);
    if (title !== undefined) return [after === null ? title : `${title} ${after[1] ?? after[2]}`];
    return line.startsWith("      -- ") || /not read: /.test(line)
      ? [line.trim().replace(/^\d+ .*not read/, "not read")]
      : [];
  });
}

const BARE_LF = "GET / HTTP/1.1\nHost: a\r\n\r\n";
const BROKEN = "HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\n";

const titles: [name: string, turns: Turn[], lines: string[], valid: boolean][] = [
  ["with 100 (Continue)", [`> ${EXPECT}`, "< HTTP/1.1 100 Continue\r\n\r\n", "> hi", `< ${OK}`], [
    "request 1",
    "interim response 1 before the request ended",
    "response 1 after the request",
  ], true],
  ["answered early", [`> ${EXPECT}`, `< ${BAD}`, "< FIN"], [
    "request 1",
    "response 1 answered before its content had come",
  ], false],
  ["answered before its head ended", ["> HEAD / HTTP/1.1\r\nHost", `< ${BAD}`], [
    "request 1",
    "response 1 answered before its head had come",
  ], false],
  ["with a response that nobody asked for", [`< ${OK}`, `> ${GET}`, `< ${OK}`], [
    "response 1 to no request here",
    "request 2 after response 1",
    "response 2 after the request",
  ], true],
  ["without a response", [`> ${GET}`, "> FIN"], ["request 1", "-- no response to request 1"], true],
  ["with octets behind an error", [`> ${BARE_LF}`, `< ${BAD}`, "< FIN", "> more"], [
    "request 1",
    "not read: see the fault of request 1",
    "response 1 after the request",
  ], false],
  ["that is read again behind an error", [`> ${BARE_LF}`, `< ${OK}`, `> ${GET}`, `< ${OK}`], [
    "request 1",
    "not read: see the fault of request 1",
    "response 1 after the request",
    "request 2 after response 1",
    "response 2 after the request",
  ], false],
  ["with a second response behind an error", [`> ${BARE_LF}${GET}`, `< ${OK}`, `< ${OK}`], [
    "request 1",
    "not read: see the fault of request 1",
    "response 1 after the request",
    "response 2 to a request that was not read: see the fault of request 1",
  ], false],
  ["with a broken response", [`> ${GET}${GET}`, `< ${BROKEN}`, `< ${OK}`], [
    "request 1",
    "response 1 after the request",
    "not read: see the fault of response 1",
    "request 2",
    "-- response to request 2 not read: see the fault of response 1",
  ], false],
  ["with a request that is not all captured", [`> ${GET.slice(0, 20)}`, `>x ${GET.slice(20)}`, `< ${OK}`, `> ${GET}`], [
    "request 1",
    "response 1 before all of the request was captured",
    `-- ${GET.length - 20} octets of the client not captured (before packet 6)`,
    "request 2 after response 1",
    "-- no response to request 2",
  ], false],
  ["after a response whose end is not known", [
    ...[
      `> ${GET}`,
      `< HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe`,
      "<x llo\r\n",
      "< 0\r\n\r\n",
    ] as const,
    ...[`> ${GET}`, `< ${OK}`] as const,
  ], [
    "request 1",
    "response 1 after the request",
    "-- 5 octets of the server not captured (before packet 7)",
    "request 2",
    "response 2 after the request",
    "from the server",
    "not read: octets are missing before",
  ], false],
  ["with a lost response", [`> ${GET}`, `<x ${OK}`, `> ${GET}`, `< ${OK}`], [
    "request 1",
    "request 2",
    "-- 40 octets of the server not captured (before packet 6)",
    "response 2 after the request",
  ], false],
  [
    "with a lost start of a response",
    [`> ${GET}`, `<x ${OK.slice(0, 30)}`, `< ${OK.slice(30)}`, `> ${GET}`, `< ${OK}`],
    [
      "request 1",
      "-- 30 octets of the server not captured (before packet 6)",
      "request 2",
      "response 2 after the request",
      "from the server",
      "not read: octets are missing before",
    ],
    false,
  ],
  ["with a lost request", [`> ${GET}`, `< ${OK}`, `>x ${GET}`, `< ${OK}`, `> ${GET}`, `< ${OK}`], [
    "request 1",
    "response 1 after the request",
    "response 2 to a request that was not captured",
    "-- 27 octets of the client not captured (before packet 7)",
    "request 3 after response 2",
    "response 3 after the request",
  ], false],
];

for (const [name, turns, lines, valid] of titles) {
  Deno.test(`a connection is told in order: ${name}`, () => {
    const result = explained(turns);
    assert.deepEqual([outline(result.text), result.valid], [lines, valid]);
  });
}

Deno.test("a message that is read again says so", () => {
  const { text } = explained([`> ${BARE_LF}`, `< ${OK}`, `> ${GET}`, `< ${OK}`]);
  assert.match(text, /request 2 [^]*=> read again from here on: the server read on after the fault of request 1\n/);
});

Deno.test("a response is read by the method that it answers", () => {
  const { text, valid } = explained([`> ${HEAD}`, `< ${OK.slice(0, -2)}`, `> ${GET}`, `< ${OK}`]);
  assert.match(text, /response 1 [^]*=> no content: it answers HEAD [^]*response 2 [^]*=> 2 octets of content: /);
  assert.equal(valid, true);
});

Deno.test("a message says where its octets are from", () => {
  const { text } = explained([`> ${GET.slice(0, 5)}`, `> ${GET.slice(5)}${GET}`, `< ${OK}${OK}`]);
  assert.match(
    text,
    /\n\nrequest 1 at 0\.003000 s, in 2 segments, packets 4 to 5\n {6}octets 0-4: packet 4\n {6}octets 5-26: packet 5, 1\.000 ms later\n {4}0 GET /,
  );
  assert.match(text, /\n\nrequest 2 at 0\.004000 s, from packet 5\n {4}0 GET /);
});

Deno.test("a gap in content of known length costs only what is missing", () => {
  const head = "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n";
  const { text, valid } = explained([
    `> ${GET}${GET}`,
    `< ${head}0123456789`,
    "<x 0123456789",
    `< 0123456789${OK.slice(0, 5)}`,
    `< ${OK.slice(5)}`,
    `> ${GET}`,
  ]);
  assert.match(text, /-- 10 octets of the server not captured \(before packet 8\)\n/);
  assert.match(text, /\nresponse 1 [^]*=> 30 octets of content: [^]*=> 10 octets of the content not captured\n/);
  assert.match(text, /\nresponse 2 at [^]*200 {2}/);
  assert.equal(valid, false);
  const chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1e\r\n0123456789";
  const chunked = explained([`> ${GET}`, `< ${chunks}`, "<x 0123456789", "< 0123456789\r\n0\r\n\r\n", `> ${GET}`]);
  assert.match(chunked.text, /=> 30 octets of content in 1 chunk\n +=> 10 octets of the content not captured\n/);
  const all = explained([`> ${GET}`, `< ${head}`, `<x ${"0123456789".repeat(3)}`, `> ${GET}`, `< ${OK}`]);
  assert.match(all.text, /\nresponse 1 [^]*=> 30 octets of the content not captured\n[^]*\nresponse 2 /);
});
