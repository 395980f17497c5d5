/** Sends the commands of a page to this program's own server. */

import type { Endpoint } from "../address.ts";
import { ClientError, type ClientOptions, Session } from "../client.ts";
import { type FieldLine, HttpError, isInterim } from "../http_message.ts";
import { CLIENT_TIMEOUT_MS } from "../limits.ts";
import { Gate } from "../turns.ts";
import { type Command, LOCAL_COMMANDS, parseLine } from "./command.ts";
import { pageHelpOn } from "./help.ts";
import { describeFields, filesOf, requestOf, type TableWords } from "./items.ts";
import type { RawView } from "./raw.ts";
import { WrongInput } from "./words.ts";

interface CommandSenderOptions extends Pick<ClientOptions, "caCerts" | "tap"> {
  readonly endpoint: Endpoint;
  readonly words: Omit<TableWords, "server">;
  /** Fields of every request, unless its command has others. */
  readonly defaults: readonly FieldLine[];
  readonly raw: RawView;
  /** Removes and returns the lines on the raw exchange. */
  readonly takeLines: () => string;
}

/** Sends commands to the table, one after the other, over a connection that is tapped at the client's end. */
export class CommandSender {
  readonly #options: CommandSenderOptions & { readonly words: TableWords };
  readonly #session: Session;
  readonly #turns = new Gate(1);
  #closed = false;

  constructor(options: CommandSenderOptions) {
    const { endpoint, caCerts, tap } = options;
    const insecureAdvice = "nothing, its certificate is trusted";
    const commandLine = (args: readonly string[]) => args.join(" ");
    this.#options = { ...options, words: { ...options.words, server: { endpoint, commandLine, insecureAdvice } } };
    // The server is this program, at an address that its certificate may not name.
    this.#session = new Session(endpoint, { timeoutMs: CLIENT_TIMEOUT_MS, caCerts, anyName: true, tap });
  }

  /** Sends a command after those before it, until the signal is aborted. Resolves with a status, or a transcript. */
  send(line: string, signal: AbortSignal): Promise<string> {
    // Only the line is kept while it waits: a short one may stand for many octets.
    return this.#turns.run(() => this.#execute(line, signal));
  }

  close(): void {
    this.#closed = true;
    if (!this.#session.cancel()) this.#session.close();
  }

  async #execute(line: string, signal: AbortSignal): Promise<string> {
    if (this.#closed) throw new HttpError(503, "The server is stopping");
    if (signal.aborted) throw new HttpError(503, "The page has left");
    const cancel = () => this.#session.cancel();
    signal.addEventListener("abort", cancel);
    try {
      return (await this.#run(parseLine(line, this.#options.words))).trimEnd();
    } catch (error) {
      // A server trusts what its own --cert holds, and has no --cacert.
      const advice = "the file of --cert may hold it, too";
      if (error instanceof ClientError) {
        throw new HttpError(502, error.message.replace("--cacert FILE adds one", advice));
      }
      if (!(error instanceof WrongInput)) throw error;
      // A page lists what works there.
      const what = error.message.replace(LOCAL_COMMANDS.join(", "), "raw, help");
      throw new HttpError(422, `Wrong Input: ${[what, ...error.command ? [error.command] : []].join(": ")}`);
    } finally {
      signal.removeEventListener("abort", cancel);
    }
  }

  async #run(command: Command): Promise<string> {
    const { defaults, raw, takeLines, words } = this.#options;
    switch (command.kind) {
      case "help":
        return pageHelpOn(command.topic);
      case "raw":
        takeLines();
        await this.#session.raw(command.steps, raw);
        return takeLines();
      case "request": {
        if (filesOf(command.order, [defaults]).length > 0) {
          throw new WrongInput("no file is read for a page: type the content itself");
        }
        const { request } = requestOf(command.order, [defaults], words);
        let text = "no answer";
        for await (const event of this.#session.exchange(request)) {
          if (event.kind === "response" && !isInterim(event.status)) text = `${event.status} ${event.reason}`;
        }
        return text;
      }
      case "ask":
        throw new WrongInput(`the values are missing: post NAME ${describeFields(words)}`);
      default:
        throw new WrongInput("only commands that send something work here, as get all, or raw with its steps");
    }
  }
}
