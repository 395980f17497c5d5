/**
 * Finds lines that some receiver may read as a Host field, in octets that the codec does not read.
 *
 * Receivers differ in where a line ends, and in what may stand before a name and before its colon. Whatever one of them
 * may take for Host counts.
 *
 * @module
 */

/** Blanks and control characters, but for line ends: what a lenient receiver may skip. */
const SKIPPED = String.raw`[\0-\t\v\f\x0e-\x20]*`;
/** A value, with lines that continue it (RFC 9112 §5.2). */
const VALUE = String.raw`[^\r\n]*(?:(?:\r\n|\r|\n)[ \t][^\r\n]*)*`;
const HOST = new RegExp(String.raw`(?<=[\r\n])${SKIPPED}host${SKIPPED}:(${VALUE})`, "gi");
/** What may be, or become, a Host field once more octets come. */
const UNFINISHED = new RegExp(
  String.raw`(?<=[\r\n])(?!$)${SKIPPED}(?:h?|ho|hos|host${SKIPPED}(?::${VALUE}(?:\r\n?|\n)?)?)$`,
  "i",
);
/** The end of a head, with lenient line ends. */
const HEAD_END = /\n\r?\n/g;

/** A line that may be read as Host. */
export interface HostLine {
  /** The value, without blanks around it. */
  readonly value: string;
  /** The offset of the value. */
  readonly start: number;
}

/**
 * Returns the lines that may be read as Host.
 *
 * @param startsLine Whether the octets start a line.
 */
export function hostLines(octets: string, startsLine: boolean): HostLine[] {
  return [...inLines(octets, startsLine).matchAll(HOST)].map(({ 0: { length }, 1: value, index }) => ({
    value: value.trim(),
    // The first octet is the line end before them.
    start: index + length - value.trimStart().length - 1,
  }));
}

/** Returns where a line starts, at the end of the octets, that may yet be read as Host; their length if none does. */
export function unfinishedHost(octets: string, startsLine: boolean): number {
  const found = UNFINISHED.exec(inLines(octets, startsLine));
  return found === null ? octets.length : found.index - 1;
}

/** Returns where a head ends that begins with the octets; `undefined` if its end is not there. */
export function headEnd(octets: string, searched: number): number | undefined {
  // Empty lines before a request are ignored (RFC 9112 §2.2).
  HEAD_END.lastIndex = Math.max(searched - 2, /^[\r\n]*/.exec(octets)![0].length);
  const found = HEAD_END.exec(octets);
  return found === null ? undefined : found.index + found[0].length;
}

function inLines(octets: string, startsLine: boolean): string {
  return (startsLine ? "\n" : ".") + octets;
}
