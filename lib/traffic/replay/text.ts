/**
 * The report of a replay as text: each exchange, the same or what differs, and the sum of them.
 *
 * @module
 */

import { counted } from "../../bytes.ts";
import type { RequestHead } from "../../http_message.ts";
import { REPLAY_SHOWN_CHARACTERS } from "../../limits.ts";
import { maskCredentials } from "../../masking.ts";
import type { Painter } from "../../terminal.ts";
import { readable } from "../../exchange.ts";
import { type Answer, type Difference, differences, type EntityTags, statusText } from "./compare.ts";
import { NOT_ASKED, type ReplayedExchange } from "./dialogue.ts";

/** The result of comparing an exchange. */
export type Verdict = "same" | "different" | "not compared";

/** Returns a connection's name in the report; its number is Wireshark's `tcp.stream` plus one. */
function nameOf(connection: number): string {
  return `connection ${connection}`;
}

/**
 * Compares an exchange. Returns the verdict, and its lines without the last line's end.
 *
 * @param tags The entity tags so far; those of this exchange are added.
 */
export function exchangeText(
  connection: number,
  { number, title, request, recorded, now }: ReplayedExchange,
  tags: EntityTags,
  painter: Painter,
): { verdict: Verdict; text: string } {
  const start = `${nameOf(connection)}, exchange ${number}: ${shown(title) || "no request"}: `;
  if (recorded.answer === undefined) {
    if (recorded.why === NOT_ASKED) return { verdict: "not compared", text: `${start}not compared: ${NOT_ASKED}` };
    const text = `${start}not compared, for the recording has no whole response: ${shown(recorded.why)}`;
    return { verdict: "not compared", text };
  }
  if (now.answer === undefined) {
    const was = `    recorded: ${shown(statusText(recorded.answer))}`;
    const is = `    now:      no whole response: ${shown(now.why)}`;
    return { verdict: "different", text: [start + painter("red", "differs"), was, is].join("\n") };
  }
  tags.learn(recorded.answer, now.answer);
  const found = differences(recorded.answer, now.answer, tags);
  if (found.length === 0) {
    return { verdict: "same", text: `${start}${painter("green", "same")}, ${shown(statusText(now.answer))}` };
  }
  const lines = found.flatMap(differenceLines);
  const hint = hintFor(recorded.answer, now.answer, request);
  if (hint !== undefined) lines.push(`    (${shown(hint)})`);
  return { verdict: "different", text: [start + painter("red", "differs"), ...lines].join("\n") };
}

/** Formats a difference: what differs, and both values below it. */
function differenceLines({ what, recorded, now }: Difference): string[] {
  const name = what.replace(/^(?:field|trailer) /, "");
  // Values of fields that carry credentials are shown as their length.
  const value = (text: string) =>
    name === what || text === "none" ? text : valueOf(maskCredentials(`${name}: ${text}`));
  return [
    `  ${shown(what)}`,
    `    recorded: ${shown(value(recorded))}`,
    `    now:      ${shown(value(now))}`,
  ];
}

function valueOf(line: string): string {
  return line.slice(line.indexOf(": ") + 2);
}

/** Explains what is not the server's fault: requests are sent as recorded. */
function hintFor(recorded: Answer, now: Answer, request: RequestHead | undefined): string | undefined {
  if (recorded.status === now.status) return undefined;
  if (now.status === 421) {
    return `the request names the recorded host ${request?.authority}, as it is not rewritten: serve has --allow-host`;
  }
  const field = now.status === 412 ? "if-match" : recorded.status === 304 ? "if-none-match" : undefined;
  const tags = field && request?.fields.get(field);
  if (tags?.includes('"')) return `the request names the recorded entity tag ${tags}, which no other run gives`;
}

/** Formats how much was not sent, and why. */
export function unsentText(connection: number, octets: number, why: string): string {
  return `${nameOf(connection)}: ${counted(octets, "octet")} not sent: ${shown(why)}`;
}

/** Says that a connection was no longer HTTP. */
export function beyondText(connection: number): string {
  return `${nameOf(connection)}: no longer HTTP after its last exchange, so what follows is sent and not compared`;
}

/** Formats that the server closed a connection that stays open in the recording. */
export function endedText(connection: number): string {
  return `${nameOf(connection)}: differs\n    recorded: stays open\n    now:      ends, without having said so`;
}

/**
 * The last line: how many exchanges there were, and of which kind.
 *
 * @param cutShort How many connections ended before the recorded ones did.
 */
export function sumText(counts: Readonly<Record<Verdict, number>>, cutShort: number): string {
  const { same, different, "not compared": rest } = counts;
  const all = same + different + rest;
  const parts = [
    ...different > 0 ? [`${different} different`] : [],
    ...rest > 0 ? [`${rest} not compared`] : [],
  ];
  const sum = parts.length === 0
    ? (all === 1 ? "the same" : "all the same")
    : [`${same} the same`, ...parts].join(", ");
  const ends = cutShort === 0 ? "" : `; ${counted(cutShort, "connection")} cut short`;
  return `${counted(all, "exchange")}: ${sum}${ends}`;
}

/** Escapes octets for a terminal, in one line of limited length. */
function shown(octets: string): string {
  const text = octets.length > REPLAY_SHOWN_CHARACTERS ? `${octets.slice(0, REPLAY_SHOWN_CHARACTERS)}…` : octets;
  return text.split("…").map(readable).join("…");
}
