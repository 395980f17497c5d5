import assert from "node:assert/strict";
import { isDisconnect, scarcity } from "../../lib/server/disconnect.ts";

Deno.test("a close by either end counts as a disconnect", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const [conn, other] = await Promise.all([
    Deno.connect({ hostname: "127.0.0.1", port: (listener.addr as Deno.NetAddr).port }),
    listener.accept(),
  ]);
  other.close();
  conn.close();
  const error = await conn.read(new Uint8Array(1)).catch((error) => error);
  assert(isDisconnect(error), String(error));
});

Deno.test("errors of the system are disconnects, defects are not", () => {
  assert(isDisconnect(new Deno.errors.ConnectionReset("reset by peer")));
  assert(isDisconnect(Object.assign(new Error("No route to host"), { code: "EHOSTUNREACH" })));
  assert(!isDisconnect(new TypeError("undefined is not a function")));
  assert(!isDisconnect(Object.assign(new RangeError("out of range"), { code: "ERR_OUT_OF_RANGE" })));
  assert(!isDisconnect("text"));
});

Deno.test("a lack of resources is told by the code, or by the number in the message", () => {
  const withCode = (code: string) => Object.assign(new Error("(os error 24)"), { code });
  for (const code of ["EMFILE", "ENFILE"]) assert.equal(scarcity(withCode(code)), "descriptors", code);
  for (const code of ["ENOBUFS", "ENOMEM"]) assert.equal(scarcity(withCode(code)), "memory", code);
  for (const code of ["ECONNRESET", "toString"]) assert.equal(scarcity(withCode(code)), undefined, code);
  const withNumber = (number: number) => new Error(`Scarce (os error ${number})`);
  for (const number of [23, 24, 10024]) assert.equal(scarcity(withNumber(number)), "descriptors", String(number));
  for (const number of [12, 55, 105, 10055]) assert.equal(scarcity(withNumber(number)), "memory", String(number));
  for (const error of [withNumber(104), withNumber(124), "(os error 24)"]) assert.equal(scarcity(error), undefined);
});
