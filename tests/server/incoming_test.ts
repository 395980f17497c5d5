import assert from "node:assert/strict";
import { Incoming } from "../../lib/server/incoming.ts";
import { connectionContext, serviceOf } from "../support.ts";
import { octetString, wireOctets } from "../wire_cases.ts";

function incoming() {
  const context = connectionContext();
  return { context, requests: new Incoming(context, serviceOf(() => ({ status: 200 }))) };
}

Deno.test("requests are decoded in order, and between them nothing is held", () => {
  const { context, requests } = incoming();
  assert.equal(requests.next(), "more");
  assert(requests.idle);
  const put = "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
  const octets = wireOctets(put + put.slice(0, -1));
  requests.receive(octets, octets.length);
  assert.equal(requests.next(), "request");
  assert(!requests.idle);
  assert.equal(octetString(requests.takeContent()), "abc");
  requests.finish();
  assert.equal(requests.request, undefined);
  assert.equal(requests.next(), "more");
  assert.equal(requests.method, "PUT");
  assert(context.budget.used > 0);
  requests.receive(wireOctets("c"), 1);
  assert.equal(requests.next(), "request");
  requests.finish();
  assert.equal(requests.next(), "more");
  assert(requests.idle);
  assert.equal(context.budget.used, 0);
  requests.receive(octets, null);
  assert.equal(requests.next(), "closed");
});

Deno.test("a wait for 100 (Continue) is reported once", () => {
  const { requests } = incoming();
  const octets = wireOctets("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  requests.receive(octets, octets.length);
  assert.equal(requests.next(), "continue");
  assert.equal(requests.next(), "more");
});

Deno.test("undecoded octets are kept for the error", () => {
  const { requests } = incoming();
  const octets = wireOctets("GET / HTTP/1.1\nHost: a\n\n");
  requests.receive(octets, octets.length);
  assert.throws(() => requests.next(), { name: "HttpError", status: 400 });
  assert.equal(requests.method, "GET");
  assert.equal(octetString(requests.unread), octetString(octets));
});
