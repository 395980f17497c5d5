import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { ClientError, Session, TimeoutError } from "../../lib/client.ts";
import type { RawView } from "../../lib/client/raw.ts";
import { parseRawSteps } from "../../lib/client/raw.ts";
import { OK, request, ScriptedServer, sessionWith, show, TOGETHER } from "./scripted_server.ts";
import { freePort } from "../support.ts";
import { octetString, wireOctets } from "../wire_cases.ts";

const answers: [name: string, method: string, answer: string, shown: string][] = [
  [
    "chunked content",
    "GET",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n",
    "200ab | end",
  ],
  ["interim responses", "GET", `HTTP/1.1 103 Early Hints\r\n\r\n${OK}`, "103 | end | 200ok | end"],
  ["HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "200 | end"],
  ["101", "GET", "HTTP/1.1 101 Switching Protocols\r\n\r\n", "101 | end"],
];

for (const [name, method, answer, shown] of answers) {
  Deno.test(`an answer with ${name}`, async () => {
    await using server = new ScriptedServer([answer]);
    using session = sessionWith(server.port);
    assert.equal(await show(session.exchange(request(method))), shown);
  });
}

Deno.test("content may end with the connection", async () => {
  await using server = new ScriptedServer(["HTTP/1.1 200 OK\r\n\r\nab", "close now"], [OK]);
  using session = sessionWith(server.port);
  assert.equal(await show(session.exchange(request())), "200ab | end");
  assert.match(await show(session.exchange(request())), /200ok \| end$/);
});

Deno.test("an invalid response keeps its octets", async () => {
  await using server = new ScriptedServer([`${TOGETHER}220 mail.example ESMTP\r\n`]);
  using session = sessionWith(server.port);
  await assert.rejects(show(session.exchange(request())), (error) => {
    assert(error instanceof ClientError && error.octets !== undefined);
    assert.match(error.message, /^The response is not valid HTTP: Expected the version HTTP/);
    assert.equal(octetString(error.octets), "220 mail.example ESMTP\r\n");
    return true;
  });
});

Deno.test("a client without TLS recognises a TLS server", async () => {
  await using server = new ScriptedServer([`${TOGETHER}\x15\x03\x03\x00\x02\x02F`]);
  using session = sessionWith(server.port);
  await assert.rejects(show(session.exchange(request())), /the server sent: TLS, for which .* https:/);
});

Deno.test("too many interim responses are refused", async () => {
  await using server = new ScriptedServer([TOGETHER + "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(200)]);
  using session = sessionWith(server.port);
  await assert.rejects(show(session.exchange(request())), {
    name: "ClientError",
    message: "The server sent more than 100 interim responses",
  });
});

Deno.test("a head that arrives slowly does not extend its timeout", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using session = sessionWith((listener.addr as Deno.NetAddr).port, { timeoutMs: 50 });
  const serving = (async () => {
    using conn = await listener.accept();
    await conn.read(new Uint8Array(1000));
    await conn.write(wireOctets("HTTP/1.1 200 OK\r\nX: "));
    // As long as the client is there.
    while (await conn.write(wireOctets("x")).catch(() => 0)) await new Promise((resolve) => setTimeout(resolve, 5));
  })();
  await assert.rejects(show(session.exchange(request())), { name: "TimeoutError" });
  listener.close();
  await serving;
});

const broken: [name: string, answer: string, message: RegExp][] = [
  [
    "no HTTP",
    "SSH-2.0-OpenSSH_9.2\r\n",
    /^The response is not valid HTTP: Expected the version .* \(RFC 9112 §2\.3, at octet 0\); the server sent: SSH-2\.0-OpenSSH_9$/,
  ],
  [
    "two framings",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    /saw both \(RFC 9112 §6\.1/,
  ],
];

for (const [name, answer, message] of broken) {
  Deno.test(`an answer with ${name} is refused`, async () => {
    await using server = new ScriptedServer([answer]);
    using session = sessionWith(server.port);
    await assert.rejects(show(session.exchange(request())), (error) => {
      assert(error instanceof ClientError);
      assert.match(error.message, message);
      return true;
    });
  });
}

Deno.test("an incomplete response is reported", async () => {
  await using server = new ScriptedServer(["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", "close now"]);
  using session = sessionWith(server.port);
  await assert.rejects(show(session.exchange(request())), {
    message:
      /^The response is not valid HTTP: The connection ended in the middle of the content: \d more octets? w\w+ announced/,
  });
});

const resets: [answer: string, expected: RegExp][] = [
  ["", /^The server closed the connection without a response, so what it did with the request is not known: RST$/],
  ["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", /^The connection broke in the middle of the response: RST$/],
];
for (const [answer, expected] of resets) {
  const name = `a connection that is reset after ${answer.length} octets of a response`;
  // On Windows `resetAndDestroy` sends FIN.
  Deno.test(name, { ignore: Deno.build.os === "windows" }, async () => {
    const accepted = Promise.withResolvers<Socket>();
    const listener = createServer(accepted.resolve).listen(0, "127.0.0.1");
    await once(listener, "listening");
    using session = sessionWith((listener.address() as AddressInfo).port);
    await assert.rejects(async () => {
      const events = session.exchange(request());
      let next = events.next();
      const socket = await accepted.promise;
      await once(socket, "data");
      if (answer === "") socket.resetAndDestroy();
      else socket.write(answer);
      for (let event = await next; !event.done; event = await next) {
        next = events.next();
        if (event.value.kind === "content") socket.resetAndDestroy();
      }
    }, { name: "ClientError", message: expected });
    listener.close();
    await once(listener, "close");
  });
}

Deno.test("a server that does not respond causes a timeout", async () => {
  await using server = new ScriptedServer(["silence", "silence"]);
  using session = sessionWith(server.port, { timeoutMs: 20 });
  await assert.rejects(show(session.exchange(request())), (error) => {
    assert(error instanceof TimeoutError);
    assert.equal(error.message, "No response came within 0.02 seconds (--timeout)");
    return true;
  });
});

Deno.test("without a server, one line says so", async () => {
  const port = freePort();
  using session = sessionWith(port);
  await assert.rejects(session.connect(), {
    name: "ClientError",
    message: `Cannot connect to 127.0.0.1:${port}: connection refused (is a server running there?)`,
  });
});

Deno.test("https addresses use TLS, and untrusted servers are refused", async () => {
  const file = (name: string) => Deno.readTextFileSync(new URL(`../testdata/tls/${name}.pem`, import.meta.url));
  const listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert: file("cert"), key: file("key") });
  const { port } = listener.addr as Deno.NetAddr;
  const serving = (async () => {
    const conn = await listener.accept();
    await conn.read(new Uint8Array(1000));
    await conn.write(wireOctets(OK));
    conn.close();
    const untrusted = await listener.accept();
    await untrusted.read(new Uint8Array(1000)).catch(() => {});
    untrusted.close();
  })();
  const endpoint = { secure: true, host: "127.0.0.1", port };
  const trusting = new Session(endpoint, { timeoutMs: 10_000, caCerts: [file("ca")] });
  assert.equal(await show(trusting.exchange(request())), "200ok | end");
  trusting.close();
  const doubting = new Session(endpoint, { timeoutMs: 10_000 });
  await assert.rejects(doubting.connect(), /^ClientError: Cannot connect to 127\.0\.0\.1:\d+: .*certificate/);
  await serving;
  listener.close();
});

const doubtful: [file: string, reason: string][] = [
  ["cert", "its certificate is not signed by a trusted authority; --cacert FILE adds one"],
  ["authority", "its certificate is a CA certificate, which a server may not use (basicConstraints)"],
  ["nameless", "its certificate names no host (subjectAltName)"],
  ["other_name", "its certificate is for another name"],
  ["expired", "its certificate has expired"],
  ["not_yet", "its certificate is not valid yet"],
];

for (const [name, reason] of doubtful) {
  Deno.test(`a certificate that is not taken: ${reason}`, async () => {
    const file = (name: string) => Deno.readTextFileSync(new URL(`../testdata/tls/${name}.pem`, import.meta.url));
    const listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert: file(name), key: file("key") });
    const { port } = listener.addr as Deno.NetAddr;
    const serving = listener.accept().then((conn) => conn.handshake().catch(() => {}).finally(() => conn.close()));
    const session = new Session({ secure: true, host: "127.0.0.1", port }, {
      timeoutMs: 10_000,
      caCerts: name === "cert" ? [] : [file(name)],
    });
    await assert.rejects(session.connect(), { message: `Cannot connect to 127.0.0.1:${port}: ${reason}` });
    await serving;
    listener.close();
  });
}

