/**
 * A capture of a tap's events, as pcapng (draft-ietf-opsawg-pcapng): the packets that a network would have carried, and
 * what each of them is.
 *
 * Data packets are reads and writes as they were. What only the kernel sees, such as the handshake and acknowledgments, is
 * made up, so that Wireshark understands the rest, and says so.
 */

import { withoutMapping } from "../../address.ts";
import { ByteBuffer, counted, NO_BYTES } from "../../bytes.ts";
import type { End, SocketAddress, TrafficEvent } from "../../traffic.ts";
import { otherEnd } from "./capture_events.ts";
import { ACK, FIN, MAX_SEGMENT_OCTETS, packetOf, PSH, RST, SYN } from "./packets.ts";
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
        if (event.reason === "reset") this.#packet(event.time, connection, other, RST | ACK, `reset by the ${other}`);
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
