import assert from "node:assert/strict";
import { octetsToText } from "../../lib/bytes.ts";
import { HttpError } from "../../lib/http/error.ts";
import { REQUEST_LIMITS, SERVER_LIMITS } from "../../lib/limits.ts";
import type { Observer } from "../../lib/server/context.ts";
import { type Handler, serviceOf, startServer, StoppedClock, until } from "../support.ts";
import { wireOctets } from "../wire_cases.ts";
import { converse, ECHO, FakeConn, get, HOST, MANY, turnWatch } from "./conns.ts";

const DECODER = new TextDecoder();

Deno.test("all requests of one read are answered by one write, in order", async () => {
  using _clock = new StoppedClock();
  const writes = await converse(new FakeConn(get("/1") + get("/2") + get("/3"), get("/4")));
  assert.equal(writes.length, 2);
  assert.match(writes[0], /GET \/1 HTTP\/1\.1 200.*GET \/2 HTTP\/1\.1 200.*GET \/3 $/s);
  assert.match(writes[1], /GET \/4 $/);
});

Deno.test("responses keep their order with slow handlers", async () => {
  const first = Promise.withResolvers<void>();
  const writes = converse(new FakeConn(get("/1") + get("/2")), async ({ target }) => {
    if (target === "/1") await first.promise;
    return { status: 200, content: target };
  });
  first.resolve();
  assert.match((await writes).join(""), /\r\n\r\n\/1HTTP\/1\.1 200 OK.*\r\n\r\n\/2$/s);
});

Deno.test("a finished response does not wait for the next one", async () => {
  const conn = new FakeConn(get("/1") + get("/2"));
  const second = Promise.withResolvers<void>();
  const serving = converse(conn, async ({ target }) => {
    if (target === "/2") await second.promise;
    return { status: 200, content: target };
  });
  await until(() => conn.writes.length > 0);
  assert.match(conn.writes.join(""), /\r\n\r\n\/1$/);
  second.resolve();
  assert.match((await serving).join(""), /\r\n\r\n\/2$/);
});

Deno.test("large responses are sent before the next ones are encoded", async () => {
  const large = "x".repeat(100_000);
  const writes = await converse(new FakeConn(get("/").repeat(10)), () => ({ status: 200, content: large }));
  assert.equal(writes.join("").split(large).length, 11);
  assert(writes.every((write) => write.length < SERVER_LIMITS.maxGatheredBytes + large.length + 1000));
});

Deno.test("pipelined responses are all sent to a client that sends nothing more", async () => {
  const large = "x".repeat(100_000);
  const conn = new FakeConn(get("/").repeat(10));
  const ended = Promise.withResolvers<null>();
  const read = conn.read.bind(conn);
  // The client closes its side only after it has received everything.
  conn.read = async (buffer) => await read(buffer) ?? await ended.promise;
  const serving = converse(conn, () => ({ status: 200, content: large }));
  await until(() => conn.writes.join("").split(large).length === 11);
  ended.resolve(null);
  await serving;
});

Deno.test("content may arrive in any pieces, with a length or chunked", async () => {
  const put = `PUT /a HTTP/1.1\r\n${HOST}`;
  const whole = `${put}Content-Length: 11\r\n\r\nhello world`;
  const chunked = `${put}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n`;
  for (const message of [whole, chunked]) {
    for (let at = 1; at < message.length; at++) {
      const writes = await converse(new FakeConn(message.slice(0, at), message.slice(at)));
      assert.match(writes.join(""), /PUT \/a hello world$/, `cut at ${at}`);
    }
    assert.match((await converse(new FakeConn(...message))).join(""), /PUT \/a hello world$/);
  }
});

Deno.test("large content is collected completely", async () => {
  const content = Array.from({ length: 100_000 }, (_, i) => String.fromCharCode(97 + i % 26)).join("");
  const conn = new FakeConn(`PUT / HTTP/1.1\r\n${HOST}Content-Length: ${content.length}\r\n\r\n`, content);
  assert((await converse(conn)).join("").endsWith(content));
});

