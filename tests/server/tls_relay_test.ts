import assert from "node:assert/strict";
import { SERVER_LIMITS } from "../../lib/limits.ts";
import { Server } from "../../lib/server.ts";
import { TlsRelay } from "../../lib/server/tls_relay.ts";
import { Peer, serviceOf, until } from "../support.ts";

const file = (name: string) => Deno.readTextFileSync(new URL(`../testdata/tls/${name}.pem`, import.meta.url));
const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/** Starts a server over TLS whose clock the test controls. */
function tlsServer(limits: Partial<typeof SERVER_LIMITS> = {}, content: string = "ok") {
  let offset = 0;
  const peers: string[] = [];
  const reasons: string[] = [];
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const relay = new TlsRelay(listener, { cert: file("cert"), key: file("key") });
  const server = new Server(
    relay,
    serviceOf(() => ({ status: 200, content })),
    {
      limits: { ...SERVER_LIMITS, shutdownIdleMs: 0, ...limits },
      observer: { opened: (_id, peer) => peers.push(peer), closed: (_id, reason) => reasons.push(reason) },
      monotonicNow: () => performance.now() + offset,
    },
  );
  const { port } = listener.addr as Deno.NetAddr;
  return {
    server,
    relay,
    port,
    peers,
    reasons,
    advance(milliseconds: number) {
      offset += milliseconds;
      server.sweep();
    },
    plain: () => Deno.connect({ hostname: "127.0.0.1", port }),
    async secure() {
      const conn = await Deno.connectTls({ hostname: "127.0.0.1", port, caCerts: [file("ca")] });
      return { peer: new Peer(conn), address: `127.0.0.1:${(conn.localAddr as Deno.NetAddr).port}` };
    },
  };
}

Deno.test("TLS is spoken over a plain socket, and the client's own address is known", async () => {
  const { server, secure, peers } = tlsServer();
  const { peer, address } = await secure();
  for (let i = 0; i < 3; i++) assert.equal((await peer.exchange(GET)).content, "ok");
  assert.deepEqual(peers, [address]);
  peer.close();
  await until(() => server.connections === 0);
  await server.shutdown();
});

Deno.test("another certificate is used for later connections; open ones, and one on its way, go on", async () => {
  const { server, relay, secure, plain, port } = tlsServer();
  const { peer } = await secure();
  // This client's inner connection is being made, or waits for its handshake.
  const early = await plain();
  assert.throws(() => relay.renew({ cert: file("ca"), key: file("key") }));
  assert.equal((await peer.exchange(GET)).content, "ok");
  relay.renew({ cert: file("other_name"), key: file("key") });
  assert.equal((await peer.exchange(GET)).content, "ok");
  const refused = await secure();
  await assert.rejects(refused.peer.exchange(GET), /invalid peer certificate/);
  refused.peer.close();
  relay.renew({ cert: file("cert"), key: file("key") });
  const later = await secure();
  assert.equal((await later.peer.exchange(GET)).content, "ok");
  const late = await Deno.startTls(early, { hostname: "localhost", caCerts: [file("ca")] });
  assert.equal((await new Peer(late).exchange(GET)).content, "ok");
  late.close();
  peer.close();
  later.peer.close();
  await until(() => server.connections === 0);
  await server.shutdown();
  relay.renew({ cert: file("cert"), key: file("key") });
  await assert.rejects(Deno.connect({ hostname: "127.0.0.1", port }));
});

Deno.test("large content is relayed completely, with either end closing", async () => {
  const content = "0123456789".repeat(300_000);
  const { server, secure } = tlsServer({}, content);
  const { peer } = await secure();
  await peer.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  assert.equal((await peer.receive()).content, content);
  assert.equal(await peer.receiveAll(), "");
  peer.close();
  await server.shutdown();
});

