/**
 * One TCP connection of a capture: which side is the client, and its events in order.
 *
 * @module
 */

import type { Closed, End, Fin, Octets, Opened, Seen, SocketAddress } from "../../traffic.ts";
import type { Direction } from "../../exchange.ts";
import { addressOf, type Segment } from "./link_layers.ts";
import { ACK, FIN, RST, SYN } from "./packets.ts";
import type { Packet } from "./pcapng_reader.ts";
import { Flow, type ReassemblyBudget } from "./reassembly.ts";
import { StartLineSearch } from "./start_search.ts";

/** Where something of a capture comes from. */
export interface PacketOrigin {
  /** The packet's number in the file: Wireshark's `frame.number`. */
  readonly packet: number;
  /** In a recording of this program, the read or write that the octets are of, such as `read 3`. */
  readonly call?: string;
  /** Whether the octets belong to the same read or write as those before them. */
  readonly continues?: boolean;
}

/** Octets that were sent but are not there. */
export interface Missing extends Seen {
  /** Distinguishes the events. */
  readonly kind: "missing";
  /** The end that sent them. */
  readonly by: End;
  /** How many there are. */
  readonly octets: number;
  /** `not captured`, or captured but skipped: they stand before the first start line that was found. */
  readonly why: "not captured" | "skipped";
}

/** A connection was opened, or its first packet in the file was found. */
export interface OpenedInCapture extends Opened {
  /** Whether the handshake was captured; without it, octets before the first start line are skipped. */
  readonly startCaptured: boolean;
  /** Whether it is one from a relay to its server, which repeats what a client sent to the relay. */
  readonly relayed?: boolean;
}

/** What happens on a connection, as the server's end sees it, and the packet that shows it. */
export type CaptureEvent = (OpenedInCapture | Octets | Fin | Closed | Missing) & {
  /** Where it comes from. */
  readonly origin: PacketOrigin;
};

/** Why a connection is closed that is left out. */
export const TOO_MANY_OPEN: string = "left out: too many are open at a time";

/** What is kept of a packet. */
export type PacketFacts = Pick<Packet, "number" | "time"> & Partial<Pick<Packet, "comment">>;

/** What a connection needs from its reader. */
export interface ConnectionContext {
  /** Whether events are wanted. */
  readonly wanted: boolean;
  /** The octets that may wait for earlier ones. */
  readonly budget: ReassemblyBudget;
  /** Receives events. */
  readonly take: (event: CaptureEvent) => void;
  /** Asks for a place among the open connections, before the first octets. */
  readonly admit: () => boolean;
  /** Gives it back. */
  readonly leave: () => void;
}

/** One of the two sides, in the order in which they sent their first packet. */
type Side = 0 | 1;

/** A direction with its search for a start line, if it has to search. */
interface Lane {
  readonly flow: Flow<PacketFacts>;
  search: StartLineSearch<PacketFacts> | undefined;
}

/** The comment of this program's recordings on a packet with octets. */
const CALL = /^((?:read|write) \d+): \d+ octets?(?:, from octet (\d+) on)?$/;
const ENCRYPTED = /; what follows was encrypted by TLS$/;
const RELAYED = /; from a relay to its server(?:$|;)/;

/** A connection, from its first packet in the file to its last. */
export class CapturedConnection {
  readonly #number: number;
  readonly #sides: readonly [from: string, to: string];
  readonly #context: ConnectionContext;
  /** Both directions, until the connection has ended. */
  #lanes: readonly [Lane, Lane] | undefined;
  /** The client's side, once known. */
  #client: Side | undefined;
  #firstSequence: number | undefined;
  #startCaptured = false;
  #secure = false;
  #relayed = false;
  #opened = false;
  #admitted = false;
  #ended = false;
  readonly #fins: End[] = [];

  /** Creates a connection between two endpoints, the first of which sent the first packet. */
  constructor(number: number, sides: readonly [from: string, to: string], context: ConnectionContext) {
    this.#number = number;
    this.#sides = sides;
    this.#context = context;
    this.#ended = !context.wanted;
  }

  /** Whether it has octets and has not ended. */
  get isOpen(): boolean {
    return this.#admitted;
  }

  /**
   * Whether a SYN with this sequence number starts another connection between the same endpoints. One with the same
   * number is a repetition, even after a reset: Wireshark counts so, and its filters must fit.
   */
  isOlderThan(sequence: number): boolean {
    return this.#firstSequence !== sequence;
  }

