/**
 * The tap: wraps listeners and connections, and tells a listener what happens on them, in user space.
 *
 * Octets are told as they were read and written, inside TLS where TLS is spoken. Nothing is changed, and nothing but the
 * telling is added to a read or a write.
 *
 * @module
 */

import type { End, SocketAddress, TrafficListener, Untold } from "../traffic.ts";

/** Time in microseconds since the program's start, by the monotonic clock. */
export type Microseconds = () => number;

/** The monotonic clock. */
export const SINCE_START: Microseconds = (): number => Math.round(performance.now() * 1000);

/** A listener whose connections are tapped, at the server's end. They count from 1, as they are accepted. */
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

  /** As {@linkcode Deno.Listener.addr}. */
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

  /** As {@linkcode Deno.Listener.ref}. */
  ref(): void {
    this.#inner.ref();
  }

  /** As {@linkcode Deno.Listener.unref}. */
  unref(): void {
    this.#inner.unref();
  }

  /** Closes the listener. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Every connection that comes. */
  async *[Symbol.asyncIterator](): AsyncIterableIterator<Deno.Conn> {
    for (;;) yield await this.accept();
  }
}

/**
 * A connection that tells what happens on it.
 *
 * @param end Which end of it this program holds.
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

/** One listener that passes all events on to several, whatever they return; `undefined` if there are none. */
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
  /** Who ended its side, in this order. */
  readonly #fins: End[] = [];
  /** Why the connection is broken, if it is. */
  #broken: string | undefined;
  #readInto: Uint8Array = NO_BYTES;
  #writeFrom: Uint8Array = NO_BYTES;
  /** Counts reads and writes once nobody wants to be told of them. */
  #untold: Untold | undefined;

  // These are made once for a connection: reads and writes are many.
  readonly #hasRead = (count: number | null): number | null => {
    if (count === null) this.#fin(this.#end === "server" ? "client" : "server");
    else this.#octets("read", this.#readInto, count);
    return count;
  };
  readonly #hasWritten = (count: number): number => {
    this.#octets("write", this.#writeFrom, count);
    return count;
  };
  readonly #failed = (error: unknown): never => {
    // A read that is cut off by close() says nothing of the peer.
    if (!this.#closed) this.break(error instanceof Deno.errors.ConnectionReset ? "reset" : "broken");
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

  /** Streams would pass the tap by: nobody in this program uses them. */
  get readable(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.conn.readable;
  }

  get writable(): WritableStream<Uint8Array<ArrayBufferLike>> {
    return this.conn.writable;
  }

  /** As {@linkcode Deno.Conn.read}; one read at a time. */
  read(buffer: Uint8Array): Promise<number | null> {
    if (this.#untold !== undefined) {
      this.#untold.events++;
      return this.conn.read(buffer);
    }
    this.#readInto = buffer;
    return this.conn.read(buffer).then(this.#hasRead, this.#failed);
  }

  /** As {@linkcode Deno.Conn.write}; one write at a time. */
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

  /** Tells that the connection is there, once. */
  protected open(): void {
    if (this.#opened) return;
    this.#opened = true;
    const local = addressOf(this.conn.localAddr);
    const remote = addressOf(this.conn.remoteAddr);
    this.#told({ kind: "opened", ...this.#seen(), local, remote, secure: "handshake" in this.conn });
  }

  /** Notes why the connection is of no more use. */
  protected break(reason: string): void {
    this.#broken ??= reason;
  }

  #fin(by: End): void {
    if (this.#closed || this.#fins.includes(by)) return;
    this.#fins.push(by);
    this.#told({ kind: "fin", ...this.#seen(), by });
  }

  #octets(kind: "read" | "write", buffer: Uint8Array, count: number): void {
    if (this.#closed || count === 0) return;
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

function addressOf(addr: Deno.Addr): SocketAddress {
  return "hostname" in addr ? { hostname: addr.hostname, port: addr.port } : { hostname: "", port: 0 };
}
