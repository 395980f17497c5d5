import assert from "node:assert/strict";
import type { Socket } from "../../lib/bytes.ts";
import type { End, TrafficEvent } from "../../lib/traffic.ts";
import { lifeLine, tapped, tappedListener } from "../../lib/traffic/tap.ts";
import { octetString, wireOctets } from "../wire_cases.ts";

/** Formats events as short texts with copies of their octets. */
function recorder() {
  const events: string[] = [];
  let time = 0;
  const told = (event: TrafficEvent) => {
    const about = event.kind === "opened"
      ? `${event.secure ? "TLS" : "TCP"}`
      : event.kind === "fin"
      ? event.by
      : event.kind === "closed"
      ? event.reason
      : octetString(event.bytes);
    events.push(`${event.end} ${event.connection} ${event.time} ${event.kind} ${about}`);
  };
  return { events, told, now: () => ++time };
}

async function connection() {
  const { events, told, now } = recorder();
  const listener = tappedListener(Deno.listen({ hostname: "127.0.0.1", port: 0 }), told, now);
  const { port } = listener.addr as Deno.NetAddr;
  const [client, server] = await Promise.all([Deno.connect({ hostname: "127.0.0.1", port }), listener.accept()]);
  listener.close();
  return { events, client, server, told, now };
}

Deno.test("a tap reports reads, writes, and who ends the connection", async () => {
  const { events, client, server } = await connection();
  await client.write(wireOctets("GET"));
  const buffer = new Uint8Array(16);
  assert.equal(await server.read(buffer), 3);
  assert.equal(await server.write(wireOctets("HTTP")), 4);
  await client.closeWrite();
  assert.equal(await server.read(buffer), null);
  server.close();
  client.close();
  assert.deepEqual(events, [
    "server 1 1 opened TCP",
    "server 1 2 read GET",
    "server 1 3 write HTTP",
    "server 1 4 fin client",
    "server 1 5 fin server",
    "server 1 6 closed by the client",
  ]);
});

Deno.test("a tap reports a half-close once, as the first", async () => {
  const { events, client, server } = await connection();
  await server.closeWrite();
  server.close();
  client.close();
  assert.deepEqual(events.slice(1), ["server 1 2 fin server", "server 1 3 closed by the server"]);
});

Deno.test("a tap reports why a connection was closed, if that is said", async () => {
  const { events, client, server } = await connection();
  server.close("by the server (idle too long)");
  client.close();
  assert.equal(events.at(-1), "server 1 3 closed by the server (idle too long)");
});

Deno.test("a tap reports nothing for a read ended by close", async () => {
  const { events, client, server } = await connection();
  const reading = server.read(new Uint8Array(1)).catch((error) => error);
  server.close();
  assert(await reading instanceof Error);
  client.close();
  assert.equal(events.at(-1), "server 1 3 closed by the server");
});

