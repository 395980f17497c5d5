/**
 * Why a message is broken: each cause of a wire error with the status to answer, the rule that is broken, what the
 * specification says of refusing it, and how to put it right.
 *
 * The decoder refuses all of them. What it says differs: some a recipient *must* refuse, and some it *may* refuse, or
 * do instead what the specification allows.
 */

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

interface Cause {
  /** The status with which a server refuses a request. */
  readonly status: number;
  /** The section of the specification that the message breaks. */
  readonly rule: string;
  /** What the specification says of a request, and of a response. */
  readonly request: Degree;
  readonly response: Degree;
  readonly fix: string;
}

/** What differs from a cause that breaks, and is judged by, one section: a 400. */
interface Particulars extends Partial<Omit<Degree, "must" | "rule">> {
  /** The section that says what is to be done, if it is another one. */
  readonly by?: string;
  readonly status?: number;
}

/** A cause that must be refused. */
function must(section: string, fix: string, particulars?: Particulars): Cause {
  return cause(true, section, fix, { words: "must be refused", ...particulars });
}

/** A cause that may be refused. */
function may(section: string, fix: string, particulars?: Particulars): Cause {
  return cause(false, section, fix, { words: "may be refused", ...particulars });
}

/** A cause that is refused only by a recipient's own limit. */
function limited(status: number, section: string, fix: string): Cause {
  return may(section, fix, { status, or: "taken where the limit is higher" });
}

function cause(must: boolean, section: string, fix: string, particulars: Particulars & { words: string }): Cause {
  const { by = section, status = 400, ...rest } = particulars;
  const degree = { must, rule: `RFC ${by}`, ...rest };
  return { status, rule: `RFC ${section}`, request: degree, response: degree, fix };
}

/** A cause by which the framing is in doubt: the connection has to end, whether the message is refused or not. */
function closing(fix: string): Cause {
  const cause = may("9112 §6.1", fix, { or: "read by Transfer-Encoding alone" });
  return { ...cause, request: { ...cause.request, closes: cause.rule } };
}

/** A cause whose degree in responses is that of another one. */
function inResponses(cause: Cause, { response }: Cause): Cause {
  return { ...cause, response };
}

function isError(status: number): boolean {
  return status >= 400;
}

const CRLF_FIX = "end every line with \\r\\n; shells and editors write \\n alone";
const BLANK_FIX = "write exactly one space between the parts of the start line, and none around them";
const LENGTH_FIX = "send one Content-Length line with one number";
const CODING_FIX = "write chunked once and as the last coding";
const VALUE_FIX = "leave control characters out of field values";
const BY_LENGTH = { by: "9112 §6.3", closes: "RFC 9112 §6.3" };
const REDIRECTED = "redirected to the target percent-encoded";

/** Causes that concern a whole header or trailer section, all of whose lines have been read. */
export const SECTION_CAUSES = {
  "target-form": may("9112 §3.2", "start the target with /, or with http:// through a proxy"),
  "target-authority": may("9110 §4.2", "write host or host:port after http://, without user and password", {
    by: "9110 §4.2.4",
  }),
  "target-no-host": must("9110 §4.2", "write host or host:port after http://", { by: "9110 §4.2.1", allows: isError }),
  "asterisk-target": may("9112 §3.2.4", "use * with OPTIONS only, and / for the root"),
  "connect-target": may("9112 §3.2.3", "write host:port as the target of CONNECT"),
  "connect-port": must("9112 §3.2.3", "write host:port as the target of CONNECT", {
    by: "9110 §9.3.6",
    allows: isError,
  }),
  "no-host": must("9112 §3.2", "add a line Host: with the name and port of the server"),
  "two-hosts": must("9112 §3.2", "send one Host line only"),
  "host-value": must("9112 §3.2", "write host or host:port as the value of Host: no scheme, no path, no user"),
  "empty-host": may("9112 §3.2", "write host or host:port as the value of Host", {
    or: "read as the server's default host",
    by: "9112 §3.3",
  }),
  "two-framings": inResponses(
    closing("send one of the two, never both"),
    may("9112 §6.3", "", { or: "read by Transfer-Encoding alone" }),
  ),
  "coding-in-http10": closing("send Content-Length, or HTTP/1.1"),
  "length-value": must("9110 §8.6", "write the length as decimal digits alone: no sign, no unit, no 0x", BY_LENGTH),
  "two-lengths": must("9110 §8.6", LENGTH_FIX, BY_LENGTH),
  "equal-lengths": may("9110 §8.6", LENGTH_FIX, { or: "read as that one length" }),
  "length-too-large": limited(400, "9110 §8.6", "announce as many octets as there are"),
  // A server that does not know the coding should answer 501 (RFC 9112 §6.1).
  "chunked-not-last": inResponses(
    must("9112 §6.3", CODING_FIX, { ...BY_LENGTH, allows: (status) => status === 501 }),
    may("9112 §6.3", "", { or: "read until the connection ends" }),
  ),
  "chunked-twice": may("9112 §6.3", CODING_FIX, { by: "9112 §6.1" }),
  "chunked-parameter": may("9112 §6.3", "write chunked without a parameter", { by: "9112 §7.1" }),
  "empty-coding": may("9112 §6.3", CODING_FIX, { or: "read without the empty member", by: "9110 §5.6.1" }),
  "unknown-coding": may("9112 §6.1", "send Transfer-Encoding: chunked alone; compress with Content-Encoding", {
    status: 501,
    or: "decoded by who knows the coding",
  }),
  "forbidden-trailer": may("9110 §6.5.1", "send this field in the header section", { or: "read without that field" }),
} satisfies Record<string, Cause>;

