/**
 * Conclusions from a message: the length of its content and the reason, and whether the connection persists.
 *
 * @module
 */

import { counted } from "../bytes.ts";
import {
  type Accepted,
  isContentless,
  isInterim,
  isSecureTarget,
  leavesHttp,
  listMembers,
  type RequestHead,
  type ResponseHead,
} from "../http_message.ts";
import { REQUEST_LIMITS } from "../limits.ts";
import type { Finding } from "./explanation.ts";

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
  /** Whether the content is chunked. */
  readonly chunked: boolean;
  /** The number of chunks so far, without the empty last one. */
  chunks: number;
  /** Octets of content so far. */
  contentBytes: number;
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
