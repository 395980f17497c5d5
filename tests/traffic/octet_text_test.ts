import assert from "node:assert/strict";
import { decodeUtf8, octetsOf, units, wrapUnits, wrapWords } from "../../lib/traffic/octet_text.ts";

Deno.test("each octet that is not a visible character is escaped, a line end as one unit", () => {
  assert.deepEqual(units("a\r\n\n\t\0\\\x1b~"), ["a", "\\r\\n", "\\n", "\\t", "\\0", "\\\\", "\\x1b", "~"]);
  assert.deepEqual(units("\xc3\xa9"), ["é"]);
  assert.deepEqual(units("\xff\xe9"), ["\\xff", "\\xe9"]);
  assert.deepEqual(units("\xe2\x80\xae"), ["\\u202e"]);
});

Deno.test("the number of octets in a unit", () => {
  for (const octets of ["a", "\r\n", "\n", "\\", "\xc3\xa9", "\xe2\x80\xae", "\xff"]) {
    assert.deepEqual(units(octets).map(octetsOf), [octets.length]);
  }
});

Deno.test("UTF-8 is text; incomplete or invalid UTF-8 is not", () => {
  assert.equal(decodeUtf8("\xef\xbb\xbfa"), "\ufeffa");
  assert.equal(decodeUtf8("\xc3"), undefined);
});

Deno.test("lines end at the width and behind a line end, and are counted in octets", () => {
  assert.deepEqual(wrapUnits(units("abc\r\nde"), 8), { lines: ["abc\\r\\n", "de"], octets: 7 });
  assert.deepEqual(wrapUnits(units("abcd"), 2), { lines: ["ab", "cd"], octets: 4 });
  assert.deepEqual(wrapUnits(units("abcdef"), 2, 2), { lines: ["ab", "cd"], octets: 4 });
});

Deno.test("lines are filled with words, one that is too long has its own", () => {
  assert.deepEqual(wrapWords("a bc def ghijklmn o".split(" "), 6), ["a bc", "def", "ghijklmn", "o"]);
  assert.deepEqual(wrapWords(["a", "b"], Infinity), ["a b"]);
});
