/**
 * Taps on listeners and connections: they report events in user space. With TLS, octets are the decrypted ones.
 *
 * @module
 */

import { addressText, socketAddress } from "../address.ts";
import { counted } from "../bytes.ts";
import type { End, Seen, TrafficEvent, TrafficListener, Untold } from "../traffic.ts";

/** Returns the monotonic time in microseconds since the program's start. */
export type Microseconds = () => number;

/** The monotonic clock. */
export const SINCE_START: Microseconds = (): number => Math.round(performance.now() * 1000);

/** Taps all connections of a listener, at the server's end. They are numbered from 1 in the order of acceptance. */
export function tappedListener(
  listener: Deno.Listener,
  report: TrafficListener,
  now: Microseconds = SINCE_START,
): Deno.Listener {
  const { accept } = listener;
  let accepted = 0;
  return Object.assign(listener, {
    accept: async () => tapped(await accept.call(listener), "server", ++accepted, report, now),
  });
}

/**
 * Taps a connection, of which one read and one write at a time are reported.
 *
 * @param end The end of it that this program holds.
 */
export function tapped(
  conn: Deno.Conn,
  end: End,
  connection: number,
  report: TrafficListener,
  now: Microseconds = SINCE_START,
): Deno.Conn {
  return Object.assign(conn, new Tap(conn as Deno.TlsConn, end, connection, report, now).methods);
}

/** Combines listeners into one, ignoring what they return; `undefined` if there are none. */
export function allOf(listeners: readonly TrafficListener[]): TrafficListener | undefined {
  if (listeners.length < 2) return listeners[0];
  return (event) => {
    for (const listener of listeners) listener(event);
  };
}

/** One line about an event, without the end that saw it. */
export function lifeLine(event: TrafficEvent): string {
  const { connection } = event;
  switch (event.kind) {
    case "opened": {
      const [client, server] = event.end === "client" ? [event.local, event.remote] : [event.remote, event.local];
      return `connection ${connection} opened by ${addressText(client)} to ${addressText(server)}`;
    }
    case "read":
    case "write":
      return `connection ${connection} ${event.kind} of ${counted(event.bytes.length, "octet")}`;
    case "fin":
      return `connection ${connection} FIN by the ${event.by}`;
    case "closed":
      return `connection ${connection} closed ${event.reason}`;
  }
}

const NO_OCTETS = new Uint8Array(0);

class Tap {
  /** Those that take the place of the connection's own. */
  readonly methods: Partial<Deno.TlsConn>;
  readonly #conn: Deno.Conn;
  readonly #end: End;
  readonly #connection: number;
  readonly #report: TrafficListener;
  readonly #now: Microseconds;
  readonly #secure: boolean;
  #opened = false;
  #closed = false;
  /** The ends that have closed their side, in order. */
  readonly #fins: End[] = [];
  /** Why the connection is unusable, if it is. */
  #broken: string | undefined;
  #readInto: Uint8Array = NO_OCTETS;
  #writeFrom: Uint8Array = NO_OCTETS;
  /** Counts reads and writes once they are no longer reported. */
  #untold: Untold | undefined;

  constructor(conn: Deno.TlsConn, end: End, connection: number, report: TrafficListener, now: Microseconds) {
    this.#conn = conn;
    this.#end = end;
    this.#connection = connection;
    this.#report = report;
    this.#now = now;
    const { read, write, closeWrite, close, handshake } = conn;
    this.#secure = handshake !== undefined;
    this.methods = {
      read: (buffer) => {
        const count = read.call(conn, buffer);
        if (this.#isUntold()) return count;
        this.#readInto = buffer;
        return count.then(this.#hasRead, this.#failed);
      },
      write: (octets) => {
        const count = write.call(conn, octets);
        if (this.#isUntold()) return count;
        this.#writeFrom = octets;
        return count.then(this.#hasWritten, this.#failed);
      },
      closeWrite: () => {
        this.#fin(end);
        return closeWrite.call(conn);
      },
      close: () => {
        this.#close();
        close.call(conn);
      },
      ...this.#secure && { handshake: () => handshake.call(conn).then(this.#agreed, this.#refused) },
    };
    if (!this.#secure) this.#open();
  }

  // Created once per connection, because reads and writes are frequent.
  readonly #hasRead = (count: number | null): number | null => {
    if (count === null) this.#finOfPeer();
    else this.#octets("read", this.#readInto, count);
    return count;
  };
  readonly #hasWritten = (count: number): number => {
    this.#octets("write", this.#writeFrom, count);
    return count;
  };
  readonly #failed = (error: unknown): never => {
    // A read ended by close() says nothing about the peer.
    // Many peers end TLS with a FIN alone (RFC 8446 §6.1).
    if (error instanceof Deno.errors.UnexpectedEof) this.#finOfPeer();
    else if (!this.#closed) this.#broken ??= error instanceof Deno.errors.ConnectionReset ? "reset" : "broken";
    throw error;
  };
  readonly #agreed = (info: Deno.TlsHandshakeInfo): Deno.TlsHandshakeInfo => {
    this.#open();
    return info;
  };
  readonly #refused = (error: unknown): never => {
    this.#broken ??= "no TLS handshake";
    throw error;
  };

  #isUntold(): boolean {
    if (this.#untold !== undefined) this.#untold.events++;
    return this.#untold !== undefined;
  }

  #open(): void {
    if (this.#opened) return;
    this.#opened = true;
    const local = socketAddress(this.#conn.localAddr);
    const remote = socketAddress(this.#conn.remoteAddr);
    this.#report({ kind: "opened", ...this.#seen(), local, remote, secure: this.#secure });
  }

  #close(): void {
    if (this.#closed) return;
    this.#open();
    if (this.#broken === undefined) this.#fin(this.#end);
    this.#closed = true;
    this.#report({ kind: "closed", ...this.#seen(), reason: this.#broken ?? `by the ${this.#fins[0]}` });
  }

  #finOfPeer(): void {
    this.#fin(this.#end === "server" ? "client" : "server");
  }

  #fin(by: End): void {
    if (this.#closed || this.#broken !== undefined || this.#fins.includes(by)) return;
    this.#fins.push(by);
    this.#report({ kind: "fin", ...this.#seen(), by });
  }

  #octets(kind: "read" | "write", buffer: Uint8Array, count: number): void {
    // A client that speaks plain HTTP where TLS is expected is answered, but that is no part of a TLS connection.
    if (this.#closed || this.#broken !== undefined || count === 0) return;
    const bytes = count === buffer.length ? buffer : buffer.subarray(0, count);
    const event = { kind, end: this.#end, connection: this.#connection, time: this.#now(), bytes };
    this.#untold = this.#report(event) ?? undefined;
  }

  #seen(): Seen {
    return { end: this.#end, connection: this.#connection, time: this.#now() };
  }
}
