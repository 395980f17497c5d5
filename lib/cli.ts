/**
 * The command line: arguments in, options or a usage error out.
 *
 * @module
 */

import { parseArgs, type ParseArgsConfig } from "node:util";
import type { Endpoint } from "./endpoint.ts";
import {
  CLIENT_TIMEOUT_MS,
  MAX_BODY_FLAG_BYTES,
  type MessageLimits,
  REQUEST_LIMITS,
  SERVER_LIMITS,
  type ServerLimits,
} from "./limits.ts";
import { DEFAULT_FIELDS, RowShape } from "./row_shape.ts";

/** The address that both ends use unless told otherwise. */
const DEFAULT_HOST = "127.0.0.1";
/** The port that both ends use unless told otherwise. */
const DEFAULT_PORT = 9999;

/** Arguments that make no sense. Its message is one line for the user. */
export class UsageError extends Error {
  /** Tells this error from others by name. */
  override name = "UsageError";
}

/** Where `serve` keeps its rows. */
export type StoreChoice = { readonly kind: "memory" } | { readonly kind: "sqlite"; readonly file: string };

/** What `serve` is asked to do. */
export interface ServeOptions {
  /** The address to listen on. */
  readonly host: string;
  /** The port to listen on; 0 for any free one. */
  readonly port: number;
  /** Where the rows are kept. */
  readonly store: StoreChoice;
  /** Which fields a row has. */
  readonly shape: RowShape;
  /** Whether nothing is printed for requests. */
  readonly quiet: boolean;
  /** Whether answers, and the connections' beginnings and ends, are printed too. */
  readonly verbose: boolean;
  /** How it is printed. */
  readonly logFormat: "text" | "json";
  /** Whether writes are refused. */
  readonly readOnly: boolean;
  /** Milliseconds that every answer is held back. */
  readonly delayMs: number;
  /** The origin whose pages may read answers, or `*`. */
  readonly cors: string | undefined;
  /** Further host names that requests may be for; `*` among them for any. */
  readonly allowHosts: readonly string[];
  /** Files with a certificate and its key: then the port speaks TLS. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined;
  /** A file with the token that requests must carry. */
  readonly tokenFile: string | undefined;
  /** Caps on each request. */
  readonly messageLimits: MessageLimits;
  /** Caps on connections and times. */
  readonly limits: ServerLimits;
}

/** Which parts of an exchange are shown: `H` and `B` of the request, `h` and `b` of the response. */
export type Parts = string;

/** When text is coloured: `auto` means at the prompt. */
export type ColorChoice = "auto" | "always" | "never";

/** What `connect` is asked to do. */
export interface ConnectOptions {
  /** The server. */
  readonly endpoint: Endpoint;
  /** The words of one command; empty to read commands from the input. */
  readonly command: readonly string[];
  /** Which fields a row has. */
  readonly shape: RowShape;
  /** What is shown; `undefined` for what fits the output. */
  readonly print: Parts | undefined;
  /** How long to wait for a server, in milliseconds. */
  readonly timeoutMs: number;
  /** A file with certificates to trust beside the usual ones. */
  readonly caFile: string | undefined;
  /** A file with the token to send. */
  readonly tokenFile: string | undefined;
  /** When to colour. */
  readonly color: ColorChoice;
}

/** What the command line asks for. */
export type Invocation =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "version" }
  | { readonly kind: "serve"; readonly options: ServeOptions }
  | { readonly kind: "connect"; readonly options: ConnectOptions };

interface Flag {
  readonly name: string;
  readonly short?: string;
  /** What stands for its value in the help; a flag without one is a switch. */
  readonly value?: string;
  readonly multiple?: boolean;
  readonly help: string;
}

const HELP: Flag = { name: "help", short: "h", help: "show this text" };

