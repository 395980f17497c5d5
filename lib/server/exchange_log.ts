/** The log for programs: one JSON object for each request and its response, once that is sent or cannot be. */

import { octetString } from "../bytes.ts";
import { type HttpError, type HttpResponse, isInterim } from "../http_message.ts";
import { maskTarget } from "../masking.ts";
import { escapeJson } from "../terminal.ts";
import type { Observer } from "./context.ts";

/** A request and its response. What is `undefined` was never known. */
export interface LoggedExchange {
  /** The client's address. */
  readonly peer: string;
  /** The number of the connection. */
  readonly connection: number;
  /** The request's method. */
  readonly method?: string;
  /** The request's target. */
  readonly target?: string;
  /** The status of the final response. */
  readonly status?: number;
  /** The octets that came of the request. */
  readonly requestOctets: number;
  /** The octets that were sent of the response, and of interim ones before it. */
  readonly responseOctets: number;
  /** The time from the request's last octet, or from its refusal before that, to the response's last. */
  readonly ms: number;
  /** Why the connection ended before the response was sent. */
  readonly reason?: string;
  /** What was wrong, of statuses from 400. */
  readonly detail?: string;
  /** The section with the rule that was broken or, if none was, with that status. */
  readonly rule?: string;
}

/** Formats an event of the log, with its time, as a line that is safe to print. */
export function logLine(event: string, members: object, time: number = Date.now()): string {
  return `${escapeJson(JSON.stringify({ time: new Date(time).toISOString(), event, ...members }))}\n`;
}

/** Gathers the exchanges of connections, and passes each on once it has ended. */
export abstract class Exchanges<Open> {
  /** How many connections there have been. */
  connections = 0;
  /** How many exchanges have ended. */
  exchanges = 0;
  readonly #open = new Map<number, { readonly peer: string; readonly exchanges: Open[] }>();

  /** Starts without connections. Passwords in targets are replaced by their length unless `showCredentials`. */
  constructor(private readonly ended: (exchange: LoggedExchange) => void, private readonly showCredentials = false) {}

  /** Returns what is known of an exchange. */
  protected abstract factsOf(exchange: Open): Omit<LoggedExchange, "peer" | "connection" | "reason">;

  /** The open exchanges of a connection; none of one that was closed. */
  protected of(id: number): Open[] {
    return this.#open.get(id)?.exchanges ?? [];
  }

  /** A client has connected. */
  protected opened(id: number, peer: string): void {
    this.connections++;
    this.#open.set(id, { peer, exchanges: [] });
  }

  /** A connection has ended, with what is open on it. */
  protected closed(id: number, reason: string): void {
    for (const exchange of this.of(id).splice(0)) this.end(id, exchange, reason);
    this.#open.delete(id);
  }

  /** An exchange has ended; with a reason, before its response was sent. */
  protected end(connection: number, exchange: Open, reason?: string): void {
    this.exchanges++;
    const { peer } = this.#open.get(connection)!;
    const { method, target, status, requestOctets, responseOctets, ms, detail, rule } = this.factsOf(exchange);
    const shown = this.showCredentials ? target : target && maskTarget(target);
    const sizes = { requestOctets, responseOctets, ms: Math.round(ms * 100) / 100 };
    this.ended({ peer, connection, method, target: shown, status, ...sizes, reason, detail, rule });
  }
}

interface OpenExchange extends Pick<LoggedExchange, "method" | "target" | "status" | "detail" | "rule"> {
  requestOctets: number;
  responseOctets: number;
  /** Octets of the response that were encoded, and not sent. */
  unsent: number;
  /** When its time began to run; `undefined` until the request is complete or refused. */
  since?: number;
  /** Whether the response was encoded to its end. */
  answered: boolean;
}

/** Gathers the exchanges of a server from its events. */
export class ExchangeLog extends Exchanges<OpenExchange> {
  /** Creates a log that passes on each exchange when it has ended. `ruleOf` returns the section with a status. */
  constructor(
    ended: (exchange: LoggedExchange) => void,
    private readonly ruleOf: (status: number) => string | undefined,
    showCredentials?: boolean,
    private readonly now: () => number = () => performance.now(),
  ) {
    super(ended, showCredentials);
  }

  readonly observer: Observer = {
    opened: (id, peer) => this.opened(id, peer),
    request: (id, { method, target }) => this.#note(id, { method, target }),
    received: (id, requestOctets, since) => this.#note(id, { requestOctets, since }),
    refused: (id, { message, rule, fault, offset }, head, rest, position) => {
      // A field that is missing is missed at the first octet.
      const line = requestLine(head, rest, fault === "no-host" ? undefined : offset);
      const requestOctets = position + rest.length;
      this.#note(id, { ...line, requestOctets, since: this.now(), detail: message, rule });
    },
    abandoned: (id, head, rest, position) => {
      this.#note(id, { ...requestLine(head, rest), requestOctets: position + rest.length, since: this.now() });
    },
    response: (id, octets, status) => {
      if (status !== undefined && isInterim(status)) this.#note(id, {});
      const exchange = this.of(id).at(-1);
      // The server may still work for a connection that is closed.
      if (exchange === undefined) return;
      exchange.unsent += octets.length;
      if (status !== undefined && !isInterim(status)) Object.assign(exchange, { status });
    },
    answered: (id, response) => {
      const exchange = this.of(id).at(-1);
      if (exchange === undefined) return;
      exchange.answered = true;
      if (response !== undefined && response.status >= 400) {
        const rule = exchange.rule ?? this.ruleOf(response.status);
        Object.assign(exchange, { rule }, problemOf(response));
      }
      this.#endSent(id);
    },
    sent: (id, octets) => {
      let left = octets;
      for (const exchange of this.of(id)) {
        const part = Math.min(left, exchange.unsent);
        exchange.unsent -= part;
        exchange.responseOctets += part;
        left -= part;
      }
      this.#endSent(id);
    },
    closed: (id, reason) => this.closed(id, reason),
  };

  /** Notes facts of a request that is not complete: a new one, unless 100 (Continue) was sent for it. */
  #note(id: number, facts: Partial<OpenExchange>): void {
    const exchanges = this.of(id);
    if (exchanges.length === 0 || exchanges.at(-1)!.since !== undefined) {
      exchanges.push({ requestOctets: 0, responseOctets: 0, unsent: 0, answered: false });
    }
    Object.assign(exchanges.at(-1)!, facts);
  }

  #endSent(id: number): void {
    const exchanges = this.of(id);
    while (exchanges.length > 0 && exchanges[0].answered && exchanges[0].unsent === 0) {
      this.end(id, exchanges.shift()!);
    }
  }

  protected override factsOf({ since, ...facts }: OpenExchange) {
    const now = this.now();
    return { ...facts, ms: now - (since ?? now) };
  }
}

/** The request line, of a complete head or of what came of it; none if that ends before the fault at `offset`. */
function requestLine(head: string, rest: Uint8Array, offset = Infinity): { method?: string; target?: string } {
  const text = head === "" ? octetString(rest) : head;
  const [, line, method, target] = /^((?:\r\n)?([!-~]+) ([!-~]+)) HTTP\/\d\.\d\r?\n/.exec(text) ?? [];
  return line === undefined || offset < line.length ? {} : { method, target };
}

/** Returns what a problem document says (RFC 9457), which the response to HEAD does not show. */
function problemOf({ contentType, content }: HttpResponse): Pick<HttpError, "rule"> & { detail?: string } {
  if (contentType !== "application/problem+json" || typeof content !== "string") return {};
  const { detail, rule } = JSON.parse(content);
  return { detail, ...rule && { rule } };
}
