import assert from "node:assert/strict";
import { HttpError, reasonPhrase } from "../../lib/http/error.ts";

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

Deno.test("an error has a status and a message, and optional properties", () => {
  const error = new HttpError(404, "Not there");
  assert.equal(error.name, "HttpError");
  assert.equal(`${error}`, "HttpError: Not there");
  assert.deepEqual([error.status, error.rule, error.offset, error.errors, error.fields], [
    404,
    undefined,
    undefined,
    undefined,
    [],
  ]);
});
