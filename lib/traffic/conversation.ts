/**
 * Groups a connection's octets into exchanges of requests and responses, incrementally.
 *
 * Message boundaries and errors are those of the decoder that also serves.
 *
 * @module
 */

import { BoundedBytes, octetString } from "../bytes.ts";
import {
  type Accepted,
  acceptedIn,
  Decoder,
  type FaultCode,
  type Fields,
  HttpError,
  isInterim,
  leavesHttp,
  type RequestHead,
  type ResponseHead,
} from "../http_message.ts";
import { maskCredentials, maskTarget } from "../masking.ts";
import { type MessageLimits, PAGE_CONTENT_BYTES, REQUEST_LIMITS, RESPONSE_LIMITS } from "../limits.ts";

/** The direction of octets: to the server, or back. */
export type Direction = "request" | "response";

/** Why a message is invalid. */
export interface Fault {
  /** The cause. */
  readonly code: FaultCode | undefined;
  /** What was seen and what is allowed. */
  readonly detail: string;
  /** The section that the message breaks, or empty. */
  readonly rule: string;
  /** The offset of the octet from the message's first; -1 without one. */
  readonly offset: number;
}

/** A message of an exchange, possibly incomplete. Offsets count the octets of its direction. */
export interface Message {
  /** The offset of its first octet. */
  readonly from: number;
  /** The offset after its last octet so far. */
  to: number;
  /** Whether the message is complete. */
  whole: boolean;
  /** The request's method and target, or the response's status and reason, once known. */
  title: string;
  /** The response's status; 0 for a request or while it is unknown. */
  status: number;
  /** The error, if any. */
  fault?: Fault;
}

/** A request and its responses, interim ones first. An unsolicited response has no request. */
export interface Exchange {
  /** The exchange's number on its connection, starting from 1. */
  readonly number: number;
  /** The request, if any. */
  request?: Message;
  /** The responses. */
  responses: Message[];
}

/** A complete exchange, with what is needed to follow changes of the table. */
export interface Complete {
  /** The request's head. */
  readonly request: RequestHead;
  /** The request's content; `undefined` if it is too long to keep. */
  readonly sent: Uint8Array | undefined;
  /** The final response's status. */
  readonly status: number;
  /** The final response's header section. */
  readonly fields: Fields;
  /** The final response's content; `undefined` if it is too long to keep. */
  readonly received: Uint8Array | undefined;
}

/** The head of a response, and what it answers. */
export interface Answer {
  /** The head of the response, which may be an interim one. */
  readonly head: ResponseHead;
  /** The head of the request; `undefined` if there is none, or if it is invalid. */
  readonly request: RequestHead | undefined;
  /** Why the request was invalid when the response came. */
  readonly fault: FaultCode | undefined;
}

/** The result of receiving octets or their end. */
export interface Progress {
  /** The responses whose heads came. */
  readonly answers: readonly Answer[];
  /** What is accepted in responses, though it breaks a rule. */
  readonly accepted: readonly Accepted[];
  /** The exchanges that changed. */
  readonly changed: readonly Exchange[];
  /** The exchanges that were completed. */
  readonly complete: readonly Complete[];
}

/** An exchange in progress. */
interface Running {
  readonly exchange: Exchange;
  request?: RequestHead;
  sent: BoundedBytes;
}

/** One direction of a connection. */
class Way {
  readonly decoder: Decoder;
  received = 0;
  message: Message | undefined;
  running: Running | undefined;
  head: RequestHead | ResponseHead | undefined;
  content = new BoundedBytes(PAGE_CONTENT_BYTES);
  /** Whether the direction has ended. */
  ended = false;

  constructor(kind: Direction, limits: MessageLimits) {
    this.decoder = new Decoder(kind, limits);
  }

  /** The offset of the first octet that was not decoded. */
  get at(): number {
    return this.received - this.decoder.unread.length;
  }
}

/** Decodes both directions of a connection and pairs the messages. */
export class Conversation {
  readonly #ways: Record<Direction, Way>;
  /** Exchanges whose final response is incomplete, in the order of their requests. */
  readonly #unanswered: Running[] = [];
  readonly #changed = new Set<Exchange>();
  #complete: Complete[] = [];
  #answers: Answer[] = [];
  #accepted: Accepted[] = [];
  #exchanges = 0;
  /** Whether the connection has switched to another protocol. */
  #leftHttp = false;

  /** Creates a conversation with a server that has these limits on requests. */
  constructor(limits: MessageLimits = REQUEST_LIMITS) {
    this.#ways = { request: new Way("request", limits), response: new Way("response", RESPONSE_LIMITS) };
  }

  /** Whether a request waits for its complete response. */
  get unanswered(): boolean {
    return this.#unanswered.length > 0;
  }

  /**
   * Whether the server must close the connection by the rules (RFC 9112 §9.3), for example after an invalid message.
   */
  get closes(): boolean {
    return Object.values(this.#ways).some(({ ended, message, head }) =>
      ended || message?.fault !== undefined || head?.persistent === false
    );
  }

