import assert from "node:assert/strict";
import {
  ContentText,
  displayWidth,
  escapeJson,
  escapeText,
  isColored,
  painterFor,
  showHead,
  wordsOf,
  wrapMessage,
  wrapWords,
} from "../lib/terminal.ts";

const plain = painterFor(false);

const texts: [text: string, shown: string][] = [
  ["plain text, 핑핑 🐌\tand a tab\n", "plain text, 핑핑 🐌\tand a tab\n"],
  ["\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"],
  ["a\r\nb\r\n", "a\nb\n"],
  ["safe\rEVIL", "safe\\rEVIL"],
  ["\r\r\n", "\\r\n"],
  ["\x9b31m\x85\x7f\0", "\\x9b31m\\x85\\x7f\\x00"],
  ["\u202egnp.exe\u202c \u2066a\u2069 \u200f\u061c", "\\u202egnp.exe\\u202c \\u2066a\\u2069 \\u200f\\u061c"],
  ["\u2028\u2029\ufeff", "\\u2028\\u2029\\ufeff"],
  ["a\u200bb\u2060c\u00add\u180ee\u3164", "a\\u200bb\\u2060c\\xadd\\u180ee\\u3164"],
  ["\u{e0041}\u{e0100}\u{1d173}", "\\u{e0041}\\u{e0100}\\u{1d173}"],
  ["👩\u200d🚀 ❤\ufe0f \u0646\u200c\u0647", "👩\u200d🚀 ❤\ufe0f \u0646\u200c\u0647"],
  ["\b\v\f", "\\x08\\x0b\\x0c"],
];

for (const [text, shown] of texts) {
  Deno.test(`${JSON.stringify(text)} cannot order a terminal about`, () => assert.equal(escapeText(text), shown));
}

Deno.test("content may be split anywhere", () => {
  const bytes = new TextEncoder().encode("핑\r\n🐌\rx\r\n");
  const whole = "핑\n🐌\\rx\n";
  for (let at = 0; at <= bytes.length; at++) {
    const text = new ContentText();
    const shown = text.add(bytes.subarray(0, at)) + text.add(bytes.subarray(at)) + text.end();
    assert.equal(shown, whole, `cut at ${at}`);
  }
});

Deno.test("the start of a line end is kept back", () => {
  const text = new ContentText();
  assert.equal(text.add(new TextEncoder().encode("\r")), "");
  assert.equal(text.end(), "\\r");
});

Deno.test("a head is shown with its line ends, escaped, and not coloured unless asked", () => {
  const head = "HTTP/1.1 404 Not\x1b Found\r\nA: b\xed\x95\x91\r\n\r\n";
  assert.equal(showHead(head, plain), "HTTP/1.1 404 Not\\x1b Found\nA: b핑\n\n");
});

Deno.test("colours show the class of the status and the names of fields", () => {
  const paint = painterFor(true);
  assert.equal(
    showHead("HTTP/1.1 200 OK\r\nA: b\r\n\r\n", paint),
    "\x1b[32mHTTP/1.1 200 OK\x1b[39m\n\x1b[34mA\x1b[39m: b\n\n",
  );
  assert(showHead("HTTP/1.1 503 \r\n\r\n", paint).startsWith("\x1b[31mHTTP"));
  assert(showHead("GET / HTTP/1.1\r\n\r\n", paint).startsWith("\x1b[1mGET"));
});

Deno.test("escaping JSON does not change its value", () => {
  const value = { a: "\x1b[31m\x9b31m\u202e핑\n" };
  const json = escapeJson(JSON.stringify(value));
  assert.equal(json, '{"a":"\\u001b[31m\\u009b31m\\u202e핑\\n"}');
  assert.deepEqual(JSON.parse(json), value);
});

Deno.test("a byte order mark at the start of content is shown", () => {
  const text = new ContentText();
  assert.equal(text.add(new TextEncoder().encode("\ufeffa")) + text.end(), "\\ufeffa");
});

Deno.test("escaping JSON does not change its value, even for characters beyond 16 bits", () => {
  const value = "a\u200b\u{e0041}\x9b";
  const shown = escapeJson(JSON.stringify(value));
  assert.match(shown, /^[\x20-\x7e]+$/);
  assert.equal(JSON.parse(shown), value);
});

Deno.test("the width of text counts columns, not characters", () => {
  assert.equal(displayWidth("snail"), 5);
  assert.equal(displayWidth("日本 カナ 한글"), 14);
  assert.equal(displayWidth("🐌"), 2);
  assert.equal(displayWidth("e\u0301"), 1);
  assert.equal(displayWidth("é–"), 2);
});

Deno.test("lines are filled with words, one that is too long has its own", () => {
  assert.deepEqual(wrapWords("a bc def ghijklmn o".split(" "), 6), ["a bc", "def", "ghijklmn", "o"]);
  assert.deepEqual(wrapWords(["a", "b"], Infinity), ["a b"]);
  assert.deepEqual(wrapWords(["日本", "語"], 6), ["日本", "語"]);
});

Deno.test("a section is one word", () => {
  assert.deepEqual(wordsOf("one two (Fetch §3.6) (9112)"), ["one", "two", "(Fetch §3.6)", "(9112)"]);
  assert.equal(wrapMessage("refused (RFC 9112 §6.1)", 16), "refused\n(RFC 9112 §6.1)");
});

Deno.test("a message is wrapped between words, a command at its end is not", () => {
  assert.equal(wrapMessage("a certificate: it is old", 14), "a certificate:\nit is old");
  assert.equal(
    wrapMessage("@a b needs a permission: deno run --allow-net --allow-read=a main.ts connect", 14),
    "@a b needs a\npermission:\ndeno run --allow-net --allow-read=a main.ts connect",
  );
});

Deno.test("colours are as chosen, whatever the output is", () => {
  assert.deepEqual([isColored("always"), isColored("never")], [true, false]);
});
