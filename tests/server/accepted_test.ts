import assert from "node:assert/strict";
import type { Encoder } from "../../lib/http/encoder.ts";
import { SERVER_LIMITS } from "../../lib/limits.ts";
import { Budget } from "../../lib/server/context.ts";
import { Reader } from "../../lib/server/accepted.ts";
import { ServerConnection } from "../../lib/server/connection.ts";
import { connectionContext, serviceOf } from "../support.ts";
import { octetString } from "../wire_cases.ts";
import { converse, FakeConn, get } from "./conns.ts";

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

Deno.test("a read that comes to its end after the connection takes nothing from the budget", async () => {
  const { reader, budget } = readerOf(maxReadBytes);
  const read = reader.read();
  reader.end();
  reader.done((await read)!);
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

/** What a connection shows to its subclasses. */
interface Sender {
  readonly encoder: Encoder;
  readonly unsent: number;
  readonly pieceEnd: number;
  readonly waitsFor: string;
  readonly deadline: number;
  encodePiece(minor: number, piece: string | undefined): Uint8Array;
  restart(): void;
  flush(): Promise<void>;
  finish(): Promise<number>;
  close(): void;
}

function senderTo(write: Deno.Conn["write"], closeWrite?: Deno.Conn["closeWrite"]) {
  const context = connectionContext();
  const conn = { write, closeWrite, close() {} } as Deno.Conn;
  const connection = new ServerConnection(1, conn, context, serviceOf(() => assert.fail()));
  return { context, sender: connection as unknown as Sender };
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
  assert.equal(sender.unsent, 0);
});

Deno.test("dropped responses return their budget, but not their memory while a write is pending", async () => {
  const stuck = Promise.withResolvers<number>();
  const { context, sender } = senderTo(() => stuck.promise);
  sender.encoder.content("secret");
  const flushing = sender.flush();
  assert.equal(context.budget.used, 6);
  const { encoder } = sender;
  sender.close();
  assert.equal(context.budget.used, 0);
  assert.notEqual(context.encoders.take(), encoder);
  stuck.reject(new Deno.errors.BadResource());
  await assert.rejects(flushing);
});

Deno.test("each write has the remaining time, extended by its octets", async () => {
  const { sendTimeoutMs, minSendBytesPerSecond } = SERVER_LIMITS;
  const deadlines: number[] = [];
  const { context, sender } = senderTo(() => {
    deadlines.push(sender.deadline - context.clock);
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
  const ends: number[] = [];
  const { sender } = senderTo((bytes) => {
    ends.push(sender.pieceEnd);
    return Promise.resolve(bytes.length);
  });
  assert.equal(new TextDecoder().decode(sender.encodePiece(1, "abc")), "3\r\nabc\r\n");
  assert.equal(sender.pieceEnd, Infinity);
  await sender.flush();
  const at = sender.deadline;
  assert.equal(sender.pieceEnd, Infinity, "the client has it");
  assert.equal(new TextDecoder().decode(sender.encodePiece(1, undefined)), "0\r\n\r\n");
  sender.restart();
  await sender.flush();
  assert.deepEqual(ends, [at, Infinity]);
  assert.equal(sender.encodePiece(0, undefined).length, 0);
});

Deno.test("the end of a connection has the time that its responses have left, and comes once", async () => {
  const { sendTimeoutMs, minSendBytesPerSecond, lingerMs } = SERVER_LIMITS;
  const ends: number[] = [];
  const connected = () => {
    const connection = senderTo((bytes) => {
      connection.context.clock += 3000;
      return Promise.resolve(bytes.length);
    }, () => {
      assert.equal(connection.sender.waitsFor, "the client to read");
      ends.push(connection.sender.deadline - connection.context.clock);
      return Promise.resolve();
    });
    return connection;
  };
  await connected().sender.finish();
  const { context, sender } = connected();
  sender.restart();
  sender.encoder.content("x".repeat(minSendBytesPerSecond));
  await sender.flush();
  const [first, second] = await Promise.all([sender.finish(), sender.finish()]);
  assert.deepEqual(ends, [sendTimeoutMs, sendTimeoutMs - 3000 + 1000]);
  assert.deepEqual([first, second], [context.clock, context.clock]);
  assert.deepEqual([sender.waitsFor, sender.deadline], ["the client to close", context.clock + lingerMs]);
});

Deno.test("a socket is told to send each write at once, and one whose client has left may refuse that", async () => {
  for (const refuses of [false, true]) {
    let calls = 0;
    const conn = new FakeConn(get("/"));
    const setNoDelay = () => {
      calls++;
      if (refuses) throw new Error("not connected");
    };
    const [written] = await converse(Object.assign(conn, { setNoDelay }));
    assert.equal(calls, 1);
    assert.match(written, /^HTTP\/1\.1 200 OK\r\n/);
  }
});
