/** The table over `node:http`. */

import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { PeerTable } from "./peer_table.ts";

const table = new PeerTable();

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const piece of request.setEncoding("utf8")) text += piece;
  return text;
}

const server = createServer(async (request, response) => {
  let reply;
  try {
    reply = await table.answer(request.method ?? "GET", request.url ?? "/", () => bodyOf(request));
  } catch {
    // The client is gone.
    return;
  }
  response.writeHead(reply.status, {
    "Content-Type": "application/json",
    "Content-Length": Buffer.byteLength(reply.body),
    ...reply.etag !== undefined && { ETag: reply.etag },
  });
  response.end(reply.body);
});
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`));
