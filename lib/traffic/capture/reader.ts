/** Reads captures: turns their packets into the events that a tap at the server's end would have reported. */

import { counted, readPieces, type Source } from "../../bytes.ts";
import {
  EXPLAIN_READ_BYTES,
  MAX_CAPTURED_PACKET_OCTETS,
  MAX_QUIET_CONNECTIONS,
  MAX_REASSEMBLED_BYTES,
} from "../../limits.ts";
import type { Acknowledged, CaptureEvent } from "./capture_events.ts";
import { CapturedConnection, type ConnectionContext } from "./captured_connection.ts";
import { ACK, CUT, type Segment, segmentOf, SHORT, type SkippedPacket, SYN } from "./link_layers.ts";
import { type Packet, PacketFile } from "./packet_file.ts";

export { directionOf } from "../tap.ts";
export { serverOf } from "./capture_events.ts";
export type * from "./capture_events.ts";

export interface CaptureReaderOptions {
  /** The number of the only connection whose events are wanted; by default all are. */
  readonly connection?: number;
  /** Whether the events of a connection are wanted; by default all are. */
  readonly wanted?: (connection: number) => boolean;
  readonly acknowledged?: (event: Acknowledged) => void;
}

/** Reads the bytes of a pcapng or pcap file, in pieces of any size. Memory does not depend on its length. */
export class CaptureReader extends PacketFile {
  readonly #context: ConnectionContext;
  /** Connections by both endpoints. */
  readonly #known = new Map<string, CapturedConnection>();
  /** Those that have ended or have no octets: only a late packet would need them. */
  readonly #quiet = new Map<string, CapturedConnection>();
  /** Packets that were left out and may hold TCP, by kind; and between which addresses, one character per octet. */
  readonly #skipped = new Map<string, { count: number; readonly first: number }>();
  readonly #skippedBetween = new Set<string>();
  /** Whether connections have the numbers of Wireshark's streams, which sees some in what is left out here. */
  #areStreamsKnown = true;
  /** Connections that end once what was in flight at their reset has come. */
  readonly #reset = new Set<CapturedConnection>();
  #lastTime = 0;
  connections = 0;
  /** New octets after a reset that ended a connection, and after those in flight, by its number; known at the end. */
  readonly afterResets = new Map<number, number>();

