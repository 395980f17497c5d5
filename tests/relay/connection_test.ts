import assert from "node:assert/strict";
import { SERVER_LIMITS } from "../../lib/limits.ts";
import type { Socket } from "../../lib/bytes.ts";
import { FakeConn } from "../server/conns.ts";
import { until } from "../support.ts";
import { Relayed } from "./relayed.ts";

const HOST = "Host: localhost:9997\r\n";
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** What the server gets of what a client sends, up to a mark that ends it. */
async function passed(octets: string, mark: string, options = {}): Promise<string> {
  await using relay = new Relayed(options);
  const { upstream } = await relay.sent(octets);
  return await upstream.until(mark);
}

Deno.test("octets pass as they are, but for the value of Host", async () => {
  await using relay = new Relayed();
  const { client, upstream } = await relay.sent(
    `GeT /a?b HTTP/1.1\r\nx-a:  B \r\nhOsT:\t localhost:9997 \t\r\nA:1\r\n\r\n`,
  );
  assert.equal(
    await upstream.until("\r\n\r\n"),
    "GeT /a?b HTTP/1.1\r\nx-a:  B \r\nhOsT:\t api.example \t\r\nA:1\r\n\r\n",
  );
  assert.deepEqual(relay.changes, ["localhost:9997 -> api.example"]);
  const answer = "HTTP/1.1 299 odd reason\r\nx-A :\r\n\r\n";
  await upstream.send(answer);
  upstream.close();
  assert.equal(await client.receiveAll(), answer);
});

Deno.test("requests of one read pass together, with each Host changed, and the server's own stays", async () => {
  const first = `PUT /a HTTP/1.1\r\n${HOST}Content-Length: 22\r\n\r\nHost: localhost:9997\r\n`;
  const second = "GET /b HTTP/1.1\r\nHost: api.example\r\n\r\n";
  const third = `POST /c HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\n\r\n`;
  const all = first + second + third;
  assert.equal(
    await passed(all, "0\r\n\r\n"),
    first.replace(HOST, "Host: api.example\r\n") + second +
      third.replace(HOST, "Host: api.example\r\n"),
  );
});

Deno.test("--keep-host changes nothing", async () => {
  const request = `GET / HTTP/1.1\r\n${HOST}\r\n`;
  assert.equal(await passed(request, "\r\n\r\n", { keepHost: true }), request);
});

Deno.test("a head that comes octet by octet waits for its end, content does not", async () => {
  await using relay = new Relayed();
  const client = await relay.client();
  for (const octet of `POST / HTTP/1.1\r\n${HOST}Content-Length: 2\r\n\r\n`) await client.send(octet);
  const upstream = await relay.upstream();
  assert.equal(await upstream.until("\r\n\r\n"), "POST / HTTP/1.1\r\nHost: api.example\r\nContent-Length: 2\r\n\r\n");
  await client.send("a");
  assert.equal(await upstream.until("a"), "a");
  await client.send("b");
  assert.equal(await upstream.until("b"), "b");
});

const broken: [name: string, octets: string, passed: string][] = [
  ["a bare LF", `GET / HTTP/1.1\n${HOST}\r\n`, "GET / HTTP/1.1\nHost: api.example\r\n\r\n"],
  ["bare LFs only", "GET / HTTP/1.1\nHost: localhost\nA: b\n\n", "GET / HTTP/1.1\nHost: api.example\nA: b\n\n"],
  ["a target with |", `GET /a|{ HTTP/1.1\r\n${HOST}\r\n`, "GET /a|{ HTTP/1.1\r\nHost: api.example\r\n\r\n"],
  [
    "a blank before the colon",
    "GET / HTTP/1.1\r\nHost : localhost \r\n\r\n",
    "GET / HTTP/1.1\r\nHost : api.example \r\n\r\n",
  ],
  ["no Host", "GET / HTTP/1.1\r\nA: b\r\n\r\n", "GET / HTTP/1.1\r\nA: b\r\n\r\n"],
  [
    "two local Hosts, which stay",
    `GET / HTTP/1.1\r\n${HOST}Host: localhost\r\n\r\n`,
    `GET / HTTP/1.1\r\n${HOST}Host: localhost\r\n\r\n`,
  ],
  [
    "a long target",
    `GET /${"a".repeat(9000)} HTTP/1.1\r\n${HOST}\r\n`,
    `GET /${"a".repeat(9000)} HTTP/1.1\r\nHost: api.example\r\n\r\n`,
  ],
];
for (const [name, octets, expected] of broken) {
  Deno.test(`a broken head passes with its Host changed: ${name}`, async () => {
    await using relay = new Relayed();
    const { client, upstream } = await relay.sent(octets);
    assert.equal(await upstream.until(expected.slice(-4)), expected);
    await upstream.send(OK);
    assert.equal((await client.receive()).content, "ok");
  });
}

