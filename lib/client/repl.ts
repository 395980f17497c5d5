/** Runs the client's commands, from a prompt, a pipe or the command line, and shows their exchanges. */

import { isUtf8 } from "node:buffer";
import { EXIT_AGAINST, EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_TIMEOUT, exitCodeOf } from "../exit_code.ts";
import { authorityOf, type Endpoint, originOf } from "../address.ts";
import { ByteBuffer, octetsToText, octetString } from "../bytes.ts";
import { ClientError, type ClientEvent, type Session } from "../client.ts";
import { type FieldLine, type HttpRequest, percentDecoded } from "../http_message.ts";
import { isObject, parsedJson } from "../json.ts";
import { MAX_CURL_LINES, MAX_HELD_CONTENT_OCTETS, MAX_LINE_CHARACTERS, MAX_PROBLEM_OCTETS } from "../limits.ts";
import { isCredentialField, maskCredentials, maskQuery, maskTarget } from "../masking.ts";
import { escapeText } from "../terminal.ts";
import { type Command, completed, holdsCredentials, linesAfter, parseLine } from "./command.ts";
import { curlCommand, textOfField } from "./curl.ts";
import { Display, type DisplayOptions } from "./display.ts";
import type { Done } from "./follow.ts";
import type { SeenNames } from "./help.ts";
import { type AskedField, describeFields, filesOf, type Order, requestOf, type TableWords } from "./items.ts";
import { type Line, type LineInput, textOf } from "./line_input.ts";
import type { RawStep, RawView } from "./raw.ts";
import { mediaType } from "./request_content.ts";
import { splitLine, WrongInput } from "./words.ts";

interface ExchangeView {
  readonly each: boolean;
  begin(): void;
  /** Ends the exchange: what follows on a new connection is not part of it. */
  end(): void;
  text(): string | undefined;
}

export interface ReplOptions extends DisplayOptions {
  readonly endpoint: Endpoint;
  readonly session: Session;
  readonly sessionWith: (endpoint: Endpoint) => Session;
  readonly table: TableWords;
  /** Fields of every request, unless its command has others. */
  readonly defaults: readonly FieldLine[];
  /** Reads the content named by a command, a file or `-` for the standard input, or throws a {@linkcode WrongInput}. */
  readonly readContent: (name: string) => Promise<Uint8Array>;
  /** Shows raw exchanges, and the result expected by the rules; needed for `raw` only. */
  readonly raw?: RawView;
  readonly explain?: ExchangeView;
  /** Collects the names of rows in commands and listings, for Tab. */
  readonly seenNames?: SeenNames;
  readonly keep?: (line: string) => void;
  /** Whether a person types the values, though there is no prompt. */
  readonly asks?: boolean;
  /** The file with certificates that are trusted, too. */
  readonly caFile?: string;
  /** Reads fields in the notation of `--fields`, or throws a RangeError; without it, the server teaches none. */
  readonly readFields?: (notation: string) => TableWords["fields"];
}

/** The exit codes of commands, from the best to the worst. */
const RANKS: readonly number[] = [0, 4, 5, EXIT_AGAINST, EXIT_TIMEOUT, EXIT_FAILURE];

export class Repl {
  readonly #display: Display;
  /** Fields that the user has added to later requests, by name in lower case. */
  readonly #headers = new Map<string, AskedField>();
  /** What is known of the table; its fields may be learned from the server. */
  #table: TableWords;
  #last: Done | undefined;
  #explained = false;
  /** Whether a command got no valid response. */
  #failed = false;
  /** The number of the last line of a script, which stands before errors. */
  #line: number | undefined;

  constructor(private readonly input: LineInput, private readonly options: ReplOptions) {
    this.#table = options.table;
    this.#display = new Display(options);
  }

