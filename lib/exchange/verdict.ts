/**
 * Conclusions from a message: why its content has its length, whether its connection persists; and for a refused one,
 * what the specification says of it, how to fix it, and how others read it.
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
  type RequestHead,
  type ResponseHead,
  saysClose,
} from "../http_message.ts";
import { MAX_KNOWN_TAGS, REQUEST_LIMITS } from "../limits.ts";
import type { Finding, Reading } from "./explanation.ts";
import type { Exchange, Message } from "./messages.ts";
import { readable } from "./octet_text.ts";

/** What is known of a message whose head is complete. */
export interface Facts {
  readonly head: RequestHead | ResponseHead;
  readonly interim: boolean;
  /** The method that a response answers, as far as it was known when its head was complete. */
  readonly method: string;
  readonly accepted: Accepted[];
  readonly holds: Finding | undefined;
  readonly chunked: boolean;
  /** The number of chunks so far, without the empty last one. */
  chunks: number;
  /** Octets of the current chunk still to come; -1 between chunks. */
  inChunk: number;
  lastChunk: boolean;
  contentOctets: number;
  /** How many of them are missing. */
  lost: number;
}

const RULE = "RFC 9112 §6.3";

/** Returns what an incomplete message needs; nothing if its content ends with the connection. */
export function missingFindings(facts: Facts | undefined): Finding[] {
  if (facts === undefined) return [{ text: "needs more: the head has not ended", rule: "RFC 9112 §2.1" }];
  const { head: { contentLength }, chunked, lastChunk, inChunk, contentOctets } = facts;
  if (!chunked) {
    return contentLength === undefined
      ? []
      : [{ text: `needs ${counted(contentLength - contentOctets, "more octet")} of content` }];
  }
  if (lastChunk) return [{ text: "needs more: the trailer section has not ended", rule: "RFC 9112 §7.1.2" }];
  const text = inChunk > 0
    ? `needs ${counted(inChunk, "more octet")} of this chunk, and the last chunk`
    : "needs more of the chunked content: the last chunk";
  return [{ text, rule: "RFC 9112 §7.1" }];
}

/** Returns what is accepted though it breaks a rule, why the content has its length, and how the connection goes on. */
export function factFindings(facts: Facts, state: "whole" | "incomplete"): Finding[] {
  const { interim, head, chunked, chunks, contentOctets, lost, holds } = facts;
  const findings: Finding[] = [...facts.accepted];
  const find = (text: string | undefined, rule?: string) => {
    if (text !== undefined) findings.push({ text, rule });
  };
  if (!chunked) find(lengthText(facts), RULE);
  else if (state === "whole") find(`${counted(contentOctets, "octet")} of content in ${counted(chunks, "chunk")}`);
  if (lost > 0) find(`${counted(lost, "octet")} of the content not captured`);
  find(holds?.text, holds?.rule);
  if (head.kind === "request") {
    const { maxContentBytes: most } = REQUEST_LIMITS;
    if (Math.max(contentOctets, head.contentLength ?? 0) > most) {
      find(
        `serve would answer 413: it takes ${counted(most, "octet")} unless --max-body says more`,
        "RFC 9110 §15.5.14",
      );
    }
    if (isSecureTarget(head.target)) {
      find(
        "must be refused with 421 where TLS does not secure the connection: the target is an https URI",
        "RFC 9110 §7.4",
      );
    }
  } else if (interim) find("interim: the final response is still to come", "RFC 9110 §15.2");
  else if (isInterim(head.status)) find("no longer HTTP: what follows is the other protocol", "RFC 9110 §7.8");
  find(...persistence(facts));
  return findings;
}

