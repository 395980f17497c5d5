/**
 * TLS on sockets that can always be closed.
 *
 * Closing a TLS connection in Deno releases nothing while its handshake is unfinished or a write is blocked, so a
 * client could keep sockets open. Therefore the public listener is a plain one, and its octets are relayed to a TLS
 * listener on loopback. Closing the plain sockets ends both sides whatever the client does.
 *
 * @module
 */

import { writeAll } from "../bytes.ts";
import { hadLeft, scarcity } from "./disconnect.ts";

/** Octets relayed at a time: the size of the largest TLS record (RFC 8446 §5.1), so that memory stays small. */
const PASSED_BYTES = 16 * 1024;

/** A certificate and its key, in PEM. */
export interface TlsIdentity {
  /** The certificate, followed by its chain. */
  readonly cert: string;
  /** The key. */
  readonly key: string;
}

/** Accepts clients on a plain listener, and speaks TLS with them. */
export class TlsRelay implements Deno.Listener {
  readonly #public: Deno.Listener;
  #inner: Deno.TlsListener;
  /** Earlier inner listeners, of which the last client may still be on its way to one. */
  readonly #retired: Deno.TlsListener[] = [];
  #closed = false;
  /** Whether a connection to the inner listener is being made. It may be accepted before connecting resolves. */
  #linking = false;
  /** Inner connections accepted meanwhile: the expected one, or another program's. */
  #early: Deno.TlsConn[] = [];
  /** A client that was accepted while the system lacked descriptors for the inner connection. */
  #kept: Deno.TcpConn | undefined;
  /** Continues accepting inner connections after one could not be accepted. */
  #resume: (() => void) | undefined;
  /** The port of the expected inner connection, and the promise that waits for it. */
  #awaited: { readonly port: number; readonly accepted: PromiseWithResolvers<Deno.TlsConn> } | undefined;

  /**
   * Takes over a listener.
   *
   * @throws {Error} If certificate and key do not match.
   */
  constructor(listener: Deno.Listener, identity: TlsIdentity) {
    this.#public = listener;
    this.#inner = this.#listen(identity);
  }

  /**
   * Uses another certificate for the connections from now on; open ones go on with theirs.
   *
   * @throws {Error} If certificate and key do not match. Then nothing has changed.
   */
  renew(identity: TlsIdentity): void {
    if (this.#closed) return;
    const next = this.#listen(identity);
    this.#retired.push(this.#inner);
    this.#inner = next;
    if (!this.#linking && this.#awaited === undefined) this.#closeRetired();
  }

  /** The public address. */
  get addr(): Deno.Addr {
    return this.#public.addr;
  }

  /**
   * Returns the next client's connection, before its handshake. If the system lacks descriptors for it, the call fails
   * and the next one continues with the same client.
   */
  async accept(): Promise<RelayedConn> {
    const outer = this.#kept ?? await this.#public.accept() as Deno.TcpConn;
    this.#kept = undefined;
    let link: Deno.TcpConn | undefined;
    try {
      this.#linking = true;
      link = await Deno.connect({ hostname: "127.0.0.1", port: (this.#inner.addr as Deno.NetAddr).port });
      const accepted = Promise.withResolvers<Deno.TlsConn>();
      this.#awaited = { port: (link.localAddr as Deno.NetAddr).port, accepted };
      this.#linking = false;
      for (const conn of this.#early.splice(0)) this.#admit(conn);
      this.#resume?.();
      return new RelayedConn(outer, link, await accepted.promise);
    } catch (error) {
      link?.close();
      if (!this.#closed && scarcity(error) === "descriptors") this.#kept = outer;
      else outer.close();
      throw error;
    } finally {
      this.#linking = false;
      this.#awaited = undefined;
      this.#closeRetired();
    }
  }

  /** Stops accepting. */
  close(): void {
    this.#closed = true;
    this.#public.close();
    this.#inner.close();
    this.#closeRetired();
    this.#resume?.();
    this.#kept?.close();
    for (const conn of this.#early.splice(0)) conn.close();
    this.#awaited?.accepted.reject(new Deno.errors.Interrupted("The listener is closed"));
  }

  /** Implements {@linkcode Deno.Listener.ref}. */
  ref(): void {
    this.#public.ref();
  }

  /** Implements {@linkcode Deno.Listener.unref}. */
  unref(): void {
    this.#public.unref();
  }

  /** Closes the listener. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Iterates over the connections. */
  async *[Symbol.asyncIterator](): AsyncIterableIterator<RelayedConn> {
    for (;;) yield await this.accept();
  }

  /** Starts an inner listener. */
  #listen(identity: TlsIdentity): Deno.TlsListener {
    const inner = Deno.listenTls({ hostname: "127.0.0.1", port: 0, ...identity, alpnProtocols: ["http/1.1"] });
    this.#acceptInner(inner);
    return inner;
  }

  #closeRetired(): void {
    for (const inner of this.#retired.splice(0)) inner.close();
  }

  async #acceptInner(inner: Deno.TlsListener): Promise<void> {
    for (;;) {
      let conn: Deno.TlsConn;
      try {
        conn = await inner.accept();
      } catch (error) {
        if (this.#closed || error instanceof Deno.errors.BadResource) return;
        // Another program that has left again is ignored.
        if (hadLeft(error)) continue;
        this.#awaited?.accepted.reject(error);
        if (inner !== this.#inner) return;
        await new Promise<void>((resolve) => this.#resume = resolve);
        continue;
      }
      this.#admit(conn);
    }
  }

  /** Passes on the expected inner connection. One from another port belongs to another program, and is closed. */
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

  /** Relays octets between the public connection and the inner one. */
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

  /** Implements {@linkcode Deno.Conn.readable}. */
  get readable(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#tls.readable;
  }

  /** Implements {@linkcode Deno.Conn.writable}. */
  get writable(): WritableStream<Uint8Array<ArrayBufferLike>> {
    return this.#tls.writable;
  }

  /** Performs the TLS handshake. */
  handshake(): Promise<Deno.TlsHandshakeInfo> {
    return this.#tls.handshake();
  }

  /** Reads decrypted content. */
  read(bytes: Uint8Array): Promise<number | null> {
    return this.#tls.read(bytes);
  }

  /** Writes content to be encrypted. */
  write(bytes: Uint8Array): Promise<number> {
    return this.#tls.write(bytes);
  }

  /** Closes this side. */
  closeWrite(): Promise<void> {
    return this.#tls.closeWrite();
  }

  /** Closes all sockets of the connection. */
  close(): void {
    for (const conn of [this.#outer, this.#link, this.#tls]) {
      try {
        conn.close();
      } catch {
        // Already closed.
      }
    }
  }

  /** Implements {@linkcode Deno.Conn.ref}. */
  ref(): void {
    this.#outer.ref();
  }

  /** Implements {@linkcode Deno.Conn.unref}. */
  unref(): void {
    this.#outer.unref();
  }

  /** Closes the connection. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/** Relays one direction, including its end. If a connection breaks, both are closed. */
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
        // Already closed.
      }
    }
  }
}
