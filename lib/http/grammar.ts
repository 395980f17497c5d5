/**
 * HTTP's alphabet: which byte may stand where, each predicate under its ABNF rule and its source.
 *
 * One table of 256 entries holds a bit for every class, so that a test is a load and a mask.
 * There are no exceptions here: even if a specification lets a recipient be lenient, this file is not.
 *
 * @module
 */

/** `field-line = field-name ":" OWS field-value OWS` (RFC 9112 §5): its name and its value, both octet strings. */
export type FieldLine = readonly [name: string, value: string];

/** Carriage return, the first byte of a line end. */
export const CR = 0x0d;
/** Line feed, the last byte of a line end. */
export const LF = 0x0a;
/** Space. */
export const SP = 0x20;
/** Horizontal tab. */
export const HTAB = 0x09;
/** `:` between a field's name and its value. */
export const COLON = 0x3a;
/** `%`, which starts a percent-encoded octet. */
export const PERCENT = 0x25;
/** `;` before a parameter or a chunk extension. */
export const SEMICOLON = 0x3b;
/** `=` between a chunk extension's name and its value. */
export const EQUALS = 0x3d;
/** `"` around a quoted string. */
export const DQUOTE = 0x22;
/** `\`, which starts a quoted pair. */
export const BACKSLASH = 0x5c;
/** `,`, which parts the members of a list. */
const COMMA = 0x2c;

const TOKEN = 1;
const FIELD_CONTENT = 2;
const TARGET = 4;
const HEX = 8;
const DIGIT = 16;
const QUOTED = 32;
const REG_NAME = 64;

const CLASSES = new Uint8Array(256);

function mark(bit: number, characters: string): void {
  for (let i = 0; i < characters.length; i++) CLASSES[characters.charCodeAt(i)] |= bit;
}

function markRange(bit: number, first: number, last: number): void {
  for (let byte = first; byte <= last; byte++) CLASSES[byte] |= bit;
}

const DIGITS = "0123456789";
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/** `unreserved = ALPHA / DIGIT / "-" / "." / "_" / "~"` (RFC 3986 §2.3). */
const UNRESERVED = LETTERS + DIGITS + "-._~";
/** `sub-delims = "!" / "$" / "&" / "'" / "(" / ")" / "*" / "+" / "," / ";" / "="` (RFC 3986 §2.2). */
const SUB_DELIMS = "!$&'()*+,;=";

mark(TOKEN, LETTERS + DIGITS + "!#$%&'*+-.^_`|~");
mark(TARGET, UNRESERVED + SUB_DELIMS + ":/?[]@");
mark(DIGIT, DIGITS);
mark(HEX, DIGITS + "abcdefABCDEF");
mark(REG_NAME, UNRESERVED + SUB_DELIMS);
mark(FIELD_CONTENT | QUOTED, " \t");
markRange(FIELD_CONTENT | QUOTED, 0x21, 0x7e);
markRange(FIELD_CONTENT | QUOTED, 0x80, 0xff);
CLASSES[DQUOTE] &= ~QUOTED;
CLASSES[BACKSLASH] &= ~QUOTED;

/**
 * `tchar = "!" / "#" / "$" / "%" / "&" / "'" / "*" / "+" / "-" / "." / "^" / "_" / "`" / "|" / "~" / DIGIT / ALPHA`
 * (RFC 9110 §5.6.2): methods, field names, chunk extension names.
 */
export function isTokenByte(byte: number): boolean {
  return (CLASSES[byte] & TOKEN) !== 0;
}

/**
 * `field-content`: `VCHAR`, `obs-text`, `SP` or `HTAB` (RFC 9110 §5.5).
 * Every other control character is refused, not only the CR, LF and NUL that §5.5 calls dangerous.
 */
export function isFieldContentByte(byte: number): boolean {
  return (CLASSES[byte] & FIELD_CONTENT) !== 0;
}