const refused: [name: string, octets: string][] = [
  ["in an accepted head", "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n"],
  ["with a port", "GET / HTTP/1.1\r\nHost: evil.example:9997\r\n\r\n"],
  ["behind a target with |", "GET /| HTTP/1.1\r\nHost: evil.example\r\n\r\n"],
  ["behind a long target", `GET /${"a".repeat(9000)} HTTP/1.1\r\nHost: evil.example\r\n\r\n`],
  ["beside a local one", "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"],
  ["folded", "GET / HTTP/1.1\r\nHost:\r\n evil.example\r\n\r\n"],
  ["in a folded line", "GET / HTTP/1.1\r\nA: b\r\n Host: evil.example\r\n\r\n"],
  ["behind a bare CR", "GET / HTTP/1.1\r\nA: b\rHost: evil.example\r\n\r\n"],
  ["with a blank before its colon", "GET / HTTP/1.1\r\nHost\t: evil.example\r\n\r\n"],
  ["behind control characters", "GET / HTTP/1.1\r\n\0\x0bhOsT: evil.example\r\n\r\n"],
  ["behind a lenient end of the head", "GET /| HTTP/1.1\n\nHost: evil.example\r\n\r\n"],
  ["two names in one", "GET / HTTP/1.1\r\nHost: localhost, evil.example\r\n\r\n"],
  ["to a proxy", "GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n"],
  ["to a proxy, of another scheme", "GET https://api.example/ HTTP/1.1\r\nHost: api.example\r\n\r\n"],
  ["to a proxy, of another port", "GET http://api.example:81/ HTTP/1.1\r\nHost: api.example\r\n\r\n"],
  ["to a proxy, in a broken head", "GET http://evil.example/| HTTP/1.1\r\nHost: localhost\r\n\r\n"],
  ["CONNECT", "CONNECT api.example:80 HTTP/1.1\r\nHost: api.example:80\r\n\r\n"],
];
for (const [name, octets] of refused) {
  Deno.test(`a request for another host gets 421, and nobody is connected to: ${name}`, async () => {
    await using relay = new Relayed({ dial: () => Promise.reject(new Error("must not be connected to")) });
    const client = await relay.client();
    await client.send(octets);
    const { head, content } = await client.receive(octets.slice(0, octets.indexOf(" ")));
    assert.equal(head.status, 421);
    assert.equal(head.fields.get("content-type"), "application/problem+json");
    assert.match(JSON.parse(content).detail, /^This (?:relay does not answer for the host|is not a forward proxy)/);
    assert.equal(await client.receiveAll(), "");
    assert.equal(relay.notes.length, 1);
  });
}

Deno.test("the server's own origin in absolute form passes", async () => {
  const request = `GET http://API.example:80/a HTTP/1.1\r\n${HOST}\r\n`;
  assert.equal(await passed(request, "\r\n\r\n"), request.replace("localhost:9997", "api.example"));
});

Deno.test("behind a fault, a head that begins a read has its Host changed, and each line is judged", async () => {
  await using relay = new Relayed();
  const { client, upstream } = await relay.sent(`GET /| HTTP/1.1\r\n${HOST}\r\n`);
  await upstream.until("\r\n\r\n");
  await upstream.send(OK);
  await client.receive();
  await client.send(`GET /b HTTP/1.1\r\n${HOST}\r\n`);
  assert.equal(await upstream.until("\r\n\r\n"), "GET /b HTTP/1.1\r\nHost: api.example\r\n\r\n");
  await upstream.send(OK);
  await client.receive();
  await client.send("GET /c HTTP/1.1\r\nHo");
  await client.send("st: evil.example\r\n\r\n");
  assert.equal((await client.receive()).head.status, 421);
  assert.equal(await upstream.receiveAll(), "");
});

