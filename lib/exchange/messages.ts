/** Messages and exchanges, and what happens to them. */

import type { Fields, HttpError, MessageKind, RequestHead, ResponseHead } from "../http_message.ts";
import { maskTarget } from "../masking.ts";

/** The direction of octets: to the server, or back. */
export type Direction = MessageKind;

/** A message of an exchange. Offsets count the octets of its direction. */
export type Message<Head = RequestHead | ResponseHead> = {
  readonly direction: Direction;
  readonly exchange: Exchange;
  /** The offset of its first octet, or of the empty line before it. */
  readonly from: number;
  /** The offset after its last octet so far; of a broken one, after the octets that are not read because of it. */
  to: number;
  /** When its first octet came: only a later response can answer a request. */
  readonly arrival: Arrival;
  /** When its last octet so far came. */
  ended: number;
  state: "incomplete" | "whole" | "broken";
  /** Its head, once that is complete and valid. */
  head?: Head;
  /** The start of its first line, if its head was not complete when it broke, was cut, or was answered. */
  line?: string;
  interim: boolean;
  error?: HttpError;
  /** The number of the exchange after whose broken message reading started again with this one. */
  readonly restartsAfter?: number;
  /** Of a response: whether its request was incomplete then. */
  readonly isEarly: boolean;
  /** Whether octets are missing that end it. */
  isCut?: boolean;
  /** Where octets of its content are missing that do not, from its start, and how many. */
  gaps?: Gap[];
};

/** When octets came: the time and the packet, as the caller counts them, and the number of the call. */
export type Arrival = { readonly time: number; readonly packet: number; readonly call: number };

/** Octets that are missing before the one at an offset. */
export type Gap = { readonly at: number; readonly octets: number };

/** A request and its responses. */
export type Exchange = {
  /** Its number on the connection, starting from 1. */
  readonly number: number;
  /** The request; `undefined` if nobody asked, or if it was not read. */
  request?: Message<RequestHead>;
  /** The request's method, once known; else empty. */
  method: string;
  /** The responses, interim ones first. */
  readonly responses: Message<ResponseHead>[];
  /** The number of the exchange after whose broken request the request was not read. */
  readonly unread?: number;
  /** Whether no more responses are expected: the final one is complete, or will not be known. */
  over: boolean;
};

/** Why octets are not read as messages. */
export type Stop = "left HTTP" | "connection ends" | "held" | "lost";

/** What happens in one direction. */
export type ExchangeEvent =
  & { readonly direction: Direction }
  & (
    | EventOfMessage
    /** Octets are missing: what is left of a message, if any, will not come. */
    | { readonly kind: "cut"; readonly message: Message | undefined }
    /** From an offset on, octets are not read as messages. */
    | { readonly kind: "stopped"; readonly from: number; readonly why: Stop }
    /** Reading starts again with octets that were held, or at a start line after missing ones. */
    | { readonly kind: "resumed"; readonly from: number }
    /** The octets of one of the reads that brought those; valid during the call. */
    | { readonly kind: "again"; readonly octets: Uint8Array }
  );

/** What happens to a message. Octets are valid during the call. */
export type EventOfMessage =
  & { readonly message: Message }
  & (
    /** Its first octet came. */
    | { readonly kind: "began" }
    /** Its head is complete, and ends before `to`. */
    | { readonly kind: "head"; readonly head: RequestHead | ResponseHead; readonly to: number }
    /** A piece of content, which ends before `to`. */
    | { readonly kind: "content"; readonly bytes: Uint8Array; readonly to: number }
    /** It is complete. */
    | { readonly kind: "ended"; readonly trailers: Fields }
    /** It is broken; `unread` are its octets from where decoding stopped, at an offset from its first. */
    | { readonly kind: "broken"; readonly error: HttpError; readonly unread: Uint8Array; readonly at: number }
    /** Octets of content are missing: reading goes on after them. */
    | { readonly kind: "lost"; readonly octets: number }
  );

/** Names a message, without credentials: a request by its method and target, a response by its status and reason. */
export function titleOf({ direction, head, line = "", isCut }: Message): string {
  if (head === undefined) return direction === "request" ? line : isCut ? line.replace(/^HTTP\/\S+ /, "") : "";
  return head.kind === "request" ? `${head.method} ${maskTarget(head.target)}` : `${head.status} ${head.reason}`.trim();
}

/** The final response of an exchange, if it has begun and is known not to be interim. */
export function finalResponse({ responses }: Exchange): Message<ResponseHead> | undefined {
  const last = responses.at(-1);
  return last === undefined || last.interim ? undefined : last;
}

/**
 * Returns how long after its request's end a response came; `"early"` if before, `undefined` if that end is not here. The
 * order of calls says what was first: a capture's clock may go back.
 */
export function answeredAfter({ exchange: { request }, arrival, isEarly }: Message): number | "early" | undefined {
  if (request === undefined || request.isCut) return undefined;
  const took = arrival.time - request.ended;
  return isEarly || request.state === "broken" && took < 0 ? "early" : Math.max(0, took);
}
