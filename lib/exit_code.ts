/**
 * Exit codes of the program, beside 0 and those of a response's class: 4 for 4xx, 5 for 5xx; and what of a raw exchange
 * decides on its code.
 *
 * @module
 */

/** The exit code of a usage error, or without a valid response. */
export const EXIT_FAILURE: number = 1;
/** The exit code if no response arrived in time. */
export const EXIT_TIMEOUT: number = 2;
/** The exit code if a raw exchange was answered against the rules. */
export const EXIT_AGAINST: number = 3;
/** The exit code after Ctrl-C. */
export const EXIT_INTERRUPTED: number = 130;

/** An error whose message tells the user enough, one line. It ends the program with its exit code. */
export class ReportedError extends Error {
  /** The exit code. */
  get exitCode(): number {
    return EXIT_FAILURE;
  }
}

/** Returns the system's code of an error, such as ENOSPC. Codes of Node.js start with ERR_, and mean a defect. */
export function systemCode(error: unknown): string | undefined {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return /^E(?!RR_)[A-Z0-9]+$/.test(code) ? code : undefined;
}

/** Returns the exit code after a signal: 128 and its number, as shells count. */
export function exitCodeAfter(signal: Deno.Signal): number {
  return signal === "SIGHUP" ? 129 : signal === "SIGTERM" ? 143 : EXIT_INTERRUPTED;
}

/** The result of a raw exchange. */
export interface RawResult {
  /** The status of the last final response that is complete; `undefined` if there is none. */
  readonly status: number | undefined;
  /** Whether the received octets are valid HTTP. */
  readonly valid: boolean;
  /** Whether an answer is against the rules. */
  readonly against?: boolean;
}

/** Returns the exit code of a status. A status of no class counts as a server error (RFC 9110 §15). */
export function exitCodeOf(status: number): number {
  return status >= 100 && status < 400 ? 0 : status >= 400 && status < 500 ? 4 : 5;
}
