/**
 * The page of `serve --page`, put together: a tap on the table's listener, a journal, and a server of its own on
 * loopback, which also sends commands to the table as any client would.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import config from "../deno.json" with { type: "json" };
import { octetString } from "./bytes.ts";
import { PAGE_PORT, portProblem } from "./cli/addresses.ts";
import { Failure } from "./cli/values.ts";
import { authorityOf, type Endpoint } from "./address.ts";
import { ClientError, Session } from "./client.ts";
import { parseLine } from "./client/command.ts";
import { describeFields, type TableWords, withDefaults } from "./client/items.ts";
import type { RawStep } from "./client/raw_steps.ts";
import { WrongInput } from "./client/words.ts";
import { type FieldLine, HttpError, type HttpRequest, isInterim } from "./http_message.ts";
import {
  CLIENT_TIMEOUT_MS,
  PAGE_COMMAND_BYTES,
  PAGE_MESSAGE_BYTES,
  PAGE_REASON_MS,
  PAGE_ROWS,
  PAGE_TABLE_BYTES,
  REQUEST_LIMITS,
  SERVER_LIMITS,
  type ServerLimits,
} from "./limits.ts";
import { Server } from "./server.ts";
import type { Table } from "./table.ts";
import { Feed } from "./traffic/live/feed.ts";
import { Journal } from "./traffic/live/journal.ts";
import { degreeSentence, explainOctets } from "./exchange.ts";
import { labelOfMasked, maskedReading, messageCredentials } from "./traffic/explain/credentials.ts";
import { credentialsWithin, starCredentials } from "./masking.ts";
import { PageAccess } from "./traffic/live/access.ts";
import { type MessageRange, PageService } from "./traffic/live/service.ts";
import type { Closed, TrafficListener } from "./traffic.ts";
import { allOf, tapped } from "./traffic/tap.ts";
import { Transcript } from "./traffic/explain/transcript.ts";
import type { MessageLimits } from "./limits.ts";
import { painterFor } from "./terminal.ts";

/** What the page needs to know. */
export interface PageOptions {
  /** Its port; `undefined` for the usual one, or any if that is taken. */
  readonly port: number | undefined;
  /** Events that it keeps. */
  readonly history: number;
  /** Whether credentials are shown. */
  readonly showCredentials: boolean;
  /** The caps that the table's server has on requests. */
  readonly messageLimits: MessageLimits;
  /** Where the table is reached. */
  readonly endpoint: Endpoint;
  /** Certificates to trust when it is reached over TLS. */
  readonly caCerts: readonly string[];
  /** What commands may name. */
  readonly words: TableWords;
  /** The table itself, which tells the page what it does. */
  readonly table: Pick<Table, "contents" | "observer">;
  /** Receives what goes wrong. */
  readonly failed: (error: unknown) => void;
  /** Receives the system's reason when the page cannot accept a connection. */
  readonly cannotAccept?: (reason: string) => void;
  /** The key; left out, a random one. */
  readonly key?: string;
}

/**
 * The page's own server has few clients, all on this machine: one that has left does not keep its place, and one that
 * does not read does not keep the program.
 */
const PAGE_LIMITS: ServerLimits = {
  ...SERVER_LIMITS,
  maxConnections: 64,
  halfClosedMs: 0,
  lingerMs: 250,
  shutdownIdleMs: 0,
  shutdownMs: 500,
};

/** A page that is open. */
export class Page {
  /** The address to open, with the key. */
  readonly url: string;
  readonly #journal: Journal;
  readonly #feed: Feed;
  readonly #server: Server;
  readonly #sender: CommandSender;
  readonly #options: PageOptions;
  /** Connections whose end is not told yet, by their numbers. */
  readonly #ending = new Map<number, { readonly event: Closed; readonly timer: ReturnType<typeof setTimeout> }>();
  readonly #timer: ReturnType<typeof setInterval>;

