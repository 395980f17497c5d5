/**
 * One client's connection: reads, decodes, answers requests in order, writes.
 *
 * All requests of one read are answered with one write. While a response is produced or sent, at most one read is made
 * ahead. A client that does not read its responses is therefore not read from either, which bounds memory.
 */

import type { Socket } from "../bytes.ts";
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
import { AcceptedConnection, type Wait } from "./accepted.ts";
import type { ServerContext } from "./context.ts";
import { CLOSE_REASONS, closeReasonOf, overloaded, problemResponse, textResponse, tooSlow } from "./errors.ts";
import { Incoming } from "./incoming.ts";

/** A connection whose requests a service answers. */
export class ServerConnection extends AcceptedConnection implements Requester {
  readonly #incoming: Incoming;
  #gone: AbortController | undefined;
  /** Whether the last response was encoded, or no response follows. */
  #ended = false;
  /** Whether the client has closed its side. It may have disconnected. */
  #peerDone = false;
  /** Resolves once an invalid message was answered; `undefined` if none came. */
  #refusing: Promise<void> | undefined;

  constructor(connection: number, conn: Socket, context: ServerContext, private readonly service: Service) {
    super(connection, conn, context);
    this.#incoming = new Incoming(context, service);
  }

  get exchange(): number {
    return this.requests;
  }

  get signal(): AbortSignal {
    this.#gone ??= new AbortController();
    if (this.closed) this.#gone.abort();
    return this.#gone.signal;
  }

