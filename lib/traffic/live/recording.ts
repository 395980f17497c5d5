/**
 * A capture as a page shows it: what a journal would have told, from a file that has ended.
 *
 * @module
 */

import { Beginning, type Direction, type Exchange, Pairing } from "../../exchange.ts";
import { PAGE_HISTORY_BYTES, PAGE_TOLD_CHARACTERS, REQUEST_LIMITS, RESPONSE_LIMITS } from "../../limits.ts";
import { painterFor } from "../../terminal.ts";
import type { End } from "../../traffic.ts";
import { ExplainedConnection } from "../capture/explained_connection.ts";
import type { CaptureEvent, OpenedInCapture } from "../capture/reader.ts";
import { History, type Told } from "./history.ts";
import { toldOf } from "./journal.ts";
import { TableState } from "./table_state.ts";

/** Content of any length: a capture is not limited as a server's clients are. */
const ANY_CONTENT = { maxContentBytes: Number.MAX_SAFE_INTEGER };
const LIMITS = { request: { ...REQUEST_LIMITS, ...ANY_CONTENT }, response: { ...RESPONSE_LIMITS, ...ANY_CONTENT } };

/** An event that is kept until the file has ended. */
interface Kept {
  told: Told;
  bytes?: Uint8Array;
  /** Whether it is not shown after all. */
  isReleased?: boolean;
}

/** A connection of the capture. */
interface Captured {
  readonly opened: Extract<CaptureEvent, OpenedInCapture>;
  /** Decides by its first octets whether it is HTTP. */
  readonly beginning: Beginning;
  /** Says what it is, until it is known to be HTTP. */
  plain: ExplainedConnection | undefined;
  readonly pairing: Pairing;
  /** Exchanges that the current event changes. */
  readonly changed: Set<Exchange>;
  /** Its events, in their order. */
  readonly events: Kept[];
  /** The last octets of each direction, which a recorded read may continue. */
  readonly last: Partial<Record<Direction, Kept>>;
}

/** Takes the events of a capture. Its first ones are kept, the others counted. */
export class RecordedTraffic {
  /** What happened, once the file has ended. */
  readonly history: History = new History(Infinity, Infinity);
  /** There is no table in a capture. */
  readonly base: TableState = new TableState();
  /** Nothing comes after the end of a file. */
  onMore: () => void = () => {};
  /** The number of events that are not kept. */
  missing = 0;
  /** The end that was recorded by this program; `undefined` for packets that were taken somewhere between the ends. */
  end: End | undefined;

  readonly #maxEvents: number;
  readonly #connections = new Map<number, Captured>();
  readonly #kept: Kept[] = [];
  #events = 0;
  #bytes = 0;

  /** Keeps so many events. */
  constructor(maxEvents: number) {
    this.#maxEvents = maxEvents;
  }

  /** The address of a connection's server. */
  serverOf(connection: number): OpenedInCapture | undefined {
    return this.#connections.get(connection)?.opened;
  }

  /** Takes an event; its octets are copied. */
  take(event: CaptureEvent): void {
    if (event.kind === "opened") this.#open(event);
    const captured = this.#connections.get(event.connection);
    if (captured === undefined) return;
    if (event.kind !== "opened") captured.plain?.tell(event);
    const { beginning } = captured;
    if ("bytes" in event && beginning.isHttp === undefined) {
      beginning.receive(event.kind === "read" ? "request" : "response", event.bytes);
      if (beginning.isHttp === true) captured.plain = undefined;
    }
    // What is no HTTP is one line at the end.
    if (beginning.isHttp === false) return this.#release(captured.events.splice(1));
    if ("bytes" in event) this.#octets(event, captured);
    else this.#signal(event, captured);
  }

