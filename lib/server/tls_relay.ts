/**
 * TLS on sockets that can always be closed.
 *
 * Closing a TLS connection in Deno releases nothing while its handshake is unfinished or a write is blocked, so a
 * client could keep sockets open. Therefore the public listener is a plain one, and its octets are relayed to a TLS
 * listener on loopback. Closing the plain sockets ends both sides whatever the client does.
 *
 * The price: a Deno.TlsConn that was accepted has no `setNoDelay`, and writes each record of 16 KiB alone. The system
 * holds a record back while an earlier one is not acknowledged, so that a longer answer may wait for that: some 44 ms.
 */

import { type Listener, nextReadSize, type Socket, writeAll } from "../bytes.ts";
import { HttpError } from "../http_message.ts";
import { closeAll } from "./accepted.ts";
import { hadLeft, scarcity } from "./errors.ts";

/** Octets relayed at a time at first: many connections are idle. */
const MIN_PASSED_BYTES = 1024;
/** Octets relayed at a time at most: those of one write, and what TLS adds. */
const MAX_PASSED_BYTES = 66 * 1024;
/** Octets written at a time at most. */
const MAX_WRITTEN_BYTES = 64 * 1024;
/**
 * Octets that count as written while they are on the way, as those do that the client's own socket holds. The system may
 * hold back one segment of loopback until more comes, or for 40 ms: waiting for that each time would be slow.
 */
const MAX_PASSING_BYTES = 64 * 1024;

/** A certificate, followed by its chain, and its key, in PEM. */
interface TlsIdentity {
  readonly cert: string;
  readonly key: string;
}

/** How long connecting to the inner listener may take: another program may have filled its queue. */
const LINK_MS = 1000;

/** Accepts clients on a plain listener, and speaks TLS with them. */
export class TlsRelay implements Listener {
  #inner: Deno.TlsListener;
  /** Takes the inner listener's place for the next client. */
  #next: Deno.TlsListener | undefined;
  /** A client that was accepted while there could be no inner connection. */
  #kept: Deno.TcpConn | undefined;
  #closed = false;

  /** @throws {Error} If certificate and key do not match. */
  constructor(private readonly listener: Deno.Listener, private identity: TlsIdentity) {
    this.#inner = listenTls(identity);
  }

