/**
 * Runs the client's commands: reads them from a prompt, a pipe or the command line, shows the exchanges, and returns an
 * exit code.
 *
 * @module
 */

import { EXIT_AGAINST, EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_TIMEOUT, exitCodeOf } from "../exit_code.ts";
import { authorityOf, type Endpoint } from "../address.ts";
import { BoundedBytes } from "../bytes.ts";
import { Cancelled, ClientError, type ExchangeEvent, InvalidResponse, type Session, TimeoutError } from "../client.ts";
import { type FieldLine, type HttpRequest, percentDecoded } from "../http_message.ts";
import { MAX_HELD_CONTENT_BYTES, MAX_PROBLEM_BYTES } from "../limits.ts";
import { isCredentialField, maskCredentials, maskQuery, maskTarget } from "../masking.ts";
import { escapeText } from "../terminal.ts";
import { type Command, completeCommand, holdsCredentials, linesAfter, parseLine } from "./command.ts";
import type { SeenNames } from "./completion.ts";
import { curlCommand } from "./curl.ts";
import { Display, type DisplayOptions } from "./display.ts";
import { type Done, followUp } from "./follow.ts";
import { type AskedField, describeFields, filesOf, type Order, requestOf, type TableWords } from "./items.ts";
import { helpOn } from "./help.ts";
import { joinedLine, type Line, type LineInput, textOf } from "./line_input.ts";
import { withData } from "./pasted.ts";
import { sendInPieces } from "./pieces.ts";
import type { RawView } from "./raw.ts";
import type { RawStep } from "./raw_steps.ts";
import { splitLine, type Word, WrongInput } from "./words.ts";

/** Explains exchanges, octet by octet. */
export interface ExchangeView {
  /** Whether each exchange is explained automatically. */
  readonly each: boolean;
  /** Starts an exchange. */
  begin(): void;
  /** Ends the exchange: what follows on a new connection is not part of it. */
  end(): void;
  /** Returns the last exchange, explained in safe text; `undefined` if there was none. */
  text(): string | undefined;
}

/** Options and dependencies of the client. */
export interface ReplOptions extends DisplayOptions {
  /** The server. */
  readonly endpoint: Endpoint;
  /** The session with the server. */
  readonly session: Session;
  /** Creates a session with another server. */
  readonly sessionWith: (endpoint: Endpoint) => Session;
  /** What is known of the table. */
  readonly table: TableWords;
  /** Fields of every request, unless its command has others. */
  readonly defaults: readonly FieldLine[];
  /**
   * Reads the content named by a command: a file, or `-` for the standard input.
   *
   * @throws {WrongInput} If it cannot be read.
   */
  readonly readContent: (name: string) => Promise<Uint8Array>;
  /** Shows raw exchanges, and the result expected by the rules. */
  readonly raw: RawView;
  /** Explains exchanges. */
  readonly explain?: ExchangeView;
  /** Collects the names of rows in commands and listings, for Tab. */
  readonly seenNames?: SeenNames;
  /** Keeps a typed line for later sessions. */
  readonly keep?: (line: string) => void;
  /** Whether a person types the values, though there is no prompt. */
  readonly asks?: boolean;
  /**
   * Reads fields in the notation of `--fields`; without it, none are learned from the server.
   *
   * @throws {RangeError} If the notation is wrong.
   */
  readonly readFields?: (notation: string) => TableWords["fields"];
}

/** The exit codes of commands, from the best to the worst. */
const RANKS: readonly number[] = [0, 4, 5, EXIT_AGAINST, EXIT_TIMEOUT, EXIT_FAILURE];

/**
 * Runs commands until the input ends. Returns the exit code: the worst of all; at a prompt 0, or 130 after Ctrl-C
 * twice.
 */
