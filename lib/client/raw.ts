/**
 * Raw exchanges: octets out in steps, octets in, until the answers are here.
 *
 * @module
 */

import { setTimeout as sleep } from "node:timers/promises";
import type { RawConnection } from "../bytes.ts";
import type { RawResult } from "../exit_code.ts";
import { RAW_END_MS } from "../limits.ts";
import { within } from "../turns.ts";
import type { RawStep } from "./raw_steps.ts";
import { unseenMs } from "./waiting.ts";

/** Knows, from the tap, what the rules of HTTP say of the exchange so far. */
export interface RawView {
  /** Called when the exchange begins. */
  begin(): void;
  /** Called when no more is sent, with the number of octets that could not be. */
  sent(unsent: number): void;
  /** What the server has to send by the rules: a response, FIN, or nothing. */
  readonly expects: "response" | "fin" | "nothing";
  /** Called at the exchange's end. Returns what came of it. */
  end(outcome: RawOutcome): RawResult;
}

/** How a raw exchange came to its end: nothing more is expected, the connection ended, or the time was up. */
export type RawOutcome = "complete" | "ended" | "timeout";

/** How long to wait, and what ends the wait. */
export interface RawOptions {
  /** How long to wait for the next octets, in milliseconds. */
  readonly timeoutMs: number;
  /** Ends the exchange. */
  readonly signal: AbortSignal;
}

/**
 * Takes the steps, while it reads what comes, then waits for what is still expected.
 *
 * @throws {DOMException} `AbortError`, if the signal ends it.
 */
export async function exchangeRaw(
  conn: RawConnection,
  steps: readonly RawStep[],
  view: RawView,
  { timeoutMs, signal }: RawOptions,
): Promise<RawOutcome> {
  const incoming = new Incoming(conn);
  const unsent = await takeSteps(conn, steps, timeoutMs, signal);
  view.sent(unsent);
  const unseen = unseenMs(octetsIn(steps) - unsent);
  for (;;) {
    const { expects } = view;
    if (expects === "nothing") return "complete";
    if (incoming.ended) return expects === "fin" ? "complete" : "ended";
    const limit = expects === "fin" ? Math.min(RAW_END_MS, timeoutMs) : timeoutMs + unseen;
    if (await within(incoming.change, limit, signal)) continue;
    return expects === "fin" ? "complete" : "timeout";
  }
}

/** Takes the steps one after the other. Returns how many octets could not be sent. */
async function takeSteps(
  conn: RawConnection,
  steps: readonly RawStep[],
  timeoutMs: number,
  signal: AbortSignal,
): Promise<number> {
  for (let i = 0; i < steps.length; i++) {
    const step = steps[i];
    let sent = 0;
    try {
      if (step.kind === "wait") await sleep(step.milliseconds, undefined, { signal });
      else if (step.kind === "fin") await conn.closeWrite();
      else {
        while (sent < step.bytes.length) {
          const writing = conn.write(step.bytes.subarray(sent)).then((count) => sent += count);
          if (!await within(writing, timeoutMs + unseenMs(sent), signal)) return octetsIn(steps.slice(i)) - sent;
        }
      }
    } catch (error) {
      if (signal.aborted) throw error;
      // The connection is gone.
      return octetsIn(steps.slice(i)) - sent;
    }
  }
  return 0;
}

function octetsIn(steps: readonly RawStep[]): number {
  return steps.reduce((octets, step) => octets + (step.kind === "send" ? step.bytes.length : 0), 0);
}

/** Reads all that comes, so that the tap sees it. */
class Incoming {
  /** Whether the server has ended its side, or the connection is gone. */
  ended = false;
  #changes = Promise.withResolvers<void>();

  constructor(conn: RawConnection) {
    this.#read(conn);
  }

  /** Resolves when something has come, or the end. */
  get change(): Promise<void> {
    return this.#changes.promise;
  }

  async #read(conn: RawConnection): Promise<void> {
    try {
      while (await conn.read() !== null) this.#tell();
    } catch {
      // The connection is gone.
    }
    this.ended = true;
    this.#tell();
  }

  #tell(): void {
    this.#changes.resolve();
    this.#changes = Promise.withResolvers<void>();
  }
}
