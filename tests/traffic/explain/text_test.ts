import assert from "node:assert/strict";
import { Decoder } from "../../../lib/http/decoder.ts";
import { CAUSES } from "../../../lib/http/causes.ts";
import { HttpError } from "../../../lib/http/error.ts";
import type { MessageKind } from "../../../lib/http/message.ts";
import { REQUEST_LIMITS } from "../../../lib/limits.ts";
import { painterFor } from "../../../lib/terminal.ts";
import { ALL_KEPT, explainOctets } from "../../../lib/exchange.ts";
import { textLines } from "../../../lib/traffic/explain/octet_lines.ts";
import { type ExplainTextOptions, explanationText, refusalText } from "../../../lib/traffic/explain/text.ts";
import { brokenMessages, Random } from "../../fuzzing.ts";
import { octetString, wireOctets } from "../../wire_cases.ts";

const PLAIN: ExplainTextOptions = { width: 80, all: false, painter: painterFor(false) };

function textOf(octets: string, options: Partial<ExplainTextOptions> & { kind?: MessageKind } = {}): string {
  const { kind = "request", ...layout } = options;
  const explanations = explainOctets(kind, wireOctets(octets), { ...layout.all && { kept: ALL_KEPT } });
  return explanations.map((explanation) => explanationText(explanation, { ...PLAIN, ...layout })).join("\n");
}

Deno.test("a request, explained", () => {
  assert.equal(
    textOf("GET /Pingping HTTP/1.1\r\nHost: localhost:9999\r\n\r\n"),
    String.raw`
    0 GET                                 method: give me a representation;
                                          safe, idempotent (RFC 9110 §9.3.1)
    4 /Pingping                           target, origin form (RFC 9112 §3.2)
   14 HTTP/1.1\r\n                        version, line end (RFC 9112 §2.3)
   24 Host: localhost:9999\r\n            which site this is for (RFC 9110 §7.2)
   46 \r\n                                the head ends (RFC 9112 §2.1)
      => no content: neither Content-Length nor Transfer-Encoding (RFC 9112 §6.3)
      => stays open: HTTP/1.1 and no Connection: close (RFC 9112 §9.3)
`.slice(1),
  );
});

Deno.test("a bare LF, with a caret and a fix", () => {
  const text = textOf("GET / HTTP/1.1\nHost: a\r\n\r\n");
  assert(text.startsWith(
    String.raw`
    0 GET / HTTP/1.1\n
                    ^ octet 14
      !! A bare LF follows the HTTP version: may be refused, or read as a line end (RFC 9112 §2.2)
      fix: end every line with \r\n; shells and editors write \n alone
`.slice(1),
  ));
});

Deno.test("two framings, and how a request is smuggled", () => {
  const head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 39\r\nTransfer-Encoding: chunked\r\n\r\n";
  const hidden = "0\r\n\r\nDELETE /Momo HTTP/1.1\r\nHost: a\r\n\r\n";
  const text = textOf(`${head}${hidden}`);
  assert(
    text.includes(
      String.raw`
   26 Content-Length: 39\r\n              octets of content (RFC 9110 §8.6)
   46 Transfer-Encoding: chunked\r\n
                         ^ octet 65
      !! Content-Length or Transfer-Encoding, saw both: may be refused, or read by Transfer-Encoding alone (RFC 9112 §6.1)
      fix: send one of the two, never both
      two readings, which is how a request is smuggled (RFC 9112 §11.2):
        by Content-Length:    content 76-114, then nothing
        by Transfer-Encoding: content 76-80, then "DELETE /Momo HTTP/1.1…"
      a strict server answers 400 Bad Request and closes the connection
`.slice(1),
    ),
    text,
  );
});

