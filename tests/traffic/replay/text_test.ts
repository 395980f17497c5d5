import assert from "node:assert/strict";
import type { MessageKind } from "../../../lib/http_message.ts";
import { painterFor } from "../../../lib/terminal.ts";
import { EntityTags } from "../../../lib/traffic/replay/compare.ts";
import { CLOSED_BY_SERVER, Dialogue } from "../../../lib/traffic/replay/dialogue.ts";
import { compareExchange, exchangeJson, exchangeText, sumText, unsentText } from "../../../lib/traffic/replay/text.ts";
import { brokenMessages, Random } from "../../fuzzing.ts";
import { wireOctets } from "../../wire_cases.ts";

function replayed(request: string, recorded: string | undefined, now: string | undefined) {
  const dialogue = new Dialogue();
  dialogue.sent(wireOctets(request));
  for (const [source, octets] of [["recorded", recorded], ["now", now]] as const) {
    if (octets !== undefined) dialogue[source].receive(wireOctets(octets));
    dialogue[source].end("it ended");
  }
  const [exchange] = dialogue.take();
  const compared = compareExchange(exchange, new EntityTags());
  return { text: exchangeText(3, compared, painterFor(false)), json: exchangeJson(3, compared) };
}

function textOf(request: string, recorded: string | undefined, now: string | undefined): string {
  return replayed(request, recorded, now).text;
}

const GET = "GET /a HTTP/1.1\r\nHost: a:1\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const empty = (status: string, fields = "") => `HTTP/1.1 ${status}\r\n${fields}Content-Length: 0\r\n\r\n`;

Deno.test("an answer that is the recorded one is one line", () => {
  assert.equal(textOf(GET, OK, OK), "connection 3, exchange 1: GET /a: same, 200 OK");
});

Deno.test("what differs is shown as it was and as it is", () => {
  assert.equal(
    textOf(GET, OK, empty("404 Not Found")),
    `connection 3, exchange 1: GET /a: differs
  status
    recorded: 200 OK
    now:      404 Not Found
  content
    recorded: ok (2 octets)
    now:      none`,
  );
});

Deno.test("why there is no whole response is text, not octets", () => {
  assert.match(textOf(GET, OK, "SSH-2.0\r\n"), / no whole response: no valid HTTP: .* \(RFC 9112 §2\.3\)$/);
});

Deno.test("a compared exchange as JSON", () => {
  const members = { connection: 3, exchange: 1, method: "GET", target: "/a" };
  const json = (recorded: string | undefined, now: string | undefined) => JSON.parse(replayed(GET, recorded, now).json);
  assert.deepEqual(json(OK, OK), { ...members, verdict: "same", recorded: 200, now: 200, differences: [] });
  assert.deepEqual(json(OK, empty("404 Not Found")), {
    ...members,
    ...{ verdict: "different", recorded: 200, now: 404 },
    differences: [
      { what: "status", recorded: "200 OK", now: "404 Not Found" },
      { what: "content", recorded: "ok (2 octets)", now: "none" },
    ],
  });
  const none = { recorded: 200, now: null, why: "it ended", differences: [] };
  assert.deepEqual(json(OK, undefined), { ...members, verdict: "none", ...none });
  const unknown = { recorded: null, now: 200, why: "it ended", differences: [] };
  assert.deepEqual(json(undefined, OK), { ...members, verdict: "not compared", ...unknown });
});

Deno.test("JSON has no credentials, and octets beyond ASCII escaped", () => {
  const request = "GET http://u:s3cret@a/ HTTP/1.1\r\nHost: a\r\n\r\n";
  const fields = (value: string) => empty("200 OK", `Proxy-Authorization: Basic ${value}\r\nX: \xe9${value}\x9b\r\n`);
  const { json } = replayed(GET, fields("s3cret"), fields("other"));
  assert.match(json, /"recorded":"\\u00e9s3cret\\u009b"/);
  assert.match(json, /"what":"field Proxy-Authorization","recorded":"Basic \(6 octets\)"/);
  assert.doesNotMatch(replayed(request, OK, OK).json, /s3cret/);
});

Deno.test("an answer that is not there says why", () => {
  assert.equal(
    textOf(GET, OK, undefined),
    "connection 3, exchange 1: GET /a: differs\n    recorded: 200 OK\n    now:      no whole response: it ended",
  );
  assert.equal(
    textOf(GET, undefined, OK),
    "connection 3, exchange 1: GET /a: not compared, for the recording has no whole response: it ended",
  );
});

