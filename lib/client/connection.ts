/**
 * A client's connection: sends requests and receives responses, one exchange after the other.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import { counted, octetsToText, octetString, type RawConnection, writeAll } from "../bytes.ts";
import {
  type ContentPiece,
  Decoder,
  Encoder,
  HttpError,
  type HttpEvent,
  type HttpRequest,
  isInterim,
  listMembers,
  type MessageEnd,
  type ResponseHead,
} from "../http_message.ts";
import { authorityOf, type Endpoint } from "../address.ts";
import { MAX_INTERIM_RESPONSES, RESPONSE_LIMITS, SHOWN_UNASKED_OCTETS } from "../limits.ts";
import { escapeText } from "../terminal.ts";
import { ClientError, InvalidResponse, TimeoutError } from "./errors.ts";

/** How a connection is opened. */
export interface DialOptions {
  /** The timeout for connecting and for TLS, each, in milliseconds. */
  readonly timeoutMs: number;
  /** Additional trusted certificates, in PEM. */
  readonly caCerts?: readonly string[];
  /** Whether the certificate may be one for another name, as that of a server that this program holds itself. */
  readonly anyName?: boolean;
  /** Wraps each connection, for example in a tap; with TLS, before the handshake. */
  readonly tap?: (conn: Deno.Conn) => Deno.Conn;
  /** Returns what a user can do about a certificate of this host that was refused. */
  readonly certificateAdvice?: (host: string) => string;
  /** Starts TLS on a connection; by default Deno's own does. */
  readonly startTls?: (tcp: Deno.TcpConn, options: Deno.StartTlsOptions) => Promise<Deno.Conn>;
}

/** Options of a client. */
export interface ClientOptions extends DialOptions {
  /** The timeout for connecting and for each part of a response, in milliseconds. */
  readonly timeoutMs: number;
  /** Receives the addresses of each new connection. */
  readonly connected?: (local: Deno.NetAddr, remote: Deno.NetAddr) => void;
  /** Receives how a connection ended while no exchange was in progress, as soon as it is known. */
  readonly closed?: (how: string) => void;
}

/** An event of the connection that the user should know of. */
export interface Notice {
  /** Distinguishes it from parts of a response. */
  readonly kind: "notice";
  /** The message, one line. */
  readonly text: string;
}

/** A request as sent. It occurs again, after a notice, if the request is sent again. */
export interface SentRequest {
  /** Distinguishes it from parts of a response. */
  readonly kind: "sent";
  /** The octets up to the content, including the empty line. */
  readonly head: Uint8Array;
  /** The octets of the content. */
  readonly content: Uint8Array;
}

/** An event of an exchange, in order: notices, the request, interim responses, the response. */
export type ExchangeEvent = Notice | SentRequest | ResponseHead | ContentPiece | MessageEnd;

const READ_BYTES = 64 * 1024;
/** A connection used within this many milliseconds is likely still open. */
const FRESH_MS = 50;

/** The connection ended before the first octet of a response. */
export class NoResponse extends ClientError {}

/**
 * Opens a connection to a server, with TLS if the endpoint asks for it.
 *
 * @throws {ClientError} If no server answers, or TLS is refused.
 */
export async function dial(endpoint: Endpoint, options: DialOptions, cancel?: AbortSignal): Promise<Deno.Conn> {
  const { secure, host, port } = endpoint;
  const { timeoutMs, caCerts = [], anyName = false, tap = (conn: Deno.Conn) => conn } = options;
  const startTls = options.startTls ?? Deno.startTls;
  const abort = new AbortController();
  const signal = cancel === undefined ? abort.signal : AbortSignal.any([abort.signal, cancel]);
  try {
    const connecting = Deno.connect({ hostname: host, port, signal });
    const tcp = await withTimeout(connecting, timeoutMs, () => abort.abort(), cancel);
    // Sends small writes immediately. This must be set before TLS, which has no such option.
    tcp.setNoDelay(true);
    if (!secure) return tap(tcp);
    const tls = tap(
      await startTls(tcp, {
        hostname: host,
        caCerts: [...caCerts],
        alpnProtocols: ["http/1.1"],
        unsafelyDisableHostnameVerification: anyName,
      }),
    ) as Deno.TlsConn;
    try {
      await withTimeout(tls.handshake(), timeoutMs, () => tls.close(), cancel);
    } catch (error) {
      try {
        tls.close();
      } catch {
        // The timeout has closed it.
      }
      throw error;
    }
    return tls;
  } catch (error) {
    throw connectError(error, endpoint, options.certificateAdvice);
  }
}