/** Says why content that is not chunked has its length. */
function lengthText({ head, method, contentOctets }: Facts): string | undefined {
  const { contentLength } = head;
  if (head.kind === "response") {
    const { status } = head;
    if (isInterim(status)) return undefined;
    if (method === "HEAD") return "no content: it answers HEAD";
    if (leavesHttp(status, method)) return "no content: it opens the tunnel that CONNECT asked for";
    if (isContentless(status)) return `no content: ${status} never has any`;
    if (contentLength === undefined) {
      return `content until the connection ends: ${counted(contentOctets, "octet")} here`;
    }
  }
  if (head.fields.count("content-length") === 0) return "no content: neither Content-Length nor Transfer-Encoding";
  if (contentLength === 0) return "no content: Content-Length is 0";
  return `${counted(contentLength!, "octet")} of content: Content-Length`;
}

/** Says why the connection persists or ends, and the section. */
function persistence({ head, method, chunked }: Facts): [text?: string, rule?: string] {
  const { kind, minor, persistent, contentLength, fields } = head;
  // An interim response does not decide it, and a tunnel is no longer an HTTP connection.
  if (kind === "response" && (isInterim(head.status) || leavesHttp(head.status, method))) return [];
  const rule = "RFC 9112 §9.3";
  if (persistent) {
    const why = minor === 1 ? "HTTP/1.1 and no Connection: close" : "HTTP/1.0 and Connection: keep-alive";
    return [`stays open: ${why}`, rule];
  }
  if (saysClose(fields.get("connection"))) return ["ends: Connection: close", rule];
  if (kind === "response" && contentLength === undefined && !chunked) {
    return ["ends: only the connection's end tells where the content ends", RULE];
  }
  return ["ends: HTTP/1.0 and no Connection: keep-alive", rule];
}

/** An entity tag without its mark of weakness: conditions compare it so (RFC 9110 §8.8.3.2). */
const OPAQUE = /"[^"]*"/g;

/** Returns what a 304 says of an earlier response. A known tag has the number of the last exchange with it. */
export function heldFinding(
  known: Map<string, number>,
  { request, number }: Exchange,
  { status, fields }: ResponseHead,
): Finding | undefined {
  const asked = request?.head;
  if (asked === undefined || asked.method === "POST") return undefined;
  const keyOf = (tag: string) => `${tag} ${asked.authority ?? ""} ${asked.target}`;
  const tags = fields.get("etag")?.match(OPAQUE) ?? undefined;
  if (status === 304) {
    const tag = (tags ?? asked.fields.get("if-none-match")?.match(OPAQUE) ?? []).find((tag) => known.has(keyOf(tag)));
    if (tag === undefined) return undefined;
    const text = `the tag ${readable(tag)} of response ${known.get(keyOf(tag))} still holds`;
    return { text, rule: "RFC 9110 §15.4.5" };
  }
  if (tags === undefined || status < 200 || status > 299) return undefined;
  const key = keyOf(tags[0]);
  known.delete(key);
  known.set(key, number);
  if (known.size > MAX_KNOWN_TAGS) known.delete(known.keys().next().value!);
}

/** Says that reading started again with a message, and why. */
export function restartFindings(message: Message | undefined): Finding[] {
  if (message?.restartsAfter === undefined) return [];
  const { direction, restartsAfter } = message;
  const reader = direction === "request" ? "server" : "client";
  return [{ text: `read again from here on: the ${reader} read on after the fault of ${direction} ${restartsAfter}` }];
}

/** Says what was seen, and what the specification says of it: one sentence without its section. */
export function degreeSentence(seen: string, { words, or }: Degree): string {
  return `${seen}${seen.includes(": ") ? ";" : ":"} ${words}${or === undefined ? "" : `, or ${or}`}`;
}

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

/** How to fix the error; `undefined` where only its own words say so. */
export function fixFor({ fault, rule }: HttpError): string | undefined {
  if (fault !== undefined) return CAUSES[fault].fix;
  return rule === undefined ? undefined : RULE_FIXES[rule];
}

type LenientHead = { readonly end: number; readonly lengths: readonly string[]; readonly chunked: boolean };

const MOST_DIGITS = 20;
const NEXT_CHARACTERS = 40;

/**
 * Returns how lenient receivers read a refused message, what they take for its content and for the next one; none if all
 * read it alike. Different readings make request smuggling possible (RFC 9112 §11.2).
 *
 * @param text What is not accepted, as far as it is kept: `total` octets of the message from `start` on.
 * @param inContent Whether the head is accepted, so that the text starts with a chunk line or the line end before it.
 */
