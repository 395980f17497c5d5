/**
 * The one error of this program's HTTP, and the reason phrases of the statuses it sends.
 *
 * @module
 */

import type { FieldLine } from "./grammar.ts";

const REASONS: Record<number, string> = {
  100: "Continue",
  200: "OK",
  201: "Created",
  204: "No Content",
  304: "Not Modified",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  409: "Conflict",
  412: "Precondition Failed",
  413: "Content Too Large",
  414: "URI Too Long",
  415: "Unsupported Media Type",
  417: "Expectation Failed",
  421: "Misdirected Request",
  422: "Unprocessable Content",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
  505: "HTTP Version Not Supported",
  507: "Insufficient Storage",
};

/**
 * The reason phrase that RFC 9110 §15 (or its registry) gives a status code; empty for one this program never sends.
 */
export function reasonPhrase(status: number): string {
  return REASONS[status] ?? "";
}

/** Whether a response with this status is followed by another one to the same request (RFC 9110 §15.2). */
export function isInterim(status: number): boolean {
  return status >= 100 && status < 200;
}

/** Whether responses with this status never have content (RFC 9110 §6.4.1). */
export function isContentless(status: number): boolean {
  return isInterim(status) || status === 204 || status === 304;
}

/**
 * Why a message is broken: the cause of a wire error, where one rule has many. A fix belongs to each.
 *
 * The first group breaks the start line, then field lines, what fields mean, chunks, and the end of input.
 */
export type FaultCode =
  | "bare-lf"
  | "bare-cr"
  | "no-line-end"
  | "tls"
  | "no-method"
  | "method-byte"
  | "method-too-long"
  | "empty-target"
  | "target-byte"
  | "target-percent"
  | "target-too-long"
  | "target-form"
  | "target-authority"
  | "asterisk-target"
  | "connect-target"
  | "no-version"
  | "version-byte"
  | "version-major"
  | "after-version"
  | "status-code"
  | "reason-byte"
  | "start-line-too-long"
  | "blank-first-line"
  | "folded-line"
  | "field-name"
  | "blank-before-colon"
  | "no-colon"
  | "value-byte"
  | "section-end"
  | "too-many-fields"
  | "section-too-long"
  | "no-host"
  | "two-hosts"
  | "host-value"
  | "two-framings"
  | "coding-in-http10"
  | "length-value"
  | "two-lengths"
  | "length-too-large"
  | "chunked-not-last"
  | "unknown-coding"
  | "chunk-size"
  | "chunk-size-too-large"
  | "chunk-line-too-long"
  | "chunk-end"
  | "chunk-extension"
  | "chunk-extensions-too-long"
  | "forbidden-trailer"
  | "content-too-long"
  | "cut-off";

/** What is wrong with one member of the content. */
export interface FieldProblem {
  /** The member's name, as the client sent it or as the table asks for it. */
  readonly field: string;
  /** What was seen and what is allowed. */
  readonly detail: string;
}

/** What an {@linkcode HttpError} may have besides a status and a detail. */
export interface HttpErrorOptions {
  /** The cause. Only wire errors have one. */
  readonly fault?: FaultCode;
  /** The section of the specification that was broken, as `RFC 9112 §5.1`. */
  readonly rule?: string;
  /** The octet where the message breaks the rule, counted from its first. Only wire errors have one. */
  readonly offset?: number;
  /** The wrong members of the content. */
  readonly errors?: readonly FieldProblem[];
  /** Field lines that the answer must carry, as Allow with a 405. */
  readonly fields?: readonly FieldLine[];
}

/**
 * The one error of this program's HTTP: a message that breaks a rule, or a request that cannot be met.
 *
 * Its message is a sentence that says what was seen and what is allowed.
 */
export class HttpError extends Error {
  /** Tells this error from others by name. */
  override name = "HttpError";
  /** The status a server answers with (RFC 9110 §15). */
  readonly status: number;
  /** See {@linkcode HttpErrorOptions.fault}. */
  readonly fault?: FaultCode;
  /** See {@linkcode HttpErrorOptions.rule}. */
  readonly rule?: string;
  /** See {@linkcode HttpErrorOptions.offset}. */
  readonly offset?: number;
  /** See {@linkcode HttpErrorOptions.errors}. */
  readonly errors?: readonly FieldProblem[];
  /** See {@linkcode HttpErrorOptions.fields}. */
  readonly fields: readonly FieldLine[];

  /** Creates an error that a server answers with `status`, explained by `detail`. */
  constructor(status: number, detail: string, options: HttpErrorOptions = {}) {
    super(detail);
    this.status = status;
    this.fault = options.fault;
    this.rule = options.rule;
    this.offset = options.offset;
    this.errors = options.errors;
    this.fields = options.fields ?? [];
  }
}
