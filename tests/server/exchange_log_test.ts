import assert from "node:assert/strict";
import { HttpError } from "../../lib/http/error.ts";
import type { HttpResponse } from "../../lib/http/message.ts";
import type { ServerLimits } from "../../lib/limits.ts";
import { ExchangeLog, type LoggedExchange, logLine } from "../../lib/server/exchange_log.ts";
import { type Handler, type Peer, startServer, type TestServer, until } from "../support.ts";

const GET = "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n";
const PUT = "PUT /a HTTP/1.1\r\nHost: localhost\r\n";

interface Logged {
  readonly server: TestServer;
  readonly peer: Peer;
  readonly log: ExchangeLog;
  /** The exchanges that have ended, without the peer's address. */
  readonly exchanges: Omit<LoggedExchange, "peer">[];
  /** Advances the clock of the log. */
  pass(ms: number): void;
}

/** Talks to a server with a log, and waits until as many exchanges have ended as are expected. */
async function talk(
  handler: Handler,
  conversation: (logged: Logged) => Promise<void>,
  expected: number,
  limits: Partial<ServerLimits> = {},
): Promise<Omit<LoggedExchange, "peer">[]> {
  const exchanges: Logged["exchanges"] = [];
  let offset = 0;
  const log = new ExchangeLog(
    ({ peer, ...exchange }) => {
      assert.match(peer, /^127\.0\.0\.1:\d+$/);
      // What is undefined is not printed.
      exchanges.push(JSON.parse(JSON.stringify(exchange)));
    },
    (status) => `section of ${status}`,
    false,
    () => performance.now() + offset,
  );
  await using server = startServer(handler, { observer: log.observer, limits });
  const peer = await server.connect();
  await conversation({ server, peer, log, exchanges, pass: (ms) => offset += ms });
  await until(() => exchanges.length === expected);
  return exchanges;
}

/** What is always the same for the first connection. */
function withoutTime(exchanges: Omit<LoggedExchange, "peer">[]): object[] {
  return exchanges.map(({ ms, connection, ...rest }) => {
    assert(ms >= 0 && Number.isFinite(ms));
    assert.equal(connection, 1);
    return rest;
  });
}

const ok = (): HttpResponse => ({ status: 200, content: "ok" });

Deno.test("an exchange counts the octets of both messages whole", async () => {
  const sent: string[] = [];
  const received: string[] = [];
  const exchanges = await talk(ok, async ({ peer }) => {
    sent.push(GET, `${PUT}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n`, "HEAD" + GET.slice(3));
    for (const message of sent) {
      const { head, content } = await peer.exchange(message);
      received.push(head.text + content);
    }
  }, 3);
  assert.deepEqual(
    withoutTime(exchanges),
    ["GET", "PUT", "HEAD"].map((method, i) => ({
      method,
      target: "/a",
      status: 200,
      requestOctets: sent[i].length,
      responseOctets: received[i].length,
    })),
  );
});

Deno.test("pipelined requests, streams and interim responses are told apart by their octets", async () => {
  async function* pieces() {
    yield "hello ";
    yield await Promise.resolve("world");
  }
  let octets = "";
  const put = `${PUT}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n`;
  const exchanges = await talk(
    ({ method }) => method === "PUT" ? { status: 201 } : { status: 200, content: pieces() },
    async ({ peer }) => {
      await peer.send(GET + GET + put);
      await peer.receive();
      await peer.receive();
      assert.equal((await peer.receive("PUT")).head.status, 100);
      await peer.send("{}");
      octets = (await peer.receive("PUT")).head.text;
    },
    3,
  );
  const [first, second, third] = withoutTime(exchanges) as Omit<LoggedExchange, "peer">[];
  assert.deepEqual(first, second);
  assert.equal(first.requestOctets, GET.length);
  assert(first.responseOctets > "6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n".length + 50);
  assert.equal(third.requestOctets, put.length + 2);
  assert.equal(third.responseOctets, "HTTP/1.1 100 Continue\r\n\r\n".length + octets.length);
  assert.equal(third.status, 201);
});

Deno.test("the time runs from the request's last octet to the response's last, and from a refusal", async () => {
  const made = Promise.withResolvers<HttpResponse>();
  const called = Promise.withResolvers<void>();
  const exchanges = await talk(() => {
    called.resolve();
    return made.promise;
  }, async ({ peer, pass }) => {
    await peer.send(GET);
    await called.promise;
    pass(600_000);
    made.resolve(ok());
    await peer.receive();
    await peer.send(`${PUT}Content-Length: 9999999\r\n\r\n`);
    assert.equal((await peer.receive("PUT")).head.status, 413);
  }, 2);
  assert(exchanges[0].ms >= 600_000);
  assert(exchanges[1].ms < 600_000);
});

