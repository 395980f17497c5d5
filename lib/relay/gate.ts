/**
 * The gate between a client and its server: judges the Host of each request, and changes it.
 *
 * A head waits until it is complete. One that the codec accepts has one Host, whose place is known. From a fault on, the
 * octets have no certain meaning: then each line that some receiver may read as Host counts, until the connection ends,
 * whatever the pairing reads after the fault.
 */

import { authorityOf, type Endpoint, hostOf, isLocalName, originOf } from "../address.ts";
import { Buffer } from "node:buffer";
import { NO_BYTES, octetString } from "../bytes.ts";
import { type ExchangeEvent, type Pairing, startsMessage } from "../exchange.ts";
import { HttpError } from "../http_message.ts";
import { MAX_HELD_HEAD_OCTETS } from "../limits.ts";

const RULE = "RFC 9110 §7.4";

export class HostRule {
  /** The value that Host becomes; `undefined` if it stays. */
  readonly authority: string | undefined;
  readonly #host: string;
  readonly #origin: string;

  /**
   * Creates the rule of a relay to a server. Unless it `keeps` Host, Host becomes the server's. It passes requests on for
   * `anyHost` if other machines reach it: then it has names that it does not know.
   */
  constructor(server: Endpoint, keeps: boolean, private readonly anyHost: boolean) {
    this.authority = keeps ? undefined : authorityOf(server);
    this.#host = hostOf(authorityOf(server));
    this.#origin = new URL(originOf(server)).origin;
  }

  /** Returns why a request with this Host is refused: it names neither this machine nor the server. */
  refuseHost(value: string): HttpError | undefined {
    const host = hostOf(value);
    if (this.anyHost || value === "" || isLocalName(host) || host === this.#host) return undefined;
    const detail = `This relay does not answer for the host ${JSON.stringify(value)}: expected localhost, an IP ` +
      `address, or ${this.#host}`;
    return new HttpError(421, detail, { rule: RULE });
  }

  /** Returns why a request with this method and target is refused: it is for a forward proxy. */
  refuseTarget(method: string, target: string): HttpError | undefined {
    const [origin] = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i.exec(target) ?? [];
    const url = origin === undefined ? undefined : URL.parse(origin);
    const isOwn = url === undefined || url?.origin === this.#origin && url.username + url.password === "";
    if (method !== "CONNECT" && isOwn) return undefined;
    const detail = `This is not a forward proxy: it passes requests to ${this.#origin} only`;
    return new HttpError(421, detail, { rule: RULE });
  }
}

export interface HostChange {
  /** The offset of the value in the client's octets. */
  readonly start: number;
  readonly from: string;
  readonly to: string;
  /** Whether it is in a head that the pairing reports next. */
  readonly isAccepted: boolean;
}

export class HostGate {
  refusal: HttpError | undefined;
  /** The number of octets that have passed; offsets are the client's. */
  passed = 0;
  /** Octets that came after those. */
  #held: Uint8Array = NO_BYTES;
  #refusedFrom = Infinity;
  #changes: HostChange[] = [];
  /** From the first fault on: whether a head is awaited, or any line. */
  #awaits: "head" | "lines" | undefined;
  /** In octets without certain meaning: whether the next one starts a line. */
  #startsLine = true;

  /** Creates a gate for the requests that a pairing reads. Each change of a Host is reported. */
  constructor(
    private readonly pairing: Pairing,
    private readonly rule: HostRule,
    private readonly changedHost: (change: HostChange) => void,
  ) {}

  get held(): number {
    return this.#held.length;
  }

  /** Whether the octets no longer have a certain meaning. */
  get isBroken(): boolean {
    return this.#awaits !== undefined;
  }

  /** Whether octets wait for an answer that shows whether they are HTTP (RFC 9110 §7.8). */
  get awaitsAnswer(): boolean {
    return this.held > 0 && this.pairing.stop("request")?.why === "held";
  }

