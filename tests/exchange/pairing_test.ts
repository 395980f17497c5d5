import assert from "node:assert/strict";
import {
  answeredAfter,
  type Exchange,
  type ExchangeEvent,
  finalResponse,
  type Message,
  Pairing,
  titleOf,
} from "../../lib/exchange.ts";
import { UNREAD_KEPT_OCTETS } from "../../lib/limits.ts";
import { type Conversation, CONVERSATIONS, stepsOf, type Turn } from "./conversations.ts";

function shown(message: Message): string {
  const marks = { whole: "", broken: " !", incomplete: " …" };
  return titleOf(message) + marks[message.state];
}

/** Returns the exchanges of a conversation, what is no message, and all events. */
function paired(turns: readonly Turn[], pieces = false) {
  const exchanges = new Set<Exchange>();
  const events: ExchangeEvent[] = [];
  const stops = { request: "", response: "" };
  const pairing = new Pairing((event) => {
    events.push(event.kind === "content" ? { ...event, bytes: event.bytes.slice() } : event);
    if (event.kind === "stopped") stops[event.direction] = event.why;
    else if (event.kind === "resumed") stops[event.direction] = "";
    else if ("message" in event && event.message !== undefined) exchanges.add(event.message.exchange);
  });
  for (const { kind, direction, octets } of stepsOf(turns)) {
    if (kind === "fin") pairing.fin(direction);
    else if (kind === "lost") pairing.gap(direction, octets.length);
    else if (!pieces) pairing.octets(direction, octets);
    else {
      const lent = new Uint8Array(1);
      for (const octet of octets) {
        lent[0] = octet;
        pairing.octets(direction, lent);
        lent[0] = 0xee;
      }
    }
  }
  return {
    pairing,
    events,
    stops,
    exchanges: Array.from(exchanges, ({ request, responses, unread }) => [
      request === undefined ? unread === undefined ? "-" : "?" : shown(request),
      ...responses.map(shown),
    ]),
  };
}

/** What the direction says of octets that are no message. */
function checkRest({ rest = [] }: Conversation, stops: Record<"request" | "response", string>): void {
  for (const one of rest) {
    if (one.endsWith("empty")) continue;
    assert.equal(stops[one[0] === ">" ? "request" : "response"], one.slice(2));
  }
}

for (const conversation of CONVERSATIONS) {
  Deno.test(`paired: ${conversation.name}`, () => {
    const { exchanges, stops } = paired(conversation.turns);
    assert.deepEqual(exchanges, conversation.exchanges);
    checkRest(conversation, stops);
  });

  // Where reading starts again depends on reads.
  if (conversation.exchanges.flat().some((message) => / !$/.test(message))) continue;
  Deno.test(`paired octet by octet: ${conversation.name}`, () => {
    const { exchanges, stops } = paired(conversation.turns, true);
    assert.deepEqual(exchanges, conversation.exchanges);
    checkRest(conversation, stops);
  });
}

Deno.test("the table has at least 40 conversations, each with a name of its own", () => {
  assert(new Set(CONVERSATIONS.map(({ name }) => name)).size >= 40);
  assert.equal(new Set(CONVERSATIONS.map(({ name }) => name)).size, CONVERSATIONS.length);
});

