/**
 * The command line: converts arguments into options, or a usage error.
 *
 * @module
 */

import { DEFAULT_HOST, DEFAULT_PORT, type Endpoint } from "./address.ts";
import { nearest, NOT_UTF8 } from "./bytes.ts";
import { looksLikeAddress, parseAddress, serverAddress } from "./cli/addresses.ts";
import { completionScript } from "./cli/completions.ts";
import {
  CONNECT_FLAGS,
  EXPLAIN_FLAGS,
  type FlagTable,
  type Options,
  type Parsed,
  parseFlags,
  RELAY_FLAGS,
  REPLAY_FLAGS,
  SERVE_FLAGS,
} from "./cli/flags.ts";
import { COMMANDS, helpOf, mainHelp } from "./cli/help.ts";
import type { FileNeeds } from "./cli/program.ts";
import { type StoreChoice, storeChoice } from "./cli/store_choice.ts";
import { quote, UsageError } from "./cli/values.ts";
import { type MessageLimits, PAGE_HISTORY_EVENTS, REQUEST_LIMITS, SERVER_LIMITS, type ServerLimits } from "./limits.ts";

export { type Address, parseAddress } from "./cli/addresses.ts";
export {
  CONNECT_FLAGS,
  EXPLAIN_FLAGS,
  type Flag,
  type FlagTable,
  type Given,
  type Options,
  RELAY_FLAGS,
  REPLAY_FLAGS,
  SERVE_FLAGS,
} from "./cli/flags.ts";
export type { FileNeeds } from "./cli/program.ts";
export type { EtcdChoice, StoreChoice } from "./cli/store_choice.ts";
export { Failure, UsageError } from "./cli/values.ts";

/** Words of commands at the prompt, besides methods in capitals. */
const CLIENT_COMMANDS = [
  ...["get", "head", "post", "put", "patch", "delete", "options", "help", "q", "quit", "exit", "?"],
  ...["print", "header", "auth", "follow", "curl", "raw", "explain"],
];

/** Options of the page. */
export interface PageChoice {
  /** The page's port; `undefined` for the default, or any free port if that is taken. */
  readonly port: number | undefined;
  /** The number of events that the page keeps. */
  readonly history: number;
}

/** What several flags of a command that listens make together. */
export interface ListeningOptions {
  /** The page that shows the traffic, if requested. */
  readonly page: PageChoice | undefined;
  /** Files with a certificate and its key, for TLS with clients. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined;
  /** Limits on connections and durations. */
  readonly limits: ServerLimits;
}

/** Options of `serve`: those of its flags, and some that several flags make together. */
export interface ServeOptions extends Omit<Options<typeof SERVE_FLAGS>, "store" | "page">, ListeningOptions {
  /** The store of the rows. */
  readonly store: StoreChoice;
  /** Limits on each request. */
  readonly messageLimits: MessageLimits;
}

/** Options of `relay`: those of its flags, and the server. */
export interface RelayOptions extends Omit<Options<typeof RELAY_FLAGS>, "page">, ListeningOptions {
  /** The server. */
  readonly endpoint: Endpoint;
  /** How long to wait for an answer, in milliseconds; `undefined` for any time. */
  readonly answerMs: number | undefined;
}

/** Options of `connect`: those of its flags, the server and the command. */
export interface ConnectOptions extends Options<typeof CONNECT_FLAGS> {
  /** The server. */
  readonly endpoint: Endpoint;
  /** A user and password to send, separated by a colon. */
  readonly userPass: string | undefined;
  /** Whether the user gave the fields of values. */
  readonly fieldsGiven: boolean;
  /** The words of a command; empty to read commands from the input. */
  readonly command: readonly string[];
}

/** Options of `explain`: those of its flags, and the file. */
export interface ExplainOptions extends Omit<Options<typeof EXPLAIN_FLAGS>, "page"> {
  /** The page that shows the capture, if requested. */
  readonly page: PageChoice | undefined;
  /** The file with the messages; `-` for the standard input. */
  readonly file: string;
}

/** Options of `replay`: those of its flags, and the file of the recording. */
export interface ReplayOptions extends Options<typeof REPLAY_FLAGS> {
  /** The file of the recording. */
  readonly file: string;
}

/** A parsed command line. */
export type Invocation =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "version" }
  | { readonly kind: "serve"; readonly options: ServeOptions; readonly files: FileNeeds }
  | { readonly kind: "connect"; readonly options: ConnectOptions; readonly files: FileNeeds }
  | { readonly kind: "relay"; readonly options: RelayOptions; readonly files: FileNeeds }
  | { readonly kind: "explain"; readonly options: ExplainOptions; readonly files: FileNeeds }
  | { readonly kind: "replay"; readonly options: ReplayOptions; readonly files: FileNeeds };

