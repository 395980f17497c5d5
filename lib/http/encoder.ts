/**
 * Messages in, octets out: the encoder of HTTP/1.1 messages (RFC 9112), for both ends of a connection.
 *
 * Only the encoder writes the fields that frame a message, so a message never has two framings or a wrong length.
 * Encoded messages are collected in one buffer until the caller has sent them.
 */

import { ByteBuffer, byteLength } from "../bytes.ts";
import { isContentless, reasonPhrase } from "./error.ts";
import { type FieldLine, isFieldValue, isFramingField, isToken, METHODS_WITH_CONTENT } from "./grammar.ts";
import type { ContentStream, HttpRequest, HttpResponse, ResponseContext } from "./message.ts";

const UTF8 = new TextEncoder();
/** Initial size of the buffer in octets: a few responses. */
const INITIAL_BYTES = 2048;
/** A buffer larger than this many octets is released once it has been sent. */
const KEPT_BYTES = 64 * 1024;
/** Values of one field whose lines are kept. */
const MAX_KEPT_LINES = 32;
/** Status codes are below this number (RFC 9110 §15). */
const STATUS_END = 600;

/** Digits of 2^53 - 1, the largest integer that is written. */
const MAX_DECIMAL_DIGITS = 16;
const DIGIT_ZERO = 0x30;

const ETAG = UTF8.encode('ETag: "');
const CONTENT_LENGTH = UTF8.encode("Content-Length: ");

const statusLines: (Uint8Array | undefined)[] = new Array(STATUS_END).fill(undefined);
/** Encoded lines by value: a service has few media types, and a date lasts for a second. */
const typeLines = new Map<string, Uint8Array>();
const dateLines = new Map<string, Uint8Array>();

/** `status-line = HTTP-version SP status-code SP [ reason-phrase ] CRLF` (RFC 9112 §4), in this program's version. */
function statusLine(status: number): Uint8Array {
  if (!Number.isInteger(status) || status < 100 || status >= STATUS_END) {
    throw new TypeError(`Not a status code: ${status}`);
  }
  return UTF8.encode(`HTTP/1.1 ${status} ${reasonPhrase(status)}\r\n`);
}

function keepLine(lines: Map<string, Uint8Array>, name: string, value: string): Uint8Array {
  if (lines.size === MAX_KEPT_LINES) lines.clear();
  const line = UTF8.encode(`${name}: ${checkedValue(value)}\r\n`);
  lines.set(value, line);
  return line;
}

/** Whether the content is a stream. */
export function isStream(content: HttpResponse["content"]): content is ContentStream {
  return typeof content === "object" && !(content instanceof Uint8Array);
}

/** Encodes messages into one buffer. */
export class Encoder {
  readonly #buffer = new ByteBuffer(INITIAL_BYTES);

  /** How many octets have not been sent. */
  get length(): number {
    return this.#buffer.length;
  }

  /** The octets that have not been sent; valid until the next message is encoded. */
  bytes(from = 0): Uint8Array<ArrayBuffer> {
    return this.#buffer.view(from);
  }

  /** Clears the buffer after its octets were sent. */
  clear(): void {
    this.#buffer.clear(KEPT_BYTES);
  }

  /** Encodes a request, framed by Content-Length. Throws a TypeError if method, target or a field line is invalid. */
  request(request: HttpRequest): void {
    const { method, target, fields, content } = request;
    if (!isToken(method)) throw new TypeError(`Not a method: ${JSON.stringify(method)}`);
    if (!/^[!-~]+$/.test(target)) throw new TypeError(`Not a request target: ${JSON.stringify(target)}`);
    this.#octets(`${method} ${target} HTTP/1.1\r\n`);
    this.#fieldLines(fields);
    // Without Content-Length, a request with a method that expects content is ambiguous (RFC 9110 §8.6).
    if (content !== undefined || METHODS_WITH_CONTENT.includes(method)) this.#contentLength(content?.length ?? 0);
    this.#octets("\r\n");
    if (content !== undefined) this.content(content);
  }

  /** Encodes 100 (Continue), which asks the client for the content it announced (RFC 9110 §15.2.1). */
  continue(): void {
    this.#octets("HTTP/1.1 100 Continue\r\n\r\n");
  }

