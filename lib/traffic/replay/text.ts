/**
 * The report of a replay as text: each exchange, the same or what differs, and the sum of them. A connection's number is
 * Wireshark's `tcp.stream` plus one.
 */

import { counted } from "../../bytes.ts";
import type { RequestHead } from "../../http_message.ts";
import { maskCredentials, maskTarget } from "../../masking.ts";
import { jsonText, octetsForJson } from "../explain/json.ts";
import { escapeText, type Painter } from "../../terminal.ts";
import { readable } from "../../exchange.ts";
import { ABSENT, type Answer, type Difference, differences, type EntityTags, statusText } from "./compare.ts";
import { NOT_ASKED, PART_ASKED, type ReplayedExchange } from "./dialogue.ts";

/** Characters of a field's value or of content that are shown of each side. */
const SHOWN_CHARACTERS = 240;

export type ReplayVerdict = "same" | "different" | "not compared";

export interface Compared extends ReplayedExchange {
  readonly verdict: ReplayVerdict;
  readonly differences: readonly Difference[];
  /** Why there is no answer to compare, recorded or now. */
  readonly why?: string;
}

/** Compares an exchange. The entity tags of its answers are added to those so far. */
export function compareExchange(exchange: ReplayedExchange, tags: EntityTags): Compared {
  const { recorded, now } = exchange;
  if (recorded.answer === undefined) {
    return { ...exchange, verdict: "not compared", differences: [], why: recorded.why };
  }
  if (now.answer === undefined) return { ...exchange, verdict: "different", differences: [], why: now.why };
  tags.learn(recorded.answer, now.answer);
  const found = differences(recorded.answer, now.answer, tags);
  return { ...exchange, verdict: found.length === 0 ? "same" : "different", differences: found };
}

/** Formats a compared exchange, without the last line's end. */
export function exchangeText(connection: number, compared: Compared, painter: Painter): string {
  const { number, title, request, recorded, now, verdict, differences, why } = compared;
  const start = `connection ${connection}, exchange ${number}: ${shown(title) || "no request"}: `;
  if (why === NOT_ASKED || why === PART_ASKED) return `${start}not compared: ${why}`;
  if (verdict === "not compared") {
    return `${start}not compared, for the recording has no whole response: ${escapeText(why!)}`;
  }
  const [was, is] = [recorded.answer!, now.answer];
  if (verdict === "same") return `${start}${painter("green", "same")}, ${shown(statusText(is!))}`;
  const lines = is === undefined
    ? [`    recorded: ${shown(statusText(was))}`, `    now:      no whole response: ${escapeText(why!)}`]
    : differences.flatMap(differenceLines);
  const hint = is && hintFor(was, is, request);
  if (hint !== undefined) lines.push(`    (${shown(hint)})`);
  return [start + painter("red", "differs"), ...lines].join("\n");
}

/** Returns a compared exchange as JSON, without credentials; the keys are listed in `.github/ARCHITECTURE.md`. */
export function exchangeJson(connection: number, compared: Compared): string {
  const { number, request, recorded, now, verdict, differences, why } = compared;
  return jsonText({
    connection,
    exchange: number,
    method: request?.method ?? null,
    target: request === undefined ? null : octetsForJson(maskTarget(request.target)),
    verdict: why !== undefined && verdict === "different" ? "none" : verdict,
    recorded: recorded.answer?.status ?? null,
    now: now.answer?.status ?? null,
    ...why !== undefined && { why: octetsForJson(why) },
    differences: differences.map((difference) => {
      const [recorded, now] = valuesOf(difference);
      return { what: octetsForJson(difference.what), recorded: octetsForJson(recorded), now: octetsForJson(now) };
    }),
  });
}

function differenceLines(difference: Difference): string[] {
  const [recorded, now] = valuesOf(difference).map(shown);
  return [`  ${shown(difference.what)}`, `    recorded: ${recorded}`, `    now:      ${now}`];
}

/** Returns both values; those of fields that carry credentials as their length. */
function valuesOf({ what, recorded, now }: Difference): string[] {
  const name = what.replace(/^(?:field|trailer) /, "");
  return [recorded, now].map((text) =>
    name === what || text === ABSENT ? text : valueOf(maskCredentials(`${name}: ${text}`))
  );
}

function valueOf(line: string): string {
  return line.slice(line.indexOf(": ") + 2);
}

/** Explains differences that are not the server's fault: requests are sent as recorded. */
function hintFor(recorded: Answer, now: Answer, request: RequestHead | undefined): string | undefined {
  if (recorded.status === now.status) return undefined;
  if (now.status === 421) {
    return `the request names the recorded host ${request?.authority}, as it is not rewritten: serve has --allow-host`;
  }
  const field = now.status === 412 ? "if-match" : recorded.status === 304 ? "if-none-match" : undefined;
  const tags = field && request?.fields.get(field);
  if (tags?.includes('"')) return `the request names the recorded entity tag ${tags}, which no other run gives`;
}

export function unsentText(connection: number, octets: number, why: string): string {
  return `connection ${connection}: ${counted(octets, "octet")} not sent: ${escapeText(why)}`;
}

export function beyondText(connection: number): string {
  return `connection ${connection}: no longer HTTP after its last exchange, so what follows is sent and not compared`;
}

export function endedText(connection: number): string {
  return `connection ${connection}: differs\n    recorded: stays open\n    now:      ends, without having said so`;
}

/** The last line: how many exchanges there were of which kind, and how many connections ended before the recorded ones. */
export function sumText(counts: Readonly<Record<ReplayVerdict, number>>, cutShort: number): string {
  const { same, different, "not compared": rest } = counts;
  const all = same + different + rest;
  const parts = [`${same} the same`];
  if (different > 0) parts.push(`${different} different`);
  if (rest > 0) parts.push(`${rest} not compared`);
  const whole = all === 1 ? "the same" : "all the same";
  const sum = parts.length === 1 ? whole : parts.join(", ");
  const ends = cutShort === 0 ? "" : `; ${counted(cutShort, "connection")} cut short`;
  return `${counted(all, "exchange")}: ${sum}${ends}`;
}

/** Escapes octets for a terminal, in one line of limited length. */
function shown(octets: string): string {
  const text = octets.length > SHOWN_CHARACTERS ? `${octets.slice(0, SHOWN_CHARACTERS)}…` : octets;
  return text.split("…").map(readable).join("…");
}
