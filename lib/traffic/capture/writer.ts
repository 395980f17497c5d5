/**
 * A capture of a tap's events, as pcapng (draft-ietf-opsawg-pcapng): the packets that a network would have carried, and
 * what each of them is.
 *
 * Data packets are reads and writes as they were. What only the kernel sees, such as the handshake and acknowledgments, is
 * made up, so that Wireshark understands the rest, and says so.
 */

import { withoutMapping, withoutZone } from "../../address.ts";
import { ByteBuffer, counted, NO_BYTES } from "../../bytes.ts";
import type { End, SocketAddress, TrafficEvent } from "../../traffic.ts";
import { otherEnd } from "./capture_events.ts";
import { ACK, FIN, IPV4_HEADER_OCTETS, IPV6_HEADER_OCTETS, PSH, RST, SYN, TCP_HEADER_OCTETS } from "./link_layers.ts";
import {
  BYTE_ORDER_MAGIC,
  ENHANCED_PACKET,
  INTERFACE_DESCRIPTION,
  OPTION_COMMENT,
  padTo4,
  SECTION_HEADER,
} from "./packet_file.ts";

const OPTION_INTERFACE_NAME = 2;
const OPTION_USER_APPLICATION = 4;
/** The kind of packets that start with their IP header. */
const LINKTYPE_RAW = 101;
/** The most octets that one packet here carries: an IPv4 packet has 65,535 with both headers. */
export const MAX_SEGMENT_OCTETS: number = 65_495;
const TCP = 6;
const HOP_LIMIT = 64;
const WINDOW = 65_535;
const MSS_OPTION_OCTETS = 4;
const ENCODER = new TextEncoder();
const MADE_UP = "made up: only the kernel sees it";

/** The blocks that a recording starts with: a section, and its interfaces, by name, with times in microseconds. */
export function recordingStart(program: string, interfaces: readonly string[] = [""]): Uint8Array {
  const blocks = new ByteBuffer(256);
  const section = new DataView(new ArrayBuffer(16));
  section.setUint32(0, BYTE_ORDER_MAGIC, true);
  section.setUint16(4, 1, true);
  // The section's length is not known.
  section.setBigInt64(8, -1n, true);
  blocks.append(block(SECTION_HEADER, section, NO_BYTES, OPTION_USER_APPLICATION, program));
  for (const name of interfaces) {
    const description = new DataView(new ArrayBuffer(8));
    description.setUint16(0, LINKTYPE_RAW, true);
    blocks.append(block(INTERFACE_DESCRIPTION, description, NO_BYTES, OPTION_INTERFACE_NAME, name));
  }
  return blocks.view();
}

/** A block with a packet of an interface, and its time in microseconds since 1970. */
export function packetBlock(time: number, packet: Uint8Array, comment: string, from: number): Uint8Array {
  const header = new DataView(new ArrayBuffer(20));
  header.setUint32(0, from, true);
  header.setUint32(4, Math.floor(time / 2 ** 32), true);
  header.setUint32(8, time % 2 ** 32, true);
  header.setUint32(12, packet.length, true);
  header.setUint32(16, packet.length, true);
  return block(ENHANCED_PACKET, header, packet, OPTION_COMMENT, comment);
}

/** A block with a header, octets, and text as its only option, unless that is empty. */
function block(type: number, header: DataView, octets: Uint8Array, option: number, text: string): Uint8Array {
  const value = ENCODER.encode(text);
  const at = 8 + header.byteLength + padTo4(octets.length);
  // Zeros end the list of options.
  const optionBytes = value.length === 0 ? 0 : 4 + padTo4(value.length) + 4;
  const bytes = new Uint8Array(at + optionBytes + 4);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, bytes.length, true);
  bytes.set(new Uint8Array(header.buffer), 8);
  bytes.set(octets, 8 + header.byteLength);
  if (value.length > 0) {
    view.setUint16(at, option, true);
    view.setUint16(at + 2, value.length, true);
    bytes.set(value, at + 4);
  }
  view.setUint32(bytes.length - 4, bytes.length, true);
  return bytes;
}

interface SegmentHeader {
  readonly from: SocketAddress;
  readonly to: SocketAddress;
  readonly sequence: number;
  /** The next sequence number that its sender expects. */
  readonly acknowledged: number;
  readonly flags: number;
}

