/**
 * Commands of curl: reads those that are pasted, as documentation and browsers write them, with URLs; and formats a
 * request as one.
 */

import { Buffer, isUtf8 } from "node:buffer";
import { addressText, type Endpoint } from "../address.ts";
import { NO_BYTES, octetsToText } from "../bytes.ts";
import { type FieldLine, type HttpRequest, METHODS_WITH_CONTENT, percentDecoded } from "../http_message.ts";
import { hidden, refuseTypographic, type Word, WrongInput } from "./words.ts";

/** The server that commands are for, and the words for what it is not. */
export interface OwnServer {
  /** Where it is. */
  readonly endpoint: Endpoint;
  /** Returns the command that starts this program with these arguments. */
  readonly commandLine: (args: readonly string[]) => string;
  /** What there is in the place of a flag that accepts any certificate. */
  readonly insecureAdvice: string;
}

interface PastedUrl {
  /** The path and the query as written, without the fragment. */
  readonly target: string;
  /** The authority, for Host. */
  readonly host: string;
  readonly userPass: string | undefined;
}

/** A part of a request's content: text, or a file, possibly without its line ends. */
export type PastedData =
  | { readonly text: string }
  | { readonly file: string; readonly joinsLines: boolean };

/** A request as curl would send it. */
export interface PastedCurl extends PastedUrl {
  readonly method: string;
  /** The fields as the words of a command; an empty one removes a default. */
  readonly fields: readonly Word[];
  readonly data: readonly PastedData[] | undefined;
  readonly follows: boolean;
}

