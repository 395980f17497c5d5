import assert from "node:assert/strict";
import type { FaultCode } from "../../lib/http/causes.ts";
import { MORE, nameOctet, scanLineEnd } from "../../lib/http/scan.ts";
import { wireOctets } from "../wire_cases.ts";

Deno.test("bytes have readable names", () => {
  const names = [0x41, 0x22, 0x00, 0x09, 0x0a, 0x0d, 0x20, 0x1b, 0x7f, 0xe9].map(nameOctet);
  assert.deepEqual(names, ['"A"', '"\\""', "NUL", "TAB", "LF", "CR", "SP", "0x1b", "0x7f", "0xe9"]);
});

Deno.test("a line end is CR LF, or incomplete", () => {
  const bytes = wireOctets("a\r\nb");
  assert.equal(scanLineEnd(bytes, 1, 4, "it", "no-line-end"), 3);
  assert.equal(scanLineEnd(bytes, 1, 2, "it", "no-line-end"), MORE);
  assert.equal(scanLineEnd(bytes, 1, 1, "it", "no-line-end"), MORE);
});

const wrong: [text: string, fault: FaultCode, message: string][] = [
  ["\n", "bare-lf", "A bare LF follows it: lines end with CR LF"],
  ["x", "after-version", 'Expected CR LF after it, saw "x"'],
  ["\rx", "bare-cr", 'A CR must be followed by LF, not by "x"'],
];

for (const [text, fault, message] of wrong) {
  Deno.test(`${JSON.stringify(text)} is no line end`, () => {
    const bytes = wireOctets(text);
    assert.throws(
      () => scanLineEnd(bytes, 0, bytes.length, "it", "after-version"),
      { name: "HttpError", status: 400, message, fault, rule: "RFC 9112 §2.2", offset: 0 },
    );
  });
}
