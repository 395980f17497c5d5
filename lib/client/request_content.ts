/** Encodes the content of requests: forms, forms with files (RFC 7578), and what is known of a file by its name. */

import { Buffer } from "node:buffer";
import { withoutMark } from "../bytes.ts";
import { isJson } from "../json.ts";
import type { AskedField } from "./items.ts";

export const FORM = "application/x-www-form-urlencoded";
export const MULTIPART = "multipart/form-data";

export interface Member {
  readonly name: string;
  /** The value as JSON text. */
  readonly json: string;
  /** Whether the name is a path into JSON, such as `a[b]`. */
  readonly isPath?: boolean;
  readonly file?: string;
}

/** Media types by the end of a file's name. */
const TYPES: Readonly<Record<string, string>> = {
  ...{ avif: "image/avif", gif: "image/gif", ico: "image/vnd.microsoft.icon", jpeg: "image/jpeg", jpg: "image/jpeg" },
  ...{ png: "image/png", svg: "image/svg+xml", webp: "image/webp", mp4: "video/mp4" },
  ...{ mp3: "audio/mpeg", wav: "audio/wav" },
  ...{ css: "text/css", csv: "text/csv", htm: "text/html", html: "text/html", js: "text/javascript" },
  ...{ md: "text/markdown", mjs: "text/javascript", txt: "text/plain" },
  ...{ gz: "application/gzip", json: "application/json", ndjson: "application/x-ndjson", pdf: "application/pdf" },
  ...{ wasm: "application/wasm", xml: "application/xml", yaml: "application/yaml", yml: "application/yaml" },
  zip: "application/zip",
};

/** Returns the media type of a file by its name, or because it is JSON; `undefined` if it is not known. */
export function typeOfFile(file: string, content: Uint8Array): string | undefined {
  const end = /[^/\\]\.(\w+)$/.exec(file)?.[1].toLowerCase() ?? "";
  if (Object.hasOwn(TYPES, end)) return TYPES[end];
  return isJson(withoutMark(content)) ? "application/json" : undefined;
}

export function isType(name: string): boolean {
  return name.toLowerCase() === "content-type";
}

/** Returns the media type of a message in lower case, without parameters; empty without one (RFC 9110 §8.3.1). */
export function mediaType(fields: readonly AskedField[]): string {
  return typeField(fields).split(";", 1)[0].trim().toLowerCase();
}

/** Returns the parameter that separates the parts of a form (RFC 2046 §5.1.1), if there is one. */
export function boundaryOf(fields: readonly AskedField[]): string | undefined {
  const [, quoted, token] = /;[ \t]*boundary=(?:"([^"]+)"|([^\s;"]+))/i.exec(typeField(fields)) ?? [];
  return quoted ?? token;
}

function typeField(fields: readonly AskedField[]): string {
  return fields.find(([name, value]) => isType(name) && value !== undefined)?.[1] ?? "";
}

/** Encodes a form as browsers do (URL Standard, "application/x-www-form-urlencoded serializing"). */
export function formOf(members: readonly Member[]): string {
  return new URLSearchParams(members.map(({ name, json }) => [name, formText(json)])).toString();
}

/** Returns a value as it stands in a form: a text as it is, other JSON as it is written. */
function formText(json: string): string {
  const value: unknown = json.trimStart().startsWith('"') ? JSON.parse(json) : undefined;
  return typeof value === "string" ? value : json;
}

/** Encodes a form with files, as browsers do (RFC 7578; HTML, "multipart/form-data encoding algorithm"). */
export function multipart(
  members: readonly Member[],
  files: ReadonlyMap<string, Uint8Array>,
  boundary: string,
): Uint8Array {
  const quoted = (text: string) => text.replace(/[\r\n"]/g, (character) => encodeURIComponent(character));
  const pieces = members.flatMap(({ name, json, file }) => {
    const head = `--${boundary}\r\nContent-Disposition: form-data; name="${quoted(name)}"`;
    if (file === undefined) return [`${head}\r\n\r\n${formText(json)}\r\n`];
    const content = files.get(file)!;
    const type = typeOfFile(file, content) ?? "application/octet-stream";
    const filename = quoted(file.replace(/^.*[/\\]/s, ""));
    return [`${head}; filename="${filename}"\r\nContent-Type: ${type}\r\n\r\n`, content, "\r\n"];
  });
  return Buffer.concat([...pieces, `--${boundary}--\r\n`].map((piece) => Buffer.from(piece as string)));
}
