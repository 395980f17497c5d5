/** Divides field values: members of lists, parameters, directives, dates, entity tags, ranges. */

import type { Part } from "./explanation.ts";
import { octetsOf, readable, units } from "./octet_text.ts";

/** Directives of Cache-Control (RFC 9111 §5.2). */
const CACHE_DIRECTIVES: Readonly<Record<string, string>> = {
  "max-age": "fresh for so many seconds",
  "max-stale": "stale by so many seconds is fine",
  "min-fresh": "fresh for so many seconds more",
  "must-revalidate": "never use it stale unasked",
  "must-understand": "keep it only if you know its status",
  "no-cache": "ask before each use",
  "no-store": "keep no copy",
  "no-transform": "do not change the content",
  "only-if-cached": "from a cache or not at all",
  "private": "for one user's cache only",
  "proxy-revalidate": "shared caches: never stale unasked",
  "public": "any cache may keep it",
  "s-maxage": "for shared caches: fresh for so many seconds",
  "immutable": "never changes while fresh",
  "stale-while-revalidate": "stale for so many seconds while asking",
  "stale-if-error": "stale for so many seconds if asking fails",
};

/** Options of Connection (RFC 9110 §7.6.1, RFC 9112 §9.3). */
const CONNECTION_OPTIONS: Readonly<Record<string, string>> = {
  "close": "the connection ends after this message",
  "keep-alive": "the connection stays, also in HTTP/1.0",
  "upgrade": "the Upgrade field counts",
  "te": "the TE field counts",
};

export const MEMBER: string = "member";
/** The date format of HTTP/1.1 (RFC 9110 §5.6.7). */
const IMF_FIXDATE =
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT$/;
const OLD_DATE = /^(?:\w+day, \d\d-\w{3}-\d\d \d\d:\d\d:\d\d GMT|\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4})$/;

/** Divides a value that starts at an offset. `member` is the label of a list's members, or of what precedes parameters. */
type Division = (value: string, start: number, member: string) => Part[];

const DIVISIONS = {
  list: cutAt(",", memberLabel),
  parameters: cutAt(";", (text, member, isFirst) => isFirst ? member : `parameter ${nameOf(text)}`),
  cookies: cutAt(";", (text) => `${nameOf(text)} is ${text.includes("=") ? "set" : "on"}`),
  cache: cutAt(",", directiveLabel),
  options: cutAt(",", (text) => CONNECTION_OPTIONS[text.toLowerCase()] ?? "a field for the next hop only"),
  tags: cutAt(",", tagLabel),
  range: rangeParts,
  date: whole((value) => dateLabel(value.trim())),
  condition: whole((value) => conditionLabel(value.trim())),
  uri: whole(spelling),
  credentials: credentialParts,
} satisfies Record<string, Division>;

/** How a field's value is cut into parts. */
export type ValueKind = keyof typeof DIVISIONS;

/** Divides a value into parts that cover it exactly; none if there is nothing to say of them. */
export function valueParts(kind: ValueKind, value: string, start: number, member: string = MEMBER): Part[] {
  return DIVISIONS[kind](value, start, member);
}

function whole(labelOf: (value: string) => string | undefined): Division {
  return (value, start) => {
    const label = labelOf(value);
    return label === undefined ? [] : [{ start, end: start + value.length, label }];
  };
}

/** Splits at a separator outside of quoted strings. A part includes the separator after it. */
function cutAt(separator: string, label: (text: string, member: string, isFirst: boolean) => string): Division {
  const part = new RegExp(String.raw`((?:"(?:\\.|[^"\\])*(?:"|$)|[^"${separator}])*)(?:${separator}[ \t]*|$)`, "gsy");
  return (value, start, member) => {
    const parts: Part[] = [];
    let from = start;
    const add = (length: number, meaning: string) => {
      if (length > 0) parts.push({ start: from, end: from += length, label: meaning });
    };
    for (const [{ length }, octets] of value.matchAll(part)) {
      const text = octets.trim();
      add(length, text === "" ? "" : label(text, member, parts.length === 0));
    }
    // A quoted string ends in the middle of an escape.
    add(start + value.length - from, "");
    return parts;
  };
}

