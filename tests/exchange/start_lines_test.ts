import assert from "node:assert/strict";
import { kindOfLine, startsMessage } from "../../lib/exchange/start_lines.ts";
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
