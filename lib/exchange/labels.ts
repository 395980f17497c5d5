/**
 * Labels the octets of one direction of a connection: rows that cover every octet exactly once.
 *
 * The decoder alone judges messages: labels listen to a pairing, and divide what the decoder has accepted. A fault is the
 * error it has thrown.
 *
 * @module
 */

import { counted, NO_BYTES, octetString } from "../bytes.ts";
import { acceptedIn, CAUSES, type HttpError, type RequestHead, type ResponseHead } from "../http_message.ts";
import { SHOWN_CHUNKS, SHOWN_CONTENT_BYTES, UNREAD_KEPT_BYTES } from "../limits.ts";
import type { Explanation, Fault, Finding, Kept, Row, RowKind } from "./explanation.ts";
import { KnownTags } from "./known_tags.ts";
import type { Direction, ExchangeEvent, Message, Stop } from "./messages.ts";
import { chunkLabel, HEAD_END, NO_TRAILERS, sectionRows, startLineRows, TRAILERS_END } from "./rows.ts";
import {
  chunkReadings,
  contentFindings,
  type MessageFacts,
  missingFindings,
  persistenceFindings,
  restartFindings,
  SECTION_FAULTS,
  twoReadings,
} from "./verdict.ts";

const LINE_END = "\r\n";
const SCREENFUL: Kept = { contentBytes: SHOWN_CONTENT_BYTES, chunks: SHOWN_CHUNKS };
/** What octets are that are not read as messages, why, and whether that is as it should be. */
const UNREAD: Readonly<Record<Stop, readonly [label: string, rule: string | undefined, isRight: boolean]>> = {
  "left HTTP": ["no longer HTTP: the connection speaks another protocol", "RFC 9110 §7.8", true],
  "connection ends": ["not read: the connection ends", "RFC 9112 §9.6", false],
  "held": ["not read: no answer has said what this is", undefined, true],
  "lost": ["not read: octets are missing before it, up to the next start line", undefined, true],
};

/**
 * Labels the octets of one direction, message by message.
 *
 * Memory is bounded: of long content only the first octets are kept, unless all are requested.
 */
export class Labels {
  readonly #direction: Direction;
  readonly #kept: Kept;
  readonly #tell: (explanation: Explanation) => void;

  /** The bytes received last, and the number of bytes received before them. */
  #piece: Uint8Array = NO_BYTES;
  #pieceStart = 0;
  #received = 0;
  /** Octets before those that have no row yet. */
  #carry = "";
  /** The number of octets that have rows. */
  #labelled = 0;
  /** Where what is labelled now starts: a message, or octets that are not read. */
  #start = 0;
  #message: Message | undefined;
  readonly #tags = new KnownTags();
  #stopped: Stop | undefined;
  #ended = false;

  #phase: "head" | "content" | "chunks" = "head";
  #rows: Row[] = [];
  #facts: MessageFacts | undefined;
  #inChunk = 0;
  /** Whether the empty last chunk has been received. */
  #lastChunk = false;
  #keptContent = 0;
  /** The row of chunks beyond those with rows of their own. */
  #summary: { start: number; end: number; octets: string } | undefined;

  /** Creates labels of one direction, whose listener receives each explanation once it is finished. */
  constructor(direction: Direction, kept: Kept = SCREENFUL, tell: (explanation: Explanation) => void) {
    this.#direction = direction;
    this.#kept = kept;
    this.#tell = tell;
  }

  /** How many octets are not explained yet. */
  get pending(): number {
    return this.#received - this.#start;
  }

  /** Whether more octets would change nothing but the number of those that are not read. */
  get needsNoMore(): boolean {
    return !this.#reads && this.#carry.length >= UNREAD_KEPT_BYTES;
  }

  /** Receives the octets that the pairing receives next. */
  lend(bytes: Uint8Array): void {
    this.#piece = bytes;
    this.#pieceStart = this.#received;
    this.#received += bytes.length;
  }

  /** Gives back the last octets that were received. */
  giveBack(count: number): void {
    this.#received -= count;
    this.#piece = this.#piece.subarray(0, this.#piece.length - count);
  }

