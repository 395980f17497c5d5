/**
 * The page's server, over TCP: who may ask, pages that stall, the end.
 */

import assert from "node:assert/strict";
import { Failure } from "../lib/cli/values.ts";
import { PAGE_COMMAND_OCTETS, PAGE_CONTENT_BYTES, PAGE_TABLE_BYTES, REQUEST_LIMITS } from "../lib/limits.ts";
import { type LivePage, type OpenPage, openRecordedPage } from "../lib/page.ts";
import { MemoryStore } from "../lib/store/memory.ts";
import { Table } from "../lib/table.ts";
import { RowSchema } from "../lib/table/row_schema.ts";
import { Feed } from "../lib/traffic/live/feed.ts";
import type { PageEvent } from "../lib/traffic/live/page_events.ts";
import { Journal } from "../lib/traffic/live/journal.ts";
import { PageAccess, SECURITY_FIELDS } from "../lib/traffic/live/access.ts";
import { PageService } from "../lib/traffic/live/service.ts";
import { pageOf, urlOf } from "./page_support.ts";
import { ROOT, ServeProcess, signalTest } from "./serve_process.ts";
import { Peer, startServer, type WholeResponse } from "./support.ts";
import { Blocks, ipPacket, joined, type Option, talk } from "./traffic/captures.ts";
import { octetString, wireOctets } from "./wire_cases.ts";

/** The response to a request on a connection of its own. */
async function exchange(port: number, head: string): Promise<WholeResponse> {
  const peer = new Peer(await Deno.connect({ hostname: "127.0.0.1", port }));
  try {
    return await peer.exchange(`${head}\r\n\r\n`);
  } finally {
    peer.close();
  }
}

/** The response to a page that asks for the octets of a message. */
function askMessage(page: LivePage, query: string): Promise<WholeResponse> {
  const { port, search } = new URL(page.url);
  return exchange(Number(port), `GET /live/message${search}&${query} HTTP/1.1\r\nHost: 127.0.0.1:${port}`);
}

async function statusOf(port: number, head: string): Promise<number> {
  return (await exchange(port, head)).head.status;
}

Deno.test("a foreign host or origin, or a wrong key, is refused on every path", async () => {
  const page = pageOf();
  const { port, searchParams } = new URL(page.url);
  const key = searchParams.get("key")!;
  const ask = (line: string, ...fields: string[]) => statusOf(Number(port), [line, ...fields].join("\r\n"));
  const own = `Host: 127.0.0.1:${port}`;
  const cookie = `Cookie: wiretable-${port}=${key}`;
  const message = "/live/message?connection=1&direction=request&from=0&to=1";
  try {
    assert.equal(await ask("GET / HTTP/1.1", own), 200);
    assert.equal(await ask(`GET ${message} HTTP/1.1`, own, cookie), 404);
    const { content } = await exchange(Number(port), `GET / HTTP/1.1\r\n${own}`);
    const files = [...content.matchAll(/(?:href|src)="([^"]+)"/g)].map(([, path]) => path);
    assert(files.includes("/page.css") && files.includes("/page.js"), files.join());
    for (const path of ["/", ...files, "/live/events", message, "/other"]) {
      const and = path.includes("?") ? "&" : "?";
      assert.equal(await ask(`GET ${path} HTTP/1.1`, "Host: evil.example", cookie), 421, path);
      assert.equal(await ask(`GET ${path} HTTP/1.1`, `Host: evil.example:${port}`, cookie), 421, path);
      assert.equal(await ask(`GET ${path}${and}key=${key}x HTTP/1.1`, own), 403, path);
      assert.equal(await ask(`GET ${path}${and}key= HTTP/1.1`, own, cookie), 403, path);
      assert.equal(await ask(`GET ${path} HTTP/1.1`, own, `Cookie: wiretable-${port}=x`), 403, path);
    }
    for (const path of ["/live/events", message, "/live/command"]) {
      assert.equal(await ask(`GET ${path} HTTP/1.1`, own), 403, `${path} without the key`);
      assert.equal(await ask(`GET ${path} HTTP/1.1`, own, cookie, "Origin: http://127.0.0.1:1"), 403, path);
    }
    const post = ["POST /live/command HTTP/1.1", own, cookie, "Content-Type: application/json", "Content-Length: 0"];
    assert.equal(await ask(post[0], ...post.slice(1)), 403, "a command without an origin");
    assert.equal(await ask(post[0], ...post.slice(1), "Origin: http://evil.example"), 403);
    assert.equal(await ask(post[0], ...post.slice(1), `Origin: http://127.0.0.1:${port}`), 400);
  } finally {
    await page.close();
  }
});

