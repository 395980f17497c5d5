import assert from "node:assert/strict";
import {
  authorityOf,
  ClientError,
  type ClientOptions,
  type ExchangeEvent,
  InvalidResponse,
  Session,
  TimeoutError,
} from "../lib/client.ts";
import type { HttpRequest } from "../lib/http/message.ts";
import { octetString, wireOctets } from "./wire_cases.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

function request(method = "GET", content?: string): HttpRequest {
  return {
    method,
    target: "/a",
    fields: [["Host", "h"]],
    content: content === undefined ? undefined : wireOctets(content),
  };
}

/**
 * A server that answers each request of each connection with what the script has for it:
 * octets, `close` to end the connection, `silence` for no answer at all.
 */
const TOGETHER = "together: ";

class ScriptedServer implements AsyncDisposable {
  readonly requests: string[] = [];
  readonly port: number;
  readonly #listener: Deno.Listener;
  readonly #conns: Deno.Conn[] = [];
  readonly #done: Promise<void>;

  constructor(...script: string[][]) {
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.port = (this.#listener.addr as Deno.NetAddr).port;
    this.#done = this.#run(script);
  }

  async #run(script: string[][]): Promise<void> {
    for (const answers of script) {
      let conn: Deno.Conn;
      try {
        conn = await this.#listener.accept();
      } catch {
        return;
      }
      this.#conns.push(conn);
      await this.#serve(conn, answers);
    }
  }

  async #serve(conn: Deno.Conn, answers: string[]): Promise<void> {
    const buffer = new Uint8Array(64 * 1024);
    for (const answer of answers) {
      if (answer !== "close now") {
        const count = await conn.read(buffer).catch(() => null);
        if (count === null) return;
        this.requests.push(octetString(buffer.subarray(0, count)));
      }
      if (answer === "silence") continue;
      if (answer.startsWith("close")) return conn.close();
      if (answer.startsWith(TOGETHER)) await conn.write(wireOctets(answer.slice(TOGETHER.length)));
      else for (const octet of wireOctets(answer)) await conn.write(new Uint8Array([octet]));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const conn of this.#conns) {
      try {
        conn.close();
      } catch {
        // The script has closed it.
      }
    }
    await this.#done;
  }
}

function sessionWith(port: number, options: Partial<ClientOptions> = {}): Session & Disposable {
  const session = new Session({ secure: false, host: "127.0.0.1", port }, { timeoutMs: 10_000, ...options });
  return Object.assign(session, { [Symbol.dispose]: () => session.close() });
}

/** Events in short: notices in parentheses, statuses with the content behind them. */
async function show(events: AsyncIterable<ExchangeEvent>): Promise<string> {
  const shown: string[] = [];
  for await (const event of events) {
    if (event.kind === "notice") shown.push(`(${event.text})`);
    else if (event.kind === "response") shown.push(String(event.status));
    else if (event.kind === "sent") continue;
    else if (event.kind === "content") shown[shown.length - 1] += octetString(event.bytes);
    else shown.push("end");
  }
  return shown.join(" | ");
}

Deno.test("exchanges use one connection, one after the other", async () => {
  await using server = new ScriptedServer([OK, "HTTP/1.1 204 No Content\r\n\r\n"]);
  using session = sessionWith(server.port);
  assert.equal(await show(session.exchange(request("PUT", "abc"))), "200ok | end");
  assert.equal(await show(session.exchange(request("DELETE"))), "204 | end");
  assert.deepEqual(server.requests, [
    "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
    "DELETE /a HTTP/1.1\r\nHost: h\r\n\r\n",
  ]);
});

Deno.test("a request is told as it is sent", async () => {
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

Deno.test("a connection that the server closed between two requests is opened anew, with a notice", async () => {
  await using server = new ScriptedServer([OK, "close now"], [OK]);
  using session = sessionWith(server.port);
  await show(session.exchange(request()));
  // The end of the old connection arrives before the next request is made.
  await new Promise((resolve) => setTimeout(resolve, 20));
  const shown = await show(session.exchange(request("POST", "")));
  assert.equal(shown, "(The server had closed the connection; this is a new connection) | 200ok | end");
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
    assert.equal(
      await show(session.exchange(request())),
      "(The server had sent what nobody asked for; this is a new connection) | 200ok | end",
    );
  });
}

Deno.test("a server that speaks first is not answered", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using session = sessionWith((listener.addr as Deno.NetAddr).port);
  const greeting = (async () => {
    const conn = await listener.accept();
    await conn.write(wireOctets(OK));
    return conn;
  })();
  await session.connect();
  using _conn = await greeting;
  listener.close();
  await assert.rejects(show(session.exchange(request())), {
    name: "ClientError",
    message: /^The server had sent what nobody asked for|Cannot connect/,
  });
});

Deno.test("a connection whose request is not sent whole is not used again", async () => {
  const large = request("PUT", "x".repeat(20_000_000));
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
    "(The server had answered before it took the whole request; this is a new connection) | 200ok | end",
  );
  assert.match(await serving, /^GET /);
});

Deno.test("a connection that the request closes is not used again", async () => {
  await using server = new ScriptedServer([OK, OK], [OK]);
  using session = sessionWith(server.port);
  const closing = { ...request(), fields: [...request().fields, ["Connection", "x, Close"]] as [string, string][] };
  await show(session.exchange(closing));
  assert.match(await show(session.exchange(request())), /a new connection\) \| 200ok/);
});