  override async serve(refusal?: HttpError): Promise<void> {
    try {
      if (this.begin()) refusal = await this.handshake() ?? refusal;
      if (refusal !== undefined && !this.#ended) this.#refusing = this.#refuse(refusal, this.isPlain ? undefined : 0);
      // The local variables of this function stay in memory for every idle connection, so there are few.
      while (!this.#ended) {
        this.#awaitOctets();
        const count = await this.reader.read();
        // A timeout may have refused the request during the read.
        if (this.#ended) break;
        this.#receive(count);
        for (let sent = this.#answerAtOnce(); sent !== undefined; sent = this.#answerAtOnce()) await sent;
        if (count !== null && count >= this.context.limits.minTurnBytes) await FAIR_TURNS.yieldIfBusy();
        if (this.#refusing === undefined && this.unsent > 0) {
          this.restart();
          await this.flush();
        }
      }
      await this.#refusing;
      if (this.#peerDone) this.closeReason ??= CLOSE_REASONS.byClient;
      if (this.#peerDone) await this.finish();
      else await this.linger();
    } catch (error) {
      this.fail(error);
    }
    this.end();
  }

  protected override timeOut(wait: Wait): void {
    const { headTimeoutMs, contentTimeoutMs } = this.context.limits;
    switch (wait) {
      // The read that is pending continues, but its result is ignored.
      case "a head":
        this.#refusing = this.#refuse(tooSlow("head", headTimeoutMs));
        return;
      case "content":
        this.#refusing = this.#refuse(tooSlow("content", contentTimeoutMs));
        return;
      case "a request":
        this.#ended = true;
        break;
      case "the service":
        return this.cutOff(CLOSE_REASONS.byClient);
      case "the client to close":
        return this.close();
      case "the client to read":
        // Whatever was to end the connection, this is what did.
        this.closeReason = undefined;
    }
    super.timeOut(wait);
  }

  override cutOff(reason: string): void {
    super.cutOff(reason);
    this.#ended = true;
  }

  tooSlow(): void {
    this.cutOff(CLOSE_REASONS.slow);
  }

  protected override fail(error: unknown): void {
    // What was to end the connection is not what did if octets were left to send.
    if (this.unsent > 0) this.closeReason = undefined;
    super.fail(error);
  }

  /** Sets the deadline for the next octets. For a head or content, it counts from the beginning of that part. */
  #awaitOctets(): void {
    const { clock, limits } = this.context;
    if (this.#incoming.request !== undefined) {
      if (this.waitsFor !== "content") this.wait("content", clock + limits.contentTimeoutMs);
    } else if (!this.#incoming.idle) {
      if (this.waitsFor !== "a head") this.wait("a head", clock + limits.headTimeoutMs);
    } else this.awaitRequest();
  }

  #receive(count: number | null): void {
    this.#incoming.receive(this.reader.bytes, count);
    if (count === null) this.#peerDone = true;
    else {
      if (this.waitsFor === "content") this.deadline += count * 1000 / this.context.limits.minContentBytesPerSecond;
      this.reader.done(count);
    }
  }

  /** Decodes until a request is complete. Returns false if more octets are needed or none follow. */
  #nextRequest(): boolean {
    if (this.#ended) return false;
    try {
      const progress = this.#incoming.next();
      if (progress === "continue") {
        const from = this.encoder.length;
        this.encoder.continue();
        this.context.observer.response?.(this.connection, this.encoder.bytes(from), 100);
      }
      if (progress === "closed") this.#ended = true;
      return progress === "request";
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      this.#refusing = this.#refuse(error);
      return false;
    }
  }

  /**
   * Answers the received requests as long as responses can be sent at once. Returns what is to be awaited before there may
   * be more to answer, because a response is pending or delayed, or other clients are due.
   */
  #answerAtOnce(): Promise<void> | undefined {
    let shareEnd: number | undefined;
    while (this.#nextRequest()) {
      const request = this.#incoming.request!;
      const response = this.#answer(request);
      if (response instanceof Promise || isStream(response.content) || this.context.limits.delayMs > 0) {
        return this.#send(() => this.#answerSlowly(request, response));
      }
      this.#encode(request, response);
      if (this.unsent > this.context.limits.maxGatheredBytes) return this.#send();
      if (this.#incoming.idle) continue;
      shareEnd ??= FAIR_TURNS.beginShare();
      if (FAIR_TURNS.mustYield(shareEnd)) return this.#send();
    }
  }

  /** Sends finished responses, by default, and lets other clients go on before there are more. */
  async #send(send = () => this.flush()): Promise<void> {
    this.restart();
    await send();
    if (!this.#ended && !this.#incoming.idle) await FAIR_TURNS.yieldIfBusy();
  }

  /** Sends a response that is pending, delayed or a stream. The stream is ended in every case. */
  async #answerSlowly(request: RequestHead, slow: HttpResponse | Promise<HttpResponse>): Promise<void> {
    // Handles a rejection now, even if the response is never awaited.
    const made = slow instanceof Promise ? slow.catch((error) => this.#failure(error)) : Promise.resolve(slow);
    let pieces: AsyncIterator<string | Uint8Array> | undefined;
    try {
      if (!this.#peerDone) this.#watchClient();
      await this.flush();
      this.#awaitService();
      const response = await made;
      pieces = piecesOf(response);
      if (this.context.limits.delayMs > 0) await this.#delay();
      if (this.#ended) return;
      this.restart();
      if (this.#encode(request, response)) await this.#sendStream(request, pieces!);
    } finally {
      if (pieces === undefined) made.then((late) => piecesOf(late)?.return?.()).catch(() => {});
      else await pieces.return?.();
    }
  }

  /** Reads ahead while a response is produced, to detect a disconnect (RFC 9112 §9.5). */
  #watchClient(): void {
    this.reader.readAhead((count) => {
      if (count !== null) return;
      this.#peerDone = true;
      if (this.waitsFor === "the service") this.#awaitService();
    }, (error) => this.cutOff(closeReasonOf(error)));
  }

  /** Limits the time of a response if the client has closed its side: it may have disconnected. */
  #awaitService(): void {
    const { clock, limits } = this.context;
    this.wait("the service", this.#peerDone ? clock + limits.halfClosedMs + limits.storeMs : Infinity);
  }

  /** Waits before a final response, without a deadline: this time is not the client's. Ends early at the close. */
  #delay(): Promise<void> {
    this.wait("the delay", Infinity);
    const { delayMs, delaySpreadMs } = this.context.limits;
    return waitFor(delayMs - Math.random() * delaySpreadMs, this.signal);
  }

  #answer(request: RequestHead): HttpResponse | Promise<HttpResponse> {
    const content = this.#incoming.content.take();
    const { observer } = this.context;
    this.requests++;
    observer.request?.(this.connection, request, content, this.#incoming.trailers);
    observer.received?.(this.connection, this.#incoming.octets, this.reader.at);
    try {
      return this.service.answer(request, content, this);
    } catch (error) {
      return this.#failure(error);
    }
  }

  #failure(error: unknown): HttpResponse {
    if (error instanceof HttpError) return this.#errorResponse(error);
    // A failure after the client has disconnected is expected: the work was aborted.
    if (!this.closed) this.context.observer.failed?.(error);
    return this.#errorResponse(new HttpError(500, "The server failed to answer this request: internal error"));
  }

  #errorResponse(error: HttpError): HttpResponse {
    if (this.isPlain) return textResponse(error);
    return this.service.errorResponse?.(error) ?? problemResponse(error);
  }

  /** Encodes the response and ends the request. Returns whether a stream must still be sent. */
  #encode(request: RequestHead, response: HttpResponse): boolean {
    this.#incoming.finish();
    // During shutdown, the last received request gets the last response.
    const stops = this.context.stopping && this.#incoming.idle;
    const { method, minor } = request;
    const close = !request.persistent || stops || minor === 0 && isStream(response.content);
    // Only a GET is refused for lack of memory: it can be repeated, but the result of a write must be reported.
    const fits = method !== "GET" || this.context.budget.fits(response.content);
    const context = { method, minor, close, date: this.context.date };
    const remains = this.#encodeResponse(fits ? response : this.#errorResponse(overloaded()), context);
    if (close) this.#endWith(stops ? CLOSE_REASONS.stopping : CLOSE_REASONS.finished);
    return remains;
  }

  #encodeResponse(response: HttpResponse, context: ResponseContext): boolean {
    const { encoder, context: { observer } } = this;
    const from = encoder.length;
    const remains = encoder.response(response, context);
    observer.response?.(this.connection, encoder.bytes(from), response.status);
    if (!remains) observer.answered?.(this.connection, response);
    return remains;
  }

  /** Answers an invalid message after the delay, and ends this side. No further requests are read. Never rejects. */
  async #refuse(error: HttpError, delayMs = this.context.limits.delayMs): Promise<void> {
    const { request, method, rest } = this.#incoming;
    this.context.observer.refused?.(this.connection, error, ...rest);
    this.#endWith(`by the server (error ${error.status})`);
    try {
      if (delayMs > 0) {
        this.restart();
        await this.flush();
        await this.#delay();
        if (this.closed) return;
      }
      const context = { method, minor: request?.minor ?? 1, close: true, date: this.context.date };
      this.#encodeResponse(this.#errorResponse(error), context);
      this.restart();
      await this.flush();
      await this.finish();
    } catch (failure) {
      this.fail(failure);
      this.close();
    }
  }

