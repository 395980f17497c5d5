/**
 * Explains one connection of a capture: its exchanges in order, each request before its responses.
 *
 * @module
 */

import { counted } from "../../bytes.ts";
import {
  answeredIn,
  type Direction,
  type Exchange,
  type ExchangeEvent,
  Explainer,
  type Explanation,
  type Message,
} from "../../exchange.ts";
import {
  KEPT_ORIGINS,
  MAX_EXPLAINED_CHUNKS,
  MAX_EXPLAINED_CONTENT_BYTES,
  MAX_UNFINISHED_BYTES,
  SHOWN_ORIGINS,
} from "../../limits.ts";
import type { Closed, End } from "../../traffic.ts";
import { ExchangeJson } from "../explain/json.ts";
import { type ExplainTextOptions, explanationText, sentence } from "../explain/text.ts";
import { Origins } from "./origins.ts";
import type { CaptureEvent, OpenedInCapture } from "./reader.ts";
import { durationText, timeText } from "./times.ts";

/** The text on an exchange, as far as it is finished and not printed. */
interface Part {
  /** The exchange; `undefined` for octets that are no message. */
  readonly exchange: Exchange | undefined;
  /** How many responses are explained. */
  responses: number;
  /** Whether the request is explained, if there is one. */
  isRequested: boolean;
  /** What comes next, once the request is explained. */
  readonly texts: string[];
  /** The exchange as JSON, if that is asked for. */
  readonly json: ExchangeJson;
}

/** How a connection's exchanges are explained. */
export interface CapturedExchangesOptions extends ExplainTextOptions {
  /** Returns when the capture started, in microseconds since 1970: asks for JSON. */
  readonly json?: () => number | undefined;
}

/** Explains an HTTP connection from the events of a capture. */
export class CapturedExchanges {
  readonly #options: CapturedExchangesOptions;
  /** The first members of each line of JSON. */
  readonly #members: object;
  readonly #explainer: Explainer;
  readonly #origins: Readonly<Record<Direction, Origins>>;
  /** The most octets that are held of a message. */
  readonly #mostHeld: number;
  /** Exchanges that are not printed whole, in their order. */
  readonly #parts: Part[] = [];
  #valid = true;
  #lastEnd: { readonly time: number; readonly exchange: number } | undefined;
  #text = "";
  #waitingCharacters = 0;

  readonly #leftOut: Readonly<Record<End, boolean>>;
  /** Directions whose last octets are missing. */
  readonly #missingIn = new Set<Direction>();

  /**
   * Explains with this layout.
   *
   * @param leftOut Whether packets of an end may have been left out, now and later.
   * @param members The first members of each line of JSON.
   */
  constructor(options: CapturedExchangesOptions, leftOut = { client: false, server: false }, members: object = {}) {
    this.#options = options;
    this.#leftOut = leftOut;
    this.#members = members;
    // Several messages may be unfinished at a time.
    const all = { contentBytes: MAX_EXPLAINED_CONTENT_BYTES, chunks: MAX_EXPLAINED_CHUNKS };
    const kept = options.all ? all : undefined;
    this.#mostHeld = MAX_UNFINISHED_BYTES + (kept?.contentBytes ?? 0);
    this.#explainer = new Explainer({ kept, tell: (event) => this.#began(event) });
    const most = options.all || options.json !== undefined ? KEPT_ORIGINS : SHOWN_ORIGINS;
    this.#origins = { request: new Origins(most), response: new Origins(most) };
  }

  /** Whether all messages so far are complete and valid. */
  get valid(): boolean {
    return this.#valid;
  }

  /** How many octets and characters are held. */
  get held(): number {
    const [requests, responses] = (["request", "response"] as const).map((direction) =>
      Math.min(this.#mostHeld, this.#explainer.labels[direction].pending)
    );
    return this.#text.length + this.#waitingCharacters + requests + responses;
  }

  /** Receives an event of the connection, but for its beginning and its end. */
  tell(event: Exclude<CaptureEvent, OpenedInCapture | Closed>): void {
    switch (event.kind) {
      case "read":
      case "write": {
        const direction = event.kind === "read" ? "request" : "response";
        this.#missingIn.delete(direction);
        this.#origins[direction].add(event.bytes.length, event.origin, event.time);
        this.#explainer.octets(direction, event.bytes, event.time);
        break;
      }
      case "missing":
        return this.#missing(event);
      case "fin":
        this.#explainer.pairing.fin(event.by === "client" ? "request" : "response");
    }
    this.#collect();
  }

  /** Ends both directions, with or without FIN. */
  end(): void {
    this.#explainer.labels.request.end();
    this.#explainer.labels.response.end();
    this.#collect();
    const broken = this.#explainer.pairing.message("response");
    const why = broken?.state === "broken" ? `: see the fault of response ${broken.exchange.number}` : undefined;
    const isUnknown = this.#missingIn.has("response") || this.#leftOut.server;
    for (const part of this.#parts) {
      const { exchange } = part;
      if (exchange === undefined || exchange.over || exchange.responses.length > 0) continue;
      const request = `request ${exchange.number}`;
      const text = why !== undefined
        ? `response to ${request} not read${why}`
        : isUnknown
        ? `response to ${request} not seen: packets of the server are not here`
        : `no response to ${request}`;
      this.#add(part, this.#line(text));
    }
    this.#print(true);
  }

  /** Takes the text that is finished. */
  take(): string {
    const text = this.#text;
    this.#text = "";
    return text;
  }

  #began(event: ExchangeEvent): void {
    if (event.kind === "began") this.#partOf(event.message.exchange);
  }

