/**
 * Explains octets in rows with labels.
 *
 * The decoder alone judges messages: rows divide what it has accepted, and a fault is the error it has thrown.
 *
 * @module
 */

import { counted, NO_BYTES, octetString } from "../../bytes.ts";
import {
  acceptedIn,
  CAUSES,
  type ContentPiece,
  Decoder,
  HttpError,
  isInterim,
  leavesHttp,
  type MessageKind,
  type RequestHead,
  type ResponseHead,
} from "../../http_message.ts";
import { REQUEST_LIMITS, RESPONSE_LIMITS, SHOWN_CHUNKS, SHOWN_CONTENT_BYTES, UNREAD_KEPT_BYTES } from "../../limits.ts";
import type { ExplainOptions, Explanation, Fault, Finding, Kept, Row, RowKind, Unfinished } from "./explanation.ts";
import { contentFindings, type MessageFacts, missingFindings, persistenceFindings } from "./findings.ts";
import { SECTION_FAULTS } from "./fixes.ts";
import { chunkReadings, twoReadings } from "./readings.ts";
import { chunkLabel, HEAD_END, NO_TRAILERS, sectionRows, startLineRows, TRAILERS_END } from "./rows.ts";

export type { ExplainOptions, Explanation, Fault, Finding, Part, Reading, Row, RowKind } from "./explanation.ts";

const LINE_END = "\r\n";

/** The kind of the next octets, as seen by the decoder. */
type Phase = "head" | "content" | "chunks" | "closed" | "tunnel";

/**
 * Explains one direction of a connection, message by message.
 *
 * Memory is bounded: of long content only the first octets are kept, unless all are requested.
 */
export class Explainer {
  readonly #kind: MessageKind;
  readonly #decoder: Decoder;
  readonly #options: ExplainOptions;
  readonly #kept: Kept;
  #finished: Explanation[] = [];

  /** The bytes received last, and the number of bytes received before them. */
  #piece = NO_BYTES as Uint8Array;
  #pieceStart = 0;
  #received = 0;
  /** Octets before those that have no row yet. */
  #carry = "";
  /** The number of octets that have rows. */
  #labelled = 0;
  #messageStart = 0;
  #answersKnown = false;

  #phase: Phase = "head";
  #rows: Row[] = [];
  #facts: MessageFacts | undefined;
  #inChunk = 0;
  /** Whether the empty last chunk has been received. */
  #lastChunk = false;
  #keptContent = 0;
  /** The row of chunks beyond those with rows of their own. */
  #summary: { start: number; end: number; octets: string } | undefined;
  #failure: HttpError | undefined;

