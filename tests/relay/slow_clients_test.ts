import assert from "node:assert/strict";
import { SERVER_LIMITS } from "../../lib/limits.ts";
import { RelayConnection } from "../../lib/relay/connection.ts";
import { HostRule } from "../../lib/relay/gate.ts";
import { HeldConn } from "../server/conns.ts";
import { connectionContext } from "../support.ts";

const GET = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
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
