import assert from "node:assert/strict";
import { CAUSES } from "../../lib/http/causes.ts";
import { HttpError } from "../../lib/http/error.ts";
import { fixFor } from "../../lib/exchange.ts";

Deno.test("the fix of a cause takes precedence over that of its rule", () => {
  const rule = "RFC 9110 §9.1";
  assert.equal(fixFor(new HttpError(400, "", { fault: "chunk-size", rule })), CAUSES["chunk-size"].fix);
  assert.equal(fixFor(new HttpError(501, "", { rule })), "use a method that the server knows");
  assert.equal(fixFor(new HttpError(404, "")), undefined);
});
