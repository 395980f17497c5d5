import assert from "node:assert/strict";
import { CapturedExchanges } from "../../../lib/traffic/capture/captured_exchanges.ts";
import { capture, readCapture, talk, type Turn } from "../captures.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const HEAD = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const EXPECT = "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
const BAD = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

function explained(turns: readonly Turn[]): { text: string; valid: boolean } {
  const layout = { width: 80, all: false, painter: (_style: string, text: string) => text };
  const exchanges = new CapturedExchanges(layout);
  let text = "";
  for (const event of readCapture(capture(talk(turns))).events) {
    if (event.kind === "opened" || event.kind === "closed") continue;
    exchanges.receive(event);
    text += exchanges.take();
  }
  exchanges.end();
  text += exchanges.take();
  assert.equal(exchanges.held, 0, "nothing is kept");
  return { text, valid: exchanges.valid };
}

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
    "response 1 answered before its content had come",
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
    /^\nrequest 1 at 0\.003000 s, in 2 segments, packets 4 to 5\n {6}octets 0-4: packet 4\n {6}octets 5-26: packet 5, 1\.000 ms later\n {4}0 GET /,
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