  /** Sends content in pieces, and requests the next one once the client has read the previous one. */
  async #sendStream(request: RequestHead, pieces: AsyncIterator<string | Uint8Array>): Promise<void> {
    for (;;) {
      this.#awaitService();
      const isLast = await this.#encodePiece(request.minor, pieces);
      if (this.closed) return;
      await this.flush();
      if (isLast) return;
      await FAIR_TURNS.yieldIfBusy();
    }
  }

  /** Encodes the next piece, which this function alone keeps, so that it is not held while it is sent. */
  async #encodePiece(minor: number, pieces: AsyncIterator<string | Uint8Array>): Promise<boolean> {
    const { done = false, value } = await pieces.next();
    if (this.closed) return done;
    if (!done && !this.context.budget.fits(value)) this.cutOff(CLOSE_REASONS.memory);
    else {
      const octets = this.encodePiece(minor, done ? undefined : value);
      this.context.observer.response?.(this.connection, octets, undefined);
      if (done) this.context.observer.answered?.(this.connection);
    }
    return done;
  }

  #endWith(reason: string): void {
    this.#ended = true;
    this.closeReason ??= reason;
  }

  protected override release(): void {
    this.#gone?.abort();
    if (!this.#ended && !this.#incoming.idle) {
      this.context.observer.abandoned?.(this.connection, ...this.#incoming.rest);
    }
    this.#incoming.finish();
  }
}

function piecesOf({ content }: HttpResponse): AsyncIterator<string | Uint8Array> | undefined {
  return isStream(content) ? content[Symbol.asyncIterator]() : undefined;
}
