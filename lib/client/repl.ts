/**
 * The client as a program: commands in, exchanges shown, an exit code out; at a prompt, from a pipe, or one alone.
 *
 * @module
 */

import {
  authorityOf,
  Cancelled,
  ClientError,
  type Endpoint,
  InvalidResponse,
  type Session,
  TimeoutError,
} from "../client.ts";
import type { FieldLine, HttpRequest } from "../http_message.ts";
import { MAX_SEEN_NAMES } from "../limits.ts";
import { escapeText, maskCredentials } from "../terminal.ts";
import { type Command, completeCommand, parseLine } from "./command.ts";
import { curlCommand } from "./curl.ts";
import { Display, type DisplayOptions } from "./display.ts";
import { type Done, followUp } from "./follow.ts";
import { describeFields, type Order, type TableWords, withDefaults } from "./items.ts";
import { HELP, RAW_HELP } from "./help.ts";
import type { LineInput } from "./line_input.ts";
import type { RawView } from "./raw.ts";
import type { RawStep } from "./raw_steps.ts";
import { splitLine, type Word, WrongInput } from "./words.ts";

/** Explains the last exchange, octet by octet. */
export interface ExchangeView {
  /** Whether each exchange is explained unasked. */
  readonly each: boolean;
  /** Begins an exchange with a request of this method; with any requests, if none is named. */
  begin(method?: string): void;
  /** Ends the exchange: what follows on a new connection is no part of it. */
  end(): void;
  /** The last exchange, explained in safe text; `undefined` if there was none. */
  text(): string | undefined;
}

/** What the client works with. */
export interface ReplOptions extends DisplayOptions {
  /** The server. */
  readonly endpoint: Endpoint;
  /** The session with it. */
  readonly session: Session;
  /** Makes a session with another server. */
  readonly sessionWith: (endpoint: Endpoint) => Session;
  /** What commands may name of the table. */
  readonly table: TableWords;
  /** Fields that every request has, unless its command says otherwise. */
  readonly defaults: readonly FieldLine[];
  /**
   * Reads the content that a command names: a file, or `-` for the standard input.
   *
   * @throws {WrongInput} If it cannot be read.
   */
  readonly readContent: (name: string) => Promise<Uint8Array>;
  /** Tells of raw exchanges, and what the rules say of them. */
  readonly raw: RawView;
  /** Explains exchanges. */
  readonly explain?: ExchangeView;
  /** Collects the names of rows that commands have used, for Tab. */
  readonly seenNames?: Set<string>;
}

/** The exit code of a usage error, and where no valid answer came. */
const EXIT_FAILURE = 1;
/** The exit code where no answer came in time. */
const EXIT_TIMEOUT = 2;
/** The exit code after Ctrl-C. */
const EXIT_INTERRUPTED = 130;

/**
 * Runs commands from the input until it ends. Returns the exit code: the worst of all; at a prompt 0, or 130 after
 * Ctrl-C twice.
 */
export async function runCommands(input: LineInput, options: ReplOptions): Promise<number> {
  const repl = new Repl(options, input);
  let worst = 0;
  for (let interruptions = 0;;) {
    await repl.prompt("Enter: [method] [objectName]");
    const line = await input.next();
    if (line.kind === "end") break;
    if (line.kind === "cancelled") {
      interruptions = line.wasEmpty ? interruptions + 1 : 0;
      if (interruptions > 1) return EXIT_INTERRUPTED;
      if (line.wasEmpty) await repl.prompt("(q, Ctrl-D, or Ctrl-C once more quits)");
      continue;
    }
    interruptions = 0;
    const code = await repl.run(() => parseLine(line.text, options.table));
    if (code === undefined) break;
    // A usage error outranks 5xx, and that 4xx.
    worst = code === EXIT_FAILURE || worst === EXIT_FAILURE ? EXIT_FAILURE : Math.max(worst, code);
    if (repl.failed && !options.interactive) return code;
  }
  await repl.endLine();
  return options.interactive ? 0 : worst;
}

