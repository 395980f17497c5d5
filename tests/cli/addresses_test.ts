import assert from "node:assert/strict";
import { answeringAddress, portProblem } from "../../lib/cli/addresses.ts";

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

Deno.test("a server that answers on the port of another address is found", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  for (const host of ["0.0.0.0", "::", "::1", "127.0.0.1"]) {
    const accepted = listener.accept();
    assert.equal(await answeringAddress(host, port), "127.0.0.1");
    (await accepted).close();
  }
  listener.close();
  assert.equal(await answeringAddress("0.0.0.0", port), undefined);
});

Deno.test("the look for another server ends if nothing refuses it", async () => {
  const { connect } = Deno;
  try {
    Deno.connect = () => new Promise<never>(() => {});
    assert.equal(await answeringAddress("127.0.0.1", 1), undefined);
  } finally {
    Deno.connect = connect;
  }
});
