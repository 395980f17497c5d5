/**
 * Octets in, events out: the incremental decoder of HTTP/1.1 messages (RFC 9112), for both ends of a connection.
 *
 * It does no I/O. An event, "more octets are needed" and an error are three distinct results: an object, `undefined`,
 * and a thrown {@linkcode HttpError}, after which it stays failed: the end of a broken message is unknown.
 */

import { NO_BYTES, octetString } from "../bytes.ts";
import { ChunkLine } from "./chunk_line.ts";
import { HttpError, isContentless, isInterim, leavesHttp, wireError } from "./error.ts";
import { Fields, FieldSection, type SectionLimits } from "./fields.ts";
import { CR } from "./grammar.ts";
import type { ConnectionEnd, HttpEvent, MessageEnd, MessageKind, RequestHead, ResponseHead } from "./message.ts";
import { type Framing, readFraming, readHost, readPersistence, refuseForbiddenTrailers } from "./framing.ts";
import { MORE, scanLineEnd } from "./scan.ts";
import { parseTarget, StartLine } from "./start_line.ts";
import type { MessageLimits } from "../limits.ts";

type Phase =
  | "start" // a start line, after at most one empty line
  | "head" // the field lines of a head whose start line was read
  | "content" // content whose length is known
  | "chunk-line" // a chunk's size
  | "chunk" // its content
  | "chunk-end" // the line end after it
  | "trailers" // the trailer section
  | "until-closed" // content that ends with the connection
  | "end" // nothing; the event that ends the message comes next
  | "closed"; // nothing more on this connection; further input is ignored

/** Octets of the buffer converted to text in one call; more if a head is larger. */
const TEXT_BYTES = 2048;
const END: MessageEnd = { kind: "end", trailers: Fields.EMPTY };
const CLOSED: ConnectionEnd = { kind: "closed" };

/** Decodes the messages of one connection in order. */
export class Decoder {
  /** How many octets the last complete message had, with an empty line before it. */
  messageOctets = 0;
  readonly #headerLimits: SectionLimits;
  readonly #trailerLimits: SectionLimits;
  readonly #startLine: StartLine;
  readonly #section: FieldSection;
  /** The lines before the chunks of the message, if it has chunks. */
  #chunkLine: ChunkLine | undefined;

  #phase: Phase = "start";
  #failure: HttpError | undefined;
  #peerDone = false;

  /** The octets received last, or a copy of them appended to the unread ones. */
  #buffer: Uint8Array = NO_BYTES;
  /** Index of the first octet not consumed. */
  #at = 0;
  #end = 0;
  #bufferIsOwn = false;
  /** A part of the buffer as text, one character per octet. Pipelined heads are converted in one call. */
  #text = "";
  #textStart = 0;
  /** Index of the message's first octet; negative once it has left the buffer. */
  #messageStart = 0;

  #skippedEmptyLine = false;
  #persistent = true;
  /** Octets of content, or of the current chunk, still to come. */
  #remaining = 0;
  #answeredMethod = "";

  /** Creates a decoder of requests or of responses, within `limits`. */
  constructor(private readonly kind: MessageKind, private readonly limits: MessageLimits) {
    this.#headerLimits = { maxBytes: limits.maxHeadBytes, maxLines: limits.maxFieldLines, name: "header section" };
    this.#trailerLimits = { ...this.#headerLimits, maxBytes: limits.maxTrailerBytes, name: "trailer section" };
    this.#section = new FieldSection(kind === "response");
    this.#startLine = new StartLine(limits);
  }

  /** Whether no octet of another message has been received. An empty line before the message does not count. */
  get idle(): boolean {
    return this.#phase === "start" && this.#at === this.#end;
  }

  /** Whether another connection can use this decoder. */
  get reusable(): boolean {
    return this.idle && !this.#skippedEmptyLine;
  }

