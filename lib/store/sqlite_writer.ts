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
/** The interval between checks that the file is still the open one, while nothing is written. */
const FILE_CHECK_MS = 1_000;

/** What the store calls: `open` first and `close` last, or `check` alone. */
export type WriterCalls = typeof OPENING & ReturnType<typeof writing>;

export interface BatchReply {
  readonly results: readonly WriteResult[];
  /** Whether the log is too long and cannot be truncated now. */
  readonly logIsFull: boolean;
  readonly othersWrote: boolean;
}

export interface WriterCall {
  readonly method: keyof WriterCalls;
  readonly args: readonly unknown[];
}

/** A message from the thread: the result of a call, why it failed, or something that the store has to know. */
export type WriterMessage =
  | { readonly kind: "result"; readonly result: unknown }
  | { readonly kind: "failed"; readonly message: string }
  /** Whether the disk is full, if that has changed. */
  | { readonly kind: "room"; readonly isLow: boolean }
  /** The file is no longer the one at its path: later writes are lost. */
  | { readonly kind: "lost"; readonly reason: string };

const scope = self as unknown as {
  onmessage: (event: MessageEvent<WriterCall>) => void;
  postMessage(message: WriterMessage): void;
};

const OPENING = {
  check(file: string): string | undefined {
    using database = openFile(file, true);
    return damageOf(database);
  },
  /** Opens a file to write to it. Returns whether another program has written to it. */
  open(file: string): boolean {
    const database = openFile(file);
    const room = new Room(database, file);
    const runner = new BatchRunner(database, room);
    calls = writing(database, { file, room, runner });
    return runner.noticedOthers();
  },
};
let calls: Partial<WriterCalls> = OPENING;

scope.onmessage = ({ data: { method, args } }) => {
  try {
    const call = calls[method] as (...args: readonly unknown[]) => unknown;
    scope.postMessage({ kind: "result", result: call(...args) });
  } catch (error) {
    if (method !== "open" && method !== "check") throw error;
    scope.postMessage({ kind: "failed", message: openingError(error, String(args[0])).message });
  }
};

function writing(
  database: DatabaseSync,
  { file, room, runner }: { readonly file: string; readonly room: Room; readonly runner: BatchRunner },
) {
  const change = watchFile(file);
  let wasLow = false;
  const check = () => {
    const reason = change();
    if (reason !== undefined) scope.postMessage({ kind: "lost", reason });
    if (room.isLow === wasLow) return;
    wasLow = room.isLow;
    scope.postMessage({ kind: "room", isLow: wasLow });
  };
  const timer = setInterval(() => {
    if (room.isLow) room.settle();
    check();
  }, FILE_CHECK_MS);
  const reply = (results: readonly WriteResult[]): BatchReply => {
    // A write into a file that is never opened again has failed: the store knows before it sees the results.
    check();
    const logIsFull = sizeOf(`${file}-wal`) > (room.isLow ? 0 : MAX_LOG_BYTES) && !clearLog(database);
    return { results, logIsFull, othersWrote: runner.noticedOthers() };
  };
  return {
    batch: (writes: readonly Write[]) => reply(runner.run(writes)),
    /** Begins an insertion in a transaction of its own; nothing but its rows and its end follow. */
    begin: (expected?: number) => runner.begin(expected),
    add: (rows: readonly NewRow[]) => runner.add(rows),
    end: (commit: boolean) => reply([runner.end(commit)]),
    clearLog: () => clearLog(database) ?? false,
    close(): void {
      clearInterval(timer);
      room.close();
      leaveLog(database);
      database.close();
    },
  };
}