Deno.test("an invalid request gets one response, and nothing after it is read as a request", async () => {
  const targets: string[] = [];
  const conn = new FakeConn(`${get("/1")}GET /2 HTTP/1.1\nHost: a\n\n${get("/smuggled")}`, get("/3"));
  const writes = await converse(conn, (request) => {
    targets.push(request.target);
    return { status: 200 };
  });
  assert.deepEqual(targets, ["/1"]);
  assert.equal(writes.length, 1);
  assert.match(writes[0], /^HTTP\/1\.1 200 .*HTTP\/1\.1 400 Bad Request\r\n.*Connection: close\r\n/s);
  const problem = JSON.parse(octetsToText(writes[0].slice(writes[0].lastIndexOf("\r\n\r\n"))));
  assert.deepEqual(problem, {
    type: "about:blank",
    title: "Bad Request",
    status: 400,
    detail: "A bare LF follows the HTTP version: lines end with CR LF",
    rule: "RFC 9112 §2.2",
    offset: 15,
  });
});

const single: [name: string, request: string, answer: RegExp][] = [
  [
    "Connection: close",
    get("/", "Connection: close\r\n") + get("/2"),
    /^HTTP\/1\.1 200 OK\r\n.*Connection: close\r\n.*GET \/ $/s,
  ],
  ["HTTP/1.0", "GET / HTTP/1.0\r\n\r\n" + get("/2"), /^HTTP\/1\.1 200 OK\r\n.*Connection: close\r\n.*GET \/ $/s],
  [
    "HTTP/1.0 that stays",
    "GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /2 HTTP/1.0\r\n\r\n",
    /Connection: keep-alive\r\n.*GET \/1 HTTP\/1\.1.*Connection: close\r\n.*GET \/2 $/s,
  ],
  ["HEAD", `HEAD / HTTP/1.1\r\n${HOST}\r\n`, /^HTTP\/1\.1 200 OK\r\nContent-Length: 7\r\nDate: now\r\n\r\n$/],
  ["an expectation twice", get("/", "Expect: 100-continue, 100-Continue\r\n"), /^HTTP\/1\.1 200 OK\r\n/],
  ["an empty expectation", get("/", "Expect:\r\n"), /^HTTP\/1\.1 200 OK\r\n/],
  ["a HEAD without Host", "HEAD / HTTP/1.1\r\n\r\n", /^HTTP\/1\.1 400 [^]+\r\n\r\n$/],
  ["a HEAD of another version", "HEAD / HTTP/3.0\r\n\r\n", /^HTTP\/1\.1 505 [^]+\r\n\r\n$/],
  ["an unknown expectation", get("/", "Expect: 200-maybe\r\n"), /^HTTP\/1\.1 417 Expectation Failed\r\n/],
  ["an expectation without content", get("/", "Expect: 100-continue\r\n"), /^HTTP\/1\.1 200 OK\r\n/],
  [
    "an expectation in HTTP/1.0",
    "PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na",
    /^HTTP\/1\.1 200 OK/,
  ],
  ["half a request", "GET / HT", /^HTTP\/1\.1 400 Bad Request\r\n.*ended in the middle of the head/s],
  [
    "half a content",
    `PUT / HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nab`,
    /^HTTP\/1\.1 400 .*3 more octets were announced/s,
  ],
  ["nothing", "", /^$/],
];

for (const [name, request, answer] of single) {
  Deno.test(`a client that sends ${name} and no more`, async () => {
    assert.match((await converse(new FakeConn(request))).join(""), answer);
  });
}

Deno.test("100 (Continue) is sent only when the server waits for content", async () => {
  const head = `PUT / HTTP/1.1\r\n${HOST}Expect: 100-Continue\r\nContent-Length: 3\r\n\r\n`;
  assert.deepEqual((await converse(new FakeConn(head, "abc"))).map((write) => write.split("\r\n")[0]), [
    "HTTP/1.1 100 Continue",
    "HTTP/1.1 200 OK",
  ]);
  assert.match((await converse(new FakeConn(`${head}abc`))).join(""), /^HTTP\/1\.1 200 OK/);
  assert.match((await converse(new FakeConn(`${head}a`, "bc"))).join(""), /^HTTP\/1\.1 200 OK/);
  // An expectation applies to one request only.
  const put = `PUT / HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`;
  const conn = new FakeConn(`${put}GET / HTTP/1.0\r\nX`, ": y\r\n\r\n");
  assert.doesNotMatch((await converse(conn)).join(""), /100 Continue/);
  const tooLarge = head.replace(": 3", `: ${REQUEST_LIMITS.maxContentBytes + 1}`);
  assert.match((await converse(new FakeConn(tooLarge))).join(""), /^HTTP\/1\.1 413 Content Too Large/);
});

