/** The table behind a live server, on each store. */

import assert from "node:assert/strict";
import { RowSchema } from "../../lib/table/row_schema.ts";
import type { Snapshot, Store } from "../../lib/store.ts";
import { MemoryStore } from "../../lib/store/memory.ts";
import { SqliteStore } from "../../lib/store/sqlite.ts";
import { Table } from "../../lib/table.ts";
import { startServer, TempFolder, type TestServer } from "../support.ts";

const STORES: Record<string, (folder: string) => Store | Promise<Store>> = {
  memory: () => new MemoryStore(),
  SQLite: (folder) => SqliteStore.open(`${folder}/table.db`),
};

/** Registers a test for each store. */
function testLive(name: string, body: (server: TestServer, store: CountedStore) => Promise<void>): void {
  for (const [kind, open] of Object.entries(STORES)) {
    Deno.test(`${name}: ${kind}`, async () => {
      using folder = new TempFolder();
      const store = new CountedStore(await open(folder.path));
      try {
        const table = new Table(store, { schema: RowSchema.parse("*") });
        await using server = startServer((request, content) => table.answer(request, content));
        await body(server, store);
      } finally {
        await store.close();
      }
    });
  }
}

/** A store that counts what is read of its listings. */
class CountedStore implements Store {
  pages = 0;
  readonly #store: Store;
  readonly get: Store["get"];
  readonly put: Store["put"];
  readonly insert: Store["insert"];
  readonly remove: Store["remove"];
  readonly close: Store["close"];

  constructor(store: Store) {
    this.#store = store;
    this.get = store.get.bind(store);
    this.put = store.put.bind(store);
    this.insert = store.insert.bind(store);
    this.remove = store.remove.bind(store);
    this.close = store.close.bind(store);
  }

  async snapshot(): Promise<Snapshot> {
    const snapshot = await this.#store.snapshot();
    return {
      revision: snapshot.revision,
      total: snapshot.total,
      json: (cursor) => {
        this.pages++;
        return snapshot.json(cursor);
      },
      seek: (row) => snapshot.seek(row),
      close: () => snapshot.close(),
    };
  }
}

function put(name: string, content: string, fields = ""): string {
  return `PUT /${name} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${fields}` +
    `Content-Length: ${content.length}\r\n\r\n${content}`;
}

function get(target: string, version = "1.1"): string {
  return `GET ${target} HTTP/${version}\r\nHost: localhost\r\n\r\n`;
}

testLive("of two clients that read one version and write, one wins and one gets 412", async (server) => {
  const [one, other] = [await server.connect(), await server.connect()];
  await one.exchange(put("snail", '{"leg":0}'));
  const [seen, alsoSeen] = await Promise.all([one.exchange(get("/snail")), other.exchange(get("/snail"))]);
  const tag = seen.head.fields.get("etag");
  assert.equal(alsoSeen.head.fields.get("etag"), tag);
  const condition = `If-Match: ${tag}\r\n`;
  const answers = await Promise.all([
    one.exchange(put("snail", '{"snail":{"leg":1}}', condition)),
    other.exchange(put("snail", '{"snail":{"leg":2}}', condition)),
  ]);
  const winner = answers.findIndex(({ head }) => head.status === 200);
  assert.deepEqual(answers.map(({ head }) => head.status).sort(), [200, 412]);
  const { head, content } = await one.exchange(get("/snail"));
  assert.equal(content, `{"snail":{"leg":${winner + 1}}}`);
  assert.equal(head.fields.get("etag"), answers[winner].head.fields.get("etag"));
});

testLive("of many clients that create one row, one does", async (server) => {
  const statuses = await Promise.all(Array.from({ length: 10 }, async (_, i) => {
    const peer = await server.connect();
    return (await peer.exchange(put("snail", `{"by":${i}}`, "If-None-Match: *\r\n"))).head.status;
  }));
  assert.deepEqual(statuses.sort(), [201, ...Array(9).fill(412)]);
});

