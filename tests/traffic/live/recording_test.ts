import assert from "node:assert/strict";
import { PAGE_HISTORY_BYTES } from "../../../lib/limits.ts";
import type { PageEvent } from "../../../lib/traffic/live/page_events.ts";
import { RecordedTraffic } from "../../../lib/traffic/live/recording.ts";
import { capture, readCapture, talk } from "../captures.ts";

const GET = "GET /Momo HTTP/1.1\r\nHost: a\r\n\r\n";
const ANSWER = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";

/** What a page is told of a capture of connections, each with its turns. */
function told(
  connections: Parameters<typeof talk>[0][],
  most = 100,
): { traffic: RecordedTraffic; events: PageEvent[] } {
  const traffic = new RecordedTraffic(most);
  const file = capture(connections.flatMap((turns, index) => talk(turns, 40_000 + index)));
  for (const event of readCapture(file).events) traffic.receive(event);
  traffic.finish();
  const { history } = traffic;
  return { traffic, events: Array.from({ length: history.last }, (_, i) => history.at(i + 1)!.event) };
}

Deno.test("a capture is told as events with the numbers of their packets, and exchanges", () => {
  const { events, traffic } = told([[`> ${GET}`, `< ${ANSWER}`]]);
  assert.deepEqual(events.map(({ kind, packet, from, to }) => [kind, packet, from, to]), [
    ["opened", 1, undefined, undefined],
    ["read", 4, 0, GET.length],
    ["write", 5, 0, ANSWER.length],
  ]);
  assert.deepEqual(
    events[2].exchanges!.map(({ number, request, responses }) => [
      number,
      request!.title,
      responses[0].title,
    ]),
    [[1, "GET /Momo", "404 Not Found"]],
  );
  // Packets were taken somewhere between the ends.
  assert.equal(traffic.end, undefined);
  assert.equal(traffic.serverOf(1)!.port, 9999);
  assert.deepEqual(traffic.history.octets(1, "request", 0, 3), new TextEncoder().encode("GET"));
});

Deno.test("a connection without HTTP is one line, and takes the room of one event", () => {
  const { events, traffic } = told([
    ["> hello there\r\n\r\n", "< SSH-2.0-x\r\n", "> more", "< more", "> more"],
    [`> ${GET}`, `< ${ANSWER}`],
  ], 4);
  assert.deepEqual(events.map(({ kind, connection }) => `${connection} ${kind}`), [
    "1 folded",
    "2 opened",
    "2 read",
    "2 write",
  ]);
  assert.match(events[0].reason!, /^connection 1: .* not HTTP/);
  assert.equal(traffic.missing, 0);
});

Deno.test("the first events are kept, and the others counted", () => {
  const { events, traffic } = told([[`> ${GET}`, `< ${ANSWER}`, `> ${GET}`, `< ${ANSWER}`]], 3);
  assert.equal(events.length, 3);
  assert.equal(traffic.missing, 2);
});

Deno.test("octets that were not captured are told, and what comes next starts a message", () => {
  const { events } = told([[`> ${GET}`, `<x ${ANSWER}`, `> ${GET}`, `< ${ANSWER}`]]);
  const missing = events.find(({ kind }) => kind === "missing");
  assert.equal(missing?.reason, `${ANSWER.length} octets of the server not captured`);
  assert.deepEqual(events.at(-1)!.exchanges!.map(({ number, responses }) => [number, responses[0]?.title]), [
    [2, "404 Not Found"],
  ]);
});

Deno.test("a response that the end of the connection completes is told as complete", () => {
  const { events } = told([[`> ${GET}`, "< HTTP/1.1 200 OK\r\n\r\nx", "< FIN", "> FIN"]]);
  const last = events.findLast(({ exchanges = [] }) => exchanges.length > 0)!;
  assert.deepEqual([last.kind, last.by, last.exchanges![0].responses[0].whole], ["fin", "server", true]);
});

Deno.test("a read that takes several packets is one event, of which only so many octets are kept", () => {
  const content = "x".repeat(32 * 1024);
  const packets = PAGE_HISTORY_BYTES / content.length + 1;
  const head = `PUT /Momo HTTP/1.1\r\nHost: a\r\nContent-Length: ${packets * content.length}\r\n\r\n`;
  const turns = [head, ...Array.from({ length: packets }, () => content)].map((octets) => `> ${octets}` as const);
  const traffic = new RecordedTraffic(2);
  for (const [i, event] of readCapture(capture(talk(turns))).events.entries()) {
    // The first event is that the connection was opened.
    const origin = { ...event.origin, call: "read 1", continues: i > 1 };
    traffic.receive({ ...event, origin });
  }
  traffic.finish();
  const { history } = traffic;
  assert.equal(history.last, 2);
  const { event, bytes } = history.at(2)!;
  assert.deepEqual([event.kind, event.from, event.to], ["read", 0, bytes!.length]);
  assert.equal(bytes!.length, head.length + (packets - 2) * content.length);
  assert.equal(traffic.missing, 2);
});
