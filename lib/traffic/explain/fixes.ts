/**
 * How to put right what makes a message broken: a fix for each cause of a wire error, and for each rule where an error
 * has no cause of its own.
 *
 * @module
 */

import type { FaultCode, HttpError } from "../../http_message.ts";

/** Faults that concern a whole head or trailer section. All its lines can still be labelled. */
export const SECTION_FAULTS: ReadonlySet<FaultCode | undefined> = new Set<FaultCode>([
  "target-form",
  "target-authority",
  "asterisk-target",
  "connect-target",
  "no-host",
  "two-hosts",
  "host-value",
  "two-framings",
  "coding-in-http10",
  "length-value",
  "two-lengths",
  "length-too-large",
  "chunked-not-last",
  "unknown-coding",
  "forbidden-trailer",
]);

/** What to do about each cause. */
export const FIXES: Readonly<Record<FaultCode, string>> = {
  "bare-lf": "end every line with \\r\\n; shells and editors write \\n alone",
  "bare-cr": "write \\n after every \\r, or leave the \\r out",
  "no-line-end": "end the line with \\r\\n at this octet",
  "tls": "speak https to the server's TLS port, or plain HTTP to this one",
  "no-method": "start with the method, as in GET / HTTP/1.1; at most one empty line may precede it",
  "method-byte": "write letters only in the method, then exactly one space",
  "method-too-long": "use a method that exists: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
  "empty-target": "write exactly one space between the method and the target",
  "target-byte": "percent-encode the octet: % and two hexadecimal digits, as %20 for a space",
  "target-percent": "write two hexadecimal digits after %, or %25 for a percent sign",
  "target-too-long": "shorten the target, or send the data as content with POST",
  "target-form": "start the target with /, or with http:// through a proxy",
  "target-authority": "write host or host:port after http://, without user and password",
  "asterisk-target": "use * with OPTIONS only, and / for the root",
  "connect-target": "write host:port as the target of CONNECT",
  "no-version": "end the request line with one space and HTTP/1.1",
  "version-byte": "write HTTP/1.1 in capitals after exactly one space; a space within the target is %20",
  "version-major": "write HTTP/1.1; HTTP/2 has another format and is agreed on beforehand",
  "after-version": "end the line right after the version: no space, nothing else",
  "status-code": "write the status line as HTTP/1.1 200 OK: three digits, one space on each side",
  "reason-byte": "write visible characters and spaces in the reason phrase, or leave it empty",
  "start-line-too-long": "shorten the start line: data belongs into the content",
  "blank-first-line": "start the line with a field name: no blank before it",
  "folded-line": "write the whole field on one line: lines cannot be continued any more",
  "field-name": "write letters, digits and hyphens in a field name, or the empty line that ends the head",
  "blank-before-colon": "write the colon right after the field name",
  "no-colon": "write a colon after the field name, as in Host: example.com",
  "value-byte": "leave control characters out of field values",
  "section-end": "end the section with an empty line: \\r\\n",
  "too-many-fields": "send fewer field lines",
  "section-too-long": "send fewer or shorter fields; cookies are often the reason",
  "no-host": "add a line Host: with the name and port of the server",
  "two-hosts": "send one Host line only",
  "host-value": "write host or host:port as the value of Host: no scheme, no path, no user",
  "two-framings": "send one of the two, never both",
  "coding-in-http10": "send Content-Length, or HTTP/1.1",
  "length-value": "write the length as decimal digits alone: no sign, no unit, no 0x",
  "two-lengths": "send one Content-Length line with one number",
  "length-too-large": "announce as many octets as there are",
  "chunked-not-last": "write chunked once and as the last coding",
  "unknown-coding": "send Transfer-Encoding: chunked alone; compress with Content-Encoding",
  "chunk-size": "write the size in hexadecimal digits alone: no 0x, no sign, no blank",
  "chunk-size-too-large": "write the size that the chunk has",
  "chunk-line-too-long": "leave out the chunk extension, or leading zeros",
  "chunk-end": "make the chunk as long as its size says, then \\r\\n",
  "chunk-extension": "write extensions as ;name=value, or leave them out",
  "chunk-extensions-too-long": "leave out chunk extensions: nearly nobody reads them",
  "forbidden-trailer": "send this field in the header section",
  "content-too-long": "send less content, or have the server take more (serve --max-body)",
  "cut-off": "send the whole message before you end the connection",
};

