/** What happened, in order, as far back as memory allows. */

import { octetString } from "../../bytes.ts";
import type { Direction } from "../../exchange.ts";
import { PAGE_HISTORY_BYTES, PAGE_HISTORY_EVENTS } from "../../limits.ts";
import { credentialsIn, credentialsWithin } from "../../masking.ts";
import { FAIR_TURNS } from "../../turns.ts";
import type { PageEvent, PageExchange, PageMessage } from "./page_events.ts";

/** Characters that an exchange or a row counts besides its text: its overhead in memory. */
export const OVERHEAD_CHARACTERS: number = 128;

interface HistoryEntry {
  readonly event: PageEvent;
  /** Its octets, if it is one of the server's reads and writes. */
  readonly bytes: Uint8Array | undefined;
  readonly weight: number;
}

export class History {
  /** By their numbers, which are consecutive. */
  readonly #entries = new Map<number, HistoryEntry>();
  #first = 1;
  #weight = 0;
  /** Called after each event. */
  onMore: () => void = () => {};

  /** Keeps so many events, and octets and characters that describe them; `forget` receives what is given up. */
  constructor(
    private readonly maxEvents: number = PAGE_HISTORY_EVENTS,
    private readonly maxBytes: number = PAGE_HISTORY_BYTES,
    private readonly forget: (entry: HistoryEntry) => void = () => {},
  ) {}

  /** The number of the oldest event; one more than the last where there is none. */
  get first(): number {
    return this.#first;
  }

  /** The number of the newest event, counted from 1; 0 before there is one. */
  get last(): number {
    return this.#first + this.#entries.size - 1;
  }

  add(event: PageEvent, bytes?: Uint8Array): void {
    const weight = (bytes?.length ?? 0) + weightOf(event);
    this.#entries.set(this.last + 1, { event, bytes, weight });
    this.#weight += weight;
    while (this.#entries.size > this.maxEvents || this.#weight > this.maxBytes) {
      const oldest = this.#entries.get(this.#first)!;
      this.#entries.delete(this.#first++);
      this.#weight -= oldest.weight;
      this.forget(oldest);
    }
    this.onMore();
  }

  at(number: number): HistoryEntry | undefined {
    return this.#entries.get(number);
  }

  /** The octets that went one way, from one offset to another; `undefined` if some are no longer kept. */
  octets(connection: number, direction: Direction, from: number, to: number): Uint8Array | undefined {
    const octets = new Uint8Array(to - from);
    let missing = octets.length;
    for (const { event, bytes } of this.#entries.values()) {
      if (bytes === undefined || event.connection !== connection || event.direction !== direction) continue;
      const start = Math.max(from, event.from!);
      const end = Math.min(to, event.to!);
      if (start >= end) continue;
      octets.set(bytes.subarray(start - event.from!, end - event.from!), start - from);
      missing -= end - start;
    }
    return missing === 0 ? octets : undefined;
  }

  /** The message that begins with this octet, as it was last described; `undefined` if none does. */
  message(connection: number, direction: Direction, from: number): PageMessage | undefined {
    let last: PageMessage | undefined;
    for (const { event } of this.#entries.values()) {
      if (event.connection !== connection) continue;
      for (const { request, responses } of event.exchanges ?? []) {
        last = (direction === "request" ? [request] : responses).find((one) => one?.from === from) ?? last;
      }
    }
    return last;
  }

  /**
   * Finds text in the octets of messages.
   *
   * @param text Upper and lower case are alike in ASCII.
   * @param showCredentials Whether it is looked for in credentials, too.
   * @returns Exchanges, each as its connection's number and its own, such as `2 14`.
   */
  async find(text: string, showCredentials: boolean): Promise<string[]> {
    const wanted = octetString(new TextEncoder().encode(text)).toLowerCase();
    /** The kept octets of each direction of each connection, one character each. */
    const kept: Record<string, { readonly from: number; text: string }> = {};
    const exchanges = new Map<string, { readonly connection: number; readonly exchange: PageExchange }>();
    for (const { event: { connection, direction, from, exchanges: changed = [] }, bytes } of this.#entries.values()) {
      if (bytes !== undefined) {
        const way = kept[`${connection} ${direction}`] ??= { from: from!, text: "" };
        way.text += octetString(bytes);
      }
      for (const exchange of changed) exchanges.set(`${connection} ${exchange.number}`, { connection, exchange });
    }
    const has = (way: string, message: PageMessage | undefined) => {
      if (message === undefined || kept[way] === undefined) return false;
      const octets = kept[way].text.substring(message.from - kept[way].from, message.to - kept[way].from);
      return hasText(octets, wanted, showCredentials);
    };
    const places: string[] = [];
    for (const [place, { connection, exchange: { request, responses } }] of exchanges) {
      const isFound = has(`${connection} request`, request) ||
        responses.some((response) => has(`${connection} response`, response));
      if (isFound) places.push(place);
      await FAIR_TURNS.yieldIfBusy();
    }
    return places;
  }
}

function hasText(octets: string, wanted: string, showCredentials: boolean): boolean {
  const lower = octets.toLowerCase();
  let hidden: ReturnType<typeof credentialsIn> | undefined;
  for (let at = lower.indexOf(wanted); at >= 0; at = lower.indexOf(wanted, at + wanted.length)) {
    if (showCredentials) return true;
    // A match that begins or ends in a credential would reveal a part of it.
    hidden ??= credentialsIn(octets);
    if (credentialsWithin(hidden, at, at + wanted.length).length === 0) return true;
  }
  return false;
}

/** The characters that describe an event: one read may bring thousands of exchanges, or rows. */
export function weightOf({ exchanges = [], rows = [] }: PageEvent): number {
  let weight = 0;
  for (const { request, responses } of exchanges) {
    weight += OVERHEAD_CHARACTERS + (request?.title.length ?? 0);
    for (const { title } of responses) weight += title.length;
  }
  for (const [name, cells] of rows) {
    weight += OVERHEAD_CHARACTERS + name.length;
    for (const [member, value] of cells ?? []) weight += member.length + value.length;
  }
  return weight;
}
