import assert from "node:assert/strict";
import { Encoder } from "../../lib/http/encoder.ts";
import type { ContentStream, HttpRequest, HttpResponse, ResponseContext } from "../../lib/http/message.ts";
import { decoderFor, eventsOf, octetString } from "../wire_cases.ts";

const CONTEXT: ResponseContext = { method: "GET", minor: 1, close: false, date: "Sun, 06 Nov 1994 08:49:37 GMT" };
const DATE = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";

async function* nothing(): ContentStream {}

function octetsOf(encoder: Encoder): string {
  return octetString(encoder.bytes());
}

function encodedRequest(request: HttpRequest): string {
  const encoder = new Encoder();
  encoder.request(request);
  return octetsOf(encoder);
}

function encodedResponse(response: HttpResponse, context: Partial<ResponseContext> = {}): string {
  const encoder = new Encoder();
  encoder.response(response, { ...CONTEXT, ...context });
  return octetsOf(encoder);
}

Deno.test("a request with content is framed by its length in octets", () => {
  const content = new TextEncoder().encode("달팽이");
  assert.equal(
    encodedRequest({ method: "PUT", target: "/a", fields: [["Host", "b"]], content }),
    `PUT /a HTTP/1.1\r\nHost: b\r\nContent-Length: 9\r\n\r\n${octetString(content)}`,
  );
});

Deno.test("a request without content has no framing field", () => {
  assert.equal(encodedRequest({ method: "GET", target: "/", fields: [] }), "GET / HTTP/1.1\r\n\r\n");
});

const responses: [name: string, HttpResponse, Partial<ResponseContext>, string][] = [
  [
    "text is sent as UTF-8",
    { status: 200, contentType: "text/plain", content: "é" },
    {},
    `\
HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n${DATE}\r\n\xc3\xa9`,
  ],
  [
    "bytes are sent as they are",
    { status: 200, content: new Uint8Array([0, 255]) },
    {},
    `\
HTTP/1.1 200 OK\r\nContent-Length: 2\r\n${DATE}\r\n\0\xff`,
  ],
  ["no content has the length 0", { status: 404 }, {}, `HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n${DATE}\r\n`],
  [
    "HEAD gets GET's header section",
    { status: 200, content: "abc" },
    { method: "HEAD" },
    `\
HTTP/1.1 200 OK\r\nContent-Length: 3\r\n${DATE}\r\n`,
  ],
  [
    "HEAD of a stream",
    { status: 200, content: nothing() },
    { method: "HEAD" },
    `\
HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n${DATE}\r\n`,
  ],
  [
    "a stream is chunked",
    { status: 200, content: nothing() },
    {},
    `\
HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n${DATE}\r\n`,
  ],
  [
    "a stream for HTTP/1.0 ends with the connection",
    { status: 200, content: nothing() },
    { minor: 0, close: true },
    `\
HTTP/1.1 200 OK\r\nConnection: close\r\n${DATE}\r\n`,
  ],
  [
    "HTTP/1.0 is told that the connection stays",
    { status: 200, content: "a" },
    { minor: 0 },
    `\
HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n${DATE}\r\na`,
  ],
  [
    "204 has no framing field",
    { status: 204, content: "abc", fields: [["Allow", "GET"]] },
    {},
    `\
HTTP/1.1 204 No Content\r\n${DATE}Allow: GET\r\n\r\n`,
  ],
  [
    "304 has no framing field",
    { status: 304, content: "abc", fields: [["ETag", '"1"']] },
    {},
    `\
HTTP/1.1 304 Not Modified\r\n${DATE}ETag: "1"\r\n\r\n`,
  ],
  [
    "a version is sent as a strong entity tag",
    { status: 304, etag: 1790000000000123, fields: [["X-A", "b"]] },
    {},
    `\
HTTP/1.1 304 Not Modified\r\n${DATE}ETag: "1790000000000123"\r\nX-A: b\r\n\r\n`,
  ],
  [
    "obs-text stays one octet a character",
    { status: 200, fields: [["X-A", "\xe9"]], content: "é" },
    {},
    `\
HTTP/1.1 200 OK\r\nContent-Length: 2\r\n${DATE}X-A: \xe9\r\n\r\n\xc3\xa9`,
  ],
];

for (const [name, response, context, expected] of responses) {
  Deno.test(`a response: ${name}`, () => assert.equal(encodedResponse(response, context), expected));
}

Deno.test("versions of any length are written in decimal digits", () => {
  const versions = [0, 9, 10, 99, 100, 4294967295, 4294967296, 999999999, 1e9, 1e15 - 1, 1e15, 1e15 + 1, 2 ** 53 - 1];
  for (const etag of versions) {
    assert.match(encodedResponse({ status: 204, etag }), new RegExp(`\r\nETag: "${etag}"\r\n\r\n$`));
  }
});

