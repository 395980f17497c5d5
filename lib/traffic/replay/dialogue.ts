/** Pairs each request of a connection with the recorded answer and with the answer to the replay. */

import { counted } from "../../bytes.ts";
import { type Exchange, type ExchangeEvent, type Message, Pairing, titleOf } from "../../exchange.ts";
import type { FieldLine, RequestHead, ResponseHead } from "../../http_message.ts";
import { MAX_INTERIM_RESPONSES, RESPONSE_LIMITS } from "../../limits.ts";
import { type Answer, ContentPrint, type Interim } from "./compare.ts";

type AnswerSource = "recorded" | "now";

/** The outcome of a request: an answer, or why there is none. */
export type AnswerOutcome = { readonly answer: Answer } | { readonly answer?: undefined; readonly why: string };

export interface ReplayedExchange {
  /** Its number on its connection, starting from 1. */
  readonly number: number;
  /** The method and target, as sent. */
  readonly title: string;
  /** The request's head; `undefined` if it is not complete, or invalid. */
  readonly request: RequestHead | undefined;
  readonly recorded: AnswerOutcome;
  readonly now: AnswerOutcome;
}

interface RequestEntry {
  readonly exchange: Exchange;
  outcome: AnswerOutcome | undefined;
}

/** The exchanges with the answers of one source. */
class Side {
  readonly pairing: Pairing;
  /** Its exchanges with and without a request, in order, until they are taken. */
  readonly asked: RequestEntry[] = [];
  readonly unasked: RequestEntry[] = [];
  /** How many final responses are complete, or broken. */
  finals = 0;
  /** Whether the current call completes a response. */
  completes = false;
  /** The exchange that was answered last, and its interim responses until the final one. */
  answered: Exchange | undefined;
  interims: Interim[] = [];
  content = new ContentPrint();
  /** Why the last response was broken, unless reading has started again. */
  broken: string | undefined;
  /** Why there are no more answers. */
  ended: string | undefined;
  /** Whether the connection stays open after the last response by the rules. */
  stays = true;

  constructor(receive: (side: Side, event: ExchangeEvent) => void) {
    this.pairing = new Pairing((event) => receive(this, event), { limits: { request: RESPONSE_LIMITS } });
  }
}

