/** One TCP connection of a capture: which side is the client, and its events in order. */

import type { End, Seen, SocketAddress } from "../../traffic.ts";
import type { Acknowledged, CaptureEvent, PacketOrigin, TcpFacts } from "./capture_events.ts";
import { StartLineSearch } from "../../exchange.ts";
import { addressOf, type Segment } from "./link_layers.ts";
import { ACK, FIN, RST, SYN } from "./packets.ts";
import type { Packet } from "./packet_file.ts";
import { Flow, type ReassemblyBudget, SEGMENT_BYTES } from "./reassembly.ts";

type PacketFacts = Pick<Packet, "number" | "time" | "cut"> & Partial<Pick<Packet, "comment">>;

export interface ConnectionContext {
  readonly budget: ReassemblyBudget;
  /** Whether packets from one endpoint to another may have been left out. */
  readonly isLeftOut: (from: string, to: string) => boolean;
  readonly listener: (event: CaptureEvent) => void;
  readonly acknowledged?: (event: Acknowledged) => void;
  /** Asks for {@linkcode CapturedConnection.expire} to be called as time goes on. */
  readonly expires: (connection: CapturedConnection) => void;
}

/** One of the two sides, in the order in which they sent their first packet. */
type Side = 0 | 1;
const SIDES = [0, 1] as const;

interface Half {
  readonly flow: Flow<PacketFacts>;
  search: StartLineSearch<PacketFacts> | undefined;
  /** Whether octets were emitted that are not all acknowledged. */
  hasNews: boolean;
}

/** The round trip of a connection whose handshake does not show it: the first timeout of TCP (RFC 6298 §2). */
const UNKNOWN_ROUND_TRIP_MICROSECONDS = 1_000_000;
/** The comment of this program's recordings on a packet with octets. */
const CALL = /^((?:read|write) \d+): \d+ octets?(?:, from octet (\d+) on)?$/;
const ENCRYPTED = /; what follows was encrypted by TLS$/;
const RELAYED = /; from a relay to its server(?:$|;)/;

interface Reset {
  readonly packet: PacketFacts;
  readonly by: Side;
  /** Whether its number is the one that its receiver expects; otherwise what follows shows whether it was accepted. */
  readonly isExact: boolean;
}

/** An event without the properties that all events of a connection have. */
type Happened<Event = CaptureEvent> = Event extends unknown ? Omit<Event, keyof Seen | "origin"> : never;

export class CapturedConnection {
  /** Octets that were sent for the first time after a reset that ended the connection, and after those in flight. */
  afterReset = 0;
  /** The first sequence number of each side, as Wireshark counts. */
  readonly #first: [number?, number?] = [];
  /** What both sides sent, until the connection has ended; after a reset, longer. */
  #halves: readonly [Half, Half] | undefined;
  #client: Side | undefined;
  /** Whether requests may have come before the first packet captured, or were only acknowledged. */
  #mayLackRequests = false;
  #hasOctets = false;
  #ended = false;
  #reset: Reset | undefined;
  /** Segments that come long after a reset of which it is not known whether it was accepted. */
  #held: { readonly segment: Segment; readonly packet: PacketFacts }[] = [];
  readonly #fins: End[] = [];
  #tcp = newFacts();
  /** When the SYN was sent, and how many SYN and SYN ACK there were. */
  #synTime: number | undefined;
  #syns = 0;
  /** The window that each side announced, and its scale. */
  readonly #windows: [number, number] = [0xffff, 0xffff];
  readonly #scales: [number, number] = [0, 0];

  /** Creates a connection between two endpoints, the first of which sent the first packet. */
  constructor(
    readonly number: number,
    private readonly sides: readonly [from: string, to: string],
    private readonly context: ConnectionContext,
    isWanted: boolean,
    /** Whether Wireshark gives its stream the connection's number, less one. */
    private readonly isStreamKnown: boolean,
  ) {
    this.#ended = !isWanted;
  }

  get isOpen(): boolean {
    return this.#hasOctets && !this.#ended;
  }

  /**
   * Whether a SYN starts another connection between the same endpoints. One with the number that its side started with is
   * a repetition, or comes late, even after a reset: Wireshark counts so, and its filters must fit.
   */
  isOlderThan({ from, sequence }: Segment): boolean {
    const first = this.#first[this.#sideOf(from)];
    return first !== undefined && first !== sequence;
  }

