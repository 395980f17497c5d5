/**
 * Finds the credentials of an explained message, and keeps them out of what is said of it.
 *
 * @module
 */

import { type Credential, credentialsIn, maskCredentials } from "../../masking.ts";
import type { Reading, Row } from "../../exchange.ts";

/**
 * Finds the credentials outside of content. Their offsets count from the message's start.
 *
 * @param octets The octets of the message and after it, if more of them are shown than the rows hold.
 */
export function messageCredentials(rows: readonly Row[], octets?: string): Credential[] {
  const found: Credential[] = [];
  let run = "";
  let start = 0;
  const endRun = (end: number) => {
    for (const one of credentialsIn(octets?.substring(start, end) ?? run)) {
      found.push({ start: start + one.start, end: start + one.end });
    }
  };
  for (const row of rows) {
    // A row of many chunks holds their content too.
    if (row.kind === "content" || row.kind === "framing" && row.octets.length < row.end - row.start) {
      endRun(row.start);
      run = "";
      start = row.end;
    } else run += row.octets;
  }
  endRun(octets?.length ?? 0);
  return found;
}

/** Returns the label of a row whose value is masked: only what is said of its name. */
export function labelOfMasked({ label }: Row): string {
  return label.split(";", 1)[0];
}

/** Masks what a receiver takes for the next message. */
export function maskedReading(reading: Reading): Reading {
  return { ...reading, next: maskCredentials(reading.next) };
}
