import assert from "node:assert/strict";
import { CaptureList } from "../../../lib/traffic/capture/list.ts";
import { capture, interleaved, ipPacket, pcap, type SegmentSpec, talk } from "../captures.ts";

const GET = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** Returns the cells of the lines, joined by a bar, and the lines below them. */
function listOf(segments: readonly SegmentSpec[], options: { connection?: number; maxLines?: number } = {}) {
  let text = "";
  const list = new CaptureList({ ...options, print: (lines) => text += lines });
  const bytes = capture(segments);
  for (let at = 0; at < bytes.length; at += 100) list.receive(bytes.subarray(at, at + 100));
  const { valid, notes } = list.end();
  const lines = text.trimEnd().split("\n").map((line) => line.trim().split(/ {2,}| (?=\d+ +\d+ {2})/).join("|"));
  return { lines, valid, notes };
}

const HEADER = "time connection|packet|request|status|octets|duration|server";

Deno.test("exchanges of all connections are listed in the order of their requests", () => {
  const { lines, valid } = listOf(interleaved(
    talk([`> ${GET}`, "< HTTP/1.1 103 Early\r\n\r\n", `< ${OK}`, "> FIN", "< FIN"]),
    talk([`> ${GET.replace("/a", "/b")}`, `< ${OK}`, `> ${GET}`, "< HTTP/1.1 304 No\r\n\r\n"], 40_001),
  ));
  assert.deepEqual(lines, [
    HEADER,
    "0.006000 s|1|7|GET /a|200|2|4.000 ms|127.0.0.1:9999",
    "0.007000 s|2|8|GET /b|200|2|2.000 ms|127.0.0.1:9999",
    "0.011000 s|2|12|GET /a|304|0|2.000 ms|127.0.0.1:9999",
  ]);
  assert(valid);
});

Deno.test("a request that is read once its turn is known has the packet and the time of its first octet", () => {
  const upgrade = "GET /u HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\n";
  const { lines } = listOf(talk([`> ${upgrade}`, `> ${GET}`, `> ${GET}`, `< ${OK}${OK}${OK}`]));
  assert.deepEqual(lines.map((line) => line.split("|").slice(0, 4).join(" ")), [
    "time connection packet request status",
    "0.003000 s 1 4 GET /u",
    "0.004000 s 1 5 GET /a",
    "0.005000 s 1 6 GET /a",
  ]);
});

Deno.test("a request that was captured before the one that it follows is listed at its packet", () => {
  const [opening, second] = [talk([`> ${GET}`]), { sequence: 1 + GET.length, acknowledged: 501, octets: GET }];
  const { lines } = listOf([...opening.slice(0, -1), second, ...talk([`> ${GET}`], 40_001), ...opening.slice(-1)]);
  assert.deepEqual(lines.slice(1).map((line) => line.split("|").slice(1, 3)), [["1", "4"], ["2", "8"], ["1", "9"]]);
});

Deno.test("connections without HTTP are one line a kind", () => {
  const { lines, valid } = listOf([
    ...talk(["> \x16\x03\x01\0\0", "< \x16\x03\x03\0\0"]),
    ...talk([`> ${GET}`, `< ${OK}`], 40_001),
    ...talk(["> \x16\x03\x01\0\0", "< \x16\x03\x03\0\0"], 40_002),
    ...talk(["> FIN", "< FIN"], 40_003),
    ...talk(["> \0\0\0\0\0\0\0\0\0\0\0\0\0", "< \0\0\0\0\0\0\0\0\0\0\0\0\0"], 40_004),
  ]);
  assert.deepEqual(lines.map((line) => line.replace(/^.*\|/, "")), [
    "server",
    "127.0.0.1:9999",
    "2 connections, not HTTP/1 but TLS (RFC 8446 §5.1): 1, 3",
    "1 connection, no octets: 4",
    "1 connection, not HTTP: 5",
  ]);
  assert(valid);
});

Deno.test("a connection that turns out not to be HTTP has no line, however much of it looked like a message", () => {
  const { lines } = listOf(talk(["> end", "> FIN", "< PROXY TCP4 1 2 3 4\r\n", `< ${OK}`]));
  assert.deepEqual(lines, ["1 connection, not HTTP: 1"]);
});

Deno.test("only one connection is listed", () => {
  const segments = [...talk([`> ${GET}`, `< ${OK}`]), ...talk([`> ${GET}`, `< ${OK}`], 40_001)];
  const { lines } = listOf(segments, { connection: 2 });
  assert.deepEqual(lines, [HEADER, "0.008000 s|2|9|GET /a|200|2|1.000 ms|127.0.0.1:9999"]);
});

