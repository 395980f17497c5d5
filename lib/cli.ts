/**
 * The command line: converts arguments into options, or a usage error.
 *
 * @module
 */

import { nearest, NOT_UTF8 } from "./bytes.ts";
import { completionScript } from "./cli/completions.ts";
import {
  CONNECT_FLAGS,
  EXPLAIN_FLAGS,
  type FlagTable,
  type Parsed,
  parseFlags,
  RELAY_FLAGS,
  REPLAY_FLAGS,
  SERVE_FLAGS,
} from "./cli/flags.ts";
import { helpOf, mainHelp } from "./cli/help.ts";
import {
  connectOptions,
  explainOptions,
  refuseCurl,
  relayOptions,
  replayOptions,
  serveOptions,
} from "./cli/options.ts";
import { quote, UsageError } from "./cli/values.ts";

export { type Address, parseAddress } from "./cli/addresses.ts";
export type { FileNeeds } from "./cli/program.ts";
export { Failure, UsageError } from "./cli/values.ts";

/** What reads the arguments of each command. */
export const READERS = {
  serve: reader("serve", SERVE_FLAGS, serveOptions),
  connect: reader("connect", CONNECT_FLAGS, connectOptions, refuseCurl),
  relay: reader("relay", RELAY_FLAGS, relayOptions),
  explain: reader("explain", EXPLAIN_FLAGS, explainOptions),
  replay: reader("replay", REPLAY_FLAGS, replayOptions),
  completions: reader("completions", {}, ({ positionals }) => textOf(completionScript(positionals))),
};

/** A parsed command line: a text to print, or a command with its options and the files that it needs. */
export type Invocation = ReturnType<typeof READERS[keyof typeof READERS]> | { readonly kind: "version" };

/** Options of `serve`: those of its flags, and what several flags make together. */
export type ServeOptions = Extract<Invocation, { kind: "serve" }>["options"];
/** Options of `connect`: those of its flags, the server and the command. */
export type ConnectOptions = Extract<Invocation, { kind: "connect" }>["options"];
/** Options of `relay`: those of its flags, what several flags make together, and the server. */
export type RelayOptions = Extract<Invocation, { kind: "relay" }>["options"];
/** Options of `explain`: those of its flags, and the file. */
export type ExplainOptions = Extract<Invocation, { kind: "explain" }>["options"];
/** Options of `replay`: those of its flags, and the file of the recording. */
export type ReplayOptions = Extract<Invocation, { kind: "replay" }>["options"];

/** Parses the program's arguments. Throws a {@linkcode UsageError} if they are invalid. */
export function parseCommandLine(args: readonly string[]): Invocation {
  // Octets of an argument that are not UTF-8 have become this character before the program starts.
  const damaged = args.find((arg) => arg.includes("\ufffd"));
  if (damaged !== undefined) throw new UsageError(`${quote(damaged)} is ${NOT_UTF8}`);
  const [command, ...rest] = args;
  if (command === undefined) throw new UsageError("Expected serve, connect, relay, explain or replay: see --help");
  if (["--help", "-h", "help"].includes(command)) return textOf(mainHelp());
  if (["--version", "-V"].includes(command)) return { kind: "version" };
  if (Object.hasOwn(READERS, command)) return READERS[command as keyof typeof READERS](rest);
  const near = nearest(command, Object.keys(READERS));
  const hint = near === undefined ? "expected serve, connect, relay, explain or replay," : `did you mean ${near}?`;
  throw new UsageError(`Unknown command ${quote(command)}: ${hint} see --help`);
}

function textOf(text: string) {
  return { kind: "text", text } as const;
}

/** Creates a reader: `read` makes an invocation of parsed arguments that passed `check`, unless help is asked for. */
function reader<Table extends FlagTable, Read>(
  command: string,
  table: Table,
  read: (parsed: Parsed<Table>) => Read,
  check?: (args: readonly string[]) => void,
) {
  return (args: string[]) => {
    check?.(args);
    const parsed = parseFlags(args, table);
    return parsed === undefined ? textOf(helpOf(command)) : read(parsed);
  };
}
