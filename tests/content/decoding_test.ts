import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { brotliCompressSync, constants, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import {
  CharsetDecoder,
  charsetOf,
  ContentDecoder,
  type DecodingState,
  isUtf8Start,
} from "../../lib/content/decoding.ts";
import { MAX_CODINGS, MAX_DECODED_SHOWN_BYTES } from "../../lib/limits.ts";

const encode = (text: string) => new TextEncoder().encode(text);

interface Decoded {
  readonly bytes: Uint8Array;
  readonly state: DecodingState;
  /** The length of the longest piece. */
  readonly longest: number;
}

/** Decodes chunks and the end of the content. */
async function decoded(codings: string[], ...chunks: Uint8Array[]): Promise<Decoded> {
  const decoder = ContentDecoder.for(codings)!;
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  for (const chunk of [...chunks, "end"] as const) {
    for await (const piece of decoder.decode(chunk)) pieces.push(piece.slice());
  }
  decoder.close();
  return {
    bytes: new Uint8Array(await new Blob(pieces).arrayBuffer()),
    state: decoder.state,
    longest: Math.max(0, ...pieces.map(({ length }) => length)),
  };
}

const TEXT = encode("핑핑 ".repeat(20_000));

const codings: [codings: string[], coded: Uint8Array][] = [
  [["gzip"], gzipSync(TEXT)],
  [["x-gzip"], gzipSync(TEXT)],
  [["deflate"], deflateSync(TEXT)],
  [["br"], brotliCompressSync(TEXT)],
  [["zstd"], zstdCompressSync(TEXT)],
  [["deflate"], deflateRawSync(TEXT)],
  [["gzip"], Uint8Array.of(...gzipSync(TEXT.subarray(0, 9)), ...gzipSync(TEXT.subarray(9)))],
  [["zstd"], Uint8Array.of(...zstdCompressSync(TEXT.subarray(0, 9)), ...zstdCompressSync(TEXT.subarray(9)))],
  [["deflate", "gzip"], gzipSync(deflateSync(TEXT))],
  [["gzip", "deflate"], deflateRawSync(gzipSync(TEXT))],
  [["br", "gzip", "deflate"], deflateSync(gzipSync(brotliCompressSync(TEXT)))],
];

for (const [names, coded] of codings) {
  Deno.test(`content coded with ${names.join(", ")} in ${coded.length} octets is decoded, however it is split`, async () => {
    for (
      const chunks of [
        [coded],
        [coded.subarray(0, 5), coded.subarray(5)],
        [...coded].map((octet) => Uint8Array.of(octet)),
      ]
    ) {
      const { bytes, state, longest } = await decoded(names, ...chunks);
      assert.equal(state, "going");
      assert.deepEqual(bytes, TEXT);
      assert(longest <= 16 * 1024);
    }
  });
}

/** Text of one octet repeated, larger than the limit. */
const LARGE = new Uint8Array(3 * MAX_DECODED_SHOWN_BYTES).fill(0x1b);

const bombs: [codings: string[], coded: Uint8Array][] = [
  [["gzip"], gzipSync(LARGE)],
  [["deflate"], deflateSync(LARGE)],
  [["br"], brotliCompressSync(LARGE, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } })],
  [["gzip", "br"], brotliCompressSync(gzipSync(LARGE))],
];

for (const [names, coded] of bombs) {
  Deno.test(`${coded.length} octets of ${names.join(", ")} are decoded in small pieces, up to the limit`, async () => {
    const { bytes, state, longest } = await decoded(names, coded, coded);
    assert.equal(state, "cut");
    assert(Buffer.compare(bytes, LARGE.subarray(0, MAX_DECODED_SHOWN_BYTES)) === 0);
    assert(longest <= 16 * 1024, `a piece has ${longest} octets`);
  });
}

Deno.test("what a coding inside another one makes is limited too", async () => {
  const { bytes, state } = await decoded(["gzip", "gzip"], gzipSync(new Uint8Array(2 * MAX_DECODED_SHOWN_BYTES)));
  assert.deepEqual([bytes.length, state], [0, "invalid"]);
  // Empty members, of which nothing comes at the end.
  const member = gzipSync("");
  const empty = Uint8Array.from({ length: 600_000 * member.length }, (_, i) => member[i % member.length]);
  assert(empty.length > MAX_DECODED_SHOWN_BYTES);
  assert.deepEqual(await decoded(["gzip", "gzip"], gzipSync(empty)), {
    bytes: new Uint8Array(0),
    state: "cut",
    longest: 0,
  });
});

Deno.test("content that ends at the limit is whole", async () => {
  const { bytes, state } = await decoded(["gzip"], gzipSync(LARGE.subarray(0, MAX_DECODED_SHOWN_BYTES)));
  assert.deepEqual([bytes.length, state], [MAX_DECODED_SHOWN_BYTES, "going"]);
});

Deno.test("of broken or cut-off content, what decodes is yielded", async () => {
  assert.deepEqual(await decoded(["gzip"], encode("nonsense"), encode("more")), {
    bytes: new Uint8Array(0),
    state: "invalid",
    longest: 0,
  });
  const coded = gzipSync(crypto.getRandomValues(new Uint8Array(50_000)));
  const cut = await decoded(["gzip"], coded.subarray(0, 30_000));
  assert.equal(cut.state, "invalid");
  assert(cut.bytes.length > 25_000);
  const inner = gzipSync(gzipSync(TEXT).subarray(0, -9));
  assert.equal((await decoded(["gzip", "gzip"], inner)).state, "invalid");
});

for (const [names, coded] of codings.slice(1, 4)) {
  Deno.test(`octets after the end of ${names[0]} do not stop the program`, async () => {
    const { bytes } = await decoded(names, coded, encode("more"), coded);
    assert.deepEqual(bytes.subarray(0, TEXT.length), TEXT);
  });
}