/** Parses the program's arguments. Throws a {@linkcode UsageError} if they are invalid. */
export function parseCommandLine(args: readonly string[]): Invocation {
  // Octets of an argument that are not UTF-8 have become this character before the program starts.
  const damaged = args.find((arg) => arg.includes("\ufffd"));
  if (damaged !== undefined) throw new UsageError(`${quote(damaged)} is ${NOT_UTF8}`);
  const [command, ...rest] = args;
  switch (command) {
    case "serve":
      return parsed(command, rest, SERVE_FLAGS, serveCommand);
    case "connect":
      refuseCurl(rest);
      return parsed(command, rest, CONNECT_FLAGS, connectCommand);
    case "relay":
      return parsed(command, rest, RELAY_FLAGS, relayCommand);
    case "explain":
      return parsed(command, rest, EXPLAIN_FLAGS, explainCommand);
    case "replay":
      return parsed(command, rest, REPLAY_FLAGS, replayCommand);
    case "completions":
      return parsed(command, rest, {}, ({ positionals }) => ({ kind: "text", text: completionScript(positionals) }));
    case "--help":
    case "-h":
    case "help":
      return { kind: "text", text: mainHelp() };
    case "--version":
    case "-V":
      return { kind: "version" };
    case undefined:
      throw new UsageError("Expected serve, connect, relay, explain or replay: see --help");
    default: {
      const near = nearest(command, COMMANDS.map(({ name }) => name));
      const hint = near === undefined ? "expected serve, connect, relay, explain or replay," : `did you mean ${near}?`;
      throw new UsageError(`Unknown command ${quote(command)}: ${hint} see --help`);
    }
  }
}

/** Parses a command's flags. Returns its help if that is asked for, else what `read` makes of them. */
function parsed<Table extends FlagTable>(
  command: string,
  args: string[],
  table: Table,
  read: (parsed: Parsed<Table>) => Invocation,
): Invocation {
  const flags = parseFlags(args, table);
  return flags.help ? { kind: "text", text: helpOf(command) } : read(flags);
}

function onlyFile(expected: string, positionals: readonly string[]): string {
  if (positionals.length === 1) return positionals[0];
  throw new UsageError(`${expected}, saw ${quote(positionals.join(" "))}`);
}

function serveCommand({ options, positionals, given, files }: Parsed<typeof SERVE_FLAGS>): Invocation {
  if (positionals.length > 0) {
    const hint = /^\d+$/.test(positionals[0]) ? `did you mean --port ${positionals[0]}? ` : "";
    throw new UsageError(`serve takes flags only, saw ${quote(positionals[0])}: ${hint}see serve --help`);
  }
  const { maxBody, maxHead, maxBuffered } = options;
  const listening = listeningOptions(options, given);
  // Content of the allowed size has to fit the memory allowed for it.
  if (maxBody > maxBuffered) {
    throw new UsageError(
      `--max-body ${maxBody} is more than --max-buffered ${maxBuffered} allows: raise --max-buffered`,
    );
  }
  const store = storeChoice(options);
  const messageLimits = {
    ...REQUEST_LIMITS,
    maxContentBytes: maxBody,
    maxHeadBytes: maxHead,
    // A target is shorter than its head, so a larger head allows a larger target, and larger trailers.
    maxTargetBytes: Math.max(REQUEST_LIMITS.maxTargetBytes, Math.floor(maxHead / 2)),
    maxTrailerBytes: Math.max(REQUEST_LIMITS.maxTrailerBytes, Math.floor(maxHead / 2)),
  };
  return {
    kind: "serve",
    options: { ...options, ...listening, store, messageLimits },
    // SQLite's threads load their own module, from the program's location.
    files: store.kind === "sqlite" ? { read: true, write: options.readOnly ? files.write : true } : files,
  };
}

function listeningOptions(
  options: Pick<Options<typeof SERVE_FLAGS>, keyof typeof SERVE_FLAGS & keyof typeof RELAY_FLAGS>,
  given: ReadonlySet<string>,
): ListeningOptions {
  const { certFile, keyFile, quiet, verbose, maxBuffered, maxConnections, idleTimeoutMs, headTimeoutMs } = options;
  if (given.has("cert") !== given.has("key")) throw new UsageError("--cert and --key must be given together");
  if (quiet && verbose) throw new UsageError("--quiet and --verbose cannot be used together");
  return {
    page: pageChoice(options),
    tls: certFile === undefined ? undefined : { certFile, keyFile: keyFile! },
    limits: { ...SERVER_LIMITS, maxBufferedBytes: maxBuffered, maxConnections, idleTimeoutMs, headTimeoutMs },
  };
}

