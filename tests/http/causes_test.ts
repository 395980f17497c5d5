import assert from "node:assert/strict";
import { CAUSES, type FaultCode } from "../../lib/http/causes.ts";
import { acceptedIn } from "../../lib/http/message.ts";
import { HttpError } from "../../lib/http/error.ts";
import type { MessageKind } from "../../lib/http/message.ts";
import { decoderFor, readCases, wireOctets } from "../wire_cases.ts";

/** Causes whose degrees differ, by what shows them. */
const SPLIT: [octets: string, code: FaultCode, kind?: MessageKind][] = [
  ["GET / HTTP/1.1\n", "bare-lf"],
  ["GET / HTTP/1.1\r\nHost: a\n", "bare-lf"],
  ["GET / HTTP/1.1\r\nHost: a\r\n\n", "bare-lf"],
  [chunked("5\nhello"), "chunk-bare-lf"],
  [chunked("5;a=b\nhello"), "chunk-bare-lf"],
  [chunked("5\r\nhello\n"), "chunk-bare-lf"],
  [chunked("0\r\nA: b\n"), "bare-lf"],
  [chunked("g"), "chunk-size"],
  [chunked("0x5"), "chunk-size"],
  [chunked("5 \r"), "chunk-extension"],
  [chunked("5;a(b"), "chunk-extension"],
  ["GET / HTTP/1.1\r\nHost : a", "blank-before-colon"],
  ["GET / HTTP/1.1\r\nHost \t : a", "blank-before-colon"],
  ["GET / HTTP/1.1\r\nHost a: b", "blank-in-name"],
  ["GET / HTTP/1.1\r\nHost \r", "blank-in-name"],
  ["GET / HTTP/1.1\r\nHost(: a", "no-colon"],
  ["GET / HTTP/1.1\r\nA: \0", "value-nul"],
  ["GET / HTTP/1.1\r\nA: \x01", "value-byte"],
  [" GET", "blank-before-method"],
  ["\nGET", "no-method"],
  ["GET\t", "blank-after-method"],
  ["GET(", "method-byte"],
  ["GET  ", "blank-before-target"],
  ["GET \r", "empty-target"],
  ["GET /  ", "blank-before-version"],
  ["GET / b", "version-byte"],
  ["GET / HTTP/1.1 ", "blank-after-version"],
  ["GET / HTTP/1.1x", "after-version"],
  ["HTTP/1.1  ", "status-blank", "response"],
  ["HTTP/1.1 2x", "status-code", "response"],
  [head("Host:"), "empty-host"],
  [head("Host: :80"), "empty-host"],
  [head("Host: a/b"), "host-value"],
  [head("Host: a", "Host:"), "two-hosts"],
  ["GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n", "target-no-host"],
  ["GET http://:80/a HTTP/1.1\r\nHost: a\r\n\r\n", "target-no-host"],
  ["GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", "target-authority"],
  ["CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", "connect-port"],
  ["CONNECT a: HTTP/1.1\r\nHost: a\r\n\r\n", "connect-port"],
  ["CONNECT a:b HTTP/1.1\r\nHost: a\r\n\r\n", "connect-port"],
  ["CONNECT u@a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "connect-target"],
  [lengths("5, 5"), "equal-lengths"],
  [lengths("5", "05"), "equal-lengths"],
  [lengths("5,"), "equal-lengths"],
  [lengths("5, 6"), "two-lengths"],
  [lengths("5, x"), "two-lengths"],
  [lengths(","), "two-lengths"],
  [lengths("+5"), "length-value"],
  [lengths(""), "length-value"],
  [codings("gzip"), "chunked-not-last"],
  [codings("chunked, gzip"), "chunked-not-last"],
  [codings(""), "chunked-not-last"],
  [codings('"chunked"'), "chunked-not-last"],
  [codings("chunked, chunked"), "chunked-twice"],
  [codings("chunked", "gzip, chunked"), "chunked-twice"],
  [codings("chunked;a=b"), "chunked-parameter"],
  [codings("gzip, chunked ; a"), "chunked-parameter"],
  [codings("chunked,"), "empty-coding"],
  [codings(", chunked"), "empty-coding"],
  [codings("gzip, chunked"), "unknown-coding"],
];

function chunked(octets: string): string {
  return `${head("Host: a", "Transfer-Encoding: chunked")}${octets}`;
}

function lengths(...values: string[]): string {
  return head("Host: a", ...values.map((value) => `Content-Length: ${value}`));
}

function codings(...values: string[]): string {
  return head("Host: a", ...values.map((value) => `Transfer-Encoding: ${value}`));
}

function head(...lines: string[]): string {
  return `PUT / HTTP/1.1\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n`;
}

for (const [octets, code, kind] of SPLIT) {
  Deno.test(`${JSON.stringify(octets)} is broken by ${code}`, () => {
    assert.equal(causeOf(wireOctets(octets), { kind }), code);
  });
}

function causeOf(octets: Uint8Array, wireCase: Parameters<typeof decoderFor>[0], closed = false): string | undefined {
  const decoder = decoderFor(wireCase);
  decoder.receive(octets);
  if (closed) decoder.close();
  try {
    for (let event = decoder.next(); event !== undefined && event.kind !== "closed"; event = decoder.next());
  } catch (error) {
    if (error instanceof HttpError) return error.fault;
    throw error;
  }
}

Deno.test("each cause breaks some message, but for two that a line end has first", () => {
  const wire = readCases().flatMap(({ cases }) => cases);
  const seen = new Set([
    ...wire.map((wireCase) => causeOf(wireOctets(wireCase.wire), wireCase, wireCase.closed)),
    ...SPLIT.map(([, code]) => code),
  ]);
  assert.deepEqual(Object.keys(CAUSES).filter((code) => !seen.has(code)), ["no-line-end", "section-end"]);
});

const accepted: [octets: string, texts: string[][]][] = [
  ["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", [[], []]],
  ["HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", [[], []]],
  ["HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", [["accepted, though a space is missing after the status code"], []]],
  [
    "HTTP/1.1 200\r\nA: b\r\n c\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n c\r\n\r\n",
    [[
      "accepted, though a space is missing after the status code",
      "accepted, though a field is folded over several lines",
    ], [
      "accepted, though a field is folded over several lines",
    ]],
  ],
];

for (const [octets, texts] of accepted) {
  Deno.test(`${JSON.stringify(octets)} is accepted with ${texts.flat().length} findings`, () => {
    const decoder = decoderFor({ kind: "response" });
    decoder.receive(wireOctets(octets));
    const found = [decoder.next()!, decoder.next()!].map((event) => {
      assert(event.kind === "response" || event.kind === "end");
      return acceptedIn(event).map(({ text }) => text);
    });
    assert.deepEqual(found, texts);
  });
}