Deno.test("what a broken request's content holds is judged, too", async () => {
  await using relay = new Relayed();
  const { client, upstream } = await relay.sent(`POST /| HTTP/1.1\r\n${HOST}Content-Length: 99\r\n\r\nabc\r\n`);
  assert.match(await upstream.until("abc\r\n"), /^POST/);
  await client.send("GET /x HTTP/1.1\r\nhost:");
  await client.send(" evil\r\n\r\n");
  assert.doesNotMatch(await upstream.receiveAll(), /host|evil/i);
});

Deno.test("a head without its end passes with FIN if its Host was judged", async () => {
  await using relay = new Relayed();
  const { client, upstream } = await relay.sent(`GET / HTTP/1.1\r\n${HOST}A: b`);
  await client.conn.closeWrite();
  assert.equal(await upstream.receiveAll(), `GET / HTTP/1.1\r\n${HOST}A: b`);
  await upstream.send(OK);
  assert.equal((await client.receive()).content, "ok");
});

for (
  const [name, octets] of [["without Host", "GET / HTTP/1.1\r\nA: b\r\n"], [
    "cut in it",
    "GET / HTTP/1.1\r\nHost: local",
  ]]
) {
  Deno.test(`a head without its end gets 421 with FIN: ${name}`, async () => {
    await using relay = new Relayed();
    const client = await relay.client();
    await client.send(octets);
    await client.conn.closeWrite();
    assert.equal((await client.receive()).head.status, 421);
  });
}

Deno.test("a head of more than 64 KiB passes as it is if its Host was judged, else it gets 421", async () => {
  const long = `A: ${"b".repeat(70_000)}\r\n\r\n`;
  const first = `GET / HTTP/1.1\r\n${HOST}${long}`;
  assert.equal(await passed(first, "\r\n\r\n"), first);
  await using relay = new Relayed();
  const client = await relay.client();
  await client.send(`GET / HTTP/1.1\r\n${long}`);
  assert.equal((await client.receive()).head.status, 421);
});

Deno.test("half-closes pass on both sides", async () => {
  await using relay = new Relayed();
  const { client, upstream } = await relay.sent(`GET / HTTP/1.1\r\n${HOST}\r\n`);
  await client.conn.closeWrite();
  assert.match(await upstream.receiveAll(), /^GET/);
  await upstream.send("HTTP/1.1 200 OK\r\n\r\nab");
  await upstream.conn.closeWrite();
  assert.equal(await client.receiveAll(), "HTTP/1.1 200 OK\r\n\r\nab");
  await until(() => relay.closed.length > 0);
  assert.deepEqual(relay.closed, ["by the client"]);
});

Deno.test("a server that closes its side still gets what the client sends", async () => {
  await using relay = new Relayed();
  const { client, upstream } = await relay.sent(`POST / HTTP/1.1\r\n${HOST}Content-Length: 6\r\n\r\nabc`);
  await upstream.until("abc");
  await upstream.send(OK);
  await upstream.conn.closeWrite();
  assert.equal(await client.receiveAll(), OK);
  relay.advance(5000);
  await client.send("def");
  assert.equal(await upstream.until("def"), "def");
});

Deno.test("a server that closes without an answer is passed on as a close", async () => {
  await using relay = new Relayed();
  const { client, upstream } = await relay.sent(`GET / HTTP/1.1\r\n${HOST}\r\n`);
  await upstream.until("\r\n\r\n");
  upstream.close();
  assert.equal(await client.receiveAll(), "");
});

Deno.test("what a server has sent before it closed passes, though it does not take the whole request", async () => {
  const answer = OK.replace("200 OK", "413 Content Too Large");
  const closed = Promise.withResolvers<void>();
  class Closed extends FakeConn {
    override write(): Promise<number> {
      setTimeout(closed.resolve);
      return Promise.reject(new Deno.errors.BrokenPipe());
    }

    override async read(buffer: Uint8Array): Promise<number | null> {
      await closed.promise;
      return await super.read(buffer);
    }
  }
  await using relay = new Relayed({ dial: () => Promise.resolve(new Closed(answer) as unknown as Socket) });
  const client = await relay.client();
  await client.send(`PUT / HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\n12345`);
  assert.equal(await client.receiveAll(), answer);
});

