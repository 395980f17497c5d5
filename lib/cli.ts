/**
 * The command line: converts arguments into options, or a usage error.
 *
 * @module
 */

import {
  corsOrigin,
  DEFAULT_HOST,
  DEFAULT_PORT,
  type Endpoint,
  hostName,
  listenHost,
  looksLikeAddress,
  parseAddress,
} from "./cli/addresses.ts";
import { completionScript } from "./cli/completions.ts";
import {
  COMPLETIONS_FLAGS,
  CONNECT_FLAGS,
  DEFAULT_FIELDS,
  EXPLAIN_FLAGS,
  filesOf,
  nearest,
  parseFlags,
  REPLAY_FLAGS,
  SERVE_FLAGS,
} from "./cli/flags.ts";
import { COMMANDS, helpOf, mainHelp } from "./cli/help.ts";
import type { FileNeeds } from "./cli/program.ts";
import { type StoreChoice, storeChoice } from "./cli/store_choice.ts";
import { byteCount, milliseconds, oneOf, quote, text, UsageError, type Values, wholeNumber } from "./cli/values.ts";
import {
  CLIENT_TIMEOUT_MS,
  MAX_BODY_FLAG_BYTES,
  type MessageLimits,
  PAGE_HISTORY_EVENTS,
  REQUEST_LIMITS,
  SERVER_LIMITS,
  type ServerLimits,
} from "./limits.ts";

export { type Address, type Endpoint, parseAddress } from "./cli/addresses.ts";
export type { FileNeeds } from "./cli/program.ts";
export type { EtcdChoice, StoreChoice } from "./cli/store_choice.ts";
export { UsageError } from "./cli/values.ts";

/** Words of commands at the prompt, besides methods in capitals. */
const CLIENT_COMMANDS = [
  ...["get", "head", "post", "put", "patch", "delete", "options", "help", "q", "quit", "exit", "?"],
  ...["print", "header", "auth", "follow", "curl", "raw", "explain"],
];

const ANY_FILE: FileNeeds = { read: true, write: true };

/** Options of the page. */
export interface PageChoice {
  /** The page's port; `undefined` for the default, or any free port if that is taken. */
  readonly port: number | undefined;
  /** The number of events that the page keeps. */
  readonly history: number;
}

/** Options of `serve`. */
export interface ServeOptions {
  /** The address to listen on. */
  readonly host: string;
  /** The port to listen on; 0 for any free one. */
  readonly port: number;
  /** The store of the rows. */
  readonly store: StoreChoice;
  /** The fields of a row, in the format of `--fields`. */
  readonly fields: string;
  /** Whether requests are not printed. */
  readonly quiet: boolean;
  /** Whether responses and the life of connections are printed too. */
  readonly verbose: boolean;
  /** Whether credentials are printed. */
  readonly showCredentials: boolean;
  /** The format of the log. */
  readonly logFormat: "text" | "json";
  /** The page that shows the traffic, if requested. */
  readonly page: PageChoice | undefined;
  /** A new file for a recording of the traffic. */
  readonly recordFile: string | undefined;
  /** Whether writes are refused. */
  readonly readOnly: boolean;
  /** The delay of every response in milliseconds. */
  readonly delayMs: number;
  /** The origin whose pages may read responses, or `*`. */
  readonly cors: string | undefined;
  /** Additional accepted host names; `*` accepts any. */
  readonly allowHosts: readonly string[];
  /** Files with a certificate and its key, for TLS. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined;
  /** A file with the token that requests must have. */
  readonly tokenFile: string | undefined;
  /** Limits on each request. */
  readonly messageLimits: MessageLimits;
  /** Limits on connections and durations. */
  readonly limits: ServerLimits;
}

/** When text is coloured: `auto` means on a terminal. */
export type ColorChoice = "auto" | "always" | "never";

