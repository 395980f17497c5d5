import assert from "node:assert/strict";
import { addressText, authorityOf, isLocalName, isLoopback, socketAddress, withoutMapping } from "../lib/address.ts";

const authorities: [secure: boolean, host: string, port: number, authority: string][] = [
  [false, "a.example", 80, "a.example"],
  [true, "a.example", 443, "a.example"],
  [true, "a.example", 80, "a.example:80"],
  [false, "::1", 9999, "[::1]:9999"],
  [true, "::1", 443, "[::1]"],
  [true, "fe80::1%eth0", 443, "[fe80::1]"],
  [false, "fe80::1%eth0", 9999, "[fe80::1]:9999"],
];

for (const [secure, host, port, authority] of authorities) {
  Deno.test(`the authority of ${host} port ${port} ${secure ? "with" : "without"} TLS is ${authority}`, () => {
    assert.equal(authorityOf({ secure, host, port }), authority);
  });
}

Deno.test("an address as text has brackets around IPv6", () => {
  assert.equal(addressText({ hostname: "127.0.0.1", port: 1 }), "127.0.0.1:1");
  assert.equal(addressText({ hostname: "::1", port: 65535 }), "[::1]:65535");
});

Deno.test("an IPv4 address written as an IPv6 one is IPv4", () => {
  assert.deepEqual(withoutMapping({ hostname: "::FFFF:127.0.0.1", port: 1 }), { hostname: "127.0.0.1", port: 1 });
  assert.deepEqual(withoutMapping({ hostname: "::1", port: 1 }), { hostname: "::1", port: 1 });
});

Deno.test("a socket without an IP address has an empty one", () => {
  assert.deepEqual(socketAddress({ transport: "tcp", hostname: "::1", port: 7 }), { hostname: "::1", port: 7 });
  assert.deepEqual(socketAddress({ transport: "unix", path: "/x" }), { hostname: "", port: 0 });
});

Deno.test("loopback is 127.0.0.0/8 and ::1", () => {
  assert.deepEqual(["127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "10.0.0.1"].map(isLoopback), [
    true,
    true,
    true,
    false,
    false,
  ]);
});

const hosts: [host: string, isLocal: boolean][] = [
  ...["localhost", "a.localhost", "127.0.0.1", "10.0.0.1", "[::1]"].map((host): [string, boolean] => [host, true]),
  ...["notlocalhost", "localhost.example", "127.1", "a.example", ""].map((host): [string, boolean] => [host, false]),
];
for (const [host, isLocal] of hosts) {
  Deno.test(`a name server can${isLocal ? "not" : ""} lead ${JSON.stringify(host)} elsewhere`, () => {
    assert.equal(isLocalName(host), isLocal);
  });
}