  /**
   * Encodes a response's head, and its content unless that is a stream or the response has none.
   *
   * @returns Whether a stream must still be sent: with {@linkcode chunk} and {@linkcode lastChunk} to HTTP/1.1, with
   * {@linkcode content} to HTTP/1.0.
   * @throws {TypeError} If status or a field line is invalid.
   */
  response(response: HttpResponse, context: ResponseContext): boolean {
    const start = this.#buffer.length;
    try {
      const { status, contentType, content, fields } = response;
      const length = isStream(content) ? undefined : byteLength(content ?? "");
      const contentless = isContentless(status);
      this.#buffer.append(statusLines[status] ??= statusLine(status));
      if (contentType !== undefined) {
        this.#buffer.append(typeLines.get(contentType) ?? keepLine(typeLines, "Content-Type", contentType));
      }
      if (!contentless) {
        if (length !== undefined) this.#contentLength(length);
        else if (context.minor === 1) this.#octets("Transfer-Encoding: chunked\r\n");
      }
      if (context.close) this.#octets("Connection: close\r\n");
      else if (context.minor === 0) this.#octets("Connection: keep-alive\r\n");
      this.#buffer.append(dateLines.get(context.date) ?? keepLine(dateLines, "Date", context.date));
      if (response.etag !== undefined) this.#etag(response.etag);
      if (fields !== undefined) this.#fieldLines(fields);
      this.#octets("\r\n");
      if (contentless || content === undefined || context.method === "HEAD") return false;
      if (isStream(content)) return true;
      this.content(content, length);
      return false;
    } catch (error) {
      // Removes the incomplete head: the messages before it are sent.
      this.#buffer.length = start;
      throw error;
    }
  }

  /** Encodes content as it is, of a length in octets. */
  content(piece: string | Uint8Array, length: number = byteLength(piece)): void {
    if (typeof piece === "string") this.#buffer.appendText(piece, length);
    else this.#buffer.append(piece);
  }

  /** Encodes one chunk (RFC 9112 §7.1). Empty content is skipped, because an empty chunk ends the message. */
  chunk(piece: string | Uint8Array): void {
    const length = byteLength(piece);
    if (length === 0) return;
    this.#octets(`${length.toString(16)}\r\n`);
    this.content(piece, length);
    this.#octets("\r\n");
  }

  /** Encodes the last chunk and an empty trailer section. */
  lastChunk(): void {
    this.#octets("0\r\n\r\n");
  }

  #contentLength(length: number): void {
    this.#buffer.append(CONTENT_LENGTH);
    this.#octets(`${length}\r\n`);
  }

  /** Encodes `ETag = entity-tag`, a strong one (RFC 9110 §8.8.3). */
  #etag(version: number): void {
    if (!Number.isSafeInteger(version) || version < 0) throw new TypeError(`Not a version for an ETag: ${version}`);
    this.#buffer.append(ETAG);
    const buffer = this.#buffer;
    buffer.reserve(MAX_DECIMAL_DIGITS);
    let digits = 1;
    for (let power = 10; version >= power; power *= 10) digits++;
    const start = buffer.length;
    let at = buffer.length += digits;
    // Above 32 bits the engine divides in floating point, which is slow: split off nine digits at a time.
    for (let rest = version; at > start;) {
      const above = Math.floor(rest / 1e9);
      let nine = rest - above * 1e9;
      for (const end = Math.max(start, at - 9); at > end;) {
        const tenth = (nine / 10) >>> 0;
        buffer.bytes[--at] = DIGIT_ZERO + nine - tenth * 10;
        nine = tenth;
      }
      rest = above;
    }
    this.#octets('"\r\n');
  }

  /** `*( field-line CRLF )`. Values with CR or LF are refused: they could inject other field lines (RFC 9112 §11.1). */
  #fieldLines(fields: readonly FieldLine[]): void {
    for (const [name, value] of fields) {
      if (!isToken(name) || isFramingField(name)) {
        throw new TypeError(`Not a field name that may be set: ${JSON.stringify(name)}`);
      }
      this.#octets(name);
      // As curl and browsers write an empty value.
      this.#octets(value === "" ? ":" : ": ");
      this.#octets(checkedValue(value));
      this.#octets("\r\n");
    }
  }

  /** Appends text with one character per octet. For the short parts of a head a loop is faster than a native call. */
  #octets(text: string): void {
    const buffer = this.#buffer;
    buffer.reserve(text.length);
    const { bytes, length: start } = buffer;
    for (let i = 0; i < text.length; i++) bytes[start + i] = text.charCodeAt(i);
    buffer.length = start + text.length;
  }
}

function checkedValue(value: string): string {
  if (!isFieldValue(value)) throw new TypeError(`Not a field value: ${JSON.stringify(value)}`);
  return value;
}
