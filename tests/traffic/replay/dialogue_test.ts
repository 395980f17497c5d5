import assert from "node:assert/strict";
import { type AnswerOutcome, CLOSED_BY_SERVER, Dialogue } from "../../../lib/traffic/replay/dialogue.ts";
import { MAX_INTERIM_RESPONSES } from "../../../lib/limits.ts";
import { wireOctets } from "../../wire_cases.ts";

const HOST = "Host: a\r\n\r\n";
const GET_A = `GET /a HTTP/1.1\r\n${HOST}`;
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const EMPTY = "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n";
const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";

function textOf(outcome: AnswerOutcome | undefined): string {
  if (outcome?.answer === undefined) return outcome?.why ?? "pending";
  const { status, content, interims } = outcome.answer;
  return [...interims.map(({ status, awaited }) => awaited ? `${status} awaited` : status), status, content.start].join(
    " ",
  );
}

function taken(dialogue: Dialogue): string[][] {
  return dialogue.take().map(({ number, title, recorded, now }) => [
    `${number} ${title}`,
    textOf(recorded),
    textOf(now),
  ]);
}

/** A dialogue after this was sent, recorded and received. */
function dialogueOf(sent: string, recorded: string, now: string): Dialogue {
  const dialogue = new Dialogue();
  dialogue.sent(wireOctets(sent));
  dialogue.recorded.receive(wireOctets(recorded));
  dialogue.now.receive(wireOctets(now));
  return dialogue;
}

Deno.test("each request has the recorded answer and this one, in order", () => {
  const dialogue = dialogueOf(`GET /a HTTP/1.1\r\n${HOST}HEAD /b HTTP/1.1\r\n${HOST}`, OK, EMPTY);
  assert.deepEqual(taken(dialogue), [["1 GET /a", "200 ok", "404 "]]);
  assert(dialogue.unanswered);
  // The answer to HEAD has a length and no content.
  const head = OK.slice(0, -2);
  assert(dialogue.recorded.receive(wireOctets(head)));
  assert.equal(dialogue.lacks(), "final");
  assert(!dialogue.now.receive(wireOctets(head.slice(0, -1))));
  assert(dialogue.now.receive(wireOctets("\n")));
  assert.equal(dialogue.lacks(), undefined);
  assert.deepEqual(taken(dialogue), [["2 HEAD /b", "200 ", "200 "]]);
  assert(!dialogue.unanswered);
});

Deno.test("a recorded interim response is awaited until it or the final one is here, or it is excused", () => {
  const expecting = "PUT /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n";
  const dialogue = dialogueOf(expecting + HOST, CONTINUE, "");
  assert.equal(dialogue.lacks(), "interim");
  dialogue.excuse();
  assert.equal(dialogue.lacks(), undefined);
  dialogue.sent(wireOctets("x"));
  dialogue.recorded.receive(wireOctets(OK));
  assert.equal(dialogue.lacks(), "final");
  dialogue.now.receive(wireOctets(OK));
  assert.deepEqual(taken(dialogue), [["1 PUT /a", "100 awaited 200 ok", "200 ok"]]);
});

Deno.test("an answer that is excused is compared all the same if it comes late", () => {
  const dialogue = dialogueOf(`GET /a HTTP/1.1\r\n${HOST}`, OK, "");
  dialogue.excuse();
  assert.deepEqual([dialogue.lacks(), taken(dialogue)], [undefined, []]);
  dialogue.now.receive(wireOctets(OK));
  assert.deepEqual(taken(dialogue), [["1 GET /a", "200 ok", "200 ok"]]);
});

Deno.test("content that ends with the connection is complete then", () => {
  const untilClosed = "HTTP/1.1 200 OK\r\n\r\nall";
  const dialogue = dialogueOf(`GET /a HTTP/1.1\r\n${HOST}`, untilClosed, untilClosed);
  assert(dialogue.recorded.end(CLOSED_BY_SERVER));
  assert.equal(dialogue.lacks(), "final");
  assert(!dialogue.now.end("the server reset the connection"));
  assert.deepEqual(taken(dialogue), [
    ["1 GET /a", "200 all", "only 3 octets of the content of 200: the server reset the connection"],
  ]);
});

Deno.test("requests without an answer say why", () => {
  const two = `GET /a HTTP/1.1\r\n${HOST}GET /b HTTP/1.1\r\n${HOST}`;
  const dialogue = dialogueOf(two, OK + OK, OK.slice(0, -1));
  dialogue.now.end(CLOSED_BY_SERVER);
  dialogue.sent(wireOctets(`GET /c HTTP/1.1\r\n${HOST}`));
  dialogue.recorded.end("the recording ends");
  assert.equal(dialogue.now.ended, "The connection ended in the middle of the content: 1 more octet was announced");
  const [first, ...others] = taken(dialogue);
  assert.match(first[2], /^The connection ended in the middle of the content/);
  assert.deepEqual(others.map(([title, recorded]) => [title, recorded]), [
    ["2 GET /b", "200 ok"],
    ["3 GET /c", "the recording ends"],
  ]);
});

Deno.test("what is no HTTP ends the answers", () => {
  const dialogue = dialogueOf(`GET /a HTTP/1.1\r\n${HOST}`, OK, "SSH-2.0\r\n");
  const [[, , why]] = taken(dialogue);
  assert.match(why, /^no valid HTTP: .* \(RFC 9112 §\d/);
  assert(!dialogue.now.receive(wireOctets(OK)));
});

Deno.test("after 101 the octets are no longer answers", () => {
  const upgrade = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
  const dialogue = dialogueOf(`GET /a HTTP/1.1\r\nUpgrade: x\r\n${HOST}`, `${upgrade}\0\0`, `${upgrade}\0\0`);
  dialogue.sent(wireOctets("\0\0"));
  assert(!dialogue.now.receive(wireOctets("\0")));
  assert.deepEqual(taken(dialogue), [["1 GET /a", "101 ", "101 "]]);
  assert.equal(dialogue.lacks(), undefined);
  assert(dialogue.isBeyondHttp);
  assert(!dialogueOf(GET_A, OK, OK).isBeyondHttp);
});

Deno.test("interim responses without end are an error", () => {
  const dialogue = dialogueOf(`GET /a HTTP/1.1\r\n${HOST}`, OK, CONTINUE.repeat(MAX_INTERIM_RESPONSES + 1));
  assert.deepEqual(taken(dialogue), [["1 GET /a", "200 ok", "there are too many interim responses"]]);
});

const ends: [what: string, request: string, now: string, ended: string | undefined, unsaid: boolean][] = [
  ["after a response that stays", GET_A, OK, undefined, true],
  ["that was announced", GET_A, OK.replace("\r\n", "\r\nConnection: close\r\n"), undefined, false],
  ["that was asked for", GET_A.replace("\r\n", "\r\nConnection: close\r\n"), OK, undefined, false],
  ["that was recorded, too", GET_A, OK, CLOSED_BY_SERVER, false],
];

for (const [what, request, now, ended, unsaid] of ends) {
  Deno.test(`an end ${what} is ${unsaid ? "told" : "as expected"}`, () => {
    const dialogue = dialogueOf(request, OK, now);
    assert(!dialogue.endsUnsaid);
    if (ended !== undefined) dialogue.recorded.end(ended);
    dialogue.now.end(CLOSED_BY_SERVER);
    assert.equal(dialogue.endsUnsaid, unsaid);
  });
}
