/** Fills lines with octets: as readable text, in hexadecimal digits, or around one of them, for a caret under it. */

import { Buffer, isUtf8 } from "node:buffer";
import { octetsOf, units } from "../../exchange.ts";
import { SHOWN_FAULT_OCTETS } from "../../limits.ts";
import { displayWidth } from "../../terminal.ts";

const HEX_OCTETS = 8;
const LONGEST_CHARACTER = 4;
/** Columns of the longest escaped octets, `\r\n` and `\xff`. */
const LONGEST_UNIT = 4;
const SLICE_OCTETS = 8192;

interface Wrapped {
  readonly lines: string[];
  readonly octets: number;
}

/**
 * Fills lines with units, at most so many.
 *
 * @param isBroken Whether a line end in the text also ends a line.
 */
export function wrapUnits(all: readonly string[], width: number, most = Infinity, isBroken = true): Wrapped {
  const lines: string[] = [];
  let line = "";
  let columns = 0;
  let octets = 0;
  for (let i = 0; i < all.length; i++) {
    const unit = all[i];
    // Units are mostly ASCII, and many.
    const added = unit <= "~" ? unit.length : displayWidth(unit);
    if (line !== "" && (columns + added > width || isBroken && all[i - 1].endsWith("\\n"))) {
      lines.push(line);
      line = "";
      columns = 0;
      if (lines.length >= most) return { lines, octets };
    }
    line += unit;
    columns += added;
    octets += octetsOf(unit);
  }
  lines.push(line);
  return { lines, octets };
}

export function firstLine(octets: string, width: number): Wrapped {
  return wrapUnits(units(octets.substring(0, LONGEST_CHARACTER * width)), width, 1, false);
}

/** Returns lines of content, at most so many: text, unless it is binary. */
export function contentLines(octets: string, width: number, most: number): Wrapped {
  return isBinary(octets)
    ? hexLines(octets, Math.min(HEX_OCTETS, Math.floor(width / 4)), most)
    : textLines(octets, width, most);
}

export function textLines(octets: string, width: number, most: number): Wrapped {
  if (most < Infinity) {
    // Most octets take one column.
    const first = wrapUnits(units(octets.substring(0, sliceEnd(octets, 0, most * width))), width, most);
    if (first.lines.length === most) return first;
  }
  const lines: string[] = [];
  let count = 0;
  for (let at = 0; at < octets.length && lines.length < most;) {
    const end = sliceEnd(octets, at, SLICE_OCTETS);
    const wrapped = wrapUnits(units(octets.substring(at, end)), width, most - lines.length);
    lines.push(...wrapped.lines);
    count += wrapped.octets;
    at = end;
  }
  return { lines, octets: count };
}

/** Returns the end of a slice of at most so many octets, not inside a UTF-8 character. */
function sliceEnd(octets: string, at: number, most: number): number {
  let end = Math.min(octets.length, at + most);
  for (let i = 0; i < 3 && end < octets.length && (octets.charCodeAt(end) & 0xc0) === 0x80; i++) end--;
  return end;
}

/** Whether octets are not UTF-8, or have control characters that text does not have. */
function isBinary(octets: string): boolean {
  // deno-lint-ignore no-control-regex -- these are what text does not have
  if (/[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f]/.test(octets)) return true;
  // deno-lint-ignore no-control-regex -- ASCII needs no look at each character
  if (/^[\x00-\x7f]*$/.test(octets)) return false;
  // The first and the last character may be cut, by a chunk or by the limit of what is kept.
  const inner = octets.replace(/^[\x80-\xbf]{1,3}/, "").replace(/[\xc2-\xf4][\x80-\xbf]{0,2}$/, "");
  return !isUtf8(Buffer.from(inner, "latin1"));
}

function hexLines(octets: string, perLine: number, most: number): Wrapped {
  const lines: string[] = [];
  let at = 0;
  for (; at < octets.length && lines.length < most; at += perLine) {
    const line = octets.substring(at, at + perLine);
    const digits = Array.from(line, (octet) => octet.charCodeAt(0).toString(16).padStart(2, "0")).join(" ");
    lines.push(`${digits.padEnd(3 * perLine)} ${line.replace(/[^ -~]/g, ".")}`);
  }
  return { lines, octets: Math.min(at, octets.length) };
}

/**
 * Returns a line of escaped octets, and the number of columns before a caret under one of them. Of a long line only
 * the octets around that one are kept.
 */
export function aroundCaret(octets: string, at: number, width: number): { shown: string; caret: number } {
  const all = units(octets);
  let end = 0;
  const found = all.findIndex((unit) => (end += octetsOf(unit)) > at);
  const index = found < 0 ? all.length : found;
  const whole = all.join("");
  if (displayWidth(whole) <= width) return { shown: whole, caret: displayWidth(all.slice(0, index).join("")) };
  // The dots on both sides and the octet itself need columns too.
  const half = Math.floor((width - LONGEST_UNIT - 2) / 2);
  const before = fitting(all.slice(Math.max(0, index - SHOWN_FAULT_OCTETS), index).reverse(), half).reverse();
  const after = fitting(all.slice(index + 1, index + 1 + SHOWN_FAULT_OCTETS), half);
  const start = (before.length < index ? "…" : "") + before.join("");
  const rest = after.join("") + (index + 1 + after.length < all.length ? "…" : "");
  return { shown: start + (all[index] ?? "") + rest, caret: displayWidth(start) };
}

function fitting(all: readonly string[], width: number): string[] {
  let columns = 0;
  const excess = all.findIndex((unit) => (columns += displayWidth(unit)) > width);
  return excess < 0 ? [...all] : all.slice(0, excess);
}
