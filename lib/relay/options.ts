/**
 * What the connections of a relay have in common, and what they tell.
 *
 * @module
 */

import type { Direction, ExchangeEvent, Explanation } from "../exchange.ts";
import type { Observer } from "../server.ts";
import type { HostChange } from "./gate.ts";
import type { HostRule } from "./host_rule.ts";

/** Receives what happens on connections. Octets are valid only during the call. */
export interface RelayObserver extends Pick<Observer, "opened" | "closed"> {
  /** Something happened to a message: the client's, or the server's. */
  exchange?(connection: number, event: ExchangeEvent): void;
  /** Messages are explained: only if that was asked for. */
  explained?(connection: number, explanations: readonly Explanation[]): void;
  /** A Host passes with another value. */
  changed?(connection: number, change: HostChange): void;
  /** Something that the user should know: one line. */
  noted?(connection: number, line: string): void;
  /** So many octets have passed to the server, or to the client. */
  passed?(connection: number, direction: Direction, octets: number): void;
}

/** What connections of a relay have in common. */
export interface RelayOptions {
  /** Judges and changes Host. */
  readonly rule: HostRule;
  /** Opens a connection to the server for this connection of a client. */
  readonly dial: (connection: number, cancel: AbortSignal) => Promise<Deno.Conn>;
  /** How long to wait for an answer, in milliseconds; by default without end. */
  readonly answerMs?: number;
  /** Whether messages are explained. */
  readonly explains: boolean;
  /** Receives what happens. */
  readonly observer: RelayObserver;
  /** Resolves once there is room for a recording; `undefined` if there is. */
  readonly room?: () => Promise<void> | undefined;
}
