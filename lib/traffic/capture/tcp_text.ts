/**
 * Says what TCP did beside the messages, in captures of the wire, which have segments and packets.
 *
 * @module
 */

import { counted } from "../../bytes.ts";
import type { MessageOrigin } from "./origins.ts";
import type { TcpFacts } from "./reader.ts";
import { durationText } from "./times.ts";

/** Octets of a message above which its throughput says something. */
const LEAST_MEASURED_OCTETS = 100_000;

/** Says how a connection was opened: the packets of the handshake, the round trip, the MSS of both ends. */
export function handshakeText({ handshake, roundTrip, mss: { client, server } }: TcpFacts): string {
  const sizes = [client, server].filter((size) => size !== undefined);
  const which = sizes.length === 2 ? "" : client === undefined ? " of the server" : " of the client";
  return [
    handshake.length === 3 ? `, handshake in packets ${handshake[0]}, ${handshake[1]} and ${handshake[2]}` : "",
    roundTrip === undefined ? "" : `, round trip ${durationText(roundTrip)}`,
    sizes.length === 0 ? "" : `, MSS ${sizes.join(" and ")}${which}`,
  ].join("");
}

/** Says which segments had octets that were sent before, or came late. */
export function repeatedText({ repeated, late }: TcpFacts): string {
  return (["client", "server"] as const).flatMap((end) => [
    repeated[end] > 0 ? `, ${counted(repeated[end], "segment")} sent again by the ${end}` : "",
    late[end] > 0 ? `, ${counted(late[end], "segment")} of the ${end} late` : "",
  ]).join("");
}

/**
 * Says in how many segments a message came, when its last octet was acknowledged, and how fast a long one was.
 *
 * @param mss The most octets of a segment: a packet with more is split by the network card.
 */
export function segmentsText(
  { packets, pieces, largest, start, end }: MessageOrigin,
  octets: number,
  mss: number | undefined,
  acknowledged: { readonly packet: number; readonly time: number } | undefined,
): string {
  if (pieces === 0) return "";
  const isSplit = mss !== undefined && largest > mss;
  const which = pieces === 1 ? `packet ${packets[0]}` : `packets ${packets[0]} to ${packets.at(-1)}`;
  const split = pieces === 1 ? "1 packet, before the card split it" : `${pieces} packets, before the card split them`;
  const place = isSplit
    ? `, in ${split}, ${which}`
    : pieces === 1
    ? `, from ${which}`
    : `, in ${pieces} segments, ${which}`;
  const after = acknowledged === undefined
    ? ""
    : `, acknowledged after ${durationText(Math.max(0, acknowledged.time - end))} (packet ${acknowledged.packet})`;
  return `${place}${after}${octets > LEAST_MEASURED_OCTETS ? throughputText(octets, end - start) : ""}`;
}

function throughputText(octets: number, microseconds: number): string {
  if (microseconds <= 0) return "";
  const rate = octets / microseconds;
  return rate >= 1 ? `, ${rate.toFixed(1)} MB/s` : `, ${(1000 * rate).toFixed(1)} kB/s`;
}
