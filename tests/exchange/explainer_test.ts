import assert from "node:assert/strict";
import { Decoder } from "../../lib/http/decoder.ts";
import { HttpError } from "../../lib/http/error.ts";
import type { MessageKind } from "../../lib/http/message.ts";
import { MAX_SHOWN_CONTENT_OCTETS, type MessageLimits, REQUEST_LIMITS, RESPONSE_LIMITS } from "../../lib/limits.ts";
import {
  ALL_KEPT,
  type Direction,
  Explainer,
  explainOctets,
  type Explanation,
  messageKindOf,
  type OctetRow,
} from "../../lib/exchange.ts";
import { brokenMessages, Random } from "../fuzzing.ts";
import { octetString, readCases, wireOctets } from "../wire_cases.ts";

interface Outcome {
  messages: number;
  error?: { status: number; offset: number | undefined; fault: string | undefined; rule: string | undefined };
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}

/** Returns what the decoder alone finds, up to where the connection is no longer HTTP. */
function decoded(
  octets: Uint8Array,
  kind: MessageKind,
  answers: string,
  closed: boolean,
  limits: Partial<MessageLimits> = {},
): Outcome {
  const usual = kind === "request" ? REQUEST_LIMITS : RESPONSE_LIMITS;
  const decoder = new Decoder(kind, { ...usual, maxContentBytes: Number.MAX_SAFE_INTEGER, ...limits });
  decoder.expectResponseTo(answers);
  decoder.receive(octets);
  if (closed) decoder.close();
  let messages = 0;
  try {
    for (;;) {
      const event = decoder.next();
      if (event === undefined || event.kind === "closed") return { messages };
      if (event.kind === "end") messages++;
      if (event.kind === "response" && (event.status === 101 || answers === "CONNECT" && isSuccess(event.status))) {
        return { messages: messages + 1 };
      }
    }
  } catch (error) {
    assert(error instanceof HttpError);
    const { status, offset, fault, rule } = error;
    return { messages, error: { status, offset, fault, rule } };
  }
}

/** Checks that rows cover the octets exactly once, in order, and parts cover their rows. */
function checkCover(explanations: readonly Explanation[], octets: string): void {
  let at = 0;
  for (const { start, length, rows } of explanations) {
    assert.equal(start, at);
    let row = 0;
    for (const { start: from, end, octets: held, parts } of rows) {
      assert.equal(from, row);
      assert(end > from, "no row is empty");
      assert(octets.startsWith(held, start + from), "a row has its own octets");
      assert(held.length <= end - from);
      let part = from;
      for (const piece of parts ?? []) {
        assert.equal(piece.start, part);
        assert(piece.end > piece.start);
        part = piece.end;
      }
      if (parts !== undefined) assert.equal(part, end);
      row = end;
    }
    assert.equal(row, length);
    at += length;
  }
  assert.equal(at, octets.length);
}

function check(octets: Uint8Array, kind: MessageKind, answers = "GET", closed = false, limits = {}): Explanation[] {
  const expected = decoded(octets, kind, answers, closed, limits);
  const explanations = explainOctets(kind, octets, {
    answers: () => answers,
    closed,
    limits: { [kind]: limits },
    kept: ALL_KEPT,
  });
  checkCover(explanations, octetString(octets));
  const fault = explanations.find((explanation) => explanation.fault)?.fault;
  const error = fault && { status: fault.status, offset: fault.offset, fault: fault.code, rule: fault.rule };
  assert.deepEqual(error, expected.error);
  return explanations;
}

/** How the octets came changes when a message broke, and so what is known of its first line. */
function withoutMessage(explanation: Explanation): Explanation {
  return { ...explanation, message: undefined };
}

