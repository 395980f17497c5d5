import assert from "node:assert/strict";
import { HttpError } from "../../lib/http/error.ts";
import type { HttpResponse, RequestHead } from "../../lib/http/message.ts";
import { Access, type AccessOptions } from "../../lib/server/access.ts";
import { type Handler, REQUESTER, requestOf, serviceOf } from "../support.ts";

const OK: Handler = () => ({ status: 200, fields: [["ETag", '"1"']] });
const FAILING: Handler = () => {
  throw new HttpError(404, "Not there");
};

/** Returns the response as a server would send it. */
async function answerTo(options: AccessOptions, request: RequestHead, handler = OK): Promise<HttpResponse> {
  const access = new Access(serviceOf(handler), options);
  try {
    return await access.answer(request, new Uint8Array(0), REQUESTER);
  } catch (error) {
    assert(error instanceof HttpError);
    return access.errorResponse(error);
  }
}

function fieldOf({ fields }: HttpResponse, name: string): string | undefined {
  return fields?.find(([known]) => known === name)?.[1];
}

async function statusOf(options: AccessOptions, request: RequestHead): Promise<number> {
  return (await answerTo(options, request)).status;
}

const hosts: [host: string, status: number][] = [
  ["127.0.0.1", 200],
  ["127.0.0.1:9999", 200],
  ["10.1.2.3:80", 200],
  ["[::1]:9999", 200],
  ["localhost:9999", 200],
  ["LOCALHOST", 200],
  ["table.localhost", 200],
  ["allowed.example:9999", 200],
  ["Allowed.Example", 200],
  ["evil.example", 421],
  ["localhost.evil.example", 421],
  ["notlocalhost", 421],
  ["sub.allowed.example", 421],
  ["127.0.0.1.evil.example", 421],
  ["1.2.3.4.5", 421],
  ["127.1", 421],
  ["localhost.", 421],
];

for (const [host, status] of hosts) {
  Deno.test(`a request for the host ${host} gets ${status}`, async () => {
    assert.equal(
      await statusOf({ hosts: ["allowed.example"] }, requestOf(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)),
      status,
    );
  });
}

Deno.test("the target's host takes precedence over the Host field", async () => {
  const request = requestOf("GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n");
  assert.equal(await statusOf({ hosts: [] }, request), 421);
});

Deno.test("without a list of hosts any Host is accepted", async () => {
  assert.equal(await statusOf({}, requestOf("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")), 200);
});

const tokens: [field: string, status: number][] = [
  ["Authorization: Bearer s3cret", 200],
  ["Authorization: bearer   s3cret", 200],
  ["Authorization: Bearer s3cre", 401],
  ["Authorization: Bearer s3cret2", 401],
  ["Authorization: Bearer S3CRET", 401],
  ["Authorization: Bearer", 401],
  ["Authorization: Basic s3cret", 401],
  ["Authorization: s3cret", 401],
  ["X-A: s3cret", 401],
];

for (const [field, status] of tokens) {
  Deno.test(`with ${field} a request gets ${status}`, async () => {
    const request = requestOf(`GET / HTTP/1.1\r\nHost: a\r\n${field}\r\n\r\n`);
    assert.equal(await statusOf({ tokens: ["s3cret"] }, request), status);
  });
}

Deno.test("each of several tokens is accepted, until others are", () => {
  const access = new Access(serviceOf(OK), { tokens: ["old", "new"] });
  const accepts = (token: string) => {
    try {
      access.precheck(requestOf(`GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\n\r\n`));
      return true;
    } catch (error) {
      assert.equal((error as HttpError).status, 401);
      return false;
    }
  };
  assert.deepEqual(["old", "new", "newer"].map(accepts), [true, true, false]);
  access.renewTokens(["new", "newer"]);
  assert.deepEqual(["old", "new", "newer"].map(accepts), [false, true, true]);
});

