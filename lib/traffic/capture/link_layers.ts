/**
 * Finds the TCP segment in a captured packet: link layer, IPv4 or IPv6, TCP (RFC 791, RFC 8200, RFC 9293).
 *
 * Checksums are not checked: where the network card computes them, a capture has wrong ones.
 */

import { octetString } from "../../bytes.ts";
import type { SocketAddress } from "../../traffic.ts";

// Flags of a TCP segment (RFC 9293 §3.1).
export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const PSH = 0x08;
export const ACK = 0x10;

// Without options.
export const IPV4_HEADER_OCTETS = 20;
export const IPV6_HEADER_OCTETS = 40;
export const TCP_HEADER_OCTETS = 20;

export interface Segment {
  /** The sender's address and port in network order, one character per octet; see {@linkcode addressOf}. */
  readonly from: string;
  readonly to: string;
  readonly sequence: number;
  readonly acknowledged: number;
  readonly flags: number;
  /** The window, without its scale. */
  readonly window: number;
  /** The maximum segment size that a SYN announces (RFC 9293 §3.7.1). */
  readonly mss?: number;
  /** The window's scale that a SYN announces (RFC 7323 §2.2). */
  readonly windowScale?: number;
  /** The octets that were captured, valid as long as the packet. */
  readonly payload: Uint8Array;
  readonly length: number;
}

/** A packet that may hold a segment, but is not read. */
export interface SkippedPacket {
  /** What it is: the words after `packets of`. */
  readonly what: string;
  /** The sender's address in network order, if it is known. */
  readonly from?: string;
  readonly to?: string;
}

interface PacketPlace {
  readonly octets: Uint8Array;
  readonly view: DataView;
  /** How many IP headers may follow. */
  left: number;
  /** Where the last IP packet ends, which may not be captured, and its addresses in network order. */
  end: number;
  from: string;
  to: string;
}

/** What is found at a place of a packet; `undefined` if nothing there holds TCP. */
type Found = Segment | SkippedPacket | undefined;
/** How a header is read, or the name of what is not read. */
type Layer = ((place: PacketPlace, at: number) => Found) | string;
/** What a header announces, by the number that it gives to it. */
type Layers = Readonly<Record<number, Layer>>;

const FRAGMENT_HEADER = 44;
const AUTHENTICATION_HEADER = 51;
/** IPv6 extension headers that another header follows (RFC 8200 §4.1, RFC 6275, RFC 7401, RFC 5533). */
const EXTENSIONS: readonly number[] = [0, 43, 60, 135, 139, 140, FRAGMENT_HEADER, AUTHENTICATION_HEADER];
const UDP = 17;
const MAX_TUNNELS = 8;
/** The same of a packet that was cut when it was captured, and of one that was not. */
export const CUT: SkippedPacket = { what: "which not all headers were captured: tcpdump -s 0" };
export const SHORT: SkippedPacket = { what: "fewer octets than their headers have" };
const FRAGMENTS = "IP fragments, which are not put together";

/** Returns what several numbers announce. */
function alike(layer: Layer, ...numbers: readonly number[]): Layers {
  return Object.fromEntries(numbers.map((number) => [number, layer]));
}

/** What packets start with, by link type. */
const LINK_TYPES: Layers = {
  // NULL and LOOP have the address family in one of the byte orders, which the IP version repeats.
  ...alike((place) => ip(place, 4), 0, 108),
  1: ethernet,
  ...alike(ppp, 9, 50),
  51: (place) => ppp(place, 6),
  104: (place) => byEtherType(place, 2),
  // Raw IP: as such, by older systems, IPv4 alone, IPv6 alone.
  ...alike(ip, 101, 12, 14, 228, 229),
  105: wireless,
  127: radiotap,
  // Linux cooked, versions 1 and 2.
  113: (place) => byEtherType(place, 14),
  276: (place) => byType(place, place.view.getUint16(0), 20),
  6: "Token Ring",
  7: "ARCNET",
  8: "SLIP",
  10: "FDDI",
  100: "ATM",
  107: "Frame Relay",
  117: "pflog",
  119: "IEEE 802.11 with a Prism header",
  138: "IP over FireWire",
  163: "IEEE 802.11 with an AVS header",
  ...alike("Bluetooth", 187, 201),
  ...alike("USB", 189, 220, 249),
  192: "per-packet information",
  195: "IEEE 802.15.4",
  227: "CAN",
  239: "nflog",
  253: "netlink",
};

