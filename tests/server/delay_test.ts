/**
 * The delay before each final response (`--delay`), which is no time of the client.
 */

import assert from "node:assert/strict";
import { HttpError } from "../../lib/http/error.ts";
import { SERVER_LIMITS } from "../../lib/limits.ts";
import { type Handler, until } from "../support.ts";
import { assertRefused, HOST, serve } from "./conns.ts";

const { headTimeoutMs } = SERVER_LIMITS;
const GET = `GET / HTTP/1.1\r\n${HOST}\r\n`;

/** Long enough for a test to see that nothing is sent yet. */
const delayMs = 50;
const late: [what: string, sent: string, status: number][] = [
  ["a response", GET, 200],
  ["an error of the service", `PUT / HTTP/1.1\r\n${HOST}\r\n`, 401],
  ["the refusal of a broken head", "GET / HTTP/1.1\nHost: a\n\n", 400],
  ["the refusal of too much content", `PUT / HTTP/1.1\r\n${HOST}Content-Length: 9999999\r\n\r\n`, 413],
  ["the refusal of a precheck", `PUT / HTTP/1.1\r\n${HOST}Expect: x\r\nContent-Length: 1\r\n\r\n`, 417],
];
for (const [what, sent, status] of late) {
  for (const leaves of [false, true]) {
    Deno.test(`${what} is delayed${leaves ? ", which is no time of a client that has closed its side" : ""}`, async () => {
      const answer: Handler = ({ method }) => {
        if (method === "GET") return { status: 200 };
        throw new HttpError(401, "No token");
      };
      const { conn, ended, at } = serve(answer, undefined, { delayMs });
      conn.deliver(sent);
      if (leaves) conn.end();
      await at(10);
      await at(600_000);
      assert.equal(conn.written, "");
      await until(() => conn.written !== "");
      assert.match(conn.written, new RegExp(`^HTTP/1\\.1 ${status} `));
      conn.end();
      await ended;
    });
  }
}

Deno.test("an answer to what came too slowly is delayed, and the end does not overtake it", async () => {
  const { conn, ended, at } = serve(undefined, undefined, { delayMs });
  await conn.bring("GET / HTTP/1.1\r\n");
  await at(headTimeoutMs);
  conn.deliver("X: still sending\r\n");
  await at(headTimeoutMs + 600_000);
  assert.deepEqual([conn.written, conn.finished], ["", false]);
  await until(() => conn.finished);
  assertRefused(conn.written, "head", headTimeoutMs);
  conn.end();
  await ended;
});

Deno.test("interim responses and the refusal of one connection too many are not delayed", async () => {
  const put = serve(undefined, undefined, { delayMs: 600_000 });
  await put.conn.bring(`PUT / HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n`);
  assert.equal(put.conn.written, "HTTP/1.1 100 Continue\r\n\r\n");
  put.conn.close();
  await put.ended;
  const tooMany = serve(undefined, undefined, { delayMs: 600_000 }, new HttpError(503, "The server is full"));
  await tooMany.at(10);
  assert.match(tooMany.conn.written, /^HTTP\/1\.1 503 /);
  tooMany.conn.end();
  await tooMany.ended;
});

Deno.test("pipelined requests of a half-closed client are all answered, each after the delay", async () => {
  const { conn, ended, at } = serve(undefined, undefined, { delayMs: 5 });
  conn.deliver(GET.repeat(3));
  conn.end();
  await at(10);
  await at(600_000);
  await ended;
  assert.equal(conn.written.match(/HTTP\/1\.1 200 OK/g)?.length, 3);
});

Deno.test("a delay of a range is drawn from it", async () => {
  const { random } = Math;
  try {
    for (const [drawn, isAnswered] of [[0, false], [1 - 2 ** -40, true]] as const) {
      Math.random = () => drawn;
      const { conn, ended, at } = serve(undefined, undefined, { delayMs: 600_000, delaySpreadMs: 600_000 });
      conn.deliver(GET);
      await at(10);
      if (isAnswered) await until(() => conn.written !== "");
      else await until(() => conn.reads === 2);
      assert.equal(conn.written !== "", isAnswered);
      conn.close();
      await ended;
    }
  } finally {
    Math.random = random;
  }
});

Deno.test("the delay ends with the connection", async () => {
  const { conn, ended, at, reason } = serve(undefined, undefined, { delayMs: 600_000 });
  conn.deliver(GET);
  await at(10);
  conn.close();
  await ended;
  assert.equal(reason(), "by the client (connection lost)");
});
