/**
 * Formats a line of octets with a caret under one of them.
 *
 * @module
 */

import { SHOWN_FAULT_OCTETS } from "../../limits.ts";
import { displayWidth } from "../../terminal.ts";
import { octetsOf, units } from "../../exchange.ts";

/** A line of readable text, and the column of the caret under it. */
export interface Marked {
  /** The line. */
  readonly shown: string;
  /** Columns before the caret. */
  readonly caret: number;
}

/** Columns of the longest escaped octets, `\r\n` and `\xff`. */
const LONGEST_UNIT = 4;

/** Returns a line of escaped octets, and the column of one of them. Of a long line only the octets around it are kept. */
export function aroundCaret(octets: string, at: number, width: number): Marked {
  const all = units(octets);
  const index = unitAt(all, at);
  const whole = all.join("");
  if (displayWidth(whole) <= width) return { shown: whole, caret: displayWidth(all.slice(0, index).join("")) };
  // The dots on both sides and the octet itself need columns too.
  const half = Math.floor((width - LONGEST_UNIT - 2) / 2);
  const before = fitting(all.slice(Math.max(0, index - SHOWN_FAULT_OCTETS), index).reverse(), half).reverse();
  const after = fitting(all.slice(index + 1, index + 1 + SHOWN_FAULT_OCTETS), half);
  const start = (before.length < index ? "…" : "") + before.join("");
  const end = after.join("") + (index + 1 + after.length < all.length ? "…" : "");
  return { shown: start + (all[index] ?? "") + end, caret: displayWidth(start) };
}

/** Returns the index of the unit with an octet; after the last one, the number of units. */
function unitAt(all: readonly string[], at: number): number {
  let end = 0;
  const index = all.findIndex((unit) => (end += octetsOf(unit)) > at);
  return index < 0 ? all.length : index;
}

function fitting(all: readonly string[], width: number): string[] {
  let columns = 0;
  const excess = all.findIndex((unit) => (columns += displayWidth(unit)) > width);
  return excess < 0 ? [...all] : all.slice(0, excess);
}
