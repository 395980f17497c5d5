import assert from "node:assert/strict";
import { ACK, addressOf, PSH, type Segment, segmentOf, SYN } from "../../../lib/traffic/capture/link_layers.ts";
import { octetString } from "../../wire_cases.ts";
import { CLIENT, ipPacket, joined, SERVER } from "../captures.ts";

const SPEC = { sequence: 7, acknowledged: 9, flags: ACK | PSH, octets: "hello" };
const IPV4 = ipPacket(SPEC);
const [CLIENT6, SERVER6] = [{ hostname: "fe80::1", port: 40_000 }, { hostname: "::1", port: 9999 }];
const IPV6 = ipPacket({ ...SPEC, client: CLIENT6, server: SERVER6 });

function framed(hex: string, packet: Uint8Array): Uint8Array {
  return joined([Uint8Array.fromHex(hex.replaceAll(" ", "")), packet]);
}

const CUT = "which not all headers were captured: tcpdump -s 0";
const FRAGMENTS = "IP fragments, which are not put together";
/** Puts a packet into another one. */
function inside(protocol: number, packet: Uint8Array, header = ""): Uint8Array {
  const outer = joined([IPV4.subarray(0, 20), Uint8Array.fromHex(header.replaceAll(" ", "")), packet]);
  outer[9] = protocol;
  outer[3] = outer.length;
  return outer;
}
const SNAP = "aaaa03 000000 0800";
/** A data frame to an access point: what it is, addresses, its number. */
const FRAME = "0801 0000 000000000001 000000000002 000000000003 1000";
const QOS_FRAME = "8801 0000 000000000001 000000000002 000000000003 1000 0000";

const MACS = "000000000000 000000000000";
const COOKED = "0000 0304 0006 000000000000 0000";
const COOKED2 = "0000 00000001 0304 00 06 0000000000000000";
const frames: [name: string, linkType: number, packet: Uint8Array][] = [
  ["Ethernet", 1, framed(`${MACS} 0800`, IPV4)],
  ["Ethernet with a virtual network", 1, framed(`${MACS} 8100 0005 0800`, IPV4)],
  ["Ethernet with two virtual networks", 1, framed(`${MACS} 88a8 0005 8100 0006 86dd`, IPV6)],
  ["Ethernet with padding", 1, joined([framed(`${MACS} 0800`, IPV4), new Uint8Array(6)])],
  ["raw IPv4", 101, IPV4],
  ["raw IPv6", 101, IPV6],
  ["raw IP of OpenBSD", 14, IPV4],
  ["raw IP of other systems", 12, IPV6],
  ["IPv4 alone", 228, IPV4],
  ["IPv6 alone", 229, IPV6],
  ["NULL in little-endian order", 0, framed("02000000", IPV4)],
  ["NULL in big-endian order", 0, framed("00000002", IPV4)],
  ["NULL of macOS with IPv6", 0, framed("1e000000", IPV6)],
  ["NULL of Windows with IPv6", 0, framed("17000000", IPV6)],
  ["LOOP", 108, framed("00000002", IPV4)],
  ["LOOP with IPv6 in little-endian order", 108, framed("18000000", IPV6)],
  ["Linux cooked", 113, framed(`${COOKED} 0800`, IPV4)],
  ["Linux cooked with a virtual network", 113, framed(`${COOKED} 8100 0001 86dd`, IPV6)],
  ["Linux cooked 2", 276, framed(`0800 ${COOKED2}`, IPV4)],
  ["Linux cooked 2 with IPv6", 276, framed(`86dd ${COOKED2}`, IPV6)],
  ["Linux cooked 2 with a virtual network", 276, framed(`8100 ${COOKED2} 0005 0800`, IPV4)],
  ["PPPoE", 1, framed(`${MACS} 8864 1100 0001 0000 0021`, IPV4)],
  ["PPPoE with IPv6 in a virtual network", 1, framed(`${MACS} 8100 0001 8864 1100 0001 0000 0057`, IPV6)],
  ["PPP", 9, framed("ff03 0021", IPV4)],
  ["PPP with a short protocol", 9, framed("21", IPV4)],
  ["PPP in HDLC", 50, framed("ff03 0057", IPV6)],
  ["Cisco HDLC", 104, framed("0f00 0800", IPV4)],
  ["MPLS", 1, framed(`${MACS} 8847 00010040 00011140`, IPV4)],
  ["MPLS with Ethernet", 1, framed(`${MACS} 8847 00010140 00000000 ${MACS} 0800`, IPV4)],
  ["MPLS with Ethernet and no control word", 1, framed(`${MACS} 8847 00010140 ${MACS} 0800`, IPV4)],
  ["LLC with SNAP", 1, framed(`${MACS} 0035 ${SNAP}`, IPV4)],
  ["LLC", 1, framed(`${MACS} 0035 060603`, IPV4)],
  ["IP in IP", 101, inside(4, IPV4)],
  ["6in4", 101, inside(41, IPV6)],
  ["GRE", 101, inside(47, IPV4, "0000 0800")],
  ["GRE with a checksum, a key and a number", 101, inside(47, IPV6, "b000 86dd 00000000 00000000 00000000")],
  ["GRE with Ethernet", 101, inside(47, IPV4, `0000 6558 ${MACS} 0800`)],
  ["GRE of PPTP", 101, inside(47, IPV4, "3081 880b 00000000 00000000 00000000 ff03 0021")],
  ["VXLAN", 101, inside(17, IPV4, `1000 12b5 0000 0000 08000000 00000100 ${MACS} 0800`)],
  ["IEEE 802.11", 105, framed(`${FRAME} ${SNAP}`, IPV4)],
  ["IEEE 802.11 with quality of service", 105, framed(`${QOS_FRAME} ${SNAP}`, IPV4)],
  ["IEEE 802.11 with radiotap", 127, framed(`0000 0900 02000000 10 ${FRAME} ${SNAP}`, IPV4)],
  [
    "IEEE 802.11 with a padded header",
    127,
    framed(`0000 1100 03000000 0000000000000000 20 ${QOS_FRAME} 0000 ${SNAP}`, IPV4),
  ],
];

