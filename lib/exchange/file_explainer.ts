/** Explains messages of a file, where requests and responses may follow one another in turn. */

import { Buffer } from "node:buffer";
import { ByteBuffer, NO_BYTES, octetString } from "../bytes.ts";
import type { Explanation } from "./explanation.ts";
import { Explainer, type ExplainerOptions } from "./explainer.ts";
import { CRLF } from "./line_ends.ts";
import type { Direction, ExchangeEvent, Message } from "./messages.ts";
import { LF } from "../http_message.ts";
import { MAX_SEARCHED_LINE_OCTETS } from "../limits.ts";
import { octetRow } from "./rows.ts";
import { protocolOf, RESPONSE_START } from "./start_lines.ts";

/** An explanation, and the offset of its first octet in the file, after line ends are converted. */
export type Placed = { readonly explanation: Explanation; readonly at: number };

/** Options of {@linkcode FileExplainer}. */
export interface FileExplainerOptions extends Pick<ExplainerOptions, "kept"> {
  /** Returns the method that a response without its request answers. */
  readonly answers: () => string | undefined;
  /** Whether bare LF outside of content is explained as if it were CR LF. */
  readonly crlf: boolean;
}

/** Explains a file. `HTTP/` begins a response at its start, after a message, and after a head with Expect. */
export class FileExplainer {
  readonly #explainer: Explainer;
  readonly #crlf: boolean;
  /** Who sent the last octets; `undefined` at the start. */
  #direction: Direction | undefined;
  /** Whether the next octets show who sent them. */
  #isTurn = true;
  /** The first octets of a turn, as long as they are too few to show that. */
  #held = new ByteBuffer(0);
  /** The last octet of a line that has not ended. */
  #lineOctet: number | undefined;
  #hasRequests = false;
  #hadContent = false;
  #ended = false;
  /** Octets of line ends that are in no message. */
  #between = 0;
  readonly #starts = new WeakMap<Message, number>();
  readonly #placed: Placed[] = [];

  /** Creates an explainer at the start of a file. */
  constructor({ crlf, ...options }: FileExplainerOptions) {
    this.#explainer = new Explainer({ ...options, listener: (event) => this.#receiveEvent(event) });
    this.#crlf = crlf;
  }

  /** Whether more octets would change nothing. */
  get needsNoMore(): boolean {
    return this.#direction !== undefined && !this.#isTurn && this.#explainer.needsNoMore(this.#direction);
  }

  /** Ends the file. */
  end(): void {
    this.receive(NO_BYTES, true);
    this.#ended = true;
    this.#explainer.end();
  }

  /** Removes and returns the finished explanations, in the order of the file. */
  take(): Placed[] {
    for (const explanation of this.#explainer.take()) {
      const { message, start, direction } = explanation;
      this.#placed.push({ explanation, at: this.#starts.get(message!) ?? this.#offset(direction, start) });
    }
    // A request that a response interrupts is explained after it.
    const waiting = this.#ended ? undefined : this.#explainer.pairing.message("request");
    const until = waiting?.state === "incomplete" ? this.#starts.get(waiting)! : Infinity;
    this.#placed.sort((a, b) => a.at - b.at);
    return this.#placed.splice(0, this.#placed.filter(({ at }) => at < until).length);
  }