const SERVE_FLAGS: readonly Flag[] = [
  { name: "host", value: "ADDRESS", help: `the address to listen on (${DEFAULT_HOST})` },
  { name: "port", short: "p", value: "PORT", help: `the port, 0 for any free one (${DEFAULT_PORT})` },
  { name: "store", value: "STORE", help: "memory, or sqlite:FILE to keep the rows (memory)" },
  { name: "fields", value: "LIST", help: `a row's fields, as type,age:integer; '*' for any (${DEFAULT_FIELDS})` },
  { name: "quiet", short: "q", help: "print no requests" },
  { name: "verbose", short: "v", help: "print responses and connections too" },
  { name: "log-format", value: "FORMAT", help: "text or json (text)" },
  { name: "read-only", help: "refuse writes" },
  { name: "delay", value: "MS", help: "delay every response by MS milliseconds (0)" },
  { name: "cors", value: "ORIGIN", help: "let pages of this origin, or '*', read responses" },
  {
    name: "allow-host",
    value: "NAME",
    multiple: true,
    help: "answer for this host name too, or '*' for any; may be repeated",
  },
  { name: "cert", value: "FILE", help: "speak TLS with this certificate (PEM), needs --key" },
  { name: "key", value: "FILE", help: "the certificate's key (PEM)" },
  { name: "token-file", value: "FILE", help: "ask for the bearer token in this file" },
  {
    name: "max-body",
    value: "BYTES",
    help: `the largest content of a request (${REQUEST_LIMITS.maxContentBytes / 1024 ** 2}m)`,
  },
  { name: "max-head", value: "BYTES", help: `the largest head of a request (${REQUEST_LIMITS.maxHeadBytes / 1024}k)` },
  { name: "max-connections", value: "N", help: `connections at a time (${SERVER_LIMITS.maxConnections})` },
  {
    name: "idle-timeout",
    value: "SEC",
    help: `how long a connection may be without a request (${SERVER_LIMITS.idleTimeoutMs / 1000})`,
  },
  {
    name: "head-timeout",
    value: "SEC",
    help: `how long a request's head may take (${SERVER_LIMITS.headTimeoutMs / 1000})`,
  },
  HELP,
];

const CONNECT_FLAGS: readonly Flag[] = [
  { name: "fields", value: "LIST", help: `the fields that unnamed values fill, in order (${DEFAULT_FIELDS})` },
  {
    name: "print",
    value: "PARTS",
    help: "H B request head and body, h b response's (hb at a terminal, else b)",
  },
  { name: "timeout", value: "SEC", help: `how long to wait for the server (${CLIENT_TIMEOUT_MS / 1000})` },
  { name: "cacert", value: "FILE", help: "trust the certificates in this file too (PEM)" },
  { name: "token-file", value: "FILE", help: "send the bearer token in this file" },
  { name: "color", value: "WHEN", help: "auto, always or never (auto)" },
  HELP,
];

const MAIN_HELP = `\
wiretable: both ends of an HTTP/1.1 connection, with every byte in view

  wiretable serve   [flags]                        a JSON table behind a TCP port, which prints each request
  wiretable connect [ADDRESS] [COMMAND …] [flags]  a client on one connection, which prints each response
  wiretable serve --help | connect --help | --version
`;

const SERVE_HELP = `\
wiretable serve [flags]: a JSON table at http://${DEFAULT_HOST}:${DEFAULT_PORT}/, each row at /NAME

${describeFlags(SERVE_FLAGS)}
Sizes are in bytes, or as 16k or 1m. Ctrl-C finishes requests in flight, then stops.
`;

const CONNECT_HELP = `\
wiretable connect [ADDRESS] [COMMAND …] [flags]: talk to a server, at a prompt unless a COMMAND is given

ADDRESS is HOST:PORT, http://HOST:PORT or https://HOST (${DEFAULT_HOST}:${DEFAULT_PORT}).
COMMAND is as at the prompt: get all, post Pingping snail 1 0. Type help at the prompt for more.

${describeFlags(CONNECT_FLAGS)}
Exit code: 0 for a status below 400, 4 and 5 for those classes, 1 for wrong usage
or if no valid response came, 2 for a timeout, 130 for Ctrl-C.
`;

function describeFlags(flags: readonly Flag[]): string {
  return flags.map(({ name, short, value, help }) => {
    const left = `${short === undefined ? "    " : `-${short}, `}--${name}${value === undefined ? "" : ` ${value}`}`;
    return `  ${left.padEnd(27)} ${help}\n`;
  }).join("");
}

/**
 * Reads the program's arguments.
 *
 * @throws {UsageError} If they make no sense.
 */
export function parseCommandLine(args: readonly string[]): Invocation {
  const [command, ...rest] = args;
  switch (command) {
    case "serve": {
      const { values, positionals } = parseFlags(rest, SERVE_FLAGS);
      if (values.help) return { kind: "text", text: SERVE_HELP };
      if (positionals.length > 0) {
        throw new UsageError(`serve takes flags only, saw ${quote(positionals[0])}: see serve --help`);
      }
      return { kind: "serve", options: serveOptions(values) };
    }
    case "connect": {
      const { values, positionals } = parseFlags(rest, CONNECT_FLAGS);
      if (values.help) return { kind: "text", text: CONNECT_HELP };
      return { kind: "connect", options: connectOptions(values, positionals) };
    }
    case "--help":
    case "-h":
    case "help":
      return { kind: "text", text: MAIN_HELP };
    case "--version":
    case "-V":
      return { kind: "version" };
    case undefined:
      throw new UsageError("Expected serve or connect: see --help");
    default:
      throw new UsageError(`${quote(command)} is no command: serve and connect are, see --help`);
  }
}

