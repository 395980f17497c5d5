/**
 * One client's connection: read, decode, have each request answered in order, write.
 *
 * All requests that one read brought are answered by one write. While an answer is being made or sent nothing more
 * is read, so a client that does not read its answers is not read from either, and memory does not grow.
 *
 * @module
 */

import { isDisconnect } from "./disconnect.ts";
import { FAIR_TURNS } from "../turns.ts";
import {
  type ContentStream,
  Decoder,
  Encoder,
  Fields,
  HttpError,
  type HttpResponse,
  isStream,
  listMembers,
  type RequestHead,
  type ResponseContext,
} from "../http_message.ts";
import { problemResponse } from "./problem.ts";
import { RequestContent } from "./request_content.ts";
import { CLOSED, peerOf, type ServerContext } from "./context.ts";

/** What a connection is waiting for, and so what its deadline is about. */
type Waiting = "a request" | "a head" | "content" | "the handler" | "the client to read" | "the client to close";

const NO_BYTES = new Uint8Array(0);

/** One connection, from its acceptance to its end. */
export class ServerConnection {
  readonly #id: number;
  readonly #conn: Deno.Conn;
  readonly #context: ServerContext;
  /** Holds what was read of a request that is not whole yet; `undefined` between requests. */
  #decoder: Decoder | undefined;
  #buffer: Uint8Array<ArrayBuffer>;
  /** Holds the answers that are not sent yet; `undefined` while there are none. */
  #encoder: Encoder | undefined;

  #waiting: Waiting = "a request";
  /** When the sweep ends the wait, in milliseconds. */
  #deadline: number;

  /** The request whose content is being read, or whose answer is being made. */
  #request: RequestHead | undefined;
  readonly #content = new RequestContent();
  #trailers = Fields.EMPTY;
  #awaitsContinue = false;

  /** Whether the last answer is encoded, or there will be none. */
  #ended = false;
  #peerDone = false;
  #writeClosed = false;
  #requests = 0;
  #closeReason: string | undefined;

  /** Takes over an accepted connection. */
  constructor(id: number, conn: Deno.Conn, context: ServerContext) {
    this.#id = id;
    this.#conn = conn;
    this.#context = context;
    this.#buffer = new Uint8Array(context.limits.minReadBytes);
    this.#deadline = context.clock + context.limits.idleTimeoutMs;
  }

