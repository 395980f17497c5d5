/** The flags of all commands with their values and help, and the parser for them. */

import { parseArgs, type ParseArgsConfig } from "node:util";
import { DEFAULT_HOST, DEFAULT_PORT } from "../address.ts";
import { nearest } from "../bytes.ts";
import {
  CLIENT_TIMEOUT_MS,
  LARGEST_BODY_BYTES,
  PAGE_HISTORY_EVENTS,
  REQUEST_LIMITS,
  SERVER_LIMITS,
} from "../limits.ts";
import { corsOrigin, hostName, listenHost, PAGE_PORT, RELAY_PORT, serverAddress } from "./addresses.ts";
import { insecureAdvice } from "./program.ts";
import { byteCount, milliseconds, quote, UsageError, wholeNumber, wholeNumbers } from "./values.ts";

/** The default fields: those of the classroom's animals. */
export const DEFAULT_FIELDS: string = "type,age,leg";

/** A flag of a command: how it is typed and described, and how its value becomes an option. */
export interface Flag<Value = unknown> {
  /** The name, without hyphens. */
  readonly name: string;
  /** The help, one line. */
  readonly help: string;
  /** The group in the help of a command with many flags; by default none. */
  readonly group?: string;
  /** The one-letter form, if any. */
  readonly short?: string;
  /** The placeholder of the value in the help, in brackets if it is optional; a flag without one is a switch. */
  readonly value?: string;
  /** The accepted values, if they are few. */
  readonly choices?: readonly string[];
  /** How the named file is accessed. */
  readonly file?: "read" | "write" | "both";
  /** Converts what was given, `undefined` if nothing was, into the option. */
  readonly option: (given: Given) => Value;
}

/** The values that were given for a flag, none for a switch; `undefined` if the flag was not given. */
export type Given = readonly string[] | undefined;

/** The flags of a command, by the names of the options that they become. */
export type FlagTable = { readonly [option: string]: Flag };

/** The options that a table of flags gives. */
export type Options<Table extends FlagTable> = {
  readonly [Option in keyof Table]: Table[Option] extends Flag<infer Value> ? Value : never;
};

type Read<Value> = (text: string, flag: string) => Value;

/** Takes a flag apart that is given as it is typed: `-p, --port PORT`. */
function shapeOf(group: string | undefined, typed: string, help: string): Omit<Flag, "option"> {
  const [, short, name, value] = /^(?:-(\w), )?--([\w-]+)(?: (.+))?$/.exec(typed)!;
  return { name, short, value, help, group };
}

function toggle(group: string | undefined, typed: string, help: string): Flag<boolean> {
  return { ...shapeOf(group, typed, help), option: (given) => given !== undefined };
}

/** Creates a flag with a value; `or` is the option without it. */
function valued<Value = string, const Default = undefined>(
  group: string | undefined,
  typed: string,
  help: string,
  read: Read<Value> = (text) => text as Value,
  or?: Default,
): Flag<Value | Default> {
  const shape = shapeOf(group, typed, help);
  const option = (given: Given) => given === undefined ? or as Default : read(given.at(-1)!, `--${shape.name}`);
  return { ...shape, option };
}

/** Creates a flag with a value that has a default: its help names it as it would be given. */
function preset<Value = string>(
  group: string | undefined,
  typed: string,
  help: string,
  or: string | number,
  read: Read<Value> = (text) => text as Value,
): Flag<Value> {
  return valued(group, typed, `${help} (${or})`, read, read(String(or), typed));
}

function sized(typed: string, help: string, or: number, least: number, most: number): Flag<number> {
  const size = or % 1024 ** 2 === 0 ? `${or / 1024 ** 2}m` : `${or / 1024}k`;
  return preset(LIMITS, typed, help, size, byteCount(least, most));
}

function timed(typed: string, help: string, orMs: number): Flag<number> {
  return preset(LIMITS, typed, help, orMs / 1000, milliseconds);
}

/** Creates a flag with one of a few values; `or` is the option without it. */
function choice<const Choice extends string, const Default extends string = Choice>(
  typed: string,
  help: string,
  choices: readonly Choice[],
  or: Choice | Default = choices[0],
): Flag<Choice | Default> {
  const read = (text: string, flag: string) => {
    const found = choices.find((one) => one === text);
    if (found !== undefined) return found;
    throw new UsageError(`${flag} is ${choices.join(" or ")}, saw ${quote(text)}`);
  };
  return { ...valued(SHOWN, typed, help, read, or), choices };
}

