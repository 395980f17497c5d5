/** Makes IP packets with TCP segments for captures, as a network would carry them (RFC 791, RFC 8200, RFC 9293). */

import { withoutZone } from "../../address.ts";
import type { SocketAddress } from "../../traffic.ts";

// Flags of a TCP segment (RFC 9293 §3.1).
export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const PSH = 0x08;
export const ACK = 0x10;

/** The most octets that one packet here carries: an IPv4 packet has 65,535 with both headers. */
export const MAX_SEGMENT_OCTETS: number = 65_495;

interface SegmentHeader {
  readonly from: SocketAddress;
  readonly to: SocketAddress;
  readonly sequence: number;
  /** The next sequence number that its sender expects. */
  readonly acknowledged: number;
  readonly flags: number;
}

const TCP = 6;
const HOP_LIMIT = 64;
const WINDOW = 65_535;
// Without options.
export const IPV4_HEADER_OCTETS = 20;
export const IPV6_HEADER_OCTETS = 40;
export const TCP_HEADER_OCTETS = 20;
const MSS_OPTION_OCTETS = 4;

export function packetOf({ from, to, sequence, acknowledged, flags }: SegmentHeader, octets: Uint8Array): Uint8Array {
  const [source, destination] = [addressBytes(from), addressBytes(to)];
  const isIpv4 = source.length === 4;
  const isSyn = (flags & SYN) !== 0;
  const at = isIpv4 ? IPV4_HEADER_OCTETS : IPV6_HEADER_OCTETS;
  const headerOctets = TCP_HEADER_OCTETS + (isSyn ? MSS_OPTION_OCTETS : 0);
  const packet = new Uint8Array(at + headerOctets + octets.length);
  const view = new DataView(packet.buffer);
  packet.set(source, at - 2 * source.length);
  packet.set(destination, at - source.length);
  if (isIpv4) {
    view.setUint16(0, 0x4500);
    view.setUint16(2, packet.length);
    // Do not fragment.
    view.setUint16(6, 0x4000);
    view.setUint16(8, HOP_LIMIT << 8 | TCP);
    view.setUint16(10, checksum(sumOf(packet.subarray(0, at))));
  } else {
    view.setUint32(0, 0x60000000);
    view.setUint16(4, packet.length - at);
    view.setUint16(6, TCP << 8 | HOP_LIMIT);
  }
  view.setUint16(at, from.port);
  view.setUint16(at + 2, to.port);
  view.setUint32(at + 4, sequence >>> 0);
  view.setUint32(at + 8, acknowledged >>> 0);
  view.setUint16(at + 12, (headerOctets / 4) << 12 | flags);
  view.setUint16(at + 14, WINDOW);
  // The maximum segment size (RFC 9293 §3.7.1).
  if (isSyn) view.setUint32(at + TCP_HEADER_OCTETS, 0x02040000 | MAX_SEGMENT_OCTETS);
  packet.set(octets, at + headerOctets);
  // The pseudo-header: both addresses, the protocol, and the segment's length (RFC 9293 §3.1).
  const segment = packet.subarray(at);
  const pseudo = sumOf(source) + sumOf(destination) + TCP + segment.length;
  view.setUint16(at + 16, checksum(pseudo + sumOf(segment)));
  return packet;
}

/** The sum of 16-bit words, the last one filled with a zero (RFC 1071). It fits a number for any packet. */
function sumOf(bytes: Uint8Array): number {
  let sum = 0;
  const even = bytes.length & ~1;
  for (let i = 0; i < even; i += 2) sum += bytes[i] << 8 | bytes[i + 1];
  return even < bytes.length ? sum + (bytes[even] << 8) : sum;
}

/** The complement of a sum in 16 bits, carries added (RFC 1071). */
function checksum(sum: number): number {
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

/** The address in network order: 4 octets, or 16. */
export function addressBytes({ hostname }: SocketAddress): Uint8Array {
  if (!hostname.includes(":")) return Uint8Array.from(hostname.split("."), Number);
  // A zone, such as in fe80::1%eth0, is this machine's own name for a link. URL knows the canonical form (RFC 5952).
  const text = new URL(`http://[${withoutZone(hostname)}]/`).hostname.slice(1, -1);
  const [left, right = []] = text.split("::").map((side) => side === "" ? [] : side.split(":"));
  const groups = [...left, ...Array(8 - left.length - right.length).fill("0"), ...right];
  return Uint8Array.fromHex(groups.map((group) => group.padStart(4, "0")).join(""));
}
