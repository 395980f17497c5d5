/**
 * The timeouts of a connection, with a clock controlled by the test, and a client whose reads and writes it controls.
 */

import assert from "node:assert/strict";
import { HttpError } from "../../lib/http/error.ts";
import { SERVER_LIMITS } from "../../lib/limits.ts";
import { type Handler, until } from "../support.ts";
import { assertRefused, HeldConn, HOST, serve } from "./conns.ts";

const { headTimeoutMs, contentTimeoutMs, idleTimeoutMs, sendTimeoutMs, lingerMs, shutdownIdleMs } = SERVER_LIMITS;
const GET = `GET / HTTP/1.1\r\n${HOST}\r\n`;

Deno.test("a head that arrives slowly is refused at its timeout", async () => {
  const { conn, ended, at } = serve();
  await at(1000);
  await conn.bring("GET / HTTP/1.1\r\n");
  await at(1000 + headTimeoutMs - 1);
  await conn.bring("X: ");
  assert.equal(conn.written, "");
  await at(1000 + headTimeoutMs);
  assertRefused(conn.written, "head", headTimeoutMs);
  assert(conn.finished);
  conn.end();
  await ended;
});

Deno.test("missing content is refused at its timeout", async () => {
  const { conn, ended, at } = serve();
  await conn.bring(`PUT / HTTP/1.1\r\n${HOST}Content-Length: 500\r\n\r\n`);
  await at(contentTimeoutMs - 1);
  assert.equal(conn.written, "");
  await at(contentTimeoutMs);
  assertRefused(conn.written, "content", contentTimeoutMs);
  conn.end();
  await ended;
});

Deno.test("steady content extends its timeout, but not beyond its rate", async () => {
  const { conn, ended, at } = serve();
  const piece = "x".repeat(256);
  const pieceMs = piece.length * 1000 / SERVER_LIMITS.minContentBytesPerSecond;
  await conn.bring(`PUT / HTTP/1.1\r\n${HOST}Content-Length: 1000000\r\n\r\n`);
  let now = 0;
  for (; now < 3 * contentTimeoutMs; now += pieceMs) {
    await at(now);
    await conn.bring(piece);
  }
  await at(now + contentTimeoutMs - 1);
  assert.equal(conn.written, "");
  await at(now + contentTimeoutMs);
  assertRefused(conn.written, "content", contentTimeoutMs);
  conn.end();
  await ended;
});

Deno.test("an idle connection is closed without a response", async () => {
  const { conn, ended, at, reason } = serve();
  await at(idleTimeoutMs - 1);
  await conn.bring(GET);
  const { written } = conn;
  assert.match(written, /^HTTP\/1\.1 200 OK/);
  await at(2 * idleTimeoutMs - 2);
  assert.equal(reason(), "");
  await at(2 * idleTimeoutMs - 1);
  await ended;
  assert.equal(reason(), "by the server (idle too long)");
  assert.equal(conn.written, written);
});

Deno.test("an empty line after a request does not start the timeout of a head", async () => {
  const { conn, ended, at, reason } = serve();
  await conn.bring(`${GET}\r\n`);
  await at(idleTimeoutMs - 1);
  assert.equal(reason(), "");
  await at(idleTimeoutMs);
  await ended;
  assert.equal(reason(), "by the server (idle too long)");
  assert.doesNotMatch(conn.written, /408/);
});

/** Returns the time that octets give to a client that reads them. */
const earnedMs = (octets: number) => octets * 1000 / SERVER_LIMITS.minSendBytesPerSecond;

Deno.test("a client that reads nothing is not read from, and is cut off at the timeout", async () => {
  const { conn, ended, at, reason } = serve();
  conn.stalled = true;
  conn.deliver(GET.repeat(10));
  await at(0);
  const timeMs = sendTimeoutMs + earnedMs(conn.offered);
  await at(timeMs - 1);
  assert.equal(conn.reads, 1);
  assert.equal(reason(), "");
  await at(timeMs);
  await ended;
  assert.equal(reason(), "by the server (the client stopped reading)");
  assert.equal(conn.reads, 1);
});

Deno.test("a client that reads too slowly is cut off, however often it takes a few octets", async () => {
  const large = "x".repeat(4 * SERVER_LIMITS.maxWriteBytes);
  const { conn, ended, at, reason } = serve(() => ({ status: 200, content: large }));
  const write = conn.write.bind(conn);
  let allowed = Promise.withResolvers<void>();
  conn.takes = 1000;
  conn.write = async (bytes) => {
    await Promise.race([allowed.promise, conn.closed.promise]);
    if (conn.isClosed) throw new Deno.errors.BadResource();
    return await write(bytes);
  };
  conn.deliver(GET);
  await at(0);
  // The client reads 1000 octets per second, which is below the minimum rate.
  let now = 0;
  while (!conn.isClosed && now < 200_000) {
    allowed.resolve();
    allowed = Promise.withResolvers();
    await at(now += 1000);
  }
  await ended;
  assert.equal(reason(), "by the server (the client stopped reading)");
  const timeMs = sendTimeoutMs + earnedMs(conn.written.length + SERVER_LIMITS.maxWriteBytes);
  assert(Math.abs(now - timeMs) <= 1100, `cut off after ${now} ms, allowed were ${timeMs}`);
});