/**
 * A byte that RFC 3986 lets stand unencoded somewhere in a request target; `%` is not among them,
 * because it is only legal before two `HEXDIG`.
 */
export function isTargetByte(byte: number): boolean {
  return (CLASSES[byte] & TARGET) !== 0;
}

/** `DIGIT = %x30-39` (RFC 5234 appendix B.1). */
export function isDigit(byte: number): boolean {
  return (CLASSES[byte] & DIGIT) !== 0;
}

/** `HEXDIG`, in either case (RFC 5234 appendix B.1). */
export function isHexDigit(byte: number): boolean {
  return (CLASSES[byte] & HEX) !== 0;
}

/** The value of a `HEXDIG`: 0 to 15. The byte must be one. */
export function hexValue(byte: number): number {
  return byte <= 0x39 ? byte - 0x30 : (byte | 0x20) - 0x57;
}

/** `qdtext`: what may stand between double quotes without a backslash (RFC 9110 §5.6.4). */
export function isQuotedTextByte(byte: number): boolean {
  return (CLASSES[byte] & QUOTED) !== 0;
}

/** Whether the text is a `token`: one or more `tchar` (RFC 9110 §5.6.2). */
export function isToken(text: string): boolean {
  if (text.length === 0) return false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0xff || !isTokenByte(code)) return false;
  }
  return true;
}

/**
 * Whether the text is a `field-value`, one character an octet: nothing but field content,
 * and no blank at either end (RFC 9110 §5.5).
 */
export function isFieldValue(text: string): boolean {
  const length = text.length;
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0xff || (CLASSES[code] & FIELD_CONTENT) === 0) return false;
  }
  return length === 0 || !(isBlank(text.charCodeAt(0)) || isBlank(text.charCodeAt(length - 1)));
}

/** `SP / HTAB`: the octets of `OWS` and `BWS` (RFC 9110 §5.6.3). */
export function isBlank(byte: number): boolean {
  return byte === SP || byte === HTAB;
}

/**
 * The text without the blanks at its ends. `String.prototype.trim` takes too much: among obs-text it would
 * remove 0x85 and 0xa0 too, and read `chunked` where another recipient reads something else.
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
  if (text.startsWith("[")) {
    const close = text.indexOf("]");
    const literal = text.slice(0, close + 1);
    if (!/^\[[\dA-Fa-f:.]+\]$/.test(literal) || !URL.canParse(`http://${literal}`)) return false;
    at = close + 1;
  } else {
    at = regNameEnd(text);
    if (at === 0) return false;
  }
  if (at === text.length) return true;
  if (text.charCodeAt(at) !== COLON) return false;
  for (at++; at < text.length; at++) if (!isDigit(text.charCodeAt(at))) return false;
  return true;
}

/** Where the `reg-name` (or IPv4 address) at the text's start ends (RFC 3986 §3.2.2). */
function regNameEnd(text: string): number {
  let at = 0;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === PERCENT) {
      if (!isHexDigit(text.charCodeAt(at + 1)) || !isHexDigit(text.charCodeAt(at + 2))) break;
      at += 2;
    } else if (code > 0xff || (CLASSES[code] & REG_NAME) === 0) break;
  }
  return at;
}

/**
 * The members of a `#element` list: parted by commas outside of quoted strings, trimmed, empty ones left out
 * (RFC 9110 §5.6.1).
 */
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

/** Whether the field of this name frames the message (RFC 9112 §6): such a field is set by the encoder alone. */
export function isFramingField(name: string): boolean {
  return (name.length === 14 || name.length === 17) && /^(?:content-length|transfer-encoding)$/i.test(name);
}

/** Percent-encoded text, decoded (RFC 3986 §2.1); `undefined` if that is not UTF-8. */
export function percentDecoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** Methods that are all about their request's content (RFC 9110 §9.3, RFC 5789 §2). */
export const METHODS_WITH_CONTENT: readonly string[] = ["POST", "PUT", "PATCH"];