Deno.test("a refused precondition with a recorded entity tag is explained", () => {
  const request = 'PUT /a HTTP/1.1\r\nHost: a\r\nIf-Match: "17"\r\nContent-Length: 0\r\n\r\n';
  const hint = '(the request names the recorded entity tag "17", which no other run gives)';
  assert(textOf(request, empty("200 OK"), empty("412 Precondition Failed")).endsWith(`\n    ${hint}`));
  assert(!textOf(request, empty("412 No"), empty("200 OK")).includes("entity tag"));
  const conditional = 'GET /a HTTP/1.1\r\nHost: a\r\nIf-None-Match: "17"\r\n\r\n';
  assert(textOf(conditional, "HTTP/1.1 304 Not Modified\r\n\r\n", OK).endsWith(`\n    ${hint}`));
});

Deno.test("a host that another server does not answer for is explained", () => {
  const text = textOf(GET, OK, empty("421 Misdirected Request"));
  assert.match(
    text,
    /\n {4}\(the request names the recorded host a:1, as it is not rewritten: serve has --allow-host\)$/,
  );
});

Deno.test("what a peer sent is escaped, shortened, and credentials are masked", () => {
  const text = textOf(
    "GET /\x1b[2J HTTP/1.1\r\nHost: a\r\n\r\n",
    empty("400 No", `X-A: ${"x".repeat(1000)}\r\nSet-Cookie: secret=1\r\n`),
    empty("400 No", "X-A: \xff\r\n"),
  );
  // deno-lint-ignore no-control-regex -- what must not be there
  assert.doesNotMatch(text, /[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
  assert.match(text, /^connection 3, exchange 1: GET \/\\x1b\[2J: differs$/m);
  assert.match(text, /^ {4}recorded: x{240}…$/m);
  assert.match(text, /^ {4}now: {6}\\xff$/m);
  assert.match(text, /^ {4}recorded: \(8 octets\)$/m);
});

Deno.test("the report says what was not sent", () => {
  assert.equal(unsentText(1, 1, "it ended"), "connection 1: 1 octet not sent: it ended");
  assert.equal(unsentText(1, 2, "it ended"), "connection 1: 2 octets not sent: it ended");
});

const sums: [same: number, different: number, rest: number, text: string, cutShort?: number][] = [
  [1, 0, 0, "1 exchange: the same; 1 connection cut short", 1],
  [2, 1, 0, "3 exchanges: 2 the same, 1 different; 2 connections cut short", 2],
  [1, 0, 0, "1 exchange: the same"],
  [2, 0, 0, "2 exchanges: all the same"],
  [1, 2, 0, "3 exchanges: 1 the same, 2 different"],
  [0, 0, 1, "1 exchange: 0 the same, 1 not compared"],
  [1, 1, 1, "3 exchanges: 1 the same, 1 different, 1 not compared"],
];

for (const [same, different, rest, text, cutShort = 0] of sums) {
  Deno.test(`the last line is "${text}"`, () => {
    assert.equal(sumText({ same, different, "not compared": rest }, cutShort), text);
  });
}

Deno.test("whatever both ends send, each exchange is reported once, in safe text", () => {
  const random = new Random(12);
  for (let round = 0; round < 300; round++) {
    const dialogue = new Dialogue();
    const tags = new EntityTags();
    const texts: string[] = [];
    const report = () => {
      for (const exchange of dialogue.take()) {
        texts.push(exchangeText(1, compareExchange(exchange, tags), painterFor(false)));
      }
    };
    for (let step = 0; step < 12; step++) {
      const messages = (kind: MessageKind) => wireOctets(brokenMessages(random, kind));
      random.pick([
        () => dialogue.sent(messages("request")),
        () => void dialogue.recorded.receive(messages("response")),
        () => void dialogue.now.receive(messages("response")),
        () => dialogue.excuse(),
        () => void (random.below(8) === 0 && dialogue[random.pick(["recorded", "now"] as const)].end(CLOSED_BY_SERVER)),
      ])();
      report();
    }
    for (const source of ["recorded", "now"] as const) dialogue[source].end("the end");
    report();
    assert.equal(dialogue.lacks(), undefined);
    texts.forEach((text, i) => {
      assert(text.startsWith(`connection 1, exchange ${i + 1}: `), text);
      // deno-lint-ignore no-control-regex -- what must not be there
      assert.doesNotMatch(text, /[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
    });
  }
});
