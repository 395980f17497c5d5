import assert from "node:assert/strict";
import type { TrafficEvent } from "../../../lib/traffic.ts";
import { Messages } from "../../../lib/traffic/live/page_events.ts";
import { wireOctets } from "../../wire_cases.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n";

const SEEN = { end: "server", connection: 1, time: 0 } as const;

function octets(kind: "read" | "write", octets: string): TrafficEvent {
  return { ...SEEN, kind, bytes: wireOctets(octets) };
}

const unread: [why: string, request: string, response: string, told: unknown][] = [
  ["that are messages", `${GET}\r\n`, "", undefined],
  ["that end with the last request", `${GET}Connection: close\r\n\r\n`, "", undefined],
  ["behind the last request", `${GET}Connection: close\r\n\r\nGET`, "", "not read"],
  ["behind a request to leave HTTP", `${GET}Connection: upgrade\r\nUpgrade: x\r\n\r\n!`, "", "held until the answer"],
  [
    "behind an answer that leaves it",
    "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
    "HTTP/1.1 200 OK\r\n\r\n!",
    "no longer HTTP",
  ],
];

for (const [why, request, response, told] of unread) {
  Deno.test(`octets ${why} are told with what they are`, () => {
    const messages = new Messages();
    const sent = messages.receive(octets("read", request)).event;
    const { direction, from, to, unread } = response === "" ? sent : messages.receive(octets("write", response)).event;
    assert.deepEqual([direction, from, to, unread], [
      response === "" ? "request" : "response",
      0,
      (response || request).length,
      told,
    ]);
  });
}

Deno.test("an exchange is told each time that it changes, as it is then", () => {
  const messages = new Messages();
  const changed = (event: TrafficEvent) =>
    messages.receive(event).event.exchanges?.map(({ request, responses }) =>
      [request, ...responses].map((one) => one!.whole)
    );
  assert.deepEqual(changed(octets("read", `${GET}\r\n`)), [[true]]);
  assert.deepEqual(changed(octets("write", "HTTP/1.1 200 OK\r\n\r\nx")), [[true, false]]);
  assert.deepEqual(changed({ ...SEEN, kind: "fin", by: "client" }), undefined);
  assert.deepEqual(changed({ ...SEEN, kind: "fin", by: "server" }), [[true, true]]);
});

Deno.test("a response to a request that was not read, behind a broken one, names that one", () => {
  const messages = new Messages();
  messages.receive(octets("read", `GET / HTTP/1.1\r\nHost : a\r\n\r\n${GET}\r\n`));
  const response = "HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n";
  const { exchanges } = messages.receive(octets("write", `${response}${response}`)).event;
  assert.deepEqual(exchanges?.map(({ number, unread }) => [number, unread]), [[1, undefined], [2, 1]]);
});