function pageChoice(
  { page, pageHistory }: Pick<Options<typeof SERVE_FLAGS>, "page"> & { readonly pageHistory?: number },
): PageChoice | undefined {
  if (pageHistory !== undefined && page === undefined) throw new UsageError("--page-history needs --page");
  return page && { ...page, history: pageHistory ?? PAGE_HISTORY_EVENTS };
}

function relayCommand({ options, positionals, given, files }: Parsed<typeof RELAY_FLAGS>): Invocation {
  if (positionals.length !== 1) {
    const seen = positionals.length === 0 ? "none" : quote(positionals.join(" "));
    throw new UsageError(`relay takes the address of one server, such as https://api.example.com, saw ${seen}`);
  }
  const endpoint = serverAddress(positionals[0], "relay", "clients send their own", "relay");
  const answerMs = given.has("timeout") ? options.timeoutMs : undefined;
  return { kind: "relay", options: { ...options, ...listeningOptions(options, given), endpoint, answerMs }, files };
}

function explainCommand({ options, positionals }: Parsed<typeof EXPLAIN_FLAGS>): Invocation {
  if (options.list && options.json) throw new UsageError("--list and --json cannot be used together");
  if (options.page !== undefined && (options.list || options.json)) {
    throw new UsageError(`--page and --${options.list ? "list" : "json"} cannot be used together`);
  }
  const page = pageChoice(options);
  const file = onlyFile("explain takes one file, or - for the input", positionals);
  return {
    kind: "explain",
    options: { ...options, file, page },
    files: { read: file === "-" ? [] : [file], write: [] },
  };
}

function replayCommand({ options, positionals, files }: Parsed<typeof REPLAY_FLAGS>): Invocation {
  const file = onlyFile("replay takes one file", positionals);
  return { kind: "replay", options: { ...options, file }, files: { ...files, read: [file, ...files.read] } };
}

function refuseCurl(words: readonly string[]): void {
  const curl = words.findIndex((word) => word.toLowerCase() === "curl");
  const isPasted = curl >= 0 && curl < words.length - 1 &&
    words.slice(0, curl).every((word) => word.startsWith("-") || looksLikeAddress(word));
  if (!isPasted) return;
  throw new UsageError(
    "A line of curl is pasted at the prompt; here leave the word curl out: connect http://HOST:PORT get /path",
  );
}

function connectCommand({ options, positionals, given, files }: Parsed<typeof CONNECT_FLAGS>): Invocation {
  const { address, command } = addressAndCommand(positionals);
  const { userPass, ...endpoint } = parseAddress(address, options.port);
  const { print, verbose, rawFile } = options;
  if (print !== undefined && verbose) throw new UsageError("--print and --verbose cannot be used together");
  if (options.crlf && rawFile === undefined) throw new UsageError("--crlf needs --raw FILE");
  if (rawFile !== undefined && command.length > 0) {
    throw new UsageError(`--raw and a command cannot be used together, saw ${quote(command[0])}`);
  }
  // In a form with files, any word may name one.
  const isForm = command.some((word) => /multipart\/form-data/i.test(word));
  const named = command.slice(2).flatMap((word) => {
    return (isForm ? /@(.+)$/s : /^(?:[^:=]+(?:[:=]=?|:\w+==?))?@(.+)$/s).exec(word)?.[1] ?? [];
  });
  return {
    kind: "connect",
    options: {
      ...options,
      endpoint,
      userPass,
      fieldsGiven: given.has("fields"),
      command,
      print: print ?? (verbose ? "HBhb" : undefined),
    },
    files: {
      ...files,
      read: [...files.read, ...named],
      readsLater: command.length === 0 && rawFile === undefined,
    },
  };
}

function addressAndCommand(words: string[]): { address: string; command: string[] } {
  const [first, second] = words;
  if (/^\d+$/.test(first ?? "")) {
    throw new UsageError(
      `${quote(first)} is not an address: did you mean ${DEFAULT_HOST}:${first}, or --port ${first}?`,
    );
  }
  if (first === undefined || isCommand(first)) return { address: DEFAULT_HOST, command: words };
  if (!looksLikeAddress(first)) {
    // A single word may be a host name; with more words after it, it may be a misspelled command.
    if (second === undefined) return { address: first, command: [] };
    const name = nearest(first.toLowerCase(), CLIENT_COMMANDS, 1);
    const near = name === undefined ? "" : `did you mean ${name}? `;
    throw new UsageError(
      `${first} is neither a command nor an address: ${near}an address has its port, as ${first}:${DEFAULT_PORT}`,
    );
  }
  if (second !== undefined && /^\d+$/.test(second)) {
    throw new UsageError(`The port follows a colon: ${first}:${second}`);
  }
  return { address: first, command: words.slice(1) };
}

function isCommand(word: string): boolean {
  return CLIENT_COMMANDS.includes(word.toLowerCase()) || /^[A-Z][A-Z0-9-]*$/.test(word);
}
