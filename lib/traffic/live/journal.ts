/**
 * The journal: makes of the events of a tap what a page is told, and follows the table.
 *
 * @module
 */

import { BoundedBytes } from "../../bytes.ts";
import {
  answeredIn,
  type Direction,
  type Exchange,
  type ExchangeEvent,
  type Message,
  Pairing,
  titleOf,
} from "../../exchange.ts";
import type { ResponseHead } from "../../http_message.ts";
import { type MessageLimits, PAGE_ASK_MS, PAGE_CONTENT_BYTES, PAGE_HISTORY_EVENTS } from "../../limits.ts";
import type { Closed, Fin, Octets, Opened, SocketAddress, TrafficEvent, Untold } from "../../traffic.ts";
import { History, type Told, type ToldExchange, type ToldMessage } from "./history.ts";
import { Sampler } from "./sampler.ts";
import { type Complete, effectOf, TableState, type WholeTable } from "./table_state.ts";

/** A connection that goes on. */
interface Live {
  readonly number: number;
  readonly key: string;
  readonly pairing: Pairing;
  /** Content of messages whose exchange is not complete; `undefined` content is too long to keep. */
  readonly contents: Map<Message, BoundedBytes>;
  /** The exchanges that the current event changed, and those that it completed. */
  readonly changed: Set<Exchange>;
  complete: Complete[];
  /** Octets that the client's end has told, by direction. */
  readonly client: Record<Direction, number>;
}

/** How a journal behaves. */
export interface JournalOptions {
  /** Events that are kept. */
  readonly maxEvents?: number;
  /** The caps that the server has on requests. */
  readonly messageLimits?: MessageLimits;
  /** Asks for the table, from its handler. */
  readonly askTable: () => Promise<WholeTable>;
  /** Receives what goes wrong with that. */
  readonly failed?: (error: unknown) => void;
  /** Decides what is taken. */
  readonly sampler?: Sampler;
}

/** Events of a client's end that came before the server's end told of the connection. */
const MAX_EARLY_EVENTS = 1000;

/** Keeps what happened, and tells listeners that there is more. */
export class Journal {
  /** What happened. */
  readonly history: History;
  /** The table before the oldest event that is kept. */
  readonly base = new TableState();

  readonly #options: JournalOptions;
  readonly #table = new TableState();
  readonly #sampler: Sampler;
  /** Connections by their number at the server's end, and by their addresses. */
  readonly #connections = new Map<number, Live>();
  readonly #byAddresses = new Map<string, Live>();
  /** The addresses of the client's ends, by their numbers. */
  readonly #clients = new Map<number, string>();
  readonly #early = new Map<string, TrafficEvent[]>();
  #toldLeftOut = 0;
  /** Whether the table that is shown follows from all that happened. */
  #followed = false;
  #asking: Promise<void> | undefined;
  /** What wrote to the table while it was asked for: its answer may be older. */
  #meanwhile: (() => void)[] = [];
  /** Whether something was not seen since the table was asked for. */
  #wasLost = false;
  /** When the table was asked for because of that, in microseconds. */
  #lastLost = -Infinity;
  /** Called once there is more. */
  onMore: () => void = () => {};

  /** Starts with an empty history. */
  constructor(options: JournalOptions) {
    this.#options = options;
    this.#sampler = options.sampler ?? new Sampler();
    this.history = new History(options.maxEvents ?? PAGE_HISTORY_EVENTS, undefined, ({ told }) => {
      if (told.rows !== undefined) this.base.follow(told.rows, told.total!, told.large!, told.kind === "table");
    });
  }

  /** Takes an event of a tap. */
  readonly take = (event: TrafficEvent): Untold | undefined => {
    if (event.end === "client") {
      this.#takeClient(event);
      return undefined;
    }
    const { connection } = event;
    if (!this.#sampler.takes(connection, "bytes" in event ? event.bytes.length : 0, event.time)) {
      this.#leaveOut(connection);
      if (event.kind === "closed") this.#sampler.ended(connection);
      return this.#sampler.untold;
    }
    if (event.kind === "opened") this.#open(event);
    const live = this.#connections.get(connection);
    if (live === undefined) return undefined;
    if (event.kind === "closed") {
      this.#sampler.ended(connection);
      this.#forget(live);
      // A write whose answer never left may have been made.
      if (live.pairing.unanswered.length > 0) this.#lose(event.time);
    }
    if (event.kind !== "opened") this.#tell(event, live);
    return undefined;
  };

