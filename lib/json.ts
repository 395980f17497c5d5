/**
 * Scans JSON text (RFC 8259) octet by octet without creating values: finds the outermost members, counts members and
 * elements, measures nesting, and finds numbers that cannot be stored exactly.
 *
 * Everything passed to JSON.parse is counted here first, because an object of some 9,000,000 members ends the process.
 * A scan can stop anywhere except inside a number and continue later, so that other clients are served in between.
 *
 * @module
 */

import { isUtf8 } from "node:buffer";

/** Content is processed in pieces of this size, so that other clients are served in between. */
export const JSON_PIECE_BYTES: number = 64 * 1024;

/** A JSON object as parsed by JSON.parse. */
export type JsonObject = { [name: string]: unknown };

/** Whether a JSON value is an object. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Returns the value of a small JSON text; `undefined` if it is not JSON. */
export function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The result of a scan. */
export type Scanned =
  /** The limit was reached: there is more to scan. */
  | "more"
  /** A member of the outermost object has ended. */
  | "member"
  /** The text has ended, and is JSON. */
  | "end"
  /** The text is not JSON: an octet, or its end, is unexpected. */
  | "error";

/** A number that cannot be stored exactly. */
export interface BadNumber {
  /** Its first octet. */
  readonly at: number;
  /** Why it cannot be stored. */
  readonly problem: string;
}

/** The tokens that may come next. */
const VALUE = 0;
const FIRST_ELEMENT = 1;
const NAME = 2;
const FIRST_NAME = 3;
const COLON = 4;
const COMMA = 5;
const NOTHING = 6;
const OBJECT_OR_NOTHING = 7;

/** What a token does: it is wrong, ends a value, or neither. */
type Token = "error" | "value" | "part";

const QUOTE = 0x22;
const PLUS = 0x2b;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const BACKSLASH = 0x5c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
/** What may follow a backslash, besides `u` and four hexadecimal digits. */
const ESCAPES = [...'"\\/bfnrt'].map((character) => character.charCodeAt(0));
/** Significant decimal digits that distinguish any two doubles: `%.17g` prints as many. */
const MAX_DIGITS = 17;
/** JavaScript writes larger numbers with an exponent, so they do not look like integers. */
const MIN_EXPONENTIAL = 1e21;
/** Numbers without an exponent and with at most this many octets are exact. */
export const MAX_PLAIN_OCTETS: number = 15;
/** Decodes UTF-8, in which a byte order mark is a character like any other. */
export const UTF8: TextDecoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Parses JSON text in UTF-8, which must be short enough for JSON.parse. */
// deno-lint-ignore no-explicit-any -- as JSON.parse
export function parseOctets(bytes: Uint8Array, start = 0, end: number = bytes.length): any {
  return JSON.parse(UTF8.decode(bytes.subarray(start, end)));
}

/** Scans one JSON text, or a series of them. Whether it is valid UTF-8 is not checked. */
export class JsonScanner {
  /** Whether the outermost value is an object. */
  isObject = false;
  /** Members and elements, at any depth, since the last {@linkcode forget}. */
  members = 0;
  /** The nesting since then, the outermost object included. */
  depth = 1;
  /** The first number since then that cannot be stored exactly. */
  badNumber: BadNumber | undefined;
  /** The start of the last member's name in the outermost object, at its quote. */
  nameStart = 0;
  /** The end of that member's name, after its quote. */
  nameEnd = 0;
  /** The start of that member's value. */
  valueStart = 0;
  /** The end of that member's value. */
  valueEnd = 0;
  #next = VALUE;
  #inString = false;
  /** For each depth, whether it is an object (1) or an array (0). */
  #open: Uint8Array<ArrayBuffer> = new Uint8Array(64);
  #depth = 0;
  #pause = JSON_PIECE_BYTES;

  /** Starts at an octet of the text; `at` tells how far it was scanned. A series is any number of objects. */
  constructor(private bytes: Uint8Array, public at = 0, private readonly isSeries = false) {
    if (isSeries) this.#next = OBJECT_OR_NOTHING;
  }

  /** Whether it is at the start or the end of a text. */
  get isOutside(): boolean {
    return this.#depth === 0;
  }

  /** Counts anew: what was found so far is dealt with. */
  forget(): void {
    this.members = 0;
    this.depth = 1;
    this.badNumber = undefined;
  }

