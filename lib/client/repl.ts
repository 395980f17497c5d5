/**
 * The client as a program: commands in, exchanges shown, an exit code out; at a prompt, from a pipe, or one alone.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import {
  ClientError,
  type ExchangeEvent,
  InvalidResponse,
  type SentRequest,
  type Session,
  TimeoutError,
} from "../client.ts";
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
import { type FieldLine, type HttpRequest, LF } from "../http_message.ts";
import { MAX_SHOWN_INVALID_BYTES } from "../limits.ts";
import type { LineInput } from "./line_input.ts";
import { ContentText, escapeText, type Painter, showHead } from "../terminal.ts";

/** Where text and bytes are shown. */
export interface Screen {
  /** Whether it is a terminal: then what the server sent is escaped, else it is written exactly. */
  readonly terminal: boolean;
  /** Writes all of the bytes. */
  write(bytes: Uint8Array): Promise<void>;
  /** Writes a line for the user that is no part of a message, beside the output if that is not a terminal. */
  tell(line: string): Promise<void>;
}

/** What the client works with. */
export interface ReplOptions {
  /** The session with the server. */
  readonly session: Session;
  /** Where exchanges are shown. */
  readonly screen: Screen;
  /** Which parts of them: `H` and `B` of the request, `h` and `b` of the response. */
  readonly print: string;
  /** Whether a person types at a prompt: then there are prompts and banners, and mistakes do not count. */
  readonly interactive: boolean;
  /** Colours heads. */
  readonly painter: Painter;
  /** What commands may name of the table. */
  readonly table: TableWords;
  /** Fields that every request has, unless its command says otherwise. */
  readonly defaults: readonly FieldLine[];
}

/** The exit code of a usage error, and where no valid answer came. */
const EXIT_FAILURE = 1;
/** The exit code where no answer came in time. */
const EXIT_TIMEOUT = 2;

const HELP = `\
get NAME            one row             get all      every row; get all age:gte=2 leg==4 some
head NAME           only the head       get /a?b=c   any target, sent as it is
post NAME [values]  a new row           put NAME [values]    a new row, or over the old one
patch NAME items    some fields         delete NAME  options NAME
values: one for each field in order, or items: type=snail text, age:=1 JSON,
        page==2 query, If-Match:'"1"' header; quote values with spaces or colons
help, q (or Ctrl-D) to quit
`;

const ENCODER = new TextEncoder();

