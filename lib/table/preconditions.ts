/**
 * Preconditions: If-Match and If-None-Match over entity tags (RFC 9110 §13).
 *
 * There are no modification dates here, so If-Modified-Since and If-Unmodified-Since are ignored,
 * as §13.1.3 and §13.1.4 ask for then; so is If-Range, since there are no ranges (§13.1.5).
 *
 * @module
 */

import { type Fields, HttpError } from "../http_message.ts";
import { MAX_ENTITY_TAGS } from "../limits.ts";

/** The strong entity tag of a version (RFC 9110 §8.8.3). */
export function entityTag(version: number): string {
  return `"${version}"`;
}

/** The preconditions of a request: the fields' values. */
export interface Preconditions {
  /** If-Match, if there is one (RFC 9110 §13.1.1). */
  readonly ifMatch: string | undefined;
  /** If-None-Match, if there is one (RFC 9110 §13.1.2). */
  readonly ifNoneMatch: string | undefined;
}

/** The request's preconditions; `undefined` if it has none. */
export function readPreconditions(fields: Fields): Preconditions | undefined {
  const ifMatch = fields.get("if-match");
  const ifNoneMatch = fields.get("if-none-match");
  return ifMatch === undefined && ifNoneMatch === undefined ? undefined : { ifMatch, ifNoneMatch };
}

/**
 * Evaluates preconditions in the order of RFC 9110 §13.2.2.
 *
 * @param method The request's method: GET and HEAD are answered with 304 if others would be refused.
 * @param version The version of the selected representation; `undefined` if there is none.
 * @returns `true` if the request goes on; `false` if the response is 304.
 * @throws {HttpError} 412 if a precondition is false; 400 if a field's value is malformed.
 */
export function preconditionsHold(preconditions: Preconditions, method: string, version: number | undefined): boolean {
  const { ifMatch, ifNoneMatch } = preconditions;
  if (ifMatch !== undefined && !matches(ifMatch, "If-Match", version, true)) {
    const is = version === undefined ? "nothing exists" : `the tag is ${entityTag(version)}`;
    throw new HttpError(412, `If-Match asks for ${ifMatch}, but ${is}`, { rule: "RFC 9110 §13.1.1" });
  }
  if (ifNoneMatch === undefined || !matches(ifNoneMatch, "If-None-Match", version, false)) return true;
  if (method === "GET" || method === "HEAD") return false;
  const wanted = ifNoneMatch === "*" ? "asks that nothing exists" : `asks for a tag other than ${ifNoneMatch}`;
  const detail = `If-None-Match ${wanted}, but the tag is ${entityTag(version!)}`;
  throw new HttpError(412, detail, { rule: "RFC 9110 §13.1.2" });
}

/**
 * Whether a list of entity tags, or `*`, matches the version's: by the strong comparison,
 * in which weak tags never match, or by the weak one, in which they are like strong ones (RFC 9110 §8.8.3.2).
 */
function matches(value: string, name: string, version: number | undefined, strong: boolean): boolean {
  if (value === "*") return version !== undefined;
  const current = version === undefined ? undefined : entityTag(version);
  return parseTags(value, name).some(({ weak, tag }) => tag === current && !(strong && weak));
}

/** `#entity-tag`, with `entity-tag = [ %s"W/" ] DQUOTE *etagc DQUOTE` (RFC 9110 §8.8.3). A tag may hold commas. */
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
      throw new HttpError(400, `${name} may list at most ${MAX_ENTITY_TAGS} entity tags`, { rule: "RFC 9110 §13.1" });
    }
  }
  if (tags.length === 0) {
    throw new HttpError(400, `${name} takes * or entity tags in double quotes, saw none`, { rule: "RFC 9110 §8.8.3" });
  }
  return tags;
}
