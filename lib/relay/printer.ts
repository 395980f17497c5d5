/** Prints what passes a relay: for people each message as it comes, for programs each exchange once it has ended. */

import { Buffer } from "node:buffer";
import { hostOf } from "../address.ts";
import type { BatchWriter } from "../batch_writer.ts";
import { counted, octetString, withRule } from "../bytes.ts";
import { ContentView } from "../content.ts";
import {
  type Direction,
  type Exchange,
  type ExchangeEvent,
  type Explanation,
  finalResponse,
  type Finding,
  type Message,
} from "../exchange.ts";
import { acceptedIn, Fields, type HttpError, LF } from "../http_message.ts";
import { SHOWN_RELAYED_OCTETS } from "../limits.ts";
import { maskCredentials, maskTarget } from "../masking.ts";
import { Banners, Exchanges } from "../server.ts";
import { escapeOctets, escapeText, painterFor, wrapMessage } from "../terminal.ts";
import type { RelayObserver } from "./connection.ts";
import type { HostChange } from "./gate.ts";

interface PrinterOptions {
  /** Whether clients speak TLS. */
  readonly secure: boolean;
  readonly verbose: boolean;
  /** The width of a terminal, where what peers send is escaped; without it, as into a file, it is exact. */
  readonly columns?: () => number;
  /** Whether credentials are printed; by default only their length is. */
  readonly showCredentials: boolean;
  /** Formats an explanation as whole lines of safe text. */
  readonly explanation: (explanation: Explanation) => string;
  /** Formats a fault, the octets from where decoding stopped, and their offset in the message, likewise. */
  readonly fault: (error: HttpError, unread: Uint8Array, at: number, direction: Direction) => string;
}

interface Shown {
  readonly view: ContentView | undefined;
  octets: number;
  printed: number;
  /** Findings to print once it has ended. */
  readonly findings: readonly Finding[];
}

interface Printed {
  readonly peer: string;
  readonly since: number;
  readonly octets: Record<Direction, number>;
  readonly shown: Partial<Record<Direction, Shown>>;
  /** What is changed in the head that comes next. */
  change?: HostChange;
}

export class Printer {
  readonly #banners = new Banners(false);
  readonly #connections = new Map<number, Printed>();
  /** The message whose output is the last one, if its line has not ended. */
  #last = "";
  #midLine = false;

  constructor(private readonly writer: BatchWriter, private readonly options: PrinterOptions) {}

  readonly observer: RelayObserver = {
    opened: (id, peer) => {
      this.#banners.opened(id, peer);
      this.#connections.set(id, { peer, since: performance.now(), octets: { request: 0, response: 0 }, shown: {} });
    },
    exchange: (id, event) => this.#exchange(id, event),
    explained: (_id, explanations) => {
      for (const explanation of explanations) {
        this.#endLine();
        this.#print(`${this.options.explanation(explanation)}\n`);
      }
    },
    changed: (id, change) => {
      if (change.isAccepted) this.#connections.get(id)!.change = change;
      else this.#line(`Host: ${change.from} -> ${change.to}`);
    },
    noted: (id, line) => this.#line(`connection ${id} ${line}`),
    passed: (id, direction, octets) => this.#connections.get(id)!.octets[direction] += octets,
    closed: (id, reason, requests) => this.#closed(id, reason, requests),
  };

