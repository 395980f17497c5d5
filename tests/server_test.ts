import assert from "node:assert/strict";
import type { Handler } from "../lib/http/message.ts";
import { SERVER_LIMITS } from "../lib/limits.ts";
import { Server } from "../lib/server.ts";
import { startServer, until } from "./support.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: Handler = () => ({ status: 200, content: "ok" });

/** A handler whose answers wait until they are let go. */
function heldHandler(): { handler: Handler; waiting: () => number; release: () => void } {
  const waiting: (() => void)[] = [];
  return {
    handler: () => new Promise((resolve) => waiting.push(() => resolve({ status: 200, content: "late" }))),
    waiting: () => waiting.length,
    release: () => waiting.splice(0).forEach((resolve) => resolve()),
  };
}

Deno.test("many clients are served at once", async () => {
  await using server = startServer(OK);
  const peers = await Promise.all(Array.from({ length: 200 }, () => server.connect()));
  for (let round = 0; round < 3; round++) {
    const answers = await Promise.all(peers.map((peer) => peer.exchange(GET)));
    assert(answers.every(({ head, content }) => head.status === 200 && content === "ok"));
  }
  assert.equal(server.server.connections, 200);
});

Deno.test("every answer has the date", async () => {
  await using server = startServer(OK, { now: () => 784111777_000 });
  const { head } = await (await server.connect()).exchange(GET);
  assert.equal(head.fields.get("date"), "Sun, 06 Nov 1994 08:49:37 GMT");
});

Deno.test("one connection too many gets 503, and the others never notice", async () => {
  await using server = startServer(OK, { limits: { maxConnections: 2, maxRefusedConnections: 1 } });
  const [first, second] = [await server.connect(), await server.connect()];
  await first.exchange(GET);
  await second.exchange(GET);
  const third = await server.connect();
  const { head, content } = await third.receive();
  assert.equal(head.status, 503);
  assert.equal(head.fields.get("retry-after"), "1");
  assert.equal(head.fields.get("connection"), "close");
  assert.match(content, /at its limit of 2 connections/);
  // One is refused at a time; another one is closed at once.
  const fourth = await server.connect();
  assert.equal(await fourth.receiveAll().catch(() => ""), "");
  assert.equal((await first.exchange(GET)).head.status, 200);
  assert.equal((await second.exchange(GET)).head.status, 200);
  first.close();
  await until(() => server.server.connections === 1);
  assert.equal((await (await server.connect()).exchange(GET)).head.status, 200);
});

Deno.test("accepting goes on when it has failed", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const failures: string[] = [];
  let attempts = 0;
  const failing = {
    addr: listener.addr,
    accept() {
      attempts++;
      if (attempts === 1) return Promise.reject(new Deno.errors.ConnectionAborted());
      return attempts <= 3 ? Promise.reject(new Error("Too many open files (os error 24)")) : listener.accept();
    },
    close: () => listener.close(),
  } as unknown as Deno.Listener;
  const server = new Server(failing, OK, {
    limits: { ...SERVER_LIMITS, acceptRetryMs: 1, shutdownIdleMs: 0 },
    observer: { cannotAccept: (reason) => failures.push(reason) },
  });
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  await conn.write(new TextEncoder().encode(GET));
  assert((await conn.read(new Uint8Array(1000)))! > 0);
  conn.close();
  await server.shutdown();
  assert.deepEqual(failures, Array(2).fill("Too many open files (os error 24)"));
});

Deno.test("stopping lets requests in flight be answered", async () => {
  const { handler, waiting, release } = heldHandler();
  const server = startServer(handler);
  const peers = await Promise.all(Array.from({ length: 10 }, () => server.connect()));
  await Promise.all(peers.map((peer) => peer.send(GET + GET)));
  await until(() => waiting() === 10);
  const stopped = server.server.shutdown();
  await assert.rejects(Deno.connect({ hostname: "127.0.0.1", port: server.port }));
  release();
  await until(() => waiting() === 10);
  release();
  for (const peer of peers) {
    assert.equal((await peer.receive()).head.fields.get("connection"), undefined);
    assert.equal((await peer.receive()).head.fields.get("connection"), "close");
    assert.equal(await peer.receiveAll(), "");
    peer.close();
  }
  await stopped;
  assert.equal(server.server.connections, 0);
});

Deno.test("stopping closes idle connections after a moment, in which they may still ask", async () => {
  const reasons: string[] = [];
  const server = startServer(OK, {
    limits: { shutdownIdleMs: 100 },
    observer: { closed: (_id, reason) => reasons.push(reason) },
  });
  const [quick, idle] = [await server.connect(), await server.connect()];
  await quick.exchange(GET);
  await idle.exchange(GET);
  const stopped = server.server.shutdown();
  assert.equal((await quick.exchange(GET)).head.fields.get("connection"), "close");
  assert.equal(await idle.receiveAll(), "");
  quick.close();
  idle.close();
  await stopped;
  assert.deepEqual(reasons, Array(2).fill("by the server (shutting down)"));
});

Deno.test("stopping does not wait for ever", async () => {
  const { handler, waiting, release } = heldHandler();
  const server = startServer(handler, { limits: { shutdownMs: 20 } });
  const peer = await server.connect();
  await peer.send(GET);
  await until(() => waiting() === 1);
  const stopped = server.server.shutdown();
  assert.equal(await peer.receiveAll().catch(() => ""), "");
  peer.close();
  await stopped;
  // The handler is not waited for.
  release();
});

Deno.test("a server without connections stops at once, and only once", async () => {
  const server = startServer(OK);
  await server.server.shutdown();
  await server.server.shutdown();
});