/** Runs one command; values that it lacks are taken from the input. Returns the exit code. */
export async function runCommand(
  command: () => Command,
  input: LineInput,
  options: ReplOptions,
): Promise<number> {
  return await new Repl(options, input).run(command) ?? 0;
}

class Repl {
  readonly #options: ReplOptions;
  readonly #input: LineInput;
  readonly #display: Display;
  /** Fields that the user wants to be sent from now on, by their names in lower case. */
  readonly #headers = new Map<string, FieldLine>();
  #last: Done | undefined;
  /** Whether the last command got no valid answer. */
  failed = false;

  constructor(options: ReplOptions, input: LineInput) {
    this.#options = options;
    this.#input = input;
    this.#display = new Display(options);
  }

  /** Tells a line to a person; a script is spared. */
  async prompt(line: string): Promise<void> {
    if (this.#options.interactive) await this.#options.screen.tell(line);
  }

  /** Ends the line that content has begun. */
  async endLine(): Promise<void> {
    await this.#display.endLine();
  }

  /** Runs one command, once it is made of what was typed. Returns its exit code; `undefined` to quit. */
  async run(parse: () => Command): Promise<number | undefined> {
    this.failed = false;
    try {
      const command = parse();
      if (command.kind === "request") this.#noteName(command.object);
      if (command.kind === "ask") this.#noteName(command.words[1].text);
      return await this.#execute(command);
    } catch (error) {
      return await this.#explain(error);
    }
  }

  async #execute(command: Command): Promise<number | undefined> {
    switch (command.kind) {
      case "nothing":
        return 0;
      case "quit":
        return undefined;
      case "help":
        await this.#display.write(command.topic === "raw" ? RAW_HELP : HELP);
        return 0;
      case "raw":
        return await this.#raw(command.steps);
      case "print":
        this.#display.print = command.parts ?? this.#display.print;
        await this.prompt(`(shown are ${this.#display.print ?? "hb"})`);
        return 0;
      case "header":
        return await this.#changeHeaders(command);
      case "follow": {
        const { endpoint, request } = followUp(this.#lastDone());
        return await this.#followTo(endpoint, request);
      }
      case "explain":
        return await this.#showExplanation();
      case "curl":
        return await this.#showCurl(this.#lastDone());
      case "request":
        return await this.#order(command.order);
      case "ask":
        return await this.#askAndExchange(command.words);
    }
  }

  #noteName(name: string): void {
    const { seenNames } = this.#options;
    if (seenNames !== undefined && seenNames.size < MAX_SEEN_NAMES && !/^(?:all$|[/*])/.test(name)) seenNames.add(name);
  }

  #lastDone(): Done {
    if (this.#last !== undefined) return this.#last;
    throw new WrongInput("there was no request yet");
  }

  async #changeHeaders({ field, dropped }: Command & { kind: "header" }): Promise<number> {
    if (field !== undefined) this.#headers.set(field[0].toLowerCase(), field);
    else if (dropped !== undefined && !this.#headers.delete(dropped.toLowerCase())) {
      throw new WrongInput(`no field ${JSON.stringify(dropped)} is kept`);
    }
    if (field !== undefined || dropped !== undefined) return 0;
    const lines = [...this.#headers.values()].map(([name, value]) => `${name}: ${value}\n`).join("");
    await this.#display.write(this.#masked(lines === "" ? "(none)\n" : escapeText(lines)));
    return 0;
  }

  async #showCurl({ request, endpoint }: Done): Promise<number> {
    // In a command line, too, a field is its name, a colon and its value.
    const command = curlCommand(request, endpoint);
    const shown = this.#options.showCredentials ? command : command.replace(/'((?:[^']|'\\'')*)'/g, (word, text) => {
      const masked = maskCredentials(text);
      return masked === text ? word : `'${masked}'`;
    });
    await this.#display.write(`${this.#options.screen.terminal ? escapeText(shown) : shown}\n`);
    if (shown !== command) await this.prompt("(credentials are left out; --show-credentials shows them)");
    return 0;
  }

  async #showExplanation(): Promise<number> {
    const text = this.#options.explain?.text();
    if (text === undefined) throw new WrongInput("there was no request yet");
    await this.#display.write(text);
    return 0;
  }

  #masked(text: string): string {
    return this.#options.showCredentials ? text : maskCredentials(text);
  }

  async #askAndExchange(words: readonly Word[]): Promise<number> {
    await this.prompt(`Enter information: ${describeFields(this.#options.table)}`);
    const line = await this.#input.next();
    if (line.kind === "cancelled") return 0;
    // The words of the command stand before the values.
    const values = splitLine(`- - ${line.kind === "line" ? line.text : ""}`).slice(2);
    return await this.#order(completeCommand(words, values, this.#options.table));
  }

  async #order({ request, contentFrom }: Order): Promise<number> {
    const content = contentFrom === undefined ? undefined : await this.#options.readContent(contentFrom);
    const defaults = this.#options.defaults.filter(([name]) => !this.#headers.has(name.toLowerCase()));
    const whole = content === undefined ? request : { ...request, content };
    const { session, endpoint } = this.#options;
    return await this.#exchange(session, endpoint, withDefaults(whole, [...defaults, ...this.#headers.values()]));
  }

  /** Sends the request that a Location asks for, to whatever server. */
  async #followTo(endpoint: Endpoint, request: HttpRequest): Promise<number> {
    const own = this.#options.endpoint;
    const isSame = endpoint.secure === own.secure && endpoint.host === own.host && endpoint.port === own.port;
    const session = isSame ? this.#options.session : this.#options.sessionWith(endpoint);
    try {
      const fields: FieldLine[] = [["Host", authorityOf(endpoint)], ...request.fields];
      return await this.#exchange(session, endpoint, { ...request, fields });
    } finally {
      if (!isSame) session.close();
    }
  }

  /** Sends octets as they are; afterwards the session has a fresh connection. */
  async #raw(steps: readonly RawStep[]): Promise<number> {
    const { session, screen, explain, raw, interactive } = this.#options;
    await this.endLine();
    explain?.begin();
    try {
      const { outcome, status, valid } = await session.raw(steps, raw);
      if (outcome === "timeout") return EXIT_TIMEOUT;
      if (!valid || outcome === "ended") return EXIT_FAILURE;
      return status === undefined ? 0 : exitCodeOf(status);
    } finally {
      explain?.end();
      if (explain?.each) await this.#showExplanation();
      await screen.flush();
      // A prompt tells at once which connection is the next one's.
      if (interactive) await session.connect();
    }
  }

  async #exchange(session: Session, endpoint: Endpoint, request: HttpRequest): Promise<number> {
    const { explain } = this.#options;
    let status = 0;
    let location: string | undefined;
    explain?.begin(request.method);
    try {
      for await (const event of session.exchange(request)) {
        if (event.kind === "response") {
          status = event.status;
          location = event.fields.get("location");
        }
        await this.#display.show(event);
        if (event.kind === "end") this.#last = { endpoint, request, status, location };
      }
    } finally {
      // A response that is not valid is worth explaining above all.
      if (explain?.each) await this.#showExplanation();
    }
    return exitCodeOf(status);
  }

  /** Tells an error to the user. Returns the exit code that stands for it. */
  async #explain(error: unknown): Promise<number> {
    const { screen } = this.#options;
    if (error instanceof WrongInput) {
      await screen.tell(`Wrong Input: try again (${escapeText(error.message)})`);
      return EXIT_FAILURE;
    }
    if (!(error instanceof ClientError)) throw error;
    this.failed = true;
    await this.endLine();
    if (error instanceof InvalidResponse) await this.#display.showInvalid(error.octets);
    await screen.tell(escapeText(error.message));
    if (error instanceof Cancelled) return EXIT_INTERRUPTED;
    return error instanceof TimeoutError ? EXIT_TIMEOUT : EXIT_FAILURE;
  }
}

/** The exit code of a status. One that no class has counts as one of the server's errors (RFC 9110 §15). */
function exitCodeOf(status: number): number {
  return status >= 100 && status < 400 ? 0 : status >= 400 && status < 500 ? 4 : 5;
}
