/**
 * What happened, in order, as far back as memory allows.
 *
 * @module
 */

import { PAGE_HISTORY_BYTES, PAGE_HISTORY_EVENTS, PAGE_TOLD_CHARACTERS } from "../../limits.ts";
import type { End, SocketAddress } from "../../traffic.ts";
import type { Direction } from "../../exchange.ts";
import type { LeftOut } from "./sampler.ts";
import type { Cells } from "./table_state.ts";

/** What a page is told of a message. Offsets count the octets of its direction. */
export interface ToldMessage {
  /** The offset of its first octet. */
  readonly from: number;
  /** The offset after its last octet so far. */
  readonly to: number;
  /** Whether it is complete. */
  readonly whole: boolean;
  /** The request's method and target, or the response's status and reason, once known. */
  readonly title: string;
  /** The response's status; 0 for a request or while it is unknown. */
  readonly status: number;
  /** Why it is broken: what was seen and what is allowed, the rule, and the octet, -1 without one. */
  readonly fault?: { readonly detail: string; readonly rule: string; readonly offset: number };
  /** The number of the exchange behind whose broken message reading started again with this one. */
  readonly behind?: number;
}

/** What a page is told of an exchange. */
export interface ToldExchange {
  /** Its number on its connection, starting from 1. */
  readonly number: number;
  /** The request, if any. */
  readonly request?: ToldMessage;
  /** The responses, interim ones first. */
  readonly responses: readonly ToldMessage[];
  /** Microseconds from the request's end to the final response; `"early"` if that came before the request's end. */
  readonly answeredIn?: number | "early";
  /** The number of the exchange behind whose broken request this one's was not read. */
  readonly unread?: number;
}

/** What a page is told of one event. Octets stay here. */
export interface Told {
  /** What happened: an event of a connection, what was left out, or that the table was asked for. */
  readonly kind: "opened" | "read" | "write" | "fin" | "closed" | "missing" | "folded" | "left out" | "table";
  /** When, in microseconds since the program's start. */
  readonly time: number;
  /** The connection's number at the server; 0 where there is none. */
  readonly connection: number;
  /** The end that saw it. */
  readonly end: End;
  /** Of `opened`: the client's address. */
  readonly client?: SocketAddress;
  /** Of `opened`: the server's address. */
  readonly server?: SocketAddress;
  /** Of `opened`: whether TLS is spoken. */
  readonly secure?: boolean;
  /** Of octets: which way they went. */
  readonly direction?: Direction;
  /** Of octets: the first one, counted from the first that went this way. */
  readonly from?: number;
  /** Of octets: behind the last one. */
  readonly to?: number;
  /** Of octets that are not all read as messages: why. */
  readonly unread?: string;
  /** Of `fin`: who sent it. */
  readonly by?: End;
  /** Of `closed`: why. Of octets that are missing, or a connection that is folded: what is said of it. */
  readonly reason?: string;
  /** Of a capture: the number of the packet that shows it. */
  readonly packet?: number;
  /** Of `missing`: how many octets. */
  readonly octets?: number;
  /** The connection's exchanges that changed. */
  readonly exchanges?: readonly ToldExchange[];
  /** Rows that changed, or all that are shown after the table was asked for; `null` for a row that is gone. */
  readonly rows?: readonly (readonly [name: string, cells: Cells | null])[];
  /** How many rows the table has then. */
  readonly total?: number;
  /** Whether it is too large to be shown whole. */
  readonly large?: boolean;
  /** What was left out so far. */
  readonly leftOut?: LeftOut;
}

/** One event that is kept. */
export interface Entry {
  /** Its number, from 1. */
  readonly number: number;
  /** What a page is told. */
  readonly told: Told;
  /** Its octets, if it is one of the server's reads and writes. */
  readonly bytes: Uint8Array | undefined;
  /** What it counts of the memory that may be used. */
  readonly weight: number;
}

/** Keeps the last events. */
export class History {
  readonly #maxEvents: number;
  readonly #maxBytes: number;
  readonly #forget: (entry: Entry) => void;
  #entries: Entry[] = [];
  /** Where the first entry is: those before it are forgotten, and given up all at once. */
  #start = 0;
  #weight = 0;
  #last = 0;

  /**
   * Keeps so many events, and octets, with the characters of what is told of them.
   *
   * @param forget Receives each entry that is given up.
   */
  constructor(
    maxEvents: number = PAGE_HISTORY_EVENTS,
    maxBytes: number = PAGE_HISTORY_BYTES,
    forget: (entry: Entry) => void = () => {},
  ) {
    this.#maxEvents = maxEvents;
    this.#maxBytes = maxBytes;
    this.#forget = forget;
  }

  /** The number of the oldest event; one more than the last where there is none. */
  get first(): number {
    return this.#last - (this.#entries.length - this.#start) + 1;
  }

  /** The number of the newest event; 0 before there is one. */
  get last(): number {
    return this.#last;
  }

  /** Adds an event. */
  add(told: Told, bytes?: Uint8Array): void {
    const weight = (bytes?.length ?? 0) + weightOf(told);
    this.#entries.push({ number: ++this.#last, told, bytes, weight });
    this.#weight += weight;
    while (this.#entries.length - this.#start > this.#maxEvents || this.#weight > this.#maxBytes) this.#drop();
    if (this.#start > this.#entries.length / 2) {
      this.#entries = this.#entries.slice(this.#start);
      this.#start = 0;
    }
  }

  /** The event of a number, if it is kept. */
  at(number: number): Entry | undefined {
    return number < this.first ? undefined : this.#entries[this.#start + number - this.first];
  }

  /** The octets that went one way, from one to another; `undefined` if some are no longer kept. */
  octets(connection: number, direction: Direction, from: number, to: number): Uint8Array | undefined {
    const octets = new Uint8Array(to - from);
    let missing = octets.length;
    for (let i = this.#start; i < this.#entries.length; i++) {
      const { told, bytes } = this.#entries[i];
      if (bytes === undefined || told.connection !== connection || told.direction !== direction) continue;
      const start = Math.max(from, told.from!);
      const end = Math.min(to, told.to!);
      if (start >= end) continue;
      octets.set(bytes.subarray(start - told.from!, end - told.from!), start - from);
      missing -= end - start;
    }
    return missing === 0 ? octets : undefined;
  }

  /** The message that begins with this octet, as it was last told; `undefined` if none does. */
  message(connection: number, direction: Direction, from: number): ToldMessage | undefined {
    for (let i = this.#entries.length - 1; i >= this.#start; i--) {
      const { told } = this.#entries[i];
      if (told.connection !== connection) continue;
      for (const { request, responses } of told.exchanges ?? []) {
        const found = (direction === "request" ? [request] : responses).find((one) => one?.from === from);
        if (found !== undefined) return found;
      }
    }
  }

  #drop(): void {
    const entry = this.#entries[this.#start];
    // The slot may stay for a while, its octets may not.
    this.#entries[this.#start++] = undefined as unknown as Entry;
    this.#weight -= entry.weight;
    this.#forget(entry);
  }
}

/** What exchanges and rows that are told take in memory, about: one read may bring thousands of them. */
function weightOf({ exchanges = [], rows = [] }: Told): number {
  let weight = 0;
  for (const { request, responses } of exchanges) {
    weight += PAGE_TOLD_CHARACTERS + (request?.title.length ?? 0);
    for (const { title } of responses) weight += title.length;
  }
  for (const [name, cells] of rows) {
    weight += PAGE_TOLD_CHARACTERS + name.length;
    for (const [member, value] of cells ?? []) weight += member.length + value.length;
  }
  return weight;
}