/** Options of `connect`. */
export interface ConnectOptions {
  /** The server. */
  readonly endpoint: Endpoint;
  /** A user and password to send, separated by a colon. */
  readonly userPass: string | undefined;
  /** The words of a command; empty to read commands from the input. */
  readonly command: readonly string[];
  /** The fields of a row, in the format of `--fields`. */
  readonly fields: string;
  /** The parts shown: `H` and `B` of the request, `h` and `b` of the response; by default depending on the output. */
  readonly print: string | undefined;
  /** Whether JSON is indented and coloured; `auto` means on a terminal, if it is long. */
  readonly pretty: "auto" | "all" | "none";
  /** Whether credentials are shown. */
  readonly showCredentials: boolean;
  /** Whether each exchange is explained octet by octet. */
  readonly explain: boolean;
  /** Whether the life of each connection is shown. */
  readonly verbose: boolean;
  /** A new file for a recording of the traffic. */
  readonly recordFile: string | undefined;
  /** A file for the history of the prompt. */
  readonly historyFile: string | undefined;
  /** A file whose octets are sent unchanged; `-` for the standard input. */
  readonly rawFile: string | undefined;
  /** The timeout in milliseconds. */
  readonly timeoutMs: number;
  /** A file with additional trusted certificates. */
  readonly caFile: string | undefined;
  /** A file with the token to send. */
  readonly tokenFile: string | undefined;
  /** When text is coloured. */
  readonly color: ColorChoice;
}

/** Options of `explain`. */
export interface ExplainOptions {
  /** The file with the messages; `-` for the standard input. */
  readonly file: string;
  /** The methods that the responses answer, in order; further responses answer GET. */
  readonly answers: readonly string[];
  /** The number of the only connection of a capture to explain. */
  readonly connection: number | undefined;
  /** Whether all content is shown. */
  readonly all: boolean;
  /** When text is coloured. */
  readonly color: ColorChoice;
}

/** Options of `replay`. */
export interface ReplayOptions {
  /** The file of the recording. */
  readonly file: string;
  /** The server to send to; by default the recorded one, if it is on this machine. */
  readonly to: Endpoint | undefined;
  /** Whether no pauses are made. */
  readonly fast: boolean;
  /** The number of the only connection to replay. */
  readonly connection: number | undefined;
  /** The timeout in milliseconds. */
  readonly timeoutMs: number;
  /** A file with additional trusted certificates. */
  readonly caFile: string | undefined;
  /** When text is coloured. */
  readonly color: ColorChoice;
}

/** A parsed command line. */
export type Invocation =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "version" }
  | { readonly kind: "serve"; readonly options: ServeOptions; readonly files: FileNeeds }
  | { readonly kind: "connect"; readonly options: ConnectOptions; readonly files: FileNeeds }
  | { readonly kind: "explain"; readonly options: ExplainOptions; readonly files: FileNeeds }
  | { readonly kind: "replay"; readonly options: ReplayOptions; readonly files: FileNeeds };

/**
 * Parses the program's arguments.
 *
 * @throws {UsageError} If they are invalid.
 */
export function parseCommandLine(args: readonly string[]): Invocation {
  const [command, ...rest] = args;
  switch (command) {
    case "serve": {
      const { values, positionals } = parseFlags(withPagePort(rest), SERVE_FLAGS);
      if (values.help) return { kind: "text", text: helpOf("serve") };
      if (positionals.length > 0) {
        const hint = /^\d+$/.test(positionals[0]) ? `did you mean --port ${positionals[0]}? ` : "";
        throw new UsageError(`serve takes flags only, saw ${quote(positionals[0])}: ${hint}see serve --help`);
      }
      const options = serveOptions(values);
      // The writing thread loads its own module, from the program's location.
      const files = options.store.kind === "sqlite" ? ANY_FILE : filesOf(values, SERVE_FLAGS);
      return { kind: "serve", options, files };
    }
    case "connect": {
      const { values, positionals } = parseFlags(rest, CONNECT_FLAGS);
      if (values.help) return { kind: "text", text: helpOf("connect") };
      const options = connectOptions(values, positionals);
      const files = filesOf(values, CONNECT_FLAGS);
      files.read.push(...options.command.slice(2).filter((word) => /^@./.test(word)).map((word) => word.slice(1)));
      const readsLater = options.command.length === 0 && options.rawFile === undefined;
      return { kind: "connect", options, files: { ...files, readsLater } };
    }
    case "explain": {
      const { values, positionals } = parseFlags(rest, EXPLAIN_FLAGS);
      if (values.help) return { kind: "text", text: helpOf("explain") };
      const options = explainOptions(values, positionals);
      return { kind: "explain", options, files: { read: options.file === "-" ? [] : [options.file], write: [] } };
    }
    case "replay": {
      const { values, positionals } = parseFlags(rest, REPLAY_FLAGS);
      if (values.help) return { kind: "text", text: helpOf("replay") };
      const options = replayOptions(values, positionals);
      const files = filesOf(values, REPLAY_FLAGS);
      return { kind: "replay", options, files: { ...files, read: [options.file, ...files.read] } };
    }
    case "completions": {
      const { values, positionals } = parseFlags(rest, COMPLETIONS_FLAGS);
      if (values.help) return { kind: "text", text: helpOf("completions") };
      return { kind: "text", text: completionScript(positionals) };
    }
    case "--help":
    case "-h":
    case "help":
      return { kind: "text", text: mainHelp() };
    case "--version":
    case "-V":
      return { kind: "version" };
    case undefined:
      throw new UsageError("Expected serve, connect, explain or replay: see --help");
    default:
      throw new UsageError(`Unknown command ${quote(command)}: ${nearestCommand(command)} see --help`);
  }
}

