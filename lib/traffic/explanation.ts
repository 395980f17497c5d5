/**
 * What an explanation holds: rows with labels, findings, faults. Views of every kind are made from these.
 *
 * @module
 */

import type { FaultCode, MessageKind } from "../http_message.ts";
import type { MessageLimits } from "../limits.ts";

/** What kind of octets a row has: a view may colour by it. */
export type RowKind = "start" | "field" | "end" | "framing" | "content" | "broken" | "unread";

/** Some octets of a row. The parts of a row cover it exactly. */
export interface Part {
  /** Offset of the first octet, from the message's start. */
  readonly start: number;
  /** Offset behind the last octet. */
  readonly end: number;
  /** What the octets say; empty for what only separates. */
  readonly label: string;
}

/** Octets with what they mean. The rows of a message cover it exactly, in order. */
export interface Row {
  /** Offset of the first octet, from the message's start. */
  readonly start: number;
  /** Offset behind the last octet. */
  readonly end: number;
  /** What kind of octets these are. */
  readonly kind: RowKind;
  /** The octets, one character each; of long content only the first. */
  readonly octets: string;
  /** What they say. */
  readonly label: string;
  /** The section that says so. */
  readonly rule?: string;
  /** What the row is made of, where there is more to it. */
  readonly parts?: readonly Part[];
}

/** A conclusion and the section that draws it. */
export interface Finding {
  /** The conclusion. */
  readonly text: string;
  /** The section. */
  readonly rule?: string;
}

/** How one kind of receiver reads a message. */
export interface Reading {
  /** What it goes by. */
  readonly by: string;
  /** Offset of the content, from the message's start. */
  readonly start: number;
  /** Offset behind the content; what it still waits for may be beyond the octets that are here. */
  readonly end: number;
  /** What it takes for the next message, as far as that is here. */
  readonly next: string;
  /** Octets of content that it still waits for. */
  readonly missing: number;
}

/** Why a message is broken. */
export interface Fault {
  /** The cause. */
  readonly code: FaultCode | undefined;
  /** The status that a strict receiver answers with; 502 for a response. */
  readonly status: number;
  /** What was seen and what is allowed. */
  readonly detail: string;
  /** The section that was broken. */
  readonly rule: string | undefined;
  /** The octet where it broke, from the message's start: under it stands the caret. */
  readonly offset: number;
  /** How to put it right. */
  readonly fix: string | undefined;
  /** What two kinds of receivers would take for content and for what follows; empty where framing is not ambiguous. */
  readonly readings: readonly Reading[];
}

/** One message, explained; or octets that are no message, as those behind the last one. */
export interface Explanation {
  /** What it is. */
  readonly kind: MessageKind | "unread";
  /** Offset of its first octet in all that was received. */
  readonly start: number;
  /** How many octets it has. */
  readonly length: number;
  /** What each octet means; they cover the message exactly, in order. */
  readonly rows: readonly Row[];
  /** What follows from the message. */
  readonly findings: readonly Finding[];
  /** Why it is broken. */
  readonly fault?: Fault;
  /** Whether it is whole and legal, not here to its end, or broken. */
  readonly state: "whole" | "incomplete" | "broken";
  /** A request's method. */
  readonly method?: string;
  /** A response's status. */
  readonly status?: number;
}

/** How octets are explained. */
export interface ExplainOptions {
  /** What the octets are. */
  readonly kind: MessageKind;
  /** The method that the next response answers; asked for once for each final response. GET if it has none. */
  readonly answers?: () => string | undefined;
  /** Whether all content and all chunks are kept, whatever their size. */
  readonly all?: boolean;
  /** Caps other than those of `serve` and `connect`. */
  readonly limits?: Partial<MessageLimits>;
}