Deno.test("a TLS handshake that takes too long is a timeout, not a failure to connect", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted = listener.accept();
  const { port } = listener.addr as Deno.NetAddr;
  const session = new Session({ secure: true, host: "127.0.0.1", port }, { timeoutMs: 20 });
  await assert.rejects(session.connect(), {
    name: "TimeoutError",
    message: "No response came within 0.02 seconds (--timeout)",
  });
  (await accepted).close();
  listener.close();
});

Deno.test("a close by the server is reported while no exchange is in progress, and not during a raw one", async () => {
  await using server = new ScriptedServer([`${TOGETHER}HTTP/1.1 204 No Content\r\n\r\n`, "close"], [OK, "close now"]);
  const closed: string[] = [];
  const reported = Promise.withResolvers<void>();
  using session = sessionWith(server.port, {
    closed: (how) => {
      closed.push(how);
      reported.resolve();
    },
  });
  assert.equal(await show(session.exchange(request())), "204 | end");
  const view: RawView = {
    begin: () => {},
    sent: () => {},
    expects: "response",
    end: () => ({ status: undefined, valid: true }),
  };
  const steps = parseRawSteps('"GET / HTTP/1.1"');
  assert.equal((await session.raw(steps, view)).outcome, "ended");
  assert.deepEqual(closed, []);
  assert.match(await show(session.exchange(request())), /200ok \| end$/);
  await reported.promise;
  assert.match(closed.join(), /^the server closed: FIN after \d+ s idle$/);
});

