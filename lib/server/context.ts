/** The state shared by a server and its connections, and the events they report. */

import { byteLength } from "../bytes.ts";
import {
  type Decoder,
  type Encoder,
  type Fields,
  type HttpError,
  type HttpResponse,
  isStream,
  type RequestHead,
} from "../http_message.ts";
import { LISTING_PIECE_BYTES, type ServerLimits } from "../limits.ts";
import type { AcceptedConnection } from "./accepted.ts";
import { CLOSE_REASONS } from "./errors.ts";

/** Receives events of a server's connections. Octets are valid only during the call. */
export interface Observer {
  /** A client has connected. */
  opened?(connection: number, peer: string): void;
  /** A request is complete and will be answered. */
  request?(connection: number, request: RequestHead, content: Uint8Array, trailers: Fields): void;
  /** The request reported last had so many octets. The last one came at this time of the monotonic clock (in ms). */
  received?(connection: number, octets: number, at: number): void;
  /** An invalid request: its head if that was complete, the octets not decoded, and their offset in the message. */
  refused?(connection: number, error: HttpError, head: string, rest: Uint8Array, position: number): void;
  /** A request that was received, at least in part, is not answered: its connection ends. Reports the same of it. */
  abandoned?(connection: number, head: string, rest: Uint8Array, position: number): void;
  /** Octets of a response will be sent; `status` is `undefined` if they continue its content. */
  response?(connection: number, octets: Uint8Array, status: number | undefined): void;
  /** The octets reported last end the final response, which is this one unless its content was a stream. */
  answered?(connection: number, response?: HttpResponse): void;
  /** So many more octets of the responses were sent. */
  sent?(connection: number, octets: number): void;
  /** A connection has ended. */
  closed?(connection: number, reason: string, requests: number): void;
  /** Accepting fails at the moment, and will be retried. */
  cannotAccept?(reason: string): void;
  /** A service has failed with an error other than {@linkcode HttpError}, which is a defect of this program. */
  failed?(error: unknown): void;
}

/** Returns an observer that passes each event to all of these in turn. An event that none receives costs nothing. */
export function joined<AnyObserver extends object = Observer>(observers: readonly AnyObserver[]): AnyObserver {
  const receivers = observers.flatMap((observer) => Object.entries(observer));
  const events = Map.groupBy(receivers, ([event]) => event).entries().map(([event, all]) => {
    const [[, only]] = all;
    return [event, all.length === 1 ? only : (...args: unknown[]) => all.forEach(([, receive]) => receive(...args))];
  });
  return Object.fromEntries(events);
}

/** Reports the listings that were ended for lack of memory. */
export function endedListings(note: (line: string) => void): Observer {
  return {
    closed: (_, reason) => {
      if (reason === CLOSE_REASONS.memory) note("A listing that was not read was ended: --max-buffered was reached");
    },
  };
}

/** The state shared by all connections of a server. */
export interface ServerContext {
  /** Limits on connections and durations. */
  readonly limits: ServerLimits;
  /** Receives events. */
  readonly observer: Observer;
  /** Encoders that no connection uses at the moment: an idle connection needs none. */
  readonly encoders: Pool<Encoder>;
  /** Likewise decoders of requests. */
  readonly decoders: Pool<Decoder>;
  /** Octets that all connections hold together. */
  readonly budget: Budget;
  /** The monotonic time in milliseconds, as of the last sweep. */
  clock: number;
  /** The value of the Date field, as of the last sweep. */
  date: string;
  /** Whether every response is the last one on its connection. */
  stopping: boolean;
  /** Called by each connection when it has ended. */
  ended(connection: AcceptedConnection): void;
}

/** Things that are used again. */
export class Pool<Thing> {
  readonly #spare: Thing[] = [];

  /** Creates a pool that keeps at most so many things, each cleaned. */
  constructor(
    private readonly make: () => Thing,
    private readonly clean: (thing: Thing) => void,
    private readonly most: number,
  ) {}

  /** Returns a clean thing. */
  take(): Thing {
    return this.#spare.pop() ?? this.make();
  }

  /** Takes a thing back. */
  release(thing: Thing): void {
    this.clean(thing);
    if (this.#spare.length < this.most) this.#spare.push(thing);
  }
}

/** Octets shared by content being received, responses not yet read, and what the service keeps for them. */
export class Budget {
  /** Called where octets are short: frees some, and returns whether there were any. */
  reclaim: () => boolean = () => false;
  #used = 0;

  /** Creates a budget of this many octets. */
  constructor(private readonly most: number) {}

  /** The number of octets in use. */
  get used(): number {
    return this.#used;
  }

  /** Whether this many more octets are available, if need be after some were freed. */
  has(octets: number): boolean {
    if (octets > this.most) return false;
    while (this.#used + octets > this.most) if (!this.reclaim()) return false;
    return true;
  }

  /** Whether there is room for content. A stream needs room only for one piece at a time. */
  fits(content: HttpResponse["content"]): boolean {
    if (content === undefined) return true;
    if (isStream(content)) return this.has(LISTING_PIECE_BYTES);
    // Measuring a text takes time, and usually there is room for its largest possible size.
    return this.#used + 3 * content.length <= this.most || this.has(byteLength(content));
  }

  /** Takes octets, even beyond the limit; a negative number returns them. */
  take(octets: number): void {
    this.#used += octets;
  }
}
