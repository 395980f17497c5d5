import assert from "node:assert/strict";
import type { HttpResponse } from "../lib/http/message.ts";
import { SERVER_LIMITS, type ServerLimits } from "../lib/limits.ts";
import { Server } from "../lib/server.ts";
import type { Observer } from "../lib/server/context.ts";
import { type Handler, serviceOf, startServer, until } from "./support.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: Handler = () => ({ status: 200, content: "ok" });

/** A handler whose answers wait until they are released. */
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

Deno.test("one connection too many gets 503, and others are not affected", async () => {
  const told: string[] = [];
  const observer: Observer = {
    opened: (id) => told.push(`${id} opened`),
    closed: (id, reason) => told.push(`${id} closed ${reason}`),
  };
  await using server = startServer(OK, { limits: { maxConnections: 2, maxRefusedConnections: 1 }, observer });
  const [first, second] = [await server.connect(), await server.connect()];
  await first.exchange(GET);
  await second.exchange(GET);
  const third = await server.connect();
  const { head, content } = await third.receive();
  assert.equal(head.status, 503);
  assert.equal(head.fields.get("retry-after"), "1");
  assert.equal(head.fields.get("connection"), "close");
  assert.match(content, /at its limit of 2 connections/);
  // One is refused at a time; another one is closed immediately.
  const fourth = await server.connect();
  assert.equal(await fourth.receiveAll().catch(() => ""), "");
  assert.equal((await first.exchange(GET)).head.status, 200);
  assert.equal((await second.exchange(GET)).head.status, 200);
  first.close();
  await until(() => server.server.connections === 1);
  assert.equal((await (await server.connect()).exchange(GET)).head.status, 200);
  third.close();
  await until(() => told.includes("3 closed by the server (error 503)"));
  assert(told.includes("3 opened"), "the life of a refused connection is told too");
});

/** Starts a server whose first attempts to accept fail with these errors. */
function failingServer(errors: Error[], { idle = [], retryMs = 1 }: { idle?: Deno.Conn[]; retryMs?: number } = {}) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const reports: string[] = [];
  const failing = {
    addr: listener.addr,
    accept() {
      const conn = idle.shift();
      if (conn !== undefined) return Promise.resolve(conn);
      const error = errors.shift();
      return error === undefined ? listener.accept() : Promise.reject(error);
    },
    close: () => listener.close(),
  } as unknown as Deno.Listener;
  const closed: string[] = [];
  const server = new Server(failing, serviceOf(OK), {
    limits: { ...SERVER_LIMITS, acceptRetryMs: retryMs, shutdownIdleMs: 0 },
    observer: {
      cannotAccept: (reason) => reports.push(reason),
      closed: (id, reason) => closed.push(`${id} ${reason}`),
    },
  });
  return { server, reports, closed, port: (listener.addr as Deno.NetAddr).port };
}

const systemError = (code: string, message = code) => Object.assign(new Error(message), { code });

for (
  const error of [
    new Deno.errors.ConnectionAborted(),
    new Deno.errors.NotConnected(),
    new Deno.errors.ConnectionReset(),
  ]
) {
  Deno.test(`a client that left before it was accepted (${error.name}) holds nobody up`, async () => {
    const { server, reports, port } = failingServer(Array(300).fill(error));
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    await conn.write(new TextEncoder().encode(GET));
    assert((await conn.read(new Uint8Array(1000)))! > 0);
    conn.close();
    await server.shutdown();
    assert.deepEqual(reports, [], "only a want of resources waits, and is told");
  });
}

for (const [failures, told] of [[99, 0], [100, 1], [130, 1]]) {
  Deno.test(`accepting that fails ${failures} times in a row for an unknown reason is told ${told} times`, async () => {
    const error = new TypeError("EINVAL");
    const { server, reports, port } = failingServer(Array(failures).fill(error), { retryMs: 5 });
    const started = performance.now();
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    await conn.write(new TextEncoder().encode(GET));
    assert((await conn.read(new Uint8Array(1000)))! > 0);
    // Each attempt from the hundredth on waits, so that the processor is not kept busy.
    assert(performance.now() - started >= 4 * (failures - 99));
    conn.close();
    await server.shutdown();
    assert.deepEqual(reports, Array(told).fill("EINVAL"));
  });
}

for (const code of ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]) {
  Deno.test(`accepting waits and goes on after ${code}`, async () => {
    const { server, reports, port } = failingServer([systemError(code), systemError(code)]);
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    await conn.write(new TextEncoder().encode(GET));
    assert((await conn.read(new Uint8Array(1000)))! > 0);
    conn.close();
    await server.shutdown();
    assert.deepEqual(reports, [code, code]);
  });
}

Deno.test("without free descriptors the connection that is idle for longest is closed", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const clients: Deno.Conn[] = [];
  const accepted: Deno.Conn[] = [];
  for (let i = 0; i < 3; i++) {
    clients.push(await Deno.connect({ hostname: "127.0.0.1", port }));
    accepted.push(await listener.accept());
  }
  listener.close();
  const { server, closed } = failingServer([systemError("EMFILE")], { idle: [...accepted] });
  await until(() => server.connections === 2);
  assert.deepEqual(closed, ["1 by the server (out of descriptors)"]);
  for (const client of clients) client.close();
  await server.shutdown();
});

