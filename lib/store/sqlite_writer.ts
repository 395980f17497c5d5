/**
 * The thread that writes to the SQLite store: syncing a commit to the disk takes its time,
 * and must not keep the server from answering others.
 *
 * The first message is the file's name, each further one a batch of writes; each is answered by one message.
 *
 * @module
 */

import { BatchRunner, type Write, type WriteResult } from "./sqlite_batch.ts";
import { openFile, openingError } from "./sqlite_file.ts";

/** What is told once the file is open, or cannot be opened. */
export type WriterReady = { readonly ready: true } | { readonly ready: false; readonly message: string };

const scope = self as unknown as {
  onmessage: (event: MessageEvent<string | readonly Write[]>) => void;
  postMessage(message: WriterReady | WriteResult[]): void;
};

scope.onmessage = ({ data: file }) => {
  try {
    const database = openFile(file as string);
    const runner = new BatchRunner(database);
    scope.onmessage = ({ data: writes }) => {
      if (writes.length > 0) return scope.postMessage(runner.run(writes as readonly Write[]));
      // An empty batch is the last one: closing moves what is in the log into the file.
      database.close();
      scope.postMessage([]);
    };
    scope.postMessage({ ready: true });
  } catch (error) {
    scope.postMessage({ ready: false, message: openingError(error, file as string).message });
  }
};
