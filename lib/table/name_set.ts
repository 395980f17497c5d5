/**
 * A set of names that grows without a pause: when a single Set grows to a million names, it blocks for 0.2 s.
 *
 * @module
 */

const PARTS = 256;

/** A set of names, in many parts. */
export class NameSet {
  readonly #parts = Array.from({ length: PARTS }, () => new Set<string>());

  /** Adds a name. Returns whether it was new. */
  add(name: string): boolean {
    const part = this.#part(name);
    const { size } = part;
    return part.add(name).size > size;
  }

  /** Returns the part for a name, by a hash of its last characters, in which numbered names differ. */
  #part(name: string): Set<string> {
    let hash = name.length;
    for (let at = Math.max(0, name.length - 8); at < name.length; at++) {
      hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193);
    }
    return this.#parts[(hash ^ hash >>> 15) & (PARTS - 1)];
  }
}
