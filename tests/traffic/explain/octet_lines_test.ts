import assert from "node:assert/strict";
import { aroundCaret } from "../../../lib/traffic/explain/octet_lines.ts";
import { octetString } from "../../wire_cases.ts";

const UTF8 = (text: string) => octetString(new TextEncoder().encode(text));

const lines: [name: string, octets: string, at: number, shown: string, caret: number][] = [
  ["escaped octets", "a\tb\x01\r\n", 3, "a\\tb\\x01\\r\\n", 4],
  ["wide characters", `${UTF8("핑핑 ")}\x01`, 7, "핑핑 \\x01", 5],
  ["a mark", `${UTF8("e\u0301 ")}\x01`, 4, "e\u0301 \\x01", 2],
  ["text before octets that are not", `${UTF8("핑")}\x01\xff`, 3, "핑\\x01\\xff", 2],
  ["half a character", "a\xed\x95", 2, "a\\xed\\x95", 5],
];

for (const [name, octets, at, shown, caret] of lines) {
  Deno.test(`the caret is under the octet, with ${name}`, () => {
    assert.deepEqual(aroundCaret(octets, at, 80), { shown, caret });
  });
}

Deno.test("the caret is behind a line for an octet that is missing", () => {
  assert.deepEqual(aroundCaret("ab", 2, 80), { shown: "ab", caret: 2 });
});

Deno.test("a line around the caret fits the width", () => {
  for (const octets of ["\xff".repeat(300), UTF8("핑".repeat(100)), "x".repeat(300)]) {
    for (const width of [20, 34, 74]) {
      for (const at of [0, 9, 150, 297]) {
        const { shown, caret } = aroundCaret(octets, at, width);
        const columns = [...shown].reduce((sum, character) => sum + (character === "핑" ? 2 : 1), 0);
        assert(columns <= width && caret < width, shown);
      }
    }
  }
});