const ETHER_TYPES: Layers = {
  ...alike(ip, 0x0800, 0x86dd),
  // Tags of virtual networks (IEEE 802.1Q, 802.1ad, and an older one).
  ...alike((place, at) => byEtherType(place, at + 2), 0x8100, 0x88a8, 0x9100),
  ...alike(mpls, 0x8847, 0x8848),
  0x8864: (place, at) => ppp(place, at + 6),
  0x880b: ppp,
  0x6558: ethernet,
  ...alike("ERSPAN tunnels", 0x22eb, 0x88be),
  0x22f3: "TRILL (RFC 6325)",
  0x4305: "B.A.T.M.A.N. tunnels",
  0x88e5: "encrypted Ethernet (MACsec, IEEE 802.1AE)",
  0x88e7: "Ethernet in Ethernet (IEEE 802.1ah)",
  0x894f: "service chains (NSH, RFC 8300)",
};

const PPP_PROTOCOLS: Layers = {
  ...alike(ip, 0x21, 0x57),
  0x0281: mpls,
  0x2d: "PPP with compressed headers",
  0x3d: "PPP multilink",
  0x53: "encrypted PPP",
  0xfd: "compressed PPP",
};

const IP_PROTOCOLS: Layers = {
  6: tcp,
  ...alike(ip, 4, 41),
  47: gre,
  97: (place, at) => ethernet(place, at + 2),
  137: mpls,
  [AUTHENTICATION_HEADER]: (place, at) => {
    const { view } = place;
    return found(IP_PROTOCOLS[view.getUint8(at)], place, at + (view.getUint8(at + 1) + 2) * 4);
  },
  [UDP]: udp,
  50: "encrypted IP (ESP, RFC 4303)",
  108: "compressed IP (IPComp, RFC 3173)",
  115: "L2TP tunnels",
};

const VXLAN_PORT = 4789;
const UDP_PORTS: Layers = {
  1701: "L2TP tunnels",
  2152: "GTP tunnels",
  3544: "Teredo tunnels",
  4500: "encrypted IP in UDP (RFC 3948)",
  4790: "VXLAN-GPE tunnels",
  6080: "GUE tunnels",
  6081: "GENEVE tunnels",
  6635: "MPLS in UDP (RFC 7510)",
  8472: "VXLAN tunnels at Linux's own port",
  51820: "WireGuard tunnels",
};

/** Returns the TCP segment in a packet of this link type, or what is left out; `undefined` if neither can be in it. */
export function segmentOf(octets: Uint8Array, linkType: number): Segment | SkippedPacket | undefined {
  const layer = LINK_TYPES[linkType] ?? "an unknown kind";
  if (typeof layer === "string") return { what: `${layer} (link type ${linkType})` };
  const view = new DataView(octets.buffer, octets.byteOffset, octets.length);
  try {
    return layer({ octets, view, left: MAX_TUNNELS, end: 0, from: "", to: "" }, 0);
  } catch (error) {
    // A header goes beyond what was captured.
    if (error instanceof RangeError) return CUT;
    throw error;
  }
}

function found(layer: Layer | undefined, place: PacketPlace, at: number): Found {
  return typeof layer === "string" ? { what: layer } : layer?.(place, at);
}

/** Returns the address and port that a segment has in network order. */
export function addressOf(endpoint: string): SocketAddress {
  const octets = Uint8Array.from(endpoint, (character) => character.charCodeAt(0));
  const port = octets.at(-2)! << 8 | octets.at(-1)!;
  const address = octets.subarray(0, -2);
  if (address.length === 4) return { hostname: address.join("."), port };
  const groups = address.toHex().match(/.{4}/g)!;
  // URL knows the canonical form (RFC 5952).
  return { hostname: new URL(`http://[${groups.join(":")}]/`).hostname.slice(1, -1), port };
}

