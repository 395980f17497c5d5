/**
 * Explains one connection of a capture: its exchanges in order, each request before its responses.
 *
 * @module
 */

import { counted } from "../../bytes.ts";
import { isInterim, leavesHttp } from "../../http_message.ts";
import {
  KEPT_ORIGINS,
  MAX_EXPLAINED_CHUNKS,
  MAX_EXPLAINED_CONTENT_BYTES,
  MAX_UNFINISHED_BYTES,
  SHOWN_ORIGINS,
} from "../../limits.ts";
import type { Closed, End } from "../../traffic.ts";
import type { CaptureEvent, OpenedInCapture } from "./reader.ts";
import { durationText, timeText } from "./times.ts";
import { Explainer } from "../explain/explain.ts";
import { type ExplainTextOptions, explanationText, sentence } from "../explain/text.ts";
import type { Explanation, Kept } from "../explain/explanation.ts";
import { type MessageOrigin, Origins } from "./origins.ts";

/** A request and its responses as text, as far as they are finished. */
interface Exchange {
  readonly number: number;
  /** The request's method, once known. */
  method: string | undefined;
  /** Whether it starts with a response, and whether its request is finished. */
  readonly isUnasked: boolean;
  isRequested: boolean;
  /** Texts that come next, and those that wait for the end of the request. */
  readonly ready: string[];
  readonly early: string[];
  /** Whether a response has begun that may be the final one. */
  claimed: boolean;
  /** Whether the final response is finished. */
  answered: boolean;
  /** When the request's last octet came; until the request is finished, when its broken octets came. */
  requestEnd: number | undefined;
}

/** One direction: what explains it, and where its octets come from. */
interface Way {
  explainer: Explainer;
  readonly origins: Origins;
  /** Octets before those that the explainer has received. */
  start: number;
  received: number;
  /** When the last of them came. */
  lastTime: number;
}

/** Explains an HTTP connection from the events of a capture. */
export class CapturedExchanges {
  readonly #options: ExplainTextOptions;
  /** What is kept of each message if all is shown: several may be unfinished at a time. */
  readonly #kept: { readonly kept?: Kept } = {};
  readonly #requests: Way;
  readonly #responses: Way;
  /** Exchanges that are not finished, in the order of their requests. */
  readonly #exchanges: Exchange[] = [];
  #count = 0;
  /** The exchange whose request is not finished. */
  #requesting: Exchange | undefined;
  /** The exchanges of the responses that have begun. */
  readonly #responding: Exchange[] = [];
  #tunnel = false;
  #valid = true;
  #lastEnd: { readonly time: number; readonly exchange: number } | undefined;
  #text = "";
  #waitingCharacters = 0;

  /** Explains with this layout. */
  constructor(options: ExplainTextOptions) {
    this.#options = options;
    if (options.all) this.#kept = { kept: { contentBytes: MAX_EXPLAINED_CONTENT_BYTES, chunks: MAX_EXPLAINED_CHUNKS } };
    const most = options.all ? KEPT_ORIGINS : SHOWN_ORIGINS;
    const counts = { start: 0, received: 0, lastTime: 0 };
    this.#requests = { explainer: this.#requestExplainer(), origins: new Origins(most), ...counts };
    this.#responses = { explainer: this.#responseExplainer(), origins: new Origins(most), ...counts };
  }

  /** Whether all messages so far are complete and valid. */
  get valid(): boolean {
    return this.#valid;
  }

  /** How many octets and characters are held. */
  get held(): number {
    const most = MAX_UNFINISHED_BYTES + (this.#kept.kept?.contentBytes ?? 0);
    const [requests, responses] = [this.#requests, this.#responses].map(({ explainer: { unfinished } }) =>
      Math.min(most, unfinished?.octets ?? 0)
    );
    return this.#text.length + this.#waitingCharacters + requests + responses;
  }

  /** Receives an event of the connection, but for its beginning and its end. */
  tell(event: Exclude<CaptureEvent, OpenedInCapture | Closed>): void {
    switch (event.kind) {
      case "read":
      case "write": {
        const way = event.kind === "read" ? this.#requests : this.#responses;
        way.origins.add(event.bytes.length, event.origin, event.time);
        way.received += event.bytes.length;
        way.lastTime = event.time;
        way.explainer.receive(event.bytes);
        break;
      }
      case "missing":
        return this.#missing(event);
      case "fin":
        (event.by === "client" ? this.#requests : this.#responses).explainer.end(true);
    }
    this.#collect();
  }

  /** Ends both directions, neither of which has to be closed. */
  end(): void {
    this.#requests.explainer.end();
    this.#responses.explainer.end();
    this.#collect();
    for (const exchange of this.#exchanges) {
      if (!exchange.claimed) this.#add(exchange, this.#line(`no response to request ${exchange.number}`));
      exchange.answered = true;
    }
    this.#print();
  }

  /** Takes the text that is finished. */
  take(): string {
    const text = this.#text;
    this.#text = "";
    return text;
  }

  #requestExplainer(): Explainer {
    return new Explainer({ kind: "request", ...this.#kept });
  }

  #responseExplainer(): Explainer {
    return new Explainer({ kind: "response", ...this.#kept, answers: () => this.#answered() });
  }

  /** Returns the method that the next response answers, and pairs the two. */
  #answered(): string | undefined {
    const exchange = this.#exchanges.find(({ claimed }) => !claimed) ?? this.#begin(true);
    exchange.claimed = true;
    this.#responding.push(exchange);
    const { explainer, lastTime } = this.#requests;
    if (explainer.unfinished?.isBroken) exchange.requestEnd ??= lastTime;
    return exchange.method ?? explainer.unfinished?.method;
  }

  #begin(isUnasked: boolean): Exchange {
    const exchange: Exchange = {
      number: ++this.#count,
      method: undefined,
      isUnasked,
      isRequested: isUnasked,
      ready: [],
      early: [],
      claimed: false,
      answered: false,
      requestEnd: undefined,
    };
    this.#exchanges.push(exchange);
    return exchange;
  }

  /** Ends the message at the gap; what follows starts a new one. */
  #missing({ by, octets, why, origin }: CaptureEvent & { kind: "missing" }): void {
    const way = by === "client" ? this.#requests : this.#responses;
    way.explainer.end();
    this.#collect();
    way.explainer = by === "client" ? this.#requestExplainer() : this.#responseExplainer();
    way.start = way.received;
    if (this.#tunnel) way.explainer.leaveHttp();
    if (why === "not captured") this.#valid = false;
    // What comes next most probably answers the last request.
    if (by === "server") {
      for (const exchange of this.#exchanges.slice(0, -1)) exchange.claimed = exchange.answered = true;
    }
    const count = counted(octets, "octet");
    const line = this.#line(
      why === "skipped"
        ? `${count} of the ${by} skipped, up to the next start line (packet ${origin.packet})`
        : `${count} of the ${by} not captured (before packet ${origin.packet})`,
    );
    const last = this.#exchanges.at(-1);
    if (last === undefined) this.#text += line;
    else this.#add(last, line);
    this.#print();
  }

  #line(text: string): string {
    return `\n${sentence("--", text, this.#options.sentenceWidth).map((line) => `${line}\n`).join("")}`;
  }

  #add(exchange: Exchange, text: string): void {
    (exchange.isRequested ? exchange.ready : exchange.early).push(text);
    this.#waitingCharacters += text.length;
  }

