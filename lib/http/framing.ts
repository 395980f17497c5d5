/**
 * What the fields of a head mean for the message and its connection: Host, framing, persistence.
 *
 * These rules decide where a message ends and which host it is for, so each is as strict as RFC 9112 allows: request
 * smuggling needs two readings of one message (RFC 9112 §11.2). Each takes its section's offset, for errors.
 */

import { octetsToText } from "../bytes.ts";
import { maskTarget } from "../masking.ts";
import type { FaultCode } from "./causes.ts";
import { wireError } from "./error.ts";
import type { Fields } from "./fields.ts";
import { isAuthority, isDigit, listMembers, trimBlanks } from "./grammar.ts";

/** How the end of the content is found: by its length in octets, or by the chunked coding. */
export type Framing = number | "chunked";

/** Returns the Host field's value: HTTP/1.1 requires exactly one valid Host (RFC 9112 §3.2), HTTP/1.0 may omit it. */
export function readHost(fields: Fields, minor: 0 | 1, offset: number): string {
  const host = fields.get("host");
  // Two lines are joined by a comma and a space, which are invalid in an authority.
  return host !== undefined && isAuthority(host) ? host : refuseHost(host, fields, minor, offset);
}

function refuseHost(host: string | undefined, fields: Fields, minor: 0 | 1, offset: number): "" {
  if (host === undefined) {
    if (minor === 0) return "";
    throw wireError("no-host", offset, "An HTTP/1.1 request must have a Host field, saw none");
  }
  const lines = fields.count("host");
  const at = offset + fields.valueOffset("host");
  if (lines > 1) throw wireError("two-hosts", at, `A request must have one Host field, saw ${lines}`);
  const fault = /^(?::\d*)?$/.test(host) ? "empty-host" : "host-value";
  throw wireError(fault, at, `The Host field must be host or host:port, saw ${quoted(maskTarget(host))}`);
}

/** Returns the framing of the content (RFC 9112 §6); `undefined` without Content-Length and Transfer-Encoding. */
export function readFraming(fields: Fields, minor: 0 | 1, offset: number): Framing | undefined {
  const length = fields.get("content-length");
  const coding = fields.get("transfer-encoding");
  if (coding === undefined) return length === undefined ? undefined : contentLength(length, fields, offset);
  const at = offset + fields.valueOffset("transfer-encoding");
  if (length !== undefined) {
    throw wireError("two-framings", at, "Content-Length or Transfer-Encoding, saw both");
  }
  if (minor === 0) throw wireError("coding-in-http10", at, "An HTTP/1.0 message must not have Transfer-Encoding");
  return transferCoding(coding, at);
}

/** Parses `Content-Length = 1*DIGIT`. A list is refused even if its members are equal (RFC 9110 §8.6 allows both). */
function contentLength(value: string, fields: Fields, offset: number): number {
  let length = value.length === 0 ? NaN : 0;
  for (let i = 0; i < value.length; i++) {
    const digit = value.charCodeAt(i);
    length = isDigit(digit) ? length * 10 + digit - 0x30 : NaN;
  }
  if (Number.isSafeInteger(length)) return length;
  const at = offset + fields.valueOffset("content-length");
  if (length > Number.MAX_SAFE_INTEGER) {
    throw wireError("length-too-large", at, "Content-Length is beyond 2^53 - 1", value.slice(0, 32));
  }
  const seen = `Content-Length must be one decimal number, saw ${quoted(value.slice(0, 32))}`;
  throw wireError(lengthFault(value), at, seen);
}

/** Returns what is wrong with a length that is no number: it may be a list of one number, repeated (RFC 9110 §8.6). */
function lengthFault(value: string): FaultCode {
  if (!value.includes(",")) return "length-value";
  const lengths = listMembers(value).map((member) => /^0*(\d+)$/.exec(member)?.[1]);
  return lengths.length > 0 && lengths.every((length) => length !== undefined && length === lengths[0])
    ? "equal-lengths"
    : "two-lengths";
}

/** Only `chunked` is supported, once and last; without it the length is unknown (RFC 9112 §6.1, §6.3). */
function transferCoding(value: string, offset: number): "chunked" {
  const codings = value.toLowerCase().split(",").map(trimBlanks);
  if (codings.length === 1 && codings[0] === "chunked") return "chunked";
  const fault = codingFault(codings);
  const allowed = fault === "unknown-coding"
    ? "No transfer coding other than chunked is known here"
    : "Transfer-Encoding must be chunked, once and as the last coding";
  throw wireError(fault, offset, `${allowed}, saw ${quoted(value.slice(0, 64))}`);
}

/** Returns what is wrong with transfer codings. Only a receiver that knows where `chunked` ends can find the end. */
function codingFault(codings: readonly string[]): FaultCode {
  const members = codings.filter((coding) => coding !== "");
  const last = members.at(-1);
  if (last === undefined || !/^chunked[ \t]*(?:;|$)/.test(last)) return "chunked-not-last";
  if (last !== "chunked") return "chunked-parameter";
  if (members.length < codings.length) return "empty-coding";
  return members.indexOf("chunked") < members.length - 1 ? "chunked-twice" : "unknown-coding";
}

/** Whether the connection persists (RFC 9112 §9.3): HTTP/1.1 unless it has `close`, HTTP/1.0 only with `keep-alive`. */
export function readPersistence(fields: Fields, minor: 0 | 1): boolean {
  const connection = fields.get("connection");
  if (connection === undefined) return minor === 1;
  const options = listMembers(connection.toLowerCase());
  return !options.includes("close") && (minor === 1 || options.includes("keep-alive"));
}

/** Whether the Connection field says that the connection closes after its message or the response (RFC 9112 §9.6). */
export function saysClose(connection = ""): boolean {
  return listMembers(connection.toLowerCase()).includes("close");
}

/** Refuses trailer fields that frame or route the message (RFC 9110 §6.5.1). */
export function refuseForbiddenTrailers(trailers: Fields, offset: number): void {
  for (const name of ["content-length", "transfer-encoding", "host"]) {
    if (trailers.count(name) === 0) continue;
    const at = offset + trailers.valueOffset(name);
    throw wireError("forbidden-trailer", at, `The field ${name} must not stand in the trailer section`);
  }
}

function quoted(value: string): string {
  return JSON.stringify(octetsToText(value));
}