function ethernet(place: PacketPlace, at: number): Found {
  return byEtherType(place, at + 12);
}

/** Reads what an EtherType announces, which stands right before it. */
function byEtherType(place: PacketPlace, at: number): Found {
  return byType(place, place.view.getUint16(at), at + 2);
}

function byType(place: PacketPlace, type: number, at: number): Found {
  // A length, or what Linux has in its place: LLC follows.
  return type <= 1500 ? llc(place, at) : found(ETHER_TYPES[type], place, at);
}

/** Logical link control (IEEE 802.2), alone or with SNAP (RFC 1042). */
function llc(place: PacketPlace, at: number): Found {
  const { view } = place;
  const points = view.getUint16(at);
  if (points === 0x0606) return ip(place, at + 3);
  return points === 0xaaaa && view.getUint8(at + 2) === 3 ? byEtherType(place, at + 6) : undefined;
}

/** Passes over labels (RFC 3032); the first bits of what they carry show what it is. */
function mpls(place: PacketPlace, at: number): Found {
  while ((place.view.getUint8(at + 2) & 1) === 0) at += 4;
  const first = place.view.getUint8(at + 4) >> 4;
  if (first === 4 || first === 6) return ip(place, at + 4);
  // A control word may stand before Ethernet (RFC 4385).
  return (first === 0 ? ethernet(place, at + 8) : undefined) ?? ethernet(place, at + 4);
}

/** The Point-to-Point Protocol (RFC 1661), whose address and the first octet of whose protocol may be left out. */
function ppp(place: PacketPlace, at: number): Found {
  const { view } = place;
  if (view.getUint16(at) === 0xff03) at += 2;
  const isShort = (view.getUint8(at) & 1) === 1;
  const protocol = isShort ? view.getUint8(at) : view.getUint16(at);
  return found(PPP_PROTOCOLS[protocol], place, at + (isShort ? 1 : 2));
}

/** IEEE 802.11 with radiotap: its flags say whether the header is padded. */
function radiotap(place: PacketPlace, at: number): Found {
  const { view } = place;
  let field = at + 4;
  const present = view.getUint32(field, true);
  while ((view.getUint32(field, true) & 0x80000000) !== 0) field += 4;
  field += 4;
  if ((present & 1) !== 0) field = Math.ceil((field - at) / 8) * 8 + at + 8;
  const isPadded = (present & 2) !== 0 && (view.getUint8(field) & 0x20) !== 0;
  return wireless(place, at + view.getUint16(at + 2, true), isPadded);
}

/** A frame of IEEE 802.11: data frames hold LLC, unless they are encrypted. */
function wireless(place: PacketPlace, at: number, isPadded = false): Found {
  const { view } = place;
  const [kind, flags] = [view.getUint8(at), view.getUint8(at + 1)];
  const isData = (kind & 0x0c) === 0x08 && (kind & 0x40) === 0;
  if (!isData) return undefined;
  if ((flags & 0x40) !== 0) return { what: "encrypted IEEE 802.11" };
  if ((flags & 0x04) !== 0 || (view.getUint8(at + 22) & 0x0f) !== 0) return { what: "IEEE 802.11 fragments" };
  let header = (flags & 3) === 3 ? 30 : 24;
  if ((kind & 0x80) !== 0) {
    if ((view.getUint8(at + header) & 0x80) !== 0) return { what: "aggregated IEEE 802.11 (A-MSDU)" };
    header += (flags & 0x80) === 0 ? 2 : 6;
  }
  return llc(place, at + (isPadded ? Math.ceil(header / 4) * 4 : header));
}

function ip(place: PacketPlace, at: number): Found {
  if (place.left-- === 0) return { what: `more than ${MAX_TUNNELS} packets inside one another` };
  const version = place.view.getUint8(at) >> 4;
  if (version === 4) return ipv4(place, at);
  return version === 6 ? ipv6(place, at) : undefined;
}