Deno.test("a 401 tells how to authenticate", () => {
  const access = new Access(serviceOf(OK), { tokens: ["t"] });
  const challenge = (request: string) => {
    try {
      access.precheck(requestOf(request));
    } catch (error) {
      return (error as HttpError).fields;
    }
  };
  assert.deepEqual(challenge("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), [["WWW-Authenticate", "Bearer"]]);
  for (const credentials of ["Bearer x", "bearer x", "Bearer"]) {
    assert.deepEqual(challenge(`GET / HTTP/1.1\r\nHost: a\r\nAuthorization: ${credentials}\r\n\r\n`), [
      ["WWW-Authenticate", 'Bearer error="invalid_token"'],
    ]);
  }
  // An error is named only for the scheme that was asked for (RFC 6750 §3).
  for (const credentials of ["Basic dTpw", "Bearerx y", ""]) {
    assert.deepEqual(challenge(`GET / HTTP/1.1\r\nHost: a\r\nAuthorization: ${credentials}\r\n\r\n`), [
      ["WWW-Authenticate", "Bearer"],
    ]);
  }
});

for (const target of ["*", "http://localhost"]) {
  Deno.test(`OPTIONS ${target} is a health check: it needs no token, but the right host`, async () => {
    const request = (host: string) => requestOf(`OPTIONS ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    const options = { hosts: [], tokens: ["t"] };
    assert.equal(await statusOf(options, request("localhost")), 200);
    if (target === "*") assert.equal(await statusOf(options, request("evil.example")), 421);
    const table = requestOf("OPTIONS / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert.equal(await statusOf(options, table), 401);
  });
}

const schemes: [target: string, secure: boolean, status: number][] = [
  ["https://localhost/", false, 421],
  ["HTTPS://localhost/a", false, 421],
  ["http://localhost/", false, 200],
  ["/https://localhost/", false, 200],
  ["https://localhost/", true, 200],
  ["http://localhost/", true, 200],
];
for (const [target, secure, status] of schemes) {
  Deno.test(`RFC 9110 §7.4: ${target} ${secure ? "over TLS" : "without TLS"} gets ${status}`, async () => {
    const request = requestOf(`GET ${target} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    assert.equal(await statusOf({ secure }, request), status);
    assert.equal(await statusOf({ hosts: [], secure }, request), status);
  });
}

Deno.test("RFC 9110 §7.4: CONNECT to a host named https is no https URI", async () => {
  assert.equal(await statusOf({}, requestOf("CONNECT https:443 HTTP/1.1\r\nHost: https:443\r\n\r\n")), 200);
});

for (const [fault, flag] of [["content-too-long", "--max-body"], ["section-too-long", "--max-head"]] as const) {
  Deno.test(`a problem document names the flag that allows more: ${flag}`, () => {
    const access = new Access(serviceOf(OK), {});
    const { content } = access.errorResponse(new HttpError(413, "It is longer than 9 bytes", { fault }));
    const { detail } = JSON.parse(content as string);
    assert.equal(detail, `It is longer than 9 bytes: ${flag} of the server allows more`);
  });
}

Deno.test("without CORS no response has its fields", async () => {
  const request = requestOf("GET / HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\n\r\n");
  assert.deepEqual(await answerTo({ hosts: ["a"] }, request), OK(request, new Uint8Array(0), REQUESTER));
});

Deno.test("with CORS every response has its fields, errors too", async () => {
  const request = requestOf("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  const exposed = [
    "Access-Control-Expose-Headers",
    "Accept-Patch, Allow, ETag, Link, Location, Retry-After, Row-Fields, WWW-Authenticate, X-Total-Count",
  ];
  const any = await answerTo({ cors: "*" }, request);
  assert.deepEqual(any.fields, [["ETag", '"1"'], ["Access-Control-Allow-Origin", "*"], exposed]);
  const failed = await answerTo({ cors: "http://b" }, request, FAILING);
  assert.equal(failed.status, 404);
  assert.deepEqual(failed.fields, [["Access-Control-Allow-Origin", "http://b"], exposed, ["Vary", "Origin"]]);
});

Deno.test("a preflight is answered without a token, but not for another host", async () => {
  const preflight = (host: string) =>
    requestOf(
      `OPTIONS /a HTTP/1.1\r\nHost: ${host}\r\nOrigin: http://b\r\nAccess-Control-Request-Method: PUT\r\n\r\n`,
    );
  const options = { hosts: [], cors: "*", tokens: ["t"] };
  const answer = await answerTo(options, preflight("localhost"));
  assert.equal(answer.status, 204);
  assert.deepEqual(answer.fields?.map(([name]) => name), [
    "Access-Control-Allow-Methods",
    "Access-Control-Allow-Headers",
    "Access-Control-Max-Age",
    "Access-Control-Allow-Origin",
    "Access-Control-Expose-Headers",
  ]);
  assert.equal(fieldOf(answer, "Access-Control-Allow-Headers"), "Authorization, Content-Type, If-Match, If-None-Match");
  assert.equal(await statusOf(options, preflight("evil.example")), 421);
  assert.equal(await statusOf(options, requestOf("OPTIONS /a HTTP/1.1\r\nHost: localhost\r\n\r\n")), 401);
});

Deno.test("a preflight allows the fields that it asks for", async () => {
  const asked = ["Access-Control-Request-Headers: x-a,content-type,b c", "Access-Control-Request-Headers: accept"];
  const request = requestOf(
    `OPTIONS /a HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\nAccess-Control-Request-Method: PUT\r\n${
      asked.join("\r\n")
    }\r\n\r\n`,
  );
  const answer = await answerTo({ cors: "*" }, request);
  assert.equal(fieldOf(answer, "Access-Control-Allow-Headers"), "x-a, content-type, accept");
});
