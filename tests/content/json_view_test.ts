import assert from "node:assert/strict";
import { indentJson as piecesOf } from "../../lib/content/json_view.ts";
import { escapeJson, type Painter, painterFor } from "../../lib/terminal.ts";

const plain = painterFor(false);

/** Returns all of the lines. */
function indentJson(text: string, painter: Painter): string | undefined {
  const pieces = piecesOf(text, painter, escapeJson);
  return pieces && [...pieces].join("");
}

const shown: [text: string, lines: string[] | undefined][] = [
  ["{}", ["{}"]],
  ["[ ]", ["[]"]],
  ["1", ["1"]],
  ['{"a":1}', ["{", '  "a": 1', "}"]],
  ['{"a":{"b":[1,2,{}]},"c":[]}', [
    "{",
    '  "a": {',
    '    "b": [',
    "      1,",
    "      2,",
    "      {}",
    "    ]",
    "  },",
    '  "c": []',
    "}",
  ]],
  // Nothing but blanks may change: order, digits, repeated names, escapes.
  ['{"b":12345678901234567890,"a":1e400,"b":-0.10}', [
    "{",
    '  "b": 12345678901234567890,',
    '  "a": 1e400,',
    '  "b": -0.10',
    "}",
  ]],
  ['{"2":1,"1":2}', ["{", '  "2": 1,', '  "1": 2', "}"]],
  ['["a\\"b:c,{","\\u0041",true,null]', ["[", '  "a\\"b:c,{",', '  "\\u0041",', "  true,", "  null", "]"]],
  ["", undefined],
  ["{", undefined],
  ["nonsense", undefined],
];

for (const [text, lines] of shown) {
  Deno.test(`JSON for reading: ${text || "nothing"}`, () => assert.equal(indentJson(text, plain), lines?.join("\n")));
}

Deno.test("without blanks, indented JSON equals the received JSON", () => {
  const value = { a: ["x y", { "b ": -1.5e-7 }, [], {}], "\u202e": "\x9b", c: [[[]]], d: "핑 🐌" };
  const text = JSON.stringify(value);
  const indented = indentJson(text.replaceAll("\u202e", "x").replaceAll("\x9b", "y"), plain)!;
  assert.deepEqual(JSON.parse(indented), JSON.parse(text.replaceAll("\u202e", "x").replaceAll("\x9b", "y")));
  assert.equal(
    indented.replace(/\n */g, "").replaceAll('": ', '":'),
    text.replaceAll("\u202e", "x").replaceAll("\x9b", "y"),
  );
});

Deno.test("JSON whose lines would be too long is not indented", () => {
  assert.equal(indentJson("[".repeat(100_000) + "]".repeat(100_000), plain), undefined);
  assert.equal(indentJson(`${"[".repeat(3000)}${"1,".repeat(100_000)}1${"]".repeat(3000)}`, plain), undefined);
  assert.match(indentJson("[".repeat(100) + "]".repeat(100), plain)!, /\n {198}\[\]\n/);
});

Deno.test("indented JSON comes in pieces", () => {
  const pieces = [...piecesOf(JSON.stringify(Array(200_000).fill(0)), plain, escapeJson)!];
  assert(pieces.length > 10 && pieces.length < 1000 && pieces.every(({ length }) => length < 20_000));
});

Deno.test("control characters are escaped, and parts have different colours", () => {
  assert.match(indentJson('["\u202e\x9b"]', plain)!, /"\\u202e\\u009b"/);
  const painter = (style: string, text: string) => `<${style} ${text}>`;
  assert.equal(
    indentJson('{"a":["b",1,true]}', painter),
    '{\n  <blue "a">: [\n    <green "b">,\n    <cyan 1>,\n    <yellow true>\n  ]\n}',
  );
});