for (const { file, cases } of readCases()) {
  for (const { name, section, kind = "request", answers, closed, wire, limits } of cases) {
    Deno.test(`explained, ${file}: ${section}: ${name}`, () => {
      const octets = wireOctets(wire);
      const whole = check(octets, kind, answers, closed, limits);
      const pieces = new Explainer({ answers: () => answers, limits: { [kind]: limits }, kept: ALL_KEPT });
      const lent = new Uint8Array(1);
      for (const octet of octets.subarray(0, 5000)) {
        lent[0] = octet;
        pieces.octets(kind, lent);
        lent[0] = 0xee;
      }
      pieces.octets(kind, octets.subarray(5000));
      if (closed) pieces.pairing.fin(kind);
      pieces.end();
      assert.deepEqual(pieces.take().map(withoutMessage), whole.map(withoutMessage), "however the octets come");
    });
  }
}

Deno.test("any octets have rows, and a fault exactly where the decoder fails", () => {
  const random = new Random(11);
  for (let i = 0; i < 3000; i++) {
    const kind = random.pick(["request", "response"] as const);
    const text = random.below(5) === 0 ? random.octets(random.below(200)) : brokenMessages(random, kind);
    check(wireOctets(text), kind, random.pick(["GET", "HEAD", "CONNECT"]), random.below(2) === 0);
  }
});

/** A request with all that is divided into parts, and all kinds of framing. */
const RICH = "PUT http://a/b?c=d&e HTTP/1.1\r\nHost: a\r\nAccept: a/b;q=0.5, c/d\r\nRange: bytes=0-4,-5\r\n" +
  'Cache-Control: max-age=0, private="a, b"\r\nContent-Type: a/b; c="d;e"\r\nIf-Match: "a", W/"b"\r\n' +
  "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nCookie: a=\xc3\xa9; b\xff\r\nConnection: te\r\n" +
  'Transfer-Encoding: chunked\r\n\r\n5;a="\xc3\xa9\t"\r\nabcde\r\n00\r\nETag: "a"\r\n\r\n';

Deno.test("a message cut at any octet is explained, as a file and as a connection", () => {
  const before = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  for (let end = 1; end <= RICH.length; end++) {
    for (const closed of [false, true]) {
      const [, explanation] = check(wireOctets(before + RICH.slice(0, end)), "request", "GET", closed);
      const state = end === RICH.length ? "whole" : closed ? "broken" : "incomplete";
      assert.equal(explanation.state, state, `${end} octets`);
      if (state === "incomplete") assert.match(explanation.findings[0].text, /^needs /);
    }
  }
});

function explained(text: string, kind: MessageKind = "request", answers: string[] = []): Explanation[] {
  const methods = [...answers];
  return explainOctets(kind, wireOctets(text), { answers: () => methods.shift() });
}

function labels(rows: readonly OctetRow[]): string[] {
  return rows.map(({ start, label }) => `${start} ${label}`);
}

function findings(explanation: Explanation): string[] {
  return explanation.findings.map(({ text }) => text);
}

Deno.test("an incomplete message says how much is missing", () => {
  const [post] = explained("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 15\r\n\r\nabc");
  assert.equal(post.state, "incomplete");
  assert.equal(findings(post)[0], "needs 12 more octets of content");
  const [head] = explained("GET / HTTP/1.1\r\nHost: a\r\nAcc");
  assert.equal(head.state, "incomplete");
  assert.deepEqual(labels(head.rows).slice(-2), [
    "16 which site this is for",
    "25 the start of a line: more is to come",
  ]);
  const [chunk] = explained("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc");
  assert.equal(findings(chunk)[0], "needs 2 more octets of this chunk, and the last chunk");
  const [last] = explained(
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\nA: b\r\n",
  );
  assert.equal(last.state, "incomplete");
  assert.equal(last.rows.at(-1)!.octets, "A: b\r\n");
  assert.equal(findings(last)[0], "needs more: the trailer section has not ended");
});

Deno.test("a message is cut off by the end of a connection, but not of a file", () => {
  const octets = wireOctets("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc");
  const [file] = explainOctets("request", octets);
  assert.equal(file.state, "incomplete");
  const [connection] = explainOctets("request", octets, { closed: true });
  assert.equal(connection.state, "broken");
  assert.equal(connection.fault?.code, "cut-off");
});

