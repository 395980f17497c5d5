/** Parses values of flags, and reports invalid ones. */

import { ReportedError } from "../exit_code.ts";

/** Signals that ask a program to end; SIGHUP: its terminal was closed. Windows sends no SIGTERM in a console. */
export const END_SIGNALS: readonly Deno.Signal[] = [
  "SIGINT",
  "SIGHUP",
  Deno.build.os === "windows" ? "SIGBREAK" : "SIGTERM",
];

/** An error that is reported to the user in one line before the program ends. */
export class Failure extends ReportedError {}

/** Invalid arguments. The message is one line for the user. */
export class UsageError extends Failure {
  /** The name of this error class. */
  override name = "UsageError";
}

/** Returns the result of `read` for a flag's value. A RangeError becomes a usage error that names the flag. */
export function flagValue<T>(flag: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(`${flag}: ${error.message}`);
    throw error;
  }
}

/** Reads a whole number. All readers of values throw a {@linkcode UsageError} for any other text. */
export function wholeNumber(least: number, most: number): (text: string, flag: string) => number {
  return (text, flag) => {
    const number = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
    if (number >= least && number <= most) return number;
    throw new UsageError(`${flag} takes a whole number from ${least} to ${most}, saw ${quote(text)}`);
  };
}

/** Reads a whole number, or a range of two such as 100-900. */
export function wholeNumbers(
  least: number,
  most: number,
): (text: string, flag: string) => number | readonly [least: number, most: number] {
  return (text, flag) => {
    const [, from, to] = /^(\d{1,15})(?:-(\d{1,15}))?$/.exec(text) ?? [];
    const [low, high] = [Number(from), Number(to ?? from)];
    if (low >= least && low <= high && high <= most) return to === undefined ? low : [low, high];
    const number = `a whole number from ${least} to ${most}`;
    throw new UsageError(`${flag} takes ${number}, or a range such as 100-900, saw ${quote(text)}`);
  };
}

/** Reads seconds with an optional fraction, more than 0 and at most a day, and returns milliseconds. */
export function milliseconds(text: string, flag: string): number {
  const seconds = /^\d{1,6}(?:\.\d{1,3})?$/.test(text) ? Number(text) : NaN;
  if (seconds > 0 && seconds <= 86_400) return seconds * 1000;
  throw new UsageError(`${flag} takes seconds, more than 0 and at most 86400, saw ${quote(text)}`);
}

/** Reads a number of bytes, with an optional unit: 64k, 1m, 2g. */
export function byteCount(least: number, most: number): (text: string, flag: string) => number {
  return (text, flag) => {
    const [, digits, unit = ""] = /^(\d{1,12})([kmg]?)$/i.exec(text) ?? [];
    const bytes = Number(digits) * 1024 ** ["", "k", "m", "g"].indexOf(unit.toLowerCase());
    if (bytes >= least && bytes <= most) return bytes;
    throw new UsageError(`${flag} takes bytes from ${least} to ${most}, such as 64k or 1m, saw ${quote(text)}`);
  };
}

/** Returns text in double quotes, escaped for a terminal. */
export function quote(text: string): string {
  return JSON.stringify(text);
}
