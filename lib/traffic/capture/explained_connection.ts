/** Explains one connection of a capture: its addresses, its exchanges if it is HTTP, and how it ends. */

import { addressText } from "../../address.ts";
import { counted } from "../../bytes.ts";
import {
  answeredAfter,
  Beginning,
  type Direction,
  type Exchange,
  Explainer,
  type Explanation,
  type Message,
} from "../../exchange.ts";
import { KEPT_ORIGINS, MAX_EXPLAINED_CHUNKS, MAX_EXPLAINED_CONTENT_OCTETS, SHOWN_ORIGINS } from "../../limits.ts";
import { ExchangeJson } from "../explain/json.ts";
import { type ExplainTextOptions, explanationText, sentence } from "../explain/text.ts";
import { otherEnd } from "./capture_events.ts";
import { type MessageOrigin, Origins } from "./origins.ts";
import {
  type Acknowledged,
  type CaptureEvent,
  directionOf,
  type Missing,
  type OpenedInCapture,
  type SentFacts,
} from "./reader.ts";
import { durationText, handshakeText, repeatedText, segmentsText, timeText } from "./words.ts";

/** How much of one message is kept for `--all`: several may be unfinished at a time. */
const ALL_KEPT = { contentOctets: MAX_EXPLAINED_CONTENT_OCTETS, chunks: MAX_EXPLAINED_CHUNKS };
/** The most octets that one unfinished message counts, besides that content. */
const MAX_UNFINISHED_OCTETS = 128 * 1024;
/** Characters of explained messages that wait for the acknowledgment of one before them. */
const MAX_UNACKNOWLEDGED_CHARACTERS = 2 * 1024 * 1024;

/** What is finished of an exchange, and not printed yet. */
interface Part {
  /** The exchange; `undefined` for octets outside of messages. */
  readonly exchange: Exchange | undefined;
  responses: number;
  /** Whether the request is explained, if there is one. */
  isRequested: boolean;
  /** The texts that come next, once the request is explained. */
  readonly texts: Text[];
  readonly json: ExchangeJson;
}

/** A text that comes next; that of a message may wait until its last octet is acknowledged. */
interface Text {
  readonly make: () => string;
  readonly characters: number;
  readonly origin?: MessageOrigin;
}

export interface CaptureTextOptions extends ExplainTextOptions {
  /** Returns when the capture started, in microseconds since 1970: asks for JSON. */
  readonly json?: () => number | undefined;
}

export class ExplainedConnection {
  readonly #beginning = new Beginning();
  /** It explains from the first octets on, until they are known not to be HTTP. */
  #explainer: Explainer | undefined;
  readonly #origins: Readonly<Record<Direction, Origins>>;
  /** Exchanges that are not printed whole, in their order. */
  #parts: Part[] = [];
  #waitingCharacters = 0;
  #text = "";
  #isTaken = false;
  /** How many octets there were before the first start line, and how many are missing. */
  #skipped = 0;
  #missing = 0;
  /** Whether packets of the client may be missing, when the last octets came: what is known later depends on the turn. */
  #mayLackRequests = false;
  #lastEnd = { time: Infinity, exchange: 0 };
  readonly #ends: string[] = [];
  /** Whether this program recorded it: then it has reads and writes, and an invented handshake. */
  #isRecorded = false;
  ended = false;
  isReset = false;
  valid = true;

  constructor(private readonly opened: OpenedInCapture, private readonly options: CaptureTextOptions) {
    const most = options.all || options.json !== undefined ? KEPT_ORIGINS : SHOWN_ORIGINS;
    this.#origins = { request: new Origins(most), response: new Origins(most) };
  }

  /** Whether it has a request or status line; `undefined` until that is known. */
  get isHttp(): boolean | undefined {
    return this.#beginning.isHttp;
  }

