/** Events as they are sent to a page, with the exchanges that they change. */

import { addressText, isLoopback, withoutMapping } from "../../address.ts";
import { counted } from "../../bytes.ts";
import {
  answeredAfter,
  type Direction,
  type Exchange,
  finalResponse,
  type Gap,
  type Message,
  Pairing,
  type PairingOptions,
  type Stop,
  titleOf,
} from "../../exchange.ts";
import type { End, Seen, TrafficEvent } from "../../traffic.ts";
import { directionOf, type Missing } from "../capture/reader.ts";
import type { ShownRow } from "./shown_table.ts";

/** A message. Offsets count the octets of its direction. */
export interface PageMessage {
  readonly from: number;
  /** The offset after its last octet so far. */
  readonly to: number;
  readonly whole: boolean;
  /** Where octets of its content are missing. A function is not sent to the page, and there may be many. */
  readonly gaps?: () => readonly Gap[];
  /** The request's method and target, or the response's status and reason, once known. */
  readonly title: string;
  /** Why it is broken, and at which octet. */
  readonly fault?: string;
  /** The number of the exchange after whose broken message reading started again with this one. */
  readonly behind?: number;
}

/** An exchange, as it was at an event. */
export interface PageExchange {
  /** Its number on its connection, starting from 1. */
  readonly number: number;
  readonly request?: PageMessage;
  /** Interim responses come first. */
  readonly responses: readonly PageMessage[];
  /** Microseconds from the request's end to the final response; `"early"` if that came before the request's end. */
  readonly answeredIn?: number | "early";
  /** The number of the exchange after whose broken request this one's was not read. */
  readonly unread?: number;
}

/** One event, without its octets. */
export interface PageEvent extends Seen {
  /** What happened: an event of a connection, what was left out, or that the table was asked for. */
  readonly kind: "opened" | "read" | "write" | "fin" | "closed" | "missing" | "folded" | "left out" | "table";
  /** Its number at the server; 0 where there is none. */
  readonly connection: number;
  /** Of `opened`: both addresses, whether TLS is spoken, and the client's host, unless both are on this machine. */
  readonly client?: string;
  readonly server?: string;
  readonly secure?: boolean;
  readonly peer?: string;
  /** Of octets: which way they went, and where they begin and end, counted from the first that went this way. */
  readonly direction?: Direction;
  readonly from?: number;
  readonly to?: number;
  /** Of octets that are not all read as messages: why. */
  readonly unread?: string;
  /** Of `fin`, and of what is missing: who sent it. */
  readonly by?: End;
  /** Of `closed`: why. Of what is missing, folded or left out: how it is described. */
  readonly reason?: string;
  /** Of `closed`, in a capture: whether packets of the server may have been left out. */
  readonly isLacking?: boolean;
  /** Of a capture: the number of the packet that shows it. */
  readonly packet?: number;
  readonly exchanges?: readonly PageExchange[];
  /** Of the table: rows that changed, or all after it was asked for; how many there are; whether not all are shown. */
  readonly rows?: readonly ShownRow[];
  readonly total?: number;
  readonly large?: boolean;
}

/** How a page describes octets that are not read as messages. */
const UNREAD: Readonly<Record<Stop, string>> = {
  "left HTTP": "no longer HTTP",
  "connection ends": "not read",
  "held": "held until the answer",
  "lost": "not read",
};

/** Pairs the messages of a connection, as its server's end or a capture shows them. */
export class Messages {
  readonly #pairing: Pairing;
  readonly #changed = new Set<Exchange>();

  constructor(limits?: PairingOptions["limits"]) {
    this.#pairing = new Pairing((event) => {
      if ("message" in event && event.message !== undefined) this.#changed.add(event.message.exchange);
    }, { limits });
  }

  /** Receives an event. Returns it for the page, with a copy of its octets and the exchanges that it changes. */
  receive(event: TrafficEvent | Missing): { event: PageEvent; bytes?: Uint8Array; changed: readonly Exchange[] } {
    const { kind, time, connection, end } = event;
    const bytes = "bytes" in event ? event.bytes.slice() : undefined;
    const about = bytes ? this.#octets(kind === "read" ? "request" : "response", bytes, time) : this.#signal(event);
    const changed = [...this.#changed];
    this.#changed.clear();
    const exchanges = changed.length > 0 && { exchanges: changed.map(pageExchange) };
    return { event: { kind, time, connection, end, ...about, ...exchanges }, bytes, changed };
  }

  #octets(direction: Direction, octets: Uint8Array, time: number): Partial<PageEvent> {
    const pairing = this.#pairing;
    const from = pairing.received(direction);
    const to = from + octets.length;
    pairing.octets(direction, octets, time);
    const message = pairing.message(direction);
    if (message !== undefined) this.#changed.add(message.exchange);
    const stop = pairing.stop(direction);
    return { direction, from, to, ...stop !== undefined && stop.from < to && { unread: UNREAD[stop.why] } };
  }

  #signal(event: TrafficEvent | Missing): Partial<PageEvent> {
    switch (event.kind) {
      case "opened": {
        const { local, remote, secure } = event;
        const isNear = [local, remote].every((one) => isLoopback(withoutMapping(one).hostname));
        const addresses = { client: addressText(remote), server: addressText(local) };
        return { ...addresses, secure, ...!isNear && { peer: remote.hostname } };
      }
      case "fin":
        this.#pairing.fin(directionOf(event));
        return { by: event.by };
      case "missing":
        if (event.why === "not captured") this.#pairing.gap(directionOf(event), event.octets);
        return { by: event.by, reason: `${counted(event.octets, "octet")} of the ${event.by} ${event.why}` };
      case "closed":
        return { reason: event.reason };
    }
    return {};
  }
}

/** Copies an exchange, which may change later. */
function pageExchange(exchange: Exchange): PageExchange {
  const { number, request, responses, unread } = exchange;
  const final = finalResponse(exchange);
  const time = final && answeredAfter(final);
  return {
    number,
    ...request && { request: pageMessage(request) },
    responses: responses.map(pageMessage),
    ...time !== undefined && { answeredIn: time },
    ...unread !== undefined && { unread },
  };
}

function pageMessage(message: Message): PageMessage {
  const { from, to, state, gaps, error, restartsAfter } = message;
  return {
    from,
    to,
    whole: state === "whole",
    ...gaps && { gaps: () => gaps },
    title: titleOf(message),
    ...error && { fault: error.message + (error.offset === undefined ? "" : ` · octet ${error.offset}`) },
    ...restartsAfter !== undefined && { behind: restartsAfter },
  };
}
