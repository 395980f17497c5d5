/** Explanations as JSON for programs, one line an exchange. The keys are listed in `.github/ARCHITECTURE.md`. */

import { withRule } from "../../bytes.ts";
import type { Exchange, Explanation } from "../../exchange.ts";
import { MAX_WAITING_IN_TURN } from "../../limits.ts";
import type { MessagesView } from "./messages.ts";

/** Where a message comes from: the offset of its first octet, seconds since 1970, packets, and what TCP did with it. */
interface MessagePlace {
  readonly offset: number;
  readonly time?: number;
  readonly packets?: readonly number[];
  readonly tcp?: object;
}

/** Octets are moved to this code point, so that they differ from other characters. */
const OCTETS = 0xe000;

/** Marks text that has one character an octet: those beyond ASCII become `\u0080` to `\u00ff`. */
export function octetsForJson(text: string): string {
  return text.replace(/[\x80-\xff]/g, (octet) => String.fromCharCode(OCTETS + octet.charCodeAt(0)));
}

/** Returns a value as JSON in which control characters and octets beyond ASCII are escaped. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\x7f\ue080-\ue0ff]/g,
    (character) => `\\u${(character.charCodeAt(0) & 0xff).toString(16).padStart(4, "0")}`,
  );
}

/** An exchange as JSON: its messages, once they are explained. */
export class ExchangeJson {
  readonly #messages: Record<"request" | "response", object | null> = { request: null, response: null };
  readonly #interim: object[] = [];
  #count = 0;

  /** Whether all messages of an exchange are here. */
  isWhole({ over, request, responses }: Exchange): boolean {
    return over && this.#count === responses.length + (request === undefined ? 0 : 1);
  }

  /** Adds a message; on request, with its content and rows. */
  add(explanation: Explanation, place: MessagePlace, all = false): void {
    this.#count++;
    const message = messageOf(explanation, place, all);
    if (explanation.message!.interim) this.#interim.push(message);
    else this.#messages[explanation.direction] = message;
  }

  /** Returns the line, which starts with these members. */
  line(members: object = {}): string {
    const { request, response } = this.#messages;
    const interim = this.#interim.length > 0 && { interim: this.#interim };
    return `${jsonText({ ...members, request, ...interim, response })}\n`;
  }
}

function messageOf(explanation: Explanation, { tcp, ...origin }: MessagePlace, all: boolean): object {
  const { direction, message, findings, fault, state, rows, contentOctets } = explanation;
  const { head, exchange } = message!;
  return {
    ...origin,
    ...direction === "request"
      ? {
        method: octetsForJson(exchange.method) || null,
        target: head?.kind === "request" ? octetsForJson(head.target) : null,
      }
      : head?.kind === "response"
      ? { status: head.status, reason: octetsForJson(head.reason) }
      : { status: null, reason: null },
    version: head === undefined ? null : `HTTP/1.${head.minor}`,
    fields: Array.from(head?.fields ?? [], (line) => line.map(octetsForJson)),
    contentLength: contentOctets,
    whole: state === "whole",
    findings: findings.map(({ text, rule }) => withRule(text, rule)),
    fault: fault === undefined ? null : {
      cause: fault.code,
      rule: fault.rule,
      degree: fault.degree.must ? "must" : "may",
      octet: fault.offset,
      detail: fault.detail,
    },
    ...tcp && { tcp },
    ...all && {
      content: octetsForJson(rows.filter(({ kind }) => kind === "content").map((row) => row.octets).join("")),
      rows: rows.map((row) => ({ ...row, octets: octetsForJson(row.octets) })),
    },
  };
}

/** Views the messages of a file as JSON; on request, with their content and rows. */
export function messagesJson(all: boolean): MessagesView {
  /** Exchanges that are not printed, in their order. */
  const waiting = new Map<Exchange, ExchangeJson>();
  return (placed) => {
    if (placed !== undefined) {
      const { explanation, at } = placed;
      const exchange = explanation.message?.exchange;
      if (exchange === undefined) return "";
      const json = waiting.get(exchange) ?? new ExchangeJson();
      waiting.set(exchange, json);
      json.add(explanation, { offset: at }, all);
    }
    let lines = "";
    for (const [exchange, json] of waiting) {
      const isReady = placed === undefined || json.isWhole(exchange) || waiting.size > MAX_WAITING_IN_TURN;
      if (!isReady) break;
      lines += json.line();
      waiting.delete(exchange);
    }
    return lines;
  };
}
