/**
 * Many concurrent clients that disconnect at any time: in the middle of a request, a pipeline, a response, or a long
 * listing. Everything they held must be released afterwards: connections, bytes, snapshots, descriptors.
 */

import assert from "node:assert/strict";
import { isDisconnect } from "../lib/server/errors.ts";
import type { NewRow, Snapshot, Store } from "../lib/store.ts";
import { Table } from "../lib/table.ts";
import { RowSchema } from "../lib/table/row_schema.ts";
import type { Random } from "./fuzzing.ts";
import { serviceOf, startServer, type TestServer, until } from "./support.ts";

/** A store that counts open snapshots. */
function counting(store: Store): { store: Store; open: () => number } {
  let open = 0;
  const counted = (snapshot: Snapshot): Snapshot => {
    open++;
    let closed = false;
    return {
      revision: snapshot.revision,
      total: snapshot.total,
      json: (cursor) => snapshot.json(cursor),
      seek: (row) => snapshot.seek(row),
      close() {
        if (!closed) open--;
        closed = true;
        snapshot.close();
      },
    };
  };
  return {
    store: {
      get: (name) => store.get(name),
      put: (row, expected) => store.put(row, expected),
      insert: (rows, expected) => store.insert(rows, expected),
      remove: (name, expected) => store.remove(name, expected),
      snapshot() {
        const snapshot = store.snapshot();
        return snapshot instanceof Promise ? snapshot.then(counted) : counted(snapshot);
      },
      close: () => store.close(),
    },
    open: () => open,
  };
}

const ROWS: NewRow[] = Array.from({ length: 3000 }, (_, i) => ({
  name: `row${i}`,
  json: JSON.stringify({ type: "snail", age: i, text: "x".repeat(100) }),
}));
const JSON_TYPE = "Content-Type: application/json\r\n";
const request = (line: string, fields = "", content = "") => `${line} HTTP/1.1\r\nHost: a\r\n${fields}\r\n${content}`;
const withContent = (line: string, content: string) =>
  request(line, `${JSON_TYPE}Content-Length: ${content.length}\r\n`, content);

/** Requests that a client may send. */
const REQUESTS: readonly string[] = [
  request("GET /row1"),
  request("GET /"),
  request("GET /?age:gte=10&text:contains=xxxy"),
  request("GET /?_sort=-age&_per_page=5000"),
  request("GET /?_page=3&_per_page=1000"),
  request("HEAD /"),
  withContent("PUT /hot", '{"type":"cat","age":1}'),
  withContent("PATCH /row1", '{"age":2}'),
  withContent("PUT /large", JSON.stringify({ text: "x".repeat(200_000) })),
  withContent("POST /", JSON.stringify({ row1: {}, new: {} })),
  request("PUT /hot", `${JSON_TYPE}Expect: 100-continue\r\nContent-Length: 100000\r\n`),
  request("GET /row1", "Connection: close\r\n"),
  "nonsense\r\n\r\n",
];

/** Runs one client: sends some requests, complete or cut off anywhere, reads some of the answer, and disconnects. */
async function visit(random: Random, server: TestServer): Promise<void> {
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  try {
    const octets = new TextEncoder().encode(
      Array.from({ length: 1 + random.below(6) }, () => random.pick(REQUESTS)).join(""),
    );
    const end = random.below(3) === 0 ? random.below(octets.length) : octets.length;
    for (let sent = 0; sent < end;) sent += await conn.write(octets.subarray(sent, end));
    if (random.below(3) === 0) await conn.closeWrite();
    const buffer = new Uint8Array(1 + random.below(20_000));
    for (let reads = random.below(5); reads > 0; reads--) if (!await readOrTire(conn, buffer)) break;
    // Closing with unread octets resets the connection.
    if (random.below(2) === 0) await new Promise((resolve) => setTimeout(resolve, random.below(5)));
  } catch (error) {
    if (!isDisconnect(error)) throw error;
  } finally {
    conn.close();
  }
}

/** Reads, or gives up after a short time. Returns whether octets arrived. */
async function readOrTire(conn: Deno.Conn, buffer: Uint8Array): Promise<boolean> {
  const reading = conn.read(buffer).catch((error) => {
    if (isDisconnect(error)) return null;
    throw error;
  });
  let timer;
  const tired = new Promise<null>((resolve) => timer = setTimeout(() => resolve(null), 20));
  const count = await Promise.race([reading, tired]);
  clearTimeout(timer);
  return count !== null;
}

/** Returns the number of descriptors that this process has open; 0 where the system does not report it. */
function descriptors(): number {
  try {
    return [...Deno.readDirSync("/proc/self/fd")].length;
  } catch {
    return 0;
  }
}

/**
 * Runs clients while `goOn` returns true, many at a time.
 *
 * @param kept Descriptors that the store may keep open for later readers.
 * @returns The number of clients.
 */
export async function harass(
  random: Random,
  inner: Store,
  goOn: (visits: number) => boolean,
  kept: number = 2,
): Promise<number> {
  const { store, open } = counting(inner);
  await store.insert(ROWS);
  const table = new Table(store, { schema: RowSchema.parse("*") });
  const service = serviceOf(
    (request, content, requester) => table.answer(request, content, requester),
    (request) => table.precheck(request),
  );
  let visits = 0;
  {
    await using server = startServer(service);
    const before = descriptors();
    while (goOn(visits)) {
      await Promise.all(Array.from({ length: 40 }, () => visit(random, server)));
      visits += 40;
      const peer = await server.connect();
      assert.equal((await peer.exchange(request("GET /row2", "Connection: close\r\n"))).head.status, 200);
      peer.close();
    }
    await until(() => {
      if (server.server.connections > 0) server.advance(1000);
      return server.server.connections === 0;
    });
    assert.equal(server.server.budget.used, 0, "bytes are held");
    await until(() => open() === 0);
    assert(descriptors() <= before + kept, `${descriptors()} descriptors, and before there were ${before}`);
  }
  await store.close();
  return visits;
}

/**
 * The descriptors an SQLite store keeps: four connections for later snapshots, each with the file, its log and its index.
 */
export const SQLITE_KEPT: number = 6 * 4;
