/**
 * A request as a command line of curl that sends the same.
 *
 * @module
 */

import type { Endpoint } from "../client.ts";
import type { HttpRequest } from "../http_message.ts";

/** Fields that curl sends by itself: an empty one of the name keeps it from that. */
const CURLS_OWN = ["User-Agent", "Accept"];

/** The command line, for a POSIX shell. Content that is no text stands in base 64 before it. */
export function curlCommand(
  { method, target, fields, content }: HttpRequest,
  { secure, host, port }: Endpoint,
): string {
  const authority = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const words = ["curl", "--http1.1", "--path-as-is", "--globoff"];
  if (method === "HEAD") words.push("--head");
  else if (method !== "GET" || content !== undefined) words.push("--request", method);
  for (const [name, value] of fields) {
    // A field without a value has a semicolon in the place of its colon there.
    words.push("--header", value === "" ? `${name};` : `${name}: ${utf8Of(value)}`);
  }
  const names = fields.map(([name]) => name.toLowerCase());
  for (const name of CURLS_OWN) if (!names.includes(name.toLowerCase())) words.push("--header", `${name}:`);
  const text = content === undefined ? undefined : textOf(content);
  if (content !== undefined) {
    if (!names.includes("content-type")) words.push("--header", "Content-Type:");
    words.push("--data-binary", text ?? "@-");
  }
  if (target === "*") words.push("--request-target", "*");
  words.push(`${secure ? "https" : "http"}://${authority}${target === "*" ? "/" : target}`);
  const line = words.map(quote).join(" ");
  return content === undefined || text !== undefined ? line : `echo ${content.toBase64()} | base64 -d | ${line}`;
}

/** Field values are octets, one character each. */
function utf8Of(octets: string): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(octets, (octet) => octet.charCodeAt(0)));
}

/** Content as text that an argument can hold; `undefined` if it is none. curl takes `@` at the start for a file. */
function textOf(content: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content);
    return text.includes("\0") || text.startsWith("@") ? undefined : text;
  } catch {
    return undefined;
  }
}

function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