function filed(group: string, typed: string, file: Flag["file"], help: string): Flag<string | undefined> {
  return { ...valued(group, typed, help), file };
}

const { maxContentBytes, maxHeadBytes } = REQUEST_LIMITS;
const { maxBufferedBytes, maxConnections, idleTimeoutMs, headTimeoutMs } = SERVER_LIMITS;

// The groups in the help.
const ADDRESS = "Address";
const ROWS = "Rows";
const SHOWN = "What is shown and kept";
const ANSWERED = "Who is answered, and how";
const TLS = "TLS";
const ETCD = "etcd";
const LIMITS = "Limits";
const SERVER = "Server";
const SENT = "What is sent";
const FEW = undefined;

const CA_FILE = (group: string) =>
  filed(group, "--cacert FILE", "read", "trust the certificates in this file too (PEM)");
const COLOR = choice("--color WHEN", "auto (at a terminal), always or never (auto)", ["auto", "always", "never"]);
const DELAY = wholeNumbers(0, 600_000);
const CONNECTION = (help: string) => valued(FEW, "--connection N", help, wholeNumber(1, 1_000_000_000));
const EXPLAIN = toggle(SHOWN, "--explain", "explain each octet of each exchange");
const JSON_LINES = toggle(FEW, "--json", "one line of JSON for each exchange");
const MAX_BUFFERED = (help: string) => sized("--max-buffered BYTES", help, maxBufferedBytes, 2 ** 16, 2 ** 40);
const MAX_CONNECTIONS = (help: string) =>
  preset(LIMITS, "--max-connections N", help, maxConnections, wholeNumber(1, 1_000_000));
const PAGE = (help: string) =>
  valued(SHOWN, "--page [PORT]", `${help} in a browser (${PAGE_PORT}, or any free port)`, (text, flag) => {
    return { port: text === "" ? undefined : wholeNumber(0, 65535)(text, flag) };
  });
const PAGE_HISTORY = (help: string) =>
  valued(SHOWN, "--page-history N", `${help} (${PAGE_HISTORY_EVENTS})`, wholeNumber(1, 1_000_000));
const PORT = (or: number) =>
  preset(ADDRESS, "-p, --port PORT", "the port, 0 for any free one", or, wholeNumber(0, 65535));
const RECORD_FILE = filed(SHOWN, "--record FILE", "write", "a new file for the traffic, for Wireshark (pcapng)");
const TIMEOUT_SECONDS = CLIENT_TIMEOUT_MS / 1000;
const SHOW_CREDENTIALS = (verb: string) =>
  toggle(SHOWN, "--show-credentials", `${verb} values of Authorization, Cookie and the like`);

/** The flag that every command has. */
export const HELP_FLAG: Flag<boolean> = toggle(FEW, "-h, --help", "show this text");

