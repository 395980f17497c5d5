/** A capture as a page shows it: what a journal would have kept, from a file that has ended. */

import { Buffer } from "node:buffer";
import type { Endpoint } from "../../address.ts";
import type { Direction } from "../../exchange.ts";
import { PAGE_HISTORY_BYTES } from "../../limits.ts";
import { painterFor } from "../../terminal.ts";
import type { End, Octets } from "../../traffic.ts";
import { FollowedTable } from "../page/followed_table.js";
import { ExplainedConnection } from "../capture/explained_connection.ts";
import { type CaptureEvent, type OpenedInCapture, serverOf } from "../capture/reader.ts";
import { History, OVERHEAD_CHARACTERS, weightOf } from "./history.ts";
import { Messages, type PageEvent } from "./page_events.ts";

/** An event that is kept until the file has ended. */
interface KeptEvent {
  event: PageEvent;
  /** Its octets, as packets had them; empty if it has none. */
  readonly pieces: Uint8Array[];
}

interface Captured {
  readonly opened: Extract<CaptureEvent, OpenedInCapture>;
  /** Decides by its first octets whether it is HTTP, and says what it is otherwise. */
  plain: ExplainedConnection | undefined;
  readonly messages: Messages;
  readonly events: KeptEvent[];
  /** The last octets of each direction, which a recorded read may continue. */
  readonly last: Partial<Record<Direction, KeptEvent>>;
}

/** Keeps the first events of a capture, and counts the others. */
export class RecordedTraffic {
  /** It is empty until the file has ended. */
  readonly history: History = new History(Infinity, Infinity);
  /** There is no table in a capture. */
  readonly base: FollowedTable = new FollowedTable();
  /** The number of events that are not kept. */
  missing = 0;
  /** The end that was recorded by this program; `undefined` for packets that were taken somewhere between the ends. */
  end: End | undefined;
  readonly #connections = new Map<number, Captured>();
  readonly #kept = new Set<KeptEvent>();
  #weight = 0;

  constructor(private readonly maxEvents: number) {}

  serverOf(connection: number): Endpoint | undefined {
    const opened = this.#connections.get(connection)?.opened;
    return opened && serverOf(opened);
  }

  /** Receives an event; its octets are copied. */
  receive(event: CaptureEvent): void {
    if (event.kind === "opened") this.#open(event);
    const captured = this.#connections.get(event.connection);
    if (captured === undefined) return;
    if (event.kind !== "opened") captured.plain?.receive(event);
    if ("bytes" in event && captured.plain?.isHttp) captured.plain = undefined;
    // A connection without HTTP is one line at the end.
    if (captured.plain?.isHttp === false) this.#release(captured.events.splice(1));
    else this.#add(event, captured);
  }

  /** Ends the file: fills the history. A connection without HTTP is one line of it. */
  finish(): void {
    for (const { plain, events } of this.#connections.values()) {
      if (plain === undefined || events.length === 0) continue;
      plain.end();
      this.#release(events.splice(1));
      events[0].event = { ...events[0].event, kind: "folded", reason: plain.take().trim() };
    }
    const end = this.end ?? "server";
    for (const { event: shown, pieces } of this.#kept) {
      this.history.add({ ...shown, end }, pieces.length > 0 ? Buffer.concat(pieces) : undefined);
    }
    this.#kept.clear();
  }

  /** Gives back the room of events that are not shown. */
  #release(events: readonly KeptEvent[]): void {
    for (const one of events) {
      this.#kept.delete(one);
      this.#weight -= weightOfKept(one);
    }
  }

  #open(event: Extract<CaptureEvent, OpenedInCapture>): void {
    this.#connections.set(event.connection, {
      opened: event,
      plain: new ExplainedConnection(event, { width: Infinity, all: false, painter: painterFor(false) }),
      messages: new Messages(),
      events: [],
      last: {},
    });
  }

  #add(event: CaptureEvent, captured: Captured): void {
    const { event: seen, bytes } = captured.messages.receive(event);
    const shown = { ...seen, packet: event.origin.packet };
    if ("bytes" in event) return this.#addOctets(event, shown, captured, bytes!);
    const isFolded = event.kind === "opened" && !event.startCaptured;
    const isLeftOut = event.kind === "closed" && event.reason.startsWith("left out");
    this.#keep({
      ...shown,
      ...isFolded && { kind: "folded", reason: "the start was not captured" },
      ...event.kind === "closed" && captured.opened.tcp.mayLackResponses && { isLacking: true },
      ...isLeftOut && { reason: `(${event.reason})` },
    }, captured);
  }

  #addOctets(event: CaptureEvent & Octets, shown: PageEvent, captured: Captured, bytes: Uint8Array): void {
    const { kind, origin: { call, continues } } = event;
    const direction = shown.direction!;
    if (call !== undefined) this.end ??= call.startsWith("read") === (direction === "request") ? "server" : "client";
    const before = continues ? captured.last[direction] : undefined;
    if (before === undefined) {
      const atEnd = this.end === "client" ? kind === "read" ? "write" : "read" : kind;
      captured.last[direction] = this.#keep({ ...shown, kind: atEnd }, captured, bytes);
      return;
    }
    // A long read or write takes several packets.
    const { to, exchanges = [] } = shown;
    const numbers = new Set(exchanges.map(({ number }) => number));
    const others = before.event.exchanges?.filter(({ number }) => !numbers.has(number)) ?? [];
    const whole = { ...before.event, to, exchanges: [...others, ...exchanges] };
    // Without room its octets end here: what may still find room is no part of it.
    if (this.#takeRoom(bytes.length + weightOf(whole) - weightOf(before.event))) {
      before.event = whole;
      before.pieces.push(bytes);
    } else captured.last[direction] = undefined;
  }

  #keep(shown: PageEvent, { events }: Captured, bytes?: Uint8Array): KeptEvent | undefined {
    const kept = { event: shown, pieces: bytes === undefined ? [] : [bytes] };
    if (!this.#takeRoom(weightOfKept(kept), 1)) return undefined;
    this.#kept.add(kept);
    events.push(kept);
    return kept;
  }

  /** Takes room, for so many more events or for more octets of one; without room, counts what is not kept. */
  #takeRoom(weight: number, events = 0): boolean {
    if (this.#kept.size + events > this.maxEvents || this.#weight + weight > PAGE_HISTORY_BYTES) {
      this.missing++;
      return false;
    }
    this.#weight += weight;
    return true;
  }
}

function weightOfKept({ event, pieces }: KeptEvent): number {
  return pieces.reduce((sum, { length }) => sum + length, OVERHEAD_CHARACTERS + weightOf(event));
}
