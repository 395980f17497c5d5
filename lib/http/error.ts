/** The error type of HTTP messages, and the reason phrases of the statuses that this program sends. */

import { CAUSES, type FaultCode } from "./causes.ts";
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
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
  507: "Insufficient Storage",
};

/** Returns the reason phrase of a status (RFC 9110 §15); empty for one that this program never sends. */
export function reasonPhrase(status: number): string {
  return REASONS[status] ?? "";
}

/** Whether the status is interim: another response to the same request follows (RFC 9110 §15.2). */
export function isInterim(status: number): boolean {
  return status >= 100 && status < 200;
}

/** Whether this response ends HTTP on its connection: another protocol or a tunnel follows (RFC 9110 §7.8, §9.3.6). */
export function leavesHttp(status: number, method: string | undefined): boolean {
  return status === 101 || method === "CONNECT" && status >= 200 && status < 300;
}

/** Whether a response with this status never has content (RFC 9110 §6.4.1). */
export function isContentless(status: number): boolean {
  return isInterim(status) || status === 204 || status === 304;
}

/** The fields of a response to a request that may succeed soon (RFC 9110 §10.2.3). */
export const RETRY_SOON: readonly FieldLine[] = [["Retry-After", "1"]];

/** A member of the content, as sent by the client or as the table expects it: what was seen and what is allowed. */
export type FieldProblem = { readonly field: string; readonly detail: string };

/** Optional properties of an {@linkcode HttpError}. */
export type HttpErrorOptions = Partial<Omit<HttpError, keyof Error | "status" | "rowFields">>;

/** A message breaks a rule, or a request cannot be fulfilled: the text says what was seen and what is allowed. */
export class HttpError extends Error {
  /** The name of this error class. */
  override name = "HttpError";
  /** The cause; only for wire errors. */
  readonly fault?: FaultCode;
  /** The section of the specification that the message breaks, such as `RFC 9112 §5.1`. */
  readonly rule?: string;
  /** The offset of the octet where the message breaks the rule, from the message's first; only for wire errors. */
  readonly offset?: number;
  /** The invalid members of the content. */
  readonly errors?: readonly FieldProblem[];
  /** The rows that one request may create, if those of this request were too many; only with 413. */
  readonly maxRows?: number;
  /** Field lines for the response, such as Allow with a 405. */
  readonly fields: readonly FieldLine[] = [];
  /** The fields of the table's rows, in the notation of `--fields`; only with 422, set by the table. */
  rowFields?: string;
  /** What was seen; in wire errors, without what is allowed. */
  readonly seen: string;

  /** Creates an error that a server answers with `status` and explains with `detail`. */
  constructor(
    /** The status of the response (RFC 9110 §15). */
    readonly status: number,
    detail: string,
    { seen = detail, ...options }: HttpErrorOptions = {},
  ) {
    super(detail);
    this.seen = seen;
    Object.assign(this, options);
  }
}

/** What was seen at an octet, and what is allowed instead; by default the first tells both. */
export function wireError(fault: FaultCode, offset: number, seen: string, allowed?: string): HttpError {
  const { status, rule } = CAUSES[fault];
  const detail = allowed === undefined ? seen : `${seen}: ${allowed}`;
  return new HttpError(status, detail, { fault, rule, offset, seen });
}
