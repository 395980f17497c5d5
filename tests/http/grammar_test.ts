import assert from "node:assert/strict";
import {
  hexValue,
  isAuthority,
  isFieldContentOctet,
  isFieldValue,
  isHexDigit,
  isQuotedTextOctet,
  isTargetOctet,
  isToken,
  isTokenOctet,
  listMembers,
  trimBlanks,
} from "../../lib/http/grammar.ts";

function bytesWhere(predicate: (byte: number) => boolean): string {
  let text = "";
  for (let byte = 0; byte < 256; byte++) if (predicate(byte)) text += String.fromCharCode(byte);
  return text;
}

const UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LOWER = UPPER.toLowerCase();
const DIGITS = "0123456789";

Deno.test("RFC 9110 §5.6.2: exactly these 77 bytes are tchar", () => {
  assert.equal(bytesWhere(isTokenOctet), `!#$%&'*+-.${DIGITS}${UPPER}^_\`${LOWER}|~`);
});

Deno.test("RFC 3986: exactly these bytes are valid in a target", () => {
  assert.equal(bytesWhere(isTargetOctet), `!$&'()*+,-./${DIGITS}:;=?@${UPPER}[]_${LOWER}~`);
});

Deno.test("RFC 9110 §5.5: field content is everything but control characters", () => {
  assert.equal(bytesWhere((byte) => !isFieldContentOctet(byte)), bytesWhere((b) => b < 0x20 && b !== 9 || b === 0x7f));
});

Deno.test("RFC 9110 §5.6.4: qdtext is field content except the quote and the backslash", () => {
  assert.equal(bytesWhere((byte) => isFieldContentOctet(byte) && !isQuotedTextOctet(byte)), '"\\');
  assert.equal(bytesWhere((byte) => isQuotedTextOctet(byte) && !isFieldContentOctet(byte)), "");
});

Deno.test("hexadecimal digits have their values in either case", () => {
  const digits = [..."0123456789abcdef"];
  assert.deepEqual(digits.map((digit) => hexValue(digit.charCodeAt(0))), digits.map((_, i) => i));
  assert.equal(hexValue("F".charCodeAt(0)), 15);
  assert.equal(bytesWhere(isHexDigit), `${DIGITS}ABCDEFabcdef`);
});

Deno.test("isToken and isFieldValue", () => {
  assert.equal(isToken("X-A"), true);
  for (const text of ["", "a b", "a:", "é", "\u0141"]) assert.equal(isToken(text), false, JSON.stringify(text));
  for (const text of ["", "a", "a b\tc", "\xe9"]) assert.equal(isFieldValue(text), true, JSON.stringify(text));
  for (const text of [" a", "a ", "a\tb\t", "a\0", "a\r\nb", "핑"]) {
    assert.equal(isFieldValue(text), false, JSON.stringify(text));
  }
});

const authorities: [text: string, legal: boolean][] = [
  ["a", true],
  ["a.b-c_d~e", true],
  ["127.0.0.1:9999", true],
  ["a:", true],
  ["[::1]", true],
  ["[::1]:80", true],
  ["a%20b", true],
  ["!$&'()*+,;=", true],
  ["", false],
  [":80", false],
  ["a:b", false],
  ["a:80:80", false],
  ["a/b", false],
  ["a@b", false],
  ["a b", false],
  ["a%2", false],
  ["a%zz", false],
  ["a%2z", false],
  ["a%z2", false],
  ["[", false],
  ["[]", false],
  ["[::1", false],
  ["[::g]", false],
  ["[::1]80", false],
  ["[v1.a]", false],
  ["é", false],
];

for (const [text, legal] of authorities) {
  Deno.test(`RFC 9110 §7.2: ${JSON.stringify(text)} is ${legal ? "an" : "no"} authority`, () => {
    assert.equal(isAuthority(text), legal);
  });
}

const lists: [value: string, members: string[]][] = [
  ["", []],
  ["a", ["a"]],
  [" a ,\tb,c ", ["a", "b", "c"]],
  [",a,,b,", ["a", "b"]],
  ['"a,b", c', ['"a,b"', "c"]],
  ['"a\\",b", c', ['"a\\",b"', "c"]],
  ['"a, b', ['"a, b']],
  ["a\xa0", ["a\xa0"]],
];

for (const [value, members] of lists) {
  Deno.test(`RFC 9110 §5.6.1: the members of ${JSON.stringify(value)}`, () => {
    assert.deepEqual(listMembers(value), members);
  });
}

Deno.test("only spaces and tabs are trimmed", () => {
  assert.equal(trimBlanks(" \t a\xa0\x85 \t"), "a\xa0\x85");
  assert.equal(trimBlanks("  "), "");
});
