/**
 * What there is to say of a message: why its content has its length, whether its connection persists, and of a refused
 * one what the specification says of it, how to put it right, and how others read it.
 *
 * @module
 */

import { counted } from "../bytes.ts";
import {
  type Accepted,
  CAUSES,
  type Degree,
  type FaultCode,
  type HttpError,
  isContentless,
  isInterim,
  isSecureTarget,
  leavesHttp,
  listMembers,
  type RequestHead,
  type ResponseHead,
} from "../http_message.ts";
import { REQUEST_LIMITS } from "../limits.ts";
import type { Finding, Reading } from "./explanation.ts";
import type { Message } from "./messages.ts";

/** The properties of a message. */
export interface MessageFacts {
  /** Its head. */
  readonly head: RequestHead | ResponseHead;
  /** Whether it is an interim response. */
  readonly interim: boolean;
  /** The method that the response answers. */
  readonly answers: string;
  /** What is accepted, though it breaks a rule. */
  readonly accepted: Accepted[];
  /** What a 304 says of an earlier response. */
  readonly holds: Finding | undefined;
  /** Whether the content is chunked. */
  readonly chunked: boolean;
  /** The number of chunks so far, without the empty last one. */
  chunks: number;
  /** Octets of content so far. */
  contentBytes: number;
  /** How many of them are missing. */
  lost: number;
}

const RULE = "RFC 9112 §6.3";

/**
 * Returns what an incomplete message needs; nothing if its content ends with the connection.
 *
 * @param facts Its properties, once its head is complete.
 * @param inChunk Octets of the current chunk still to come, if positive.
 * @param lastChunk Whether the empty last chunk has come.
 */
export function missingFindings(facts: MessageFacts | undefined, inChunk: number, lastChunk: boolean): Finding[] {
  if (facts === undefined) return [{ text: "needs more: the head has not ended", rule: "RFC 9112 §2.1" }];
  if (!facts.chunked) {
    const { contentLength } = facts.head;
    return contentLength === undefined
      ? []
      : [{ text: `needs ${counted(contentLength - facts.contentBytes, "more octet")} of content` }];
  }
  if (lastChunk) return [{ text: "needs more: the trailer section has not ended", rule: "RFC 9112 §7.1.2" }];
  const text = inChunk > 0
    ? `needs ${counted(inChunk, "more octet")} of this chunk, and the last chunk`
    : "needs more of the chunked content: the last chunk";
  return [{ text, rule: "RFC 9112 §7.1" }];
}

/** Returns what is accepted, though it breaks a rule, and why the content has its length. */
export function contentFindings(facts: MessageFacts, state: "whole" | "incomplete"): Finding[] {
  const { head, answers, chunked, chunks, contentBytes } = facts;
  const findings: Finding[] = [...facts.accepted];
  if (chunked && state === "whole") {
    findings.push({ text: `${counted(contentBytes, "octet")} of content in ${counted(chunks, "chunk")}` });
  } else if (!chunked) findings.push(...lengthFinding(head, answers, contentBytes));
  if (facts.lost > 0) findings.push({ text: `${counted(facts.lost, "octet")} of the content not captured` });
  if (facts.holds !== undefined) findings.push(facts.holds);
  const announced = Math.max(contentBytes, head.contentLength ?? 0);
  if (head.kind === "request" && announced > REQUEST_LIMITS.maxContentBytes) {
    const text =
      `serve would answer 413: it takes ${REQUEST_LIMITS.maxContentBytes} octets unless --max-body says more`;
    findings.push({ text, rule: "RFC 9110 §15.5.14" });
  }
  if (head.kind === "request" && isSecureTarget(head.target)) {
    const text = "must be refused with 421 where TLS does not secure the connection: the target is an https URI";
    findings.push({ text, rule: "RFC 9110 §7.4" });
  }
  if (head.kind === "response" && isInterim(head.status)) {
    findings.push(
      facts.interim
        ? { text: "interim: the final response is still to come", rule: "RFC 9110 §15.2" }
        : { text: "no longer HTTP: what follows is the other protocol", rule: "RFC 9110 §7.8" },
    );
  }
  return findings;
}

function lengthFinding(head: RequestHead | ResponseHead, answers: string, contentBytes: number): Finding[] {
  const length = head.fields.get("content-length");
  if (head.kind === "response") {
    if (isInterim(head.status)) return [];
    if (answers === "HEAD") return [{ text: "no content: it answers HEAD", rule: RULE }];
    if (leavesHttp(head.status, answers)) {
      return [{ text: "no content: it opens the tunnel that CONNECT asked for", rule: RULE }];
    }
    if (isContentless(head.status)) return [{ text: `no content: ${head.status} never has any`, rule: RULE }];
    if (head.contentLength === undefined) {
      return [{ text: `content until the connection ends: ${counted(contentBytes, "octet")} here`, rule: RULE }];
    }
  }
  if (length === undefined) {
    return [{ text: "no content: neither Content-Length nor Transfer-Encoding", rule: RULE }];
  }
  if (head.contentLength === 0) return [{ text: "no content: Content-Length is 0", rule: RULE }];
  return [{ text: `${counted(head.contentLength!, "octet")} of content: Content-Length`, rule: RULE }];
}