  /** Returns the number of octets in one direction. */
  received(direction: Direction): number {
    return this.#ways[direction].received;
  }

  /** Receives octets of one direction. They must stay unchanged. */
  octets(direction: Direction, bytes: Uint8Array): Progress {
    const way = this.#ways[direction];
    way.received += bytes.length;
    way.decoder.receive(bytes);
    return this.#advance(direction);
  }

  /** Receives the end of one direction. */
  fin(direction: Direction): Progress {
    const way = this.#ways[direction];
    way.ended = true;
    way.decoder.close();
    return this.#advance(direction);
  }

  #advance(direction: Direction): Progress {
    this.#decode(direction, this.#ways[direction]);
    const progress = {
      changed: [...this.#changed],
      complete: this.#complete,
      answers: this.#answers,
      accepted: this.#accepted,
    };
    this.#changed.clear();
    this.#complete = [];
    this.#answers = [];
    this.#accepted = [];
    return progress;
  }

  #decode(direction: Direction, way: Way): void {
    while (!this.#leftHttp) {
      if (way.message === undefined) {
        if (way.at >= way.received) return;
        this.#begin(direction, way);
      }
      try {
        if (!this.#step(direction, way)) break;
      } catch (error) {
        if (!(error instanceof HttpError)) throw error;
        way.message!.fault ??= {
          code: error.fault,
          detail: error.message,
          rule: error.rule ?? "",
          offset: error.offset ?? -1,
        };
        this.#nameBroken(direction, way);
        break;
      }
    }
    if (way.message !== undefined) {
      way.message.to = way.received;
      this.#changed.add(way.running!.exchange);
    }
  }

  #begin(direction: Direction, way: Way): void {
    const message: Message = { from: way.at, to: way.received, whole: false, title: "", status: 0 };
    way.message = message;
    way.content = new BoundedBytes(PAGE_CONTENT_BYTES);
    way.head = undefined;
    if (direction === "request") {
      way.running = this.#newExchange();
      way.running.exchange.request = message;
      way.running.sent = way.content;
      this.#unanswered.push(way.running);
      return;
    }
    way.running = this.#unanswered[0] ?? this.#newExchange();
    way.running.exchange.responses.push(message);
    const { request, exchange } = way.running;
    way.decoder.expectResponseTo(request?.method ?? exchange.request?.title.split(" ")[0] ?? "");
  }

  #newExchange(): Running {
    return { exchange: { number: ++this.#exchanges, responses: [] }, sent: new BoundedBytes(PAGE_CONTENT_BYTES) };
  }

  /** Handles one event of the decoder. Returns whether there may be more. */
  #step(direction: Direction, way: Way): boolean {
    const event = way.decoder.next();
    if (event === undefined || event.kind === "closed") return false;
    const message = way.message!;
    switch (event.kind) {
      case "request":
        message.title = `${event.method} ${maskTarget(event.target)}`;
        way.running!.request = way.head = event;
        break;
      case "response":
        message.title = `${event.status} ${event.reason}`.trim();
        message.status = event.status;
        way.head = event;
        this.#accepted.push(...acceptedIn(event));
        this.#answers.push({
          head: event,
          request: way.running!.request,
          fault: way.running!.exchange.request?.fault?.code,
        });
        break;
      case "content":
        way.content.add(event.bytes);
        break;
      case "end":
        message.to = way.at;
        message.whole = true;
        this.#changed.add(way.running!.exchange);
        if (direction === "response") {
          this.#accepted.push(...acceptedIn(event));
          this.#responded(way, message.status);
        }
        way.message = undefined;
    }
    return true;
  }

  #responded({ running, head, content }: Way, status: number): void {
    if (leavesHttp(status, running!.request?.method)) this.#leftHttp = true;
    if (isInterim(status) && status !== 101 || running !== this.#unanswered[0]) return;
    this.#unanswered.shift();
    const { request, sent, exchange } = running!;
    if (request === undefined || !exchange.request!.whole) return;
    const { fields } = head!;
    this.#complete.push({ request, sent: sent.bytes(), status, fields, received: content.bytes() });
  }

  /** The title of an invalid message is its first line. */
  #nameBroken(direction: Direction, way: Way): void {
    const { message, decoder, running } = way;
    if (message!.title !== "" || direction === "response") return;
    message!.title = titleOfUnread(decoder.unread) || "?";
    this.#changed.add(running!.exchange);
  }
}

/** Characters of an invalid request that name it. */
const TITLE_CHARACTERS = 80;

/**
 * Returns the first line of a request that is not complete, or invalid, without its version and without credentials,
 * which are found before it is cut.
 */
export function titleOfUnread(octets: Uint8Array): string {
  const [line] = octetString(octets).split(/[\r\n]/, 1);
  return maskCredentials(line).replace(/ HTTP\/\d.*$/, "").slice(0, TITLE_CHARACTERS);
}