  #collect(): void {
    for (const explanation of this.#requests.explainer.take()) this.#request(explanation);
    if (this.#requests.explainer.unfinished?.isMessage) this.#requesting ??= this.#begin(false);
    for (const explanation of this.#responses.explainer.take()) this.#response(explanation);
    this.#print();
  }

  #request(explanation: Explanation): void {
    if (explanation.kind === "unread") return this.#unread("client", this.#requests, explanation);
    const exchange = this.#requesting ?? this.#begin(false);
    this.#requesting = undefined;
    exchange.method = explanation.method;
    const origin = originOf(this.#requests, explanation);
    exchange.requestEnd = origin.end;
    const { time, exchange: before } = this.#lastEnd ?? { time: Infinity, exchange: 0 };
    const after = origin.start >= time ? `, ${durationText(origin.start - time)} after response ${before}` : "";
    exchange.isRequested = true;
    this.#add(exchange, this.#message(`request ${exchange.number}`, explanation, origin, after));
    for (const text of exchange.early.splice(0)) exchange.ready.push(text);
  }

  #response(explanation: Explanation): void {
    if (explanation.kind === "unread") return this.#unread("server", this.#responses, explanation);
    const exchange = this.#responding[0];
    const isFinal = explanation.status === undefined || !isInterim(explanation.status) || explanation.status === 101;
    const origin = originOf(this.#responses, explanation);
    const { requestEnd, number, isUnasked } = exchange;
    const after = isUnasked
      ? ", to no request here"
      : requestEnd === undefined || origin.start < requestEnd
      ? ", before the request ended"
      : `, ${durationText(origin.start - requestEnd)} after the request`;
    const title = `${isFinal ? "" : "interim "}response ${number}`;
    this.#add(exchange, this.#message(title, explanation, origin, after));
    if (!isFinal) return;
    this.#responding.shift();
    exchange.answered = true;
    this.#lastEnd = { time: origin.end, exchange: number };
    if (!leavesHttp(explanation.status ?? 0, exchange.method)) return;
    this.#tunnel = true;
    this.#requests.explainer.leaveHttp();
  }

  /** Octets that are no message: of another protocol, or after the last message. */
  #unread(by: End, way: Way, explanation: Explanation): void {
    const text = this.#message(`from the ${by}, not explained`, explanation, originOf(way, explanation), "");
    const exchange = this.#begin(true);
    exchange.claimed = exchange.answered = true;
    this.#add(exchange, text);
  }

  #message(title: string, explanation: Explanation, origin: MessageOrigin, after: string): string {
    this.#valid &&= explanation.state === "whole";
    const { painter } = this.#options;
    const { start, texts } = origin;
    const from = texts.length === 1 ? `, from ${texts[0]}` : "";
    const lines = texts.length === 1 ? [] : texts.map((text) => `      ${text}`);
    const head = [`${painter("bold", title)} at ${timeText(start)}${after}${from}`, ...lines];
    return `\n${head.map((line) => `${line}\n`).join("")}${explanationText(explanation, this.#options)}`;
  }

  /** Adds what is finished to the text, in the order of exchanges. */
  #print(): void {
    for (let [exchange] = this.#exchanges; exchange !== undefined; [exchange] = this.#exchanges) {
      for (const text of exchange.ready.splice(0)) {
        this.#text += text;
        this.#waitingCharacters -= text.length;
      }
      if (!exchange.isRequested || !exchange.answered) return;
      this.#exchanges.shift();
    }
  }
}

function originOf(way: Way, { start, length }: Explanation): MessageOrigin {
  return way.origins.take(way.start + start, way.start + start + length);
}
