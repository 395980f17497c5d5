/** Decodes the requests of a connection in order, and collects their content. */

import { NO_BYTES, resized } from "../bytes.ts";
import { type Decoder, Fields, HttpError, listMembers, type RequestHead, type Service } from "../http_message.ts";
import type { Budget, ServerContext } from "./context.ts";
import { overloaded } from "./errors.ts";

/** The first room for content in several pieces, unless less is announced. */
const MIN_ROOM_BYTES = 4096;

/** What decoding came to: a complete request, a client that waits for 100 (Continue), a lack of octets, or the end. */
type Progress = "request" | "continue" | "more" | "closed";

/** Decodes requests. Between requests it holds no decoder, so that an idle connection costs little memory. */
export class Incoming {
  /** The request whose content is being read or whose response is being produced; `undefined` between requests. */
  request: RequestHead | undefined;
  /** The trailer section of the complete request, and how many octets it had in all. */
  trailers: Fields = Fields.EMPTY;
  octets = 0;
  /** The content of the request. */
  readonly content: RequestContent;
  #decoder: Decoder | undefined;
  #hasEnded = false;
  #awaitsContinue = false;

  constructor(private readonly context: ServerContext, private readonly service: Service) {
    this.content = new RequestContent(context.budget);
  }

  /** Whether nothing of another request was received. */
  get idle(): boolean {
    return this.#decoder === undefined || this.#decoder.idle;
  }

  /** The method of an invalid request, if it was complete. */
  get method(): string {
    return this.request?.method ?? this.#decoder?.method ?? "";
  }

  /** What came of a request that is not complete: its head, if that is, the octets not decoded, and their offset. */
  get rest(): [head: string, octets: Uint8Array, offset: number] {
    const { unread, consumed } = this.#decoder ?? { unread: NO_BYTES, consumed: 0 };
    return [consumed > 0 ? this.request?.text ?? "" : "", unread, consumed];
  }

  /** Receives octets, which must stay unchanged until {@linkcode next} returns "more"; `null` is the end of input. */
  receive(bytes: Uint8Array, count: number | null): void {
    if (count !== null) return (this.#decoder ??= this.context.decoders.take()).receive(bytes, count);
    this.#hasEnded = true;
    this.#decoder?.close();
  }

  /** Decodes until a request is complete. Throws an {@linkcode HttpError} if it is broken, too long, or refused. */
  next(): Progress {
    const decoder = this.#decoder;
    if (decoder === undefined) return this.#hasEnded ? "closed" : "more";
    for (;;) {
      const event = decoder.next();
      if (event === undefined) return this.#wantMore(decoder);
      if (event.kind === "closed") return "closed";
      // A client that sends on does not wait for 100 (Continue) (RFC 9110 §10.1.1).
      this.#awaitsContinue = false;
      if (event.kind === "request") this.#begin(event);
      else if (event.kind === "content") this.content.add(event.bytes, this.request!.contentLength);
      else if (event.kind === "end") {
        this.trailers = event.trailers;
        this.octets = decoder.messageOctets;
        return "request";
      }
    }
  }

  /** Ends the request: its response was encoded, or there will be none. */
  finish(): void {
    this.request = undefined;
    this.content.release();
  }

  #wantMore(decoder: Decoder): Progress {
    if (decoder.reusable) {
      this.context.decoders.release(decoder);
      this.#decoder = undefined;
    } else if (this.#awaitsContinue) {
      this.#awaitsContinue = false;
      return "continue";
    }
    return "more";
  }

  #begin(request: RequestHead): void {
    this.request = request;
    const expectation = request.fields.get("expect");
    // HTTP/1.0 has no 100, so the expectation is ignored (RFC 9110 §10.1.1).
    if (expectation === undefined || request.minor === 0) return;
    const expectations = listMembers(expectation.toLowerCase());
    const unknown = expectations.find((member) => member !== "100-continue");
    if (unknown !== undefined) {
      const detail = `The only expectation known is 100-continue, saw ${unknown}`;
      throw new HttpError(417, detail, { rule: "RFC 9110 §10.1.1" });
    }
    this.service.precheck(request);
    this.#awaitsContinue = expectations.length > 0 && request.contentLength !== 0;
  }
}

/** Collects the content of one request after another, within a budget shared by all connections. */
export class RequestContent {
  #bytes: Uint8Array = NO_BYTES;
  #length = 0;
  /** Octets taken from the budget. */
  #held = 0;

  constructor(private readonly budget: Budget) {}

  /**
   * Adds a piece of content of an announced length. If that is all, it is not copied, so that it must stay valid until the
   * content is taken.
   *
   * @throws {HttpError} 503 if the budget is exhausted.
   */
  add(piece: Uint8Array, announced: number = Infinity): void {
    const length = this.#length + piece.length;
    if (length === announced && this.#length === 0) this.#bytes = piece;
    else {
      // Memory is allocated as content arrives, because a client could announce any length.
      if (length > this.#bytes.length) this.#grow(Math.min(Math.max(2 * length, MIN_ROOM_BYTES), announced));
      this.#bytes.set(piece, this.#length);
    }
    this.#length = length;
  }

  /** Takes the complete content. Pieces added later belong to the next request. */
  take(): Uint8Array {
    const whole = this.#bytes.length === this.#length ? this.#bytes : this.#bytes.subarray(0, this.#length);
    this.#bytes = NO_BYTES;
    this.#length = 0;
    return whole;
  }

  release(): void {
    this.budget.take(-this.#held);
    this.#held = 0;
  }

  #grow(room: number): void {
    const more = room - this.#held;
    if (!this.budget.has(more)) throw overloaded();
    this.budget.take(more);
    this.#held = room;
    this.#bytes = resized(this.#bytes, this.#length, room);
  }
}
