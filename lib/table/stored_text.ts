/**
 * The text of a row's value as it is stored: as JSON.stringify writes it, but with the members in the order in which
 * they were sent, and with the sign of a zero.
 *
 * Works on octets in steps, because JSON.parse and JSON.stringify block other clients for 0.2 s on a row of 90,000
 * names. A {@linkcode Pacer} runs the steps.
 *
 * @module
 */

import { ByteBuffer, octetString } from "../bytes.ts";
import type { HttpError } from "../http_message.ts";
import { JSON_PIECE_BYTES } from "../limits.ts";
import { canonicalIntegerEnd } from "../json.ts";
import { unfit } from "./row_content.ts";

const QUOTE = 0x22;
const MINUS = 0x2d;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

const ENCODER = new TextEncoder();
const UTF8 = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Returns the text of a value as it is stored: the octets passed, if they are that already.
 *
 * @param bytes The value, which is JSON in UTF-8.
 * @throws {HttpError} 422 if an object has two members of one name: receivers differ in which one they take (RFC 8259
 * §4).
 */
export function* storedText(bytes: Uint8Array): Generator<number, Uint8Array> {
  let text: ByteBuffer | undefined;
  /** The names in each open object. */
  const names: Set<string>[] = [];
  let copied = 0;
  let pause = JSON_PIECE_BYTES;
  let escape = -1;
  const replace = (from: number, to: number, by: string) => {
    text ??= new ByteBuffer(bytes.length);
    text.append(bytes.subarray(copied, from));
    if (by !== "") text.appendText(by);
    copied = to;
  };
  for (let at = 0; at < bytes.length;) {
    if (at >= pause) {
      yield at - pause + JSON_PIECE_BYTES;
      pause = at + JSON_PIECE_BYTES;
    }
    const from = at;
    const byte = bytes[at];
    if (byte === QUOTE) {
      at = stringEnd(bytes, from);
      if (escape < from) escape = bytes.indexOf(BACKSLASH, from) >>> 0;
      const string = escape < at ? canonicalString(bytes.subarray(from, at)) : undefined;
      if (string !== undefined) replace(from, at, string);
      const afterString = at;
      while (isBlank(bytes[at])) at++;
      if (at > afterString) replace(afterString, at, "");
      if (bytes[at] !== COLON) continue;
      const name = string === undefined ? octetString(bytes, from, afterString) : octetString(ENCODER.encode(string));
      const known = names[names.length - 1];
      const { size } = known;
      if (known.add(name).size === size) throw givenTwice(string ?? UTF8.decode(bytes.subarray(from, afterString)));
    } else if (byte === MINUS || isDigit(byte)) {
      at = canonicalIntegerEnd(bytes, from);
      if (at > 0 && !isInNumber(bytes[at])) continue;
      for (at = from; isInNumber(bytes[at]);) at++;
      replace(from, at, storedNumber(octetString(bytes, from, at)));
    } else if (isBlank(byte)) replace(from, ++at, "");
    else {
      at++;
      if (byte === OPEN_BRACE) names.push(new Set());
      else if (byte === CLOSE_BRACE) names.pop();
    }
  }
  if (text === undefined) return bytes;
  text.append(bytes.subarray(copied));
  return text.view();
}

/** Returns the text of a number as it is stored. JSON.stringify would drop the sign of a zero. */
function storedNumber(sent: string): string {
  const value = Number(sent);
  return Object.is(value, -0) ? "-0" : String(value);
}

/** Returns a string of JSON as JSON.stringify writes it. */
export function canonicalString(octets: Uint8Array): string {
  return JSON.stringify(JSON.parse(UTF8.decode(octets)));
}

function givenTwice(name: string): HttpError {
  return unfit([{ field: JSON.parse(name), detail: "is given twice" }], "RFC 8259 §4");
}

/** Returns the end of the string that starts at this quote. */
function stringEnd(bytes: Uint8Array, quote: number): number {
  for (let at = quote + 1;; at++) {
    at = bytes.indexOf(QUOTE, at);
    let before = at;
    while (bytes[before - 1] === BACKSLASH) before--;
    if ((at - before) % 2 === 0) return at + 1;
  }
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

/** Whether an octet is a digit, sign, point or letter of a number. */
function isInNumber(byte: number): boolean {
  return isDigit(byte) || byte === MINUS || byte === 0x2b || byte === 0x2e || (byte | 0x20) === 0x65;
}
