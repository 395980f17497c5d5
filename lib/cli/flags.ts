/**
 * The flags of all commands with their values and help, and the parser for them.
 *
 * @module
 */

import { parseArgs, type ParseArgsConfig } from "node:util";
import { DEFAULT_HOST, DEFAULT_PORT, type Endpoint } from "../address.ts";
import { nearest } from "../bytes.ts";
import {
  CLIENT_TIMEOUT_MS,
  MAX_BODY_FLAG_BYTES,
  PAGE_HISTORY_EVENTS,
  REQUEST_LIMITS,
  SERVER_LIMITS,
} from "../limits.ts";
import { corsOrigin, hostName, listenHost, PAGE_PORT, RELAY_PORT, serverAddress } from "./addresses.ts";
import { insecureAdvice } from "./program.ts";
import { byteCount, milliseconds, oneOf, quote, UsageError, wholeNumber, wholeNumbers } from "./values.ts";

/** The default fields: those of the classroom's animals. */
export const DEFAULT_FIELDS: string = "type,age,leg";

/** A flag of a command: how it is typed and described, and how its value becomes an option. */
export interface Flag<Value = unknown> {
  /** The name, without hyphens. */
  readonly name: string;
  /** The help, one line. */
  readonly help: string;
  /** The one-letter form, if any. */
  readonly short?: string;
  /** The placeholder of the value in the help; a flag without one is a switch. */
  readonly value?: string;
  /** Whether the flag may be repeated. */
  readonly multiple?: boolean;
  /** The accepted values, if they are few. */
  readonly choices?: readonly string[];
  /** How the named file is accessed. */
  readonly file?: "read" | "write" | "both";
  /** Converts what was given, `undefined` if nothing was, into the option. */
  readonly option: (given: Given) => Value;
}

/** What was given for a flag: its value or values, `true` for a switch, `undefined` if it was not given. */
export type Given = string | boolean | string[] | undefined;

/** The flags of a command, by the names of the options that they become. */
export type FlagTable = { readonly [option: string]: Flag };

/** The options that a table of flags gives. */
export type Options<Table extends FlagTable> = {
  readonly [Option in keyof Table]: Table[Option] extends Flag<infer Value> ? Value : never;
};

type Shape = Pick<Flag, "short" | "file">;

/** Creates a flag with a value; `or` is the option without it. */
function valueFlag<Value = string, const Default = undefined>(
  name: string,
  value: string,
  help: string,
  { read = (text) => text as Value, or, ...shape }:
    & { readonly read?: (text: string, flag: string) => Value; readonly or?: Default }
    & Shape = {},
): Flag<Value | Default> {
  const option = (given: Given) => given === undefined ? or as Default : read(given as string, `--${name}`);
  return { name, value, help, ...shape, option };
}

/** Creates a flag with one of a few values; `or` is the option without it. */
function choiceFlag<const Choice extends string, const Default extends string>(
  name: string,
  value: string,
  help: string,
  { choices, or }: { readonly choices: readonly Choice[]; readonly or: Default },
): Flag<Choice | Default> {
  return { ...valueFlag(name, value, help, { read: oneOf(choices), or }), choices };
}

/** Creates a flag without a value. */
function switchFlag(name: string, help: string, shape: Shape = {}): Flag<boolean> {
  return { name, help, ...shape, option: (given) => given === true };
}

/** Creates a flag that names a file. */
function fileFlag(name: string, file: Flag["file"], help: string, value: string = "FILE"): Flag<string | undefined> {
  return valueFlag(name, value, help, { file });
}

const COLOR = choiceFlag("color", "WHEN", "auto (at a terminal), always or never (auto)", {
  choices: ["auto", "always", "never"],
  or: "auto",
});
const CA_FILE = fileFlag("cacert", "read", "trust the certificates in this file too (PEM)");
const CONNECTION = (help: string) => valueFlag("connection", "N", help, { read: wholeNumber(1, 1_000_000_000) });
const FIELDS = (help: string) => valueFlag("fields", "LIST", `${help} (${DEFAULT_FIELDS})`, { or: DEFAULT_FIELDS });
const RECORD_FILE = fileFlag("record", "write", "a new file for the traffic, for Wireshark (pcapng)");
const SHOW_CREDENTIALS = (verb: string) =>
  switchFlag("show-credentials", `${verb} values of Authorization, Cookie and the like`);
