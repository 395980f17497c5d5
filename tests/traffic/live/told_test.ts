import assert from "node:assert/strict";
import { Messages, toldOf } from "../../../lib/traffic/live/told.ts";
import { wireOctets } from "../../wire_cases.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n";

const unread: [why: string, request: string, response: string, told: unknown][] = [
  ["that are messages", `${GET}\r\n`, "", undefined],
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
    const messages = new Messages(undefined);
    const sent = messages.octets("request", wireOctets(request), 1);
    const answered = messages.octets("response", wireOctets(response), 2);
    const { direction, from, to, unread } = response === "" ? sent : answered;
    assert.deepEqual([direction, from, to, unread], [
      response === "" ? "request" : "response",
      0,
      (response || request).length,
      told,
    ]);
  });
}

Deno.test("an exchange is told each time that it changes, as it is then", () => {
  const messages = new Messages(undefined);
  const changed = () =>
    messages.takeChanged().map(toldOf).map(({ request, responses }) =>
      [request, ...responses].map((one) => one!.whole)
    );
  messages.octets("request", wireOctets(`${GET}\r\n`), 1);
  assert.deepEqual(changed(), [[true]]);
  messages.octets("response", wireOctets("HTTP/1.1 200 OK\r\n\r\nx"), 2);
  assert.deepEqual(changed(), [[true, false]]);
  assert.deepEqual(changed(), []);
  messages.fin("server");
  assert.deepEqual(changed(), [[true, true]]);
});
