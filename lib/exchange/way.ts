/**
 * The state of one direction of a connection: what is read, and what is held to be read later.
 *
 * @module
 */

import { ByteBuffer, NO_BYTES } from "../bytes.ts";
import { Decoder } from "../http_message.ts";
import { type MessageLimits, UNREAD_KEPT_BYTES } from "../limits.ts";
import type { Direction, Message, Stop } from "./messages.ts";
import type { StartLineSearch } from "./start_search.ts";

/** When octets came, by the caller's clock, and with which call. */
export interface Arrival {
  /** The time. */
  readonly time: number;
  /** The number of the call. */
  readonly arrival: number;
}

/** One direction of a connection. */
export class Way {
  /** Which one. */
  readonly direction: Direction;
  readonly #limits: MessageLimits;
  /** Decodes its messages. */
  decoder: Decoder;
  /** How many octets have come. */
  received = 0;
  /** The offset after the last complete message. */
  start = 0;
  /** When the octets that are being read came, by the caller's clock. */
  time = 0;
  /** The number of the call that brought them. */
  arrival = 0;
  /** The message that is being read, or that broke. */
  message: Message | undefined;
  /** Why octets are not read; a broken message stops its direction, too. */
  stopped: Stop | "broken" | undefined;
  /** Whether the receiver has read on behind the broken message. */
  readOn = false;
  /** The number of the exchange behind whose broken message reading has just started again. */
  behind: number | undefined;
  /** Looks for the next message behind octets that are missing. */
  search: StartLineSearch<Arrival> | undefined;
  /** Whether the caller decides who sent what comes next. */
  paused = false;
  /** Whether the direction has ended. */
  ended = false;
  /** Whether it has to end after the last complete message (RFC 9112 §9.3). */
  closes = false;
  /** Octets that may be read later, and where and when they came. */
  #held:
    | { readonly octets: ByteBuffer; readonly from: number; readonly time: number; readonly arrival: number }
    | undefined;
  /** Whether too many came: they cannot be read any more. */
  #isFull = false;

  /** Starts a direction whose messages have these limits. */
  constructor(direction: Direction, limits: MessageLimits) {
    this.direction = direction;
    this.#limits = limits;
    this.decoder = new Decoder(direction, limits);
  }

  /** The offset of the first octet that was not decoded. */
  get at(): number {
    return this.received - this.decoder.unread.length;
  }

  /** Whether octets are not read as messages. */
  get stops(): boolean {
    return this.stopped !== undefined;
  }

  /** Whether octets are held. */
  get holds(): boolean {
    return this.#held !== undefined;
  }

  /** Holds octets that may be read later; if there are too many, none of them. */
  hold(octets: Uint8Array, from: number, time: number, arrival: number): void {
    if (this.#isFull) return;
    this.#held ??= { octets: new ByteBuffer(0), from, time, arrival };
    if (this.#held.octets.length + octets.length <= UNREAD_KEPT_BYTES) return this.#held.octets.append(octets);
    this.#held = undefined;
    // Behind a broken message, a later start line may do.
    this.#isFull = this.stopped === "held";
  }

  /** Takes the octets that are held, to read them from their first on; `undefined` if there were too many. */
  takeHeld(): Uint8Array | undefined {
    if (this.#isFull) return undefined;
    const held = this.#held;
    this.restart();
    if (held === undefined) return NO_BYTES;
    this.start = held.from;
    this.time = held.time;
    this.arrival = held.arrival;
    return held.octets.view();
  }

  /** Forgets what came: the next octet starts a message. */
  restart(): void {
    this.decoder = new Decoder(this.direction, this.#limits);
    if (this.ended) this.decoder.close();
    this.start = this.received;
    this.message = undefined;
    this.stopped = this.search = undefined;
    this.readOn = false;
    this.drop();
  }

  /** Drops what is held. */
  drop(): void {
    this.#held = undefined;
    this.#isFull = false;
  }
}
