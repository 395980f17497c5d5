/** The parts of an explanation: rows with labels, findings, faults. All views are based on these. */

import type { Degree, FaultCode, MessageKind } from "../http_message.ts";
import { MAX_SHOWN_CHUNKS, MAX_SHOWN_CONTENT_OCTETS } from "../limits.ts";
import type { Direction, Message } from "./messages.ts";

/** The kind of a row's octets. A view may colour by it. */
export type RowKind = "start" | "field" | "end" | "framing" | "content" | "broken" | "unread";

/** Some octets of a row. The parts of a row cover it exactly. */
export interface Part {
  /** Offset of the first octet, from the message's start. */
  readonly start: number;
  /** Offset after the last octet. */
  readonly end: number;
  /** The meaning of the octets; empty for separators. */
  readonly label: string;
}

/** Octets with their meaning. The rows of a message cover it exactly, in order. */
export interface Row extends Part {
  /** The kind of the octets. */
  readonly kind: RowKind;
  /** The octets, one character each; for long content only the first. */
  readonly octets: string;
  /** The section of the specification. */
  readonly rule?: string;
  /** The parts of the row, if it has several. */
  readonly parts?: readonly Part[];
}

/** A conclusion, and the section it is based on. */
export interface Finding {
  /** The conclusion. */
  readonly text: string;
  /** The section. */
  readonly rule?: string;
}

/** How one kind of receiver reads a message. */
export interface Reading {
  /** What the receiver relies on. */
  readonly by: string;
  /** Offset of the content, from the message's start. */
  readonly start: number;
  /** Offset after the content; it may be beyond the available octets. */
  readonly end: number;
  /** The octets it takes for the next message, as far as available. */
  readonly next: string;
  /** The number of octets of content it waits for. */
  readonly missing: number;
}

/** Why a message is invalid. */
export interface Fault {
  /** The cause. */
  readonly code: FaultCode;
  /** What the specification says of refusing the message. */
  readonly degree: Degree;
  /** The status with which a strict receiver responds; 502 for a response. */
  readonly status: number;
  /** What was seen. */
  readonly detail: string;
  /** The section that the message breaks. */
  readonly rule: string | undefined;
  /** The offset of the octet that breaks it, from the message's start. The caret is under it. */
  readonly offset: number;
  /** How to fix it. */
  readonly fix: string;
  /** How two kinds of receivers read content and following octets; empty if framing is not ambiguous. */
  readonly readings: readonly Reading[];
}

/** An explained message, or octets that are not a message, such as those after the last one. */
export interface Explanation {
  /** The direction of its octets. */
  readonly direction: Direction;
  /** The kind of message. */
  readonly kind: MessageKind | "unread";
  /** The offset of its first octet in all received octets. */
  readonly start: number;
  /** The number of its octets. */
  readonly length: number;
  /** The meaning of each octet. The rows cover the message exactly, in order. */
  readonly rows: readonly Row[];
  /** Conclusions from the message. */
  readonly findings: readonly Finding[];
  /** Why the message is invalid. */
  readonly fault?: Fault;
  /** Whether the message is complete and valid, incomplete, or invalid. */
  readonly state: "whole" | "incomplete" | "broken";
  /** The message, if it is one that has begun. */
  readonly message?: Message;
  /** How many octets of content came. */
  readonly contentOctets?: number;
}

/** How much of one message is kept. */
export interface Kept {
  /** Octets of content. */
  readonly contentOctets: number;
  /** Chunks with rows of their own. */
  readonly chunks: number;
}

/** Keeps all that can be shown of one message. */
export const ALL_KEPT: Kept = { contentOctets: MAX_SHOWN_CONTENT_OCTETS, chunks: MAX_SHOWN_CHUNKS };
