/** Reads files of packets: pcapng and classic pcap (draft-ietf-opsawg-pcapng, draft-ietf-opsawg-pcap). */

import { ByteBuffer, octetString } from "../../bytes.ts";
import { EXPLAIN_READ_BYTES, MAX_CAPTURE_INTERFACES, MAX_CAPTURED_PACKET_OCTETS } from "../../limits.ts";

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

/** The four magic numbers of classic pcap: microseconds and nanoseconds, in both byte orders. */
const PCAP_MAGICS: readonly string[] = ["a1b2c3d4", "d4c3b2a1", "a1b23c4d", "4d3cb2a1"];

/** Formats that are not read: the command that converts them to one that is, and their first octets. */
const OTHER_FORMATS: readonly [name: string, tool: string, ...starts: string[]][] = [
  ["a snoop capture (RFC 1761)", "tshark", "736e6f6f70000000"],
  ["a modified pcap capture", "tshark", "a1b2cd34", "34cdb2a1", "a1e2cb12", "12cbe2a1"],
  ["a Network Monitor 1 capture", "tshark", "52545353"],
  ["a Network Monitor 2 capture", "tshark", "474d4255"],
  ["a Sniffer capture", "tshark", "5452534e49464620"],
  ["a Sniffer (NetXRay) capture", "tshark", "58435000"],
  ["an iptrace capture", "tshark", "6970747261636520"],
  ["compressed by xz", "xz -dk", "fd377a585a00"],
  ["compressed by zstd", "zstd -d", "28b52ffd"],
  ["compressed by bzip2", "bzip2 -dk", "425a68"],
  ["compressed by lz4", "lz4 -d", "04224d18"],
  ["a zip archive", "unzip", "504b0304"],
  ["a 7z archive", "7z x", "377abcaf271c"],
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
  const found = OTHER_FORMATS.find(([, , ...starts]) => starts.some((start) => octets.startsWith(start)));
  return found && { name: found[0], tool: found[1] };
}

/** Bytes of a pcapng block around its body: its type and its length, twice. No block is shorter, of either format. */
const BLOCK_FRAME_BYTES = 12;

/** Receives the bytes of a file in pieces, and emits its packets. Memory is bounded by the largest packet. */
export abstract class PacketFile {
  readonly #rest = new ByteBuffer(EXPLAIN_READ_BYTES);
  #skipped = 0;
  #position = 0;
  /** The reader of its format, once its first octets have shown which. */
  #blocks: PcapBlocks | PcapngBlocks | undefined;
  packets = 0;
  /** How many of them were skipped because they exceed the limit. */
  tooLarge = 0;
  /** When the first packet was captured, in microseconds since 1970; `undefined` as long as no packet has a time. */
  start: number | undefined;

  /** Whether the file, if it ended here, would be cut off in the middle of a block. */
  get cutOff(): boolean {
    return this.#rest.length > 0 || this.#skipped > 0;
  }

  /** @throws {CaptureError} If the bytes are no valid pcapng or pcap. */
  receive(bytes: Uint8Array): void {
    const skipped = Math.min(this.#skipped, bytes.length);
    this.#rest.append(bytes.subarray(skipped));
    const data = this.#rest.view();
    let at = 0;
    while (data.length - at >= BLOCK_FRAME_BYTES) {
      this.#blocks ??= captureFormatOf(data) === "pcap" ? new PcapBlocks(this) : new PcapngBlocks(this);
      const length = this.#blocks.read(new DataView(data.buffer, at, data.length - at));
      if (length === 0) break;
      this.#position += length;
      at += length;
    }
    this.#rest.bytes.copyWithin(0, at, data.length);
    this.#rest.length = Math.max(0, data.length - at);
    this.#skipped += Math.max(0, at - data.length) - skipped;
  }

  protected abstract packet(packet: Packet): void;

  /** Emits a packet that had `sent` octets. */
  give(time: number, linkType: number, bytes: Uint8Array, sent: number, comment = ""): void {
    const cut = sent > bytes.length && { cut: bytes.length };
    this.packet({ number: ++this.packets, time, linkType, bytes, ...cut, comment });
  }

  skipPacket(): void {
    this.packets++;
    this.tooLarge++;
  }

  fail(what: string, format = "pcapng"): never {
    this.#rest.clear(0);
    this.#skipped = 0;
    throw new CaptureError(`no valid ${format} at octet ${this.#position}: ${what}`);
  }
}

const FILE_HEADER_BYTES = 24;
const PACKET_HEADER_BYTES = 16;
/** The bits of the last header field that are the link type; the others describe a frame check sequence. */
const LINK_TYPE_BITS = 0xffff;

/** Classic pcap, in either byte order and unit of time. */
class PcapBlocks {
  #little: boolean | undefined;
  #linkType = 0;
  /** Ticks of the times' fractions in a microsecond. */
  #ticks = 1;
  /** The seconds and the fraction of the first packet's time. */
  #first: readonly [seconds: number, fraction: number] | undefined;

