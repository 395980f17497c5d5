import assert from "node:assert/strict";
import { isDisconnect } from "../../lib/server/disconnect.ts";

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
