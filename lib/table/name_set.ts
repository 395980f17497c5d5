/**
 * A set of names that grows without a pause: when a single table grows to a million names, it blocks for 0.2 s.
 *
 * @module
 */

import { ByteBuffer } from "../bytes.ts";

const PARTS = 256;
const FIRST_SLOTS = 16;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * A set of names in JSON text. It remembers where they stand, in 8 bytes or so a name: a set of strings takes ten times
 * as much.
 */
export class NameSet {
  readonly #text: Uint8Array;
  /** Names that the text has with escapes, as JSON.stringify writes them. Their places follow those of the text. */
  readonly #unescaped = new ByteBuffer(0);
  /** In each part the places of its names, from 1, by their hash or in the next free slot after it. */
  readonly #parts = Array.from({ length: PARTS }, () => new Uint32Array(FIRST_SLOTS));
  readonly #sizes = new Uint32Array(PARTS);
  /** Unknown to clients, who could otherwise choose names with equal hashes. */
  readonly #seed = crypto.getRandomValues(new Uint32Array(1))[0];

  /** Creates an empty set of names in this text. */
  constructor(text: Uint8Array) {
    this.#text = text;
  }

  /**
   * Adds a name. Returns whether it was new.
   *
   * @param quote Where it starts in the text, at its quote.
   * @param string The name as JSON.stringify writes it, if the text has it with an escape.
   */
  add(quote: number, string?: string): boolean {
    let place = quote;
    if (string !== undefined) {
      place = this.#text.length + this.#unescaped.length;
      this.#unescaped.appendText(string);
    }
    const hash = this.#hash(place);
    const part = hash & PARTS - 1;
    if (this.#sizes[part] * 2 >= this.#parts[part].length) this.#grow(part);
    const slots = this.#parts[part];
    for (let slot = hash >>> 8 & slots.length - 1;; slot = slot + 1 & slots.length - 1) {
      if (slots[slot] === 0) {
        slots[slot] = place + 1;
        this.#sizes[part]++;
        return true;
      }
      if (this.#areEqual(slots[slot] - 1, place)) return false;
    }
  }

  #grow(part: number): void {
    const slots = new Uint32Array(2 * this.#parts[part].length);
    for (const place of this.#parts[part]) {
      if (place === 0) continue;
      let slot = this.#hash(place - 1) >>> 8 & slots.length - 1;
      while (slots[slot] !== 0) slot = slot + 1 & slots.length - 1;
      slots[slot] = place;
    }
    this.#parts[part] = slots;
  }

  #hash(place: number): number {
    const bytes = this.#octets(place);
    let hash = this.#seed;
    for (let at = this.#offset(place) + 1; bytes[at] !== QUOTE; at++) {
      // An escaped quote is no end.
      if (bytes[at] === BACKSLASH) at++;
      hash = Math.imul(hash ^ bytes[at], 0x01000193);
      hash ^= hash >>> 15;
    }
    hash = Math.imul(hash, 0x85ebca6b);
    return hash ^ hash >>> 13;
  }

  #areEqual(first: number, second: number): boolean {
    const [a, b] = [this.#octets(first), this.#octets(second)];
    let i = this.#offset(first) + 1;
    for (let j = this.#offset(second) + 1; a[i] === b[j]; i++, j++) {
      if (a[i] === QUOTE) return true;
      if (a[i] === BACKSLASH && a[++i] !== b[++j]) return false;
    }
    return false;
  }

  #octets(place: number): Uint8Array {
    return place < this.#text.length ? this.#text : this.#unescaped.bytes;
  }

  #offset(place: number): number {
    return place < this.#text.length ? place : place - this.#text.length;
  }
}
