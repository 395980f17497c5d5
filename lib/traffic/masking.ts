/**
 * Masks credentials in messages: their octets become asterisks, so that lengths and offsets stay the same.
 *
 * @module
 */

import { isBlank, LF } from "../http_message.ts";
import { CREDENTIAL_FIELDS } from "../terminal.ts";

const ASTERISK = 0x2a;
const CR = 0x0d;
const COLON = 0x3a;

/** Copies a message's octets, with asterisks in the values of fields that have credentials. */
export function masked(message: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = Uint8Array.from(message);
  let masking = false;
  for (let start = 0; start < copy.length;) {
    const lineFeed = copy.indexOf(LF, start);
    const next = lineFeed < 0 ? copy.length : lineFeed + 1;
    let end = lineFeed < 0 ? next : lineFeed;
    if (end > start && copy[end - 1] === CR) end--;
    if (end === start && start > 0) break;
    // A line that starts with a blank continues the line before it (RFC 9112 §5.2).
    const value = isBlank(copy[start]) ? start : valueStart(copy, start, end);
    if (value !== start) masking = value > start && CREDENTIAL_FIELDS.includes(nameBefore(copy, start, end));
    if (masking) hide(copy, value, end);
    start = next;
  }
  return copy;
}

/** Returns the start of a field line's value; -1 if the line is not a field line. */
function valueStart(bytes: Uint8Array, start: number, end: number): number {
  const colon = bytes.subarray(start, end).indexOf(COLON);
  return colon < 0 ? -1 : start + colon + 1;
}

function nameBefore(bytes: Uint8Array, start: number, end: number): string {
  const name = bytes.subarray(start, start + bytes.subarray(start, end).indexOf(COLON));
  return name.length > 64 ? "" : String.fromCharCode(...name).trim().toLowerCase();
}

function hide(bytes: Uint8Array, start: number, end: number): void {
  while (start < end && isBlank(bytes[start])) start++;
  bytes.fill(ASTERISK, start, end);
}
