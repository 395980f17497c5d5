/**
 * Reads classic pcap files, in either byte order and unit of time (draft-ietf-opsawg-pcap).
 *
 * @module
 */

import { MAX_CAPTURED_PACKET_BYTES } from "../../limits.ts";
import { type Packet, PacketFile } from "./packet_file.ts";

const FILE_HEADER_BYTES = 24;
const PACKET_HEADER_BYTES = 16;
/** The bits of the last header field that are the link type; the others tell of a frame check sequence. */
const LINK_TYPE_BITS = 0xffff;

/** Reads a classic pcap file. */
export class PcapReader extends PacketFile {
  readonly #take: (packet: Packet) => void;
  #littleEndian: boolean | undefined;
  #linkType = 0;
  /** Ticks of the times' fractions in a microsecond. */
  #ticks = 1;
  #seconds = 0;
  #fraction = 0;

  /** Gives packets to a function. */
  constructor(take: (packet: Packet) => void) {
    super();
    this.#take = take;
  }

  /** Reads one block, and returns its length; 0 if more is needed. */
  protected override block(data: Uint8Array, view: DataView, at: number): number {
    if (this.#littleEndian === undefined) return this.#header(view, at);
    const start = at + PACKET_HEADER_BYTES;
    if (start > data.length) return 0;
    const little = this.#littleEndian;
    const captured = view.getUint32(at + 8, little);
    if (captured > MAX_CAPTURED_PACKET_BYTES) {
      this.skipPacket();
      return PACKET_HEADER_BYTES + captured;
    }
    if (start + captured > data.length) return 0;
    const [seconds, fraction] = [view.getUint32(at, little), view.getUint32(at + 4, little)];
    if (this.start === undefined) {
      this.start = seconds * 1e6 + fraction / this.#ticks;
      [this.#seconds, this.#fraction] = [seconds, fraction];
    }
    const time = (seconds - this.#seconds) * 1e6 + (fraction - this.#fraction) / this.#ticks;
    const sent = view.getUint32(at + 12, little);
    this.#take({
      number: ++this.packets,
      time,
      linkType: this.#linkType,
      bytes: data.subarray(start, start + captured),
      ...sent > captured && { sent },
      comment: "",
    });
    return PACKET_HEADER_BYTES + captured;
  }

  #header(view: DataView, at: number): number {
    if (view.byteLength - at < FILE_HEADER_BYTES) return 0;
    this.#littleEndian = [0xd4, 0x4d].includes(view.getUint8(at));
    const isNanoseconds = view.getUint32(at, this.#littleEndian) === 0xa1b23c4d;
    if (isNanoseconds) this.#ticks = 1000;
    const major = view.getUint16(at + 4, this.#littleEndian);
    if (major !== 2) this.fail("pcap", `the version is 2, saw ${major}`);
    this.#linkType = view.getUint32(at + 20, this.#littleEndian) & LINK_TYPE_BITS;
    return FILE_HEADER_BYTES;
  }
}
