/** Raw exchanges: octets out in steps, octets in, until the answers are here. */

import { Buffer } from "node:buffer";
import { setTimeout as sleep } from "node:timers/promises";
import type { RawConnection } from "../bytes.ts";
import type { RawResult } from "../exit_code.ts";
import { MAX_RAW_OCTETS, MAX_RAW_STEPS, MAX_RAW_WAIT_MS } from "../limits.ts";
import { within } from "../turns.ts";
import { unseenMs } from "./errors.ts";
import { refuseTypographic, WrongInput } from "./words.ts";

/** One step of a raw exchange: octets that are one write, a pause, or the end of one's side (half-close). */
export type RawStep =
  | { readonly kind: "send"; readonly bytes: Uint8Array }
  | { readonly kind: "wait"; readonly milliseconds: number }
  | { readonly kind: "fin" };

/** Follows a raw exchange at the tap, and says what the rules of HTTP demand next. */
export interface RawView {
  /** Called when the exchange begins. */
  begin(): void;
  /** Called when no more is sent, with the number of octets that could not be. */
  sent(unsent: number): void;
  /** What the server has to send by the rules: a response, FIN, or nothing. */
  readonly expects: "response" | "fin" | "nothing";
  /** Called at the exchange's end. Returns its result. */
  end(outcome: RawOutcome): RawResult;
}

/** How a raw exchange came to its end: nothing more is expected, the connection ended, or the time was up. */
export type RawOutcome = "complete" | "ended" | "timeout";

/** How long a raw exchange waits for the next octets, in milliseconds, and what ends it. */
interface RawOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** How long the server's FIN is waited for once all responses are here and the connection ends by the rules. */
const RAW_END_MS = 1000;
const EXPECTED = String.raw`steps are "text\r\n", "a"*9000, 200ms, 2s and fin`;
/** One step: a string, perhaps repeated, a time, or `fin`. Quotes in the string must be escaped. */
const STEP = /\s*(?:"((?:[^"\\]|\\.)*)"(?:\*(\d+))?|(\d+(?:\.\d+)?)(ms|s)|(fin))(?=\s|$)/iuys;
const ESCAPES: Readonly<Record<string, string>> = { r: "\r", n: "\n", t: "\t", "0": "\0", "\\": "\\", '"': '"' };

/** Parses the steps after the word `raw`. Text that is not an escape is sent as it was typed, in UTF-8. */
export function parseRawSteps(text: string): RawStep[] {
  const steps: RawStep[] = [];
  STEP.lastIndex = 0;
  for (let at = 0; at < text.trimEnd().length; at = STEP.lastIndex) {
    const match = STEP.exec(text);
    try {
      if (match === null) throw new WrongInput(problemOf(text.slice(at).trim()));
      if (match[1] !== undefined && steps.some(({ kind }) => kind === "fin")) {
        throw new WrongInput("nothing can be sent after fin, which ends this side of the connection");
      }
      steps.push(stepOf(match, octetsIn(steps)));
    } catch (error) {
      throw error instanceof WrongInput ? new WrongInput(`${error.message}, in step ${steps.length + 1}`) : error;
    }
    if (steps.length > MAX_RAW_STEPS) throw new WrongInput(`raw has at most ${MAX_RAW_STEPS} steps, saw more`);
  }
  if (steps.length === 0) throw new WrongInput(`${EXPECTED}, saw nothing; help raw has examples`);
  return steps;
}

function problemOf(text: string): string {
  const shown = text.length > 40 ? `${text.slice(0, 40)}…` : text;
  if (/^"(?:[^"\\]|\\.)*\\?$/su.test(text)) return `a string ends with ", saw ${shown} without it`;
  refuseTypographic(text.slice(0, 1));
  return `${EXPECTED}, saw ${shown}`;
}