  get held(): number {
    const most = MAX_UNFINISHED_OCTETS + (this.options.all ? ALL_KEPT.contentOctets : 0);
    const pending = (direction: Direction) => Math.min(most, this.#explainer?.pending(direction) ?? 0);
    return this.#text.length + this.#waitingCharacters + pending("request") + pending("response");
  }

  receive(event: Exclude<CaptureEvent, OpenedInCapture> | Acknowledged): void {
    if (event.kind === "closed") {
      this.isReset = event.isReset;
      // With two FINs there is nothing to add.
      if (this.#ends.length < 2) this.#ends.push(`closed ${event.reason} ${when(event)}`);
      return this.end();
    }
    const direction = directionOf(event);
    if ("bytes" in event) {
      this.#isRecorded ||= event.origin.call !== undefined;
      this.#beginning.receive(direction, event.bytes);
    } else if (event.kind === "fin") this.#ends.push(`FIN by the ${event.by} ${when(event)}`);
    else if (event.kind === "missing" && event.why === "skipped") this.#skipped += event.octets;
    else if (event.kind === "missing") {
      this.#missing += event.octets;
      this.#beginning.gap(direction);
    }
    if (this.isHttp === false) return this.#drop();
    // A connection without octets needs no decoder.
    if (event.kind !== "fin") this.#explainer ??= this.#newExplainer();
    if (event.kind === "missing") this.#note(this.#explainMissing(direction, event));
    else if (event.kind === "acknowledged") this.#origins[direction].acknowledge(event);
    else if (event.kind === "fin") this.#explainer?.pairing.fin(direction);
    else {
      this.#mayLackRequests = event.origin.mayLackRequests === true;
      this.#origins[direction].receive(event.bytes.length, event.origin, event.time);
      this.#explainer!.octets(direction, event.bytes, event.time);
    }
    this.#collect();
    this.#print();
  }

  /** Ends both directions, with or without FIN. */
  end(): void {
    if (this.ended) return;
    this.ended = true;
    this.#beginning.end();
    if (!this.isHttp) {
      this.#drop();
      this.valid = true;
      return this.#say(`${this.#title}: ${this.#otherwise()}\n`);
    }
    this.#explainer!.end();
    this.#collect();
    this.#addUnanswered();
    this.#print(true);
    this.#explainer = undefined;
    const end = this.#ends.length === 0 ? "open where the capture ends" : this.#ends.join(", ");
    const repeated = this.#isRecorded ? "" : repeatedText(this.opened.tcp);
    this.#say(`\nconnection ${this.opened.connection}: ${end}${repeated}\n`);
  }

  /** Ends the connection before its end. What was finished is left out too, unless what was taken is printed. */
  leaveOut(why: string, isPrinted: boolean): void {
    if (isPrinted && this.#isTaken) {
      this.#ends.push(`the rest is left out: ${why}`);
      this.end();
    } else {
      this.ended = this.#isTaken = true;
      this.#drop();
      this.#say(`${this.#title}: left out: ${why}\n`);
    }
    this.valid = false;
  }

  /** Returns the text that was finished since the last call: none before it is known whether this is HTTP. */
  take(): string {
    if (!this.isHttp && !this.ended) return "";
    const isTitled = this.#isTaken || !this.isHttp || this.options.json !== undefined;
    const text = isTitled ? this.#text : `${this.#title}${this.#start}\n${this.#text}`;
    this.#text = "";
    this.#isTaken ||= text !== "";
    return text;
  }

  #drop(): void {
    this.#explainer = undefined;
    this.#parts = [];
    this.#waitingCharacters = 0;
    this.#text = "";
  }

  /** Adds text that is no JSON. */
  #say(text: string): void {
    if (this.options.json === undefined) this.#text += text;
  }

