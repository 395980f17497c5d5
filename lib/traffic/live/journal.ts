/**
 * The journal: makes of the events of a tap what a page is told, and follows the table.
 *
 * @module
 */

import {
  answeredIn,
  type Direction,
  type Exchange,
  type ExchangeEvent,
  finalResponse,
  type Message,
  Pairing,
  type Stop,
  titleOf,
} from "../../exchange.ts";
import { type MessageLimits, PAGE_CONTENT_BYTES, PAGE_HISTORY_EVENTS } from "../../limits.ts";
import { FAIR_TURNS } from "../../turns.ts";
import type { Closed, Fin, Octets, Opened, SocketAddress, TrafficEvent, Untold } from "../../traffic.ts";
import { History, type Told, type ToldExchange, type ToldMessage } from "./history.ts";
import { Sampler } from "./sampler.ts";
import { type RowChange, rowOf, rowsOf, TableState } from "./table_state.ts";

/** A connection that goes on. */
interface Live {
  readonly number: number;
  readonly key: string;
  readonly pairing: Pairing;
  /** The exchanges that the current event changes. */
  readonly changed: Set<Exchange>;
  /** Octets that the client's end has told, by direction. */
  readonly client: Record<Direction, number>;
}

/** What the table did for an exchange. */
interface Report {
  readonly connection: number;
  readonly exchange: number;
  readonly wrote: boolean;
  /** Whether the rows are new, as far as that is known; false if they were removed. */
  readonly created: boolean | undefined;
  /** The rows, but for those of which a newer report was told; `undefined` if they are too many. */
  rows: RowChange[] | undefined;
  /** Whether they are the whole table. */
  isWhole: boolean;
}

/** How a journal behaves. */
export interface JournalOptions {
  /** Events that are kept. */
  readonly maxEvents?: number;
  /** The caps that the server has on requests. */
  readonly messageLimits?: MessageLimits;
  /** Asks the table for its rows, each under its name as JSON; `undefined` if they are too long to be shown. */
  readonly askTable?: () => Promise<{ readonly rows: readonly string[] | undefined; readonly total: number }>;
  /** Whether the client's ends are those of a relay, whose connections to its server have its clients' numbers. */
  readonly relays?: boolean;
  /** Receives what goes wrong with that. */
  readonly failed?: (error: unknown) => void;
  /** Decides what is taken. */
  readonly sampler?: Sampler;
}

