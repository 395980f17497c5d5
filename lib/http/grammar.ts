/**
 * HTTP's character classes: one predicate for each ABNF rule, with its source.
 *
 * Where a specification lets a recipient be lenient, these predicates are strict.
 */

/** `field-line = field-name ":" OWS field-value OWS` (RFC 9112 §5), name and value as octet strings. */
export type FieldLine = readonly [name: string, value: string];

export const CR = 0x0d;
/** Line feed, the last octet of a line end. */
export const LF = 0x0a;
export const SP = 0x20;
export const HTAB = 0x09;
export const COLON = 0x3a;
export const PERCENT = 0x25;
export const SEMICOLON = 0x3b;
export const EQUALS = 0x3d;
export const DQUOTE = 0x22;
export const BACKSLASH = 0x5c;

/** Whether an octet is in a class. */
type OctetClass = (octet: number) => boolean;

/** Returns the class of the octets that match, as characters: a test is a load from a table. */
function octetClass(members: RegExp): OctetClass {
  const table = Uint8Array.from({ length: 256 }, (_, octet) => members.test(String.fromCharCode(octet)) ? 1 : 0);
  // Characters of text are looked up, too, and some are no octets.
  return (octet) => octet < table.length && table[octet] === 1;
}

/**
 * `tchar = "!" / "#" / "$" / "%" / "&" / "'" / "*" / "+" / "-" / "." / "^" / "_" / "`" / "|" / "~" / DIGIT / ALPHA`
 * (RFC 9110 §5.6.2): methods, field names, chunk extension names.
 */
export const isTokenOctet: OctetClass = octetClass(/[\w!#$%&'*+\-.^`|~]/);

/**
 * `field-content`: `VCHAR`, `obs-text`, `SP` or `HTAB` (RFC 9110 §5.5).
 * Every other control character is refused, not only the CR, LF and NUL that §5.5 calls dangerous.
 */
export const isFieldContentOctet: OctetClass = octetClass(/[\t\x20-\x7e\x80-\xff]/);

/** `qdtext`: what may stand between double quotes without a backslash (RFC 9110 §5.6.4). */
export const isQuotedTextOctet: OctetClass = octetClass(/[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]/);

/** `unreserved / sub-delims` (RFC 3986 §2.3, §2.2): what may stand unencoded in a host's name (§3.2.2). */
const isNameOctet = octetClass(/[\w\-.~!$&'()*+,;=]/);

/** Octets that may stand unencoded in a target (RFC 3986), but for `%`, which is valid only before two `HEXDIG`. */
export const isTargetOctet: OctetClass = octetClass(/[\w\-.~!$&'()*+,;=:/?[\]@]/);

/** `DIGIT = %x30-39` (RFC 5234 appendix B.1). */
export const isDigit: OctetClass = octetClass(/\d/);

/** `HEXDIG`, in either case (RFC 5234 appendix B.1). */
export const isHexDigit: OctetClass = octetClass(/[\dA-Fa-f]/);

/** Returns the value of a `HEXDIG`, 0 to 15. The octet must be one. */
export function hexValue(octet: number): number {
  return octet <= 0x39 ? octet - 0x30 : (octet | 0x20) - 0x57;
}

/** Whether the text is a `token`: one or more `tchar` (RFC 9110 §5.6.2). */
export function isToken(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (!isTokenOctet(text.charCodeAt(i))) return false;
  return text !== "";
}

/** `field-value` (RFC 9110 §5.5), one character per octet: only field content, without a blank at either end. */
export function isFieldValue(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (!isFieldContentOctet(text.charCodeAt(i))) return false;
  return !isBlank(text.charCodeAt(0)) && !isBlank(text.charCodeAt(text.length - 1));
}

/** `SP / HTAB`: the octets of `OWS` and `BWS` (RFC 9110 §5.6.3). */
export function isBlank(octet: number): boolean {
  return octet === SP || octet === HTAB;
}

/**
 * Removes blanks at both ends. `String.prototype.trim` also removes 0x85 and 0xa0, which are obs-text: `chunked` could
 * then be read where another recipient reads another value.
 */
export function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

/**
 * `uri-host [ ":" port ]`, the value of Host and the authority of an http URI (RFC 9110 §7.2, RFC 3986 §3.2.2).
 * An empty host is refused, since an http URI must not have one (RFC 9110 §4.2.1), and so is userinfo (§4.2.4).
 * Between brackets only an IPv6 address is known.
 */
export function isAuthority(text: string): boolean {
  // Nearly all are a name or an IPv4 address, maybe with a port, which needs no regular expression.
  let at = 0;
  while (at < text.length && isNameOctet(text.charCodeAt(at))) at++;
  if (at > 0 && text[at] === ":") {
    for (at++; isDigit(text.charCodeAt(at));) at++;
  }
  if (at > 0 && at === text.length) return true;
  if (/^(?:[\w\-.~!$&'()*+,;=]|%[\dA-Fa-f]{2})+(?::\d*)?$/.test(text)) return true;
  const literal = /^(\[[\dA-Fa-f:.]+\])(?::\d*)?$/.exec(text)?.[1];
  return literal !== undefined && URL.canParse(`http://${literal}`);
}

/** A member of a list with what is around it: commas in quoted strings divide none, even without the last quote. */
const LIST_MEMBER = /(?:[^",]|"(?:[^"\\]|\\(?:.|$))*(?:"|$))+/gs;

/** The members of a `#element` list without empty ones (RFC 9110 §5.6.1). */
export function listMembers(value: string): string[] {
  // Most lists have one member, which needs no regular expression.
  const members = value.includes(",") ? value.match(LIST_MEMBER) ?? [] : [value];
  return members.map(trimBlanks).filter((member) => member !== "");
}

/** Whether the field frames the message (RFC 9112 §6). Only the encoder sets such fields. */
export function isFramingField(name: string): boolean {
  return (name.length === 14 || name.length === 17) && /^(?:content-length|transfer-encoding)$/i.test(name);
}

/** Methods that expect content in the request (RFC 9110 §9.3, RFC 5789 §2). */
export const METHODS_WITH_CONTENT: readonly string[] = ["POST", "PUT", "PATCH"];
