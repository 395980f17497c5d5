/** Explains a connection: pairs its messages, and labels every octet of both directions. */

import { octetString } from "../bytes.ts";
import type { MessageKind } from "../http_message.ts";
import type { Explanation, Kept } from "./explanation.ts";
import { Labels } from "./labels.ts";
import type { Direction, ExchangeEvent, Gap } from "./messages.ts";
import { Pairing, type PairingOptions } from "./pairing.ts";
import { RESPONSE_START } from "./start_lines.ts";

/** Options of an {@linkcode Explainer}. */
export interface ExplainerOptions extends PairingOptions {
  /** How much is kept of a message; by default a screenful. */
  readonly kept?: Kept;
  /** Receives each event of the pairing, once its octets are labelled. */
  readonly listener?: (event: ExchangeEvent) => void;
}

/** Explains both directions of a connection, or one alone. */
export class Explainer {
  /** Pairs the messages. */
  readonly pairing: Pairing;
  readonly #labels: Readonly<Record<Direction, Labels>>;
  readonly #finished: Explanation[] = [];

  /** Creates an explainer that has received nothing. */
  constructor({ kept, listener, ...options }: ExplainerOptions = {}) {
    this.#labels = {
      request: new Labels("request", this.#finished, kept),
      response: new Labels("response", this.#finished, kept),
    };
    this.pairing = new Pairing((event) => {
      this.#labels[event.direction].receive(event);
      listener?.(event);
    }, options);
  }

  /** Returns how many octets of a direction are not explained yet. */
  pending(direction: Direction): number {
    return this.#labels[direction].pending;
  }

  /** Whether more octets of a direction would change nothing but the number of those that are not read. */
  needsNoMore(direction: Direction): boolean {
    return this.#labels[direction].needsNoMore;
  }

  /** Receives octets of one read, which may change after the call. */
  octets(direction: Direction, bytes: Uint8Array, time?: number): void {
    this.#labels[direction].lend(bytes);
    this.pairing.octets(direction, bytes, time);
    // Octets of the other direction may have been read that were held.
    this.#labels.request.keep();
    this.#labels.response.keep();
  }

  /** Explains what is incomplete, by default in both directions, whose later events are ignored. */
  end(direction?: Direction): void {
    if (direction !== "response") this.#labels.request.end();
    if (direction !== "request") this.#labels.response.end();
  }

  /** Returns the explanations finished since the last call. */
  take(): Explanation[] {
    return this.#finished.splice(0);
  }
}

/** Explains complete octets of one direction, message by message. */
export function explainOctets(
  direction: Direction,
  octets: Uint8Array,
  { closed, gaps = [], ...options }: ExplainerOptions & { readonly closed?: boolean; readonly gaps?: readonly Gap[] } =
    {},
): Explanation[] {
  const explainer = new Explainer({ answers: () => undefined, ...options });
  let from = 0;
  for (const { at, octets: missing } of gaps) {
    explainer.octets(direction, octets.subarray(from, at));
    explainer.pairing.gap(direction, missing);
    from = at;
  }
  explainer.octets(direction, octets.subarray(from));
  if (closed) explainer.pairing.fin(direction);
  explainer.end();
  return explainer.take();
}

/** Returns the kind of the octets: responses if they start with `HTTP/` or the beginning of it, else requests. */
export function messageKindOf(octets: Uint8Array): MessageKind {
  const start = octetString(octets, 0, RESPONSE_START.length);
  return start !== "" && RESPONSE_START.startsWith(start) ? "response" : "request";
}
