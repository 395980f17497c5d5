import assert from "node:assert/strict";
import { SERVER_LIMITS } from "../../lib/limits.ts";
import { Deadline } from "../../lib/server/context.ts";
import { Sender } from "../../lib/server/sender.ts";
import { connectionContext } from "../support.ts";
import { octetString } from "../wire_cases.ts";

function senderTo(write: (bytes: Uint8Array) => Promise<number>) {
  const context = connectionContext();
  const deadline = new Deadline();
  return { context, deadline, sender: new Sender(1, { write } as Deno.Conn, context, deadline) };
}

Deno.test("everything encoded is written in steps, and counts in the budget until all is written, as its memory does", async () => {
  const { maxWriteBytes } = SERVER_LIMITS;
  let written = "";
  const held: number[] = [];
  const { context, sender } = senderTo((bytes) => {
    held.push(context.budget.used);
    assert(bytes.length <= maxWriteBytes);
    written += octetString(bytes);
    return Promise.resolve(bytes.length);
  });
  const text = "abc".repeat(maxWriteBytes);
  sender.encoder.content(text);
  await sender.flush();
  assert.equal(written, text);
  assert.deepEqual(held, [3 * maxWriteBytes, 3 * maxWriteBytes, 3 * maxWriteBytes]);
  assert.equal(context.budget.used, 0);
  assert.equal(sender.length, 0);
});

Deno.test("dropped responses return their budget, but not their memory while a write is pending", async () => {
  const stuck = Promise.withResolvers<number>();
  const { context, sender } = senderTo(() => stuck.promise);
  sender.encoder.content("secret");
  const flushing = sender.flush();
  assert.equal(context.budget.used, 6);
  const { encoder } = sender;
  sender.end();
  assert.equal(context.budget.used, 0);
  assert.notEqual(context.codecs.encoder(), encoder);
  stuck.reject(new Deno.errors.BadResource());
  await assert.rejects(flushing);
});

Deno.test("each write has the remaining time, extended by its octets", async () => {
  const { sendTimeoutMs, minSendBytesPerSecond } = SERVER_LIMITS;
  const deadlines: number[] = [];
  const { context, deadline, sender } = senderTo(() => {
    deadlines.push(deadline.at - context.clock);
    context.clock += 1000;
    return Promise.resolve(minSendBytesPerSecond / 2);
  });
  sender.restart();
  sender.encoder.content("x".repeat(minSendBytesPerSecond));
  await sender.flush();
  assert.deepEqual(deadlines, [sendTimeoutMs + 1000, sendTimeoutMs - 1000 + 500 + 500]);
  sender.encoder.content("x".repeat(minSendBytesPerSecond / 2));
  await sender.flush();
  assert.equal(deadlines[2], sendTimeoutMs - 2000 + 1000 + 500, "the time is one for all that is flushed");
  sender.restart();
  sender.encoder.content("x".repeat(minSendBytesPerSecond / 2));
  await sender.flush();
  assert.equal(deadlines[3], sendTimeoutMs + 500);
});

Deno.test("a piece that is being written has an end, until the next response", async () => {
  const context = connectionContext();
  const deadline = new Deadline();
  const ends: number[] = [];
  const conn = {
    write: (bytes: Uint8Array) => {
      ends.push(sender.pieceEnd);
      return Promise.resolve(bytes.length);
    },
  } as Deno.Conn;
  const sender: Sender = new Sender(1, conn, context, deadline);
  assert.equal(new TextDecoder().decode(sender.encodePiece(1, "abc")), "3\r\nabc\r\n");
  assert.equal(sender.pieceEnd, Infinity);
  await sender.flush();
  const { at } = deadline;
  assert.equal(sender.pieceEnd, Infinity, "the client has it");
  assert.equal(new TextDecoder().decode(sender.encodePiece(1, undefined)), "0\r\n\r\n");
  sender.restart();
  await sender.flush();
  assert.deepEqual(ends, [at, Infinity]);
  assert.equal(sender.encodePiece(0, undefined).length, 0);
});

Deno.test("the end of a connection has the time that its responses have left, and comes once", async () => {
  const { sendTimeoutMs, minSendBytesPerSecond, lingerMs } = SERVER_LIMITS;
  const context = connectionContext();
  const deadline = new Deadline();
  const ends: number[] = [];
  const conn = {
    write: (bytes: Uint8Array) => {
      context.clock += 3000;
      return Promise.resolve(bytes.length);
    },
    closeWrite: () => {
      assert.equal(deadline.waiting, "the client to read");
      ends.push(deadline.at - context.clock);
      return Promise.resolve();
    },
  } as Deno.Conn;
  await new Sender(1, conn, context, deadline).finish();
  const sender = new Sender(1, conn, context, deadline);
  sender.restart();
  sender.encoder.content("x".repeat(minSendBytesPerSecond));
  await sender.flush();
  const [first, second] = await Promise.all([sender.finish(), sender.finish()]);
  assert.deepEqual(ends, [sendTimeoutMs, sendTimeoutMs - 3000 + 1000]);
  assert.deepEqual([first, second], [context.clock, context.clock]);
  assert.deepEqual([deadline.waiting, deadline.at], ["the client to close", context.clock + lingerMs]);
});
