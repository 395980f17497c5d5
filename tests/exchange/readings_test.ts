import assert from "node:assert/strict";
import { explainOctets } from "../../lib/exchange.ts";
import { wireOctets } from "../wire_cases.ts";

const CHUNKED = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

const cases: [name: string, octets: string, readings: string[]][] = [
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

for (const [name, octets, expected] of cases) {
  Deno.test(`two readings: ${name}`, () => {
    const [{ fault }] = explainOctets("request", wireOctets(octets));
    const shown = fault!.readings.map(({ by, start, end, missing, next }) =>
      `${by}: ${start}-${end} ${missing} ${next}`
    );
    assert.deepEqual(shown, expected);
  });
}
