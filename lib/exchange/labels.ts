/**
 * Labels the octets of one direction of a connection: rows that cover every octet exactly once.
 *
 * The decoder alone judges messages: labels listen to a pairing, and divide what the decoder has accepted. A fault is the
 * error it has thrown.
 */

import { counted, NO_BYTES, octetString } from "../bytes.ts";
import { acceptedIn, CAUSES, type HttpError, SECTION_CAUSES } from "../http_message.ts";
import { SHOWN_CHUNKS, SHOWN_CONTENT_OCTETS, UNREAD_KEPT_OCTETS } from "../limits.ts";
import type { Explanation, Fault, Finding, Kept, OctetKind, OctetRow } from "./explanation.ts";
import type { Direction, ExchangeEvent, Message, Stop } from "./messages.ts";
import { chunkLabel, octetRow, sectionRow, startLineRows } from "./rows.ts";
import { factFindings, type Facts, heldFinding, missingFindings, readingsOf, restartFindings } from "./verdict.ts";

const LINE_END = "\r\n";
const SCREENFUL: Kept = { contentOctets: SHOWN_CONTENT_OCTETS, chunks: SHOWN_CHUNKS };
/** How octets that are not read as messages are labelled, the section, and whether that is right. */
const UNREAD: Readonly<Record<Stop, readonly [label: string, rule: string | undefined, isRight: boolean]>> = {
  "left HTTP": ["no longer HTTP: the connection speaks another protocol", "RFC 9110 §7.8", true],
  "connection ends": ["not read: the connection ends", "RFC 9112 §9.6", false],
  "held": ["not read: no answer has said what this is", undefined, true],
  "lost": ["not read: octets are missing before it, up to the next start line", undefined, true],
};

/** A row whose octets may still come. */
type OpenRow = { -readonly [Property in keyof OctetRow]: OctetRow[Property] };

/** Labels octets message by message. Of long content only the first ones are kept, unless all are requested. */
export class Labels {
  /** The octets received last, and the number of those received before them. */
  #piece: Uint8Array = NO_BYTES;
  #pieceStart = 0;
  /** Octets before those that have no row yet. */
  #carry = "";
  /** Where what is labelled now starts: a message, or octets that are not read. */
  #start = 0;
  #message: Message | undefined;
  #facts: Facts | undefined;
  #rows: OpenRow[] = [];
  #keptContent = 0;
  readonly #tags = new Map<string, number>();
  #stopped: Stop | undefined;
  #ended = false;

  constructor(
    private readonly direction: Direction,
    /** Receives what is explained. */
    private readonly finished: Explanation[],
    private readonly kept: Kept = SCREENFUL,
  ) {}

  get pending(): number {
    return this.#pieceStart + this.#piece.length - this.#start;
  }

  get needsNoMore(): boolean {
    return !this.#reads && this.#carry.length >= UNREAD_KEPT_OCTETS;
  }

  lend(bytes: Uint8Array): void {
    this.keep();
    this.#piece = bytes;
  }

  /** Copies lent octets without a row. Of those not read, some are kept. */
  keep(): void {
    const room = this.#reads ? Infinity : UNREAD_KEPT_OCTETS - this.#carry.length;
    const from = this.#unlabelledFrom;
    const end = Math.min(this.#piece.length, from + room);
    if (end > from) this.#carry += octetString(this.#piece, from, end);
    this.#pieceStart += this.#piece.length;
    this.#piece = NO_BYTES;
  }

  receive(event: ExchangeEvent): void {
    if (this.#ended) return;
    const facts = this.#facts!;
    switch (event.kind) {
      case "began":
        this.#message = event.message;
        break;
      case "head":
        this.#head(event.message, event.head, event.to);
        break;
      case "content":
        this.#content(facts, event.bytes, event.to);
        break;
      case "lost":
        facts.lost += event.octets;
        facts.contentOctets += event.octets;
        facts.inChunk -= event.octets;
        break;
      case "ended":
        if (facts.chunked) this.#lines(this.#octets(event.message.to));
        facts.accepted.push(...acceptedIn({ kind: "end", trailers: event.trailers }));
        this.#finishMessage("whole");
        break;
      case "cut":
        this.keep();
        this.#finish();
        if (this.#stopped !== "left HTTP") this.#stopped = "lost";
        break;
      case "stopped":
        this.#finish(event.from);
        this.#stopped = event.why;
        break;
      case "resumed":
        this.keep();
        this.#finish(event.from);
        this.#stopped = undefined;
        this.#carry = "";
        this.#pieceStart = event.from;
        break;
      case "again":
        this.lend(event.octets);
    }
  }

  /** Explains what is incomplete. Later events are ignored. */
  end(): void {
    this.#finish();
    this.#ended = true;
  }

  get #reads(): boolean {
    return this.#message?.state !== "broken" && this.#stopped === undefined;
  }

  /** The offset of the first octet without a row, from the start of what is labelled now. */
  get #offset(): number {
    return this.#rows.at(-1)?.end ?? 0;
  }

  /** The index in the piece of the first octet without a row. */
  get #unlabelledFrom(): number {
    return Math.max(0, this.#start + this.#offset - this.#pieceStart);
  }

  /** Removes and returns the octets without a row up to an offset: the caller makes rows of them. */
  #octets(end: number): string {
    const octets = this.#carry + octetString(this.#piece, this.#unlabelledFrom, end - this.#pieceStart);
    this.#carry = "";
    return octets;
  }

