/**
 * Content that is produced while it is sent, and what becomes of it when its connection does not last.
 */

import assert from "node:assert/strict";
import type { ContentStream, HttpResponse } from "../../lib/http/message.ts";
import type { Observer } from "../../lib/server/context.ts";
import { type Handler, startServer, StoppedClock, until } from "../support.ts";
import { converse, FakeConn, get, HOST, MANY, turnWatch } from "./conns.ts";

/** A stream of pieces that records how it ends. */
function streamOf(pieces: (string | Error)[], notes: string[] = []): ContentStream {
  const iterator: AsyncIterator<string> = {
    next() {
      const value = pieces.shift();
      if (value instanceof Error) return Promise.reject(value);
      return Promise.resolve(value === undefined ? { done: true, value } : { done: false, value });
    },
    return() {
      notes.push("ended");
      return Promise.resolve({ done: true, value: undefined });
    },
  };
  return { [Symbol.asyncIterator]: () => iterator };
}

Deno.test("a client that always reads more does not block the event loop", async () => {
  const watch = turnWatch();
  const endless: ContentStream = {
    [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve({ done: watch.turned(), value: "piece" }) }),
  };
  await converse(new FakeConn(get("/")), () => ({ status: 200, content: endless }));
  assert(watch.questions() < MANY, "nobody else would have been served");
});

Deno.test("a stream is sent chunked, piece by piece, and ended", async () => {
  const notes: string[] = [];
  const writes = await converse(
    new FakeConn(get("/1") + get("/2")),
    ({ target }) => target === "/1" ? { status: 200, content: streamOf(["ab", "", "핑"], notes) } : { status: 204 },
  );
  assert.match(writes.join(""), /chunked\r\n.*\r\n\r\n2\r\nab\r\n3\r\n\xed\x95\x91\r\n0\r\n\r\nHTTP\/1\.1 204/s);
  assert.deepEqual(notes, ["ended"]);
});

for (const status of [204, 304]) {
  Deno.test(`a stream is not sent with ${status}, but ended`, async () => {
    const notes: string[] = [];
    const handler: Handler = () => ({ status, content: streamOf(["ab"], notes) });
    const writes = (await converse(new FakeConn(get("/1")), handler)).join("");
    assert.match(writes, /^HTTP\/1\.1 [23]04 [\w ]+\r\nDate: now\r\n\r\n$/);
    assert.deepEqual(notes, ["ended"]);
  });
}

Deno.test("a stream for HTTP/1.0 is sent without chunks, and ends with the connection", async () => {
  const conn = new FakeConn("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  const writes = (await converse(conn, () => ({ status: 200, content: streamOf(["ab", "c"]) }))).join("");
  assert.match(writes, /^HTTP\/1\.1 200 OK\r\nConnection: close\r\nDate: now\r\n\r\nabc$/);
});

Deno.test("HEAD gets only the head of a stream, and the stream is ended", async () => {
  const notes: string[] = [];
  const conn = new FakeConn(`HEAD / HTTP/1.1\r\n${HOST}\r\n`);
  const writes = (await converse(conn, () => ({ status: 200, content: streamOf(["ab"], notes) }))).join("");
  assert.match(writes, /^HTTP\/1\.1 200 OK\r\nTransfer-Encoding: chunked\r\nDate: now\r\n\r\n$/);
  assert.deepEqual(notes, ["ended"]);
});

Deno.test("a failed stream is cut off, so that it does not look complete", async () => {
  const notes: string[] = [];
  const failures: unknown[] = [];
  const handler: Handler = () => ({ status: 200, content: streamOf(["ab", new Error("disk on fire")], notes) });
  const observer: Observer = {
    failed: (error) => failures.push(error),
    closed: (_id, reason) => notes.push(reason),
  };
  const writes = (await converse(new FakeConn(get("/") + get("/2")), handler, observer)).join("");
  assert.match(writes, /\r\n2\r\nab\r\n$/);
  assert.deepEqual(notes, ["ended", "by the server (internal error)"]);
  assert.equal(failures.length, 1);
});

Deno.test("a client that disappears does not affect the server", async () => {
  await using server = startServer(async () => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    return { status: 200, content: streamOf(Array(1000).fill("x".repeat(10_000))) };
  });
  for (let i = 0; i < 10; i++) {
    const peer = await server.connect();
    await peer.send(get("/"));
    if (i % 2) await peer.conn.read(new Uint8Array(100));
    peer.close();
  }
  await until(() => server.server.connections === 0);
  assert.equal((await (await server.connect()).exchange(get("/"))).head.status, 200);
});

Deno.test("a response that is never sent is dropped, and its stream is ended", async () => {
  // The ways to fail: the previous response cannot be written, or the response's head cannot be encoded.
  const ways: [name: string, prepare: (conn: FakeConn) => void, response: Partial<HttpResponse>][] = [
    [
      "the response before cannot be sent",
      (conn) => conn.write = () => Promise.reject(new Deno.errors.ConnectionReset()),
      {},
    ],
    ["its head cannot be encoded", () => {}, { fields: [["Bad name", "1"]] }],
    ["its status cannot be encoded", () => {}, { status: 42 }],
  ];
  for (const late of [false, true]) {
    for (const [name, prepare, response] of ways) {
      const notes: string[] = [];
      const conn = new FakeConn(get("/1") + get("/2"));
      prepare(conn);
      using _clock = new StoppedClock();
      const made = Promise.withResolvers<void>();
      await converse(conn, ({ target }) => {
        if (target === "/1") return { status: 200 };
        const answer = { status: 200, content: streamOf(["a"], notes), ...response };
        return late ? made.promise.then(() => answer) : answer;
      }, {
        failed: () => {},
        closed: () => made.resolve(),
        response: (_id, _bytes, status) => status === 200 && made.resolve(),
      });
      await until(() => notes.length > 0);
      assert.deepEqual(notes, ["ended"], name);
    }
  }
});
