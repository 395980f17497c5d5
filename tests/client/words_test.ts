import assert from "node:assert/strict";
import { endOfJson, shellWord, splitLine } from "../../lib/client/words.ts";

const texts = (line: string) => splitLine(line, false).map(({ text }) => text);

Deno.test("a line is split at blanks, except in quotes or after a backslash", () => {
  assert.deepEqual(texts("  a  b\tc "), ["a", "b", "c"]);
  assert.deepEqual(texts(`a 'b c' "d \\"e\\" \\f" g\\ h`), ["a", "b c", 'd "e" \\f', "g h"]);
  assert.deepEqual(texts(`'a\\\\b' "a\\\\b"`), ["a\\\\b", "a\\b"]);
  assert.deepEqual(texts(`a '' ""`), ["a", "", ""]);
  assert.deepEqual(texts("핑핑 🐌"), ["핑핑", "🐌"]);
});

Deno.test("from the third word on, a brace or bracket includes the rest of the line", () => {
  assert.deepEqual(splitLine(`post a { "b" : [1] }  `).at(-1), { text: `{ "b" : [1] }`, signs: "", isJson: true });
  assert.deepEqual(texts("a {b c"), ["a", "{b", "c"]);
  assert.deepEqual(texts("a b '{c d'"), ["a", "b", "{c d"]);
  assert.deepEqual(texts("a b c{d e"), ["a", "b", "c{d", "e"]);
});

Deno.test("quoted characters do not separate", () => {
  assert.equal(splitLine(`a'=b'=🐌`)[0].signs, "a\0\0=🐌");
});

Deno.test("words of a shell are JSON in the same places", () => {
  assert.equal(shellWord("{}", 2).isJson, true);
  assert.equal(shellWord("{}", 1).isJson, undefined);
});

Deno.test("after an unquoted @, a backslash of Windows belongs to the file's name, and only quotes group", () => {
  const words = (line: string) => splitLine(line, true).map(({ text }) => text);
  assert.deepEqual(words(String.raw`put M @C:\dir\x.json`), ["put", "M", String.raw`@C:\dir\x.json`]);
  assert.deepEqual(words(String.raw`put M @"C:\my dir\x.json" @d\ e`), [
    ...["put", "M", String.raw`@C:\my dir\x.json`, "@d\\", "e"],
  ]);
  assert.deepEqual(words(String.raw`put M k=@d\x '@d\:x' \@d\x`), ["put", "M", String.raw`k=@d\x`, "@d:x", "@dx"]);
  assert.deepEqual(texts(String.raw`put M @d\ x`), ["put", "M", "@d x"]);
});

Deno.test("JSON ends where its last bracket closes", () => {
  assert.equal(endOfJson('{"a":["}"]} x'), 11);
  assert.equal(endOfJson('{"a\\"}":['), undefined);
});
