/** Reading the line before each chunk: its size and its extensions (RFC 9112 §7.1). */

import { wireError } from "./error.ts";
import {
  BACKSLASH,
  CR,
  DQUOTE,
  EQUALS,
  hexValue,
  isBlank,
  isFieldContentOctet,
  isHexDigit,
  isQuotedTextOctet,
  isTokenOctet,
  LF,
  SEMICOLON,
} from "./grammar.ts";
import { MORE, nameOctet, scanLineEnd } from "./scan.ts";
import type { MessageLimits } from "../limits.ts";

/** Scans the chunk lines of a message and holds the last one's size. */
export class ChunkLine {
  /** The chunk's size in octets; 0 for the last chunk. */
  size = 0;
  /** Sum of the chunk sizes so far. */
  total = 0;
  #extensionsBytes = 0;

  constructor(private readonly limits: MessageLimits) {}

  /** `chunk-size [ chunk-ext ] CRLF`, `chunk-size = 1*HEXDIG` (RFC 9112 §7.1). Extensions are checked, then ignored. */
  scan(buffer: Uint8Array, start: number, end: number): number {
    const stop = Math.min(end, start + this.limits.maxChunkLineBytes);
    const lineEnd = this.#scanLine(buffer, start, stop);
    if (lineEnd === MORE && stop - start === this.limits.maxChunkLineBytes) {
      const seen = `The chunk-size line is longer than ${this.limits.maxChunkLineBytes} octets`;
      throw wireError("chunk-line-too-long", stop, seen);
    }
    return lineEnd;
  }

  #scanLine(buffer: Uint8Array, start: number, stop: number): number {
    let at = start;
    this.size = 0;
    for (; at < stop && isHexDigit(buffer[at]); at++) {
      this.size = this.size * 16 + hexValue(buffer[at]);
      if (this.size > Number.MAX_SAFE_INTEGER) {
        throw wireError("chunk-size-too-large", at, "The chunk size is beyond 2^53 - 1");
      }
    }
    if (at >= stop) return MORE;
    if (at === start || !isSizeEnd(buffer[at])) {
      throw wireError("chunk-size", at, `A chunk size has hexadecimal digits only, saw ${nameOctet(buffer[at])}`);
    }
    const sizeEnd = at;
    at = scanExtensions(buffer, at, stop);
    if (at === MORE) return MORE;
    const before = at === sizeEnd ? "the chunk size" : "the chunk extensions";
    const lineEnd = scanLineEnd(buffer, at, stop, before, "chunk-extension", "chunk-bare-lf");
    if (lineEnd === MORE) return MORE;
    this.#extensionsBytes += at - sizeEnd;
    if (this.#extensionsBytes > this.limits.maxChunkExtensionsBytes) {
      const seen = `The message's chunk extensions are longer than ${this.limits.maxChunkExtensionsBytes} octets`;
      throw wireError("chunk-extensions-too-long", at, seen);
    }
    this.total += this.size;
    return lineEnd;
  }
}

/** That of a line end, an extension, or a blank before one. */
function isSizeEnd(octet: number): boolean {
  return octet === CR || octet === LF || octet === SEMICOLON || isBlank(octet);
}

/**
 * `chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )`,
 * with a token as name and a token or quoted string as value (RFC 9112 §7.1.1).
 */
function scanExtensions(buffer: Uint8Array, start: number, stop: number): number {
  for (let at = start, isAfterName = false;;) {
    const next = skipBlank(buffer, at, stop);
    if (next >= stop) return MORE;
    const isValue: boolean = isAfterName && buffer[next] === EQUALS;
    // Blanks are bad but legal before a semicolon; before the line's end they are not.
    if (!isValue && buffer[next] !== SEMICOLON) {
      return at === next ? at : refuseExtension(buffer[at], at, "a semicolon");
    }
    at = scanWord(buffer, skipBlank(buffer, next + 1, stop), stop, isValue);
    if (at === MORE) return MORE;
    isAfterName = !isValue;
  }
}

function skipBlank(buffer: Uint8Array, start: number, stop: number): number {
  let at = start;
  while (at < stop && isBlank(buffer[at])) at++;
  return at;
}

function scanWord(buffer: Uint8Array, start: number, stop: number, mayBeQuoted: boolean): number {
  if (mayBeQuoted && start < stop && buffer[start] === DQUOTE) return scanQuoted(buffer, start, stop);
  let at = start;
  while (at < stop && isTokenOctet(buffer[at])) at++;
  if (at >= stop) return MORE;
  return at > start ? at : refuseExtension(buffer[at], at, "a token");
}

/** `quoted-string = DQUOTE *( qdtext / quoted-pair ) DQUOTE` (RFC 9110 §5.6.4). */
function scanQuoted(buffer: Uint8Array, start: number, stop: number): number {
  for (let at = start + 1; at < stop; at++) {
    if (buffer[at] === DQUOTE) return at + 1 < stop ? at + 1 : MORE;
    if (buffer[at] === BACKSLASH) {
      if (++at >= stop) return MORE;
      if (!isFieldContentOctet(buffer[at])) refuseExtension(buffer[at], at, "a character after the backslash");
    } else if (!isQuotedTextOctet(buffer[at])) refuseExtension(buffer[at], at, "a quoted string");
  }
  return MORE;
}

function refuseExtension(octet: number, offset: number, expected: string): never {
  const seen = octet === CR || octet === LF ? "A chunk extension ends too early" : "Malformed chunk extension";
  throw wireError("chunk-extension", offset, seen, `expected ${expected}, saw ${nameOctet(octet)}`);
}
