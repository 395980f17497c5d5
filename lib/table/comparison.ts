/**
 * What a comparison of values means, for filters and sorting alike.
 *
 * A value is a number, a text, a boolean, null, an array, an object, or missing. A text in a number's notation counts as
 * that number, unless its field has the type `string`. Numbers compare by their decimal value, texts by code point.
 */

import { Buffer } from "node:buffer";
import { NO_BYTES, octetString } from "../bytes.ts";
import { UTF8 } from "../json.ts";
import { MAX_COMPARED_DIGITS } from "../limits.ts";

/** The engine finds parts up to this many characters; its time for longer ones may be the product of both lengths. */
export const MAX_NATIVE_NEEDLE_CHARACTERS: number = 256;

/**
 * The kinds of values: a number, or a text that counts as one; another text; three literals; what has members; and no
 * value. The first four sort in this order; the others, in either direction, behind them, and tie.
 */
export const [NUMBER, TEXT, FALSE, TRUE, NULL, ARRAY, OBJECT, MISSING] = [0, 1, 2, 3, 4, 5, 6, 7] as const;
export type Kind = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7;

/** Every number of this many digits without an exponent differs as a double from all others of as many. */
const MAX_EXACT_DIGITS = 15;
const MINUS = 0x2d;
const PLUS = 0x2b;
const DOT = 0x2e;
const NUMBER_NOTATION = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;

/** A value to compare. A text and a number's digits are octets of UTF-8, from `start` to before `end`. */
export class Value {
  kind: Kind = MISSING;
  bytes: Uint8Array = NO_BYTES;
  start = 0;
  end = 0;
  /** A number's nearest double. */
  number = 0;
  /** Whether the double's shortest digits are the number's: others with this double and property are equal to it. */
  isExact = true;

  /** Takes a text; one in a number's notation becomes that number, if it may. */
  setText(bytes: Uint8Array, start: number, end: number, mayBeNumber: boolean): void {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.kind = mayBeNumber && this.#readNumber() ? NUMBER : TEXT;
  }

  /** Reads the octets as a number: an optional sign, digits with at most one point, and an optional exponent. */
  #readNumber(): boolean {
    const { bytes, start, end } = this;
    const length = end - start;
    let number = 0;
    let at = start;
    for (; at < end && at - start <= MAX_EXACT_DIGITS; at++) {
      const digit = bytes[at] - 0x30;
      if (digit < 0 || digit > 9) break;
      number = number * 10 + digit;
    }
    if (at === end && length > 0 && length <= MAX_EXACT_DIGITS) {
      this.number = number;
      this.isExact = true;
      return true;
    }
    if (at === start && bytes[at] !== MINUS && bytes[at] !== PLUS && bytes[at] !== DOT) return false;
    if (length === 0 || length > MAX_COMPARED_DIGITS) return false;
    const text = octetString(bytes, start, end);
    if (!NUMBER_NOTATION.test(text)) return false;
    this.number = Number(text);
    this.isExact = length <= MAX_EXACT_DIGITS && !/e/i.test(text);
    return true;
  }

  /** The text, or the digits of the number. */
  get text(): string {
    return isAscii(this.bytes, this.start, this.end)
      ? octetString(this.bytes, this.start, this.end)
      : UTF8.decode(this.bytes.subarray(this.start, this.end));
  }
}

export function valueOf(text: string, mayBeNumber: boolean): Value {
  const value = new Value();
  const bytes = Buffer.from(text);
  value.setText(bytes, 0, bytes.length, mayBeNumber);
  return value;
}

/** Compares two values in the order of sorting: negative if `a` comes first, 0 if they are equal or tie. */
export function compare(a: Value, b: Value): number {
  if (a.kind !== b.kind) return Math.min(a.kind, NULL) - Math.min(b.kind, NULL);
  if (a.kind === NUMBER) return compareNumbers(a, b);
  return a.kind === TEXT ? compareOctets(a, b) : 0;
}

function compareNumbers(a: Value, b: Value): number {
  if (a.number !== b.number) return a.number < b.number ? -1 : 1;
  return a.isExact && b.isExact ? 0 : compareDecimals(decimalOf(a), decimalOf(b));
}

