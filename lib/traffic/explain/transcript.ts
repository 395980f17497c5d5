/** A raw exchange as text: what was sent and received, when, and what the rules say of it. */

import { counted, octetString, withRule } from "../../bytes.ts";
import type { RawResult } from "../../exit_code.ts";
import { SHOWN_RAW_EVENTS, SHOWN_RAW_OCTETS } from "../../limits.ts";
import { escapeText, type Painter, wordsOf, wrapWords } from "../../terminal.ts";
import type { Octets, TrafficEvent } from "../../traffic.ts";
import { type ExchangeEvent, Explainer, type Explanation, Judge, readable, restartFindings } from "../../exchange.ts";
import { type Accepted, acceptedIn } from "../../http_message.ts";
import { textLines } from "./octet_lines.ts";
import { readingLines, sentence } from "./text.ts";
import { type Microseconds, SINCE_START } from "../tap.ts";

interface TranscriptOptions {
  /** Receives whole lines of safe text, as things happen. */
  readonly write: (text: string) => void;
  readonly painter: Painter;
  /** How long the exchange waits for the next octets. */
  readonly timeoutMs: number;
  /** Columns of a line; by default, there is no limit. */
  readonly width?: () => number;
  readonly now?: Microseconds;
}

/** Columns before the octets: time, direction, count. */
const INDENT = " ".repeat(16);
const LEAST_COLUMNS = 24;
const BY_THE_RULES = "by the rules: ";

/** Listens to a tap at the client's end, and writes the exchange that was begun last. */
export class Transcript {
  /** When the exchange began; `undefined` while there is none. */
  #start: number | undefined;
  #explainer!: Explainer;
  #judge!: Judge;
  #requests!: Explanation[];
  /** Where responses have begun in the octets that are read. */
  #starts!: number[];
  #accepted!: Accepted[];
  #result!: RawResult;
  #ended = false;
  #events = 0;
  #hiddenOctets = 0;

  constructor(private readonly options: TranscriptOptions) {}

  /** Begins an exchange on a connection that has carried no message, or only whole ones. */
  begin(): void {
    this.#start = (this.options.now ?? SINCE_START)();
    this.#explainer = new Explainer({ listener: (event) => this.#follow(event) });
    this.#judge = new Judge();
    this.#requests = [];
    this.#starts = [];
    this.#accepted = [];
    this.#result = { status: undefined, valid: true };
    this.#ended = false;
    this.#events = this.#hiddenOctets = 0;
  }