  /** Serves the connection until it ends: reads, answers all that was read, and writes. Never rejects. */
  async serve(): Promise<void> {
    this.#context.observer.opened?.(this.#id, peerOf(this.#conn));
    try {
      // Every idle connection keeps this function's local values alive, so there are few.
      while (!this.#ended) {
        this.#awaitBytes();
        const count = await this.#conn.read(this.#buffer);
        // A timeout may have refused the request meanwhile.
        if (this.#ended) break;
        this.#receive(count);
        const slow = this.#answerRequests() ?? this.#turnDue();
        if (slow !== undefined) await slow;
        if (this.#encoder === undefined) continue;
        this.#awaitReader();
        const sent = await this.#conn.write(this.#encoder.bytes());
        if (sent < this.#encoder.length) await this.#flush(sent);
        else this.#releaseEncoder();
      }
      await this.#linger();
    } catch (error) {
      this.#noteFailure(error);
    }
    this.#close();
    this.#context.observer.closed?.(this.#id, this.#closeReason ?? CLOSED.byClient, this.#requests);
    this.#context.ended(this);
  }

  /** Answers with an error, whatever the client wants, and ends the connection. Never rejects. */
  async refuse(error: HttpError): Promise<void> {
    try {
      this.#encodeRefusal(error);
      await this.#flush();
      await this.#linger();
    } catch (error) {
      this.#noteFailure(error);
    }
    this.#close();
    this.#context.ended(this);
  }

  /** Ends a wait whose deadline has passed. */
  sweep(): void {
    if (this.#context.clock < this.#deadline) return;
    this.#deadline = Infinity;
    switch (this.#waiting) {
      case "a head":
      case "content":
        return this.#timeOut(this.#waiting);
      case "a request":
        this.#closeReason = this.#context.stopping ? CLOSED.stopping : CLOSED.idle;
        break;
      case "the client to read":
        this.#closeReason = CLOSED.unread;
    }
    this.#close();
  }

  /** Lets the connection end soon if it has no request; one that has ends with its answer. */
  stop(): void {
    const { clock, limits } = this.#context;
    if (this.#waiting === "a request") this.#deadline = Math.min(this.#deadline, clock + limits.shutdownIdleMs);
  }

  /** Ends the connection now, whatever it is doing. */
  abort(): void {
    this.#closeReason ??= CLOSED.stopping;
    this.#ended = true;
    this.#close();
  }

  #noteFailure(error: unknown): void {
    if (isDisconnect(error)) this.#closeReason ??= CLOSED.lost;
    else {
      this.#closeReason ??= CLOSED.defect;
      this.#context.observer.failed?.(error);
    }
  }

  #wait(what: Waiting, deadline: number): void {
    this.#waiting = what;
    this.#deadline = deadline;
  }

  /** Sets the deadline for the next bytes. That of a head or of content runs from where they began. */
  #awaitBytes(): void {
    const { clock, limits, stopping } = this.#context;
    if (this.#request !== undefined) {
      if (this.#waiting !== "content") this.#wait("content", clock + limits.contentTimeoutMs);
    } else if (this.#decoder?.idle === false) {
      if (this.#waiting !== "a head") this.#wait("a head", clock + limits.headTimeoutMs);
    } else this.#wait("a request", clock + (stopping ? limits.shutdownIdleMs : limits.idleTimeoutMs));
  }

  #receive(count: number | null): void {
    if (count === null) {
      this.#peerDone = true;
      this.#takeDecoder().close();
      return;
    }
    const { minReadBytes, maxReadBytes, minContentBytesPerSecond } = this.#context.limits;
    if (this.#waiting === "content") this.#deadline += count * 1000 / minContentBytesPerSecond;
    const size = this.#buffer.length;
    this.#takeDecoder().receive(this.#buffer, count);
    // The buffer that was filled stays the decoder's until all in it is answered; the next read has a larger one.
    if (count === size && size < maxReadBytes) this.#buffer = new Uint8Array(Math.min(4 * size, maxReadBytes));
    else if (count < size / 16 && size > minReadBytes) this.#buffer = new Uint8Array(minReadBytes);
  }

  /** The event loop's turn that a client which sends much has to wait for now and then. */
  #turnDue(): Promise<void> | undefined {
    return this.#buffer.length > this.#context.limits.minReadBytes ? FAIR_TURNS.yieldIfBusy() : undefined;
  }

  #takeDecoder(): Decoder {
    const { decoders, messageLimits } = this.#context;
    return this.#decoder ??= decoders.pop() ?? new Decoder("request", messageLimits);
  }

  #releaseDecoder(): void {
    const { decoders, limits } = this.#context;
    this.#decoder!.letGo();
    if (decoders.length < limits.maxSpareCodecs) decoders.push(this.#decoder!);
    this.#decoder = undefined;
  }

  /** Decodes on until a request is complete. Returns false if more bytes are needed, or there will be no more. */
  #nextRequest(): boolean {
    if (this.#ended) return false;
    const decoder = this.#decoder!;
    try {
      for (;;) {
        const event = decoder.next();
        if (event === undefined) {
          if (decoder.reusable) this.#releaseDecoder();
          else if (this.#awaitsContinue) this.#encodeContinue();
          return false;
        }
        switch (event.kind) {
          case "request":
            this.#begin(event);
            break;
          case "content":
            // The client did not wait to be asked for it (RFC 9110 §10.1.1).
            this.#awaitsContinue = false;
            this.#content.add(event.bytes, this.#request!.contentLength);
            break;
          case "end":
            this.#awaitsContinue = false;
            this.#trailers = event.trailers;
            return true;
          case "closed":
            this.#ended = true;
            return false;
        }
      }
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      this.#encodeRefusal(error);
      return false;
    }
  }

  #begin(request: RequestHead): void {
    this.#request = request;
    const expectation = request.fields.get("expect");
    // An HTTP/1.0 client knows no 100, so its expectation is ignored (RFC 9110 §10.1.1).
    if (expectation === undefined || request.minor === 0) return;
    const expectations = listMembers(expectation.toLowerCase());
    const unknown = expectations.find((member) => member !== "100-continue");
    if (unknown !== undefined) {
      throw new HttpError(417, `The only expectation known is 100-continue, saw ${unknown}`, {
        rule: "RFC 9110 §10.1.1",
      });
    }
    this.#context.screen?.(request);
    this.#awaitsContinue = expectations.length > 0 && request.contentLength !== 0;
  }

  // Answering

  /** Answers every request that was read whole. Returns a promise only if a handler or a client takes its time. */
  #answerRequests(): Promise<void> | undefined {
    while (this.#nextRequest()) {
      const request = this.#request!;
      const response = this.#answer(request);
      if (response instanceof Promise || isStream(response.content)) return this.#answerSlowly(request, response);
      this.#encode(request, response);
      if (this.#mustPause()) return this.#flushAndGoOn();
    }
  }

  /** Whether what is answered must be sent, and others be served, before more is answered. */
  #mustPause(): boolean {
    if (this.#encoder!.length > this.#context.limits.maxGatheredBytes) return true;
    return !this.#decoder!.idle && FAIR_TURNS.yieldIfBusy() !== undefined;
  }

  async #answerSlowly(request: RequestHead, response: HttpResponse | Promise<HttpResponse>): Promise<void> {
    if (this.#encoder !== undefined) {
      // What is ready does not wait for what is not. The response itself is awaited below.
      if (response instanceof Promise) response.catch(() => {});
      await this.#flush();
    }
    this.#wait("the handler", Infinity);
    let ready: HttpResponse;
    try {
      ready = await response;
    } catch (error) {
      ready = this.#failure(error);
    }
    const remains = this.#encode(request, ready);
    if (isStream(ready.content)) await this.#sendStream(request, ready.content, remains);
    if (!this.#decoder!.idle) await FAIR_TURNS.yieldIfBusy();
    const slow = this.#answerRequests();
    if (slow !== undefined) await slow;
  }

  async #flushAndGoOn(): Promise<void> {
    await this.#flush();
    await FAIR_TURNS.yieldIfBusy();
    await this.#answerRequests();
  }

  #answer(request: RequestHead): HttpResponse | Promise<HttpResponse> {
    const content = this.#content.take();
    this.#requests++;
    this.#context.observer.request?.(this.#id, request, content, this.#trailers);
    try {
      return this.#context.handler(request, content);
    } catch (error) {
      return this.#failure(error);
    }
  }

