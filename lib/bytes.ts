/**
 * Bytes: growing buffers, octets as text and counted in words, lengths of text in UTF-8, and writing to a sink.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/** An empty byte array. */
export const NO_BYTES: Uint8Array<ArrayBuffer> = new Uint8Array(0);

/** Allocated memory after which the engine collects garbage, give or take. */
const COLLECTED_AFTER_BYTES = 64 * 1024 * 1024;

/**
 * Returns bytes that go back to the system once they are collected. Other allocations of less than some 100 KiB stay
 * with the process: only a resizable buffer has pages of its own.
 */
export function ownPages(bytes: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(bytes, { maxByteLength: bytes }));
}

/**
 * Has the engine collect garbage soon, step by step. By itself it does so when much is allocated, so that a server with
 * nothing to do would keep what it no longer uses.
 */
export function collectSoon(): void {
  try {
    // Nobody writes to these, so they take addresses, and no memory.
    for (let i = 0; i < 2; i++) new ArrayBuffer(COLLECTED_AFTER_BYTES);
  } catch {
    // Where addresses are short, garbage is collected anyway.
  }
}

/** A destination of bytes, such as `Deno.stdout` or a connection. */
export interface Sink {
  /** Writes some of the bytes and returns how many. */
  write(bytes: Uint8Array): Promise<number>;
}

/** A connection whose octets are sent and received as they are. */
export interface RawConnection extends Sink {
  /** Reads octets; `null` once the peer has ended its side. */
  read(): Promise<Uint8Array | null>;
  /** Sends FIN. */
  closeWrite(): Promise<void>;
  /** Closes the connection. */
  close(): void;
}

/** Writes all of the bytes. */
export async function writeAll(sink: Sink, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await sink.write(bytes.subarray(sent));
}

/** Writes text and a line end. */
export async function writeLine(sink: Sink, line: string): Promise<void> {
  await writeAll(sink, new TextEncoder().encode(`${line}\n`));
}

/** A TCP connection, maybe with TLS: what this program uses of it. */
export interface Socket extends Pick<Deno.Conn, "localAddr" | "remoteAddr" | "read" | "write" | "closeWrite"> {
  /** Closes it; what listens to it is told why, if that is said. */
  close(reason?: string): void;
  /** Sends each write at once, though an earlier one is not acknowledged yet. */
  setNoDelay?(): void;
  /** Performs the handshake of TLS. Only a connection with TLS has it. */
  handshake?(): Promise<unknown>;
}

/** What accepts connections. */
export interface Listener extends Pick<Deno.Listener, "addr" | "close"> {
  /** Returns the next connection. */
  accept(): Promise<Socket>;
}

/** A source of bytes, such as a file or `Deno.stdin`. */
export interface Source {
  /** Reads some bytes into a buffer and returns how many; `null` at the end. */
  read(buffer: Uint8Array): Promise<number | null>;
}

/** Reads the first bytes of a source, at most so many, and at least so many if they are there; `expected` may be. */
export async function readStart(source: Source, most: number, least = most, expected = 0): Promise<Uint8Array> {
  let bytes = new Uint8Array(Math.min(most, Math.max(64 * 1024, expected)));
  let length = 0;
  for (let count: number | null = 0; count !== null && length < least; length += count ?? 0) {
    if (length === bytes.length) bytes = resized(bytes, length, Math.min(2 * length, most));
    count = await source.read(bytes.subarray(length));
  }
  return bytes.subarray(0, length);
}

/** Iterates over the bytes of a source, read into one buffer of this size; each piece is valid until the next one. */
export async function* readPieces(source: Source, size: number): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(size);
  for (let count = await source.read(buffer); count !== null; count = await source.read(buffer)) {
    yield buffer.subarray(0, count);
  }
}

/** Returns the size of the next read's buffer: larger after a read that filled one, the least after a small one. */
export function nextReadSize(size: number, count: number, least: number, most: number): number {
  if (count === size) return Math.min(4 * size, most);
  return count < size / 16 ? least : size;
}

/** Copies the first `used` bytes into an array of `size`. */
export function resized(bytes: Uint8Array, used: number, size: number): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(size);
  copy.set(bytes.subarray(0, used));
  return copy;
}

const ENCODER = new TextEncoder();

/** A buffer that doubles its size as bytes and text are appended. */
export class ByteBuffer {
  /** The memory; its first {@linkcode length} bytes are in use. */
  bytes: Uint8Array<ArrayBuffer>;
  /** How many bytes are in use. */
  length = 0;

