import assert from "node:assert/strict";
import { beginsAsHttp, kindOfLine, startsMessage } from "../../lib/exchange/start_lines.ts";
import { wireOctets } from "../wire_cases.ts";

const lines: [line: string, kind: string | undefined][] = [
  ["GET / HTTP/1.1\r\n", "request"],
  ["GET / HTTP/1.0\n", "request"],
  ["HTTP/1.1 200 OK\r\n", "response"],
  ["HTTP/1.1 200\r\n", "response"],
  ["GET / HTTP/1.1", undefined],
  ["GET / HTTP/2\r\n", undefined],
  ["Host: a\r\n", undefined],
  [`GET /${"a".repeat(10_000)} HTTP/1.1\r\n`, undefined],
];

for (const [line, kind] of lines) {
  Deno.test(`${JSON.stringify(line.slice(0, 20))} starts ${kind ?? "nothing"}`, () => {
    assert.equal(kindOfLine(line), kind);
    for (const one of ["request", "response"] as const) {
      assert.equal(startsMessage(wireOctets(`${line}Host: a\r\n`), one), one === kind && line.endsWith("\n"));
    }
  });
}

const requests: [octets: string, isHttp: boolean | undefined][] = [
  ["GET / HTTP/1.1\r\n", true],
  ["PURGE / HTTP/1.1\r\n", true],
  ["GET ", true],
  ["DELETE\t/", true],
  ["GET /\r\n", true],
  ["\r\nGET / HTTP/1.1", true],
  ["get / http/1.0\n", true],
  ["PRI * HTTP/2.0\r\n", true],
  ["GE", undefined],
  ["", undefined],
  ["\r\n", undefined],
  ["hello", undefined],
  ["hello\r\n", false],
  ["EHLO example.org\r\n", false],
  ["SSH-2.0-OpenSSH\r\nGET / HTTP/1.1", false],
  ["\x16\x03\x01\x02", false],
  ["x".repeat(10_000), false],
];

for (const [octets, isHttp] of requests) {
  Deno.test(`a client's ${JSON.stringify(octets.slice(0, 40))} begins as HTTP: ${isHttp}`, () => {
    assert.equal(beginsAsHttp(octets, "request"), isHttp);
  });
}

Deno.test("a response that starts with HTTP/ is HTTP", () => {
  const octets = ["HTTP/1.1 200 OK", "HTTP/", "HTT", "", "220 ready\r\n", "ICY 200 OK"];
  assert.deepEqual(octets.map((text) => beginsAsHttp(text, "response")), [
    true,
    true,
    undefined,
    undefined,
    false,
    false,
  ]);
});