type Values = { readonly [name: string]: string | boolean | string[] | undefined };

function parseFlags(args: string[], flags: readonly Flag[]): { values: Values; positionals: string[] } {
  const options: NonNullable<ParseArgsConfig["options"]> = {};
  for (const { name, short, value, multiple } of flags) {
    options[name] = {
      type: value === undefined ? "boolean" : "string",
      ...short && { short },
      ...multiple && { multiple },
    };
  }
  // A negative number is a value, not a flag. A NUL, which no argument can have, keeps parseArgs from taking
  // it for one.
  const shielded = args.map((arg) => /^-\.?\d/.test(arg) ? `\0${arg}` : arg);
  const unshield = (text: string) => text.replace(/^\0/, "");
  try {
    const { values, positionals } = parseArgs({ args: shielded, options, allowPositionals: true });
    const unshielded = Object.entries(values).map(([name, value]) => [
      name,
      typeof value === "string" ? unshield(value) : Array.isArray(value) ? value.map(String).map(unshield) : value,
    ]);
    return { values: Object.fromEntries(unshielded), positionals: positionals.map(unshield) };
  } catch (error) {
    // The first sentence says what is wrong; the others explain parseArgs.
    throw new UsageError(`${(error as Error).message.split(/\. |\n/)[0].replace(/\.$/, "")}: see --help`);
  }
}

function serveOptions(values: Values): ServeOptions {
  const { cert, key } = values;
  if ((cert === undefined) !== (key === undefined)) throw new UsageError("--cert and --key must be given together");
  if (values.quiet && values.verbose) throw new UsageError("--quiet and --verbose cannot be used together");
  return {
    host: listenHost(text(values, "host") ?? DEFAULT_HOST),
    port: wholeNumber(values, "port", 0, 65535) ?? DEFAULT_PORT,
    store: storeChoice(text(values, "store") ?? "memory"),
    shape: shapeOf(values),
    quiet: values.quiet === true,
    verbose: values.verbose === true,
    logFormat: oneOf(values, "log-format", ["text", "json"]) ?? "text",
    readOnly: values["read-only"] === true,
    delayMs: wholeNumber(values, "delay", 0, 600_000) ?? 0,
    cors: corsOrigin(text(values, "cors")),
    allowHosts: (values["allow-host"] as string[] | undefined ?? []).map(hostName),
    tls: cert === undefined ? undefined : { certFile: cert as string, keyFile: key as string },
    tokenFile: text(values, "token-file"),
    messageLimits: {
      ...REQUEST_LIMITS,
      maxContentBytes: byteCount(values, "max-body", 0, MAX_BODY_FLAG_BYTES) ?? REQUEST_LIMITS.maxContentBytes,
      ...headLimits(byteCount(values, "max-head", 256, 2 ** 20)),
    },
    limits: {
      ...SERVER_LIMITS,
      maxConnections: wholeNumber(values, "max-connections", 1, 1_000_000) ?? SERVER_LIMITS.maxConnections,
      idleTimeoutMs: milliseconds(values, "idle-timeout") ?? SERVER_LIMITS.idleTimeoutMs,
      headTimeoutMs: milliseconds(values, "head-timeout") ?? SERVER_LIMITS.headTimeoutMs,
    },
  };
}

/** A target can be no longer than the head that holds it, and may be long if the head may be large. */
function headLimits(
  maxHeadBytes = REQUEST_LIMITS.maxHeadBytes,
): Pick<MessageLimits, "maxHeadBytes" | "maxTargetBytes"> {
  return { maxHeadBytes, maxTargetBytes: Math.max(REQUEST_LIMITS.maxTargetBytes, Math.floor(maxHeadBytes / 2)) };
}

function connectOptions(values: Values, positionals: string[]): ConnectOptions {
  const hasAddress = positionals.length > 0 && looksLikeAddress(positionals[0]);
  const print = text(values, "print");
  if (print !== undefined && !/^[HBhb]*$/.test(print)) {
    throw new UsageError(`--print takes letters of HBhb, saw ${quote(print)}`);
  }
  return {
    endpoint: parseAddress(hasAddress ? positionals[0] : `${DEFAULT_HOST}:${DEFAULT_PORT}`),
    command: hasAddress ? positionals.slice(1) : positionals,
    shape: shapeOf(values),
    print,
    timeoutMs: milliseconds(values, "timeout") ?? CLIENT_TIMEOUT_MS,
    caFile: text(values, "cacert"),
    tokenFile: text(values, "token-file"),
    color: oneOf(values, "color", ["auto", "always", "never"]) ?? "auto",
  };
}

