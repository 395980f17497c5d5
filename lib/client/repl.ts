/**
 * The client as a program: commands in, exchanges shown, an exit code out; at a prompt, from a pipe, or one alone.
 *
 * @module
 */

import { Cancelled, ClientError, InvalidResponse, type Session, TimeoutError } from "../client.ts";
import type { FieldLine, HttpRequest } from "../http_message.ts";
import { escapeText } from "../terminal.ts";
import {
  type Command,
  completeCommand,
  describeFields,
  parseCommand,
  splitLine,
  type TableWords,
  withDefaults,
  type Word,
  WrongInput,
} from "./command.ts";
import { Display, type DisplayOptions } from "./display.ts";
import type { LineInput } from "./line_input.ts";

/** What the client works with. */
export interface ReplOptions extends DisplayOptions {
  /** The session with the server. */
  readonly session: Session;
  /** What commands may name of the table. */
  readonly table: TableWords;
  /** Fields that every request has, unless its command says otherwise. */
  readonly defaults: readonly FieldLine[];
}

/** The exit code of a usage error, and where no valid answer came. */
const EXIT_FAILURE = 1;
/** The exit code where no answer came in time. */
const EXIT_TIMEOUT = 2;
/** The exit code after Ctrl-C. */
const EXIT_INTERRUPTED = 130;

const HELP = `\
get NAME            one row             get all      every row; get all age:gte=2 leg==4 some
head NAME           only the head       get /a?b=c   any target, sent as it is
post NAME [values]  a new row           put NAME [values]    a new row, or over the old one
patch NAME items    some fields         delete NAME  options NAME
values: one for each field in order, or items: type=snail text, age:=1 JSON,
        page==2 query, If-Match:'"1"' header; quote values with spaces or colons
print HBhb          what is shown: H B request head and body, h b response's
help, q (or Ctrl-D) to quit; Ctrl-C cancels the line, the question or the transfer
`;

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
    const code = await repl.run(() => splitLine(line.text));
    if (code === undefined) break;
    // A usage error outranks 5xx, and that 4xx.
    worst = code === EXIT_FAILURE || worst === EXIT_FAILURE ? EXIT_FAILURE : Math.max(worst, code);
    if (repl.failed && !options.interactive) return code;
  }
  await repl.endLine();
  return options.interactive ? 0 : worst;
}

/** Runs one command whose words are there; values that it lacks are taken from the input. Returns the exit code. */
export async function runCommand(words: readonly Word[], input: LineInput, options: ReplOptions): Promise<number> {
  return await new Repl(options, input).run(() => words) ?? 0;
}

class Repl {
  readonly #options: ReplOptions;
  readonly #input: LineInput;
  readonly #display: Display;
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

  /** Runs one command. Returns its exit code; `undefined` to quit. */
  async run(words: () => readonly Word[]): Promise<number | undefined> {
    this.failed = false;
    try {
      return await this.#execute(parseCommand(words(), this.#options.table));
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
        await this.#display.write(HELP);
        return 0;
      case "print":
        this.#display.print = command.parts ?? this.#display.print;
        await this.prompt(`(shown are ${this.#display.print ?? "hb"})`);
        return 0;
      case "request":
        return await this.#exchange(command.request);
      case "ask":
        return await this.#askAndExchange(command.words);
    }
  }

  async #askAndExchange(words: readonly Word[]): Promise<number> {
    await this.prompt(`Enter information: ${describeFields(this.#options.table)}`);
    const line = await this.#input.next();
    if (line.kind === "cancelled") return 0;
    const values = splitLine(line.kind === "line" ? line.text : "");
    return await this.#exchange(completeCommand(words, values, this.#options.table));
  }

  async #exchange(bare: HttpRequest): Promise<number> {
    const { session, defaults } = this.#options;
    let status = 0;
    for await (const event of session.exchange(withDefaults(bare, defaults))) {
      if (event.kind === "response") status = event.status;
      await this.#display.show(event);
    }
    // A status that no class has counts as one of the server's errors (RFC 9110 §15).
    return status >= 100 && status < 400 ? 0 : status >= 400 && status < 500 ? 4 : 5;
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