  /**
   * Opens the page on loopback.
   *
   * @throws {Failure} If its port is taken.
   */
  constructor(options: PageOptions) {
    this.#options = options;
    const listener = listen(options.port);
    const { port } = listener.addr as Deno.NetAddr;
    const key = options.key ?? randomText(18);
    this.url = `http://${authorityOf({ secure: false, host: "127.0.0.1", port })}/?key=${key}`;
    const { messageLimits, failed, cannotAccept } = options;
    this.#journal = new Journal({
      maxEvents: options.history,
      messageLimits,
      askTable: () => options.table.contents(PAGE_ROWS, PAGE_TABLE_BYTES),
      failed,
    });
    options.table.observer = this.#journal.takeTable;
    const { secure } = options.endpoint;
    const table = `${secure ? "https" : "http"}://${authorityOf(options.endpoint)}`;
    const example = `get all · post NAME ${describeFields(options.words)} · delete NAME · raw "…"`;
    const about = { table, keeps: options.history, example };
    this.#feed = new Feed(this.#journal, { about, process: randomText(6) });
    this.#sender = new CommandSender(options, this.#journal);
    const service = new PageService(new PageAccess(port, key), this.#feed, {
      message: (range) => this.#message(range),
      command: (line, signal) => this.#sender.send(line, signal),
    });
    this.#server = new Server(listener, service, {
      limits: PAGE_LIMITS,
      messageLimits: { ...REQUEST_LIMITS, maxContentBytes: PAGE_COMMAND_BYTES },
      observer: { failed, cannotAccept },
    });
    this.#timer = setInterval(() => this.#journal.tick(Math.round(performance.now() * 1000)), 1000);
    this.#journal.askTable();
  }

  /** Receives the events of the table's connections. */
  readonly take: TrafficListener = (event) => {
    if (event.kind !== "closed") return this.#journal.take(event);
    // The server says why once all that it does for the connection has ended.
    const timer = setTimeout(() => this.#ended(event), PAGE_REASON_MS);
    this.#ending.set(event.connection, { event, timer });
  };

  /** Receives why the server closed a connection. */
  closed(connection: number, reason: string): void {
    const ending = this.#ending.get(connection);
    if (ending === undefined) return;
    clearTimeout(ending.timer);
    this.#ended({ ...ending.event, reason });
  }

  #ended(event: Closed): void {
    this.#ending.delete(event.connection);
    this.#journal.take(event);
  }

  /** Ends the streams of events, then the page's server. To be called once the table's server has stopped. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    for (const { event, timer } of this.#ending.values()) {
      clearTimeout(timer);
      this.#ended(event);
    }
    this.#sender.close();
    this.#feed.stop();
    await this.#server.shutdown();
  }

  #message({ connection, direction, from, to, method, whole: complete }: MessageRange): unknown {
    const end = Math.min(to, from + PAGE_MESSAGE_BYTES);
    const { history } = this.#journal;
    // Credentials are found in whole messages only: the octets asked for may begin or end in one.
    const known = history.message(connection, direction, from);
    const whole = known && history.octets(connection, direction, from, Math.min(known.to, from + PAGE_MESSAGE_BYTES));
    if (whole === undefined || from + whole.length < end) return undefined;
    const octets = whole.subarray(0, end - from);
    const [explained] = explainOctets(direction, octets, {
      answers: () => method,
      limits: this.#options.messageLimits,
      closed: complete && end === to,
    });
    const { rows = [], findings = [], fault } = explained ?? {};
    const { showCredentials } = this.#options;
    const credentials = showCredentials ? [] : messageCredentials(rows, octetString(whole));
    return {
      octets: starCredentials(octets, credentials).toBase64(),
      leftOut: to - end,
      rows: rows.map((row) => {
        const { start, end, label, rule, parts } = row;
        return credentialsWithin(credentials, start, end).length > 0
          ? { start, end, label: labelOfMasked(row), rule }
          : { start, end, label, rule, parts };
      }),
      findings,
      fault: fault && {
        ...fault,
        detail: degreeSentence(fault.detail, fault.degree),
        rule: fault.degree.rule,
        readings: showCredentials ? fault.readings : fault.readings.map(maskedReading),
      },
    };
  }
}

/** Sends commands to the table, one after the other, over a connection that is tapped at the client's end. */
class CommandSender {
  readonly #session: Session;
  readonly #words: TableWords;
  readonly #defaults: readonly FieldLine[];
  readonly #transcript: Transcript;
  /** What the transcript of a raw exchange says so far. */
  #lines = "";
  #connections = 0;
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor({ endpoint, words, caCerts }: PageOptions, journal: Journal) {
    this.#words = words;
    this.#defaults = [
      ["Host", authorityOf(endpoint)],
      ["User-Agent", `wiretable/${config.version}`],
      ["Accept", "*/*"],
    ];
    const timeoutMs = CLIENT_TIMEOUT_MS;
    this.#transcript = new Transcript({
      write: (text) => void (this.#lines += text),
      painter: painterFor(false),
      timeoutMs,
    });
    const told = allOf([journal.take, (event) => this.#transcript.tell(event)])!;
    this.#session = new Session(endpoint, {
      timeoutMs,
      caCerts,
      // The server is this one, at an address that its certificate may not name.
      anyName: true,
      tap: (conn) => tapped(conn, "client", ++this.#connections, told),
    });
  }

  /**
   * Sends a command once those before it are done, and ends it when the signal is aborted. Resolves with what to show:
   * a status, or the transcript of a raw exchange.
   */
  send(line: string, signal: AbortSignal): Promise<string> {
    // Only the line is kept while it waits: a short one may stand for many octets.
    const sent = this.#last.then(() => this.#execute(line, signal));
    this.#last = sent.catch(() => {});
    return sent;
  }

  /** Ends the command that is under way, and sends no more. */
  close(): void {
    this.#closed = true;
    if (!this.#session.cancel()) this.#session.close();
  }

  #parse(line: string): HttpRequest | readonly RawStep[] {
    try {
      const command = parseLine(line, this.#words);
      if (command.kind === "raw") return command.steps;
      if (command.kind === "request") {
        const { request, contentFrom } = command.order;
        if (contentFrom !== undefined) throw new WrongInput("no file is read for a page: type the content itself");
        return withDefaults(request, this.#defaults);
      }
      if (command.kind === "ask") {
        throw new WrongInput(`the values are missing: post NAME ${describeFields(this.#words)}`);
      }
      throw new WrongInput("only commands that send something work here, as get all, or raw with its steps");
    } catch (error) {
      if (error instanceof WrongInput) throw new HttpError(422, `Wrong Input: ${error.message}`);
      throw error;
    }
  }

  async #execute(line: string, signal: AbortSignal): Promise<string> {
    if (this.#closed) throw new HttpError(503, "The server is stopping");
    if (signal.aborted) throw new HttpError(503, "The page has left");
    const order = this.#parse(line);
    const cancel = () => this.#session.cancel();
    signal.addEventListener("abort", cancel);
    try {
      return await ("method" in order ? this.#exchange(order) : this.#raw(order));
    } catch (error) {
      if (error instanceof ClientError) throw new HttpError(502, error.message);
      throw error;
    } finally {
      signal.removeEventListener("abort", cancel);
    }
  }

  async #exchange(request: HttpRequest): Promise<string> {
    let text = "no answer";
    for await (const event of this.#session.exchange(request)) {
      if (event.kind === "response" && !isInterim(event.status)) text = `${event.status} ${event.reason}`.trim();
    }
    return text;
  }

  async #raw(steps: readonly RawStep[]): Promise<string> {
    this.#lines = "";
    await this.#session.raw(steps, this.#transcript);
    return this.#lines.trimEnd();
  }
}

function listen(port: number | undefined): Deno.Listener {
  const hostname = "127.0.0.1";
  try {
    return Deno.listen({ hostname, port: port ?? PAGE_PORT });
  } catch (error) {
    const problem = portProblem(error, port ?? PAGE_PORT);
    if (problem === undefined) throw error;
    if (port === undefined) return Deno.listen({ hostname, port: 0 });
    throw new Failure(`Port ${port} on ${hostname} is ${problem}: choose another with --page PORT`);
  }
}

/** Text that nobody can guess: so many random bytes in hexadecimal digits. */
function randomText(bytes: number): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(bytes))).toString("hex");
}