function ipv4(place: PacketPlace, at: number): Found {
  const { octets, view } = place;
  if (at + IPV4_HEADER_OCTETS > octets.length) return CUT;
  const headerOctets = (view.getUint8(at) & 0x0f) * 4;
  if (headerOctets < IPV4_HEADER_OCTETS) return undefined;
  // A length of 0 means that the network card splits the packet: all captured octets belong to it.
  place.end = at + (view.getUint16(at + 2) || octets.length - at);
  place.from = octetString(octets, at + 12, at + 16);
  place.to = octetString(octets, at + 16, at + 20);
  // More fragments follow, or this is not the first one.
  const isFragment = (view.getUint16(at + 6) & 0x3fff) !== 0;
  return content(place, view.getUint8(at + 9), at + headerOctets, isFragment);
}

function ipv6(place: PacketPlace, at: number): Found {
  const { octets, view } = place;
  if (at + IPV6_HEADER_OCTETS > octets.length) return CUT;
  const length = view.getUint16(at + 4);
  place.end = length === 0 ? octets.length : at + IPV6_HEADER_OCTETS + length;
  place.from = octetString(octets, at + 8, at + 24);
  place.to = octetString(octets, at + 24, at + 40);
  let next = view.getUint8(at + 6);
  let header = at + IPV6_HEADER_OCTETS;
  let isFragment = false;
  while (EXTENSIONS.includes(next) && !isFragment) {
    const units = view.getUint8(header + 1);
    // A fragment header may stand in a packet that is whole (RFC 6946).
    if (next === FRAGMENT_HEADER) isFragment = (view.getUint16(header + 2) & 0xfff9) !== 0;
    const length = next === FRAGMENT_HEADER ? 8 : next === AUTHENTICATION_HEADER ? (units + 2) * 4 : (units + 1) * 8;
    next = view.getUint8(header);
    header += length;
  }
  return content(place, next, header, isFragment);
}

function content(place: PacketPlace, protocol: number, at: number, isFragment: boolean): Found {
  const layer = IP_PROTOCOLS[protocol];
  if (!isFragment) return found(layer, place, at);
  const { from, to } = place;
  return layer === undefined || protocol === UDP ? undefined : { what: FRAGMENTS, from, to };
}

/** Generic Routing Encapsulation (RFC 2784, RFC 2890), and that of PPTP (RFC 2637). */
function gre(place: PacketPlace, at: number): Found {
  const flags = place.view.getUint16(at);
  const optional = [0x8000, 0x2000, 0x1000, ...(flags & 7) === 1 ? [0x0080] : []];
  const options = optional.filter((flag) => (flags & flag) !== 0).length;
  if ((flags & 0x4000) !== 0) return { what: "GRE tunnels with routing" };
  return byType(place, place.view.getUint16(at + 2), at + 4 + 4 * options);
}

function udp(place: PacketPlace, at: number): Found {
  const [from, to] = [place.view.getUint16(at), place.view.getUint16(at + 2)];
  // VXLAN (RFC 7348).
  if (to === VXLAN_PORT) return place.left-- === 0 ? undefined : ethernet(place, at + 16);
  return found(UDP_PORTS[to] ?? UDP_PORTS[from], place, at);
}

function tcp(place: PacketPlace, at: number): Found {
  const { octets, view, end } = place;
  if (at + TCP_HEADER_OCTETS > Math.min(end, octets.length)) return CUT;
  const headerOctets = (view.getUint8(at + 12) >> 4) * 4;
  const start = at + headerOctets;
  if (headerOctets < TCP_HEADER_OCTETS || start > end) return undefined;
  const flags = view.getUint8(at + 13);
  return {
    from: place.from + octetString(octets, at, at + 2),
    to: place.to + octetString(octets, at + 2, at + 4),
    sequence: view.getUint32(at + 4),
    acknowledged: view.getUint32(at + 8),
    flags,
    window: view.getUint16(at + 14),
    ...(flags & SYN) !== 0 && synOptions(octets.subarray(at + TCP_HEADER_OCTETS, start)),
    payload: octets.subarray(start, Math.max(start, Math.min(end, octets.length))),
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