  /** Receives a segment. */
  segment(segment: Segment, { number, time, comment }: Packet): void {
    const { from, flags, sequence, acknowledged, payload, length } = segment;
    const packet: PacketFacts = { number, time, comment };
    const side: Side = from === this.#sides[0] ? 0 : 1;
    const isSyn = (flags & SYN) !== 0;
    if (isSyn && (flags & ACK) === 0) this.#firstSequence ??= sequence;
    if (this.#ended) return;
    const [own, other] = side === 0 ? this.#both() : this.#both().toReversed();
    if (isSyn) this.#synchronize(side, segment, packet);
    if ((flags & ACK) !== 0) {
      if (isSyn) other.flow.start(acknowledged);
      other.flow.acknowledge(acknowledged, packet);
    }
    if (length > 0 && !this.#admit(packet)) return;
    own.flow.segment(isSyn ? sequence + 1 >>> 0 : sequence, payload, length, (flags & FIN) !== 0, packet);
    if ((flags & RST) !== 0) this.close(packet, "reset");
  }

  /** Closes the connection, of which nothing more is told. */
  close(packet: PacketFacts, reason: string): void {
    if (this.#ended) return;
    this.end(packet);
    this.#tell({ kind: "closed", ...this.#seen(packet), reason, origin: { packet: packet.number } });
    this.#release();
  }

  /** Tells what is left to be told at the end of the file. */
  end(packet: PacketFacts): void {
    if (this.#ended || this.#lanes === undefined) return;
    for (const { flow } of this.#lanes) flow.end(packet);
    this.#open(packet);
    // What was told above may have ended it.
    for (const side of [0, 1] as const) this.#tellSkipped(side, this.#lanes?.[side].search?.end(), packet);
  }

  #both(): readonly [Lane, Lane] {
    return this.#lanes ??= [this.#lane(0), this.#lane(1)];
  }

  #lane(side: Side): Lane {
    const flow = new Flow<PacketFacts>({
      octets: (bytes, packet) => this.#octets(side, bytes, packet),
      missing: (count, packet) => this.#missing(side, count, packet),
      fin: (packet) => this.#fin(side, packet),
    }, this.#context.budget);
    return { flow, search: new StartLineSearch() };
  }

  #synchronize(side: Side, { flags, sequence }: Segment, packet: PacketFacts): void {
    this.#both()[side].flow.start(sequence + 1);
    if (this.#opened) return;
    this.#client = (flags & ACK) === 0 ? side : otherSide(side);
    this.#startCaptured = true;
    this.#secure = ENCRYPTED.test(packet.comment ?? "");
    this.#relayed = RELAYED.test(packet.comment ?? "");
    for (const lane of this.#both()) lane.search = undefined;
    this.#open(packet);
  }

  #admit(packet: PacketFacts): boolean {
    if (this.#admitted) return true;
    this.#admitted = this.#context.admit();
    if (!this.#admitted) this.close(packet, TOO_MANY_OPEN);
    return this.#admitted;
  }

  #octets(side: Side, bytes: Uint8Array, packet: PacketFacts): void {
    const lane = this.#both()[side];
    if (lane.search === undefined) return this.#tellOctets(side, bytes, packet);
    const found = lane.search.receive(bytes, packet, this.#directionOf(side));
    if (found === undefined) return;
    this.#client ??= found.direction === "request" ? side : otherSide(side);
    this.#open(packet);
    this.#tellSkipped(side, lane.search.skipped, packet);
    lane.search = undefined;
    for (const piece of found.pieces) this.#tellOctets(side, piece.bytes, piece.packet);
  }

  #directionOf(side: Side): Direction | undefined {
    if (this.#client === undefined) return undefined;
    return side === this.#client ? "request" : "response";
  }

  /** After a gap nothing tells where a message starts: a start line is looked for. */
  #missing(side: Side, octets: number, packet: PacketFacts): void {
    const lane = this.#both()[side];
    if (lane.search === undefined) {
      this.#tellMissing(side, octets, "not captured", packet);
      lane.search = new StartLineSearch();
    } else lane.search.end();
  }

  #fin(side: Side, packet: PacketFacts): void {
    this.#open(packet);
    const lane = this.#both()[side];
    this.#tellSkipped(side, lane.search?.end(), packet);
    lane.search = undefined;
    const by = this.#endOf(side);
    this.#fins.push(by);
    this.#tell({ kind: "fin", ...this.#seen(packet), by, origin: { packet: packet.number } });
    if (this.#fins.length < 2) return;
    const reason = `by the ${this.#fins[0]}`;
    this.#tell({ kind: "closed", ...this.#seen(packet), reason, origin: { packet: packet.number } });
    this.#release();
  }

  #release(): void {
    for (const { flow } of this.#lanes ?? []) flow.discard();
    this.#lanes = undefined;
    this.#ended = true;
    if (this.#admitted) this.#context.leave();
    this.#admitted = false;
  }

  /** Tells once that the connection exists. Without a SYN or a start line, the lower port is the server's. */
  #open(packet: PacketFacts): void {
    if (this.#opened) return;
    this.#opened = true;
    const addresses = this.#sides.map(addressOf) as [SocketAddress, SocketAddress];
    this.#client ??= addresses[0].port < addresses[1].port ? 1 : 0;
    const [local, remote] = this.#client === 1 ? addresses : addresses.toReversed();
    const { number } = packet;
    const opened = {
      local,
      remote,
      secure: this.#secure,
      startCaptured: this.#startCaptured,
      ...this.#relayed && { relayed: true },
    };
    this.#tell({ kind: "opened", ...this.#seen(packet), ...opened, origin: { packet: number } });
  }

  #tellOctets(side: Side, bytes: Uint8Array, packet: PacketFacts): void {
    const kind = side === this.#client ? "read" : "write";
    const [, call, from = "0"] = CALL.exec(packet.comment ?? "") ?? [];
    const origin = { packet: packet.number, ...call && { call, continues: from !== "0" } };
    this.#tell({ kind, ...this.#seen(packet), bytes, origin });
  }

  #tellSkipped(side: Side, octets: number | undefined, packet: PacketFacts): void {
    if (octets !== undefined && octets > 0) this.#tellMissing(side, octets, "skipped", packet);
  }

  #tellMissing(side: Side, octets: number, why: Missing["why"], packet: PacketFacts): void {
    const by = this.#endOf(side);
    this.#tell({ kind: "missing", ...this.#seen(packet), by, octets, why, origin: { packet: packet.number } });
  }

  #seen({ time }: PacketFacts): Seen {
    return { end: "server", connection: this.#number, time };
  }

  #endOf(side: Side): End {
    return side === this.#client ? "client" : "server";
  }

  #tell(event: CaptureEvent): void {
    if (!this.#ended) this.#context.take(event);
  }
}

function otherSide(side: Side): Side {
  return side === 0 ? 1 : 0;
}
