/**
 * Formats a request as an equivalent command of curl.
 *
 * @module
 */

import { octetsToText } from "../bytes.ts";
import { addressText, type Endpoint } from "../address.ts";
import type { HttpRequest } from "../http_message.ts";

/** Fields that curl adds by itself; an empty field of the same name prevents that. */
const CURLS_OWN = ["User-Agent", "Accept"];

/**
 * Returns the command for a POSIX shell. Content from a file is read from it again; other binary content is piped into
 * the command from base 64.
 */
export function curlCommand(
  { method, target, fields, content }: HttpRequest,
  { secure, host, port }: Endpoint,
  contentFrom?: string,
): string {
  const authority = addressText({ hostname: host, port });
  const words = ["curl"];
  // Over TLS, curl would choose HTTP/2 if the server can.
  if (secure) words.push("--http1.1");
  // curl would resolve dot segments, and take brackets for a range of URLs.
  if (/\/\.{1,2}(?:[/?]|$)/.test(target)) words.push("--path-as-is");
  if (/[[\]]/.test(target) || host.includes(":")) words.push("--globoff");
  if (method === "HEAD") words.push("--head");
  else if (method !== "GET" || content !== undefined) words.push("--request", method);
  for (const [name, value] of fields) {
    // curl marks a field with an empty value by a semicolon instead of the colon.
    words.push("--header", value === "" ? `${name};` : `${name}: ${octetsToText(value)}`);
  }
  const names = fields.map(([name]) => name.toLowerCase());
  for (const name of CURLS_OWN) if (!names.includes(name.toLowerCase())) words.push("--header", `${name}:`);
  const text = content === undefined ? undefined : contentFrom === undefined ? textOf(content) : `@${contentFrom}`;
  if (content !== undefined) {
    if (!names.includes("content-type")) words.push("--header", "Content-Type:");
    words.push("--data-binary", text ?? "@-");
  }
  if (target === "*") words.push("--request-target", "*");
  words.push(`${secure ? "https" : "http"}://${authority}${target === "*" ? "/" : target}`);
  const line = words.map(quote).join(" ");
  return content === undefined || text !== undefined ? line : `echo ${content.toBase64()} | base64 -d | ${line}`;
}

/**
 * Returns content as text for an argument; `undefined` if it is binary, or starts with `@`, which curl takes for a
 * file.
 */
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
