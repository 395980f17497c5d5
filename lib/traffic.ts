/**
 * Events of connections, as seen by both ends: the common vocabulary of all views of the traffic.
 *
 * The program sees reads and writes, never segments or packets.
 *
 * @module
 */

import type { SocketAddress } from "./address.ts";

/** The end of a connection that saw an event. */
export type End = "client" | "server";

export type { SocketAddress };

/** What all events have: who saw it, the connection's number (from 1 at each end), microseconds since the start. */
export type Seen = { readonly end: End; readonly connection: number; readonly time: number };

/** A connection was opened; with TLS, after its handshake. If it is `secure`, octets are the decrypted ones. */
export type Opened = Seen & {
  readonly kind: "opened";
  /** The address of the end that saw it, and that of the other one. */
  readonly local: SocketAddress;
  readonly remote: SocketAddress;
  readonly secure: boolean;
};

/** Octets of one read or write. They are valid only until the listener returns: copy them to keep them. */
export type Octets = Seen & { readonly kind: "read" | "write"; readonly bytes: Uint8Array };

/** One end has closed its side: it sent FIN. */
export type Fin = Seen & { readonly kind: "fin"; readonly by: End };

/** The connection was closed, and why, as said or as seen by the socket; and whether a reset has ended it. */
export type Closed = Seen & { readonly kind: "closed"; readonly reason: string; readonly isReset: boolean };

/** An event of a connection. */
export type TrafficEvent = Opened | Octets | Fin | Closed;

/** Counts reads and writes that are not reported. */
export type EventCounter = { events: number };

/** Receives events in the order of their end. Once it returns a counter, reads and writes are only counted there. */
export type TrafficListener = (event: TrafficEvent) => EventCounter | void;
