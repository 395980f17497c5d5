/**
 * A connection's octets as exchanges: requests and what answers them, told while they come.
 *
 * The decoder that serves is the only judge of where a message starts, ends or breaks a rule.
 *
 * @module
 */

import { Decoder, type Fields, HttpError, isInterim, type RequestHead, type ResponseHead } from "../http_message.ts";
import { type MessageLimits, PAGE_CONTENT_BYTES, REQUEST_LIMITS, RESPONSE_LIMITS } from "../limits.ts";

/** Which way octets go: to the server, or back. */
export type Direction = "request" | "response";

/** Why a message is no valid one. */
export interface Fault {
  /** What was seen, and what is allowed. */
  readonly detail: string;
  /** The section that was broken; empty where none is. */
  readonly rule: string;
  /** The octet, counted from the message's first; -1 where there is none. */
  readonly offset: number;
}

/** One message of an exchange, as far as it has come. Offsets count the octets of its direction. */
export interface Message {
  /** Its first octet. */
  readonly from: number;
  /** Behind its last octet so far. */
  to: number;
  /** Whether all of it is there. */
  whole: boolean;
  /** The request's method and target, or the response's status and reason, once they are known. */
  title: string;
  /** The response's status; 0 for a request, or before it is known. */
  status: number;
  /** What is wrong with it, if anything is. */
  fault?: Fault;
}

/** A request and its responses, interim ones first. A response that nobody asked for stands alone. */
export interface Exchange {
  /** Its number among the exchanges of the connection, from 1. */
  readonly number: number;
  /** The request, if there is one. */
  request?: Message;
  /** The responses. */
  responses: Message[];
}

/** An exchange that is complete, for those who follow what it does to the table. */
export interface Complete {
  /** The request's head. */
  readonly request: RequestHead;
  /** The request's content; `undefined` if it is too long to be kept. */
  readonly sent: Uint8Array | undefined;
  /** The final response's status. */
  readonly status: number;
  /** The final response's header section. */
  readonly fields: Fields;
  /** The final response's content; `undefined` if it is too long to be kept. */
  readonly received: Uint8Array | undefined;
}

/** What some octets, or their end, brought. */
export interface Progress {
  /** The exchanges that changed. */
  readonly changed: readonly Exchange[];
  /** The exchanges that are complete now. */
  readonly complete: readonly Complete[];
}

/** An exchange that goes on, with what is kept of it until it is complete. */
interface Running {
  readonly exchange: Exchange;
  request?: RequestHead;
  sent: Content;
}

/** Gathers the content of a message, up to a limit. */
class Content {
  #pieces: Uint8Array[] | undefined = [];
  #length = 0;

  add(piece: Uint8Array): void {
    this.#length += piece.length;
    if (this.#length > PAGE_CONTENT_BYTES) this.#pieces = undefined;
    // The piece is the decoder's, and short-lived.
    this.#pieces?.push(piece.slice());
  }

  bytes(): Uint8Array | undefined {
    if (this.#pieces === undefined) return undefined;
    const bytes = new Uint8Array(this.#length);
    let at = 0;
    for (const piece of this.#pieces) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return bytes;
  }
}

/** One way of a connection. */
class Way {
  readonly decoder: Decoder;
  received = 0;
  message: Message | undefined;
  running: Running | undefined;
  head: RequestHead | ResponseHead | undefined;
  content = new Content();
  /** Whether its end has come. */
  ended = false;

  constructor(kind: Direction, limits: MessageLimits) {
    this.decoder = new Decoder(kind, limits);
  }

  /** The first octet that is not understood yet. */
  get at(): number {
    return this.received - this.decoder.unread.length;
  }
}

/** Cuts both ways of a connection into messages and pairs them. */
export class Conversation {
  readonly #ways: Record<Direction, Way>;
  /** Exchanges whose final response is not complete, in the order of their requests. */
  readonly #unanswered: Running[] = [];
  readonly #changed = new Set<Exchange>();
  #complete: Complete[] = [];
  #exchanges = 0;
  /** Whether the connection speaks another protocol now. */
  #leftHttp = false;

  /** A connection to a server that takes requests within these limits. */
  constructor(limits: MessageLimits = REQUEST_LIMITS) {
    this.#ways = { request: new Way("request", limits), response: new Way("response", RESPONSE_LIMITS) };
  }

  /** Whether a request has not had its whole response. */
  get unanswered(): boolean {
    return this.#unanswered.length > 0;
  }

  /** Whether the server ends the connection now, by the rules (RFC 9112 §9.3): after a broken message, for instance. */
  get closes(): boolean {
    return Object.values(this.#ways).some(({ ended, message, head }) =>
      ended || message?.fault !== undefined || head?.persistent === false
    );
  }

  /** How many octets have gone one way. */
  received(direction: Direction): number {
    return this.#ways[direction].received;
  }

  /** Takes octets that go one way. They must stay unchanged. */
  octets(direction: Direction, bytes: Uint8Array): Progress {
    const way = this.#ways[direction];
    way.received += bytes.length;
    way.decoder.receive(bytes);
    return this.#advance(direction);
  }

  /** Takes the end of one way. */
  fin(direction: Direction): Progress {
    const way = this.#ways[direction];
    way.ended = true;
    way.decoder.close();
    return this.#advance(direction);
  }

  #advance(direction: Direction): Progress {
    this.#decode(direction, this.#ways[direction]);
    const progress = { changed: [...this.#changed], complete: this.#complete };
    this.#changed.clear();
    this.#complete = [];
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
        way.message!.fault ??= { detail: error.message, rule: error.rule ?? "", offset: error.offset ?? -1 };
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
    way.content = new Content();
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
    return { exchange: { number: ++this.#exchanges, responses: [] }, sent: new Content() };
  }

  /** Takes one event of the decoder. Returns whether there may be more. */
  #step(direction: Direction, way: Way): boolean {
    const event = way.decoder.next();
    if (event === undefined || event.kind === "closed") return false;
    const message = way.message!;
    switch (event.kind) {
      case "request":
        message.title = `${event.method} ${event.target}`;
        way.running!.request = way.head = event;
        break;
      case "response":
        message.title = `${event.status} ${event.reason}`.trim();
        message.status = event.status;
        way.head = event;
        break;
      case "content":
        way.content.add(event.bytes);
        break;
      case "end":
        message.to = way.at;
        message.whole = true;
        this.#changed.add(way.running!.exchange);
        if (direction === "response") this.#responded(way, message.status);
        way.message = undefined;
    }
    return true;
  }

  #responded({ running, head, content }: Way, status: number): void {
    const isTunnel = running!.request?.method === "CONNECT" && status >= 200 && status < 300;
    if (status === 101 || isTunnel) this.#leftHttp = true;
    if (isInterim(status) && status !== 101 || running !== this.#unanswered[0]) return;
    this.#unanswered.shift();
    const { request, sent, exchange } = running!;
    if (request === undefined || !exchange.request!.whole) return;
    const { fields } = head!;
    this.#complete.push({ request, sent: sent.bytes(), status, fields, received: content.bytes() });
  }

  /** The first line of a message that is no valid one is its name. */
  #nameBroken(direction: Direction, way: Way): void {
    const { message, decoder, running } = way;
    if (message!.title !== "" || direction === "response") return;
    const line = String.fromCharCode(...decoder.unread.subarray(0, 80)).split(/[\r\n]/)[0];
    message!.title = line.replace(/ HTTP\/\d.*$/, "") || "?";
    this.#changed.add(running!.exchange);
  }
}
