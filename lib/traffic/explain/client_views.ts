/**
 * The views at a client's end: which there are, and what each of them is told.
 *
 * @module
 */

import { FALLBACK_COLUMNS } from "../../limits.ts";
import { type Painter, terminalColumns } from "../../terminal.ts";
import type { TrafficListener } from "../../traffic.ts";
import { allOf, lifeLine, tapped } from "../tap.ts";
import { LastExchange } from "./exchange.ts";
import { Transcript } from "./transcript.ts";

/** What the views show, and where. */
export interface ClientViewsOptions {
  /** Whether each exchange is explained. */
  readonly explain: boolean;
  /** Whether the life of connections is shown. */
  readonly verbose: boolean;
  /** Whether credentials are shown. */
  readonly showCredentials: boolean;
  /** How long a raw exchange waits for the next octets, in milliseconds. */
  readonly timeoutMs: number;
  /** The kind of the only command; `undefined` if commands are read from the input. */
  readonly kind: string | undefined;
  /** Records the traffic. */
  readonly record: TrafficListener | undefined;
  /** Colours the views. */
  readonly painter: Painter;
  /** Whether the output is a terminal. */
  readonly terminal: boolean;
  /** Receives the text of exchanges. */
  readonly write: (text: string) => void;
  /** Receives the lines on the life of connections. */
  readonly writeLife: (text: string) => void;
}

/** The views of the traffic. Each listens to the tap, which exists only if there is a view. */
export class ClientViews {
  /** Taps each connection. */
  readonly tap: ((conn: Deno.Conn) => Deno.Conn) | undefined;
  /** Whether each exchange is explained. */
  readonly each: boolean;
  /** Shows raw exchanges. */
  readonly transcript: Transcript;
  /** Shows what is accepted in responses, though it breaks a rule. */
  readonly accepted: ((sentence: string) => void) | undefined;
  readonly #options: ClientViewsOptions;
  readonly #exchange = new LastExchange();
  #connections = 0;

  /** Creates the views that these options ask for. */
  constructor(options: ClientViewsOptions) {
    this.#options = options;
    const { explain, verbose, kind, record, painter, timeoutMs, write, writeLife } = options;
    this.each = explain;
    this.transcript = new Transcript({ write, painter, timeoutMs, width: () => this.#sentenceWidth });
    this.accepted = verbose ? (sentence) => writeLife(`=> ${sentence}\n`) : undefined;
    const listeners: TrafficListener[] = [];
    if (kind === undefined || explain) listeners.push((event) => this.#exchange.tell(event));
    if (kind === undefined || kind === "raw") listeners.push((event) => this.transcript.tell(event));
    if (record !== undefined) listeners.push(record);
    if (verbose) listeners.push((event) => writeLife(`${painter("dim", lifeLine(event))}\n`));
    const told = allOf(listeners);
    this.tap = told && ((conn) => tapped(conn, "client", ++this.#connections, told));
  }

  /** Starts an exchange, which may be explained. */
  begin(): void {
    this.#exchange.begin();
  }

  /** Ends the exchange: what follows on a new connection is not part of it. */
  end(): void {
    this.#exchange.end();
  }

  /** Returns the last exchange, explained in safe text; `undefined` if there was none. */
  text(): string | undefined {
    const { terminal, painter, showCredentials } = this.#options;
    const width = terminal ? terminalColumns() : FALLBACK_COLUMNS;
    const sentenceWidth = this.#sentenceWidth;
    return this.#exchange.text({ width, sentenceWidth, all: false, painter, masked: !showCredentials });
  }

  get #sentenceWidth(): number {
    return this.#options.terminal ? terminalColumns() : Infinity;
  }
}
