import assert from "node:assert/strict";
import { CAUSES, type FaultCode } from "../../lib/http/causes.ts";

/** What the specification says, with its section, and the causes that it decides in requests and in responses. */
const SAYS: readonly {
  readonly rule: string;
  readonly words: string;
  readonly must?: true;
  readonly or?: string;
  readonly request: readonly FaultCode[];
  readonly response?: readonly FaultCode[];
}[] = [
  {
    rule: "RFC 9112 §2.2",
    words: "Although the line terminator for the start-line and fields is the sequence CRLF, a recipient MAY " +
      "recognize a single LF as a line terminator and ignore any preceding CR.",
    or: "read as a line end",
    request: ["bare-lf"],
  },
  {
    rule: "RFC 9112 §2.2",
    words: "A recipient of such a bare CR MUST consider that element to be invalid or replace each bare CR with SP",
    or: "read as a space",
    request: ["bare-cr"],
  },
  {
    rule: "RFC 9112 §2.2",
    words:
      "A recipient that receives whitespace between the start-line and the first header field MUST either reject " +
      "the message as invalid or consume each whitespace-preceded line without further processing of it",
    or: "read without that line",
    request: ["blank-first-line"],
  },
  {
    rule: "RFC 9112 §2.2",
    words: "When a server receives a sequence of octets that does not match the HTTP-message grammar aside from the " +
      "robustness exceptions listed above, the server SHOULD respond with a 400 (Bad Request) response",
    request: ["no-line-end", "after-version", "section-end"],
  },
  {
    rule: "RFC 9112 §2.3",
    words: "HTTP-version is case-sensitive.",
    request: ["version-byte"],
  },
  {
    rule: "RFC 9110 §15.6.6",
    words: "The 505 status code indicates that the server does not support, or refuses to support, the major version",
    request: ["version-major"],
  },
  {
    rule: "RFC 9112 §3",
    words:
      "recipients MAY instead parse on whitespace-delimited word boundaries and, aside from the CRLF terminator, " +
      "treat any form of whitespace as the SP separator while ignoring preceding or trailing whitespace",
    or: "read as one space",
    request: ["blank-after-method", "blank-before-target", "blank-before-version"],
  },
  {
    rule: "RFC 9112 §3",
    words: "while ignoring preceding or trailing whitespace; such whitespace includes one or more of the following " +
      "octets: SP, HTAB, VT (%x0B), FF (%x0C), or bare CR",
    or: "read without the blank",
    request: ["blank-before-method", "blank-after-version"],
  },
  {
    rule: "RFC 9112 §4",
    words: "Although the status-line grammar rule requires that each of the component elements be separated by a " +
      "single SP octet, recipients MAY instead parse on whitespace-delimited word boundaries",
    or: "read as one space",
    request: ["status-blank"],
  },
  {
    rule: "RFC 9112 §4",
    words: "status-code = 3DIGIT; reason-phrase = 1*( HTAB / SP / VCHAR / obs-text )",
    request: ["status-code", "reason-byte"],
  },
  {
    rule: "RFC 9112 §3",
    words: "A request-line begins with a method token, followed by a single space (SP), the request-target, and " +
      "another single space (SP), and ends with the protocol version.",
    request: ["tls", "no-method", "method-byte", "no-version"],
  },
  {
    rule: "RFC 9112 §3",
    words: "A server that receives a method longer than any that it implements SHOULD respond with a 501. A server " +
      "that receives a request-target longer than any URI it wishes to parse MUST respond with a 414",
    or: "taken where the limit is higher",
    request: ["method-too-long", "target-too-long"],
  },
  {
    rule: "RFC 9112 §3.2",
    words:
      "Recipients of an invalid request-line SHOULD respond with either a 400 (Bad Request) error or a 301 (Moved " +
      "Permanently) redirect with the request-target properly encoded.",
    or: "redirected to the target percent-encoded",
    request: ["target-byte", "target-percent"],
  },
  {
    rule: "RFC 9112 §3.2",
    words: "There are four distinct formats for the request-target",
    request: ["empty-target", "target-form"],
  },
  {
    rule: "RFC 9112 §3.2.3",
    words: "It consists of only the uri-host and port number of the tunnel destination",
    request: ["connect-target"],
  },
  {
    rule: "RFC 9112 §3.2.4",
    words: "The asterisk-form of request-target is only used for a server-wide OPTIONS request",
    request: ["asterisk-target"],
  },
  {
    rule: "RFC 9110 §9.3.6",
    words: "A server MUST reject a CONNECT request that targets an empty or invalid port number, typically by " +
      "responding with a 400 (Bad Request) status code.",
    must: true,
    request: ["connect-port"],
  },
  {
    rule: "RFC 9110 §4.2.1",
    words:
      'A sender MUST NOT generate an "http" URI with an empty host identifier. A recipient that processes such a ' +
      "URI reference MUST reject it as invalid.",
    must: true,
    request: ["target-no-host"],
  },
  {
    rule: "RFC 9110 §4.2.4",
    words: "a recipient SHOULD parse for userinfo and treat its presence as an error",
    request: ["target-authority"],
  },
  {
    rule: "RFC 9112 §3.2",
    words: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that lacks a " +
      "Host header field and to any request message that contains more than one Host header field line or a Host " +
      "header field with an invalid field value.",
    must: true,
    request: ["no-host", "two-hosts", "host-value"],
  },
  {
    rule: "RFC 9112 §3.3",
    words: "the server can reject the request or determine whether a configured default applies",
    or: "read as the server's default host",
    request: ["empty-host"],
  },
  {
    rule: "RFC 9112 §5.1",
    words:
      "A server MUST reject, with a response status code of 400 (Bad Request), any received request message that " +
      "contains whitespace between a header field name and colon.",
    must: true,
    request: ["blank-before-colon"],
    response: [],
  },
  {
    rule: "RFC 9112 §5.1",
    words: "A proxy MUST remove any such whitespace from a response message before forwarding the message downstream.",
    or: "read without the blank",
    request: [],
    response: ["blank-before-colon"],
  },
  {
    rule: "RFC 9112 §5.1",
    words: "Each field line consists of a case-insensitive field name followed by a colon",
    request: ["blank-in-name", "no-colon"],
  },
  { rule: "RFC 9110 §5.1", words: "field-name = token", request: ["field-name"] },
  {
    rule: "RFC 9112 §5.2",
    words:
      "A server that receives an obs-fold in a request message MUST either reject the message by sending a 400 or " +
      "replace each received obs-fold with one or more SP octets. A user agent that receives an obs-fold in a " +
      "response message MUST replace each received obs-fold with one or more SP octets",
    or: "read with a space for the fold",
    request: ["folded-line"],
  },
  {
    rule: "RFC 9110 §5.5",
    words:
      "a recipient of CR, LF, or NUL within a field value MUST either reject the message or replace each of those " +
      "characters with SP",
    or: "read as a space",
    request: ["value-nul"],
  },
  {
    rule: "RFC 9110 §5.5",
    words: "Field values containing other CTL characters are also invalid; however, recipients MAY retain such " +
      "characters for the sake of robustness when they appear within a safe context",
    or: "kept where no other parser reads it",
    request: ["value-byte"],
  },
  {
    rule: "RFC 6585 §5",
    words: "The 431 status code indicates that the server is unwilling to process the request because its header " +
      "fields are too large.",
    or: "taken where the limit is higher",
    request: ["start-line-too-long", "too-many-fields", "section-too-long"],
  },
  {
    rule: "RFC 9112 §6.1",
    words: "A server MAY reject a request that contains both Content-Length and Transfer-Encoding or process such a " +
      "request in accordance with the Transfer-Encoding alone. Regardless, the server MUST close the connection after " +
      "responding. A server or client that receives an HTTP/1.0 message containing a Transfer-Encoding header field " +
      "MUST treat the message as if the framing is faulty and close the connection after processing the message.",
    or: "read by Transfer-Encoding alone",
    request: ["two-framings", "coding-in-http10"],
    response: ["coding-in-http10"],
  },
  {
    rule: "RFC 9112 §6.3",
    words: "If a message is received with both, the Transfer-Encoding overrides the Content-Length. Such a message " +
      "ought to be handled as an error.",
    or: "read by Transfer-Encoding alone",
    request: [],
    response: ["two-framings"],
  },
  {
    rule: "RFC 9112 §6.3",
    words:
      "with an invalid Content-Length header field the recipient MUST treat it as an unrecoverable error, unless " +
      "all values in the list are the same. In a request message the server MUST respond with a 400; in a response " +
      "the user agent MUST close the connection to the server and discard the received response.",
    must: true,
    request: ["length-value", "two-lengths"],
  },
  {
    rule: "RFC 9110 §8.6",
    words: "a recipient of a Content-Length header field value consisting of the same decimal value repeated as a " +
      "comma-separated list MAY either reject the message as invalid or replace that invalid field value with a " +
      "single instance of the decimal value",
    or: "read as that one length",
    request: ["equal-lengths"],
  },
  {
    rule: "RFC 9110 §8.6",
    words: "Any Content-Length field value greater than or equal to zero is valid.",
    or: "taken where the limit is higher",
    request: ["length-too-large"],
  },
  {
    rule: "RFC 9112 §6.3",
    words: "If a Transfer-Encoding header field is present in a request and the chunked transfer coding is not the " +
      "final encoding, the server MUST respond with the 400 (Bad Request) status code and then close the connection.",
    must: true,
    request: ["chunked-not-last"],
    response: [],
  },
  {
    rule: "RFC 9112 §6.3",
    words: "in a response, the message body length is determined by reading the connection until it is closed",
    or: "read until the connection ends",
    request: [],
    response: ["chunked-not-last"],
  },
  {
    rule: "RFC 9112 §6.1",
    words: "A sender MUST NOT apply the chunked transfer coding more than once to a message body",
    request: ["chunked-twice"],
  },
  {
    rule: "RFC 9112 §7.1",
    words: "The chunked coding does not define any parameters. Their presence SHOULD be treated as an error.",
    request: ["chunked-parameter"],
  },
  {
    rule: "RFC 9110 §5.6.1",
    words: "A recipient MUST parse and ignore a reasonable number of empty list elements",
    or: "read without the empty member",
    request: ["empty-coding"],
  },
  {
    rule: "RFC 9112 §6.1",
    words:
      "A server that receives a request message with a transfer coding it does not understand SHOULD respond with " +
      "501 (Not Implemented).",
    or: "decoded by who knows the coding",
    request: ["unknown-coding"],
  },
  {
    rule: "RFC 9112 §7.1",
    words: "chunk = chunk-size [ chunk-ext ] CRLF chunk-data CRLF; chunk-size = 1*HEXDIG",
    request: ["chunk-size", "chunk-bare-lf", "chunk-end"],
  },
  {
    rule: "RFC 9112 §7.1",
    words: "recipients MUST anticipate potentially large hexadecimal numerals and prevent parsing errors",
    or: "taken where the limit is higher",
    request: ["chunk-size-too-large"],
  },
  {
    rule: "RFC 9112 §7.1.1",
    words: 'chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )',
    request: ["chunk-extension"],
  },
  {
    rule: "RFC 9112 §7.1.1",
    words: "A server ought to limit the total length of chunk extensions received in a request",
    or: "taken where the limit is higher",
    request: ["chunk-line-too-long", "chunk-extensions-too-long"],
  },
  {
    rule: "RFC 9110 §6.5.1",
    words: "trailers are simply discarded. A recipient MUST NOT merge a trailer field into a header section",
    or: "read without that field",
    request: ["forbidden-trailer"],
  },
  {
    rule: "RFC 9110 §15.5.14",
    words:
      "The 413 status code indicates that the server is refusing to process a request because the request content " +
      "is larger than the server is willing or able to process.",
    or: "taken where the limit is higher",
    request: ["content-too-long"],
  },
  {
    rule: "RFC 9112 §8",
    words: "A server that receives an incomplete request message MAY send an error response prior to closing",
    request: ["cut-off"],
    response: [],
  },
  {
    rule: "RFC 9112 §8",
    words: "A client that receives an incomplete response message MUST record the message as incomplete.",
    must: true,
    request: [],
    response: ["cut-off"],
  },
];

for (const { rule, words, must = false, or, request, response = request } of SAYS) {
  Deno.test(`${rule}: ${words}`, () => {
    // The degree is in the words: nothing is demanded where no MUST stands, or where it leaves a choice.
    if (must) assert.match(words, /\bMUST\b/);
    for (const [kind, codes] of [["request", request], ["response", response]] as const) {
      for (const code of codes) {
        const degree = CAUSES[code][kind];
        assert.deepEqual([degree.must, degree.or, degree.rule], [must, or, rule], `${code} in a ${kind}`);
      }
    }
  });
}

Deno.test("the specification decides each cause, in requests and in responses, once", () => {
  const all = Object.keys(CAUSES).sort();
  for (const kind of ["request", "response"] as const) {
    assert.deepEqual(SAYS.flatMap((row) => row[kind] ?? row.request).sort(), all);
  }
});
