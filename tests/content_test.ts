import assert from "node:assert/strict";
import { constants, gzipSync } from "node:zlib";
import { ContentView, type ContentViewOptions } from "../lib/content.ts";
import { MAX_DECODED_SHOWN_BYTES, MAX_HELD_CONTENT_OCTETS } from "../lib/limits.ts";
import { painterFor } from "../lib/terminal.ts";
import { octetString } from "./wire_cases.ts";

const encode = (text: string) => new TextEncoder().encode(text);

const VIEW: Omit<ContentViewOptions, "write"> = {
  type: "application/json",
  coding: undefined,
  indent: "long",
  columns: 20,
  painter: painterFor(false),
};

/** Returns the output for content in these pieces. */
async function shown(pieces: (string | Uint8Array)[], options: Partial<ContentViewOptions> = {}): Promise<string> {
  let text = "";
  const view = new ContentView({
    ...VIEW,
    write: (part) => {
      text += part;
      return Promise.resolve();
    },
    ...options,
  });
  for (const piece of pieces) await view.add(typeof piece === "string" ? encode(piece) : piece);
  await view.end();
  assert.equal(view.endsLine, true);
  return text;
}

Deno.test("JSON that fits a line is shown as sent; longer JSON is indented, with a note", async () => {
  const fits = `["${"x".repeat(16)}"]`;
  assert.equal(await shown([fits]), `${fits}\n`);
  const long = `["${"x".repeat(17)}"]`;
  const indented = `[\n  "${"x".repeat(17)}"\n]\n(shown indented; 21 octets on the wire)\n`;
  assert.equal(await shown([long]), indented);
  assert.equal(await shown([...long]), indented);
  assert.equal(await shown([long], { type: "application/problem+json; charset=utf-8" }), indented);
  assert.equal(await shown(["[1,\n2]"]), "[\n  1,\n  2\n]\n(shown indented; 6 octets on the wire)\n");
  assert.equal(await shown([fits], { indent: "always" }), indented.replace("x", "").replace("21", "20"));
  assert.equal(await shown([long], { indent: "never" }), `${long}\n`);
  assert.equal(await shown([long], { type: "text/plain" }), `${long}\n`);
  assert.equal(await shown([`${long} no JSON`]), `${long} no JSON\n`);
});

Deno.test("JSON beyond the limit is shown as received", async () => {
  const value = `["${"x".repeat(MAX_HELD_CONTENT_OCTETS)}"]`;
  assert.equal(await shown([value.slice(0, 2000), value.slice(2000)]), `${value}\n`);
});

Deno.test("text is shown as received, with control characters escaped", async () => {
  assert.equal(await shown(["a\x1b[2J", "b\n"], { type: "text/html" }), "a\\x1b[2Jb\n");
  assert.equal(await shown([]), "");
  assert.equal(await shown(["no type at all"], { type: undefined }), "no type at all\n");
});

Deno.test("what needs no more octets is shown at once: long text, binary content for a file, and too long JSON", async () => {
  for (
    const [octets, type, isExact] of [
      [encode("a".repeat(1024)), "text/plain", false],
      [new Uint8Array(1024), "image/png", true],
      [encode(`["${"x".repeat(MAX_HELD_CONTENT_OCTETS)}`), "application/json", false],
    ] as const
  ) {
    let shown = 0;
    const write = (part: string | Uint8Array) => {
      shown += part.length;
      return Promise.resolve();
    };
    const view = new ContentView({ ...VIEW, type, write, writeExactly: isExact ? write : undefined });
    await view.add(octets.subarray(0, 1023));
    assert.equal(shown, 0, type);
    await view.add(octets.subarray(1023));
    assert.equal(shown, octets.length, type);
    await view.end();
  }
});

Deno.test("content that ends before its wrong coding can be seen is shown as it came", async () => {
  for (const coding of ["gzip", "deflate"]) {
    assert.equal(await shown(["a"], { type: "text/plain", coding }), `a\n(shown as it came: not ${coding})\n`);
  }
});

Deno.test("binary content, by type or octets, is one line", async () => {
  const png = new Uint8Array(1_500_000).fill(0x80);
  assert.equal(
    await shown([png, png], { type: "image/png" }),
    "3,000,000 octets of image/png, not shown; save with > FILE\n",
  );
  assert.equal(
    await shown(["abc\0def"], { type: "text/plain" }),
    "7 octets of text/plain, not shown; save with > FILE\n",
  );
  assert.equal(
    await shown([Uint8Array.of(0xff, 0xfe, 0x41)], { type: undefined }),
    "3 octets of binary content, not shown; save with > FILE\n",
  );
  assert.equal(
    await shown([Uint8Array.of(0xed, 0x95)], { type: "application/x-thing" }),
    "\\xed\\x95\n",
    "a character may be cut",
  );
  assert.equal(await shown(["<svg/>"], { type: "image/svg+xml" }), "<svg/>\n");
});

