/**
 * Two readings of one message: what lenient receivers take for its content and for the next message.
 *
 * Different readings make request smuggling possible (RFC 9112 §11.2). They are computed only after the decoder has
 * refused the message.
 *
 * @module
 */

import type { FaultCode } from "../http_message.ts";
import type { Reading } from "./explanation.ts";

/** A head as read by a lenient receiver. */
interface LenientHead {
  /** The start of the content. */
  readonly end: number;
  readonly lengths: readonly string[];
  readonly chunked: boolean;
}

/** Characters of a chunk size that are looked at. */
const MOST_DIGITS = 20;
/** Characters shown of the next message. */
const NEXT_CHARACTERS = 40;

/**
 * Returns the readings of a refused message; none if there is only one.
 *
 * @param text The message from `start` on: its head, and the octets kept after it.
 * @param start The offset of the text from the message's start.
 * @param total The number of octets from `start` on.
 */
export function twoReadings(fault: FaultCode | undefined, text: string, start: number, total: number): Reading[] {
  const head = readHead(text, /\r\n/);
  const byLength = (by: string, { end, lengths }: LenientHead, which: number): Reading => {
    const length = /^\d+$/.test(lengths.at(which) ?? "") ? Number(lengths.at(which)) : 0;
    return reading(by, text, start, total, end, end + length);
  };
  const byCoding = (by: string, { end }: LenientHead): Reading =>
    reading(by, text, start, total, end, chunkedEnd(text, end, "\n") ?? Infinity);
  switch (fault) {
    case "two-framings":
    case "coding-in-http10":
      if (head === undefined) return [];
      return differing([
        byLength(head.lengths.length > 0 ? "Content-Length" : "no length", head, 0),
        byCoding("Transfer-Encoding", head),
      ]);
    case "two-lengths":
      if (head === undefined) return [];
      return differing([
        byLength("the first Content-Length", head, 0),
        byLength("the last Content-Length", head, -1),
      ]);
    case "bare-lf": {
      const lenient = readHead(text, /\r?\n/);
      if (lenient === undefined) return [];
      const read = (by: string, head: LenientHead) => head.chunked ? byCoding(by, head) : byLength(by, head, 0);
      const strict = head ?? { end: total, lengths: [], chunked: false };
      return differing([read("CR LF alone", strict), read("LF as a line end", lenient)]);
    }
    default:
      return [];
  }
}

function differing(readings: Reading[]): Reading[] {
  const [first, second] = readings;
  return first.start === second.start && first.end + first.missing === second.end + second.missing ? [] : readings;
}

/** Reads the framing fields as a receiver that accepts this line end. */
function readHead(text: string, lineEnd: RegExp): LenientHead | undefined {
  const separator = new RegExp(`(?:${lineEnd.source}){2}`);
  const empty = /^(?:\r\n)*/.exec(text)![0].length;
  const match = separator.exec(text.substring(empty));
  if (match === null) return undefined;
  const end = empty + match.index + match[0].length;
  const lengths: string[] = [];
  let chunked = false;
  for (const line of text.substring(empty, empty + match.index).split(lineEnd).slice(1)) {
    const colon = line.indexOf(":");
    const name = line.substring(0, colon).trim().toLowerCase();
    const value = line.substring(colon + 1).trim();
    if (name === "content-length") lengths.push(...value.split(",").map((member) => member.trim()));
    if (name === "transfer-encoding") chunked = /(?:^|,)\s*chunked\s*$/i.test(value);
  }
  return { end, lengths, chunked };
}

/**
 * Returns the readings of chunked content with a bare LF in a chunk extension; none if there is only one.
 *
 * @param text The octets from the chunk line on, or from the line end before it.
 * @param start The offset of the text from the message's start.
 * @param total The number of octets from `start` on.
 */
export function chunkReadings(fault: FaultCode | undefined, text: string, start: number, total: number): Reading[] {
  const from = text.startsWith("\r\n") ? 2 : 0;
  const line = text.substring(from, text.indexOf("\n", from));
  // Without an extension, no receiver takes octets after the LF for a part of the line.
  if (fault !== "bare-lf" && fault !== "chunk-bare-lf" || !line.includes(";")) return [];
  const read = (by: string, lineEnd: string) =>
    reading(by, text, start, total, from, chunkedEnd(text, from, lineEnd) ?? Infinity);
  return differing([read("CR LF alone", "\r\n"), read("LF as a line end", "\n")]);
}

/** Returns the end of chunked content; `undefined` if it is not available. */
function chunkedEnd(text: string, start: number, lineEnd: string): number | undefined {
  const behindLine = (at: number) => {
    const end = text.indexOf(lineEnd, at);
    return end < 0 ? undefined : end + lineEnd.length;
  };
  for (let at: number | undefined = start;;) {
    const size = parseInt(/^[\da-f]*/i.exec(text.substring(at, at + MOST_DIGITS))![0], 16);
    at = behindLine(at);
    if (at === undefined || !(size >= 0)) return undefined;
    if (size > 0) {
      at = behindLine(at + size);
      if (at === undefined) return undefined;
      continue;
    }
    for (let trailer = at;; trailer = at) {
      at = behindLine(trailer);
      if (at === undefined) return undefined;
      if (text.substring(trailer, at).trim() === "") return at;
    }
  }
}

function reading(by: string, text: string, start: number, total: number, from: number, to: number): Reading {
  const known = Math.min(to, total);
  const rest = text.substring(known, known + NEXT_CHARACTERS);
  return { by, start: start + from, end: start + known, next: rest, missing: to - known };
}
