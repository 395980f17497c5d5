/**
 * Pairs the messages of a connection: octets of both directions in, exchanges out.
 *
 * Who answers whom is decided here and nowhere else. The rules:
 *
 * - A response answers the oldest request that has begun before it and has no complete final response. Without one,
 *   nobody asked for it.
 * - An interim response (1xx) leaves its request unanswered. A 101 is interim if its request has no Upgrade field.
 * - A 101, or a 2xx to CONNECT, ends HTTP in both directions (RFC 9110 §7.8, §9.3.6). What the client sends after such
 *   a request is held until the answer says what it is.
 * - An error ends the reading of its direction. It starts again, at the next start line that begins a read, once the
 *   receiver has evidently read on: a server that sends another response after the error's own, a client that sends
 *   another request after a broken response.
 *
 * It does no I/O. The decoder is the only judge of octets.
 */

import { octetString } from "../bytes.ts";
import { HttpError, type HttpEvent, isInterim, leavesHttp, type ResponseHead } from "../http_message.ts";
import { maskCredentials } from "../masking.ts";
import { MAX_WAITING_IN_TURN, type MessageLimits, REQUEST_LIMITS, RESPONSE_LIMITS } from "../limits.ts";
import type { Arrival, Direction, Exchange, ExchangeEvent, Message, Stop } from "./messages.ts";
import { StartLineSearch, startsMessage } from "./start_lines.ts";
import { type Piece, Way } from "./way.ts";

/** Gaps in a message's content that are noted: a page shows only the start of a long one. */
const MAX_NOTED_GAPS = 10_000;

/** Options of a {@linkcode Pairing}. */
export interface PairingOptions {
  /** Limits on messages other than those of `serve` and `connect`; by default, content has any length. */
  readonly limits?: { readonly [direction in Direction]?: Partial<MessageLimits> };
  /** Returns the method that a response without a request answers, where not both directions are live: none is held. */
  readonly answers?: () => string | undefined;
}

const ANY_CONTENT = { maxContentBytes: Number.MAX_SAFE_INTEGER };

/** Decodes both directions of a connection and pairs the messages. */
export class Pairing {
  readonly #answers: (() => string | undefined) | undefined;
  readonly #ways: Readonly<Record<Direction, Way>>;
  readonly #open: Exchange[] = [];
  /** Exchanges without a complete final response, in the order of their requests. */
  readonly unanswered: readonly Exchange[] = this.#open;
  #exchanges = 0;
  #calls = 0;
  /** The last exchange without a request, until a final response ends it. */
  #unasked: Exchange | undefined;
  /** The request after which octets are held. */
  #holding: Exchange | undefined;