  /** Ends the file: from now on there is a history. Connections without HTTP are one line each. */
  finish(): void {
    for (const { plain, events, opened } of this.#connections.values()) {
      if (plain === undefined || events.length === 0) continue;
      let text = "";
      plain.end();
      plain.print((bytes) => text += new TextDecoder().decode(bytes));
      this.#release(events.splice(1));
      events[0].told = { ...events[0].told, ...this.#toldOf(opened, "folded"), reason: text.trim() };
    }
    const end = this.end ?? "server";
    for (const { told, bytes, isReleased } of this.#kept) if (!isReleased) this.history.add({ ...told, end }, bytes);
    this.#kept.length = 0;
  }

  /** Gives back the room of events that are not shown. */
  #release(events: Kept[]): void {
    for (const one of events) {
      this.#events--;
      this.#bytes -= one.bytes?.length ?? 0;
      one.bytes = undefined;
      one.isReleased = true;
    }
  }

  #open(event: Extract<CaptureEvent, OpenedInCapture>): void {
    const changed = new Set<Exchange>();
    const pairing = new Pairing((told) => {
      if ("message" in told && told.message !== undefined) changed.add(told.message.exchange);
    }, { limits: LIMITS });
    const plain = new ExplainedConnection(event, { width: Infinity, all: false, painter: painterFor(false) });
    const beginning = new Beginning();
    this.#connections.set(event.connection, {
      opened: event,
      beginning,
      plain,
      pairing,
      changed,
      events: [],
      last: {},
    });
  }

  #toldOf({ time, connection, origin }: CaptureEvent, kind: Told["kind"]): Told {
    return { kind, time, connection, end: this.end ?? "server", packet: origin.packet };
  }

  #signal(event: Exclude<CaptureEvent, { bytes: Uint8Array }>, captured: Captured): void {
    const told = this.#toldOf(event, event.kind);
    if (event.kind === "opened") {
      const { remote: client, local: server, secure, startCaptured } = event;
      const kind = startCaptured ? "opened" : "folded";
      const reason = startCaptured ? {} : { reason: "the start was not captured" };
      this.#keep({ told: { ...told, kind, client, server, secure, ...reason } }, captured);
    } else if (event.kind === "missing") {
      const { octets, why, by } = event;
      const direction = by === "client" ? "request" : "response";
      if (why === "not captured") captured.pairing.gap(direction);
      this.#keep({ told: { ...told, octets, reason: `of the ${by} ${why}` } }, captured);
    } else if (event.kind === "fin") {
      captured.pairing.fin(event.by === "client" ? "request" : "response");
      this.#keep({ told: { ...told, by: event.by } }, captured);
    } else if (event.kind === "closed") {
      const reason = event.reason.startsWith("left out") ? `(${event.reason})` : event.reason;
      this.#keep({ told: { ...told, reason } }, captured);
    }
  }

  #octets(event: Extract<CaptureEvent, { bytes: Uint8Array }>, captured: Captured): void {
    const direction = event.kind === "read" ? "request" : "response";
    const { pairing, changed, last } = captured;
    const { call, continues } = event.origin;
    if (call !== undefined) this.end ??= (call.startsWith("read")) === (direction === "request") ? "server" : "client";
    const bytes = event.bytes.slice();
    const from = pairing.received(direction);
    pairing.octets(direction, bytes, event.time);
    const message = pairing.message(direction);
    if (message !== undefined) changed.add(message.exchange);
    const exchanges = { exchanges: [...changed].map(toldOf) };
    changed.clear();
    const before = last[direction];
    if (continues && before?.bytes !== undefined) {
      // A long read or write takes several packets.
      const joined = new Uint8Array(before.bytes.length + bytes.length);
      joined.set(before.bytes);
      joined.set(bytes, before.bytes.length);
      const numbers = new Set(exchanges.exchanges.map(({ number }) => number));
      const others = before.told.exchanges?.filter(({ number }) => !numbers.has(number)) ?? [];
      before.told = { ...before.told, to: from + bytes.length, exchanges: [...others, ...exchanges.exchanges] };
      before.bytes = joined;
      this.#bytes += bytes.length;
      return;
    }
    const stop = pairing.stop(direction);
    const unread = stop !== undefined && stop.from < from + bytes.length && { unread: "no longer HTTP" };
    const kind = this.end === "client" ? event.kind === "read" ? "write" : "read" : event.kind;
    const told = {
      ...this.#toldOf(event, kind),
      direction,
      from,
      to: from + bytes.length,
      ...exchanges,
      ...unread,
    } as const;
    last[direction] = this.#keep({ told, bytes }, captured);
  }

  #keep(kept: Kept, { events }: Captured): Kept | undefined {
    const weight = (kept.bytes?.length ?? 0) + PAGE_TOLD_CHARACTERS * (1 + (kept.told.exchanges?.length ?? 0));
    if (this.#events >= this.#maxEvents || this.#bytes + weight > PAGE_HISTORY_BYTES) {
      this.missing++;
      return undefined;
    }
    this.#events++;
    this.#bytes += weight;
    this.#kept.push(kept);
    events.push(kept);
    return kept;
  }
}
