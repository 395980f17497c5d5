/**
 * How to put right what makes a server refuse a message, and which causes concern a whole section.
 *
 * @module
 */

import { CAUSES, type FaultCode, type HttpError } from "../http_message.ts";

/** Faults that concern a whole head or trailer section. All its lines can still be labelled. */
export const SECTION_FAULTS: ReadonlySet<FaultCode | undefined> = new Set<FaultCode>([
  "target-form",
  "target-authority",
  "target-no-host",
  "asterisk-target",
  "connect-target",
  "connect-port",
  "no-host",
  "two-hosts",
  "host-value",
  "empty-host",
  "two-framings",
  "coding-in-http10",
  "length-value",
  "two-lengths",
  "equal-lengths",
  "length-too-large",
  "chunked-not-last",
  "chunked-twice",
  "chunked-parameter",
  "empty-coding",
  "unknown-coding",
  "forbidden-trailer",
]);

/** What to do about each rule by which a server refuses a valid request before its content has come. */
const RULE_FIXES: Readonly<Record<string, string>> = {
  "RFC 3986 §2.5": "percent-encode the octets of UTF-8",
  "RFC 6750 §3": "send Authorization: Bearer with the token that the server was started with",
  "RFC 9110 §10.1.1": "send Expect: 100-continue, or no Expect",
  "RFC 9110 §14.5": "send the whole representation, without Content-Range",
  "RFC 9110 §15.5.6": "use a method that the Allow field lists",
  "RFC 9110 §15.5.9": "send the request without long pauses",
  "RFC 9110 §15.5.16": "send Content-Type: application/json, and no Content-Encoding",
  "RFC 9110 §15.6.4": "try again soon",
  "RFC 9110 §7.4": "send this server's own name and scheme, or start it with --allow-host, or --cert for https",
  "RFC 9110 §9.1": "use a method that the server knows",
};

/** How to put the error right; `undefined` where only its own words say so. */
export function fixFor({ fault, rule }: HttpError): string | undefined {
  if (fault !== undefined) return CAUSES[fault].fix;
  return rule === undefined ? undefined : RULE_FIXES[rule];
}
