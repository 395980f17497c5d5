/** Reads pcapng files block by block, in either byte order (draft-ietf-opsawg-pcapng). */

import { octetString } from "../../bytes.ts";
import { MAX_CAPTURE_INTERFACES, MAX_CAPTURED_PACKET_OCTETS } from "../../limits.ts";
import { PacketFile } from "./packet_file.ts";

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

/** Bytes of a block around its body: its type and its length, twice. */
const BLOCK_FRAME_BYTES = 12;
/** Bytes that are needed to know a block's byte order: type, length, and the magic of a section header. */
const BLOCK_START_BYTES = 12;
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

export class PcapngFile extends PacketFile {
  /** The byte order of the section; `undefined` before the first one. */
  #littleEndian: boolean | undefined;
  #interfaces: Interface[] = [];
  #origin: bigint | undefined;
  #lastTime = 0;

  protected override block(data: Uint8Array, view: DataView, at: number): number {
    const available = data.length - at;
    if (available < BLOCK_START_BYTES) return 0;
    const isSection = view.getUint32(at) === SECTION_HEADER;
    if (isSection) this.#littleEndian = view.getUint32(at + 8, true) === BYTE_ORDER_MAGIC;
    const little = this.#littleEndian;
    if (little === undefined) this.fail("a pcapng file starts with a section header");
    if (isSection && view.getUint32(at + 8, little) !== BYTE_ORDER_MAGIC) {
      this.fail("a section header has no byte-order magic");
    }
    const type = isSection ? SECTION_HEADER : view.getUint32(at, little);
    const length = view.getUint32(at + 4, little);
    if (length < BLOCK_FRAME_BYTES || length % 4 !== 0) {
      this.fail(`a block's length is a multiple of 4, at least ${BLOCK_FRAME_BYTES}, saw ${length}`);
    }
    const isHeader = isSection || type === INTERFACE_DESCRIPTION;
    const isPacket = PACKET_BLOCKS.includes(type);
    if (!isHeader && !isPacket) return length;
    if (length > MAX_BLOCK_BYTES) {
      if (isHeader) this.fail(`a header has ${length} octets`);
      this.skipPacket();
      return length;
    }
    if (available < length) return 0;
    if (view.getUint32(at + length - 4, little) !== length) this.fail("a block's two lengths differ");
    const body = new DataView(data.buffer, data.byteOffset + at + 8, length - BLOCK_FRAME_BYTES);
    if (isSection) this.#section(body);
    else if (isPacket) this.#packet(type, body);
    else this.#interfaces.push(this.#interface(body));
    return length;
  }

  #section(body: DataView): void {
    if (body.byteLength < 16) this.fail("a section header is too short");
    const major = body.getUint16(4, this.#littleEndian);
    if (major !== 1) this.fail(`the version is 1, saw ${major}`);
    this.#interfaces = [];
  }

  #interface(body: DataView): Interface {
    if (body.byteLength < 8) this.fail("an interface description is too short");
    if (this.#interfaces.length >= MAX_CAPTURE_INTERFACES) {
      this.fail(`a section has at most ${MAX_CAPTURE_INTERFACES} interfaces here`);
    }
    const little = this.#littleEndian;
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

  #packet(type: number, body: DataView): void {
    const little = this.#littleEndian;
    const isSimple = type === SIMPLE_PACKET;
    const headerBytes = isSimple ? 4 : 20;
    if (body.byteLength < headerBytes) this.fail("a packet's header is too short");
    const index = isSimple ? 0 : type === OLD_PACKET ? body.getUint16(0, little) : body.getUint32(0, little);
    const from = this.#interfaces[index];
    const name = `packet ${this.packets + 1}`;
    if (from === undefined) this.fail(`${name} names interface ${index}, which is not described`);
    const sent = body.getUint32(isSimple ? 0 : 16, little);
    const available = body.byteLength - headerBytes;
    const captured = isSimple ? Math.min(sent, from.snapLength || Infinity, available) : body.getUint32(12, little);
    if (captured > available) this.fail(`${name} is longer than its block`);
    if (captured > MAX_CAPTURED_PACKET_OCTETS) return this.skipPacket();
    const bytes = new Uint8Array(body.buffer, body.byteOffset + headerBytes, captured);
    if (!isSimple) this.#lastTime = this.#time(from, body.getUint32(4, little), body.getUint32(8, little));
    const comment = isSimple ? "" : commentOf(body, headerBytes + padTo4(captured), little);
    this.give(this.#lastTime, from.linkType, bytes, sent, comment);
  }

  /** Returns the time in microseconds since the first packet. */
  #time({ ticksPerSecond, offset }: Interface, high: number, low: number): number {
    const ticks = BigInt(high) << 32n | BigInt(low);
    const nanoseconds = ticks * NANOSECONDS / ticksPerSecond + offset;
    this.start ??= Number(nanoseconds) / 1000;
    return Number(nanoseconds - (this.#origin ??= nanoseconds)) / 1000;
  }
}

/** Iterates over options: the code, where the value is in the body, and its length. */
function* options(body: DataView, at: number, little?: boolean): Generator<[code: number, at: number, length: number]> {
  while (at + 4 <= body.byteLength) {
    const code = body.getUint16(at, little);
    const length = body.getUint16(at + 2, little);
    if (code === 0 || at + 4 + length > body.byteLength) return;
    yield [code, at + 4, length];
    at += 4 + padTo4(length);
  }
}

function commentOf(body: DataView, optionsAt: number, little?: boolean): string {
  const [, at = 0, length = 0] = options(body, optionsAt, little).find(([code]) => code === OPTION_COMMENT) ?? [];
  return octetString(new Uint8Array(body.buffer, body.byteOffset + at, Math.min(length, MAX_COMMENT_BYTES)));
}

export function padTo4(length: number): number {
  return Math.ceil(length / 4) * 4;
}
