/** Pairs each request of a connection with the recorded answer and with the answer to the replay. */

import { counted } from "../../bytes.ts";
import { type Exchange, type ExchangeEvent, type Message, Pairing, titleOf } from "../../exchange.ts";
import type { FieldLine, RequestHead, ResponseHead } from "../../http_message.ts";
import { MAX_INTERIM_RESPONSES, RESPONSE_LIMITS } from "../../limits.ts";
import { type Answer, ContentPrint, type Interim } from "./compare.ts";

/** Why a source sends no more answers, if the server has ended its side. */
export const CLOSED_BY_SERVER = "the server closed the connection";

/** Why a recorded answer is not compared whose request cannot be sent: it is not in the recording, or not all of it. */
export const NOT_ASKED = "its request was not captured";
export const PART_ASKED = "not all of its request was captured";

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

/** The answers of one source: the recording, or the server now. */
class Side {
  readonly pairing = new Pairing((event) => this.#receive(event), { limits: { request: RESPONSE_LIMITS } });
  /** The outcomes of exchanges with and without a request, in order, until they are taken. */
  readonly asked = new Map<Exchange, AnswerOutcome | undefined>();
  readonly unasked = new Map<Exchange, AnswerOutcome | undefined>();
  /** How many final responses are complete, or broken. */
  finals = 0;
  /** The interim responses of the exchange that is answered, until its final one. */
  interims: Interim[] = [];
  /** Why the last response was broken, unless reading has started again. */
  broken: string | undefined;
  /** Why there are no more answers. */
  ended: string | undefined;
  /** Whether the connection stays open by the rules, after all messages so far. */
  stays = true;
  #answered: Exchange | undefined;
  #content = new ContentPrint();
  /** Whether the current call completes a response. */
  #completes = false;

  /** Takes a function that receives exchanges without a whole request instead, if not all requests are known. */
  constructor(private readonly notAsked?: (exchange: Exchange) => void) {}

  /** Receives octets of the server. Returns whether they complete a response, interim or final. */
  receive(octets: Uint8Array): boolean {
    if (this.ended !== undefined) return false;
    this.#completes = false;
    this.pairing.octets("response", octets);
    return this.#completes;
  }

  /** Ends the answers, and says why. Returns whether that completes a response. */
  end(why: string): boolean {
    if (this.ended !== undefined) return false;
    this.#completes = false;
    if (why === CLOSED_BY_SERVER) this.pairing.fin("response");
    this.ended = this.broken ?? why;
    const message = this.pairing.message("response") as Message<ResponseHead> | undefined;
    if (message?.state === "incomplete" && message.head !== undefined) {
      const begun = `only ${counted(this.#content.length, "octet")} of the content of ${message.head.status}: `;
      this.#outcome(message.exchange, { why: begun + why });
    }
    return this.#completes;
  }

  #receive(event: ExchangeEvent): void {
    if (!("message" in event) || event.message === undefined) return;
    const { direction, exchange } = event.message;
    if (event.kind === "head") this.stays &&= event.head.persistent;
    if (direction === "request") {
      // A request that is answered already has an outcome.
      const isKnown = event.kind === "head" || event.kind === "broken";
      if (isKnown && !exchange.over) this.asked.set(exchange, this.asked.get(exchange));
    } else if (event.kind === "began") {
      this.broken = undefined;
      if (this.#answered !== exchange) this.interims = [];
      this.#answered = exchange;
    } else if (event.kind === "content") this.#content.add(event.bytes);
    else if (event.kind === "broken") {
      const { fault, message: detail, rule } = event.error;
      this.broken = fault === "cut-off" ? detail : `no valid HTTP: ${detail} (${rule})`;
      this.#final(exchange, { why: this.broken });
    } else if (event.kind === "ended") {
      this.#completes = true;
      this.#complete(event.message as Message<ResponseHead>, [...event.trailers]);
    }
  }

  #complete({ head, interim, exchange }: Message<ResponseHead>, trailers: FieldLine[]): void {
    const { status, reason, fields, persistent: stays } = head!;
    if (!interim) {
      const [content, interims] = [this.#content, this.interims];
      return this.#final(exchange, {
        answer: { status, reason, fields: [...fields], content, trailers, stays, interims },
      });
    }
    if (this.notAsked && exchange.request === undefined) return;
    this.interims.push({ status, awaited: false });
    if (this.interims.length > MAX_INTERIM_RESPONSES) this.end("there are too many interim responses");
  }

  #final(exchange: Exchange, outcome: AnswerOutcome): void {
    this.interims = [];
    this.#content = new ContentPrint();
    if (this.notAsked && exchange.request === undefined) return this.notAsked(exchange);
    if (this.notAsked && exchange.request!.state === "incomplete") return this.#outcome(exchange, { why: PART_ASKED });
    this.finals++;
    this.#outcome(exchange, outcome);
  }

  /** The outcome of the oldest exchange of a kind, if that is known. */
  firstOutcome(kind: "asked" | "unasked"): AnswerOutcome | undefined {
    return this[kind].values().next().value ?? (this.ended === undefined ? undefined : { why: this.ended });
  }

  #outcome(exchange: Exchange, outcome: AnswerOutcome): void {
    const outcomes = exchange.request === undefined ? this.unasked : this.asked;
    outcomes.set(exchange, outcomes.get(exchange) ?? outcome);
  }
}

