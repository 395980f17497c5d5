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
import { pipedInput, processTerminal, terminalInput } from "./client/line_input.ts";
import { Output } from "./client/output.ts";
import { runCommand, runCommands, type Screen } from "./client/repl.ts";
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

  const session = new Session(endpoint, { timeoutMs: options.timeoutMs, caCerts });
  const interrupted = () => {
    session.close();
    Deno.exit(EXIT_INTERRUPTED);
  };
  Deno.addSignalListener("SIGINT", interrupted);
  const interactive = command.length === 0 && Deno.stdin.isTerminal();
  const terminal = Deno.stdout.isTerminal();
  const colored = options.color === "auto" ? interactive && terminal && !Deno.noColor : options.color === "always";
  const input = interactive
    ? await terminalInput(await processTerminal(), [...METHODS, ...LOCAL_COMMANDS], interrupted)
    : pipedInput(Deno.stdin.readable);
  const output = new Output(Deno.stdout);
  const replOptions = {
    session,
    screen: screenFor(output, interactive, terminal, colored),
    print: options.print ?? (terminal ? "hb" : "b"),
    interactive,
    painter: painterFor(colored),
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

function screenFor(output: Output, interactive: boolean, terminal: boolean, colored: boolean): Screen {
  return {
    // Colours are for a terminal, even if it is behind a pager.
    terminal: terminal || colored,
    write: (bytes) => output.write(bytes),
    async tell(line) {
      await output.flush();
      await writeLine(interactive && terminal ? Deno.stdout : Deno.stderr, line);
    },
  };
}
