/** Files of packets: how their format is recognised, what all readers of them share, and classic pcap. */

import { ByteBuffer } from "../../bytes.ts";
import { EXPLAIN_READ_BYTES, MAX_CAPTURED_PACKET_OCTETS } from "../../limits.ts";

export interface Packet {
  /** Its number in the file, starting from 1: Wireshark's `frame.number`. */
  readonly number: number;
  /** The time in microseconds since the file's first packet; negative if the packet is older. */
  readonly time: number;
  readonly linkType: number;
  /** The captured octets, valid during the call. */
  readonly bytes: Uint8Array;
  /** At how many octets it was cut when it was captured, if so. */
  readonly cut?: number;
  /** The beginning of its comment; empty without one. */
  readonly comment: string;
}

/** A file that is not a valid capture, from some octet on. The message is the rest of a line for the user. */
export class CaptureError extends Error {}

/** How many of a file's first octets show its format. */
export const FORMAT_BYTES = 8;

/** The four magic numbers of classic pcap: microseconds and nanoseconds, in both byte orders. */
const PCAP_MAGICS: readonly string[] = ["a1b2c3d4", "d4c3b2a1", "a1b23c4d", "4d3cb2a1"];

/** Formats that are not read, by their first octets, and the command that converts them to one that is. */
const OTHER_FORMATS: readonly [start: string, name: string, tool: string][] = [
  ["736e6f6f70000000", "a snoop capture (RFC 1761)", "tshark"],
  ["a1b2cd34", "a modified pcap capture", "tshark"],
  ["34cdb2a1", "a modified pcap capture", "tshark"],
  ["a1e2cb12", "a modified pcap capture", "tshark"],
  ["12cbe2a1", "a modified pcap capture", "tshark"],
  ["52545353", "a Network Monitor 1 capture", "tshark"],
  ["474d4255", "a Network Monitor 2 capture", "tshark"],
  ["5452534e49464620", "a Sniffer capture", "tshark"],
  ["58435000", "a Sniffer (NetXRay) capture", "tshark"],
  ["6970747261636520", "an iptrace capture", "tshark"],
  ["fd377a585a00", "compressed by xz", "xz -dk"],
  ["28b52ffd", "compressed by zstd", "zstd -d"],
  ["425a68", "compressed by bzip2", "bzip2 -dk"],
  ["04224d18", "compressed by lz4", "lz4 -d"],
  ["504b0304", "a zip archive", "unzip"],
  ["377abcaf271c", "a 7z archive", "7z x"],
];

/** Returns the format by a file's first octets; `undefined` if it is not a capture that can be read. */
export function captureFormatOf(start: Uint8Array): "pcapng" | "pcap" | undefined {
  const magic = start.subarray(0, 4).toHex();
  if (magic === "0a0d0d0a") return "pcapng";
  return PCAP_MAGICS.includes(magic) ? "pcap" : undefined;
}

/** Returns the name of a format that is not read, and the command that converts it to one that is. */
export function otherFormatOf(start: Uint8Array): { readonly name: string; readonly tool: string } | undefined {
  const octets = start.toHex();
  const [, name, tool] = OTHER_FORMATS.find(([magic]) => octets.startsWith(magic)) ?? [];
  return name === undefined ? undefined : { name, tool: tool! };
}

/** Receives the bytes of a file in pieces, and emits its packets. Memory is bounded by the largest packet. */
export abstract class PacketFile {
  readonly #rest = new ByteBuffer(EXPLAIN_READ_BYTES);
  #skipped = 0;
  #position = 0;
  packets = 0;
  /** How many of them were skipped because they exceed the limit. */
  tooLarge = 0;
  /** When the first packet was captured, in microseconds since 1970; `undefined` as long as no packet has a time. */
  start: number | undefined;

  constructor(private readonly listener: (packet: Packet) => void) {}

  /** Whether the file, if it ended here, would be cut off in the middle of a block. */
  get cutOff(): boolean {
    return this.#rest.length > 0 || this.#skipped > 0;
  }

  receive(bytes: Uint8Array): void {
    const skipped = Math.min(this.#skipped, bytes.length);
    this.#rest.append(bytes.subarray(skipped));
    const data = this.#rest.view();
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    let at = 0;
    for (let length = this.block(data, view, at); length > 0; length = this.block(data, view, at)) {
      this.#position += length;
      at += length;
    }
    this.#rest.bytes.copyWithin(0, at, data.length);
    this.#rest.length = Math.max(0, data.length - at);
    this.#skipped += Math.max(0, at - data.length) - skipped;
  }

  /** Reads the block at an offset. Returns its length, beyond the data if it is skipped; 0 if more bytes are needed. */
  protected abstract block(data: Uint8Array, view: DataView, at: number): number;

  /** Emits a packet that had `sent` octets. */
  protected give(time: number, linkType: number, bytes: Uint8Array, sent: number, comment = ""): void {
    const cut = sent > bytes.length && { cut: bytes.length };
    this.listener({ number: ++this.packets, time, linkType, bytes, ...cut, comment });
  }

  protected skipPacket(): void {
    this.packets++;
    this.tooLarge++;
  }

  protected fail(what: string, format = "pcapng"): never {
    this.#rest.clear(0);
    this.#skipped = 0;
    throw new CaptureError(`no valid ${format} at octet ${this.#position}: ${what}`);
  }
}

const FILE_HEADER_BYTES = 24;
const PACKET_HEADER_BYTES = 16;
/** The bits of the last header field that are the link type; the others describe a frame check sequence. */
const LINK_TYPE_BITS = 0xffff;

/** Reads classic pcap files, in either byte order and unit of time (draft-ietf-opsawg-pcap). */
export class PcapFile extends PacketFile {
  #littleEndian: boolean | undefined;
  #linkType = 0;
  /** Ticks of the times' fractions in a microsecond. */
  #ticks = 1;
  /** The seconds and the fraction of the first packet's time. */
  #first: readonly [seconds: number, fraction: number] | undefined;

  protected override block(data: Uint8Array, view: DataView, at: number): number {
    if (this.#littleEndian === undefined) return this.#header(view, at);
    const start = at + PACKET_HEADER_BYTES;
    if (start > data.length) return 0;
    const little = this.#littleEndian;
    const captured = view.getUint32(at + 8, little);
    if (captured > MAX_CAPTURED_PACKET_OCTETS) {
      this.skipPacket();
      return PACKET_HEADER_BYTES + captured;
    }
    if (start + captured > data.length) return 0;
    const [seconds, fraction] = [view.getUint32(at, little), view.getUint32(at + 4, little)];
    this.#first ??= [seconds, fraction];
    this.start ??= seconds * 1e6 + fraction / this.#ticks;
    const time = (seconds - this.#first[0]) * 1e6 + (fraction - this.#first[1]) / this.#ticks;
    this.give(time, this.#linkType, data.subarray(start, start + captured), view.getUint32(at + 12, little));
    return PACKET_HEADER_BYTES + captured;
  }

  #header(view: DataView, at: number): number {
    if (view.byteLength - at < FILE_HEADER_BYTES) return 0;
    const little = this.#littleEndian = [0xd4, 0x4d].includes(view.getUint8(at));
    if (view.getUint32(at, little) === 0xa1b23c4d) this.#ticks = 1000;
    const major = view.getUint16(at + 4, little);
    if (major !== 2) this.fail(`the version is 2, saw ${major}`, "pcap");
    this.#linkType = view.getUint32(at + 20, little) & LINK_TYPE_BITS;
    return FILE_HEADER_BYTES;
  }
}
