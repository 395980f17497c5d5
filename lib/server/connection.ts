/**
 * One client's connection: reads, decodes, answers requests in order, writes.
 *
 * All requests of one read are answered with one write. While a response is produced or sent, at most one read is made
 * ahead. A client that does not read its responses is therefore not read from either, which bounds memory.
 *
 * @module
 */

import { addressText, socketAddress } from "../address.ts";
import {
  HttpError,
  type HttpResponse,
  isStream,
  type Requester,
  type RequestHead,
  type ResponseContext,
  type Service,
} from "../http_message.ts";
import { FAIR_TURNS, waitFor } from "../turns.ts";
import { type AcceptedConnection, CLOSE_REASONS, closeReasonOf, Deadline, type ServerContext } from "./context.ts";
import { closeAll, isDisconnect } from "./disconnect.ts";
import { Incoming } from "./incoming.ts";
import { overloaded, textResponse, tooSlow } from "./problem.ts";
import { Reader } from "./reader.ts";
import { piecesOf, Sender } from "./sender.ts";

/** A connection, from accept to close. */
export class ServerConnection implements AcceptedConnection, Requester {
  /** Whether the client closed its side while a response was produced. */
  halfClosed = false;
  /** How long the server itself has let a response wait since it began to stop. */
  ownMs = 0;

  readonly #id: number;
  readonly #conn: Deno.Conn;
  readonly #context: ServerContext;
  readonly #service: Service;
  readonly #deadline = new Deadline();
  readonly #reader: Reader;
  readonly #incoming: Incoming;
  readonly #sender: Sender;
  /** A response that is pending or a stream. Whoever takes it must end its stream. */
  #slow: HttpResponse | Promise<HttpResponse> | undefined;
  #gone: AbortController | undefined;
  #idleOrder = Deadline.nextIdleOrder();
  /** Whether the last response was encoded, or no response follows. */
  #ended = false;
  #closed = false;
  #peerDone = false;
  /** Encodes the response to an invalid message that waits for the delay; `undefined` if there is none. */
  #refusal: (() => void) | undefined;
  #refusing: Promise<void> | undefined;
  #requests = 0;
  #closeReason: string | undefined;

  /** Takes over an accepted connection. */
  constructor(id: number, conn: Deno.Conn, context: ServerContext, service: Service) {
    this.#service = service;
    this.#id = id;
    this.#conn = conn;
    this.#context = context;
    this.#reader = new Reader(conn, context);
    this.#sender = new Sender(id, conn, context, this.#deadline);
    this.#incoming = new Incoming(context, service);
    this.#deadline.set("a request", context.clock + context.limits.idleTimeoutMs);
  }

  /** The number of this connection. */
  get connection(): number {
    return this.#id;
  }

  /** The number of the request that is answered. */
  get exchange(): number {
    return this.#requests;
  }