/** A connection to a server. */
export class ClientConnection {
  readonly #conn: Deno.Conn;
  readonly #timeoutMs: number;
  readonly #options: ClientOptions;
  /** When the last exchange ended, in milliseconds. */
  #idleSince = performance.now();
  readonly #decoder = new Decoder("response", RESPONSE_LIMITS);
  readonly #encoder = new Encoder();
  readonly #buffer = new Uint8Array(READ_BYTES);
  /** When the current read times out, in milliseconds, and the function that rejects it. */
  #deadline = Infinity;
  #expire: (error: TimeoutError) => void = () => {};
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** A read while no exchange is in progress, so that a close by the server is noticed immediately. */
  #reading: Promise<number | null> | undefined;
  #busy = false;
  #ended: string | undefined;
  /** Why the server closes the connection after its response, if it said so. */
  #announced: string | undefined;
  #told = false;
  #isClosed = false;
  /** Whether an exchange has completed on this connection. */
  used = false;
  /** When the connection was last known to be open, in milliseconds. */
  #lastUsed = -Infinity;

  private constructor(conn: Deno.Conn, options: ClientOptions) {
    this.#conn = conn;
    this.#options = options;
    this.#timeoutMs = options.timeoutMs;
    options.connected?.(conn.localAddr as Deno.NetAddr, conn.remoteAddr as Deno.NetAddr);
    this.#reading = this.#read();
  }

  /**
   * Opens a connection.
   *
   * @throws {ClientError} If no server answers.
   */
  static async open(endpoint: Endpoint, options: ClientOptions, cancel?: AbortSignal): Promise<ClientConnection> {
    return new ClientConnection(await dial(endpoint, options, cancel), options);
  }

  /** Why no further request can be sent, if so. */
  get ended(): string | undefined {
    return this.#ended;
  }

  /** Whether the user knows that it has ended. */
  get endIsTold(): boolean {
    return this.#told;
  }

  /** Resolves after a turn of the event loop, when unsolicited data or a close by the server is known. */
  news(): Promise<void> {
    // Only a timer lets the runtime poll I/O; setImmediate is ten times as fast, and enough between two immediate
    // requests.
    const wait = performance.now() - this.#lastUsed > FRESH_MS ? setTimeout : setImmediate;
    return new Promise((resolve) => void wait(resolve, 0));
  }

