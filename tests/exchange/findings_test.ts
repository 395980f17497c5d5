import assert from "node:assert/strict";
import { explainOctets } from "../../lib/exchange.ts";
import { messageKindOf } from "../../lib/exchange.ts";
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
