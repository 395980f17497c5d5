import assert from "node:assert/strict";
import { HttpError } from "../../lib/http/error.ts";
import { Fields } from "../../lib/http/fields.ts";
import { nameProblem, requireMediaType, rowName, rowPath } from "../../lib/table/row_content.ts";

function refusal(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof HttpError) return `${error.status} ${error.message}`;
    throw error;
  }
  return "none";
}

Deno.test("a name is percent-decoded from a path, and encoded into one", () => {
  for (const name of ["Pingping", "핑핑", "a b", "100%", "a?b#c", "...", "🐌", "\u{10ffff}"]) {
    assert.equal(rowName(rowPath(name)), name);
  }
  assert.equal(rowPath("핑핑"), "/%ED%95%91%ED%95%91");
});

const paths: [path: string, refusal: string][] = [
  ["/a/b", "404 Nothing is at /a/b: a row is at /NAME, and a name has no /"],
  ["//me:ab@b", "404 Nothing is at //me:(2 octets)@b: a row is at /NAME, and a name has no /"],
  ["//b", "404 Nothing is at //b: a row is at /NAME, and a name has no /"],
  ["/a%2Fb", "400 The row's name must not contain a /"],
  ["/.", "400 The row's name must not be ., which stands for another place in a path"],
  ["/%2E.", "400 The row's name must not be .., which stands for another place in a path"],
  ["/%00", "400 The row's name must not contain control characters"],
  ["/a%1Bb", "400 The row's name must not contain control characters"],
  ["/%C2%85", "400 The row's name must not contain control characters"],
  ["/%FF", '400 The row\'s name must be percent-encoded UTF-8, saw "%FF"'],
  ["/%ED%A0%80", '400 The row\'s name must be percent-encoded UTF-8, saw "%ED%A0%80"'],
  [`/${"a".repeat(257)}`, "400 The row's name has at most 256 octets of UTF-8, saw 257"],
  [`/${"%ED%95%91".repeat(86)}`, "400 The row's name has at most 256 octets of UTF-8, saw 258"],
];

for (const [path, expected] of paths) {
  Deno.test(`the path ${path.slice(0, 30)} names no row`, () => assert.equal(refusal(() => rowName(path)), expected));
}

Deno.test("a name has 1 to 256 bytes and is well-formed", () => {
  assert.equal(nameProblem("a".repeat(256)), undefined);
  assert.equal(nameProblem("핑".repeat(85)), undefined);
  assert.equal(nameProblem(""), "must not be empty");
  for (const control of ["\x00", "\x1f", "\x7f", "\x9f"]) {
    assert.match(nameProblem(`a${control}`)!, /control characters/);
  }
  for (const visible of [" ", "~", "\xa0"]) assert.equal(nameProblem(`a${visible}`), undefined);
  assert.match(nameProblem("\ud800")!, /half of a surrogate pair/);
});

Deno.test("media types are compared without case and parameters", () => {
  const text = "Content-Type: Application/JSON ; charset=utf-8\r\n\r\n";
  const fields = new Fields(text, [0, 12, 14, 46]);
  requireMediaType(fields, ["application/json"]);
  assert.match(refusal(() => requireMediaType(fields, ["text/plain"])), /^415 .* text\/plain, saw "Application\/JSON/);
  assert.match(refusal(() => requireMediaType(Fields.EMPTY, ["text/plain"])), /^415 .* saw no Content-Type/);
});
