/**
 * Pairs each request of a connection with the recorded answer and with the answer to the replay.
 *
 * @module
 */

import { counted } from "../../bytes.ts";
import {
  Decoder,
  type FieldLine,
  HttpError,
  isInterim,
  leavesHttp,
  type RequestHead,
  type ResponseHead,
} from "../../http_message.ts";
import { MAX_INTERIM_RESPONSES, RESPONSE_LIMITS } from "../../limits.ts";
import { maskTarget } from "../../masking.ts";
import { titleOfUnread } from "../conversation.ts";
import { type Answer, ContentPrint, type Interim } from "./compare.ts";

/** The two sources of answers. */
export type Source = "recorded" | "now";

/** The outcome of a request: an answer, or why there is none. */
export type Outcome = { readonly answer: Answer } | { readonly answer?: undefined; readonly why: string };

/** A request with both answers. */
export interface ReplayedExchange {
  /** Its number on its connection, starting from 1. */
  readonly number: number;
  /** The method and target, as sent. */
  title: string;
  /** The request's head; `undefined` if it is not complete, or invalid. */
  request?: RequestHead;
  /** The recorded answer. */
  recorded?: Outcome;
  /** The answer to the replayed request. */
  now?: Outcome;
}

/** Decodes the answers of one source. */
class Side {
  readonly decoder = new Decoder("response", RESPONSE_LIMITS);
  /** How many final responses are complete. */
  finals = 0;
  /** The interim responses since then. */
  interims: Interim[] = [];
  head: ResponseHead | undefined;
  content = new ContentPrint();
  /** Why there are no more answers. */
  ended: string | undefined;
  /** Whether the octets are no longer HTTP/1.1 (RFC 9110 §7.8, §9.3.6). */
  leftHttp = false;
  /** Whether the connection stays open after the last response by the rules. */
  stays = true;
}

/** A connection's exchanges, as recorded and as replayed. */
export class Dialogue {
  readonly #requests = new Decoder("request", RESPONSE_LIMITS);
  readonly #sides: Record<Source, Side> = { recorded: new Side(), now: new Side() };
  /** Those without both outcomes, the oldest first. */
  #exchanges: ReplayedExchange[] = [];
  /** How many exchanges were taken. */
  #taken = 0;
  /** The exchange whose request is not complete, if an answer came before. */
  #begun: ReplayedExchange | undefined;
  #broken = false;
  /** Whether no request asked to end the connection. */
  #staysAfterRequests = true;
  /** Recorded answers that are no longer waited for. */
  #excused = { finals: 0, interims: 0 };

  /** Whether a recorded request has no complete answer yet. */
  get unanswered(): boolean {
    return this.#taken + this.#exchanges.length > this.#sides.recorded.finals || !this.#requests.idle;
  }

  /** Why this source sends no more answers, if so. */
  ended(source: Source): string | undefined {
    return this.#sides[source].ended;
  }

  /** Whether the server has closed a connection that stayed open in the recording, without announcing it. */
  get endsUnsaid(): boolean {
    const { recorded, now } = this.#sides;
    const isUnsaid = now.stays && this.#staysAfterRequests && !now.leftHttp;
    return recorded.ended === undefined && now.ended === CLOSED_BY_SERVER && isUnsaid;
  }

