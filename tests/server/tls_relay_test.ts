import assert from "node:assert/strict";
import { SERVER_LIMITS } from "../../lib/limits.ts";
import { Server } from "../../lib/server.ts";
import { TlsRelay } from "../../lib/server/tls_relay.ts";
import { Peer, serviceOf, until } from "../support.ts";
import { octetString } from "../wire_cases.ts";

const file = (name: string) => Deno.readTextFileSync(new URL(`../testdata/tls/${name}.pem`, import.meta.url));
const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/** Starts a server over TLS whose clock the test controls. */
function tlsServer(limits: Partial<typeof SERVER_LIMITS> = {}, content: string = "ok") {
  let offset = 0;
  const peers: string[] = [];
  const reasons: string[] = [];
  const refusals: string[] = [];
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const relay = new TlsRelay(listener, { cert: file("cert"), key: file("key") });
  const server = new Server(
    relay,
    serviceOf(() => ({ status: 200, content })),
    {
      limits: { ...SERVER_LIMITS, shutdownIdleMs: 0, ...limits },
      observer: {
        opened: (_id, peer) => peers.push(peer),
        refused: (_id, { status, message }) => refusals.push(`${status} ${message}`),
        closed: (_id, reason) => reasons.push(reason),
      },
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
    refusals,
    advance(milliseconds: number) {
      offset += milliseconds;
      server.sweep();
    },
    plain: () => Deno.connect({ hostname: "127.0.0.1", port }),
    async secure(alpnProtocols?: string[]) {
      const conn = await Deno.connectTls({ hostname: "127.0.0.1", port, caCerts: [file("ca")], alpnProtocols });
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

/** More than the sockets between the two ends hold. */
const LARGE = "0123456789".repeat(2_000_000);

/** Reads until the client's socket can take everything encoded, and returns the octets read meanwhile. */
async function readUntilSent(peer: Peer, server: Server): Promise<string> {
  await until(() => server.budget.used > 0);
  let text = "";
  const buffer = new Uint8Array(16 * 1024);
  while (server.budget.used > 0 && text.length < LARGE.length - 100_000) {
    text += octetString(buffer.subarray(0, (await peer.conn.read(buffer))!));
  }
  await until(() => server.budget.used === 0);
  return text;
}

/** Asserts that the rest of a response is complete, and that TLS is ended (RFC 9112 §9.8): else reading fails. */
async function assertWhole(peer: Peer, read: string): Promise<void> {
  const text = read + await peer.receiveAll();
  assert.equal(text.length - (text.indexOf("\r\n\r\n") + 4), LARGE.length);
  peer.close();
}

for (const end of ["is idle", "is shut down", "asks for the last response", "closes its side"] as const) {
  Deno.test(`a slow reader gets everything and the end of TLS when its connection ${end}`, async () => {
    const { server, secure, advance } = tlsServer({}, LARGE);
    const { peer } = await secure();
    await peer.send(
      end === "asks for the last response" ? GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n") : GET,
    );
    if (end === "closes its side") await peer.conn.closeWrite();
    const read = await readUntilSent(peer, server);
    assert(read.length > LARGE.length / 2, "Octets count as sent once the client's own socket has taken them");
    if (end === "is idle") advance(SERVER_LIMITS.idleTimeoutMs);
    const stopped = end === "is shut down" ? server.shutdown() : undefined;
    await assertWhole(peer, read);
    await until(() => server.connections === 0);
    await (stopped ?? server.shutdown());
  });
}

Deno.test("each of many half-closed clients is answered, and nothing stays open", async () => {
  const { server, secure, reasons } = tlsServer();
  for (let i = 0; i < 20; i++) {
    const { peer } = await secure();
    await peer.send(GET);
    await peer.conn.closeWrite();
    assert.equal((await peer.receive()).content, "ok");
    assert.equal(await peer.receiveAll(), "");
    peer.close();
  }
  await until(() => server.connections === 0);
  assert.deepEqual(reasons, Array(20).fill("by the client"));
  await server.shutdown();
});

Deno.test("refusals over TLS are whole: too many connections, and a request that is too slow", async () => {
  const { server, secure, advance } = tlsServer({ maxConnections: 1 });
  const { peer } = await secure();
  await peer.send("GET / HTTP/1.1\r\nHost:");
  const { peer: second } = await secure();
  assert.equal((await second.receive()).head.status, 503);
  assert.equal(await second.receiveAll(), "");
  second.close();
  advance(SERVER_LIMITS.headTimeoutMs);
  assert.equal((await peer.receive()).head.status, 408);
  assert.equal(await peer.receiveAll(), "");
  peer.close();
  await server.shutdown();
});

Deno.test("http/1.0 can be agreed on, and a client without a common protocol is told so", async () => {
  const { server, secure } = tlsServer();
  const { peer } = await secure(["http/1.0"]);
  assert.equal((await (peer.conn as Deno.TlsConn).handshake()).alpnProtocol, "http/1.0");
  assert.equal((await peer.exchange("GET / HTTP/1.0\r\n\r\n")).content, "ok");
  peer.close();
  const { peer: other } = await secure(["h2"]);
  await assert.rejects((other.conn as Deno.TlsConn).handshake(), /NoApplicationProtocol/);
  other.close();
  await until(() => server.connections === 0);
  await server.shutdown();
});

Deno.test("plain HTTP is answered with 400 in plain text, and reported once; anything else is closed", async () => {
  const { server, plain, refusals, reasons } = tlsServer();
  const peer = new Peer(await plain());
  await peer.send(`PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n${"x".repeat(100_000)}`);
  const { head, content } = await peer.receive();
  assert.deepEqual([head.status, head.fields.get("content-type")], [400, "text/plain; charset=utf-8"]);
  assert.equal(content, "Plain HTTP was sent to a port that speaks TLS: use https://\n");
  assert.equal(await peer.receiveAll(), "");
  peer.close();
  await until(() => reasons.length === 1);
  const other = new Peer(await plain());
  await other.send("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
  assert.doesNotMatch(await other.receiveAll(), /HTTP/);
  other.close();
  await until(() => reasons.length === 2);
  assert.deepEqual(refusals, [`400 ${content.trimEnd()}`]);
  assert.deepEqual(reasons, ["by the server (error 400)", "by the server (no TLS handshake)"]);
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
  await speaker.write(new TextEncoder().encode("\r\n"));
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

/** Makes the next inner listeners known to the test. */
function innerPorts(): { readonly ports: number[]; [Symbol.dispose](): void } {
  const { listenTls } = Deno;
  const ports: number[] = [];
  Deno.listenTls = (options) => {
    const inner = listenTls(options);
    ports.push((inner.addr as Deno.NetAddr).port);
    return inner;
  };
  return { ports, [Symbol.dispose]: () => Object.assign(Deno, { listenTls }) };
}

Deno.test("another program on the inner port is disconnected, and the next client served", async () => {
  using inner = innerPorts();
  const { server, secure } = tlsServer();
  const answer = async () => {
    using conn = await Deno.connectTls({ hostname: "127.0.0.1", port: inner.ports[0], caCerts: [file("ca")] });
    await conn.write(new TextEncoder().encode(GET));
    return await conn.read(new Uint8Array(1000));
  };
  const answers = Array.from({ length: 20 }, () => answer().catch(() => null));
  (await Deno.connect({ hostname: "127.0.0.1", port: inner.ports[0] })).close();
  const { peer } = await secure();
  assert.equal((await peer.exchange(GET)).content, "ok");
  assert.deepEqual(await Promise.all(answers), Array(20).fill(null));
  peer.close();
  await server.shutdown();
});

Deno.test("a client for whom the inner listener cannot be reached gets another one, and the second time is left", async () => {
  using inner = innerPorts();
  const { connect } = Deno;
  const { server, secure, port } = tlsServer();
  let failures = 3;
  const failing = (options: Deno.ConnectOptions) =>
    failures-- > 0 ? Promise.reject(new Error("timed out")) : connect(options);
  Object.assign(Deno, { connect: failing });
  try {
    using left = await connect({ hostname: "127.0.0.1", port });
    assert.equal(await left.read(new Uint8Array(1)), null);
    const { peer } = await secure();
    assert.equal((await peer.exchange(GET)).content, "ok");
    assert.equal(inner.ports.length, 4);
    peer.close();
  } finally {
    Object.assign(Deno, { connect });
  }
  await server.shutdown();
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
    const relay = new TlsRelay(listener, { cert: file("cert"), key: file("key") });
    const { port } = listener.addr as Deno.NetAddr;
    for (let clients = 0; clients < 2; clients++) {
      using client = await Deno.connect({ hostname: "127.0.0.1", port });
      await assert.rejects(relay.accept(), /odd/);
      assert.equal(await client.read(new Uint8Array(1)), null);
    }
    assert(attempts <= 4);
    relay.close();
  } finally {
    Object.assign(Deno, { listenTls });
  }
});
