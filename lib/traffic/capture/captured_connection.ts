/** One TCP connection of a capture: which side is the client, and its events in order. */

import type { End, Seen } from "../../traffic.ts";
import type { Acknowledged, CaptureEvent, PacketOrigin, SentFacts, TcpFacts } from "./capture_events.ts";
import { StartLineSearch } from "../../exchange.ts";
import { ACK, addressOf, FIN, RST, type Segment, SYN } from "./link_layers.ts";
import type { Packet } from "./packet_file.ts";
import { Flow, type FlowListener, type ReassemblyBudget, SEGMENT_BYTES } from "./reassembly.ts";

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

/** The round trip of a connection whose handshake does not show it: the first timeout of TCP (RFC 6298 §2). */
const UNKNOWN_ROUND_TRIP_MICROSECONDS = 1_000_000;
/** The comment of this program's recordings on a packet with octets. */
const CALL = /^((?:read|write) \d+): \d+ octets?(?:, from octet (\d+) on)?$/;
const ENCRYPTED = /; what follows was encrypted by TLS$/;
const NOTHING_SENT: SentFacts = { repeated: 0, late: 0 };
const RELAYED = /; from a relay to its server(?:$|;)/;

/** One of the two sides. */
class Side {
  other!: Side;
  readonly flow: Flow<PacketFacts>;
  search: StartLineSearch<PacketFacts> | undefined = new StartLineSearch();
  /** Whether octets were emitted that are not all acknowledged. */
  hasNews = false;
  /** The window that it announced, and its scale. */
  window = 0xffff;
  scale = 0;