/** Returns why the connection persists or ends. */
export function persistenceFindings({ head, answers, chunked }: MessageFacts): Finding[] {
  const { kind, minor, persistent, contentLength } = head;
  // An interim response does not decide it, and a tunnel is no longer an HTTP connection.
  if (kind === "response" && (isInterim(head.status) || leavesHttp(head.status, answers))) return [];
  const rule = "RFC 9112 §9.3";
  const options = listMembers((head.fields.get("connection") ?? "").toLowerCase());
  if (persistent) {
    const text = minor === 1 ? "HTTP/1.1 and no Connection: close" : "HTTP/1.0 and Connection: keep-alive";
    return [{ text: `stays open: ${text}`, rule }];
  }
  if (options.includes("close")) return [{ text: "ends: Connection: close", rule }];
  if (kind === "response" && contentLength === undefined && !chunked) {
    return [{ text: "ends: only the connection's end tells where the content ends", rule: RULE }];
  }
  return [{ text: "ends: HTTP/1.0 and no Connection: keep-alive", rule }];
}

/** Says that reading started again with a message, and why. */
export function restartFindings(message: Message | undefined): Finding[] {
  if (message?.behind === undefined) return [];
  const { direction, behind } = message;
  const reader = direction === "request" ? "server" : "client";
  return [{ text: `read again from here on: the ${reader} read on after the fault of ${direction} ${behind}` }];
}

/** Says what was seen, and what the specification says of it: one sentence without its section. */
export function degreeSentence(seen: string, { words, or }: Degree): string {
  return `${seen}${seen.includes(": ") ? ";" : ":"} ${words}${or === undefined ? "" : `, or ${or}`}`;
}

/** Faults that concern a whole head or trailer section. All its lines can still be labelled. */
export const SECTION_FAULTS: ReadonlySet<FaultCode | undefined> = new Set<FaultCode>([
  "target-form",
  "target-authority",
  "target-no-host",
  "asterisk-target",
  "connect-target",
  "connect-port",
  "no-host",
  "two-hosts",
  "host-value",
  "empty-host",
  "two-framings",
  "coding-in-http10",
  "length-value",
  "two-lengths",
  "equal-lengths",
  "length-too-large",
  "chunked-not-last",
  "chunked-twice",
  "chunked-parameter",
  "empty-coding",
  "unknown-coding",
  "forbidden-trailer",
]);

/** What to do about each rule by which a server refuses a valid request before its content has come. */
const RULE_FIXES: Readonly<Record<string, string>> = {
  "RFC 3986 §2.5": "percent-encode the octets of UTF-8",
  "RFC 6750 §3": "send Authorization: Bearer with the token that the server was started with",
  "RFC 9110 §10.1.1": "send Expect: 100-continue, or no Expect",
  "RFC 9110 §14.5": "send the whole representation, without Content-Range",
  "RFC 9110 §15.5.6": "use a method that the Allow field lists",
  "RFC 9110 §15.5.9": "send the request without long pauses",
  "RFC 9110 §15.5.16": "send Content-Type: application/json, and no Content-Encoding",
  "RFC 9110 §15.6.4": "try again soon",
  "RFC 9110 §7.4": "send this server's own name and scheme, or start it with --allow-host, or --cert for https",
  "RFC 9110 §9.1": "use a method that the server knows",
};

/** How to put the error right; `undefined` where only its own words say so. */
export function fixFor({ fault, rule }: HttpError): string | undefined {
  if (fault !== undefined) return CAUSES[fault].fix;
  return rule === undefined ? undefined : RULE_FIXES[rule];
}

/** A head as read by a lenient receiver. */
interface LenientHead {
  /** The start of the content. */
  readonly end: number;
  readonly lengths: readonly string[];
  readonly chunked: boolean;
}

/** Characters of a chunk size that are looked at. */
const MOST_DIGITS = 20;
/** Characters shown of the next message. */
const NEXT_CHARACTERS = 40;

/**
 * Returns how lenient receivers read a refused message, what they take for its content and for the next one; none if all
 * read it alike. Different readings make request smuggling possible (RFC 9112 §11.2).
 *
 * @param text The message from `start` on: its head, and the octets kept after it.
 * @param start The offset of the text from the message's start.
 * @param total The number of octets from `start` on.
 */