Deno.test("what is no valid request is answered with what a browser may do with it, too", async () => {
  const page = pageOf();
  const { port } = new URL(page.url);
  for (const head of [`GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Length: x`, "GET / HTTP/1.1"]) {
    const { status, fields } = (await exchange(Number(port), head)).head;
    assert.equal(status, 400);
    for (const [name, value] of SECURITY_FIELDS) assert.equal(fields.get(name.toLowerCase()), value);
  }
  await page.close();
});

Deno.test("the table's port does not serve the page", async () => {
  await using serve = await ServeProcess.start(["--page", "0"]);
  await serve.printed("The traffic is shown at ");
  const key = /key=(\w+)/.exec(serve.output)![1];
  for (const path of [`/page.css?key=${key}`, `/page.js?key=${key}`, `/live/events?key=${key}`, "/live/command"]) {
    const status = await statusOf(serve.port, `GET ${path} HTTP/1.1\r\nHost: localhost`);
    assert(status === 404 || status === 400, `${path}: ${status}`);
  }
});

signalTest("the server stops while a page is open, and ends its stream", async () => {
  await using serve = await ServeProcess.start(["--page", "0"]);
  await serve.printed("The traffic is shown at ");
  const url = new URL(/shown at (\S+)/.exec(serve.output)![1]);
  const idle = await serve.connect();
  assert.equal((await idle.exchange("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")).head.status, 200);
  const peer = new Peer(await Deno.connect({ hostname: "127.0.0.1", port: Number(url.port) }));
  await peer.send(`GET /live/events${url.search} HTTP/1.1\r\nHost: ${url.host}\r\n\r\n`);
  // A connection that is not accepted yet would be reset.
  const start = new Uint8Array(1000);
  const started = octetString(start.subarray(0, (await peer.conn.read(start))!));
  // Both at once: the server waits for nobody who does not read.
  const [rest, { code, stderr }] = await Promise.all([peer.receiveAll(), serve.stop()]);
  const text = started + rest;
  assert.deepEqual([code, stderr], [0, ""]);
  assert.match(text, /event: start/);
  assert.match(text, /"kind":"closed".*"connection":1,"end":"server","reason":"by the server \(shutting down\)"/);
  assert.match(text, /\r\n0\r\n\r\n$/, "the stream ends, and is not cut off");
  idle.close();
  peer.close();
});

Deno.test("the page of a server on all addresses reaches it by loopback", async () => {
  await using serve = await ServeProcess.start(["--host", "0.0.0.0", "--page", "0"]);
  const peer = await serve.connect();
  const { text } = await toldTo({ url: await urlOf(serve) }, () => true);
  peer.close();
  assert(text.includes(`"table":"http://127.0.0.1:${serve.port}"`), text);
});

Deno.test("a page that stalls delays nobody, and learns what it missed", async () => {
  const journal = new Journal({ askTable: () => Promise.resolve({ rows: [], total: 0 }), maxEvents: 50 });
  const feed = new Feed(journal, { about: {}, process: "abc", gatherMs: 0 });
  const source = { message: () => undefined, find: () => Promise.resolve([]), command: () => Promise.resolve("") };
  let service = undefined as PageService | undefined;
  await using server = startServer({
    precheck: (request) => service!.precheck(request),
    answer: (...request) => service!.answer(...request),
    errorResponse: (error) => service!.errorResponse(error),
  });
  service = new PageService(new PageAccess(server.port, "k"), feed, source);
  const host = `Host: 127.0.0.1:${server.port}`;
  const stalled = await server.connect();
  await stalled.send(`GET /live/events?key=k HTTP/1.1\r\n${host}\r\n\r\n`);
  const reason = "x".repeat(20_000);
  let time = 0;
  const happen = () => {
    journal.receive({ kind: "opened", end: "server", connection: ++time, time, secure: false, ...ADDRESSES });
    journal.receive({ kind: "closed", end: "server", connection: time, time, reason, isReset: false });
  };
  // More than the system takes for a client that does not read.
  for (let i = 0; i < 600; i++) {
    happen();
    if (i % 10 === 0) {
      const other = await server.connect();
      assert.equal((await other.exchange(`GET /page.css HTTP/1.1\r\n${host}\r\n\r\n`)).head.status, 200);
      other.close();
    }
  }
  let text = "";
  const buffer = new Uint8Array(1 << 20);
  for (let seen = false; !seen; seen = /"missed":[1-9]/.test(text)) {
    const count = await stalled.conn.read(buffer);
    assert(count !== null);
    text = text.slice(-200) + octetString(buffer.subarray(0, count));
  }
  feed.stop();
});