function nearestCommand(command: string): string {
  const near = nearest(command, COMMANDS.map(({ name }) => name));
  return near === undefined ? "expected serve, connect, explain or replay," : `did you mean ${near}?`;
}

function serveOptions(values: Values): ServeOptions {
  const { cert, key } = values;
  if ((cert === undefined) !== (key === undefined)) throw new UsageError("--cert and --key must be given together");
  if (values.quiet && values.verbose) throw new UsageError("--quiet and --verbose cannot be used together");
  return {
    host: listenHost(text(values, "host") ?? DEFAULT_HOST),
    port: wholeNumber(values, "port", 0, 65535) ?? DEFAULT_PORT,
    store: storeChoice(values),
    fields: text(values, "fields") ?? DEFAULT_FIELDS,
    quiet: values.quiet === true,
    verbose: values.verbose === true,
    showCredentials: values["show-credentials"] === true,
    logFormat: oneOf(values, "log-format", ["text", "json"]) ?? "text",
    page: pageChoice(values),
    recordFile: text(values, "record"),
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
      maxBufferedBytes: bufferedBytes(values),
      maxConnections: wholeNumber(values, "max-connections", 1, 1_000_000) ?? SERVER_LIMITS.maxConnections,
      idleTimeoutMs: milliseconds(values, "idle-timeout") ?? SERVER_LIMITS.idleTimeoutMs,
      headTimeoutMs: milliseconds(values, "head-timeout") ?? SERVER_LIMITS.headTimeoutMs,
    },
  };
}

/** Gives `--page` a value in every case, because parseArgs has no flags with an optional value. */
function withPagePort(args: readonly string[]): string[] {
  const given: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const isBare = args[i] === "--page";
    given.push(isBare ? `--page=${/^\d+$/.test(args[i + 1] ?? "") ? args[++i] : ""}` : args[i]);
  }
  return given;
}

function pageChoice(values: Values): PageChoice | undefined {
  const history = wholeNumber(values, "page-history", 1, 1_000_000) ?? PAGE_HISTORY_EVENTS;
  const port = text(values, "page");
  if (port === undefined) {
    if (values["page-history"] !== undefined) throw new UsageError("--page-history needs --page");
    return undefined;
  }
  return { port: port === "" ? undefined : wholeNumber(values, "page", 0, 65535), history };
}

/** Checks that content of the allowed size fits the memory allowed for it. */
function bufferedBytes(values: Values): number {
  const most = byteCount(values, "max-buffered", 64 * 1024, 2 ** 40) ?? SERVER_LIMITS.maxBufferedBytes;
  const content = byteCount(values, "max-body", 0, MAX_BODY_FLAG_BYTES) ?? REQUEST_LIMITS.maxContentBytes;
  if (content <= most) return most;
  throw new UsageError(`--max-body ${content} is more than --max-buffered ${most} allows: raise --max-buffered`);
}

/**
 * Returns the limits on head and target. A target is shorter than its head, so a larger head allows a larger target.
 */
function headLimits(
  maxHeadBytes = REQUEST_LIMITS.maxHeadBytes,
): Pick<MessageLimits, "maxHeadBytes" | "maxTargetBytes"> {
  return { maxHeadBytes, maxTargetBytes: Math.max(REQUEST_LIMITS.maxTargetBytes, Math.floor(maxHeadBytes / 2)) };
}