  /** Runs commands until the input ends. Returns the worst exit code; at a prompt 0, or 130 after Ctrl-C twice. */
  async runAll(): Promise<number> {
    const { interactive } = this.options;
    if (!interactive) this.#line = 0;
    let worst = 0;
    for (let interruptions = 0;;) {
      await this.#prompt("Enter: [method] [objectName]");
      const line = await this.#next();
      if (line.kind === "end") break;
      // A comment in a script. A line that answers a question is read elsewhere.
      if (!interactive && line.kind === "line" && /^\s*#/.test(line.text)) continue;
      if (line.kind === "cancelled") {
        interruptions = line.wasEmpty ? interruptions + 1 : 0;
        if (interruptions > 1) return EXIT_INTERRUPTED;
        if (line.wasEmpty) await this.#prompt("(q, Ctrl-D, or Ctrl-C once more quits)");
        continue;
      }
      interruptions = 0;
      const code = await this.run(line);
      if (code === undefined) break;
      worst = RANKS.indexOf(code) < RANKS.indexOf(worst) ? worst : code;
      if (this.#failed && !interactive) return code;
    }
    await this.#display.endLine();
    return interactive ? 0 : worst;
  }

  #next(): Promise<Line> {
    if (this.#line !== undefined) this.#line++;
    return this.input.next();
  }

  /** Prints a line at a prompt; nothing in a script. */
  async #prompt(line: string): Promise<void> {
    if (this.options.interactive) await this.options.screen.note(line);
  }

  /** Runs a command, or that of a line and those that belong to it. Returns the exit code; `undefined` to quit. */
  async run(source: Line | (() => Command)): Promise<number | undefined> {
    try {
      if (typeof source === "function") return await this.#execute(source(), undefined);
      const line = await this.#joined(source);
      return line.kind === "cancelled" ? 0 : await this.#execute(parseLine(textOf(line), this.#table), line);
    } catch (error) {
      return await this.#noteError(error);
    }
  }

  /** Joins lines while their command goes on, after the words `before`. A line that is not text is returned instead. */
  async #joined(first: Line, before = ""): Promise<Line> {
    if (first.kind !== "line") return first;
    const texts = [first.text];
    let { rest } = first;
    let isAnnounced = false;
    let asked = 1;
    for (let left = linesAfter(before + first.text, rest); left > 0; left--) {
      if (rest === undefined && !isAnnounced) {
        await this.#prompt("(a quote is open, or \\ is at the end: the line goes on; Ctrl-C cancels it)");
        isAnnounced = true;
      }
      const line = await this.#next();
      if (line.kind === "end") break;
      if (line.kind !== "line") return line;
      texts.push(line.text);
      rest = line.rest;
      if (left > 1) continue;
      const text = texts.join("\n");
      if (text.length > MAX_LINE_CHARACTERS) {
        throw new WrongInput(`a command has at most ${MAX_LINE_CHARACTERS} characters`);
      }
      if (asked++ === MAX_CURL_LINES) {
        throw new WrongInput(`a command of curl has at most ${MAX_CURL_LINES} lines: is a quote open?`);
      }
      left += linesAfter(before + text, rest);
    }
    return { kind: "line", text: texts.join("\n") };
  }