Deno.test("a client that reads at the minimum rate is never cut off", async () => {
  const large = "x".repeat(2 * SERVER_LIMITS.maxWriteBytes);
  const { conn, ended, at, reason } = serve(() => ({ status: 200, content: large }));
  const write = conn.write.bind(conn);
  let allowed = Promise.withResolvers<void>();
  conn.takes = SERVER_LIMITS.minSendBytesPerSecond;
  conn.write = async (bytes) => {
    await allowed.promise;
    return await write(bytes);
  };
  conn.deliver(GET);
  for (let now = 0; conn.written.length < large.length; now += 1000) {
    await at(now);
    assert.equal(reason(), "");
    allowed.resolve();
    allowed = Promise.withResolvers();
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  allowed.resolve();
  conn.end();
  await ended;
});

Deno.test("the request of a half-closed client is aborted after a limited time", async () => {
  let signal: AbortSignal | undefined;
  const { conn, ended, at, reason } = serve((_request, _content, requester) => {
    signal = requester.signal;
    return new Promise((_resolve, reject) =>
      requester.signal.addEventListener("abort", () => reject(requester.signal.reason))
    );
  });
  conn.deliver(GET);
  await at(10);
  conn.end();
  await at(20);
  await at(20 + SERVER_LIMITS.halfClosedMs - 1);
  assert.equal(signal?.aborted, false);
  await at(20 + SERVER_LIMITS.halfClosedMs);
  assert.equal(signal?.aborted, true);
  await ended;
  assert.equal(reason(), "by the client");
  assert.equal(conn.written, "");
});

Deno.test("a store that may wait for others has that time for a half-closed client, too", async () => {
  const made = Promise.withResolvers<{ status: number }>();
  const storeMs = 10_000;
  const { conn, ended, at } = serve(() => made.promise, undefined, { storeMs });
  conn.deliver(GET);
  await at(10);
  conn.end();
  await at(20);
  await at(20 + SERVER_LIMITS.halfClosedMs + storeMs - 1);
  made.resolve({ status: 201 });
  await ended;
  assert.match(conn.written, /^HTTP\/1\.1 201 /);
});

/** Long enough for a test to see whether something is sent before. */
const delayMs = 50;

/** Waits until something is sent, or the end, and sees that this was not before the delay. */
async function delayed(conn: HeldConn, since: number): Promise<void> {
  await until(() => conn.written !== "" || conn.finished);
  // A timer counts whole milliseconds.
  assert(performance.now() - since > delayMs - 1);
}

const late: [what: string, sent: string, status: number][] = [
  ["a response", GET, 200],
  ["an error of the service", `PUT / HTTP/1.1\r\n${HOST}\r\n`, 401],
  ["the refusal of a broken head", "GET / HTTP/1.1\nHost: a\n\n", 400],
  ["the refusal of too much content", `PUT / HTTP/1.1\r\n${HOST}Content-Length: 9999999\r\n\r\n`, 413],
  ["the refusal of a precheck", `PUT / HTTP/1.1\r\n${HOST}Expect: x\r\nContent-Length: 1\r\n\r\n`, 417],
];
for (const [what, sent, status] of late) {
  for (const leaves of [false, true]) {
    Deno.test(`${what} is delayed${leaves ? ", which is no time of a client that has closed its side" : ""}`, async () => {
      const answer: Handler = ({ method }) => {
        if (method === "GET") return { status: 200 };
        throw new HttpError(401, "No token");
      };
      const { conn, ended, at } = serve(answer, undefined, { delayMs });
      const since = performance.now();
      conn.deliver(sent);
      if (leaves) conn.end();
      await at(10);
      await at(600_000);
      await delayed(conn, since);
      assert.match(conn.written, new RegExp(`^HTTP/1\\.1 ${status} `));
      conn.end();
      await ended;
    });
  }
}

Deno.test("an answer to what came too slowly is delayed, and the end does not overtake it", async () => {
  const { conn, ended, at } = serve(undefined, undefined, { delayMs });
  await conn.bring("GET / HTTP/1.1\r\n");
  const since = performance.now();
  await at(headTimeoutMs);
  conn.deliver("X: still sending\r\n");
  await at(headTimeoutMs + 600_000);
  await delayed(conn, since);
  await until(() => conn.finished);
  assertRefused(conn.written, "head", headTimeoutMs);
  conn.end();
  await ended;
});

Deno.test("interim responses and the refusal of one connection too many are not delayed", async () => {
  const put = serve(undefined, undefined, { delayMs: 600_000 });
  await put.conn.bring(`PUT / HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n`);
  assert.equal(put.conn.written, "HTTP/1.1 100 Continue\r\n\r\n");
  put.conn.close();
  await put.ended;
  const tooMany = serve(undefined, undefined, { delayMs: 600_000 }, new HttpError(503, "The server is full"));
  await tooMany.at(10);
  assert.match(tooMany.conn.written, /^HTTP\/1\.1 503 /);
  tooMany.conn.end();
  await tooMany.ended;
});

Deno.test("pipelined requests of a half-closed client are all answered, each after the delay", async () => {
  const { conn, ended, at } = serve(undefined, undefined, { delayMs: 5 });
  conn.deliver(GET.repeat(3));
  conn.end();
  await at(10);
  await at(600_000);
  await ended;
  assert.equal(conn.written.match(/HTTP\/1\.1 200 OK/g)?.length, 3);
});

Deno.test("a delay of a range is drawn from it", async () => {
  const { random } = Math;
  try {
    for (const [drawn, isAnswered] of [[0, false], [1 - 2 ** -40, true]] as const) {
      Math.random = () => drawn;
      const { conn, ended, at } = serve(undefined, undefined, { delayMs: 600_000, delaySpreadMs: 600_000 });
      conn.deliver(GET);
      await at(10);
      if (isAnswered) await until(() => conn.written !== "");
      else await until(() => conn.reads === 2);
      assert.equal(conn.written !== "", isAnswered);
      conn.close();
      await ended;
    }
  } finally {
    Math.random = random;
  }
});

Deno.test("the delay ends with the connection", async () => {
  const { conn, ended, at, reason } = serve(undefined, undefined, { delayMs: 600_000 });
  conn.deliver(GET);
  await at(10);
  conn.close();
  await ended;
  assert.equal(reason(), "by the client (connection lost)");
});

Deno.test("a TLS handshake has the same timeout as a head", async () => {
  const conn = Object.assign(new HeldConn(), {
    handshake: () => conn.closed.promise.then(() => Promise.reject(new Deno.errors.BadResource())),
  });
  const { ended, at, reason } = serve(undefined, conn);
  await at(headTimeoutMs - 1);
  assert.equal(reason(), "");
  await at(headTimeoutMs);
  await ended;
  assert.equal(reason(), "by the server (no TLS handshake in time)");
});

Deno.test("a connection whose client does not close its side is closed after the linger time", async () => {
  const { conn, ended, at, reason } = serve();
  await conn.bring("broken\n");
  assert.match(conn.written, /^HTTP\/1\.1 400/);
  assert(conn.finished);
  await conn.bring("still sending");
  await at(lingerMs - 1);
  assert.equal(reason(), "");
  await at(lingerMs);
  await ended;
  assert.equal(reason(), "by the server (error 400)");
});

Deno.test("a client that goes on sending is listened to until it is silent, and not for ever", async () => {
  const { maxLingerMs } = SERVER_LIMITS;
  const { conn, ended, at, reason } = serve();
  await conn.bring("broken\n");
  const stepMs = lingerMs - 1;
  let now = 0;
  for (; now + stepMs < maxLingerMs; now += stepMs) {
    await at(now + stepMs);
    assert.equal(reason(), "");
    await conn.bring("more");
  }
  await at(maxLingerMs - 1);
  assert.equal(reason(), "");
  await at(maxLingerMs);
  await ended;
  assert.equal(reason(), "by the server (error 400)");
});

Deno.test("during shutdown, an idle connection has a short time, but no more than before", async () => {
  for (const stopsAt of [1000, idleTimeoutMs - shutdownIdleMs / 2]) {
    const { conn, ended, at, stop, reason } = serve();
    await at(stopsAt);
    stop();
    const end = Math.min(stopsAt + shutdownIdleMs, idleTimeoutMs);
    await at(end - 1);
    assert.equal(conn.isClosed, false);
    await at(end);
    assert.equal(conn.isClosed, true);
    assert.equal(reason(), "by the server (shutting down)");
    await ended;
  }
});

Deno.test("during shutdown, an incomplete head keeps its timeout", async () => {
  const { conn, ended, at, stop } = serve();
  await at(1000);
  await conn.bring("GET / HTTP/1.1\r\n");
  stop();
  await at(1000 + headTimeoutMs - 1);
  assert.equal(conn.written, "");
  await at(1000 + headTimeoutMs);
  assertRefused(conn.written, "head", headTimeoutMs);
  conn.end();
  await ended;
});