  /** What the server has to send by the rules. */
  get expects(): "response" | "fin" | "nothing" {
    if (!this.#result.valid) return "fin";
    const { unanswered, closes } = this.#explainer.pairing;
    if (unanswered.length > 0) return "response";
    return closes ? "fin" : "nothing";
  }

  receive(event: TrafficEvent): void {
    if (this.#start === undefined) return;
    switch (event.kind) {
      case "write":
        this.#line(event, ">");
        this.#explainer.octets("request", event.bytes);
        break;
      case "read":
        this.#read(event);
        break;
      case "fin": {
        const isOwn = event.by === "client";
        this.#print(event.time, isOwn ? ">" : "<", " FIN");
        this.#ended ||= !isOwn;
        this.#explainer.pairing.fin(isOwn ? "request" : "response");
        break;
      }
      case "closed":
        this.#ended = true;
        if (event.isReset) this.#print(event.time, "<", " RST");
        this.#start = undefined;
    }
  }

  /** Writes what the rules say of the octets sent, after the last of them. */
  sent(unsent: number): void {
    if (unsent > 0) {
      const [were, them] = unsent === 1 ? ["was", "it"] : ["were", "them"];
      const what = `${counted(unsent, "octet")} ${were} not sent: the server did not take ${them}`;
      this.#write(`(${what}, or the connection had ended)`);
    }
    this.#explainer.end("request");
    this.#collect();
    for (const explanation of this.#requests.splice(0)) {
      const [first, ...more] = predictionLines(explanation, this.#width);
      this.#sentence(first);
      for (const line of more) this.#write(line);
    }
  }

  /** Ends the exchange. Nothing more is written until another begins. */
  end(outcome: "complete" | "ended" | "timeout"): RawResult {
    const hidden = this.#events - SHOWN_RAW_EVENTS;
    if (hidden > 0) this.#write(`… ${hidden} more reads and writes, ${counted(this.#hiddenOctets, "octet")}`);
    if (outcome === "timeout") this.#write(`(nothing more came within ${this.options.timeoutMs / 1000} s)`);
    if (outcome === "ended") {
      const missing = this.#result.status === undefined ? "there was" : "every request had";
      this.#write(`(the connection ended before ${missing} a whole response)`);
    }
    this.#start = undefined;
    const verdict = this.#judge.verdict(this.#ended);
    if (verdict === undefined) return this.#result;
    this.#write(this.options.painter("bold", verdict.text));
    return verdict.against ? { ...this.#result, against: true } : this.#result;
  }

  #collect(): void {
    this.#requests.push(...this.#explainer.take().filter(({ direction }) => direction === "request"));
  }

  /** Follows the responses: where each begins, what its head says, and how the last one ends. */
  #follow(event: ExchangeEvent): void {
    if (event.direction === "request") return;
    if (event.kind === "began") this.#starts.push(event.message.from);
    if (event.kind === "head" && event.head.kind === "response") {
      const { request } = event.message.exchange;
      this.#judge.receive(event.head, request?.head, request?.error?.fault);
      this.#accepted.push(...acceptedIn(event.head));
    }
    if (event.kind !== "ended") return;
    this.#accepted.push(...acceptedIn({ kind: "end", trailers: event.trailers }));
    const { head, interim } = event.message;
    if (head?.kind === "response" && !interim) this.#result = { ...this.#result, status: head.status };
  }

  /** A read may end one message and start the next: each has its line. */
  #read(event: Octets): void {
    const { pairing } = this.#explainer;
    const before = pairing.received("response");
    const { bytes } = event;
    this.#explainer.octets("response", bytes);
    this.#collect();
    const starts = this.#starts.splice(0).map((from) => from - before).filter((at) => at > 0 && at < bytes.length);
    const cuts = [...new Set([0, ...starts]), bytes.length];
    for (let i = 1; i < cuts.length; i++) this.#line({ ...event, bytes: bytes.subarray(cuts[i - 1], cuts[i]) }, "<");
    for (const { text, rule } of this.#accepted.splice(0)) {
      for (const line of sentence("=>", withRule(text, rule), this.#width)) this.#write(line);
    }
    const { error } = pairing.message("response") ?? {};
    if (error === undefined || !this.#result.valid) return;
    this.#result = { ...this.#result, valid: false };
    this.#sentence(
      `no valid response at octet ${error.offset} of the response, ${described(error.message, error.rule)}`,
    );
  }

  #line({ time, bytes }: Octets, direction: "<" | ">"): void {
    if (++this.#events > SHOWN_RAW_EVENTS) {
      this.#hiddenOctets += bytes.length;
      return;
    }
    const octets = octetString(bytes, 0, Math.min(bytes.length, SHOWN_RAW_OCTETS));
    // What was typed is shown as it was typed; what came is easier to read line by line.
    const shown = direction === ">"
      ? [readable(octets)]
      : textLines(octets, Math.max(this.#width - INDENT.length, LEAST_COLUMNS)).lines;
    if (bytes.length > SHOWN_RAW_OCTETS) shown.push(`… ${counted(bytes.length - SHOWN_RAW_OCTETS, "more octet")}`);
    const [first, ...more] = shown;
    this.#print(time, direction, `${String(bytes.length).padStart(4)}  ${first}`);
    for (const line of more) this.#write(INDENT + line);
  }

  #print(time: number, direction: "<" | ">", text: string): void {
    const seconds = (Math.max(0, time - this.#start!) / 1_000_000).toFixed(3);
    const arrow = this.options.painter(direction === "<" ? "green" : "blue", direction);
    this.#write(`${seconds.padStart(7)} ${arrow} ${text}`);
  }

  #sentence(text: string): void {
    const bold = (line: string) => this.options.painter("bold", line);
    const [first, ...more] = wrapWords(wordsOf(BY_THE_RULES + text), this.#width);
    this.#write(BY_THE_RULES + bold(first.slice(BY_THE_RULES.length)));
    for (const line of more) this.#write(`      ${bold(line)}`);
  }

  get #width(): number {
    return this.options.width?.() ?? Infinity;
  }

  #write(line: string): void {
    this.options.write(`${line}\n`);
  }
}

/** What the rules say of one message: the first line, and those below it. */
function predictionLines(explanation: Explanation, width: number): string[] {
  const { message, kind, rows, state, fault, findings, length } = explanation;
  const again = restartFindings(message).flatMap(({ text }) => sentence("=>", text, width));
  if (kind === "unread") return [`${counted(length, "octet")} after it: ${rows[0].label}`];
  if (fault !== undefined) {
    const { words, or, rule } = fault.degree;
    const seen = `${fault.detail}${or === undefined ? "" : `, or ${or}`}`;
    return [
      `${words}: ${fault.status} at octet ${fault.offset}, ${described(seen, rule)}`,
      ...sentence("fix:", fault.fix, width),
      ...readingLines(fault.readings, "request"),
      ...again,
    ];
  }
  if (state === "incomplete") return [`not a whole request yet: ${findings[0].text}`, ...again];
  const startLine = rows.filter((row) => row.kind === "start").map(({ octets }) => octets).join("");
  return [`a complete request: ${readable(startLine.replace(/ HTTP\/.*$/s, ""))}`, ...again];
}

/** An error's words as the rest of a sentence. */
function described(detail: string, rule: string | undefined): string {
  const text = /^(?!Host\b)[A-Z][a-z]* /.test(detail) ? detail[0].toLowerCase() + detail.slice(1) : detail;
  return escapeText(withRule(text, rule || undefined));
}