  /** Runs a command, and keeps its line if it is valid. */
  async #execute(command: Command, line: Line | undefined): Promise<number | undefined> {
    // Whether a request is valid is known once its files are read.
    if (command.kind !== "request") this.#keep(command, line);
    if ("order" in command) this.options.seenNames?.add(command.order.object);
    switch (command.kind) {
      case "nothing":
        break;
      case "quit":
        return undefined;
      case "help":
        await this.#display.write((await import("./help.ts")).helpOn(command.topic));
        break;
      case "raw":
        return await this.#raw(command.steps);
      case "print":
        this.#display.print = command.parts ?? this.#display.print;
        await this.#prompt(`(shown: ${this.#display.print ?? "hb"})`);
        break;
      case "header":
        await this.#changeHeaders(command);
        break;
      case "follow":
        return await this.#follow(this.#lastDone());
      case "explain":
        await this.#showExplanation();
        break;
      case "curl":
        await this.#showCurl(this.#lastDone());
        break;
      case "request":
        if (command.order.pasted?.follows) {
          await this.options.screen.note("(in the place of -L: follow requests a response's Location)");
        }
        return await this.#order(command.order, line);
      case "ask":
        return await this.#askAndExchange(command.order);
    }
    return 0;
  }

  #lastDone(): Done {
    if (this.#last !== undefined) return this.#last;
    throw new WrongInput("there was no request yet");
  }

  async #changeHeaders({ field, dropped }: Command & { kind: "header" }): Promise<void> {
    if (field !== undefined) this.#headers.set(field[0].toLowerCase(), field);
    else if (dropped === undefined) {
      const lines = [...this.#headers.values()].map((field) => `${textOfField(field)}\n`).join("");
      const shown = lines === "" ? "(none)\n" : escapeText(octetsToText(lines));
      await this.#display.write(this.options.showCredentials ? shown : maskCredentials(shown));
    } else if (!this.#headers.delete(dropped.toLowerCase())) {
      throw new WrongInput(`no header ${JSON.stringify(dropped)} is set for later requests`);
    }
  }

  async #showCurl({ request, endpoint, contentFrom }: Done): Promise<void> {
    const commandOf = (one: HttpRequest) => curlCommand(one, endpoint, contentFrom, this.options.caFile);
    const command = commandOf(request);
    const masked = {
      ...request,
      target: maskQuery(maskTarget(request.target)),
      fields: request.fields.map(([name, value]): FieldLine => {
        return [name, maskCredentials(`${name}: ${value}`).slice(name.length + ": ".length)];
      }),
    };
    const shown = this.options.showCredentials ? command : commandOf(masked);
    await this.#display.write(`${this.options.screen.terminal ? escapeText(shown) : shown}\n`);
    if (shown !== command) await this.#prompt("(credentials are left out; --show-credentials shows them)");
  }

  async #showExplanation(): Promise<void> {
    const text = this.options.explain?.text();
    if (text === undefined) throw new WrongInput("there was no request yet");
    // An empty line between exchanges, as there is one between their messages.
    await this.#display.write(this.#explained ? `\n${text}` : text);
    this.#explained = this.options.explain!.each;
  }

  async #askAndExchange(order: Order): Promise<number> {
    const { interactive, asks, screen, session } = this.options;
    await session.connect();
    if (interactive || asks) await screen.note(`Enter information: ${describeFields(this.#table)}`);
    // Two words stand for those of the command before the values.
    const before = "put - ";
    const line = await this.#joined(await this.#next(), before);
    if (line.kind === "cancelled") return 0;
    const values = splitLine(before + textOf(line)).slice(2);
    return await this.#order(completed(order, values, this.#table), line);
  }

  #keep(command: Command, line: Line | undefined): void {
    if (line === undefined || holdsCredentials(command)) return;
    const isPasted = command.kind === "request" && command.order.pasted !== undefined;
    const text = textOf(line).replaceAll(isPasted ? "\\\n" : "\n", " ");
    if (!text.includes("\n")) this.options.keep?.(text);
  }

  async #order(order: Order, line: Line | undefined): Promise<number> {
    const { screen, defaults, readContent } = this.options;
    const kept = [[...this.#headers.values()], defaults];
    const files = new Map<string, Uint8Array>();
    for (const name of filesOf(order, kept)) if (!files.has(name)) files.set(name, await readContent(name));
    const { request, contentFrom } = requestOf(order, kept, this.#table, files);
    this.#keep({ kind: "request", order }, line);
    const sent = await this.#withoutEcho(request);
    if (sent.method !== "POST") return exitCodeOf(await this.#exchange(sent, contentFrom));
    const { sendInPieces } = await import("./pieces.ts");
    const status = await sendInPieces(sent, {
      // A piece is not what the file holds.
      send: (request, show) =>
        this.#exchange(request, request === sent ? contentFrom : undefined, this.options.endpoint, show),
      show: (event) => this.#display.show(event),
      note: (line) => screen.note(line),
      showsRefusals: () => this.#display.showsHeads,
    });
    return exitCodeOf(status);
  }

  /** Leaves credentials out of a request that the server sends back as content (RFC 9110 §9.3.8). */
  async #withoutEcho(request: HttpRequest): Promise<HttpRequest> {
    if (request.method !== "TRACE") return request;
    const fields = request.fields.filter(([name]) => !isCredentialField(name));
    const leftOut = request.fields.filter((field) => !fields.includes(field)).map(([name]) => name);
    if (leftOut.length > 0) await this.#prompt(`(not sent with TRACE, which sends all back: ${leftOut.join(", ")})`);
    return { ...request, fields };
  }

  async #follow(last: Done): Promise<number> {
    const { followUp } = await import("./follow.ts");
    const { endpoint, request, leftOut } = followUp(last);
    if (leftOut.length > 0) await this.#prompt(`(not sent to another server: ${leftOut.join(", ")})`);
    const sent: HttpRequest = { ...request, fields: [["Host", authorityOf(endpoint)], ...request.fields] };
    return exitCodeOf(await this.#exchange(sent, request.content && last.contentFrom, endpoint));
  }

  async #raw(steps: readonly RawStep[]): Promise<number> {
    const { session, screen, explain, raw, interactive } = this.options;
    await this.#display.endLine();
    explain?.begin();
    try {
      const { outcome, status, valid, against } = await session.raw(steps, raw!);
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

  async #exchange(
    request: HttpRequest,
    contentFrom: string | undefined,
    endpoint: Endpoint = this.options.endpoint,
    show = (event: ClientEvent) => this.#display.show(event),
  ): Promise<number> {
    const { explain, seenNames, endpoint: own } = this.options;
    const isOwn = originOf(endpoint) === originOf(own);
    const session = isOwn ? this.options.session : this.options.sessionWith(endpoint);
    const isListing = seenNames !== undefined && /^\/(?:\?|$)/.test(request.target);
    let status = 0;
    let reason = "";
    let locations: string[] = [];
    let fields: string | undefined;
    const kept = new ByteBuffer(0);
    let most = 0;
    explain?.begin();
    try {
      for await (const event of session.exchange(request)) {
        if (event.kind === "response") {
          ({ status, reason } = event);
          fields = event.fields.get("row-fields");
          locations = [...event.fields].filter(([name]) => /^location$/i.test(name)).map(([, value]) => value);
          const isProblem = status === 422 && mediaType([...event.fields]) === "application/problem+json";
          most = status === 200 && isListing ? MAX_HELD_CONTENT_OCTETS : isProblem ? MAX_PROBLEM_OCTETS : 0;
        }
        if (event.kind === "content" && kept.length <= most) kept.append(event.bytes);
        await show(event);
        if (event.kind === "end") this.#last = { endpoint, request, contentFrom, status, locations };
      }
    } finally {
      // Of a broken response, what arrived is shown, and explained too.
      await this.#display.endContent();
      if (explain?.each) await this.#showExplanation();
      if (!isOwn) session.close();
    }
    const octets = kept.view();
    const content = octets.length <= most && isUtf8(octets) ? new TextDecoder().decode(octets) : "";
    if (status === 200) seenNames?.addListing(content);
    const learned = fields !== undefined ? percentDecoded(fields) : status === 422 ? fieldsIn(content) : undefined;
    if (isOwn && learned !== undefined) await this.#learn(learned);
    // An exit code must not be all that tells of it.
    if (exitCodeOf(status) > 0 && kept.length === 0 && this.#display.showsContentOnly) {
      await this.options.screen.note(escapeText(`${this.#place}${status} ${reason}`.trimEnd()));
    }
    return status;
  }

  /** Uses the fields of the server's rows for values, and says so where they are new. */
  async #learn(notation: string): Promise<void> {
    const { readFields, screen } = this.options;
    const before = describeFields(this.#table);
    try {
      if (readFields !== undefined) this.#table = { ...this.#table, fields: readFields(notation), areGuessed: false };
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
    const now = describeFields(this.#table);
    if (now !== before) await screen.note(escapeText(`(the server says what a row has: ${now})`));
  }

  async #noteError(error: unknown): Promise<number> {
    const { screen } = this.options;
    if (error instanceof WrongInput) {
      const command = error.command === undefined ? "" : `: ${error.command}`;
      await screen.note(`${this.#place}Wrong Input: try again (${escapeText(error.message)})${escapeText(command)}`);
      return EXIT_FAILURE;
    }
    if (!(error instanceof ClientError)) throw error;
    this.#failed = true;
    await this.#display.endLine();
    if (error.octets !== undefined) await this.#display.showInvalid(octetString(error.octets));
    // A single command without a connection did not begin.
    if (error.isUnconnected && this.#line === undefined && !this.options.interactive) throw error;
    await screen.note(`${this.#place}${escapeText(error.message)}`);
    return error.exitCode;
  }

  /** What stands before a line about the command of a script. */
  get #place(): string {
    return this.#line === undefined ? "" : `line ${this.#line}: `;
  }
}

/** Returns the fields of rows in a problem document; `undefined` if it names none. */
function fieldsIn(document: string): string | undefined {
  const problem = parsedJson(document);
  return isObject(problem) && typeof problem.fields === "string" ? problem.fields : undefined;
}
