/** Makes options of a command's flags and arguments: what they say together, and which files the command needs. */

import { DEFAULT_HOST, DEFAULT_PORT } from "../address.ts";
import { nearest } from "../bytes.ts";
import { CLIENT_TIMEOUT_MS, PAGE_HISTORY_EVENTS, REQUEST_LIMITS, SERVER_LIMITS } from "../limits.ts";
import { looksLikeAddress, parseAddress, serverAddress } from "./addresses.ts";
import {
  type CONNECT_FLAGS,
  DEFAULT_FIELDS,
  type EXPLAIN_FLAGS,
  type Options,
  type Parsed,
  type RELAY_FLAGS,
  type REPLAY_FLAGS,
  type SERVE_FLAGS,
} from "./flags.ts";
import type { FileNeeds } from "./program.ts";
import { storeChoice } from "./store_choice.ts";
import { quote, UsageError } from "./values.ts";

/** Words of commands at the prompt, besides methods in capitals. */
const CLIENT_COMMANDS = [
  ...["get", "head", "post", "put", "patch", "delete", "options", "help", "q", "quit", "exit", "?"],
  ...["print", "header", "auth", "follow", "curl", "raw", "explain"],
];

export function serveOptions({ options, positionals: [stray], files }: Parsed<typeof SERVE_FLAGS>) {
  if (stray !== undefined) {
    const hint = /^\d+$/.test(stray) ? `did you mean --port ${stray}? ` : "";
    throw new UsageError(`serve takes flags only, saw ${quote(stray)}: ${hint}see serve --help`);
  }
  const { maxBody, maxHead, maxBuffered } = options;
  const listening = listeningOptions(options);
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
  // SQLite's threads load their own module, from the program's location.
  const needs = store.kind === "sqlite" ? { read: true, write: options.readOnly ? files.write : true } as const : files;
  return { kind: "serve", options: { ...options, ...listening, store, messageLimits }, files: needs } as const;
}

/** Makes what serve and relay have in common. */
function listeningOptions(
  options: Pick<Options<typeof SERVE_FLAGS>, keyof typeof SERVE_FLAGS & keyof typeof RELAY_FLAGS>,
) {
  const { certFile, keyFile, quiet, verbose, maxBuffered, maxConnections, idleTimeoutMs, headTimeoutMs } = options;
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new UsageError("--cert and --key must be given together");
  }
  if (quiet && verbose) throw new UsageError("--quiet and --verbose cannot be used together");
  return {
    page: pageChoice(options),
    tls: certFile === undefined ? undefined : { certFile, keyFile: keyFile! },
    limits: { ...SERVER_LIMITS, maxBufferedBytes: maxBuffered, maxConnections, idleTimeoutMs, headTimeoutMs },
  };
}

function pageChoice({ page, pageHistory }: { page: Options<typeof SERVE_FLAGS>["page"]; pageHistory?: number }) {
  if (pageHistory !== undefined && page === undefined) throw new UsageError("--page-history needs --page");
  return page && { ...page, history: pageHistory ?? PAGE_HISTORY_EVENTS };
}

export function relayOptions({ options, positionals, files }: Parsed<typeof RELAY_FLAGS>) {
  if (positionals.length !== 1) {
    const seen = positionals.length === 0 ? "none" : quote(positionals.join(" "));
    throw new UsageError(`relay takes the address of one server, such as https://api.example.com, saw ${seen}`);
  }
  const endpoint = serverAddress(positionals[0], "relay", "clients send their own", "relay");
  const { timeoutMs = CLIENT_TIMEOUT_MS, timeoutMs: answerMs } = options;
  const all = { ...options, ...listeningOptions(options), endpoint, timeoutMs, answerMs };
  return { kind: "relay", options: all, files } as const;
}

export function explainOptions({ options, positionals }: Parsed<typeof EXPLAIN_FLAGS>) {
  if (options.list && options.json) throw new UsageError("--list and --json cannot be used together");
  if (options.page !== undefined && (options.list || options.json)) {
    throw new UsageError(`--page and --${options.list ? "list" : "json"} cannot be used together`);
  }
  const page = pageChoice(options);
  const file = onlyFile("explain takes one file, or - for the input", positionals);
  const files = { read: file === "-" ? [] : [file], write: [] };
  return { kind: "explain", options: { ...options, file, page }, files } as const;
}

export function replayOptions({ options, positionals, files }: Parsed<typeof REPLAY_FLAGS>) {
  const file = onlyFile("replay takes one file", positionals);
  const needs = { ...files, read: [file, ...files.read] };
  return { kind: "replay", options: { ...options, file }, files: needs } as const;
}

function onlyFile(expected: string, positionals: readonly string[]): string {
  if (positionals.length === 1) return positionals[0];
  throw new UsageError(`${expected}, saw ${quote(positionals.join(" "))}`);
}

/** Refuses a pasted line of curl, whose flags are others. */
export function refuseCurl(words: readonly string[]): void {
  const curl = words.findIndex((word) => word.toLowerCase() === "curl");
  const isPasted = curl >= 0 && curl < words.length - 1 &&
    words.slice(0, curl).every((word) => word.startsWith("-") || looksLikeAddress(word));
  if (!isPasted) return;
  throw new UsageError(
    "A line of curl is pasted at the prompt; here leave the word curl out: connect http://HOST:PORT get /path",
  );
}

export function connectOptions({ options, positionals, files }: Parsed<typeof CONNECT_FLAGS>) {
  const { address, command } = addressAndCommand(positionals);
  const { userPass, ...endpoint } = parseAddress(address, options.port);
  const { verbose, rawFile, fields = DEFAULT_FIELDS, print = verbose ? "HBhb" : undefined } = options;
  if (options.print !== undefined && verbose) throw new UsageError("--print and --verbose cannot be used together");
  if (options.crlf && rawFile === undefined) throw new UsageError("--crlf needs --raw FILE");
  if (rawFile !== undefined && command.length > 0) {
    throw new UsageError(`--raw and a command cannot be used together, saw ${quote(command[0])}`);
  }
  // In a form with files, any word may name one.
  const isForm = command.some((word) => /multipart\/form-data/i.test(word));
  const named = command.slice(2).flatMap((word) => {
    return (isForm ? /@(.+)$/s : /^(?:[^:=]+(?:[:=]=?|:\w+==?))?@(.+)$/s).exec(word)?.[1] ?? [];
  });
  const readsLater = command.length === 0 && rawFile === undefined;
  const needs: FileNeeds = { ...files, read: [...files.read, ...named], readsLater };
  const fieldsGiven = options.fields !== undefined;
  const all = { ...options, endpoint, userPass, fields, fieldsGiven, command, print };
  return { kind: "connect", options: all, files: needs } as const;
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