export function readingsOf(code: FaultCode, text: string, start: number, total: number, inContent: boolean): Reading[] {
  const reading = (by: string, from: number, to = Infinity): Reading => {
    const known = Math.min(to, total);
    const next = text.substring(known, known + NEXT_CHARACTERS);
    return { by, start: start + from, end: start + known, next, missing: to - known };
  };
  const byLength = (by: string, { end, lengths }: LenientHead, which = 0) => {
    const length = lengths.at(which) ?? "";
    return reading(by, end, end + (/^\d+$/.test(length) ? Number(length) : 0));
  };
  const byCoding = (by: string, from: number, lineEnd = "\n") => reading(by, from, chunkedEnd(text, from, lineEnd));
  if (inContent) {
    const from = text.startsWith("\r\n") ? 2 : 0;
    const line = text.substring(from, text.indexOf("\n", from));
    // Without an extension, no receiver takes octets after the LF for a part of the line.
    if (code !== "bare-lf" && code !== "chunk-bare-lf" || !line.includes(";")) return [];
    return differing(byCoding("CR LF alone", from, "\r\n"), byCoding("LF as a line end", from));
  }
  const head = readHead(text, /\r\n/);
  if (code === "bare-lf") {
    const lenient = readHead(text, /\r?\n/);
    if (lenient === undefined) return [];
    const read = (by: string, head: LenientHead) => head.chunked ? byCoding(by, head.end) : byLength(by, head);
    const strict = head ?? { end: total, lengths: [], chunked: false };
    return differing(read("CR LF alone", strict), read("LF as a line end", lenient));
  }
  if (head === undefined) return [];
  if (code === "two-lengths") {
    return differing(byLength("the first Content-Length", head), byLength("the last Content-Length", head, -1));
  }
  if (code !== "two-framings" && code !== "coding-in-http10") return [];
  const by = head.lengths.length > 0 ? "Content-Length" : "no length";
  return differing(byLength(by, head), byCoding("Transfer-Encoding", head.end));
}

function differing(first: Reading, second: Reading): Reading[] {
  const isAlike = first.start === second.start && first.end + first.missing === second.end + second.missing;
  return isAlike ? [] : [first, second];
}

/** Reads the framing fields as a receiver that accepts this line end. */
function readHead(text: string, lineEnd: RegExp): LenientHead | undefined {
  const [start] = /^(?:\r\n)*/.exec(text)!;
  const rest = text.substring(start.length);
  const match = new RegExp(`(?:${lineEnd.source}){2}`).exec(rest);
  if (match === null) return undefined;
  const lengths: string[] = [];
  let chunked = false;
  for (const line of rest.substring(0, match.index).split(lineEnd).slice(1)) {
    const colon = line.indexOf(":");
    const name = line.substring(0, colon).trim().toLowerCase();
    const value = line.substring(colon + 1).trim();
    if (name === "content-length") lengths.push(...value.split(",").map((member) => member.trim()));
    if (name === "transfer-encoding") chunked = /(?:^|,)\s*chunked\s*$/i.test(value);
  }
  return { end: start.length + match.index + match[0].length, lengths, chunked };
}

/** Returns the end of chunked content; `undefined` if it is not available. */
function chunkedEnd(text: string, start: number, lineEnd: string): number | undefined {
  const line = new RegExp(`([^]*?)${lineEnd}`, "y");
  line.lastIndex = start;
  let size = Infinity;
  for (let match = line.exec(text); match !== null; match = line.exec(text)) {
    if (size === 0 && match[1].trim() === "") return line.lastIndex;
    if (size === 0) continue;
    size = parseInt(/^[\da-f]*/i.exec(match[1].slice(0, MOST_DIGITS))![0], 16);
    if (!(size >= 0)) return undefined;
    line.lastIndex += size;
    // The line end after the chunk.
    if (size > 0 && line.exec(text) === null) return undefined;
  }
}
