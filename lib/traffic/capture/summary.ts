/**
 * Says in one line what a capture has.
 *
 * @module
 */

import { counted } from "../../bytes.ts";

/** What is known of a capture. */
export interface CaptureCounts {
  /** When its first packet was captured, in microseconds since 1970. */
  readonly start: number | undefined;
  /** How many packets it has. */
  readonly packets: number;
  /** How many TCP connections. */
  readonly connections: number;
}

/**
 * Returns when a capture began, and how much it has.
 *
 * @param soFar Whether there may be more.
 */
export function summaryText({ start, packets, connections }: CaptureCounts, soFar: boolean): string {
  const first = dateText(start);
  const counts = `${counted(packets, "packet")}, ${counted(connections, "connection")}${soFar ? " so far" : ""}`;
  return first === undefined ? counts : `first packet at ${first}; ${counts}`;
}

/** Formats a time in microseconds since 1970; `undefined` if it is no date. */
function dateText(time: number | undefined): string | undefined {
  const date = new Date(Math.floor((time ?? NaN) / 1000));
  if (Number.isNaN(date.getTime())) return undefined;
  const microseconds = String(Math.floor(time! % 1000 + 1000) % 1000).padStart(3, "0");
  return `${date.toISOString().replace("T", " ").replace("Z", "")}${microseconds} UTC`;
}
