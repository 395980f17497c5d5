/**
 * IP packets with TCP segments, as a network would carry them: made for captures (RFC 791, RFC 8200, RFC 9293).
 *
 * @module
 */

import type { SocketAddress } from "../../traffic.ts";

/** Flags of a TCP segment (RFC 9293 §3.1). */
export const FIN = 0x01;
/** Synchronises sequence numbers: the first segment of each side. */
export const SYN = 0x02;
/** Ends the connection at once. */
export const RST = 0x04;
/** Gives the data to the program at once. */
export const PSH = 0x08;
/** The acknowledgment number counts. */
export const ACK = 0x10;

/** The most octets that one packet here carries: an IPv4 packet has 65,535 with both headers. */
export const MAX_SEGMENT_OCTETS: number = 65_495;

/** What is said of a segment in its header. */
export interface SegmentHeader {
  /** Who sends it. */
  readonly from: SocketAddress;
  /** Who receives it. */
  readonly to: SocketAddress;
  /** The sequence number of its first octet. */
  readonly sequence: number;
  /** The next sequence number that its sender expects. */
  readonly acknowledged: number;
  /** {@linkcode SYN} and its like. */
  readonly flags: number;
}

const TCP = 6;
const HOP_LIMIT = 64;
const WINDOW = 65_535;
const TCP_HEADER_BYTES = 20;
const MSS_OPTION_BYTES = 4;
const IPV4_HEADER_BYTES = 20;
const IPV6_HEADER_BYTES = 40;

/** The length of a packet with so many octets of data. */
export function packetLength({ from, flags }: SegmentHeader, octets: number): number {
  const ip = isIpv6(from) ? IPV6_HEADER_BYTES : IPV4_HEADER_BYTES;
  return ip + tcpHeaderBytes(flags) + octets;
}

/** Writes a packet, with right checksums, to the start of `packet`, which has its length. */
export function writePacket(packet: Uint8Array, header: SegmentHeader, octets: Uint8Array): void {
  const { from, to, sequence, acknowledged, flags } = header;
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
  const [source, destination] = [addressBytes(from), addressBytes(to)];
  const at = isIpv6(from)
    ? writeIpv6Header(packet, view, source, destination)
    : writeIpv4Header(packet, view, source, destination);
  view.setUint16(at, from.port);
  view.setUint16(at + 2, to.port);
  view.setUint32(at + 4, sequence >>> 0);
  view.setUint32(at + 8, acknowledged >>> 0);
  const headerBytes = tcpHeaderBytes(flags);
  view.setUint8(at + 12, (headerBytes / 4) << 4);
  view.setUint8(at + 13, flags);
  view.setUint16(at + 14, WINDOW);
  view.setUint32(at + 16, 0);
  if ((flags & SYN) !== 0) {
    // The maximum segment size (RFC 9293 §3.7.1).
    view.setUint16(at + TCP_HEADER_BYTES, 0x0204);
    view.setUint16(at + TCP_HEADER_BYTES + 2, MAX_SEGMENT_OCTETS);
  }
  packet.set(octets, at + headerBytes);
  // The pseudo-header: both addresses, the protocol, and the segment's length (RFC 9293 §3.1).
  const segment = packet.subarray(at);
  const pseudo = sumOf(source) + sumOf(destination) + TCP + segment.length;
  view.setUint16(at + 16, checksum(pseudo + sumOf(segment)));
}

function writeIpv4Header(packet: Uint8Array, view: DataView, source: Uint8Array, destination: Uint8Array): number {
  view.setUint16(0, 0x4500);
  view.setUint16(2, packet.length);
  view.setUint16(4, 0);
  // Do not fragment.
  view.setUint16(6, 0x4000);
  view.setUint8(8, HOP_LIMIT);
  view.setUint8(9, TCP);
  view.setUint16(10, 0);
  packet.set(source, 12);
  packet.set(destination, 16);
  view.setUint16(10, checksum(sumOf(packet.subarray(0, IPV4_HEADER_BYTES))));
  return IPV4_HEADER_BYTES;
}

function writeIpv6Header(packet: Uint8Array, view: DataView, source: Uint8Array, destination: Uint8Array): number {
  view.setUint32(0, 0x60000000);
  view.setUint16(4, packet.length - IPV6_HEADER_BYTES);
  view.setUint8(6, TCP);
  view.setUint8(7, HOP_LIMIT);
  packet.set(source, 8);
  packet.set(destination, 24);
  return IPV6_HEADER_BYTES;
}

function tcpHeaderBytes(flags: number): number {
  return (flags & SYN) === 0 ? TCP_HEADER_BYTES : TCP_HEADER_BYTES + MSS_OPTION_BYTES;
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

function isIpv6({ hostname }: SocketAddress): boolean {
  return hostname.includes(":");
}

/** The address in network order: 4 octets, or 16. */
export function addressBytes({ hostname }: SocketAddress): Uint8Array {
  if (!hostname.includes(":")) return Uint8Array.from(hostname.split("."), Number);
  const bytes = new Uint8Array(16);
  // A zone, as in fe80::1%eth0, is this machine's own name for a link; the last 32 bits may be written as IPv4.
  const text = hostname.replace(/%.*$/, "").replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_all, ...parts) => {
    const [a, b, c, d] = parts.slice(0, 4).map(Number);
    return `${(a << 8 | b).toString(16)}:${(c << 8 | d).toString(16)}`;
  });
  const [left, right] = text.split("::").map((side) => side === "" ? [] : side.split(":"));
  const groups = right === undefined ? left : [...left, ...Array(8 - left.length - right.length).fill("0"), ...right];
  groups.forEach((group, i) => {
    const value = parseInt(group, 16);
    bytes[2 * i] = value >> 8;
    bytes[2 * i + 1] = value & 0xff;
  });
  return bytes;
}
