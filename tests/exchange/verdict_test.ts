import assert from "node:assert/strict";
import { explainOctets, fixFor, messageKindOf } from "../../lib/exchange.ts";
import { CAUSES } from "../../lib/http/causes.ts";
import { HttpError } from "../../lib/http/error.ts";
import { wireOctets } from "../wire_cases.ts";

const STAYS = "stays open: HTTP/1.1 and no Connection: close";
const cases: [octets: string, findings: string[]][] = [
  ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", ["no content: neither Content-Length nor Transfer-Encoding", STAYS]],
  ["GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n", [
    "no content: neither Content-Length nor Transfer-Encoding",
    "must be refused with 421 where TLS does not secure the connection: the target is an https URI",
    STAYS,
  ]],
  ["GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", [
    "no content: neither Content-Length nor Transfer-Encoding",
    STAYS,
  ]],
  ["PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", ["no content: Content-Length is 0", STAYS]],
  ["PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na", ["1 octet of content: Content-Length", STAYS]],
  ["GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", [
    "no content: neither Content-Length nor Transfer-Encoding",
    "stays open: HTTP/1.0 and Connection: keep-alive",
  ]],
  ["GET / HTTP/1.0\r\n\r\n", [
    "no content: neither Content-Length nor Transfer-Encoding",
    "ends: HTTP/1.0 and no Connection: keep-alive",
  ]],
  ["GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n", [
    "no content: neither Content-Length nor Transfer-Encoding",
    "ends: Connection: close",
  ]],
  ["PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", [
    "1 octet of content in 1 chunk",
    STAYS,
  ]],
  ["HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab", [
    "2 octets of content: Content-Length",
    "ends: HTTP/1.0 and no Connection: keep-alive",
  ]],
  ["HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", ["no content: 304 never has any", STAYS]],
  ["HTTP/1.1 200 OK\r\n\r\nab", [
    "content until the connection ends: 2 octets here",
    "ends: only the connection's end tells where the content ends",
  ]],
  ["HTTP/1.1 103 Early Hints\r\n\r\n", ["interim: the final response is still to come"]],
  ["HTTP/1.1 101 Switching Protocols\r\n\r\n", ["no longer HTTP: what follows is the other protocol"]],
];

for (const [octets, findings] of cases) {
  Deno.test(`what follows from ${JSON.stringify(octets)}`, () => {
    const bytes = wireOctets(octets);
    const [explanation] = explainOctets(messageKindOf(bytes), bytes);
    assert.deepEqual(explanation.findings.map(({ text }) => text), findings);
  });
}

Deno.test("the fix of a cause takes precedence over that of its rule", () => {
  const rule = "RFC 9110 §9.1";
  assert.equal(fixFor(new HttpError(400, "", { fault: "chunk-size", rule })), CAUSES["chunk-size"].fix);
  assert.equal(fixFor(new HttpError(501, "", { rule })), "use a method that the server knows");
  assert.equal(fixFor(new HttpError(404, "")), undefined);
});

const CHUNKED = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

const readings: [name: string, octets: string, readings: string[]][] = [
  ["both lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 0\r\n\r\nabcGET /\r\n", [
    "the first Content-Length: 66-69 0 GET /\r\n",
    "the last Content-Length: 66-66 0 abcGET /\r\n",
  ]],
  ["two equal lengths are one reading", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc", []],
  ["a coding in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", [
    "no length: 47-47 0 1\r\na\r\n0\r\n\r\n",
    "Transfer-Encoding: 47-58 0 ",
  ]],
  [
    "a bare LF that hides a length",
    "POST / HTTP/1.1\r\nHost: a\r\nX: y\nContent-Length: 2\r\n\r\nabGET",
    ["CR LF alone: 52-52 0 abGET", "LF as a line end: 52-54 0 GET"],
  ],
  [
    "a length beyond what is here",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ["Content-Length: 75-80 4 ", "Transfer-Encoding: 75-80 Infinity "],
  ],
  ["a bare LF in a chunk extension", `${CHUNKED}2;a\nab\r\n8\r\n\r\n0\r\n\r\nGET /\r\n0\r\n\r\n`, [
    "CR LF alone: 55-73 0 GET /\r\n0\r\n\r\n",
    "LF as a line end: 55-85 0 ",
  ]],
  ["a bare LF in an extension, and what follows", `${CHUNKED}1\r\nx\r\n5;a\nabcde\r\n0\r\n\r\nGET /`, [
    "CR LF alone: 61-82 Infinity ",
    "LF as a line end: 61-77 0 GET /",
  ]],
  ["a bare LF after a chunk size alone", `${CHUNKED}5\nabcde\r\n0\r\n\r\n`, []],
  ["a bare LF in a trailer", `${CHUNKED}0\r\nA: b\n\r\n`, []],
];

for (const [name, octets, expected] of readings) {
  Deno.test(`two readings: ${name}`, () => {
    const [{ fault }] = explainOctets("request", wireOctets(octets));
    const shown = fault!.readings.map(({ by, start, end, missing, next }) =>
      `${by}: ${start}-${end} ${missing} ${next}`
    );
    assert.deepEqual(shown, expected);
  });
}