  #newExplainer(): Explainer {
    return new Explainer({
      kept: this.options.all ? ALL_KEPT : undefined,
      listener: (event) => {
        if (event.kind === "began") this.#partOf(event.message.exchange);
      },
    });
  }

  /** Ends the message at a gap; what follows starts a new one. Returns a line on it. */
  #explainMissing(direction: Direction, { by, octets, why, cut, origin }: CaptureEvent & Missing): string {
    const count = `${counted(octets, "octet")} of the ${by}`;
    if (why === "skipped") return `${count} skipped, up to the next start line (packet ${origin.packet})`;
    this.valid = false;
    this.#explainer!.pairing.gap(direction, octets);
    this.#collect();
    if (why === "only acknowledged") {
      return `the ${by}'s octets were not captured: the ${otherEnd(by)} acknowledged ${octets}`;
    }
    const cause = cut && `: packet ${cut.packet} was cut at ${counted(cut.octets, "octet")}: tcpdump -s 0`;
    return `${count} not captured (before packet ${origin.packet})${cause ?? ""}`;
  }

  #addUnanswered(): void {
    const broken = this.#explainer!.pairing.message("response");
    const isUnknown = this.#explainer!.pairing.stop("response")?.why === "lost" || this.opened.tcp.mayLackResponses;
    for (const part of this.#parts) {
      const { exchange } = part;
      if (exchange === undefined || exchange.over || exchange.responses.length > 0) continue;
      const request = `request ${exchange.number}`;
      const text = broken?.state === "broken"
        ? `response to ${request} not read: see the fault of response ${broken.exchange.number}`
        : isUnknown
        ? `response to ${request} not seen: packets of the server are not here`
        : `no response to ${request}`;
      this.#note(text, part);
    }
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

  /** Adds a line that is no JSON. What belongs to no exchange has a part of its own. */
  #note(text: string, part = this.#parts.at(-1) ?? this.#partOf(undefined)): void {
    if (this.options.json !== undefined) return;
    const line = `\n${sentence("--", text, this.options.sentenceWidth).map((line) => `${line}\n`).join("")}`;
    this.#waitingCharacters += line.length;
    part.texts.push({ make: () => line, characters: line.length });
  }

  #collect(): void {
    for (const explanation of this.#explainer?.take() ?? []) {
      const { message, direction, start, length, state } = explanation;
      this.valid &&= state === "whole";
      const origin = this.#origins[direction].take(start, start + length);
      const part = this.#partOf(message?.exchange);
      const isJson = this.options.json !== undefined;
      if (isJson && message === undefined) continue;
      const text = isJson ? this.#json(part.json, explanation, origin) : this.#explained(explanation, origin);
      this.#waitingCharacters += text.characters;
      if (message !== undefined && direction === "request") {
        part.texts.unshift(text);
        part.isRequested = true;
        continue;
      }
      part.texts.push(text);
      if (message !== undefined) part.responses++;
    }
  }

  #print(all = false): void {
    for (let [part] = this.#parts; part !== undefined; [part] = this.#parts) {
      const { exchange, isRequested, responses, texts, json } = part;
      while (isRequested && texts.length > 0) {
        const [{ make, origin, characters }] = texts;
        const waits = origin !== undefined && !origin.isRecorded && origin.acknowledged === undefined;
        if (waits && !all && this.#waitingCharacters <= MAX_UNACKNOWLEDGED_CHARACTERS) return;
        this.#text += make();
        this.#waitingCharacters -= characters;
        texts.shift();
      }
      const isOver = exchange === undefined ||
        isRequested && responses === exchange.responses.length && (exchange.over || exchange.request === undefined);
      if (!isOver && !all) return;
      this.#parts.shift();
      if (this.options.json !== undefined && exchange !== undefined) this.#text += json.line(this.#members);
    }
  }

  #json(json: ExchangeJson, explanation: Explanation, origin: MessageOrigin): Text {
    const first = this.options.json!();
    const { start, end, packets, pieces: segments, isRecorded } = origin;
    const time = first === undefined ? undefined : (first + start) / 1_000_000;
    return {
      origin,
      characters: explanation.rows.reduce((sum, { octets }) => sum + 2 * octets.length, 0),
      make: () => {
        const by = origin.acknowledged;
        const acknowledged = by && { packet: by.packet, after: (by.time - end) / 1_000_000 };
        const tcp = isRecorded ? undefined : { segments, ...acknowledged && { acknowledged } };
        json.add(explanation, { offset: explanation.start, time, packets, tcp }, this.options.all);
        return "";
      },
    };
  }

  get #members(): object {
    const { connection, local, remote, tcp } = this.opened;
    const members = { connection, client: addressText(remote), server: addressText(local) };
    if (this.#isRecorded) return members;
    const { handshake, roundTrip, client, server } = tcp;
    const byEnd = (what: keyof SentFacts) => ({ client: client[what], server: server[what] });
    const seconds = roundTrip === undefined ? undefined : roundTrip / 1_000_000;
    const sent = { mss: byEnd("mss"), repeated: byEnd("repeated"), late: byEnd("late") };
    return { ...members, tcp: { handshake, roundTrip: seconds, ...sent } };
  }

  #explained(explanation: Explanation, origin: MessageOrigin): Text {
    const { start, texts, isRecorded } = origin;
    const [title, after] = this.#titleOf(explanation);
    const text = explanationText(explanation, this.options);
    const lines = texts.length === 1 ? [] : texts.map((text) => `      ${text}`);
    return {
      origin,
      characters: text.length,
      make: () => {
        const mss = this.opened.tcp[explanation.direction === "request" ? "server" : "client"].mss;
        const place = !isRecorded
          ? segmentsText(origin, explanation.length, mss)
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
    const { exchange: { number }, arrival: { time: began }, ended, interim, state } = message;
    if (direction === "response") {
      // Where another one ended is not known.
      if (!interim) this.#lastEnd = { time: state === "whole" ? ended : Infinity, exchange: number };
      return [`${interim ? "interim " : ""}response ${number}`, this.#answerText(message)];
    }
    const { time, exchange } = this.#lastEnd;
    return [`request ${number}`, began >= time ? `, ${durationText(began - time)} after response ${exchange}` : ""];
  }

  #answerText(response: Message): string {
    const { exchange: { request, unread }, interim } = response;
    const isUnknown = this.#explainer!.pairing.stop("request")?.why === "lost" || this.#mayLackRequests;
    if (unread !== undefined) return `, to a request that was not read: see the fault of request ${unread}`;
    if (request === undefined) return isUnknown ? ", to a request that was not captured" : ", to no request here";
    const after = answeredAfter(response);
    if (typeof after === "number") return `, ${durationText(after)} after the request`;
    if (isUnknown || after === undefined) return ", before all of the request was captured";
    if (interim) return ", before the request ended";
    return `, answered before its ${request.head ? "content" : "head"} had come`;
  }

  get #title(): string {
    const { connection, local, remote, secure, stream } = this.opened;
    const title = this.options.painter("bold", `connection ${connection}`);
    const encrypted = secure ? ", encrypted by TLS" : "";
    const family = remote.hostname.includes(":") ? "ipv6" : "ip";
    const filter = stream === undefined
      ? `${family}.addr == ${remote.hostname} && ${family}.addr == ${local.hostname} && ` +
        `tcp.port == ${remote.port} && tcp.port == ${local.port}`
      : `tcp.stream == ${stream}`;
    return `${title}: ${addressText(remote)} to ${addressText(local)}, ${filter} in Wireshark${encrypted}`;
  }

  get #start(): string {
    const { startCaptured, tcp } = this.opened;
    if (!startCaptured) return ", start not captured";
    return this.#isRecorded ? "" : handshakeText(tcp);
  }

  #otherwise(): string {
    const { octets: { request, response }, other } = this.#beginning;
    const gone = [
      this.#skipped > 0 ? `, ${counted(this.#skipped, "octet")} without a start line` : "",
      this.#missing > 0 ? `, ${counted(this.#missing, "octet")} not captured` : "",
      this.opened.startCaptured ? "" : ", start not captured",
    ].join("");
    if (request + response + this.#skipped + this.#missing === 0) return ["no octets", ...this.#ends].join(", ") + gone;
    const octets = `${counted(request, "octet")} from the client, ${response} from the server`;
    return `${other ? `not HTTP/1 but ${other}` : "not HTTP"}, ${octets}${gone}`;
  }
}

function when({ time, origin }: CaptureEvent): string {
  return `at ${timeText(time)} (packet ${origin.packet})`;
}
