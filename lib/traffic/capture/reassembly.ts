/** Puts one direction of TCP in order: late, repeated, overlapping and missing segments (RFC 9293 §3.4, §3.10). */

import { MAX_REASSEMBLED_DIRECTION_BYTES } from "../../limits.ts";
import type { SentFacts } from "./capture_events.ts";

/** Receives what a direction carries, in order. `P` identifies the packet that it came from. */
export interface FlowListener<P> {
  /** Receives octets, which are valid during the call. */
  octets(octets: Uint8Array, packet: P): void;
  /** Receives the number of octets that were sent but not captured, and the packet that was cut before them, if so. */
  missing(count: number, packet: P, cut?: P): void;
  fin(packet: P): void;
}

/** Octets that wait for earlier ones, in all directions of all connections, and the overhead of keeping them. */
export type ReassemblyBudget = { used: number; readonly most: number };

type WaitingSegment<P> = { readonly sequence: number; readonly octets: Uint8Array; readonly packet: P };

/** Returns how far a sequence number is after another: they count modulo 2^32. */
function distance(from: number, to: number): number {
  return to - from | 0;
}

/** Bytes that a waiting segment counts besides its octets: its overhead in memory. */
export const SEGMENT_BYTES: number = 256;
/** How many octets beyond those sent may be acknowledged: a gap in the capture. More belongs to another connection. */
const MAX_ACKNOWLEDGED_AHEAD = 64 * 1024 * 1024;
/** How many packets that were cut are remembered, for what is missing at the time. */
const MAX_CUTS = 100;

/** One direction of a connection, whose first sequence number is not known at first. */
export class Flow<P> {
  /** The sequence number of the next octet, once known, and whether a SYN has shown it. */
  #next: number | undefined;
  #isSure = false;
  isSeen = false;
  /** Packets that were cut, by the sequence number of the first octet that is missing. */
  #cuts: Map<number, P> | undefined;
  /** The sequence number after the last octet, or the FIN, that was sent. */
  #sent = 0;
  /** Segments after a gap, by sequence number. */
  #waiting: WaitingSegment<P>[] = [];
  #waitingOctets = 0;
  #fin: { readonly sequence: number; readonly packet: P } | undefined;
  #ended = false;
  /** The highest sequence number that the receiver has acknowledged; at first, that of the first octet. */
  #acknowledged = 0;

  readonly sent: SentFacts = { repeated: 0, late: 0 };

  constructor(private readonly listener: FlowListener<P>, private readonly budget: ReassemblyBudget) {}

  get isKnown(): boolean {
    return this.#next !== undefined;
  }

  /** How many octets that were emitted are not acknowledged. */
  get unacknowledged(): number {
    return this.#next === undefined ? 0 : Math.max(0, distance(this.#acknowledged, this.#next));
  }

  /** Whether its receiver has acknowledged more than was captured. */
  get isBehind(): boolean {
    return !this.#ended && distance(this.#next ?? 0, this.#acknowledged) > 0;
  }