  #head({ exchange, interim }: Message, head: Facts["head"], to: number): void {
    this.#lines(this.#octets(to));
    const chunked = head.contentLength === undefined && head.fields.get("transfer-encoding") !== undefined;
    const holds = head.kind === "response" ? heldFinding(this.#tags, exchange, head) : undefined;
    const counts = { chunks: 0, inChunk: 0, lastChunk: false, contentOctets: 0, lost: 0 };
    this.#facts = { head, interim, method: exchange.method, chunked, ...counts, holds, accepted: acceptedIn(head) };
  }

  /** Labels the complete lines of a head, or between chunks, up to the end of a section. Returns what is left. */
  #lines(octets: string): string {
    let rest = octets;
    for (let isLast = false; !isLast;) {
      const end = rest.indexOf("\n") + 1;
      if (end === 0) break;
      isLast = this.#line(rest.substring(0, end));
      rest = rest.substring(end);
    }
    return rest;
  }

  /** Labels a line. Returns whether it ends a header or trailer section. */
  #line(line: string): boolean {
    const facts = this.#facts;
    const before = this.#rows.at(-1)?.kind;
    if (facts === undefined && (before === undefined || before === "end")) {
      const isIgnored = before === undefined && line === LINE_END;
      if (isIgnored) this.#add("end", line, "an empty line before a request is ignored", "RFC 9112 §2.2");
      else this.#rows.push(...startLineRows(line, this.#offset, this.direction === "request"));
      return false;
    }
    if (facts === undefined || facts.lastChunk) {
      this.#rows.push(sectionRow(line, this.#offset, facts !== undefined, before === "framing"));
      return line === LINE_END;
    }
    this.#chunkLine(facts, line, line === LINE_END ? -1 : parseInt(line, 16));
    return false;
  }

  /** Labels the line before a chunk, or the line end after it. The chunks beyond those kept share a row. */
  #chunkLine(facts: Facts, line: string, size: number): void {
    if (size > 0) facts.chunks++;
    facts.inChunk = size;
    facts.lastChunk = size === 0;
    const more = facts.chunks - this.kept.chunks;
    if (size === 0) this.#add("framing", line, chunkLabel(line, 0), "RFC 9112 §7.1");
    else if (more <= 0) this.#add("framing", line, size < 0 ? "the chunk's end" : chunkLabel(line, facts.chunks));
    else {
      if (more === 1 && size > 0) this.#add("framing", line, "");
      const row = this.#rows.at(-1)!;
      row.label = `${counted(more, "more chunk")}, with their content`;
      if (more > 1 || size < 0) row.end += line.length;
    }
  }

  #content(facts: Facts, bytes: Uint8Array, to: number): void {
    const from = to - bytes.length;
    if (from > this.#start + this.#offset) this.#lines(this.#octets(from));
    this.#carry = "";
    facts.contentOctets += bytes.length;
    facts.inChunk -= bytes.length;
    const isShared = facts.chunks > this.kept.chunks;
    if (!isShared && this.#rows.at(-1)!.kind !== "content") {
      const label = facts.chunked ? `content, from chunk ${facts.chunks}` : "content";
      this.#rows.push({ start: this.#offset, end: this.#offset, kind: "content", octets: "", label });
    }
    const row = this.#rows.at(-1)!;
    row.end += bytes.length;
    const room = this.kept.contentOctets - this.#keptContent;
    if (isShared || room <= 0) return;
    const octets = octetString(bytes, 0, Math.min(bytes.length, room));
    this.#keptContent += octets.length;
    row.octets += octets;
  }

  #add(kind: OctetKind, octets: string, label: string, rule?: string): void {
    if (octets !== "") this.#rows.push(octetRow(kind, this.#offset, octets, [label, rule]));
  }

  /** Finishes what is labelled now, up to an offset: octets that are not read, or a message that is not whole. */
  #finish(end = this.#start + this.pending): void {
    const length = end - this.#start;
    if (length === 0) return;
    const isEmptyLine = this.pending === 2 && this.#carry === LINE_END && this.direction === "request";
    const mayFollow = this.#message === undefined && this.#start > 0 && this.#stopped !== "left HTTP";
    if (isEmptyLine && mayFollow) {
      // An empty line after the last message is not a message.
      this.#lines(this.#octets(end));
      this.#push({ kind: "unread", findings: [], state: "whole" });
    } else if (this.#stopped !== undefined) this.#finishUnread(...UNREAD[this.#stopped], end);
    else if (this.#message?.error !== undefined) this.#finishBroken(this.#message, this.#message.error, length);
    else this.#finishIncomplete();
  }

  #finishUnread(label: string, rule: string | undefined, isRight: boolean, to: number): void {
    const end = to - this.#start;
    const octets = this.#octets(to).substring(0, end);
    this.#rows.push({ start: 0, end, kind: "unread", octets, label, rule });
    this.#push({ kind: "unread", findings: [], state: isRight ? "whole" : "broken" });
  }

  /** Finishes an incomplete message: its complete lines have rows, and the rest has one row. */
  #finishIncomplete(): void {
    const rest = this.#lines(this.#carry);
    this.#carry = "";
    const missing = missingFindings(this.#facts);
    this.#add(this.#facts === undefined ? "start" : "framing", rest, "the start of a line: more is to come");
    // Content that ends with the connection is complete at any octet.
    this.#finishMessage(missing.length === 0 ? "whole" : "incomplete", missing);
  }

  /** Finishes a broken message: the accepted part, the line with the fault, and what is not read. */
  #finishBroken({ exchange }: Message, error: HttpError, end: number): void {
    const start = this.#offset;
    const total = end - start;
    const held = this.#carry.substring(0, total);
    this.#carry = "";
    let octets: string;
    if (error.fault! in SECTION_CAUSES) octets = this.#lines(held);
    else {
      const caret = Math.max(0, error.offset! - start);
      const lineStart = caret === 0 ? 0 : held.lastIndexOf("\n", caret - 1) + 1;
      const lineEnd = held.indexOf("\n", caret) + 1 || held.length;
      const before = this.#lines(held.substring(0, lineStart));
      this.#add("broken", before + held.substring(lineStart, lineEnd), "");
      octets = held.substring(lineEnd);
    }
    const label = `not read: see the fault of ${this.direction} ${exchange.number}`;
    if (this.#offset < end) this.#rows.push({ start: this.#offset, end, kind: "unread", octets, label });
    const code = error.fault!;
    const { [this.direction]: degree, fix } = CAUSES[code];
    const readings = readingsOf(code, held, start, total, this.#facts !== undefined);
    const { status, seen, rule, offset } = error;
    this.#finishMessage("broken", [], { code, degree, status, detail: seen!, rule, offset: offset!, fix, readings });
  }

  #finishMessage(state: Explanation["state"], findings: readonly Finding[] = [], fault?: Fault): void {
    const facts = this.#facts;
    const known = facts === undefined || state === "broken" ? [] : factFindings(facts, state);
    this.#push({
      kind: this.direction,
      message: this.#message,
      findings: [...findings, ...restartFindings(this.#message), ...known],
      ...fault && { fault },
      state,
      contentOctets: facts === undefined ? 0 : facts.contentOctets - facts.lost,
    });
    this.#message = this.#facts = undefined;
    this.#keptContent = 0;
  }

  #push(explanation: Omit<Explanation, "direction" | "start" | "length" | "rows">): void {
    const start = this.#start;
    const length = this.#offset;
    this.finished.push({ direction: this.direction, start, length, rows: this.#rows, ...explanation });
    this.#start += length;
    this.#rows = [];
  }
}
