import { setImmediate } from "node:timers/promises";

/** Something to do, with the promise of its result. */
export interface Waiting<T, Result> extends PromiseWithResolvers<Result> {
  readonly item: T;
}

/**
 * Work that is done in batches: what arrives in one turn of the event loop, or while a batch is under way, waits for the
 * next one.
 */
export class Batches<T, Result> {
  readonly #waiting: Waiting<T, Result>[] = [];
  #underWay: readonly Waiting<T, Result>[] = [];
  /** Whether a batch is under way, or will be. */
  isRunning = false;
  #refusal: Error | undefined;

  /**
   * @param take Removes and returns the next batch.
   * @param perform Returns the result or the error of each item, or `undefined` if nothing was done: then the batch goes
   * before all that waits.
   */
  constructor(
    private readonly take: (waiting: Waiting<T, Result>[]) => readonly Waiting<T, Result>[],
    private readonly perform: (
      batch: readonly Waiting<T, Result>[],
    ) => Promise<readonly (Result | Error)[] | undefined>,
  ) {}

  /** Adds something to do. A connection has one at a time, which bounds what waits. */
  add(item: T): Promise<Result> {
    if (this.#refusal !== undefined) return Promise.reject(this.#refusal);
    const waiting = { item, ...Promise.withResolvers<Result>() };
    this.#waiting.push(waiting);
    if (!this.isRunning) this.#run();
    return waiting.promise;
  }

  /** Resolves once all that was added is done, or has failed. */
  async done(): Promise<void> {
    await Promise.allSettled([...this.#underWay, ...this.#waiting].map(({ promise }) => promise));
  }

  /** Fails what waits. */
  reject(reason: Error): void {
    for (const { reject } of this.#waiting.splice(0)) reject(reason);
  }

  /** Fails what waits, and from now on all that is added. */
  refuse(reason: Error): void {
    this.#refusal ??= reason;
    this.reject(reason);
  }

  async #run(): Promise<void> {
    this.isRunning = true;
    await setImmediate();
    while (this.#waiting.length > 0) {
      const batch = this.#underWay = this.take(this.#waiting);
      try {
        const results = await this.perform(batch);
        if (results === undefined) this.#waiting.unshift(...batch);
        results?.forEach((result, i) => {
          if (result instanceof Error) batch[i].reject(result);
          else batch[i].resolve(result);
        });
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#underWay = [];
    this.isRunning = false;
  }
}
