import assert from "node:assert/strict";
import { TimeoutError } from "../../lib/client.ts";
import { SERVER_LIMITS } from "../../lib/limits.ts";
import { RelayConnection } from "../../lib/relay/connection.ts";
import { HostRule } from "../../lib/relay/gate.ts";
import { HeldConn } from "../server/conns.ts";
import { connectionContext } from "../support.ts";
import { Relayed } from "./relayed.ts";

const GET = "GET / HTTP/1.1\r\nHost: localhost:9997\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** A relayed connection in memory, whose client's socket takes octets, and its end, when the test says so. */
async function held(requests: string) {
  const [client, server] = [new HeldConn(), new HeldConn()];
  const taken = Promise.withResolvers<void>();
  const taking = <Args extends unknown[], T>(take: (...args: Args) => Promise<T>) => async (...args: Args) => {
    await taken.promise;
    return await take.apply(client, args);
  };
  const { write, closeWrite } = client;
  Object.assign(client, { write: taking(write), closeWrite: taking(closeWrite) });
  const context = connectionContext();
  const relayed = new RelayConnection(1, client as unknown as Deno.Conn, context, {
    rule: new HostRule({ secure: false, host: "localhost", port: 80 }, true, false),
    dial: () => Promise.resolve(server as unknown as Deno.Conn),
    answerMs: 1000,
    explains: false,
  });
  const ended = relayed.serve();
  await client.bring(requests);
  const at = async (milliseconds: number) => {
    context.clock = milliseconds;
    relayed.sweep();
    await new Promise((resolve) => setTimeout(resolve, 0));
  };
  return { client, server, taken, ended, at };
}

const answers: [name: string, first: string, rest: string][] = [
  ["the next answer has begun", OK.slice(0, -1), "k" + OK],
  ["the next answer is awaited", OK, OK],
];
for (const [name, first, rest] of answers) {
  Deno.test(`a client that reads slowly is not cut off by --timeout: ${name}`, async () => {
    const { client, server, taken, ended, at } = await held(GET.repeat(2));
    server.deliver(first);
    await at(0);
    await at(1001);
    assert(!client.isClosed && !server.isClosed);
    taken.resolve();
    await at(1001);
    await server.bring(rest);
    assert.equal(client.written, OK + OK);
    client.end();
    server.end();
    await ended;
  });
}

Deno.test("an idle connection ends once its client's socket has taken the end", async () => {
  const { client, taken, ended, at } = await held("");
  await at(600_001);
  // Over TLS, the last answer may still be on its way.
  assert(!client.isClosed);
  taken.resolve();
  await ended;
  assert(client.isClosed);
});

Deno.test("a client that goes on sending to a server that is gone is listened to for a while, not for ever", async () => {
  const { lingerMs } = SERVER_LIMITS;
  const { client, server, taken, ended, at } = await held(
    "PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n",
  );
  taken.resolve();
  Object.assign(server, { write: () => Promise.reject(new Deno.errors.BrokenPipe()) });
  server.end();
  await client.bring("a");
  await at(0);
  await at(lingerMs - 1);
  assert(!client.isClosed);
  await client.bring("b");
  await at(lingerMs - 1);
  await at(lingerMs);
  assert(client.isClosed);
  await ended;
});

Deno.test("a server that cannot be reached in time is a 504", async () => {
  await using relay = new Relayed({ dial: () => Promise.reject(new TimeoutError("No response came")) });
  const client = await relay.client();
  const { head, content } = await client.exchange(GET);
  assert.equal(head.status, 504);
  assert.match(JSON.parse(content).rule, /15\.6\.5$/);
});

Deno.test("without --timeout an answer is waited for, with it there is a 504", async () => {
  await using patient = new Relayed();
  const { client, upstream } = await patient.sent(GET);
  await upstream.until("\r\n\r\n");
  patient.advance(3_600_000);
  await upstream.send(OK);
  assert.equal((await client.receive()).content, "ok");
  await using relay = new Relayed({ answerMs: 1000 });
  const late = await relay.sent(GET);
  await late.upstream.until("\r\n\r\n");
  relay.advance(1001);
  assert.equal((await late.client.receive()).head.status, 504);
});

Deno.test("an answer that has begun may pause for longer than --timeout", async () => {
  await using relay = new Relayed({ answerMs: 1000 });
  const { client, upstream } = await relay.sent(GET);
  await upstream.until("\r\n\r\n");
  await upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no");
  const buffer = new Uint8Array(100);
  await client.conn.read(buffer);
  relay.advance(60_000);
  await upstream.send("k");
  assert.equal(await client.conn.read(buffer), 1);
});

Deno.test("a head that is not complete in time gets 408, a broken one a close", async () => {
  await using relay = new Relayed();
  const client = await relay.client();
  await client.send("GET / HTTP/1.1\r\nHos");
  await relay.upstream();
  relay.advance(10_001);
  assert.equal((await client.receive()).head.status, 408);
  const second = await relay.client();
  await second.send("GET /| HTTP/1.1\r\nHos");
  await relay.upstream();
  relay.advance(10_001);
  assert.equal(await second.receiveAll(), "");
  assert.equal(relay.closed.at(-1), "by the relay (a broken head did not end in time)");
});

Deno.test("an idle connection is closed, on both sides", async () => {
  await using relay = new Relayed();
  const { client, upstream } = await relay.sent(GET);
  await upstream.until("\r\n\r\n");
  await upstream.send(OK);
  await client.receive();
  relay.advance(600_001);
  assert.equal(await client.receiveAll(), "");
  assert.equal(await upstream.receiveAll(), "");
  assert.deepEqual(relay.closed, ["by the relay (idle too long)"]);
});