const endings: [what: string, segments: SegmentSpec[], end: string, valid: boolean][] = [
  ["no response", talk([`> ${GET}`]), "GET /a|-|-|no response", true],
  ["a part of one", talk([`> ${GET}`, `< ${OK.slice(0, -1)}`]), "GET /a|200|1|not whole", false],
  ["a response that was not captured", talk([`> ${GET}`, `<x ${OK}`, "> FIN"]), "GET /a|-|-|not captured", false],
  [
    "heads that were cut",
    talk(["> GET /a HTTP/1.1\r\nH", ">x ost: a\r\n\r\n", "< HTTP/1.1 200 OK\r\nA", "<x : b\r\n\r\n", "> FIN", "< FIN"]),
    "GET /a|200|-|not whole",
    false,
  ],
  ["a part of a request", talk([`> ${GET.slice(0, -1)}`]), "GET /a|-|-|no response", false],
  ["content without an end", talk([`> ${GET}`, "< HTTP/1.1 200 OK\r\n\r\nab"]), "GET /a|200|2|1.000 ms", true],
  ["a broken response", talk([`> ${GET}`, "< HTTP/1.1 200 OK\r\nA b\r\n\r\n"]), "GET /a|-|-|invalid", false],
  ["a broken request", talk(["> GET /a HTTP/1.1\r\nHost : a\r\n\r\n"]), "GET /a|-|-|invalid", false],
  [
    "a broken request that is answered",
    talk(["> GET /a HTTP/1.1\r\nHost : a\r\n\r\n", "< HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n"]),
    "GET /a|400|0|1.000 ms",
    false,
  ],
  ["a response nobody asked for", talk([`< ${OK}`]), "(no request)|200|2|0 µs", true],
  [
    "a tunnel",
    talk(["> CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", "< HTTP/1.1 200 OK\r\n\r\n", "> \0"]),
    "CONNECT a:1|200|0|1.000 ms",
    true,
  ],
  [
    "a request behind the last one",
    talk([`> ${GET.replace("1.1", "1.0")}${GET}`, `< ${OK}`]),
    "GET /a|200|2|1.000 ms",
    false,
  ],
  [
    "control characters",
    talk(["> GET /\x1b[31m\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n"]),
    String.raw`GET /\x1b[31mé|-|-|invalid`,
    false,
  ],
  [
    "a long target",
    talk([`> GET /${"a".repeat(500)} HTTP/1.1\r\nHost: a\r\n\r\n`]),
    `GET /${"a".repeat(155)}…|-|-|no response`,
    true,
  ],
];

for (const [what, segments, end, isValid] of endings) {
  Deno.test(`the line of an exchange with ${what}`, () => {
    const { lines, valid } = listOf(segments);
    assert.equal(lines[1].split("|").slice(3, -1).join("|"), end);
    assert.deepEqual([lines.length, valid], [2, isValid]);
  });
}

Deno.test("nothing is said of responses behind a broken one, or while packets of the server were left out", () => {
  const { lines } = listOf(talk([`> ${GET}${GET}`, "< HTTP/1.1 200 OK\r\nA b\r\n\r\n"]));
  assert.deepEqual(lines.slice(1).map((line) => line.split("|")[6]), ["invalid", "not read"]);
  const packets = talk([`> ${GET}`, `< ${OK}`]).map(ipPacket);
  let text = "";
  const list = new CaptureList({ print: (lines) => text += lines });
  list.receive(pcap([...packets.slice(0, 4), packets[4].with(6, 0x20)]));
  list.end();
  assert.match(text, /GET \/a +- +- +not captured /);
});

Deno.test("lines wait for an end before them, but not too many", () => {
  const segments = interleaved(
    talk([`> ${GET.replace("/a", "/slow")}`, ...Array(9).fill("< "), `< ${OK}`]),
    talk(Array.from({ length: 5 }, () => [`> ${GET}`, `< ${OK}`] as const).flat(), 40_001),
  );
  const shown = (maxLines?: number) => listOf(segments, { maxLines }).lines.slice(1).map((line) => line.split("|")[6]);
  assert.equal(shown()[0], "20.000 ms");
  assert.deepEqual(shown(3), ["not ended yet", ...Array(5).fill("2.000 ms")]);
});

Deno.test("a connection that is opened again by the same SYN goes on under its number", () => {
  const [syn, ...rest] = talk([`> ${GET}`, `< ${OK}`]);
  const reset: SegmentSpec = { ...syn, sequence: syn.sequence + 1, flags: 0x04 };
  const { lines } = listOf([syn, reset, syn, ...rest]);
  assert.deepEqual(lines, [HEADER, "0.005000 s|1|6|GET /a|200|2|1.000 ms|127.0.0.1:9999"]);
});
