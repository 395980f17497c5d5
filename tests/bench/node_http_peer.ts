/** The table over `node:http`, as lean as the peer over `Deno.serve`. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const rows = new Map<string, string>();
const HEADERS = { "Content-Type": "application/json" };

const server = createServer((request, response) => {
  const path = request.url!;
  if (request.method === "PUT") {
    let body = "";
    request.setEncoding("utf8").on("data", (piece) => body += piece).on("end", () => {
      try {
        JSON.parse(body);
      } catch {
        return response.writeHead(400).end();
      }
      rows.set(path, body);
      response.writeHead(200, HEADERS).end(body);
    });
  } else if (path === "/") {
    let members = "";
    for (const body of rows.values()) members += (members === "" ? "" : ",") + body.slice(1, -1);
    response.writeHead(200, HEADERS).end(`{${members}}`);
  } else {
    const body = rows.get(path);
    response.writeHead(body === undefined ? 404 : 200, HEADERS).end(body);
  }
});
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`));
