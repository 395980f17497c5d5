import assert from "node:assert/strict";
import { ClientError } from "../lib/client.ts";
import { OK, request, ScriptedServer, sessionWith, show, TOGETHER } from "./client/scripted_server.ts";
import { tapped } from "../lib/traffic/tap.ts";
import { octetString, wireOctets } from "./wire_cases.ts";

Deno.test("consecutive exchanges use one connection", async () => {
  await using server = new ScriptedServer([OK, "HTTP/1.1 204 No Content\r\n\r\n"]);
  using session = sessionWith(server.port);
  assert.equal(await show(session.exchange(request("PUT", "abc"))), "200ok | end");
  assert.equal(await show(session.exchange(request("DELETE"))), "204 | end");
  assert.deepEqual(server.requests, [
    "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
    "DELETE /a HTTP/1.1\r\nHost: h\r\n\r\n",
  ]);
});

Deno.test("a request is reported as it is sent", async () => {
  await using server = new ScriptedServer([OK]);
  using session = sessionWith(server.port);
  for await (const event of session.exchange(request("PUT", "abc"))) {
    if (event.kind !== "sent") continue;
    assert.equal(octetString(event.head), "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n");
    assert.equal(octetString(event.content), "abc");
    return;
  }
  assert.fail("no request was told");
});

Deno.test("a connection closed by the server between two requests is opened again, with a notice", async () => {
  await using server = new ScriptedServer([OK, "close now"], [OK]);
  using session = sessionWith(server.port);
  await show(session.exchange(request()));
  // The end of the old connection arrives before the next request is made.
  await new Promise((resolve) => setTimeout(resolve, 20));
  const shown = await show(session.exchange(request("POST", "")));
  assert.equal(shown, "(The server closed: FIN after 0 s idle; this is a new connection) | 200ok | end");
  assert.equal(server.requests.length, 2);
});

const unasked: [what: string, method: string, answer: string, shown: string][] = [
  ["a second response", "GET", `${TOGETHER}${OK}${OK.replace("ok", "no")}`, "200ok | end"],
  ["content after a response to HEAD", "HEAD", `${TOGETHER}${OK}`, "200 | end"],
];

for (const [what, method, answer, expected] of unasked) {
  Deno.test(`${what} is not taken for the next request's`, async () => {
    await using server = new ScriptedServer([answer], [OK]);
    using session = sessionWith(server.port);
    assert.equal(await show(session.exchange(request(method))), expected);
    assert.match(
      await show(session.exchange(request())),
      /^\(The server sent \d+ octets unasked after 0 s idle: (?:HTTP\/1.1 200 OK|ok); this is a new connection\) \| 200ok \| end$/,
    );
  });
}

Deno.test("a server that sends first gets no request", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const arrived = Promise.withResolvers<void>();
  using session = sessionWith((listener.addr as Deno.NetAddr).port, {
    tap: (conn) => tapped(conn, "client", 1, ({ kind }) => kind === "read" ? arrived.resolve() : undefined),
  });
  const greeting = (async () => {
    const conn = await listener.accept();
    await conn.write(wireOctets(OK));
    return conn;
  })();
  await session.connect();
  using _conn = await greeting;
  await arrived.promise;
  listener.close();
  await assert.rejects(show(session.exchange(request())), {
    name: "ClientError",
    message: /^The server sent \d+ octets before there was a request: HTTP\/1\.1 200 OK$/,
  });
});

Deno.test("what a server sends before it was asked is told", async () => {
  await using server = new ScriptedServer([`now ${TOGETHER}SSH-2.0-OpenSSH_9\r\n`, "silence"]);
  using session = sessionWith(server.port);
  // It may come before or after the request is sent.
  await assert.rejects(show(session.exchange(request())), {
    name: "ClientError",
    message:
      /^The (?:server sent 19 octets before there was a request|response is not valid HTTP): .*SSH-2\.0-OpenSSH_9$/,
  });
});