  #partOf(exchange: Exchange | undefined): Part {
    let part = this.#parts.findLast((part) => exchange !== undefined && part.exchange === exchange);
    if (part === undefined) {
      const isRequested = exchange?.request === undefined;
      part = { exchange, responses: 0, isRequested, texts: [], json: new ExchangeJson() };
      this.#parts.push(part);
    }
    return part;
  }

  /** Ends the message at the gap; what follows starts a new one. */
  #missing({ by, octets, why, cut, origin }: CaptureEvent & { kind: "missing" }): void {
    const count = `${counted(octets, "octet")} of the ${by}`;
    if (why === "skipped") {
      return this.#note(`${count} skipped, up to the next start line (packet ${origin.packet})`);
    }
    const direction = by === "client" ? "request" : "response";
    this.#valid = false;
    this.#missingIn.add(direction);
    this.#explainer.pairing.gap(direction, octets);
    this.#collect();
    const cause = cut === undefined
      ? ""
      : `: packet ${cut.packet} was cut at ${counted(cut.octets, "octet")}: tcpdump -s 0`;
    if (why === "not captured") return this.#note(`${count} not captured (before packet ${origin.packet})${cause}`);
    const other = by === "client" ? "server" : "client";
    this.#note(`the ${by}'s octets were not captured: the ${other} acknowledged ${octets}`);
  }

  /** Adds a line where the text is. */
  #note(text: string): void {
    const last = this.#parts.at(-1);
    if (last === undefined) this.#text += this.#line(text);
    else this.#add(last, this.#line(text));
    this.#print();
  }

  #line(text: string): string {
    if (this.#options.json !== undefined) return "";
    return `\n${sentence("--", text, this.#options.sentenceWidth).map((line) => `${line}\n`).join("")}`;
  }

  #add(part: Part, text: string): void {
    part.texts.push(text);
    this.#waitingCharacters += text.length;
  }

  #collect(): void {
    for (const explanation of this.#explainer.take()) {
      const { message, direction } = explanation;
      this.#valid &&= explanation.state === "whole";
      const part = this.#partOf(message?.exchange);
      if (this.#options.json !== undefined) this.#addJson(part, explanation);
      else if (message === undefined) {
        const by = direction === "request" ? "client" : "server";
        this.#add(part, this.#explained(`from the ${by}, not explained`, explanation, ""));
      } else if (direction === "request") this.#request(part, message, explanation);
      else this.#response(part, message, explanation);
    }
    this.#print();
  }

  #addJson(part: Part, explanation: Explanation): void {
    const { direction, message, start: offset, length } = explanation;
    const { start, packets } = this.#origins[direction].take(offset, offset + length);
    if (direction === "request") part.isRequested = true;
    else part.responses++;
    if (message === undefined) return;
    this.#waitingCharacters -= part.json.length;
    const origin = this.#options.json!();
    const time = origin === undefined ? undefined : (origin + start) / 1_000_000;
    part.json.add(explanation, { offset, time, packets }, this.#options.all);
    this.#waitingCharacters += part.json.length;
  }

  #request(part: Part, { exchange, began }: Message, explanation: Explanation): void {
    const { time, exchange: before } = this.#lastEnd ?? { time: Infinity, exchange: 0 };
    const after = began >= time ? `, ${durationText(began - time)} after response ${before}` : "";
    const early = part.texts.splice(0);
    part.isRequested = true;
    this.#add(part, this.#explained(`request ${exchange.number}`, explanation, after));
    part.texts.push(...early);
  }

  #response(part: Part, message: Message, explanation: Explanation): void {
    const { exchange, interim, ended } = message;
    part.responses++;
    const title = `${interim ? "interim " : ""}response ${exchange.number}`;
    this.#add(part, this.#explained(title, explanation, this.#answerText(message)));
    if (!interim) this.#lastEnd = { time: ended, exchange: exchange.number };
  }

  #explained(title: string, explanation: Explanation, after: string): string {
    const { direction, start: from, length } = explanation;
    const { start, texts } = this.#origins[direction].take(from, from + length);
    const place = texts.length === 1 ? `, from ${texts[0]}` : "";
    const lines = texts.length === 1 ? [] : texts.map((text) => `      ${text}`);
    const head = [`${this.#options.painter("bold", title)} at ${timeText(start)}${after}${place}`, ...lines];
    return `\n${head.map((line) => `${line}\n`).join("")}${explanationText(explanation, this.#options)}`;
  }

  /** Adds what is finished to the text, in the order of exchanges. */
  #print(all = false): void {
    for (let [part] = this.#parts; part !== undefined; [part] = this.#parts) {
      const { exchange, isRequested, responses } = part;
      for (const text of isRequested ? part.texts.splice(0) : []) {
        this.#text += text;
        this.#waitingCharacters -= text.length;
      }
      const isOver = exchange === undefined ||
        isRequested && responses === exchange.responses.length && (exchange.over || exchange.request === undefined);
      if (!isOver && !all) return;
      this.#parts.shift();
      if (this.#options.json === undefined || exchange === undefined) continue;
      this.#text += part.json.line(this.#members);
      this.#waitingCharacters -= part.json.length;
    }
  }

  /** Says when a response came, by its request. */
  #answerText(message: Message): string {
    const { exchange, began, interim } = message;
    const { request, unread } = exchange;
    if (unread !== undefined) {
      return `, to a request that was not read: see the fault of request ${unread}`;
    }
    if (request === undefined) {
      const isUnknown = this.#missingIn.has("request") || this.#leftOut.client;
      return isUnknown ? ", to a request that was not captured" : ", to no request here";
    }
    const isEarly = request.state === "incomplete" || began < request.ended;
    if (interim) {
      return isEarly ? ", before the request ended" : `, ${durationText(began - request.ended)} after the request`;
    }
    const time = answeredIn(exchange)!;
    if (time === "early") return ", answered before its content had come";
    return `, ${durationText(time)} after the request`;
  }
}
