import assert from "node:assert/strict";
import { REQUEST_LIMITS, RESPONSE_LIMITS, SERVER_LIMITS } from "../lib/limits.ts";

Deno.test("RFC 9112 §3: request lines of 8000 octets are supported", () => {
  assert(REQUEST_LIMITS.maxTargetBytes >= 8000);
  assert(REQUEST_LIMITS.maxHeadBytes > REQUEST_LIMITS.maxTargetBytes);
});

Deno.test("the limits are consistent", () => {
  assert(RESPONSE_LIMITS.maxHeadBytes >= REQUEST_LIMITS.maxHeadBytes);
  assert(SERVER_LIMITS.minReadBytes <= SERVER_LIMITS.maxReadBytes);
  assert(SERVER_LIMITS.shutdownIdleMs < SERVER_LIMITS.shutdownMs);
  // Stopping takes five seconds at most.
  assert(SERVER_LIMITS.shutdownMs + SERVER_LIMITS.sweepMs < 5000);
  assert(SERVER_LIMITS.sweepMs < SERVER_LIMITS.lingerMs);
});