const ADDRESSES = { local: { hostname: "127.0.0.1", port: 1 }, remote: { hostname: "127.0.0.1", port: 2 } };

/** What a page is told first of its table, and the table after it. */
async function tableOf(page: LivePage): Promise<{ rows: unknown[]; total: number; large: boolean }> {
  const { port, search } = new URL(page.url);
  const peer = new Peer(await Deno.connect({ hostname: "127.0.0.1", port: Number(port) }));
  await peer.send(`GET /live/events${search} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
  let text = "";
  const buffer = new Uint8Array(1 << 16);
  const told = () => /^data: (.*"kind":"table".*)\n/m.exec(text)?.[1];
  while (told() === undefined) {
    const count = await peer.conn.read(buffer);
    assert(count !== null);
    text += new TextDecoder().decode(buffer.subarray(0, count));
  }
  peer.close();
  const { rows, total, large } = JSON.parse(told()!);
  return { rows, total, large };
}

const tables: [what: string, lengths: number[], large: boolean][] = [
  ["of short rows is shown", [1, 1], false],
  ["with a long row is shown, and of that row the beginning", [1, PAGE_CONTENT_BYTES], false],
  ["that is long is not shown whole", Array(9).fill(PAGE_TABLE_BYTES / 8), true],
];

for (const [what, lengths, large] of tables) {
  Deno.test(`a table ${what}`, async () => {
    const store = new MemoryStore();
    const rows = lengths.map((length, i) => ({ name: `r${i}`, json: `{"x":"${"y".repeat(length)}"}` }));
    await store.insert(rows);
    const page = pageOf({ table: new Table(store, { schema: RowSchema.parse("*") }) });
    const shown = await tableOf(page);
    const cells = lengths.map((length, i) => [
      `r${i}`,
      [length === 1 ? ["x", "y"] : ["", `{"x":"${"y".repeat(1018)}…`]],
    ]);
    assert.deepEqual(shown, { rows: large ? [] : cells, total: rows.length, large });
    await page.close();
  });
}

Deno.test("a command ends when its client leaves, and the next one is sent", async () => {
  using table = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const page = pageOf({ endpoint: { secure: false, host: "127.0.0.1", port: (table.addr as Deno.NetAddr).port } });
  const { port, search, origin } = new URL(page.url);
  const command = async (command: string) => {
    const content = JSON.stringify({ command });
    const fields = [`Host: 127.0.0.1:${port}`, `Origin: ${origin}`, "Content-Type: application/json"];
    const head = [`POST /live/command${search} HTTP/1.1`, ...fields, `Content-Length: ${content.length}`].join("\r\n");
    const peer = new Peer(await Deno.connect({ hostname: "127.0.0.1", port: Number(port) }));
    return { peer, answer: peer.exchange(`${head}\r\n\r\n${content}`) };
  };
  const buffer = new Uint8Array(1000);
  const first = await command(`raw "x" 600s`);
  const waiting = await table.accept();
  assert.equal(await waiting.read(buffer), 1);
  const failed = assert.rejects(first.answer);
  first.peer.close();
  await failed;
  assert.equal(await waiting.read(buffer), null);
  waiting.close();
  const second = await command("get Momo");
  const next = await table.accept();
  await next.read(buffer);
  await next.write(wireOctets("HTTP/1.1 204 No Content\r\n\r\n"));
  assert.equal((await second.answer).content, '{"text":"204 No Content"}');
  second.peer.close();
  next.close();
  const { peer, answer } = await command(`get ${"x".repeat(PAGE_COMMAND_OCTETS)}`);
  assert.equal((await answer).head.status, 413);
  peer.close();
  await page.close();
});

Deno.test("the page's default port may be in use; a requested port may not", async () => {
  let held: Deno.Listener | undefined;
  try {
    held = Deno.listen({ hostname: "127.0.0.1", port: 9998 });
  } catch (error) {
    // Another test or program holds it, which is as good.
    assert(error instanceof Deno.errors.AddrInUse);
  }
  const page = pageOf({ port: undefined });
  const { port } = new URL(page.url);
  assert.notEqual(port, "9998");
  assert.throws(() => pageOf({ port: Number(port) }), (error) => {
    assert(error instanceof Failure);
    assert.equal(error.message, `Port ${port} on 127.0.0.1 is taken: choose another with --page PORT`);
    return true;
  });
  await page.close();
  held?.close();
});

