import assert from "node:assert/strict";
import { spelling, type ValueKind, valueParts } from "../../lib/exchange/values.ts";

const cases: [kind: ValueKind, value: string, parts: string[]][] = [
  ["list", "a, b;q=0.5 ,c;q=0", ["a, |member", "b;q=0.5 ,|member, weight 0.5", "c;q=0|member, not acceptable"]],
  ["list", 'a="b,\\"c", d', ['a="b,\\"c", |member', "d|member"]],
  ["list", 'a, "b, c', ["a, |member", '"b, c|member']],
  ["list", 'a, "b\\', ["a, |member", '"b\\|']],
  ["list", ",a", [",|", "a|member"]],
  ["parameters", "text/html; charset=utf-8", ["text/html; |member", "charset=utf-8|parameter charset"]],
  ["cookies", "a=b; Secure", ["a=b; |a is set", "Secure|Secure is on"]],
  ["cookies", "\xc3\xa9=b; \x9b", ["\xc3\xa9=b; |é is set", "\x9b|\\x9b is on"]],
  ["cache", "max-age=1, x", ["max-age=1, |fresh for 1 second", "x|an extension"]],
  ["cache", "s-maxage=60, max-stale", [
    "s-maxage=60, |for shared caches: fresh for 60 seconds",
    "max-stale|stale by so many seconds is fine",
  ]],
  ["options", "close, X-A", ["close, |the connection ends after this message", "X-A|a field for the next hop only"]],
  ["date", "Sun, 06 Nov 1994 08:49:37 GMT", ["Sun, 06 Nov 1994 08:49:37 GMT|in GMT"]],
  ["date", "Mon, 06 Nov 1994 08:49:37 GMT", ["Mon, 06 Nov 1994 08:49:37 GMT|in GMT, but there is no such day"]],
  ["date", "Sunday, 06-Nov-94 08:49:37 GMT", ["Sunday, 06-Nov-94 08:49:37 GMT|an obsolete form of a date"]],
  ["date", "Sun Nov  6 08:49:37 1994", ["Sun Nov  6 08:49:37 1994|an obsolete form of a date"]],
  ["date", "0", ["0|not a date"]],
  ["tags", '"a", W/"b", *, c', [
    '"a", |a strong tag',
    'W/"b", |a weak tag: the same meaning',
    "*, |any version",
    "c|not a tag",
  ]],
  ["range", "bytes=0-4, 5-, -6, -1, x", [
    "bytes=|unit bytes",
    "0-4, |octets 0 to 4",
    "5-, |from octet 5 on",
    "-6, |the last 6 octets",
    "-1, |the last octet",
    "x|not a range",
  ]],
  ["range", "x", []],
  ["condition", '"a"', ['"a"|a strong tag']],
  ["condition", 'W/"a"', ['W/"a"|a weak tag: the same meaning']],
  ["condition", "120", ["120|seconds"]],
  ["uri", "/a", []],
  ["uri", "/%ED%95%91%ED%95%91", ["/%ED%95%91%ED%95%91|is /핑핑: each %XX one octet of UTF-8 (RFC 3986 §2.1)"]],
  ["credentials", "Basic dXNlcjpwYXNz", [
    "Basic |scheme",
    "dXNlcjpwYXNz|spells user:pass: base64 hides nothing (RFC 7617 §2)",
  ]],
  ["credentials", "basic  w6k6G1s= ", [
    "basic  |scheme",
    "w6k6G1s= |spells é:\\x1b[: base64 hides nothing (RFC 7617 §2)",
  ]],
  ["credentials", "Basic *******", []],
  ["credentials", "Basic a", []],
  ["credentials", "Bearer dXNlcjpwYXNz", []],
  ["condition", "Sun, 06 Nov 1994 08:49:37 GMT", ["Sun, 06 Nov 1994 08:49:37 GMT|in GMT"]],
];

Deno.test("members of a list are labelled by what they are", () => {
  const labels = (kind: ValueKind, value: string) => valueParts(kind, value, 0, "media type").map(({ label }) => label);
  assert.deepEqual(labels("list", "a/b, c/d;q=0.1"), ["media type", "media type, weight 0.1"]);
  assert.deepEqual(labels("parameters", "a/b;c=d"), ["media type", "parameter c"]);
});

for (const [kind, value, parts] of cases) {
  Deno.test(`parts of the ${kind} ${JSON.stringify(value)}`, () => {
    const shown = valueParts(kind, value, 7).map(({ start, end, label }) =>
      `${value.slice(start - 7, end - 7)}|${label}`
    );
    assert.deepEqual(shown, parts);
  });
}

const spelt: [written: string, shown: string | undefined][] = [
  ["/a+b", undefined],
  ["/a%20b", "/a b"],
  ["/%e2%82%ac%F0%9F%98%80", "/€😀"],
  ["/100%25", "/100%"],
  // What is reserved means something else when it is not encoded (RFC 3986 §2.2).
  ["/a%2Fb%3f%26", undefined],
  ["/%ED%95%91%2F%00%1b%7F", "/핑%2F%00%1b%7F"],
  // What is no UTF-8, or would not be seen, stays too.
  ["/%ff%41%c3", "/%ffA%c3"],
  ["/%E2%80%AE%C2%9B", undefined],
  ["/%5c%zz%4", "/\\%zz%4"],
  ["\xff%41", "\\xffA"],
];

for (const [written, shown] of spelt) {
  Deno.test(`${JSON.stringify(written)} spells ${shown ?? "nothing else"}`, () => {
    assert.equal(spelling(written), shown && `is ${shown}: each %XX one octet of UTF-8 (RFC 3986 §2.1)`);
  });
}
