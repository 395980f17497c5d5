import assert from "node:assert/strict";
import { Conversation, type Exchange } from "../../../lib/traffic/conversation.ts";
import { CapturedExchanges } from "../../../lib/traffic/capture/captured_exchanges.ts";
import { wireOctets } from "../../wire_cases.ts";
import { capture, readCapture, talk, type Turn } from "../captures.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const HEAD = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const UNTIL_CLOSED = "HTTP/1.1 200 OK\r\n\r\nabc";
const UPGRADE = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
const CONNECT = "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n";
const EXPECT = "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
const BAD = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

function explained(turns: readonly Turn[]): { text: string; valid: boolean } {
  const layout = { width: 80, all: false, painter: (_style: string, text: string) => text };
  const exchanges = new CapturedExchanges(layout);
  let text = "";
  for (const event of readCapture(capture(talk(turns))).events) {
    if (event.kind === "opened" || event.kind === "closed") continue;
    exchanges.tell(event);
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
    const after = /, (?:[\d.]+ m?s (after [^,]*)|(before [^,]*|to no [^,]*))/.exec(line);
    if (title !== undefined) return [after === null ? title : `${title} ${after[1] ?? after[2]}`];
    return line.startsWith("      -- ") ? [line.trim()] : [];
  });
}

const cases: [name: string, turns: Turn[], titles: string[], valid: boolean][] = [
  ["split", [`> ${GET.slice(0, 5)}`, `> ${GET.slice(5)}`, `< ${OK.slice(0, 20)}`, `< ${OK.slice(20)}`], [
    "request 1",
    "response 1 after the request",
  ], true],
  ["pipelined", [`> ${GET}${HEAD}${GET}`, `< ${OK}${OK.slice(0, -2)}${OK}`], [
    "request 1",
    "response 1 after the request",
    "request 2",
    "response 2 after the request",
    "request 3",
    "response 3 after the request",
  ], true],
  ["with 100 (Continue)", [`> ${EXPECT}`, "< HTTP/1.1 100 Continue\r\n\r\n", "> hi", `< ${OK}`], [
    "request 1",
    "interim response 1 before the request ended",
    "response 1 after the request",
  ], true],
  ["answered early", [`> ${EXPECT}`, `< ${BAD}`, "< FIN"], ["request 1", "response 1 before the request ended"], false],
  ["with a response that nobody asked for", [`< ${OK}`, `> ${GET}`, `< ${OK}`], [
    "response 1 to no request here",
    "request 2 after response 1",
    "response 2 after the request",
  ], true],
  ["without a response", [`> ${GET}`, "> FIN"], ["request 1", "-- no response to request 1"], true],
  ["with half a response", [`> ${GET}`, `< ${OK.slice(0, -1)}`], ["request 1", "response 1 after the request"], false],
  ["with content until FIN", [`> ${GET}`, `< ${UNTIL_CLOSED}`, "< FIN"], [
    "request 1",
    "response 1 after the request",
  ], true],
  ["that is broken", ["> GET / HTTP/1.1\n\n", `< ${BAD}`, "< FIN", "> more"], [
    "request 1",
    "response 1 after the request",
  ], false],
  ["with octets after the last message", [`> ${GET}`, `< ${BAD}`, "< more"], [
    "request 1",
    "response 1 after the request",
    "from the server",
  ], false],
  ["that leaves HTTP by 101", [`> ${UPGRADE}`, "< HTTP/1.1 101 Switching Protocols\r\n\r\n\x01", "> \x02"], [
    "request 1",
    "response 1 after the request",
    "from the client",
    "from the server",
  ], true],
  ["that leaves HTTP by CONNECT", [`> ${CONNECT}`, "< HTTP/1.1 200 OK\r\n\r\n", "> \x16", "< \x16"], [
    "request 1",
    "response 1 after the request",
    "from the client",
    "from the server",
  ], true],
  ["with a lost response", [`> ${GET}`, `<x ${OK}`, `> ${GET}`, `< ${OK}`], [
    "request 1",
    "request 2",
    "-- 40 octets of the server not captured (before packet 6)",
    "response 2 after the request",
  ], false],
  ["with a lost end of a response", [`> ${GET}`, `< ${OK.slice(0, 30)}`, `<x ${OK.slice(30)}`, `> ${GET}`, `< ${OK}`], [
    "request 1",
    "response 1 after the request",
    "request 2",
    "-- 10 octets of the server not captured (before packet 7)",
    "response 2 after the request",
  ], false],
  [
    "with a lost start of a response",
    [`> ${GET}`, `<x ${OK.slice(0, 30)}`, `< ${OK.slice(30)}`, `> ${GET}`, `< ${OK}`],
    [
      "request 1",
      "-- 30 octets of the server not captured (before packet 6)",
      "request 2",
      "-- 10 octets of the server skipped, up to the next start line (packet 7)",
      "response 2 after the request",
    ],
    false,
  ],
  ["with a lost request", [`> ${GET}`, `< ${OK}`, `>x ${GET}`, `< ${OK}`, `> ${GET}`, `< ${OK}`], [
    "request 1",
    "response 1 after the request",
    "response 2 to no request here",
    "-- 27 octets of the client not captured (before packet 7)",
    "request 3 after response 2",
    "response 3 after the request",
  ], false],
];

