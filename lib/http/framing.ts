/**
 * What the fields of a head mean for the message and its connection: Host, framing, persistence.
 *
 * These rules decide where a message ends and which host it is for, so each is as strict as RFC 9112 allows: request
 * smuggling needs two readings of one message (RFC 9112 §11.2).
 *
 * @module
 */

import { octetsToText } from "../bytes.ts";
import { HttpError } from "./error.ts";
import type { Fields } from "./fields.ts";
import { isAuthority, isDigit, listMembers, trimBlanks } from "./grammar.ts";

/** How the end of the content is found: by its length in octets, or by the chunked coding. */
export type Framing = number | "chunked";

/**
 * Returns the Host field's value. HTTP/1.1 requires exactly one valid Host (RFC 9112 §3.2); empty if HTTP/1.0 omits it.
 *
 * @param offset The head's offset, for errors.
 * @throws {HttpError} 400
 */
export function readHost(fields: Fields, minor: 0 | 1, offset: number): string {
  const host = fields.get("host");
  if (host === undefined) {
    if (minor === 0) return "";
    throw new HttpError(400, "An HTTP/1.1 request must have a Host field, saw none", {
      fault: "no-host",
      rule: "RFC 9112 §3.2",
      offset,
    });
  }
  // Two lines are joined by a comma and a space, which are invalid in an authority.
  if (isAuthority(host)) return host;
  const lines = fields.count("host");
  const detail = lines > 1
    ? `A request must have one Host field, saw ${lines}`
    : `The Host field must be host or host:port, saw ${quoted(host)}`;
  throw new HttpError(400, detail, {
    fault: lines > 1 ? "two-hosts" : "host-value",
    rule: "RFC 9112 §3.2",
    offset: offset + fields.valueOffset("host"),
  });
}

/**
 * Returns the framing of the content (RFC 9112 §6); `undefined` without Content-Length and Transfer-Encoding.
 *
 * @param offset The head's offset, for errors.
 * @throws {HttpError} 400; 501 for a transfer coding other than chunked.
 */
export function readFraming(fields: Fields, minor: 0 | 1, offset: number): Framing | undefined {
  const length = fields.get("content-length");
  const coding = fields.get("transfer-encoding");
  if (coding === undefined) {
    return length === undefined ? undefined : contentLength(length, fields, offset);
  }
  const at = offset + fields.valueOffset("transfer-encoding");
  if (length !== undefined) {
    throw new HttpError(400, "Content-Length or Transfer-Encoding, saw both", {
      fault: "two-framings",
      rule: "RFC 9112 §6.1",
      offset: at,
    });
  }
  if (minor === 0) {
    throw new HttpError(400, "An HTTP/1.0 message may not have Transfer-Encoding", {
      fault: "coding-in-http10",
      rule: "RFC 9112 §6.1",
      offset: at,
    });
  }
  return transferCoding(coding, at);
}

/**
 * Parses `Content-Length = 1*DIGIT`. A list is refused even if its members are equal, which RFC 9110 §8.6 would allow.
 */
function contentLength(value: string, fields: Fields, offset: number): number {
  let length = value.length === 0 ? NaN : 0;
  for (let i = 0; i < value.length; i++) {
    const digit = value.charCodeAt(i);
    length = isDigit(digit) ? length * 10 + digit - 0x30 : NaN;
  }
  if (Number.isSafeInteger(length)) return length;
  const detail = length > Number.MAX_SAFE_INTEGER
    ? `Content-Length is beyond 2^53 - 1: ${value.slice(0, 32)}`
    : `Content-Length must be one decimal number, saw ${quoted(value.slice(0, 32))}`;
  throw new HttpError(400, detail, {
    fault: length > Number.MAX_SAFE_INTEGER ? "length-too-large" : value.includes(",") ? "two-lengths" : "length-value",
    rule: "RFC 9110 §8.6",
    offset: offset + fields.valueOffset("content-length"),
  });
}

/**
 * Parses Transfer-Encoding. Only `chunked` is supported, once and last; without it the length is unknown (RFC 9112
 * §6.1, §6.3).
 */
function transferCoding(value: string, offset: number): "chunked" {
  const codings = value.toLowerCase().split(",").map(trimBlanks);
  if (codings.length === 1 && codings[0] === "chunked") return "chunked";
  const seen = quoted(value.slice(0, 64));
  if (codings.indexOf("chunked") !== codings.length - 1 || codings.includes("")) {
    throw new HttpError(400, `Transfer-Encoding must be chunked, once and as the last coding, saw ${seen}`, {
      fault: "chunked-not-last",
      rule: "RFC 9112 §6.3",
      offset,
    });
  }
  throw new HttpError(501, `No transfer coding other than chunked is known here, saw ${seen}`, {
    fault: "unknown-coding",
    rule: "RFC 9112 §6.1",
    offset,
  });
}

/**
 * Whether the connection persists after the message (RFC 9112 §9.3): in HTTP/1.1 unless it has `close`, in HTTP/1.0
 * only with `keep-alive`.
 */
export function readPersistence(fields: Fields, minor: 0 | 1): boolean {
  const connection = fields.get("connection");
  if (connection === undefined) return minor === 1;
  const options = listMembers(connection.toLowerCase());
  return !options.includes("close") && (minor === 1 || options.includes("keep-alive"));
}

/**
 * Refuses trailer fields that frame or route the message (RFC 9110 §6.5.1).
 *
 * @param offset The section's offset, for errors.
 * @throws {HttpError} 400
 */
export function refuseForbiddenTrailers(trailers: Fields, offset: number): void {
  for (const name of ["content-length", "transfer-encoding", "host"]) {
    if (trailers.count(name) === 0) continue;
    throw new HttpError(400, `The field ${name} may not stand in the trailer section`, {
      fault: "forbidden-trailer",
      rule: "RFC 9110 §6.5.1",
      offset: offset + trailers.valueOffset(name),
    });
  }
}

/** Returns a value's octets as quoted text for a message. */
function quoted(value: string): string {
  return JSON.stringify(octetsToText(value));
}
