/**
 * Blocks of a pcapng file (draft-ietf-opsawg-pcapng): what a recording is made of, and what a reader has to tell apart.
 *
 * @module
 */

import { ByteBuffer } from "../../bytes.ts";

/** Starts a section: all blocks up to the next one have its byte order. */
export const SECTION_HEADER = 0x0a0d0d0a;
/** Describes an interface: the kind of its packets, and the unit of their times. */
export const INTERFACE_DESCRIPTION = 0x00000001;
/** A packet of an interface, with its time. */
export const ENHANCED_PACKET = 0x00000006;
/** A packet without a time. */
export const SIMPLE_PACKET = 0x00000003;
/** What a section header says so that its reader knows the byte order. */
export const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
/** The kind of packets that start with their IP header. */
const LINKTYPE_RAW = 101;

/** Option codes. The same number means another thing in another block. */
export const OPTION_COMMENT = 1;
/** The name of an interface. */
export const OPTION_INTERFACE_NAME = 2;
/** The unit of an interface's times. */
export const OPTION_TIME_RESOLUTION = 9;
/** Seconds that are added to an interface's times. */
export const OPTION_TIME_OFFSET = 14;
const OPTION_USER_APPLICATION = 4;

/** Bytes of a block around its body: its type and its length, twice. */
export const BLOCK_FRAME_BYTES = 12;
const PACKET_HEADER_BYTES = 20;
const ENCODER = new TextEncoder();

/**
 * The blocks that a recording starts with: a section by this program, with an interface for each of these names, or one
 * without a name. Their times are microseconds.
 */
export function recordingStart(program: string, interfaces: readonly string[] = [""]): Uint8Array {
  const name = ENCODER.encode(program);
  const section = new DataView(new ArrayBuffer(16 + optionLength(name.length) + 4));
  section.setUint32(0, BYTE_ORDER_MAGIC, true);
  section.setUint16(4, 1, true);
  // The section's length is not known.
  section.setBigInt64(8, -1n, true);
  writeOption(section, 16, OPTION_USER_APPLICATION, name);
  const blocks = new ByteBuffer(256);
  blocks.append(block(SECTION_HEADER, new Uint8Array(section.buffer)));
  for (const each of interfaces) {
    const text = ENCODER.encode(each);
    const description = new DataView(new ArrayBuffer(8 + (text.length === 0 ? 0 : optionLength(text.length) + 4)));
    description.setUint16(0, LINKTYPE_RAW, true);
    if (text.length > 0) writeOption(description, 8, OPTION_INTERFACE_NAME, text);
    blocks.append(block(INTERFACE_DESCRIPTION, new Uint8Array(description.buffer)));
  }
  return blocks.view();
}

/**
 * A block with a packet.
 *
 * @param time When it was, in microseconds since 1970.
 * @param length The packet's length.
 * @param comment What it is.
 * @param write Writes the packet.
 * @param from The number of its interface, from 0.
 */
export function packetBlock(
  time: number,
  length: number,
  comment: string,
  write: (packet: Uint8Array) => void,
  from = 0,
): Uint8Array {
  const text = ENCODER.encode(comment);
  const padded = padTo4(length);
  const bytes = new Uint8Array(BLOCK_FRAME_BYTES + PACKET_HEADER_BYTES + padded + optionLength(text.length) + 4);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, ENHANCED_PACKET, true);
  view.setUint32(4, bytes.length, true);
  view.setUint32(8, from, true);
  view.setUint32(12, Math.floor(time / 2 ** 32), true);
  view.setUint32(16, time % 2 ** 32, true);
  view.setUint32(20, length, true);
  view.setUint32(24, length, true);
  write(bytes.subarray(28, 28 + length));
  writeOption(view, 28 + padded, OPTION_COMMENT, text);
  view.setUint32(bytes.length - 4, bytes.length, true);
  return bytes;
}

function block(type: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(BLOCK_FRAME_BYTES + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, bytes.length, true);
  bytes.set(body, 8);
  view.setUint32(bytes.length - 4, bytes.length, true);
  return bytes;
}

/** Writes an option; zeros behind it end the list. */
function writeOption(view: DataView, at: number, code: number, value: Uint8Array): void {
  view.setUint16(at, code, true);
  view.setUint16(at + 2, value.length, true);
  new Uint8Array(view.buffer, view.byteOffset).set(value, at + 4);
}

function optionLength(valueBytes: number): number {
  return 4 + padTo4(valueBytes);
}

/** The next multiple of four. */
export function padTo4(length: number): number {
  return Math.ceil(length / 4) * 4;
}
