/**
 * Shares the event loop fairly among clients, and lets their work begin in order.
 *
 * A read or write that completes at once resolves without a turn of the event loop. A client that sends as fast as it
 * is read could therefore keep the server busy: no other connection would be read, no timer would fire, no signal would
 * be handled. A handler that computes for long has the same effect.
 *
 * Code that may run for long calls {@linkcode FairTurns.yieldIfBusy} at intervals, best through a {@linkcode Pacer}. All
 * callers share one budget per turn: they continue one after the other until it is spent; then I/O and timers run first.
 *
 * @module
 */

import { setTimeout as sleep } from "node:timers/promises";

/** Work for one request between two checks of the clock, in characters read or equivalent work. */
export const MAX_WORK_BETWEEN_TURNS: number = 16 * 1024;
/** How long the requests that one client has sent are answered together while others wait. */
export const MAX_SHARE_MS: number = 0.2;
/** How long clients that always have more to send or to read are served before all others are. */
export const MAX_TURN_MS: number = 10;

/** A client that may disconnect. */
export interface Client {
  /** Aborted once it has disconnected. */
  readonly signal: AbortSignal;
}

/** Distributes turns of the event loop. */
export class FairTurns {
  /** When the current turn began, in milliseconds; `undefined` if the event loop is not busy. */
  #since: number | undefined;
  readonly #waiting: (() => void)[] = [];
  #scheduled = false;

  /** Creates the queue with a clock in milliseconds. */
  constructor(private readonly now: () => number = () => performance.now()) {}

  /** Begins a client's share of the turn. Returns its end, for {@linkcode mustYield}. */
  beginShare(): number {
    return this.now() + MAX_SHARE_MS;
  }

  /** Whether a client must yield: its share has ended and others wait, or the budget of the turn is spent. */
  mustYield(shareEnd: number): boolean {
    return this.#scheduled && this.now() >= shareEnd || this.#isTurnOver();
  }