Deno.test("what is no response is kept to be shown", async () => {
  await using server = new ScriptedServer([`${TOGETHER}220 mail.example ESMTP\r\n`]);
  using session = sessionWith(server.port);
  await assert.rejects(show(session.exchange(request())), (error) => {
    assert(error instanceof InvalidResponse);
    assert.match(error.message, /^The response is not valid HTTP: Expected the version HTTP/);
    assert.equal(octetString(error.octets), "220 mail.example ESMTP\r\n");
    return true;
  });
});

Deno.test("TLS that speaks to a client without it is recognised", async () => {
  await using server = new ScriptedServer([`${TOGETHER}\x15\x03\x03\x00\x02\x02F`]);
  using session = sessionWith(server.port);
  await assert.rejects(show(session.exchange(request())), /this looks like TLS, for which .* https:/);
});

Deno.test("interim responses without end are refused", async () => {
  await using server = new ScriptedServer([TOGETHER + "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(200)]);
  using session = sessionWith(server.port);
  await assert.rejects(show(session.exchange(request())), {
    name: "ClientError",
    message: "The server sent more than 100 interim responses",
  });
});

Deno.test("a head that drips in does not gain time", async () => {
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

Deno.test("a new connection is told of only when there is one", async () => {
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

Deno.test("Connection: close is heeded", async () => {
  const closing = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
  await using server = new ScriptedServer([closing], [OK]);
  using session = sessionWith(server.port);
  await show(session.exchange(request("POST", "")));
  assert.equal(
    await show(session.exchange(request("POST", ""))),
    "(The server had closed the connection; this is a new connection) | 200ok | end",
  );
});

Deno.test("a request that a kept connection swallowed is sent once more, if that does no harm", async () => {
  await using server = new ScriptedServer([OK, "close"], [OK]);
  using session = sessionWith(server.port);
  await show(session.exchange(request()));
  assert.equal(
    await show(session.exchange(request("PUT", "a"))),
    "(The server closed the connection without a response; sent again on a new one) | 200ok | end",
  );
  assert.equal(server.requests.length, 3);
});

Deno.test("a POST that a kept connection swallowed is not sent once more", async () => {
  await using server = new ScriptedServer([OK, "close"], [OK]);
  using session = sessionWith(server.port);
  await show(session.exchange(request()));
  await assert.rejects(show(session.exchange(request("POST", "a"))), {
    name: "ClientError",
    message: "The server closed the connection without a response, so what it did with the request is not known",
  });
  assert.equal(await show(session.exchange(request())), "200ok | end");
});

Deno.test("a first connection that swallows a request is no reason to try again", async () => {
  await using server = new ScriptedServer(["close"], [OK]);
  using session = sessionWith(server.port);
  await assert.rejects(show(session.exchange(request())), ClientError);
  assert.equal(server.requests.length, 1);
});

const broken: [name: string, answer: string, message: RegExp][] = [
  [
    "no HTTP",
    "SSH-2.0-OpenSSH_9.2\r\n",
    /^The response is not valid HTTP: Expected the version .* \(RFC 9112 §2\.3, at byte 0\)$/,
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

Deno.test("an answer that is cut off is told so", async () => {
  await using server = new ScriptedServer(["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", "close now"]);
  using session = sessionWith(server.port);
  await assert.rejects(show(session.exchange(request())), {
    message:
      /^The response is not valid HTTP: The connection ended in the middle of the content: \d more bytes were announced/,
  });
});

Deno.test("a server that answers nothing is not waited for too long", async () => {
  await using server = new ScriptedServer(["silence", "silence"]);
  using session = sessionWith(server.port, { timeoutMs: 20 });
  await assert.rejects(show(session.exchange(request())), (error) => {
    assert(error instanceof TimeoutError);
    assert.equal(error.message, "No response came within 0.02 seconds");
    return true;
  });
});

Deno.test("where no server is, one line says so", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  using session = sessionWith(port);
  await assert.rejects(session.connect(), {
    name: "ClientError",
    message: `Cannot connect to 127.0.0.1:${port}: connection refused (is a server running there?)`,
  });
});

Deno.test("TLS is spoken where it is asked for, to servers that can be trusted", async () => {
  const file = (name: string) => Deno.readTextFileSync(new URL(`./testdata/tls/${name}.pem`, import.meta.url));
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
  ["cert", "nobody whom this program trusts has signed its certificate; --cacert FILE trusts another"],
  ["authority", "its certificate is that of an authority, which may not be a server's own (basicConstraints)"],
  ["nameless", "its certificate names no host (subjectAltName)"],
  ["other_name", "its certificate is for another name"],
  ["expired", "its certificate has expired"],
  ["not_yet", "its certificate is not valid yet"],
];

for (const [name, reason] of doubtful) {
  Deno.test(`a certificate that is not taken: ${reason}`, async () => {
    const file = (name: string) => Deno.readTextFileSync(new URL(`./testdata/tls/${name}.pem`, import.meta.url));
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

Deno.test("an endpoint is named without the port that its scheme implies", () => {
  assert.equal(authorityOf({ secure: false, host: "a", port: 80 }), "a");
  assert.equal(authorityOf({ secure: true, host: "a", port: 443 }), "a");
  assert.equal(authorityOf({ secure: true, host: "a", port: 80 }), "a:80");
  assert.equal(authorityOf({ secure: false, host: "::1", port: 9999 }), "[::1]:9999");
});
