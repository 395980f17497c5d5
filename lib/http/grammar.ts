/**
 * HTTP's character classes: one predicate for each ABNF rule, with its source.
 *
 * A table of 256 entries holds one bit per class, so a test is a load and a mask. Where a specification lets a
 * recipient be lenient, these predicates are strict.
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
const COMMA = 0x2c;

const TOKEN = 1;
const FIELD_CONTENT = 2;
const TARGET = 4;
const HEX = 8;
const DIGIT = 16;
const QUOTED = 32;
const REG_NAME = 64;

/** The octets of each class. `\w` and `-.~` are `unreserved` (RFC 3986 §2.3), `!$&'()*+,;=` `sub-delims` (§2.2). */
const MEMBERS: readonly (readonly [bit: number, members: RegExp])[] = [
  [TOKEN, /[\w!#$%&'*+\-.^`|~]/],
  [FIELD_CONTENT, /[\t\x20-\x7e\x80-\xff]/],
  [QUOTED, /[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]/],
  [REG_NAME, /[\w\-.~!$&'()*+,;=]/],
  [TARGET, /[\w\-.~!$&'()*+,;=:/?[\]@]/],
  [HEX, /[\dA-Fa-f]/],
  [DIGIT, /\d/],
];

const CLASSES = Uint8Array.from({ length: 256 }, (_, octet) => {
  const character = String.fromCharCode(octet);
  return MEMBERS.reduce((bits, [bit, members]) => members.test(character) ? bits | bit : bits, 0);
});

/**
 * `tchar = "!" / "#" / "$" / "%" / "&" / "'" / "*" / "+" / "-" / "." / "^" / "_" / "`" / "|" / "~" / DIGIT / ALPHA`
 * (RFC 9110 §5.6.2): methods, field names, chunk extension names.
 */
export function isTokenOctet(octet: number): boolean {
  return (CLASSES[octet] & TOKEN) !== 0;
}

/**
 * `field-content`: `VCHAR`, `obs-text`, `SP` or `HTAB` (RFC 9110 §5.5).
 * Every other control character is refused, not only the CR, LF and NUL that §5.5 calls dangerous.
 */
export function isFieldContentOctet(octet: number): boolean {
  return (CLASSES[octet] & FIELD_CONTENT) !== 0;
}

/** Octets that may stand unencoded in a target (RFC 3986), but for `%`, which is valid only before two `HEXDIG`. */
export function isTargetOctet(octet: number): boolean {
  return (CLASSES[octet] & TARGET) !== 0;
}

/** `DIGIT = %x30-39` (RFC 5234 appendix B.1). */
export function isDigit(octet: number): boolean {
  return (CLASSES[octet] & DIGIT) !== 0;
}

/** `HEXDIG`, in either case (RFC 5234 appendix B.1). */
export function isHexDigit(octet: number): boolean {
  return (CLASSES[octet] & HEX) !== 0;
}

/** Returns the value of a `HEXDIG`, 0 to 15. The octet must be one. */
export function hexValue(octet: number): number {
  return octet <= 0x39 ? octet - 0x30 : (octet | 0x20) - 0x57;
}

/** `qdtext`: what may stand between double quotes without a backslash (RFC 9110 §5.6.4). */
export function isQuotedTextOctet(octet: number): boolean {
  return (CLASSES[octet] & QUOTED) !== 0;
}

/** Whether the text is a `token`: one or more `tchar` (RFC 9110 §5.6.2). */
export function isToken(text: string): boolean {
  if (text.length === 0) return false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0xff || !isTokenOctet(code)) return false;
  }
  return true;
}

/** `field-value` (RFC 9110 §5.5), one character per octet: only field content, without a blank at either end. */
export function isFieldValue(text: string): boolean {
  const length = text.length;
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0xff || (CLASSES[code] & FIELD_CONTENT) === 0) return false;
  }
  return length === 0 || !(isBlank(text.charCodeAt(0)) || isBlank(text.charCodeAt(length - 1)));
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
  let at = 0;
  while (at < text.length && (CLASSES[text.charCodeAt(at)] & REG_NAME) !== 0) at++;
  if (at === text.length) return at > 0;
  if (at === 0 || text.charCodeAt(at) !== COLON) return isRareAuthority(text);
  for (at++; at < text.length; at++) if (!isDigit(text.charCodeAt(at))) return false;
  return true;
}

/** Likewise, of one that is percent-encoded or in brackets. */
function isRareAuthority(text: string): boolean {
  if (/^(?:[\w\-.~!$&'()*+,;=]|%[\dA-Fa-f]{2})+(?::\d*)?$/.test(text)) return true;
  const literal = /^(\[[\dA-Fa-f:.]+\])(?::\d*)?$/.exec(text)?.[1];
  return literal !== undefined && URL.canParse(`http://${literal}`);
}

/** The members of a `#element` list without empty ones (RFC 9110 §5.6.1); commas in quoted strings divide none. */
export function listMembers(value: string): string[] {
  const members: string[] = [];
  let start = 0;
  let quoted = false;
  for (let i = 0; i <= value.length; i++) {
    const code = i < value.length ? value.charCodeAt(i) : COMMA;
    if (quoted && i < value.length) {
      if (code === BACKSLASH) i++;
      else if (code === DQUOTE) quoted = false;
    } else if (code === DQUOTE) quoted = true;
    else if (code === COMMA) {
      const member = trimBlanks(value.slice(start, i));
      if (member !== "") members.push(member);
      start = i + 1;
    }
  }
  return members;
}

/** Whether the field frames the message (RFC 9112 §6). Only the encoder sets such fields. */
export function isFramingField(name: string): boolean {
  return (name.length === 14 || name.length === 17) && /^(?:content-length|transfer-encoding)$/i.test(name);
}

/** Methods that expect content in the request (RFC 9110 §9.3, RFC 5789 §2). */
export const METHODS_WITH_CONTENT: readonly string[] = ["POST", "PUT", "PATCH"];
