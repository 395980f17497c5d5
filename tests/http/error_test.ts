import assert from "node:assert/strict";
import { leavesHttp, reasonPhrase } from "../../lib/http/error.ts";

Deno.test("statuses have the reason phrases of their registry", () => {
  assert.deepEqual([200, 413, 422, 431, 505].map(reasonPhrase), [
    "OK",
    "Content Too Large",
    "Unprocessable Content",
    "Request Header Fields Too Large",
    "HTTP Version Not Supported",
  ]);
  assert.equal(reasonPhrase(299), "");
});

Deno.test("after 101, and a successful response to CONNECT, the connection carries no HTTP", () => {
  const cases = [[101, "GET"], [200, "CONNECT"], [299, "CONNECT"], [100, "CONNECT"], [300, "CONNECT"], [200, "GET"]];
  assert.deepEqual(
    cases.filter(([status, method]) => leavesHttp(status as number, method as string)),
    cases.slice(0, 3),
  );
});