  /** The listener may keep an event's octets only as a copy. */
  constructor(listener: (event: CaptureEvent) => void, private readonly options: CaptureReaderOptions = {}) {
    super();
    this.#context = {
      listener,
      acknowledged: options.acknowledged,
      budget: { used: 0, most: MAX_REASSEMBLED_BYTES },
      isLeftOut: (from, to) => this.#isLeftOut(from, to),
      expires: (connection) => this.#reset.add(connection),
    };
  }

  /** Ends the file, but not the connections that are open in it. Returns one line on each thing that was not read. */
  end(): string[] {
    for (const [key, connection] of this.#known) {
      connection.end(this.#now);
      this.#forget(key, connection);
    }
    const notes = Array.from(this.#skipped, ([what, { count, first }]) => {
      const where = count === 1 ? `packet ${first}` : `the first is packet ${first}`;
      return `left out: ${counted(count, "packet")} of ${what} (${where})`;
    });
    if (this.tooLarge > 0) {
      notes.push(`left out: ${counted(this.tooLarge, "packet")} with more than ${MAX_CAPTURED_PACKET_OCTETS} octets`);
    }
    if (this.cutOff) notes.push(`the file is cut off in the block after packet ${this.packets}`);
    return notes;
  }

  /** Returns one line on each of these connections that had octets after its reset. */
  notesAfterResets(connections: { has(connection: number): boolean }): string[] {
    return [...this.afterResets].filter(([connection]) => connections.has(connection))
      .map(([number, octets]) => `connection ${number}: ${counted(octets, "octet")} after the reset not explained`);
  }

  get #now(): { number: number; time: number } {
    return { number: this.packets, time: this.#lastTime };
  }

  protected override packet(packet: Packet): void {
    const { number, time, linkType, bytes } = packet;
    this.#lastTime = time;
    const segment = segmentOf(bytes, linkType);
    if (segment === undefined) return;
    if ("what" in segment) return this.#skip(segment === CUT && packet.cut === undefined ? SHORT : segment, number);
    for (const connection of this.#reset) {
      if (!connection.expire(time)) break;
      this.#reset.delete(connection);
    }
    const { from, to } = segment;
    const key = from < to ? from + to : to + from;
    const connection = this.#connectionOf(key, segment, packet);
    connection.segment(segment, packet);
    if (connection.isOpen) this.#quiet.delete(key);
    else if (!this.#quiet.has(key)) this.#addQuiet(key, connection);
  }

  /** Returns the connection of a segment: a SYN may open another one, or the same again after a reset. */
  #connectionOf(key: string, segment: Segment, packet: Packet): CapturedConnection {
    const { from, to, flags } = segment;
    let again = this.#known.get(key);
    if (again !== undefined) {
      if ((flags & SYN) === 0) return again;
      const isAnswer = (flags & ACK) !== 0;
      const isOlder = !isAnswer && again.isOlderThan(segment);
      if (isOlder) again.end(packet, "by a new one with the same ports");
      else again.expire(Infinity);
      if (isAnswer || !isOlder && !again.isReset) return again;
      if (isOlder) {
        this.#forget(key, again);
        again = undefined;
      }
    }
    const number = again?.number ?? ++this.connections;
    const { connection: only = number, wanted } = this.options;
    const isWanted = only === number && (wanted?.(number) ?? true);
    const isStreamKnown = again?.isStreamKnown ?? (this.#areStreamsKnown && this.tooLarge === 0);
    const endpoints = again?.endpoints ?? [from, to] as const;
    const connection = new CapturedConnection(number, endpoints, this.#context, isWanted, isStreamKnown);
    connection.afterReset = again?.afterReset ?? 0;
    this.#known.set(key, connection);
    return connection;
  }

  /** Notes a connection that has ended or has no octets, and forgets the oldest half of them if there are too many. */
  #addQuiet(key: string, connection: CapturedConnection): void {
    this.#quiet.set(key, connection);
    if (this.#quiet.size <= MAX_QUIET_CONNECTIONS) return;
    // Wireshark forgets none.
    this.#areStreamsKnown = false;
    for (const [key, connection] of this.#quiet) {
      connection.end(this.#now, "left out: there are too many others");
      this.#forget(key, connection);
      if (this.#quiet.size <= MAX_QUIET_CONNECTIONS / 2) return;
    }
  }

  #forget(key: string, { number, afterReset }: CapturedConnection): void {
    if (afterReset > 0) this.afterResets.set(number, afterReset);
    this.#known.delete(key);
    this.#quiet.delete(key);
  }

  /** Whether packets of a direction, or of unknown senders, were left out. */
  #isLeftOut(from: string, to: string): boolean {
    const between = this.#skippedBetween;
    if (this.tooLarge > 0) return true;
    return between.size > 0 && (between.has("") || between.has(from.slice(0, -2) + to.slice(0, -2)));
  }

  #skip({ what, from = "", to = "" }: SkippedPacket, first: number): void {
    this.#areStreamsKnown = false;
    if (this.#skippedBetween.size < MAX_QUIET_CONNECTIONS) this.#skippedBetween.add(from + to);
    const skipped = this.#skipped.get(what) ?? { count: 0, first };
    skipped.count++;
    this.#skipped.set(what, skipped);
  }
}

/** Yields the events of a capture in order. Their octets stay unchanged. It throws a {@linkcode CaptureError}. */
export async function* captureEvents(
  source: Source,
  options: CaptureReaderOptions = {},
): AsyncGenerator<CaptureEvent> {
  let events: CaptureEvent[] = [];
  const reader = new CaptureReader((event) => {
    events.push("bytes" in event ? { ...event, bytes: event.bytes.slice() } : event);
  }, options);
  for await (const piece of readPieces(source, EXPLAIN_READ_BYTES)) {
    reader.receive(piece);
    yield* events;
    events = [];
  }
  reader.end();
  yield* events;
}