async function coded(text: string | Uint8Array, format: CompressionFormat): Promise<Uint8Array> {
  const stream = new Blob([text as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new CompressionStream(format));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

Deno.test("coded content is decoded for display, with a note", async () => {
  const gzip = await coded('{"a":1}', "gzip");
  assert.equal(
    await shown([gzip.subarray(0, 5), gzip.subarray(5)], { coding: "gzip" }),
    `{"a":1}\n(decoded for display; ${gzip.length} octets coded with gzip on the wire)\n`,
  );
  const long = await coded('{"type":"cat","age":3}', "gzip");
  assert.equal(
    await shown([long], { coding: "gzip" }),
    '{\n  "type": "cat",\n  "age": 3\n}\n' +
      `(decoded for display, shown indented; ${long.length} octets coded with gzip on the wire)\n`,
  );
  const deflate = await coded("hello", "deflate");
  assert.match(await shown([deflate], { coding: "Deflate", type: "text/plain" }), /^hello\n\(decoded/);
  assert.equal(
    await shown([gzip], { coding: "compress" }),
    `${gzip.length} octets of application/json coded with compress, not shown; save with > FILE\n`,
  );
  assert.equal(
    await shown([Uint8Array.of(1, 2, 0, 0x80)], { coding: "gzip" }),
    "4 octets of application/json coded with gzip, not shown: they are not valid gzip; save with > FILE\n",
  );
  for (const coding of ["gzip", "utf-8", "br", "zstd", "deflate"]) {
    const note = `(shown as it came: not ${coding})\n`;
    assert.equal(await shown(["non", "sense"], { coding }), `nonsense\n${note}`);
    assert.match(
      await shown(['{"a":"', `${"x".repeat(2000)}"}`], { coding }),
      /^\{\n {2}"a": "x+"\n\}\n\(shown as it came/,
    );
  }
  const bomb = await coded(new Uint8Array(3 * MAX_DECODED_SHOWN_BYTES).fill(0x61), "gzip");
  const text = await shown([bomb], { coding: "gzip", type: "text/plain" });
  assert(text.length < MAX_DECODED_SHOWN_BYTES + 1000);
  assert.match(text.slice(-200), /\(decoded for display up to 10,485,760 octets; [\d,]+ octets coded/);
});

Deno.test("of content that breaks off in its coding, what decodes is shown, and said", async () => {
  const gzip = await coded(new Uint8Array(100_000).fill(0x61), "gzip");
  const start = gzip.subarray(0, gzip.length - 8);
  const text = await shown([start.subarray(0, 50), start.subarray(50)], { coding: "gzip", type: "text/plain" });
  assert.match(
    text,
    /^a{100000}\n\(decoded for display as far as it is valid gzip; [\d,]+ octets coded with gzip on the wire\)\n$/,
  );
});

Deno.test("coded content is shown as it comes, and binary content after decoding is one line", async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  const view = new ContentView({
    ...VIEW,
    type: "text/event-stream",
    coding: "gzip",
    write: (text) => Promise.resolve(resolve(text)),
  });
  await view.add(gzipSync("data: 1\n", { finishFlush: constants.Z_SYNC_FLUSH }));
  assert.equal(await promise, "data: 1\n");
  await view.end();
  const png = await coded(new Uint8Array(3000), "gzip");
  const unshown = `${png.length} octets of text/plain coded with gzip, not shown; save with > FILE\n`;
  assert.equal(await shown([png], { coding: "gzip", type: "text/plain" }), unshown);
});

const texts: [type: string, content: string | Uint8Array, shown: string][] = [
  [
    "text/plain; charset=euc-kr",
    Uint8Array.of(0xc7, 0xce, 0xc7, 0xce),
    "핑핑\n(decoded for display: charset euc-kr)\n",
  ],
  [
    'a/b; Charset="Shift_JIS"',
    Uint8Array.of(0x93, 0xfa, 0x96, 0x7b),
    "日本\n(decoded for display: charset shift_jis)\n",
  ],
  ["text/html;charset=iso-8859-1", Uint8Array.of(0xe9, 0x0a), "é\n(decoded for display: charset iso-8859-1)\n"],
  ["text/plain; charset=utf-16", Uint8Array.of(0xfe, 0xff, 0, 0x41), "A\n(decoded for display: charset utf-16be)\n"],
  ["text/plain; charset=utf-16be", Uint8Array.of(0, 0x41), "A\n(decoded for display: charset utf-16be)\n"],
  ["text/plain", Uint8Array.of(0xff, 0xfe, 0x41, 0), "A\n(decoded for display: charset utf-16le)\n"],
  ["text/plain", Uint8Array.of(0x61, 0xe9, 0xc3, 0xa9, 0xe9), "a\\xe9é\\xe9\n"],
  ["text/plain; charset=nonsense", Uint8Array.of(0xe9), "\\xe9\n"],
  ["text/plain; charset=utf-8", Uint8Array.of(0xe9), "\\xe9\n"],
  [
    "text/plain; charset=euc-kr",
    Uint8Array.of(0xc7, 0xff, 0x41),
    "\\xc7\\xffA\n(decoded for display as far as it is valid: charset euc-kr)\n",
  ],
  [
    "text/plain; charset=euc-kr",
    Uint8Array.of(0xc7, 0xce, 0xff, 0xc7, 0xce, 0xc7),
    "핑\\xff핑\\xc7\n(decoded for display as far as it is valid: charset euc-kr)\n",
  ],
  ["application/json; charset=iso-8859-1", '{"a":"é"}', '{"a":"é"}\n'],
  [
    "application/json; charset=iso-8859-1",
    Uint8Array.of(0x22, 0xe9, 0x22),
    '"é"\n(decoded for display: charset iso-8859-1)\n',
  ],
  ["application/json", Uint8Array.of(0x22, 0xe9, 0x22), '"\\xe9"\n'],
  [
    "application/json; charset=euc-kr",
    Uint8Array.of(...encode('["xxxxxxxxxxxxxxxx",1,"'), 0xc7, 0xce, 0x22, 0x5d),
    '[\n  "xxxxxxxxxxxxxxxx",\n  1,\n  "핑"\n]\n' +
    "(decoded for display: charset euc-kr, shown indented; 27 octets on the wire)\n",
  ],
  [
    "application/json",
    '\ufeff["xxxxxxxxxxxxxxxxxxx"]',
    '[\n  "xxxxxxxxxxxxxxxxxxx"\n]\n(shown indented; 26 octets on the wire)\n',
  ],
];

for (const [type, content, expected] of texts) {
  Deno.test(`on a terminal ${JSON.stringify(content)} of ${type} is text`, async () => {
    assert.equal(await shown([content], { type }), expected);
    const octets = typeof content === "string" ? encode(content) : content;
    assert.equal(await shown([...octets].map((octet) => Uint8Array.of(octet)), { type }), expected);
  });
}

Deno.test("a character that is in two pieces of text in another charset is shown", async () => {
  // One octet before characters of two each: wherever a long text is cut for the display, one of them is too.
  const octets = Uint8Array.from({ length: 80_001 }, (_, i) => i === 0 ? 0x78 : [0xc7, 0xce][(i - 1) % 2]);
  assert.equal(
    await shown([octets], { type: "text/plain; charset=euc-kr" }),
    `x${"핑".repeat(40_000)}\n(decoded for display: charset euc-kr)\n`,
  );
});

Deno.test("content is escaped and written in small pieces, coded or not", async () => {
  const escapes = new Uint8Array(MAX_HELD_CONTENT_OCTETS + 1).fill(0x1b);
  const decoded = new Uint8Array(MAX_DECODED_SHOWN_BYTES + 1).fill(0x1b);
  const json = encode(JSON.stringify(Array(200_000).fill(0)));
  const contents: [Uint8Array, Partial<ContentViewOptions>][] = [
    [escapes, { type: "text/plain" }],
    [await coded(decoded, "gzip"), { type: "text/plain", coding: "gzip" }],
    [escapes, {}],
    [json, {}],
  ];
  for (const [content, options] of contents) {
    let longest = 0;
    const write = (text: string) => Promise.resolve(void (longest = Math.max(longest, text.length)));
    const view = new ContentView({ ...VIEW, write, ...options });
    await view.add(content);
    await view.end();
    assert(longest > 0 && longest <= 4 * 16 * 1024, `${longest} characters are written at once`);
  }
});

Deno.test("what is neither indented nor decoded is written exactly into a file, without notes", async () => {
  const write = async (pieces: (string | Uint8Array)[], options: Partial<ContentViewOptions>) => {
    const written: Uint8Array[] = [];
    const writeExactly = (bytes: Uint8Array) => Promise.resolve(void written.push(bytes.slice()));
    const write = (text: string) => writeExactly(encode(text));
    const view = new ContentView({ ...VIEW, write, writeExactly, ...options });
    for (const piece of pieces) await view.add(typeof piece === "string" ? encode(piece) : piece);
    await view.end();
    return { written: new Uint8Array(await new Blob(written as Uint8Array<ArrayBuffer>[]).arrayBuffer()), view };
  };
  const png = new Uint8Array(3000).fill(0x80);
  const { written, view } = await write([png, png], { type: "image/png" });
  assert.deepEqual(written, new Uint8Array(6000).fill(0x80));
  assert.equal(view.endsLine, false);
  assert.deepEqual((await write([png], { coding: "zstd" })).written, png);
  const gzipped = await coded(png, "gzip");
  assert.deepEqual((await write([gzipped], { coding: "gzip", type: "image/png" })).written, gzipped, "as it came");
  // Only blanks change, whatever the charset.
  const indents = async (type: string, ...json: number[]) =>
    octetString((await write([Uint8Array.of(...json)], { type, indent: "always" })).written);
  assert.equal(await indents("application/json", 0x5b, 0x22, 0xe9, 0x22, 0x5d), '[\n  "\xe9"\n]\n');
  assert.equal(await indents("a/json;charset=latin1", 0x5b, 0x22, 0xc2, 0x9b, 0x22, 0x5d), '[\n  "\xc2\x9b"\n]\n');
  assert.equal(await indents("a/json;charset=latin1", 0x5b, 0x22, 0xe9, 0x22, 0x5d), '[\n  "\xe9"\n]\n');
  assert.equal(await indents("a/json;charset=shift_jis", 0x5b, 0x22, 0x93, 0xfa, 0x22, 0x5d), '[\n  "\x93\xfa"\n]\n');
  assert.equal(await indents("application/json", 0xef, 0xbb, 0xbf, 0x5b, 0x31, 0x5d), "\xef\xbb\xbf[\n  1\n]\n");
  assert.equal(await indents("a/json;charset=shift_jis", 0x5b, 0x22, 0x95, 0x5c, 0x22, 0x5d), '["\x95\\"]');
  const escape = [0x5b, 0x22, 0x95, 0x5c, 0x6e, 0x22, 0x5d];
  assert.equal(await indents("a/json;charset=shift_jis", ...escape), '[\n  "\x95\\n"\n]\n');
  assert.deepEqual((await write([png], { coding: "gzip" })).written, png, "it is not gzip");
  const large = new Uint8Array(MAX_DECODED_SHOWN_BYTES);
  assert.equal((await write([large, large], { coding: "gzip" })).written.length, 2 * MAX_DECODED_SHOWN_BYTES);
  assert.deepEqual((await write(["a\x1b\r\n"], { type: "text/plain" })).written, encode("a\x1b\r\n"));
  assert.deepEqual((await write(["[1]"], { indent: "always" })).written, encode("[\n  1\n]\n"));
  const told: string[] = [];
  const tell = (line: string) => Promise.resolve(void told.push(line));
  const gzip = await coded("[1]", "gzip");
  const bomb = await coded(new Uint8Array(MAX_DECODED_SHOWN_BYTES + 1).fill(0x61), "gzip");
  const { written: start } = await write([bomb], { coding: "gzip", type: "text/plain", note: tell });
  assert.equal(start.length, MAX_DECODED_SHOWN_BYTES);
  assert.match(
    told.join("\n"),
    /^\(decoded for display up to 10,485,760 octets; [\d,]+ octets coded .* on the wire\)$/,
  );
  assert.deepEqual((await write([gzip], { indent: "always", coding: "gzip" })).written, encode("[\n  1\n]\n"));
});

Deno.test("a stream that pauses is shown without its next piece", async () => {
  for (const type of ["text/event-stream", "application/json"]) {
    const { promise, resolve } = Promise.withResolvers<string>();
    const view = new ContentView({ ...VIEW, type, write: (text) => Promise.resolve(resolve(text)) });
    await view.add(encode("data: 1\n"));
    assert.equal(await promise, "data: 1\n");
    await view.end();
  }
});

Deno.test("wide characters take two columns of the line", async () => {
  assert.equal(await shown([`["${"日".repeat(8)}"]`]), `["${"日".repeat(8)}"]\n`);
  assert.match(await shown([`["${"日".repeat(9)}"]`]), /^\[\n/);
});

Deno.test("nothing is shown of content without octets, whatever its type and coding", async () => {
  assert.equal(await shown([]), "");
  assert.equal(await shown([], { coding: "gzip" }), "");
  assert.equal(await shown([], { type: "image/png", indent: "always" }), "");
});