const ends: [what: string, answer: string, then: string, told: RegExp, method?: string][] = [
  [
    "Connection: close in the response",
    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    "close now",
    /^the server closed: FIN after the response, as its Connection: close said$/,
  ],
  [
    "HTTP/1.0",
    "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "close now",
    /^the server closed: FIN after the response, as HTTP\/1\.0 does$/,
  ],
  [
    "content without a length",
    "HTTP/1.1 200 OK\r\n\r\nok",
    "close now",
    /^the server closed: FIN ended the content, which had no length$/,
  ],
  ["the end of a pause", OK, "close now", /^the server closed: FIN after 0 s idle$/],
  [
    "a response that nobody asked for",
    OK,
    `now ${TOGETHER}HTTP/1.1 408 Request \x1b Timeout\r\n\r\n`,
    /^the server sent 34 octets unasked after 0 s idle: HTTP\/1\.1 408 Request \\x1b Timeout$/,
  ],
];

for (const [what, answer, then, told] of ends) {
  Deno.test(`how a connection ended is told at once, and once: ${what}`, async () => {
    await using server = new ScriptedServer([answer, then], [OK]);
    const closed = Promise.withResolvers<string>();
    using session = sessionWith(server.port, { closed: closed.resolve });
    await show(session.exchange(request()));
    assert.match(await closed.promise, told);
    assert.equal(await show(session.exchange(request())), "200ok | end", "on a new connection");
  });
}

Deno.test("connecting may be cancelled, by Ctrl-C in the middle of a TLS handshake too", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const session = new Session({ secure: true, host: "127.0.0.1", port }, { timeoutMs: 10_000 });
  const connecting = assert.rejects(session.connect(), {
    name: "Cancelled",
    exitCode: 130,
    message: "Cancelled; there is no connection",
  });
  const conn = await listener.accept();
  await conn.read(new Uint8Array(1));
  assert.equal(session.cancel(), true);
  await connecting;
  assert.equal(session.cancel(), false);
  conn.close();
  listener.close();
});

Deno.test("the error about a certificate says what can be done", async () => {
  const [cert, key] = ["cert", "key"].map((name) => Deno.readTextFileSync(`tests/testdata/tls/${name}.pem`));
  const listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key });
  const served = listener.accept().then(async (conn) => {
    await conn.handshake().catch(() => {});
    conn.close();
  });
  const { port } = listener.addr as Deno.NetAddr;
  const session = new Session({ secure: true, host: "127.0.0.1", port }, {
    timeoutMs: 10_000,
    certificateAdvice: (host) => `advice for ${host}`,
  });
  await assert.rejects(session.connect(), {
    message: /^Cannot connect to 127\.0\.0\.1:\d+: its certificate is .*; advice for 127\.0\.0\.1$/,
  });
  await served;
  listener.close();
});