Deno.test("a request refused by precheck is not asked for its content", async () => {
  await using server = startServer(serviceOf(ECHO, () => {
    throw new HttpError(401, "No token");
  }));
  const peer = await server.connect();
  await peer.send(`PUT / HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 3\r\n\r\n`);
  assert.equal((await peer.receive()).head.status, 401);
  await peer.send("abc");
  assert.equal(await peer.receiveAll(), "");
});

Deno.test("a handler's HttpError becomes a problem document, and the connection persists", async () => {
  const handler: Handler = ({ target }) => {
    if (target === "/async") return Promise.reject(new HttpError(409, "Taken"));
    throw new HttpError(404, "Not there", { fields: [["X-A", "1"]] });
  };
  const writes = await converse(new FakeConn(get("/") + get("/async")), handler);
  const all = writes.join("");
  assert.match(all, /^HTTP\/1\.1 404 .*X-A: 1\r\n.*"detail":"Not there"\}\nHTTP\/1\.1 409 .*"Taken"\}\n/s);
  assert.doesNotMatch(all, /Connection: close/);
});

Deno.test("a handler's defect becomes a 500 without details, and is reported", async () => {
  const failures: unknown[] = [];
  const handler: Handler = ({ target }) => {
    if (target === "/async") return Promise.reject(new TypeError("secret"));
    throw new TypeError("secret");
  };
  const observer: Observer = { failed: (error) => failures.push(error) };
  const writes = (await converse(new FakeConn(get("/") + get("/async")), handler, observer)).join("");
  assert.equal(writes.split("HTTP/1.1 500 Internal Server Error").length, 3);
  assert.doesNotMatch(writes, /secret/);
  assert.equal(failures.length, 2);
});

for (const [what, first] of [["", ""], [", after an error too", "nonsense\r\n\r\n"]]) {
  Deno.test(`a client that always has more to send leaves the event loop its turn${what}`, async () => {
    const watch = turnWatch();
    const conn = new FakeConn();
    const request = wireOctets(get("/"));
    let sent = -first.length;
    conn.read = (buffer) => {
      if (watch.turned()) return Promise.resolve(null);
      for (let i = 0; i < buffer.length; i++, sent++) {
        buffer[i] = sent < 0 ? first.charCodeAt(first.length + sent) : request[sent % request.length];
      }
      return Promise.resolve(buffer.length);
    };
    const writes = await converse(conn, () => ({ status: 204 }));
    assert.match(writes[0], first === "" ? /^HTTP\/1.1 204/ : /^HTTP\/1.1 400/);
    assert(watch.questions() < MANY, "nobody else would have been served");
  });
}

Deno.test("an observer receives the events of a connection", async () => {
  const notes: string[] = [];
  const observer: Observer = {
    opened: (id, peer) => notes.push(`${id} opened by ${peer}`),
    request: (_id, { target }, content) => notes.push(`${target} ${DECODER.decode(content)}`),
    refused: (_id, error, head, rest) => notes.push(`refused ${error.status} ${head} ${DECODER.decode(rest)}`),
    response: (_id, bytes) => notes.push(DECODER.decode(bytes).split("\r\n")[0]),
    closed: (_id, reason, requests) => notes.push(`closed ${reason} after ${requests}`),
  };
  await converse(new FakeConn(`PUT /a HTTP/1.1\r\n${HOST}Content-Length: 1\r\n\r\nb`, "oops\n"), ECHO, observer);
  assert.deepEqual(notes, [
    "1 opened by fake:1",
    "/a b",
    "HTTP/1.1 200 OK",
    "refused 400  oops\n",
    "HTTP/1.1 400 Bad Request",
    "closed by the server (error 400) after 1",
  ]);
});

