import assert from "node:assert/strict";
import type { End, TrafficEvent } from "../../lib/traffic.ts";
import { lifeLine } from "../../lib/traffic/life.ts";

const CLIENT = { hostname: "127.0.0.1", port: 5 };
const SERVER = { hostname: "::1", port: 80 };

function eventsAt(end: End): TrafficEvent[] {
  const seen = { end, connection: 7, time: 0 };
  const [local, remote] = end === "client" ? [CLIENT, SERVER] : [SERVER, CLIENT];
  return [
    { ...seen, kind: "opened", local, remote, secure: false },
    { ...seen, kind: "read", bytes: new Uint8Array(1) },
    { ...seen, kind: "write", bytes: new Uint8Array(49) },
    { ...seen, kind: "fin", by: "client" },
    { ...seen, kind: "closed", reason: "by the client" },
  ];
}

for (const end of ["client", "server"] as const) {
  Deno.test(`the life of a connection, in lines, at the ${end}'s end`, () => {
    assert.deepEqual(eventsAt(end).map(lifeLine), [
      "connection 7 opened by 127.0.0.1:5 to [::1]:80",
      "connection 7 read of 1 octet",
      "connection 7 write of 49 octets",
      "connection 7 FIN by the client",
      "connection 7 closed by the client",
    ]);
  });
}
