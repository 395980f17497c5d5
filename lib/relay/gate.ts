/**
 * The gate between a client and its server: judges the Host of each request, and changes it.
 *
 * A head waits until it is complete. One that the codec accepts has one Host, whose place is known. From a fault on, the
 * octets have no sure meaning: then each line counts that some receiver may read as Host, until the connection ends, and
 * whatever the pairing reads behind the fault.
 *
 * @module
 */

import { ByteBuffer, octetString } from "../bytes.ts";
import { type ExchangeEvent, type Pairing, startsMessage } from "../exchange.ts";
import { HttpError } from "../http_message.ts";
import { MAX_HELD_HEAD_BYTES } from "../limits.ts";
import type { HostRule } from "./host_rule.ts";
import { headEnd, hostLines, unfinishedHost } from "./host_lines.ts";

/** A changed Host. */
export interface HostChange {
  /** The offset of the value in the client's octets. */
  readonly start: number;
  /** The value that the client sent. */
  readonly from: string;
  /** The value that the server gets. */
  readonly to: string;
}

/** What the gate needs. */
export interface GateOptions {
  /** Reads the requests. */
  readonly pairing: Pairing;
  /** Judges and changes Host. */
  readonly rule: HostRule;
  /** Receives each change. */
  readonly changed: (change: HostChange) => void;
}

/** Decides on the octets of one client. */
export class Gate {
  /** Why nothing more passes. */
  refusal: HttpError | undefined;
  /** The number of octets that have passed; offsets are the client's. */
  passed = 0;
  readonly #options: GateOptions;
  /** Octets that came after those. */
  #held = new ByteBuffer(0);
  /** Where the head starts that is refused. */
  #refusedFrom = Infinity;
  #changes: HostChange[] = [];
  /** From the first fault on: whether a head is awaited, or any line. */
  #awaits: "head" | "lines" | undefined;
  /** In octets without sure meaning: whether the next one starts a line, and how many were searched for a head's end. */
  #startsLine = true;
  #searched = 0;

  /** Creates a gate that nothing has passed. */
  constructor(options: GateOptions) {
    this.#options = options;
  }

  /** How many octets are held. */
  get held(): number {
    return this.#held.length;
  }

  /** Whether the octets have lost their sure meaning. */
  get isBroken(): boolean {
    return this.#awaits !== undefined;
  }

  /** Whether octets wait for an answer that tells whether they are HTTP (RFC 9110 §7.8). */
  get awaitsAnswer(): boolean {
    return this.held > 0 && this.#options.pairing.stop("request")?.why === "held";
  }

  /** Receives what the pairing tells of requests. */
  tell(event: ExchangeEvent): void {
    if (event.direction !== "request" || event.kind !== "head" || event.head.kind !== "request") return;
    const { message: { from }, head: { method, target, fields, text }, to } = event;
    // What is read again behind a fault has been judged.
    if (this.isBroken || to <= this.passed || this.refusal !== undefined) return;
    const { rule } = this.#options;
    const host = fields.get("host");
    this.#refuse(rule.refuseTarget(method, target) ?? (host === undefined ? undefined : rule.refuseHost(host)), from);
    if (host !== undefined) this.#change(to - text.length + fields.valueOffset("host"), host);
  }

