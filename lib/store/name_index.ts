/**
 * Where each row stands, by its name.
 *
 * @module
 */

/** Maps in one index. A Map that doubles its room stands still for that long, so there are many small ones. */
const SHARDS = 256;

/** Positions by names. */
export class NameIndex {
  readonly #shards: (Map<string, number> | undefined)[] = Array(SHARDS).fill(undefined);
  #size = 0;

  /** How many names there are. */
  get size(): number {
    return this.#size;
  }

  /** The position of a name; `undefined` if it is not there. */
  get(name: string): number | undefined {
    return this.#shards[shardOf(name)]?.get(name);
  }

  /** Sets the position of a name, new or not. */
  set(name: string, position: number): void {
    const shard = this.#shards[shardOf(name)] ??= new Map();
    const before = shard.size;
    shard.set(name, position);
    this.#size += shard.size - before;
  }

  /** Removes a name. Returns whether it was there. */
  delete(name: string): boolean {
    const found = this.#shards[shardOf(name)]?.delete(name) ?? false;
    if (found) this.#size--;
    return found;
  }

  /** Every name with its position, in no order. A name may be deleted meanwhile. */
  *[Symbol.iterator](): Generator<[name: string, position: number]> {
    for (const shard of this.#shards) if (shard !== undefined) yield* shard;
  }
}

/** Some number that depends on every character (FNV-1a). */
function shardOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return (hash ^ hash >>> 16) & SHARDS - 1;
}
