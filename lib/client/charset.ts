/**
 * Decodes text from its charset into UTF-8, for a terminal.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { octetString } from "../bytes.ts";

const ENCODER = new TextEncoder();
/** Octets of a character whose rest may still come: one less than the longest has, in GB 18030. */
const MAX_CUT_OCTETS = 3;
/** Octets that may be invalid before the rest is passed on as it came: what is valid is sought octet by octet. */
const MAX_INVALID_OCTETS = 1000;

/** Decodes text that arrives in pieces. Octets that are not valid in the charset are passed on as they came. */
export class CharsetDecoder {
  /** The charset's name. */
  readonly label: string;
  /** Whether all text so far is valid in the charset. */
  get isValid(): boolean {
    return this.#invalid === 0;
  }
  readonly #decoder: TextDecoder;
  #invalid = 0;
  /** The start of a character. */
  #cut: Uint8Array = new Uint8Array(0);

  /**
   * Creates a decoder.
   *
   * @throws {RangeError} If the charset is not known.
   */
  constructor(label: string) {
    this.label = label.toLowerCase();
    this.#decoder = new TextDecoder(label, { fatal: true });
  }

  /** Decodes a piece, the last one with all that was kept back. Returns UTF-8. */
  decode(piece: Uint8Array, isLast: boolean): Uint8Array {
    const octets = this.#cut.length === 0 ? piece : Buffer.concat([this.#cut, piece]);
    this.#cut = new Uint8Array(0);
    if (this.#invalid >= MAX_INVALID_OCTETS) return octets;
    for (let cut = 0; cut <= (isLast ? 0 : Math.min(MAX_CUT_OCTETS, octets.length)); cut++) {
      const end = octets.length - cut;
      try {
        const text = this.#decoder.decode(octets.subarray(0, end));
        this.#cut = octets.slice(end);
        return ENCODER.encode(text);
      } catch {
        // A character may be cut off.
      }
    }
    return this.#decodeRest(octets, isLast);
  }

  /** Decodes a piece that holds what is not valid. */
  #decodeRest(octets: Uint8Array, isLast: boolean): Uint8Array {
    const parts: Uint8Array[] = [];
    const start = () => new TextDecoder(this.label, { fatal: true });
    let decoder = start();
    let done = 0;
    for (let at = 0; at < octets.length && this.#invalid < MAX_INVALID_OCTETS; at++) {
      try {
        const text = decoder.decode(octets.subarray(at, at + 1), { stream: true });
        if (text === "") continue;
        parts.push(ENCODER.encode(text));
        done = at + 1;
      } catch {
        // The octet that begins here is no character; the next one may begin one.
        this.#invalid++;
        parts.push(octets.subarray(done, done + 1));
        at = done++;
        decoder = start();
      }
    }
    const isCut = !isLast && this.#invalid < MAX_INVALID_OCTETS;
    if (isCut) this.#cut = octets.slice(done);
    else if (done < octets.length) {
      this.#invalid++;
      parts.push(octets.subarray(done));
    }
    return Buffer.concat(parts);
  }
}

/**
 * Returns the charset to decode text from; `undefined` if it is UTF-8, or not known.
 *
 * @param type The media type with its parameters.
 * @param start The first octets. A byte order mark outweighs the type's parameter (Encoding Standard, "BOM sniff").
 */
export function charsetOf(type: string, start: Uint8Array): string | undefined {
  if (start[0] === 0xfe && start[1] === 0xff) return "utf-16be";
  if (start[0] === 0xff && start[1] === 0xfe) return "utf-16le";
  const [, label] = /;[ \t]*charset=["']?([^\s;"']+)/i.exec(type) ?? [];
  if (label === undefined || start[0] === 0xef && start[1] === 0xbb && start[2] === 0xbf) return undefined;
  try {
    return new TextDecoder(label).encoding === "utf-8" ? undefined : label;
  } catch {
    return undefined;
  }
}

/** Whether each octet of text that looks like a quote or a backslash is one, and no part of another character. */
export function hasPlainSigns(octets: Uint8Array, charset: string): boolean {
  const signs = (text: string) => text.split(/["\\]/).length;
  return signs(new TextDecoder(charset).decode(octets)) === signs(octetString(octets));
}

/** Whether octets are UTF-8, but for a character that may be cut off at their end. */
export function isUtf8Start(octets: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(octets, { stream: true });
    return true;
  } catch {
    return false;
  }
}