  /** Asks for the whole table. */
  askTable(): Promise<void> {
    if (this.#asking !== undefined) return this.#asking;
    this.#meanwhile = [];
    this.#wasLost = false;
    return this.#asking = this.#ask();
  }

  /**
   * Notes that a write may not have been seen: asks for the table, with a later tick if it was asked for just before.
   */
  #lose(time: number): void {
    this.#followed = false;
    this.#wasLost = true;
    if (time < this.#lastLost + PAGE_ASK_MS * 1000) return;
    this.#lastLost = time;
    if (this.#asking === undefined) this.askTable();
  }

  /** To be called every second: tells what was left out since, and asks for the table once nothing is any more. */
  tick(time: number): void {
    const { leftOut } = this.#sampler;
    if (leftOut.events > this.#toldLeftOut) {
      this.#toldLeftOut = leftOut.events;
      // A connection that stays left out may write to the table, again and again.
      this.#followed = false;
      this.#add({ kind: "left out", time, connection: 0, end: "server", leftOut });
    } else if (!this.#followed && this.#asking === undefined) this.askTable();
  }

  #leaveOut(connection: number): void {
    this.#followed = false;
    const live = this.#connections.get(connection);
    if (live !== undefined) this.#forget(live);
  }

  #open(event: Opened): void {
    const key = addresses(event.remote, event.local);
    const limits = { request: this.#options.messageLimits };
    const live: Live = {
      number: event.connection,
      key,
      pairing: new Pairing((event) => follow(live, event), { limits }),
      contents: new Map(),
      changed: new Set(),
      complete: [],
      client: { request: 0, response: 0 },
    };
    this.#connections.set(live.number, live);
    this.#byAddresses.set(key, live);
    const { time, connection, end, secure } = event;
    this.#add({ kind: "opened", time, connection, end, client: event.remote, server: event.local, secure });
    const early = this.#early.get(key) ?? [];
    this.#early.delete(key);
    for (const one of early) this.#tellClient(one, live);
  }

  #forget(live: Live): void {
    this.#connections.delete(live.number);
    // The client's end, if it is here, may still have something to tell; a new connection may have the same addresses.
    const isOver = this.#byAddresses.get(live.key) === live && ![...this.#clients.values()].includes(live.key);
    if (isOver) this.#byAddresses.delete(live.key);
  }

  #takeClient(event: TrafficEvent): void {
    if (event.kind === "opened") this.#clients.set(event.connection, addresses(event.local, event.remote));
    const key = this.#clients.get(event.connection);
    if (key === undefined) return;
    if (event.kind === "closed") this.#clients.delete(event.connection);
    const live = this.#byAddresses.get(key);
    if (live !== undefined) {
      if (event.kind === "closed" && !this.#connections.has(live.number)) this.#byAddresses.delete(key);
      return this.#tellClient(event, live);
    }
    const early = this.#early.get(key) ?? [];
    this.#early.set(key, early);
    // Only their number counts: the server's end keeps the octets.
    if (early.length < MAX_EARLY_EVENTS) early.push(event);
    if (event.kind === "closed") this.#early.delete(key);
  }

  #tellClient(event: TrafficEvent, live: Live): void {
    const told = { kind: event.kind, time: event.time, connection: live.number, end: event.end };
    if (event.kind === "read" || event.kind === "write") {
      const direction = event.kind === "write" ? "request" : "response";
      const from = live.client[direction];
      const to = live.client[direction] += event.bytes.length;
      this.#add({ ...told, direction, from, to });
    } else if (event.kind === "fin") this.#add({ ...told, by: event.by });
    else if (event.kind === "closed") this.#add({ ...told, reason: event.reason });
    else this.#add(told);
  }

