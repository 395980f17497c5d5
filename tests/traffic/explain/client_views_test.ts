import assert from "node:assert/strict";
import { painterFor } from "../../../lib/terminal.ts";
import type { TrafficEvent } from "../../../lib/traffic.ts";
import { LastExchange } from "../../../lib/traffic/explain/client_views.ts";
import { wireOctets } from "../../wire_cases.ts";

const LAYOUT = { width: 80, all: false, painter: painterFor(false), masked: true };
const SEEN = { end: "client", connection: 1, time: 0 } as const;
const ADDRESS = { hostname: "127.0.0.1", port: 1 };
const OPENED: TrafficEvent = { ...SEEN, kind: "opened", local: ADDRESS, remote: ADDRESS, secure: false };

function octets(kind: "read" | "write", text: string): TrafficEvent {
  return { ...SEEN, kind, bytes: wireOctets(text) };
}

/** Returns the first column of each row, and what follows `=>`. */
function shown(exchange: LastExchange): string[] {
  const text = exchange.text()!;
  return text.split("\n").filter((line) => /^ *\d+ |=>|!!/.test(line)).map((line) => line.slice(6, 42).trim());
}

Deno.test("before the first request there is no exchange", () => {
  const exchange = new LastExchange(() => LAYOUT);
  exchange.receive(OPENED);
  assert.equal(exchange.text(), undefined);
});

Deno.test("the last exchange has its request and responses", () => {
  const exchange = new LastExchange(() => LAYOUT);
  for (const target of ["/a", "/b"]) {
    exchange.begin();
    exchange.receive(octets("write", `HEAD ${target} HTTP/1.1\r\nHost: a\r\n\r\n`));
    exchange.receive(octets("read", "HTTP/1.1 200 OK\r\nContent-"));
    exchange.receive(octets("read", "Length: 5\r\n\r\n"));
  }
  assert.deepEqual(shown(exchange), [
    "HEAD",
    "/b",
    "HTTP/1.1\\r\\n",
    "Host: a\\r\\n",
    "\\r\\n",
    "=> no content: neither Content-Lengt",
    "=> stays open: HTTP/1.1 and no Conne",
    "HTTP/1.1",
    "200",
    "OK\\r\\n",
    "Content-Length: 5\\r\\n",
    "\\r\\n",
    "=> no content: it answers HEAD (RFC",
    "=> stays open: HTTP/1.1 and no Conne",
  ]);
  assert.deepEqual(shown(exchange), shown(exchange), "it can be asked for again");
});

Deno.test("a request that is sent again on a new connection is explained once", () => {
  const exchange = new LastExchange(() => LAYOUT);
  exchange.begin();
  exchange.receive(octets("write", "GET /a HTTP/1.1\r\n"));
  exchange.receive({ ...SEEN, kind: "fin", by: "server" });
  exchange.receive(OPENED);
  exchange.receive(octets("write", "GET /a HTTP/1.1\r\nHost: a\r\n\r\n"));
  exchange.receive(octets("read", "HTTP/1.1 200 OK\r\n\r\nabc"));
  exchange.receive({ ...SEEN, kind: "fin", by: "server" });
  exchange.receive({ ...SEEN, kind: "closed", reason: "by the server", isReset: false });
  const lines = shown(exchange);
  assert.equal(lines.filter((line) => line === "GET").length, 1);
  assert(lines.includes("abc"));
});

Deno.test("a response cut off by the server is broken", () => {
  const exchange = new LastExchange(() => LAYOUT);
  exchange.begin();
  exchange.receive(octets("write", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  exchange.receive(octets("read", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc"));
  exchange.receive({ ...SEEN, kind: "fin", by: "server" });
  assert(shown(exchange).some((line) => line.startsWith("!! The connection ended in the")));
});

Deno.test("credentials are shown as their length", () => {
  let layout = LAYOUT;
  const exchange = new LastExchange(() => layout);
  exchange.begin();
  exchange.receive(octets("write", "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer 12345\r\n\r\n"));
  assert.match(exchange.text()!, / 25 Authorization: Bearer \(5 octets\) {4}credentials for the server/);
  assert.doesNotMatch(exchange.text()!, /12345/);
  layout = { ...LAYOUT, masked: false };
  assert.match(exchange.text()!, /Bearer 12345/);
});

Deno.test("the requests of a raw exchange tell what their responses answer, and it ends with its connection", () => {
  const exchange = new LastExchange(() => LAYOUT);
  exchange.begin();
  exchange.receive(octets("write", "HEAD /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n"));
  exchange.receive({ ...SEEN, kind: "fin", by: "client" });
  exchange.receive(
    octets("read", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1"),
  );
  exchange.end();
  exchange.receive(OPENED);
  const lines = shown(exchange);
  assert.deepEqual(lines.filter((line) => line.startsWith("=> ") && !line.includes("stays")).slice(2), [
    "=> no content: it answers HEAD (RFC",
    "=> 1 octet of content: Content-Lengt",
  ]);
});
