/**
 * TLS with every socket in hand.
 *
 * Closing a TLS connection of Deno's frees nothing while its handshake is unfinished or a write is stuck: the client
 * decides how long a socket lives. So the public socket is a plain one. Its octets are passed to a TLS listener on
 * loopback and back, and closing the plain sockets ends both sides whatever the client does.
 *
 * @module
 */

import { writeAll } from "../bytes.ts";

/** Octets that are passed on at a time: the most that a TLS record holds (RFC 8446 §5.1), so that memory stays small. */
const PASSED_BYTES = 16 * 1024;

/** A certificate and its key, in PEM. */
export interface TlsIdentity {
  /** The certificate, and those that lead to a trusted one. */
  readonly cert: string;
  /** The key. */
  readonly key: string;
}

/** Accepts clients of a plain listener and speaks TLS with them. */
export class TlsRelay implements Deno.Listener {
  readonly #public: Deno.Listener;
  readonly #inner: Deno.TlsListener;
  readonly #innerPort: number;
  /** Whether a connection to the inner listener is being made; it may be accepted before it is made. */
  #linking = false;
  /** Inner connections that were accepted meanwhile: the one that is being made, or another program's. */
  #early: Deno.TlsConn[] = [];
  /** The port that the next inner connection must come from, and who waits for it. */
  #awaited: { readonly port: number; readonly accepted: PromiseWithResolvers<Deno.TlsConn> } | undefined;

  /**
   * Takes over a listener.
   *
   * @throws {Error} If certificate and key do not fit together.
   */
  constructor(listener: Deno.Listener, identity: TlsIdentity) {
    this.#public = listener;
    this.#inner = Deno.listenTls({ hostname: "127.0.0.1", port: 0, ...identity, alpnProtocols: ["http/1.1"] });
    this.#innerPort = (this.#inner.addr as Deno.NetAddr).port;
    this.#acceptInner();
  }

  /** The public address. */
  get addr(): Deno.Addr {
    return this.#public.addr;
  }

  /** The next client's connection. Its handshake is still to be done. */
  async accept(): Promise<RelayedConn> {
    const outer = await this.#public.accept() as Deno.TcpConn;
    let link: Deno.TcpConn | undefined;
    try {
      this.#linking = true;
      link = await Deno.connect({ hostname: "127.0.0.1", port: this.#innerPort });
      const accepted = Promise.withResolvers<Deno.TlsConn>();
      this.#awaited = { port: (link.localAddr as Deno.NetAddr).port, accepted };
      this.#linking = false;
      for (const conn of this.#early.splice(0)) this.#admit(conn);
      return new RelayedConn(outer, link, await accepted.promise);
    } catch (error) {
      outer.close();
      link?.close();
      throw error;
    } finally {
      this.#linking = false;
    }
  }

  /** Stops accepting. */
  close(): void {
    this.#public.close();
    this.#inner.close();
    for (const conn of this.#early.splice(0)) conn.close();
    this.#awaited?.accepted.reject(new Deno.errors.Interrupted("The listener is closed"));
  }

  /** As {@linkcode Deno.Listener.ref}. */
  ref(): void {
    this.#public.ref();
  }

  /** As {@linkcode Deno.Listener.unref}. */
  unref(): void {
    this.#public.unref();
  }

  /** Closes the listener. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Every connection that comes. */
  async *[Symbol.asyncIterator](): AsyncIterableIterator<RelayedConn> {
    for (;;) yield await this.accept();
  }

  async #acceptInner(): Promise<void> {
    for (;;) {
      let conn: Deno.TlsConn;
      try {
        conn = await this.#inner.accept();
      } catch (error) {
        if (error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted) return;
        continue;
      }
      this.#admit(conn);
    }
  }

  /** Takes the inner connection that is waited for. One from another port is another program's, and is closed. */
  #admit(conn: Deno.TlsConn): void {
    const { port } = conn.remoteAddr as Deno.NetAddr;
    if (port === this.#awaited?.port) {
      this.#awaited.accepted.resolve(conn);
      this.#awaited = undefined;
    } else if (this.#linking) this.#early.push(conn);
    else conn.close();
  }
}

/** A client's TLS connection, which can be closed whatever the client does. */
export class RelayedConn implements Deno.Conn {
  readonly #outer: Deno.TcpConn;
  readonly #link: Deno.TcpConn;
  readonly #tls: Deno.TlsConn;

  /** Passes octets between the public connection and the inner one. */
  constructor(outer: Deno.TcpConn, link: Deno.TcpConn, tls: Deno.TlsConn) {
    this.#outer = outer;
    this.#link = link;
    this.#tls = tls;
    outer.setNoDelay();
    link.setNoDelay();
    passOn(outer, link);
    passOn(link, outer);
  }

  /** The client's address. */
  get remoteAddr(): Deno.Addr {
    return this.#outer.remoteAddr;
  }

  /** The public address. */
  get localAddr(): Deno.Addr {
    return this.#outer.localAddr;
  }

  /** As {@linkcode Deno.Conn.readable}. */
  get readable(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#tls.readable;
  }

  /** As {@linkcode Deno.Conn.writable}. */
  get writable(): WritableStream<Uint8Array<ArrayBufferLike>> {
    return this.#tls.writable;
  }

  /** Agrees on TLS with the client. */
  handshake(): Promise<Deno.TlsHandshakeInfo> {
    return this.#tls.handshake();
  }

  /** Reads content that TLS carried. */
  read(bytes: Uint8Array): Promise<number | null> {
    return this.#tls.read(bytes);
  }

  /** Writes content for TLS to carry. */
  write(bytes: Uint8Array): Promise<number> {
    return this.#tls.write(bytes);
  }

  /** Ends this side. */
  closeWrite(): Promise<void> {
    return this.#tls.closeWrite();
  }

  /** Closes every socket of the connection. */
  close(): void {
    for (const conn of [this.#outer, this.#link, this.#tls]) {
      try {
        conn.close();
      } catch {
        // It is closed already.
      }
    }
  }

  /** As {@linkcode Deno.Conn.ref}. */
  ref(): void {
    this.#outer.ref();
  }

  /** As {@linkcode Deno.Conn.unref}. */
  unref(): void {
    this.#outer.unref();
  }

  /** Closes the connection. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/** Passes on what comes on one connection to another, its end too. A connection that breaks ends the other one. */
async function passOn(from: Deno.TcpConn, to: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(PASSED_BYTES);
  try {
    for (let count = await from.read(buffer); count !== null; count = await from.read(buffer)) {
      await writeAll(to, buffer.subarray(0, count));
    }
    await to.closeWrite();
  } catch {
    for (const conn of [from, to]) {
      try {
        conn.close();
      } catch {
        // It is closed already.
      }
    }
  }
}
