/**
 * Preconditions: If-Match and If-None-Match over entity tags (RFC 9110 §13).
 *
 * Rows have no modification dates, so If-Modified-Since and If-Unmodified-Since are ignored, as §13.1.3 and §13.1.4
 * require; If-Range is ignored because ranges are not supported (§13.1.5).
 *
 * @module
 */

import { type Fields, HttpError } from "../http_message.ts";
import { MAX_ENTITY_TAGS } from "../limits.ts";

/**
 * Returns the strong entity tag of a version (RFC 9110 §8.8.3).
 *
 * @param form Distinguishes a representation in another form than JSON, which has another tag (§8.8.3.3).
 */
export function entityTag(version: number, form = ""): string {
  return `"${version}${form}"`;
}

/** The preconditions of a request: the values of its fields. */
export interface Preconditions {
  /** The value of If-Match (RFC 9110 §13.1.1). */
  readonly ifMatch: string | undefined;
  /** The value of If-None-Match (RFC 9110 §13.1.2). */
  readonly ifNoneMatch: string | undefined;
}

/** Returns the request's preconditions; `undefined` if it has none. */
export function readPreconditions(fields: Fields): Preconditions | undefined {
  const ifMatch = fields.get("if-match");
  const ifNoneMatch = fields.get("if-none-match");
  return ifMatch === undefined && ifNoneMatch === undefined ? undefined : { ifMatch, ifNoneMatch };
}

/**
 * Evaluates preconditions in the order of RFC 9110 §13.2.2.
 *
 * @param method The request's method: for GET and HEAD a false If-None-Match is a 304.
 * @param version The version of the selected representation; `undefined` if there is none.
 * @param form The form of that representation, as for {@linkcode entityTag}.
 * @returns `true` if the request should be performed; `false` if the response is 304.
 * @throws {HttpError} 412 if a precondition is false; 400 if a field's value is malformed.
 */
export function preconditionsHold(
  preconditions: Preconditions,
  method: string,
  version: number | undefined,
  form?: string,
): boolean {
  const { ifMatch, ifNoneMatch } = preconditions;
  const tag = version === undefined ? undefined : entityTag(version, form);
  if (ifMatch !== undefined && !matches(ifMatch, "If-Match", tag, true)) {
    const is = tag === undefined ? "nothing exists" : `the tag is ${tag}`;
    throw new HttpError(412, `If-Match asks for ${ifMatch}, but ${is}`, { rule: "RFC 9110 §13.1.1" });
  }
  if (ifNoneMatch === undefined || !matches(ifNoneMatch, "If-None-Match", tag, false)) return true;
  if (method === "GET" || method === "HEAD") return false;
  const wanted = ifNoneMatch === "*" ? "asks that nothing exists" : `asks for a tag other than ${ifNoneMatch}`;
  const detail = `If-None-Match ${wanted}, but the tag is ${tag}`;
  throw new HttpError(412, detail, { rule: "RFC 9110 §13.1.2" });
}

/**
 * Whether a list of entity tags, or `*`, matches the current tag: with the strong comparison, in which weak tags never
 * match, or with the weak one, in which they are equal to strong ones (RFC 9110 §8.8.3.2).
 */
function matches(value: string, name: string, current: string | undefined, strong: boolean): boolean {
  if (value === "*") return current !== undefined;
  return parseTags(value, name).some(({ weak, tag }) => tag === current && !(strong && weak));
}

/**
 * Parses `#entity-tag`, with `entity-tag = [ %s"W/" ] DQUOTE *etagc DQUOTE` (RFC 9110 §8.8.3). A tag may contain
 * commas.
 */
function parseTags(value: string, name: string): { weak: boolean; tag: string }[] {
  const tags: { weak: boolean; tag: string }[] = [];
  const member = /[ \t]*(?:(W\/)?("[\x21\x23-\x7e\x80-\xff]*")[ \t]*)?(?:,|$)/y;
  while (member.lastIndex < value.length) {
    const at = member.lastIndex;
    const found = member.exec(value);
    if (found === null) {
      throw new HttpError(
        400,
        `${name} takes * or entity tags in double quotes, such as "1", but saw ${value.slice(at, at + 40)}`,
        { rule: "RFC 9110 §8.8.3" },
      );
    }
    if (found[2] !== undefined) tags.push({ weak: found[1] !== undefined, tag: found[2] });
    if (tags.length > MAX_ENTITY_TAGS) {
      throw new HttpError(400, `${name} has at most ${MAX_ENTITY_TAGS} entity tags`, { rule: "RFC 9110 §13.1" });
    }
  }
  if (tags.length === 0) {
    throw new HttpError(400, `${name} takes * or entity tags in double quotes, saw none`, { rule: "RFC 9110 §8.8.3" });
  }
  return tags;
}