Deno.test("a broken connection is reported without a FIN", async () => {
  const { events, told, now } = recorder();
  const conn = {
    localAddr: { transport: "tcp", hostname: "127.0.0.1", port: 1 },
    remoteAddr: { transport: "tcp", hostname: "127.0.0.1", port: 2 },
    read: () => Promise.reject(new Deno.errors.ConnectionReset("reset by peer")),
    close: () => {},
  } as unknown as Deno.Conn;
  const tap = tapped(conn, "client", 7, told, now);
  await assert.rejects(tap.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
  tap.close();
  assert.deepEqual(events, ["client 7 1 opened TCP", "client 7 2 closed reset"]);
});

Deno.test("that a connection was reset is reported, whatever reason is said", async () => {
  const seen = { end: "server", connection: 7, time: 1 };
  for (const method of ["read", "handshake"] as const) {
    const ends: TrafficEvent[] = [];
    const conn = {
      localAddr: { transport: "tcp", hostname: "127.0.0.1", port: 1 },
      remoteAddr: { transport: "tcp", hostname: "127.0.0.1", port: 2 },
      [method]: () => Promise.reject(new Deno.errors.ConnectionReset("reset by peer")),
      close: () => {},
    } as unknown as Socket;
    const tap = tapped(conn, "server", 7, (event) => void ends.push(event), () => 1);
    await assert.rejects(tap[method]!(new Uint8Array(1)), Deno.errors.ConnectionReset);
    tap.close("by the client (reset)");
    assert.deepEqual(ends.at(-1), { kind: "closed", ...seen, reason: "by the client (reset)", isReset: true });
  }
});

Deno.test("a TLS connection that ends without close_notify has a FIN", async () => {
  const { events, told, now } = recorder();
  const conn = {
    localAddr: { transport: "tcp", hostname: "127.0.0.1", port: 1 },
    remoteAddr: { transport: "tcp", hostname: "127.0.0.1", port: 2 },
    read: () => Promise.reject(new Deno.errors.UnexpectedEof("peer closed connection without close_notify")),
    close: () => {},
  } as unknown as Deno.Conn;
  const tap = tapped(conn, "server", 1, told, now);
  await assert.rejects(tap.read(new Uint8Array(1)), Deno.errors.UnexpectedEof);
  tap.close();
  assert.deepEqual(events.slice(1), [
    "server 1 2 fin client",
    "server 1 3 fin server",
    "server 1 4 closed by the client",
  ]);
});

Deno.test("with TLS a connection is reported once its handshake has succeeded or failed", async () => {
  for (const fails of [false, true]) {
    const { events, told, now } = recorder();
    const conn = {
      localAddr: { transport: "tcp", hostname: "127.0.0.1", port: 1 },
      remoteAddr: { transport: "tcp", hostname: "127.0.0.1", port: 2 },
      handshake: () => fails ? Promise.reject(new Error("no")) : Promise.resolve({}),
      write: (bytes: Uint8Array) => Promise.resolve(bytes.length),
      closeWrite: () => Promise.resolve(),
      close: () => {},
    } as unknown as Deno.Conn;
    const tap = tapped(conn, "server", 1, told, now) as Deno.TlsConn;
    assert.deepEqual(events, []);
    await tap.handshake().catch(() => {});
    if (fails) {
      // The server's answer to plain HTTP.
      await tap.write(wireOctets("HTTP/1.1 400 Bad Request"));
      await tap.closeWrite();
    }
    tap.close();
    assert.deepEqual(
      events,
      fails
        ? ["server 1 1 opened TLS", "server 1 2 closed no TLS handshake"]
        : ["server 1 1 opened TLS", "server 1 2 fin server", "server 1 3 closed by the server"],
    );
  }
});

Deno.test("a listener that returns a counter gets no more octets, only the end", async () => {
  const events: string[] = [];
  const untold = { events: 0 };
  const listener = tappedListener(Deno.listen({ hostname: "127.0.0.1", port: 0 }), (event) => {
    events.push(event.kind);
    if (event.kind === "read") return untold;
  });
  const { port } = listener.addr as Deno.NetAddr;
  const [client, server] = await Promise.all([Deno.connect({ hostname: "127.0.0.1", port }), listener.accept()]);
  listener.close();
  const buffer = new Uint8Array(16);
  for (let i = 0; i < 3; i++) {
    await client.write(wireOctets("GET"));
    assert.equal(await server.read(buffer), 3);
    assert.equal(await server.write(wireOctets("HTTP")), 4);
  }
  server.close();
  client.close();
  assert.deepEqual(events, ["opened", "read", "fin", "closed"]);
  assert.equal(untold.events, 5);
});

const CLIENT = { hostname: "127.0.0.1", port: 5 };
const SERVER = { hostname: "::1", port: 80 };

function eventsAt(end: End): TrafficEvent[] {
  const seen = { end, connection: 7, time: 0 };
  const [local, remote] = end === "client" ? [CLIENT, SERVER] : [SERVER, CLIENT];
  return [
    { ...seen, kind: "opened", local, remote, secure: false },
    { ...seen, kind: "read", bytes: new Uint8Array(1) },
    { ...seen, kind: "write", bytes: new Uint8Array(49) },
    { ...seen, kind: "fin", by: "client" },
    { ...seen, kind: "closed", reason: "by the client", isReset: false },
  ];
}

for (const end of ["client", "server"] as const) {
  Deno.test(`the life of a connection, in lines, at the ${end}'s end`, () => {
    assert.deepEqual(eventsAt(end).map(lifeLine), [
      "connection 7 opened by 127.0.0.1:5 to [::1]:80",
      "connection 7 read of 1 octet",
      "connection 7 write of 49 octets",
      "connection 7 FIN by the client",
      "connection 7 closed by the client",
    ]);
  });
}