Deno.test("chunks, one by one", () => {
  const head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".replace("Host: a", "Host:a");
  const text = textOf(
    `${head.replace("POST / ", "PUT / ")}1a\r\n{"Momo":{"type":"cat"},"Re\r\n5;a=b\r\nx":1}\r\n0\r\n\r\n`,
  );
  const lines = String.raw`
1a\r\n                              chunk 1: 0x1a is 26 octets
{"Momo":{"type":"cat"},"Re          content, from chunk 1
\r\n                                the chunk's end
5;a=b\r\n                           chunk 2: 5 octets; extension a=b
x":1}                               content, from chunk 2
\r\n                                the chunk's end
0\r\n                               the last chunk (RFC 9112 §7.1)
\r\n                                no trailers
=> 31 octets of content in 2 chunks
`.slice(1, -1);
  const shown = text.split("\n").slice(8, 17).map((line) => line.slice(6)).join("\n");
  assert.equal(shown, lines);
});

Deno.test("nothing from a peer controls the terminal", () => {
  const text = textOf("GET /?\u001b HTTP/1.1\r\n") +
    textOf("GET / HTTP/1.1\r\nHost: a\r\nA: \x9b\u00e2\x80\xae\\\r\n\r\n") +
    textOf("HTTP/1.1 200 \x9b31m\r\nContent-Length: 4\r\n\r\n\x1b[2J", { kind: "response", all: true });
  // deno-lint-ignore no-control-regex -- these are what must not be there
  assert.doesNotMatch(text, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
  assert(text.includes("A: \\x9b\\xe2\\x80\\xae\\\\\\r\\n"));
});

Deno.test("the text of any octets is safe, with one caret for a fault", () => {
  const random = new Random(12);
  for (let i = 0; i < 500; i++) {
    const kind = random.pick(["request", "response"] as const);
    const octets = wireOctets(
      random.below(5) === 0 ? random.octets(1 + random.below(200)) : brokenMessages(random, kind),
    );
    for (const explanation of explainOctets(kind, octets)) {
      const width = random.pick([40, 60, 80, 120]);
      const text = explanationText(explanation, { ...PLAIN, width, masked: random.below(2) === 0 });
      // deno-lint-ignore no-control-regex -- these are what must not be there
      assert.doesNotMatch(text, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/);
      assert.equal(text.match(/^ *\^ octet \d+$/gm)?.length ?? 0, explanation.fault === undefined ? 0 : 1, text);
    }
  }
});

Deno.test("for a long line only octets around the fault are shown", () => {
  const text = textOf(`GET / HTTP/1.1\r\nHost: a\r\nA: ${"x".repeat(200)}\x01${"y".repeat(200)}\r\n\r\n`);
  const [line, caret] = text.split("\n").slice(5);
  assert.equal(line, `   25 …${"x".repeat(30)}\\x01${"y".repeat(30)}…`);
  assert.equal(caret, `${" ".repeat(6 + 31)}^ octet 228`);
});

Deno.test("the end of long content that is cut off has a caret behind what is kept", () => {
  const octets = wireOctets(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\n${"x".repeat(8999)}`);
  const [explanation] = explainOctets("request", octets, { closed: true });
  const text = explanationText(explanation, PLAIN);
  assert(text.includes(`\n   50 …${"x".repeat(30)}…\n${" ".repeat(6 + 32)}^ octet 9049\n`), text);
});

Deno.test("a screenful of content is shown, or all of it on request", () => {
  const message = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n${"x".repeat(2000)}`;
  const shown = textOf(message).split("\n").filter((line) => /^ +(?:\d+ )?x+/.test(line));
  assert.equal(shown.length, 16);
  assert.match(textOf(message), /\n {6}… 1440 more octets \(--all shows them\)\n/);
  // Where there is no such flag.
  assert.match(textOf(message, { all: undefined }), /\n {6}… 1440 more octets\n/);
  assert.equal(textOf(message, { all: true }).match(/x/g)?.length, 2000);
});

Deno.test("content is text even if a character of it is cut", () => {
  const head = "POST / HTTP/1.1\r\nHost: a\r\n";
  const chunked = textOf(`${head}Transfer-Encoding: chunked\r\n\r\n3\r\nab\xed\r\n2\r\n\x95\x91\r\n0\r\n\r\n`);
  assert.match(chunked, /ab\\xed +content, from chunk 1\n/);
  assert.match(chunked, /\\x95\\x91 +content, from chunk 2\n/);
  const long = textOf(`${head}Content-Length: 4098\r\n\r\n${"x".repeat(4095)}\xed\x95\x91`);
  assert.match(long, /x{35} +content\n/);
});

Deno.test("all of large content is shown, no character of it cut", () => {
  const content = `x${"\xed\x95\x91".repeat(400_000)}`;
  const text = textOf(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${content.length}\r\n\r\n${content}`, {
    all: true,
  });
  assert.equal(text.match(/핑/g)?.length, 400_000);
  assert.doesNotMatch(text, /more octets/);
});

Deno.test("lines of content are lines", () => {
  const text = textOf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\none\ntwo\n\xed\x95\x91!");
  assert.match(text, /one\\n +content\n +two\\n\n +핑!\n/);
});

Deno.test("binary content is shown in hexadecimal digits", () => {
  const text = textOf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n\x89PNG\0\r\n\x1a\n");
  assert.match(text, / {3}47 89 50 4e 47 00 0d 0a 1a {2}\.PNG\.{4} +content\n {6}0a +\.\n/);
});

Deno.test("labels are aligned after wide characters and marks", () => {
  const value = octetString(new TextEncoder().encode("핑핑🐌é e\u0301"));
  const text = textOf(`GET / HTTP/1.1\r\nHost: a\r\nX: ${value}\r\n\r\n`);
  assert(text.includes(`   25 X: 핑핑🐌é e\u0301\\r\\n${" ".repeat(20)}an extension field`), text);
});

for (const width of [40, 60, 80, 120]) {
  Deno.test(`rows fit ${width} columns`, () => {
    const text = textOf("GET /a?b=c HTTP/1.1\r\nHost: a\r\nAccept: text/html, application/json;q=0.5\r\nX: y\r\n\r\n", {
      width,
    });
    for (const line of text.split("\n")) if (!line.startsWith("      =>")) assert(line.length <= width, line);
  });
}

Deno.test("parts of a value are shown below their line", () => {
  const text = textOf("GET /a?b=c&d HTTP/1.1\r\nHost: a\r\nCache-Control: no-store, max-age=0\r\n\r\n");
  assert(text.includes(`
    4   /a                                path
    6   ?b=c                              query parameter b
   10   &d                                query parameter d
`));
  assert(
    text.includes(`
   47   no-store,                         keep no copy
   57   max-age=0                         fresh for 0 seconds
`),
    text,
  );
});

Deno.test("a reading of the next message skips empty lines", () => {
  const text = textOf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\n0\r\n\r\nGET /");
  assert(text.includes('by the first Content-Length: content 66-68, then "\\r\\nGET /"'), text);
});

Deno.test("colours distinguish kinds of octets", () => {
  const colored = textOf("GET / HTTP/1.1\r\nHost: a\r\n\r\n", { painter: painterFor(true) });
  assert(!colored.includes("\x1b[1m\x1b[22m"), "nothing is coloured where there are no octets");
  assert(colored.includes("\x1b[1mGET\x1b[22m") && colored.includes("\x1b[34mHost: a\\r\\n\x1b[39m"));
});

const refusals: [name: string, octets: string, text: string, showCredentials?: boolean][] = [
  ["a line", "GET / HTTP/1.1\nHost: a", "    0 GET / HTTP/1.1\\n\n                    ^ octet 14\n"],
  ["a later line", "GET / HTTP/1.1\r\nA : b\r\n", "   16 A : b\\r\\n\n       ^ octet 17\n"],
  ["the first octet", "\n", "    0 \\n\n      ^ octet 0\n"],
  ["an empty line before", "\r\nGET  / HTTP/1.1\r\n", "    2 GET  / HTTP/1.1\\r\\n\n          ^ octet 6\n"],
  [
    "a chunk",
    "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nax\r\n",
    "   59 x\\r\\n\n      ^ octet 59\n",
  ],
  [
    "a credential",
    "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer 12\x01345\r\n\r\n",
    "   25 Authorization: Bearer (6 octets)\\r\\n\n                            ^ octet 49\n",
  ],
  [
    "a line end after a credential",
    "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer 12345678\nA: b\r\n\r\n",
    "   25 Authorization: Bearer (8 octets)\\n\n                                      ^ octet 55\n",
  ],
  [
    "the second line of a credential",
    "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic\r\n c2VjcmV0\r\n\r\n",
    "   47  (8 octets)\\r\\n\n      ^ octet 47\n",
  ],
  [
    "a credential behind a blank",
    "GET / HTTP/1.1\r\nHost: a\r\nCookie : a=b\r\n\r\n",
    "   25 Cookie : (3 octets)\\r\\n\n            ^ octet 31\n",
  ],
  [
    "a line that continues a credential",
    "GET / HTTP/1.1\r\nHost: a\r\nCookie: a=b\r\n\tc=d\r\n\r\n",
    "   38 \\t(3 octets)\\r\\n\n      ^ octet 38\n",
  ],
  [
    "a credential that may be shown",
    "GET / HTTP/1.1\r\nHost: a\r\nCookie : a=b\r\n\r\n",
    "   25 Cookie : a=b\\r\\n\n            ^ octet 31\n",
    true,
  ],
];

for (const [name, octets, text, showCredentials = false] of refusals) {
  Deno.test(`what serve prints where it refuses ${name}`, () => {
    const decoder = new Decoder("request", REQUEST_LIMITS);
    decoder.receive(wireOctets(octets));
    try {
      while (decoder.next() !== undefined);
      assert.fail("nothing was refused");
    } catch (error) {
      assert(error instanceof HttpError);
      const shown = refusalText(error, decoder.unread, decoder.consumed, showCredentials);
      const { fix, request } = CAUSES[error.fault!];
      const degree = `${error.seen}: ${request.words}${request.or === undefined ? "" : `, or ${request.or}`}`;
      assert.equal(shown, `${text}      !! ${degree} (${request.rule})\n      fix: ${fix}\n`);
    }
  });
}

Deno.test("an error without an offset shows only its fix, or nothing", () => {
  const late = new HttpError(408, "Late", { rule: "RFC 9110 §15.5.9" });
  assert.equal(refusalText(late, wireOctets("GET"), 0, false), "      fix: send the request without long pauses\n");
  assert.equal(
    refusalText(late, wireOctets("GET"), 0, false, 44),
    "      fix: send the request without long\n           pauses\n",
  );
  assert.equal(refusalText(new HttpError(404, "No"), wireOctets(""), 0, false), "");
});

Deno.test("no credential is shown, wherever the fault is", () => {
  let shown = false;
  for (const start of ["GET / HTTP/1.1", "GET /\x01 HTTP/1.1", "nonsense"]) {
    for (const field of ["Cookie: s3cret", "Cookie:\r\n s3cret", "Cookie: a\r\n\ts3cret", "Cookie: \x01\r\n s3cret"]) {
      for (const end of ["\r\n\r\n", "", "\r"]) {
        const octets = `${start}\r\n${field}${end}`;
        shown ||= textOf(octets).includes("s3cret");
        assert.equal(textOf(octets, { masked: true }).includes("s3cret"), false, JSON.stringify(octets));
      }
    }
  }
  assert(shown, "without masking, some are");
});

Deno.test("findings and sentences on faults are wrapped to the width", () => {
  const [explanation] = explainOctets("request", wireOctets("GET / HTTP/1.1\nHost: a\r\n\r\n"));
  const text = explanationText(explanation, { width: 50, sentenceWidth: 50, all: false, painter: painterFor(false) });
  assert.equal(text.split("\n").every((line) => line.length <= 50), true, text);
  assert.match(
    text,
    /^ {6}!! A bare LF follows the HTTP version: may\n {9}be refused, or read as a line end\n {9}\(RFC 9112 §2\.2\)$/m,
  );
});

const sentences: [octets: string, sentence: string, kind?: MessageKind][] = [
  [
    "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "A blank stands before the colon of a field: must be refused (RFC 9112 §5.1)",
  ],
  [
    "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
    "A blank stands before the colon of a field: may be refused, or read without the blank (RFC 9112 §5.1)",
    "response",
  ],
  [
    "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n",
    "A field line starts with SP: may be refused, or read with a space for the fold (RFC 9112 §5.2)",
  ],
  [
    "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\n",
    'A chunk size has hexadecimal digits only, saw "x": may be refused (RFC 9112 §7.1)',
  ],
  [
    "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 6\r\n\r\n",
    'Content-Length must be one decimal number, saw "5, 6": must be refused (RFC 9112 §6.3)',
  ],
];

for (const [octets, sentence, kind] of sentences) {
  Deno.test(`a fault says its degree: ${sentence}`, () => {
    const text = textOf(octets, { kind });
    assert(text.includes(`      !! ${sentence}\n`), text);
  });
}

Deno.test("what a colon explains is told from the degree by a semicolon", () => {
  const octets = wireOctets("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na");
  const [explanation] = explainOctets("response", octets, { closed: true });
  const text = explanationText(explanation, PLAIN);
  const words = "content: 2 more octets were announced; must be taken as incomplete (RFC 9112 §8)";
  assert(text.includes(`      !! The connection ended in the middle of the ${words}\n`), text);
});

Deno.test("a folded field and a missing space in a response are accepted with findings, and have rows", () => {
  const text = textOf("HTTP/1.1 200\r\nSet-Cookie: a=b;\r\n Path=/\r\nContent-Length: 0\r\n\r\n", {
    kind: "response",
    masked: true,
  });
  assert.equal(
    text,
    String.raw`
    0 HTTP/1.1                            version (RFC 9112 §2.3)
    9 200                                 status: the request has succeeded
                                          (RFC 9110 §15.3.1)
   12 \r\n                                no reason phrase, line end
                                          (RFC 9112 §4)
   14 Set-Cookie: (4 octets)\r\n          a cookie to be sent back
                                          (RFC 6265 §4.1)
   32  (6 octets)\r\n                     continues the field, as one space
                                          (RFC 9112 §5.2)
   41 Content-Length: 0\r\n               octets of content (RFC 9110 §8.6)
   60 \r\n                                the head ends (RFC 9112 §2.1)
      => accepted, though a space is missing after the status code (RFC 9112 §4)
      => accepted, though a field is folded over several lines (RFC 9112 §5.2)
      => no content: Content-Length is 0 (RFC 9112 §6.3)
      => stays open: HTTP/1.1 and no Connection: close (RFC 9112 §9.3)
`.slice(1),
  );
});

Deno.test("a folded trailer of a response is a finding too", () => {
  const text = textOf(
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n c\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
    { kind: "response" },
  );
  assert.equal(text.match(/accepted, though a field is folded/g)?.length, 1, text);
});

Deno.test("lines fit the columns that a terminal draws", () => {
  const octets = octetString(new TextEncoder().encode("핑핑a"));
  assert.deepEqual(textLines(octets, 3), { lines: ["핑", "핑a"], octets: 7 });
});

Deno.test("lines end at the width and behind a line end, and are counted in octets", () => {
  assert.deepEqual(textLines("abc\r\nde", 8), { lines: ["abc\\r\\n", "de"], octets: 7 });
  assert.deepEqual(textLines("abcd", 2), { lines: ["ab", "cd"], octets: 4 });
  assert.deepEqual(textLines("abcdef", 2, 2), { lines: ["ab", "cd"], octets: 4 });
});

Deno.test("a line of long text ends only at the width", () => {
  const { lines } = textLines("a".repeat(20_000), 30);
  assert.deepEqual([...new Set(lines.map(({ length }) => length))], [30, 20]);
});