  constructor(private readonly file: PacketFile) {}

  /** Reads the block that starts here. Returns its length, beyond the data if it is skipped; 0 if more is needed. */
  read(view: DataView<ArrayBuffer>): number {
    const little = this.#little;
    if (little === undefined) return this.#header(view);
    if (view.byteLength < PACKET_HEADER_BYTES) return 0;
    const [seconds, fraction, captured, sent] = [0, 4, 8, 12].map((at) => view.getUint32(at, little));
    const length = PACKET_HEADER_BYTES + captured;
    if (captured > MAX_CAPTURED_PACKET_OCTETS) {
      this.file.skipPacket();
      return length;
    }
    if (view.byteLength < length) return 0;
    this.#first ??= [seconds, fraction];
    this.file.start ??= seconds * 1e6 + fraction / this.#ticks;
    const time = (seconds - this.#first[0]) * 1e6 + (fraction - this.#first[1]) / this.#ticks;
    const bytes = new Uint8Array(view.buffer, view.byteOffset + PACKET_HEADER_BYTES, captured);
    this.file.give(time, this.#linkType, bytes, sent);
    return length;
  }

  #header(view: DataView): number {
    if (view.byteLength < FILE_HEADER_BYTES) return 0;
    const little = this.#little = [0xd4, 0x4d].includes(view.getUint8(0));
    if (view.getUint32(0, little) === 0xa1b23c4d) this.#ticks = 1000;
    const major = view.getUint16(4, little);
    if (major !== 2) this.file.fail(`the version is 2, saw ${major}`, "pcap");
    this.#linkType = view.getUint32(20, little) & LINK_TYPE_BITS;
    return FILE_HEADER_BYTES;
  }
}

/** Starts a section: all blocks up to the next one have its byte order. */
export const SECTION_HEADER = 0x0a0d0d0a;
/** Describes an interface: the kind of its packets, and the unit of their times. */
export const INTERFACE_DESCRIPTION = 0x00000001;
/** A packet of an interface, with its time. */
export const ENHANCED_PACKET = 0x00000006;
const SIMPLE_PACKET = 0x00000003;
/** The obsolete block of a packet, with a time and a 16-bit interface. */
const OLD_PACKET = 0x00000002;
const PACKET_BLOCKS: readonly number[] = [ENHANCED_PACKET, SIMPLE_PACKET, OLD_PACKET];
/** What a section header says so that its reader knows the byte order. */
export const BYTE_ORDER_MAGIC = 0x1a2b3c4d;

/** Option codes. The same number means another thing in another block. */
export const OPTION_COMMENT = 1;
const OPTION_TIME_RESOLUTION = 9;
const OPTION_TIME_OFFSET = 14;

/** Blocks with a packet may have options of this size besides it. */
const MAX_BLOCK_BYTES = MAX_CAPTURED_PACKET_OCTETS + 64 * 1024;
/** Octets of a packet's comment that are read. */
const MAX_COMMENT_BYTES = 256;
const NANOSECONDS = 1_000_000_000n;

interface Interface {
  readonly linkType: number;
  readonly snapLength: number;
  readonly ticksPerSecond: bigint;
  /** Nanoseconds to add to its times. */
  readonly offset: bigint;
}

/** Pcapng, in either byte order. */
class PcapngBlocks {
  /** The byte order of the section; `undefined` before the first one. */
  #little: boolean | undefined;
  #interfaces: Interface[] = [];
  #origin: bigint | undefined;
  #lastTime = 0;

  constructor(private readonly file: PacketFile) {}

  read(view: DataView<ArrayBuffer>): number {
    const isSection = view.getUint32(0) === SECTION_HEADER;
    if (isSection) this.#little = view.getUint32(8, true) === BYTE_ORDER_MAGIC;
    const little = this.#little;
    if (little === undefined) this.file.fail("a pcapng file starts with a section header");
    if (isSection && view.getUint32(8, little) !== BYTE_ORDER_MAGIC) {
      this.file.fail("a section header has no byte-order magic");
    }
    const type = isSection ? SECTION_HEADER : view.getUint32(0, little);
    const length = view.getUint32(4, little);
    if (length < BLOCK_FRAME_BYTES || length % 4 !== 0) {
      this.file.fail(`a block's length is a multiple of 4, at least ${BLOCK_FRAME_BYTES}, saw ${length}`);
    }
    const isPacket = PACKET_BLOCKS.includes(type);
    if (!isSection && !isPacket && type !== INTERFACE_DESCRIPTION) return length;
    if (length > MAX_BLOCK_BYTES) {
      if (!isPacket) this.file.fail(`a header has ${length} octets`);
      this.file.skipPacket();
      return length;
    }
    if (view.byteLength < length) return 0;
    if (view.getUint32(length - 4, little) !== length) this.file.fail("a block's two lengths differ");
    const body = new DataView(view.buffer, view.byteOffset + 8, length - BLOCK_FRAME_BYTES);
    if (isSection) this.#section(body);
    else if (isPacket) this.#packet(type, body);
    else this.#interfaces.push(this.#interface(body));
    return length;
  }

