/**
 * Formats a request as an equivalent command of curl.
 *
 * @module
 */

import { NO_BYTES, octetsToText } from "../bytes.ts";
import { addressText, type Endpoint } from "../address.ts";
import { type HttpRequest, METHODS_WITH_CONTENT } from "../http_message.ts";

/** Fields that curl adds by itself; a field without a value prevents that. */
const CURLS_OWN = ["Host", "User-Agent", "Accept"];
/** Before content of more octets, curl asks for 100 (Continue), and waits for it. */
const UNASKED_CONTENT_BYTES = 1_000_000;
/** A longer argument is more than some systems take. */
const MAX_ARGUMENT_BYTES = 100_000;

/** Characters that a terminal would act upon when they are pasted. */
// deno-lint-ignore no-control-regex -- these are meant
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/;

/**
 * Returns the command for a POSIX shell, and for fish. Content from a file is read from it again; other binary content is piped into
 * the command from base 64.
 */
export function curlCommand(
  { method, target, fields, content }: HttpRequest,
  { secure, host, port }: Endpoint,
  contentFrom?: string,
): string {
  // A zone of an IPv6 address stands behind an encoded % in a URL (RFC 6874 §2).
  const authority = addressText({ hostname: host.replace("%", "%25"), port });
  // As this program does, curl then says that there is no content.
  const body = content ?? (METHODS_WITH_CONTENT.includes(method) ? NO_BYTES : undefined);
  const words = ["curl"];
  // Over TLS, curl would choose HTTP/2 if the server can.
  if (secure) words.push("--http1.1");
  // curl would resolve dot segments, and take brackets for a range of URLs.
  if (/\/(?:\.|%2e){1,2}(?:[/?]|$)/i.test(target)) words.push("--path-as-is");
  if (/[[\]]/.test(target) || host.includes(":")) words.push("--globoff");
  if (method === "HEAD") words.push("--head");
  else if (method !== "GET" || body !== undefined) words.push("--request", method);
  for (const [name, value] of fields) {
    // curl marks a field with an empty value by a semicolon instead of the colon.
    words.push("--header", value === "" ? `${name};` : `${name}: ${octetsToText(value)}`);
  }
  const names = fields.map(([name]) => name.toLowerCase());
  for (const name of CURLS_OWN) if (!names.includes(name.toLowerCase())) words.push("--header", `${name}:`);
  const text = body === undefined ? undefined : contentFrom === undefined ? textOf(body) : `@${contentFrom}`;
  if (body !== undefined) {
    if (!names.includes("content-type")) words.push("--header", "Content-Type:");
    if (body.length > UNASKED_CONTENT_BYTES && !names.includes("expect")) words.push("--header", "Expect:");
    words.push("--data-binary", text ?? "@-");
  }
  if (target === "*") words.push("--request-target", "*");
  words.push(`${secure ? "https" : "http"}://${authority}${target === "*" ? "/" : target}`);
  const line = words.map(quote).join(" ");
  return body === undefined || text !== undefined ? line : `echo ${body.toBase64()} | base64 -d | ${line}`;
}

/**
 * Returns content as text for an argument; `undefined` if it is binary, too long, or starts with `@`, which curl takes
 * for a file.
 */
function textOf(content: Uint8Array): string | undefined {
  if (content.length > MAX_ARGUMENT_BYTES) return undefined;
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content);
    return CONTROLS.test(text) || text.startsWith("@") ? undefined : text;
  } catch {
    return undefined;
  }
}

/** Quotes a word. Within quotes fish takes a backslash for an escape, so each stands outside of them. */
function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replace(/['\\]/g, `'\\$&'`)}'`;
}