const TIMEOUT = (help: string) =>
  valueFlag("timeout", "SEC", `${help} (${CLIENT_TIMEOUT_MS / 1000})`, { read: milliseconds, or: CLIENT_TIMEOUT_MS });
const TOKEN_FILE = (help: string) => fileFlag("token-file", "read", help);

/** What the bytes of `--max-buffered` hold of what passes a relay. */
const BUFFERED = "memory for what waits, in both directions";
const PAGE = (what: string) =>
  valueFlag("page", "[PORT]", `${what}, on loopback (${PAGE_PORT}, or any)`, {
    read: (text, flag) => text === "" ? "default" as const : wholeNumber(0, 65535)(text, flag),
  });
const PAGE_HISTORY = (what: string) =>
  valueFlag("page-history", "N", `${what} (${PAGE_HISTORY_EVENTS})`, { read: wholeNumber(1, 1_000_000) });

/** The flag that every command has. */
export const HELP_FLAG: Flag<boolean> = switchFlag("help", "show this text", { short: "h" });

/** The flags of `serve`. */
export const SERVE_FLAGS = {
  host: valueFlag("host", "ADDRESS", `the address to listen on (${DEFAULT_HOST})`, {
    read: listenHost,
    or: DEFAULT_HOST,
  }),
  port: valueFlag("port", "PORT", `the port, 0 for any free one (${DEFAULT_PORT})`, {
    read: wholeNumber(0, 65535),
    or: DEFAULT_PORT,
    short: "p",
  }),
  store: valueFlag("store", "STORE", "memory, sqlite:FILE, etcd:URL,URL/PREFIX (memory)", { or: "memory" }),
  rowsFile: fileFlag("rows", "read", "fill an empty table: of get all, or a row a line"),
  fields: FIELDS("fields as type,age:integer, or '*'"),
  quiet: switchFlag("quiet", "print no requests", { short: "q" }),
  verbose: switchFlag("verbose", "print responses and connections too", { short: "v" }),
  showCredentials: SHOW_CREDENTIALS("print"),
  logFormat: choiceFlag("log-format", "FORMAT", "text, or json: a line for each exchange (text)", {
    choices: ["text", "json"],
    or: "text",
  }),
  page: PAGE("a page of the traffic"),
  recordFile: RECORD_FILE,
  pageHistory: PAGE_HISTORY("events that the page keeps"),
  readOnly: switchFlag("read-only", "refuse writes"),
  delayMs: valueFlag("delay", "MS", "delay responses: 100, or 100-900 (milliseconds)", {
    read: wholeNumbers(0, 600_000),
    or: 0,
  }),
  cors: valueFlag("cors", "ORIGIN", "let pages of this origin, or '*', read responses", { read: corsOrigin }),
  allowHosts: {
    name: "allow-host",
    value: "NAME",
    multiple: true,
    help: "answer for this host too, '*' for any; repeatable",
    option: (given) => (given as string[] | undefined ?? []).map(hostName),
  } as Flag<string[]>,
  certFile: fileFlag("cert", "read", "speak TLS with this certificate (PEM), needs --key"),
  keyFile: fileFlag("key", "read", "the certificate's key (PEM)"),
  tokenFile: TOKEN_FILE("require a bearer token of this file, one a line"),
  etcdCaFile: fileFlag("etcd-cacert", "read", "authorities of etcd's certificates to trust (PEM)"),
  etcdCertFile: fileFlag("etcd-cert", "read", "show etcd this certificate (PEM), needs --etcd-key"),
  etcdKeyFile: fileFlag("etcd-key", "read", "its key (PEM)"),
  etcdUserFile: fileFlag("etcd-user-file", "read", "log in to etcd with the USER:PASSWORD in this file"),
  maxBody: valueFlag(
    "max-body",
    "BYTES",
    `the largest content, and the largest row (${REQUEST_LIMITS.maxContentBytes / 1024 ** 2}m)`,
    { read: byteCount(0, MAX_BODY_FLAG_BYTES), or: REQUEST_LIMITS.maxContentBytes },
  ),
  maxHead: valueFlag("max-head", "BYTES", `the largest head of a request (${REQUEST_LIMITS.maxHeadBytes / 1024}k)`, {
    read: byteCount(256, 2 ** 20),
    or: REQUEST_LIMITS.maxHeadBytes,
  }),
  maxBuffered: valueFlag(
    "max-buffered",
    "BYTES",
    `memory for content, responses and listings (${SERVER_LIMITS.maxBufferedBytes / 1024 ** 2}m)`,
    { read: byteCount(64 * 1024, 2 ** 40), or: SERVER_LIMITS.maxBufferedBytes },
  ),
  maxConnections: valueFlag("max-connections", "N", `connections at a time (${SERVER_LIMITS.maxConnections})`, {
    read: wholeNumber(1, 1_000_000),
    or: SERVER_LIMITS.maxConnections,
  }),
  idleTimeoutMs: valueFlag(
    "idle-timeout",
    "SEC",
    `how long a connection may be idle (${SERVER_LIMITS.idleTimeoutMs / 1000})`,
    { read: milliseconds, or: SERVER_LIMITS.idleTimeoutMs },
  ),
  headTimeoutMs: valueFlag(
    "head-timeout",
    "SEC",
    `how long a request's head may take (${SERVER_LIMITS.headTimeoutMs / 1000})`,
    { read: milliseconds, or: SERVER_LIMITS.headTimeoutMs },
  ),
};

