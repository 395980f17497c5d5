/** Lists the exchanges of a capture over all connections, one line each, in the order of their requests. */

import { addressText } from "../../address.ts";
import { counted } from "../../bytes.ts";
import { Beginning, type Exchange, type ExchangeEvent, finalResponse, Pairing, readable } from "../../exchange.ts";
import type { RequestHead, ResponseHead } from "../../http_message.ts";
import { LISTED_CHARACTERS, MAX_LISTED_LINES } from "../../limits.ts";
import { lineOf } from "../explain/messages.ts";
import type { Explained } from "./explainer.ts";
import { type CaptureEvent, CaptureReader, directionOf, type OpenedInCapture, type StreamEvent } from "./reader.ts";
import { durationText, numbersText, timeText } from "./words.ts";

interface CaptureListOptions {
  /** Receives whole lines of safe text. */
  readonly print: (text: string) => void;
  readonly connection?: number;
  /** The most lines that wait for the end of an exchange before them. */
  readonly maxLines?: number;
}

/** The line of an exchange. */
interface ListLine {
  readonly connection: ListedConnection;
  readonly packet: number;
  /** How many octets of content of the final response have come. */
  octets: number;
  /** Its text, once the exchange has ended. */
  text: string | undefined;
  /** Returns the text for the exchange so far. */
  readonly make: (isLast: boolean) => string;
}

const COLUMNS = ["time", "connection", "packet", "request", "status", "octets", "duration"];

/** Formats a line of the list. The request is on the left of its column. */
function columns([time, connection, packet, request, ...rest]: readonly string[], server: string): string {
  const left = `${time.padStart(12)} ${connection.padStart(10)} ${packet.padStart(8)}  ${request.padEnd(32)}`;
  const [status, octets, duration] = rest;
  return `${left} ${status.padStart(6)} ${octets.padStart(10)} ${duration.padStart(14)}  ${server}\n`;
}

export class CaptureList {
  readonly reader: CaptureReader;
  readonly #connections = new Map<number, ListedConnection>();
  #lines: ListLine[] = [];
  /** What each connection is that is not HTTP. */
  readonly #others = new Map<number, string>();
  readonly #resets = new Set<number>();
  #hasLines = false;
  #valid = true;