const errors: [what: string, octets: string, expected: object][] = [
  ["of the service", GET, { method: "GET", target: "/a", status: 404, detail: "No row", rule: "section of 404" }],
  ["of a request to HEAD", "HEAD" + GET.slice(3), {
    method: "HEAD",
    target: "/a",
    status: 404,
    detail: "No row",
    rule: "section of 404",
  }],
  ["in the fields", "GET /a HTTP/1.1\r\nHost : a\r\n\r\n", {
    method: "GET",
    target: "/a",
    status: 400,
    detail: "A blank stands before the colon of a field: the colon follows the name at once",
    rule: "RFC 9112 §5.1",
  }],
  ["of a missing Host", "GET /a HTTP/1.1\r\n\r\n", { method: "GET", target: "/a", status: 400, rule: "RFC 9112 §3.2" }],
  ["of the version", "GET /a HTTP/2.0\r\n\r\n", { method: "GET", target: "/a", status: 505 }],
  ["of the line's end", "GET /a HTTP/1.1\nHost: a\n\n", { method: "GET", target: "/a", status: 400 }],
  ["in the target", "GET /a%zz HTTP/1.1\r\nHost: a\r\n\r\n", { status: 400 }],
  ["in the method", "G@T /a HTTP/1.1\r\nHost: a\r\n\r\n", { status: 400 }],
  ["right behind the target", "GET /a%2 HTTP/1.1\r\nHost: a\r\n\r\n", { method: "GET", target: "/a%2", status: 400 }],
  ["in the request line", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", { status: 400, rule: "RFC 9112 §2.3" }],
  ["about the content", `${PUT}Content-Length: 9999999\r\n\r\nab`, {
    method: "PUT",
    target: "/a",
    status: 413,
    detail: "The content is longer than 1048576 octets",
    rule: "RFC 9110 §15.5.14",
  }],
];

for (const [what, octets, expected] of errors) {
  Deno.test(`an error ${what} has its detail and rule, and the request line if that was read`, async () => {
    const [exchange] = await talk(() => {
      throw new HttpError(404, "No row");
    }, async ({ peer }) => {
      await peer.send(octets);
      await peer.receive(octets.split(" ")[0]);
    }, 1);
    assert.equal(exchange.requestOctets, octets.length);
    const seen = exchange as unknown as Record<string, unknown>;
    for (const [name, value] of Object.entries(expected)) assert.equal(seen[name], value);
    assert.deepEqual(["method" in expected, "target" in expected], ["method" in seen, "target" in seen]);
    assert.equal(typeof seen.detail, "string");
  });
}

Deno.test("a request that does not come in time has its line, if that came", async () => {
  for (const [octets, line] of [["GET /a HTTP/1.1\r\nHo", { method: "GET", target: "/a" }], ["GET /a", {}]] as const) {
    const [exchange] = await talk(ok, async ({ peer, server }) => {
      await peer.send(octets);
      await until(() => {
        server.advance(60_000);
        return server.server.connections === 0;
      });
    }, 1);
    const { method, target, status, requestOctets } = exchange;
    assert.deepEqual(JSON.parse(JSON.stringify({ method, target })), line);
    assert.deepEqual([status, requestOctets], [408, octets.length]);
  }
});

Deno.test("a client that leaves before the response: what was sent of it, and why it ended", async () => {
  const content = "x".repeat(30_000_000);
  const [exchange] = await talk(() => ({ status: 200, content }), async ({ peer }) => {
    await peer.send(GET);
    await peer.conn.read(new Uint8Array(1000));
    peer.close();
  }, 1);
  assert.match(exchange.reason!, /^by the client/);
  assert.equal(exchange.status, 200);
  assert(exchange.responseOctets < content.length);

  const called = Promise.withResolvers<void>();
  const [unanswered] = await talk((_request, _content, { signal }) => {
    called.resolve();
    return new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("aborted"))));
  }, async ({ peer, server }) => {
    await peer.send(GET);
    await called.promise;
    peer.close();
    await until(() => {
      server.advance(60_000);
      return server.server.connections === 0;
    });
  }, 1);
  assert.equal(unanswered.reason, "by the client");
  assert.deepEqual([unanswered.status, unanswered.responseOctets, unanswered.target], [undefined, 0, "/a"]);
});

