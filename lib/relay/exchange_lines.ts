/**
 * The log for programs: one object for each exchange, once its response has passed or cannot.
 *
 * @module
 */

import { type Exchange, finalResponse } from "../exchange.ts";
import type { LoggedExchange } from "../server.ts";
import type { RelayObserver } from "./options.ts";

/** Gathers the exchanges of all connections. */
export class ExchangeLines {
  /** How many connections there have been. */
  connections = 0;
  /** How many exchanges there have been. */
  exchanges = 0;
  readonly #print: (exchange: LoggedExchange) => void;
  readonly #open = new Map<number, { readonly peer: string; readonly exchanges: Set<Exchange> }>();

  /** Creates a log that passes on each exchange when it has ended. */
  constructor(print: (exchange: LoggedExchange) => void) {
    this.#print = print;
  }

  /** Receives what happens. */
  readonly observer: RelayObserver = {
    opened: (id, peer) => {
      this.connections++;
      this.#open.set(id, { peer, exchanges: new Set() });
    },
    exchange: (id, { kind, ...event }) => {
      const message = "message" in event ? event.message : undefined;
      if (message === undefined) return;
      if (kind === "began") this.#open.get(id)!.exchanges.add(message.exchange);
      const isOver = kind === "broken" || kind === "ended" && !message.interim;
      if (isOver && message.direction === "response") this.#end(id, message.exchange);
    },
    closed: (id, reason) => {
      for (const exchange of this.#open.get(id)!.exchanges) this.#end(id, exchange, reason);
      this.#open.delete(id);
    },
  };

  #end(connection: number, exchange: Exchange, reason?: string): void {
    const { peer, exchanges } = this.#open.get(connection)!;
    if (!exchanges.delete(exchange)) return;
    this.exchanges++;
    const { request, responses } = exchange;
    const final = finalResponse(exchange);
    const error = request?.error ?? final?.error;
    const ended = (responses.at(-1) ?? request)!.ended;
    this.#print({
      peer,
      connection,
      method: exchange.method || undefined,
      target: request?.head?.target,
      status: final?.head?.status,
      requestOctets: request === undefined ? 0 : request.to - request.from,
      responseOctets: responses.reduce((sum, { from, to }) => sum + to - from, 0),
      ms: Math.max(0, Math.round((ended - (request?.ended ?? ended)) * 100) / 100),
      reason,
      detail: error?.message,
      rule: error?.rule,
    });
  }
}