function connectOptions(values: Values, positionals: string[]): ConnectOptions {
  const { address, command } = addressAndCommand(positionals);
  const print = text(values, "print");
  if (print !== undefined && !/^[HBhb]*$/.test(print)) {
    throw new UsageError(`--print takes letters of HBhb, saw ${quote(print)}`);
  }
  const { userPass, secure, host, port } = parseAddress(address, wholeNumber(values, "port", 1, 65535));
  if (print !== undefined && values.verbose) throw new UsageError("--print and --verbose cannot be used together");
  const rawFile = text(values, "raw");
  if (rawFile !== undefined && command.length > 0) {
    throw new UsageError(`--raw and a command cannot be used together, saw ${quote(command[0])}`);
  }
  return {
    endpoint: { secure, host, port },
    userPass,
    command,
    fields: text(values, "fields") ?? DEFAULT_FIELDS,
    print: print ?? (values.verbose ? "HBhb" : undefined),
    pretty: oneOf(values, "pretty", ["all", "none"]) ?? "auto",
    showCredentials: values["show-credentials"] === true,
    explain: values.explain === true,
    verbose: values.verbose === true,
    recordFile: text(values, "record"),
    historyFile: text(values, "history"),
    rawFile,
    timeoutMs: milliseconds(values, "timeout") ?? CLIENT_TIMEOUT_MS,
    caFile: text(values, "cacert"),
    tokenFile: text(values, "token-file"),
    color: oneOf(values, "color", ["auto", "always", "never"]) ?? "auto",
  };
}

function explainOptions(values: Values, positionals: string[]): ExplainOptions {
  if (positionals.length !== 1) {
    throw new UsageError(`explain takes one file, or - for the input, saw ${quote(positionals.join(" "))}`);
  }
  const answers = text(values, "answers")?.split(",") ?? [];
  const wrong = answers.find((method) => !/^[A-Z]+$/.test(method));
  if (wrong !== undefined) throw new UsageError(`--answers takes methods such as HEAD,GET, saw ${quote(wrong)}`);
  return {
    file: positionals[0],
    answers,
    connection: wholeNumber(values, "connection", 1, 1_000_000_000),
    all: values.all === true,
    color: oneOf(values, "color", ["auto", "always", "never"]) ?? "auto",
  };
}

function replayOptions(values: Values, positionals: string[]): ReplayOptions {
  if (positionals.length !== 1) {
    throw new UsageError(`replay takes one file, saw ${quote(positionals.join(" "))}`);
  }
  const to = text(values, "to");
  if (to !== undefined && /[^:/]\/+[^/]/.test(to)) {
    throw new UsageError(`--to takes an address without a path, saw ${quote(to)}`);
  }
  const address = to === undefined ? undefined : parseAddress(to);
  if (address?.userPass !== undefined) {
    throw new UsageError("--to takes no user and password: requests are sent as they were recorded");
  }
  return {
    file: positionals[0],
    to: address && { secure: address.secure, host: address.host, port: address.port },
    fast: values.fast === true,
    connection: wholeNumber(values, "connection", 1, 1_000_000_000),
    timeoutMs: milliseconds(values, "timeout") ?? CLIENT_TIMEOUT_MS,
    caFile: text(values, "cacert"),
    color: oneOf(values, "color", ["auto", "always", "never"]) ?? "auto",
  };
}

/** Splits the words after `connect` into an optional address and an optional command. */
function addressAndCommand(words: string[]): { address: string; command: string[] } {
  const [first, second] = words;
  const port = /^:?(\d+)$/.exec(first ?? "")?.[1];
  if (port !== undefined) {
    throw new UsageError(`${quote(first)} is no address: did you mean ${DEFAULT_HOST}:${port}, or --port ${port}?`);
  }
  if (first === undefined || isCommand(first)) return { address: DEFAULT_HOST, command: words };
  if (!looksLikeAddress(first)) {
    // A single word may be a host name; with more words after it, it may be a misspelled command.
    if (second === undefined) return { address: first, command: [] };
    throw new UsageError(
      `${first} is no command and no address: an address has its port, as ${first}:${DEFAULT_PORT}`,
    );
  }
  if (second !== undefined && /^\d+$/.test(second)) {
    throw new UsageError(`The port follows a colon: ${first}:${second}`);
  }
  return { address: first, command: words.slice(1) };
}

/** Whether a word starts a command of the prompt: a known one, or a method in capitals. */
function isCommand(word: string): boolean {
  return CLIENT_COMMANDS.includes(word.toLowerCase()) || /^[A-Z][A-Z0-9-]*$/.test(word);
}
