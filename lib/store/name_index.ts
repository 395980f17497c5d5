/**
 * An index of row positions by name.
 *
 * @module
 */

/** Maps per index. A Map blocks while it doubles its size, so many small ones are used. */
const SHARDS = 256;

/** Positions by name. */
export class NameIndex {
  readonly #shards: (Map<string, number> | undefined)[] = Array(SHARDS).fill(undefined);
  #size = 0;

  /** The number of names. */
  get size(): number {
    return this.#size;
  }

  /** Returns the position of a name; `undefined` if it is absent. */
  get(name: string): number | undefined {
    return this.#shards[shardOf(name)]?.get(name);
  }

  /** Sets the position of a name. */
  set(name: string, position: number): void {
    const shard = this.#shards[shardOf(name)] ??= new Map();
    const before = shard.size;
    shard.set(name, position);
    this.#size += shard.size - before;
  }

  /** Removes a name. Returns whether it was present. */
  delete(name: string): boolean {
    const found = this.#shards[shardOf(name)]?.delete(name) ?? false;
    if (found) this.#size--;
    return found;
  }

  /** Iterates over all names with their positions, in no particular order. Names may be deleted during iteration. */
  *[Symbol.iterator](): Generator<[name: string, position: number]> {
    for (const shard of this.#shards) if (shard !== undefined) yield* shard;
  }
}

/** Returns a hash of all characters (FNV-1a). */
function shardOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return (hash ^ hash >>> 16) & SHARDS - 1;
}