  /**
   * Receives the octets of one read, after the pairing has.
   *
   * @param isEnd Whether they are the client's last ones.
   * @returns The octets that pass now, valid until the next call.
   */
  pass(octets: Uint8Array, isEnd = false): Uint8Array {
    if (this.held > 0) this.#held.append(octets);
    const all = this.held > 0 ? this.#held.view() : octets;
    const free = Math.min(this.#free(all, octets, isEnd), Math.max(0, this.#refusedFrom - this.passed));
    const passing = this.#changed(all.subarray(0, free));
    const rest = all.subarray(free);
    if (rest.length === 0) this.#held.clear(0);
    else if (free > 0 || this.held === 0) {
      this.#held = new ByteBuffer(rest.length);
      this.#held.append(rest);
    }
    this.passed += free;
    return passing;
  }

  /** Returns how many of the octets may pass. */
  #free(all: Uint8Array, octets: Uint8Array, isEnd: boolean): number {
    const { pairing } = this.#options;
    const stop = pairing.stop("request");
    if (stop?.why === "left HTTP") return all.length;
    if (this.#awaits === undefined) {
      const message = pairing.message("request");
      const isBroken = message?.state === "broken";
      if (stop?.why === "connection ends") this.#awaits = "lines";
      else if (isBroken) this.#awaits = message.head === undefined ? "head" : "lines";
      const from = isBroken && message.head !== undefined ? message.from + message.error!.offset! : message?.from;
      const read = stop?.from ?? (message?.head !== undefined && !isBroken ? Infinity : from ?? Infinity);
      const free = Math.min(all.length, Math.max(0, read - this.passed));
      if (this.#awaits === undefined) return free;
      return free + this.#searchFrom(all, free, isEnd);
    }
    // A head that begins a read is one, as far as can be told.
    if (all.length === octets.length && startsMessage(octets, "request")) this.#awaits = "head";
    return this.#searchFrom(all, 0, isEnd);
  }

  #searchFrom(all: Uint8Array, from: number, isEnd: boolean): number {
    const text = octetString(all, from);
    const base = this.passed + from;
    const head = this.#awaits === "head" ? this.#head(text, base, isEnd) : 0;
    return this.#awaits === "head" ? 0 : head + this.#lines(text.slice(head), base, isEnd);
  }

  /** Looks for the end of a head that the codec does not read. Returns how many octets are judged with it. */
  #head(text: string, base: number, isEnd: boolean): number {
    const found = headEnd(text, this.#searched);
    const isTooLong = (found ?? text.length) > MAX_HELD_HEAD_BYTES;
    const end = isTooLong ? undefined : found;
    this.#searched = end === undefined ? text.length : 0;
    if (end === undefined && !isEnd && !isTooLong) return 0;
    this.#searched = 0;
    this.#awaits = "lines";
    const head = text.slice(0, end);
    const [, method = "", target = ""] = /^[\r\n]*(\S*)[ \t]+(\S+)/.exec(head) ?? [];
    this.#refuse(this.#options.rule.refuseTarget(method, target), base);
    const hosts = hostLines(head, true);
    if (end === undefined && hosts.length === 0 && text.length > 0) {
      const why = isEnd ? "ended before its Host" : `has no Host in its first ${MAX_HELD_HEAD_BYTES} octets`;
      this.#refuse(new HttpError(421, `The request ${why}, so that it is not known whom it is for`), base);
    }
    for (const { value } of hosts) this.#refuse(this.#options.rule.refuseHost(value), base);
    if (end !== undefined && hosts.length === 1) this.#change(base + hosts[0].start, hosts[0].value);
    this.#startsLine = true;
    // Without its end, the last line is judged with those that follow.
    return end ?? 0;
  }

  /** Judges lines. Returns how many octets are judged. */
  #lines(text: string, base: number, isEnd: boolean): number {
    const judged = isEnd ? text.length : unfinishedHost(text, this.#startsLine);
    for (const { value } of hostLines(text.slice(0, judged), this.#startsLine)) {
      this.#refuse(this.#options.rule.refuseHost(value), base);
    }
    if (text.length - judged > MAX_HELD_HEAD_BYTES) {
      this.#refuse(new HttpError(421, `A line that may be Host is longer than ${MAX_HELD_HEAD_BYTES} octets`), base);
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

  #change(start: number, from: string): void {
    const to = this.#options.rule.authority;
    if (to === undefined || to === from || this.refusal !== undefined) return;
    const change = { start, from, to };
    this.#changes.push(change);
    this.#options.changed(change);
  }

  /** Makes the changes in octets that pass. */
  #changed(octets: Uint8Array): Uint8Array {
    if (this.#changes.length === 0 || octets.length === 0) return octets;
    const end = this.passed + octets.length;
    const passing = new ByteBuffer(octets.length + 64);
    let at = 0;
    // All changes are in heads that pass now.
    for (const { start, from, to } of this.#changes.splice(0)) {
      if (start >= end) continue;
      passing.append(octets.subarray(at, start - this.passed));
      passing.appendText(to);
      at = start - this.passed + from.length;
    }
    passing.append(octets.subarray(at));
    return passing.view();
  }
}