Deno.test("a half-closed client gets all its answers", async () => {
  await using server = startServer(ECHO);
  const peer = await server.connect();
  await peer.send(get("/1") + get("/2"));
  await peer.conn.closeWrite();
  assert.match(await peer.receiveAll(), /GET \/1 HTTP\/1\.1 200 OK.*GET \/2 $/s);
});

Deno.test("the last response reaches a client that is still sending", async () => {
  await using server = startServer(ECHO, { messageLimits: { ...REQUEST_LIMITS, maxContentBytes: 1000 } });
  const peer = await server.connect();
  await peer.send(`PUT / HTTP/1.1\r\n${HOST}Content-Length: 5000000\r\n\r\n`);
  const sending = peer.send("x".repeat(5_000_000));
  assert.equal((await peer.receive()).head.status, 413);
  await sending;
  assert.equal(await peer.receiveAll(), "");
});

Deno.test("a request is aborted when its connection breaks", async () => {
  const conn = new FakeConn(get("/"));
  const broken = Promise.withResolvers<number>();
  const read = conn.read.bind(conn);
  let reads = 0;
  conn.read = (buffer) => reads++ === 0 ? read(buffer) : broken.promise;
  const notes: string[] = [];
  const serving = converse(conn, (_request, _content, requester) => {
    return new Promise((_resolve, reject) => {
      requester.signal.addEventListener("abort", () => reject(requester.signal.reason));
      broken.reject(new Deno.errors.ConnectionReset());
    });
  }, { failed: (error) => notes.push(String(error)), closed: (_id, reason) => notes.push(reason) });
  assert.deepEqual(await serving, []);
  assert.deepEqual(notes, ["by the client (reset)"]);
});

Deno.test("requests received while a response was produced are answered next", async () => {
  const conn = new FakeConn(get("/1"), get("/2"), get("/3"));
  const writes = await converse(conn, async ({ target }) => {
    await Promise.resolve();
    return { status: 200, content: target };
  });
  assert.match(writes.join(""), /\r\n\r\n\/1HTTP.*\r\n\r\n\/2HTTP.*\r\n\r\n\/3$/s);
});

Deno.test("who listens is told when requests were read", async () => {
  const times = [performance.now()];
  const handler: Handler = async (request, content, requester) => {
    await Promise.resolve();
    return await ECHO(request, content, requester);
  };
  await converse(new FakeConn(get("/1"), get("/2")), handler, { received: (_id, _octets, at) => void times.push(at) });
  times.push(performance.now());
  assert.equal(times.length, 4);
  assert.deepEqual(times, times.toSorted((a, b) => a - b));
});

Deno.test("a deep pipeline of slow responses keeps none of them in memory", async () => {
  const requests = 20_000;
  let making = 0;
  let most = 0;
  const writes = await converse(new FakeConn(get("/").repeat(requests)), async () => {
    most = Math.max(most, ++making);
    await Promise.resolve();
    making--;
    return { status: 204 };
  });
  assert.equal(writes.join("").split("HTTP/1.1 204").length, requests + 1);
  assert.equal(most, 1);
});

Deno.test("exceeding the budget is a 503, which for content also closes the connection", async () => {
  const limits = { maxBufferedBytes: 300_000 };
  await using server = startServer(
    (_request, content) => ({ status: 200, content: content.length > 0 ? "taken" : "x".repeat(200_000) }),
    { limits },
  );
  const [slow, quick] = [await server.connect(), await server.connect()];
  server.server.budget.take(150_000);
  const refused = await quick.exchange(get("/"));
  assert.equal(refused.head.status, 503);
  assert.equal(refused.head.fields.get("retry-after"), "1");
  assert.equal(refused.head.fields.get("connection"), undefined);
  await slow.send(`PUT / HTTP/1.1\r\n${HOST}Content-Length: 200000\r\n\r\n${"x".repeat(199_999)}`);
  assert.equal((await slow.receive()).head.status, 503);
  await slow.conn.closeWrite();
  await until(() => server.server.connections === 1);
  server.server.budget.take(-150_000);
  assert.equal((await quick.exchange(get("/"))).head.status, 200);
  quick.close();
  await until(() => server.server.connections === 0);
  assert.equal(server.server.budget.used, 0);
});
