import assert from "node:assert/strict";
import { withLineEnds } from "../../lib/exchange.ts";
import { octetString, wireOctets } from "../wire_cases.ts";

/** What is converted, before and after; `~` is a bare LF that must stay. */
const cases: [what: string, text: string][] = [
  ["a head", "GET / HTTP/1.1\nHost: a\n\n"],
  ["lines that end in CR LF", "GET / HTTP/1.1\r\nHost: a\n\r\n"],
  ["content of known length", "POST / HTTP/1.1\nContent-Length: 4\n\na~b~GET / HTTP/1.1\n\n"],
  [
    "chunks, their lines, and trailers",
    "POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n3;x\na~b\n0\nA: b\n\nGET / HTTP/1.1\n\n",
  ],
  ["chunks beside a length", "POST / HTTP/1.1\nContent-Length: 5\nTransfer-Encoding: chunked\n\n1\n~\n0\n\n"],
  ["a head that breaks rules", "BROKEN\n: a\nContent-Length : 2\n\n~~GET / HTTP/1.1\n"],
  ["a request that is cut off", "GET / HTTP/1.1\nHost: a\r"],
  ["chunks that are cut off", "POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n9\n~"],
  ["empty lines before requests", "\n\nGET / HTTP/1.1\n\n\nGET / HTTP/1.1\n\n"],
  ["what has no size", "POST / HTTP/1.1\nTransfer-Encoding: chunked\n\nx\n~~"],
];

for (const [what, text] of cases) {
  Deno.test(`line ends are converted of ${what}`, () => {
    const octets = wireOctets(text.replaceAll("~", "\n"));
    const expected = text.replaceAll(/\r?\n/g, "\r\n").replaceAll("~", "\n");
    assert.equal(octetString(withLineEnds(octets)), expected);
  });
}