/** An IP packet with a TCP segment, as a network would carry it (RFC 791, RFC 8200, RFC 9293). */
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

interface Recorded {
  readonly from: number;
  readonly client: SocketAddress;
  readonly server: SocketAddress;
  readonly next: Record<End, number>;
  reads: number;
  writes: number;
}

export class CaptureWriter {
  readonly #interfaces: readonly string[];
  readonly #connections = new Map<string, Recorded>();

  /** Passes blocks on, with an interface for each end if they are named. */
  constructor(
    private readonly write: (block: Uint8Array) => void,
    interfaces: Readonly<Partial<Record<End, string>>> = {},
    /** The microseconds from 1970 to the program's start. */
    private readonly origin: number = performance.timeOrigin * 1000,
  ) {
    this.#interfaces = Object.keys(interfaces);
  }

  receive(event: TrafficEvent): void {
    const key = `${event.end} ${event.connection}`;
    if (event.kind === "opened") this.#open(key, event);
    const connection = this.#connections.get(key);
    if (connection === undefined) return;
    const other = otherEnd(event.end);
    switch (event.kind) {
      case "read":
        return this.#data(event.time, connection, other, event.bytes, `read ${++connection.reads}`);
      case "write":
        return this.#data(event.time, connection, event.end, event.bytes, `write ${++connection.writes}`);
      case "fin":
        this.#packet(event.time, connection, event.by, FIN | ACK, `FIN by the ${event.by}`);
        return this.#packet(event.time, connection, otherEnd(event.by), ACK, MADE_UP);
      case "closed":
        if (event.isReset) this.#packet(event.time, connection, other, RST | ACK, `reset by the ${other}`);
        this.#connections.delete(key);
    }
  }

  #open(key: string, { time, end, local, remote, secure }: TrafficEvent & { kind: "opened" }): void {
    const [client, server] = (end === "client" ? [local, remote] : [remote, local]).map(withoutMapping);
    // A clock with a tick of 4 µs gives the first sequence number (RFC 9293 §3.4.1): a later connection between the same
    // ports would otherwise look like a repetition of this one.
    const first = Math.floor(time / 4) % 2 ** 32;
    const from = Math.max(0, this.#interfaces.indexOf(end));
    const connection = { from, client, server, next: { client: first, server: first }, reads: 0, writes: 0 };
    this.#connections.set(key, connection);
    const hop = end === "client" && this.#interfaces.length > 1 ? "; from a relay to its server" : "";
    const what = `${MADE_UP}${hop}${secure ? "; what follows was encrypted by TLS" : ""}`;
    this.#packet(time, connection, "client", SYN, what);
    this.#packet(time, connection, "server", SYN | ACK, MADE_UP);
    this.#packet(time, connection, "client", ACK, MADE_UP);
  }

  /** A read or a write, in as many packets as it takes, and their acknowledgment. */
  #data(time: number, connection: Recorded, from: End, octets: Uint8Array, what: string): void {
    for (let at = 0; at < octets.length; at += MAX_SEGMENT_OCTETS) {
      const part = octets.subarray(at, at + MAX_SEGMENT_OCTETS);
      const more = octets.length > MAX_SEGMENT_OCTETS ? `, from octet ${at} on` : "";
      this.#packet(time, connection, from, PSH | ACK, `${what}: ${counted(octets.length, "octet")}${more}`, part);
    }
    this.#packet(time, connection, otherEnd(from), ACK, MADE_UP);
  }

  /** Counts a packet whether there is room for it or not: what is left out shows as a gap in sequence numbers. */
  #packet(time: number, recorded: Recorded, by: End, flags: number, what: string, octets: Uint8Array = NO_BYTES): void {
    const { from: number, client, server, next } = recorded;
    const [from, to] = by === "client" ? [client, server] : [server, client];
    const acknowledged = (flags & ACK) === 0 ? 0 : next[otherEnd(by)];
    const header = { from, to, sequence: next[by], acknowledged, flags };
    next[by] = (next[by] + octets.length + ((flags & (SYN | FIN)) === 0 ? 0 : 1)) % 2 ** 32;
    this.write(packetBlock(this.origin + time, packetOf(header, octets), what, number));
  }
}
