/**
 * Error responses: problem documents (RFC 9457), or plain text.
 *
 * @module
 */

import { counted } from "../bytes.ts";
import { HttpError, type HttpResponse, reasonPhrase } from "../http_message.ts";
import { MAX_PROBLEM_ERRORS } from "../limits.ts";

/**
 * Returns the response to an error: `application/problem+json` with `type`, `title`, `status` and `detail`, and the
 * extension members `rule` (the section that was broken), `offset` (the octet in the message), `errors` (one for each
 * invalid field), `fields` (the fields of the table's rows, as in `--fields`) and `maxRows` (the rows that one request may
 * create, so that a client can send fewer at once).
 *
 * @param detail The detail; by default the error's message.
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

/** Creates the error for an exhausted budget. */
export function overloaded(
  detail = "The server holds as much content and as many responses as --max-buffered allows: try again soon",
): HttpError {
  return new HttpError(503, detail, { rule: "RFC 9110 §15.6.4", fields: [["Retry-After", "1"]] });
}

/** Creates the error for a part of a request that took longer than this many milliseconds. */
export function tooSlow(part: "head" | "content", milliseconds: number): HttpError {
  const detail = `The request's ${part} was not complete after ${counted(milliseconds / 1000, "second")}`;
  return new HttpError(408, detail, { rule: "RFC 9110 §15.5.9" });
}
