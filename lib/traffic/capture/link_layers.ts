/**
 * Finds the TCP segment in a captured packet: link layer, IPv4 or IPv6, TCP (RFC 791, RFC 8200, RFC 9293).
 *
 * Checksums are not checked: where the network card computes them, a capture has wrong ones.
 *
 * @module
 */

import { octetString } from "../../bytes.ts";
import type { SocketAddress } from "../../traffic.ts";
import { SYN } from "./packets.ts";

/** A TCP segment of a packet. */
export interface Segment {
  /** The sender's address and port in network order, one character per octet; see {@linkcode addressOf}. */
  readonly from: string;
  /** The receiver's. */
  readonly to: string;
  /** The sequence number of the first octet. */
  readonly sequence: number;
  /** The next sequence number that the sender expects. */
  readonly acknowledged: number;
  /** The flags, as in packets.ts. */
  readonly flags: number;
  /** The window, without its scale. */
  readonly window: number;
  /** The maximum segment size and the window's scale that a SYN announces (RFC 9293 §3.7.1, RFC 7323 §2.2). */
  readonly mss?: number;
  readonly windowScale?: number;
  /** The octets that were captured, valid as long as the packet. */
  readonly payload: Uint8Array;
  /** The number of octets that were sent. */
  readonly length: number;
}

/** Why a packet has no segment that can be used. */
export type NoSegment = "no TCP" | "fragment" | "cut off" | "unknown link type";

const TCP = 6;
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
/** Tags of virtual networks (IEEE 802.1Q, 802.1ad, and an older one). */
const VLAN_TAGS: ReadonlySet<number> = new Set([0x8100, 0x88a8, 0x9100]);
/** IPv6 extension headers that another header follows (RFC 8200 §4.1, RFC 6275, RFC 7401, RFC 5533). */
const EXTENSIONS: ReadonlySet<number> = new Set([0, 43, 60, 135, 139, 140]);
const FRAGMENT_HEADER = 44;
const AUTHENTICATION_HEADER = 51;
const IPV4_HEADER_BYTES = 20;
const IPV6_HEADER_BYTES = 40;
const TCP_HEADER_BYTES = 20;

/** What comes before the IP header, by link type: so many octets, or a function that finds it; -1 if there is none. */
const LINK_LAYERS: ReadonlyMap<number, number | ((packet: DataView) => number)> = new Map<
  number,
  number | ((packet: DataView) => number)
>([
  // NULL and LOOP have the address family in one of the byte orders, which the IP version repeats.
  [0, 4],
  [108, 4],
  [1, (packet) => afterEtherType(packet, 12)],
  // Raw IP: as such, by older systems, IPv4 alone, IPv6 alone.
  [12, 0],
  [14, 0],
  [101, 0],
  [228, 0],
  [229, 0],
  // Linux cooked, versions 1 and 2.
  [113, (packet) => afterEtherType(packet, 14)],
  [276, (packet) => etherTypeIsIp(packet, 0) ? 20 : -1],
]);

/** Returns the TCP segment in a packet of this link type, or why there is none. */
export function segmentOf(bytes: Uint8Array, linkType: number): Segment | NoSegment {
  const layer = LINK_LAYERS.get(linkType);
  if (layer === undefined) return "unknown link type";
  const packet = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const at = typeof layer === "number" ? layer : layer(packet);
  if (at < 0) return "no TCP";
  if (at >= bytes.length) return "cut off";
  const version = packet.getUint8(at) >> 4;
  if (version === 4) return ipv4(bytes, packet, at);
  return version === 6 ? ipv6(bytes, packet, at) : "no TCP";
}

/** Returns the address and port that a segment has in network order. */
export function addressOf(endpoint: string): SocketAddress {
  const octets = Array.from(endpoint, (character) => character.charCodeAt(0));
  const port = octets.at(-2)! << 8 | octets.at(-1)!;
  const address = octets.slice(0, -2);
  return { hostname: address.length === 4 ? address.join(".") : ipv6Text(address), port };
}

/** Writes an IPv6 address in its canonical form (RFC 5952), which URL knows. */
function ipv6Text(address: readonly number[]): string {
  const groups = Array.from({ length: 8 }, (_, i) => (address[2 * i] << 8 | address[2 * i + 1]).toString(16));
  return new URL(`http://[${groups.join(":")}]/`).hostname.slice(1, -1);
}