const URL_PARTS =
  /^(?:(https?):\/\/)?(?:([^/?#@]*)@)?(\[[^\]]*\]|[^:/?#[\]]+)(?::(\d+))?(\/[^?#]*)?(\?[^#]*)?(?:#.*)?$/is;
/** Names of this machine's own address: servers at one port of them are one. */
const LOCAL_NAMES = ["localhost", "127.0.0.1", "::1"];

/**
 * Reads a URL of the own server; one of another is refused with the command to type there, which ends with `rest`, or
 * with the line itself.
 */
export function readUrl(url: string, own: OwnServer | undefined, rest?: (target: string) => string[]): PastedUrl {
  const [whole, scheme = "http", userPass, name, digits, path = "/", query = ""] = URL_PARTS.exec(url) ?? [];
  if (whole === undefined) throw new WrongInput(`${JSON.stringify(url)} is not an http:// or https:// URL`);
  const secure = scheme.toLowerCase() === "https";
  const port = digits === undefined ? secure ? 443 : 80 : Number(digits);
  // A zone of an IPv6 address stands after an encoded % in a URL (RFC 6874 §2).
  const host = name.replace(/^\[|\]$/g, "").replace("%25", "%");
  const usual = port === (secure ? 443 : 80);
  const authority = usual ? name : `${name}:${port}`;
  const target = path + query;
  if (own === undefined || !isSame(own.endpoint, { secure, host, port })) {
    const origin = `${secure ? "https" : "http"}://${authority}`;
    const words = ["connect", origin, ...rest?.(target) ?? []];
    const how = rest === undefined ? "this is for another server: paste it at" : "give the server first, then the path";
    throw own === undefined
      ? new WrongInput(`${how}: ${words.join(" ")}`)
      : new WrongInput(how, own.commandLine(words));
  }
  const decoded = userPass && (percentDecoded(userPass) ?? userPass);
  return { target, host: authority, userPass: decoded?.replace(/^[^:]*$/, "$&:") };
}

function isSame(own: Endpoint, other: Endpoint): boolean {
  const nameOf = ({ host }: Endpoint) => LOCAL_NAMES.includes(host.toLowerCase()) ? "localhost" : host.toLowerCase();
  return own.secure === other.secure && own.port === other.port && nameOf(own) === nameOf(other);
}

/** curl's options with a value. */
const VALUED = [
  ...["request", "header", "user", "cookie", "user-agent", "referer", "url"],
  ...["data", "data-ascii", "data-raw", "data-binary", "json"],
];
/** Those without one. The last three are among what the command `curl` prints. */
const SWITCHES = [
  ...["head", "insecure", "location", "globoff", "silent", "show-error", "include", "verbose"],
  ...["show-headers", "compressed", "http1.1", "path-as-is"],
];
const LETTERS: Readonly<Record<string, string>> = {
  ...{ X: "request", H: "header", d: "data", u: "user", b: "cookie", A: "user-agent", e: "referer" },
  ...{ I: "head", k: "insecure", L: "location", g: "globoff", i: "include" },
  ...{ s: "silent", S: "show-error", v: "verbose" },
};

/** Reads a command of curl, without the word `curl`. What needs a shell, and options that are not read, are refused. */
export function readCurl(line: string, own: OwnServer | undefined): PastedCurl {
  const words = shellWords(line);
  if (words === undefined) throw new WrongInput("the line of curl goes on: a quote is not closed, or \\ is at its end");
  const { values, all, last, has } = optionsOf(words);
  const [url, ...more] = all("url");
  if (url === undefined || more.length > 0) throw new WrongInput(`curl takes one URL here, saw ${all("url").length}`);
  if (has("insecure") && /^https:/i.test(url)) throw new WrongInput(`in the place of -k: ${own?.insecureAdvice}`);
  const [glob] = has("globoff") ? [] : /[[\]{}]/.exec(url.replace(/^(?:\w+:\/\/)?(?:[^/]*@)?\[[^\]]*\]/, "")) ?? [];
  if (glob !== undefined) throw new WrongInput(`curl takes ${glob} in a URL for a list of them: add --globoff`);
  const parsed = readUrl(has("path-as-is") ? url : withoutDots(url), own);

  const data = values.flatMap(([name, value]) => dataOf(name, value));
  const isJson = last("json") !== undefined;
  const lines = all("header").map(fieldOf);
  const given = lines.map(([name]) => name.toLowerCase());
  const addLine = (name: string, value: string | undefined) => {
    if (value !== undefined && !given.includes(name.toLowerCase())) lines.push([name, value || undefined]);
  };
  const userPass = last("user") ?? parsed.userPass;
  if (userPass?.includes(":") === false) throw new WrongInput("-u takes USER:PASS");
  const cookies = all("cookie");
  const jar = cookies.find((cookie) => !cookie.includes("="));
  if (jar !== undefined) throw new WrongInput("-b takes NAME=VALUE here, and no file");
  addLine("Host", parsed.host);
  addLine("User-Agent", last("user-agent"));
  addLine("Referer", last("referer"));
  if (userPass !== undefined) addLine(...basicAuthorization(userPass));
  addLine("Cookie", cookies.length > 0 ? cookies.join("; ") : undefined);
  addLine("Accept-Encoding", has("compressed") ? "deflate, gzip, br, zstd" : undefined);
  addLine("Accept", isJson ? "application/json" : undefined);
  const isForm = data.length > 0 && !isJson;
  addLine("Content-Type", isForm ? "application/x-www-form-urlencoded" : isJson ? "application/json" : undefined);
  if (has("head") && data.length > 0) throw new WrongInput("curl takes either -I or data");
  return {
    ...parsed,
    method: last("request") ?? (has("head") ? "HEAD" : data.length > 0 ? "POST" : "GET"),
    fields: lines.filter(([name, value]) => !isTrueLength(name, value, data)).map(fieldWord),
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
function optionsOf(words: readonly string[]) {
  const values: [name: string, value: string][] = [];
  const rest = [...words];
  const add = (option: string, name: string, joined?: string) => {
    if (!VALUED.includes(name) && !SWITCHES.includes(name)) {
      throw new WrongInput(`${option} of curl is not read here, and nothing is sent`);
    }
    const value = SWITCHES.includes(name) ? "" : joined || rest.shift();
    if (value === undefined) throw new WrongInput(`${option} of curl needs a value`);
    values.push([name, value]);
  };
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word.startsWith("--")) add(word, word.slice(2));
    else if (/^-./.test(word)) {
      for (let i = 1; i < word.length; i++) {
        const name = LETTERS[word[i]];
        add(`-${word[i]}`, name, word.slice(i + 1));
        if (VALUED.includes(name)) break;
      }
    } else if (/^[–—]/.test(word)) throw new WrongInput(`${word[0]} is a dash of a word processor: write - or --`);
    else values.push(["url", word]);
  }
  const all = (name: string) => values.flatMap(([each, value]) => each === name ? value : []);
  return { values, all, last: (name: string) => all(name).at(-1), has: (name: string) => all(name).length > 0 };
}

function dataOf(option: string, value: string): PastedData[] {
  if (!/^(?:data|json)/.test(option)) return [];
  if (option === "data-raw" || !value.startsWith("@")) return [{ text: value }];
  return [{ file: value.slice(1), joinsLines: option === "data" || option === "data-ascii" }];
}

/** Reads `Name: value`; `Name:`, which removes a field, and `Name;`, which sends an empty one. */
function fieldOf(line: string): [name: string, value: string | undefined] {
  const [, name, value, semicolon] = /^([^\s:;@][^:;]*)(?::(.*)|(;))$/s.exec(line) ?? [];
  if (name === undefined) throw new WrongInput("-H takes 'Name: value'");
  return [name, semicolon === undefined ? value.trim() || undefined : ""];
}

/** Returns the field with a user's credentials: `Authorization: Basic …` (RFC 7617 §2). */
export function basicAuthorization(userPass: string): FieldLine {
  return ["Authorization", `Basic ${new TextEncoder().encode(userPass).toBase64()}`];
}

/** A field as it is typed: `Name: value`, `Name;` if it is empty, `Name:` for none of that name. */
export function textOfField([name, value]: readonly [name: string, value: string | undefined]): string {
  return value === undefined ? `${name}:` : value === "" ? `${name};` : `${name}: ${value}`;
}

export function fieldWord(field: readonly [name: string, value: string | undefined]): Word {
  const text = textOfField(field);
  const { length } = field[0];
  return { text, signs: hidden(field[0]) + text[length] + hidden(text.slice(length + 1)) };
}

/** Whether a field is a Content-Length that says what this program will say itself. */
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

/**
 * Returns the command for a POSIX shell, and for fish. Content from a file is read from it again; other binary content
 * is piped into the command from base 64.
 */
export function curlCommand(
  { method, target, fields, content }: HttpRequest,
  { secure, host, port }: Endpoint,
  contentFrom?: string,
): string {
  // A zone of an IPv6 address stands after an encoded % in a URL (RFC 6874 §2).
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