  /** Aborted once the client has disconnected. */
  get signal(): AbortSignal {
    this.#gone ??= new AbortController();
    if (this.#closed) this.#gone.abort();
    return this.#gone.signal;
  }

  /** The order of the idle connections of all servers, the longest idle first; `Infinity` if it is not idle. */
  get idleOrder(): number {
    return this.#deadline.waiting === "a request" ? this.#idleOrder : Infinity;
  }

  /** When it is cut off if its client does not read its piece of a listing; `Infinity` if it is sent none. */
  get pieceEnd(): number {
    return this.#sender.pieceEnd;
  }

  /** Serves the connection until it ends, or only sends this error, whatever the request is. Never rejects. */
  async serve(refusal?: HttpError): Promise<void> {
    this.#context.observer.opened?.(this.#id, addressText(socketAddress(this.#conn.remoteAddr)));
    try {
      if ("handshake" in this.#conn) await this.#handshake();
      if (refusal !== undefined && !this.#ended) this.#encodeRefusal(refusal, 0);
      // The local variables of this function stay in memory for every idle connection, so there are few.
      while (!this.#ended) {
        this.#awaitBytes();
        const count = await this.#reader.read();
        // A timeout may have refused the request during the read.
        if (this.#ended) break;
        this.#receive(count);
        if (this.#answerAtOnce()) await this.#answerSlowly();
        else if (count !== null && count >= this.#context.limits.minTurnBytes) await FAIR_TURNS.yieldIfBusy(this);
        if (this.#sender.length > 0) {
          this.#sender.restart();
          await this.#sender.flush();
        }
      }
      await this.#sendRefusal();
      if (this.#peerDone) this.#closeReason ??= CLOSE_REASONS.byClient;
      const lingerEnd = await this.#sender.finish() + this.#context.limits.maxLingerMs;
      if (!this.#peerDone) await this.#reader.drain(this.#deadline, lingerEnd, this);
    } catch (error) {
      this.#noteFailure(error);
    }
    this.#close();
    this.#context.observer.closed?.(this.#id, this.#closeReason ?? CLOSE_REASONS.byClient, this.#requests);
    this.#context.ended(this);
  }

  /** Ends the current wait if its deadline has passed, so many milliseconds after the last time. */
  sweep(sinceMs = 0): void {
    const { clock, limits, stopping } = this.#context;
    const { waiting } = this.#deadline;
    if (stopping && (waiting === "the service" || waiting === "the delay")) {
      this.ownMs = Math.min(this.ownMs + sinceMs, limits.delayMs + limits.storeMs);
    }
    if (clock < this.#deadline.at) return;
    this.#deadline.at = Infinity;
    switch (waiting) {
      case "a head":
      case "content":
        return this.#timeOut(waiting);
      case "the handshake":
        return this.cutOff(CLOSE_REASONS.handshake);
      case "a request":
        return this.#endIdle(this.#context.stopping ? CLOSE_REASONS.stopping : CLOSE_REASONS.idle);
      case "the service":
        return this.cutOff(CLOSE_REASONS.byClient);
      case "the client to read":
        // Whatever was to end the connection, this is what did.
        this.#closeReason = undefined;
        return this.cutOff(CLOSE_REASONS.unread);
      case "the client to close":
        return this.#close();
    }
  }

  /** Ends the connection soon if it is idle; otherwise it ends with its response. */
  stop(): void {
    if (this.#deadline.waiting !== "a request") return;
    this.#deadline.at = Math.min(this.#deadline.at, this.#context.clock + this.#context.limits.shutdownIdleMs);
  }

  /** Closes the connection immediately. */
  cutOff(reason: string): void {
    this.#closeReason ??= reason;
    this.#close();
    this.#ended = true;
  }

  /** Closes the connection: its client reads a response too slowly. */
  tooSlow(): void {
    this.cutOff(CLOSE_REASONS.slow);
  }

  #noteFailure(error: unknown): void {
    // What was to end the connection is not what did if octets were left to send.
    if (this.#sender.length > 0) this.#closeReason = undefined;
    if (this.#closed || isDisconnect(error)) this.#closeReason ??= closeReasonOf(error);
    else {
      this.#closeReason ??= CLOSE_REASONS.defect;
      this.#context.observer.failed?.(error);
    }
  }

  /** Performs the TLS handshake, with the deadline of a head. */
  async #handshake(): Promise<void> {
    this.#deadline.set("the handshake", this.#context.clock + this.#context.limits.headTimeoutMs);
    try {
      await (this.#conn as Deno.TlsConn).handshake();
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      // The client speaks plain HTTP, and is told so in a form that each shows.
      this.#encodeRefusal(error, undefined, textResponse(error));
    }
  }

  /** Sets the deadline for the next bytes. For a head or content, it counts from the beginning of that part. */
  #awaitBytes(): void {
    const { clock, limits, stopping } = this.#context;
    const { waiting } = this.#deadline;
    if (this.#incoming.request !== undefined) {
      if (waiting !== "content") this.#deadline.set("content", clock + limits.contentTimeoutMs);
    } else if (!this.#incoming.idle) {
      if (waiting !== "a head") this.#deadline.set("a head", clock + limits.headTimeoutMs);
    } else {
      this.#idleOrder = Deadline.nextIdleOrder();
      this.#deadline.set("a request", clock + (stopping ? limits.shutdownIdleMs : limits.idleTimeoutMs));
    }
  }

  #receive(count: number | null): void {
    this.#incoming.receive(this.#reader.bytes, count);
    if (count === null) this.#peerDone = true;
    else {
      const { minContentBytesPerSecond } = this.#context.limits;
      if (this.#deadline.waiting === "content") this.#deadline.at += count * 1000 / minContentBytesPerSecond;
      this.#reader.done(count);
    }
  }

  /** Decodes until a request is complete. Returns false if more bytes are needed or none follow. */
  #nextRequest(): boolean {
    if (this.#ended) return false;
    try {
      const progress = this.#incoming.next();
      if (progress === "continue") {
        const bytes = this.#sender.encode((encoder) => encoder.continue());
        this.#context.observer.response?.(this.#id, bytes, 100);
      }
      if (progress === "closed") this.#ended = true;
      return progress === "request";
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      this.#encodeRefusal(error);
      return false;
    }
  }

  /**
   * Answers the received requests as long as responses can be sent at once. Returns whether {@linkcode #answerSlowly}
   * must continue, because a response is pending or delayed, or other clients are due.
   */
  #answerAtOnce(): boolean {
    let shareEnd: number | undefined;
    while (this.#nextRequest()) {
      const response = this.#answer(this.#incoming.request!);
      if (response instanceof Promise || isStream(response.content) || this.#context.limits.delayMs > 0) {
        this.#slow = response;
        return true;
      }
      this.#encode(this.#incoming.request!, response);
      if (this.#sender.length > this.#context.limits.maxGatheredBytes) return true;
      if (this.#incoming.idle) continue;
      shareEnd ??= FAIR_TURNS.beginShare();
      if (FAIR_TURNS.mustYield(shareEnd)) return true;
    }
    return false;
  }

  async #answerSlowly(): Promise<void> {
    do {
      // Sends finished responses before it waits for the pending one.
      this.#sender.restart();
      if (this.#slow === undefined) await this.#sender.flush();
      else await this.#answerOne();
      if (!this.#ended && !this.#incoming.idle) await FAIR_TURNS.yieldIfBusy(this);
    } while (!this.#ended && this.#answerAtOnce());
  }

  /** Sends a response that is pending, delayed or a stream. The stream is ended in every case. */
  async #answerOne(): Promise<void> {
    const request = this.#incoming.request!;
    const slow = this.#slow!;
    this.#slow = undefined;
    // Handles a rejection now, even if the response is never awaited.
    const made = slow instanceof Promise ? slow.catch((error) => this.#failure(error)) : Promise.resolve(slow);
    let pieces: AsyncIterator<string | Uint8Array> | undefined;
    try {
      if (!this.#peerDone) this.#watchClient();
      await this.#sender.flush();
      this.#awaitService();
      const response = await made;
      pieces = piecesOf(response);
      if (this.#context.limits.delayMs > 0) await this.#delay();
      if (this.#ended) return;
      this.#sender.restart();
      if (this.#encode(request, response)) await this.#sendStream(request, pieces!);
    } finally {
      if (pieces === undefined) made.then((late) => piecesOf(late)?.return?.()).catch(() => {});
      else await pieces.return?.();
    }
  }

  /** Reads ahead while a response is produced, to detect a disconnect (RFC 9112 §9.5). */
  #watchClient(): void {
    this.#reader.readAhead((count) => {
      if (count !== null || this.halfClosed) return;
      this.halfClosed = true;
      if (this.#deadline.waiting === "the service") this.#awaitService();
    }, (error) => this.cutOff(closeReasonOf(error)));
  }

  /** Limits the time of a response if the client has closed its side: it may have disconnected. */
  #awaitService(): void {
    const { clock, limits } = this.#context;
    const end = this.halfClosed ? clock + limits.halfClosedMs + limits.storeMs : Infinity;
    this.#deadline.set("the service", end);
  }

  /** Waits before a final response, without a deadline: this time is not the client's. Ends early at the close. */
  #delay(): Promise<void> {
    this.#deadline.set("the delay", Infinity);
    const { delayMs, delaySpreadMs } = this.#context.limits;
    return waitFor(delayMs - Math.random() * delaySpreadMs, this.signal);
  }

  #answer(request: RequestHead): HttpResponse | Promise<HttpResponse> {
    const content = this.#incoming.takeContent();
    this.#requests++;
    this.#context.observer.request?.(this.#id, request, content, this.#incoming.trailers);
    this.#context.observer.received?.(this.#id, this.#incoming.octets, this.#reader.at);
    try {
      return this.#service.answer(request, content, this);
    } catch (error) {
      return this.#failure(error);
    }
  }

  #failure(error: unknown): HttpResponse {
    if (error instanceof HttpError) return this.#service.errorResponse(error);
    // A failure after the client has disconnected is expected: the work was aborted.
    if (!this.#closed) this.#context.observer.failed?.(error);
    return this.#service.errorResponse(new HttpError(500, "The server failed to answer this request: internal error"));
  }

  /** Encodes the response and ends the request. Returns whether a stream must still be sent. */
  #encode(request: RequestHead, response: HttpResponse): boolean {
    this.#incoming.finish();
    const { method, minor } = request;
    // During shutdown, the last received request gets the last response.
    const stops = this.#context.stopping && this.#incoming.idle;
    const close = !request.persistent || stops || minor === 0 && isStream(response.content);
    // Only a GET is refused for lack of memory: it can be repeated, but the result of a write must be reported.
    const fits = method !== "GET" || this.#context.budget.fits(response.content);
    const sent = fits ? response : this.#service.errorResponse(overloaded());
    const remains = this.#encodeResponse(sent, { method, minor, close, date: this.#context.date });
    if (close) this.#end(stops ? CLOSE_REASONS.stopping : CLOSE_REASONS.finished);
    return remains;
  }

  #encodeResponse(response: HttpResponse, context: ResponseContext): boolean {
    const { encoder } = this.#sender;
    const from = encoder.length;
    const remains = encoder.response(response, context);
    this.#context.observer.response?.(this.#id, encoder.bytes(from), response.status);
    if (!remains) this.#context.observer.answered?.(this.#id, response);
    return remains;
  }

  /** Encodes the response to an invalid message, after the delay. No further requests are read. */
  #encodeRefusal(error: HttpError, delayMs = this.#context.limits.delayMs, response?: HttpResponse): void {
    const { request, method, head, unread, consumed } = this.#incoming;
    this.#context.observer.refused?.(this.#id, error, head, unread, consumed);
    const encode = () => {
      const context = { method, minor: request?.minor ?? 1, close: true, date: this.#context.date };
      this.#encodeResponse(response ?? this.#service.errorResponse(error), context);
    };
    if (delayMs > 0) this.#refusal = encode;
    else encode();
    this.#end(`by the server (error ${error.status})`);
  }

  /** Sends what is left: the response to an invalid message, if there is one. */
  #sendRefusal(): Promise<void> {
    return this.#refusing ??= (async () => {
      if (this.#refusal !== undefined) {
        await this.#delay();
        if (this.#closed) return;
        this.#refusal();
      }
      this.#sender.restart();
      await this.#sender.flush();
    })();
  }

  /** Sends content in pieces, and requests the next one once the client has read the previous one. */
  async #sendStream(request: RequestHead, pieces: AsyncIterator<string | Uint8Array>): Promise<void> {
    for (;;) {
      this.#awaitService();
      const isLast = await this.#encodePiece(request.minor, pieces);
      if (this.#closed) return;
      await this.#sender.flush();
      if (isLast) return;
      await FAIR_TURNS.yieldIfBusy(this);
    }
  }

  /** Encodes the next piece, which this function alone keeps, so that it is not held while it is sent. */
  async #encodePiece(minor: number, pieces: AsyncIterator<string | Uint8Array>): Promise<boolean> {
    const { done = false, value } = await pieces.next();
    if (this.#closed) return done;
    if (!done && !this.#context.budget.fits(value)) this.cutOff(CLOSE_REASONS.memory);
    else {
      const bytes = this.#sender.encodePiece(minor, done ? undefined : value);
      this.#context.observer.response?.(this.#id, bytes, undefined);
      if (done) this.#context.observer.answered?.(this.#id);
    }
    return done;
  }

  #end(reason: string): void {
    this.#ended = true;
    this.#closeReason ??= reason;
  }

  /** Refuses a request that is too slow. The pending read continues, but its result is ignored. */
  #timeOut(what: "a head" | "content"): void {
    const { headTimeoutMs, contentTimeoutMs } = this.#context.limits;
    this.#encodeRefusal(what === "a head" ? tooSlow("head", headTimeoutMs) : tooSlow("content", contentTimeoutMs));
    this.#sendRefusal().then(() => this.#sender.finish()).catch(() => this.#close());
  }

  /** Ends an idle connection. Over TLS, the last response may still be on its way. */
  #endIdle(reason: string): void {
    this.#end(reason);
    this.#sender.finish().catch(() => {}).then(() => this.#close());
  }

  /** Releases all resources. Further calls have no effect. */
  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#gone?.abort();
    this.#sender.end();
    const { idle, head, unread, consumed } = this.#incoming;
    if (!idle && !this.#ended) this.#context.observer.abandoned?.(this.#id, head, unread, consumed);
    this.#incoming.finish();
    this.#reader.end();
    closeAll(this.#conn);
  }
}
