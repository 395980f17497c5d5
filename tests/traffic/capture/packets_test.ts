import assert from "node:assert/strict";
import { ACK, PSH, SYN } from "../../../lib/traffic/capture/link_layers.ts";
import { addressBytes, MAX_SEGMENT_OCTETS, packetOf } from "../../../lib/traffic/capture/writer.ts";
import type { SocketAddress } from "../../../lib/traffic.ts";
import { wireOctets } from "../../wire_cases.ts";

function packetTo(from: SocketAddress, to: SocketAddress, flags: number, octets: Uint8Array): Uint8Array {
  return packetOf({ from, to, sequence: 7, acknowledged: 2 ** 32 - 1, flags }, octets);
}

/** The sum in ones' complement, as a receiver computes it: 0xffff if the checksum is right (RFC 1071). */
function receivedSum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i++) sum += i % 2 === 0 ? bytes[i] << 8 : bytes[i];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

Deno.test("an IPv4 packet has its lengths, ports and checksums", () => {
  const packet = packetTo(
    { hostname: "127.0.0.1", port: 258 },
    { hostname: "10.1.2.3", port: 80 },
    PSH | ACK,
    wireOctets("abc"),
  );
  assert.equal(packet.length, 43);
  assert.deepEqual([...packet.subarray(0, 4)], [0x45, 0, 0, 43]);
  assert.deepEqual([...packet.subarray(12, 24)], [127, 0, 0, 1, 10, 1, 2, 3, 1, 2, 0, 80]);
  assert.deepEqual([...packet.subarray(24, 34)], [0, 0, 0, 7, 255, 255, 255, 255, 0x50, PSH | ACK]);
  assert.equal(receivedSum(packet.subarray(0, 20)), 0xffff);
  const pseudo = [...packet.subarray(12, 20), 0, 6, 0, 23];
  assert.equal(receivedSum(Uint8Array.from([...pseudo, ...packet.subarray(20)])), 0xffff);
});

Deno.test("an IPv6 packet has its lengths and checksum", () => {
  const packet = packetTo({ hostname: "::1", port: 1 }, { hostname: "fe80::2%eth0", port: 2 }, SYN, new Uint8Array());
  assert.equal(packet.length, 64);
  assert.deepEqual([...packet.subarray(0, 8)], [0x60, 0, 0, 0, 0, 24, 6, 64]);
  const pseudo = [...packet.subarray(8, 40), 0, 0, 0, 24, 0, 0, 0, 6];
  assert.equal(receivedSum(Uint8Array.from([...pseudo, ...packet.subarray(40)])), 0xffff);
  assert.deepEqual([...packet.subarray(60)], [2, 4, MAX_SEGMENT_OCTETS >> 8, MAX_SEGMENT_OCTETS & 255]);
});

Deno.test("the largest packet of each kind has a right checksum", () => {
  const octets = new Uint8Array(MAX_SEGMENT_OCTETS).fill(255);
  const packet = packetTo(
    { hostname: "255.255.255.255", port: 65535 },
    { hostname: "255.255.255.255", port: 65535 },
    ACK,
    octets,
  );
  assert.equal(packet.length, 65535);
  const pseudo = [...packet.subarray(12, 20), 0, 6, (65515 >> 8) & 255, 65515 & 255];
  assert.equal(receivedSum(Uint8Array.from([...pseudo, ...packet.subarray(20)])), 0xffff);
});

const addresses: [text: string, hex: string][] = [
  ["127.0.0.1", "7f000001"],
  ["::", "0".repeat(32)],
  ["::1", `${"0".repeat(31)}1`],
  ["1:2::8", "00010002000000000000000000000008"],
  ["1:2:3:4:5:6:7:8", "00010002000300040005000600070008"],
  ["fe80::1%lo0", `fe80${"0".repeat(27)}1`],
  ["64:ff9b::10.1.2.3", `0064ff9b${"0".repeat(16)}0a010203`],
];

for (const [text, hex] of addresses) {
  Deno.test(`the address ${text} in network order`, () => {
    assert.equal(addressBytes({ hostname: text, port: 0 }).toHex(), hex);
  });
}