/** What a page is told of octets that are not read as messages. */
const UNREAD: Readonly<Record<Stop, string>> = {
  "left HTTP": "no longer HTTP",
  "connection ends": "not read",
  "held": "held until the answer",
  "lost": "not read",
};
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
  /** Whether all that happened since the table was asked for is shown of it. */
  #followed = false;
  #asking: Promise<void> | undefined;
  /** What the table did for exchanges whose responses are not told yet, in its order. */
  #reports: Report[] = [];
  /** What wrote to the table while it was asked for: its answer may be older. */
  #meanwhile: (() => void)[] = [];
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
      if (this.#options.relays) this.#takeRelayed(event);
      else this.#takeClient(event);
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
      const hasWritten = this.#reports.some((report) => report.connection === connection && report.wrote);
      this.#forget(live);
      // There is no response to show it with.
      if (hasWritten) this.#followed = false;
    }
    if (event.kind !== "opened") this.#tell(event, live);
    return undefined;
  };

  /**
   * Receives what the table did for an exchange: rows under their names as JSON, or one of this name; without content
   * there is none.
   */
  readonly takeTable = (
    { connection, exchange }: { readonly connection: number; readonly exchange: number },
    { name, content, how }: { readonly name?: string; readonly content?: string | Uint8Array; readonly how: string },
  ): void => {
    const wrote = how !== "read";
    if (!this.#connections.has(connection)) {
      if (wrote) this.#followed = false;
      return;
    }
    const isLong = content !== undefined && content.length > PAGE_CONTENT_BYTES;
    const one = name !== undefined && [content === undefined ? { name, cells: null } : rowOf(content)];
    const rows = one || (isLong ? undefined : rowsOf(content!));
    const isWhole = !one && !wrote;
    if (isWhole && rows === undefined) return;
    const created = how === "created" ? true : how === "removed" ? false : undefined;
    this.#reports.push({ connection, exchange, wrote, created, rows, isWhole });
  };

  /** Asks for the whole table. */
  askTable(): Promise<void> {
    if (this.#options.askTable === undefined) return Promise.resolve();
    if (this.#asking !== undefined) return this.#asking;
    this.#meanwhile = [];
    this.#followed = true;
    return this.#asking = this.#ask();
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
    const changed = new Set<Exchange>();
    const follow = (event: ExchangeEvent) => {
      if ("message" in event && event.message !== undefined) changed.add(event.message.exchange);
    };
    const live: Live = {
      number: event.connection,
      key,
      pairing: new Pairing(follow, { limits }),
      changed,
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
    this.#reports = this.#reports.filter(({ connection }) => connection !== live.number);
    // The client's end, if it is here, may still have something to tell; a new connection may have the same addresses.
    const isOver = this.#byAddresses.get(live.key) === live && ![...this.#clients.values()].includes(live.key);
    if (isOver) this.#byAddresses.delete(live.key);
  }

  #takeRelayed(event: TrafficEvent): void {
    const live = this.#connections.get(event.connection);
    if (live !== undefined) this.#tellClient(event, live);
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
    else if (event.kind === "opened") this.#add({ ...told, ...this.#options.relays && { server: event.remote } });
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
    const to = from + bytes.length;
    const stop = pairing.stop(direction);
    const unread = stop !== undefined && stop.from < to && { unread: UNREAD[stop.why] };
    this.#addProgress({ ...told, direction, from, to, ...unread }, live, bytes);
  }

  #addProgress(told: Told, live: Live, bytes?: Uint8Array): void {
    const changed = [...live.changed];
    live.changed.clear();
    const answered = changed.filter((exchange) => finalResponse(exchange)?.state === "whole");
    const changes = answered.flatMap(({ number }) => this.#changesBy(told.connection, number));
    this.#add({
      ...told,
      ...changed.length > 0 && { exchanges: changed.map(toldOf) },
      ...changes.length > 0 && {
        rows: changes.map(({ name, cells }) => [name, cells] as const),
        total: this.#table.total,
        large: this.#table.large,
      },
    }, bytes);
  }

  /** Makes the changes that an exchange made to the table, and returns them. */
  #changesBy(connection: number, exchange: number): RowChange[] {
    const index = this.#reports.findIndex((one) => one.connection === connection && one.exchange === exchange);
    if (index < 0) return [];
    const [{ rows, isWhole, created }] = this.#reports.splice(index, 1);
    if (rows === undefined) {
      this.#followed = false;
      return [];
    }
    const names = new Set(rows.map(({ name }) => name));
    for (const older of this.#reports.slice(0, index)) {
      older.rows = older.isWhole ? [] : older.rows?.filter(({ name }) => !names.has(name));
      older.isWhole = false;
    }
    if (isWhole && this.#table.large) return [];
    const gone = isWhole ? this.#table.rows.filter(({ name }) => !names.has(name)) : [];
    return [...gone.map(({ name }) => ({ name, cells: null })), ...rows].filter((change) => {
      const apply = () => this.#table.apply(change, created);
      if (this.#asking !== undefined) this.#meanwhile.push(apply);
      return apply();
    });
  }

  async #ask(): Promise<void> {
    try {
      const before = [...this.#reports];
      const { rows, total } = await this.#options.askTable!();
      const shown: RowChange[] = [];
      for (const row of rows ?? []) {
        shown.push(rowOf(row));
        await FAIR_TURNS.yieldIfBusy();
      }
      // What was done before is in it.
      for (const report of before) Object.assign(report, { rows: [], isWhole: false });
      this.#table.reset(rows && shown, total);
      for (const apply of this.#meanwhile.splice(0)) apply();
    } catch (error) {
      this.#followed = false;
      this.#options.failed?.(error);
    } finally {
      this.#asking = undefined;
    }
    // What was not seen meanwhile may have written to the table: it is asked for again with a later tick.
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

/** Copies what a page is told of an exchange, which may change later. */
export function toldOf(exchange: Exchange): ToldExchange {
  const { number, request, responses, unread } = exchange;
  const time = answeredIn(exchange);
  return {
    number,
    ...request && { request: messageOf(request) },
    responses: responses.map(messageOf),
    ...time !== undefined && { answeredIn: time },
    ...unread !== undefined && { unread },
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
    ...behind !== undefined && { behind },
  };
}

/** Both addresses of a connection, the same from either end. */
function addresses(client: SocketAddress, server: SocketAddress): string {
  return [client, server].map(({ hostname, port }) => `${hostname.replace(/^::ffff:/, "")} ${port}`).join(" ");
}
