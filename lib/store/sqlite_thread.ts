/**
 * A thread beside the server that writes an SQLite file, or looks for damage in it.
 *
 * @module
 */

import { type StoreError, unavailable } from "../store.ts";
import type { WriterCall, WriterCalls, WriterMessage } from "./sqlite_writer.ts";

/** Calls the thread. It loads its modules itself, which needs read permission. */
export class WriterThread {
  readonly #worker = new Worker(new URL("./sqlite_writer.ts", import.meta.url), { type: "module" });
  /** The calls without a result, in order. */
  #calls: PromiseWithResolvers<unknown>[] = [];
  #isStarted = false;
  #ended: StoreError | undefined;

  /** @param onFailure Called if the thread fails, with the error that its calls get. */
  constructor(onEvent?: (event: WriterMessage) => void, onFailure?: (error: StoreError) => void) {
    this.#worker.onmessage = ({ data }: MessageEvent<WriterMessage>) => {
      this.#isStarted = true;
      if (data.kind === "result") this.#calls.shift()!.resolve(data.result);
      else if (data.kind === "failed") this.#calls.shift()!.reject(unavailable(data.message));
      else onEvent?.(data);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      const error = unavailable(
        this.#isStarted
          ? `The thread that writes the table failed (${event.message}): restart the server`
          : `The thread beside the server cannot start: ${event.message}`,
      );
      onFailure?.(error);
      this.terminate(error);
    };
  }

  /** Calls a method of the thread. Fails if the file cannot be opened, or the thread has ended. */
  call<K extends keyof WriterCalls>(
    method: K,
    ...args: Parameters<WriterCalls[K]>
  ): Promise<ReturnType<WriterCalls[K]>> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    const call = Promise.withResolvers<unknown>();
    this.#calls.push(call);
    this.#worker.postMessage({ method, args } satisfies WriterCall);
    return call.promise as Promise<ReturnType<WriterCalls[K]>>;
  }

  /** Ends the thread, and fails the calls without a result. */
  terminate(error: StoreError = unavailable("The thread has ended")): void {
    this.#ended ??= error;
    this.#worker.terminate();
    for (const { reject } of this.#calls.splice(0)) reject(error);
  }
}