testLive("a listing waits for its reader, and slows nobody else", async (server, store) => {
  // More than sockets hold.
  const text = "x".repeat(16 * 1024);
  await store.insert(Array.from({ length: 2000 }, (_, i) => ({ name: `row${i}`, json: JSON.stringify({ text }) })));
  const slow = await server.connect();
  await slow.send(get("/"));
  const quick = await server.connect();
  for (let i = 0; i < 50; i++) assert.equal((await quick.exchange(get(`/row${i}`))).head.status, 200);
  const pagesWaiting = store.pages;
  await quick.exchange(put("late", "{}"));
  const { head, content } = await slow.receive();
  assert(pagesWaiting < store.pages, `all ${pagesWaiting} pages were read for a client that read none`);
  assert.equal(head.fields.get("transfer-encoding"), "chunked");
  assert.equal(Object.keys(JSON.parse(content)).length, 2000, "the listing is as it was when it was asked for");
});

testLive("a long listing is chunked for HTTP/1.1, and ends with the connection for HTTP/1.0", async (server, store) => {
  await store.insert(Array.from({ length: 5000 }, (_, i) => ({ name: `row${i}`, json: '{"type":"snail"}' })));
  const peer = await server.connect();
  const { head, content } = await peer.exchange(get("/"));
  assert.equal(head.fields.get("transfer-encoding"), "chunked");
  const old = await server.connect();
  await old.send(get("/", "1.0"));
  const [oldHead, oldContent] = (await old.receiveAll()).split("\r\n\r\n");
  assert.doesNotMatch(oldHead, /transfer-encoding|content-length/i);
  assert.match(oldHead, /Connection: close/);
  assert.equal(oldContent, content);
  assert(store.pages > 2);
});

Deno.test("a listing that is not read is ended before a request is refused, and its connection is closed", async () => {
  const store = new MemoryStore();
  const table = new Table(store, { schema: RowSchema.parse("*") });
  const closed = Promise.withResolvers<string>();
  const limits = { maxBufferedBytes: 24 * 1024 * 1024 };
  await using server = startServer((request, content, requester) => table.answer(request, content, requester), {
    limits,
    observer: { closed: (_, reason) => closed.resolve(reason) },
  });
  const lines: string[] = [];
  store.share(server.server.budget, (line) => lines.push(line));
  // More than the system takes before a client reads anything.
  const rewrite = (filler: string) => {
    for (let i = 0; i < 160; i++) store.put({ name: `n${i}`, json: JSON.stringify(filler.repeat(100_000)) });
  };
  rewrite("a");
  const slow = await server.connect();
  await slow.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await slow.conn.read(new Uint8Array(100));
  rewrite("b");
  assert(server.server.budget.used > 15_000_000, "what only the listing holds is counted");
  assert.deepEqual(lines, []);
  // An upload needs more than is left beside the listing.
  assert.equal(server.server.budget.has(12_000_000), true);
  assert.equal(await closed.promise, "by the server (a listing was read too slowly)");
  assert.equal(lines.length, 1);
  assert(server.server.budget.used < 1_000_000, String(server.server.budget.used));
});

Deno.test("listings that nobody reads are ended where memory is short, and one that is read is whole", async () => {
  const ROWS = 160;
  const store = new MemoryStore();
  // More than the system takes before a client reads anything, and each row is a piece.
  for (let i = 0; i < ROWS; i++) store.put({ name: `n${i}`, json: JSON.stringify("x".repeat(100_000)) });
  const table = new Table(store, { schema: RowSchema.parse("*") });
  const reasons: string[] = [];
  const ends = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const limits = { maxBufferedBytes: 150_000 };
  await using server = startServer((request, content, requester) => table.answer(request, content, requester), {
    limits,
    observer: { closed: (_, reason) => ends[reasons.push(reason) - 1]?.resolve() },
  });
  const unread = await Promise.all([server.connect(), server.connect()]);
  // There is room for one piece, so that one of two is ended once both wait.
  for (const client of unread) await client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await ends[0].promise;
  assert(server.server.budget.used < 150_000, String(server.server.budget.used));
  const reader = await server.connect();
  const { content } = await reader.exchange("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  assert.equal(Object.keys(JSON.parse(content)).length, ROWS);
  await ends[1].promise;
  const ended = "by the server (out of memory: a listing was not read)";
  assert.deepEqual(reasons.filter((reason) => reason === ended).length, 2, reasons.join("; "));
  assert.equal(server.server.budget.used, 0);
});
