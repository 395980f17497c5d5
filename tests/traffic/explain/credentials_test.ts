import assert from "node:assert/strict";
import { explainOctets } from "../../../lib/exchange.ts";
import { painterFor } from "../../../lib/terminal.ts";
import { explanationText, maskedReading, messageCredentials } from "../../../lib/traffic/explain/text.ts";
import { wireOctets } from "../../wire_cases.ts";

const CHUNKED = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
const messages: [where: string, octets: string][] = [
  ["a head", "GET / HTTP/1.1\r\nHost: a\r\nCookie: s3cret\r\n\r\n"],
  ["a request behind a broken head", "GET / HTTP/1.1\r\nA : b\r\n\r\nGET / HTTP/1.1\r\nCookie: s3cret\r\n\r\n"],
  ["what follows a refused start line", "GET  / HTTP/1.1\r\n\r\nCookie: s3cret\r\n"],
  ["trailers", `${CHUNKED}1\r\na\r\n0\r\nX-Token: s3cret\r\n\r\n`],
  ["trailers after the content", `${CHUNKED}1\r\na\r\nCookie: s3cret\r\n\r\n`],
  ["a trailer that is not complete", `${CHUNKED}1\r\na\r\n0\r\nX-Token: s3cret`],
  ["the first line", "Authorization: Bearer s3cret\r\n\r\n"],
  ["a target", "GET http://me:s3cret@a/ HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["a query", "GET /?u=http://me:s3cret@a&b HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["a Host field", "GET / HTTP/1.1\r\nHost: me:s3cret@a\r\n\r\n"],
  [
    "one of two readings",
    "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\nCookie: s3cret\r\n\r\n",
  ],
];

for (const [where, octets] of messages) {
  Deno.test(`a credential in ${where} is not told`, () => {
    const [explanation] = explainOctets("request", wireOctets(octets));
    const at = octets.indexOf("s3cret");
    for (const whole of [undefined, octets]) {
      const found = messageCredentials(explanation.rows, whole);
      assert(found.some(({ start, end }) => start <= at && end >= at + 6), JSON.stringify(found));
    }
    const layout = { width: 80, all: true, painter: painterFor(false) };
    assert.doesNotMatch(explanationText(explanation, { ...layout, masked: true }), /s3cret/);
    assert.match(explanationText(explanation, layout), /s3cret/);
    const { fault } = explanation;
    assert.doesNotMatch(JSON.stringify([fault?.detail, fault?.readings.map(maskedReading)]), /s3cret/);
  });
}

Deno.test("content is never masked", () => {
  const content = "Cookie: a\r\n\r\nCookie: b";
  const fixed = `PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: ${content.length}\r\n\r\n${content}`;
  const chunks = `${content.length.toString(16)}\r\n${content}\r\n`.repeat(300);
  for (const octets of [fixed, `${CHUNKED}${chunks}0\r\nCookie: c\r\n\r\n`]) {
    const [{ rows }] = explainOctets("request", wireOctets(octets));
    const last = { start: octets.length - 5, end: octets.length - 4 };
    assert.deepEqual(messageCredentials(rows, octets), octets === fixed ? [] : [last]);
    assert.deepEqual(messageCredentials(rows), octets === fixed ? [] : [last]);
  }
});

Deno.test("octets after those that rows hold are looked at too", () => {
  const octets = `A\r\n${"a".repeat(1e5)}\r\nCookie: ab\r\n\r\nGET / HTTP/1.1\r\nCookie: cd`;
  const [{ rows }] = explainOctets("request", wireOctets(octets));
  const second = octets.length - 2;
  assert.deepEqual(messageCredentials(rows, octets).map(({ start }) => start), [octets.indexOf("ab\r"), second]);
});