/** Runs commands from the input until it ends. Returns the exit code: the worst of all, or 0 at a prompt. */
export async function runCommands(input: LineInput, options: ReplOptions): Promise<number> {
  const repl = new Repl(options);
  let worst = 0;
  for (;;) {
    await repl.prompt("Enter: [method] [objectName]");
    const line = await input.next();
    if (line === undefined) break;
    const code = await repl.run(() => splitLine(line), input);
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
  return await new Repl(options).run(() => words, input) ?? 0;
}

class Repl {
  readonly #options: ReplOptions;
  /** Whether the last command got no valid answer. */
  failed = false;
  /**
   * Whether piped content was shown that ends no line. A line end stands between it and what follows, so that a script
   * can tell two answers apart, and the input's end ends the last one. After a command alone nothing is added.
   */
  #midLine = false;

  constructor(options: ReplOptions) {
    this.#options = options;
  }

  /** Tells a line to a person; a script is spared. */
  async prompt(line: string): Promise<void> {
    if (this.#options.interactive) await this.#options.screen.tell(line);
  }

  /** Runs one command. Returns its exit code; `undefined` to quit. */
  async run(words: () => readonly Word[], input: LineInput): Promise<number | undefined> {
    this.failed = false;
    const { screen, table } = this.#options;
    try {
      const command = parseCommand(words(), table);
      switch (command.kind) {
        case "nothing":
          return 0;
        case "quit":
          return undefined;
        case "help":
          await this.#write(ENCODER.encode(HELP));
          return 0;
        case "request":
          return await this.#exchange(command.request);
        case "ask":
          return await this.#askAndExchange(command, input);
      }
    } catch (error) {
      if (error instanceof WrongInput) {
        await screen.tell(`Wrong Input: try again (${escapeText(error.message)})`);
        return EXIT_FAILURE;
      }
      if (!(error instanceof ClientError)) throw error;
      this.failed = true;
      await this.endLine();
      if (error instanceof InvalidResponse) await this.#showInvalid(error.octets);
      await screen.tell(escapeText(error.message));
      return error instanceof TimeoutError ? EXIT_TIMEOUT : EXIT_FAILURE;
    }
  }

  /** Ends the line that content has begun. */
  async endLine(): Promise<void> {
    if (this.#midLine) await this.#options.screen.write(ENCODER.encode("\n"));
    this.#midLine = false;
  }

  async #askAndExchange({ words }: Command & { kind: "ask" }, input: LineInput): Promise<number> {
    await this.prompt(`Enter information: ${describeFields(this.#options.table)}`);
    const line = await input.next();
    return await this.#exchange(completeCommand(words, splitLine(line ?? ""), this.#options.table));
  }

  async #exchange(bare: HttpRequest): Promise<number> {
    const { session, defaults } = this.#options;
    await this.endLine();
    let status = 0;
    const content = new ContentText();
    for await (const event of session.exchange(withDefaults(bare, defaults))) {
      if (event.kind === "response") status = event.status;
      await this.#showEvent(event, content);
    }
    // A status that no class has counts as one of the server's errors (RFC 9110 §15).
    return status >= 100 && status < 400 ? 0 : status >= 400 && status < 500 ? 4 : 5;
  }

  async #showRequest({ head, content }: SentRequest): Promise<void> {
    if (this.#shows("HB")) await this.#banner("-----REQUEST-----");
    if (this.#shows("H")) await this.#showHead(Buffer.from(head).toString("latin1"));
    if (content.length === 0 || !this.#shows("B")) return;
    const text = new ContentText();
    await this.#showContent(content, text);
    await this.#endContent(text);
  }

  async #showEvent(event: ExchangeEvent, text: ContentText): Promise<void> {
    switch (event.kind) {
      case "notice":
        return await this.prompt(`(${event.text})`);
      case "sent":
        return await this.#showRequest(event);
      case "response":
        if (this.#shows("hb")) await this.#banner("-----RESPONSE-----");
        return this.#shows("h") ? await this.#showHead(event.text) : undefined;
      case "content":
        return this.#shows("b") ? await this.#showContent(event.bytes, text) : undefined;
      case "end":
        if (this.#shows("b")) await this.#endContent(text);
        if (event.trailers.size === 0 || !this.#shows("h")) return;
        return await this.#showHead([...event.trailers].map(([name, value]) => `${name}: ${value}\r\n`).join(""));
    }
  }

  #shows(parts: string): boolean {
    return [...parts].some((part) => this.#options.print.includes(part));
  }

  async #banner(text: string): Promise<void> {
    if (this.#options.interactive) await this.#write(ENCODER.encode(`${this.#options.painter("dim", text)}\n`));
  }

  async #showHead(head: string): Promise<void> {
    const { screen, painter } = this.#options;
    const bytes = screen.terminal ? ENCODER.encode(showHead(head, painter)) : Buffer.from(head, "latin1");
    await this.#write(bytes);
  }

  async #showContent(bytes: Uint8Array, text: ContentText): Promise<void> {
    const { screen } = this.#options;
    if (!screen.terminal) {
      // It may be much, and nobody needs it as text.
      await screen.write(bytes);
      this.#midLine = bytes.at(-1) !== LF;
      return;
    }
    await screen.write(ENCODER.encode(text.add(bytes)));
    this.#midLine = !text.endsLine;
  }

  async #endContent(text: ContentText): Promise<void> {
    const { screen } = this.#options;
    if (!screen.terminal) return;
    const rest = text.end();
    if (rest !== "") await screen.write(ENCODER.encode(rest));
    await this.endLine();
  }

  /** Shows what is no response, as far as it is of interest. */
  async #showInvalid(octets: Uint8Array): Promise<void> {
    if (!this.#shows("h") || octets.length === 0) return;
    await this.#banner("-----RESPONSE-----");
    const text = new ContentText();
    await this.#showContent(octets.subarray(0, MAX_SHOWN_INVALID_BYTES), text);
    await this.#endContent(text);
    await this.endLine();
  }

  async #write(bytes: Uint8Array): Promise<void> {
    await this.endLine();
    await this.#options.screen.write(bytes);
  }
}