  #section(body: DataView<ArrayBuffer>): void {
    if (body.byteLength < 16) this.file.fail("a section header is too short");
    const major = body.getUint16(4, this.#little);
    if (major !== 1) this.file.fail(`the version is 1, saw ${major}`);
    this.#interfaces = [];
  }

  #interface(body: DataView<ArrayBuffer>): Interface {
    if (body.byteLength < 8) this.file.fail("an interface description is too short");
    if (this.#interfaces.length >= MAX_CAPTURE_INTERFACES) {
      this.file.fail(`a section has at most ${MAX_CAPTURE_INTERFACES} interfaces here`);
    }
    const little = this.#little;
    // Microseconds, unless an option says otherwise.
    let resolution = 6;
    let offset = 0n;
    for (const [code, at, length] of options(body, 8, little)) {
      if (code === OPTION_TIME_RESOLUTION && length >= 1) resolution = body.getUint8(at);
      if (code === OPTION_TIME_OFFSET && length >= 8) offset = body.getBigInt64(at, little) * NANOSECONDS;
    }
    // The highest bit distinguishes a power of two from one of ten.
    const ticksPerSecond = resolution >= 0x80 ? 2n ** BigInt(resolution & 0x7f) : 10n ** BigInt(resolution);
    const linkType = body.getUint16(0, little);
    return { linkType, snapLength: body.getUint32(4, little), ticksPerSecond, offset };
  }

  #packet(type: number, body: DataView<ArrayBuffer>): void {
    const little = this.#little;
    const isSimple = type === SIMPLE_PACKET;
    const headerBytes = isSimple ? 4 : 20;
    if (body.byteLength < headerBytes) this.file.fail("a packet's header is too short");
    const index = isSimple ? 0 : type === OLD_PACKET ? body.getUint16(0, little) : body.getUint32(0, little);
    const from = this.#interfaces[index];
    const name = `packet ${this.file.packets + 1}`;
    if (from === undefined) this.file.fail(`${name} names interface ${index}, which is not described`);
    const sent = body.getUint32(isSimple ? 0 : 16, little);
    const available = body.byteLength - headerBytes;
    const captured = isSimple ? Math.min(sent, from.snapLength || Infinity, available) : body.getUint32(12, little);
    if (captured > available) this.file.fail(`${name} is longer than its block`);
    if (captured > MAX_CAPTURED_PACKET_OCTETS) return this.file.skipPacket();
    const bytes = new Uint8Array(body.buffer, body.byteOffset + headerBytes, captured);
    if (!isSimple) this.#lastTime = this.#time(from, body.getUint32(4, little), body.getUint32(8, little));
    const comment = isSimple ? "" : commentOf(body, headerBytes + padTo4(captured), little);
    this.file.give(this.#lastTime, from.linkType, bytes, sent, comment);
  }

  /** Returns the time in microseconds since the first packet. */
  #time({ ticksPerSecond, offset }: Interface, high: number, low: number): number {
    const ticks = BigInt(high) << 32n | BigInt(low);
    const nanoseconds = ticks * NANOSECONDS / ticksPerSecond + offset;
    this.file.start ??= Number(nanoseconds) / 1000;
    return Number(nanoseconds - (this.#origin ??= nanoseconds)) / 1000;
  }
}

/** Iterates over options: the code, where the value is in the body, and its length. */
function* options(
  body: DataView<ArrayBuffer>,
  at: number,
  little?: boolean,
): Generator<[code: number, at: number, length: number]> {
  while (at + 4 <= body.byteLength) {
    const code = body.getUint16(at, little);
    const length = body.getUint16(at + 2, little);
    if (code === 0 || at + 4 + length > body.byteLength) return;
    yield [code, at + 4, length];
    at += 4 + padTo4(length);
  }
}

function commentOf(body: DataView<ArrayBuffer>, optionsAt: number, little?: boolean): string {
  const [, at = 0, length = 0] = options(body, optionsAt, little).find(([code]) => code === OPTION_COMMENT) ?? [];
  return octetString(new Uint8Array(body.buffer, body.byteOffset + at, Math.min(length, MAX_COMMENT_BYTES)));
}

export function padTo4(length: number): number {
  return Math.ceil(length / 4) * 4;
}
