/** The journal: turns the events of a tap into those of a page, and follows the table. */

import { addressText, withoutMapping } from "../../address.ts";
import { counted } from "../../bytes.ts";
import { type Direction, finalResponse } from "../../exchange.ts";
import { type MessageLimits, PAGE_BYTES_PER_SECOND, PAGE_EVENTS_PER_SECOND } from "../../limits.ts";
import type { EventCounter, Opened, SocketAddress, TrafficEvent, TrafficListener } from "../../traffic.ts";
import { FAIR_TURNS } from "../../turns.ts";
import { SINCE_START } from "../tap.ts";
import { History } from "./history.ts";
import { FollowedTable } from "../page/followed_table.js";
import { rowOf, rowsOf, type ShownRow, ShownTable } from "./shown_table.ts";
import { Messages } from "./page_events.ts";

interface ServerEnd {
  readonly number: number;
  /** Both addresses, the same from either end. */
  readonly key: string;
  readonly messages: Messages;
  /** The number of octets that the client's end has reported, by direction. */
  readonly client: Record<Direction, number>;
}

interface ClientEnd {
  readonly key: string;
  /** The same connection at the server's end, once that has reported it. */
  live: ServerEnd | undefined;
  /** Its events before that. */
  readonly early: TrafficEvent[];
}

/** What the table did for an exchange. */
interface PendingReport {
  readonly connection: number;
  readonly exchange: number;
  readonly how: string;
  /** The rows, but for those that a newer report has shown. */
  rows: ShownRow[];
  isWhole: boolean;
}

interface JournalOptions {
  readonly maxEvents?: number;
  /** The limits that the server has on requests. */
  readonly messageLimits?: MessageLimits;
  /** Asks the table for its rows, each under its name as JSON; `undefined` if they are too long to be shown. */
  readonly askTable?: () => Promise<{ readonly rows: readonly string[] | undefined; readonly total: number }>;
  /** Whether the client's ends are those of a relay, whose connections to its server have its clients' numbers. */
  readonly relays?: boolean;
  readonly failed?: (error: unknown) => void;
  readonly sampler?: Sampler;
}

const SECOND = 1_000_000;
/** Events of a client's end that came before the server's end reported the connection. */
const MAX_EARLY_EVENTS = 1000;

export class Journal {
  readonly history: History;
  /** The table before the oldest event that is kept. */
  readonly base: FollowedTable = new FollowedTable();
  readonly #table = new ShownTable();
  readonly #sampler: Sampler;
  /** By their numbers at the server's end. */
  readonly #connections = new Map<number, ServerEnd>();
  /** By their numbers at the client's end. */
  readonly #clients = new Map<number, ClientEnd>();
  #lastLeftOut = 0;
  /** Whether every change since the table was asked for is shown. */
  #followed = false;
  #asking: Promise<void> | undefined;
  /** What the table did for exchanges whose responses are not there yet, in its order. */
  #reports: PendingReport[] = [];
  /** What wrote to the table while it was asked for: its answer may be older. */
  #meanwhile: (() => void)[] = [];

  constructor(private readonly options: JournalOptions) {
    this.#sampler = options.sampler ?? new Sampler();
    this.history = new History(options.maxEvents, undefined, ({ event }) => this.base.follow(event));
  }

  readonly receive: TrafficListener = (event) => {
    const { connection } = event;
    if (event.end === "client") return this.#receiveClient(event);
    const isAdmitted = this.#sampler.admits(connection, "bytes" in event ? event.bytes.length : 0, event.time);
    if (event.kind === "closed") this.#sampler.forget(connection);
    if (!isAdmitted) {
      this.#followed = false;
      this.#forget(connection);
      return this.#sampler.counter;
    }
    if (event.kind === "opened") this.#open(event);
    const live = this.#connections.get(connection);
    if (live === undefined) return;
    if (event.kind === "closed") this.#forget(connection);
    this.#addServer(event, live);
    if (event.kind === "opened") this.#join(live);
  };

