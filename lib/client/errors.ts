/** Errors of the client, each one line: how a connection failed or ended, and what came instead of a response. */

import { authorityOf, type Endpoint } from "../address.ts";
import { counted, octetString } from "../bytes.ts";
import { EXIT_TIMEOUT, ReportedError } from "../exit_code.ts";
import { escapeOctets } from "../terminal.ts";

/** No valid response arrived. */
export class ClientError extends ReportedError {
  /** The name of the error's class. */
  override name: string = this.constructor.name;
  /** Whether there was no connection. */
  isUnconnected = false;
  /** What was received, but is not valid HTTP. */
  octets?: Uint8Array;
}

/** No response arrived in time. */
export class TimeoutError extends ClientError {
  /** The exit code. */
  override get exitCode(): number {
    return EXIT_TIMEOUT;
  }
}

/** Why there is no connection, by the runtime's error. */
const REASONS: readonly [pattern: RegExp, reason: string][] = [
  [/^ConnectionRefused/, "connection refused (is a server running there?)"],
  [/InvalidContentType/, "it does not speak TLS; try http://"],
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
const TLS_ALERT = "\x15";
/** What precedes a frame (RFC 9113 §4.1), and those that a server of HTTP/2 sends first, by type (§6.5, §6.8). */
// deno-lint-ignore no-control-regex -- a head of nine octets
const FRAME_HEAD = /^\0..([\x04\x07]).\0{4}/s;
const FRAMES: Readonly<Record<string, string>> = { "\x04": "SETTINGS", "\x07": "GOAWAY" };
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
  const { name, message } = error;
  const known = REASONS.find(([pattern]) => pattern.test(`${name}: ${message}`))?.[1];
  const reason = known ?? alertIn(message) ?? message;
  const more = advice !== undefined && known?.startsWith("its certificate") ? `; ${advice(endpoint.host)}` : "";
  return new ClientError(`Cannot connect to ${authorityOf(endpoint)}: ${reason}${more}`, { cause: error });
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
  const start = octetString(octets, 0, Math.min(SHOWN_START_OCTETS, octets.length));
  const frame = FRAME_HEAD.exec(start);
  if (frame !== null) return `a ${FRAMES[frame[1]]} frame of HTTP/2`;
  if (start.startsWith(TLS_ALERT)) return "TLS, for which the address starts with https://";
  return escapeOctets(start.split(/\r?\n/, 1)[0]);
}

/** Returns how long the octets handed over last may be on their way to the server, in milliseconds. */
export function unseenMs(handedOver: number): number {
  return Math.min(handedOver, UNSEEN_OCTETS) / UNSEEN_OCTETS_PER_MS;
}

/** Creates the error of a wait that took too long; for an upload the server had `unseen` milliseconds more. */
export function timeoutError(timeoutMs: number, unseen = 0): TimeoutError {
  const more = Math.round(unseen / 1000);
  const upload = more === 0 ? "" : `, and ${counted(more, "second")} for what was sent last`;
  return new TimeoutError(`No response came within ${counted(timeoutMs / 1000, "second")} (--timeout)${upload}`);
}