  /**
   * Copies octets without a row, because the piece may change: all octets of a message, but only some that are not read.
   */
  keep(): void {
    const room = this.#reads ? Infinity : UNREAD_KEPT_BYTES - this.#carry.length;
    const from = Math.max(this.#labelled, this.#pieceStart) - this.#pieceStart;
    const end = Math.min(this.#piece.length, from + room);
    if (end > from) this.#carry += octetString(this.#piece, from, end);
    this.#piece = NO_BYTES;
    this.#pieceStart = this.#received;
  }

  /** Receives what the pairing tells of this direction. */
  tell(event: ExchangeEvent): void {
    if (this.#ended) return;
    switch (event.kind) {
      case "began":
        this.#message = event.message;
        break;
      case "head":
        this.#head(event.message, event.head, event.to);
        break;
      case "content":
        this.#content(event.bytes, event.to);
        break;
      case "ended":
        if (this.#phase === "chunks") this.#framing(this.#octets(event.message.to), true);
        this.#facts!.accepted.push(...acceptedIn({ kind: "end", trailers: event.trailers }));
        this.#finish("whole");
        break;
      case "cut":
        this.keep();
        this.#finishAll();
        if (this.#stopped !== "left HTTP") this.#stopped = "lost";
        break;
      case "lost":
        this.#facts!.lost += event.octets;
        this.#facts!.contentBytes += event.octets;
        this.#inChunk -= event.octets;
        break;
      case "stopped":
        this.#finishBroken(event.from);
        this.#stopped = event.why;
        break;
      case "resumed":
        this.#finishBroken(event.from);
        if (this.#stopped === "lost") this.#finishUnread("lost", event.from);
        this.#stopped = undefined;
        this.#carry = "";
        this.#piece = event.octets;
        this.#pieceStart = event.from;
    }
  }

  /** Explains what is incomplete. What the pairing tells afterwards is ignored. */
  end(): void {
    this.#finishAll();
    this.#ended = true;
  }

  #finishAll(): void {
    const isEmptyLine = this.pending === 2 && this.#carry === LINE_END && this.#direction === "request";
    const mayFollow = this.#message === undefined && this.#start > 0 && this.#stopped !== "left HTTP";
    if (isEmptyLine && mayFollow) this.#finishEmptyLine();
    else if (this.#stopped !== undefined) this.#finishUnread(this.#stopped);
    else if (this.#message?.state === "broken") this.#finishBroken(this.#received);
    else if (this.pending > 0) this.#finishIncomplete();
  }

  get #reads(): boolean {
    return this.#message?.state !== "broken" && this.#stopped === undefined;
  }

  /** Takes the octets without a row up to an offset; they get a row. */
  #octets(end: number): string {
    const from = Math.max(this.#labelled, this.#pieceStart) - this.#pieceStart;
    const octets = this.#carry + octetString(this.#piece, from, end - this.#pieceStart);
    this.#carry = "";
    this.#labelled = end;
    return octets;
  }

  #head(message: Message, head: RequestHead | ResponseHead, to: number): void {
    const start = this.#labelled - this.#start;
    this.#cutHead(this.#octets(to), start);
    const chunked = head.contentLength === undefined && head.fields.get("transfer-encoding") !== undefined;
    const { interim, exchange } = message;
    const holds = head.kind === "response" ? this.#tags.finding(exchange, head) : undefined;
    const facts = { head, interim, answers: exchange.method, chunked, chunks: 0, contentBytes: 0, lost: 0 };
    this.#facts = { ...facts, holds, accepted: acceptedIn(head) };
    this.#phase = chunked ? "chunks" : "content";
  }

  /** Divides the complete lines of a head, and an empty line before it. Returns the number of octets. */
  #cutHead(octets: string, start: number): number {
    let at = 0;
    if (octets.startsWith(LINE_END)) {
      this.#add("end", start, LINE_END, "an empty line before a request is ignored", "RFC 9112 §2.2");
      at = 2;
    }
    const lineEnd = octets.indexOf("\n", at) + 1;
    if (lineEnd === 0) return at;
    startLineRows(this.#rows, octets.substring(at, lineEnd), start + at, this.#direction === "request");
    return sectionRows(this.#rows, octets, lineEnd, start + lineEnd, HEAD_END);
  }

  #content(bytes: Uint8Array, at: number): void {
    const facts = this.#facts!;
    const start = at - bytes.length;
    if (start > this.#labelled) this.#framing(this.#octets(start), false);
    facts.contentBytes += bytes.length;
    this.#inChunk -= bytes.length;
    const offset = this.#labelled - this.#start;
    const end = at - this.#start;
    this.#carry = "";
    this.#labelled = at;
    if (this.#summary !== undefined) {
      this.#summary.end = end;
      return;
    }
    const last = this.#rows.at(-1)!;
    const room = this.#kept.contentBytes - this.#keptContent;
    const kept = room <= 0 ? "" : octetString(bytes, 0, Math.min(bytes.length, room));
    this.#keptContent += kept.length;
    if (last.kind === "content") {
      this.#rows[this.#rows.length - 1] = { ...last, end, octets: last.octets + kept };
      return;
    }
    const label = facts.chunked ? `content, from chunk ${facts.chunks}` : "content";
    this.#rows.push({ start: offset, end, kind: "content", octets: kept, label });
  }

  /** Whether the message has so many chunks that the rest share one row. */
  get #summarises(): boolean {
    return this.#facts !== undefined && this.#facts.chunks > this.#kept.chunks;
  }

  /**
   * Divides the framing of chunks: the line end after a chunk, the next chunk line, trailers. Returns the number of
   * octets.
   */
  #framing(octets: string, ended: boolean): number {
    const facts = this.#facts!;
    const start = this.#labelled - octets.length - this.#start;
    let at = 0;
    if (facts.chunks > 0 && this.#inChunk === 0 && octets.startsWith("\r\n")) {
      this.#addChunkRow(start, "\r\n");
      this.#inChunk = -1;
      at = 2;
    }
    const lineEnd = octets.indexOf("\n", at) + 1;
    if (lineEnd === 0) return at;
    const line = octets.substring(at, lineEnd);
    const size = parseInt(line, 16);
    if (size > 0) {
      facts.chunks++;
      this.#inChunk = size;
      this.#addChunkRow(start + at, line);
      return lineEnd;
    }
    this.#inChunk = -1;
    this.#lastChunk = true;
    this.#add("framing", start + at, line, chunkLabel(line, 0), "RFC 9112 §7.1");
    const endLabel = octets.startsWith("\r\n", lineEnd) ? NO_TRAILERS : TRAILERS_END;
    return ended || octets.length > lineEnd
      ? sectionRows(this.#rows, octets, lineEnd, start + lineEnd, endLabel)
      : lineEnd;
  }

  /** Adds a chunk line or chunk end, or extends the row of the rest. */
  #addChunkRow(start: number, octets: string): void {
    const end = start + octets.length;
    if (this.#summary !== undefined) this.#summary.end = end;
    else if (this.#summarises) this.#summary = { start, end, octets };
    else {
      const label = octets === "\r\n" ? "the chunk's end" : chunkLabel(octets, this.#facts!.chunks);
      this.#add("framing", start, octets, label);
    }
  }

  #endSummary(): void {
    if (this.#summary === undefined) return;
    const more = this.#facts!.chunks - this.#kept.chunks;
    const label = `${counted(more, "more chunk")}, with their content`;
    this.#rows.push({ ...this.#summary, kind: "framing", label });
    this.#summary = undefined;
  }

  #add(kind: RowKind, start: number, octets: string, label: string, rule?: string): void {
    this.#endSummary();
    if (octets !== "") this.#rows.push({ start, end: start + octets.length, kind, octets, label, rule });
  }

  /** Finishes a message whose rows are complete. */
  #finish(state: "whole" | "incomplete", findings: readonly Finding[] = [], fault?: Fault): void {
    this.#endSummary();
    const facts = this.#facts;
    const known = facts === undefined ? [] : [...contentFindings(facts, state), ...persistenceFindings(facts)];
    this.#push({
      kind: this.#direction,
      message: this.#message,
      findings: [...findings, ...restartFindings(this.#message), ...fault === undefined ? known : []],
      ...fault && { fault },
      state: fault === undefined ? state : "broken",
      contentBytes: facts?.contentBytes ?? 0,
    });
    this.#message = undefined;
    this.#facts = undefined;
    this.#phase = "head";
    this.#inChunk = 0;
    this.#lastChunk = false;
    this.#keptContent = 0;
  }

  #push(explanation: Omit<Explanation, "direction" | "start" | "length" | "rows">): void {
    const start = this.#start;
    const rows = this.#rows;
    this.#start = this.#labelled;
    this.#rows = [];
    this.#tell({ direction: this.#direction, start, length: this.#labelled - start, rows, ...explanation });
  }

  /** Finishes an incomplete message: its complete lines have rows, and the rest has one row. */
  #finishIncomplete(): void {
    const { rest, start } = this.#cutPending(this.#carry);
    this.#add(this.#phase === "head" ? "start" : "framing", start, rest, `the start of a line: more is to come`);
    this.#labelled = this.#received;
    this.#carry = "";
    const missing = missingFindings(this.#facts, this.#inChunk, this.#lastChunk);
    // Content that ends with the connection is complete at any octet.
    this.#finish(missing.length === 0 ? "whole" : "incomplete", missing);
  }

  /** Divides the complete lines of octets that the decoder holds until a section is complete. */
  #cutPending(octets: string): { rest: string; start: number } {
    const start = this.#labelled - this.#start;
    let cut = 0;
    if (this.#phase === "head") cut = this.#cutHead(octets, start);
    else if (this.#phase === "chunks") {
      this.#labelled += octets.length;
      cut = this.#framing(octets, true);
      this.#labelled -= octets.length;
    }
    return { rest: octets.substring(cut), start: start + cut };
  }

  /**
   * Finishes a broken message, if there is one: the accepted part, the line with the fault, and the octets after it up to
   * an offset, which are not read.
   */
  #finishBroken(end: number): void {
    const { error, exchange } = this.#message ?? {};
    if (error === undefined) return;
    const total = end - this.#labelled;
    const held = this.#carry.substring(0, total);
    const start = this.#labelled - this.#start;
    const caret = error.offset! - start;
    let read: number;
    if (SECTION_FAULTS.has(error.fault)) {
      read = this.#cutPending(held).start - start;
    } else {
      const lineStart = held.lastIndexOf("\n", caret - 1) + 1;
      const line = caret <= 0 ? 0 : lineStart;
      const before = this.#cutPending(held.substring(0, line));
      const lineEnd = held.indexOf("\n", Math.max(caret, 0)) + 1;
      read = lineEnd > 0 ? lineEnd : held.length;
      this.#add("broken", before.start, held.substring(before.start - start, read), "");
    }
    this.#labelled = end;
    this.#carry = "";
    if (total > read) {
      const label = `not read: see the fault of ${this.#direction} ${exchange!.number}`;
      this.#rows.push({ start: start + read, end: start + total, kind: "unread", octets: held.substring(read), label });
    }
    this.#finish("incomplete", [], this.#faultOf(error, held, start, total));
  }

  #faultOf(error: HttpError, held: string, start: number, total: number): Fault {
    const code = error.fault!;
    return {
      code,
      degree: CAUSES[code][this.#direction],
      status: error.status,
      detail: error.seen!,
      rule: error.rule,
      offset: error.offset!,
      fix: CAUSES[code].fix,
      readings: (this.#phase === "head" ? twoReadings : chunkReadings)(code, held, start, total),
    };
  }

  /** Finishes an empty line behind the last message, which is no message. */
  #finishEmptyLine(): void {
    this.#cutHead(this.#octets(this.#received), 0);
    this.#push({ kind: "unread", findings: [], state: "whole" });
  }

  #finishUnread(why: Stop, end = this.#received): void {
    const length = end - this.#start;
    if (length === 0) return;
    const [label, rule, isRight] = UNREAD[why];
    const octets = this.#octets(end).substring(0, length);
    this.#rows.push({ start: 0, end: length, kind: "unread", octets, label, rule });
    this.#carry = "";
    this.#push({ kind: "unread", findings: [], state: isRight ? "whole" : "broken" });
  }
}