  /** Returns a promise to await before more work is done; `undefined` while budget is left and nobody waits. */
  yieldIfBusy(): Promise<void> | undefined {
    if (!this.#scheduled && !this.#isTurnOver()) return undefined;
    const turn = new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (!this.#scheduled) this.#serve();
    return turn;
  }

  #isTurnOver(): boolean {
    if (this.#since !== undefined) return this.now() >= this.#since + MAX_TURN_MS;
    this.#since = this.now();
    // Not a timer: one in each turn would cost more than a small answer.
    setImmediate(() => {
      if (!this.#scheduled) this.#since = undefined;
    });
    return false;
  }

  /** Lets the callers that wait continue one after the other, in turns. */
  async #serve(): Promise<void> {
    this.#scheduled = true;
    while (this.#waiting.length > 0) {
      // Only a timer lets the runtime poll I/O first; setImmediate does not.
      await new Promise((resolve) => setTimeout(resolve, 0));
      this.#since = this.now();
      do {
        this.#waiting.shift()!();
        // The caller continues now. The next one follows when it waits again or has finished.
        await new Promise<void>((resolve) => setImmediate(resolve));
      } while (this.#waiting.length > 0 && this.now() < this.#since + MAX_TURN_MS);
    }
    this.#scheduled = false;
    this.#since = undefined;
  }
}

/** The queue of this process: connections and handlers share one event loop. */
export const FAIR_TURNS: FairTurns = new FairTurns();

/** Paces long work for one client: yields to others, and is aborted once its own client has disconnected. */
export class Pacer {
  #work = 0;

  /** Paces work for a client; without one the work is never aborted. */
  constructor(private readonly client?: Client, private readonly turns: FairTurns = FAIR_TURNS) {}

  /**
   * Counts work done, in characters read or equivalent work. Returns a promise to await before more work; `undefined`
   * while there is time left. Throws an `AbortError` if the client has disconnected.
   */
  after(work: number): Promise<void> | undefined {
    this.#work += work;
    if (this.#work < MAX_WORK_BETWEEN_TURNS) return undefined;
    this.#work = 0;
    this.client?.signal.throwIfAborted();
    return this.turns.yieldIfBusy();
  }

  /** Runs steps, each of which yields the work it has done: at once while there is time left. */
  run<T>(steps: Generator<number, T>): T | Promise<T> {
    for (;;) {
      const { done, value } = steps.next();
      if (done) return value;
      const turn = this.after(value);
      if (turn !== undefined) return turn.then(() => this.run(steps));
    }
  }
}

/** Lets so much work be in progress at a time, first come, first served. */
export class Gate {
  readonly #waiting = new Set<PromiseWithResolvers<void>>();

  /** Creates a gate with so many places. */
  constructor(private places: number) {}

  /** Runs work once there is a place; fails with an `AbortError` if the client disconnects before. */
  async run<T>(work: () => T | Promise<T>, client?: Client): Promise<T> {
    client?.signal.throwIfAborted();
    if (this.places > 0) this.places--;
    else await this.#wait(client?.signal);
    try {
      return await work();
    } finally {
      const [next] = this.#waiting;
      this.#waiting.delete(next);
      if (next === undefined) this.places++;
      else next.resolve();
    }
  }

  #wait(signal?: AbortSignal): Promise<void> {
    const place = Promise.withResolvers<void>();
    const leave = () => {
      if (this.#waiting.delete(place)) place.reject(signal!.reason);
    };
    this.#waiting.add(place);
    signal?.addEventListener("abort", leave);
    return place.promise.finally(() => signal?.removeEventListener("abort", leave));
  }
}

/** Writes to one name that run at the same time, or one that runs alone. */
interface Group extends PromiseWithResolvers<void> {
  readonly isAlone: boolean;
  /** Resolves once the group before it has ended. */
  readonly before: Promise<void> | undefined;
  /** How many wait or are in progress. */
  writes: number;
}

/** Orders the writes to each name. One that depends on a read runs alone: no other of this process makes it retry. */
export class Lanes {
  /** The last group for each name with writes in progress. */
  readonly #last = new Map<string, Group>();

  /** How many names have writes in progress. */
  get size(): number {
    return this.#last.size;
  }

  /** Runs a write that does not depend on a read: it may run at the same time as others of its kind. */
  share<T>(name: string, client: Client | undefined, write: () => T | Promise<T>): T | Promise<T> {
    if (this.#last.size > 0 && this.#last.has(name)) return this.#run(name, client, write, false);
    const written = write();
    // A store that writes at once needs no lane.
    return written instanceof Promise ? this.#run(name, client, () => written, false) : written;
  }

  /** Runs a write that depends on a read: alone. */
  alone<T>(name: string, client: Client | undefined, write: () => T | Promise<T>): Promise<T> {
    return this.#run(name, client, write, true);
  }

  async #run<T>(name: string, client: Client | undefined, write: () => T | Promise<T>, isAlone: boolean): Promise<T> {
    let group = this.#last.get(name);
    if (group === undefined || group.isAlone || isAlone) {
      group = { ...Promise.withResolvers<void>(), isAlone, before: group?.promise, writes: 0 };
      this.#last.set(name, group);
    }
    group.writes++;
    try {
      if (group.before !== undefined) {
        await group.before;
        // Many may wait in one lane.
        await FAIR_TURNS.yieldIfBusy();
        client?.signal.throwIfAborted();
      }
      return await write();
    } finally {
      if (--group.writes === 0) {
        group.resolve();
        if (this.#last.get(name) === group) this.#last.delete(name);
      }
    }
  }
}

/** Maps or sets that names are spread over: a single one of a million names blocks all others while it grows. */
export const SHARDS: number = 256;

/** Unknown to clients, who could otherwise choose names that are all in one. */
const SHARD_SEED = crypto.getRandomValues(new Uint32Array(1))[0];

/** Returns which of them a name is in: by FNV-1a of all characters. */
export function shardOf(name: string): number {
  let hash = SHARD_SEED;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return (hash ^ hash >>> 16) & SHARDS - 1;
}

/** Passes a value on: at once if it is there, so that nothing waits for a turn of the event loop; else once it is. */
export function then<T, Next>(value: T | Promise<T>, next: (value: T) => Next | Promise<Next>): Next | Promise<Next> {
  return value instanceof Promise ? value.then(next) : next(value);
}

/** Resolves after so many milliseconds, or when the signal is aborted. */
export async function waitFor(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}

/** Whether a promise resolves in time. Throws an `AbortError` if the signal ends the wait. */
export async function within(promise: Promise<unknown>, milliseconds: number, signal?: AbortSignal): Promise<boolean> {
  signal?.throwIfAborted();
  // A sleep with a signal would take several times as long to set up.
  const late = Promise.withResolvers<boolean>();
  const timer = setTimeout(late.resolve, milliseconds, false);
  const cancel = () => late.reject(signal!.reason);
  signal?.addEventListener("abort", cancel);
  try {
    return await Promise.race([promise.then(() => true), late.promise]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", cancel);
  }
}
