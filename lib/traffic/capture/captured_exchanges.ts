/** Explains one connection of a capture: its exchanges in order, each request before its responses. */

import { counted } from "../../bytes.ts";
import { type Direction, type Exchange, Explainer, type Explanation, type Message } from "../../exchange.ts";
import { KEPT_ORIGINS, MAX_EXPLAINED_CHUNKS, MAX_EXPLAINED_CONTENT_OCTETS, SHOWN_ORIGINS } from "../../limits.ts";
import { ExchangeJson } from "../explain/json.ts";
import { type ExplainTextOptions, explanationText, sentence } from "../explain/text.ts";
import { otherEnd } from "./capture_events.ts";
import { type MessageOrigin, Origins } from "./origins.ts";
import { type Acknowledged, type CaptureEvent, directionOf, type StreamEvent, type TcpFacts } from "./reader.ts";
import { durationText, segmentsText, timeText } from "./words.ts";

/** How much of one message is kept for `--all`: several may be unfinished at a time. */
const ALL_KEPT = { contentOctets: MAX_EXPLAINED_CONTENT_OCTETS, chunks: MAX_EXPLAINED_CHUNKS };
/** The most octets that one unfinished message counts, besides that content. */
const MAX_UNFINISHED_OCTETS = 128 * 1024;
/** Characters of explained messages that wait for the acknowledgment of one before them. */
const MAX_UNACKNOWLEDGED_CHARACTERS = 2 * 1024 * 1024;

/** The finished text on an exchange that is not printed yet. */
interface ExchangeText {
  /** The exchange; `undefined` for octets outside of messages. */
  readonly exchange: Exchange | undefined;
  responses: number;
  /** Whether the request is explained, if there is one. */
  isRequested: boolean;
  /** The texts that come next, once the request is explained. */
  readonly texts: Text[];
  readonly json: ExchangeJson;
}

/** A text that comes next, and may wait until the last octet of its message is acknowledged. */
interface Text {
  readonly make: (acknowledged?: Acknowledgment) => string;
  readonly characters: number;
  /** The offset after the message, as long as it waits. */
  to?: number;
  acknowledged?: Acknowledgment;
}

type Acknowledgment = { readonly to: number; readonly packet: number; readonly time: number };

export interface CapturedExchangesOptions extends ExplainTextOptions {
  /** Returns when the capture started, in microseconds since 1970: asks for JSON. */
  readonly json?: () => number | undefined;
}

export class CapturedExchanges {
  readonly #explainer: Explainer;
  readonly #origins: Readonly<Record<Direction, Origins>>;
  /** Exchanges that are not printed whole, in their order. */
  readonly #parts: ExchangeText[] = [];
  #waitingCharacters = 0;
  #text = "";
  /** Texts that wait for an acknowledgment, and the last acknowledgment of octets that were sent before. */
  readonly #unacknowledged: Record<Direction, Text[]> = { request: [], response: [] };
  readonly #acknowledged: Partial<Record<Direction, Acknowledgment>> = {};
  /** Directions whose last octets are missing. */
  readonly #missingIn = new Set<Direction>();
  /** Whether packets of the client may be missing, when the last octets came: what is known later depends on the turn. */
  #mayLackRequests = false;
  #lastEnd: { readonly time: number; readonly exchange: number } | undefined;
  valid = true;