Deno.test("responses are read by the methods they answer, interim ones by the same", () => {
  const text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" +
    "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 204 No Content\r\n\r\n";
  const all = explained(text, "response", ["HEAD", "GET"]);
  assert.deepEqual(all.map(findings), [
    ["interim: the final response is still to come"],
    ["no content: it answers HEAD", "stays open: HTTP/1.1 and no Connection: close"],
    ["3 octets of content: Content-Length", "stays open: HTTP/1.1 and no Connection: close"],
    ["no content: 204 never has any", "stays open: HTTP/1.1 and no Connection: close"],
  ]);
});

Deno.test("after 101, or 2xx to CONNECT, octets are no longer HTTP", () => {
  for (
    const [text, answers] of [
      ["HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n\x81\x02", "GET"],
      ["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n\x16\x03", "CONNECT"],
    ]
  ) {
    const [response, rest] = explained(text, "response", [answers]);
    assert.equal(response.state, "whole");
    assert.deepEqual([rest.kind, rest.state], ["unread", "whole"]);
    assert.deepEqual(labels(rest.rows), ["0 no longer HTTP: the connection speaks another protocol"]);
  }
});

Deno.test("octets after the last message are one row", () => {
  const [, rest] = explained("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\n\r\n");
  assert.deepEqual(labels(rest.rows), ["0 not read: the connection ends"]);
  assert.equal(rest.state, "broken");
});

