/**
 * Numbers in JSON text: which ones JSON.parse would change (RFC 8259 §6).
 *
 * @module
 */

/** Significant decimal digits that distinguish any two doubles: `%.17g` prints as many. */
const MAX_DIGITS = 17;
/** JavaScript writes larger numbers with an exponent, so they do not look like integers. */
const MIN_EXPONENTIAL = 1e21;

/**
 * Returns why a number cannot be stored as it was sent; `undefined` if it can.
 *
 * Integers are exact up to 2^53 - 1. A number with a fraction or an exponent is stored as the nearest double, if it has
 * no more digits than a double needs.
 *
 * @param text A number in JSON's notation.
 */
export function numberProblem(text: string): string | undefined {
  const value = Number(text);
  if (!Number.isFinite(value)) return "is a number beyond the range that can be stored: send it as a string";
  const isWhole = !/[.eE]/.test(text) || Number.isInteger(value) && Math.abs(value) < MIN_EXPONENTIAL;
  if (isWhole && !Number.isSafeInteger(value)) return beyondInteger();
  const digits = significantDigits(text);
  if (value === 0 && digits > 0) return "is a number too close to 0 to be stored: send it as a string";
  if (digits > MAX_DIGITS) {
    return `is a number of ${digits} digits, of which at most ${MAX_DIGITS} can be stored: send it as a string`;
  }
}

/** Returns the problem of an integer that a double does not represent exactly (RFC 7493 §2.2). */
export function beyondInteger(): string {
  return "is an integer beyond 2^53 - 1, which cannot be stored exactly: send it as a string";
}

/** Counts the digits from the first to the last that is not 0. */
function significantDigits(text: string): number {
  let first = -1;
  let last = 0;
  let digits = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === "e" || character === "E") break;
    if (character < "0" || character > "9") continue;
    digits++;
    if (character === "0") continue;
    if (first < 0) first = digits;
    last = digits;
  }
  return first < 0 ? 0 : last - first + 1;
}