  /**
   * Uses another certificate for the connections from now on; open ones, and one on its way, go on with theirs.
   *
   * @throws {Error} If certificate and key do not match. Then nothing has changed.
   */
  renew(identity: TlsIdentity): void {
    if (this.#closed) return;
    const next = listenTls(identity);
    this.#next?.close();
    this.#next = next;
    this.identity = identity;
  }

  get addr(): Deno.Addr {
    return this.listener.addr;
  }

  /**
   * Returns the next client's connection, before its handshake. If the system lacks descriptors for it, or the inner
   * listener cannot be reached for the first time, the call fails and the next one continues with the same client.
   */
  async accept(): Promise<RelayedConn> {
    const kept = this.#kept;
    const outer = kept ?? await this.listener.accept() as Deno.TcpConn;
    this.#kept = undefined;
    if (this.#next !== undefined) {
      this.#inner.close();
      this.#inner = this.#next;
      this.#next = undefined;
    }
    let link: Deno.TcpConn | undefined;
    try {
      const { port } = this.#inner.addr as Deno.NetAddr;
      link = await Deno.connect({ hostname: "127.0.0.1", port, signal: AbortSignal.timeout(LINK_MS) });
      return new RelayedConn(outer, link, await otherEnd(link, this.#inner));
    } catch (error) {
      link?.close();
      const isScarce = scarcity(error) === "descriptors";
      if (!this.#closed && (isScarce || link === undefined && kept === undefined)) this.#kept = outer;
      else outer.close();
      if (!isScarce) this.renew(this.identity);
      throw error;
    }
  }

  close(): void {
    this.#closed = true;
    for (const each of [this.listener, this.#inner, this.#next, this.#kept]) each?.close();
  }
}

function listenTls(identity: TlsIdentity): Deno.TlsListener {
  const alpnProtocols = ["http/1.1", "http/1.0"];
  return Deno.listenTls({ hostname: "127.0.0.1", port: 0, ...identity, alpnProtocols });
}

/** Accepts the other end of a connection of this machine. One from another port belongs to another program. */
async function otherEnd<Conn extends Deno.Conn>(
  { localAddr }: Deno.TcpConn,
  listener: { accept(): Promise<Conn> },
): Promise<Conn> {
  for (;;) {
    const conn = await listener.accept().catch((error) => {
      if (!hadLeft(error)) throw error;
    });
    if ((conn?.remoteAddr as Deno.NetAddr | undefined)?.port === localAddr.port) return conn as Conn;
    conn?.close();
  }
}

/**
 * Starts TLS as a client on a connection to a server, as {@linkcode Deno.startTls} does, so that it can always be closed.
 */
export async function startTls(outer: Deno.TcpConn, options: Deno.StartTlsOptions): Promise<RelayedConn> {
  const opened: Deno.Conn[] = [outer];
  try {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const inner = await Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port });
    opened.push(inner);
    const link = await otherEnd(inner, listener);
    opened.push(link);
    inner.setNoDelay();
    return new RelayedConn(outer, link, await Deno.startTls(inner, options), "server");
  } catch (error) {
    closeAll(...opened);
    throw error;
  }
}

/**
 * A TLS connection with a client, or with a server, which can be closed whatever the peer does.
 *
 * Octets count as written once the client's own socket has taken them, as on a plain connection, but for the last ones:
 * {@linkcode closeWrite} waits for them, {@linkcode close} drops what is on the way.
 */
class RelayedConn implements Socket {
  /** What is read and written: TLS, or the client's connection itself if it speaks plain HTTP. */
  #spoken: Deno.Conn;
  /** Ends once the client's socket has taken everything, and its end. */
  readonly #sent: Promise<void>;
  /** Octets between the inner socket and the client's: fewer by what TLS adds to them, and never more. */
  #passing = 0;
  /** A write that waits until few enough are left. */
  #waiting: PromiseWithResolvers<void> | undefined;
  /** Why octets can no longer be passed on. */
  #broken: unknown;

  /** Relays octets between the public connection and the inner one, whose peer is a client unless it is a server. */
  constructor(
    private readonly outer: Deno.TcpConn,
    private readonly link: Deno.TcpConn,
    private readonly tls: Deno.TlsConn,
    private readonly peer: "client" | "server" = "client",
  ) {
    this.#spoken = tls;
    outer.setNoDelay();
    link.setNoDelay();
    this.#sent = passOn(link, outer, (count) => {
      this.#passing = Math.max(0, this.#passing - count);
      if (this.#passing <= MAX_PASSING_BYTES) this.#waiting?.resolve();
    });
    this.#sent.catch((error) => this.#break(error));
  }

  get remoteAddr(): Deno.Addr {
    return this.outer.remoteAddr;
  }

  get localAddr(): Deno.Addr {
    return this.outer.localAddr;
  }

  /**
   * Performs the TLS handshake. If it fails, the client has been sent the reason (RFC 8446 §6.2).
   *
   * @throws {HttpError} If the client speaks plain HTTP. From then on the connection does so, too.
   */
  async handshake(): Promise<Deno.TlsHandshakeInfo> {
    const first = new Uint8Array(MIN_PASSED_BYTES);
    // A server speaks second, so that it cannot be waited for.
    const count = this.peer === "server" ? 0 : await this.outer.read(first);
    if (isLetter(first[0])) {
      this.#spoken = this.outer;
      throw new HttpError(400, "Plain HTTP was sent to a port that speaks TLS: use https://");
    }
    const received = writeAll(this.link, first.subarray(0, count ?? 0)).then(() => passOn(this.outer, this.link));
    received.catch((error) => this.#break(error));
    try {
      return await this.tls.handshake();
    } catch (error) {
      closeAll(this.tls);
      await this.#sent.catch(() => {});
      throw error;
    }
  }

  /** Reads decrypted content. An end without TLS's own is one, too (RFC 9112 §9.8). */
  async read(bytes: Uint8Array): Promise<number | null> {
    try {
      return await this.#spoken.read(bytes);
    } catch (error) {
      if (this.#broken === undefined && error instanceof Deno.errors.UnexpectedEof) return null;
      throw this.#broken ?? error;
    }
  }

  /** Writes content to be encrypted, and waits until the client's socket has taken almost everything. */
  async write(bytes: Uint8Array): Promise<number> {
    if (this.#spoken === this.outer) return this.outer.write(bytes);
    const part = bytes.subarray(0, MAX_WRITTEN_BYTES);
    // Counted before, because octets are passed on before the write ends.
    this.#passing += part.length;
    const count = await this.tls.write(part);
    this.#passing -= part.length - count;
    if (this.#broken !== undefined) throw this.#broken;
    if (this.#passing > MAX_PASSING_BYTES) {
      this.#waiting = Promise.withResolvers();
      await this.#waiting.promise;
    }
    return count;
  }

  /** Ends this side, and waits until the client's socket has taken everything. */
  async closeWrite(): Promise<void> {
    await this.#spoken.closeWrite();
    if (this.#spoken === this.tls) await this.#sent;
  }

  close(): void {
    closeAll(this.outer, this.link, this.tls);
  }

  /** Closes the sockets between which octets can no longer be passed on. */
  #break(error: unknown): void {
    this.#broken ??= error;
    this.#waiting?.reject(error);
    closeAll(this.outer, this.link);
  }
}

/** Whether an octet begins plain HTTP: a TLS handshake never begins with a letter. */
function isLetter(octet: number): boolean {
  return /[A-Za-z]/.test(String.fromCharCode(octet));
}

/** Passes on the octets of one direction, and its end. Reports how many were taken. */
async function passOn(from: Deno.TcpConn, to: Deno.TcpConn, passed?: (count: number) => void): Promise<void> {
  let buffer = new Uint8Array(MIN_PASSED_BYTES);
  for (let count = await from.read(buffer); count !== null; count = await from.read(buffer)) {
    await writeAll(to, buffer.subarray(0, count));
    passed?.(count);
    const size = nextReadSize(buffer.length, count, MIN_PASSED_BYTES, MAX_PASSED_BYTES);
    if (size !== buffer.length) buffer = new Uint8Array(size);
  }
  await to.closeWrite();
}
