/**
 * Octets in, events out: the incremental decoder of HTTP/1.1 messages (RFC 9112), for both ends of a connection.
 *
 * It does no I/O. An event, "more octets are needed" and an error are three distinct results: an object, `undefined`,
 * and a thrown {@linkcode HttpError}, after which it stays failed: the end of a broken message is unknown.
 */

import { ByteBuffer, counted, NO_BYTES, octetString } from "../bytes.ts";
import { ChunkLine } from "./chunk_line.ts";
import { HttpError, isContentless, isInterim, leavesHttp, wireError } from "./error.ts";
import { Fields, FieldSection } from "./fields.ts";
import { CR } from "./grammar.ts";
import type { ConnectionEnd, HttpEvent, MessageEnd, MessageKind, RequestHead, ResponseHead } from "./message.ts";
import { type Framing, readFraming, readHost, readPersistence, refuseForbiddenTrailers } from "./framing.ts";
import { MORE, scanLineEnd } from "./scan.ts";
import { parseTarget, StartLine } from "./start_line.ts";
import type { MessageLimits } from "../limits.ts";

/** Reads on: returns an event, or `undefined` if more octets are needed. */
type Phase = () => HttpEvent | undefined;

/** Octets of the buffer converted to text in one call; more if a head is larger. */
const TEXT_BYTES = 2048;
const END: MessageEnd = { kind: "end", trailers: Fields.EMPTY };
const CLOSED: ConnectionEnd = { kind: "closed" };

/** Decodes the messages of one connection in order. */
export class Decoder {
  /** How many octets the last complete message had, with an empty line before it. */
  messageOctets = 0;
  readonly #startLine: StartLine;
  readonly #section: FieldSection;
  /** The lines before the chunks of the message, if it has chunks. */
  #chunkLine: ChunkLine | undefined;

  /** The method that reads what comes next. They follow one another as the parts of a message do. */
  #phase: Phase = this.#start;
  #failure: HttpError | undefined;
  #peerDone = false;

  /** The octets received last, or a copy of the unread ones. */
  #buffer: Uint8Array = NO_BYTES;
  /** Index of the first octet not consumed. */
  #at = 0;
  #end = 0;
  /** The copy: octets that are received later are appended to it. */
  readonly #copy = new ByteBuffer(0);
  /** A part of the buffer as text, one character per octet. Pipelined heads are converted in one call. */
  #text = "";
  #textStart = 0;
  /** Index of the message's first octet; negative once it has left the buffer. */
  #messageStart = 0;

  #skippedEmptyLine = false;
  #persistent = true;
  /** Octets of content, or of the current chunk, still to come; `Infinity` if the content ends with the connection. */
  #remaining = 0;
  #answeredMethod = "";

  /** Creates a decoder of requests or of responses, within `limits`. */
  constructor(private readonly kind: MessageKind, private readonly limits: MessageLimits) {
    this.#section = new FieldSection(limits, kind === "response");
    this.#startLine = new StartLine(limits);
  }

  /** Whether no octet of another message has been received. An empty line before the message does not count. */
  get idle(): boolean {
    return this.#phase === this.#start && this.#at === this.#end;
  }

  /** Whether another connection can use this decoder. */
  get reusable(): boolean {
    return this.idle && !this.#skippedEmptyLine;
  }

  /** Releases the receive buffer. Call it only while {@linkcode idle}. */
  release(): void {
    this.#buffer = NO_BYTES;
    this.#copy.clear(0);
    this.#text = "";
    this.#messageStart = this.#at = this.#end = 0;
  }

  /** The method of the request whose head is being decoded; empty until the method is complete. */
  get method(): string {
    const isInHead = this.#isInHead && this.kind === "request";
    return isInHead ? this.#octets(this.#at, this.#at + this.#startLine.firstEnd) : "";
  }

  get #isInHead(): boolean {
    return this.#phase === this.#start || this.#phase === this.#head;
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
    if (this.#at < this.#end) {
      if (this.#at > 0 || this.#buffer !== this.#copy.bytes) this.#copyUnread();
      this.#copy.append(length === octets.length ? octets : octets.subarray(0, length));
      this.#buffer = this.#copy.bytes;
      this.#end = this.#copy.length;
      return;
    }
    this.#messageStart -= this.#end;
    this.#buffer = octets;
    this.#text = "";
    this.#at = 0;
    this.#end = length;
  }

