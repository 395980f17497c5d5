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
  MAX_UNACKNOWLEDGED_CHARACTERS,
  MAX_UNFINISHED_BYTES,
  SHOWN_ORIGINS,
} from "../../limits.ts";
import type { Closed } from "../../traffic.ts";
import { ExchangeJson } from "../explain/json.ts";
import { type ExplainTextOptions, explanationText, sentence } from "../explain/text.ts";
import { type MessageOrigin, Origins } from "./origins.ts";
import type { Acknowledged, CaptureEvent, OpenedInCapture, TcpFacts } from "./reader.ts";
import { segmentsText } from "./tcp_text.ts";
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
  readonly texts: Text[];
  /** The exchange as JSON, if that is asked for. */
  readonly json: ExchangeJson;
}

/** A text that comes next, and may wait until the last octet of its message is acknowledged. */
interface Text {
  /** Returns the text. */
  readonly make: (acknowledged?: Acknowledgment) => string;
  /** About how many characters it has. */
  readonly characters: number;
  /** The offset after the message, as long as it waits. */
  to?: number;
  acknowledged?: Acknowledgment;
}

/** The first packet that acknowledges some octet. */
interface Acknowledgment {
  readonly packet: number;
  readonly time: number;
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
  readonly #members: () => object;
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

  readonly #tcp: Pick<TcpFacts, "leftOut" | "mss">;
  /** Texts that wait for an acknowledgment, and the last acknowledgment of octets that were sent before. */
  readonly #unacknowledged: Record<Direction, Text[]> = { request: [], response: [] };
  readonly #acknowledged: Partial<Record<Direction, Acknowledgment & { readonly to: number }>> = {};
  /** Directions whose last octets are missing. */
  readonly #missingIn = new Set<Direction>();

  /**
   * Explains with this layout.
   *
   * @param tcp What is known of the connection, now and later.
   * @param members Returns the first members of each line of JSON.
   */
  constructor(options: CapturedExchangesOptions, tcp = NO_FACTS, members: () => object = () => ({})) {
    this.#options = options;
    this.#tcp = tcp;
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
      Math.min(this.#mostHeld, this.#explainer.pending(direction))
    );
    return this.#text.length + this.#waitingCharacters + requests + responses;
  }