  #receiveEvent(event: ExchangeEvent): void {
    if (event.kind === "began") {
      this.#hadContent = false;
      this.#hasRequests ||= event.direction === "request";
      this.#starts.set(event.message, this.#offset(event.direction, event.message.from));
    } else if (event.kind === "content") this.#hadContent = true;
    else if (event.kind === "ended") this.#isTurn = true;
    else if (event.kind === "head" && event.head.kind === "request") {
      this.#isTurn = event.head.contentLength !== 0 && event.head.fields.get("expect") !== undefined;
    }
  }

  /** The offset in the file of an octet of the direction that has the turn. */
  #offset(direction: Direction, at: number): number {
    return at + this.#between + this.#explainer.pairing.received(direction === "request" ? "response" : "request");
  }

  /** Receives the next octets, which may change after the call. */
  receive(bytes: Uint8Array, isEnd = false): void {
    let rest = bytes;
    if (this.#held.length > 0) {
      this.#held.append(bytes);
      rest = this.#held.view();
      this.#held = new ByteBuffer(0);
    }
    while (rest.length > 0) {
      if (this.#isTurn) {
        const next = this.#next(octetString(rest, 0, Math.min(rest.length, MAX_SEARCHED_LINE_OCTETS)), isEnd);
        if (next === undefined) return this.#held.append(rest);
        if (typeof next === "number") {
          rest = rest.subarray(next);
          continue;
        }
        this.#direction = next;
      }
      rest = this.#explain(this.#direction!, rest);
    }
  }

  /** Explains content, or lines up to one behind which content or a turn may begin. Returns the octets after that. */
  #explain(direction: Direction, octets: Uint8Array): Uint8Array {
    const isInLine = this.#lineOctet !== undefined;
    const content = this.#crlf && isInLine ? 0 : this.#explainer.pairing.contentLeft(direction);
    const lines = this.#crlf || isInLine ? octets.indexOf(LF) + 1 || octets.length : emptyLineEnd(octets);
    const end = content > 0 ? Math.min(content, octets.length) : lines;
    const isLineEnd = content === 0 && octets[end - 1] === LF;
    const before = end > 1 ? octets[end - 2] : this.#lineOctet;
    this.#lineOctet = content > 0 || isLineEnd ? undefined : octets[end - 1];
    const isBare = this.#crlf && isLineEnd && before !== CRLF[0];
    const piece = isBare ? Buffer.concat([octets.subarray(0, end - 1), CRLF]) : octets.subarray(0, end);
    this.#isTurn = false;
    this.#explainer.octets(direction, piece);
    return octets.subarray(end);
  }

  /** Returns who sent the next octets, or how many of them are not in a message; `undefined` if that needs more. */
  #next(start: string, isEnd: boolean): Direction | number | undefined {
    if (start.startsWith(RESPONSE_START)) return "response";
    if (RESPONSE_START.startsWith(start) && !isEnd) return undefined;
    const last = this.#direction;
    if (last === undefined) return RESPONSE_START.startsWith(start) ? "response" : "request";
    const { pairing } = this.#explainer;
    const request = pairing.message("request");
    const isAwaited = request?.state === "incomplete";
    if (isAwaited && !request.exchange.over) return "request";
    const protocol = protocolOf(start, "request");
    if (protocol === undefined && !isEnd) return undefined;
    const begins = protocol === "HTTP/1";
    if (isAwaited && begins) pairing.gap("request");
    if (isAwaited) return "request";
    const excess = this.#lineEnds(last, start);
    if (excess > 0) return excess;
    if (last === "response" && pairing.stop(last) !== undefined) return last;
    return begins || this.#hasRequests && protocol === undefined ? "request" : last;
  }

  /** Explains line ends after a message, unless they may precede the next one. Returns their number of octets. */
  #lineEnds(direction: Direction, text: string): number {
    const [octets] = /^(?:\r?\n)*/.exec(text)!;
    const isIgnored = direction === "request" && (this.#crlf || /^(?:\r\n)*$/.test(octets));
    if (octets === "" || isIgnored && !this.#hadContent) return 0;
    const count = octets.split("\n").length - 1;
    const what = count === 1 ? "one line end" : `${count} line ends`;
    const label = `${what} too many after the ${this.#hadContent ? "content" : direction}`;
    const shown = this.#crlf ? octets.replace(/\r?\n/g, "\r\n") : octets;
    const { length } = shown;
    const start = this.#explainer.pairing.received(direction);
    const rows = [octetRow("unread", 0, shown, [label, "RFC 9112 §2.2"])];
    const state = isIgnored ? "whole" : "broken";
    const explanation = { direction, kind: "unread", start, length, rows, findings: [], state } as const;
    this.#placed.push({ at: this.#offset(direction, start), explanation });
    this.#between += length;
    return octets.length;
  }
}

/** Returns where the first empty line ends: no message ends before that, but for content of known length. */
function emptyLineEnd(octets: Uint8Array): number {
  let start = 0;
  while (octets[start] !== CRLF[0] || octets[start + 1] !== LF) {
    const lf = octets.indexOf(LF, start);
    if (lf < 0) return octets.length;
    start = lf + 1;
  }
  return start + CRLF.length;
}