Deno.test("commands are sent over TLS, whatever name the certificate is for", async () => {
  const file = (name: string) => `${ROOT}tests/testdata/tls/${name}.pem`;
  const args = ["--page", "0", "--cert", file("other_name"), "--key", file("key")];
  await using serve = await ServeProcess.start(args, ["--allow-net", "--allow-read"]);
  await serve.printed("The traffic is shown at ");
  const url = new URL(/shown at (\S+)/.exec(serve.output)![1]);
  const command = async (command: string) => {
    const body = JSON.stringify({ command });
    const fields = [`Host: ${url.host}`, `Origin: ${url.origin}`, "Content-Type: application/json"];
    const line = `POST /live/command${url.search} HTTP/1.1`;
    const peer = new Peer(await Deno.connect({ hostname: "127.0.0.1", port: Number(url.port) }));
    const head = [line, ...fields, `Content-Length: ${body.length}`].join("\r\n");
    const { content } = await peer.exchange(`${head}\r\n\r\n${body}`);
    peer.close();
    return JSON.parse(content);
  };
  assert.deepEqual(await command("post Momo cat 3 4"), { text: "201 Created" });
  assert.deepEqual(await command("get Momo"), { text: "200 OK" });
  assert.match((await command("get https://example.org/")).error, /^Wrong Input: /);
});

