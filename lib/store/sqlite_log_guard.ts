/**
 * Keeps the SQLite store's log short: a snapshot that is read for long keeps all that was written since in the log.
 *
 * Past a bound no new snapshot starts, since ending the slowest alone would not help where readings overlap. Those that
 * are open have a while, then they end, the slowest first, until the log could be cleared.
 *
 * @module
 */

/** The snapshots that keep the log. */
export interface LogReaders {
  /** How many revisions are being read. */
  readonly open: number;
  /** Ends the reading of the oldest revision. */
  endSlowest(): void;
}

/** What a guard needs beside the readers. */
export interface LogGuardOptions {
  /** Clears the log; resolves to whether that was possible. */
  readonly clear: () => Promise<boolean>;
  /** How long snapshots may still be read, in milliseconds. */
  readonly graceMs: number;
  /** Resolves after a moment. */
  readonly moment: () => Promise<void>;
  /** A clock in milliseconds. */
  readonly now: () => number;
}

/** Ends what keeps the log long. */
export class LogGuard {
  readonly #readers: LogReaders;
  readonly #options: LogGuardOptions;
  #clearing: Promise<void> | undefined;
  #stopped = false;

  /** Guards the log against these readers. */
  constructor(readers: LogReaders, options: LogGuardOptions) {
    this.#readers = readers;
    this.#options = options;
  }

  /** Resolves once a snapshot may start; `undefined` if it may now. */
  get clearing(): Promise<void> | undefined {
    return this.#clearing;
  }

  /** Clears the log, which is too long. */
  start(): void {
    if (!this.#stopped) this.#clearing ??= this.#clear();
  }

  /** Gives up: the store is closed. */
  stop(): void {
    this.#stopped = true;
  }

  async #clear(): Promise<void> {
    const { clear, graceMs, moment, now } = this.#options;
    const end = now() + graceMs;
    while (!this.#stopped && !await clear()) {
      if (now() >= end && this.#readers.open > 0) this.#readers.endSlowest();
      else await moment();
    }
    this.#clearing = undefined;
  }
}
