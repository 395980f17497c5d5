/**
 * Says why a connection could not be opened, or how it ended, and what a server sent instead of a response.
 *
 * @module
 */

import { authorityOf, type Endpoint } from "../address.ts";
import { octetsToText, octetString } from "../bytes.ts";
import { escapeOctet, escapeText } from "../terminal.ts";
import { ClientError } from "./errors.ts";

/** Why a certificate is refused, for the user. */
const CERTIFICATE_REASONS: readonly [pattern: RegExp, reason: string][] = [
  [/UnknownIssuer/, "its certificate is not signed by a trusted authority; --cacert FILE adds one"],
  [/CaUsedAsEndEntity/, "its certificate is a CA certificate, which a server may not use (basicConstraints)"],
  [/not valid for any names/, "its certificate names no host (subjectAltName)"],
  [/not valid for name|NotValidForName/, "its certificate is for another name"],
  [/not valid yet|NotValidYet/, "its certificate is not valid yet"],
  [/certificate expired|Expired/, "its certificate has expired"],
  [/invalid peer certificate|BadEncoding|BadSignature/, "its certificate is not valid"],
];
const NO_TLS = /InvalidContentType/;
/** What alerts of TLS mean here (RFC 8446 §6.2, RFC 7301 §3.2). */
const ALERTS: Readonly<Record<string, string>> = {
  CertificateRequired: "the server requires a certificate of the client, which this program has none of",
  HandshakeFailure:
    "the server accepts no cipher or signature of this program, or requires a certificate of the client",
  NoApplicationProtocol: "the server speaks HTTP/2 only",
  ProtocolVersion: "the server speaks only versions of TLS older than 1.2",
  UnrecognizedName: "the server has no site of this name",
};
/** The first octet from a TLS server to a client that does not speak TLS (RFC 8446 §5.1). */
const TLS_ALERT = 0x15;
/** Frames that a server of HTTP/2 sends first, by type (RFC 9113 §6.5, §6.8). */
const FRAMES: Readonly<Record<number, string>> = { 4: "SETTINGS", 7: "GOAWAY" };
/** The length of what precedes each frame (RFC 9113 §4.1). */
const FRAME_HEADER_BYTES = 9;
/** Octets of a server's first line that are shown. */
const SHOWN_START_OCTETS = 100;

/** Creates the error for a server to which no connection can be opened. */
export function connectError(
  error: unknown,
  endpoint: Endpoint,
  advice: ((host: string) => string) | undefined,
): unknown {
  if (error instanceof ClientError || error instanceof Deno.errors.NotCapable || !(error instanceof Error)) {
    return error;
  }
  const start = `Cannot connect to ${authorityOf(endpoint)}:`;
  const { message } = error;
  if (error instanceof Deno.errors.ConnectionRefused) {
    return new ClientError(`${start} connection refused (is a server running there?)`);
  }
  if (NO_TLS.test(message)) return new ClientError(`${start} it does not speak TLS; try http://`);
  const refused = CERTIFICATE_REASONS.find(([pattern]) => pattern.test(message))?.[1];
  if (refused === undefined) return new ClientError(`${start} ${alertIn(message) ?? message}`);
  return new ClientError(`${start} ${refused}${advice === undefined ? "" : `; ${advice(endpoint.host)}`}`);
}

/** Returns how a connection ended, in the words of TCP and TLS. */
export function endOf(error: unknown): string {
  if (error instanceof Deno.errors.ConnectionReset) return "RST";
  if (error instanceof Deno.errors.UnexpectedEof) return "FIN without TLS's close_notify";
  return error instanceof Error ? alertIn(error.message) ?? error.message : String(error);
}

/** Returns the alert in an error of TLS, and what it means. */
function alertIn(message: string): string | undefined {
  const alert = /received fatal alert: (\w+)/.exec(message)?.[1];
  if (alert === undefined) return undefined;
  return Object.hasOwn(ALERTS, alert) ? `TLS alert ${alert}: ${ALERTS[alert]}` : `TLS alert ${alert}`;
}

/** Names the first of the octets that a server sent: a frame of HTTP/2, or their first line. */
export function startOf(octets: Uint8Array): string {
  const frame = FRAMES[octets[3]];
  const isFrame = octets.length >= FRAME_HEADER_BYTES && octets[0] === 0 &&
    octets.subarray(5, FRAME_HEADER_BYTES).every((octet) => octet === 0);
  if (frame !== undefined && isFrame) return `a ${frame} frame of HTTP/2`;
  if (octets[0] === TLS_ALERT) return "TLS, for which the address starts with https://";
  const [line] = octetString(octets, 0, Math.min(SHOWN_START_OCTETS, octets.length)).split(/\r?\n/, 1);
  return escapeText(octetsToText(line, escapeOctet));
}
