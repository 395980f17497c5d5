/**
 * Values compared by queries, each converted only once: to text, to a number, and to lower case.
 *
 * @module
 */

import { MAX_COMPARED_DIGITS, MAX_NATIVE_NEEDLE_CHARACTERS } from "../limits.ts";

/** A JSON value other than an object or array. */
export type Scalar = string | number | boolean | null;

const NUMBER = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;
/** Every number of this many digits is exact. */
const MAX_SHORT_DIGITS = 15;
const WHOLE_NUMBER = /^[+-]?\d+$/;

/** A value of a row or of a query. */
export class Operand {
  /** The value as text. */
  readonly text: string;
  readonly #value: Scalar;
  #number: number | null | undefined = null;
  #lower: string | undefined;

  /** Converts a value. */
  constructor(value: Scalar) {
    this.#value = value;
    this.text = String(value);
  }

  /** The value as a number, if it is one, or a text of limited length in a number's notation. */
  get number(): number | undefined {
    if (this.#number === null) this.#number = numberOf(this.#value);
    return this.#number;
  }

  /** The text in lower case. */
  get lower(): string {
    return this.#lower ??= this.text.toLowerCase();
  }
}

function numberOf(value: Scalar): number | undefined {
  if (typeof value !== "string") return typeof value === "number" ? value : undefined;
  return shortNumberOf(value) ??
    (value.length <= MAX_COMPARED_DIGITS && NUMBER.test(value) ? Number(value) : undefined);
}

/** Returns the number of a few digits. For these a loop is faster than a pattern. */
function shortNumberOf(text: string): number | undefined {
  if (text.length === 0 || text.length > MAX_SHORT_DIGITS) return undefined;
  let number = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    number = number * 10 + digit;
  }
  return number;
}

/**
 * Compares two values: negative if `a` is less than `b`, 0 if they are equal. Two numbers compare as numbers, others as
 * text.
 */
export function compare(a: Operand, b: Operand): number {
  if (a.text === b.text) return 0;
  if (a.number === undefined || b.number === undefined) return a.text < b.text ? -1 : 1;
  if (a.number !== b.number) return a.number < b.number ? -1 : 1;
  // Long integers that differ may be equal after rounding.
  return WHOLE_NUMBER.test(a.text) && WHOLE_NUMBER.test(b.text) ? compareDigits(a.text, b.text) : 0;
}

function compareDigits(a: string, b: string): number {
  const [signA, digitsA] = digitsOf(a);
  const [signB, digitsB] = digitsOf(b);
  if (signA !== signB) return signA - signB;
  if (digitsA === digitsB) return 0;
  const isLess = digitsA.length === digitsB.length ? digitsA < digitsB : digitsA.length < digitsB.length;
  return isLess ? -signA : signA;
}

/** Returns an integer's sign (0 for zero) and its digits without leading zeros. */
function digitsOf(text: string): [sign: number, digits: string] {
  let at = text[0] === "-" || text[0] === "+" ? 1 : 0;
  while (text[at] === "0") at++;
  return [at === text.length ? 0 : text[0] === "-" ? -1 : 1, text.slice(at)];
}

/** Returns a test for equality with any of the values, in time independent of their number. */
export function anyOf(values: readonly string[]): (value: Operand) => boolean {
  const texts = new Set(values);
  const numbers = new Map<number, Operand[]>();
  for (const text of texts) {
    const operand = new Operand(text);
    if (operand.number === undefined) continue;
    const same = numbers.get(operand.number);
    if (same === undefined) numbers.set(operand.number, [operand]);
    else same.push(operand);
  }
  return (value) =>
    texts.has(value.text) ||
    value.number !== undefined && (numbers.get(value.number)?.some((same) => compare(value, same) === 0) ?? false);
}

/** Returns a test for texts that contain a part, in time linear in the text's length. */
export function containing(part: string): (text: string) => boolean {
  // The engine's own search is fast, but its worst case is the product of both lengths.
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

/**
 * Returns, for each prefix, the length of its longest proper suffix that is also a prefix (Knuth, Morris and Pratt).
 */
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