  /** Receives octets of the client, before they are sent. They must stay unchanged. */
  sent(octets: Uint8Array): void {
    const { recorded, now } = this.#sides;
    for (const interim of recorded.interims) interim.awaited = true;
    if (this.#broken || recorded.leftHttp || now.leftHttp) return;
    this.#requests.receive(octets);
    try {
      for (let event = this.#requests.next(); event !== undefined; event = this.#requests.next()) {
        if (event.kind === "request") this.#request(event);
        if (event.kind === "closed") return;
      }
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      this.#broken = true;
      // The request whose content is broken has its exchange already.
      if (this.#requests.consumed === 0) this.#begun ??= this.#exchange(titleOfUnread(this.#requests.unread));
    }
  }

  /**
   * Receives octets of the server. They must stay unchanged during the call.
   *
   * @returns Whether a response, interim or final, is complete.
   */
  received(source: Source, octets: Uint8Array): boolean {
    const side = this.#sides[source];
    if (side.ended !== undefined || side.leftHttp) return false;
    side.decoder.receive(octets);
    return this.#decode(source, side);
  }

  /**
   * Ends the answers of a source: content that ends with the connection is complete.
   *
   * @param why Why there are no more; it follows "no response: ".
   * @returns Whether that completes a response.
   */
  end(source: Source, why: string): boolean {
    const side = this.#sides[source];
    if (side.ended !== undefined) return false;
    let complete = false;
    if (why === CLOSED_BY_SERVER && !side.leftHttp) {
      side.decoder.close();
      complete = this.#decode(source, side);
    }
    side.ended ??= why;
    const { head, content } = side;
    const begun = head === undefined
      ? ""
      : `only ${counted(content.length, "octet")} of the content of ${head.status}: `;
    this.#exchanges.forEach((exchange, i) => {
      exchange[source] ??= { why: this.#taken + i === side.finals ? begun + why : why };
    });
    return complete;
  }

  /** What the recording has that is not here yet: a final response or an interim one. */
  lacks(): "final" | "interim" | undefined {
    const { recorded, now } = this.#sides;
    if (now.ended !== undefined) return undefined;
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
    const isOpen = ({ recorded, now }: ReplayedExchange) => recorded === undefined || now === undefined;
    const first = this.#exchanges.findIndex(isOpen);
    const taken = this.#exchanges.splice(0, first < 0 ? Infinity : first);
    this.#taken += taken.length;
    return taken;
  }

  #request(head: RequestHead): void {
    const exchange = this.#begun ?? this.#exchange("");
    exchange.title = `${head.method} ${maskTarget(head.target)}`;
    exchange.request = head;
    this.#staysAfterRequests &&= head.persistent;
    this.#begun = undefined;
  }

  #exchange(title: string): ReplayedExchange {
    const exchange: ReplayedExchange = { number: this.#taken + this.#exchanges.length + 1, title };
    for (const source of ["recorded", "now"] as const) {
      const { ended } = this.#sides[source];
      if (ended !== undefined) exchange[source] = { why: ended };
    }
    this.#exchanges.push(exchange);
    return exchange;
  }

  /** The exchange that the next final response of a source belongs to. */
  #answered({ finals }: Side): ReplayedExchange {
    const known = this.#exchanges[finals - this.#taken];
    if (known !== undefined) return known;
    const exchange = this.#exchange(this.#requests.idle ? "" : titleOfUnread(this.#requests.unread));
    if (!this.#requests.idle && !this.#broken) this.#begun = exchange;
    return exchange;
  }

  #decode(source: Source, side: Side): boolean {
    let complete = false;
    try {
      while (!side.leftHttp && side.ended === undefined) {
        if (side.head === undefined) {
          const method = this.#exchanges[side.finals - this.#taken]?.request?.method ?? this.#requests.method;
          side.decoder.expectResponseTo(method);
        }
        const event = side.decoder.next();
        if (event === undefined) break;
        if (event.kind === "closed") {
          side.ended ??= CLOSED_BY_SERVER;
          break;
        }
        if (event.kind === "response") side.head = event;
        else if (event.kind === "content") side.content.add(event.bytes);
        else if (event.kind === "end") {
          this.#complete(source, side, [...event.trailers]);
          complete = true;
        }
      }
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      const { answer } = this.#answered(side)[source] ?? {};
      const why = error.fault === "cut-off" ? error.message : `no valid HTTP: ${error.message} (${error.rule})`;
      if (answer === undefined) this.#answered(side)[source] = { why };
      side.ended = why;
    }
    return complete;
  }

  #complete(source: Source, side: Side, trailers: FieldLine[]): void {
    const { status, reason, fields, persistent: stays } = side.head!;
    const { content, interims } = side;
    const exchange = this.#answered(side);
    side.head = undefined;
    side.content = new ContentPrint();
    if (isInterim(status) && status !== 101) {
      interims.push({ status, awaited: false });
      if (interims.length > MAX_INTERIM_RESPONSES) this.end(source, "there are too many interim responses");
    } else {
      exchange[source] = { answer: { status, reason, fields: [...fields], content, trailers, stays, interims } };
      side.finals++;
      side.stays = stays;
      side.interims = [];
      side.leftHttp = leavesHttp(status, exchange.request?.method);
    }
  }
}

/** Why a source sends no more answers, if the server has ended its side. */
export const CLOSED_BY_SERVER = "the server closed the connection";
