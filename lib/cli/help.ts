/** The commands of the program, and help texts generated from their flags. */

import { DEFAULT_HOST, DEFAULT_PORT } from "../address.ts";
import { RELAY_PORT } from "./addresses.ts";
import { CONNECT_FLAGS, EXPLAIN_FLAGS, type Flag, HELP_FLAG, RELAY_FLAGS, REPLAY_FLAGS, SERVE_FLAGS } from "./flags.ts";
import { exampleLine } from "./program.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;

/** A command of the program. */
export interface CommandHelp {
  readonly name: string;
  /** The arguments after the name. */
  readonly usage: string;
  /** What the arguments are, for completion: files, or one of these words. */
  readonly completes?: "files" | readonly string[];
  /** For the list of commands. */
  readonly summary: string;
  /** For the command's own help. */
  readonly about: string;
  readonly details?: string;
  readonly flags: readonly Flag[];
  readonly notes?: string;
  /** Arguments that work as typed, at the end of the help; those of a command with many flags, which stand in groups. */
  readonly examples?: readonly string[][];
}

/** All commands, in the order of the help. */
export const COMMANDS: readonly CommandHelp[] = [
  {
    name: "serve",
    usage: "[flags]",
    summary: "a JSON table; prints requests",
    about: `a JSON table at http://${DEFAULT_HOST}:${DEFAULT_PORT}/, rows at /NAME`,
    flags: [...Object.values(SERVE_FLAGS), HELP_FLAG],
    notes: `\
Sizes are in bytes, or as 16k or 1m. Ctrl-C finishes requests, then stops. On
Windows, --host :: is IPv6 only; 0.0.0.0 is all addresses of IPv4.`,
    examples: [["serve", "--page"], ["serve", "--port", "8080", "--fields", "name,age:integer"]],
  },
  {
    name: "connect",
    usage: "[ADDRESS] [COMMAND …] [flags]",
    summary: "a client; prints responses",
    about: "talk to a server",
    details: `\
ADDRESS is HOST:PORT, :PORT, http://HOST:PORT or https://HOST; by default
${DEFAULT_HOST}:${DEFAULT_PORT}. COMMAND is a line as at the prompt: post Pingping snail 1 0.
Without one, the prompt opens, where help lists the commands, or each line of
the input is one, but those that start with #.`,
    flags: [...Object.values(CONNECT_FLAGS), HELP_FLAG],
    notes: `\
Exit code: 0 for a status below 400, 4 and 5 for those classes, 3 if raw got an
answer against the rules, 1 for wrong usage or without a valid response, 2 for a
timeout, 129, 130 and 143 for SIGHUP, Ctrl-C and SIGTERM. Of several commands
the worst counts: 1, 2, 3, 5, 4.`,
    examples: [["connect", "post", "Pingping", "snail", "1", "0"], ["connect", "--explain", "get", "all"]],
  },
  {
    name: "relay",
    usage: "URL [flags]",
    summary: "between a client and a server",
    about: "pass octets between any client and a server",
    details: `\
URL is a server's address, as of connect. Clients connect to
http://${DEFAULT_HOST}:${RELAY_PORT}/ instead. Octets pass as they are, but for the value of
Host, which becomes the server's name; messages are shown, and judged.`,
    flags: [...Object.values(RELAY_FLAGS), HELP_FLAG],
    notes: `\
Requests for other hosts than this machine and the server are answered with 421;
502, 504 and 408 say that the server or the client was not there in time. Where
a site's own name is needed: curl --connect-to SITE:80:${DEFAULT_HOST}:${RELAY_PORT}`,
    examples: [
      ["relay", `http://${DEFAULT_HOST}:${DEFAULT_PORT}`],
      ["relay", `http://${DEFAULT_HOST}:${DEFAULT_PORT}`, "--page", "--explain"],
    ],
  },
  {
    name: "explain",
    usage: "FILE|- [flags]",
    completes: "files",
    summary: "what each octet means",
    about: "explain each octet of the messages in a file",
    details: `\
FILE has requests, responses, or both in turn, as they were sent; - is the
standard input. What starts with HTTP/ is a response. FILE may also be a capture
(pcapng or pcap) of serve --record, connect --record, Wireshark, tcpdump: then
each connection's requests stand beside their responses. gzip is expanded.`,
    flags: [...Object.values(EXPLAIN_FLAGS), HELP_FLAG],
    notes: "Exit code: 0 if every message is complete and valid, 1 otherwise.",
  },
  {
    name: "replay",
    usage: "FILE [flags]",
    completes: "files",
    summary: "a recording, sent again",
    about: "send again what clients sent, compare answers",
    details: `\
FILE is a recording of serve or connect (--record), or a capture of Wireshark
or tcpdump (pcapng or pcap, also in gzip). Octets go out as they were split,
after the answers that came before them, with the recorded pauses. Requests are
never rewritten.`,
    flags: [...Object.values(REPLAY_FLAGS), HELP_FLAG],
    notes: `\
Compared: status, fields, content, whether the connection stays; not the values
of ETag, Last-Modified, Expires and Set-Cookie, nor Date, Age, Server, Via,
Connection, Keep-Alive.
Exit code: 0 if all answers are the same, 1 otherwise, 2 if one did not come.`,
  },
  {
    name: "completions",
    usage: "SHELL",
    completes: SHELLS,
    summary: "for bash, zsh or fish",
    about: "print a script that completes commands and flags",
    details: `\
SHELL is bash, zsh or fish. For the shell that runs:
  bash  source <(wiretable completions bash)
  zsh   source <(wiretable completions zsh)
  fish  wiretable completions fish | source`,
    flags: [HELP_FLAG],
  },
];

export function mainHelp(): string {
  const width = Math.max(...COMMANDS.map(({ name, usage }) => `${name} ${usage}`.length));
  const lines = COMMANDS.map(({ name, usage, summary }) =>
    `  wiretable ${`${name} ${usage}`.padEnd(width)}  ${summary}\n`
  );
  return `\
wiretable: both ends of an HTTP/1.1 connection, with every byte in view

${lines.join("")}  wiretable ${COMMANDS.map(({ name }) => name).join("|")} --help
  wiretable --version
`;
}

export function helpOf(command: string): string {
  const { name, usage, about, details, flags, notes, examples } = COMMANDS.find(({ name }) => name === command)!;
  const parts = [
    `wiretable ${name} ${usage}: ${about}`,
    details,
    examples === undefined ? flags.map(flagLine).join("\n") : groupedLines(flags),
    notes,
    examples && ["Examples:", ...examples.map((args) => `  ${exampleLine(args)}`)].join("\n"),
  ];
  return parts.filter((part) => part !== undefined).join("\n\n") + "\n";
}

function groupedLines(flags: readonly Flag[]): string {
  const groups = Map.groupBy(flags, ({ group }) => group).entries().map(([title, flags]) => {
    return [...title === undefined ? [] : [`${title}:`], ...flags.map(flagLine)].join("\n");
  });
  return [...groups].join("\n\n");
}

function flagLine({ name, short, value, help }: Flag): string {
  const left = `${short === undefined ? "    " : `-${short}, `}--${name}${value === undefined ? "" : ` ${value}`}`;
  return `  ${left.padEnd(27)} ${help}`;
}