function segmentIn(packet: Uint8Array, linkType = 101): Segment {
  const segment = segmentOf(packet, linkType);
  assert(segment !== undefined && !("what" in segment), JSON.stringify(segment));
  return segment;
}

for (const [name, linkType, packet] of frames) {
  Deno.test(`a segment is found in ${name}`, () => {
    const { from, to, payload, ...rest } = segmentIn(packet, linkType);
    const isIpv6 = from.length > 6;
    assert.deepEqual([addressOf(from), addressOf(to)], isIpv6 ? [CLIENT6, SERVER6] : [CLIENT, SERVER]);
    assert.equal(octetString(payload), "hello");
    assert.deepEqual(rest, { sequence: 7, acknowledged: 9, flags: ACK | PSH, window: 65_535, length: 5 });
  });

  Deno.test(`${name} may be cut off at any octet`, () => {
    const padding = name.endsWith("padding") ? 6 : 0;
    for (let length = 0; length < packet.length - padding; length++) {
      const segment = segmentOf(packet.slice(0, length), linkType);
      if (segment === undefined || "what" in segment) assert.equal(segment?.what ?? CUT, CUT);
      else assert.deepEqual([segment.payload.length, segment.length], [5 - (packet.length - padding - length), 5]);
    }
  });
}

/** Puts IPv6 extension headers before TCP. */
function extended(next: number, ...headers: string[]): Uint8Array {
  const extension = Uint8Array.fromHex(headers.join("").replaceAll(" ", ""));
  const packet = joined([IPV6.subarray(0, 40), extension, IPV6.subarray(40)]);
  packet[6] = next;
  packet[5] += extension.length;
  return packet;
}

const withExtensions: [name: string, packet: Uint8Array][] = [
  ["hop-by-hop options", extended(0, "06 00 000000000000")],
  ["routing and long destination options", extended(43, "3c 00 000000000000", "06 01 0000000000000000 000000000000")],
  ["an authentication header", extended(51, "06 01 0000 00000000 00000000")],
  ["a fragment header in a whole packet", extended(44, "06 00 0000 00000000")],
];

for (const [name, packet] of withExtensions) {
  Deno.test(`IPv6 with ${name} is read`, () => assert.equal(octetString(segmentIn(packet).payload), "hello"));
}

Deno.test("IPv4 and TCP with options are read", () => {
  const packet = joined([
    IPV4.subarray(0, 20),
    new Uint8Array(8),
    IPV4.subarray(20, 40),
    new Uint8Array(12),
    IPV4.subarray(40),
  ]);
  packet[0] = 0x47;
  packet[3] += 20;
  packet[28 + 12] = 8 << 4;
  assert.equal(octetString(segmentIn(packet).payload), "hello");
});

Deno.test("a packet that the network card splits has a length of 0", () => {
  assert.equal(octetString(segmentIn(IPV4.with(3, 0)).payload), "hello");
  assert.equal(octetString(segmentIn(IPV6.with(5, 0)).payload), "hello");
});

Deno.test("wrong checksums do not matter", () => {
  assert.equal(octetString(segmentIn(IPV4.with(10, 1).with(36, 1)).payload), "hello");
});