/** A connection's exchanges, as recorded and as replayed. Both sides see the same requests. */
export class Dialogue {
  readonly recorded: Side;
  readonly now: Side = new Side();
  /** How many exchanges were taken. */
  #taken = 0;
  /** Recorded answers that are no longer waited for. */
  #excused = { finals: 0, interims: 0 };

  /** Begins; if not all requests are in the recording, some of its answers have none. */
  constructor(isIncomplete = false) {
    const notAsked = (exchange: Exchange) => {
      for (const { unasked } of [this.recorded, this.now]) unasked.set(exchange, { why: NOT_ASKED });
    };
    this.recorded = new Side(isIncomplete ? notAsked : undefined);
  }

  /** Whether a recorded request has no complete answer yet. */
  get unanswered(): boolean {
    return this.recorded.pairing.unanswered.length > 0;
  }

  /** Whether the server has closed a connection that stayed open in the recording, without announcing it. */
  get endsUnsaid(): boolean {
    const { recorded, now } = this;
    const isUnsaid = now.stays && now.pairing.stop("response")?.why !== "left HTTP";
    return recorded.ended === undefined && now.ended === CLOSED_BY_SERVER && isUnsaid;
  }

  /** Whether octets were recorded that are no longer HTTP, and so are not compared. */
  get isBeyondHttp(): boolean {
    const { pairing } = this.recorded;
    return (["request", "response"] as const).some((direction) => {
      const stop = pairing.stop(direction);
      return stop?.why === "left HTTP" && stop.from < pairing.received(direction);
    });
  }

  /** Receives octets of the client, before they are sent. */
  sent(octets: Uint8Array): void {
    for (const interim of this.recorded.interims) interim.awaited = true;
    for (const { pairing } of [this.recorded, this.now]) pairing.octets("request", octets);
  }

  /** The kind of response that was recorded and is still missing here: final or interim. */
  lacks(): "final" | "interim" | undefined {
    const { recorded, now } = this;
    const { finals, interims } = this.#excused;
    if (now.ended !== undefined || now.broken !== undefined || now.finals > recorded.finals) return undefined;
    if (now.finals < recorded.finals) return finals < recorded.finals ? "final" : undefined;
    const isExcused = finals >= recorded.finals && interims >= recorded.interims.length;
    return now.interims.length >= recorded.interims.length || isExcused ? undefined : "interim";
  }

  /** Ends the wait for the responses recorded so far. */
  excuse(): void {
    const { finals, interims } = this.recorded;
    this.#excused = { finals, interims: interims.length };
  }

  /** Takes the oldest exchanges, up to the first without both outcomes. */
  take(): ReplayedExchange[] {
    const taken: ReplayedExchange[] = [];
    for (;;) {
      const [asked, unasked] = [this.#oldest("asked"), this.#oldest("unasked")];
      const isAsked = unasked === undefined || asked !== undefined && asked.number < unasked.number;
      const exchange = isAsked ? asked : unasked;
      const kind = isAsked ? "asked" : "unasked";
      const [recorded, now] = [this.recorded.firstOutcome(kind), this.now.firstOutcome(kind)];
      if (exchange === undefined || recorded === undefined || now === undefined) return taken;
      for (const side of [this.recorded, this.now]) side[kind].delete(side[kind].keys().next().value!);
      const { request } = exchange;
      const title = request === undefined ? "" : titleOf(request);
      taken.push({ number: ++this.#taken, title, request: request?.head, recorded, now });
    }
  }

  /** The oldest exchange of a kind. The sides see the same requests in the same order. */
  #oldest(kind: "asked" | "unasked"): Exchange | undefined {
    return (this.recorded[kind].size > 0 ? this.recorded : this.now)[kind].keys().next().value;
  }
}
