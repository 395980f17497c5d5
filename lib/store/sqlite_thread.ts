/**
 * Starts the threads beside the server that write an SQLite file, or look for damage in it.
 *
 * @module
 */

import { StoreError } from "../store.ts";
import type { WriterReply, WriterRequest } from "./sqlite_writer.ts";

/**
 * Starts the writing thread.
 *
 * @throws {StoreError} If it cannot start, or cannot open the file.
 */
export async function startWriter(file: string): Promise<{ writer: Worker; othersWrote: boolean }> {
  return await new Promise((started, failed) => {
    const writer = startThread({ kind: "open", file }, (reply) => {
      if (reply.kind === "ready") return started({ writer, othersWrote: reply.othersWrote });
      writer.terminate();
      if (reply.kind === "failed") failed(new StoreError("unavailable", reply.message));
    });
  });
}

/** Starts a thread beside this one. It loads its modules itself, which needs read permission. */
export function startThread(request: WriterRequest, replied: (reply: WriterReply) => void): Worker {
  const thread = new Worker(new URL("./sqlite_writer.ts", import.meta.url), { type: "module" });
  thread.onmessage = ({ data }: MessageEvent<WriterReply>) => replied(data);
  thread.onerror = (event) => {
    event.preventDefault();
    replied({ kind: "failed", message: `The thread beside the server cannot start: ${event.message}` });
  };
  thread.postMessage(request);
  return thread;
}
