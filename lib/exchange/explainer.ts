/**
 * Explains a connection: pairs its messages, and labels every octet of both directions.
 *
 * @module
 */

import { octetString } from "../bytes.ts";
import type { MessageKind } from "../http_message.ts";
import { type MessageLimits, REQUEST_LIMITS, RESPONSE_LIMITS } from "../limits.ts";
import type { Explanation, Kept } from "./explanation.ts";
import { Labels } from "./labels.ts";
import type { Direction, ExchangeEvent } from "./messages.ts";
import { Pairing } from "./pairing.ts";

/** Options of an {@linkcode Explainer}. */
export interface ExplainOptions {
  /**
   * Returns the method that the next response answers, by default GET, where only one direction is known; called once for
   * each final response.
   */
  readonly answers?: () => string | undefined;
  /** What is kept of a message; by default a screenful. */
  readonly kept?: Kept;
  /** Limits other than those of `serve` and `connect`. */
  readonly limits?: Partial<MessageLimits>;
  /** Whether octets of both directions come in turn; see {@linkcode Pairing.takeBack}. */
  readonly inTurn?: boolean;
  /** Receives what the pairing tells, once it is labelled. */
  readonly tell?: (event: ExchangeEvent) => void;
}

/** Explains both directions of a connection, or one alone. */
export class Explainer {
  /** Pairs the messages. */
  readonly pairing: Pairing;
  /** Label the octets of each direction. */
  readonly labels: Readonly<Record<Direction, Labels>>;
  #finished: Explanation[] = [];

  /** Creates an explainer that has received nothing. */
  constructor({ answers, kept, limits, inTurn, tell }: ExplainOptions = {}) {
    const finished = (explanation: Explanation) => void this.#finished.push(explanation);
    this.labels = {
      request: new Labels("request", kept, finished),
      response: new Labels("response", kept, finished),
    };
    const any = { maxContentBytes: Number.MAX_SAFE_INTEGER, ...limits };
    this.pairing = new Pairing((event) => {
      this.labels[event.direction].tell(event);
      tell?.(event);
    }, {
      answers,
      inTurn,
      limits: { request: { ...REQUEST_LIMITS, ...any }, response: { ...RESPONSE_LIMITS, ...any } },
    });
  }

  /**
   * Receives the octets of one read, which may change after the call; see {@linkcode Pairing.octets}.
   *
   * @returns What follows the message that ended, if octets come in turn; see {@linkcode Pairing.takeBack}.
   */
  octets(direction: Direction, bytes: Uint8Array, time?: number): Uint8Array | undefined {
    const { request, response } = this.labels;
    this.labels[direction].lend(bytes);
    this.pairing.octets(direction, bytes, time);
    const rest = this.pairing.takeBack(direction);
    this.labels[direction].giveBack(rest?.length ?? 0);
    request.keep();
    response.keep();
    return rest;
  }

  /** Takes the explanations finished so far. */
  take(): Explanation[] {
    const finished = this.#finished;
    this.#finished = [];
    return finished;
  }
}

/** Explains complete octets of one direction, message by message. */
export function explainOctets(
  direction: Direction,
  octets: Uint8Array,
  { closed, ...options }: ExplainOptions & { readonly closed?: boolean } = {},
): Explanation[] {
  const explainer = new Explainer({ answers: () => undefined, ...options });
  explainer.octets(direction, octets);
  if (closed) explainer.pairing.fin(direction);
  explainer.labels[direction].end();
  return explainer.take();
}

/** Returns the kind of the octets: responses if they start with `HTTP/` or the beginning of it, else requests. */
export function messageKindOf(octets: Uint8Array): MessageKind {
  return octets.length > 0 && "HTTP/".startsWith(octetString(octets, 0, Math.min(5, octets.length)))
    ? "response"
    : "request";
}
