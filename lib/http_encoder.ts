/**
 * Messages in, bytes out: the encoder of HTTP/1.1 messages (RFC 9112), for both ends of a connection.
 *
 * It alone writes what frames a message, so a message cannot have two framings, or a wrong length.
 * What it encodes gathers in one buffer until the caller has sent it.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { reasonPhrase } from "./http_error.ts";
import { type FieldLine, isFieldValue, isToken } from "./http_grammar.ts";
import type { ContentStream, HttpRequest, HttpResponse } from "./http_message.ts";

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

const statusLines = new Map<number, string>();

/** `status-line = HTTP-version SP status-code SP [ reason-phrase ] CRLF` (RFC 9112 §4); always this program's own version (RFC 9110 §2.5). */
function statusLine(status: number): string {
  let line = statusLines.get(status);
  if (line === undefined) {
    if (!Number.isInteger(status) || status < 100 || status > 599) throw new TypeError(`Not a status code: ${status}`);
    line = `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\n`;
    statusLines.set(status, line);
  }
  return line;
}

/** Whether responses with this status never have content (RFC 9110 §6.4.1). */
export function isContentless(status: number): boolean {
  return status < 200 || status === 204 || status === 304;
}

/** Whether the content is made while it is sent. */
export function isStream(content: HttpResponse["content"]): content is ContentStream {
  return typeof content === "object" && !(content instanceof Uint8Array);
}

/** Gathers encoded messages. */
export class Encoder {
  #buffer = new Uint8Array(INITIAL_BYTES);
  #length = 0;

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
   * @throws {TypeError} Where method, target or a field line would not be legal on the wire.
   */
  request(request: HttpRequest): void {
    const { method, target, fields, content } = request;
    if (!isToken(method)) throw new TypeError(`Not a method: ${JSON.stringify(method)}`);
    if (!/^[!-~]+$/.test(target)) throw new TypeError(`Not a request target: ${JSON.stringify(target)}`);
    let head = `${method} ${target} HTTP/1.1\r\n${fieldLines(fields)}`;
    if (content !== undefined) head += `Content-Length: ${content.length}\r\n`;
    this.#octets(`${head}\r\n`);
    if (content !== undefined) this.content(content);
  }

  /** Encodes the interim response that asks a client for the content it announced (RFC 9110 §15.2.1). */
  continue(): void {
    this.#octets("HTTP/1.1 100 Continue\r\n\r\n");
  }

  /**
   * Encodes a response's head, and its content unless that is a stream or is left out.
   *
   * @returns Whether a stream remains to be sent, with {@linkcode chunk} and {@linkcode lastChunk} to HTTP/1.1,
   * with {@linkcode content} to HTTP/1.0.
   * @throws {TypeError} Where status or a field line would not be legal on the wire.
   */
  response(response: HttpResponse, context: ResponseContext): boolean {
    const { status, content } = response;
    let head = statusLine(status);
    let contentBytes = 0;
    let streams = false;
    if (response.contentType !== undefined) head += `Content-Type: ${checkedValue(response.contentType)}\r\n`;
    if (!isContentless(status)) {
      streams = isStream(content);
      if (!streams) {
        contentBytes = byteLength(content as string | Uint8Array | undefined);
        head += `Content-Length: ${contentBytes}\r\n`;
      } else if (context.minor === 1) head += "Transfer-Encoding: chunked\r\n";
    }
    if (context.close) head += "Connection: close\r\n";
    else if (context.minor === 0) head += "Connection: keep-alive\r\n";
    head += `Date: ${context.date}\r\n`;
    if (response.fields !== undefined) head += fieldLines(response.fields);
    head += "\r\n";
    if (context.method === "HEAD" || contentBytes === 0) this.#octets(head);
    else if (typeof content === "string") this.#octetsAndText(head, content, contentBytes);
    else {
      this.#octets(head);
      this.content(content as Uint8Array);
    }
    return streams && context.method !== "HEAD";
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
    this.#octets(`${length.toString(16)}\r\n`);
    this.content(piece);
    this.#octets("\r\n");
  }

  /**
   * Encodes the last chunk and the trailer section.
   *
   * @throws {TypeError} Where a field line would not be legal on the wire.
   */
  lastChunk(trailers: readonly FieldLine[] = []): void {
    this.#octets(`0\r\n${fieldLines(trailers)}\r\n`);
  }

  /** Each character of the text is one octet. */
  #octets(text: string): void {
    this.#reserve(2 * text.length);
    const { written } = UTF8.encodeInto(text, this.#buffer.subarray(this.#length));
    if (written !== text.length) {
      // obs-text, which UTF-8 would make two octets of.
      for (let i = 0; i < text.length; i++) this.#buffer[this.#length + i] = text.charCodeAt(i);
    }
    this.#length += text.length;
  }

  /** A head of octets and content of text, in one go where the head is ASCII, as it nearly always is. */
  #octetsAndText(head: string, text: string, textBytes: number): void {
    this.#reserve(2 * head.length + textBytes);
    const { written } = UTF8.encodeInto(head + text, this.#buffer.subarray(this.#length));
    if (written === head.length + textBytes) {
      this.#length += written;
      return;
    }
    this.#octets(head);
    this.content(text);
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    const grown = new Uint8Array(Math.max(needed, 2 * this.#buffer.length));
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
  }
}

function byteLength(content: string | Uint8Array | undefined): number {
  if (content === undefined) return 0;
  return typeof content === "string" ? Buffer.byteLength(content) : content.length;
}

/** `*( field-line CRLF )`; a CR or LF in a value would end the line and let its writer forge another (RFC 9112 §11.1). */
function fieldLines(fields: readonly FieldLine[]): string {
  let lines = "";
  for (const [name, value] of fields) {
    if (!isToken(name) || isFraming(name)) {
      throw new TypeError(`Not a field name that may be set: ${JSON.stringify(name)}`);
    }
    lines += `${name}: ${checkedValue(value)}\r\n`;
  }
  return lines;
}

function isFraming(name: string): boolean {
  return (name.length === 14 || name.length === 17) && /^(?:content-length|transfer-encoding)$/i.test(name);
}

function checkedValue(value: string): string {
  if (!isFieldValue(value)) throw new TypeError(`Not a field value: ${JSON.stringify(value)}`);
  return value;
}
