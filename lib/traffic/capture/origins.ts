/** Remembers which packets, or reads and writes, the octets of a message came from, and when; and its acknowledgment. */

import { KEPT_ORIGINS, SHOWN_ORIGINS } from "../../limits.ts";
import type { Acknowledged, PacketOrigin } from "./reader.ts";
import { durationText } from "./words.ts";

/** Octets of one direction that came together. */
interface Piece {
  readonly from: number;
  to: number;
  readonly call: string | undefined;
  readonly packets: number[];
  readonly time: number;
  lastTime: number;
}

export interface MessageOrigin {
  /** The time of its first octet, in microseconds. */
  readonly start: number;
  /** When the last packet with octets of it came. */
  readonly end: number;
  /** The packets, of which those in the middle may be left out. */
  readonly packets: readonly number[];
  readonly pieces: number;
  readonly largest: number;
  /** Whether they are reads or writes, not segments. */
  readonly isRecorded: boolean;
  /** One text on each piece, such as `read 1 (packet 4)`, with its octets if there are several. */
  readonly texts: readonly string[];
  /** The first packet that acknowledges its last octet, and when it came, once known. */
  acknowledged?: { readonly packet: number; readonly time: number };
}

export class Origins {
  /** The first pieces of the message that is not finished, and the last one. */
  #pieces: Piece[] = [];
  /** The number of pieces between those and the last one, and when the latest of them came. */
  #hidden = 0;
  #hiddenEnd = -Infinity;
  #received = 0;
  /** The last acknowledgment of octets that were sent before, and messages that end after it. */
  #acknowledged = { to: 0, packet: 0, time: 0 };
  readonly #waiting: { readonly to: number; readonly origin: MessageOrigin }[] = [];

  /** Remembers at most so many pieces of a message, and the last one. */
  constructor(private readonly most: number = SHOWN_ORIGINS) {}

  /** Receives the number of the next octets, and where they come from. */
  receive(octets: number, { packet, call, continues }: PacketOrigin, time: number): void {
    const from = this.#received;
    const to = this.#received += octets;
    const last = this.#pieces.at(-1);
    if (last !== undefined && continues && last.call === call) {
      last.to = to;
      if (last.packets.length >= KEPT_ORIGINS) last.packets.pop();
      last.packets.push(packet);
      last.lastTime = time;
      return;
    }
    if (this.#pieces.length > this.most) {
      this.#pieces.pop();
      this.#hidden++;
      this.#hiddenEnd = Math.max(this.#hiddenEnd, last!.lastTime);
    }
    this.#pieces.push({ from, to, call, packets: [packet], time, lastTime: time });
  }

  acknowledge({ unacknowledged, time, origin: { packet } }: Acknowledged): void {
    const to = this.#received - unacknowledged;
    if (to <= this.#acknowledged.to) return;
    this.#acknowledged = { to, packet, time };
    while (this.#waiting.length > 0 && this.#waiting[0].to <= to) {
      this.#waiting.shift()!.origin.acknowledged = { packet, time };
    }
  }

  /** Removes and returns the origin of the octets of one message; what follows belongs to the next one. */
  take(start: number, end: number): MessageOrigin {
    const own = this.#pieces.filter(({ from, to }) => from < end && to > start);
    // Only pieces of a message that is not finished are hidden.
    const hidden = own.at(-1) === this.#pieces.at(-1) ? this.#hidden : 0;
    const texts = own.length === 1 ? own.map(nameOf) : own.map((piece, i) => {
      const { from, to, time } = piece;
      const [first, last] = [Math.max(from, start) - start, Math.min(to, end) - start - 1];
      const octets = first === last ? `octet ${first}` : `octets ${first}-${last}`;
      // What lies between the last two may be hidden.
      const before = hidden > 0 && i === own.length - 1 ? Infinity : own[i - 1]?.lastTime ?? Infinity;
      const later = time >= before ? `, ${durationText(time - before)} later` : "";
      return `${octets}: ${nameOf(piece)}${later}`;
    });
    if (hidden > 0) texts.splice(-1, 0, `… ${hidden} more`);
    this.#hidden -= hidden;
    this.#pieces = this.#pieces.filter(({ to }) => to > end);
    const { to, packet, time } = this.#acknowledged;
    const origin: MessageOrigin = {
      start: own[0]?.time ?? 0,
      // A segment that was lost comes after those behind it.
      end: own.reduce((end, { lastTime }) => Math.max(end, lastTime), hidden > 0 ? this.#hiddenEnd : -Infinity),
      packets: own.flatMap(({ packets }) => packets),
      pieces: own.length + hidden,
      largest: Math.max(0, ...own.map(({ from, to }) => to - from)),
      isRecorded: own.some(({ call }) => call !== undefined),
      texts,
      ...to > 0 && to >= end && { acknowledged: { packet, time } },
    };
    if (origin.acknowledged === undefined && !origin.isRecorded) this.#waiting.push({ to: end, origin });
    return origin;
  }
}

function nameOf({ call, packets: [first, ...more] }: Piece): string {
  const packets = more.length === 0 ? `packet ${first}` : `packets ${first} to ${more.at(-1)}`;
  return call === undefined ? packets : `${call} (${packets})`;
}
