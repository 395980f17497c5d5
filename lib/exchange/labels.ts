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
  #received = 0;
  /** Octets before those that have no row yet. */
  #carry = "";
  #labelled = 0;
  /** Where what is labelled now starts: a message, or octets that are not read. */
  #start = 0;
  #message: Message | undefined;
  #facts: Facts | undefined;
  #rows: OpenRow[] = [];
  #keptContent = 0;
  /** The row of chunks beyond those with rows of their own. */
  #summary: OpenRow | undefined;
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
    return this.#received - this.#start;
  }

  get needsNoMore(): boolean {
    return !this.#reads && this.#carry.length >= UNREAD_KEPT_OCTETS;
  }

  lend(bytes: Uint8Array): void {
    this.#piece = bytes;
    this.#pieceStart = this.#received;
    this.#received += bytes.length;
  }

  /** Copies octets without a row but for those given back: the piece may change. Of those not read, some are kept. */
  keep(givenBack = 0): void {
    this.#received -= givenBack;
    const room = this.#reads ? Infinity : UNREAD_KEPT_OCTETS - this.#carry.length;
    const from = Math.max(this.#labelled, this.#pieceStart) - this.#pieceStart;
    const end = Math.min(this.#piece.length - givenBack, from + room);
    if (end > from) this.#carry += octetString(this.#piece, from, end);
    this.#piece = NO_BYTES;
    this.#pieceStart = this.#received;
  }

  receive(event: ExchangeEvent): void {
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
        if (this.#facts!.chunked) this.#cutLines(this.#offset, this.#octets(event.message.to));
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
        this.#facts!.contentOctets += event.octets;
        this.#facts!.inChunk -= event.octets;
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

  /** Explains what is incomplete. Later events are ignored. */
  end(): void {
    this.#finishAll();
    this.#ended = true;
  }

  #finishAll(): void {
    const isEmptyLine = this.pending === 2 && this.#carry === LINE_END && this.direction === "request";
    const mayFollow = this.#message === undefined && this.#start > 0 && this.#stopped !== "left HTTP";
    if (isEmptyLine && mayFollow) {
      // An empty line after the last message is not a message.
      this.#cutLines(0, this.#octets(this.#received));
      this.#push({ kind: "unread", findings: [], state: "whole" });
    } else if (this.#stopped !== undefined) this.#finishUnread(this.#stopped);
    else if (this.#message?.state === "broken") this.#finishBroken(this.#received);
    else if (this.pending > 0) this.#finishIncomplete();
  }

  get #reads(): boolean {
    return this.#message?.state !== "broken" && this.#stopped === undefined;
  }

  /** The offset of the first octet without a row, from the start of what is labelled now. */
  get #offset(): number {
    return this.#labelled - this.#start;
  }

  /** Removes and returns the octets without a row up to an offset: the caller makes a row of them. */
  #octets(end: number): string {
    const from = Math.max(this.#labelled, this.#pieceStart) - this.#pieceStart;
    const octets = this.#carry + octetString(this.#piece, from, end - this.#pieceStart);
    this.#carry = "";
    this.#labelled = end;
    return octets;
  }

  #head({ exchange, interim }: Message, head: Facts["head"], to: number): void {
    this.#cutLines(this.#offset, this.#octets(to));
    const chunked = head.contentLength === undefined && head.fields.get("transfer-encoding") !== undefined;
    const holds = head.kind === "response" ? heldFinding(this.#tags, exchange, head) : undefined;
    const counts = { chunks: 0, inChunk: 0, lastChunk: false, contentOctets: 0, lost: 0 };
    this.#facts = { head, interim, method: exchange.method, chunked, ...counts, holds, accepted: acceptedIn(head) };
  }

  /** Divides the complete lines of a head, or between chunks, up to the end of a section. Returns the number of octets. */
  #cutLines(start: number, octets: string): number {
    let at = 0;
    for (;;) {
      const end = octets.indexOf("\n", at) + 1;
      if (end === 0) return at;
      const isLast = this.#line(start + at, octets.substring(at, end));
      at = end;
      if (isLast) return at;
    }
  }

  /** Labels a line. Returns whether it ends a header or trailer section. */
  #line(start: number, line: string): boolean {
    const facts = this.#facts;
    const before = this.#rows.at(-1)?.kind;
    if (facts === undefined && (before === undefined || before === "end")) {
      const isIgnored = before === undefined && line === LINE_END;
      if (isIgnored) this.#add("end", start, line, "an empty line before a request is ignored", "RFC 9112 §2.2");
      else this.#rows.push(...startLineRows(line, start, this.direction === "request"));
      return false;
    }
    if (facts === undefined || facts.lastChunk) {
      this.#rows.push(sectionRow(line, start, facts !== undefined, before === "framing"));
      return line === LINE_END;
    }
    const size = line === LINE_END ? -1 : parseInt(line, 16);
    if (size > 0) facts.chunks++;
    facts.inChunk = size;
    facts.lastChunk = size === 0;
    if (facts.lastChunk) this.#add("framing", start, line, chunkLabel(line, 0), "RFC 9112 §7.1");
    else this.#addChunkRow(start, line);
    return false;
  }

  #content(bytes: Uint8Array, to: number): void {
    const facts = this.#facts!;
    const from = to - bytes.length;
    if (from > this.#labelled) this.#cutLines(this.#offset, this.#octets(from));
    facts.contentOctets += bytes.length;
    facts.inChunk -= bytes.length;
    const start = this.#offset;
    this.#carry = "";
    this.#labelled = to;
    const last = this.#summary ?? this.#rows.at(-1)!;
    const room = this.#summary !== undefined ? 0 : this.kept.contentOctets - this.#keptContent;
    const octets = room <= 0 ? "" : octetString(bytes, 0, Math.min(bytes.length, room));
    this.#keptContent += octets.length;
    if (this.#summary !== undefined || last.kind === "content") {
      last.end = this.#offset;
      last.octets += octets;
      return;
    }
    const label = facts.chunked ? `content, from chunk ${facts.chunks}` : "content";
    this.#rows.push({ start, end: this.#offset, kind: "content", octets, label });
  }

  /** Adds a chunk line or chunk end, or extends the row of the rest. */
  #addChunkRow(start: number, octets: string): void {
    const { chunks } = this.#facts!;
    const more = chunks - this.kept.chunks;
    if (more <= 0) {
      return this.#add("framing", start, octets, octets === LINE_END ? "the chunk's end" : chunkLabel(octets, chunks));
    }
    if (this.#summary === undefined) {
      this.#summary = { start, end: start, octets, kind: "framing", label: "" };
      this.#rows.push(this.#summary);
    }
    this.#summary.end = start + octets.length;
    this.#summary.label = `${counted(more, "more chunk")}, with their content`;
  }

  #add(kind: OctetKind, start: number, octets: string, label: string, rule?: string): void {
    if (octets !== "") this.#rows.push(octetRow(kind, start, octets, [label, rule]));
  }

  #finish(state: "whole" | "incomplete", findings: readonly Finding[] = [], fault?: Fault): void {
    const facts = this.#facts;
    const known = facts === undefined || fault !== undefined ? [] : factFindings(facts, state);
    this.#push({
      kind: this.direction,
      message: this.#message,
      findings: [...findings, ...restartFindings(this.#message), ...known],
      ...fault && { fault },
      state: fault === undefined ? state : "broken",
      contentOctets: facts?.contentOctets ?? 0,
    });
    this.#message = this.#facts = this.#summary = undefined;
    this.#keptContent = 0;
  }

  #push(explanation: Omit<Explanation, "direction" | "start" | "length" | "rows">): void {
    const start = this.#start;
    const rows = this.#rows;
    this.#start = this.#labelled;
    this.#rows = [];
    this.finished.push({ direction: this.direction, start, length: this.#labelled - start, rows, ...explanation });
  }

  /** Finishes an incomplete message: its complete lines have rows, and the rest has one row. */
  #finishIncomplete(): void {
    const start = this.#offset;
    const cut = this.#cutLines(this.#offset, this.#carry);
    const kind = this.#facts === undefined ? "start" : "framing";
    this.#add(kind, start + cut, this.#carry.substring(cut), `the start of a line: more is to come`);
    this.#octets(this.#received);
    const missing = missingFindings(this.#facts);
    // Content that ends with the connection is complete at any octet.
    this.#finish(missing.length === 0 ? "whole" : "incomplete", missing);
  }

  /** Finishes a broken message, if there is one: the accepted part, the line with the fault, and what is not read. */
  #finishBroken(end: number): void {
    const { error, exchange } = this.#message ?? {};
    if (error === undefined) return;
    const start = this.#offset;
    const total = end - this.#labelled;
    const held = this.#carry.substring(0, total);
    let read: number;
    if (error.fault! in SECTION_CAUSES) read = this.#cutLines(this.#offset, held);
    else {
      const caret = Math.max(0, error.offset! - start);
      const lineStart = caret === 0 ? 0 : held.lastIndexOf("\n", caret - 1) + 1;
      const before = this.#cutLines(start, held.substring(0, lineStart));
      read = held.indexOf("\n", caret) + 1 || held.length;
      this.#add("broken", start + before, held.substring(before, read), "");
    }
    this.#octets(end);
    if (total > read) {
      const label = `not read: see the fault of ${this.direction} ${exchange!.number}`;
      this.#rows.push({ start: start + read, end: start + total, kind: "unread", octets: held.substring(read), label });
    }
    this.#finish("incomplete", [], this.#faultOf(error, held, start, total));
  }

  #faultOf(error: HttpError, held: string, start: number, total: number): Fault {
    const code = error.fault!;
    return {
      code,
      degree: CAUSES[code][this.direction],
      status: error.status,
      detail: error.seen!,
      rule: error.rule,
      offset: error.offset!,
      fix: CAUSES[code].fix,
      readings: readingsOf(code, held, start, total, this.#facts !== undefined),
    };
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
