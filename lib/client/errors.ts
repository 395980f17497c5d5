/**
 * Errors of the client, each message one line for the user: why a connection could not be opened, how it ended, how
 * long the client waited, and what a server sent instead of a response.
 */

import { authorityOf, type Endpoint } from "../address.ts";
import { counted, octetsToText, octetString } from "../bytes.ts";
import { EXIT_INTERRUPTED, EXIT_TIMEOUT, ReportedError } from "../exit_code.ts";
import { escapeOctet, escapeText } from "../terminal.ts";

/** No valid response arrived. */
export class ClientError extends ReportedError {
  /** The name of the error's class. */
  override name: string = this.constructor.name;
}

/** No response arrived in time. */
export class TimeoutError extends ClientError {
  /** The exit code. */
  override get exitCode(): number {
    return EXIT_TIMEOUT;
  }
}

/** The user cancelled the exchange. */
export class Cancelled extends ClientError {
  /** The exit code. */
  override get exitCode(): number {
    return EXIT_INTERRUPTED;
  }
}

/** The response is not valid HTTP. */
export class InvalidResponse extends ClientError {
  /** The octets that were received but not decoded. */
  readonly octets: Uint8Array;

  /** Creates an error. */
  constructor(message: string, octets: Uint8Array) {
    super(message);
    this.octets = octets;
  }
}

/** Invalid input. */
export class InputError extends ReportedError {
  /** The name of the error's class. */
  override name = "InputError";
}

const CERTIFICATE_REASONS: readonly [pattern: RegExp, reason: string][] = [
  [/UnknownIssuer/, "its certificate is not signed by a trusted authority; --cacert FILE adds one"],
  [/CaUsedAsEndEntity/, "its certificate is a CA certificate, which a server may not use (basicConstraints)"],
  [/not valid for any names/, "its certificate names no host (subjectAltName)"],
  [/not valid for name|NotValidForName/, "its certificate is for another name"],
  [/not valid yet|NotValidYet/, "its certificate is not valid yet"],
  [/certificate expired|Expired/, "its certificate has expired"],
  [/invalid peer certificate|BadEncoding|BadSignature/, "its certificate is not valid"],
];
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
const FRAME_HEADER_OCTETS = 9;
const SHOWN_START_OCTETS = 100;
/** Octets of an upload that the systems at both ends may hold after they were handed over. */
const UNSEEN_OCTETS = 4 * 1024 * 1024;
/** How many of them reach the server in a millisecond, at least. */
const UNSEEN_OCTETS_PER_MS = 64 * 1024 / 1000;

export function connectError(
  error: unknown,
  endpoint: Endpoint,
  advice: ((host: string) => string) | undefined,
): unknown {
  if (error instanceof ClientError || error instanceof Deno.errors.NotCapable || !(error instanceof Error)) {
    return error;
  }
  const { message } = error;
  const refused = CERTIFICATE_REASONS.find(([pattern]) => pattern.test(message))?.[1];
  const reason = error instanceof Deno.errors.ConnectionRefused
    ? "connection refused (is a server running there?)"
    : /InvalidContentType/.test(message)
    ? "it does not speak TLS; try http://"
    : refused === undefined
    ? alertIn(message) ?? message
    : [refused, ...advice === undefined ? [] : [advice(endpoint.host)]].join("; ");
  return new ClientError(`Cannot connect to ${authorityOf(endpoint)}: ${reason}`);
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
  const isFrame = octets.length >= FRAME_HEADER_OCTETS && octets[0] === 0 &&
    octets.subarray(5, FRAME_HEADER_OCTETS).every((octet) => octet === 0);
  if (frame !== undefined && isFrame) return `a ${frame} frame of HTTP/2`;
  if (octets[0] === TLS_ALERT) return "TLS, for which the address starts with https://";
  const [line] = octetString(octets, 0, Math.min(SHOWN_START_OCTETS, octets.length)).split(/\r?\n/, 1);
  return escapeText(octetsToText(line, escapeOctet));
}

/** Returns how long the octets handed over last may be on their way to the server, in milliseconds. */
export function unseenMs(handedOver: number): number {
  return Math.min(handedOver, UNSEEN_OCTETS) / UNSEEN_OCTETS_PER_MS;
}

/** Creates the error of a wait that took too long; for an upload the server had `unseen` milliseconds more. */
export function timeoutError(timeoutMs: number, unseen = 0): TimeoutError {
  const seconds = timeoutMs === 1000 ? "1 second" : `${timeoutMs / 1000} seconds`;
  const more = Math.round(unseen / 1000);
  const upload = more === 0 ? "" : `, and ${counted(more, "second")} for what was sent last`;
  return new TimeoutError(`No response came within ${seconds} (--timeout)${upload}`);
}