/** Commands are words; an address has a colon or a dot, or is localhost. */
function looksLikeAddress(word: string): boolean {
  return word === "localhost" || /[.:]/.test(word);
}

/**
 * Reads HOST, HOST:PORT, http://HOST:PORT or https://HOST:PORT.
 *
 * @throws {UsageError} If it is none of these.
 */
export function parseAddress(address: string): Endpoint {
  const hasScheme = /^https?:\/\//i.test(address);
  const url = URL.parse(hasScheme ? address : `http://${address}`);
  if (url === null || url.username !== "" || url.password !== "" || url.hostname === "") {
    throw new UsageError(`${quote(address)} is no address: expected HOST:PORT, http://HOST:PORT or https://HOST:PORT`);
  }
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "") {
    throw new UsageError(`The address is ${url.host}; give the path to the command: get ${url.pathname}${url.search}`);
  }
  const secure = url.protocol === "https:";
  // A URL drops the port that its scheme implies; without a scheme none is implied.
  const impliedPort = secure ? 443 : hasScheme || /:0*80$/.test(address) ? 80 : DEFAULT_PORT;
  const host = url.hostname.startsWith("[") ? url.hostname.slice(1, -1) : url.hostname;
  return { secure, host, port: url.port === "" ? impliedPort : Number(url.port) };
}

function listenHost(host: string): string {
  if (!/^[^:]*:\d*$/.test(host)) return host;
  throw new UsageError(`--host takes an address without a port, which --port gives, saw ${quote(host)}`);
}

function storeChoice(store: string): StoreChoice {
  if (store === "memory") return { kind: "memory" };
  const file = store.startsWith("sqlite:") ? store.slice("sqlite:".length) : "";
  if (file !== "") return { kind: "sqlite", file };
  throw new UsageError(`--store is memory or sqlite:FILE, saw ${quote(store)}`);
}

function shapeOf(values: Values): RowShape {
  try {
    return RowShape.parse(text(values, "fields") ?? DEFAULT_FIELDS);
  } catch (error) {
    throw new UsageError(`--fields: ${(error as Error).message}`);
  }
}

function corsOrigin(origin: string | undefined): string | undefined {
  if (origin === undefined || origin === "*") return origin;
  if (URL.parse(origin)?.origin === origin) return origin;
  throw new UsageError(`--cors takes an origin, such as http://localhost:3000, or '*', saw ${quote(origin)}`);
}

function hostName(host: string): string {
  if (host === "*" || /^[\w-]+(?:\.[\w-]+)*$/.test(host)) return host;
  throw new UsageError(`--allow-host takes a host name without a port, or '*', saw ${quote(host)}`);
}

function text(values: Values, name: string): string | undefined {
  return values[name] as string | undefined;
}

function oneOf<T extends string>(values: Values, name: string, choices: readonly T[]): T | undefined {
  const value = text(values, name);
  if (value === undefined || choices.includes(value as T)) return value as T | undefined;
  throw new UsageError(`--${name} is ${choices.join(" or ")}, saw ${quote(value)}`);
}

function wholeNumber(values: Values, name: string, least: number, most: number): number | undefined {
  const value = text(values, name);
  if (value === undefined) return undefined;
  const number = /^\d{1,15}$/.test(value) ? Number(value) : NaN;
  if (number >= least && number <= most) return number;
  throw new UsageError(`--${name} takes a whole number from ${least} to ${most}, saw ${quote(value)}`);
}

/** Seconds, with a fraction if need be. */
function milliseconds(values: Values, name: string): number | undefined {
  const value = text(values, name);
  if (value === undefined) return undefined;
  const seconds = /^\d{1,6}(?:\.\d{1,3})?$/.test(value) ? Number(value) : NaN;
  if (seconds > 0 && seconds <= 86_400) return seconds * 1000;
  throw new UsageError(`--${name} takes seconds, more than 0 and at most 86400, saw ${quote(value)}`);
}

function byteCount(values: Values, name: string, least: number, most: number): number | undefined {
  const value = text(values, name);
  if (value === undefined) return undefined;
  const [, digits, unit = ""] = /^(\d{1,12})([kmg]?)$/i.exec(value) ?? [];
  const bytes = Number(digits) * 1024 ** ["", "k", "m", "g"].indexOf(unit.toLowerCase());
  if (bytes >= least && bytes <= most) return bytes;
  throw new UsageError(`--${name} takes bytes from ${least} to ${most}, such as 64k or 1m, saw ${quote(value)}`);
}

function quote(text: string): string {
  return JSON.stringify(text);
}