Deno.test("a password in a target is replaced by its length, unless credentials are shown", () => {
  for (const showCredentials of [false, true]) {
    const targets: unknown[] = [];
    const { observer } = new ExchangeLog(({ target }) => targets.push(target), () => undefined, showCredentials);
    observer.opened!(1, "p");
    for (const target of ["//me:secret@b/", "/?of=http://me:secret@b/"]) {
      observer.abandoned!(1, `GET ${target} HTTP/1.1\r\n`, new Uint8Array(), 20);
    }
    observer.closed!(1, "by the client (reset)", 0);
    const password = showCredentials ? "secret" : "(6 octets)";
    assert.deepEqual(targets, [`//me:${password}@b/`, `/?of=http://me:${password}@b/`]);
  }
});

Deno.test("a request that a reset cuts off is one exchange without a response", () => {
  const log = new ExchangeLog((exchange) => exchanges.push(exchange), () => undefined);
  const exchanges: LoggedExchange[] = [];
  const put = `${PUT}Content-Length: 5\r\n\r\n`;
  const { opened, abandoned, closed } = log.observer;
  const octets = (text: string) => new TextEncoder().encode(text);
  opened!(1, "p");
  abandoned!(1, put, octets(""), put.length + 2);
  closed!(1, "by the client (reset)", 0);
  opened!(2, "p");
  abandoned!(2, "", octets("GET /b HTTP/1.1\r\nHos"), 0);
  closed!(2, "by the client (reset)", 0);
  opened!(3, "p");
  closed!(3, "by the server (idle too long)", 0);
  assert.deepEqual(
    exchanges.map(({ method, target, requestOctets, reason }) => [method, target, requestOctets, reason]),
    [["PUT", "/a", put.length + 2, "by the client (reset)"], ["GET", "/b", 20, "by the client (reset)"]],
  );
  assert.deepEqual([log.connections, log.exchanges], [3, 2]);
});

Deno.test("a client that resets the connection while it sends a request", async () => {
  const put = `${PUT}Expect: 100-continue\r\nContent-Length: 9\r\n\r\n`;
  const [exchange] = await talk(ok, async ({ peer }) => {
    await peer.send(put);
    await peer.conn.read(new Uint8Array(1));
    // What was not read is answered by a reset.
    peer.close();
  }, 1);
  // A refusal may have been tried to be sent; it did not end the connection.
  assert.match(exchange.reason!, /^by the client/);
  assert.deepEqual(
    [exchange.method, exchange.target, exchange.requestOctets, exchange.responseOctets],
    ["PUT", "/a", put.length, "HTTP/1.1 100 Continue\r\n\r\n".length],
  );
});

Deno.test("one connection too many is an exchange without a request", async () => {
  const exchanges: LoggedExchange[] = [];
  const log = new ExchangeLog((exchange) => exchanges.push(exchange), () => undefined);
  await using server = startServer(ok, { observer: log.observer, limits: { maxConnections: 1 } });
  const peer = await server.connect();
  await peer.exchange(GET);
  const other = await server.connect();
  assert.equal((await other.receive()).head.status, 503);
  await until(() => exchanges.length === 2);
  const { status, method, requestOctets, detail } = exchanges[1];
  assert.deepEqual([status, method, requestOctets], [503, undefined, 0]);
  assert.match(detail!, /limit of 1 connection:/);
});

Deno.test("what the server still works on when it stops is ended, too", () => {
  const exchanges: LoggedExchange[] = [];
  const log = new ExchangeLog((exchange) => exchanges.push(exchange), () => undefined);
  const { opened, request, received, response, answered, sent, closed } = log.observer;
  opened!(1, "p");
  const head = { method: "GET", target: "/" } as Parameters<NonNullable<typeof request>>[1];
  request!(1, head, new Uint8Array(), [] as never);
  received!(1, 10, 0);
  closed!(1, "by the server (shutting down)", 1);
  assert.equal(exchanges.length, 1);
  assert.equal(exchanges[0].reason, "by the server (shutting down)");
  // What still happens on the connection is not logged any more.
  response!(1, new Uint8Array(10), 200);
  answered!(1, { status: 200 });
  sent!(1, 10);
  assert.equal(exchanges.length, 1);
});

Deno.test("a line is safe to print, and short for a small GET", () => {
  const exchange = {
    peer: "127.0.0.1:54321",
    connection: 1,
    method: "GET",
    target: "/Pingping",
    status: 200,
    requestOctets: 80,
    responseOctets: 210,
    ms: 12.34,
    reason: undefined,
  };
  const line = logLine("exchange", exchange, 0);
  assert(line.length < 200, line);
  assert.deepEqual(JSON.parse(line), {
    time: "1970-01-01T00:00:00.000Z",
    event: "exchange",
    ...JSON.parse(JSON.stringify(exchange)),
  });
  assert.equal(
    logLine("e", { detail: "\x1b\u202e" }, 0),
    '{"time":"1970-01-01T00:00:00.000Z","event":"e","detail":"\\u001b\\u202e"}\n',
  );
});
