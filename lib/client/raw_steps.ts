/**
 * Steps of `raw`: octets to send as they are, pauses, and the end of one's side. Pure, no I/O.
 *
 * @module
 */

import { MAX_RAW_BYTES, MAX_RAW_STEPS, MAX_RAW_WAIT_MS } from "../limits.ts";
import { refuseTypographic, WrongInput } from "./words.ts";

/** One step of a raw exchange. */
export type RawStep =
  /** Octets that are one write. */
  | { readonly kind: "send"; readonly bytes: Uint8Array }
  | { readonly kind: "wait"; readonly milliseconds: number }
  /** Half-closes the connection: the server reads to the end, and may still answer. */
  | { readonly kind: "fin" };

const EXPECTED = String.raw`steps are "text\r\n", "a"*9000, 200ms, 2s and fin`;
/** One step: a string, perhaps repeated, a time, or `fin`. The string may hold escaped characters, and no quote else. */
const STEP = /\s*(?:"((?:[^"\\]|\\.)*)"(?:\*(\d+))?|(\d+(?:\.\d+)?)(ms|s)|(fin))(?=\s|$)/iuys;
const ESCAPES: Readonly<Record<string, number>> = { r: 13, n: 10, t: 9, "0": 0, "\\": 92, '"': 34 };
const ENCODER = new TextEncoder();

/**
 * Reads the steps of a raw exchange, as they stand behind `raw`.
 *
 * What is no escape is sent as it was typed, in UTF-8. The escapes are `\r \n \t \0 \xHH \\ \"`.
 *
 * @throws {WrongInput} If they make no sense, or are too many or too long.
 */
export function parseRawSteps(text: string): RawStep[] {
  const steps: RawStep[] = [];
  let octets = 0;
  STEP.lastIndex = 0;
  for (let at = 0; at < text.trimEnd().length; at = STEP.lastIndex) {
    const match = STEP.exec(text);
    try {
      if (match === null) throw new WrongInput(problemOf(text.slice(at).trim()));
      if (match[1] !== undefined && steps.some(({ kind }) => kind === "fin")) {
        throw new WrongInput("nothing can be sent after fin, which ends this side of the connection");
      }
      const step = stepOf(match, octets);
      if (step.kind === "send") octets += step.bytes.length;
      steps.push(step);
    } catch (error) {
      throw error instanceof WrongInput ? new WrongInput(`${error.message}, in step ${steps.length + 1}`) : error;
    }
    if (steps.length > MAX_RAW_STEPS) throw new WrongInput(`there may be ${MAX_RAW_STEPS} steps, saw more`);
  }
  if (steps.length === 0) throw new WrongInput(`${EXPECTED}, saw nothing; help raw has examples`);
  return steps;
}

/** Returns what is wrong with text that does not start with a step. */
function problemOf(text: string): string {
  if (/^"(?:[^"\\]|\\.)*\\?$/su.test(text)) return `a string ends with ", saw ${shortened(text)} without it`;
  refuseTypographic(text.slice(0, 1));
  return `${EXPECTED}, saw ${shortened(text)}`;
}

function stepOf([, string, times, time, unit]: RegExpExecArray, before: number): RawStep {
  if (string !== undefined) return { kind: "send", bytes: repeated(octetsOf(string), Number(times ?? 1), before) };
  if (time === undefined) return { kind: "fin" };
  const milliseconds = Number(time) * (unit.toLowerCase() === "s" ? 1000 : 1);
  if (milliseconds <= MAX_RAW_WAIT_MS) return { kind: "wait", milliseconds };
  throw new WrongInput(`a pause may be ${MAX_RAW_WAIT_MS / 1000}s long, saw ${time}${unit}`);
}

function repeated(octets: Uint8Array, times: number, before: number): Uint8Array {
  const length = octets.length * times;
  if (length === 0) throw new WrongInput(`there is nothing to send in "" or in a string repeated 0 times`);
  if (before + length > MAX_RAW_BYTES) {
    throw new WrongInput(`at most ${MAX_RAW_BYTES} octets can be sent, saw ${before + length}`);
  }
  if (times === 1) return octets;
  const bytes = new Uint8Array(length);
  bytes.set(octets);
  // Each time twice as many are there to be copied.
  for (let at = octets.length; at < length; at *= 2) bytes.copyWithin(at, 0, at);
  return bytes;
}

/** The octets that a string between quotes stands for. */
function octetsOf(string: string): Uint8Array {
  // What was not UTF-8 has become this character on its way here: which octet it was is not known any more.
  if (/[\ufffd\ud800-\udfff]/u.test(string)) {
    throw new WrongInput("write an octet that is no UTF-8 as \\xHH: what was typed is lost");
  }
  const pieces: number[] = [];
  for (const { 1: escape, 2: hex, 3: plain, index } of string.matchAll(/\\(x([0-9a-fA-F]{2})|.)|([^\\]+)/gsu)) {
    if (plain !== undefined) {
      for (const octet of ENCODER.encode(plain)) pieces.push(octet);
    } else if (hex !== undefined) pieces.push(parseInt(hex, 16));
    else if (ESCAPES[escape] !== undefined) pieces.push(ESCAPES[escape]);
    else {
      const seen = string.slice(index, index + (escape === "x" ? "\\xHH".length : 1 + escape.length));
      throw new WrongInput(String.raw`escapes are \r \n \t \0 \xHH \\ \", saw ${seen}`);
    }
  }
  return Uint8Array.from(pieces);
}

function shortened(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