Deno.test("a response is explained without the limits on requests", async () => {
  const page = pageOf();
  const seen = { end: "server", connection: 1, time: 1 } as const;
  page.receive({ kind: "opened", secure: false, ...ADDRESSES, ...seen });
  page.receive({ kind: "read", bytes: wireOctets("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), ...seen });
  const { maxHeadBytes, maxContentBytes } = REQUEST_LIMITS;
  const head = `HTTP/1.1 200 OK\r\nA: ${"a".repeat(maxHeadBytes)}\r\nContent-Length: ${maxContentBytes + 1}\r\n\r\n`;
  page.receive({ kind: "write", bytes: wireOctets(head), ...seen });
  await toldTo(page, ({ kind }) => kind === "write");
  const query = `connection=1&direction=response&method=GET&from=0&to=${head.length}`;
  const { content } = await askMessage(page, query);
  assert.equal(JSON.parse(content).fault, undefined);
  // It breaks off where nothing more of it is to come.
  const { content: ended } = await askMessage(page, `${query}&whole=true`);
  assert.match(JSON.parse(ended).fault.detail, /ended in the middle of the content/);
  await page.close();
});

Deno.test("a finding is shown with the request that it is in, and with no other", async () => {
  const page = pageOf();
  const request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  const response = "HTTP/1.1 204 No Content\r\n\r\n";
  for (const connection of [1, 2]) {
    const seen = { end: "server", connection, time: 1 } as const;
    page.receive({ kind: "opened", secure: false, ...ADDRESSES, ...seen });
    for (let i = 0; i < 2; i++) {
      page.receive({ kind: "read", bytes: wireOctets(request), ...seen });
      page.receive({ kind: "write", bytes: wireOctets(response), ...seen });
    }
  }
  page.find(1, request.length - 1, { text: "at the end of the first" });
  page.find(1, request.length, { text: "at the start of the second" });
  await toldTo(page, ({ kind, connection }) => kind === "write" && connection === 2);
  const found = async (connection: number, direction: string, from: number, to: number) => {
    const query = `connection=${connection}&direction=${direction}&method=GET&from=${from}&to=${to}`;
    const { content } = await askMessage(page, query);
    const findings: { text: string }[] = JSON.parse(content).findings;
    return findings.map(({ text }) => text).filter((text) => text.startsWith("at the "));
  };
  const { length } = request;
  assert.deepEqual(await found(1, "request", 0, length), ["at the end of the first"]);
  assert.deepEqual(await found(1, "request", length, 2 * length), ["at the start of the second"]);
  assert.deepEqual(await found(1, "response", 0, response.length), []);
  assert.deepEqual(await found(2, "request", 0, length), []);
  await page.close();
});

/** What a page that follows is told until an event satisfies a condition: the text, and the events. */
async function toldTo(
  page: Pick<OpenPage, "url">,
  isLast: (told: PageEvent) => boolean,
): Promise<{ text: string; events: PageEvent[] }> {
  const { port, search } = new URL(page.url);
  const peer = new Peer(await Deno.connect({ hostname: "127.0.0.1", port: Number(port) }));
  await peer.send(`GET /live/events${search} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
  let text = "";
  const buffer = new Uint8Array(1 << 16);
  for (;;) {
    const count = await peer.conn.read(buffer);
    assert(count !== null);
    text += octetString(buffer.subarray(0, count));
    const events = [...text.matchAll(/^id: .*\ndata: (.*)\n\n/gm)].map(([, data]) => JSON.parse(data));
    if (!events.some(isLast)) continue;
    peer.close();
    return { text, events };
  }
}

const secrets: [where: string, octets: string][] = [
  [
    "a pipelined request behind a broken head",
    "GET / HTTP/1.1\r\nA : b\r\n\r\nGET / HTTP/1.1\r\nCookie: s3cret\r\n\r\n",
  ],
  ["the rest after a refused start line", "GET  / HTTP/1.1\r\nCookie: s3cret\r\n\r\nCookie: s3cret"],
  ["a head that an empty line has cut", "GET / HTTP/1.1\r\nHost: a\r\n\r\nAuthorization: Bearer s3cret\r\n\r\n"],
  ["a long target", `GET http://${"me".repeat(50)}:s3cret@a/ HTTP/1.1\r\nHost: a\r\n\r\n`],
  ["a valid target", "GET /?http://me:s3cret@a HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["trailers", "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nCookie: s3cret\r\n\r\n"],
  ["a line after a lone CR", "GET / HTTP/1.1\r\nA: b\rCookie: s3cret\r\n\r\n"],
  ["a line without a colon", "GET / HTTP/1.1\r\n\tCookie s3cret\r\n\r\n"],
];

for (const [where, octets] of secrets) {
  Deno.test(`the page is not told a credential in ${where}`, async () => {
    for (const showCredentials of [false, true]) {
      const page = pageOf({ showCredentials });
      const ask = (from: number, to: number) =>
        askMessage(page, `connection=1&direction=request&from=${from}&to=${to}`);
      const seen = { end: "server", connection: 1, time: 1 } as const;
      page.receive({ kind: "opened", secure: false, ...ADDRESSES, ...seen });
      for (const bytes of [octets.slice(0, 20), octets.slice(20)]) {
        page.receive({ kind: "read", bytes: wireOctets(bytes), ...seen });
      }
      const { text, events } = await toldTo(page, ({ kind, to }) => kind === "read" && to === octets.length);
      assert.doesNotMatch(text, /s3cret/);
      const starts = new Set(events.flatMap(({ exchanges = [] }) => exchanges.map(({ request }) => request!.from)));
      let shown = "";
      for (const from of starts) {
        const to = Math.min(octets.length, ...[...starts].filter((start) => start > from));
        const { content } = await ask(from, to);
        shown += atob(JSON.parse(content).octets);
        if (!showCredentials) assert.doesNotMatch(content, /s3cret/);
      }
      assert.equal(
        shown,
        showCredentials ? octets : octets.replace("Bearer ", "*******").replaceAll("s3cret", "******"),
      );
      // Where a value begins in the middle, nothing tells what it is.
      const inside = octets.indexOf("s3cret") + 1;
      assert.equal((await ask(inside, inside + 5)).head.status, 404);
      const before = [...starts].findLast((start) => start < inside)!;
      const { content } = await ask(before, inside);
      assert.equal(atob(JSON.parse(content).octets).endsWith(showCredentials ? "s" : "*"), true);
      await page.close();
    }
  });
}

Deno.test("a capture whose first packet has no date is shown without one", async () => {
  const blocks = new Blocks();
  // The offset of its interface's times in seconds: option 14.
  const offset: Option = [14, [0, 0, 0, 0, 0, 0, 0, 0x10]];
  const packets = talk(["> GET /Momo HTTP/1.1\r\nHost: a\r\n\r\n"]).map((packet) => blocks.packet(ipPacket(packet)));
  const file = joined([blocks.section(), blocks.interface(101, [offset]), ...packets]);
  async function* pieces() {
    yield file;
  }
  const page = await openRecordedPage(pieces(), {
    port: 0,
    history: 100,
    connection: undefined,
    showCredentials: false,
    name: "lesson.pcapng",
    check: (connections) => assert.equal(connections, 1),
    failed: (error) => {
      throw error;
    },
  });
  const { text } = await toldTo(page, ({ kind }) => kind === "read");
  assert.match(text, /"name":"lesson.pcapng","date":""/);
  await page.close();
});
