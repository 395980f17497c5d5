import assert from "node:assert/strict";
import { chunkLabel, fieldRow, sectionRow, startLineRows } from "../../lib/exchange/rows.ts";

function startLine(line: string, isRequest: boolean): string[] {
  return startLineRows(line, 0, isRequest).map(({ octets, label, rule }) => `${octets}|${label}|${rule}`);
}

Deno.test("start lines are divided into parts", () => {
  assert.deepEqual(startLine("BREW * HTTP/1.1\r\n", true), [
    "BREW |method: an extension|RFC 9110 §9.1",
    "* |target, asterisk form|RFC 9112 §3.2.4",
    "HTTP/1.1\r\n|version, line end|RFC 9112 §2.3",
  ]);
  assert.deepEqual(startLine("HTTP/1.0 299 \r\n", false), [
    "HTTP/1.0 |version|RFC 9112 §2.3",
    "299 |status: successful|RFC 9110 §15.3",
    "\r\n|no reason phrase, line end|RFC 9112 §4",
  ]);
});

const OCTETS = "each %XX one octet of UTF-8 (RFC 3986 §2.1)";
const targets: [method: string, target: string, form: string, parts: string[]][] = [
  ["GET", "/", "origin", []],
  ["GET", "/a?b=1&&c", "origin", ["/a|path", "?b=1|query parameter b", "&|empty query", "&c |query parameter c"]],
  ["GET", "http://a/b?c", "absolute", ["http://a|scheme and authority", "/b|path", "?c |query parameter c"]],
  ["GET", "http://a?/c", "absolute", ["http://a|scheme and authority", "?/c |query parameter /c"]],
  ["GET", "http://a/b", "absolute", ["http://a|scheme and authority", "/b |path"]],
  ["GET", "http://a", "absolute", ["http://a |scheme and authority"]],
  ["CONNECT", "a:1", "authority", []],
  ["GET", "/%ED%95%91", "origin", [`/%ED%95%91 |is /핑: ${OCTETS}`]],
  ["GET", "/%ED%95%91?a=%C3%A9&b", "origin", [
    `/%ED%95%91|path; is /핑: ${OCTETS}`,
    `?a=%C3%A9|query parameter a; is ?a=é: ${OCTETS}`,
    "&b |query parameter b",
  ]],
];

for (const [method, target, form, expected] of targets) {
  Deno.test(`the target ${target} and its parts`, () => {
    const [, row] = startLineRows(`${method} ${target} HTTP/1.1\r\n`, 5, true);
    const { start, octets, label, parts = [] } = row;
    assert.equal(label, `target, ${form} form`);
    assert.deepEqual(
      parts.map((part) => `${octets.slice(part.start - start, part.end - start)}|${part.label}`),
      expected,
    );
  });
}

Deno.test("a single part of a field is described in the field's label", () => {
  assert.equal(
    fieldRow("Connection: close\r\n", 0).label,
    "options for this connection alone; the connection ends after this message",
  );
  assert.equal(fieldRow("Accept: */*\r\n", 0).label, "media types the client takes");
  assert.equal(fieldRow("Content-Type: text/html\r\n", 0).label, "media type of the content");
  assert.equal(fieldRow("Content-Type: text/html; charset=utf-8\r\n", 0).parts![1].label, "media type");
  const location = fieldRow("Location: /%ED%95%91\r\n", 0);
  assert.equal(location.label, "where to go, or what was created");
  assert.equal(location.parts![1].label, `is /핑: ${OCTETS}`);
  assert.equal(fieldRow("Location: /a\r\n", 0).parts, undefined);
  assert.equal(fieldRow("X-Y: close\r\n", 0).label, "an extension field");
});

Deno.test("trailers are labelled as trailers", () => {
  assert.deepEqual(['ETag: "a"\r\n', "A: b\r\n", "\r\n"].map((line) => sectionRow(line, 0, true).label), [
    "trailer, tag of this version of the content; a strong tag",
    "trailer, an extension field",
    "the trailer section ends",
  ]);
  assert.equal(sectionRow("\r\n", 0, true, true).label, "no trailers");
});

const chunkLines: [line: string, label: string][] = [
  ["1\r\n", "chunk 3: 1 octet"],
  ["01\r\n", "chunk 3: 0x01 is 1 octet"],
  ["A\r\n", "chunk 3: 0xA is 10 octets"],
  ["5 ; a=b;c\r\n", "chunk 3: 5 octets; extensions a=b;c"],
  ["5;a=\xc3\xa9\t\xff\r\n", "chunk 3: 5 octets; extension a=é\\t\\xff"],
  ["00;a\r\n", "the last chunk; extension a"],
];

for (const [line, label] of chunkLines) {
  Deno.test(`the chunk line ${JSON.stringify(line)}`, () => assert.equal(chunkLabel(line, 3), label));
}