/** Compares texts by code point, which is the order of their octets in UTF-8. */
function compareOctets(a: Value, b: Value): number {
  const length = Math.min(a.end - a.start, b.end - b.start);
  for (let i = 0; i < length; i++) {
    const difference = a.bytes[a.start + i] - b.bytes[b.start + i];
    if (difference !== 0) return difference;
  }
  return (a.end - a.start) - (b.end - b.start);
}

/** A decimal number: its sign, its digits without zeros at either end, and where its point stands before them. */
interface Decimal {
  readonly sign: -1 | 0 | 1;
  readonly digits: string;
  readonly exponent: bigint;
}

/** Returns a number's decimal value. Of one that is exact the octets are not needed: rows held for sorting have none. */
function decimalOf(value: Value): Decimal {
  const text = value.isExact ? String(value.number) : value.text;
  const [, sign, whole, fraction = "", exponent = "0"] = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/.exec(
    text,
  ) as RegExpExecArray;
  const all = whole + fraction;
  const digits = all.replace(/^0+/, "");
  const leading = all.length - digits.length;
  return {
    sign: digits === "" ? 0 : sign === "-" ? -1 : 1,
    digits: digits.replace(/0+$/, ""),
    exponent: BigInt(exponent.replace("+", "")) + BigInt(whole.length - leading),
  };
}

function compareDecimals(a: Decimal, b: Decimal): number {
  if (a.sign !== b.sign || a.sign === 0) return a.sign - b.sign;
  if (a.exponent !== b.exponent) return a.exponent < b.exponent ? -a.sign : a.sign;
  return a.digits === b.digits ? 0 : a.digits < b.digits ? -a.sign : a.sign;
}

/**
 * Returns a test for equality with any of a query's values, in time independent of their number. In a field that
 * `isText`, `null`, `true` and `false` are texts alone.
 */
export function anyOf(values: readonly Value[], isText: boolean): (value: Value) => boolean {
  const literals = isText ? [] : values.map(literalOf);
  if (values.length === 1) {
    const [only] = values;
    const [literal] = literals;
    return (value) => value.kind === only.kind ? compare(value, only) === 0 : value.kind === literal;
  }
  const texts = new Set(values.filter(({ kind }) => kind === TEXT).map(({ text }) => text));
  const numbers = Map.groupBy(values.filter(({ kind }) => kind === NUMBER), ({ number }) => number);
  return (value) => {
    switch (value.kind) {
      case NUMBER:
        return numbers.get(value.number)?.some((same) => compareNumbers(value, same) === 0) ?? false;
      case TEXT:
        return texts.has(value.text);
      default:
        return literals.includes(value.kind);
    }
  };
}

/** Returns the kind of value that the text names too, besides itself. */
function literalOf(value: Value): Kind | undefined {
  if (value.kind !== TEXT || value.end - value.start > 5) return undefined;
  return LITERALS.get(value.text);
}

const LITERALS: ReadonlyMap<string, Kind> = new Map([["null", NULL], ["true", TRUE], ["false", FALSE]]);

/** Returns a text without what makes no difference to its parts: composition, case, and the form of a final sigma. */
export function folded(text: string): string {
  return text.normalize("NFC").toLowerCase().replaceAll("ς", "σ");
}

export function foldedText(value: Value): string {
  const { bytes, start, end } = value;
  return isAscii(bytes, start, end) ? octetString(bytes, start, end).toLowerCase() : folded(value.text);
}

function isAscii(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at] >= 0x80) return false;
  return true;
}

/** Returns a test for texts that contain a part, in time linear in the text's length. */
export function containing(part: string): (text: string) => boolean {
  if (part.length <= MAX_NATIVE_NEEDLE_CHARACTERS) return (text) => text.includes(part);
  const borders = bordersOf(part);
  return (text) => {
    let matched = 0;
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      while (matched > 0 && code !== part.charCodeAt(matched)) matched = borders[matched - 1];
      if (code === part.charCodeAt(matched) && ++matched === part.length) return true;
    }
    return false;
  };
}

/** Returns, for each prefix, the length of its longest proper suffix that is a prefix, too (Knuth, Morris and Pratt). */
function bordersOf(part: string): Uint32Array {
  const borders = new Uint32Array(part.length);
  let length = 0;
  for (let at = 1; at < part.length; at++) {
    while (length > 0 && part[at] !== part[length]) length = borders[length - 1];
    if (part[at] === part[length]) length++;
    borders[at] = length;
  }
  return borders;
}