Deno.test("digits fit at any position of the buffer", () => {
  for (let length = 1900; length < 2060; length++) {
    const encoder = new Encoder();
    encoder.content("x".repeat(length));
    encoder.response({ status: 204, etag: 2 ** 53 - 1 }, CONTEXT);
    assert(octetsOf(encoder).endsWith("x" + `HTTP/1.1 204 No Content\r\n${DATE}ETag: "${2 ** 53 - 1}"\r\n\r\n`));
  }
});

Deno.test("each non-empty piece of a stream is a chunk", () => {
  const encoder = new Encoder();
  assert.equal(encoder.response({ status: 200, content: nothing() }, CONTEXT), true);
  encoder.clear();
  encoder.chunk(new Uint8Array(16).fill(0x61));
  encoder.chunk(new Uint8Array(0));
  encoder.lastChunk();
  assert.equal(octetsOf(encoder), `10\r\n${"a".repeat(16)}\r\n0\r\n\r\n`);
});

Deno.test("encoded messages are collected until they are cleared", () => {
  const encoder = new Encoder();
  for (let i = 0; i < 100; i++) encoder.response({ status: 200, content: "x".repeat(1000) }, CONTEXT);
  assert.equal(octetsOf(encoder), encodedResponse({ status: 200, content: "x".repeat(1000) }).repeat(100));
  encoder.clear();
  assert.equal(encoder.length, 0);
  encoder.continue();
  assert.equal(octetsOf(encoder), "HTTP/1.1 100 Continue\r\n\r\n");
});

const refused: [name: string, () => unknown][] = [
  ["a line end in a value", () => encodedResponse({ status: 200, fields: [["X-A", "1\r\nX-B: 2"]] })],
  ["a bare LF in a value", () => encodedResponse({ status: 200, fields: [["X-A", "1\n"]] })],
  ["a blank around a value", () => encodedResponse({ status: 200, fields: [["X-A", " 1"]] })],
  ["a character beyond an octet", () => encodedResponse({ status: 200, fields: [["X-A", "핑"]] })],
  ["a line end in a media type", () => encodedResponse({ status: 200, contentType: "a\r\nb: c" })],
  ["a name that is no token", () => encodedResponse({ status: 200, fields: [["X A", "1"]] })],
  ["an empty name", () => encodedResponse({ status: 200, fields: [["", "1"]] })],
  ["a second Content-Length", () => encodedResponse({ status: 200, fields: [["content-length", "1"]] })],
  ["a second Transfer-Encoding", () => encodedResponse({ status: 200, fields: [["Transfer-Encoding", "chunked"]] })],
  ["a status of four digits", () => encodedResponse({ status: 1000 })],
  ["a broken status", () => encodedResponse({ status: 200.5 })],
  ["a version beyond 2^53 - 1", () => encodedResponse({ status: 200, etag: 2 ** 53 })],
  ["a version below 0", () => encodedResponse({ status: 200, etag: -1 })],
  ["a version that is no whole number", () => encodedResponse({ status: 200, etag: 1.5 })],
  ["a method with a space", () => encodedRequest({ method: "GET /", target: "/", fields: [] })],
  ["a target with a space", () => encodedRequest({ method: "GET", target: "/a b", fields: [] })],
  ["a target with a line end", () => encodedRequest({ method: "GET", target: "/\r\nX: 1", fields: [] })],
  ["an empty target", () => encodedRequest({ method: "GET", target: "", fields: [] })],
];

for (const [name, encode] of refused) {
  Deno.test(`the encoder refuses ${name}`, () => {
    assert.throws(encode, TypeError);
  });
}

Deno.test("encoding and decoding are inverse", async (t) => {
  await t.step("a request", () => {
    const encoder = new Encoder();
    const fields = [["Host", "b"], ["X-A", "\xe9 1"]] as const;
    encoder.request({ method: "POST", target: "/a?b=%20", fields, content: new Uint8Array([97, 0, 255]) });
    assert.deepEqual(eventsOf(decoderFor({}), [encoder.bytes()]), [
      "POST /a?b=%20 HTTP/1.1 (Host: b; X-A: \xe9 1; Content-Length: 3) 3 bytes",
      JSON.stringify("a\0\xff"),
      "end",
    ]);
  });
  await t.step("a chunked response", () => {
    const encoder = new Encoder();
    encoder.response({ status: 200, content: nothing(), fields: [["X-A", "1"]] }, CONTEXT);
    encoder.chunk(new Uint8Array([97, 98]));
    encoder.chunk(new Uint8Array([99]));
    encoder.lastChunk();
    assert.deepEqual(eventsOf(decoderFor({ kind: "response" }), [encoder.bytes()]), [
      `HTTP/1.1 200 OK (Transfer-Encoding: chunked; Date: ${CONTEXT.date}; X-A: 1) unknown length`,
      '"abc"',
      "end",
    ]);
  });
});

Deno.test("a status is from 100 to 599", () => {
  for (const status of [100, 599]) assert.match(encodedResponse({ status }), new RegExp(`^HTTP/1.1 ${status} `));
  for (const status of [99, 600, 200.5, NaN]) {
    assert.throws(() => encodedResponse({ status }), { message: `Not a status code: ${status}` });
  }
});