  #tell(event: Octets | Fin | Closed, live: Live): void {
    const { pairing } = live;
    const told = { kind: event.kind, time: event.time, connection: live.number, end: event.end };
    if (event.kind === "closed") return this.#add({ ...told, reason: event.reason });
    if (event.kind === "fin") {
      pairing.fin(event.by === "client" ? "request" : "response");
      return this.#addProgress({ ...told, by: event.by }, live);
    }
    const direction = event.kind === "read" ? "request" : "response";
    const from = pairing.received(direction);
    // They are lent, and kept for whoever opens the message.
    const bytes = event.bytes.slice();
    pairing.octets(direction, bytes, event.time);
    const message = pairing.message(direction);
    if (message !== undefined) live.changed.add(message.exchange);
    this.#addProgress({ ...told, direction, from, to: from + bytes.length }, live, bytes);
  }

  #addProgress(told: Told, live: Live, bytes?: Uint8Array): void {
    const effects = live.complete.map(effectOf);
    const exchanges = Array.from(live.changed, toldOf);
    live.complete = [];
    live.changed.clear();
    const changes = [];
    for (const effect of effects) {
      if (effect.kind === "unknown") this.#lose(told.time);
      if (effect.kind === "table") changes.push(...this.#table.replace(effect.table));
      if (effect.kind !== "rows") continue;
      for (const change of effect.changes) {
        const apply = () => this.#table.apply(change, effect.created);
        if (this.#asking !== undefined) this.#meanwhile.push(apply);
        if (apply()) changes.push(change);
      }
    }
    this.#add({
      ...told,
      ...exchanges.length > 0 && { exchanges },
      ...changes.length > 0 && {
        rows: changes.map(({ name, cells }) => [name, cells] as const),
        total: this.#table.total,
        large: this.#table.large,
      },
    }, bytes);
  }

  async #ask(): Promise<void> {
    let leftOut: number;
    try {
      leftOut = this.#sampler.leftOut.events;
      const table = await this.#options.askTable();
      this.#table.reset(table);
      for (const apply of this.#meanwhile.splice(0)) apply();
    } catch (error) {
      this.#options.failed?.(error);
      return;
    } finally {
      this.#asking = undefined;
    }
    // What was not seen meanwhile may have written to the table: it is asked for again with a later tick.
    this.#followed = !this.#wasLost && leftOut === this.#sampler.leftOut.events;
    if (!this.#followed) return;
    const { rows, total, large } = this.#table;
    this.#add({
      kind: "table",
      time: Math.round(performance.now() * 1000),
      connection: 0,
      end: "server",
      rows: rows.map(({ name, cells }) => [name, cells] as const),
      total,
      large,
    });
  }

  #add(told: Told, bytes?: Uint8Array): void {
    this.history.add(told, bytes);
    this.onMore();
  }
}

/** Notes which exchanges an event changes, and what those that it completes may have done to the table. */
function follow({ changed, contents, complete }: Live, event: ExchangeEvent): void {
  if (event.kind === "stopped" || event.kind === "resumed" || event.message === undefined) return;
  const { message } = event;
  const { exchange } = message;
  changed.add(exchange);
  if (event.kind === "content") {
    const content = contents.get(message) ?? new BoundedBytes(PAGE_CONTENT_BYTES);
    contents.set(message, content);
    content.add(event.bytes);
  }
  if (event.kind !== "ended" || message.direction === "request" || message.interim) return;
  const { request } = exchange;
  const { status, fields } = message.head as ResponseHead;
  const [sent, received] = [request, message].map((one) => {
    const content = one && contents.get(one);
    if (content !== undefined) contents.delete(one!);
    return content === undefined ? new Uint8Array(0) : content.bytes();
  });
  if (request?.state === "whole") complete.push({ request: request.head!, sent, status, fields, received });
}

/** What is told stays as it was then. */
function toldOf(exchange: Exchange): ToldExchange {
  const { number, request, responses, unread } = exchange;
  const time = answeredIn(exchange);
  return {
    number,
    ...request && { request: messageOf(request) },
    responses: responses.map(messageOf),
    ...time !== undefined && { answeredIn: time },
    ...unread && { unread: unread.exchange.number },
  };
}

function messageOf(message: Message): ToldMessage {
  const { from, to, state, head, error, behind } = message;
  return {
    from,
    to,
    whole: state === "whole",
    title: titleOf(message),
    status: head?.kind === "response" ? head.status : 0,
    ...error && { fault: { detail: error.message, rule: error.rule ?? "", offset: error.offset ?? -1 } },
    ...behind && { behind: behind.exchange.number },
  };
}

/** Both addresses of a connection, the same from either end. */
function addresses(client: SocketAddress, server: SocketAddress): string {
  return [client, server].map(({ hostname, port }) => `${hostname.replace(/^::ffff:/, "")} ${port}`).join(" ");
}