export async function runCommands(input: LineInput, options: ReplOptions): Promise<number> {
  let read = 0;
  const counting: LineInput = { ...input, next: () => (read++, input.next()) };
  const repl = new Repl(options, counting, () => options.interactive ? "" : `line ${read}: `);
  let worst = 0;
  for (let interruptions = 0;;) {
    await repl.prompt("Enter: [method] [objectName]");
    const line = await counting.next();
    if (line.kind === "end") break;
    // A comment in a script. A line that answers a question is read elsewhere.
    if (!options.interactive && line.kind === "line" && /^\s*#/.test(line.text)) continue;
    if (line.kind === "cancelled") {
      interruptions = line.wasEmpty ? interruptions + 1 : 0;
      if (interruptions > 1) return EXIT_INTERRUPTED;
      if (line.wasEmpty) await repl.prompt("(q, Ctrl-D, or Ctrl-C once more quits)");
      continue;
    }
    interruptions = 0;
    const code = await repl.runLine(line);
    if (code === undefined) break;
    worst = RANKS.indexOf(code) < RANKS.indexOf(worst) ? worst : code;
    if (repl.failed && !options.interactive) return code;
  }
  await repl.endLine();
  return options.interactive ? 0 : worst;
}

/** Runs one command; missing values are read from the input. Returns the exit code. */
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
  /** Returns what stands before an error: the line of a script. */
  readonly #place: () => string;
  readonly #display: Display;
  /** Fields the user has added to later requests, by name in lower case. */
  readonly #headers = new Map<string, AskedField>();
  /** What is known of the table; its fields may be learned from the server. */
  #table: TableWords;
  #last: Done | undefined;
  /** Whether each exchange is explained, and one was. */
  #explained = false;
  /** Whether a command got no valid response. */
  failed = false;

  constructor(options: ReplOptions, input: LineInput, place: () => string = () => "") {
    this.#options = options;
    this.#input = input;
    this.#place = place;
    this.#table = options.table;
    this.#display = new Display(options);
  }

  /** Prints a line at a prompt; nothing in a script. */
  async prompt(line: string): Promise<void> {
    if (this.#options.interactive) await this.#options.screen.tell(line);
  }

  /** Ends the line of the last content. */
  async endLine(): Promise<void> {
    await this.#display.endLine();
  }

  /** Parses and runs the command of a line, and of those that belong to it. Returns as {@linkcode run}. */
  async runLine(first: Line): Promise<number | undefined> {
    let line: Line;
    try {
      line = await this.#joined(first);
    } catch (error) {
      return await this.#explain(error);
    }
    return line.kind === "cancelled" ? 0 : await this.run(() => parseLine(textOf(line), this.#table), line);
  }

  /** Joins the lines of a command; `withWords` adds words before them. */
  #joined(first: Line, withWords = (text: string) => text): Promise<Line> {
    return joinedLine(
      first,
      this.#input,
      (text, rest) => linesAfter(withWords(text), rest),
      () => this.prompt("(a quote is open, or \\ is at the end: the line goes on; Ctrl-C cancels it)"),
    );
  }

  /** Parses and runs one command, and keeps its line if it is valid. Returns its exit code; `undefined` to quit. */
  async run(parse: () => Command, line?: Line): Promise<number | undefined> {
    try {
      const command = parse();
      // Whether a request is valid is known once its files are read.
      if (command.kind !== "request" && command.kind !== "pasted") this.#keep(command, line);
      if (command.kind === "request") this.#options.seenNames?.add(command.order.object);
      if (command.kind === "ask" && command.words[1].text !== "all") {
        this.#options.seenNames?.add(command.words[1].text);
      }
      return await this.#execute(command, line);
    } catch (error) {
      return await this.#explain(error);
    }
  }

  async #execute(command: Command, line: Line | undefined): Promise<number | undefined> {
    switch (command.kind) {
      case "nothing":
        return 0;
      case "quit":
        return undefined;
      case "help":
        await this.#display.write(helpOn(command.topic));
        return 0;
      case "raw":
        return await this.#raw(command.steps);
      case "print":
        this.#display.print = command.parts ?? this.#display.print;
        await this.prompt(`(shown: ${this.#display.print ?? "hb"})`);
        return 0;
      case "header":
        return await this.#changeHeaders(command);
      case "follow": {
        const last = this.#lastDone();
        const { endpoint, request, leftOut } = followUp(last);
        if (leftOut.length > 0) await this.prompt(`(not sent to another server: ${leftOut.join(", ")})`);
        return await this.#followTo(endpoint, request, request.content && last.contentFrom);
      }
      case "explain":
        return await this.#showExplanation();
      case "curl":
        return await this.#showCurl(this.#lastDone());
      case "request":
        return await this.#order(command.order, line);
      case "pasted":
        if (command.curl.follows) {
          await this.#options.screen.tell("(in the place of -L: follow requests a response's Location)");
        }
        return await this.#order(command.order, line, command);
      case "ask":
        return await this.#askAndExchange(command.words);
    }
  }

  #lastDone(): Done {
    if (this.#last !== undefined) return this.#last;
    throw new WrongInput("there was no request yet");
  }

  async #changeHeaders({ field, dropped }: Command & { kind: "header" }): Promise<number> {
    if (field !== undefined) this.#headers.set(field[0].toLowerCase(), field);
    else if (dropped !== undefined && !this.#headers.delete(dropped.toLowerCase())) {
      throw new WrongInput(`no header ${JSON.stringify(dropped)} is set for later requests`);
    }
    if (field !== undefined || dropped !== undefined) return 0;
    const lines = [...this.#headers.values()].map(([name, value]) =>
      value === "" ? `${name};\n` : value === undefined ? `${name}:\n` : `${name}: ${value}\n`
    ).join("");
    await this.#display.write(this.#masked(lines === "" ? "(none)\n" : escapeText(lines)));
    return 0;
  }

  async #showCurl({ request, endpoint, contentFrom }: Done): Promise<number> {
    const command = curlCommand(request, endpoint, contentFrom);
    const masked = {
      ...request,
      target: maskQuery(maskTarget(request.target)),
      fields: request.fields.map(([name, value]): FieldLine => {
        return [name, maskCredentials(`${name}: ${value}`).slice(name.length + ": ".length)];
      }),
    };
    const shown = this.#options.showCredentials ? command : curlCommand(masked, endpoint, contentFrom);
    await this.#display.write(`${this.#options.screen.terminal ? escapeText(shown) : shown}\n`);
    if (shown !== command) await this.prompt("(credentials are left out; --show-credentials shows them)");
    return 0;
  }

  async #showExplanation(): Promise<number> {
    const text = this.#options.explain?.text();
    if (text === undefined) throw new WrongInput("there was no request yet");
    // An empty line between exchanges, as there is one between their messages.
    await this.#display.write(this.#explained ? `\n${text}` : text);
    this.#explained = this.#options.explain!.each;
    return 0;
  }

  #masked(text: string): string {
    return this.#options.showCredentials ? text : maskCredentials(text);
  }

  async #askAndExchange(words: readonly Word[]): Promise<number> {
    const { interactive, asks, screen } = this.#options;
    if (interactive || asks) await screen.tell(`Enter information: ${describeFields(this.#table)}`);
    // Two words stand for those of the command before the values.
    const withWords = (text: string) => `put - ${text}`;
    const line = await this.#joined(await this.#input.next(), withWords);
    if (line.kind === "cancelled") return 0;
    const values = splitLine(withWords(textOf(line))).slice(2);
    return await this.#order(completeCommand(words, values, this.#table), line);
  }

  #keep(command: Command, line: Line | undefined): void {
    if (line === undefined || holdsCredentials(command)) return;
    const text = textOf(line).replaceAll(command.kind === "pasted" ? "\\\n" : "\n", " ");
    if (!text.includes("\n")) this.#options.keep?.(text);
  }

  async #order(order: Order, line: Line | undefined, pasted?: Command & { kind: "pasted" }): Promise<number> {
    const { session, endpoint, screen, defaults, readContent } = this.#options;
    const kept = [[...this.#headers.values()], defaults];
    const files = new Map<string, Uint8Array>();
    for (const name of filesOf(order, kept)) if (!files.has(name)) files.set(name, await readContent(name));
    const made = requestOf(order, kept, this.#table, files);
    const { request, contentFrom } = pasted === undefined
      ? made
      : await withData(made.request, pasted.curl, readContent);
    this.#keep(pasted ?? { kind: "request", order }, line);
    const sent = await this.#withoutEcho(request);
    const status = await sendInPieces(sent, {
      // A piece is not what the file holds.
      send: (request, show) =>
        this.#exchange(
          { session, endpoint, request, contentFrom: request.content === sent.content ? contentFrom : undefined },
          show,
        ),
      show: (event) => this.#display.show(event),
      tell: (line) => screen.tell(line),
      showsRefusals: () => this.#display.showsHeads,
    });
    return exitCodeOf(status);
  }

  /** Leaves credentials out of a request that the server sends back as content (RFC 9110 §9.3.8). */
  async #withoutEcho(request: HttpRequest): Promise<HttpRequest> {
    if (request.method !== "TRACE") return request;
    const fields = request.fields.filter(([name]) => !isCredentialField(name));
    const leftOut = request.fields.filter((field) => !fields.includes(field)).map(([name]) => name);
    if (leftOut.length > 0) await this.prompt(`(not sent with TRACE, which sends all back: ${leftOut.join(", ")})`);
    return { ...request, fields };
  }

  /** Sends the request that follows a Location, possibly to another server. */
  async #followTo(endpoint: Endpoint, request: HttpRequest, contentFrom: string | undefined): Promise<number> {
    const own = this.#options.endpoint;
    const isSame = endpoint.secure === own.secure && endpoint.host === own.host && endpoint.port === own.port;
    const session = isSame ? this.#options.session : this.#options.sessionWith(endpoint);
    try {
      const fields: FieldLine[] = [["Host", authorityOf(endpoint)], ...request.fields];
      return exitCodeOf(await this.#exchange({ session, endpoint, request: { ...request, fields }, contentFrom }));
    } finally {
      if (!isSame) session.close();
    }
  }

  /** Sends octets unchanged; afterwards the session opens a new connection. */
  async #raw(steps: readonly RawStep[]): Promise<number> {
    const { session, screen, explain, raw, interactive } = this.#options;
    await this.endLine();
    explain?.begin();
    try {
      const { outcome, status, valid, against } = await session.raw(steps, raw);
      if (outcome === "timeout") return EXIT_TIMEOUT;
      if (!valid || outcome === "ended") return EXIT_FAILURE;
      if (against) return EXIT_AGAINST;
      return status === undefined ? 0 : exitCodeOf(status);
    } finally {
      explain?.end();
      if (explain?.each) await this.#showExplanation();
      await screen.flush();
      // At a prompt, announces the new connection immediately.
      if (interactive) await session.connect();
    }
  }

  /** Sends a request, shows the exchange, and returns the status of the response. */
  async #exchange(
    { session, endpoint, request, contentFrom }: Pick<Done, "endpoint" | "request" | "contentFrom"> & {
      session: Session;
    },
    show: (event: ExchangeEvent) => Promise<void> = (event) => this.#display.show(event),
  ): Promise<number> {
    const { explain, seenNames } = this.#options;
    let status = 0;
    let locations: string[] = [];
    const listing = seenNames && /^\/(?:\?|$)/.test(request.target)
      ? new BoundedBytes(MAX_HELD_CONTENT_BYTES)
      : undefined;
    const problem = new BoundedBytes(MAX_PROBLEM_BYTES);
    let fields: string | undefined;
    explain?.begin();
    try {
      for await (const event of session.exchange(request)) {
        if (event.kind === "response") {
          status = event.status;
          fields = event.fields.get("row-fields");
          locations = [...event.fields].filter(([name]) => /^location$/i.test(name)).map(([, value]) => value);
        }
        if (event.kind === "content") {
          listing?.add(event.bytes);
          if (status === 422) problem.add(event.bytes);
        }
        await show(event);
        if (event.kind === "end") this.#last = { endpoint, request, contentFrom, status, locations };
      }
    } finally {
      // Of a broken response, what arrived is shown, and explained too.
      await this.#display.endContent();
      if (explain?.each) await this.#showExplanation();
    }
    const rows = status === 200 ? listing?.bytes() : undefined;
    if (rows !== undefined) seenNames?.addListing(new TextDecoder().decode(rows));
    const learned = fields === undefined ? fieldsOfProblem(problem.bytes()) : percentDecoded(fields);
    if (session === this.#options.session && learned !== undefined) await this.#learn(learned);
    return status;
  }

  /** Takes the fields of the server's rows for those of values, and says so where they are new. */
  async #learn(notation: string): Promise<void> {
    const { readFields, screen } = this.#options;
    if (readFields === undefined) return;
    let fields;
    try {
      fields = readFields(notation);
    } catch (error) {
      if (error instanceof RangeError) return;
      throw error;
    }
    const areNew = describeFields({ fields }) !== describeFields(this.#table);
    this.#table = { ...this.#table, fields, areGuessed: false };
    if (!areNew) return;
    await screen.tell(escapeText(`(the server says what a row has: ${describeFields(this.#table)})`));
  }

  /** Prints an error. Returns its exit code. */
  async #explain(error: unknown): Promise<number> {
    const { screen } = this.#options;
    if (error instanceof WrongInput) {
      const command = error.command === undefined ? "" : `: ${error.command}`;
      await screen.tell(`${this.#place()}Wrong Input: try again (${escapeText(error.message)})${escapeText(command)}`);
      return EXIT_FAILURE;
    }
    if (!(error instanceof ClientError)) throw error;
    this.failed = true;
    await this.endLine();
    if (error instanceof InvalidResponse) await this.#display.showInvalid(error.octets);
    await screen.tell(`${this.#place()}${escapeText(error.message)}`);
    if (error instanceof Cancelled) return EXIT_INTERRUPTED;
    return error instanceof TimeoutError ? EXIT_TIMEOUT : EXIT_FAILURE;
  }
}

/** Returns the fields of rows in a problem document; `undefined` if it names none. */
function fieldsOfProblem(document: Uint8Array | undefined): string | undefined {
  try {
    const { fields } = JSON.parse(new TextDecoder().decode(document));
    return typeof fields === "string" ? fields : undefined;
  } catch {
    return undefined;
  }
}
