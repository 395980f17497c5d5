/** What happens on the connections of a capture, as the server's end sees it. */

import type { Endpoint } from "../../address.ts";
import type { Closed, End, Fin, Octets, Opened, Seen } from "../../traffic.ts";

export interface PacketOrigin {
  /** The packet's number in the file: Wireshark's `frame.number`. */
  readonly packet: number;
  /** In a recording of this program, the read or write that had the octets, such as `read 3`. */
  readonly call?: string;
  /** Whether the octets belong to the same read or write as those before them. */
  readonly continues?: boolean;
  /** Whether, as far as was known then, packets of the client may be missing. */
  readonly mayLackRequests?: boolean;
}

export interface Missing extends Seen {
  readonly kind: "missing";
  readonly by: End;
  readonly octets: number;
  /** `only acknowledged`: nothing of the direction was captured; `skipped`: it stands before the first start line. */
  readonly why: "not captured" | "only acknowledged" | "skipped";
  /** The packet that was cut when it was captured, and at how many octets, if that is the cause. */
  readonly cut?: { readonly packet: number; readonly octets: number };
}

export interface Acknowledged extends Seen {
  readonly kind: "acknowledged";
  readonly by: End;
  /** How many of the octets so far are not acknowledged yet. */
  readonly unacknowledged: number;
  readonly origin: PacketOrigin;
}

/** What an end sent beside new octets. */
export interface SentFacts {
  /** The maximum segment size that it announced. */
  mss?: number;
  /** Segments whose octets had been sent before. */
  repeated: number;
  /** Segments that came late: others had overtaken them. */
  late: number;
}

/** What TCP did beside carrying octets. It grows with the packets that follow. */
export interface TcpFacts extends Record<End, SentFacts> {
  /** The packets of the handshake: SYN, SYN ACK, ACK. */
  readonly handshake: number[];
  /** From the SYN to the handshake's ACK, in microseconds, if both were sent once. */
  roundTrip?: number;
  /** Whether packets of the server may have been left out, which is known for certain once the connection ends. */
  mayLackResponses: boolean;
}

/** A connection was opened, or its first packet in the file was found. */
export interface OpenedInCapture extends Opened {
  /** The number of its stream in Wireshark, unless packets were left out that may have begun others before. */
  readonly stream: number | undefined;
  readonly tcp: TcpFacts;
  /** Whether the handshake was captured; without it, octets before the first start line are skipped. */
  readonly startCaptured: boolean;
  /** Whether it is one from a relay to its server, which repeats what a client sent to the relay. */
  readonly relayed?: boolean;
}

/** What happens on a connection, as the server's end sees it, and the packet that shows it. */
export type CaptureEvent = (OpenedInCapture | Octets | Fin | Closed | Missing) & { readonly origin: PacketOrigin };

export type StreamEvent = Exclude<CaptureEvent, OpenedInCapture | Closed> | Acknowledged;

export function serverOf({ local: { hostname, port }, secure }: Opened): Endpoint {
  return { secure, host: hostname, port };
}

export function otherEnd(end: End): End {
  return end === "client" ? "server" : "client";
}