Deno.test("octets that were flushed are decoded at once", async () => {
  const decoder = ContentDecoder.for(["gzip"])!;
  // A flushed block of a stream that goes on.
  const start = gzipSync("data: 1\n", { finishFlush: constants.Z_SYNC_FLUSH });
  const pieces: string[] = [];
  for await (const piece of decoder.decode(start)) pieces.push(new TextDecoder().decode(piece));
  assert.deepEqual(pieces, ["data: 1\n"]);
  decoder.close();
});

Deno.test("unknown codings, and too many of them, are not decoded", () => {
  for (const names of [["compress"], ["gzip", "x"], ["constructor"], Array(MAX_CODINGS + 1).fill("gzip")]) {
    assert.equal(ContentDecoder.for(names), undefined);
  }
  assert(ContentDecoder.for(Array(MAX_CODINGS).fill("gzip")) !== undefined);
});

const none = new Uint8Array(0);

const types: [type: string, start: Uint8Array, charset: string | undefined][] = [
  ["text/plain", none, undefined],
  ["text/plain; charset=UTF-8", none, undefined],
  ["text/plain; charset=utf8", none, undefined],
  ["text/plain; charset=x-unknown", none, undefined],
  ["text/plain; charset=EUC-KR", none, "EUC-KR"],
  ['text/plain;a=b;charset="gbk"', none, "gbk"],
  ["text/plain; charset='koi8-r'", none, "koi8-r"],
  ["text/plain; charset=gbk", Uint8Array.of(0xef, 0xbb, 0xbf), undefined],
  ["text/plain; charset=gbk", Uint8Array.of(0xff, 0xfe), "utf-16le"],
  ["text/plain", Uint8Array.of(0xfe, 0xff), "utf-16be"],
];

for (const [type, start, charset] of types) {
  Deno.test(`the charset of ${type} with the start [${start}] is ${charset ?? "UTF-8"}`, () => {
    assert.equal(charsetOf(type, start), charset);
  });
}

const contents: [label: string, octets: number[], text: string][] = [
  ["euc-kr", [0xc7, 0xce, 0x41], "핑A"],
  ["gb18030", [0x81, 0x30, 0x81, 0x30, 0x41], "\x80A"],
  ["utf-16le", [0x3d, 0xd8, 0x00, 0xde], "😀"],
  ["windows-1252", [0x80], "€"],
  ["iso-2022-jp", [0x1b, 0x24, 0x42, 0x46, 0x7c, 0x4b, 0x5c, 0x1b, 0x28, 0x42, 0x41], "日本A"],
];

for (const [label, octets, text] of contents) {
  Deno.test(`${label} is decoded, however it is split`, () => {
    for (let at = 0; at <= octets.length; at++) {
      const decoder = new CharsetDecoder(label);
      const pieces = [decoder.decode(Uint8Array.of(...octets.slice(0, at)), false)];
      pieces.push(decoder.decode(Uint8Array.of(...octets.slice(at)), true));
      assert.equal(pieces.map((piece) => new TextDecoder().decode(piece)).join(""), text);
      assert(decoder.isValid);
    }
  });
}

Deno.test("an octet that is not valid in its charset is passed on as it came", () => {
  const decoder = new CharsetDecoder("EUC-KR");
  assert.equal(decoder.label, "euc-kr");
  const pieces = [[0xc7, 0xce, 0xc7], [0xff], [0xc7], [0xce]].map((octets) =>
    decoder.decode(Uint8Array.of(...octets), false)
  );
  const ping = [...new TextEncoder().encode("핑")];
  assert.deepEqual(pieces.flatMap((octets) => [...octets]), [...ping, 0xc7, 0xff, ...ping]);
  assert(!decoder.isValid);
});

Deno.test("an escape of ISO-2022-JP holds until the next one, wherever pieces begin and what is invalid", () => {
  const decoder = new CharsetDecoder("iso-2022-jp");
  const pieces = ["\x1b$BF|K\\", "\x1b(Bid", "12", "\x1b$BF|", "\xffK\\", "\x1b", "(B3", "\x1b$B", "F|\x1b(B4"];
  const shown = pieces.map((piece) => decoder.decode(Uint8Array.from(piece, (one) => one.charCodeAt(0)), false));
  shown.push(decoder.decode(Uint8Array.of(), true));
  const [before, after] = ["日本id12日", "本3日4"].map((text) => Buffer.from(text));
  assert.deepEqual(Buffer.concat(shown), Buffer.concat([before, Uint8Array.of(0xff), after]));
});

Deno.test("nothing of an octet that is not valid in its charset is left over for those after it", () => {
  const decoder = new CharsetDecoder("gb18030");
  const octets = decoder.decode(Uint8Array.of(0x81, 0x30, 0x81, 0x41, 0x42), true);
  assert.equal(new TextDecoder().decode(octets.subarray(1)), "0\u4e04B");
});

Deno.test("what follows too many octets that are not valid in their charset is passed on as it came", () => {
  const octets = Uint8Array.of(...new Uint8Array(5000).fill(0xff), 0xc7, 0xce);
  const decoder = new CharsetDecoder("euc-kr");
  assert.deepEqual(new Uint8Array(decoder.decode(octets, false)), octets);
  assert.deepEqual(decoder.decode(Uint8Array.of(0xc7, 0xce), true), Uint8Array.of(0xc7, 0xce));
});

Deno.test("UTF-8 may end within a character", () => {
  assert(isUtf8Start(Uint8Array.of(0x41, 0xed, 0x95)));
  assert(!isUtf8Start(Uint8Array.of(0x41, 0xed, 0x41)));
});
