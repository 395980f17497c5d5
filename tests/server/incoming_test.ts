import assert from "node:assert/strict";
import { Budget } from "../../lib/server/context.ts";
import { Incoming, RequestContent } from "../../lib/server/incoming.ts";
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
  assert.equal(octetString(requests.content.take()), "abc");
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
  assert.equal(octetString(requests.rest[1]), octetString(octets));
});

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

Deno.test("content is collected from pieces", () => {
  for (const announced of [8, undefined]) {
    const content = new RequestContent(new Budget(1024 * 1024));
    for (const piece of ["ab", "cde", "fgh"]) content.add(bytes(piece), announced);
    assert.equal(text(content.take()), "abcdefgh");
    assert.equal(content.take().length, 0, "it is taken once");
  }
});

Deno.test("content in one piece is not copied", () => {
  const content = new RequestContent(new Budget(1024 * 1024));
  const piece = bytes("abc");
  content.add(piece, 3);
  assert.equal(content.take(), piece);
});

Deno.test("memory is allocated for received content, not for the announced length", () => {
  const content = new RequestContent(new Budget(1024 * 1024));
  content.add(bytes("a"), 1e9);
  assert(content.take().buffer.byteLength < 10_000);
});

Deno.test("large content of known length has exactly the memory it needs", () => {
  const content = new RequestContent(new Budget(1024 * 1024));
  for (let i = 0; i < 10; i++) content.add(new Uint8Array(10_000), 100_000);
  assert.equal(content.take().buffer.byteLength, 100_000);
});

Deno.test("collected content is taken from the budget, down to its last byte", () => {
  const budget = new Budget(10_000);
  const content = new RequestContent(budget);
  content.add(new Uint8Array(5_000), 10_000);
  assert.equal(budget.used, 10_000);
  content.add(new Uint8Array(5_000), 10_000);
  assert.equal(content.take().length, 10_000);
  assert.equal(budget.used, 10_000, "whoever answers the request still needs it");
  content.release();
  content.release();
  assert.equal(budget.used, 0);
  content.add(new Uint8Array(1), 10_001);
  assert.throws(() => content.add(new Uint8Array(9_000), 10_001), { name: "HttpError", status: 503 });
  content.release();
  assert.equal(budget.used, 0);
});