  /** Returns how far a sequence number is from the next one that its receiver expects: 0 if it may be the very one. */
  ahead(sequence: number): number {
    const mayBeNext = [this.#next, this.#sent, this.#acknowledged].includes(sequence);
    return mayBeNext ? 0 : distance(this.#acknowledged, sequence);
  }

  /** Sets the next sequence number, unless it is known. A SYN knows better than any other segment before it. */
  start(sequence: number, isSyn = false): void {
    if (this.#next !== undefined && (this.#isSure || !isSyn)) return;
    this.#isSure = isSyn;
    const sent = distance(sequence, this.#sent);
    // It comes late: what follows it is here.
    if (this.isSeen && sent > 0 && sent <= MAX_ACKNOWLEDGED_AHEAD) return;
    this.#next = this.#sent = this.#acknowledged = sequence >>> 0;
  }

  /** Receives a segment that had so many octets, of which these were captured. */
  segment(sequence: number, octets: Uint8Array, length: number, fin: boolean, packet: P): void {
    if (this.#ended) return;
    // What has been acknowledged may be captured later.
    if (!this.isSeen && this.#next !== undefined && distance(this.#next, sequence) < 0) this.#next = undefined;
    this.start(sequence);
    this.isSeen ||= length > 0;
    const end = sequence + length >>> 0;
    if (fin) this.#fin ??= { sequence: end, packet };
    if (length > 0) this.#count(sequence, end, length);
    const last = fin ? end + 1 >>> 0 : end;
    if (distance(this.#sent, last) > 0) this.#sent = last;
    if (octets.length < length) {
      this.#cuts ??= new Map();
      if (this.#cuts.size < MAX_CUTS) this.#cuts.set(sequence + octets.length >>> 0, packet);
    }
    if (distance(this.#next!, sequence) > 0) this.#keep(sequence, octets, packet);
    else this.#give(sequence, octets, packet);
    this.#advance(packet);
  }

  /** What is missing before it will not come any more. One far beyond what was sent is another connection's. */
  acknowledge(sequence: number, packet: P): void {
    this.start(sequence);
    if (distance(this.#sent, sequence) > MAX_ACKNOWLEDGED_AHEAD) return;
    if (distance(this.#acknowledged, sequence) > 0) this.#acknowledged = sequence;
    if (!this.#ended) this.#advance(packet);
  }

  newOctets(sequence: number, length: number): number {
    return this.#next === undefined ? length : Math.min(length, Math.max(0, distance(this.#sent, sequence + length)));
  }

  /** Counts as sent what comes after the direction has ended. Returns how many octets of it are new. */
  countNew(sequence: number, length: number): number {
    const octets = this.newOctets(sequence, length);
    if (octets > 0) this.#sent = sequence + length >>> 0;
    return octets;
  }

  /** Emits all that waits, and what is missing before it: nothing more comes. */
  end(packet: P): void {
    if (this.#next !== undefined && !this.#ended) this.#advance(packet, true);
  }

  discard(): void {
    this.#waiting = [];
    this.#hold(-this.#waitingOctets);
    this.#ended = true;
  }

  /** Counts a segment that has nothing new, but for a probe of one octet that keeps a connection alive. */
  #count(sequence: number, end: number, length: number): void {
    if (distance(this.#sent, end) > 0 || length === 1 && end === this.#sent) return;
    const isLate = distance(this.#next!, sequence) >= 0 && this.#waiting.every((waiting) => {
      return distance(waiting.sequence, end) <= 0 || distance(sequence, waiting.sequence + waiting.octets.length) <= 0;
    });
    if (isLate) this.sent.late++;
    else this.sent.repeated++;
  }

  #keep(sequence: number, octets: Uint8Array, packet: P): void {
    if (octets.length === 0) return;
    let index = this.#waiting.length;
    while (index > 0 && distance(this.#waiting[index - 1].sequence, sequence) < 0) index--;
    const before = this.#waiting[index - 1];
    // A segment is often repeated until the missing one has come.
    if (before?.sequence === sequence && before.octets.length >= octets.length) return;
    this.#waiting.splice(index, 0, { sequence, octets: octets.slice(), packet });
    this.#hold(octets.length + SEGMENT_BYTES);
  }

  #hold(octets: number): void {
    this.#waitingOctets += octets;
    this.budget.used += octets;
  }

  /** Emits the octets of a segment without a gap before it: only those beyond what was emitted are new. */
  #give(sequence: number, octets: Uint8Array, packet: P): void {
    const known = distance(sequence, this.#next!);
    if (known >= octets.length) return;
    this.#next = sequence + octets.length >>> 0;
    this.listener.octets(known === 0 ? octets : octets.subarray(known), packet);
  }

  /** Emits what waits, as far as nothing is missing before it, or what is missing will not come. */
  #advance(packet: P, isEnd = false): void {
    const isAcknowledged = (sequence: number) => distance(sequence, this.#acknowledged) >= 0;
    let given = 0;
    for (const { sequence, octets, packet: from } of this.#waiting) {
      const isTooMuch = this.#waitingOctets > MAX_REASSEMBLED_DIRECTION_BYTES || this.budget.used > this.budget.most;
      if (!isEnd && !isTooMuch && distance(this.#next!, sequence) > 0 && !isAcknowledged(sequence)) break;
      this.#skip(sequence, packet);
      given++;
      this.#hold(-octets.length - SEGMENT_BYTES);
      this.#give(sequence, octets, from);
    }
    if (given > 0) this.#waiting.splice(0, given);
    const last = this.#fin?.sequence;
    // The FIN, too, takes a sequence number that is acknowledged.
    if (isEnd) this.#skip(last ?? this.#acknowledged, packet);
    else if (this.#waiting.length === 0 && last !== undefined && isAcknowledged(last)) this.#skip(last, packet);
    if (this.#fin === undefined || distance(this.#next!, this.#fin.sequence) > 0) return;
    // Octets after the FIN are not part of the direction.
    this.discard();
    this.listener.fin(this.#fin.packet);
  }

  /** Gives up the octets before a sequence number. */
  #skip(sequence: number, packet: P): void {
    const count = distance(this.#next!, sequence);
    if (count <= 0) return;
    const cut = this.#cuts?.get(this.#next!);
    this.#cuts?.delete(this.#next!);
    this.#next = sequence >>> 0;
    this.listener.missing(count, packet, cut);
  }
}