function etherTypeIsIp(packet: DataView, at: number): boolean {
  if (at + 2 > packet.byteLength) return false;
  const type = packet.getUint16(at);
  return type === ETHERTYPE_IPV4 || type === ETHERTYPE_IPV6;
}

/** Returns the offset behind an EtherType and tags of virtual networks; -1 if no IP follows. */
function afterEtherType(packet: DataView, at: number): number {
  while (at + 4 <= packet.byteLength && VLAN_TAGS.has(packet.getUint16(at))) at += 4;
  return etherTypeIsIp(packet, at) ? at + 2 : -1;
}

function ipv4(bytes: Uint8Array, packet: DataView, at: number): Segment | NoSegment {
  if (at + IPV4_HEADER_BYTES > bytes.length) return "cut off";
  if (packet.getUint8(at + 9) !== TCP) return "no TCP";
  // More fragments follow, or this is not the first one.
  if ((packet.getUint16(at + 6) & 0x3fff) !== 0) return "fragment";
  const headerBytes = (packet.getUint8(at) & 0x0f) * 4;
  if (headerBytes < IPV4_HEADER_BYTES) return "no TCP";
  // A length of 0 means that the network card splits the packet: all captured octets belong to it.
  const length = packet.getUint16(at + 2) || bytes.length - at;
  return tcp(bytes, packet, at + headerBytes, at + length, at + 12, 4);
}

function ipv6(bytes: Uint8Array, packet: DataView, at: number): Segment | NoSegment {
  if (at + IPV6_HEADER_BYTES > bytes.length) return "cut off";
  const payload = packet.getUint16(at + 4);
  const end = payload === 0 ? bytes.length : at + IPV6_HEADER_BYTES + payload;
  let next = packet.getUint8(at + 6);
  let header = at + IPV6_HEADER_BYTES;
  while (next !== TCP) {
    const isFragment = next === FRAGMENT_HEADER;
    if (!isFragment && next !== AUTHENTICATION_HEADER && !EXTENSIONS.has(next)) return "no TCP";
    if (header + 8 > bytes.length) return "cut off";
    // A fragment header may stand in a packet that is whole (RFC 6946).
    if (isFragment && (packet.getUint16(header + 2) & 0xfff9) !== 0) return "fragment";
    const units = packet.getUint8(header + 1);
    const length = isFragment ? 8 : next === AUTHENTICATION_HEADER ? (units + 2) * 4 : (units + 1) * 8;
    next = packet.getUint8(header);
    header += length;
  }
  return tcp(bytes, packet, header, end, at + 8, 16);
}

/** Reads a TCP header whose packet ends at an offset that may not be captured. */
function tcp(
  bytes: Uint8Array,
  packet: DataView,
  at: number,
  end: number,
  addressesAt: number,
  addressBytes: number,
): Segment | NoSegment {
  if (at + TCP_HEADER_BYTES > Math.min(end, bytes.length)) return "cut off";
  const headerBytes = (packet.getUint8(at + 12) >> 4) * 4;
  const start = at + headerBytes;
  if (headerBytes < TCP_HEADER_BYTES || start > end) return "no TCP";
  const address = (index: number) => {
    const from = addressesAt + index * addressBytes;
    return octetString(bytes, from, from + addressBytes) + octetString(bytes, at + 2 * index, at + 2 * index + 2);
  };
  const flags = packet.getUint8(at + 13);
  return {
    from: address(0),
    to: address(1),
    sequence: packet.getUint32(at + 4),
    acknowledged: packet.getUint32(at + 8),
    flags,
    window: packet.getUint16(at + 14),
    ...(flags & SYN) !== 0 && synOptions(bytes.subarray(at + TCP_HEADER_BYTES, start)),
    payload: bytes.subarray(start, Math.max(start, Math.min(end, bytes.length))),
    length: end - start,
  };
}

/** Reads the options of a SYN, as far as they were captured. */
function synOptions(options: Uint8Array): Pick<Segment, "mss" | "windowScale"> {
  const found: { mss?: number; windowScale?: number } = {};
  for (let at = 0; at < options.length && options[at] !== 0;) {
    const [kind, length] = [options[at], options[at + 1]];
    if (kind === 2 && length === 4 && at + 4 <= options.length) found.mss = options[at + 2] << 8 | options[at + 3];
    if (kind === 3 && length === 3 && at + 3 <= options.length) found.windowScale = Math.min(options[at + 2], 14);
    at += kind === 1 ? 1 : Math.max(length || 0, 2);
  }
  return found;
}