  /** Creates an explainer of requests or responses. */
  constructor(options: ExplainOptions) {
    this.#kind = options.kind;
    this.#options = options;
    this.#kept = options.kept ?? { contentBytes: SHOWN_CONTENT_BYTES, chunks: SHOWN_CHUNKS };
    const limits = options.kind === "request" ? REQUEST_LIMITS : RESPONSE_LIMITS;
    this.#decoder = new Decoder(options.kind, {
      ...limits,
      maxContentBytes: Number.MAX_SAFE_INTEGER,
      ...options.limits,
    });
  }

  /** Receives bytes, which may change after the call. */
  receive(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#piece = bytes;
    this.#pieceStart = this.#received;
    this.#received += bytes.length;
    if (this.#reads) {
      this.#decoder.receive(bytes);
      this.#decode();
    }
    this.#keepRest();
  }

  /**
   * Ends the input. An incomplete message is explained too.
   *
   * @param closed Whether the connection ended, which the end of a file does not imply.
   */
  end(closed: boolean = false): void {
    this.#piece = NO_BYTES;
    this.#pieceStart = this.#received;
    if (closed && this.#reads) {
      this.#decoder.close();
      this.#decode();
      this.#keepRest();
    }
    if (this.#failure !== undefined) this.#finishBroken(this.#failure);
    else if (this.#hasOnlyEmptyLine) this.#finishEmptyLine();
    else if (this.#phase === "closed" || this.#phase === "tunnel") this.#finishUnread();
    else if (this.#received > this.#messageStart) this.#finishIncomplete();
  }

  /** Takes the explanations finished so far. */
  take(): Explanation[] {
    const finished = this.#finished;
    this.#finished = [];
    return finished;
  }

  /** Marks the following octets as not HTTP, as after 101 (Switching Protocols). */
  leaveHttp(): void {
    this.#phase = "tunnel";
  }

  /** The octets that are not explained yet, and the method once known; `undefined` if there are none. */
  get unfinished(): Unfinished | undefined {
    const octets = this.#received - this.#messageStart;
    if (octets === 0) return undefined;
    const isMessage = this.#phase !== "closed" && this.#phase !== "tunnel";
    const head = this.#facts?.head;
    const method = head?.kind === "request" ? head.method : undefined;
    return { octets, isMessage, isBroken: this.#failure !== undefined, method };
  }

  /** Whether more octets would change nothing but the number of those that are not read. */
  get needsNoMore(): boolean {
    return !this.#reads && this.#carry.length >= UNREAD_KEPT_BYTES;
  }

  get #reads(): boolean {
    return this.#failure === undefined && this.#phase !== "closed" && this.#phase !== "tunnel";
  }

  #decode(): void {
    try {
      while (this.#reads) {
        this.#pair();
        const event = this.#decoder.next();
        if (event === undefined) return;
        const at = this.#received - this.#decoder.unread.length;
        switch (event.kind) {
          case "request":
          case "response":
            this.#head(event, at);
            break;
          case "content":
            this.#content(event, at);
            break;
          case "end":
            if (this.#phase === "chunks") this.#framing(this.#octets(at), true);
            this.#facts!.accepted.push(...acceptedIn(event));
            this.#finish("whole");
            this.#phase = "head";
            break;
          case "closed":
            this.#phase = "closed";
        }
      }
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      this.#failure = error;
    }
  }

  /** Tells the decoder which method the next response answers. */
  #pair(): void {
    if (this.#kind === "request" || this.#answersKnown || this.#received === this.#messageStart) return;
    this.#answersKnown = true;
    this.#decoder.expectResponseTo(this.#answered = this.#options.answers?.() ?? "GET");
  }
  #answered = "GET";

  /** Takes the octets without a row up to an offset; they get a row. */
  #octets(end: number): string {
    const from = Math.max(this.#labelled, this.#pieceStart) - this.#pieceStart;
    const octets = this.#carry + octetString(this.#piece, from, end - this.#pieceStart);
    this.#carry = "";
    this.#labelled = end;
    return octets;
  }

  /**
   * Copies octets without a row, because the piece may change: all octets of a message, but only some that are not
   * read.
   */
  #keepRest(): void {
    const room = this.#reads ? Infinity : UNREAD_KEPT_BYTES - this.#carry.length;
    const from = Math.max(this.#labelled, this.#pieceStart) - this.#pieceStart;
    const end = Math.min(this.#piece.length, from + room);
    if (end > from) this.#carry += octetString(this.#piece, from, end);
    this.#piece = NO_BYTES;
    this.#pieceStart = this.#received;
  }

  #head(head: RequestHead | ResponseHead, at: number): void {
    const start = this.#labelled - this.#messageStart;
    const octets = this.#octets(at);
    this.#cutHead(octets, start);
    const framing = head.contentLength === undefined && head.fields.get("transfer-encoding") !== undefined;
    const facts = { head, answers: this.#answered, chunked: framing, chunks: 0, contentBytes: 0 };
    this.#facts = { ...facts, accepted: acceptedIn(head) };
    this.#phase = framing ? "chunks" : "content";
    if (head.kind === "request" || !leavesHttp(head.status, this.#answered)) return;
    this.#finish("whole");
    this.#phase = "tunnel";
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
    startLineRows(this.#rows, octets.substring(at, lineEnd), start + at, this.#kind === "request");
    return sectionRows(this.#rows, octets, lineEnd, start + lineEnd, HEAD_END);
  }

  #content({ bytes }: ContentPiece, at: number): void {
    const facts = this.#facts!;
    const start = at - bytes.length;
    if (start > this.#labelled) this.#framing(this.#octets(start), false);
    facts.contentBytes += bytes.length;
    this.#inChunk -= bytes.length;
    const offset = this.#labelled - this.#messageStart;
    const end = at - this.#messageStart;
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
    const start = this.#labelled - octets.length - this.#messageStart;
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
    const { head } = facts ?? {};
    const known = facts === undefined ? [] : [...contentFindings(facts, state), ...persistenceFindings(facts)];
    this.#push({
      kind: this.#kind,
      findings: fault === undefined ? [...findings, ...known] : findings,
      ...fault && { fault },
      state: fault === undefined ? state : "broken",
      ...head?.kind === "request" && { method: head.method },
      ...head?.kind === "response" && { status: head.status },
    });
    // An interim response does not answer the request yet.
    if (!(head?.kind === "response" && isInterim(head.status))) this.#answersKnown = false;
    this.#facts = undefined;
    this.#inChunk = 0;
    this.#lastChunk = false;
    this.#keptContent = 0;
  }

  #push(explanation: Pick<Explanation, "kind" | "findings" | "fault" | "state" | "method" | "status">): void {
    const start = this.#messageStart;
    this.#finished.push({ start, length: this.#labelled - start, rows: this.#rows, ...explanation });
    this.#messageStart = this.#labelled;
    this.#rows = [];
  }

  /** Finishes an incomplete message: its complete lines have rows, and the rest has one row. */
  #finishIncomplete(): void {
    const { rest, start } = this.#cutPending(this.#carry);
    const inHead = this.#phase === "head";
    this.#add(inHead ? "start" : "framing", start, rest, `the start of a line: more is to come`);
    this.#labelled = this.#received;
    this.#carry = "";
    const missing = missingFindings(this.#facts, this.#inChunk, this.#lastChunk);
    // Content that ends with the connection is complete at any octet.
    this.#finish(missing.length === 0 ? "whole" : "incomplete", missing);
  }

  /** Divides the complete lines of octets that the decoder holds until a section is complete. */
  #cutPending(octets: string): { rest: string; start: number } {
    const start = this.#labelled - this.#messageStart;
    let cut = 0;
    if (this.#phase === "head") cut = this.#cutHead(octets, start);
    else if (this.#phase === "chunks") {
      this.#labelled += octets.length;
      cut = this.#framing(octets, true);
      this.#labelled -= octets.length;
    }
    return { rest: octets.substring(cut), start: start + cut };
  }

  /** Finishes an invalid message: the accepted part, the line with the fault, and the unread octets after it. */
  #finishBroken(failure: HttpError): void {
    const held = this.#carry;
    const start = this.#labelled - this.#messageStart;
    const caret = failure.offset! - start;
    let read: number;
    if (SECTION_FAULTS.has(failure.fault)) {
      read = this.#cutPending(held).start - start;
    } else {
      const lineStart = held.lastIndexOf("\n", caret - 1) + 1;
      const line = caret <= 0 ? 0 : lineStart;
      const before = this.#cutPending(held.substring(0, line));
      const end = held.indexOf("\n", Math.max(caret, 0)) + 1;
      read = end > 0 ? end : held.length;
      this.#add("broken", before.start, held.substring(before.start - start, read), "");
    }
    const total = this.#received - this.#labelled;
    this.#labelled = this.#received;
    this.#carry = "";
    if (total > read) {
      const from = start + read;
      const octets = held.substring(read);
      this.#rows.push({ start: from, end: start + total, kind: "unread", octets, label: "not read" });
    }
    const { status, seen: detail, rule } = failure;
    const code = failure.fault!;
    const { [this.#kind]: degree, fix } = CAUSES[code];
    const fault: Fault = {
      ...{ code, degree, status, detail, rule, fix },
      offset: failure.offset!,
      readings: (this.#phase === "head" ? twoReadings : chunkReadings)(code, held, start, total),
    };
    this.#finish("incomplete", [], fault);
    this.#phase = "closed";
    this.#failure = undefined;
  }

  /** Whether an empty line is all that follows the last request. */
  get #hasOnlyEmptyLine(): boolean {
    const follows = this.#messageStart > 0 && this.#labelled === this.#messageStart && this.#phase !== "tunnel";
    return follows && this.#kind === "request" && this.#carry === LINE_END;
  }

  /** Finishes an empty line behind the last message, which is no message. */
  #finishEmptyLine(): void {
    this.#cutHead(this.#octets(this.#received), 0);
    this.#push({ kind: "unread", findings: [], state: "whole" });
  }

  #finishUnread(): void {
    if (this.#received === this.#messageStart) return;
    const length = this.#received - this.#messageStart;
    const [label, rule] = this.#phase === "tunnel"
      ? ["no longer HTTP: the connection speaks another protocol", "RFC 9110 §7.8"]
      : ["not read: the connection ends", "RFC 9112 §9.6"];
    this.#rows.push({ start: 0, end: length, kind: "unread", octets: this.#carry, label, rule });
    this.#labelled = this.#received;
    this.#carry = "";
    // Another protocol may follow; a message may not.
    this.#push({ kind: "unread", findings: [], state: this.#phase === "tunnel" ? "whole" : "broken" });
  }
}

/** Explains complete octets, message by message. */
export function explainOctets(octets: Uint8Array, options: ExplainOptions & { closed?: boolean }): Explanation[] {
  const explainer = new Explainer(options);
  explainer.receive(octets);
  explainer.end(options.closed);
  return explainer.take();
}

/** Returns the kind of the octets: responses if they start with `HTTP/` or the beginning of it, else requests. */
export function messageKindOf(octets: Uint8Array): MessageKind {
  return octets.length > 0 && "HTTP/".startsWith(octetString(octets, 0, Math.min(5, octets.length)))
    ? "response"
    : "request";
}
