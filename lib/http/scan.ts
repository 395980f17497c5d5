/**
 * What the scanners of lines share. Each reads one element from `start`, never past `stop`, and returns where it ends,
 * or {@linkcode MORE}, or throws an `HttpError` whose offset is an index of the buffer.
 */

import type { FaultCode } from "./causes.ts";
import { wireError } from "./error.ts";
import { CR, HTAB, LF, SP } from "./grammar.ts";

/** What a scanner returns while the element's end has not come yet. */
export const MORE: number = -1;

const OCTET_NAMES: Record<number, string> = { 0: "NUL", [HTAB]: "TAB", [LF]: "LF", [CR]: "CR", [SP]: "SP" };

/** An octet as an error names it: `"x"`, `SP`, `0x1b`. */
export function nameOctet(octet: number): string {
  if (octet > SP && octet < 0x7f) return JSON.stringify(String.fromCharCode(octet));
  return OCTET_NAMES[octet] ?? `0x${octet.toString(16).padStart(2, "0")}`;
}

/** Expects CR LF (RFC 9112 §2.2) after `before`; the cause is `fault` if neither is there, `bareLf` if an LF is. */
export function scanLineEnd(
  buffer: Uint8Array,
  at: number,
  stop: number,
  before: string,
  fault: FaultCode,
  bareLf: FaultCode = "bare-lf",
): number {
  if (at >= stop) return MORE;
  if (buffer[at] !== CR) {
    throw buffer[at] === LF
      ? wireError(bareLf, at, `A bare LF follows ${before}`, "lines end with CR LF")
      : wireError(fault, at, `Expected CR LF after ${before}, saw ${nameOctet(buffer[at])}`);
  }
  if (at + 1 >= stop) return MORE;
  if (buffer[at + 1] !== LF) {
    throw wireError("bare-cr", at, `A CR must be followed by LF, not by ${nameOctet(buffer[at + 1])}`);
  }
  return at + 2;
}
