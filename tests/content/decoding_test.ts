import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { brotliCompressSync, constants, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { ContentDecoder, type DecodingState } from "../../lib/content/decoding.ts";
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
