/** The parts of an explanation: rows with labels, findings, faults. All views are based on these. */

import type { Degree, FaultCode, MessageKind } from "../http_message.ts";
import { MAX_SHOWN_CHUNKS, MAX_SHOWN_CONTENT_OCTETS } from "../limits.ts";
import type { Direction, Message } from "./messages.ts";

/** The kind of a row's octets. A view may colour by it. */
export type OctetKind = "start" | "field" | "end" | "framing" | "content" | "broken" | "unread";

/** Some octets of a row, by offsets from the message's start. The parts of a row cover it exactly. */
export type Part = {
  readonly start: number;
  readonly end: number;
  /** The meaning of the octets; empty for separators. */
  readonly label: string;
};

/** Octets with their meaning. The rows of a message cover it exactly, in order. */
export type OctetRow = Part & {
  readonly kind: OctetKind;
  /** The octets, one character each; for long content only the first. */
  readonly octets: string;
  /** The section of the specification. */
  readonly rule?: string;
  /** The parts of the row, if it has several. */
  readonly parts?: readonly Part[];
};

/** A conclusion, and the section it is based on. */
export type Finding = { readonly text: string; readonly rule?: string };

/** How one kind of receiver reads a message. */
export type Reading = {
  /** What the receiver relies on. */
  readonly by: string;
  /** Offsets of the content, from the message's start; its end may be beyond the available octets. */
  readonly start: number;
  readonly end: number;
  /** The octets it takes for the next message, as far as available. */
  readonly next: string;
  /** The number of octets of content it waits for. */
  readonly missing: number;
};

/** Why a message is invalid. */
export type Fault = {
  readonly code: FaultCode;
  /** What the specification says of refusing the message. */
  readonly degree: Degree;
  /** The status with which a strict receiver responds; 502 for a response. */
  readonly status: number;
  readonly detail: string;
  /** The section that the message breaks. */
  readonly rule: string | undefined;
  /** The offset of the octet that breaks it, from the message's start. The caret is under it. */
  readonly offset: number;
  readonly fix: string;
  /** How two kinds of receivers read content and following octets; empty if framing is not ambiguous. */
  readonly readings: readonly Reading[];
};

/** An explained message, or octets that are not a message, such as those after the last one. */
export type Explanation = {
  readonly direction: Direction;
  readonly kind: MessageKind | "unread";
  /** The offset of its first octet in all received octets. */
  readonly start: number;
  readonly length: number;
  readonly rows: readonly OctetRow[];
  readonly findings: readonly Finding[];
  readonly fault?: Fault;
  /** Whether the message is complete and valid, incomplete, or invalid. */
  readonly state: "whole" | "incomplete" | "broken";
  /** The message, if it is one that has begun. */
  readonly message?: Message;
  /** How many octets of content came. */
  readonly contentOctets?: number;
};

/** How much of one message is kept: octets of content, and chunks with rows of their own. */
export type Kept = { readonly contentOctets: number; readonly chunks: number };

/** Keeps all that can be shown of one message. */
export const ALL_KEPT: Kept = { contentOctets: MAX_SHOWN_CONTENT_OCTETS, chunks: MAX_SHOWN_CHUNKS };
