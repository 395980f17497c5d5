/**
 * The thread that writes to the SQLite store. Syncing a commit to disk takes time, which must not delay other requests.
 *
 * @module
 */

import { FILE_CHECK_MS, MAX_LOG_BYTES } from "../limits.ts";
import type { NewRow } from "../store.ts";
import { BatchRunner, type Write, type WriteResult } from "./sqlite_batch.ts";
import { Room } from "./sqlite_reserve.ts";
import { clearLog, damageOf, FileWatch, leaveLog, openFile, openingError } from "./sqlite_file.ts";

/** Messages to the thread; `open` is the first, `close` the last. */
export type WriterRequest =
  | { readonly kind: "open"; readonly file: string }
  /** Instead of opening the file to write: looks for damage in it, and reports it. */
  | { readonly kind: "check"; readonly file: string }
  /** Begins an insertion in a transaction of its own; nothing but its rows and its end follow. */
  | { readonly kind: "begin"; readonly expected: number | null }
  | { readonly kind: "rows"; readonly rows: readonly NewRow[] }
  | { readonly kind: "end"; readonly commit: boolean }
  | { readonly kind: "batch"; readonly writes: readonly Write[] }
  | { readonly kind: "clear-log" }
  | { readonly kind: "close" };

/** Messages from the thread. */
export type WriterReply =
  /** The file is open. Both tell whether another program has written to it. */
  | { readonly kind: "ready"; readonly othersWrote: boolean }
  | { readonly kind: "failed"; readonly message: string }
  | { readonly kind: "checked"; readonly damage: string | undefined }
  /** The results of a batch in order, and whether the log is too long and cannot be truncated now. */
  | {
    readonly kind: "results";
    readonly results: readonly WriteResult[];
    readonly logIsFull: boolean;
    readonly othersWrote: boolean;
  }
  /** The rows were inserted, or will not be. */
  | { readonly kind: "taken" }
  | { readonly kind: "log"; readonly isClear: boolean }
  /** Whether the disk is full, if that has changed. */
  | { readonly kind: "room"; readonly isLow: boolean }
  /** The file is no longer the one at its path: later writes are lost. */
  | { readonly kind: "lost"; readonly reason: string }
  | { readonly kind: "closed" };

const scope = self as unknown as {
  onmessage: (event: MessageEvent<WriterRequest>) => void;
  postMessage(message: WriterReply): void;
};

scope.onmessage = ({ data: request }) => {
  if (request.kind !== "open" && request.kind !== "check") return;
  try {
    if (request.kind === "check") {
      using database = openFile(request.file, true);
      return scope.postMessage({ kind: "checked", damage: damageOf(database) });
    }
    scope.postMessage({ kind: "ready", othersWrote: serve(request.file) });
  } catch (error) {
    scope.postMessage({ kind: "failed", message: openingError(error, request.file).message });
  }
};

/** Opens the file, and writes to it from then on. Returns whether another program has written to it. */
function serve(file: string): boolean {
  const database = openFile(file);
  const room = new Room(database, file);
  const runner = new BatchRunner(database, room);
  const watch = new FileWatch(file);
  let wasLow = false;
  const check = () => {
    const reason = watch.change();
    if (reason !== undefined) scope.postMessage({ kind: "lost", reason });
    if (room.isLow !== wasLow) scope.postMessage({ kind: "room", isLow: wasLow = room.isLow });
    return reason;
  };
  const timer = setInterval(() => {
    if (room.isLow) room.settle();
    check();
  }, FILE_CHECK_MS);
  const reply = (results: readonly WriteResult[]) => {
    // A write into a file that is never opened again has failed.
    if (check() !== undefined) return;
    const logIsFull = watch.logBytes() > (room.isLow ? 0 : MAX_LOG_BYTES) && !clearLog(database);
    scope.postMessage({ kind: "results", results, logIsFull, othersWrote: runner.takeOthersWrote() });
  };
  scope.onmessage = ({ data: request }) => {
    switch (request.kind) {
      case "begin":
        return runner.begin(request.expected);
      case "rows":
        runner.add(request.rows);
        return scope.postMessage({ kind: "taken" });
      case "end":
        return reply([runner.end(request.commit)]);
      case "batch":
        return reply(runner.run(request.writes));
      case "clear-log":
        return scope.postMessage({ kind: "log", isClear: clearLog(database) ?? false });
      case "close":
        clearInterval(timer);
        room.close();
        leaveLog(database);
        database.close();
        return scope.postMessage({ kind: "closed" });
    }
  };
  return runner.takeOthersWrote();
}
