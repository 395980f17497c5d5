import assert from "node:assert/strict";
import {
  ByteBuffer,
  byteLength,
  counted,
  isSameSecret,
  octetsToText,
  octetString,
  readStart,
  resized,
  withoutMark,
  writeAll,
} from "../lib/bytes.ts";

Deno.test("all bytes are written, even in small parts", async () => {
  const written: number[] = [];
  const sink = {
    write(bytes: Uint8Array) {
      const count = Math.min(2, bytes.length);
      written.push(...bytes.subarray(0, count));
      return Promise.resolve(count);
    },
  };
  await writeAll(sink, Uint8Array.of(1, 2, 3, 4, 5));
  await writeAll(sink, new Uint8Array(0));
  assert.deepEqual(written, [1, 2, 3, 4, 5]);
});

Deno.test("resizing copies used bytes and adds room", () => {
  assert.deepEqual([...resized(Uint8Array.of(1, 2, 3), 2, 4)], [1, 2, 0, 0]);
});

Deno.test("lengths count bytes", () => {
  assert.equal(byteLength("핑"), 3);
  assert.equal(byteLength(new Uint8Array(2)), 2);
});

Deno.test("a buffer grows as bytes are appended, and releases memory when cleared", () => {
  const buffer = new ByteBuffer(4);
  buffer.append(Uint8Array.of(97, 98, 99, 100));
  assert.equal(buffer.bytes.length, 4, "what just fits needs no growth");
  buffer.appendText("핑e");
  assert.equal(octetString(buffer.view()), "abcd\xed\x95\x91e");
  assert.equal(octetString(buffer.view(7)), "e");
  buffer.clear(buffer.bytes.length);
  assert(buffer.length === 0 && buffer.bytes.length > 4, "memory up to the bound is kept");
  buffer.clear(buffer.bytes.length - 1);
  assert.equal(buffer.bytes.length, 4);
});

Deno.test("each octet is one character", () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, octet) => octet);
  assert.equal(octetString(bytes), Array.from(bytes, (octet) => String.fromCharCode(octet)).join(""));
  assert.equal(octetString(bytes, 65, 67), "AB");
});

Deno.test("a source is read to its end, up to the limit", async () => {
  const sourceOf = (bytes: number, most = 1000) => {
    let left = bytes;
    return {
      read(buffer: Uint8Array): Promise<number | null> {
        const count = Math.min(left, buffer.length, most);
        buffer.fill(7, 0, count);
        left -= count;
        return Promise.resolve(count === 0 ? null : count);
      },
    };
  };
  for (const bytes of [0, 1, 100_000, 300_000]) {
    for (const expected of [undefined, bytes, bytes + 1]) {
      assert.equal((await readStart(sourceOf(bytes), 300_000, 300_000, expected)).length, bytes);
    }
  }
  assert.equal((await readStart(sourceOf(300_001), 300_000)).length, 300_000);
  assert.equal((await readStart(sourceOf(11), 10)).length, 10);
  assert.equal(
    (await readStart(sourceOf(5000), 4000, 1001)).length,
    2000,
    "once there is enough, it waits for no more",
  );
});

Deno.test("octets are read as UTF-8", () => {
  assert.equal(octetsToText("\xed\x95\x91"), "핑");
  assert.equal(octetsToText("a\xff"), "a\ufffd");
  assert.equal(octetsToText("\xef\xbb\xbfa"), "\ufeffa");
});

Deno.test("numbers have their noun in the singular or plural", () => {
  assert.deepEqual([0, 1, 2].map((count) => counted(count, "octet")), ["0 octets", "1 octet", "2 octets"]);
});

Deno.test("a secret is only the same as itself", () => {
  assert.equal(isSameSecret("secret", "secret"), true);
  for (const other of ["", "secre", "secret1", "Secret", "secretsecret", "secret\0"]) {
    assert.equal(isSameSecret(other, "secret"), false, other);
  }
});

Deno.test("a byte order mark is left out at a text's start only", () => {
  const [mark, text] = [[0xef, 0xbb, 0xbf], [0x61, 0xef, 0xbb, 0xbf]];
  assert.deepEqual([...withoutMark(Uint8Array.of(...mark, ...text))], text);
  for (const other of [text, mark.slice(0, 2), []]) assert.deepEqual([...withoutMark(Uint8Array.from(other))], other);
});
