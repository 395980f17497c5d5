/**
 * Shares the event loop fairly among clients, and lets their work begin in order.
 *
 * A read or write that completes at once resolves without a turn of the event loop. A client that sends as fast as it
 * is read could therefore keep the server busy: no other connection would be read, no timer would fire, no signal would
 * be handled. A handler that computes for long has the same effect.
 *
 * A client with several requests at hand has a share of a turn for them, so that they are answered together though others
 * wait.
 *
 * Code that may run for long calls {@linkcode FairTurns.yieldIfBusy} at intervals, best through a {@linkcode Pacer}. All
 * callers share one budget per turn: they continue one after the other until it is spent; then I/O and timers run first.
 *
 * @module
 */

import { setTimeout as sleep } from "node:timers/promises";

/** Work for one request between two checks of the clock, in characters read or equivalent work. */
export const MAX_WORK_BETWEEN_TURNS: number = 16 * 1024;

/** How long the requests that one client has sent together are answered while others wait. */
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
  /** Whether the next caller is already scheduled. */
  #scheduled = false;
  readonly #now: () => number;

  /** Creates the queue with a clock in milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Begins a client's share of the turn. Returns its end, for {@linkcode mustYield}. */
  beginShare(): number {
    return this.#now() + MAX_SHARE_MS;
  }

  /** Whether a client must yield: its share has ended and others wait, or the budget of the turn is spent. */
  mustYield(shareEnd: number): boolean {
    return this.#scheduled && this.#now() >= shareEnd || this.#isTurnOver();
  }

  /** Returns a promise to await before more work is done; `undefined` while budget is left and nobody waits. */
  yieldIfBusy(): Promise<void> | undefined {
    if (!this.#scheduled && !this.#isTurnOver()) return undefined;
    if (!this.#scheduled) {
      this.#scheduled = true;
      this.#afterTurn();
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #isTurnOver(): boolean {
    if (this.#since !== undefined) return this.#now() >= this.#since + MAX_TURN_MS;
    this.#since = this.#now();
    setTimeout(() => {
      if (!this.#scheduled) this.#since = undefined;
    }, 0);
    return false;
  }

  /**
   * Schedules the first caller after a turn of the event loop. Only a timer lets the runtime poll I/O first;
   * setImmediate does not.
   */
  #afterTurn(): void {
    setTimeout(() => {
      this.#since = this.#now();
      this.#next();
    }, 0);
  }

  #next(): void {
    if (this.#waiting.length === 0) {
      this.#scheduled = false;
      this.#since = undefined;
      return;
    }
    this.#waiting.shift()!();
    // The caller continues after this returns. The next one follows when it waits again or has finished.
    setImmediate(() => {
      if (this.#now() < this.#since! + MAX_TURN_MS) this.#next();
      else this.#afterTurn();
    });
  }
}

/** The queue of this process: connections and handlers share one event loop. */
export const FAIR_TURNS: FairTurns = new FairTurns();

/** Paces long work for one client: yields to others, and is aborted once its own client has disconnected. */
export class Pacer {
  readonly #client: Client | undefined;
  readonly #turns: FairTurns;
  #work = 0;

  /** Paces work for a client; without one the work is never aborted. */
  constructor(client?: Client, turns: FairTurns = FAIR_TURNS) {
    this.#client = client;
    this.#turns = turns;
  }

  /**
   * Counts work done, in characters read or equivalent work.
   *
   * @returns A promise to await before more work; `undefined` while there is time left.
   * @throws {DOMException} `AbortError` if the client has disconnected.
   */
  after(work: number): Promise<void> | undefined {
    this.#work += work;
    if (this.#work < MAX_WORK_BETWEEN_TURNS) return undefined;
    this.#work = 0;
    this.#client?.signal.throwIfAborted();
    return this.#turns.yieldIfBusy();
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

/** Lets work begin, first come, first served, while the work in progress leaves room for it. */
export class Gate {
  readonly #room: number;
  #used = 0;
  readonly #waiting = new Set<{ readonly size: number; readonly start: () => void }>();

  /** Creates a gate with room for so much work at a time. */
  constructor(room: number) {
    this.#room = room;
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Whether no work is in progress. */
  get isEmpty(): boolean {
    return this.#used === 0;
  }

  /**
   * Runs work once there is room for its size. After a wait others run first: many may wait at one gate.
   *
   * @throws {DOMException} `AbortError` if the client disconnects while the work waits.
   */
  async run<T>(work: () => T | Promise<T>, client?: Client, size = 1): Promise<T> {
    if (this.#waiting.size === 0 && this.#used + size <= this.#room) this.#used += size;
    else {
      await this.#wait(size, client?.signal);
      await FAIR_TURNS.yieldIfBusy();
    }
    try {
      return await work();
    } finally {
      this.#used -= size;
      this.#startNext();
    }
  }

  #wait(size: number, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter = { size, start: resolve };
    const leave = () => {
      reject(signal!.reason);
      this.#waiting.delete(waiter);
      this.#startNext();
    };
    this.#waiting.add(waiter);
    signal?.addEventListener("abort", leave);
    return promise.finally(() => signal?.removeEventListener("abort", leave));
  }

  #startNext(): void {
    for (const waiter of this.#waiting) {
      if (this.#used + waiter.size > this.#room) return;
      this.#waiting.delete(waiter);
      this.#used += waiter.size;
      waiter.start();
    }
  }
}

/** The size of work that runs alone in its lane. */
const ALONE = 2 ** 32;

/**
 * Orders the writes to each name. A write that depends on a read runs alone, so it never has to be retried because of
 * another write of this process.
 */
export class Lanes {
  /** A lane for each name with writes in progress. */
  readonly #lanes = new Map<string, Gate>();

  /** How many names have writes in progress. */
  get size(): number {
    return this.#lanes.size;
  }

  /** Runs a write that does not depend on a read: it may run at the same time as others of its kind. */
  share<T>(name: string, client: Client | undefined, write: () => T | Promise<T>): T | Promise<T> {
    if (this.#lanes.size > 0 && this.#lanes.has(name)) return this.#run(name, client, write, 1);
    const written = write();
    // A store that writes at once needs no lane.
    return written instanceof Promise ? this.#run(name, client, () => written, 1) : written;
  }

  /** Runs a write that depends on a read: alone. */
  alone<T>(name: string, client: Client | undefined, write: () => T | Promise<T>): Promise<T> {
    return this.#run(name, client, write, ALONE);
  }

  async #run<T>(name: string, client: Client | undefined, write: () => T | Promise<T>, size: number): Promise<T> {
    const lane = this.#lanes.get(name) ?? new Gate(ALONE);
    this.#lanes.set(name, lane);
    try {
      return await lane.run(write, client, size);
    } finally {
      // Of two writes that end together, the second may find another lane there.
      if (lane.isEmpty && this.#lanes.get(name) === lane) this.#lanes.delete(name);
    }
  }
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
  const timer = new AbortController();
  try {
    const signals = signal === undefined ? timer.signal : AbortSignal.any([signal, timer.signal]);
    const time = sleep(milliseconds, false, { signal: signals });
    return await Promise.race([promise.then(() => true), time]);
  } finally {
    timer.abort();
  }
}