/** A connection's exchanges, as recorded and as replayed. Both sides see the same requests. */
export class Dialogue {
  readonly #sides: Record<AnswerSource, Side> = {
    recorded: new Side((side, event) => this.#receive("recorded", side, event)),
    now: new Side((side, event) => this.#receive("now", side, event)),
  };
  /** How many exchanges were taken. */
  #taken = 0;
  /** Whether no request asked to end the connection. */
  #staysAfterRequests = true;
  /** Recorded answers that are no longer waited for. */
  #excused = { finals: 0, interims: 0 };

  /** Whether not all requests are in the recording, so that some answers have none. */
  readonly #isIncomplete: boolean;

  constructor(isIncomplete = false) {
    this.#isIncomplete = isIncomplete;
  }

  /** Whether a recorded request has no complete answer yet. */
  get unanswered(): boolean {
    return this.#sides.recorded.pairing.unanswered.length > 0;
  }

  /** Why this source sends no more answers, if so. */
  ended(source: AnswerSource): string | undefined {
    return this.#sides[source].ended;
  }

  /** Whether the server has closed a connection that stayed open in the recording, without announcing it. */
  get endsUnsaid(): boolean {
    const { recorded, now } = this.#sides;
    const isUnsaid = now.stays && this.#staysAfterRequests && now.pairing.stop("response")?.why !== "left HTTP";
    return recorded.ended === undefined && now.ended === CLOSED_BY_SERVER && isUnsaid;
  }

  /** Whether octets were recorded that are no longer HTTP, and so are not compared. */
  get isBeyondHttp(): boolean {
    const { pairing } = this.#sides.recorded;
    return (["request", "response"] as const).some((direction) => {
      const stop = pairing.stop(direction);
      return stop?.why === "left HTTP" && stop.from < pairing.received(direction);
    });
  }

  /** Receives octets of the client, before they are sent. */
  sent(octets: Uint8Array): void {
    const { recorded, now } = this.#sides;
    for (const interim of recorded.interims) interim.awaited = true;
    recorded.pairing.octets("request", octets);
    now.pairing.octets("request", octets);
  }

  /** Receives octets of the server. Returns whether they complete a response, interim or final. */
  received(source: AnswerSource, octets: Uint8Array): boolean {
    const side = this.#sides[source];
    if (side.ended !== undefined) return false;
    side.completes = false;
    side.pairing.octets("response", octets);
    return side.completes;
  }

  /** Ends the answers of a source, and says why. Returns whether that completes a response. */
  end(source: AnswerSource, why: string): boolean {
    const side = this.#sides[source];
    if (side.ended !== undefined) return false;
    side.completes = false;
    if (why === CLOSED_BY_SERVER) side.pairing.fin("response");
    side.ended = side.broken ?? why;
    const message = side.pairing.message("response") as Message<ResponseHead> | undefined;
    if (message?.state === "incomplete" && message.head !== undefined) {
      const begun = `only ${counted(side.content.length, "octet")} of the content of ${message.head.status}: `;
      this.#outcome(side, message.exchange, { why: begun + why });
    }
    return side.completes;
  }

  /** The kind of response that was recorded and is still missing here: final or interim. */
  lacks(): "final" | "interim" | undefined {
    const { recorded, now } = this.#sides;
    if (now.ended !== undefined || now.broken !== undefined) return undefined;
    if (now.finals < recorded.finals) return this.#excused.finals < recorded.finals ? "final" : undefined;
    if (now.finals > recorded.finals || now.interims.length >= recorded.interims.length) return undefined;
    const { finals, interims } = this.#excused;
    return finals >= recorded.finals && interims >= recorded.interims.length ? undefined : "interim";
  }

  /** Ends the wait for the responses recorded so far. */
  excuse(): void {
    const { finals, interims } = this.#sides.recorded;
    this.#excused = { finals, interims: interims.length };
  }

  /** Takes the oldest exchanges, up to the first without both outcomes. */
  take(): ReplayedExchange[] {
    const taken: ReplayedExchange[] = [];
    for (let next = this.#next(); next !== undefined; next = this.#next()) taken.push(next);
    return taken;
  }

  /** Takes the oldest exchange, if it has both outcomes: the sides see the same requests in the same order. */
  #next(): ReplayedExchange | undefined {
    const { recorded, now } = this.#sides;
    const [asked, unasked] = [recorded.asked[0] ?? now.asked[0], recorded.unasked[0] ?? now.unasked[0]];
    const isAsked = unasked === undefined || asked !== undefined && asked.exchange.number < unasked.exchange.number;
    const first = isAsked ? asked : unasked;
    if (first === undefined) return undefined;
    const kind = isAsked ? "asked" : "unasked";
    const [was, is] = [recorded, now].map((side) =>
      side[kind][0]?.outcome ?? (side.ended === undefined ? undefined : { why: side.ended })
    );
    if (was === undefined || is === undefined) return undefined;
    recorded[kind].shift();
    now[kind].shift();
    const { request } = first.exchange;
    const title = request === undefined ? "" : titleOf(request);
    return { number: ++this.#taken, title, request: request?.head, recorded: was, now: is };
  }

  #receive(source: AnswerSource, side: Side, event: ExchangeEvent): void {
    if (event.kind === "stopped" || event.kind === "resumed" || event.message === undefined) return;
    const { message } = event;
    if (message.direction === "request") {
      if (event.kind !== "head" && event.kind !== "broken") return;
      const { exchange } = message;
      // A request that was answered before already has an entry.
      if (!exchange.over && side.asked.at(-1)?.exchange !== exchange) side.asked.push({ exchange, outcome: undefined });
      if (source === "now" && event.kind === "head") this.#staysAfterRequests &&= event.head.persistent;
      return;
    }
    if (event.kind === "began") {
      side.broken = undefined;
      if (side.answered !== message.exchange) side.interims = [];
      side.answered = message.exchange;
    } else if (event.kind === "content") side.content.add(event.bytes);
    else if (event.kind === "broken") {
      const { fault, message: detail, rule } = event.error;
      side.broken = fault === "cut-off" ? detail : `no valid HTTP: ${detail} (${rule})`;
      this.#final(side, message, { why: side.broken });
    } else if (event.kind === "ended") {
      side.completes = true;
      this.#complete(source, side, message as Message<ResponseHead>, [...event.trailers]);
    }
  }

  #complete(source: AnswerSource, side: Side, message: Message<ResponseHead>, trailers: FieldLine[]): void {
    const { status, reason, fields, persistent: stays } = message.head!;
    const { content, interims } = side;
    if (!message.interim) {
      side.stays = stays;
      const answer = { status, reason, fields: [...fields], content, trailers, stays, interims };
      return this.#final(side, message, { answer });
    }
    if (source === "recorded" && this.#isIncomplete && message.exchange.request === undefined) return;
    interims.push({ status, awaited: false });
    if (interims.length > MAX_INTERIM_RESPONSES) this.end(source, "there are too many interim responses");
  }

  #final(side: Side, { exchange }: Message, outcome: AnswerOutcome): void {
    const { recorded, now } = this.#sides;
    side.interims = [];
    side.content = new ContentPrint();
    if (side === recorded && this.#isIncomplete && exchange.request === undefined) {
      for (const { unasked } of [recorded, now]) unasked.push({ exchange, outcome: { why: NOT_ASKED } });
      return;
    }
    side.finals++;
    this.#outcome(side, exchange, outcome);
  }

  #outcome(side: Side, exchange: Exchange, outcome: AnswerOutcome): void {
    const entries = exchange.request === undefined ? side.unasked : side.asked;
    const entry = entries.find((entry) => entry.exchange === exchange);
    if (entry === undefined) entries.push({ exchange, outcome });
    else entry.outcome ??= outcome;
  }
}

/** Why a source sends no more answers, if the server has ended its side. */
export const CLOSED_BY_SERVER = "the server closed the connection";

/** Why a recorded answer without a recorded request is not compared: the request cannot be sent. */
export const NOT_ASKED = "its request was not captured";
