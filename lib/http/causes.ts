/**
 * Why a message is broken: each cause of a wire error with the status to answer, the rule that is broken, what the
 * specification says of refusing it, and how to put it right.
 *
 * The decoder refuses all of them. What it says differs: some a recipient *must* refuse, and some it *may* refuse, or
 * do instead what the specification allows.
 *
 * @module
 */

import type { MessageEnd, RequestHead, ResponseHead } from "./message.ts";

/** What the specification says of refusing a broken message. */
export interface Degree {
  /** Whether every recipient must refuse it. SHOULD counts as may. */
  readonly must: boolean;
  /** What is to be done with it, such as `must be refused`. */
  readonly words: string;
  /** What else is allowed, after "or": `read as a line end`. Without it, the specification names nothing. */
  readonly or?: string;
  /** The section that says so. */
  readonly rule: string;
  /** Whether a server's answer is allowed though another status is required; only if it must be refused. */
  readonly allows?: (status: number) => boolean;
  /** The section by which a server has to close the connection after its answer, whatever that is. */
  readonly closes?: string;
}

/** The properties of a cause. */
export interface Cause {
  /** The status with which a server refuses a request. */
  readonly status: number;
  /** The section of the specification that the message breaks. */
  readonly rule: string;
  /** What the specification says of a request. */
  readonly request: Degree;
  /** What it says of a response. */
  readonly response: Degree;
  /** How to put it right. */
  readonly fix: string;
}

function may(rule: string, or?: string): Degree {
  return { must: false, words: "may be refused", or, rule };
}

function must(rule: string, more: Partial<Degree> = {}): Degree {
  return { must: true, words: "must be refused", rule, ...more };
}

/** Nothing but a recipient's own limit refuses it. */
function limited(rule: string): Degree {
  return may(rule, "taken where the limit is higher");
}

/** Creates a cause whose degree is the same in requests and in responses, or differs. */
function cause(
  status: number,
  rule: string,
  request: Degree | ((rule: string) => Degree),
  fix: string,
  response: Degree = typeof request === "function" ? request(rule) : request,
): Cause {
  return { status, rule, request: typeof request === "function" ? request(rule) : request, response, fix };
}

/** Lenient parsing on whitespace-delimited word boundaries. */
const BLANK_WITHIN = may("RFC 9112 §3", "read as one space");
const BLANK_AROUND = may("RFC 9112 §3", "read without the blank");
const STATUS_BLANK = may("RFC 9112 §4", "read as one space");
const REDIRECTED = may("RFC 9112 §3.2", "redirected to the target percent-encoded");
const CLOSES_BY_LENGTH = { closes: "RFC 9112 §6.3" };
const BY_CODING = may("RFC 9112 §6.1", "read by Transfer-Encoding alone");
const BLANK_FIX = "write exactly one space between the parts of the start line, and none around them";

