/**
 * The table over `Deno.serve`. With a file as its argument it keeps the rows in SQLite too, one full commit a write.
 */

import { DatabaseSync } from "node:sqlite";
import { PeerTable, type Reply } from "./peer_table.ts";

const [file] = Deno.args;
const table = new PeerTable();
const write = file === undefined ? undefined : durableWrite(file);

function durableWrite(file: string): (name: string, body: string) => void {
  const database = new DatabaseSync(file);
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
  database.exec("CREATE TABLE IF NOT EXISTS rows (name TEXT PRIMARY KEY, body TEXT NOT NULL)");
  const put = database.prepare("INSERT INTO rows VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET body = excluded.body");
  return (name, body) => void put.run(name, body);
}

Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => console.log(`http://127.0.0.1:${port}/`),
}, async (request) => {
  const { pathname } = new URL(request.url);
  const reply: Reply = await table.answer(request.method, pathname, () => request.text());
  if (request.method === "PUT") write?.(pathname, reply.body);
  const headers: Record<string, string> = { "Content-Type": "application/json" };
  if (reply.etag !== undefined) headers.ETag = reply.etag;
  return new Response(reply.body, { status: reply.status, headers });
});
