import assert from "node:assert/strict";
import { authorityOf } from "../lib/endpoint.ts";

Deno.test("an endpoint is named without the port that its scheme implies", () => {
  assert.equal(authorityOf({ secure: false, host: "a", port: 80 }), "a");
  assert.equal(authorityOf({ secure: true, host: "a", port: 443 }), "a");
  assert.equal(authorityOf({ secure: true, host: "a", port: 80 }), "a:80");
  assert.equal(authorityOf({ secure: false, host: "::1", port: 9999 }), "[::1]:9999");
});