const without: [name: string, packet: Uint8Array, linkType: number, what: string | undefined][] = [
  ["UDP", IPV4.with(9, 17), 101, undefined],
  ["UDP over IPv6", IPV6.with(6, 17), 101, undefined],
  ["ARP", framed(`${MACS} 0806`, IPV4), 1, undefined],
  ["an IP version that nobody has", IPV4.with(0, 0x55), 101, undefined],
  ["a first fragment", IPV4.with(6, 0x20), 101, FRAGMENTS],
  ["a later fragment", IPV4.with(7, 3), 101, FRAGMENTS],
  ["a fragment of IPv6", extended(44, "06 00 0001 00000000"), 101, FRAGMENTS],
  ["a fragment of UDP", IPV4.with(6, 0x20).with(9, 17), 101, undefined],
  ["an IP header that is too short", IPV4.with(0, 0x44), 101, undefined],
  ["a TCP header that is too short", IPV4.with(32, 4 << 4), 101, undefined],
  ["a TCP header longer than its packet", IPV4.with(32, 15 << 4), 101, undefined],
  ["a link type without a name", IPV4, 4711, "an unknown kind (link type 4711)"],
  ["USB", IPV4, 220, "USB (link type 220)"],
  ["a beacon", framed("8000 0000", IPV4), 105, undefined],
  [
    "an encrypted frame",
    framed("0841 0000 000000000001 000000000002 000000000003 1000", IPV4),
    105,
    "encrypted IEEE 802.11",
  ],
  ["encrypted IP", inside(50, IPV4), 101, "encrypted IP (ESP, RFC 4303)"],
  ["compressed IP", inside(108, IPV4), 101, "compressed IP (IPComp, RFC 3173)"],
  ["a service chain", framed(`${MACS} 894f 0fc2 0103 000001ff`, IPV4), 1, "service chains (NSH, RFC 8300)"],
  ["MACsec", framed(`${MACS} 88e5 0000`, IPV4), 1, "encrypted Ethernet (MACsec, IEEE 802.1AE)"],
  ["VXLAN-GPE", inside(17, IPV4, "1000 12b6 0000 0000"), 101, "VXLAN-GPE tunnels"],
  ["VXLAN at another port", inside(17, IPV4, "1000 2118 0000 0000"), 101, "VXLAN tunnels at Linux's own port"],
  ["GENEVE", inside(17, IPV4, "1000 17c1 0000 0000"), 101, "GENEVE tunnels"],
  [
    "tunnels without an end",
    Array.from({ length: 9 }).reduce((packet: Uint8Array) => inside(4, packet), IPV4),
    101,
    "more than 8 packets inside one another",
  ],
];

for (const [name, packet, linkType, what] of without) {
  Deno.test(`there is no segment in ${name}`, () => {
    const found = segmentOf(packet, linkType);
    assert.deepEqual(found && "what" in found ? found.what : found, what);
  });
}

Deno.test("fragments say between which addresses they were", () => {
  const found = segmentOf(IPV4.with(6, 0x20), 101);
  assert(found !== undefined && "what" in found);
  assert.deepEqual([found.from, found.to], ["\x7f\0\0\x01", "\x7f\0\0\x01"]);
});

Deno.test("a SYN has options, as far as they were captured", () => {
  const syn = (options: string) => {
    const octets = Uint8Array.fromHex(options.replaceAll(" ", ""));
    const packet = joined([ipPacket({ sequence: 1, flags: SYN }).subarray(0, 40), octets]);
    packet[32] = (20 + octets.length) / 4 << 4;
    packet[3] = packet.length;
    return packet;
  };
  const optionsOf = (packet: Uint8Array) => {
    const { mss, windowScale } = segmentIn(packet);
    return [mss, windowScale];
  };
  const usual = syn("020405b4 0402080a0000000000000000 01 030307");
  assert.deepEqual(optionsOf(usual), [1460, 7]);
  assert.deepEqual(optionsOf(usual.subarray(0, 44)), [1460, undefined]);
  assert.deepEqual(optionsOf(syn("03030f00")), [undefined, 14]);
  assert.deepEqual(optionsOf(syn("")), [undefined, undefined]);
  assert.deepEqual(optionsOf(syn("02000204")), [undefined, undefined]);
});

Deno.test("an IPv6 header that is cut off is told, though what it carries is not TCP", () => {
  const icmp = Uint8Array.of(0x60, 0, 0, 0, 0, 0, 58, 64, ...new Uint8Array(32));
  for (let end = 1; end < icmp.length; end++) assert.deepEqual(segmentOf(icmp.subarray(0, end), 101), { what: CUT });
  assert.equal(segmentOf(icmp, 101), undefined);
});