  /** Explains with this layout, facts on the connection that grow later, and what each line of JSON begins with. */
  constructor(
    private readonly options: CapturedExchangesOptions,
    private readonly tcp = NO_FACTS,
    private readonly members: () => object = () => ({}),
  ) {
    this.#explainer = new Explainer({
      kept: options.all ? ALL_KEPT : undefined,
      listener: (event) => {
        if (event.kind === "began") this.#partOf(event.message.exchange);
      },
    });
    const most = options.all || options.json !== undefined ? KEPT_ORIGINS : SHOWN_ORIGINS;
    this.#origins = { request: new Origins(most), response: new Origins(most) };
  }

  get held(): number {
    const most = MAX_UNFINISHED_OCTETS + (this.options.all ? ALL_KEPT.contentOctets : 0);
    const pending = (direction: Direction) => Math.min(most, this.#explainer.pending(direction));
    return this.#text.length + this.#waitingCharacters + pending("request") + pending("response");
  }

  receive(event: StreamEvent): void {
    const direction = directionOf(event);
    switch (event.kind) {
      case "read":
      case "write":
        this.#missingIn.delete(direction);
        this.#mayLackRequests = event.origin.mayLackRequests === true;
        this.#origins[direction].receive(event.bytes.length, event.origin, event.time);
        this.#explainer.octets(direction, event.bytes, event.time);
        break;
      case "missing":
        return this.#missing(direction, event);
      case "acknowledged":
        return this.#acknowledge(direction, event);
      case "fin":
        this.#explainer.pairing.fin(direction);
    }
    this.#collect();
  }

  /** Ends both directions, with or without FIN. */
  end(): void {
    this.#explainer.end();
    this.#collect();
    const broken = this.#explainer.pairing.message("response");
    const isUnknown = this.#missingIn.has("response") || this.tcp.mayLackResponses;
    for (const part of this.#parts) {
      const { exchange } = part;
      if (exchange === undefined || exchange.over || exchange.responses.length > 0) continue;
      const request = `request ${exchange.number}`;
      const text = broken?.state === "broken"
        ? `response to ${request} not read: see the fault of response ${broken.exchange.number}`
        : isUnknown
        ? `response to ${request} not seen: packets of the server are not here`
        : `no response to ${request}`;
      this.#addLine(part, text);
    }
    this.#print(true);
  }

  take(): string {
    const text = this.#text;
    this.#text = "";
    return text;
  }

  #partOf(exchange: Exchange | undefined): ExchangeText {
    let part = this.#parts.findLast((part) => exchange !== undefined && part.exchange === exchange);
    if (part === undefined) {
      const isRequested = exchange?.request === undefined;
      part = { exchange, responses: 0, isRequested, texts: [], json: new ExchangeJson() };
      this.#parts.push(part);
    }
    return part;
  }

  /** Ends the message at the gap; what follows starts a new one. */
  #missing(direction: Direction, { by, octets, why, cut, origin }: CaptureEvent & { kind: "missing" }): void {
    const count = `${counted(octets, "octet")} of the ${by}`;
    if (why === "skipped") return this.#note(`${count} skipped, up to the next start line (packet ${origin.packet})`);
    this.valid = false;
    this.#missingIn.add(direction);
    this.#explainer.pairing.gap(direction, octets);
    this.#collect();
    const cause = cut && `: packet ${cut.packet} was cut at ${counted(cut.octets, "octet")}: tcpdump -s 0`;
    this.#note(
      why === "not captured"
        ? `${count} not captured (before packet ${origin.packet})${cause ?? ""}`
        : `the ${by}'s octets were not captured: the ${otherEnd(by)} acknowledged ${octets}`,
    );
  }

  #note(text: string): void {
    // What belongs to no exchange has a part of its own.
    this.#addLine(this.#parts.at(-1) ?? this.#partOf(undefined), text);
    this.#print();
  }

  #addLine(part: ExchangeText, text: string): void {
    if (this.options.json !== undefined) return;
    const line = `\n${sentence("--", text, this.options.sentenceWidth).map((line) => `${line}\n`).join("")}`;
    this.#waitingCharacters += line.length;
    part.texts.push({ make: () => line, characters: line.length });
  }

  #acknowledge(direction: Direction, { unacknowledged, time, origin: { packet } }: Acknowledged): void {
    const to = this.#explainer.pairing.received(direction) - unacknowledged;
    if (to <= (this.#acknowledged[direction]?.to ?? 0)) return;
    const acknowledged = this.#acknowledged[direction] = { to, time, packet };
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
      const { message, direction, start, length, state } = explanation;
      this.valid &&= state === "whole";
      const to = start + length;
      const origin = this.#origins[direction].take(start, to);
      const part = this.#partOf(message?.exchange);
      const isJson = this.options.json !== undefined;
      if (isJson && message === undefined) continue;
      const text = isJson ? this.#json(part.json, explanation, origin) : this.#explained(explanation, origin);
      this.#waitingCharacters += text.characters;
      const known = this.#acknowledged[direction];
      if (known !== undefined && known.to >= to) text.acknowledged = known;
      else if (!origin.isRecorded) {
        text.to = to;
        this.#unacknowledged[direction].push(text);
      }
      if (message === undefined || direction === "response") part.texts.push(text);
      else part.texts.unshift(text);
      if (message === undefined) continue;
      if (direction === "request") part.isRequested = true;
      else part.responses++;
    }
    this.#print();
  }

  #json(json: ExchangeJson, explanation: Explanation, origin: MessageOrigin): Text {
    const first = this.options.json!();
    const { start, end, packets, pieces: segments, isRecorded } = origin;
    const time = first === undefined ? undefined : (first + start) / 1_000_000;
    return {
      characters: explanation.rows.reduce((sum, { octets }) => sum + 2 * octets.length, 0),
      make: (by) => {
        const acknowledged = by && { packet: by.packet, after: (by.time - end) / 1_000_000 };
        const tcp = isRecorded ? undefined : { segments, ...acknowledged && { acknowledged } };
        json.add(explanation, { offset: explanation.start, time, packets, tcp }, this.options.all);
        return "";
      },
    };
  }

  #explained(explanation: Explanation, origin: MessageOrigin): Text {
    const { start, texts, isRecorded } = origin;
    const [title, after] = this.#titleOf(explanation);
    const text = explanationText(explanation, this.options);
    const lines = texts.length === 1 ? [] : texts.map((text) => `      ${text}`);
    return {
      characters: text.length,
      make: (acknowledged) => {
        const mss = this.tcp.mss[explanation.direction === "request" ? "server" : "client"];
        const place = !isRecorded
          ? segmentsText(origin, explanation.length, mss, acknowledged)
          : texts.length === 1
          ? `, from ${texts[0]}`
          : "";
        const head = [`${this.options.painter("bold", title)} at ${timeText(start)}${after}${place}`, ...lines];
        return `\n${head.map((line) => `${line}\n`).join("")}${text}`;
      },
    };
  }

  /** Returns a message's name, and how long after those before it it came. */
  #titleOf({ message, direction }: Explanation): [title: string, after: string] {
    if (message === undefined) return [`from the ${direction === "request" ? "client" : "server"}, not explained`, ""];
    const { exchange: { number }, began, ended, interim } = message;
    if (direction === "response") {
      if (!interim) this.#lastEnd = { time: ended, exchange: number };
      return [`${interim ? "interim " : ""}response ${number}`, this.#answerText(message)];
    }
    const { time, exchange } = this.#lastEnd ?? { time: Infinity, exchange: 0 };
    return [`request ${number}`, began >= time ? `, ${durationText(began - time)} after response ${exchange}` : ""];
  }

  #answerText({ exchange, began, interim }: Message): string {
    const { request, unread } = exchange;
    if (unread !== undefined) return `, to a request that was not read: see the fault of request ${unread}`;
    if (request === undefined) {
      const isUnknown = this.#missingIn.has("request") || this.#mayLackRequests;
      return isUnknown ? ", to a request that was not captured" : ", to no request here";
    }
    const isEarly = request.state === "incomplete" || began < request.ended;
    if (!isEarly) return `, ${durationText(began - request.ended)} after the request`;
    return interim ? ", before the request ended" : ", answered before its content had come";
  }

  #print(all = false): void {
    for (let [part] = this.#parts; part !== undefined; [part] = this.#parts) {
      const { exchange, isRequested, responses, texts, json } = part;
      while (isRequested && texts.length > 0) {
        const [{ make, to, acknowledged, characters }] = texts;
        if (to !== undefined && !all && this.#waitingCharacters <= MAX_UNACKNOWLEDGED_CHARACTERS) return;
        this.#text += make(acknowledged);
        this.#waitingCharacters -= characters;
        texts.shift();
      }
      const isOver = exchange === undefined ||
        isRequested && responses === exchange.responses.length && (exchange.over || exchange.request === undefined);
      if (!isOver && !all) return;
      this.#parts.shift();
      if (this.options.json !== undefined && exchange !== undefined) this.#text += json.line(this.members());
    }
  }
}

const NO_FACTS: Pick<TcpFacts, "mayLackResponses" | "mss"> = { mayLackResponses: false, mss: {} };
