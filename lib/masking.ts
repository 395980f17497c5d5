/**
 * Finds credentials in messages, and masks them: by their length in text, by asterisks where offsets must stay.
 *
 * What only looks like a field with a credential counts too, because a broken message is shown as well. Pass all octets
 * from a line's start on, and cut them afterwards: the start of a value does not show what it is.
 *
 * @module
 */

import { counted } from "./bytes.ts";

const TOKEN = String.raw`[\w!#$%&'*+.^\x60|~-]`;
/** Parts of names of fields with credentials: the standard ones (RFC 9110 §11, RFC 6265), and common others. */
const SECRET =
  String.raw`auth(?!or(?!i[sz]))|cookie|token(?!s)|secret|passw|passphrase|pwd|session|signature|csrf|xsrf|jwt` +
  String.raw`|(?<![^\W_])(?<!(?:public|surrogate|idempotency)[-_])key(?![^\W_])|apikey`;
/** Challenges hold no credentials (RFC 9110 §11.6.1), nor does the key of a WebSocket (RFC 6455 §1.3). */
const NAME = String
  .raw`(?!${TOKEN}*-authenticate(?!${TOKEN}))(?!sec-websocket-key(?!${TOKEN}))(?=${TOKEN}*?(?:${SECRET}))${TOKEN}+`;
const HINT = new RegExp(`${SECRET}|@`, "i");
const FIELD_NAME = new RegExp(`^${NAME}$`, "i");
/** Blanks and control characters, but for line ends: what a lenient receiver may skip. */
const SKIPPED = String.raw`[\0-\t\v\f\x0e-\x20]`;
/**
 * A line with a credential, also after a lone CR, and with a blank for its colon, unless it is a request line whose
 * method has such a name. The value extends to the LF, and over lines that start with a blank (RFC 9112 §5.2).
 */
const FIELD = new RegExp(
  String
    .raw`^[^!-~\r\n]*(?!(?-i:[A-Z]+) [/*])${NAME}(?:${SKIPPED}*:[ \t]*|${SKIPPED}+|(?=[\r\n]|$))([^\n]*(?:\n[ \t][^\n]*)*)`,
  "gim",
);
/** A password before a host: in a URL, a target or a Host field, none of which may have one (RFC 9110 §4.2.4). */
const USER = String.raw`[^\s/?#@:"]*:([^\s/?#"]+)@`;
const PASSWORD = new RegExp(String.raw`(?://|^host:[ \t]*|^\S+[ \t]+)${USER}`, "gim");
/** One whose end is still to come. What is only digits may be a port. */
const PASSWORD_START = /(?:\/\/|^[A-Z]+ )[^\s/?#@:"]*:(?!\d+$)([^\s/?#"]+)(?![^])/m;
const TARGET_PASSWORD = new RegExp(`(?<=^|//)${USER}`, "g");
const PARAMETER = /(?<=[?&])([^=&#]+)=([^&#]+)/g;
/** The scheme of a credential (RFC 9110 §11.1), which is no secret. */
const SCHEME =
  /^(?:aws4-[\w-]+|basic|bearer|digest|dpop|hoba|mutual|negotiate|ntlm|oauth|scram-[\w-]+|token|vapid)[ \t]+(?=\S)/i;

/** Octets of a credential, or of one line of it. */
export interface Credential {
  /** Offset of the first octet. */
  readonly start: number;
  /** Offset after the last octet. */
  readonly end: number;
}

/** Whether a field may have credentials, by its name. */
export function isCredentialField(name: string): boolean {
  return FIELD_NAME.test(name);
}

/** Finds the credentials in octets other than content, one character each: heads, trailers, what was not read. */
export function credentialsIn(octets: string): Credential[] {
  const found: Credential[] = [];
  const cut = octets.endsWith("\n") ? null : PASSWORD_START.exec(octets);
  // Most messages have none, which is found in a third of the time.
  if (cut === null && !HINT.test(octets)) return found;
  for (const { 0: { length }, 1: value, index } of octets.matchAll(FIELD)) {
    let end = index + length - value.length - 1;
    for (const line of value.split("\n")) {
      const start = end + 1 + /^[ \t]*/.exec(line)![0].length;
      end += 1 + line.length;
      const last = line.endsWith("\r") ? end - 1 : end;
      if (start < last) found.push({ start, end: last });
    }
  }
  for (const { 0: { length }, 1: { length: password }, index } of octets.matchAll(PASSWORD)) {
    const end = index + length - 1;
    found.push({ start: end - password, end });
  }
  if (cut !== null) found.push({ start: octets.length - cut[1].length, end: octets.length });
  let end = 0;
  // A password may be part of a value.
  return found.sort((a, b) => a.start - b.start).filter((one) => one.start >= end && (end = one.end));
}

/** Returns those parts of credentials that are in a range, with offsets from its start. */
export function credentialsWithin(found: readonly Credential[], from: number, to: number): Credential[] {
  return found.filter(({ start, end }) => start < to && end > from)
    .map(({ start, end }) => ({ start: Math.max(0, start - from), end: Math.min(end, to) - from }));
}

/** Replaces credentials by their length: `Authorization: Bearer (31 octets)`. */
export function maskCredentials(octets: string, found: readonly Credential[] = credentialsIn(octets)): string {
  let text = "";
  let at = 0;
  for (const { start, end } of found) {
    text += octets.substring(at, start) + lengthOf(octets.substring(start, end));
    at = end;
  }
  return text + octets.substring(at);
}

/** Replaces the password in a target, or in a host, by its length. */
export function maskTarget(target: string): string {
  return target.replace(
    TARGET_PASSWORD,
    (match, password: string) => `${match.slice(0, -password.length - 1)}${lengthOf(password)}@`,
  );
}

/** Replaces credentials in the query of a target by their length, where that is to be handed on. */
export function maskQuery(target: string): string {
  return target.replace(PARAMETER, (match, name: string, value: string) => {
    const [decoded = ""] = new URLSearchParams(name).keys();
    return isCredentialField(decoded) ? `${name}=${lengthOf(value)}` : match;
  });
}

/** Returns where an octet is once credentials are replaced by their length: one of a credential where that starts. */
export function placeInMasked(octets: string, found: readonly Credential[], at: number): number {
  const of = found.find(({ start, end }) => start < at && at < end);
  const from = of?.start ?? at;
  const before = octets.substring(0, from);
  const longer = maskCredentials(before, found.filter(({ end }) => end <= from)).length - before.length;
  return from + longer + Math.min(at - from, schemeOf(octets.substring(from, of?.end)).length);
}

/** Copies octets, with asterisks instead of credentials. */
export function starCredentials(octets: Uint8Array, found: readonly Credential[]): Uint8Array<ArrayBuffer> {
  const copy = Uint8Array.from(octets);
  for (const { start, end } of found) copy.fill(ASTERISK, start, end);
  return copy;
}
const ASTERISK = 0x2a;

function lengthOf(credential: string): string {
  const scheme = schemeOf(credential);
  return `${scheme}(${counted(credential.length - scheme.length, "octet")})`;
}

function schemeOf(credential: string): string {
  return SCHEME.exec(credential)?.[0] ?? "";
}