  segment(segment: Segment, { number, time, comment, cut }: Packet): void {
    const { from, flags, sequence, acknowledged } = segment;
    const packet: PacketFacts = { number, time, comment, cut };
    const side = this.#sideOf(from);
    const isSyn = (flags & SYN) !== 0;
    this.#first[side] ??= isSyn ? sequence : sequence - 1 >>> 0;
    if ((flags & ACK) !== 0) this.#first[otherSide(side)] ??= acknowledged - 1 >>> 0;
    if (isSyn && this.#reset?.isExact && !this.#ended) this.#closeByReset();
    if (this.#ended && !this.#reopens(flags)) return this.#countAfterReset(side, segment);
    if ((flags & RST) !== 0) this.#receiveReset(side, segment, packet);
    else if (!this.#waits(side, segment, packet)) this.#read(side, segment, packet);
  }

  /** Emits what is left, and closes the connection for a reason; without one, it stays open unless it was reset. */
  end(packet: PacketFacts, reason?: string): void {
    if (this.#ended) return;
    if (this.#reset !== undefined) return this.#closeByReset();
    this.#endHalves(packet);
    if (reason !== undefined) this.#closed(packet, reason);
  }

  /** Closes the connection if it was reset, and all that was in flight has come. Returns whether it does not wait. */
  expire(time: number): boolean {
    if (!this.#ended && this.#isAfterReset(time)) this.#closeByReset();
    return this.#ended || this.#reset === undefined;
  }

  #sideOf(from: string): Side {
    return from === this.sides[0] ? 0 : 1;
  }

  /** Whether a SYN, repeated after a reset, opens the connection again; if so, all starts anew. */
  #reopens(flags: number): boolean {
    if ((flags & (SYN | ACK)) !== SYN || this.#reset === undefined) return false;
    this.#reset = this.#halves = undefined;
    this.#client = this.#synTime = undefined;
    this.#ended = this.#hasOctets = false;
    this.#fins.length = this.#syns = 0;
    this.#tcp = newFacts();
    return true;
  }

  #read(side: Side, segment: Segment, packet: PacketFacts): void {
    const { flags, sequence, acknowledged, payload, length, window } = segment;
    const other = otherSide(side);
    const { flow } = this.#half(side);
    const isSyn = (flags & SYN) !== 0;
    if (isSyn) this.#synchronize(side, segment, packet);
    else this.#windows[side] = window << this.#scales[side];
    if ((flags & ACK) !== 0) {
      this.#half(other).flow.acknowledge(acknowledged, packet);
      this.#acknowledged(other, packet);
      if (!isSyn && side === this.#client) this.#endHandshake(packet);
    }
    this.#hasOctets ||= length > 0;
    // What is emitted now may answer octets that were acknowledged, but not captured.
    if (length > 0 && other === this.#client) this.#mayLackRequests ||= this.#half(other).flow.isBehind;
    flow.segment(isSyn ? sequence + 1 >>> 0 : sequence, payload, length, (flags & FIN) !== 0, packet);
    if (this.#client !== undefined) this.#countSegments(side, flow);
  }

  #countSegments(side: Side, { repeated, late }: Flow<PacketFacts>): void {
    const end = this.#endOf(side);
    this.#tcp.repeated[end] = repeated;
    this.#tcp.late[end] = late;
  }

  /**
   * Receives a reset. It is accepted if it answers a SYN and acknowledges it, or has the expected number; if that is
   * elsewhere in the window, what follows shows it (RFC 9293 §3.5.3, §3.10.7.4). Text in it is not data (§3.5.2).
   */
  #receiveReset(side: Side, { flags, sequence, acknowledged }: Segment, packet: PacketFacts): void {
    const { flow } = this.#half(side);
    const { flow: other } = this.#half(otherSide(side));
    const answers = (flags & ACK) !== 0 && (!other.isKnown || other.ahead(acknowledged) === 0);
    if (!flow.isKnown) {
      if (this.#synTime !== undefined && !answers) return;
      this.#reset = { packet, by: side, isExact: true };
      return this.#closeByReset();
    }
    const ahead = flow.ahead(sequence);
    const isExact = ahead === 0 || answers && this.#tcp.handshake.length === 1 && this.#synTime !== undefined;
    if (!isExact && (ahead < 0 || ahead >= this.#windows[otherSide(side)]) || this.#reset?.isExact) return;
    if (isExact || this.#reset === undefined) this.#reset = { packet, by: side, isExact };
    if ((flags & ACK) !== 0) other.acknowledge(acknowledged, packet);
    if (isExact) this.context.expires(this);
  }

  #isAfterReset(time: number): boolean {
    const roundTrip = this.#tcp.roundTrip ?? UNKNOWN_ROUND_TRIP_MICROSECONDS;
    return this.#reset !== undefined && time > this.#reset.packet.time + roundTrip;
  }

  /** Whether a segment after a reset is not to be read, or not yet. */
  #waits(side: Side, segment: Segment, packet: PacketFacts): boolean {
    if (!this.#isAfterReset(packet.time)) return false;
    const { by, isExact } = this.#reset!;
    const { budget } = this.context;
    if (isExact || budget.used + segment.length > budget.most) {
      this.#closeByReset();
      this.#countAfterReset(side, segment);
      return true;
    }
    if (side === by || this.#half(side).flow.newOctets(segment.sequence, segment.length) === 0) {
      this.#held.push({ segment: { ...segment, payload: segment.payload.slice() }, packet });
      budget.used += SEGMENT_BYTES + segment.payload.length;
      return true;
    }
    // Its receiver goes on, so it was not accepted.
    this.#reset = undefined;
    for (const { segment, packet } of this.#takeHeld()) this.#read(this.#sideOf(segment.from), segment, packet);
    return this.#ended;
  }

  #takeHeld() {
    for (const { segment: { payload } } of this.#held) this.context.budget.used -= SEGMENT_BYTES + payload.length;
    return this.#held.splice(0);
  }

  #closeByReset(): void {
    const { packet } = this.#reset!;
    this.#endHalves(packet);
    this.#closed(packet, "reset");
  }

  #countAfterReset(side: Side, { sequence, length, flags }: Segment): void {
    if (this.#reset === undefined || length === 0 || (flags & RST) !== 0) return;
    this.afterReset += this.#half(side).flow.countNew(sequence, length);
  }

  /** Closes the connection, unless the last events have. */
  #closed(packet: PacketFacts, reason: string): void {
    if (this.#ended) return;
    this.#markResponses();
    for (const side of SIDES) this.#countSegments(side, this.#half(side).flow);
    this.#emit(packet, { kind: "closed", reason });
    this.#ended = true;
    for (const { flow } of this.#halves ?? []) flow.discard();
    // After a reset they know what was sent before.
    if (reason !== "reset") this.#halves = this.#reset = undefined;
    for (const { segment } of this.#takeHeld()) this.#countAfterReset(this.#sideOf(segment.from), segment);
  }

  #markResponses(): void {
    this.#tcp.mayLackResponses = this.#isLeftOut(otherSide(this.#client!));
  }

  /** Whether packets of a side may have been left out so far. */
  #isLeftOut(side: Side): boolean {
    return this.context.isLeftOut(this.sides[side], this.sides[otherSide(side)]);
  }

  #endHalves(packet: PacketFacts): void {
    for (const { flow } of this.#halves!) flow.end(packet);
    this.#open(packet);
    this.#markResponses();
    // The events above may have closed it.
    for (const side of SIDES) this.#skipped(side, this.#halves?.[side].search?.giveUp(), packet);
  }

  #half(side: Side): Half {
    return (this.#halves ??= [this.#newHalf(0), this.#newHalf(1)])[side];
  }

  #newHalf(side: Side): Half {
    const flow = new Flow<PacketFacts>({
      octets: (octets, packet) => this.#octets(side, octets, packet),
      missing: (count, packet, cut) => this.#missing(side, count, packet, cut),
      fin: (packet) => this.#fin(side, packet),
    }, this.context.budget);
    return { flow, search: new StartLineSearch(), hasNews: false };
  }

  #synchronize(side: Side, { flags, sequence, acknowledged, mss, windowScale }: Segment, packet: PacketFacts): void {
    this.#half(side).flow.start(sequence + 1, true);
    const isFirst = (flags & ACK) === 0;
    if (this.#client === undefined) {
      for (const half of this.#halves!) half.search = undefined;
      this.#open(packet, isFirst ? side : otherSide(side), true);
    }
    this.#syns++;
    if (isFirst) this.#synTime ??= packet.time;
    this.#scales[side] = windowScale ?? 0;
    if (this.#hasOctets) return;
    if (mss !== undefined) this.#tcp.mss[this.#endOf(side)] ??= mss;
    const isNext = isFirst || this.#half(otherSide(side)).flow.ahead(acknowledged) === 0;
    if (isNext && this.#tcp.handshake.length === (isFirst ? 0 : 1)) this.#tcp.handshake.push(packet.number);
  }

  /** Notes the third packet of the handshake, unless octets came before it: what was emitted with them stays so. */
  #endHandshake({ number, time }: PacketFacts): void {
    const { handshake } = this.#tcp;
    if (handshake.length !== 2 || this.#hasOctets) return;
    handshake.push(number);
    if (this.#syns === 2) this.#tcp.roundTrip = time - this.#synTime!;
  }

  #octets(side: Side, bytes: Uint8Array, packet: PacketFacts): void {
    const half = this.#half(side);
    const known = this.#client === undefined ? undefined : side === this.#client ? "request" : "response";
    const found = half.search?.receive(bytes, packet, known);
    if (half.search !== undefined) {
      if (found === undefined) return;
      this.#open(packet, found.direction === "request" ? side : otherSide(side));
      this.#skipped(side, half.search.skipped, packet);
      half.search = undefined;
    }
    this.#markResponses();
    const mayLackRequests = this.#mayLackRequests || this.#isLeftOut(this.#client!);
    for (const { bytes: octets, packet: from } of found?.pieces ?? [{ bytes, packet }]) {
      const [, call, first = "0"] = CALL.exec(from.comment ?? "") ?? [];
      half.hasNews = true;
      const origin = { packet: from.number, mayLackRequests, ...call && { call, continues: first !== "0" } };
      this.#emit(from, { kind: side === this.#client ? "read" : "write", bytes: octets }, origin);
    }
  }

  #missing(side: Side, octets: number, packet: PacketFacts, cut?: PacketFacts): void {
    const { search, flow } = this.#half(side);
    if (search !== undefined && flow.isSeen) return void search.giveUp();
    this.#open(packet);
    this.#emit(packet, {
      kind: "missing",
      by: this.#endOf(side),
      octets,
      why: flow.isSeen ? "not captured" : "only acknowledged",
      ...cut && { cut: { packet: cut.number, octets: cut.cut! } },
    });
  }

  #skipped(side: Side, octets = 0, packet: PacketFacts): void {
    if (octets > 0) this.#emit(packet, { kind: "missing", by: this.#endOf(side), octets, why: "skipped" });
  }

  #fin(side: Side, packet: PacketFacts): void {
    this.#open(packet);
    const half = this.#half(side);
    this.#skipped(side, half.search?.giveUp(), packet);
    half.search = undefined;
    const by = this.#endOf(side);
    this.#fins.push(by);
    this.#emit(packet, { kind: "fin", by });
    if (this.#fins.length === 2) this.#closed(packet, `by the ${this.#fins[0]}`);
  }

  /** Emits `opened`, once. Without a SYN or a start line, the lower port is the server's. */
  #open(packet: PacketFacts, client?: Side, startCaptured = false): void {
    if (this.#client !== undefined) return;
    const addresses = this.sides.map(addressOf) as [SocketAddress, SocketAddress];
    this.#client = client ?? (addresses[0].port < addresses[1].port ? 1 : 0);
    for (const side of SIDES) this.#countSegments(side, this.#half(side).flow);
    const [local, remote] = this.#client === 1 ? addresses : addresses.toReversed();
    this.#mayLackRequests = !startCaptured;
    const comment = startCaptured ? packet.comment ?? "" : "";
    this.#emit(packet, {
      ...{ kind: "opened", local, remote, secure: ENCRYPTED.test(comment), startCaptured, tcp: this.#tcp },
      stream: this.isStreamKnown ? this.number - 1 : undefined,
      ...RELAYED.test(comment) && { relayed: true },
    });
  }

  /** Reports how far the octets of a side are acknowledged, if not all of them were before. */
  #acknowledged(side: Side, packet: PacketFacts): void {
    const { acknowledged } = this.context;
    const half = this.#half(side);
    if (!half.hasNews || this.#ended || acknowledged === undefined) return;
    const unacknowledged = half.flow.unacknowledged;
    half.hasNews = unacknowledged > 0;
    acknowledged({ ...this.#seen(packet), kind: "acknowledged", by: this.#endOf(side), unacknowledged });
  }

  #endOf(side: Side): End {
    return side === this.#client ? "client" : "server";
  }

  #seen({ time, number }: PacketFacts): Seen & { readonly origin: PacketOrigin } {
    return { end: "server", connection: this.number, time, origin: { packet: number } };
  }

  #emit(packet: PacketFacts, event: Happened, origin?: PacketOrigin): void {
    if (this.#ended) return;
    this.context.listener({ ...this.#seen(packet), ...event, ...origin && { origin } } as CaptureEvent);
  }
}

function otherSide(side: Side): Side {
  return side === 0 ? 1 : 0;
}

function newFacts(): TcpFacts {
  return {
    handshake: [],
    mss: {},
    repeated: { client: 0, server: 0 },
    late: { client: 0, server: 0 },
    mayLackResponses: false,
  };
}
