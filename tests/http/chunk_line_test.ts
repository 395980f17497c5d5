import assert from "node:assert/strict";
import { ChunkLine } from "../../lib/http/chunk_line.ts";
import { HttpError } from "../../lib/http/error.ts";
import { MORE } from "../../lib/http/scan.ts";
import { REQUEST_LIMITS } from "../../lib/limits.ts";
import { wireOctets } from "../wire_cases.ts";

Deno.test("a chunk line gives its size, whatever its extensions", () => {
  const line = new ChunkLine(REQUEST_LIMITS);
  for (
    const [text, size] of [["0\r\n", 0], ["1F\r\n", 31], ['a;b="\\"";c\r\n', 10], [
      "1fffffffffffff\r\n",
      2 ** 53 - 1,
    ]] as const
  ) {
    const bytes = wireOctets(text);
    assert.equal(line.scan(bytes, 0, bytes.length), bytes.length, text);
    assert.equal(line.size, size, text);
    for (let end = 0; end < bytes.length; end++) assert.equal(line.scan(bytes, 0, end), MORE, text);
  }
});

Deno.test("extensions are counted per message", () => {
  const limits = { ...REQUEST_LIMITS, maxChunkExtensionsBytes: 5 };
  const line = new ChunkLine(limits);
  const bytes = wireOctets("1;ab\r\n");
  line.scan(bytes, 0, bytes.length);
  assert.throws(() => line.scan(bytes, 0, bytes.length), HttpError);
  assert.equal(new ChunkLine(limits).scan(bytes, 0, bytes.length), bytes.length);
});