  /** Continues in other memory: with the same text, but for its first octets. */
  moveTo(bytes: Uint8Array, dropped: number): void {
    this.bytes = bytes;
    this.at -= dropped;
    this.nameStart -= dropped;
    this.nameEnd -= dropped;
    this.valueStart -= dropped;
    this.valueEnd -= dropped;
    if (this.badNumber !== undefined) this.badNumber = { ...this.badNumber, at: this.badNumber.at - dropped };
  }

  /** Continues to the end of the next outermost member, the end of the text, or the first error; yields its work. */
  *steps(): Generator<number, Exclude<Scanned, "more">> {
    for (;;) {
      const scanned = this.next(this.#pause);
      if (scanned !== "more") return scanned;
      yield JSON_PIECE_BYTES;
      this.#pause = this.at + JSON_PIECE_BYTES;
    }
  }

  /** Continues to the end of the next outermost member, the end of the text, the first error, or the limit. */
  next(limit: number = Infinity): Scanned {
    const end = Math.min(limit, this.bytes.length);
    while (this.at < end) {
      const token = this.#inString ? this.#scanString(end) : this.#scanToken(this.bytes[this.at]);
      if (token === "error") return "error";
      if (token === "part") continue;
      if (this.#depth === 0) this.#next = this.isSeries ? OBJECT_OR_NOTHING : NOTHING;
      else this.#next = COMMA;
      if (this.#depth !== 1 || this.#open[1] !== 1) continue;
      this.valueEnd = this.at;
      return "member";
    }
    if (this.at < this.bytes.length) return "more";
    return this.#next >= NOTHING ? "end" : "error";
  }

  #scanToken(byte: number): Token {
    const next = this.#next;
    switch (byte) {
      case 0x20:
      case 0x0a:
      case 0x0d:
      case 0x09:
        break;
      case 0x2c:
        if (next !== COMMA) return "error";
        this.#next = this.#open[this.#depth] === 1 ? NAME : VALUE;
        break;
      case 0x3a:
        if (next !== COLON) return "error";
        this.#next = VALUE;
        break;
      case QUOTE:
        if (next > FIRST_NAME) return "error";
        if (next < NAME) this.#beginValue();
        else this.#beginName();
        this.#inString = true;
        break;
      case CLOSE_BRACE:
      case CLOSE_BRACKET: {
        const isAllowed = next === COMMA || next === FIRST_NAME || next === FIRST_ELEMENT;
        if (!isAllowed || this.#open[this.#depth] !== (byte === CLOSE_BRACE ? 1 : 0)) return "error";
        this.#depth--;
        this.at++;
        return "value";
      }
      default:
        if (next > FIRST_ELEMENT && !(next === OBJECT_OR_NOTHING && byte === OPEN_BRACE)) return "error";
        this.#beginValue();
        if (byte !== OPEN_BRACE && byte !== OPEN_BRACKET) return this.#scanAtom(byte) ? "value" : "error";
        this.#descend(byte === OPEN_BRACE);
    }
    this.at++;
    return "part";
  }

  #beginName(): void {
    this.#next = COLON;
    if (this.#depth === 1) this.nameStart = this.at;
  }

  #beginValue(): void {
    this.#next = COMMA;
    if (this.#depth === 0) return;
    if (this.#depth === 1) this.valueStart = this.at;
    this.members++;
  }

  #descend(isObject: boolean): void {
    if (this.#depth === 0) this.isObject = isObject;
    this.#depth++;
    if (this.#depth === this.#open.length) {
      const open = new Uint8Array(2 * this.#depth);
      open.set(this.#open);
      this.#open = open;
    }
    this.depth = Math.max(this.depth, this.#depth);
    this.#open[this.#depth] = isObject ? 1 : 0;
    this.#next = isObject ? FIRST_NAME : FIRST_ELEMENT;
  }

  /** Continues a string to its end, or to the limit between two characters. */
  #scanString(limit: number): Token {
    const { bytes } = this;
    let at = this.at;
    while (at < limit && bytes[at] !== QUOTE) {
      const next = bytes[at] === BACKSLASH ? escapeEnd(bytes, at) : at + 1;
      if (next === 0 || bytes[at] < 0x20) {
        this.at = at;
        return "error";
      }
      at = next;
    }
    this.at = at;
    if (at >= limit) return "part";
    this.at++;
    this.#inString = false;
    if (this.#next === COMMA) return "value";
    if (this.#depth === 1) this.nameEnd = this.at;
    return "part";
  }

  /** Reads a whole number or literal. */
  #scanAtom(byte: number): boolean {
    if (byte === MINUS || isDigit(byte)) return this.#scanNumber();
    for (const literal of ["true", "false", "null"]) {
      if (byte !== literal.charCodeAt(0)) continue;
      for (let i = 0; i < literal.length; i++, this.at++) {
        if (this.bytes[this.at] !== literal.charCodeAt(i)) return false;
      }
      return true;
    }
    return false;
  }

  /** Reads `[ minus ] int [ frac ] [ exp ]` (RFC 8259 §6). */
  #scanNumber(): boolean {
    const { bytes } = this;
    const start = this.at;
    if (bytes[this.at] === MINUS) this.at++;
    if (bytes[this.at] === ZERO) this.at++;
    else if (!this.#scanDigits()) return false;
    if (bytes[this.at] === DOT) {
      this.at++;
      if (!this.#scanDigits()) return false;
    }
    const isPlain = this.at - start <= MAX_PLAIN_OCTETS;
    const hasExponent = (bytes[this.at] | 0x20) === 0x65;
    if (hasExponent) {
      this.at++;
      if (bytes[this.at] === MINUS || bytes[this.at] === PLUS) this.at++;
      if (!this.#scanDigits()) return false;
    }
    if (isPlain && !hasExponent || this.badNumber !== undefined) return true;
    const problem = numberProblem(UTF8.decode(bytes.subarray(start, this.at)));
    if (problem !== undefined) this.badNumber = { at: start, problem };
    return true;
  }

  /** Reads digits. Returns whether there was one. */
  #scanDigits(): boolean {
    const start = this.at;
    while (isDigit(this.bytes[this.at])) this.at++;
    return this.at > start;
  }
}

/** Positions in JSON text of a member of the outermost object: of its name with its quotes, and of its value's end. */
export interface MemberSpan {
  /** The name's first octet. */
  readonly start: number;
  /** The octet after the name. */
  readonly nameEnd: number;
  /** The octet after the value. */
  readonly end: number;
}

/** Returns the positions of the outermost object's members; `undefined` if the text is not JSON, or not an object. */
export function memberSpans(bytes: Uint8Array): MemberSpan[] | undefined {
  const scanner = new JsonScanner(bytes);
  const spans: MemberSpan[] = [];
  for (;;) {
    const scanned = scanner.next();
    if (scanned !== "member") return scanned === "end" && scanner.isObject ? spans : undefined;
    spans.push({ start: scanner.nameStart, nameEnd: scanner.nameEnd, end: scanner.valueEnd });
  }
}

/** Whether octets are JSON text in UTF-8. */
export function isJson(bytes: Uint8Array): boolean {
  const scanner = new JsonScanner(bytes);
  let scanned = scanner.next();
  while (scanned === "member") scanned = scanner.next();
  return scanned === "end" && isUtf8(bytes);
}

/** Whether an octet is white space between tokens (RFC 8259 §2). */
export function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** Whether an octet is a decimal digit. */
export function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= NINE;
}

/** Returns the end of the escape that starts at the backslash; 0 if it is invalid (RFC 8259 §7). */
function escapeEnd(bytes: Uint8Array, backslash: number): number {
  const letter = bytes[backslash + 1];
  if (letter !== 0x75) return ESCAPES.includes(letter) ? backslash + 2 : 0;
  for (let i = 2; i < 6; i++) if (!isHexDigit(bytes[backslash + i])) return 0;
  return backslash + 6;
}

function isHexDigit(byte: number): boolean {
  return isDigit(byte) || (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66;
}

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
  if (isWhole && !Number.isSafeInteger(value)) return BEYOND_INTEGER;
  const digits = significantDigits(text);
  if (value === 0 && digits > 0) return "is a number too close to 0 to be stored: send it as a string";
  if (digits > MAX_DIGITS) {
    return `is a number of ${digits} digits, of which at most ${MAX_DIGITS} can be stored: send it as a string`;
  }
}

/** The problem of an integer that a double does not represent exactly (RFC 7493 §2.2). */
export const BEYOND_INTEGER: string =
  "is an integer beyond 2^53 - 1, which cannot be stored exactly: send it as a string";

/** Counts the digits from the first to the last that is not 0. */
function significantDigits(text: string): number {
  const digits = text.replace(/[eE].*|[-.]/g, "").replace(/^0+/, "");
  // Not an expression: its time would grow with the square of the zeros within.
  let end = digits.length;
  while (digits[end - 1] === "0") end--;
  return end;
}
