/** Builds captures as other programs write them: any byte order, link type, unit of time, and order of segments. */

import { ACK, FIN, RST, SYN } from "../../lib/traffic/capture/link_layers.ts";
import { packetOf } from "../../lib/traffic/capture/writer.ts";
import { type Packet, PacketFile } from "../../lib/traffic/capture/packet_file.ts";
import type { SocketAddress } from "../../lib/traffic.ts";
import type { CaptureEvent } from "../../lib/traffic/capture/reader.ts";
import { CaptureReader, type CaptureReaderOptions } from "../../lib/traffic/capture/reader.ts";
import { octetString, wireOctets } from "../wire_cases.ts";

export const CLIENT: SocketAddress = { hostname: "127.0.0.1", port: 40_000 };
export const SERVER: SocketAddress = { hostname: "127.0.0.1", port: 9999 };

/** An option of a block. */
export type Option = readonly [code: number, value: readonly number[]];

/** Builds blocks in one byte order. */
export class Blocks {
  readonly #little: boolean;

  constructor(littleEndian = true) {
    this.#little = littleEndian;
  }

  /** Returns a block with 32-bit words, then octets, then options. */
  block(type: number, words: readonly number[], octets: Uint8Array = new Uint8Array(0), options: Option[] = []) {
    const padded = Math.ceil(octets.length / 4) * 4;
    const optionBytes = options.reduce((sum, [, value]) => sum + 4 + Math.ceil(value.length / 4) * 4, 0);
    const length = 12 + 4 * words.length + padded + (options.length > 0 ? optionBytes + 4 : 0);
    const view = new DataView(new ArrayBuffer(length));
    view.setUint32(0, type, this.#little);
    view.setUint32(4, length, this.#little);
    words.forEach((word, i) => view.setUint32(8 + 4 * i, word >>> 0, this.#little));
    let at = 8 + 4 * words.length;
    const bytes = new Uint8Array(view.buffer);
    bytes.set(octets, at);
    at += padded;
    for (const [code, value] of options) {
      view.setUint16(at, code, this.#little);
      view.setUint16(at + 2, value.length, this.#little);
      bytes.set(value, at + 4);
      at += 4 + Math.ceil(value.length / 4) * 4;
    }
    view.setUint32(length - 4, length, this.#little);
    return bytes;
  }

  section(): Uint8Array {
    const version = this.#little ? 1 : 0x10000;
    return this.block(0x0a0d0d0a, [0x1a2b3c4d, version, -1, -1]);
  }

  interface(linkType: number, options: Option[] = [], snapLength = 0): Uint8Array {
    return this.block(1, [this.#little ? linkType : linkType << 16, snapLength], undefined, options);
  }

  /** Returns an enhanced packet block. */
  packet(octets: Uint8Array, { time = 0n, from = 0, options = [] as Option[], sent = octets.length } = {}): Uint8Array {
    const words = [from, Number(time >> 32n), Number(time & 0xffffffffn), octets.length, sent];
    return this.block(6, words, octets, options);
  }
}

/** What a test says of a segment; the rest is usual. */
export interface SegmentSpec {
  /** Who sends it, the client by default. */
  readonly by?: "client" | "server";
  readonly sequence: number;
  readonly acknowledged?: number;
  readonly flags?: number;
  readonly octets?: string;
  /** Milliseconds since the capture's start; by default its place in the capture. */
  readonly time?: number;
  readonly client?: SocketAddress;
  readonly server?: SocketAddress;
}

/** Returns an IP packet with a segment. */
export function ipPacket(spec: SegmentSpec): Uint8Array {
  const { by = "client", sequence, acknowledged = 0, flags = ACK, octets = "" } = spec;
  const { client = CLIENT, server = SERVER } = spec;
  const [from, to] = by === "client" ? [client, server] : [server, client];
  return packetOf({ from, to, sequence, acknowledged, flags }, wireOctets(octets));
}

/** Segments of a handshake, after which the client's first octet is `1 + start`, and the server's 501. */
export function handshake(start = 0, ends: Pick<SegmentSpec, "client" | "server"> = {}): SegmentSpec[] {
  return [
    { ...ends, sequence: start, flags: SYN },
    { ...ends, by: "server", sequence: 500, acknowledged: start + 1, flags: SYN | ACK },
    { ...ends, sequence: start + 1, acknowledged: 501 },
  ];
}

/** Returns a capture of raw IP packets, a millisecond apart unless a segment has its time. */
export function capture(segments: readonly SegmentSpec[]): Uint8Array {
  const blocks = new Blocks();
  return joined([
    blocks.section(),
    blocks.interface(101),
    ...segments.map((segment, i) => blocks.packet(ipPacket(segment), { time: BigInt(segment.time ?? i) * 1000n })),
  ]);
}

/** How a classic pcap file is written. */
export interface PcapOptions {
  readonly littleEndian?: boolean;
  readonly nanoseconds?: boolean;
  readonly linkType?: number;
  /** The most octets that are captured of a packet. */
  readonly snapLength?: number;
  /** Milliseconds from the first packet to each; by default one after the other. */
  readonly times?: readonly number[];
}

/** When the first packet of a classic capture was captured, in seconds since 1970. */
export const PCAP_START = 1_577_836_800;

/** Returns a classic pcap file of packets. */
export function pcap(packets: readonly Uint8Array[], options: PcapOptions = {}): Uint8Array {
  const { littleEndian = true, nanoseconds = false, linkType = 101, snapLength = 262_144, times } = options;
  const words = (values: readonly number[]) => {
    const view = new DataView(new ArrayBuffer(4 * values.length));
    values.forEach((value, i) => view.setUint32(4 * i, value, littleEndian));
    return new Uint8Array(view.buffer);
  };
  const version = littleEndian ? 4 << 16 | 2 : 2 << 16 | 4;
  const unit = nanoseconds ? 1_000_000 : 1000;
  return joined([
    words([nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4, version, 0, 0, snapLength, linkType]),
    ...packets.flatMap((packet, i) => {
      const time = times?.[i] ?? i;
      const captured = packet.subarray(0, snapLength);
      const seconds = PCAP_START + Math.floor(time / 1000);
      return [words([seconds, Math.round(time % 1000 * unit), captured.length, packet.length]), captured];
    }),
  ]);
}

/** Joins octets. */
export function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** Keeps the packets of a file, with their octets as copies. */
class KeptPackets extends PacketFile {
  readonly kept: Packet[] = [];

  protected override packet(packet: Packet): void {
    this.kept.push({ ...packet, bytes: packet.bytes.slice() });
  }
}

/** Returns the packets of a file that is read in pieces of a size. */
export function packetsOf(file: Uint8Array, pieces = file.length): { packets: Packet[]; reader: PacketFile } {
  const reader = new KeptPackets();
  for (let at = 0; at < file.length; at += pieces) reader.receive(file.subarray(at, at + pieces).slice());
  return { packets: reader.kept, reader };
}

/** Reads a capture in pieces of a size. The events have their octets as copies. */
export function readCapture(file: Uint8Array, options: CaptureReaderOptions & { pieces?: number } = {}) {
  const events: CaptureEvent[] = [];
  const reader = new CaptureReader((event) => {
    events.push("bytes" in event ? { ...event, bytes: event.bytes.slice() } : event);
  }, options);
  const { pieces = 64 * 1024 } = options;
  // One buffer for all pieces, as that of a file.
  const buffer = new Uint8Array(pieces);
  for (let at = 0; at < file.length; at += pieces) {
    const piece = file.subarray(at, at + pieces);
    buffer.set(piece);
    reader.receive(buffer.subarray(0, piece.length));
  }
  const notes = reader.end();
  const { connections, afterResets } = reader;
  return { events, notes, connections, afterResets: [...afterResets] };
}

/** Returns events in short: `1 > GET` for a client's octets, `<` for the server's, and what else happens. */
export function inShort(events: readonly CaptureEvent[]): string[] {
  return events.map((event) => `${event.connection} ${shortened(event)}`);
}

function shortened(event: CaptureEvent): string {
  switch (event.kind) {
    case "opened":
      return `opened by ${event.remote.port} to ${event.local.port}${
        event.startCaptured ? "" : ", start not captured"
      }`;
    case "read":
      return `> ${octetString(event.bytes)}`;
    case "write":
      return `< ${octetString(event.bytes)}`;
    case "missing":
      return `${event.octets} of the ${event.by} ${event.why}`;
    case "fin":
      return `FIN ${event.by}`;
    case "closed":
      return `closed ${event.reason}`;
  }
}

/** Takes a segment of each talk in turn, as of connections at the same time. */
export function interleaved(...talks: SegmentSpec[][]): SegmentSpec[] {
  const longest = Math.max(...talks.map(({ length }) => length));
  return Array.from({ length: longest }, (_, i) => talks.flatMap((segments) => segments.slice(i, i + 1))).flat();
}

/** What one side sends: octets after `> ` (the client's) or `< ` (the server's), `FIN` or `RST`. `>x`: not captured. */
export type Turn = `${"<" | ">"}${" " | "x "}${string}`;

/** Returns the segments of a connection whose sides take turns, each acknowledging what it has seen. */
export function talk(turns: readonly Turn[], clientPort = CLIENT.port): SegmentSpec[] {
  const ends = { client: { ...CLIENT, port: clientPort } };
  const next = { client: 1, server: 501 };
  const segments = handshake(0, ends);
  for (const turn of turns) {
    const [, arrow, lost, what] = /^([<>])(x?) (.*)$/s.exec(turn)!;
    const [by, other] = arrow === ">" ? ["client", "server"] as const : ["server", "client"] as const;
    const flags = ACK | (what === "FIN" ? FIN : what === "RST" ? RST : 0);
    const octets = flags === ACK ? what : "";
    const segment = { ...ends, by, sequence: next[by], acknowledged: next[other], flags, octets };
    if (lost === "") segments.push(segment);
    next[by] += octets.length + (what === "FIN" ? 1 : 0);
  }
  return segments;
}
