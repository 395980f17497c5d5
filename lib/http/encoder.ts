/**
 * Messages in, bytes out: the encoder of HTTP/1.1 messages (RFC 9112), for both ends of a connection.
 *
 * It alone writes what frames a message, so a message cannot have two framings, or a wrong length.
 * What it encodes gathers in one buffer until the caller has sent it.
 *
 * @module
 */

import { byteLength, resized } from "../bytes.ts";
import { isContentless, reasonPhrase } from "./error.ts";
import {
  CR,
  DQUOTE,
  type FieldLine,
  isBlank,
  isFieldContentByte,
  isFieldValue,
  isFramingField,
  isToken,
  LF,
  METHODS_WITH_CONTENT,
} from "./grammar.ts";
import type { ContentStream, HttpRequest, HttpResponse } from "./message.ts";

/** What a response's bytes depend on beside the response itself. */
export interface ResponseContext {
  /** The request's method: the response to HEAD has GET's header section and no content (RFC 9110 §9.3.2). */
  readonly method: string;
  /** The request's minor version: an HTTP/1.0 client is never sent the chunked coding (RFC 9112 §6.1). */
  readonly minor: 0 | 1;
  /** Whether the connection ends after this response. */
  readonly close: boolean;
  /** The Date field's value (RFC 9110 §6.6.1). */
  readonly date: string;
}

const UTF8 = new TextEncoder();
/** The buffer's size at first, in bytes: a few answers. */
const INITIAL_BYTES = 2048;
/** A buffer that grew beyond this many bytes is given up once it is sent. */
const KEPT_BYTES = 64 * 1024;
/** Media types whose lines are kept. */
const MAX_KEPT_TYPES = 32;

/** Digits of 2^53 - 1, the largest whole number that is written. */
const MAX_DECIMAL_DIGITS = 16;
const MAX_UINT32 = 0xffff_ffff;
const DIGIT_ZERO = 0x30;

const ETAG = UTF8.encode('ETag: "');
const CONTENT_LENGTH = UTF8.encode("Content-Length: ");
const CHUNKED = UTF8.encode("Transfer-Encoding: chunked\r\n");
const CLOSE = UTF8.encode("Connection: close\r\n");
const KEEP_ALIVE = UTF8.encode("Connection: keep-alive\r\n");
const CONTINUE = UTF8.encode("HTTP/1.1 100 Continue\r\n\r\n");

/** For each media type a map from statuses to the lines they make. Both are few: handlers take them from constants. */
const firstLines = new Map<string | undefined, Map<number, Uint8Array>>();

/**
 * `status-line = HTTP-version SP status-code SP [ reason-phrase ] CRLF` (RFC 9112 §4), always with this program's own
 * version (RFC 9110 §2.5), and the Content-Type line, if there is one.
 */
function startOfHead(status: number, contentType: string | undefined): Uint8Array {
  const known = firstLines.get(contentType)?.get(status);
  if (known !== undefined) return known;
  if (!Number.isInteger(status) || status < 100 || status > 599) throw new TypeError(`Not a status code: ${status}`);
  const type = contentType === undefined ? "" : `Content-Type: ${checkedValue(contentType)}\r\n`;
  const lines = UTF8.encode(`HTTP/1.1 ${status} ${reasonPhrase(status)}\r\n${type}`);
  const ofType = firstLines.get(contentType) ?? new Map<number, Uint8Array>();
  if (firstLines.size < MAX_KEPT_TYPES) firstLines.set(contentType, ofType.set(status, lines));
  return lines;
}

/** Whether the content is made while it is sent. */
export function isStream(content: HttpResponse["content"]): content is ContentStream {
  return typeof content === "object" && !(content instanceof Uint8Array);
}

/** Gathers encoded messages. */
export class Encoder {
  #buffer = new Uint8Array(INITIAL_BYTES);
  #length = 0;
  #dateValue = "";
  #dateLine: Uint8Array = new Uint8Array(0);