  #closed(id: number, reason: string, requests: number): void {
    const { peer, since, octets } = this.#connections.get(id)!;
    this.#end(id, "request");
    this.#end(id, "response");
    this.#banners.closed(id);
    this.#connections.delete(id);
    if (!this.options.verbose) return;
    const seconds = ((performance.now() - since) / 1000).toFixed(3);
    const sums = `${counted(octets.request, "octet")} to the server, ${octets.response} back, ${seconds} s`;
    this.#line(`connection ${id} of ${peer} closed ${reason} after ${counted(requests, "request")}, ${sums}`);
  }

  #exchange(id: number, event: ExchangeEvent): void {
    const { direction } = event;
    switch (event.kind) {
      case "head":
        return this.#head(id, event.message, event.to);
      case "content":
        return this.#content(id, direction, event.bytes);
      case "ended":
      case "cut":
        return this.#end(id, direction, event.kind === "ended" ? event.trailers : undefined);
      case "broken":
        return this.#broken(id, event);
      case "stopped":
        if (event.why !== "left HTTP" || direction === "request") return;
        return this.#line(`connection ${id} no longer HTTP: the octets of both directions pass as they are`);
    }
  }

  #head(id: number, message: Message, to: number): void {
    const { direction } = message;
    const { text, fields } = message.head!;
    const connection = this.#connections.get(id)!;
    const { columns, secure } = this.options;
    const { change } = connection;
    // It is reported just before the request's head.
    connection.change = undefined;
    let shownHead = text;
    if (change !== undefined) {
      const end = change.start - (to - text.length) + change.from.length;
      shownHead = `${text.slice(0, end)} -> ${change.to}${text.slice(end)}`;
    }
    const own = direction === "request" ? requestFindings(message, change) : responseFindings(message, secure);
    this.#octets(id, direction, this.#banners.banner(direction.toUpperCase(), id), shownHead);
    const coding = fields.get("content-encoding");
    const view = columns !== undefined || coding !== undefined
      ? new ContentView({
        type: fields.get("content-type"),
        coding,
        hint: "",
        indent: "never",
        columns: columns?.() ?? Infinity,
        painter: painterFor(false),
        write: (text) => Promise.resolve(this.#shownText(id, direction, shown, text)),
      })
      : undefined;
    const shown: Shown = { view, octets: 0, printed: 0, findings: [...acceptedIn(message.head!), ...own] };
    connection.shown[direction] = shown;
  }

  #content(id: number, direction: Direction, bytes: Uint8Array): void {
    const shown = this.#connections.get(id)!.shown[direction]!;
    const part = bytes.subarray(0, Math.max(0, SHOWN_RELAYED_OCTETS - shown.octets));
    shown.octets += bytes.length;
    if (shown.view === undefined) this.#continue(id, direction, part);
    else void shown.view.add(part.slice());
  }

  /** Prints text of a content, up to the limit: a few octets may decode to many. */
  #shownText(id: number, direction: Direction, shown: Shown, text: string): void {
    const part = text.slice(0, Math.max(0, SHOWN_RELAYED_OCTETS - shown.printed));
    shown.printed += text.length;
    this.#continue(id, direction, part);
  }

  #end(id: number, direction: Direction, trailers: Fields = Fields.EMPTY): void {
    const { shown } = this.#connections.get(id)!;
    const ended = shown[direction];
    if (ended === undefined) return;
    delete shown[direction];
    const more = ended.octets - SHOWN_RELAYED_OCTETS;
    const last = () => {
      this.#rest(more, "octet");
      if (more <= 0) this.#rest(ended.printed - SHOWN_RELAYED_OCTETS, "character");
      this.#findings(ended.findings);
      if (trailers.size > 0) this.#octets(id, direction, "-----TRAILERS-----\n", trailers.lines);
      this.#findings(acceptedIn({ kind: "end", trailers }));
    };
    if (ended.view === undefined) last();
    else void ended.view.end(more > 0).then(last);
  }

  #broken(id: number, { message, error, unread, at, direction }: ExchangeEvent & { kind: "broken" }): void {
    this.#end(id, direction);
    const banner = message.head === undefined ? this.#banners.banner(direction.toUpperCase(), id) : "";
    const part = octetString(unread.subarray(0, SHOWN_RELAYED_OCTETS));
    if (unread.length > 0) this.#octets(id, direction, banner, part);
    this.#rest(unread.length - SHOWN_RELAYED_OCTETS, "octet");
    this.#line(`${withRule(`broken at octet ${error.offset}`, error.rule)}: ${error.message}`);
    this.#print(this.options.fault(error, unread, at, direction));
  }

  /** Counts what is not printed, if there is any. */
  #rest(count: number, what: string): void {
    if (count > 0) this.#line(`… ${counted(count, `more ${what}`)}`);
  }

  #findings(findings: readonly Finding[]): void {
    for (const { text, rule } of findings) this.#line(withRule(`=> ${text}`, rule));
  }

  /** Prints octets of a message but for its content, exactly unless the output is a terminal, without credentials. */
  #octets(id: number, direction: Direction, banner: string, octets: string): void {
    const { columns, showCredentials } = this.options;
    const masked = showCredentials ? octets : maskCredentials(octets);
    if (banner !== "") {
      this.#endLine();
      this.#print(banner);
      this.#last = `${id} ${direction}`;
    }
    this.#continue(id, direction, columns === undefined ? Buffer.from(masked, "latin1") : escapeOctets(masked));
  }

  /** Continues a message: says which one if others were printed since. */
  #continue(id: number, direction: Direction, output: string | Uint8Array): void {
    if (output.length === 0) return;
    const name = `${id} ${direction}`;
    if (this.#last !== name) this.#line(`-----${direction.toUpperCase()}----- ${id}, continued`);
    this.#last = name;
    this.#print(output);
  }

  #line(line: string): void {
    const { columns } = this.options;
    const text = columns === undefined ? line.replace(/[\r\n]+/g, " ") : escapeText(line);
    this.#endLine();
    this.#print(`${wrapMessage(text, columns?.())}\n`);
    this.#last = "";
  }

  #endLine(): void {
    if (this.#midLine) this.#print("\n");
  }

  #print(output: string | Uint8Array): void {
    if (output.length === 0) return;
    this.writer.print(output);
    this.#midLine = output.at(-1) !== "\n" && output.at(-1) !== LF;
  }
}