Deno.test("unfinished handshakes count as connections, and time out", async () => {
  const { server, plain, secure, advance, reasons } = tlsServer({ maxConnections: 3, maxRefusedConnections: 2 });
  const half: Deno.Conn[] = [];
  for (let i = 0; i < 20; i++) half.push(await plain());
  await until(() => server.connections === 3);
  const ended = half.map((conn) => conn.read(new Uint8Array(100)).catch(() => null));
  // Connections beyond the limit are closed immediately, the others at their timeout.
  await Promise.all(ended.slice(5));
  advance(SERVER_LIMITS.headTimeoutMs);
  assert.deepEqual(await Promise.all(ended), Array(20).fill(null));
  await until(() => server.connections === 0);
  assert.deepEqual(reasons, Array(5).fill("by the server (no TLS handshake in time)"));
  const { peer } = await secure();
  assert.equal((await peer.exchange(GET)).head.status, 200);
  peer.close();
  for (const conn of half) conn.close();
  await server.shutdown();
});

Deno.test("why a connection without TLS, or without the end of TLS, was closed", async () => {
  const { server, plain, secure, reasons } = tlsServer();
  const speaker = await plain();
  await speaker.write(new TextEncoder().encode(GET));
  await until(() => reasons.length === 1);
  speaker.close();
  (await plain()).close();
  await until(() => reasons.length === 2);
  const { peer } = await secure();
  assert.equal((await peer.exchange(GET)).content, "ok");
  // Deno ends TLS with a FIN alone.
  peer.close();
  await until(() => reasons.length === 3);
  assert.deepEqual(reasons, ["by the server (no TLS handshake)", "by the client", "by the client"]);
  await server.shutdown();
});

Deno.test("a client that reads nothing is cut off over TLS too", async () => {
  const { server, secure, advance, reasons } = tlsServer({}, "x".repeat(50_000_000));
  const { peer } = await secure();
  await peer.send(GET);
  await until(() => server.budget.used > 0);
  // Once nothing moves, the time runs out.
  let used = 0;
  while (used !== server.budget.used) {
    used = server.budget.used;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  advance(10_000_000);
  await until(() => server.connections === 0);
  assert.deepEqual(reasons, ["by the server (the client stopped reading)"]);
  assert.equal(server.budget.used, 0);
  peer.close();
  await server.shutdown();
});

Deno.test("another program on the inner port is disconnected", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const ports: number[] = [];
  const listenTls = Deno.listenTls;
  Deno.listenTls = (options) => {
    const inner = listenTls(options);
    ports.push((inner.addr as Deno.NetAddr).port);
    return inner;
  };
  const relay = new TlsRelay(listener, { cert: file("cert"), key: file("key") });
  Deno.listenTls = listenTls;
  const accepting = relay.accept();
  const answer = async () => {
    using conn = await Deno.connectTls({ hostname: "127.0.0.1", port: ports[0], caCerts: [file("ca")] });
    await conn.write(new TextEncoder().encode(GET));
    return await conn.read(new Uint8Array(1000));
  };
  assert.equal(await answer().catch(() => null), null);
  relay.close();
  await assert.rejects(accepting);
});

Deno.test("certificate and key that do not fit together are refused", () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  assert.throws(
    () => new TlsRelay(listener, { cert: file("ca"), key: file("key") }),
    /KeyMismatch|keys may not be consistent/,
  );
});

Deno.test("an inner listener that fails for an unknown reason keeps neither the processor busy nor a client waiting", async () => {
  using inner = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { listenTls } = Deno;
  let attempts = 0;
  const failing = {
    addr: inner.addr,
    accept: () => attempts++ < 1000 ? Promise.reject(new Error("odd")) : new Promise(() => {}),
    close: () => {},
  };
  Object.assign(Deno, { listenTls: () => failing });
  try {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    using relay = new TlsRelay(listener, { cert: file("cert"), key: file("key") });
    const { port } = listener.addr as Deno.NetAddr;
    for (let clients = 0; clients < 2; clients++) {
      using client = await Deno.connect({ hostname: "127.0.0.1", port });
      await assert.rejects(relay.accept(), /odd/);
      assert.equal(await client.read(new Uint8Array(1)), null);
    }
    assert(attempts <= 4);
  } finally {
    Object.assign(Deno, { listenTls });
  }
});