/** The flags of `serve`. */
export const SERVE_FLAGS = {
  host: preset(ADDRESS, "--host ADDRESS", "the address to listen on", DEFAULT_HOST, listenHost),
  port: PORT(DEFAULT_PORT),
  store: preset(ROWS, "--store STORE", "memory, sqlite:FILE, etcd:URL,URL/PREFIX", "memory"),
  rowsFile: filed(ROWS, "--rows FILE", "read", "fill an empty table: of get all, or a row a line"),
  fields: preset(ROWS, "--fields LIST", "fields as type,age:integer, or '*'", DEFAULT_FIELDS),
  quiet: toggle(SHOWN, "-q, --quiet", "print no requests"),
  verbose: toggle(SHOWN, "-v, --verbose", "print responses and connections too"),
  showCredentials: SHOW_CREDENTIALS("print"),
  logFormat: choice("--log-format FORMAT", "text, or json: a line for each exchange (text)", ["text", "json"]),
  page: PAGE("live traffic"),
  recordFile: RECORD_FILE,
  pageHistory: PAGE_HISTORY("events that the page keeps"),
  readOnly: toggle(ANSWERED, "--read-only", "refuse writes"),
  delayMs: valued(ANSWERED, "--delay MS", "delay responses: 100, or 100-900 (milliseconds)", DELAY, 0),
  cors: valued(ANSWERED, "--cors ORIGIN", "let pages of this origin, or '*', read responses", corsOrigin),
  allowHosts: {
    ...shapeOf(ANSWERED, "--allow-host NAME", "answer for this host too, '*' for any; repeatable"),
    option: (given = []) => given.map(hostName),
  } as Flag<string[]>,
  certFile: filed(TLS, "--cert FILE", "read", "speak TLS with this certificate (PEM), needs --key"),
  keyFile: filed(TLS, "--key FILE", "read", "the certificate's key (PEM)"),
  tokenFile: filed(ANSWERED, "--token-file FILE", "read", "require a bearer token of this file, one a line"),
  etcdCaFile: filed(ETCD, "--etcd-cacert FILE", "read", "authorities of etcd's certificates to trust (PEM)"),
  etcdCertFile: filed(ETCD, "--etcd-cert FILE", "read", "show etcd this certificate (PEM), needs --etcd-key"),
  etcdKeyFile: filed(ETCD, "--etcd-key FILE", "read", "its key (PEM)"),
  etcdUserFile: filed(ETCD, "--etcd-user-file FILE", "read", "log in to etcd with the USER:PASSWORD in this file"),
  maxBody: sized(
    "--max-body BYTES",
    "the largest content, and the largest row",
    maxContentBytes,
    0,
    LARGEST_BODY_BYTES,
  ),
  maxHead: sized("--max-head BYTES", "the largest head of a request", maxHeadBytes, 256, 2 ** 20),
  maxBuffered: MAX_BUFFERED("memory for content, responses and listings"),
  maxConnections: MAX_CONNECTIONS("connections at a time"),
  idleTimeoutMs: timed("--idle-timeout SEC", "how long a connection may be idle", idleTimeoutMs),
  headTimeoutMs: timed("--head-timeout SEC", "how long a request's head may take", headTimeoutMs),
};

/** The flags of `relay`. */
export const RELAY_FLAGS = {
  host: SERVE_FLAGS.host,
  port: PORT(RELAY_PORT),
  keepHost: toggle(ADDRESS, "--keep-host", "pass Host as it is, instead of the server's name"),
  quiet: toggle(SHOWN, "-q, --quiet", "print no messages"),
  verbose: toggle(SHOWN, "-v, --verbose", "print a line on each connection, too"),
  showCredentials: SERVE_FLAGS.showCredentials,
  explain: EXPLAIN,
  logFormat: SERVE_FLAGS.logFormat,
  page: SERVE_FLAGS.page,
  recordFile: RECORD_FILE,
  certFile: SERVE_FLAGS.certFile,
  keyFile: SERVE_FLAGS.keyFile,
  caFile: CA_FILE(TLS),
  timeoutMs: valued(
    LIMITS,
    "--timeout SEC",
    `for connecting; if given, for answers too (${TIMEOUT_SECONDS})`,
    milliseconds,
  ),
  maxBuffered: MAX_BUFFERED("memory for what waits, in both directions"),
  maxConnections: MAX_CONNECTIONS("two descriptors each, four with https"),
  idleTimeoutMs: SERVE_FLAGS.idleTimeoutMs,
  headTimeoutMs: SERVE_FLAGS.headTimeoutMs,
};

/** The flags of `connect`. */
export const CONNECT_FLAGS = {
  port: valued(
    SERVER,
    "-p, --port PORT",
    `the port, where ADDRESS names none (${DEFAULT_PORT})`,
    wholeNumber(1, 65535),
  ),
  fields: valued(SENT, "--fields LIST", `fields that values fill, in order (${DEFAULT_FIELDS})`),
  print: valued(SHOWN, "--print PARTS", "parts: request H B, response h b (hb; piped: b)", messageParts),
  verbose: toggle(SHOWN, "-v, --verbose", "show requests too (HBhb), and each read and write"),
  pretty: choice("--pretty WHAT", "all: indent and colour JSON, piped too; or none", ["all", "none"], "auto"),
  showCredentials: SHOW_CREDENTIALS("show"),
  historyFile: filed(SHOWN, "--history FILE", "both", "keep the lines typed at the prompt in this file"),
  explain: EXPLAIN,
  recordFile: RECORD_FILE,
  rawFile: filed(SENT, "--raw FILE|-", "read", "send the octets of this file unchanged"),
  crlf: toggle(SENT, "--crlf", "with --raw: a bare \\n outside content as \\r\\n"),
  timeoutMs: preset(SERVER, "--timeout SEC", "how long to wait for the server", TIMEOUT_SECONDS, milliseconds),
  caFile: CA_FILE(SERVER),
  tokenFile: filed(SENT, "--token-file FILE", "read", "send the first bearer token in this file"),
  color: COLOR,
};

