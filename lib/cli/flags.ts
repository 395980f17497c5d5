/**
 * The flags of all commands with their values and help, and the parser for them.
 *
 * @module
 */

import { parseArgs, type ParseArgsConfig } from "node:util";
import { CLIENT_TIMEOUT_MS, PAGE_HISTORY_EVENTS, REQUEST_LIMITS, SERVER_LIMITS } from "../limits.ts";
import { DEFAULT_HOST, DEFAULT_PORT, PAGE_PORT } from "./addresses.ts";
import { insecureAdvice } from "./program.ts";
import { UsageError, type Values } from "./values.ts";

/** The default fields: those of the classroom's animals. */
export const DEFAULT_FIELDS: string = "type,age,leg";

/** A flag of a command. */
export interface Flag {
  /** The name, without hyphens. */
  readonly name: string;
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
  /** The help, one line. */
  readonly help: string;
}

const HELP: Flag = { name: "help", short: "h", help: "show this text" };

/** The flags of `serve`. */
export const SERVE_FLAGS: readonly Flag[] = [
  { name: "host", value: "ADDRESS", help: `the address to listen on (${DEFAULT_HOST})` },
  { name: "port", short: "p", value: "PORT", help: `the port, 0 for any free one (${DEFAULT_PORT})` },
  { name: "store", value: "STORE", help: "memory, sqlite:FILE, etcd:URL,URL/PREFIX (memory)" },
  { name: "fields", value: "LIST", help: `fields as type,age:integer, or '*' (${DEFAULT_FIELDS})` },
  { name: "quiet", short: "q", help: "print no requests" },
  { name: "verbose", short: "v", help: "print responses and connections too" },
  { name: "show-credentials", help: "print values of Authorization, Cookie and the like" },
  { name: "log-format", value: "FORMAT", choices: ["text", "json"], help: "text or json (text)" },
  {
    name: "page",
    value: "[PORT]",
    help: `a page of the traffic, on loopback (${PAGE_PORT}, or any)`,
  },
  { name: "record", value: "FILE", file: "write", help: "a new file for the traffic, for Wireshark (pcapng)" },
  { name: "page-history", value: "N", help: `events that the page keeps (${PAGE_HISTORY_EVENTS})` },
  { name: "read-only", help: "refuse writes" },
  { name: "delay", value: "MS", help: "delay every response by MS milliseconds (0)" },
  { name: "cors", value: "ORIGIN", help: "let pages of this origin, or '*', read responses" },
  {
    name: "allow-host",
    value: "NAME",
    multiple: true,
    help: "answer for this host too, '*' for any; repeatable",
  },
  { name: "cert", value: "FILE", file: "read", help: "speak TLS with this certificate (PEM), needs --key" },
  { name: "key", value: "FILE", file: "read", help: "the certificate's key (PEM)" },
  { name: "token-file", value: "FILE", file: "read", help: "require the bearer token in this file" },
  { name: "etcd-cacert", value: "FILE", file: "read", help: "authorities of etcd's certificates to trust (PEM)" },
  { name: "etcd-cert", value: "FILE", file: "read", help: "show etcd this certificate (PEM), needs --etcd-key" },
  { name: "etcd-key", value: "FILE", file: "read", help: "its key (PEM)" },
  { name: "etcd-user-file", value: "FILE", file: "read", help: "log in to etcd with the USER:PASSWORD in this file" },
  {
    name: "max-body",
    value: "BYTES",
    help: `the largest content of a request (${REQUEST_LIMITS.maxContentBytes / 1024 ** 2}m)`,
  },
  { name: "max-head", value: "BYTES", help: `the largest head of a request (${REQUEST_LIMITS.maxHeadBytes / 1024}k)` },
  {
    name: "max-buffered",
    value: "BYTES",
    help: `memory for content and responses (${SERVER_LIMITS.maxBufferedBytes / 1024 ** 2}m)`,
  },
  { name: "max-connections", value: "N", help: `connections at a time (${SERVER_LIMITS.maxConnections})` },
  {
    name: "idle-timeout",
    value: "SEC",
    help: `how long a connection may be idle (${SERVER_LIMITS.idleTimeoutMs / 1000})`,
  },
  {
    name: "head-timeout",
    value: "SEC",
    help: `how long a request's head may take (${SERVER_LIMITS.headTimeoutMs / 1000})`,
  },
  HELP,
];

