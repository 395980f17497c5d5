/** Words for what packets show besides messages: times, what TCP did, what a capture contains. */

import { counted } from "../../bytes.ts";
import { SHOWN_NUMBERS } from "../../limits.ts";
import type { MessageOrigin } from "./origins.ts";
import type { CaptureReader, TcpFacts } from "./reader.ts";

/** Octets of a message above which its throughput says something. */
const LEAST_MEASURED_OCTETS = 100_000;

/** Formats a time in microseconds as Wireshark does: seconds since the first packet. */
export function timeText(microseconds: number): string {
  return `${(microseconds / 1_000_000).toFixed(6)} s`;
}

export function durationText(microseconds: number): string {
  if (microseconds < 1000) return `${Math.round(microseconds)} µs`;
  if (microseconds < 1_000_000) return `${(microseconds / 1000).toFixed(3)} ms`;
  return `${(microseconds / 1_000_000).toFixed(3)} s`;
}

/** Lists the numbers of connections, or the first ones of many. */
export function numbersText(numbers: readonly number[]): string {
  return `${numbers.slice(0, SHOWN_NUMBERS).join(", ")}${numbers.length > SHOWN_NUMBERS ? ", …" : ""}`;
}

type Counts = Pick<CaptureReader, "start" | "packets" | "connections">;

/** Returns a time in microseconds since 1970 as a date; `undefined` if it is none. */
export function startDate(start = NaN): Date | undefined {
  const date = new Date(Math.floor(start / 1000));
  // An interface may have any resolution and offset.
  return Number.isNaN(date.getTime()) ? undefined : date;
}

/** Returns when a capture began, and how much it has, or has so far. */
export function summaryText({ start = NaN, packets, connections }: Counts, soFar: boolean): string {
  const counts = `${counted(packets, "packet")}, ${counted(connections, "connection")}${soFar ? " so far" : ""}`;
  const date = startDate(start);
  if (date === undefined) return counts;
  const microseconds = String(Math.floor(start % 1000 + 1000) % 1000).padStart(3, "0");
  return `first packet at ${date.toISOString().replace("T", " ").replace("Z", "")}${microseconds} UTC; ${counts}`;
}

/** Says how a connection was opened: the packets of the handshake, the round trip, the MSS of both ends. */
export function handshakeText({ handshake: [syn, answer, ack], roundTrip, client, server }: TcpFacts): string {
  const sizes = [client.mss, server.mss].filter((size) => size !== undefined);
  const which = sizes.length === 2 ? "" : client.mss === undefined ? " of the server" : " of the client";
  return [
    ack === undefined ? "" : `, handshake in packets ${syn}, ${answer} and ${ack}`,
    roundTrip === undefined ? "" : `, round trip ${durationText(roundTrip)}`,
    sizes.length === 0 ? "" : `, MSS ${sizes.join(" and ")}${which}`,
  ].join("");
}

/** Says which segments had octets that were sent before, or came late. */
export function repeatedText(tcp: TcpFacts): string {
  return (["client", "server"] as const).map((end) => {
    const { repeated, late } = tcp[end];
    const again = repeated > 0 ? `, ${counted(repeated, "segment")} sent again by the ${end}` : "";
    return late > 0 ? `${again}, ${counted(late, "segment")} of the ${end} late` : again;
  }).join("");
}

/** Says in how many segments a message came, when it was acknowledged, and how fast a long one was. */
export function segmentsText(
  { packets, pieces, largest, start, end, acknowledged }: MessageOrigin,
  octets: number,
  mss: number = Infinity,
): string {
  if (pieces === 0) return "";
  const which = pieces === 1 ? `packet ${packets[0]}` : `packets ${Math.min(...packets)} to ${Math.max(...packets)}`;
  // A packet with more octets than a segment is split by the network card.
  const split = `${counted(pieces, "packet")}, before the card split ${pieces === 1 ? "it" : "them"}`;
  const place = largest > mss
    ? `in ${split}, ${which}`
    : pieces === 1
    ? `from ${which}`
    : `in ${pieces} segments, ${which}`;
  const after = acknowledged === undefined
    ? ""
    : `, acknowledged after ${durationText(Math.max(0, acknowledged.time - end))} (packet ${acknowledged.packet})`;
  // Octets in a microsecond are megabytes in a second.
  const rate = octets > LEAST_MEASURED_OCTETS && end > start ? octets / (end - start) : 0;
  const speed = rate >= 1 ? `, ${rate.toFixed(1)} MB/s` : rate > 0 ? `, ${(1000 * rate).toFixed(1)} kB/s` : "";
  return `, ${place}${after}${speed}`;
}