function nameOf(text: string): string {
  return readable(text.split("=", 1)[0].trim());
}

function directiveLabel(text: string): string {
  const meaning = CACHE_DIRECTIVES[nameOf(text).toLowerCase()] ?? "an extension";
  const seconds = /=(\d+)$/.exec(text)?.[1];
  return seconds === undefined
    ? meaning
    : meaning.replace("so many seconds", seconds === "1" ? "1 second" : `${seconds} seconds`);
}

function memberLabel(text: string, member: string): string {
  const weight = /;\s*q=([\d.]+)/i.exec(text)?.[1];
  return weight === undefined ? member : `${member}, ${Number(weight) === 0 ? "not acceptable" : `weight ${weight}`}`;
}

function conditionLabel(text: string): string {
  if (/^(?:W\/)?"/.test(text)) return tagLabel(text);
  return /^\d+$/.test(text) ? "seconds" : dateLabel(text);
}

function tagLabel(text: string): string {
  if (text === "*") return "any version";
  return text.startsWith("W/") ? "a weak tag: the same meaning" : text.startsWith('"') ? "a strong tag" : "not a tag";
}

function dateLabel(text: string): string {
  if (IMF_FIXDATE.test(text)) {
    return new Date(text).toUTCString() === text ? "in GMT" : "in GMT, but there is no such day";
  }
  return OLD_DATE.test(text) ? "an obsolete form of a date" : "not a date";
}

function rangeParts(value: string, start: number, member: string): Part[] {
  const equals = value.indexOf("=") + 1;
  if (equals === 0) return [];
  const unit = { start, end: start + equals, label: `unit ${readable(value.substring(0, equals - 1))}` };
  return [unit, ...cutAt(",", rangeLabel)(value.substring(equals), start + equals, member)];
}

function rangeLabel(text: string): string {
  const [, first, last] = /^(\d*)-(\d*)$/.exec(text) ?? [];
  if (first === undefined || first + last === "") return "not a range";
  if (first === "") return last === "1" ? "the last octet" : `the last ${last} octets`;
  return last === "" ? `from octet ${first} on` : `octets ${first} to ${last}`;
}

/** Percent-encoded octets (RFC 3986 §2.1), and the reserved characters (§2.2), which mean something else unencoded. */
const ENCODED = /((?:%[\dA-Fa-f]{2})+)/;
const RESERVED = ":/?#[]@!$&'()*+,;=";

/**
 * Says what a percent-encoded text spells; `undefined` if it has nothing to decode. Reserved, control and
 * invisible characters, and what is not UTF-8, stay as they are written.
 */
export function spelling(octets: string): string | undefined {
  const pieces = octets.split(ENCODED);
  const spelt = pieces.map((piece, i) => i % 2 === 0 ? readable(piece) : decoded(piece)).join("");
  return spelt === readable(octets) ? undefined : `is ${spelt}: each %XX one octet of UTF-8 (RFC 3986 §2.1)`;
}

function decoded(run: string): string {
  let at = 0;
  return units(String.fromCharCode(...Uint8Array.fromHex(run.replaceAll("%", "")))).map((unit) => {
    const written = run.substring(at, at += 3 * octetsOf(unit));
    if (unit === "\\\\") return "\\";
    return unit.startsWith("\\") || RESERVED.includes(unit) ? written : unit;
  }).join("");
}

/** Divides credentials of the scheme Basic, whose coding hides nothing (RFC 7617 §2). */
function credentialParts(value: string, start: number): Part[] {
  const [, scheme, coded] = /^(basic +)([\w+/]+=*)[ \t]*$/i.exec(value) ?? [];
  if (coded === undefined) return [];
  try {
    const at = start + scheme.length;
    const label = `spells ${readable(atob(coded))}: base64 hides nothing (RFC 7617 §2)`;
    return [{ start, end: at, label: "scheme" }, { start: at, end: start + value.length, label }];
  } catch {
    return [];
  }
}
