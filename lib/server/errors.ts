/** Errors: those of connections, and why these end; those of requests, as responses. */

import { counted } from "../bytes.ts";
import { systemCode } from "../exit_code.ts";
import { HttpError, type HttpResponse, reasonPhrase, RETRY_SOON } from "../http_message.ts";
import { MAX_PROBLEM_ERRORS } from "../limits.ts";

const { errors } = Deno;

/** Reasons for closing a connection, as passed to {@linkcode Observer.closed}. */
export const CLOSE_REASONS = {
  byClient: "by the client",
  reset: "by the client (reset)",
  lost: "by the client (connection lost)",
  /** The response was the last one, as requested or as required by the HTTP version. */
  finished: "by the server (last response sent)",
  stopping: "by the server (shutting down)",
  /** No request arrived in time. */
  idle: "by the server (idle too long)",
  /** The client does not speak TLS, or trusts no certificate of this server. */
  noTls: "by the server (no TLS handshake)",
  handshake: "by the server (no TLS handshake in time)",
  /** It was idle for longest when the system ran out of descriptors. */
  descriptors: "by the server (out of descriptors)",
  /** The client read nothing, or too slowly. */
  unread: "by the server (the client stopped reading)",
  /** The client read a listing too slowly while the table changed. */
  slow: "by the server (a listing was read too slowly)",
  /** Others needed the memory of a piece of a listing that it had not read. */
  memory: "by the server (out of memory: a listing was not read)",
  /** A defect of this program. */
  defect: "by the server (internal error)",
} as const;

/** Returns why a connection ended whose read, write or handshake failed with this error. */
export function closeReasonOf(error: unknown): string {
  if (error instanceof errors.ConnectionReset) return CLOSE_REASONS.reset;
  // Many clients of TLS end the connection without saying so in TLS first (RFC 8446 §6.1).
  if (error instanceof errors.UnexpectedEof) return CLOSE_REASONS.byClient;
  return error instanceof errors.InvalidData ? CLOSE_REASONS.noTls : CLOSE_REASONS.lost;
}

/** Accepting fails with these because the client has left already. */
const DEPARTURES = [errors.ConnectionAborted, errors.ConnectionReset, errors.NotConnected];

const DISCONNECTS = [
  ...DEPARTURES,
  errors.BrokenPipe,
  errors.TimedOut,
  errors.UnexpectedEof,
  // Reads and writes fail with these once the connection is closed at this end.
  errors.BadResource,
  errors.Interrupted,
  // The client did not speak TLS where TLS is expected.
  errors.InvalidData,
];

/** Whether the error means that the connection is closed. */
export function isDisconnect(error: unknown): boolean {
  return DISCONNECTS.some((kind) => error instanceof kind) || systemCode(error) !== undefined;
}

/** Whether accepting failed because the client had left already. Others need not wait for that. */
export function hadLeft(error: unknown): boolean {
  return DEPARTURES.some((kind) => error instanceof kind);
}

/** What the system lacks when it refuses a connection, by the error's code. */
const SCARCE = new Map<unknown, "descriptors" | "memory">([
  ["EMFILE", "descriptors"],
  ["ENFILE", "descriptors"],
  ["ENOBUFS", "memory"],
  ["ENOMEM", "memory"],
]);

/** Returns what the system lacks when this error or its cause is the system's; `undefined` if it lacks nothing. */
export function scarcity(error: unknown): "descriptors" | "memory" | undefined {
  return SCARCE.get(systemCode(error)) ?? SCARCE.get(systemCode((error as Error | undefined)?.cause));
}

/**
 * Returns the response to an error: `application/problem+json` with `type`, `title`, `status` and `detail` (by default the
 * error's message), and the extension members `rule` (the section that was broken), `offset` (the octet in the message),
 * `errors` (one for each invalid field), `fields` (the fields of the table's rows, as in `--fields`) and `maxRows` (the rows
 * that one request may create, so that a client can send fewer at once) (RFC 9457).
 */
export function problemResponse(error: HttpError, detail = error.message): HttpResponse {
  const { status, rule, offset, errors, rowFields, maxRows, fields } = error;
  // JSON.stringify omits undefined members.
  const problem = {
    type: "about:blank",
    title: reasonPhrase(status),
    status,
    detail,
    rule,
    offset,
    errors: errors?.slice(0, MAX_PROBLEM_ERRORS),
    fields: rowFields,
    maxRows,
  };
  return { status, contentType: "application/problem+json", content: `${JSON.stringify(problem)}\n`, fields };
}

/** Returns the response to an error for a client that may show nothing but text. */
export function textResponse({ status, message }: HttpError): HttpResponse {
  return { status, contentType: "text/plain; charset=utf-8", content: `${message}\n` };
}

/** Creates the error for an exhausted budget, or another limit that will be free again soon. */
export function overloaded(
  detail = "The server holds as much content and as many responses as --max-buffered allows: try again soon",
): HttpError {
  return new HttpError(503, detail, { rule: "RFC 9110 §15.6.4", fields: RETRY_SOON });
}

/** Creates the error for a part of a request that took longer than this many milliseconds. */
export function tooSlow(part: "head" | "content", milliseconds: number): HttpError {
  const detail = `The request's ${part} was not complete after ${counted(milliseconds / 1000, "second")}`;
  return new HttpError(408, detail, { rule: "RFC 9110 §15.5.9" });
}