/** The flags of `relay`. */
export const RELAY_FLAGS = {
  host: SERVE_FLAGS.host,
  port: valueFlag("port", "PORT", `the port, 0 for any free one (${RELAY_PORT})`, {
    read: wholeNumber(0, 65535),
    or: RELAY_PORT,
    short: "p",
  }),
  keepHost: switchFlag("keep-host", "pass Host as it is, instead of the server's name"),
  quiet: switchFlag("quiet", "print no messages", { short: "q" }),
  verbose: switchFlag("verbose", "print a line on each connection, too", { short: "v" }),
  showCredentials: SERVE_FLAGS.showCredentials,
  explain: switchFlag("explain", "explain each octet of each exchange"),
  logFormat: SERVE_FLAGS.logFormat,
  page: SERVE_FLAGS.page,
  recordFile: RECORD_FILE,
  certFile: SERVE_FLAGS.certFile,
  keyFile: SERVE_FLAGS.keyFile,
  caFile: CA_FILE,
  timeoutMs: TIMEOUT("for connecting; if given, for answers too"),
  maxBuffered: { ...SERVE_FLAGS.maxBuffered, help: SERVE_FLAGS.maxBuffered.help.replace(/.*(?= \()/, BUFFERED) },
  maxConnections: {
    ...SERVE_FLAGS.maxConnections,
    help: SERVE_FLAGS.maxConnections.help.replace("connections at a time", "two descriptors each, four with https"),
  },
  idleTimeoutMs: SERVE_FLAGS.idleTimeoutMs,
  headTimeoutMs: SERVE_FLAGS.headTimeoutMs,
};

/** The flags of `connect`. */
export const CONNECT_FLAGS = {
  port: valueFlag("port", "PORT", `the port, where ADDRESS names none (${DEFAULT_PORT})`, {
    read: wholeNumber(1, 65535),
    short: "p",
  }),
  fields: FIELDS("fields that values fill, in order"),
  print: valueFlag("print", "PARTS", "request H head B body, response h b (hb; piped b)", { read: messageParts }),
  verbose: switchFlag("verbose", "show requests too (HBhb), and each read and write", { short: "v" }),
  pretty: choiceFlag("pretty", "WHAT", "all: indent and colour JSON, piped too; or none", {
    choices: ["all", "none"],
    or: "auto",
  }),
  showCredentials: SHOW_CREDENTIALS("show"),
  historyFile: fileFlag("history", "both", "keep the lines typed at the prompt in this file"),
  explain: switchFlag("explain", "explain each octet of each exchange"),
  recordFile: RECORD_FILE,
  rawFile: fileFlag("raw", "read", "send the octets of this file unchanged", "FILE|-"),
  crlf: switchFlag("crlf", "with --raw: a bare \\n outside content as \\r\\n"),
  timeoutMs: TIMEOUT("how long to wait for the server"),
  caFile: CA_FILE,
  tokenFile: TOKEN_FILE("send the first bearer token in this file"),
  color: COLOR,
};

/** The flags of `explain`. */
export const EXPLAIN_FLAGS = {
  answers: valueFlag("answers", "METHODS", "methods that the responses answer: HEAD,GET (GET)", {
    read: methodList,
    or: [],
  }),
  connection: CONNECTION("explain only the capture's connection N"),
  page: PAGE("a page of the capture"),
  pageHistory: PAGE_HISTORY("events that the page shows, the first ones"),
  showCredentials: SHOW_CREDENTIALS("show"),
  all: switchFlag("all", "show all content and chunks, not a screenful"),
  list: switchFlag("list", "one line for each exchange, or message"),
  json: switchFlag("json", "one line of JSON for each exchange"),
  crlf: switchFlag("crlf", "read each bare \\n outside of content as \\r\\n"),
  color: COLOR,
};

/** The flags of `replay`. */
export const REPLAY_FLAGS = {
  to: valueFlag("to", "ADDRESS", "the server (the recorded one, if on this machine)", { read: replayTarget }),
  fast: switchFlag("fast", "make no pauses"),
  json: switchFlag("json", "one line of JSON for each exchange"),
  connection: CONNECTION("replay only the recording's connection N"),
  timeoutMs: TIMEOUT("how long to wait for an answer"),
  caFile: CA_FILE,
  color: COLOR,
};

function messageParts(text: string, flag: string): string {
  if (/^[HBhb]*$/.test(text)) return text;
  throw new UsageError(`${flag} takes letters of HBhb, saw ${quote(text)}`);
}

function methodList(text: string, flag: string): string[] {
  const methods = text.split(",");
  const wrong = methods.find((method) => !/^[A-Z]+$/.test(method));
  if (wrong !== undefined) throw new UsageError(`${flag} takes methods such as HEAD,GET, saw ${quote(wrong)}`);
  return methods;
}

function replayTarget(text: string, flag: string): Endpoint {
  return serverAddress(text, flag, "requests are sent as they were recorded");
}

/** Parsed arguments of a command. */
export interface Parsed<Table extends FlagTable> {
  /** The option of each flag. */
  readonly options: Options<Table>;
  /** Whether only the help is asked for. */
  readonly help: boolean;
  /** The names of the flags that were given, without hyphens. */
  readonly given: ReadonlySet<string>;
  /** The arguments that are no flags. */
  readonly positionals: string[];
  /** The files that flags name, to read or to write. */
  readonly files: { readonly read: string[]; readonly write: string[] };
}

/**
 * Parses flags and positional arguments.
 *
 * @throws {UsageError} If a flag is unknown, lacks its value, or has an invalid one.
 */
export function parseFlags<Table extends FlagTable>(args: string[], table: Table): Parsed<Table> {
  const flags = Object.entries<Flag>({ ...table, help: HELP_FLAG });
  const config = Object.fromEntries(flags.map(([, { name, short, value, multiple }]) => [
    name,
    { type: value === undefined ? "boolean" : "string", ...short && { short }, ...multiple && { multiple } },
  ])) as ParseArgsConfig["options"];
  // A negative number is a value, not a flag. The prefix NUL, which no argument can contain, hides it from parseArgs.
  const shielded = args.map((arg) => /^-\.?\d/.test(arg) ? `\0${arg}` : arg);
  const unshield = (text: string) => text.replace(/^\0/, "");
  const { values, positionals } = parsedArgs(shielded, config, flags.map(([, { name }]) => name));
  const files = { read: [] as string[], write: [] as string[] };
  const options = Object.entries(table).map(([option, flag]) => {
    const value = values[flag.name];
    const given = typeof value === "string" ? unshield(value) : Array.isArray(value) ? value.map(unshield) : value;
    if (flag.file !== undefined && typeof given === "string" && given !== "-") {
      if (flag.file !== "write") files.read.push(given);
      if (flag.file !== "read") files.write.push(given);
    }
    return [option, values.help ? undefined : flag.option(given)];
  });
  return {
    options: Object.fromEntries(options),
    help: values.help === true,
    given: new Set(Object.keys(values)),
    positionals: positionals.map(unshield),
    files,
  };
}

function parsedArgs(args: string[], options: ParseArgsConfig["options"], names: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    return { values: values as { readonly [name: string]: Given }, positionals };
  } catch (error) {
    // The first sentence has the reason; the others explain parseArgs.
    const message = (error as Error).message.split(/\. |\n/)[0].replace(/\.$/, "");
    const unknown = /^Unknown option '--([^']+)'/.exec(message)?.[1];
    const near = unknown && nearest(unknown, names);
    const hint = near ? `did you mean --${near}? ` : INSECURE.test(message) ? `${insecureAdvice()}, ` : "";
    throw new UsageError(`${message}: ${hint}see --help`);
  }
}

/** Other programs' flags to accept any certificate: this one cannot do so for one connection. */
const INSECURE = /'(?:--insecure|--verify|-k)'/;
