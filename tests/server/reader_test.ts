import assert from "node:assert/strict";
import { SERVER_LIMITS } from "../../lib/limits.ts";
import { Budget } from "../../lib/server/context.ts";
import { Reader } from "../../lib/server/reader.ts";
import { connectionContext } from "../support.ts";
import { octetString } from "../wire_cases.ts";

const { minReadBytes, maxReadBytes } = SERVER_LIMITS;

/** Fills buffers with consecutive letters, up to a number of octets. */
function letters(octets: number) {
  let sent = 0;
  return {
    read(buffer: Uint8Array): Promise<number | null> {
      const count = Math.min(buffer.length, octets - sent);
      for (let i = 0; i < count; i++) buffer[i] = 97 + (sent + i) % 26;
      sent += count;
      return Promise.resolve(count === 0 ? null : count);
    },
  } as unknown as Deno.Conn;
}

function readerOf(octets: number, budget = new Budget(1024 * 1024)) {
  return { budget, reader: new Reader(letters(octets), { ...connectionContext(), budget }) };
}

Deno.test("the read buffer grows and shrinks with the reads", async () => {
  const { reader, budget } = readerOf(85 * minReadBytes + maxReadBytes + 10);
  const sizes: number[] = [];
  for (let count = await reader.read(); count !== null; count = await reader.read()) {
    sizes.push(reader.bytes.length);
    reader.done(count);
  }
  assert.deepEqual(sizes.slice(0, 5), [
    minReadBytes,
    4 * minReadBytes,
    16 * minReadBytes,
    64 * minReadBytes,
    maxReadBytes,
  ]);
  assert.equal(Math.max(...sizes), maxReadBytes);
  assert.equal(budget.used, 0, "the last read brought little");
  reader.end();
  assert.equal(budget.used, 0);
});

Deno.test("large reads are taken from the budget, and given back at the end", async () => {
  const { reader, budget } = readerOf(maxReadBytes, new Budget(4 * minReadBytes));
  reader.done((await reader.read())!);
  assert.equal(budget.used, 3 * minReadBytes);
  reader.done((await reader.read())!);
  assert.equal(budget.used, 3 * minReadBytes, "there is not enough for more");
  reader.end();
  assert.equal(budget.used, 0);
});

Deno.test("one read is made ahead, and its bytes are read next", async () => {
  const { reader } = readerOf(2 * minReadBytes + 5);
  assert.equal(await reader.read(), minReadBytes);
  const first = octetString(reader.bytes);
  const ahead: (number | null)[] = [];
  const failed = () => assert.fail();
  reader.readAhead((count) => ahead.push(count), failed);
  reader.readAhead((count) => ahead.push(count), failed);
  await Promise.resolve();
  assert.deepEqual(ahead, [minReadBytes]);
  assert.equal(octetString(reader.bytes), first, "what is being answered stays as it is");
  assert.equal(await reader.read(), minReadBytes);
  assert.notEqual(octetString(reader.bytes), first);
  assert.equal(await reader.read(), 5);
  assert.equal(await reader.read(), null);
});
