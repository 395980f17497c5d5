import assert from "node:assert/strict";
import { portProblem } from "../../lib/cli/addresses.ts";

Deno.test("another port helps if one is taken, or if Windows has reserved it", () => {
  const { AddrInUse, AddrNotAvailable, NotCapable, PermissionDenied } = Deno.errors;
  assert.equal(portProblem(new AddrInUse(), 80), "taken");
  assert.equal(portProblem(new AddrInUse(), 9999), "taken");
  const denied = new PermissionDenied("An attempt was made to access a socket in a way forbidden. (os error 10013)");
  assert.equal(portProblem(denied, 1024), "reserved by the system");
  assert.equal(portProblem(denied, 1023), undefined, "ports below need a privilege");
  for (const error of [new AddrNotAvailable(), new NotCapable(), "AddrInUse"]) {
    assert.equal(portProblem(error, 9999), undefined);
  }
});
