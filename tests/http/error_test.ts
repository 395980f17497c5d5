import assert from "node:assert/strict";
import { reasonPhrase } from "../../lib/http/error.ts";

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