Deno.test("a server that cannot be reached is a 502 with the reason, without content for HEAD", async () => {
  const dial = () => Promise.reject(new Error("Cannot connect to api.example: refused"));
  await using relay = new Relayed({ dial });
  const client = await relay.client();
  await client.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
  const { head, content } = await client.receive();
  assert.equal(head.status, 502);
  assert.equal(JSON.parse(content).detail, "Cannot connect to api.example: refused");
  assert.match(JSON.parse(content).rule, /15\.6\.3$/);
  const second = await relay.client();
  await second.send(`HEAD / HTTP/1.1\r\n${HOST}\r\n`);
  assert.match(await second.receiveAll(), /^HTTP\/1.1 502 [^]*\r\n\r\n$/);
  assert.equal(relay.notes.length, 2);
});

Deno.test("after 101, both directions are octets", async () => {
  await using relay = new Relayed();
  const upgrade = `GET /chat HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
  const { client, upstream } = await relay.sent(upgrade);
  await upstream.until("\r\n\r\n");
  await upstream.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x01a");
  const buffer = new Uint8Array(1000);
  await client.conn.read(buffer);
  await client.send("\x81\x05Host: evil.example\r\n");
  assert.equal(await upstream.until("\r\n"), "\x81\x05Host: evil.example\r\n");
});

Deno.test("what follows a request with Upgrade waits for the answer, and is judged if it is HTTP", async () => {
  await using relay = new Relayed();
  const upgrade = `GET /a HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n`;
  const { client, upstream } = await relay.sent(`${upgrade}GET /b HTTP/1.1\r\n${HOST}\r\n`);
  assert.equal(await upstream.until("\r\n\r\n"), upgrade.replace("localhost:9997", "api.example"));
  await upstream.send(OK);
  await client.receive();
  assert.equal(await upstream.until("\r\n\r\n"), "GET /b HTTP/1.1\r\nHost: api.example\r\n\r\n");
});

Deno.test("what waits for an answer ends with its client, which cannot be written to", async () => {
  await using relay = new Relayed();
  const upgrade = `GET /a HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n`;
  const { client, upstream } = await relay.sent(`${upgrade}GET /b HTTP/1.1\r\n${HOST}\r\n`);
  await upstream.until("\r\n\r\n");
  client.close();
  // The first octet is answered with a reset, which the next one meets.
  for (const octet of "HTTP/1.1 1") {
    await upstream.send(octet).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await until(() => relay.closed.length > 0);
  assert.equal(relay.server.connections, 0);
});

Deno.test("a refused request waits for the answers of those before it", async () => {
  await using relay = new Relayed();
  const { client, upstream } = await relay.sent(
    `GET /a HTTP/1.1\r\n${HOST}\r\nGET /b HTTP/1.1\r\nHost: evil.example\r\n\r\n`,
  );
  assert.equal(await upstream.until("\r\n\r\n"), "GET /a HTTP/1.1\r\nHost: api.example\r\n\r\n");
  await upstream.send(OK);
  assert.equal((await client.receive()).content, "ok");
  assert.equal((await client.receive()).head.status, 421);
});

Deno.test("a refused request behind a response that breaks a rule ends the connection", async () => {
  await using relay = new Relayed();
  const { client, upstream } = await relay.sent(`GET /a HTTP/1.1\r\n${HOST}\r\n`);
  await upstream.until("\r\n\r\n");
  const broken = "HTTP/1.1 200 OK\r\nA : b\r\n\r\n";
  await upstream.send(broken);
  const buffer = new Uint8Array(1000);
  await client.conn.read(buffer);
  await client.send("GET /b HTTP/1.1\r\nHost: evil.example\r\n\r\n");
  assert.equal(await client.receiveAll(), "");
  assert.equal(relay.closed.length, 1);
});

Deno.test("what is too much to hold is given back if the connection ends at once", async () => {
  await using relay = new Relayed({ limits: { maxBufferedBytes: 100 } });
  const { client, upstream } = await relay.sent(`GET /a HTTP/1.1\r\n${HOST}\r\n`);
  await upstream.until("\r\n\r\n");
  await upstream.send("HTTP/1.1 200 OK\r\nA : b\r\n\r\n");
  await client.conn.read(new Uint8Array(1000));
  await client.send(`GET /b HTTP/1.1\r\nA: ${"b".repeat(200)}\r\n`);
  assert.equal(await client.receiveAll(), "");
  await until(() => relay.closed.length > 0);
  assert.deepEqual(relay.closed, ["by the relay (error 503)"]);
  assert.equal(relay.server.budget.used, 0);
});

Deno.test("a connection whose response breaks a rule is closed once it is idle for too long", async () => {
  await using relay = new Relayed();
  const { client, upstream } = await relay.sent(`GET /a HTTP/1.1\r\n${HOST}\r\n`);
  await upstream.until("\r\n\r\n");
  await upstream.send("HTTP/1.1 200 OK\r\nA : b\r\n\r\n");
  await client.conn.read(new Uint8Array(1000));
  relay.advance(600_001);
  assert.equal(await client.receiveAll(), "");
});

Deno.test("a client that speaks TLS to the plain port gets one line", async () => {
  await using relay = new Relayed();
  const client = await relay.client();
  await client.send("\x16\x03\x01\x02\x00\x01\x00");
  assert.equal(await client.receiveAll(), "");
  assert.deepEqual(relay.notes, [
    "the client speaks TLS, which this relay does not: use http://, or relay with --cert and --key",
  ]);
});

Deno.test("a client beyond the limit gets 503", async () => {
  await using relay = new Relayed({ limits: { maxConnections: 1 } });
  const { upstream } = await relay.sent(`GET / HTTP/1.1\r\n${HOST}\r\n`);
  await upstream.until("\r\n\r\n");
  const client = await relay.client();
  assert.equal((await client.receive()).head.status, 503);
});

Deno.test("a client that does not read is not read for", async () => {
  await using relay = new Relayed();
  const { client, upstream } = await relay.sent(`GET / HTTP/1.1\r\n${HOST}\r\n`);
  await upstream.until("\r\n\r\n");
  await upstream.send("HTTP/1.1 200 OK\r\n\r\n");
  const piece = new Uint8Array(1024 * 1024);
  let written = 0;
  let turns = 0;
  const writing = (async () => {
    for (; written < 64; written++) {
      await upstream.send(piece);
      turns = 0;
    }
  })().catch(() => {});
  // Sockets hold some megabytes.
  await until(() => ++turns > 200);
  assert(written < 64);
  const buffer = new Uint8Array(1024 * 1024);
  let read = 0;
  while (read < 64 * piece.length) read += (await client.conn.read(buffer))!;
  await writing;
  assert.equal(written, 64);
  assert(relay.server.budget.used < 1024 * 1024);
});

Deno.test("peers that left free everything", async () => {
  await using relay = new Relayed();
  for (let i = 0; i < 20; i++) {
    const { client, upstream } = await relay.sent(`GET / HTTP/1.1\r\n${HOST}\r\n`);
    if (i % 2 === 0) client.close();
    upstream.close();
    if (i % 2 === 1) client.close();
  }
  await until(() => relay.server.connections === 0);
});

Deno.test("a shutdown that ends requests has told of that when it is over", async () => {
  await using relay = new Relayed();
  const size = 64 * 1024 * 1024;
  const { client, upstream } = await relay.sent(`PUT / HTTP/1.1\r\n${HOST}Content-Length: ${size}\r\n\r\n`);
  await upstream.until("\r\n\r\n");
  // More than the server takes that does not read.
  client.send(new Uint8Array(size)).catch(() => {});
  const stopped = relay.server.shutdown();
  // Accepting ends first.
  await new Promise((resolve) => setTimeout(resolve, 0));
  relay.advance(SERVER_LIMITS.shutdownMs);
  await stopped;
  assert.deepEqual(relay.closed, ["by the relay (shutting down)"]);
});