function stepOf([, string, times = "1", time, unit]: RegExpExecArray, before: number): RawStep {
  if (string !== undefined) return { kind: "send", bytes: bytesOf(string, Number(times), before) };
  if (time === undefined) return { kind: "fin" };
  const milliseconds = Number(time) * (unit.toLowerCase() === "s" ? 1000 : 1);
  if (milliseconds <= MAX_RAW_WAIT_MS) return { kind: "wait", milliseconds };
  throw new WrongInput(`a pause lasts at most ${MAX_RAW_WAIT_MS / 1000}s, saw ${time}${unit}`);
}

function bytesOf(string: string, times: number, before: number): Uint8Array {
  // Octets that were not UTF-8 have become this character before: which ones they were is not known any more.
  if (/[\ufffd\ud800-\udfff]/u.test(string)) {
    throw new WrongInput("write an octet that is not UTF-8 as \\xHH: what was typed is lost");
  }
  const octets = string.replace(/\\(x[0-9a-fA-F]{2}|.)|[^\\]+/gsu, (match, escape: string | undefined, at: number) => {
    if (escape === undefined) return Buffer.from(match).toString("latin1");
    if (/^x./.test(escape)) return String.fromCharCode(parseInt(escape.slice(1), 16));
    if (ESCAPES[escape] !== undefined) return ESCAPES[escape];
    const seen = escape === "x" ? string.slice(at, at + "\\xHH".length) : match;
    throw new WrongInput(String.raw`escapes are \r \n \t \0 \xHH \\ \", saw ${seen}`);
  });
  const length = octets.length * times;
  if (length === 0) throw new WrongInput(`there is nothing to send in "" or in a string repeated 0 times`);
  if (before + length > MAX_RAW_OCTETS) {
    throw new WrongInput(`at most ${MAX_RAW_OCTETS} octets can be sent, saw ${before + length}`);
  }
  return new Uint8Array(Buffer.from(octets.repeat(times), "latin1"));
}

function octetsIn(steps: readonly RawStep[]): number {
  return steps.reduce((octets, step) => octets + (step.kind === "send" ? step.bytes.length : 0), 0);
}

/** Performs the steps while it reads all that comes, so that the tap sees it; then waits for what is still expected. */
export async function exchangeRaw(
  conn: RawConnection,
  steps: readonly RawStep[],
  view: RawView,
  options: RawOptions,
): Promise<RawOutcome> {
  const { timeoutMs, signal } = options;
  let hasEnded = false;
  let change = Promise.withResolvers<void>();
  const read = async () => {
    // An error means that the connection is gone.
    while (!hasEnded) {
      hasEnded = await conn.read().catch(() => null) === null;
      change.resolve();
      change = Promise.withResolvers();
    }
  };
  void read();
  const sent = await takeSteps(conn, steps, options);
  view.sent(octetsIn(steps) - sent);
  for (;;) {
    const { expects } = view;
    if (expects === "nothing") return "complete";
    if (hasEnded) return expects === "fin" ? "complete" : "ended";
    const limit = expects === "fin" ? Math.min(RAW_END_MS, timeoutMs) : timeoutMs + unseenMs(sent);
    if (await within(change.promise, limit, signal)) continue;
    return expects === "fin" ? "complete" : "timeout";
  }
}

/** Performs the steps one after the other. Returns how many octets were sent. */
async function takeSteps(
  conn: RawConnection,
  steps: readonly RawStep[],
  { timeoutMs, signal }: RawOptions,
): Promise<number> {
  let sent = 0;
  try {
    for (const step of steps) {
      if (step.kind === "wait") await sleep(step.milliseconds, undefined, { signal });
      else if (step.kind === "fin") await conn.closeWrite();
      else {
        for (let rest = step.bytes; rest.length > 0;) {
          const writing = conn.write(rest);
          if (!await within(writing, timeoutMs + unseenMs(sent), signal)) return sent;
          const count = await writing;
          sent += count;
          rest = rest.subarray(count);
        }
      }
    }
  } catch (error) {
    // Otherwise the connection is gone.
    if (signal.aborted) throw error;
  }
  return sent;
}
