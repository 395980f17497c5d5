/** The state of one direction of a connection: what is read, and what is held to be read later. */

import { ByteBuffer } from "../bytes.ts";
import { Decoder } from "../http_message.ts";
import { type MessageLimits, UNREAD_KEPT_OCTETS } from "../limits.ts";
import type { Direction, Message, Stop } from "./messages.ts";
import type { StartLineSearch } from "./start_lines.ts";

/** When octets came, by the caller's clock, and with which call. */
export type Arrival = { readonly time: number; readonly call: number };

/** Octets that may be read later. */
type Held = { readonly octets: ByteBuffer; readonly from: number; readonly arrival: Arrival };

export class Way {
  decoder!: Decoder;
  received = 0;
  /** The offset after the last complete message. */
  start = 0;
  /** When the octets that are being read came. */
  arrival: Arrival = { time: 0, call: 0 };
  /** The message that is being read, or that broke. */
  message: Message | undefined;
  /** Why octets are not read; a broken message stops its direction, too. */
  stopped: Stop | "broken" | undefined;
  held: Held | "too many" | undefined;
  /** Whether the receiver has read on after the broken message. */
  readOn = false;
  /** The number of the exchange after whose broken message reading has just started again. */
  restartsAfter: number | undefined;
  /** Looks for the next message after octets that are missing. */
  search: StartLineSearch<Arrival> | undefined;
  ended = false;
  /** Whether it has to end after the last complete message (RFC 9112 §9.3). */
  closes = false;

  constructor(readonly direction: Direction, private readonly limits: MessageLimits) {
    this.restart();
  }

  /** The offset of the first octet that was not decoded. */
  get at(): number {
    return this.received - this.decoder.unread.length;
  }

  /** Holds octets that may be read later; if there are too many, none of them. */
  hold(octets: Uint8Array, from: number, arrival: Arrival): void {
    if (this.held === "too many") return;
    this.held ??= { octets: new ByteBuffer(0), from, arrival };
    if (this.held.octets.length + octets.length <= UNREAD_KEPT_OCTETS) return this.held.octets.append(octets);
    // After a broken message, reading may also start at a later start line.
    this.held = this.stopped === "held" ? "too many" : undefined;
  }

  /** Forgets what came: the next octet, or the first one that was held, starts a message. */
  restart({ from, arrival }: Omit<Held, "octets"> = { from: this.received, arrival: this.arrival }): void {
    this.decoder = new Decoder(this.direction, this.limits);
    if (this.ended) this.decoder.close();
    this.start = from;
    this.arrival = arrival;
    this.message = this.stopped = undefined;
    this.search = this.held = undefined;
    this.readOn = false;
  }
}