Deno.test("an upload has time while octets are taken, and for those that are on their way", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using session = sessionWith((listener.addr as Deno.NetAddr).port, { timeoutMs: 1000 });
  const content = "x".repeat(300_000);
  const serving = (async () => {
    using conn = await listener.accept();
    listener.close();
    // Longer than the timeout, in which the system takes what it can hold.
    await new Promise((resolve) => setTimeout(resolve, 1200));
    const buffer = new Uint8Array(64 * 1024);
    for (let rest = content.length; rest > 0;) rest -= (await conn.read(buffer))!;
    await conn.write(wireOctets(OK));
  })();
  assert.equal(await show(session.exchange(request("PUT", content))), "200ok | end");
  await serving;
});

Deno.test("a connection is not reused if its request was not sent completely", async () => {
  const large = { ...request("PUT"), content: new Uint8Array(20_000_000).fill(0x78) };
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using session = sessionWith((listener.addr as Deno.NetAddr).port);
  const serving = (async () => {
    const first = await listener.accept();
    await first.read(new Uint8Array(100));
    await first.write(wireOctets(OK));
    const second = await listener.accept();
    const buffer = new Uint8Array(1000);
    const count = (await second.read(buffer))!;
    await second.write(wireOctets(OK));
    for (const conn of [first, second, listener]) conn.close();
    return octetString(buffer.subarray(0, count));
  })();
  assert.equal(await show(session.exchange(large)), "200ok | end");
  assert.equal(
    await show(session.exchange(request())),
    "(The server responded before it received the whole request; this is a new connection) | 200ok | end",
  );
  assert.match(await serving, /^GET /);
});

Deno.test("a connection is not reused after a request with Connection: close", async () => {
  await using server = new ScriptedServer([OK, OK], [OK]);
  using session = sessionWith(server.port);
  const closing = { ...request(), fields: [...request().fields, ["Connection", "x, Close"]] as [string, string][] };
  await show(session.exchange(closing));
  // This was to be expected.
  assert.equal(await show(session.exchange(request())), "200ok | end");
});

Deno.test("a new connection is announced only once it is open", async () => {
  const server = new ScriptedServer([OK, "close now"]);
  using session = sessionWith(server.port);
  await show(session.exchange(request()));
  await server[Symbol.asyncDispose]();
  const told: string[] = [];
  await assert.rejects(async () => {
    for await (const event of session.exchange(request())) told.push(event.kind);
  }, { name: "ClientError", message: /connection refused/ });
  assert.deepEqual(told, []);
});

Deno.test("Connection: close ends the connection", async () => {
  const closing = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
  await using server = new ScriptedServer([closing], [OK]);
  using session = sessionWith(server.port);
  await show(session.exchange(request("POST", "")));
  assert.equal(await show(session.exchange(request("POST", ""))), "200ok | end");
});

Deno.test("a server that sends first on the connection for a repeated request gets none", async () => {
  await using server = new ScriptedServer([OK, "close"], ["now SSH"]);
  const arrived = Promise.withResolvers<void>();
  using session = sessionWith(server.port, { closed: (how) => /SSH|sent/.test(how) && arrived.resolve() });
  await show(session.exchange(request()));
  const exchange = session.exchange(request());
  await assert.rejects(async () => {
    for await (const event of exchange) if (event.kind === "notice") await arrived.promise;
  }, { name: "ClientError", message: /^The server sent \d octets? before there was a request: S/ });
});

Deno.test("an idempotent request without a response on a reused connection is sent again", async () => {
  await using server = new ScriptedServer([OK, "close"], [OK]);
  using session = sessionWith(server.port);
  await show(session.exchange(request()));
  assert.equal(
    await show(session.exchange(request("PUT", "a"))),
    "(The server closed the connection without a response; sent again on a new one) | 200ok | end",
  );
  assert.equal(server.requests.length, 3);
});

Deno.test("a POST without a response is not sent again", async () => {
  await using server = new ScriptedServer([OK, "close"], [OK]);
  using session = sessionWith(server.port);
  await show(session.exchange(request()));
  await assert.rejects(show(session.exchange(request("POST", "a"))), {
    name: "ClientError",
    message: "The server closed the connection without a response, so what it did with the request is not known",
  });
  assert.equal(await show(session.exchange(request())), "200ok | end");
});

Deno.test("a request on a new connection is not sent again", async () => {
  await using server = new ScriptedServer(["close"], [OK]);
  using session = sessionWith(server.port);
  await assert.rejects(show(session.exchange(request())), ClientError);
  assert.equal(server.requests.length, 1);
});