  /** How many bytes wait to be sent. */
  get length(): number {
    return this.#length;
  }

  /** The bytes that wait to be sent; valid until something more is encoded. */
  bytes(from = 0): Uint8Array<ArrayBuffer> {
    return this.#buffer.subarray(from, this.#length);
  }

  /** Forgets the bytes: they were sent, and their buffer is used again. */
  clear(): void {
    this.#length = 0;
    if (this.#buffer.length > KEPT_BYTES) this.#buffer = new Uint8Array(INITIAL_BYTES);
  }

  /**
   * Encodes a request with its content, framed by Content-Length.
   *
   * @throws {TypeError} If method, target or a field line would not be legal on the wire.
   */
  request(request: HttpRequest): void {
    const { method, target, fields, content } = request;
    if (!isToken(method)) throw new TypeError(`Not a method: ${JSON.stringify(method)}`);
    if (!/^[!-~]+$/.test(target)) throw new TypeError(`Not a request target: ${JSON.stringify(target)}`);
    this.#octets(`${method} ${target} HTTP/1.1\r\n`);
    this.#fieldLines(fields);
    // Without it, a method that is all about content leaves open whether there is any (RFC 9110 §8.6).
    if (content !== undefined || METHODS_WITH_CONTENT.includes(method)) this.#contentLength(content?.length ?? 0);
    this.#lineEnd();
    if (content !== undefined) this.content(content);
  }

  /** Encodes the interim response that asks a client for the content it announced (RFC 9110 §15.2.1). */
  continue(): void {
    this.#bytes(CONTINUE);
  }

  /**
   * Encodes a response's head, and its content unless that is a stream or is left out.
   *
   * @returns Whether a stream remains to be sent, with {@linkcode chunk} and {@linkcode lastChunk} to HTTP/1.1,
   * with {@linkcode content} to HTTP/1.0.
   * @throws {TypeError} If status or a field line would not be legal on the wire.
   */
  response(response: HttpResponse, context: ResponseContext): boolean {
    const start = this.#length;
    try {
      return this.#response(response, context);
    } catch (error) {
      // No half of a head may go out behind whole messages.
      this.#length = start;
      throw error;
    }
  }

  #response(response: HttpResponse, context: ResponseContext): boolean {
    const { status, content, fields } = response;
    const streams = isStream(content);
    const contentless = isContentless(status);
    this.#bytes(startOfHead(status, response.contentType));
    if (!contentless) {
      if (!streams) this.#contentLength(content === undefined ? 0 : byteLength(content));
      else if (context.minor === 1) this.#bytes(CHUNKED);
    }
    if (context.close) this.#bytes(CLOSE);
    else if (context.minor === 0) this.#bytes(KEEP_ALIVE);
    this.#date(context.date);
    if (response.etag !== undefined) this.#etag(response.etag);
    if (fields !== undefined) this.#fieldLines(fields);
    this.#lineEnd();
    if (contentless || content === undefined || context.method === "HEAD") return false;
    if (!streams) this.content(content);
    return streams;
  }

  /** Encodes content as it is. */
  content(piece: string | Uint8Array): void {
    const length = byteLength(piece);
    this.#reserve(length);
    if (typeof piece === "string") UTF8.encodeInto(piece, this.#buffer.subarray(this.#length));
    else this.#buffer.set(piece, this.#length);
    this.#length += length;
  }

  /** Encodes one chunk (RFC 9112 §7.1); nothing for no content, since an empty chunk would be the last. */
  chunk(piece: string | Uint8Array): void {
    const length = byteLength(piece);
    if (length === 0) return;
    this.#octets(length.toString(16));
    this.#lineEnd();
    this.content(piece);
    this.#lineEnd();
  }

  /**
   * Encodes the last chunk and the trailer section.
   *
   * @throws {TypeError} If a field line would not be legal on the wire.
   */
  lastChunk(trailers: readonly FieldLine[] = []): void {
    this.#octets("0\r\n");
    this.#fieldLines(trailers);
    this.#lineEnd();
  }

  #contentLength(length: number): void {
    this.#bytes(CONTENT_LENGTH);
    this.#decimal(length);
    this.#lineEnd();
  }

