/** Reads URLs and commands of curl, as documentation and browsers write them; formats requests as such commands. */

import { Buffer, isUtf8 } from "node:buffer";
import { parseArgs } from "node:util";
import { addressText, defaultPort, type Endpoint } from "../address.ts";
import { NO_BYTES, octetsToText } from "../bytes.ts";
import { type FieldLine, type HttpRequest, METHODS_WITH_CONTENT, percentDecoded } from "../http_message.ts";
import type { AskedField } from "./items.ts";
import { refuseTypographic, WrongInput } from "./words.ts";

/** The server that commands are for, and the words for what it is not. */
export interface OwnServer {
  /** Where it is. */
  readonly endpoint: Endpoint;
  /** Returns the command that starts this program with these arguments. */
  readonly commandLine: (args: readonly string[]) => string;
  /** What there is in the place of a flag that accepts any certificate. */
  readonly insecureAdvice: string;
}

/** A part of a request's content: text, or a file, possibly without its line ends. */
export type PastedData =
  | { readonly text: string }
  | { readonly file: string; readonly joinsLines: boolean };

const URL_PARTS =
  /^(?:(https?):\/\/)?(?:([^/?#@]*)@)?(\[[^\]]*\]|[^:/?#[\]]+)(?::(\d+))?(\/[^?#]*)?(\?[^#]*)?(?:#.*)?$/is;
/** Names of this machine's own address: servers at one port of them are one. */
const LOCAL_NAMES = ["localhost", "127.0.0.1", "::1"];

/** Reads a URL of the own server; one of another is refused with the command to type there, which ends with `rest`. */
export function readUrl(url: string, own: OwnServer, rest?: (target: string) => string[]) {
  const [whole, scheme = "http", userPass, name, digits, path = "/", query = ""] = URL_PARTS.exec(url) ?? [];
  if (whole === undefined) throw new WrongInput(`${JSON.stringify(url)} is not an http:// or https:// URL`);
  const secure = scheme.toLowerCase() === "https";
  const port = Number(digits ?? defaultPort(secure));
  // A zone of an IPv6 address stands after an encoded % in a URL (RFC 6874 §2).
  const host = name.replace(/^\[|\]$/g, "").replace("%25", "%");
  const authority = port === defaultPort(secure) ? name : `${name}:${port}`;
  // As written, but without the fragment.
  const target = path + query;
  if (!isSame(own.endpoint, { secure, host, port })) {
    const origin = `${secure ? "https" : "http"}://${authority}`;
    const how = rest === undefined ? "this is for another server: paste it at" : "give the server first, then the path";
    throw new WrongInput(how, own.commandLine(["connect", origin, ...rest?.(target) ?? []]));
  }
  const decoded = userPass && (percentDecoded(userPass) ?? userPass);
  return { target, host: authority, userPass: decoded?.replace(/^[^:]*$/, "$&:") };
}

function isSame(own: Endpoint, other: Endpoint): boolean {
  const nameOf = ({ host }: Endpoint) => LOCAL_NAMES.includes(host.toLowerCase()) ? "localhost" : host.toLowerCase();
  return own.secure === other.secure && own.port === other.port && nameOf(own) === nameOf(other);
}

/** curl's options that are read, with their letters. The last of each kind are what `curl` prints. */
const OPTIONS: Record<string, { readonly type: "string" | "boolean"; readonly short?: string }> = {
  ...optionsOf("string", "request X", "header H", "data d", "user u", "cookie b", "user-agent A", "referer e", "url"),
  ...optionsOf("string", "data-ascii", "data-raw", "data-binary", "json", "cacert"),
  ...optionsOf("boolean", "head I", "insecure k", "location L", "globoff g", "include i", "silent s", "show-error S"),
  ...optionsOf("boolean", "verbose v", "show-headers", "compressed", "http1.1", "path-as-is"),
};

function optionsOf(type: "string" | "boolean", ...names: readonly string[]) {
  return Object.fromEntries(names.map((each) => {
    const [name, short] = each.split(" ");
    return [name, { type, ...short !== undefined && { short } }];
  }));
}

/** Reads a command of curl, without the word `curl`. What needs a shell, and options that are not read, are refused. */
export function readCurl(line: string, own: OwnServer) {
  const words = shellWords(line);
  if (words === undefined) throw new WrongInput("the line of curl goes on: a quote is not closed, or \\ is at its end");
  const { values, all, last, has } = valuesIn(words);
  const [url, ...more] = all("url");
  if (url === undefined || more.length > 0) throw new WrongInput(`curl takes one URL here, saw ${all("url").length}`);
  if (has("insecure") && /^https:/i.test(url)) throw new WrongInput(`in the place of -k: ${own.insecureAdvice}`);
  const [glob] = has("globoff") ? [] : /[[\]{}]/.exec(url.replace(/^(?:\w+:\/\/)?(?:[^/]*@)?\[[^\]]*\]/, "")) ?? [];
  if (glob !== undefined) throw new WrongInput(`curl takes ${glob} in a URL for a list of them: add --globoff`);
  const parsed = readUrl(has("path-as-is") ? url : withoutDots(url), own);

  const data = values.flatMap(([name, value]): PastedData[] => {
    if (!/^(?:data|json)/.test(name)) return [];
    if (name === "data-raw" || !value.startsWith("@")) return [{ text: value }];
    return [{ file: value.slice(1), joinsLines: name === "data" || name === "data-ascii" }];
  });
  const isJson = last("json") !== undefined;
  const fields: AskedField[] = all("header").map((line) => readField(line, "-H takes 'Name: value'"));
  const userPass = last("user") ?? parsed.userPass;
  if (userPass?.includes(":") === false) throw new WrongInput("-u takes USER:PASS");
  const cookies = all("cookie");
  const jar = cookies.find((cookie) => !cookie.includes("="));
  if (jar !== undefined) throw new WrongInput("-b takes NAME=VALUE here, and no file");
  const isForm = data.length > 0 && !isJson;
  const others = {
    "Host": parsed.host,
    "User-Agent": last("user-agent"),
    "Referer": last("referer"),
    "Authorization": userPass && basicAuthorization(userPass)[1],
    "Cookie": cookies.length > 0 ? cookies.join("; ") : undefined,
    "Accept-Encoding": has("compressed") ? "deflate, gzip, br, zstd" : undefined,
    "Accept": isJson ? "application/json" : undefined,
    "Content-Type": isForm ? "application/x-www-form-urlencoded" : isJson ? "application/json" : undefined,
  };
  const given = fields.map(([name]) => name.toLowerCase());
  for (const [name, value] of Object.entries(others)) {
    if (value !== undefined && !given.includes(name.toLowerCase())) fields.push([name, value || undefined]);
  }
  if (has("head") && data.length > 0) throw new WrongInput("curl takes either -I or data");
  return {
    ...parsed,
    method: last("request") ?? (has("head") ? "HEAD" : data.length > 0 ? "POST" : "GET"),
    fields: fields.filter(([name, value]) => !isTrueLength(name, value, data)),
    data: data.length === 0 ? undefined : data.flatMap((part, i) => i === 0 || isJson ? [part] : [{ text: "&" }, part]),
    follows: has("location"),
  };
}

/** Octets of a file that `-d` leaves out: NUL, LF, CR. */
const DROPPED = [0x00, 0x0a, 0x0d];

/** Returns content that is put together from files and texts, and the file that it is, if it is one as it is. */
export function contentOf(data: readonly PastedData[], files: ReadonlyMap<string, Uint8Array>) {
  const parts = data.map((part) => {
    if ("text" in part) return Buffer.from(part.text);
    const octets = files.get(part.file)!;
    return part.joinsLines ? octets.filter((octet) => !DROPPED.includes(octet)) : octets;
  });
  const [first, ...more] = data;
  const isFile = more.length === 0 && "file" in first && !first.joinsLines;
  return { content: Buffer.concat(parts), contentFrom: isFile ? first.file : undefined };
}

/** Returns the options and their values in their order; a URL is the value of `url`. */
function valuesIn(args: string[]) {
  const { tokens } = parseArgs({ args, options: OPTIONS, strict: false, allowPositionals: true, tokens: true });
  const values = tokens.flatMap((token): [name: string, value: string][] => {
    if (token.kind === "option-terminator") return [];
    if (token.kind === "positional") {
      if (!/^[–—]/.test(token.value)) return [["url", token.value]];
      throw new WrongInput(`${token.value[0]} is a dash of a word processor: write - or --`);
    }
    const { name, rawName, value } = token;
    // curl takes no value after a = either.
    const isJoined = token.inlineValue && rawName.startsWith("--");
    if (!Object.hasOwn(OPTIONS, name) || isJoined) {
      throw new WrongInput(`${rawName}${isJoined ? `=${value}` : ""} of curl is not read here, and nothing is sent`);
    }
    if (OPTIONS[name].type === "string" && value === undefined) {
      throw new WrongInput(`${rawName} of curl needs a value`);
    }
    return [[name, value ?? ""]];
  });
  const all = (name: string) => values.flatMap(([each, value]) => each === name ? value : []);
  return { values, all, last: (name: string) => all(name).at(-1), has: (name: string) => all(name).length > 0 };
}

/** Reads `Name: value`; `Name:`, which removes a field, and `Name;`, which sends an empty one. */
export function readField(line: string, expected: string): AskedField {
  const [, name, value, semicolon] = /^([^\s:;@][^:;]*)(?::(.*)|(;))$/s.exec(line) ?? [];
  if (name === undefined) throw new WrongInput(expected);
  return [name, semicolon === undefined ? value.trim() || undefined : ""];
}

/** Returns the field with a user's credentials: `Authorization: Basic …` (RFC 7617 §2). */
export function basicAuthorization(userPass: string): FieldLine {
  return ["Authorization", `Basic ${new TextEncoder().encode(userPass).toBase64()}`];
}

/** A field as it is typed here and for curl: `Name: value`, `Name;` if it is empty, `Name:` for none of that name. */
export function textOfField([name, value]: AskedField): string {
  return value === undefined ? `${name}:` : value === "" ? `${name};` : `${name}: ${value}`;
}

/** Whether a field is a Content-Length that says what this program will say itself: browsers copy it, too. */
function isTrueLength(name: string, value: string | undefined, data: readonly PastedData[]): boolean {
  const length = Buffer.byteLength(data.map((part) => "text" in part ? part.text : "").join("&"));
  return name.toLowerCase() === "content-length" && value === String(length) && data.every((part) => "text" in part);
}

/** Removes dot segments from a URL, as curl does (RFC 3986 §5.2.4). */
function withoutDots(url: string): string {
  const [, origin, path, rest] = /^((?:\w+:\/\/)?[^/?#]*)([^?#]*)(.*)$/s.exec(url)!;
  return /\/(?:\.|%2e){1,2}(?:\/|$)/i.test(path) ? `${origin}${new URL(path, "http://a").pathname}${rest}` : url;
}

/** The pieces of a shell's line: a line end that is none, quotes of three kinds, an escape, blanks, what is plain. */
const PIECES =
  /\\\r?\n|\$'((?:\\[^]|[^'\\])*)'|'([^']*)'|"((?:\\[^]|[^"\\])*)"|\\([^])|(\s+)|([^\s'"\\$`|;&<>()]+|\$(?![\w({'"!?#@*$-]))/y;
/** What a shell replaces, within double quotes too. */
const REPLACED = /^(?:\$\(|\$\w+|\$\{|`)/;