/** Returns what the server may refuse in a request whose Host was changed. */
export function requestFindings({ head }: Message, change: HostChange | undefined): Finding[] {
  const origin = head?.fields.get("origin");
  const host = URL.parse(origin ?? "")?.host;
  if (host === undefined || change === undefined || host === URL.parse(`http://${change.to}`)?.host) return [];
  const text = `Origin is ${origin}, Host has become ${change.to}: the server may refuse the request as another site's`;
  return [{ text, rule: "RFC 6454 §7" }];
}

/** Returns what, in a response of a relay that may speak TLS, leads a browser elsewhere or makes it refuse. */
export function responseFindings({ head, exchange }: Message, secure: boolean): Finding[] {
  const authority = exchange.request?.head?.authority;
  if (head === undefined || authority === undefined) return [];
  const findings: Finding[] = [];
  const host = hostOf(authority);
  const location = head.fields.get("location") ?? "";
  const relay = URL.parse(`${secure ? "https" : "http"}://${authority}`);
  const target = URL.parse(location, relay?.href);
  if (relay !== null && target !== null && target.origin !== relay.origin) {
    const text = `Location leaves the relay: ${maskTarget(location)} is not at ${relay.origin}`;
    findings.push({ text, rule: "RFC 9110 §10.2.2" });
  }
  if (secure && host === "localhost" && head.fields.get("strict-transport-security") !== undefined) {
    const text = "Strict-Transport-Security pins localhost to https in this browser, on every port";
    findings.push({ text, rule: "RFC 6797 §8.3" });
  }
  for (const [name, value] of head.fields) {
    if (name.toLowerCase() !== "set-cookie") continue;
    const domain = /;[ \t]*domain[ \t]*=[ \t]*\.?([^;\s]+)/i.exec(value)?.[1].toLowerCase();
    if (domain === undefined || host === domain || host.endsWith(`.${domain}`)) continue;
    const [cookie] = value.split(/[=;]/, 1);
    const text = `a browser at ${host} refuses the cookie ${cookie}: its Domain is ${domain}`;
    findings.push({ text, rule: "RFC 6265 §5.3" });
  }
  return findings;
}

/** Gathers the exchanges of a relay's connections. */
export class ExchangeLines extends Exchanges<Exchange> {
  readonly observer: RelayObserver = {
    opened: (id, peer) => this.opened(id, peer),
    exchange: (id, { kind, ...event }) => {
      const message = "message" in event ? event.message : undefined;
      if (message === undefined) return;
      const { exchange, direction, interim } = message;
      const open = this.of(id);
      // Each request begins one: those that wait, maybe many, are not searched for it.
      if (kind === "began" && (direction === "request" || !open.includes(exchange))) open.push(exchange);
      const isOver = direction === "response" && (kind === "broken" || kind === "ended" && !interim);
      const at = isOver ? open.indexOf(exchange) : -1;
      if (at >= 0) this.end(id, at === 0 ? open.shift()! : open.splice(at, 1)[0]);
    },
    closed: (id, reason) => this.closed(id, reason),
  };

  protected override factsOf(exchange: Exchange) {
    const { request, responses } = exchange;
    const final = finalResponse(exchange);
    const error = request?.error ?? final?.error;
    const ended = (responses.at(-1) ?? request)!.ended;
    return {
      method: exchange.method || undefined,
      target: request?.head?.target,
      status: final?.head?.status,
      requestOctets: request === undefined ? 0 : request.to - request.from,
      responseOctets: responses.reduce((sum, { from, to }) => sum + to - from, 0),
      ms: Math.max(0, ended - (request?.ended ?? ended)),
      detail: error?.message,
      rule: error?.rule,
    };
  }
}