  /** Creates a buffer with this initial size in bytes. */
  constructor(private readonly initialBytes: number) {
    this.bytes = new Uint8Array(initialBytes);
  }

  /** Returns the bytes in use from an index on; valid until more are appended. */
  view(from = 0): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(from, this.length);
  }

  /** Makes room for `count` more bytes. */
  reserve(count: number): void {
    const needed = this.length + count;
    if (needed > this.bytes.length) {
      this.bytes = resized(this.bytes, this.length, Math.max(needed, 2 * this.bytes.length));
    }
  }

  /** Appends bytes. */
  append(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** Appends text in UTF-8, of at most `most` bytes. */
  appendText(text: string, most: number = 3 * text.length): void {
    this.reserve(most);
    this.length += ENCODER.encodeInto(text, this.bytes.subarray(this.length)).written;
  }

  /** Empties the buffer, and releases memory beyond `keptBytes`. */
  clear(keptBytes: number): void {
    this.length = 0;
    if (this.bytes.length > keptBytes) this.bytes = new Uint8Array(this.initialBytes);
  }
}

/** Returns octets as text, one character per octet (U+0000 to U+00FF). */
export function octetString(bytes: Uint8Array, start = 0, end: number = bytes.length): string {
  // Called on the bytes directly: wrapping them in a Buffer costs as much as the conversion.
  return Buffer.prototype.toString.call(bytes, "latin1", start, end);
}

/** A character of several octets in UTF-8 (RFC 3629 §4), or one octet that is part of none. */
const UTF8_OCTETS =
  /[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}|[\x80-\xff]/g;

/** Decodes octets, one character each, as UTF-8; `other` returns what stands for one that is not, by default U+FFFD. */
export function octetsToText(octets: string, other?: (octet: number) => string): string {
  // deno-lint-ignore no-control-regex -- most text is ASCII
  if (/^[\x00-\x7f]*$/.test(octets)) return octets;
  const valid = other === undefined
    ? octets
    : octets.replace(UTF8_OCTETS, (found) => found.length > 1 ? found : other(found.charCodeAt(0)));
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Buffer.from(valid, "latin1"));
}

/** Decodes percent-encoded text (RFC 3986 §2.1); `undefined` if the result is not UTF-8. */
export function percentDecoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** The byte order mark in UTF-8 (RFC 3629 §6). */
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

/** Returns text in UTF-8 without a byte order mark at its start. */
export function withoutMark(text: Uint8Array): Uint8Array {
  return BYTE_ORDER_MARK.every((octet, i) => text[i] === octet) ? text.subarray(BYTE_ORDER_MARK.length) : text;
}

/** Why input is refused whose octets are not UTF-8, and what mends it. */
export const NOT_UTF8: string = "not UTF-8: chcp 65001, or save the file as UTF-8";

/** Whether a text is the secret one, in a time that does not tell where they differ. */
export function isSameSecret(given: string, secret: string): boolean {
  let differences = given.length ^ secret.length;
  for (let i = 0; i < given.length; i++) differences |= given.charCodeAt(i) ^ secret.charCodeAt(i % secret.length);
  return differences === 0;
}

/** Returns the length of content in bytes, of text in UTF-8. */
export function byteLength(content: string | Uint8Array): number {
  return typeof content === "string" ? Buffer.byteLength(content) : content.length;
}

/** Formats a number of things: `1 octet`, `2 octets`. */
export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

/** Returns a text with the section of a rule, if there is one: `text (RFC 9112 §5)`. */
export function withRule(text: string, rule: string | undefined): string {
  return rule === undefined ? text : `${text} (${rule})`;
}

/** Returns the name that an unknown one is most likely meant to be: the nearest at a distance of at most `most`. */
export function nearest(given: string, names: readonly string[], most = 2): string | undefined {
  const near = names.filter((name) => Math.abs(name.length - given.length) <= most)
    .map((name) => ({ name, away: distance(given, name) })).sort((a, b) => a.away - b.away);
  return near.length > 0 && near[0].away <= most ? near[0].name : undefined;
}

/** Returns the edit distance of two words, in which two letters that changed places count once. */
function distance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, i) => i)];
  for (let i = 1; i <= a.length; i++) {
    rows[i] = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = rows[i - 1][j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      const turned = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? rows[i - 2][j - 2] + 1 : Infinity;
      rows[i][j] = Math.min(changed, turned, rows[i - 1][j] + 1, rows[i][j - 1] + 1);
    }
  }
  return rows[a.length][b.length];
}
