/**
 * Wraps listeners and connections, and reports their events in user space.
 *
 * Reads and writes are reported unchanged; with TLS, their octets are the decrypted ones.
 *
 * @module
 */

import { socketAddress } from "../address.ts";
import type { End, TrafficListener, Untold } from "../traffic.ts";

/** Returns the monotonic time in microseconds since the program's start. */
export type Microseconds = () => number;

/** The monotonic clock. */
export const SINCE_START: Microseconds = (): number => Math.round(performance.now() * 1000);

/**
 * A listener whose connections are tapped, at the server's end. They are numbered from 1 in the order of acceptance.
 */
export class TappedListener implements Deno.Listener {
  readonly #inner: Deno.Listener;
  readonly #told: TrafficListener;
  readonly #now: Microseconds;
  #accepted = 0;

  /** Taps the connections that a listener accepts. */
  constructor(inner: Deno.Listener, told: TrafficListener, now: Microseconds = SINCE_START) {
    this.#inner = inner;
    this.#told = told;
    this.#now = now;
  }

  /** Implements {@linkcode Deno.Listener.addr}. */
  get addr(): Deno.Addr {
    return this.#inner.addr;
  }

  /** Waits for the next connection. */
  async accept(): Promise<Deno.Conn> {
    const conn = await this.#inner.accept();
    return tapped(conn, "server", ++this.#accepted, this.#told, this.#now);
  }

  /** Stops accepting. */
  close(): void {
    this.#inner.close();
  }

  /** Implements {@linkcode Deno.Listener.ref}. */
  ref(): void {
    this.#inner.ref();
  }

  /** Implements {@linkcode Deno.Listener.unref}. */
  unref(): void {
    this.#inner.unref();
  }

  /** Closes the listener. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Iterates over the connections. */
  async *[Symbol.asyncIterator](): AsyncIterableIterator<Deno.Conn> {
    for (;;) yield await this.accept();
  }
}

/**
 * Wraps a connection to report its events.
 *
 * @param end The end of it that this program holds.
 * @param connection Its number.
 */
export function tapped(
  conn: Deno.Conn,
  end: End,
  connection: number,
  told: TrafficListener,
  now: Microseconds = SINCE_START,
): Deno.Conn {
  const make = "handshake" in conn ? TappedTlsConn : TappedConn;
  return new make(conn, end, connection, told, now);
}

/** Combines listeners into one, ignoring what they return; `undefined` if there are none. */
export function allOf(listeners: readonly TrafficListener[]): TrafficListener | undefined {
  if (listeners.length < 2) return listeners[0];
  return (event) => {
    for (const listener of listeners) listener(event);
  };
}

const NO_BYTES = new Uint8Array(0);

class TappedConn implements Deno.Conn {
  protected readonly conn: Deno.Conn;
  readonly #end: End;
  readonly #connection: number;
  readonly #told: TrafficListener;
  readonly #now: Microseconds;
  #opened = false;
  #closed = false;
  /** The ends that have closed their side, in order. */
  readonly #fins: End[] = [];
  /** Why the connection is broken, if it is. */
  #broken: string | undefined;
  #readInto: Uint8Array = NO_BYTES;
  #writeFrom: Uint8Array = NO_BYTES;
  /** Counts reads and writes once they are no longer reported. */
  #untold: Untold | undefined;

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
    else if (!this.#closed) this.break(error instanceof Deno.errors.ConnectionReset ? "reset" : "broken");
    throw error;
  };

  constructor(conn: Deno.Conn, end: End, connection: number, told: TrafficListener, now: Microseconds) {
    this.conn = conn;
    this.#end = end;
    this.#connection = connection;
    this.#told = told;
    this.#now = now;
    if (!("handshake" in conn)) this.open();
  }

  get localAddr(): Deno.Addr {
    return this.conn.localAddr;
  }

  get remoteAddr(): Deno.Addr {
    return this.conn.remoteAddr;
  }

  /** Bypasses the tap. This program does not use streams of connections. */
  get readable(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.conn.readable;
  }

  get writable(): WritableStream<Uint8Array<ArrayBufferLike>> {
    return this.conn.writable;
  }

  /** Reads as {@linkcode Deno.Conn.read}; one read at a time. */
  read(buffer: Uint8Array): Promise<number | null> {
    if (this.#untold !== undefined) {
      this.#untold.events++;
      return this.conn.read(buffer);
    }
    this.#readInto = buffer;
    return this.conn.read(buffer).then(this.#hasRead, this.#failed);
  }

  /** Writes as {@linkcode Deno.Conn.write}; one write at a time. */
  write(bytes: Uint8Array): Promise<number> {
    if (this.#untold !== undefined) {
      this.#untold.events++;
      return this.conn.write(bytes);
    }
    this.#writeFrom = bytes;
    return this.conn.write(bytes).then(this.#hasWritten, this.#failed);
  }

  closeWrite(): Promise<void> {
    this.#fin(this.#end);
    return this.conn.closeWrite();
  }

  close(): void {
    if (!this.#closed) {
      this.open();
      if (this.#broken === undefined) this.#fin(this.#end);
      this.#closed = true;
      const reason = this.#broken ?? `by the ${this.#fins[0]}`;
      this.#told({ kind: "closed", ...this.#seen(), reason });
    }
    this.conn.close();
  }

  ref(): void {
    this.conn.ref();
  }

  unref(): void {
    this.conn.unref();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Reports that the connection is open, once. */
  protected open(): void {
    if (this.#opened) return;
    this.#opened = true;
    const local = socketAddress(this.conn.localAddr);
    const remote = socketAddress(this.conn.remoteAddr);
    this.#told({ kind: "opened", ...this.#seen(), local, remote, secure: "handshake" in this.conn });
  }

  /** Records why the connection is unusable. */
  protected break(reason: string): void {
    this.#broken ??= reason;
  }

  #finOfPeer(): void {
    this.#fin(this.#end === "server" ? "client" : "server");
  }

  #fin(by: End): void {
    if (this.#closed || this.#broken !== undefined || this.#fins.includes(by)) return;
    this.#fins.push(by);
    this.#told({ kind: "fin", ...this.#seen(), by });
  }

  #octets(kind: "read" | "write", buffer: Uint8Array, count: number): void {
    // A client that speaks plain HTTP where TLS is expected is answered, but that is no part of a TLS connection.
    if (this.#closed || this.#broken !== undefined || count === 0) return;
    const bytes = count === buffer.length ? buffer : buffer.subarray(0, count);
    const event = { kind, end: this.#end, connection: this.#connection, time: this.#now(), bytes };
    this.#untold = this.#told(event) ?? undefined;
  }

  #seen(): { end: End; connection: number; time: number } {
    return { end: this.#end, connection: this.#connection, time: this.#now() };
  }
}

/** One that speaks TLS: it is there once that is agreed on. */
class TappedTlsConn extends TappedConn {
  async handshake(): Promise<Deno.TlsHandshakeInfo> {
    try {
      const info = await (this.conn as Deno.TlsConn).handshake();
      this.open();
      return info;
    } catch (error) {
      this.break("no TLS handshake");
      throw error;
    }
  }
}