/** Splits a line as a POSIX shell does, with `$'…'`, and backslashes at line ends; `undefined` if it goes on. */
export function shellWords(line: string): string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  PIECES.lastIndex = 0;
  while (PIECES.lastIndex < line.length) {
    const at = PIECES.lastIndex;
    const found = PIECES.exec(line);
    if (found === null) {
      const rest = line.slice(at);
      if (/^(?:["'\\]|\$')/.test(rest)) return undefined;
      const [sign] = REPLACED.exec(rest) ?? /^(?:\$.|.)/s.exec(rest)!;
      throw new WrongInput(`${sign} is for a shell, and there is none here: leave it out, or quote it`);
    }
    const [piece, coded, single, double, escaped, blanks, plain] = found;
    if (plain?.endsWith("^") && /^(?:["\r\n]|$)/.test(line.slice(PIECES.lastIndex))) {
      throw new WrongInput("this line is for cmd: copy it as cURL (bash)");
    }
    if (blanks !== undefined) {
      if (word !== undefined) words.push(word);
      word = undefined;
      continue;
    }
    if (/^\\\r?\n/.test(piece)) continue;
    if (word === undefined && plain !== undefined) refuseTypographic(plain[0]);
    word = (word ?? "") + (single ?? escaped ?? plain ?? (coded === undefined ? unquoted(double) : unescaped(coded)));
  }
  return word === undefined ? words : [...words, word];
}

function unquoted(text: string): string {
  return text.replace(/\\(\r?\n|["\\$`])|[$`]/g, (match, escaped: string | undefined, at: number) => {
    const [replaced] = REPLACED.exec(text.slice(at)) ?? [];
    if (replaced !== undefined) {
      throw new WrongInput(`${replaced} is for a shell, and there is none here: use single quotes`);
    }
    return escaped === undefined ? match : escaped.trim();
  });
}

const ESCAPES: Readonly<Record<string, string>> = {
  ...{ a: "\x07", b: "\b", e: "\x1b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v" },
};

/** Decodes the escapes of `$'…'`, in which `\xHH` and `\OOO` are octets. */
function unescaped(text: string): string {
  const octets = text.replace(
    /((?:\\u[\da-fA-F]{4})+)|\\x([\da-fA-F]{1,2})|\\([0-7]{1,3})|\\([abefnrtv])|\\(["'\\?])|[^\\]+|\\/g,
    (match, units?: string, hex?: string, octal?: string, control?: string, itself?: string) => {
      if (hex !== undefined) return String.fromCharCode(parseInt(hex, 16));
      if (octal !== undefined) return String.fromCharCode(parseInt(octal, 8) & 0xff);
      if (control !== undefined) return ESCAPES[control];
      return Buffer.from(units === undefined ? itself ?? match : JSON.parse(`"${units}"`)).toString("latin1");
    },
  );
  const decoded = Buffer.from(octets, "latin1");
  if (isUtf8(decoded)) return decoded.toString();
  throw new WrongInput("the octets of a $'…' are not UTF-8: put them in a file, and type --data-binary @FILE");
}

/** Fields that curl adds by itself; a field without a value prevents that. */
const CURLS_OWN = ["Host", "User-Agent", "Accept"];
/** Before content of more octets, curl asks for 100 (Continue), and waits for it. */
const UNASKED_CONTENT_OCTETS = 1_000_000;
/** A longer argument is more than some systems take. */
const MAX_ARGUMENT_OCTETS = 100_000;
/** Characters that a terminal would act upon when they are pasted. */
// deno-lint-ignore no-control-regex -- these are meant
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/;

/** Returns the command for a POSIX shell and fish. Content is read from its file again, or piped if it is binary. */
export function curlCommand(
  { method, target, fields, content }: HttpRequest,
  { secure, host, port }: Endpoint,
  contentFrom?: string,
  caFile?: string,
): string {
  // A zone of an IPv6 address stands after an encoded % in a URL (RFC 6874 §2).
  const authority = addressText({ hostname: host.replace("%", "%25"), port });
  // As this program does, curl then says that there is no content.
  const body = content ?? (METHODS_WITH_CONTENT.includes(method) ? NO_BYTES : undefined);
  const words = ["curl"];
  // Over TLS, curl would choose HTTP/2 if the server can.
  if (secure) words.push("--http1.1", ...caFile === undefined ? [] : ["--cacert", caFile]);
  // curl would resolve dot segments, and take brackets for a range of URLs.
  if (/\/(?:\.|%2e){1,2}(?:[/?]|$)/i.test(target)) words.push("--path-as-is");
  if (/[[\]]/.test(target) || host.includes(":")) words.push("--globoff");
  if (method === "HEAD") words.push("--head");
  else if (method !== "GET" || body !== undefined) words.push("--request", method);
  for (const [name, value] of fields) words.push("--header", textOfField([name, octetsToText(value)]));
  const names = fields.map(([name]) => name.toLowerCase());
  for (const name of CURLS_OWN) if (!names.includes(name.toLowerCase())) words.push("--header", `${name}:`);
  const text = body === undefined ? undefined : contentFrom === undefined ? textOf(body) : `@${contentFrom}`;
  if (body !== undefined) {
    if (!names.includes("content-type")) words.push("--header", "Content-Type:");
    if (body.length > UNASKED_CONTENT_OCTETS && !names.includes("expect")) words.push("--header", "Expect:");
    words.push("--data-binary", text ?? "@-");
  }
  if (target === "*") words.push("--request-target", "*");
  words.push(`${secure ? "https" : "http"}://${authority}${target === "*" ? "/" : target}`);
  const line = words.map(quote).join(" ");
  return body === undefined || text !== undefined ? line : `echo ${body.toBase64()} | base64 -d | ${line}`;
}

/** Returns content as text for an argument; `undefined` if it is binary, too long, or a file for curl, with `@`. */
function textOf(content: Uint8Array): string | undefined {
  if (content.length > MAX_ARGUMENT_OCTETS || !isUtf8(content)) return undefined;
  const text = Buffer.from(content).toString();
  return CONTROLS.test(text) || text.startsWith("@") ? undefined : text;
}

/** Quotes a word. Within quotes fish takes a backslash for an escape, so each stands outside of them. */
function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replace(/['\\]/g, `'\\$&'`)}'`;
}