  /** Releases the receive buffer. Call it only while {@linkcode idle}. */
  release(): void {
    this.#buffer = NO_BYTES;
    this.#bufferIsOwn = false;
    this.#text = "";
    this.#messageStart = this.#at = this.#end = 0;
  }

  /** The method of the request whose head is being decoded; empty until the method is complete. */
  get method(): string {
    const inHead = this.#phase === "start" || this.#phase === "head";
    return inHead && this.kind === "request" ? this.#octets(this.#at, this.#at + this.#startLine.firstEnd) : "";
  }

  /** The octets received but not decoded; after an error, from where decoding stopped. */
  get unread(): Uint8Array {
    return this.#buffer.subarray(this.#at, this.#end);
  }

  /** How many octets of the current message were decoded: the offset at which {@linkcode unread} starts. */
  get consumed(): number {
    return this.#at - this.#messageStart;
  }

  /**
   * Sets the method of the request that the next response answers: a response to HEAD has no content, nor has a 2xx to
   * CONNECT, after which the connection is a tunnel: no more is decoded (RFC 9112 §6.3).
   */
  expectResponseTo(method: string): void {
    this.#answeredMethod = method;
  }

  /** Receives the first `length` of the octets. They must stay unchanged until {@linkcode next} returns `undefined`. */
  receive(octets: Uint8Array, length: number = octets.length): void {
    if (this.#at < this.#end) return this.#append(octets, length);
    this.#messageStart -= this.#end;
    this.#buffer = octets;
    this.#bufferIsOwn = false;
    this.#text = "";
    this.#at = 0;
    this.#end = length;
  }

  #append(octets: Uint8Array, length: number): void {
    const left = this.#end - this.#at;
    if (!this.#bufferIsOwn || this.#end + length > this.#buffer.length) this.#moveLeftover(left + length);
    this.#buffer.set(length === octets.length ? octets : octets.subarray(0, length), this.#end);
    this.#end += length;
  }

  /** How many octets of content come next; `Infinity` if only the connection's end tells. */
  get contentLeft(): number {
    if (this.#phase === "until-closed") return Infinity;
    return this.#phase === "content" || this.#phase === "chunk" ? this.#remaining : 0;
  }

  /** Passes over lost content. Returns whether its length was known, so that decoding goes on. */
  skip(octets: number): boolean {
    const isKnown = this.#phase === "content" || this.#phase === "chunk";
    if (!isKnown || this.#at < this.#end || octets > this.#remaining) return false;
    this.#pass(octets);
    return true;
  }

  /** Counts octets of content, or of a chunk, and leaves its phase after the last one. */
  #pass(octets: number): void {
    this.#remaining -= octets;
    if (this.#remaining === 0) this.#phase = this.#phase === "content" ? "end" : "chunk-end";
  }

  /** Marks the end of input: the peer has closed its side. */
  close(): void {
    this.#peerDone = true;
  }

  /**
   * Returns the next event, or `undefined` if more octets are needed. Throws an {@linkcode HttpError} with the status to
   * answer (502 for a response), the rule, and the offset from the message's first octet; each later call does, too.
   */
  next(): HttpEvent | undefined {
    if (this.#failure) throw this.#failure;
    try {
      return this.#step() ?? (this.#peerDone ? this.#ended() : this.#keepLeftover());
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      // For a client, an invalid response is a 502 (RFC 9110 §15.6.3), whatever the status for a request would be.
      const status = this.kind === "request" ? error.status : 502;
      const { fault, rule, seen } = error;
      const offset = (error.offset ?? this.#at) - this.#messageStart;
      this.#failure = new HttpError(status, error.message, { fault, rule, seen, offset });
      throw this.#failure;
    }
  }

  #step(): HttpEvent | undefined {
    switch (this.#phase) {
      case "start":
        return this.#at < this.#end && this.#scanStartLine() ? this.#head() : undefined;
      case "head":
        return this.#head();
      case "content":
      case "chunk":
      case "until-closed":
        return this.#content();
      case "chunk-end":
      case "chunk-line":
        return this.#nextChunk();
      case "trailers":
        return this.#trailers();
      case "end":
        return this.#finish(END);
      case "closed":
        this.#at = this.#end;
        return CLOSED;
    }
  }

  /** Copies the unread octets, because the caller may change its buffer after this call. */
  #keepLeftover(): undefined {
    if (this.#at < this.#end && !this.#bufferIsOwn) this.#moveLeftover(this.#end - this.#at);
  }

  /** Moves the unread octets into a buffer of twice `size` octets. */
  #moveLeftover(size: number): void {
    const leftover = this.#buffer.subarray(this.#at, this.#end);
    this.#buffer = new Uint8Array(Math.max(512, 2 * size));
    this.#buffer.set(leftover);
    this.#text = "";
    this.#bufferIsOwn = true;
    this.#messageStart -= this.#at;
    this.#at = 0;
    this.#end = leftover.length;
  }

  #ended(): HttpEvent {
    if (this.#phase === "until-closed") return this.#finish(END);
    if (this.#phase === "start" && this.#at === this.#end) {
      this.#phase = "closed";
      return CLOSED;
    }
    const inHead = this.#phase === "start" || this.#phase === "head";
    const more = this.#remaining === 1 ? "1 more octet was" : `${this.#remaining} more octets were`;
    const missing = this.#phase === "content" ? `: ${more} announced` : "";
    const detail = `The connection ended in the middle of the ${inHead ? "head" : "content"}${missing}`;
    throw wireError("cut-off", this.#end, detail);
  }

  #finish(end: MessageEnd): MessageEnd {
    this.#phase = this.#persistent ? "start" : "closed";
    this.messageOctets = this.#at - this.#messageStart;
    this.#messageStart = this.#at;
    this.#skippedEmptyLine = false;
    return end;
  }

  #scanStartLine(): boolean {
    if (this.kind === "request" && !this.#skippedEmptyLine && this.#buffer[this.#at] === CR) {
      // One empty line before a request is allowed (RFC 9112 §2.2).
      const lineEnd = scanLineEnd(this.#buffer, this.#at, this.#end, "an empty line", "no-line-end");
      if (lineEnd === MORE) return false;
      this.#at = lineEnd;
      this.#skippedEmptyLine = true;
    }
    const lineEnd = this.#startLine.scan(this.kind, this.#buffer, this.#at, this.#end);
    if (lineEnd === MORE) return false;
    this.#section.reset(lineEnd - this.#at);
    this.#phase = "head";
    return true;
  }

  #head(): RequestHead | ResponseHead | undefined {
    const end = this.#section.scan(this.#buffer, this.#at, this.#end, this.#headerLimits);
    if (end === MORE) return undefined;
    const text = this.#octets(this.#at, end);
    const fields = this.#section.fields(text);
    const head = this.kind === "request" ? this.#requestHead(text, fields) : this.#responseHead(text, fields);
    this.#at = end;
    return head;
  }

  #requestHead(text: string, fields: Fields): RequestHead {
    const { firstEnd, secondEnd, minor } = this.#startLine;
    const method = text.substring(0, firstEnd);
    const target = text.substring(firstEnd + 1, secondEnd);
    const { authority: named, path, query } = parseTarget(method, target, this.#at + firstEnd + 1);
    const host = readHost(fields, minor, this.#at);
    const authority = named ?? host;
    // A request without Content-Length and Transfer-Encoding has no content (RFC 9112 §6.3).
    const framing = readFraming(fields, minor, this.#at) ?? 0;
    const persistent = this.#persistent = readPersistence(fields, minor);
    const contentLength = this.#expectContent(framing, fields);
    return { kind: "request", text, method, target, authority, path, query, minor, fields, persistent, contentLength };
  }

  #responseHead(text: string, fields: Fields): ResponseHead {
    const { firstEnd, secondEnd, minor } = this.#startLine;
    const status = Number(text.substring(firstEnd + 1, firstEnd + 4));
    const reason = text.substring(secondEnd, text.indexOf("\r", secondEnd));
    const interim = isInterim(status);
    // The framing fields of a response that opens a tunnel are ignored, not judged (RFC 9112 §6.3).
    const tunnel = !interim && leavesHttp(status, this.#answeredMethod);
    let framing = tunnel ? 0 : readFraming(fields, minor, this.#at);
    // These never have content, whatever their fields say (RFC 9112 §6.3).
    if (isContentless(status) || this.#answeredMethod === "HEAD") framing = 0;
    this.#persistent = framing !== undefined && !tunnel && (interim || readPersistence(fields, minor));
    const contentLength = this.#expectContent(framing, fields);
    return { kind: "response", text, status, reason, minor, fields, persistent: this.#persistent, contentLength };
  }

  /** Enters the phase that reads the content; `undefined` means that it ends with the connection. */
  #expectContent(framing: Framing | undefined, fields: Fields): number | undefined {
    if (framing === undefined) this.#phase = "until-closed";
    else if (framing === "chunked") {
      this.#phase = "chunk-line";
      this.#chunkLine = new ChunkLine(this.limits);
    } else {
      if (framing > this.limits.maxContentBytes) this.#refuseContent(this.#at + fields.valueOffset("content-length"));
      this.#phase = framing === 0 ? "end" : "content";
      this.#remaining = framing;
      return framing;
    }
  }

  #content(): HttpEvent | undefined {
    const available = this.#end - this.#at;
    if (available === 0) return undefined;
    const length = this.#phase === "until-closed" ? available : Math.min(available, this.#remaining);
    const bytes = this.#buffer.subarray(this.#at, this.#at + length);
    this.#at += length;
    this.#pass(length);
    return { kind: "content", bytes };
  }

  /** Reads the line end after a chunk and the next chunk line, then content or trailers. */
  #nextChunk(): HttpEvent | undefined {
    if (this.#phase === "chunk-end") {
      const before = "the chunk's content";
      const lineEnd = scanLineEnd(this.#buffer, this.#at, this.#end, before, "chunk-end", "chunk-bare-lf");
      if (lineEnd === MORE) return undefined;
      this.#at = lineEnd;
      this.#phase = "chunk-line";
    }
    const chunk = this.#chunkLine!;
    const lineEnd = chunk.scan(this.#buffer, this.#at, this.#end);
    if (lineEnd === MORE) return undefined;
    this.#remaining = chunk.size;
    if (chunk.total > this.limits.maxContentBytes) this.#refuseContent(this.#at);
    this.#at = lineEnd;
    if (this.#remaining > 0) {
      this.#phase = "chunk";
      return this.#content();
    }
    this.#phase = "trailers";
    this.#section.reset(0);
    return this.#trailers();
  }

  #trailers(): HttpEvent | undefined {
    const end = this.#section.scan(this.#buffer, this.#at, this.#end, this.#trailerLimits);
    if (end === MORE) return undefined;
    const trailers = this.#section.isEmpty ? Fields.EMPTY : this.#section.fields(this.#octets(this.#at, end));
    refuseForbiddenTrailers(trailers, this.#at);
    this.#at = end;
    return this.#finish({ kind: "end", trailers });
  }

  #octets(start: number, end: number): string {
    if (start < this.#textStart || end > this.#textStart + this.#text.length) {
      const textEnd = Math.max(end, Math.min(this.#end, start + TEXT_BYTES));
      this.#text = octetString(this.#buffer, start, textEnd);
      this.#textStart = start;
    }
    return this.#text.substring(start - this.#textStart, end - this.#textStart);
  }

  #refuseContent(offset: number): never {
    throw wireError("content-too-long", offset, `The content is longer than ${this.limits.maxContentBytes} octets`);
  }
}
