/**
 * How long a client waits for a server.
 *
 * @module
 */

import { counted } from "../bytes.ts";
import { within } from "../turns.ts";
import { TimeoutError } from "./errors.ts";

/** Octets of an upload that the systems at both ends may hold after they were handed over. */
const UNSEEN_BYTES = 4 * 1024 * 1024;
/** How many of them reach the server in a millisecond, at least. */
const UNSEEN_BYTES_PER_MS = 64 * 1024 / 1000;

/** Returns how long the octets handed over last may be on their way to the server, in milliseconds. */
export function unseenMs(handedOver: number): number {
  return Math.min(handedOver, UNSEEN_BYTES) / UNSEEN_BYTES_PER_MS;
}

/**
 * Creates the error of a wait that took too long.
 *
 * @param unseen How much longer the server had for an upload, in milliseconds.
 */
export function timeoutError(timeoutMs: number, unseen = 0): TimeoutError {
  const seconds = timeoutMs === 1000 ? "1 second" : `${timeoutMs / 1000} seconds`;
  const more = Math.round(unseen / 1000);
  const upload = more === 0 ? "" : `, and ${counted(more, "second")} for what was sent last`;
  return new TimeoutError(`No response came within ${seconds} (--timeout)${upload}`);
}

/** Rejects if the promise takes longer than the timeout, or is cancelled, once `giveUp` was called. */
export async function withTimeout<T>(
  promise: Promise<T>,
  timeoutMs: number,
  giveUp: () => void,
  cancel: AbortSignal | undefined,
): Promise<T> {
  try {
    if (await within(promise, timeoutMs, cancel)) return await promise;
  } catch (error) {
    if (cancel?.aborted) giveUp();
    throw error;
  }
  giveUp();
  throw timeoutError(timeoutMs);
}