export function twoReadings(fault: FaultCode | undefined, text: string, start: number, total: number): Reading[] {
  const head = readHead(text, /\r\n/);
  const byLength = (by: string, { end, lengths }: LenientHead, which: number): Reading => {
    const length = /^\d+$/.test(lengths.at(which) ?? "") ? Number(lengths.at(which)) : 0;
    return reading(by, text, start, total, end, end + length);
  };
  const byCoding = (by: string, { end }: LenientHead): Reading =>
    reading(by, text, start, total, end, chunkedEnd(text, end, "\n") ?? Infinity);
  switch (fault) {
    case "two-framings":
    case "coding-in-http10":
      if (head === undefined) return [];
      return differing([
        byLength(head.lengths.length > 0 ? "Content-Length" : "no length", head, 0),
        byCoding("Transfer-Encoding", head),
      ]);
    case "two-lengths":
      if (head === undefined) return [];
      return differing([
        byLength("the first Content-Length", head, 0),
        byLength("the last Content-Length", head, -1),
      ]);
    case "bare-lf": {
      const lenient = readHead(text, /\r?\n/);
      if (lenient === undefined) return [];
      const read = (by: string, head: LenientHead) => head.chunked ? byCoding(by, head) : byLength(by, head, 0);
      const strict = head ?? { end: total, lengths: [], chunked: false };
      return differing([read("CR LF alone", strict), read("LF as a line end", lenient)]);
    }
    default:
      return [];
  }
}

function differing(readings: Reading[]): Reading[] {
  const [first, second] = readings;
  return first.start === second.start && first.end + first.missing === second.end + second.missing ? [] : readings;
}

/** Reads the framing fields as a receiver that accepts this line end. */
function readHead(text: string, lineEnd: RegExp): LenientHead | undefined {
  const separator = new RegExp(`(?:${lineEnd.source}){2}`);
  const empty = /^(?:\r\n)*/.exec(text)![0].length;
  const match = separator.exec(text.substring(empty));
  if (match === null) return undefined;
  const end = empty + match.index + match[0].length;
  const lengths: string[] = [];
  let chunked = false;
  for (const line of text.substring(empty, empty + match.index).split(lineEnd).slice(1)) {
    const colon = line.indexOf(":");
    const name = line.substring(0, colon).trim().toLowerCase();
    const value = line.substring(colon + 1).trim();
    if (name === "content-length") lengths.push(...value.split(",").map((member) => member.trim()));
    if (name === "transfer-encoding") chunked = /(?:^|,)\s*chunked\s*$/i.test(value);
  }
  return { end, lengths, chunked };
}

/**
 * Returns the readings of chunked content with a bare LF in a chunk extension; none if there is only one.
 *
 * @param text The octets from the chunk line on, or from the line end before it.
 * @param start The offset of the text from the message's start.
 * @param total The number of octets from `start` on.
 */
export function chunkReadings(fault: FaultCode | undefined, text: string, start: number, total: number): Reading[] {
  const from = text.startsWith("\r\n") ? 2 : 0;
  const line = text.substring(from, text.indexOf("\n", from));
  // Without an extension, no receiver takes octets after the LF for a part of the line.
  if (fault !== "bare-lf" && fault !== "chunk-bare-lf" || !line.includes(";")) return [];
  const read = (by: string, lineEnd: string) =>
    reading(by, text, start, total, from, chunkedEnd(text, from, lineEnd) ?? Infinity);
  return differing([read("CR LF alone", "\r\n"), read("LF as a line end", "\n")]);
}

/** Returns the end of chunked content; `undefined` if it is not available. */
function chunkedEnd(text: string, start: number, lineEnd: string): number | undefined {
  const behindLine = (at: number) => {
    const end = text.indexOf(lineEnd, at);
    return end < 0 ? undefined : end + lineEnd.length;
  };
  for (let at: number | undefined = start;;) {
    const size = parseInt(/^[\da-f]*/i.exec(text.substring(at, at + MOST_DIGITS))![0], 16);
    at = behindLine(at);
    if (at === undefined || !(size >= 0)) return undefined;
    if (size > 0) {
      at = behindLine(at + size);
      if (at === undefined) return undefined;
      continue;
    }
    for (let trailer = at;; trailer = at) {
      at = behindLine(trailer);
      if (at === undefined) return undefined;
      if (text.substring(trailer, at).trim() === "") return at;
    }
  }
}

function reading(by: string, text: string, start: number, total: number, from: number, to: number): Reading {
  const known = Math.min(to, total);
  const rest = text.substring(known, known + NEXT_CHARACTERS);
  return { by, start: start + from, end: start + known, next: rest, missing: to - known };
}
