/**
 * `connect`, put together: a session with a server, at a prompt, with commands from a pipe, or with one alone.
 *
 * @module
 */

import config from "../deno.json" with { type: "json" };
import { writeLine } from "./bytes.ts";
import type { ConnectOptions } from "./cli.ts";
import { readCertificates, readToken } from "./cli/files.ts";
import { EXIT_FAILURE, EXIT_INTERRUPTED, flagValue } from "./cli/values.ts";
import { authorityOf, Session } from "./client.ts";
import { LOCAL_COMMANDS, METHODS, shellWord } from "./client/command.ts";
import type { Screen } from "./client/display.ts";
import { pipedInput } from "./client/line_input.ts";
import { Output } from "./client/output.ts";
import { runCommand, runCommands } from "./client/repl.ts";
import { processTerminal, terminalInput } from "./client/terminal_input.ts";
import type { FieldLine } from "./http_message.ts";
import { FILTER_OPERATORS } from "./table/query.ts";
import { RowSchema } from "./table/row_schema.ts";
import { painterFor } from "./terminal.ts";

/** Talks to a server: one command's worth, or until the input ends. */
export async function connect(options: ConnectOptions): Promise<number> {
  const { endpoint, command } = options;
  const { fields } = flagValue("--fields", () => RowSchema.parse(options.fields));
  const caCerts = options.caFile === undefined ? [] : [await readCertificates("--cacert", options.caFile)];
  const defaults: FieldLine[] = [
    ["Host", authorityOf(endpoint)],
    ["User-Agent", `wiretable/${config.version}`],
    ["Accept", "*/*"],
  ];
  if (options.tokenFile !== undefined) defaults.push(["Authorization", `Bearer ${await readToken(options.tokenFile)}`]);

  const terminal = Deno.stdout.isTerminal();
  const output = new Output(Deno.stdout);
  const asksAtTerminal = command.length === 0 && Deno.stdin.isTerminal();
  const streams = asksAtTerminal ? await processTerminal() : undefined;
  const interactive = streams !== undefined;
  const screen = screenFor(output, interactive, terminal);
  if (asksAtTerminal && !interactive) await screen.tell(NO_RAW_MODE);
  const session = new Session(endpoint, {
    timeoutMs: options.timeoutMs,
    caCerts,
    connected: (local, remote) => {
      if (interactive) input.notify(`(connected ${nameOf(local)} -> ${nameOf(remote)} (tcp.port == ${local.port}))`);
    },
    closed: (how) => input.notify(`(${how}; the next request opens a new connection)`),
  });
  const input = streams === undefined
    ? pipedInput(Deno.stdin.readable)
    : await terminalInput(streams, { complete: completions, interrupted: () => void session.cancel() });
  // In raw mode Ctrl-C is a key. Anything else that interrupts the program ends it.
  Deno.addSignalListener("SIGINT", () => {
    session.close();
    input.close();
    Deno.exit(EXIT_INTERRUPTED);
  });
  const colored = options.color === "always" || options.pretty === "all" ||
    options.color === "auto" && options.pretty !== "none" && terminal && !Deno.noColor;
  const replOptions = {
    session,
    screen,
    print: options.print,
    pretty: options.pretty,
    showCredentials: options.showCredentials,
    interactive,
    painter: painterFor(colored && options.color !== "never"),
    table: { fields, filterOperators: FILTER_OPERATORS },
    defaults,
  };
  try {
    await session.connect();
    const code = command.length > 0
      ? await runCommand(command.map(shellWord), input, replOptions)
      : await runCommands(input, replOptions);
    await output.flush();
    return code;
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) return EXIT_FAILURE;
    throw error;
  } finally {
    // What was shown before something failed is of use.
    await output.flush().catch(() => {});
    session.close();
    input.close();
  }
}

const NO_RAW_MODE =
  "This terminal gives no single keys, so there is no prompt: type commands, or use Windows Terminal or winpty";

function screenFor(output: Output, interactive: boolean, terminal: boolean): Screen {
  return {
    terminal,
    columns: () => columnsOf(),
    write: (bytes) => output.write(bytes),
    async tell(line) {
      await output.flush();
      await writeLine(interactive && terminal ? Deno.stdout : Deno.stderr, line);
    },
  };
}

/** Characters in a line of the terminal; 80 where that is not known. */
function columnsOf(): number {
  try {
    return Deno.consoleSize().columns || 80;
  } catch {
    return 80;
  }
}

function nameOf({ hostname, port }: Deno.NetAddr): string {
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

/** The commands that begin with what is typed. */
function completions(line: string): string[] {
  return line.includes(" ") ? [] : [...METHODS, ...LOCAL_COMMANDS].filter((word) => word.startsWith(line));
}
