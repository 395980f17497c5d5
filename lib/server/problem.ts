/**
 * Errors as answers: problem documents (RFC 9457).
 *
 * @module
 */

import { type HttpError, type HttpResponse, reasonPhrase } from "../http_message.ts";
import { MAX_PROBLEM_ERRORS } from "../limits.ts";

/**
 * The answer that tells a client what was wrong: `application/problem+json` with the members `type`, `title`, `status`
 * and `detail`, and this program's own: `rule` (the section that was broken), `offset` (the octet of the message
 * where it broke) and `errors` (one for each wrong field).
 */
export function problemResponse(error: HttpError): HttpResponse {
  const { status, message: detail, rule, offset, errors, fields } = error;
  // JSON leaves out what is undefined.
  const problem = {
    type: "about:blank",
    title: reasonPhrase(status),
    status,
    detail,
    rule,
    offset,
    errors: errors?.slice(0, MAX_PROBLEM_ERRORS),
  };
  return { status, contentType: "application/problem+json", content: `${JSON.stringify(problem)}\n`, fields };
}