Deno.test("octets behind a gap are not read, which is no fault of theirs", () => {
  const explainer = new Explainer();
  explainer.octets("request", wireOctets("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  explainer.octets("response", wireOctets("HTTP/1.1 200 OK\r\nContent-Le"));
  explainer.pairing.gap("response");
  explainer.octets("response", wireOctets("rest"));
  explainer.end();
  const rest = explainer.take().at(-1)!;
  assert.deepEqual([rest.kind, rest.state], ["unread", "whole"]);
  assert.deepEqual(labels(rest.rows), ["0 not read: octets are missing before it, up to the next start line"]);
});

Deno.test("an empty line after the last request is no message", () => {
  for (const connection of ["keep-alive", "close"]) {
    for (const closed of [false, true]) {
      const octets = wireOctets(`GET / HTTP/1.1\r\nHost: a\r\nConnection: ${connection}\r\n\r\n\r\n`);
      const [, line] = explainOctets("request", octets, { closed });
      assert.deepEqual(labels(line.rows), ["0 an empty line before a request is ignored"]);
      assert.deepEqual([line.kind, line.state], ["unread", "whole"]);
    }
  }
  assert.equal(explained("\r\n")[0].state, "incomplete", "there was no message");
});

Deno.test("a fault within a line is shown in the whole line; with a fault of the head all lines are labelled", () => {
  const [lexical] = explained("GET / HTTP/1.1\r\nHost : a\r\nA: b\r\n\r\n");
  assert.deepEqual(labels(lexical.rows).slice(3), ["16 ", "26 not read: see the fault of request 1"]);
  const [head] = explained("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\nA: b\r\n\r\nabc");
  assert.deepEqual(labels(head.rows).slice(4), [
    "25 octets of content",
    "44 an extension field",
    "50 the head ends",
    "52 not read: see the fault of request 1",
  ]);
});

Deno.test("for long content the first octets are kept, and the first chunks have rows", () => {
  const large = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n${"x".repeat(100_000)}`;
  const [post] = explained(large);
  const row = post.rows.at(-1)!;
  assert.deepEqual([row.end - row.start, row.octets.length], [100_000, 4096]);
  const chunks = `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${
    "1\r\nx\r\n".repeat(1000)
  }0\r\n\r\n`;
  const [chunked] = explained(chunks);
  checkCover([chunked], chunks);
  assert.equal(chunked.rows.length, 6 + 3 * 200 + 3);
  assert.equal(chunked.rows.at(-3)?.label, "800 more chunks, with their content");
  assert.deepEqual(findings(chunked)[0], "1000 octets of content in 1000 chunks");
});

Deno.test("missing octets of content are not counted as if they had come", () => {
  const explainer = new Explainer();
  explainer.octets("request", wireOctets("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\n0123456789"));
  explainer.pairing.gap("request", 10);
  explainer.octets("request", wireOctets("0123456789"));
  const [explanation] = explainer.take();
  assert.deepEqual([explanation.state, explanation.contentOctets], ["whole", 20]);
  assert.deepEqual(findings(explanation).slice(0, 2), [
    "30 octets of content: Content-Length",
    "10 octets of the content not captured",
  ]);
});

Deno.test("all content is kept up to its limit, and covered beyond it", () => {
  const explainer = new Explainer({ kept: ALL_KEPT });
  const length = MAX_SHOWN_CONTENT_OCTETS + 1;
  explainer.octets("request", wireOctets(`PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`));
  explainer.octets("request", new Uint8Array(length));
  const { start, end, octets } = explainer.take()[0].rows.at(-1)!;
  assert.deepEqual([end - start, octets.length], [length, MAX_SHOWN_CONTENT_OCTETS]);
});

Deno.test("many chunks are covered at any end", () => {
  const head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const chunks of [199, 200, 201, 202, 300]) {
    for (
      const end of [
        "",
        "1\r\n",
        "1\r\nx",
        "1\r\nx\r",
        "0x1\r\n",
        "0\r\nHost: b\r\n\r\nmore",
        "1\r\nxy",
        "0\r\nA: b\r\n\r\n",
      ]
    ) {
      const octets = `${head}${"1\r\nx\r\n".repeat(chunks)}${end}`;
      checkCover(explained(octets), octets);
    }
  }
});

Deno.test("a request larger than serve accepts is complete, with a note", () => {
  const [post] = explained(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n${"x".repeat(1_048_577)}`);
  assert.equal(post.state, "whole");
  assert.match(findings(post)[1], /^serve would answer 413/);
});

Deno.test("octets are responses if they begin with HTTP/", () => {
  for (
    const [text, kind] of [["HTTP/1.1 200", "response"], ["HTTP", "response"], ["HTTPS ", "request"], [
      "GET",
      "request",
    ]]
  ) {
    assert.equal(messageKindOf(wireOctets(text)), kind, text);
  }
});

/** What either side of a random conversation sends: messages, broken ones, and octets of other protocols. */
const SENT: Record<Direction, readonly string[]> = {
  request: [
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    "GET / HTTP/1.1\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "\r\n",
    "\x16\x03\x01",
  ],
  response: [
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 204 No\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 101 Switching\r\n\r\n",
    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\n\r\nuntil closed",
    "HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\n",
    "\x16\x03\x01",
  ],
};

Deno.test("every octet of both directions has one row, whatever they say in whatever order", () => {
  const random = new Random(22);
  for (let i = 0; i < 2000; i++) {
    const explainer = new Explainer({ kept: ALL_KEPT });
    const sent = { request: "", response: "" };
    const explanations: Explanation[] = [];
    const lent = new Uint8Array(1000);
    for (let turn = 0; turn < 1 + random.below(12); turn++) {
      const direction = random.pick(["request", "response"] as const);
      if (random.below(20) === 0) explainer.pairing.gap(direction);
      let octets = random.pick(SENT[direction]);
      while (random.below(3) === 0) octets += random.pick(SENT[direction]);
      if (random.below(4) === 0) octets = octets.slice(0, 1 + random.below(octets.length));
      sent[direction] += octets;
      while (octets !== "") {
        const piece = wireOctets(octets.slice(0, random.below(4) === 0 ? 1 + random.below(octets.length) : 1000));
        octets = octets.slice(piece.length);
        lent.set(piece);
        explainer.octets(direction, lent.subarray(0, piece.length));
        lent.fill(0xee);
      }
      explanations.push(...explainer.take());
    }
    for (const direction of ["request", "response"] as const) {
      if (random.below(2) === 0) explainer.pairing.fin(direction);
    }
    for (const direction of ["request", "response"] as const) {
      explainer.end(direction);
      explanations.push(...explainer.take());
    }
    for (const direction of ["request", "response"] as const) {
      checkCover(explanations.filter((one) => one.direction === direction), sent[direction]);
    }
  }
});