/** The flags of `explain`. */
export const EXPLAIN_FLAGS = {
  answers: valued(FEW, "--answers METHODS", "methods that the responses answer: HEAD,GET (GET)", methodList, []),
  connection: CONNECTION("explain only the capture's connection N"),
  page: PAGE("the capture"),
  pageHistory: PAGE_HISTORY("events that the page shows, the first ones"),
  showCredentials: SHOW_CREDENTIALS("show"),
  all: toggle(FEW, "--all", "show all content and chunks, not a screenful"),
  list: toggle(FEW, "--list", "one line for each exchange, or message"),
  json: JSON_LINES,
  crlf: toggle(FEW, "--crlf", "read each bare \\n outside of content as \\r\\n"),
  color: COLOR,
};

/** The flags of `replay`. */
export const REPLAY_FLAGS = {
  to: valued(FEW, "--to ADDRESS", "the server (the recorded one, if on this machine)", (text, flag) => {
    return serverAddress(text, flag, "requests are sent as they were recorded");
  }),
  fast: toggle(FEW, "--fast", "make no pauses"),
  json: JSON_LINES,
  connection: CONNECTION("replay only the recording's connection N"),
  timeoutMs: timed("--timeout SEC", "how long to wait for an answer", CLIENT_TIMEOUT_MS),
  caFile: CA_FILE(TLS),
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

export interface Parsed<Table extends FlagTable> {
  readonly options: Options<Table>;
  readonly positionals: string[];
  /** The files that flags name, to read or to write. */
  readonly files: { readonly read: string[]; readonly write: string[] };
}

/** Parses flags and positional arguments. Returns `undefined` if the help is asked for. */
export function parseFlags<Table extends FlagTable>(args: string[], table: Table): Parsed<Table> | undefined {
  const flags = [...Object.values<Flag>(table), HELP_FLAG];
  const config = Object.fromEntries(flags.map(({ name, short, value }) => [
    name,
    { ...value === undefined ? { type: "boolean" } : { type: "string", multiple: true }, ...short && { short } },
  ])) as ParseArgsConfig["options"];
  // A negative number is a value, not a flag. The prefix NUL, which no argument can contain, hides it from parseArgs.
  const shielded = args.map((arg) => /^-\.?\d/.test(arg) ? `\0${arg}` : arg);
  const unshield = (text: string) => text.replace(/^\0/, "");
  const { values, positionals } = parsedArgs(withEmptyValues(shielded, flags), config, flags.map(({ name }) => name));
  if (values.help) return undefined;
  const files = { read: [] as string[], write: [] as string[] };
  const options = Object.entries(table).map(([option, flag]) => {
    const value = values[flag.name];
    const given = value === true ? [] : value?.map(unshield);
    const file = flag.file && given?.at(-1);
    if (file !== undefined && file !== "-") {
      if (flag.file !== "write") files.read.push(file);
      if (flag.file !== "read") files.write.push(file);
    }
    return [option, flag.option(given)];
  });
  return { options: Object.fromEntries(options), positionals: positionals.map(unshield), files };
}

/** Gives flags with an optional value one in every case, because parseArgs has none such: the next word, if a number. */
function withEmptyValues(args: readonly string[], flags: readonly Flag[]): string[] {
  const optional = flags.filter(({ value }) => value?.startsWith("[")).map(({ name }) => `--${name}`);
  const given: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const isBare = optional.includes(args[i]);
    given.push(isBare ? `${args[i]}=${/^\d+$/.test(args[i + 1] ?? "") ? args[++i] : ""}` : args[i]);
  }
  return given;
}

function parsedArgs(args: string[], options: ParseArgsConfig["options"], names: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    return { values: values as { readonly [name: string]: true | string[] | undefined }, positionals };
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