  /** Creates a pairing whose listener receives the events in order. */
  constructor(
    private readonly listener: (event: ExchangeEvent) => void,
    { limits, answers }: PairingOptions = {},
  ) {
    this.#answers = answers;
    this.#ways = {
      request: new Way("request", { ...REQUEST_LIMITS, ...ANY_CONTENT, ...limits?.request }),
      response: new Way("response", { ...RESPONSE_LIMITS, ...ANY_CONTENT, ...limits?.response }),
    };
  }

  /** Whether the connection must be closed by the rules (RFC 9112 §9.3), for example after a broken message. */
  get closes(): boolean {
    return Object.values(this.#ways).some(({ ended, closes, stopped }) => ended || closes || stopped === "broken");
  }

  /** The message of a direction that is incomplete, or that broke and ended the reading. */
  message(direction: Direction): Message | undefined {
    return this.#ways[direction].message;
  }

  /** Why octets of a direction are not read as messages, and from which on; `undefined` if they are, or one broke. */
  stop(direction: Direction): { readonly why: Stop; readonly from: number } | undefined {
    const { stopped, start } = this.#ways[direction];
    return stopped === undefined || stopped === "broken" ? undefined : { why: stopped, from: start };
  }

  /** Returns the number of octets in one direction. */
  received(direction: Direction): number {
    return this.#ways[direction].received;
  }

  /** Returns how many of the next octets of a direction are no lines: content, even if broken, or another protocol. */
  contentLeft(direction: Direction): number {
    const { stopped, message, decoder } = this.#ways[direction];
    const isEndless = stopped === "left HTTP" || stopped === "broken" && message!.head !== undefined;
    return isEndless ? Infinity : decoder.contentLeft;
  }

  /** Receives the octets of one read, which may change after the call, and when they came as the caller counts it. */
  octets(direction: Direction, bytes: Uint8Array, time = 0, packet = 0): void {
    if (bytes.length > 0) this.#receive(this.#ways[direction], bytes, { time, packet, call: ++this.#calls });
  }

  #receive(way: Way, bytes: Uint8Array, arrival: Arrival): void {
    way.received += bytes.length;
    if (way.search !== undefined) return this.#find(way, way.search, bytes, arrival);
    if (way.stopped === undefined) {
      way.arrival = arrival;
      way.decoder.receive(bytes);
      return this.#read(way);
    }
    if (way.stopped === "held") way.hold(bytes, arrival);
    if (way.stopped !== "broken") return;
    const message = way.message!;
    message.to = way.received;
    if (way.held !== undefined || startsMessage(bytes, way.direction)) way.hold(bytes, arrival);
    if (way.held === undefined && !message.exchange.over) message.ended = arrival.time;
    if (way.held !== undefined && way.readOn) this.#resume(way);
  }

  /** Receives the end of one direction. */
  fin(direction: Direction): void {
    const way = this.#ways[direction];
    way.ended = true;
    way.decoder.close();
    this.#read(way);
  }

  /** Passes over missing octets of content of known length; else they end the message, and a start line begins one. */
  gap(direction: Direction, octets = Infinity): void {
    const way = this.#ways[direction];
    const { message, search } = way;
    if (search !== undefined) return void search.giveUp();
    if (way.stopped === undefined && message?.head !== undefined && way.decoder.skip(octets)) {
      message.gaps ??= [];
      if (message.gaps.length < MAX_NOTED_GAPS) message.gaps.push({ at: way.received - message.from, octets });
      this.listener({ kind: "lost", direction, message, octets });
      return this.#read(way);
    }
    if (message !== undefined) {
      message.isCut = true;
      if (message.head === undefined) message.line ??= lineOf(way.decoder.unread);
    }
    this.listener({ kind: "cut", direction, message });
    if (way.stopped === "left HTTP") return;
    way.restart(way.received);
    way.stopped = "lost";
    way.search = new StartLineSearch();
    if (direction === "request") return;
    if (message !== undefined) this.#over(message.exchange);
    this.#overButLast();
  }

  /** Ends all open exchanges but the last: what comes after missing octets most probably answers that one's request. */
  #overButLast(): void {
    while (this.#open.length > 1) this.#over(this.#open[0]);
  }

  /** Looks for a start line in octets after missing ones. */
  #find(way: Way, search: StartLineSearch<Arrival>, bytes: Uint8Array, arrival: Arrival): void {
    const found = search.receive(bytes, arrival, way.direction);
    if (found === undefined) return;
    if (way.direction === "response" && search.skipped > 0) this.#overButLast();
    this.#readAgain(way, found.pieces);
  }

  /** Reads octets that are held; if there were too many, they cannot be read any more. */
  #resume(way: Way): void {
    const { message, stopped, held = [] } = way;
    if (held !== "too many") this.#readAgain(way, held, stopped === "broken" ? message : undefined);
  }

  /** Reads the last octets that came once more, as the reads that brought them; some came after a broken message. */
  #readAgain(way: Way, pieces: readonly Piece[], broken?: Message): void {
    const { direction, ended } = way;
    way.restart(pieces.reduce((from, { bytes }) => from - bytes.length, way.received));
    if (broken !== undefined) {
      way.restartsAfter = broken.exchange.number;
      broken.to = way.start;
      // The response that broke was the last one to its request.
      if (direction === "response") this.#over(broken.exchange);
    }
    this.listener({ kind: "resumed", direction, from: way.start });
    way.ended = false;
    for (const { bytes, packet } of pieces) {
      this.listener({ kind: "again", direction, octets: bytes });
      this.#receive(way, bytes, packet);
    }
    if (ended) this.fin(direction);
  }

  #read(way: Way): void {
    while (way.stopped === undefined) {
      if (way.message === undefined) {
        const { unread } = way.decoder;
        if (unread.length === 0) break;
        // An empty line may precede a request (RFC 9112 §2.2), and does not begin one.
        if (way.direction === "response" || !"\r\n".startsWith(octetString(unread, 0, 3))) this.#begin(way);
        // That may have let the other direction read on, and end HTTP.
        if (way.stopped !== undefined) break;
      }
      try {
        const { message } = way;
        if (message?.direction === "response" && message.head === undefined) {
          // The method that it answers may become known while its head comes.
          way.decoder.expectResponseTo(this.#methodOf(message.exchange));
        }
        const event = way.decoder.next();
        if (event === undefined || event.kind === "closed") break;
        this.#step(way, event);
      } catch (error) {
        if (!(error instanceof HttpError)) throw error;
        this.#break(way, error);
      }
    }
    if (way.message?.state !== "incomplete") return;
    way.message.to = way.received;
    way.message.ended = way.arrival.time;
  }

  /** The method of an exchange, even if the request's head is not complete. */
  #methodOf({ method, request }: Exchange): string {
    const isComing = request !== undefined && request === this.#ways.request.message;
    return method === "" && isComing ? this.#ways.request.decoder.method : method;
  }

  #begin(way: Way): Message {
    const { direction, restartsAfter, start: from, received: to, arrival } = way;
    const isRequest = direction === "request";
    const exchange = isRequest ? this.#newExchange() : this.#answered(arrival);
    const message: Message = {
      direction,
      exchange,
      from,
      to,
      arrival,
      ended: arrival.time,
      state: "incomplete",
      head: undefined,
      interim: false,
      restartsAfter,
      isEarly: !isRequest && exchange.request?.state === "incomplete",
    };
    way.restartsAfter = undefined;
    way.message = message;
    if (isRequest) {
      exchange.request = message as Exchange["request"];
      this.#open.push(exchange);
      if (this.#answers !== undefined && this.#open.length > MAX_WAITING_IN_TURN) this.#open.shift();
    } else exchange.responses.push(message as Message<ResponseHead>);
    this.listener({ kind: "began", direction, message });
    if (isRequest) this.#readOn(this.#ways.response);
    return message;
  }

  #newExchange(method = "", unread?: number): Exchange {
    return { number: ++this.#exchanges, request: undefined, method, responses: [], unread, over: false };
  }

  /** The exchange of a response that begins now. */
  #answered({ call }: Arrival): Exchange {
    if (this.#open.length === 0) this.#readOn(this.#ways.request);
    const [first] = this.#open;
    if (first !== undefined && first.request!.arrival.call <= call) return first;
    if (this.#unasked !== undefined) return this.#unasked;
    const { stopped, message } = this.#ways.request;
    const unread = stopped === "broken" ? message!.exchange.number : undefined;
    const method = this.#answers === undefined ? "" : this.#answers() ?? "GET";
    this.#unasked = this.#newExchange(method, unread);
    return this.#unasked;
  }

  /** The receiver of this direction has read on after a broken message, if there is one. */
  #readOn(way: Way): void {
    if (way.stopped !== "broken") return;
    way.readOn = true;
    if (way.held !== undefined) this.#resume(way);
  }

  #step(way: Way, event: HttpEvent): void {
    const message = way.message!;
    const { direction } = way;
    switch (event.kind) {
      case "request":
        message.head = event;
        message.exchange.method = event.method;
        this.listener({ kind: "head", direction, message, head: event, to: way.at });
        break;
      case "response":
        this.#answer(way, message as Message<ResponseHead>, event);
        break;
      case "content":
        this.listener({ kind: "content", direction, message, bytes: event.bytes, to: way.at });
        break;
      case "end":
        message.state = "whole";
        message.to = way.start = way.at;
        message.ended = way.arrival.time;
        way.message = undefined;
        way.closes = !message.head!.persistent;
        this.listener({ kind: "ended", direction, message, trailers: event.trailers });
        if (direction === "request") this.#requested(way, message.exchange);
        else this.#responded(way, message as Message<ResponseHead>);
    }
  }

  /** A response's head is complete: what was held after its request can be read, unless HTTP ends. */
  #answer(way: Way, message: Message<ResponseHead>, head: ResponseHead): void {
    const { exchange } = message;
    const requests = this.#ways.request;
    exchange.method = this.#methodOf(exchange);
    const coming = requests.message === exchange.request ? requests.message : undefined;
    if (coming?.state === "incomplete" && coming.head === undefined) coming.line ??= lineOf(requests.decoder.unread);
    message.head = head;
    const leaves = this.#leaves(message);
    message.interim = isInterim(head.status) && !leaves;
    this.listener({ kind: "head", direction: "response", message, head, to: way.at });
    if (message.interim || leaves || this.#holding !== exchange) return;
    this.#holding = undefined;
    if (requests.stopped !== "held") return;
    if (requests.closes) this.#stop(requests, "connection ends");
    else this.#resume(requests);
  }

  /** Whether a response ends HTTP: a 101 does not, if its request is known to have no Upgrade field (RFC 9110 §7.8). */
  #leaves({ exchange: { method, request }, head }: Message<ResponseHead>): boolean {
    const { status } = head!;
    if (status === 101 && request?.head !== undefined && request.head.fields.get("upgrade") === undefined) return false;
    return leavesHttp(status, method);
  }

  #requested(way: Way, exchange: Exchange): void {
    const mayLeave = exchange.method === "CONNECT" || exchange.request!.head!.fields.get("upgrade") !== undefined;
    const isAnswered = exchange.responses.some(({ interim, head }) => !interim && head !== undefined);
    if (this.#ways.response.stopped === "left HTTP") this.#stop(way, "left HTTP");
    else if (mayLeave && !isAnswered && this.#answers === undefined) {
      this.#holding = exchange;
      this.#stop(way, "held");
      const { unread } = way.decoder;
      if (unread.length > 0) way.hold(unread, way.arrival);
    } else if (way.closes) this.#stop(way, "connection ends");
  }

  #responded(way: Way, message: Message<ResponseHead>): void {
    if (message.interim) return;
    this.#over(message.exchange);
    if (this.#leaves(message)) this.#leave();
    else if (way.closes) this.#stop(way, "connection ends");
  }

  /** No more responses of an exchange are expected. */
  #over(exchange: Exchange): void {
    exchange.over = true;
    if (exchange === this.#open[0]) this.#open.shift();
    if (exchange === this.#unasked) this.#unasked = undefined;
  }

  /** Ends HTTP in both directions; a request that has a head is still read to its end. */
  #leave(): void {
    this.#stop(this.#ways.response, "left HTTP");
    const requests = this.#ways.request;
    const { message } = requests;
    if (message?.state === "incomplete") {
      if (message.head !== undefined) return;
      this.listener({ kind: "cut", direction: "request", message });
    }
    if (message !== undefined) requests.start = requests.received;
    this.#stop(requests, "left HTTP");
  }

  #stop(way: Way, why: Stop): void {
    const { direction, start } = way;
    way.stopped = why;
    way.message = way.held = undefined;
    this.listener({ kind: "stopped", direction, from: start, why });
  }

  #break(way: Way, error: HttpError): void {
    const message = way.message ?? this.#begin(way);
    if (way.stopped !== undefined) return;
    const { direction, decoder } = way;
    message.state = "broken";
    message.error = error;
    message.to = way.received;
    message.ended = way.arrival.time;
    if (message.head === undefined) {
      message.line ??= lineOf(decoder.unread);
      if (direction === "request") message.exchange.method ||= decoder.method;
    }
    way.stopped = "broken";
    this.listener({ kind: "broken", direction, message, error, unread: decoder.unread, at: decoder.consumed });
  }
}

/** Characters of an invalid request that name it. */
const LINE_CHARACTERS = 80;

/** Returns the first line, without the HTTP version and without credentials, which are found before it is cut. */
function lineOf(octets: Uint8Array): string {
  const [line] = octetString(octets).split(/[\r\n]/, 1);
  return maskCredentials(line).replace(/ HTTP\/\d.*$/, "").slice(0, LINE_CHARACTERS);
}
