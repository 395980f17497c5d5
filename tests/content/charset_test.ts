import assert from "node:assert/strict";
import { CharsetDecoder, charsetOf, isUtf8Start } from "../../lib/content/decoding.ts";

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
