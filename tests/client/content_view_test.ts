import assert from "node:assert/strict";
import { ContentView, type ContentViewOptions } from "../../lib/client/content_view.ts";
import { MAX_DECODED_SHOWN_BYTES, MAX_HELD_CONTENT_BYTES } from "../../lib/limits.ts";
import { painterFor } from "../../lib/terminal.ts";

const encode = (text: string) => new TextEncoder().encode(text);

/** Returns the output for content in these pieces. */
async function shown(pieces: (string | Uint8Array)[], options: Partial<ContentViewOptions> = {}): Promise<string> {
  let text = "";
  const view = new ContentView({
    type: "application/json",
    coding: undefined,
    indent: "long",
    columns: 20,
    painter: painterFor(false),
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
  const value = `["${"x".repeat(MAX_HELD_CONTENT_BYTES)}"]`;
  assert.equal(await shown([value.slice(0, 2000), value.slice(2000)]), `${value}\n`);
});

Deno.test("text is shown as received, with control characters escaped", async () => {
  assert.equal(await shown(["a\x1b[2J", "b\n"], { type: "text/html" }), "a\\x1b[2Jb\n");
  assert.equal(await shown([]), "");
  assert.equal(await shown(["no type at all"], { type: undefined }), "no type at all\n");
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
    "\ufffd\n",
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
  const deflate = await coded("hello", "deflate");
  assert.match(await shown([deflate], { coding: "Deflate", type: "text/plain" }), /^hello\n\(decoded/);
  assert.equal(
    await shown([gzip], { coding: "zstd" }),
    `${gzip.length} octets of application/json coded with zstd, not shown; save with > FILE\n`,
  );
  assert.equal(
    await shown(["nonsense"], { coding: "gzip" }),
    "8 octets of application/json coded with gzip, not shown; save with > FILE\n",
  );
  const bomb = await coded(new Uint8Array(3 * MAX_DECODED_SHOWN_BYTES).fill(0x61), "gzip");
  const text = await shown([bomb], { coding: "gzip", type: "text/plain" });
  assert(text.length < MAX_DECODED_SHOWN_BYTES + 1000);
});

Deno.test("nothing is shown of content without octets, whatever its type and coding", async () => {
  assert.equal(await shown([]), "");
  assert.equal(await shown([], { coding: "gzip" }), "");
  assert.equal(await shown([], { type: "image/png", indent: "always" }), "");
});
