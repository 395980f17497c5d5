/**
 * `connect`, put together: a session with a server, at a prompt, with commands from a pipe, or with one alone.
 *
 * @module
 */

import config from "../deno.json" with { type: "json" };
import { readAtMost, writeLine } from "./bytes.ts";
import type { ConnectOptions } from "./cli.ts";
import { readCertificates, readToken } from "./cli/files.ts";
import { commandLine } from "./cli/program.ts";
import { EXIT_FAILURE, EXIT_INTERRUPTED, flagValue } from "./cli/values.ts";
import { authorityOf, type Endpoint, Session } from "./client.ts";
import { basicAuthorization, LOCAL_COMMANDS, METHODS, parseCommand } from "./client/command.ts";
import type { Screen } from "./client/display.ts";
import type { TableWords } from "./client/items.ts";
import { pipedInput } from "./client/line_input.ts";
import { Output } from "./client/output.ts";
import { runCommand, runCommands } from "./client/repl.ts";
import { processTerminal, terminalInput } from "./client/terminal_input.ts";
import { shellWord, type Word, WrongInput } from "./client/words.ts";
import type { FieldLine } from "./http_message.ts";
import { FALLBACK_COLUMNS, MAX_SENT_FILE_BYTES } from "./limits.ts";
import { FILTER_OPERATORS } from "./table/query.ts";
import { RowSchema } from "./table/row_schema.ts";
import { painterFor } from "./terminal.ts";
import { LastExchange } from "./traffic/exchange.ts";
import { tapped } from "./traffic/tap.ts";

/** Talks to a server: one command's worth, or until the input ends. */
export async function connect(options: ConnectOptions): Promise<number> {
  const { endpoint, command, userPass } = options;
  const { fields } = flagValue("--fields", () => RowSchema.parse(options.fields));
  const caCerts = options.caFile === undefined ? [] : [await readCertificates("--cacert", options.caFile)];
  const defaults: FieldLine[] = [
    ["Host", authorityOf(endpoint)],
    ["User-Agent", `wiretable/${config.version}`],
    ["Accept", "*/*"],
  ];
  if (options.tokenFile !== undefined) defaults.push(["Authorization", `Bearer ${await readToken(options.tokenFile)}`]);

  if (userPass !== undefined) defaults.push(basicAuthorization(userPass));

  const terminal = Deno.stdout.isTerminal();
  const output = new Output(Deno.stdout);
  const asksAtTerminal = command.length === 0 && Deno.stdin.isTerminal();
  const streams = asksAtTerminal ? await processTerminal() : undefined;
  const interactive = streams !== undefined;
  const screen = screenFor(output, interactive, terminal);
  if (asksAtTerminal && !interactive) await screen.tell(NO_RAW_MODE);
  const exchange = new LastExchange();
  let connections = 0;
  // A command alone has nobody who could ask afterwards.
  const tap = command.length > 0 && !options.explain
    ? undefined
    : (conn: Deno.Conn) => tapped(conn, "client", ++connections, (event) => exchange.tell(event));
  const session = new Session(endpoint, {
    timeoutMs: options.timeoutMs,
    caCerts,
    tap,
    connected: (local, remote) => {
      if (interactive) input.notify(`(connected ${nameOf(local)} -> ${nameOf(remote)} (tcp.port == ${local.port}))`);
    },
    closed: (how) => input.notify(`(${how}; the next request opens a new connection)`),
  });
  const input = streams === undefined ? pipedInput(Deno.stdin.readable) : await terminalInput(streams, {
    complete: (line) => completions(line, seenNames),
    interrupted: () => void session.cancel(),
  });
  // In raw mode Ctrl-C is a key. Anything else that interrupts the program ends it.
  Deno.addSignalListener("SIGINT", () => {
    session.close();
    input.close();
    Deno.exit(EXIT_INTERRUPTED);
  });
  const colored = options.color === "always" || options.pretty === "all" ||
    options.color === "auto" && options.pretty !== "none" && terminal && !Deno.noColor;
  const seenNames = new Set<string>();
  const painter = painterFor(colored && options.color !== "never");
  const replOptions = {
    endpoint,
    session,
    sessionWith: (other: Endpoint) => new Session(other, { timeoutMs: options.timeoutMs, caCerts, tap }),
    readContent: (name: string) => readContent(name, command.length > 0),
    seenNames,
    screen,
    print: options.print,
    pretty: options.pretty,
    showCredentials: options.showCredentials,
    interactive,
    painter,
    explain: {
      each: options.explain,
      begin: (method: string) => exchange.begin(method),
      text: () =>
        exchange.text({
          width: terminal ? columnsOf() : FALLBACK_COLUMNS,
          all: false,
          painter,
          masked: !options.showCredentials,
        }),
    },
    table: { fields, filterOperators: FILTER_OPERATORS },
    defaults,
  };
  try {
    const words = command.map(shellWord);
    // A command that makes no sense is refused before anything is connected.
    if (command.length === 0 || needsServer(words, replOptions.table)) await session.connect();
    const code = command.length > 0
      ? await runCommand(words, input, replOptions)
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

/** Whether the words are a command that sends a request. */
function needsServer(words: readonly Word[], table: TableWords): boolean {
  try {
    return ["request", "ask"].includes(parseCommand(words, table).kind);
  } catch (error) {
    if (error instanceof WrongInput) return false;
    throw error;
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

/** The commands that begin with what is typed, or the names of rows. */
function completions(line: string, names: ReadonlySet<string>): string[] {
  const [, command, name] = /^(\w+) +(\S*)$/.exec(line) ?? [];
  if (command === undefined) {
    return line.includes(" ") ? [] : [...METHODS, ...LOCAL_COMMANDS].filter((word) => word.startsWith(line));
  }
  return ["all", ...names].filter((word) => word.startsWith(name)).map((word) => `${command} ${word}`);
}

/** Reads the content that a command names. */
async function readContent(name: string, isAlone: boolean): Promise<Uint8Array> {
  if (name === "-" && !isAlone) {
    throw new WrongInput("- takes the standard input, which the commands come from: name a file as @FILE");
  }
  try {
    using file = name === "-" ? undefined : await Deno.open(name);
    return await readAtMost(file ?? Deno.stdin, MAX_SENT_FILE_BYTES);
  } catch (error) {
    if (error instanceof RangeError) {
      throw new WrongInput(`${name} has more than the ${MAX_SENT_FILE_BYTES} bytes that can be sent`);
    }
    if (!(error instanceof Deno.errors.NotCapable)) throw new WrongInput(`${name}: ${(error as Error).message}`);
    const needs = { read: [name], write: [] };
    throw new WrongInput(`@${name} needs a permission: ${commandLine(Deno.args, needs)}`);
  }
}
