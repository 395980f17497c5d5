/** The state of one direction of a connection: what is read, and what is held to be read later. */

import { Buffer } from "node:buffer";
import { Decoder } from "../http_message.ts";
import { type MessageLimits, UNREAD_KEPT_OCTETS } from "../limits.ts";
import type { Arrival, Direction, Message, Stop } from "./messages.ts";
import type { FoundLine, StartLineSearch } from "./start_lines.ts";

/** Octets of one read. */
export type Piece = FoundLine<Arrival>["pieces"][number];

/** Pieces that are held apart. More are joined: a piece takes some 300 octets of memory, and may have one. */
const MAX_HELD_PIECES = 1024;

export class Way {
  decoder!: Decoder;
  received = 0;
  /** The offset after the last complete message. */
  start = 0;
  /** When the octets that are being read came. */
  arrival: Arrival = { time: 0, call: 0, packet: 0 };
  /** The message that is being read, or that broke. */
  message: Message | undefined;
  /** Why octets are not read; a broken message stops its direction, too. */
  stopped: Stop | "broken" | undefined;
  /** What may be read later. */
  held: Piece[] | "too many" | undefined;
  #heldOctets = 0;
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
    this.restart(0);
  }

  /** The offset of the first octet that was not decoded. */
  get at(): number {
    return this.received - this.decoder.unread.length;
  }

  /** Holds octets that may be read later; if there are too many, none of them. */
  hold(octets: Uint8Array, arrival: Arrival): void {
    if (this.held === "too many") return;
    const held = this.held === undefined || this.held.length < MAX_HELD_PIECES ? this.held ?? [] : joined(this.held);
    this.#heldOctets = octets.length + (held.length === 0 ? 0 : this.#heldOctets);
    held.push({ bytes: octets.slice(), packet: arrival });
    // After a broken message, reading may also start at a later start line.
    const tooMany = this.stopped === "held" ? "too many" : undefined;
    this.held = this.#heldOctets <= UNREAD_KEPT_OCTETS ? held : tooMany;
  }

  /** Forgets what came up to an offset: the next octet starts a message. */
  restart(from: number): void {
    this.decoder = new Decoder(this.direction, this.limits);
    this.start = this.received = from;
    this.message = this.stopped = undefined;
    this.search = this.held = undefined;
    this.readOn = false;
  }
}

/** Joins pieces two by two: each pair counts as the read of its first. */
function joined(pieces: readonly Piece[]): Piece[] {
  return pieces.flatMap(({ packet }, i) => {
    return i % 2 > 0 ? [] : { packet, bytes: Buffer.concat(pieces.slice(i, i + 2).map(({ bytes }) => bytes)) };
  });
}