  /** Rows under their names as JSON, or one of this name; without content there is none. */
  readonly receiveReport = (
    { connection, exchange }: { readonly connection: number; readonly exchange: number },
    { name, content, how }: { readonly name?: string; readonly content?: string | Uint8Array; readonly how: string },
  ): void => {
    const isRead = how === "read";
    const rowsIn = (): ShownRow[] | undefined =>
      name === undefined ? rowsOf(content!) : [content === undefined ? [name, null] : rowOf(content)];
    const rows = this.#connections.has(connection) ? rowsIn() : undefined;
    if (rows !== undefined) {
      this.#reports.push({ connection, exchange, how, rows, isWhole: name === undefined && isRead });
    } else if (!isRead) this.#followed = false;
  };

  askTable(): Promise<void> {
    const { askTable } = this.options;
    return askTable === undefined ? Promise.resolve() : this.#asking ??= this.#ask(askTable);
  }

  /** To be called every second: adds what was left out since then; once nothing is, asks for the table. */
  tick(time: number): void {
    const { connections, events } = this.#sampler.leftOut;
    if (events > this.#lastLeftOut) {
      this.#lastLeftOut = events;
      // A connection that stays left out may write to the table, again and again.
      this.#followed = false;
      const are = `${counted(connections, "connection")} ${connections === 1 ? "is" : "are"}`;
      const reason = `Too much at once: ${are} left out, with ${counted(events, "event")}.`;
      this.history.add({ kind: "left out", time, connection: 0, end: "server", reason });
    } else if (!this.#followed && this.#asking === undefined) this.askTable();
  }

  #open({ connection: number, remote, local }: Opened): void {
    const messages = new Messages({ request: this.options.messageLimits });
    const key = addresses(remote, local);
    this.#connections.set(number, { number, key, messages, client: { request: 0, response: 0 } });
  }

