/** Fills lines with octets: as readable text, in hexadecimal digits, or around one of them, for a caret under it. */

import { Buffer, isUtf8 } from "node:buffer";
import { octetsOf, unitAt, units } from "../../exchange.ts";
import { SHOWN_FAULT_OCTETS } from "../../limits.ts";
import { displayWidth } from "../../terminal.ts";

const HEX_OCTETS = 8;
/** Columns of the longest escaped octets, `\r\n` and `\xff`. */
const LONGEST_UNIT = 4;

type Wrapped = { readonly lines: string[]; readonly octets: number };

/** Fills lines with readable text, at most so many; a line end in the text may also end a line. */
export function textLines(octets: string, width: number, most = Infinity, isBroken = true): Wrapped {
  const lines: string[] = [];
  let line = "";
  let columns = 0;
  let at = 0;
  for (let unit = ""; at < octets.length; at += octetsOf(unit)) {
    const isEnd = isBroken && unit.endsWith("\\n");
    unit = unitAt(octets, at, unit);
    // Units are mostly ASCII, and many.
    const added = unit <= "~" ? unit.length : displayWidth(unit);
    if (line !== "" && (columns + added > width || isEnd)) {
      lines.push(line);
      line = "";
      columns = 0;
      if (lines.length >= most) return { lines, octets: at };
    }
    line += unit;
    columns += added;
  }
  lines.push(line);
  return { lines, octets: at };
}

/** Returns lines of content, at most so many: text, unless it is binary. */
export function contentLines(octets: string, width: number, most: number): Wrapped {
  return isBinary(octets)
    ? hexLines(octets, Math.min(HEX_OCTETS, Math.floor(width / 4)), most)
    : textLines(octets, width, most);
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

/** Returns a line, or what fits of it around an octet, and the number of columns before a caret under that. */
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