  /**
   * Sends a request and yields the events of the exchange.
   *
   * @throws {ClientError} If no valid response arrives.
   */
  async *exchange(request: HttpRequest): AsyncGenerator<ExchangeEvent> {
    const encoder = this.#encoder;
    // The previous request was sent completely; otherwise the connection would not be reused.
    encoder.clear();
    encoder.request(request);
    this.#decoder.expectResponseTo(request.method);
    this.#busy = true;
    // A server may respond and close before it has read the whole request, so the response is read at the same time. If
    // writing fails, reading reports the reason.
    const octets = encoder.bytes();
    let sent = false;
    writeAll(this.#conn, octets).then(() => sent = true, () => {});
    const headBytes = octets.length - (request.content?.length ?? 0);
    yield { kind: "sent", head: octets.subarray(0, headBytes), content: octets.subarray(headBytes) };
    let status = 100;
    let interim = 0;
    const headDeadline = performance.now() + this.#timeoutMs;
    for (;;) {
      const event = this.#nextEvent();
      if (event === undefined) {
        // The head must arrive in time; content may take longer as long as octets arrive.
        await this.#receive(isInterim(status) ? headDeadline : performance.now() + this.#timeoutMs);
        continue;
      }
      if (event.kind === "request" || event.kind === "closed") throw new NoResponse(NO_RESPONSE);
      yield event;
      if (event.kind === "response") {
        status = event.status;
        if (isInterim(status) && ++interim > MAX_INTERIM_RESPONSES) throw new ClientError(TOO_MANY_INTERIM);
        // After 101 (Switching Protocols) the connection no longer carries HTTP.
        if (!event.persistent || status === 101 || asksToClose(request)) {
          this.#ended = SERVER_CLOSED;
          this.#announced = status === 101 ? undefined : announcedEnd(event, request);
        }
      } else if (event.kind === "end" && (!isInterim(status) || status === 101)) break;
    }
    this.#busy = false;
    this.used = true;
    this.#idleSince = this.#lastUsed = performance.now();
    if (status === 101) this.#endNow(SERVER_CLOSED, "after 101, the connection no longer carries HTTP");
    // Otherwise the server would read the next request as content of this one (RFC 9112 §9.3).
    else if (!sent) this.#endNow(EARLY, "the server responded before it received the whole request");
    // Unsolicited data must not be taken for the next response (RFC 9112 §9.2).
    else if (this.#ended === undefined && !this.#decoder.idle) this.#noteUnasked(this.#decoder.unread);
    else this.#reading = this.#read();
  }

  /** Lends the connection for unchanged octets. It cannot be used for requests afterwards. */
  lend(): RawConnection {
    this.#busy = true;
    return {
      read: async () => {
        const reading = this.#reading ?? this.#conn.read(this.#buffer);
        this.#reading = undefined;
        const count = await reading;
        return count === null ? null : this.#buffer.subarray(0, count);
      },
      write: (bytes) => this.#conn.write(bytes),
      closeWrite: () => this.#conn.closeWrite(),
      close: () => this.close(),
    };
  }

  /** Closes the connection. */
  close(): void {
    this.#isClosed = true;
    this.#ended ??= SERVER_CLOSED;
    clearTimeout(this.#timer);
    try {
      this.#conn.close();
    } catch {
      // Already closed.
    }
  }

  /**
   * Starts reading. While no exchange is in progress, the result is either the end or unsolicited data: both make the
   * connection unusable.
   */
  #read(): Promise<number | null> {
    const reading = this.#conn.read(this.#buffer);
    reading.then(
      (count) => count === null ? this.#noteEnd("FIN") : this.#noteUnasked(this.#buffer.subarray(0, count)),
      (error) => this.#noteEnd(endOf(error)),
    );
    return reading;
  }

  #noteEnd(how: string): void {
    if (this.#busy || this.#told) return;
    this.#endNow(SERVER_CLOSED, `the server closed: ${how} ${this.#announced ?? `after ${this.#idleSeconds} s idle`}`);
  }

  #noteUnasked(octets: Uint8Array): void {
    if (this.#busy || this.#told) return;
    const [line] = octetString(octets, 0, SHOWN_UNASKED_OCTETS).split(/\r?\n/, 1);
    const what = `${counted(octets.length, "octet")} unasked after ${this.#idleSeconds} s idle: ${
      escapeText(octetsToText(line))
    }`;
    this.#endNow(UNASKED, `the server sent ${what}`);
  }

  get #idleSeconds(): number {
    return Math.round((performance.now() - this.#idleSince) / 1000);
  }

  /** Ends the connection between two exchanges, and tells the user. */
  #endNow(ended: string, how: string): void {
    this.#ended ??= ended;
    const { closed } = this.#options;
    // A close by this program is no news.
    if (this.#isClosed) return;
    this.#told = closed !== undefined;
    this.close();
    closed?.(how);
  }

  async #receive(deadline: number): Promise<void> {
    const reading = this.#reading ?? this.#read();
    this.#reading = undefined;
    let count: number | null;
    try {
      count = await this.#inTime(reading, deadline);
    } catch (error) {
      if (error instanceof TimeoutError || !(error instanceof Error)) throw error;
      if (this.#decoder.idle) throw new NoResponse(NO_RESPONSE);
      throw new ClientError(`The connection broke in the middle of the response: ${error.message}`);
    }
    if (count === null) this.#decoder.close();
    else this.#decoder.receive(this.#buffer.subarray(0, count));
  }

  /** Waits for a read, within a deadline. One timer serves all reads, because most finish long before it fires. */
  #inTime(reading: Promise<number | null>, deadline: number): Promise<number | null> {
    this.#deadline = deadline;
    this.#timer ??= setTimeout(() => this.#checkTime(), Math.max(0, deadline - performance.now()));
    return new Promise<number | null>((resolve, reject) => {
      this.#expire = reject;
      reading.then(resolve, reject);
    }).finally(() => this.#deadline = Infinity);
  }

  #checkTime(): void {
    this.#timer = undefined;
    if (this.#deadline === Infinity) return;
    const left = this.#deadline - performance.now();
    if (left > 0) {
      this.#timer = setTimeout(() => this.#checkTime(), left);
      return;
    }
    this.#expire(timeoutError(this.#timeoutMs));
    this.close();
  }

  #nextEvent(): HttpEvent | undefined {
    try {
      return this.#decoder.next();
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      const octets = this.#decoder.unread;
      const hint = octets[0] === TLS_ALERT ? "; this looks like TLS, for which the address starts with https://" : "";
      const about = `${error.message} (${error.rule}, at byte ${error.offset})${hint}`;
      throw new InvalidResponse(`The response is not valid HTTP: ${about}`, octets.slice());
    }
  }
}

/** Why a certificate is refused, for the user. */
const CERTIFICATE_REASONS: readonly [pattern: RegExp, reason: string][] = [
  [/UnknownIssuer/, "its certificate is not signed by a trusted authority; --cacert FILE adds one"],
  [/CaUsedAsEndEntity/, "its certificate is a CA certificate, which a server may not use (basicConstraints)"],
  [/not valid for any names/, "its certificate names no host (subjectAltName)"],
  [/not valid for name|NotValidForName/, "its certificate is for another name"],
  [/not valid yet|NotValidYet/, "its certificate is not valid yet"],
  [/certificate expired|Expired/, "its certificate has expired"],
  [/invalid peer certificate|BadEncoding|BadSignature/, "its certificate is not valid"],
];
const NO_TLS = /InvalidContentType/;
/** The first octet from a TLS server to a client that does not speak TLS (RFC 8446 §5.1). */
const TLS_ALERT = 0x15;
const SERVER_CLOSED = "The server had closed the connection";
const UNASKED = "The server had sent unsolicited data";
const EARLY = "The server had responded before it received the whole request";
const TOO_MANY_INTERIM = `The server sent more than ${MAX_INTERIM_RESPONSES} interim responses`;
const NO_RESPONSE = "The server closed the connection without a response, so what it did with the request is not known";

/** Whether the request asks to close the connection after the response (RFC 9112 §9.6). */
function asksToClose({ fields }: HttpRequest): boolean {
  const values = fields.filter(([name]) => name.toLowerCase() === "connection").map(([, value]) => value);
  return listMembers(values.join().toLowerCase()).includes("close");
}

/** Returns why the server closes the connection after its response (RFC 9112 §9.3, §6.3). */
function announcedEnd({ fields, minor }: ResponseHead, request: HttpRequest): string {
  if (listMembers((fields.get("connection") ?? "").toLowerCase()).includes("close")) {
    return "after the response, as its Connection: close said";
  }
  if (asksToClose(request)) return "after the response, as the request's Connection: close asked";
  return minor === 0 ? "after the response, as HTTP/1.0 does" : "ended the content, which had no length";
}

/** Returns how a connection ended, in TCP's words. */
function endOf(error: unknown): string {
  if (error instanceof Deno.errors.ConnectionReset) return "RST";
  if (error instanceof Deno.errors.UnexpectedEof) return "FIN without TLS's close_notify";
  return error instanceof Error ? error.message : String(error);
}

/** Rejects if the promise takes longer than the timeout, or is cancelled. */
async function withTimeout<T>(
  promise: Promise<T>,
  timeoutMs: number,
  giveUp: () => void,
  cancel: AbortSignal | undefined,
): Promise<T> {
  const { promise: timeout, reject } = Promise.withResolvers<never>();
  const stop = (error: unknown) => {
    reject(error);
    giveUp();
  };
  const cancelled = () => stop(cancel?.reason);
  const timer = setTimeout(() => stop(timeoutError(timeoutMs)), timeoutMs);
  cancel?.addEventListener("abort", cancelled);
  // The promise's result after a timeout is ignored.
  promise.catch(() => {});
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
    cancel?.removeEventListener("abort", cancelled);
  }
}

function timeoutError(timeoutMs: number): TimeoutError {
  return new TimeoutError(`No response came within ${timeoutMs / 1000} second${timeoutMs === 1000 ? "" : "s"}`);
}

function connectError(error: unknown, endpoint: Endpoint, advice: ClientOptions["certificateAdvice"]): unknown {
  if (error instanceof ClientError || error instanceof Deno.errors.NotCapable || !(error instanceof Error)) {
    return error;
  }
  const start = `Cannot connect to ${authorityOf(endpoint)}:`;
  const { message } = error;
  if (error instanceof Deno.errors.ConnectionRefused) {
    return new ClientError(`${start} connection refused (is a server running there?)`);
  }
  if (NO_TLS.test(message)) return new ClientError(`${start} it does not speak TLS; try http://`);
  const refused = CERTIFICATE_REASONS.find(([pattern]) => pattern.test(message))?.[1];
  if (refused === undefined) return new ClientError(`${start} ${message}`);
  return new ClientError(`${start} ${refused}${advice === undefined ? "" : `; ${advice(endpoint.host)}`}`);
}