/** The flags of `connect`. */
export const CONNECT_FLAGS: readonly Flag[] = [
  { name: "port", short: "p", value: "PORT", help: `the port, where ADDRESS names none (${DEFAULT_PORT})` },
  { name: "fields", value: "LIST", help: `fields that values fill, in order (${DEFAULT_FIELDS})` },
  {
    name: "print",
    value: "PARTS",
    help: "request H head B body, response h b (hb; piped b)",
  },
  { name: "verbose", short: "v", help: "show requests too (HBhb), and each read and write" },
  {
    name: "pretty",
    value: "WHAT",
    choices: ["all", "none"],
    help: "all: indent and colour JSON, piped too; or none",
  },
  { name: "show-credentials", help: "show values of Authorization, Cookie and the like" },
  { name: "history", value: "FILE", file: "both", help: "keep the lines typed at the prompt in this file" },
  { name: "explain", help: "explain each octet of each exchange" },
  { name: "record", value: "FILE", file: "write", help: "a new file for the traffic, for Wireshark (pcapng)" },
  { name: "raw", value: "FILE|-", file: "read", help: "send the octets of this file unchanged" },
  { name: "timeout", value: "SEC", help: `how long to wait for the server (${CLIENT_TIMEOUT_MS / 1000})` },
  { name: "cacert", value: "FILE", file: "read", help: "trust the certificates in this file too (PEM)" },
  { name: "token-file", value: "FILE", file: "read", help: "send the bearer token in this file" },
  {
    name: "color",
    value: "WHEN",
    choices: ["auto", "always", "never"],
    help: "auto (at a terminal), always or never (auto)",
  },
  HELP,
];

/** The flags of `explain`. */
export const EXPLAIN_FLAGS: readonly Flag[] = [
  { name: "answers", value: "METHODS", help: "methods that the responses answer: HEAD,GET (GET)" },
  { name: "connection", value: "N", help: "explain only the capture's connection N" },
  { name: "all", help: "show all content and chunks, not a screenful" },
  { name: "color", value: "WHEN", choices: ["auto", "always", "never"], help: "auto, always or never (auto)" },
  HELP,
];

/** The flags of `replay`. */
export const REPLAY_FLAGS: readonly Flag[] = [
  { name: "to", value: "ADDRESS", help: "the server (the recorded one, if on this machine)" },
  { name: "fast", help: "make no pauses" },
  { name: "connection", value: "N", help: "replay only the recording's connection N" },
  { name: "timeout", value: "SEC", help: `how long to wait for an answer (${CLIENT_TIMEOUT_MS / 1000})` },
  { name: "cacert", value: "FILE", file: "read", help: "trust the certificates in this file too (PEM)" },
  { name: "color", value: "WHEN", choices: ["auto", "always", "never"], help: "auto, always or never (auto)" },
  HELP,
];

/** The flags of `completions`. */
export const COMPLETIONS_FLAGS: readonly Flag[] = [HELP];

/** Returns the files that flags name, to read or to write. */
export function filesOf(values: Values, flags: readonly Flag[]): { read: string[]; write: string[] } {
  const files = { read: [] as string[], write: [] as string[] };
  for (const { name, file } of flags) {
    const value = values[name];
    if (file === undefined || typeof value !== "string" || value === "-") continue;
    if (file !== "write") files.read.push(value);
    if (file !== "read") files.write.push(value);
  }
  return files;
}

/**
 * Parses flags and positional arguments.
 *
 * @throws {UsageError} If a flag is unknown or lacks its value.
 */
export function parseFlags(args: string[], flags: readonly Flag[]): { values: Values; positionals: string[] } {
  const options: NonNullable<ParseArgsConfig["options"]> = {};
  for (const { name, short, value, multiple } of flags) {
    options[name] = {
      type: value === undefined ? "boolean" : "string",
      ...short && { short },
      ...multiple && { multiple },
    };
  }
  // A negative number is a value, not a flag. The prefix NUL, which no argument can contain, hides it from parseArgs.
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
    // The first sentence has the reason; the others explain parseArgs.
    const message = (error as Error).message.split(/\. |\n/)[0].replace(/\.$/, "");
    const unknown = /^Unknown option '--([^']+)'/.exec(message)?.[1];
    const near = unknown && nearest(unknown, flags.map(({ name }) => name));
    const hint = near ? `did you mean --${near}? ` : INSECURE.test(message) ? `${insecureAdvice()}, ` : "";
    throw new UsageError(`${message}: ${hint}see --help`);
  }
}

/** Other programs' flags to accept any certificate: this one cannot do so for one connection. */
const INSECURE = /'(?:--insecure|--verify|-k)'/;

/** Returns the name with a distance of at most two from an unknown one, if any. */
export function nearest(given: string, names: readonly string[]): string | undefined {
  const [first] = names.map((name) => ({ name, distance: distance(given, name) }))
    .filter(({ distance }) => distance <= 2).sort((a, b) => a.distance - b.distance);
  return first?.name;
}

/** Returns the edit distance of two words (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(changed, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[b.length];
}