  /** Receives an event of the connection, but for its beginning and its end. */
  tell(event: Exclude<CaptureEvent, OpenedInCapture | Closed> | Acknowledged): void {
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
      case "acknowledged":
        return this.#acknowledge(event.by === "client" ? "request" : "response", event);
      case "fin":
        this.#explainer.pairing.fin(event.by === "client" ? "request" : "response");
    }
    this.#collect();
  }

  /** Ends both directions, with or without FIN. */
  end(): void {
    this.#explainer.end();
    this.#collect();
    const broken = this.#explainer.pairing.message("response");
    const why = broken?.state === "broken" ? `: see the fault of response ${broken.exchange.number}` : undefined;
    const isUnknown = this.#missingIn.has("response") || this.#tcp.leftOut.server;
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
    this.#addText(part, { make: () => text, characters: text.length });
  }

  #addText(part: Part, text: Text): void {
    part.texts.push(text);
    this.#waitingCharacters += text.characters;
  }

  /** Adds the text on a message, which waits for its acknowledgment in a capture of the wire. */
  #addMessage(
    part: Part,
    { direction, start, length }: Explanation,
    origin: MessageOrigin,
    text: Omit<Text, "to">,
  ): void {
    const to = start + length;
    const known = this.#acknowledged[direction];
    const waiting: Text = known !== undefined && known.to >= to ? { ...text, acknowledged: known } : { ...text, to };
    if (origin.isRecorded) return this.#addText(part, text);
    if (waiting.to !== undefined) this.#unacknowledged[direction].push(waiting);
    this.#addText(part, waiting);
  }

  #acknowledge(direction: Direction, { behind, time, origin }: Acknowledged): void {
    const to = this.#explainer.pairing.received(direction) - behind;
    if (to <= (this.#acknowledged[direction]?.to ?? 0)) return;
    const acknowledged = this.#acknowledged[direction] = { to, time, packet: origin.packet };
    const waiting = this.#unacknowledged[direction];
    while (waiting.length > 0 && waiting[0].to! <= to) {
      const text = waiting.shift()!;
      text.acknowledged = acknowledged;
      text.to = undefined;
    }
    this.#print();
  }

  #collect(): void {
    for (const explanation of this.#explainer.take()) {
      const { message, direction } = explanation;
      this.#valid &&= explanation.state === "whole";
      const part = this.#partOf(message?.exchange);
      if (this.#options.json !== undefined) this.#addJson(part, explanation);
      else if (message === undefined) {
        const by = direction === "request" ? "client" : "server";
        this.#addExplained(part, `from the ${by}, not explained`, explanation, "");
      } else if (direction === "request") this.#request(part, message, explanation);
      else this.#response(part, message, explanation);
    }
    this.#print();
  }

  #addJson(part: Part, explanation: Explanation): void {
    const { direction, message, start: offset, length } = explanation;
    const origin = this.#origins[direction].take(offset, offset + length);
    if (direction === "request") part.isRequested = true;
    else part.responses++;
    if (message === undefined) return;
    const first = this.#options.json!();
    const time = first === undefined ? undefined : (first + origin.start) / 1_000_000;
    const { packets, isRecorded } = origin;
    const make = (acknowledged?: Acknowledgment) => {
      const tcp = isRecorded ? undefined : tcpJson(origin, acknowledged);
      part.json.add(explanation, { offset, time, packets, tcp }, this.#options.all);
      return "";
    };
    const characters = explanation.rows.reduce((sum, { octets }) => sum + 2 * octets.length, 0);
    this.#addMessage(part, explanation, origin, { make, characters });
  }

  #request(part: Part, { exchange, began }: Message, explanation: Explanation): void {
    const { time, exchange: before } = this.#lastEnd ?? { time: Infinity, exchange: 0 };
    const after = began >= time ? `, ${durationText(began - time)} after response ${before}` : "";
    const early = part.texts.splice(0);
    part.isRequested = true;
    this.#addExplained(part, `request ${exchange.number}`, explanation, after);
    part.texts.push(...early);
  }

  #response(part: Part, message: Message, explanation: Explanation): void {
    const { exchange, interim, ended } = message;
    part.responses++;
    const title = `${interim ? "interim " : ""}response ${exchange.number}`;
    this.#addExplained(part, title, explanation, this.#answerText(message));
    if (!interim) this.#lastEnd = { time: ended, exchange: exchange.number };
  }

  #addExplained(part: Part, title: string, explanation: Explanation, after: string): void {
    const { direction, start: from, length } = explanation;
    const origin = this.#origins[direction].take(from, from + length);
    const { start, texts } = origin;
    const text = explanationText(explanation, this.#options);
    const lines = texts.length === 1 ? [] : texts.map((text) => `      ${text}`);
    const make = (acknowledged?: Acknowledgment) => {
      const mss = this.#tcp.mss[direction === "request" ? "server" : "client"];
      const place = origin.isRecorded
        ? texts.length === 1 ? `, from ${texts[0]}` : ""
        : segmentsText(origin, length, mss, acknowledged);
      const head = [`${this.#options.painter("bold", title)} at ${timeText(start)}${after}${place}`, ...lines];
      return `\n${head.map((line) => `${line}\n`).join("")}${text}`;
    };
    this.#addMessage(part, explanation, origin, { make, characters: text.length });
  }

  /** Adds what is finished to the text, in the order of exchanges. */
  #print(all = false): void {
    for (let [part] = this.#parts; part !== undefined; [part] = this.#parts) {
      const { exchange, isRequested, responses } = part;
      while (isRequested && part.texts.length > 0) {
        const [{ make, to, acknowledged, characters }] = part.texts;
        if (to !== undefined && !all && this.#waitingCharacters <= MAX_UNACKNOWLEDGED_CHARACTERS) return;
        this.#text += make(acknowledged);
        this.#waitingCharacters -= characters;
        part.texts.shift();
      }
      const isOver = exchange === undefined ||
        isRequested && responses === exchange.responses.length && (exchange.over || exchange.request === undefined);
      if (!isOver && !all) return;
      this.#parts.shift();
      if (this.#options.json === undefined || exchange === undefined) continue;
      this.#text += part.json.line(this.#members());
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
      const isUnknown = this.#missingIn.has("request") || this.#tcp.leftOut.client;
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

const NO_FACTS: Pick<TcpFacts, "leftOut" | "mss"> = { leftOut: { client: false, server: false }, mss: {} };

/** Returns what TCP did with a message, for JSON; times in seconds. */
function tcpJson(origin: MessageOrigin, acknowledged: Acknowledgment | undefined): object {
  const { pieces: segments, end } = origin;
  if (acknowledged === undefined) return { segments };
  return {
    segments,
    acknowledged: { packet: acknowledged.packet, after: (acknowledged.time - end) / 1_000_000 },
  };
}