Deno.test("without free descriptors another server's connection is closed if it is idle for longer", async () => {
  await using older = startServer(OK);
  const old = await older.connect();
  await old.exchange(GET);
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const client = await Deno.connect({ hostname: "127.0.0.1", port });
  const accepted = await listener.accept();
  listener.close();
  const { server, closed } = failingServer([systemError("EMFILE")], { idle: [accepted] });
  assert.equal(await old.receiveAll(), "");
  assert.deepEqual([closed, server.connections], [[], 1]);
  client.close();
  await server.shutdown();
});

Deno.test("setting the wall clock does not affect timeouts, and the monotonic clock does not affect the date", async () => {
  let wall = 784111777_000;
  let monotonic = 0;
  await using server = startServer(OK, { now: () => wall, monotonicNow: () => monotonic });
  const peer = await server.connect();
  await peer.exchange(GET);
  for (const hours of [-1, 1000]) {
    wall += hours * 3_600_000;
    server.server.sweep();
    assert.equal((await peer.exchange(GET)).head.fields.get("date"), new Date(wall).toUTCString());
  }
  monotonic += SERVER_LIMITS.idleTimeoutMs + 1;
  server.server.sweep();
  assert.equal(await peer.receiveAll(), "");
});

Deno.test("shutdown answers requests in flight", async () => {
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

Deno.test("shutdown closes idle connections after a short time, in which they may still send a request", async () => {
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

Deno.test("shutdown ends at its timeout", async () => {
  const { handler, waiting, release } = heldHandler();
  const server = startServer(handler, { limits: { shutdownMs: 20 } });
  const peer = await server.connect();
  await peer.send(GET);
  await until(() => waiting() === 1);
  const stopped = server.server.shutdown();
  assert.equal(await peer.receiveAll().catch(() => ""), "");
  peer.close();
  await stopped;
  // Shutdown does not wait for the handler.
  release();
});

const ownTimes: [what: string, limits: Partial<ServerLimits>, ownMs: number][] = [
  ["delay", { delayMs: 50 }, 50],
  ["store", { storeMs: 1000 }, 1000],
];
for (const [what, limits, ownMs] of ownTimes) {
  Deno.test(`shutdown's time does not run while the server's own ${what} does, but then it ends`, async () => {
    const made = Promise.withResolvers<HttpResponse>();
    let [now, received, refused] = [0, 0, 0];
    const server = startServer(() => what === "delay" ? { status: 200 } : made.promise, {
      limits: { shutdownMs: 20, ...limits },
      monotonicNow: () => now,
      observer: { request: () => void received++, refused: () => void refused++ },
    });
    const [peer, broken, stalled] = [await server.connect(), await server.connect(), await server.connect()];
    await peer.send(GET);
    await broken.send("broken\n");
    await stalled.send("GET / HTTP/1.1\r\n");
    await until(() => received === 1 && refused === 1);
    const stopped = server.server.shutdown();
    now = 20 + ownMs - 1;
    server.server.sweep();
    assert.equal(await stalled.receiveAll().catch(() => ""), "");
    // A refusal does not wait for the store.
    assert.equal(server.server.connections, what === "delay" ? 2 : 1);
    made.resolve({ status: 200 });
    assert.equal((await peer.receive()).head.status, 200);
    assert.equal((await broken.receive()).head.status, 400);
    now++;
    server.server.sweep();
    await stopped;
  });
}

Deno.test("only where descriptors lack, and it helps, is an idle connection closed for another", async () => {
  await using server = startServer(OK);
  const idle = await server.connect();
  await idle.exchange(GET);
  const other = new Error("No route to host");
  await assert.rejects(Server.withDescriptors(() => Promise.reject(other)), other);
  assert.equal((await idle.exchange(GET)).head.status, 200);
  const lack = Object.assign(new Error("Too many open files"), { code: "EMFILE" });
  let tries = 0;
  const open = () => ++tries < 3 ? Promise.reject(lack) : Promise.resolve("opened");
  await assert.rejects(Server.withDescriptors(open), lack);
  assert.deepEqual([tries, await idle.receiveAll()], [2, ""]);
});

Deno.test("a server without connections stops immediately, and only once", async () => {
  const server = startServer(OK);
  await server.server.shutdown();
  await server.server.shutdown();
});

Deno.test("shutdown waits for connections that are being refused, too", async () => {
  const server = startServer(OK, { limits: { maxConnections: 1, shutdownIdleMs: 50, lingerMs: 50 } });
  const idle = await server.connect();
  await idle.exchange(GET);
  const refused = await server.connect();
  assert.equal((await refused.receive()).head.status, 503);
  await server.server.shutdown();
  assert.equal(server.server.connections, 0);
  assert.equal(await idle.receiveAll(), "");
  idle.close();
  refused.close();
});
