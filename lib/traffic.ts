/**
 * What happens on connections, as both ends see it: one vocabulary of events, for every view of the traffic.
 *
 * The program sees reads and writes, never segments or packets.
 *
 * @module
 */

/** Which end of a connection saw something. */
export type End = "client" | "server";

/** One end's address. */
export interface SocketAddress {
  /** An IP address, without brackets. */
  readonly hostname: string;
  /** A TCP port. */
  readonly port: number;
}

/** What every event tells. */
export interface Seen {
  /** The end that saw it. */
  readonly end: End;
  /** The connection's number, from 1; each end counts its own. */
  readonly connection: number;
  /** When, by the monotonic clock, in microseconds since the program's start. */
  readonly time: number;
}

/** A connection is there; with TLS, after its handshake. */
export interface Opened extends Seen {
  /** Tells the events apart. */
  readonly kind: "opened";
  /** The address of the end that saw it. */
  readonly local: SocketAddress;
  /** The address of the other end. */
  readonly remote: SocketAddress;
  /** Whether TLS is spoken: the octets told are those inside. */
  readonly secure: boolean;
}

/** Octets were read or written at once. They are lent: copy them to keep them. */
export interface Octets extends Seen {
  /** Tells the events apart. */
  readonly kind: "read" | "write";
  /** The octets, valid until the listener returns. */
  readonly bytes: Uint8Array;
}

/** One end will send no more. */
export interface Fin extends Seen {
  /** Tells the events apart. */
  readonly kind: "fin";
  /** Who sent it. */
  readonly by: End;
}

/** The connection has ended. */
export interface Closed extends Seen {
  /** Tells the events apart. */
  readonly kind: "closed";
  /** What the socket showed: whose FIN came first, a reset, a failed handshake. */
  readonly reason: string;
}

/** What happened on a connection. */
export type TrafficEvent = Opened | Octets | Fin | Closed;

/** Counts what is not told. */
export interface Untold {
  /** Reads and writes. */
  events: number;
}

/**
 * Receives events, in their order at each end.
 *
 * Where it returns a counter, the connection's further octets are of no interest: its reads and writes are counted
 * there, and only its end is told.
 */
export type TrafficListener = (event: TrafficEvent) => Untold | void;
