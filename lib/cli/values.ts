/**
 * Parses values of flags, and reports invalid ones.
 *
 * @module
 */

/** The exit code of a usage error, or without a valid response. */
export const EXIT_FAILURE: number = 1;
/** The exit code if no response arrived in time. */
export const EXIT_TIMEOUT: number = 2;
/** The exit code after Ctrl-C. */
export const EXIT_INTERRUPTED: number = 130;
/**
 * Signals that ask a program to end. SIGHUP is sent when the terminal is closed. Windows sends no SIGTERM to programs
 * in a console.
 */
export const END_SIGNALS: readonly Deno.Signal[] = [
  "SIGINT",
  "SIGHUP",
  Deno.build.os === "windows" ? "SIGBREAK" : "SIGTERM",
];

/** An error that is reported to the user in one line before the program ends. */
export class Failure extends Error {}

/** Invalid arguments. The message is one line for the user. */
export class UsageError extends Failure {
  /** The name of this error class. */
  override name = "UsageError";
}

/** A file that may not be accessed. The message names it; the command to type is appended. */
export class MissingPermission extends Failure {}

/** Returns the result of `read` for a flag's value. A RangeError becomes a usage error that names the flag. */
export function flagValue<T>(flag: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(`${flag}: ${error.message}`);
    throw error;
  }
}

/** Values of flags, by name. */
export type Values = { readonly [name: string]: string | boolean | string[] | undefined };

/** Returns the text of a flag; `undefined` if it is absent. */
export function text(values: Values, name: string): string | undefined {
  return values[name] as string | undefined;
}

/**
 * Returns one of the allowed texts.
 *
 * @throws {UsageError} If the flag has another one.
 */
export function oneOf<T extends string>(values: Values, name: string, choices: readonly T[]): T | undefined {
  const value = text(values, name);
  if (value === undefined || choices.includes(value as T)) return value as T | undefined;
  throw new UsageError(`--${name} is ${choices.join(" or ")}, saw ${quote(value)}`);
}

/**
 * Returns an integer from `least` to `most`.
 *
 * @throws {UsageError} If the flag has another value.
 */
export function wholeNumber(values: Values, name: string, least: number, most: number): number | undefined {
  const value = text(values, name);
  if (value === undefined) return undefined;
  const number = /^\d{1,15}$/.test(value) ? Number(value) : NaN;
  if (number >= least && number <= most) return number;
  throw new UsageError(`--${name} takes a whole number from ${least} to ${most}, saw ${quote(value)}`);
}

/**
 * Returns milliseconds from a value in seconds, with an optional fraction.
 *
 * @throws {UsageError} If the value is invalid, 0, or more than a day.
 */
export function milliseconds(values: Values, name: string): number | undefined {
  const value = text(values, name);
  if (value === undefined) return undefined;
  const seconds = /^\d{1,6}(?:\.\d{1,3})?$/.test(value) ? Number(value) : NaN;
  if (seconds > 0 && seconds <= 86_400) return seconds * 1000;
  throw new UsageError(`--${name} takes seconds, more than 0 and at most 86400, saw ${quote(value)}`);
}

/**
 * Returns a number of bytes, with an optional unit: 64k, 1m, 2g.
 *
 * @throws {UsageError} If the value is invalid, less than `least` or more than `most`.
 */
export function byteCount(values: Values, name: string, least: number, most: number): number | undefined {
  const value = text(values, name);
  if (value === undefined) return undefined;
  const [, digits, unit = ""] = /^(\d{1,12})([kmg]?)$/i.exec(value) ?? [];
  const bytes = Number(digits) * 1024 ** ["", "k", "m", "g"].indexOf(unit.toLowerCase());
  if (bytes >= least && bytes <= most) return bytes;
  throw new UsageError(`--${name} takes bytes from ${least} to ${most}, such as 64k or 1m, saw ${quote(value)}`);
}

/** Returns text in double quotes, escaped for a terminal. */
export function quote(text: string): string {
  return JSON.stringify(text);
}