/** What to do about each rule, where an error names no cause. */
export const RULE_FIXES: Readonly<Record<string, string>> = {
  "RFC 3986 §2": "percent-encode every octet that is no visible ASCII character",
  "RFC 3986 §2.1": "write two hexadecimal digits after %, or %25 for a percent sign",
  "RFC 3986 §2.5": "percent-encode the octets of UTF-8",
  "RFC 6585 §5": "send fewer or shorter fields",
  "RFC 6750 §3": "send Authorization: Bearer with the token that the server was started with",
  "RFC 8259 §2": "send one JSON value; a JSON parser names the place",
  "RFC 8259 §8.1": "send JSON as UTF-8",
  "RFC 9110 §10.1.1": "send Expect: 100-continue, or no Expect",
  "RFC 9110 §13.1": "send fewer entity tags",
  "RFC 9110 §13.1.1": "GET the row again and use its ETag",
  "RFC 9110 §13.1.2": "use the copy you have, or leave the condition out",
  "RFC 9110 §14.5": "send the whole representation, without Content-Range",
  "RFC 9110 §15.5.6": "use a method that the Allow field lists",
  "RFC 9110 §15.5.9": "send the request without long pauses",
  "RFC 9110 §15.5.14": "send less content, or have the server take more (serve --max-body)",
  "RFC 9110 §15.5.16": "send Content-Type: application/json, and no Content-Encoding",
  "RFC 9110 §15.6.4": "try again soon",
  "RFC 9110 §15.6.6": "write HTTP/1.1",
  "RFC 9110 §4.2": "write host or host:port after http://, without user and password",
  "RFC 9110 §5.1": "write letters, digits and hyphens in a field name",
  "RFC 9110 §5.5": "leave control characters out of field values",
  "RFC 9110 §6.5.1": "send this field in the header section",
  "RFC 9110 §7.4": "send this server's own name and scheme, or start it with --allow-host, or --cert for https",
  "RFC 9110 §8.6": "write the length as decimal digits alone, once",
  "RFC 9110 §8.8.3": "write an entity tag in double quotes, as the ETag field has it",
  "RFC 9110 §9.1": "use a method that the server knows",
  "RFC 9112 §2.2": "end every line with \\r\\n",
  "RFC 9112 §2.3": "write the version as HTTP/1.1",
  "RFC 9112 §3": "write the request line as GET / HTTP/1.1, with one space between the parts",
  "RFC 9112 §3.2": "send one Host line with host or host:port",
  "RFC 9112 §3.2.3": "write host:port as the target of CONNECT",
  "RFC 9112 §3.2.4": "use * with OPTIONS only",
  "RFC 9112 §4": "write the status line as HTTP/1.1 200 OK",
  "RFC 9112 §5.1": "write the colon right after the field name",
  "RFC 9112 §5.2": "write the whole field on one line",
  "RFC 9112 §6.1": "send Content-Length, or Transfer-Encoding: chunked, never both",
  "RFC 9112 §6.3": "write chunked once and as the last coding",
  "RFC 9112 §7.1": "write the chunk size in hexadecimal digits alone",
  "RFC 9112 §7.1.1": "write chunk extensions as ;name=value, or leave them out",
  "RFC 9112 §8": "send the whole message before you end the connection",
};

/** How to put the error right; `undefined` where only its own words say so. */
export function fixFor({ fault, rule }: HttpError): string | undefined {
  if (fault !== undefined) return FIXES[fault];
  return rule === undefined ? undefined : RULE_FIXES[rule];
}