/** Each cause; in order: in whole sections, in start lines, in field lines, in chunks, at the end of input. */
export const CAUSES = {
  ...SECTION_CAUSES,
  "bare-lf": may("9112 §2.2", CRLF_FIX, { or: "read as a line end" }),
  "bare-cr": may("9112 §2.2", "write \\n after every \\r, or leave the \\r out", { or: "read as a space" }),
  "no-line-end": may("9112 §2.2", "end the line with \\r\\n at this octet"),
  "tls": may("9112 §3", "speak https to the server's TLS port, or plain HTTP to this one"),
  "no-method": may("9112 §3", "start with the method, as in GET / HTTP/1.1; at most one empty line may precede it"),
  "blank-before-method": may("9112 §3", BLANK_FIX, { or: "read without the blank" }),
  "method-byte": may("9112 §3", "write letters only in the method, then exactly one space"),
  "blank-after-method": may("9112 §3", BLANK_FIX, { or: "read as one space" }),
  "method-too-long": limited(501, "9112 §3", "use a method that exists: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
  "empty-target": may("9112 §3.2", "write a target after the method, as in GET / HTTP/1.1"),
  "blank-before-target": may("9112 §3.2", BLANK_FIX, { or: "read as one space", by: "9112 §3" }),
  "target-byte": may("3986 §2", "percent-encode the octet: % and two hexadecimal digits, as %20 for a space", {
    or: REDIRECTED,
    by: "9112 §3.2",
  }),
  "target-percent": may("3986 §2.1", "write two hexadecimal digits after %, or %25 for a percent sign", {
    or: REDIRECTED,
    by: "9112 §3.2",
  }),
  "target-too-long": limited(414, "9112 §3", "shorten the target, or send the data as content with POST"),
  "no-version": may("9112 §3", "end the request line with one space and HTTP/1.1: without a version it is HTTP/0.9"),
  "blank-before-version": may("9112 §2.3", BLANK_FIX, { or: "read as one space", by: "9112 §3" }),
  "version-byte": may(
    "9112 §2.3",
    "write HTTP/1.1 in capitals after exactly one space; a space within the target is %20",
  ),
  "version-major": may("9110 §15.6.6", "write HTTP/1.1; HTTP/2 has another format and is agreed on beforehand", {
    status: 505,
  }),
  "after-version": may("9112 §2.2", "end the line right after the version"),
  "blank-after-version": may("9112 §2.2", BLANK_FIX, { or: "read without the blank", by: "9112 §3" }),
  "status-code": may("9112 §4", "write the status line as HTTP/1.1 200 OK: three digits, one space on each side"),
  "status-blank": may("9112 §4", BLANK_FIX, { or: "read as one space" }),
  "reason-byte": may("9112 §2.2", "write visible characters and spaces in the reason phrase, or leave it empty", {
    by: "9112 §4",
  }),
  "start-line-too-long": limited(431, "6585 §5", "shorten the start line: data belongs into the content"),
  "blank-first-line": may("9112 §2.2", "start the line with a field name: no blank before it", {
    or: "read without that line",
  }),
  "folded-line": may("9112 §5.2", "write the whole field on one line: lines cannot be continued any more", {
    or: "read with a space for the fold",
  }),
  "field-name": may(
    "9110 §5.1",
    "write letters, digits and hyphens in a field name, or the empty line that ends the head",
  ),
  "blank-before-colon": inResponses(
    must("9112 §5.1", "write the colon right after the field name"),
    may("9112 §5.1", "", { or: "read without the blank" }),
  ),
  "blank-in-name": may("9112 §5.1", "write letters, digits and hyphens in a field name, and the colon right after it"),
  "no-colon": may("9112 §5.1", "write a colon after the field name, as in Host: example.com"),
  "value-nul": may("9110 §5.5", VALUE_FIX, { or: "read as a space" }),
  "value-byte": may("9110 §5.5", VALUE_FIX, { or: "kept where no other parser reads it" }),
  "section-end": may("9112 §2.2", "end the section with an empty line: \\r\\n"),
  "too-many-fields": limited(431, "6585 §5", "send fewer field lines"),
  "section-too-long": limited(431, "6585 §5", "send fewer or shorter fields; cookies are often the reason"),
  "chunk-size": may("9112 §7.1", "write the size in hexadecimal digits alone: no 0x, no sign, no blank"),
  "chunk-size-too-large": limited(400, "9112 §7.1", "write the size that the chunk has"),
  "chunk-line-too-long": limited(400, "9112 §7.1.1", "leave out the chunk extension, or leading zeros"),
  // A bare LF may end start lines and fields alone (RFC 9112 §2.2).
  "chunk-bare-lf": may("9112 §2.2", CRLF_FIX, { by: "9112 §7.1" }),
  "chunk-end": may("9112 §2.2", "make the chunk as long as its size says, then \\r\\n", { by: "9112 §7.1" }),
  "chunk-extension": may("9112 §7.1.1", "write extensions as ;name=value, or leave them out"),
  "chunk-extensions-too-long": limited(413, "9112 §7.1.1", "leave out chunk extensions: nearly nobody reads them"),
  "content-too-long": limited(
    413,
    "9110 §15.5.14",
    "send less content, or have the server take more (serve --max-body)",
  ),
  "cut-off": inResponses(
    may("9112 §8", "send the whole message before you end the connection"),
    must("9112 §8", "", { words: "must be taken as incomplete" }),
  ),
} satisfies Record<string, Cause>;

/** The cause of a wire error. One rule may be broken in several ways; each has a degree and a fix of its own. */
export type FaultCode = keyof typeof CAUSES;
