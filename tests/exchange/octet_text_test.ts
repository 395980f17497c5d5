import assert from "node:assert/strict";
import { octetsOf, readable, units } from "../../lib/exchange/octet_text.ts";

Deno.test("each octet that is not a visible character is escaped, a line end as one unit", () => {
  assert.deepEqual(units("a\r\n\n\t\0\\\x1b~"), ["a", "\\r\\n", "\\n", "\\t", "\\0", "\\\\", "\\x1b", "~"]);
  assert.deepEqual(units("\xc3\xa9"), ["é"]);
  assert.deepEqual(units("\xff\xe9"), ["\\xff", "\\xe9"]);
});

const invisible: [name: string, octets: string][] = [
  ["a bidi control", "\xe2\x80\xae"],
  ["a C1 control in UTF-8", "\xc2\x9b"],
  ["a mark without a letter", "\xcc\x81"],
  ["a joiner", "\xe2\x80\x8d"],
  ["a character of plane 14", "\xf3\xa0\x81\x81"],
  ["a surrogate", "\xed\xa0\x80"],
  ["an overlong character", "\xc0\xaf"],
  ["the start of a character", "\xe2\x80"],
];

for (const [name, octets] of invisible) {
  Deno.test(`${name} is shown octet by octet, and what is beside it as text`, () => {
    const escaped = Array.from(octets, (octet) => `\\x${octet.charCodeAt(0).toString(16)}`);
    assert.deepEqual(units(`\xc3\xa9 ${octets}\xc3\xa9`), ["é", " ", ...escaped, "é"]);
  });
}

Deno.test("the number of octets in a unit", () => {
  for (const octets of ["a", "\r\n", "\n", "\\", "\xc3\xa9", "\xff", "\xf0\x9f\x90\x8c"]) {
    assert.deepEqual(units(octets).map(octetsOf), [octets.length]);
  }
  const mixed = "a\xcc\x81\xe2\x80\xae\xc2\x9b\xff";
  assert.equal(units(mixed).map(octetsOf).reduce((a, b) => a + b), mixed.length);
});

Deno.test("a mark belongs to the letter before it", () => {
  assert.equal(readable("e\xcc\x81\r\n"), "e\u0301\\r\\n");
});
