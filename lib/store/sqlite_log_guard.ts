/**
 * Limits the size of the SQLite store's log: while a snapshot is read, the log keeps all later writes.
 *
 * Beyond a limit no new snapshot starts, because ending only the slowest does not help while others overlap. Open
 * snapshots have some time to finish; then they are ended, the slowest first, until the log can be truncated.
 *
 * @module
 */

/** The snapshots that keep the log from being truncated. */
export interface LogReaders {
  /** The number of revisions being read. */
  readonly open: number;
  /** Ends the snapshots of the oldest revision. */
  endSlowest(): void;
}

/** The dependencies of a guard. */
export interface LogGuardOptions {
  /** Truncates the log; resolves to whether that was possible. */
  readonly clear: () => Promise<boolean>;
  /** How long open snapshots may still be read, in milliseconds. */
  readonly graceMs: number;
  /** Resolves after a short delay. */
  readonly moment: () => Promise<void>;
  /** A clock in milliseconds. */
  readonly now: () => number;
}

/** Ends snapshots that keep the log too long. */
export class LogGuard {
  readonly #readers: LogReaders;
  readonly #options: LogGuardOptions;
  #clearing: Promise<void> | undefined;
  #stopped = false;

  /** Creates a guard for these snapshots. */
  constructor(readers: LogReaders, options: LogGuardOptions) {
    this.#readers = readers;
    this.#options = options;
  }

  /** Resolves once a snapshot may start; `undefined` if it may start now. */
  get clearing(): Promise<void> | undefined {
    return this.#clearing;
  }

  /** Truncates a log that is too long. */
  start(): void {
    if (!this.#stopped) this.#clearing ??= this.#clear();
  }

  /** Stops: the store is closed. */
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