/** Returns the messages as the page's journal pairs them. */
function paired(turns: readonly Turn[]): string[] {
  const conversation = new Conversation();
  const exchanges = new Map<number, Exchange>();
  for (const turn of turns) {
    const direction = turn.startsWith(">") ? "request" : "response";
    const isFin = turn.endsWith(" FIN");
    const { changed } = isFin ? conversation.fin(direction) : conversation.octets(direction, wireOctets(turn.slice(2)));
    for (const exchange of changed) exchanges.set(exchange.number, exchange);
  }
  return [...exchanges.values()].sort((a, b) => a.number - b.number).flatMap(({ number, request, responses }) => [
    ...request === undefined ? [] : [`request ${number}`],
    ...responses.map(({ status }) => `${status === 100 ? "interim " : ""}response ${number}`),
  ]);
}

for (const [name, turns, titles, valid] of cases) {
  Deno.test(`exchanges are explained in order: ${name}`, () => {
    const result = explained(turns);
    assert.deepEqual([outline(result.text), result.valid], [titles, valid]);
  });

  // The page has no gaps, and takes octets that are no message for one.
  if (turns.some((turn) => turn[1] === "x") || titles.some((title) => title.startsWith("from"))) continue;
  Deno.test(`exchanges are paired as the page pairs them: ${name}`, () => {
    const messages = outline(explained(turns).text).flatMap((line) =>
      /^\D*(?:request|response) \d+/.exec(line)?.[0] ?? []
    );
    assert.deepEqual(messages.filter((line) => !line.startsWith("--")), paired(turns));
  });
}

Deno.test("a response is read by the method that it answers", () => {
  const { text, valid } = explained([`> ${HEAD}`, `< ${OK.slice(0, -2)}`, `> ${GET}`, `< ${OK}`]);
  assert.match(text, /response 1 [^]*=> no content: it answers HEAD [^]*response 2 [^]*=> 2 octets of content: /);
  assert.equal(valid, true);
});

Deno.test("a message says where its octets are from", () => {
  const { text } = explained([`> ${GET.slice(0, 5)}`, `> ${GET.slice(5)}${GET}`, `< ${OK}${OK}`]);
  assert.match(
    text,
    /^\nrequest 1 at 0\.003000 s\n {6}octets 0-4: packet 4\n {6}octets 5-26: packet 5, 1\.000 ms later\n {4}0 GET /,
  );
  assert.match(text, /\n\nrequest 2 at 0\.004000 s, from packet 5\n {4}0 GET /);
});
