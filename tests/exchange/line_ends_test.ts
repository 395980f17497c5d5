import assert from "node:assert/strict";
import { withLineEnds } from "../../lib/exchange.ts";
import { LineEnds } from "../../lib/exchange/line_ends.ts";
import { octetString, wireOctets } from "../wire_cases.ts";

/** What is converted, before and after; `~` is a bare LF that must stay. */
const cases: [what: string, text: string, answers?: string[]][] = [
  ["a head", "GET / HTTP/1.1\nHost: a\n\n"],
  ["lines that end in CR LF", "GET / HTTP/1.1\r\nHost: a\n\r\n"],
  ["content of known length", "POST / HTTP/1.1\nContent-Length: 4\n\na~b~GET / HTTP/1.1\n\n"],
  [
    "chunks, their lines, and trailers",
    "POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n3;x\na~b\n0\nA: b\n\nGET / HTTP/1.1\n\n",
  ],
  ["chunks beside a length", "POST / HTTP/1.1\nContent-Length: 5\nTransfer-Encoding: chunked\n\n1\n~\n0\n\n"],
  ["a head that breaks rules", "BROKEN\n: a\nContent-Length : 2\n\n~~GET / HTTP/1.1\n"],
  ["content until the end", "HTTP/1.0 200 OK\n\n~~"],
  ["a response to HEAD", "HTTP/1.1 200 OK\nContent-Length: 9\n\nHTTP/1.1 204 No\n\n", ["HEAD", "GET"]],
  [
    "both in turn",
    "HEAD / HTTP/1.1\n\nHTTP/1.1 200 OK\nContent-Length: 2\n\nGET / HTTP/1.1\n\nHTTP/1.1 200 OK\nContent-Length: 2\n\n~~",
  ],
  [
    "a response within a request",
    "PUT / HTTP/1.1\nExpect: 100-continue\nContent-Length: 1\n\nHTTP/1.1 100 Go\n\n~HTTP/1.1 204 No\n\n",
  ],
  [
    "a response within a chunked request",
    "PUT / HTTP/1.1\nExpect: 100-continue\nTransfer-Encoding: chunked\n\nHTTP/1.1 100 Go\n\n1\n~\n0\n\nHTTP/1.1 204 No\n\n",
  ],
  [
    "content that is not preceded by a response",
    "PUT / HTTP/1.1\nExpect: x\nContent-Length: 2\n\n~~GET / HTTP/1.1\n\n",
  ],
  ["another protocol", "HTTP/1.1 101 Go\n\n~~"],
  ["what has no size", "POST / HTTP/1.1\nTransfer-Encoding: chunked\n\nx\n~~"],
];

for (const [what, text, answers = []] of cases) {
  Deno.test(`line ends are converted of ${what}, whole and octet by octet`, () => {
    const octets = wireOctets(text.replaceAll("~", "\n"));
    const expected = text.replaceAll(/\r?\n/g, "\r\n").replaceAll("~", "\n");
    let converted = "";
    const methods = [...answers];
    new LineEnds((piece) => converted += octetString(piece), () => methods.shift()).receive(octets);
    assert.equal(converted, expected);
    if (answers.length === 0) assert.equal(octetString(withLineEnds(octets)), expected);
    // The first octets behind a head with Expect tell whether a response follows: these are taken from one piece.
    if (/HTTP\/1.1 100/.test(text)) return;
    converted = "";
    const lines = new LineEnds((piece) => converted += octetString(piece), () => answers.shift());
    for (const octet of octets) lines.receive(Uint8Array.of(octet));
    assert.equal(converted, expected);
  });
}