  #copyUnread(): void {
    const { unread } = this;
    this.#copy.length = 0;
    this.#copy.append(unread);
    this.#buffer = this.#copy.bytes;
    this.#text = "";
    this.#messageStart -= this.#at;
    this.#at = 0;
    this.#end = this.#copy.length;
  }

  /** How many octets of content come next; `Infinity` if only the connection's end tells. */
  get contentLeft(): number {
    return this.#phase === this.#content ? this.#remaining : 0;
  }

  /** Passes over lost content. Returns whether its length was known, so that decoding goes on. */
  skip(octets: number): boolean {
    const isKnown = this.#phase === this.#content && this.#remaining < Infinity;
    if (!isKnown || this.#at < this.#end || octets > this.#remaining) return false;
    this.#pass(octets);
    return true;
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
      const event = this.#phase();
      if (event !== undefined) return event;
      if (this.#peerDone) return this.#ended();
      // The caller may change its octets after this call.
      if (this.#at < this.#end && this.#buffer !== this.#copy.bytes) this.#copyUnread();
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

  /** The input has ended in this phase. */
  #ended(): HttpEvent {
    if (this.#phase === this.#content && this.#remaining === Infinity) return this.#finish();
    if (this.idle) {
      this.#phase = this.#closed;
      return CLOSED;
    }
    const more = this.#remaining === 1 ? "1 more octet was" : `${this.#remaining} more octets were`;
    const missing = this.#phase === this.#content && this.#chunkLine === undefined ? `: ${more} announced` : "";
    const detail = `The connection ended in the middle of the ${this.#isInHead ? "head" : "content"}${missing}`;
    throw wireError("cut-off", this.#end, detail);
  }

  /** Reads a start line, after at most one empty line before a request (RFC 9112 §2.2). */
  #start(): HttpEvent | undefined {
    if (this.#at === this.#end) return undefined;
    if (this.kind === "request" && !this.#skippedEmptyLine && this.#buffer[this.#at] === CR) {
      const lineEnd = scanLineEnd(this.#buffer, this.#at, this.#end, "an empty line", "no-line-end");
      if (lineEnd === MORE) return undefined;
      this.#at = lineEnd;
      this.#skippedEmptyLine = true;
    }
    const lineEnd = this.#startLine.scan(this.kind, this.#buffer, this.#at, this.#end);
    if (lineEnd === MORE) return undefined;
    this.#section.reset(lineEnd - this.#at);
    this.#phase = this.#head;
    return this.#head();
  }

  /** Reads the field lines after a start line, and what both say. */
  #head(): HttpEvent | undefined {
    const end = this.#section.scan(this.#buffer, this.#at, this.#end);
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
    if (framing === "chunked") {
      this.#chunkLine = new ChunkLine(this.limits);
      this.#phase = this.#nextChunk;
      return undefined;
    }
    this.#chunkLine = undefined;
    this.#remaining = framing ?? Infinity;
    this.#phase = framing === 0 ? this.#finish : this.#content;
    if (framing !== undefined && framing > this.limits.maxContentBytes) {
      this.#refuseContent(this.#at + fields.valueOffset("content-length"));
    }
    return framing;
  }

  /** Reads a piece of the content, or of a chunk of it. */
  #content(): HttpEvent | undefined {
    const length = Math.min(this.#end - this.#at, this.#remaining);
    if (length === 0) return undefined;
    const bytes = this.#buffer.subarray(this.#at, this.#at + length);
    this.#at += length;
    this.#pass(length);
    return { kind: "content", bytes };
  }

  /** Counts octets of content, or of a chunk, and leaves its phase after the last one. */
  #pass(octets: number): void {
    this.#remaining -= octets;
    if (this.#remaining === 0) this.#phase = this.#chunkLine === undefined ? this.#finish : this.#chunkEnd;
  }

  /** Reads the line end after a chunk. */
  #chunkEnd(): HttpEvent | undefined {
    const before = "the chunk's content";
    const lineEnd = scanLineEnd(this.#buffer, this.#at, this.#end, before, "chunk-end", "chunk-bare-lf");
    if (lineEnd === MORE) return undefined;
    this.#at = lineEnd;
    this.#phase = this.#nextChunk;
    return this.#nextChunk();
  }

  /** Reads a chunk's size, then its content or, after the last one, the trailers. */
  #nextChunk(): HttpEvent | undefined {
    const chunk = this.#chunkLine!;
    const lineEnd = chunk.scan(this.#buffer, this.#at, this.#end);
    if (lineEnd === MORE) return undefined;
    if (chunk.total > this.limits.maxContentBytes) this.#refuseContent(this.#at);
    this.#at = lineEnd;
    this.#remaining = chunk.size;
    this.#phase = chunk.size > 0 ? this.#content : this.#trailers;
    if (chunk.size === 0) this.#section.reset();
    return this.#phase();
  }

  #trailers(): HttpEvent | undefined {
    const end = this.#section.scan(this.#buffer, this.#at, this.#end);
    if (end === MORE) return undefined;
    const trailers = this.#section.isEmpty ? Fields.EMPTY : this.#section.fields(this.#octets(this.#at, end));
    refuseForbiddenTrailers(trailers, this.#at);
    this.#at = end;
    return this.#finish(trailers);
  }

  /** Ends the message. */
  #finish(trailers?: Fields): MessageEnd {
    this.#phase = this.#persistent ? this.#start : this.#closed;
    this.messageOctets = this.#at - this.#messageStart;
    this.#messageStart = this.#at;
    this.#skippedEmptyLine = false;
    this.#startLine.firstEnd = 0;
    return trailers === undefined ? END : { kind: "end", trailers };
  }

  /** Ignores all that comes: nothing more is read on this connection. */
  #closed(): ConnectionEnd {
    this.#at = this.#end;
    return CLOSED;
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
    throw wireError(
      "content-too-long",
      offset,
      `The content is longer than ${counted(this.limits.maxContentBytes, "octet")}`,
    );
  }
}