/** Each cause; in order: in start lines, in field lines, in the meaning of fields, in chunks, at the end of input. */
export const CAUSES = {
  "bare-lf": cause(
    400,
    "RFC 9112 §2.2",
    may("RFC 9112 §2.2", "read as a line end"),
    "end every line with \\r\\n; shells and editors write \\n alone",
  ),
  "bare-cr": cause(
    400,
    "RFC 9112 §2.2",
    may("RFC 9112 §2.2", "read as a space"),
    "write \\n after every \\r, or leave the \\r out",
  ),
  "no-line-end": cause(400, "RFC 9112 §2.2", may, "end the line with \\r\\n at this octet"),
  "tls": cause(400, "RFC 9112 §3", may, "speak https to the server's TLS port, or plain HTTP to this one"),
  "no-method": cause(
    400,
    "RFC 9112 §3",
    may,
    "start with the method, as in GET / HTTP/1.1; at most one empty line may precede it",
  ),
  "blank-before-method": cause(400, "RFC 9112 §3", BLANK_AROUND, BLANK_FIX),
  "method-byte": cause(400, "RFC 9112 §3", may, "write letters only in the method, then exactly one space"),
  "blank-after-method": cause(400, "RFC 9112 §3", BLANK_WITHIN, BLANK_FIX),
  "method-too-long": cause(
    501,
    "RFC 9112 §3",
    limited,
    "use a method that exists: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
  ),
  "empty-target": cause(400, "RFC 9112 §3.2", may, "write a target after the method, as in GET / HTTP/1.1"),
  "blank-before-target": cause(400, "RFC 9112 §3.2", BLANK_WITHIN, BLANK_FIX),
  "target-byte": cause(
    400,
    "RFC 3986 §2",
    REDIRECTED,
    "percent-encode the octet: % and two hexadecimal digits, as %20 for a space",
  ),
  "target-percent": cause(
    400,
    "RFC 3986 §2.1",
    REDIRECTED,
    "write two hexadecimal digits after %, or %25 for a percent sign",
  ),
  "target-too-long": cause(414, "RFC 9112 §3", limited, "shorten the target, or send the data as content with POST"),
  "target-form": cause(400, "RFC 9112 §3.2", may, "start the target with /, or with http:// through a proxy"),
  "target-authority": cause(
    400,
    "RFC 9110 §4.2",
    may("RFC 9110 §4.2.4"),
    "write host or host:port after http://, without user and password",
  ),
  "target-no-host": cause(
    400,
    "RFC 9110 §4.2",
    must("RFC 9110 §4.2.1", { allows: isError }),
    "write host or host:port after http://",
  ),
  "asterisk-target": cause(400, "RFC 9112 §3.2.4", may, "use * with OPTIONS only, and / for the root"),
  "connect-target": cause(400, "RFC 9112 §3.2.3", may, "write host:port as the target of CONNECT"),
  "connect-port": cause(
    400,
    "RFC 9112 §3.2.3",
    must("RFC 9110 §9.3.6", { allows: isError }),
    "write host:port as the target of CONNECT",
  ),
  "no-version": cause(400, "RFC 9112 §3", may, "end the request line with one space and HTTP/1.1"),
  "blank-before-version": cause(400, "RFC 9112 §2.3", BLANK_WITHIN, BLANK_FIX),
  "version-byte": cause(
    400,
    "RFC 9112 §2.3",
    may,
    "write HTTP/1.1 in capitals after exactly one space; a space within the target is %20",
  ),
  "version-major": cause(
    505,
    "RFC 9110 §15.6.6",
    may,
    "write HTTP/1.1; HTTP/2 has another format and is agreed on beforehand",
  ),
  "after-version": cause(400, "RFC 9112 §2.2", may, "end the line right after the version"),
  "blank-after-version": cause(400, "RFC 9112 §2.2", BLANK_AROUND, BLANK_FIX),
  "status-code": cause(
    400,
    "RFC 9112 §4",
    may,
    "write the status line as HTTP/1.1 200 OK: three digits, one space on each side",
  ),
  "status-blank": cause(400, "RFC 9112 §4", STATUS_BLANK, BLANK_FIX),
  "reason-byte": cause(
    400,
    "RFC 9112 §2.2",
    may("RFC 9112 §4"),
    "write visible characters and spaces in the reason phrase, or leave it empty",
  ),
  "start-line-too-long": cause(431, "RFC 6585 §5", limited, "shorten the start line: data belongs into the content"),
  "blank-first-line": cause(
    400,
    "RFC 9112 §2.2",
    may("RFC 9112 §2.2", "read without that line"),
    "start the line with a field name: no blank before it",
  ),
  "folded-line": cause(
    400,
    "RFC 9112 §5.2",
    may("RFC 9112 §5.2", "read with a space for the fold"),
    "write the whole field on one line: lines cannot be continued any more",
  ),
  "field-name": cause(
    400,
    "RFC 9110 §5.1",
    may,
    "write letters, digits and hyphens in a field name, or the empty line that ends the head",
  ),
  "blank-before-colon": cause(
    400,
    "RFC 9112 §5.1",
    must,
    "write the colon right after the field name",
    may("RFC 9112 §5.1", "read without the blank"),
  ),
  "blank-in-name": cause(
    400,
    "RFC 9112 §5.1",
    may,
    "write letters, digits and hyphens in a field name, and the colon right after it",
  ),
  "no-colon": cause(400, "RFC 9112 §5.1", may, "write a colon after the field name, as in Host: example.com"),
  "value-nul": cause(
    400,
    "RFC 9110 §5.5",
    may("RFC 9110 §5.5", "read as a space"),
    "leave control characters out of field values",
  ),
  "value-byte": cause(
    400,
    "RFC 9110 §5.5",
    may("RFC 9110 §5.5", "kept where no other parser reads it"),
    "leave control characters out of field values",
  ),
  "section-end": cause(400, "RFC 9112 §2.2", may, "end the section with an empty line: \\r\\n"),
  "too-many-fields": cause(431, "RFC 6585 §5", limited, "send fewer field lines"),
  "section-too-long": cause(
    431,
    "RFC 6585 §5",
    limited,
    "send fewer or shorter fields; cookies are often the reason",
  ),
  "no-host": cause(400, "RFC 9112 §3.2", must, "add a line Host: with the name and port of the server"),
  "two-hosts": cause(400, "RFC 9112 §3.2", must, "send one Host line only"),
  "host-value": cause(
    400,
    "RFC 9112 §3.2",
    must,
    "write host or host:port as the value of Host: no scheme, no path, no user",
  ),
  "empty-host": cause(
    400,
    "RFC 9112 §3.2",
    may("RFC 9112 §3.3", "read as the server's default host"),
    "write host or host:port as the value of Host",
  ),
  "two-framings": cause(
    400,
    "RFC 9112 §6.1",
    { ...BY_CODING, closes: "RFC 9112 §6.1" },
    "send one of the two, never both",
    { ...BY_CODING, rule: "RFC 9112 §6.3" },
  ),
  "coding-in-http10": cause(
    400,
    "RFC 9112 §6.1",
    { ...BY_CODING, closes: "RFC 9112 §6.1" },
    "send Content-Length, or HTTP/1.1",
  ),
  "length-value": cause(
    400,
    "RFC 9110 §8.6",
    must("RFC 9112 §6.3", CLOSES_BY_LENGTH),
    "write the length as decimal digits alone: no sign, no unit, no 0x",
  ),
  "two-lengths": cause(
    400,
    "RFC 9110 §8.6",
    must("RFC 9112 §6.3", CLOSES_BY_LENGTH),
    "send one Content-Length line with one number",
  ),
  "equal-lengths": cause(
    400,
    "RFC 9110 §8.6",
    may("RFC 9110 §8.6", "read as that one length"),
    "send one Content-Length line with one number",
  ),
  "length-too-large": cause(400, "RFC 9110 §8.6", limited, "announce as many octets as there are"),
  "chunked-not-last": cause(
    400,
    "RFC 9112 §6.3",
    // A server that does not know the coding should say so (RFC 9112 §6.1).
    must("RFC 9112 §6.3", { ...CLOSES_BY_LENGTH, allows: (status) => status === 501 }),
    "write chunked once and as the last coding",
    may("RFC 9112 §6.3", "read until the connection ends"),
  ),
  "chunked-twice": cause(400, "RFC 9112 §6.3", may("RFC 9112 §6.1"), "write chunked once and as the last coding"),
  "chunked-parameter": cause(400, "RFC 9112 §6.3", may("RFC 9112 §7.1"), "write chunked without a parameter"),
  "empty-coding": cause(
    400,
    "RFC 9112 §6.3",
    may("RFC 9110 §5.6.1", "read without the empty member"),
    "write chunked once and as the last coding, with no comma beside it",
  ),
  "unknown-coding": cause(
    501,
    "RFC 9112 §6.1",
    may("RFC 9112 §6.1", "decoded by who knows the coding"),
    "send Transfer-Encoding: chunked alone; compress with Content-Encoding",
  ),
  "chunk-size": cause(
    400,
    "RFC 9112 §7.1",
    may,
    "write the size in hexadecimal digits alone: no 0x, no sign, no blank",
  ),
  "chunk-size-too-large": cause(400, "RFC 9112 §7.1", limited, "write the size that the chunk has"),
  "chunk-line-too-long": cause(400, "RFC 9112 §7.1.1", limited, "leave out the chunk extension, or leading zeros"),
  // A bare LF may end start lines and fields alone (RFC 9112 §2.2).
  "chunk-bare-lf": cause(
    400,
    "RFC 9112 §2.2",
    may("RFC 9112 §7.1"),
    "end every line with \\r\\n; shells and editors write \\n alone",
  ),
  "chunk-end": cause(
    400,
    "RFC 9112 §2.2",
    may("RFC 9112 §7.1"),
    "make the chunk as long as its size says, then \\r\\n",
  ),
  "chunk-extension": cause(400, "RFC 9112 §7.1.1", may, "write extensions as ;name=value, or leave them out"),
  "chunk-extensions-too-long": cause(
    413,
    "RFC 9112 §7.1.1",
    limited,
    "leave out chunk extensions: nearly nobody reads them",
  ),
  "forbidden-trailer": cause(
    400,
    "RFC 9110 §6.5.1",
    may("RFC 9110 §6.5.1", "read without that field"),
    "send this field in the header section",
  ),
  "content-too-long": cause(
    413,
    "RFC 9110 §15.5.14",
    limited,
    "send less content, or have the server take more (serve --max-body)",
  ),
  "cut-off": cause(
    400,
    "RFC 9112 §8",
    may,
    "send the whole message before you end the connection",
    { must: true, words: "must be taken as incomplete", rule: "RFC 9112 §8" },
  ),
} satisfies Record<string, Cause>;

/** The cause of a wire error. One rule may be broken in several ways; each has a degree and a fix of its own. */
export type FaultCode = keyof typeof CAUSES;

function isError(status: number): boolean {
  return status >= 400;
}

/** What is accepted in a response, though it breaks a rule. */
export interface Accepted {
  /** What it breaks, as a sentence. */
  readonly text: string;
  /** The section of the specification. */
  readonly rule: string;
}

/** Returns what is accepted in a head, or in a trailer section; nothing in those of a request. */
export function acceptedIn(event: RequestHead | ResponseHead | MessageEnd): Accepted[] {
  const accepted: Accepted[] = [];
  if (event.kind === "response" && event.text[STATUS_END] === "\r") {
    accepted.push({ text: "accepted, though a space is missing after the status code", rule: "RFC 9112 §4" });
  }
  if ((event.kind === "end" ? event.trailers : event.fields).folded) {
    accepted.push({
      text: "accepted, though a field is folded over several lines",
      rule: "RFC 9112 §5.2",
    });
  }
  return accepted;
}

/** The offset after the status code in a status line. */
const STATUS_END = "HTTP/1.1 200".length;
