/**
 * The thread that writes to the SQLite store. Syncing a commit to disk takes time, which must not delay other requests.
 *
 * The store calls the methods of {@linkcode WriterCalls} by messages; the results come in the order of the calls.
 */

import type { DatabaseSync } from "node:sqlite";
import type { NewRow } from "../store.ts";
import { BatchRunner, type Write, type WriteResult } from "./sqlite_batch.ts";
import { clearLog, damageOf, leaveLog, openFile, openingError, sizeOf, watchFile } from "./sqlite_file.ts";
import { Room } from "./sqlite_reserve.ts";

/** The size of the log beyond which no snapshot starts until it is truncated, in bytes. */
const MAX_LOG_BYTES = 64 * 1024 * 1024;
/** What the store calls: `open` first and `close` last, or `check` alone. */
export type WriterCalls = typeof OPENING & ReturnType<typeof writing>;

export interface BatchReply {
  readonly results: readonly WriteResult[];
  /** Why the file is no longer the one at its path: what was written is lost, and so is what follows. */
  readonly lost: string | undefined;
  /** The least version of all rows, which rises when another program's write is noticed. */
  readonly leastVersion: number;
  readonly diskIsFull: boolean;
  /** Whether the log is too long and cannot be truncated now. */
  readonly logIsFull: boolean;
}

export interface WriterCall {
  readonly method: keyof WriterCalls;
  readonly args: readonly unknown[];
}

/** The result of a call, or why it failed. */
export interface CallResult {
  readonly result?: unknown;
  readonly failure?: string;
}

const scope = self as unknown as {
  onmessage: (event: MessageEvent<WriterCall>) => void;
  postMessage(message: CallResult): void;
};

const OPENING = {
  check(file: string): string | undefined {
    using database = openFile(file, true);
    return damageOf(database);
  },
  /** Opens a file to write to it. */
  open(file: string): BatchReply {
    const writer = writing(openFile(file), file);
    calls = writer;
    return writer.batch([]);
  },
};
let calls: Partial<WriterCalls> = OPENING;

scope.onmessage = ({ data: { method, args } }) => {
  try {
    const call = calls[method] as (...args: readonly unknown[]) => unknown;
    scope.postMessage({ result: call(...args) });
  } catch (error) {
    if (method !== "open" && method !== "check") throw error;
    scope.postMessage({ failure: openingError(error, String(args[0])).message });
  }
};

function writing(database: DatabaseSync, file: string) {
  const room = new Room(database, file);
  const runner = new BatchRunner(database, room);
  const change = watchFile(file);
  const reply = (results: readonly WriteResult[]): BatchReply => ({
    results,
    lost: change(),
    leastVersion: runner.leastVersion,
    diskIsFull: room.isLow,
    logIsFull: sizeOf(`${file}-wal`) > (room.isLow ? 0 : MAX_LOG_BYTES) && !clearLog(database),
  });
  return {
    batch: (writes: readonly Write[]) => reply(runner.run(writes)),
    /** Finds out how the file is, without its lock, which another program may hold for long. */
    look: () => {
      if (room.isLow) room.settle();
      runner.notice();
      return reply([]);
    },
    /** Begins an insertion in a transaction of its own; nothing but its rows and its end follow. */
    begin: (expected?: number) => runner.begin(expected),
    add: (rows: readonly NewRow[]) => runner.add(rows),
    end: (commit: boolean) => reply([runner.end(commit)]),
    clearLog: () => clearLog(database) ?? false,
    close(): void {
      room.close();
      leaveLog(database);
      database.close();
    },
  };
}