  /** Judges a request whose head the pairing has read. */
  receive(event: ExchangeEvent): void {
    if (event.direction !== "request" || event.kind !== "head" || event.head.kind !== "request") return;
    const { message: { from }, head: { method, target, fields, text }, to } = event;
    // A head that is read again after a fault has been judged already.
    if (this.isBroken || to <= this.passed || this.refusal !== undefined) return;
    this.#refuse(this.rule.refuseTarget(method, target), from);
    const host = fields.get("host");
    if (host === undefined) return;
    this.#refuse(this.rule.refuseHost(host), from);
    this.#change(to - text.length + fields.valueOffset("host"), host, true);
  }

  /** Receives the octets of one read, after the pairing has. Returns those that pass now, valid until the next call. */
  pass(octets: Uint8Array, isEnd = false): Uint8Array {
    const all = this.held > 0 ? Buffer.concat([this.#held, octets]) : octets;
    const free = Math.min(this.#free(all, octets, isEnd), Math.max(0, this.#refusedFrom - this.passed));
    const passing = this.#changed(all.subarray(0, free));
    // Held octets are few: a head is bounded, and nothing is read while an answer is awaited.
    this.#held = free < all.length ? new Uint8Array(all.subarray(free)) : NO_BYTES;
    this.passed += free;
    return passing;
  }

  #free(all: Uint8Array, octets: Uint8Array, isEnd: boolean): number {
    const stop = this.pairing.stop("request");
    if (stop?.why === "left HTTP") return all.length;
    let free = 0;
    if (this.#awaits === undefined) {
      const message = this.pairing.message("request");
      const isBroken = message?.state === "broken";
      let end = message === undefined || message.head !== undefined ? Infinity : message.from;
      if (isBroken) {
        this.#awaits = message.head === undefined ? "head" : "lines";
        end = Math.min(end, message.from + message.error!.offset!);
      }
      if (stop?.why === "connection ends") this.#awaits = "lines";
      free = Math.min(all.length, Math.max(0, (stop?.from ?? end) - this.passed));
      if (this.#awaits === undefined) return free;
    } else if (all.length === octets.length && startsMessage(octets, "request")) {
      // Octets that begin a read like a head are taken for one.
      this.#awaits = "head";
    }
    const text = octetString(all, free);
    const base = this.passed + free;
    const head = this.#awaits === "head" ? this.#head(text, base, isEnd) : 0;
    return this.#awaits === "head" ? free : free + head + this.#lines(text.slice(head), base, isEnd);
  }

  /** Looks for the end of a head that the codec does not read. Returns how many octets are judged with it. */
  #head(text: string, base: number, isEnd: boolean): number {
    const found = headEnd(text);
    const isTooLong = (found ?? text.length) > MAX_HELD_HEAD_OCTETS;
    const end = isTooLong ? undefined : found;
    if (end === undefined && !isEnd && !isTooLong) return 0;
    this.#awaits = "lines";
    const head = text.slice(0, end);
    const [, method = "", target = ""] = /^[\r\n]*(\S*)[ \t]+(\S+)/.exec(head) ?? [];
    this.#refuse(this.rule.refuseTarget(method, target), base);
    const hosts = hostLines(head, true);
    if (end === undefined && hosts.length === 0 && text.length > 0) {
      const why = isEnd ? "ended before its Host" : `has no Host in its first ${MAX_HELD_HEAD_OCTETS} octets`;
      this.#refuse(new HttpError(421, `The request ${why}, so that it is not known whom it is for`), base);
    }
    for (const { value } of hosts) this.#refuse(this.rule.refuseHost(value), base);
    if (end !== undefined && hosts.length === 1) this.#change(base + hosts[0].start, hosts[0].value, false);
    this.#startsLine = true;
    // Without its end, the last line is judged with those that follow.
    return end ?? 0;
  }

  /** Judges lines. Returns how many octets are judged. */
  #lines(text: string, base: number, isEnd: boolean): number {
    const judged = isEnd ? text.length : unfinishedHost(text, this.#startsLine);
    for (const { value } of hostLines(text.slice(0, judged), this.#startsLine)) {
      this.#refuse(this.rule.refuseHost(value), base);
    }
    if (text.length - judged > MAX_HELD_HEAD_OCTETS) {
      this.#refuse(new HttpError(421, `A line that may be Host is longer than ${MAX_HELD_HEAD_OCTETS} octets`), base);
    }
    if (judged > 0) this.#startsLine = /[\r\n]/.test(text[judged - 1]);
    return judged;
  }

  /** Lets nothing pass from an offset on. */
  #refuse(error: HttpError | undefined, from: number): void {
    if (error === undefined || this.refusal !== undefined) return;
    this.refusal = error;
    this.#refusedFrom = from;
  }

  #change(start: number, from: string, isAccepted: boolean): void {
    const to = this.rule.authority;
    if (to === undefined || to === from || this.refusal !== undefined) return;
    const change = { start, from, to, isAccepted };
    this.#changes.push(change);
    this.changedHost(change);
  }

  #changed(octets: Uint8Array): Uint8Array {
    if (this.#changes.length === 0) return octets;
    const parts: Uint8Array[] = [];
    let at = 0;
    // All changes are in heads that pass now, or never.
    for (const { start, from, to } of this.#changes.splice(0)) {
      if (start >= this.passed + octets.length) continue;
      parts.push(octets.subarray(at, start - this.passed), Buffer.from(to));
      at = start - this.passed + from.length;
    }
    return Buffer.concat([...parts, octets.subarray(at)]);
  }
}

// Receivers differ in where a line ends, and in what may stand before a name and before its colon. Whatever one of them
// may take for Host counts.

/** Blanks and control characters, but for line ends: what a lenient receiver may skip. */
const SKIPPED = String.raw`[\0-\t\v\f\x0e-\x20]*`;
/** A value, with lines that continue it (RFC 9112 §5.2). */
const VALUE = String.raw`[^\r\n]*(?:(?:\r\n|\r|\n)[ \t][^\r\n]*)*`;
const HOST = new RegExp(String.raw`(?<=[\r\n])${SKIPPED}host${SKIPPED}:(${VALUE})`, "gi");
/** What may be, or become, a Host field once more octets come. */
const UNFINISHED = new RegExp(
  String.raw`(?<=[\r\n])(?!$)${SKIPPED}(?:h?|ho|hos|host${SKIPPED}(?::${VALUE}(?:\r\n?|\n)?)?)$`,
  "i",
);
/** A head, with lenient line ends. Empty lines before a request are ignored (RFC 9112 §2.2). */
const HEAD = /^[\r\n]*[^\r\n][^]*?\n\r?\n/;

/** Returns the values of lines that may be read as Host, with their offsets; the octets may start a line. */
export function hostLines(octets: string, startsLine: boolean): { value: string; start: number }[] {
  return [...inLines(octets, startsLine).matchAll(HOST)].map(({ 0: { length }, 1: value, index }) => ({
    value: value.trim(),
    // The first octet is the line end before them.
    start: index + length - value.trimStart().length - 1,
  }));
}

/** Returns where a line starts, at the end of the octets, that may yet be read as Host; their length if none does. */
export function unfinishedHost(octets: string, startsLine: boolean): number {
  const found = UNFINISHED.exec(inLines(octets, startsLine));
  return found === null ? octets.length : found.index - 1;
}

/** Returns where a head ends that begins with the octets; `undefined` if its end is not there. */
export function headEnd(octets: string): number | undefined {
  return HEAD.exec(octets)?.[0].length;
}

function inLines(octets: string, startsLine: boolean): string {
  return (startsLine ? "\n" : ".") + octets;
}