  constructor(private readonly options: CaptureListOptions) {
    this.reader = new CaptureReader((event) => this.#receiveEvent(event), { connection: options.connection });
  }

  receive(bytes: Uint8Array): void {
    this.reader.receive(bytes);
    this.#print(false);
  }

  end(): Explained {
    const notes = this.reader.end();
    const late = this.reader.notesAfterResets(this.#resets);
    this.#valid &&= late.length === 0;
    for (const number of [...this.#connections.keys()]) this.#endConnection(number);
    this.#print(true);
    const others = [...this.#others].sort(([a], [b]) => a - b);
    for (const [kind, all] of Map.groupBy(others, ([, kind]) => kind)) {
      const numbers = numbersText(all.map(([number]) => number));
      this.options.print(`${counted(all.length, "connection")}, ${kind}: ${numbers}\n`);
    }
    return { valid: this.#valid, leftOut: undefined, notes: [...notes, ...late] };
  }

  #receiveEvent(event: CaptureEvent): void {
    const number = event.connection;
    if (event.kind === "opened") {
      // A connection may be opened again after a reset.
      this.#others.delete(number);
      this.#connections.set(number, new ListedConnection(event, (line) => this.#add(line)));
    } else if (event.kind === "closed") {
      this.#endConnection(number);
      if (!this.#others.has(number) && event.isReset) this.#resets.add(number);
    } else this.#connections.get(number)?.receive(event);
  }

  #endConnection(number: number): void {
    const connection = this.#connections.get(number)!;
    this.#connections.delete(number);
    const kind = connection.end();
    if (kind !== undefined) this.#others.set(number, kind);
    this.#valid &&= connection.valid;
  }

  /** Adds a line, most probably at the end. */
  #add(line: ListLine): void {
    let at = this.#lines.length;
    while (at > 0 && this.#lines[at - 1].packet > line.packet) at--;
    this.#lines.splice(at, 0, line);
  }

  /** Prints the lines that have no unfinished one before them; if too many wait, those unfinished too. */
  #print(all: boolean): void {
    const { maxLines = MAX_LISTED_LINES, print } = this.options;
    const waits = ({ connection: { isHttp }, text }: ListLine, i: number) => {
      const isKnown = isHttp === false || isHttp && text !== undefined;
      return !isKnown && !all && this.#lines.length - i <= maxLines;
    };
    const count = this.#lines.findIndex(waits);
    const lines = this.#lines.splice(0, count < 0 ? Infinity : count);
    const text = lines.map(({ connection, text, make }) => connection.isHttp === false ? "" : text ?? make(all)).join(
      "",
    );
    if (text === "") return;
    print(this.#hasLines ? text : columns(COLUMNS, "server") + text);
    this.#hasLines = true;
  }
}

class ListedConnection {
  readonly #beginning = new Beginning();
  #pairing: Pairing | undefined;
  /** Lines of exchanges that have not ended. */
  readonly #open = new Map<Exchange, ListLine>();
  valid = true;

  constructor(private readonly opened: OpenedInCapture, private readonly add: (line: ListLine) => void) {}

  get isHttp(): boolean | undefined {
    return this.#beginning.isHttp;
  }

  receive(event: StreamEvent): void {
    if (this.isHttp === false) return;
    const pairing = this.#pairing ??= new Pairing((event) => this.#receiveEvent(event));
    const direction = directionOf(event);
    if ("bytes" in event) {
      this.#beginning.receive(direction, event.bytes);
      const { isHttp } = this.#beginning;
      if (isHttp === false) return this.#open.clear();
      pairing.octets(direction, event.bytes, event.time, event.origin.packet);
    } else if (event.kind === "fin") pairing.fin(direction);
    else if (event.kind === "missing" && event.why !== "skipped") {
      this.valid = false;
      this.#beginning.gap(direction);
      pairing.gap(direction, event.octets);
    }
  }

  /** Ends the connection. Returns what it is, if it is not HTTP. */
  end(): string | undefined {
    this.#beginning.end();
    const { isHttp, other, octets } = this.#beginning;
    if (!isHttp) {
      this.#open.clear();
      this.valid = true;
      if (other) return `not HTTP/1 but ${other}`;
      return octets.request + octets.response === 0 ? "no octets" : "not HTTP";
    }
    const pairing = this.#pairing!;
    this.valid &&= (["request", "response"] as const).every((direction) => {
      const { state, head } = pairing.message(direction) ?? {};
      const stop = pairing.stop(direction);
      if (stop?.why === "connection ends" && pairing.received(direction) > stop.from) return false;
      return state === undefined || endsWithConnection(head);
    });
    // A request without the end of its head is named by its line.
    pairing.gap("request");
    for (const [exchange] of this.#open) this.#finish(exchange);
  }

  #receiveEvent(event: ExchangeEvent): void {
    if (!("message" in event) || event.message === undefined) return;
    const { message: { exchange, interim, arrival }, kind, direction } = event;
    const open = this.#open.get(exchange);
    if (kind === "began" && open === undefined && !exchange.over) this.#begin(exchange, arrival.packet);
    const isBroken = kind === "broken" || kind === "cut";
    if (isBroken) this.valid = false;
    if (direction === "request") return;
    if (kind === "content" && open !== undefined) open.octets += event.bytes.length;
    if (isBroken || kind === "ended" && !interim) this.#finish(exchange);
  }

  #begin(exchange: Exchange, packet: number): void {
    const make = (isLast: boolean) => this.#textOf(exchange, line, isLast);
    const line: ListLine = { connection: this, packet, octets: 0, text: undefined, make };
    this.#open.set(exchange, line);
    this.add(line);
  }

  #finish(exchange: Exchange): void {
    const line = this.#open.get(exchange);
    if (line !== undefined) line.text = line.make(true);
    this.#open.delete(exchange);
  }

  /** Why a request has no response: it may have one that is not known. */
  get #unanswered(): string {
    const pairing = this.#pairing!;
    if (pairing.message("response")?.state === "broken") return "not read";
    const isLacking = pairing.stop("response")?.why === "lost" || this.opened.tcp.mayLackResponses;
    return isLacking ? "not captured" : "no response";
  }

  /** @param isLast Whether nothing more will come. */
  #textOf(exchange: Exchange, { packet, octets }: ListLine, isLast: boolean): string {
    const { request } = exchange;
    const final = finalResponse(exchange);
    const { time } = (request ?? exchange.responses[0]).arrival;
    const name = request === undefined ? "(no request)" : readable(lineOf(request));
    const head = final?.head;
    const isBroken = (final ?? request)?.state === "broken";
    const isWhole = final?.state === "whole" || isLast && endsWithConnection(head);
    const missing = final === undefined ? this.#unanswered : "not whole";
    // Of a head that was cut, the line may be here.
    const [, status = "-"] = /^HTTP\/\S+ (\d{3})\b/.exec(final?.isCut && final.line || "") ?? [];
    return columns([
      timeText(time),
      String(this.opened.connection),
      String(packet),
      name.length > LISTED_CHARACTERS ? `${name.slice(0, LISTED_CHARACTERS)}…` : name,
      head === undefined ? status : String(head.status),
      head === undefined ? "-" : String(octets),
      isBroken ? "invalid" : isWhole ? durationText(final!.ended - time) : isLast ? missing : "not ended yet",
    ], addressText(this.opened.local));
  }
}

/** Whether content ends with the connection, and so is whole at any octet. */
function endsWithConnection(head: RequestHead | ResponseHead | undefined): boolean {
  return head?.kind === "response" && head.contentLength === undefined && head.fields.count("transfer-encoding") === 0;
}
