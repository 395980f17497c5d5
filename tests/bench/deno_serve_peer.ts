/**
 * The table over `Deno.serve`, as lean as a good engineer would write it: texts in a Map, one constant set of headers,
 * no entity tags, and of all checks only the one that keeps broken JSON out of the listing. The listing is made for
 * each request from the rows as they are then. With a file as its argument it keeps the rows in SQLite too, one full
 * commit a write.
 */

import { DatabaseSync } from "node:sqlite";

const [file] = Deno.args;
const write = file === undefined ? undefined : durableWrite(file);
const rows = new Map<string, string>();
const INIT = { headers: { "Content-Type": "application/json" } };
const MISSING = { status: 404 };
const INVALID = { status: 400 };
let origin = 0;

function durableWrite(file: string): (path: string, body: string) => void {
  const database = new DatabaseSync(file);
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
  database.exec("CREATE TABLE IF NOT EXISTS rows (name TEXT PRIMARY KEY, body TEXT NOT NULL)");
  const put = database.prepare("INSERT INTO rows VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET body = excluded.body");
  return (path, body) => void put.run(path, body);
}

async function put(path: string, request: Request): Promise<Response> {
  const body = await request.text();
  try {
    JSON.parse(body);
  } catch {
    return new Response(null, INVALID);
  }
  rows.set(path, body);
  write?.(path, body);
  return new Response(body, INIT);
}

function listing(): Response {
  let members = "";
  for (const body of rows.values()) members += (members === "" ? "" : ",") + body.slice(1, -1);
  return new Response(`{${members}}`, INIT);
}

Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => {
    origin = `http://127.0.0.1:${port}`.length;
    console.log(`http://127.0.0.1:${port}/`);
  },
}, (request) => {
  const path = request.url.slice(origin);
  if (request.method === "PUT") return put(path, request);
  if (path === "/") return listing();
  const body = rows.get(path);
  return body === undefined ? new Response(null, MISSING) : new Response(body, INIT);
});
