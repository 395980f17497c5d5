/**
 * Reads a row's name from a request's target, and checks what its fields say of the content.
 *
 * @module
 */

import { type FieldLine, type FieldProblem, type Fields, HttpError, percentDecoded } from "../http_message.ts";
import { MAX_NAME_BYTES } from "../limits.ts";
import { maskTarget } from "../masking.ts";

const ENCODER = new TextEncoder();
const SLASH = 0x2f;

/**
 * Returns the row's name in a path: percent-decoded UTF-8 after the first slash.
 *
 * @throws {HttpError} 400 if a row cannot have the name; 404 if the path has more than one segment.
 */
export function rowName(path: string): string {
  if (path.indexOf("/", 1) > 0) {
    throw new HttpError(404, `Nothing is at ${maskTarget(path)}: a row is at /NAME, and a name has no /`);
  }
  // Without a percent sign, a valid path is visible ASCII: it needs no decoding, and only its length can be wrong.
  const encoded = path.indexOf("%") >= 0;
  const name = encoded ? decodeName(path.slice(1)) : path.slice(1);
  if (!encoded && name.length <= MAX_NAME_BYTES && name[0] !== ".") return name;
  const problem = nameProblem(name);
  if (problem !== undefined) throw new HttpError(400, `The row's name ${problem}`);
  return name;
}

function decodeName(encoded: string): string {
  const name = percentDecoded(encoded);
  if (name !== undefined) return name;
  throw new HttpError(400, `The row's name must be percent-encoded UTF-8, saw ${JSON.stringify(encoded)}`, {
    rule: "RFC 3986 §2.5",
  });
}

/** Returns why a row cannot have this name; `undefined` if it can. */
export function nameProblem(name: string): string | undefined {
  if (name === "") return "must not be empty";
  if (name === "." || name === "..") return `must not be ${name}, which stands for another place in a path`;
  // A UTF-16 code unit has at most three bytes in UTF-8, so most names need not be counted.
  if (name.length * 3 > MAX_NAME_BYTES) {
    const bytes = ENCODER.encode(name).length;
    if (bytes > MAX_NAME_BYTES) return `has at most ${MAX_NAME_BYTES} octets of UTF-8, saw ${bytes}`;
  }
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code < 0x20 || code >= 0x7f && code < 0xa0) return "must not contain control characters";
    if (code === SLASH) return "must not contain a /";
  }
  if (!name.isWellFormed()) return "must be well-formed Unicode, saw half of a surrogate pair";
}

/** Returns the path of a row: the inverse of {@linkcode rowName}. */
export function rowPath(name: string): string {
  return `/${encodeURIComponent(name)}`;
}

/** Returns the type of the content without parameters, in lower case. */
export function mediaType(fields: Fields): string | undefined {
  return fields.get("content-type")?.split(";", 1)[0].trimEnd().toLowerCase();
}

/**
 * Checks the content's media type. A form on another site cannot send JSON without a CORS preflight, so this also
 * protects against cross-site requests.
 *
 * @param hints Field lines that a 415 has, too.
 * @throws {HttpError} 415
 */
export function requireMediaType(
  fields: Fields,
  allowed: readonly string[],
  hints: readonly FieldLine[] = [],
): void {
  const value = fields.get("content-type");
  if (value === allowed[0]) return;
  const type = mediaType(fields);
  if (type !== undefined && allowed.includes(type)) return;
  const seen = value === undefined ? "no Content-Type" : JSON.stringify(value);
  throw new HttpError(415, `The content must be ${allowed.join(" or ")}, saw ${seen}`, {
    rule: "RFC 9110 §15.5.16",
    fields: [["Accept", allowed.join(", ")], ...hints],
  });
}

/**
 * Refuses content that is not the complete, uncoded representation (RFC 9110 §8.4, §14.5).
 *
 * @param hints As in {@linkcode requireMediaType}.
 * @throws {HttpError} 415 or 400
 */
export function requirePlainContent(fields: Fields, hints: readonly FieldLine[] = []): void {
  const coding = fields.get("content-encoding");
  if (coding !== undefined && coding.toLowerCase() !== "identity") {
    throw new HttpError(415, `The content must not be coded, saw ${JSON.stringify(coding)}`, {
      rule: "RFC 9110 §15.5.16",
      fields: [["Accept-Encoding", "identity"], ...hints],
    });
  }
  if (fields.count("content-range") > 0) {
    throw new HttpError(400, "The content must be the whole row: Content-Range is not supported", {
      rule: "RFC 9110 §14.5",
    });
  }
}

/** Creates the error for an invalid row: 422 with its problems. */
export function unfit(errors: readonly FieldProblem[], rule?: string): HttpError {
  const [{ field, detail }] = errors;
  const more = errors.length > 1 ? `, and ${errors.length - 1} more (see errors)` : "";
  return new HttpError(422, `The row does not fit the table: ${field} ${detail}${more}`, { errors, rule });
}