  #failure(error: unknown): HttpResponse {
    if (error instanceof HttpError) return problemResponse(error);
    this.#context.observer.failed?.(error);
    return problemResponse(new HttpError(500, "The server failed to answer this request: internal error"));
  }

  /** Encodes the answer to the request, which is done then. Returns whether a stream remains to be sent. */
  #encode(request: RequestHead, response: HttpResponse): boolean {
    this.#request = undefined;
    const streams = isStream(response.content);
    // When the server stops, the last request that was read is the last to be answered.
    const stops = this.#context.stopping && this.#decoder!.idle;
    const close = !request.persistent || stops || streams && request.minor === 0;
    const { method, minor } = request;
    const remains = this.#encodeResponse(response, { method, minor, close, date: this.#context.date });
    if (close) this.#end(stops ? CLOSED.stopping : CLOSED.finished);
    return remains;
  }

  #encodeResponse(response: HttpResponse, context: ResponseContext): boolean {
    const encoder = this.#takeEncoder();
    const from = encoder.length;
    const remains = encoder.response(response, context);
    this.#context.observer.response?.(this.#id, encoder.bytes(from), false);
    return remains;
  }

  /** Encodes the one answer to a message that broke a rule, after which nothing is read as a request any more. */
  #encodeRefusal(error: HttpError): void {
    const request = this.#request;
    this.#context.observer.refused?.(this.#id, error, request?.text ?? "", this.#decoder?.unread ?? NO_BYTES);
    const { date, refusal } = this.#context;
    const method = request?.method ?? this.#decoder?.method ?? "";
    const context = { method, minor: request?.minor ?? 1, close: true, date };
    this.#encodeResponse(refusal(problemResponse(error)), context);
    this.#end(`by the server (error ${error.status})`);
  }

  #encodeContinue(): void {
    this.#awaitsContinue = false;
    const encoder = this.#takeEncoder();
    const from = encoder.length;
    encoder.continue();
    this.#context.observer.response?.(this.#id, encoder.bytes(from), false);
  }

  #end(reason: string): void {
    this.#ended = true;
    this.#closeReason ??= reason;
  }

  /** Refuses a request that takes too long. The read that waits for it goes on, and what it brings is ignored. */
  #timeOut(what: "a head" | "content"): void {
    const { headTimeoutMs, contentTimeoutMs } = this.#context.limits;
    const seconds = (what === "a head" ? headTimeoutMs : contentTimeoutMs) / 1000;
    const detail = `The request's ${what === "a head" ? "head" : "content"} was not complete after ${seconds} seconds`;
    this.#encodeRefusal(new HttpError(408, detail, { rule: "RFC 9110 §15.5.9" }));
    this.#flush().then(() => this.#closeWrite()).catch(() => this.#close());
  }

  #takeEncoder(): Encoder {
    return this.#encoder ??= this.#context.encoders.pop() ?? new Encoder();
  }

  #releaseEncoder(): void {
    if (this.#encoder === undefined) return;
    const { encoders, limits } = this.#context;
    this.#encoder.clear();
    if (encoders.length < limits.maxSpareCodecs) encoders.push(this.#encoder);
    this.#encoder = undefined;
  }

  /** Each part that the client takes gives it more time for the next. */
  #awaitReader(patienceMs = Infinity): void {
    const { clock, limits } = this.#context;
    this.#wait("the client to read", clock + Math.min(limits.sendTimeoutMs, patienceMs));
  }

  /** Sends all that is encoded, but for what is sent already. */
  async #flush(sent = 0, patienceMs = Infinity): Promise<void> {
    const bytes = this.#encoder!.bytes();
    while (sent < bytes.length) {
      this.#awaitReader(patienceMs);
      sent += await this.#conn.write(bytes.subarray(sent));
    }
    this.#releaseEncoder();
  }

  /** Sends content piece by piece, asking for the next one when the client has taken the one before. */
  async #sendStream(request: RequestHead, content: ContentStream, remains: boolean): Promise<void> {
    const { limits } = this.#context;
    const pieces = content[Symbol.asyncIterator]();
    // A stream keeps its source as it was, so a client may not take it as slowly as it likes.
    let patienceMs = limits.sendTimeoutMs;
    try {
      // If the head is the whole response, as for HEAD, the stream must be ended all the same.
      while (remains) {
        this.#wait("the handler", Infinity);
        const { done, value } = await pieces.next();
        const encoder = this.#takeEncoder();
        const from = encoder.length;
        if (request.minor === 0) encoder.content(done ? NO_BYTES : value);
        else if (done) encoder.lastChunk();
        else encoder.chunk(value);
        this.#context.observer.response?.(this.#id, encoder.bytes(from), true);
        patienceMs += (encoder.length - from) * 1000 / limits.minStreamBytesPerSecond;
        const start = this.#context.clock;
        await this.#flush(0, patienceMs);
        patienceMs -= this.#context.clock - start;
        if (done) break;
        await FAIR_TURNS.yieldIfBusy();
      }
    } finally {
      await pieces.return?.();
    }
  }

  // Ending

  /**
   * Sends FIN and reads on for a while: closing with bytes unread would reset the connection,
   * and that can destroy the last answer before the client has read it (RFC 9112 §9.6).
   */
  async #linger(): Promise<void> {
    if (this.#peerDone) return;
    await this.#closeWrite();
    while (await this.#conn.read(this.#buffer) !== null) await FAIR_TURNS.yieldIfBusy();
  }

  async #closeWrite(): Promise<void> {
    if (this.#writeClosed) return;
    this.#writeClosed = true;
    this.#wait("the client to close", this.#context.clock + this.#context.limits.lingerMs);
    await this.#conn.closeWrite();
  }

  #close(): void {
    this.#releaseEncoder();
    try {
      this.#conn.close();
    } catch {
      // It is closed already.
    }
  }
}