  /** Adds the events that the client's end has reported before. */
  #join(live: ServerEnd): void {
    for (const client of this.#clients.values()) {
      if (client.key !== live.key || client.live !== undefined) continue;
      client.live = live;
      for (const event of client.early.splice(0)) this.#addClient(event, live);
    }
  }

  #forget(connection: number): void {
    if (!this.#connections.delete(connection)) return;
    const isOwn = (report: PendingReport) => report.connection === connection;
    // There is no response to show its changes with.
    if (this.#reports.some((report) => isOwn(report) && report.how !== "read")) this.#followed = false;
    this.#reports = this.#reports.filter((report) => !isOwn(report));
  }

  #receiveClient(event: TrafficEvent): void {
    const { connection } = event;
    if (this.options.relays) {
      const live = this.#connections.get(connection);
      if (live !== undefined) this.#addClient(event, live);
      return;
    }
    if (event.kind === "opened") {
      const key = addresses(event.local, event.remote);
      const live = this.#connections.values().find((one) => one.key === key);
      this.#clients.set(connection, { key, live, early: [] });
    }
    const client = this.#clients.get(connection);
    if (event.kind === "closed") this.#clients.delete(connection);
    if (client?.live !== undefined) this.#addClient(event, client.live);
    // Only the number of octets counts: the server's end keeps them.
    else if (client !== undefined && client.early.length < MAX_EARLY_EVENTS) client.early.push(event);
  }

  #addClient(event: TrafficEvent, { number: connection, client }: ServerEnd): void {
    const { kind, time, end } = event;
    const shown = { kind, time, connection, end };
    if ("bytes" in event) {
      const direction = kind === "write" ? "request" : "response";
      const from = client[direction];
      this.history.add({ ...shown, direction, from, to: client[direction] += event.bytes.length });
    } else if (kind === "fin") this.history.add({ ...shown, by: event.by });
    else if (kind === "closed") this.history.add({ ...shown, reason: event.reason });
    else this.history.add({ ...shown, ...this.options.relays && { server: addressText(event.remote) } });
  }

  #addServer(event: TrafficEvent, { number, messages }: ServerEnd): void {
    const { event: shown, bytes, changed } = messages.receive(event);
    const answered = changed.filter((exchange) => finalResponse(exchange)?.state === "whole");
    const rows = answered.flatMap((exchange) => this.#changesBy(number, exchange.number));
    const { total, large } = this.#table;
    this.history.add(rows.length > 0 ? { ...shown, rows, total, large } : shown, bytes);
  }

  /** Makes the changes that an exchange made to the table, and returns them. */
  #changesBy(connection: number, exchange: number): ShownRow[] {
    const index = this.#reports.findIndex((one) => one.connection === connection && one.exchange === exchange);
    if (index < 0) return [];
    const [{ rows, isWhole, how }] = this.#reports.splice(index, 1);
    const names = new Set(rows.map(([name]) => name));
    for (const older of this.#reports.slice(0, index)) {
      older.rows = older.isWhole ? [] : older.rows.filter(([name]) => !names.has(name));
      older.isWhole = false;
    }
    if (isWhole && this.#table.large) return [];
    const gone = isWhole ? [...this.#table.rows.keys()].filter((name) => !names.has(name)) : [];
    return [...gone.map((name) => [name, null] as const), ...rows].filter((row) => {
      const apply = () => this.#table.apply(row, how);
      if (this.#asking !== undefined) this.#meanwhile.push(apply);
      return apply();
    });
  }

  async #ask(askTable: NonNullable<JournalOptions["askTable"]>): Promise<void> {
    this.#meanwhile = [];
    this.#followed = true;
    try {
      const before = [...this.#reports];
      const answer = await askTable();
      const shown: ShownRow[] = [];
      for (const row of answer.rows ?? []) {
        shown.push(rowOf(row));
        await FAIR_TURNS.yieldIfBusy();
      }
      // Something unseen may have written to the table meanwhile: a later tick asks for it again.
      if (!this.#followed) return;
      // The answer includes what these reports say.
      for (const report of before) Object.assign(report, { rows: [], isWhole: false });
      const large = answer.rows === undefined;
      this.#table.follow({ kind: "table", rows: shown, total: answer.total, large });
      for (const apply of this.#meanwhile.splice(0)) apply();
      const now = { rows: [...this.#table.rows], total: this.#table.total, large: this.#table.large };
      this.history.add({ kind: "table", time: SINCE_START(), connection: 0, end: "server", ...now });
    } catch (error) {
      this.#followed = false;
      this.options.failed?.(error);
    } finally {
      this.#asking = undefined;
    }
  }
}

function addresses(client: SocketAddress, server: SocketAddress): string {
  return [client, server].map((one) => addressText(withoutMapping(one))).join(" ");
}

/** Admits the events of connections until a second has too many; a connection that is left out stays so to its end. */
export class Sampler {
  readonly #out = new Set<number>();
  #connections = 0;
  #second = -Infinity;
  #events = 0;
  #bytes = 0;
  /** Counts the events of connections that are left out. */
  readonly counter: EventCounter = { events: 0 };

  constructor(
    private readonly maxEvents: number = PAGE_EVENTS_PER_SECOND,
    private readonly maxBytes: number = PAGE_BYTES_PER_SECOND,
  ) {}

  get leftOut() {
    return { connections: this.#connections, events: this.counter.events };
  }

  /** Whether an event with so many octets is admitted, at a time in microseconds. */
  admits(connection: number, bytes: number, time: number): boolean {
    if (time >= this.#second + SECOND) {
      this.#second = time;
      this.#events = this.#bytes = 0;
    }
    const isOut = this.#out.has(connection);
    if (isOut || this.#events + 1 > this.maxEvents || this.#bytes + bytes > this.maxBytes) {
      if (!isOut) this.#connections++;
      this.#out.add(connection);
      this.counter.events++;
      return false;
    }
    this.#events++;
    this.#bytes += bytes;
    return true;
  }

  forget(connection: number): void {
    this.#out.delete(connection);
  }
}