Deno.test("a response took as long as the final one is behind the request's end", () => {
  const times: (number | "early" | undefined)[] = [];
  for (
    const steps of [
      [["> PUT /p HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n", 1000], ["< HTTP/1.1 100 Continue\r\n\r\n", 1100], [
        "> hi",
        1900,
      ], ["< HTTP/1.1 204 No\r\n\r\n", 2000]],
      [["> PUT /p HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n", 1000], ["< HTTP/1.1 400 No\r\n\r\n", 1100], [
        "> hi",
        1900,
      ]],
      [["> GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1000]],
      [["< HTTP/1.1 204 No\r\n\r\n", 1000]],
    ] as [Turn, number][][]
  ) {
    let last: Exchange | undefined;
    const pairing = new Pairing((event) => last = "message" in event ? event.message?.exchange : last);
    for (const [turn, time] of steps) {
      const [{ direction, octets }] = stepsOf([turn]);
      pairing.octets(direction, octets, time);
    }
    const final = finalResponse(last!);
    times.push(final && answeredAfter(final));
  }
  assert.deepEqual(times, [100, "early", undefined, undefined]);
});

Deno.test("what is read later came when it came", () => {
  const exchanges = new Set<Exchange>();
  const pairing = new Pairing((event) => "message" in event && event.message && exchanges.add(event.message.exchange));
  const get = "> GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  const no = "HTTP/1.1 204 No\r\n\r\n";
  const steps: Turn[] = [
    ...["> GET / HTTP/1.1\r\nHost : a\r\n\r\n", get, get, `< ${no}${no}${no}`] as Turn[],
    ...["> OPTIONS * HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\n", get, get, `< ${no}${no}${no}`] as Turn[],
  ];
  for (const [i, { direction, octets }] of stepsOf(steps).entries()) {
    pairing.octets(direction, octets, 100 * i * i, i + 1);
  }
  assert.deepEqual(
    Array.from(exchanges, (exchange) => [exchange.request!.arrival.packet, answeredAfter(finalResponse(exchange)!)]),
    [[1, 900], [2, 800], [3, 500], [5, 3300], [6, 2400], [7, 1300]],
  );
});

Deno.test("a request that is read later may come in pieces, before FIN", () => {
  const turns: Turn[] = ["> GET / HTTP/1.1\nHost: a\r\n\r\n", "> GET / HTTP/1.1\r\nHost: a\r\n", "> \r\n", "> FIN"];
  const { exchanges } = paired([...turns, "< HTTP/1.1 204 No\r\n\r\nHTTP/1.1 204 No\r\n\r\n"]);
  assert.deepEqual(exchanges, [["GET / !", "204 No"], ["GET /", "204 No"]]);
});

Deno.test("what is held octet by octet is joined, so that it takes little more memory than its octets", () => {
  const target = "/a".repeat(3000);
  const upgrade = "> GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\n";
  const turns: Turn[] = [upgrade, `> GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`, "< HTTP/1.1 204 No\r\n\r\n"];
  const { exchanges, events } = paired(turns, true);
  assert.deepEqual(exchanges, [["GET /", "204 No"], [`GET ${target}`]]);
  const again = events.filter(({ kind }) => kind === "again").length;
  assert(again > 512 && again <= 1024, `${again} pieces`);
});

Deno.test("content is lent, offsets count the octets of a direction, and a message knows when it came", () => {
  const { events } = paired(["> PUT /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na", "> bcGET"]);
  assert.deepEqual(
    events.map((event) => [
      event.kind,
      event.kind === "content" ? new TextDecoder().decode(event.bytes) : "",
      "to" in event ? event.to : event.kind === "ended" ? event.message.to : "",
    ]),
    [["began", "", ""], ["head", "", 47], ["content", "a", 48], ["content", "bc", 50], ["ended", "", 50], [
      "began",
      "",
      "",
    ]],
  );
});

Deno.test("an invalid request is named by the start of its line", () => {
  const messages = new Set<Message>();
  const pairing = new Pairing((event) => void ("message" in event && event.message && messages.add(event.message)));
  pairing.octets("request", new TextEncoder().encode(`GET /${"a".repeat(100)}| HTTP/1.1\r\n`));
  assert.deepEqual([...messages].map(({ line }) => line), [`GET /${"a".repeat(75)}`]);
});

Deno.test("what is held is bounded", () => {
  const connect = "> CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n";
  const many = "> GET / HTTP/1.1\r\nHost: a\r\n\r\n" + "\0".repeat(UNREAD_KEPT_OCTETS);
  const { exchanges, stops } = paired([connect, many as Turn, "< HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n"]);
  assert.deepEqual([exchanges, stops.request], [[["CONNECT a:1", "400 No"]], "held"]);
  const lenient = paired(["> GET /\n\n", many as Turn, "< HTTP/1.1 204 No\r\n\r\nHTTP/1.1 204 No\r\n\r\n"]);
  assert.deepEqual(lenient.exchanges, [["GET / !", "204 No"], ["?", "204 No"]]);
});

Deno.test("the rules say which connections end, and what is unanswered", () => {
  assert.equal(paired(["> GET / HTTP/1.1\r\nHost: a\r\n\r\n"]).pairing.closes, false);
  assert.equal(paired(["> GET / HTTP/1.0\r\n\r\n"]).pairing.closes, true);
  assert.equal(paired(["> GET /\n"]).pairing.closes, true);
  assert.deepEqual(paired(["> GET /\n"]).pairing.unanswered.map(({ number }) => number), [1]);
});
