/**
 * Formats times of a capture.
 *
 * @module
 */

/** Formats a time in microseconds as Wireshark does: seconds since the first packet. */
export function timeText(microseconds: number): string {
  return `${(microseconds / 1_000_000).toFixed(6)} s`;
}

/** Formats a duration in microseconds in a readable unit. */
export function durationText(microseconds: number): string {
  if (microseconds < 1000) return `${Math.round(microseconds)} µs`;
  if (microseconds < 1_000_000) return `${(microseconds / 1000).toFixed(3)} ms`;
  return `${(microseconds / 1_000_000).toFixed(3)} s`;
}