  /** Creates a side with an address and port in network order, one character per octet. */
  constructor(readonly address: string, listener: (side: Side) => FlowListener<PacketFacts>, budget: ReassemblyBudget) {
    this.flow = new Flow(listener(this), budget);
  }
}

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
  /** The sides, until the connection has ended; after a reset, longer. */
  #sides: readonly [Side, Side] | undefined;
  #client: Side | undefined;
  /** Whether requests may have come before the first packet captured, or were only acknowledged. */
  #mayLackRequests = false;
  #hasOctets = false;
  #ended = false;
  #reset: Reset | undefined;
  /** Segments that come long after a reset of which it is not known whether it was accepted. */
  #held: { readonly side: Side; readonly segment: Segment; readonly packet: PacketFacts }[] = [];
  #firstFin: End | undefined;
  readonly #tcp: TcpFacts = { handshake: [], client: NOTHING_SENT, server: NOTHING_SENT, mayLackResponses: false };
  /** When the SYN was sent, and how many SYN and SYN ACK there were. */
  #synTime: number | undefined;
  #syns = 0;

  /** Creates a connection between two endpoints, the first of which sent the first packet. */
  constructor(
    readonly number: number,
    readonly endpoints: readonly [from: string, to: string],
    private readonly context: ConnectionContext,
    isWanted: boolean,
    /** Whether Wireshark gives its stream the connection's number, less one. */
    readonly isStreamKnown: boolean,
  ) {
    this.#ended = !isWanted;
    if (!isWanted) return;
    const [one, two] = endpoints.map((address) => new Side(address, (side) => this.#listenerOf(side), context.budget));
    one.other = two;
    two.other = one;
    this.#sides = [one, two];
  }

  get isOpen(): boolean {
    return this.#hasOctets && !this.#ended;
  }

  get isReset(): boolean {
    return this.#ended && this.#reset !== undefined;
  }

  /**
   * Whether a SYN starts another connection between the same endpoints. One with the number that its side started with is
   * a repetition, or comes late, even after a reset: Wireshark counts so, and its filters must fit.
   */
  isOlderThan({ from, sequence }: Segment): boolean {
    const first = this.#first[this.#indexOf(from)];
    return first !== undefined && first !== sequence;
  }

  segment(segment: Segment, { number, time, comment, cut }: Packet): void {
    const { from, flags, sequence, acknowledged } = segment;
    const packet: PacketFacts = { number, time, comment, cut };
    const index = this.#indexOf(from);
    this.#first[index] ??= (flags & SYN) !== 0 ? sequence : sequence - 1 >>> 0;
    if ((flags & ACK) !== 0) this.#first[1 - index] ??= acknowledged - 1 >>> 0;
    const side = this.#sides?.[index];
    if (side === undefined) return;
    if (this.#ended) this.#countAfterReset(side, segment);
    else if ((flags & RST) !== 0) this.#receiveReset(side, segment, packet);
    else if (!this.#waits(side, segment, packet)) this.#read(side, segment, packet);
  }

  /** Emits what is left, and closes the connection if it was reset, or for a reason; else it stays open. */
  end(packet: PacketFacts, reason?: string): void {
    if (this.#ended) return;
    const last = this.#reset?.packet ?? packet;
    const sides = this.#sides!;
    for (const { flow } of sides) flow.end(last);
    // The last octets may have closed it.
    if (this.#ended) return;
    this.#open(last);
    this.#markResponses();
    for (const side of sides) this.#skipped(side, side.search?.giveUp(), last);
    const why = this.#reset === undefined ? reason : "reset";
    if (why !== undefined) this.#close(last, why);
  }

  /** Closes the connection if a reset ended it, and all that was in flight has come. Returns whether it does not wait. */
  expire(time: number): boolean {
    if (this.#reset?.isExact && this.#isAfterReset(time)) this.end(this.#reset.packet);
    return this.#ended || this.#reset === undefined;
  }

  #indexOf(from: string): 0 | 1 {
    return from === this.endpoints[0] ? 0 : 1;
  }

  #read(side: Side, segment: Segment, packet: PacketFacts): void {
    const { flags, sequence, acknowledged, payload, length, window } = segment;
    const { flow, other } = side;
    const isSyn = (flags & SYN) !== 0;
    if (isSyn) this.#synchronize(side, segment, packet);
    else side.window = window << side.scale;
    if ((flags & ACK) !== 0) {
      other.flow.acknowledge(acknowledged, packet);
      this.#acknowledged(other, packet);
      if (!isSyn && side === this.#client) this.#endHandshake(packet);
    }
    this.#hasOctets ||= length > 0;
    // What is emitted now may answer octets that were acknowledged, but not captured.
    if (length > 0 && other === this.#client) this.#mayLackRequests ||= other.flow.isBehind;
    flow.segment(isSyn ? sequence + 1 >>> 0 : sequence, payload, length, (flags & FIN) !== 0, packet);
  }

  /**
   * Receives a reset. It is accepted if it answers a SYN and acknowledges it, or has the expected number; if that is
   * elsewhere in the window, what follows shows it (RFC 9293 §3.5.3, §3.10.7.4). Text in it is not data (§3.5.2).
   */
  #receiveReset(side: Side, { flags, sequence, acknowledged }: Segment, packet: PacketFacts): void {
    const { flow, other } = side;
    const answers = (flags & ACK) !== 0 && (!other.flow.isKnown || other.flow.ahead(acknowledged) === 0);
    if (!flow.isKnown) {
      if (this.#synTime !== undefined && !answers) return;
      this.#reset = { packet, by: side, isExact: true };
      return this.end(packet);
    }
    const ahead = flow.ahead(sequence);
    const isExact = ahead === 0 || answers && this.#tcp.handshake.length === 1 && this.#synTime !== undefined;
    if (!isExact && (ahead < 0 || ahead >= other.window) || this.#reset?.isExact) return;
    if (isExact || this.#reset === undefined) this.#reset = { packet, by: side, isExact };
    if ((flags & ACK) !== 0) other.flow.acknowledge(acknowledged, packet);
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
      this.end(packet);
      this.#countAfterReset(side, segment);
      return true;
    }
    const { sequence, length, flags } = segment;
    if (side === by || side.flow.newOctets(sequence, length) === 0 && (flags & FIN) === 0) {
      this.#held.push({ side, segment: { ...segment, payload: segment.payload.slice() }, packet });
      budget.used += SEGMENT_BYTES + segment.payload.length;
      return true;
    }
    // Its receiver goes on, so it was not accepted.
    this.#reset = undefined;
    for (const { side, segment, packet } of this.#takeHeld()) this.#read(side, segment, packet);
    return this.#ended;
  }

  #takeHeld() {
    for (const { segment: { payload } } of this.#held) this.context.budget.used -= SEGMENT_BYTES + payload.length;
    return this.#held.splice(0);
  }

  #countAfterReset({ flow }: Side, { sequence, length, flags }: Segment): void {
    if (length > 0 && (flags & RST) === 0) this.afterReset += flow.countNew(sequence, length);
  }

  #close(packet: PacketFacts, reason: string): void {
    this.#markResponses();
    const isReset = reason === "reset";
    this.#emit(packet, { kind: "closed", reason, isReset });
    this.#ended = true;
    for (const { flow } of this.#sides!) flow.discard();
    const held = this.#takeHeld();
    // After a reset the sides know what was sent before.
    if (!isReset) this.#sides = this.#reset = undefined;
    else for (const { side, segment } of held) this.#countAfterReset(side, segment);
  }

  #markResponses(): void {
    this.#tcp.mayLackResponses = this.#isLeftOut(this.#client!.other);
  }

  /** Whether packets of a side may have been left out so far. */
  #isLeftOut({ address, other }: Side): boolean {
    return this.context.isLeftOut(address, other.address);
  }

  #listenerOf(side: Side): FlowListener<PacketFacts> {
    return {
      octets: (octets, packet) => this.#octets(side, octets, packet),
      missing: (count, packet, cut) => this.#missing(side, count, packet, cut),
      fin: (packet) => this.#fin(side, packet),
    };
  }

  #synchronize(side: Side, { flags, sequence, acknowledged, mss, windowScale }: Segment, packet: PacketFacts): void {
    const { flow, other } = side;
    flow.start(sequence + 1, true);
    const isFirst = (flags & ACK) === 0;
    if (this.#client === undefined) {
      side.search = other.search = undefined;
      this.#open(packet, isFirst ? side : other, true);
    }
    this.#syns++;
    if (isFirst) this.#synTime ??= packet.time;
    side.scale = windowScale ?? 0;
    if (this.#hasOctets) return;
    if (mss !== undefined) flow.sent.mss ??= mss;
    const isNext = isFirst || other.flow.ahead(acknowledged) === 0;
    if (isNext && this.#tcp.handshake.length === (isFirst ? 0 : 1)) this.#tcp.handshake.push(packet.number);
  }

  /** Notes the third packet of the handshake, unless octets came before it: what was emitted with them stays so. */
  #endHandshake({ number, time }: PacketFacts): void {
    const { handshake } = this.#tcp;
    if (handshake.length !== 2 || this.#hasOctets) return;
    handshake.push(number);
    if (this.#syns === 2 && time >= this.#synTime!) this.#tcp.roundTrip = time - this.#synTime!;
  }

  #octets(side: Side, bytes: Uint8Array, packet: PacketFacts): void {
    const { search, other } = side;
    const known = this.#client === undefined ? undefined : side === this.#client ? "request" : "response";
    const found = search?.receive(bytes, packet, known);
    if (search !== undefined) {
      if (found === undefined) return;
      this.#open(packet, found.direction === "request" ? side : other);
      this.#skipped(side, search.skipped, packet);
      side.search = undefined;
    }
    this.#markResponses();
    const mayLackRequests = this.#mayLackRequests || this.#isLeftOut(this.#client!);
    for (const { bytes: octets, packet: from } of found?.pieces ?? [{ bytes, packet }]) {
      const [, call, first = "0"] = CALL.exec(from.comment ?? "") ?? [];
      side.hasNews = true;
      const origin = { packet: from.number, mayLackRequests, ...call && { call, continues: first !== "0" } };
      this.#emit(from, { kind: side === this.#client ? "read" : "write", bytes: octets }, origin);
    }
  }

  #missing(side: Side, octets: number, packet: PacketFacts, cut?: PacketFacts): void {
    const { search, flow } = side;
    if (search !== undefined && flow.isSeen) return void search.giveUp();
    this.#open(packet);
    this.#emit(packet, {
      kind: "missing",
      by: this.#endOf(side),
      octets,
      why: flow.isSeen ? "not captured" : "only acknowledged",
      // One that is not cut has fewer octets than its header says.
      ...cut?.cut !== undefined && { cut: { packet: cut.number, octets: cut.cut } },
    });
  }

  #skipped(side: Side, octets = 0, packet: PacketFacts): void {
    if (octets > 0) this.#emit(packet, { kind: "missing", by: this.#endOf(side), octets, why: "skipped" });
  }

  #fin(side: Side, packet: PacketFacts): void {
    this.#open(packet);
    this.#skipped(side, side.search?.giveUp(), packet);
    side.search = undefined;
    const by = this.#endOf(side);
    this.#emit(packet, { kind: "fin", by });
    if (this.#firstFin !== undefined) this.#close(packet, `by the ${this.#firstFin}`);
    this.#firstFin ??= by;
  }

  /** Emits `opened`, once. Without a SYN or a start line, the lower port is the server's. */
  #open(packet: PacketFacts, client?: Side, startCaptured = false): void {
    if (this.#client !== undefined) return;
    const [one, two] = this.#sides!;
    const isLower = addressOf(one.address).port < addressOf(two.address).port;
    this.#client = client ?? (isLower ? two : one);
    this.#mayLackRequests = !startCaptured;
    const comment = startCaptured ? packet.comment ?? "" : "";
    this.#tcp.client = this.#client.flow.sent;
    this.#tcp.server = this.#client.other.flow.sent;
    this.#emit(packet, {
      kind: "opened",
      local: addressOf(this.#client.other.address),
      remote: addressOf(this.#client.address),
      secure: ENCRYPTED.test(comment),
      startCaptured,
      tcp: this.#tcp,
      stream: this.isStreamKnown ? this.number - 1 : undefined,
      ...RELAYED.test(comment) && { relayed: true },
    });
  }

  /** Reports how far the octets of a side are acknowledged, if not all of them were before. */
  #acknowledged(side: Side, packet: PacketFacts): void {
    const { acknowledged } = this.context;
    if (!side.hasNews || this.#ended || acknowledged === undefined) return;
    const { unacknowledged } = side.flow;
    side.hasNews = unacknowledged > 0;
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