  /** `ETag = entity-tag`, a strong one (RFC 9110 §8.8.3). */
  #etag(version: number): void {
    if (!Number.isSafeInteger(version) || version < 0) throw new TypeError(`Not a version for an ETag: ${version}`);
    this.#bytes(ETAG);
    this.#decimal(version);
    this.#buffer[this.#length++] = DQUOTE;
    this.#lineEnd();
  }

  /** Writes a whole number in decimal digits, and makes room for one octet more. */
  #decimal(value: number): void {
    this.#reserve(MAX_DECIMAL_DIGITS + 1);
    let digits = 1;
    for (let power = 10; value >= power; power *= 10) digits++;
    this.#length += digits;
    let at = this.#length;
    let rest = value;
    // Beyond 32 bits a division is one of floating point, and slow: take nine digits at once there.
    while (rest > MAX_UINT32) {
      const above = Math.floor(rest / 1e9);
      let nine = rest - above * 1e9;
      for (let i = 0; i < 9; i++) {
        const tenth = (nine / 10) >>> 0;
        this.#buffer[--at] = DIGIT_ZERO + nine - tenth * 10;
        nine = tenth;
      }
      rest = above;
    }
    do {
      const tenth = (rest / 10) >>> 0;
      this.#buffer[--at] = DIGIT_ZERO + rest - tenth * 10;
      rest = tenth;
    } while (rest > 0);
  }

  /** All responses of one moment have the same Date line. */
  #date(date: string): void {
    if (date !== this.#dateValue) {
      this.#dateLine = UTF8.encode(`Date: ${checkedValue(date)}\r\n`);
      this.#dateValue = date;
    }
    this.#bytes(this.#dateLine);
  }

  /**
   * `*( field-line CRLF )`; a CR or LF in a value would end the line and let its writer forge another (RFC 9112 §11.1).
   */
  #fieldLines(fields: readonly FieldLine[]): void {
    for (const [name, value] of fields) {
      if (!isToken(name) || isFramingField(name)) {
        throw new TypeError(`Not a field name that may be set: ${JSON.stringify(name)}`);
      }
      this.#octets(name);
      this.#octets(": ");
      this.#value(value);
      this.#lineEnd();
    }
  }

  /** Checks a field value while it is written, since looking at each character twice costs as much as all else here. */
  #value(value: string): void {
    const length = value.length;
    this.#reserve(length);
    const buffer = this.#buffer;
    const start = this.#length;
    let legal = length === 0 || !isBlank(value.charCodeAt(0)) && !isBlank(value.charCodeAt(length - 1));
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      legal &&= code <= 0xff && isFieldContentByte(code);
      buffer[start + i] = code;
    }
    if (!legal) throw new TypeError(`Not a field value: ${JSON.stringify(value)}`);
    this.#length = start + length;
  }

  #lineEnd(): void {
    this.#reserve(2);
    this.#buffer[this.#length++] = CR;
    this.#buffer[this.#length++] = LF;
  }

  #bytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** Each character of the text is one octet. Heads' parts are short, and a loop is faster for those than a call. */
  #octets(text: string): void {
    this.#reserve(text.length);
    const buffer = this.#buffer;
    const start = this.#length;
    for (let i = 0; i < text.length; i++) buffer[start + i] = text.charCodeAt(i);
    this.#length = start + text.length;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    this.#buffer = resized(this.#buffer, this.#length, Math.max(needed, 2 * this.#buffer.length));
  }
}

function checkedValue(value: string): string {
  if (!isFieldValue(value)) throw new TypeError(`Not a field value: ${JSON.stringify(value)}`);
  return value;
}
