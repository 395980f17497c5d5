/** A client's connection: sends requests and receives responses, one exchange after the other. */

import { setImmediate } from "node:timers";
import { counted, type RawConnection, type Socket } from "../bytes.ts";
import {
  Decoder,
  Encoder,
  HttpError,
  type HttpEvent,
  type HttpRequest,
  isInterim,
  type ResponseHead,
  saysClose,
} from "../http_message.ts";
import { type Endpoint, withoutZone } from "../address.ts";
import { MAX_INTERIM_RESPONSES, MAX_SHOWN_INVALID_OCTETS, RESPONSE_LIMITS } from "../limits.ts";
import { within } from "../turns.ts";
import { ClientError, connectError, endOf, startOf, timeoutError, unseenMs } from "./errors.ts";

/** How a connection is opened. */
export interface DialOptions {
  /** The timeout for connecting, for TLS, for a response and for each part of it, in milliseconds. */
  readonly timeoutMs: number;
  /** Additional trusted certificates, in PEM. */
  readonly caCerts?: readonly string[];
  /** Whether the certificate may be one for another name, as that of a server that this program holds itself. */
  readonly anyName?: boolean;
  /** Wraps each connection, for example in a tap; with TLS, before the handshake. */
  readonly tap?: (conn: Socket) => Socket;
  /** Returns what a user can do about a certificate of this host that was refused. */
  readonly certificateAdvice?: (host: string) => string;
  /** Starts TLS on a connection; by default Deno's own does. */
  readonly startTls?: (tcp: Deno.TcpConn, options: Deno.StartTlsOptions) => Promise<Socket>;
}

/** Options of a client. */
export interface ClientOptions extends DialOptions {
  /** Waits until what listens to the tap has room for another read or write; `undefined` if it has. */
  readonly room?: () => Promise<void> | undefined;
  /** Receives the addresses of each new connection. */
  readonly connected?: (local: Deno.NetAddr, remote: Deno.NetAddr) => void;
  /** Receives how a connection ended while no exchange was in progress, as soon as it is known. */
  readonly closed?: (how: string) => void;
}

/** An event of an exchange, in order. */
export type ClientEvent =
  /** What the user should know of the connection, one line. */
  | { readonly kind: "notice"; readonly text: string }
  /** The request's octets, the head with the empty line. They occur again, after a notice, if they are sent again. */
  | { readonly kind: "sent"; readonly head: Uint8Array; readonly content: Uint8Array }
  | Exclude<HttpEvent, { readonly kind: "request" | "closed" }>;

const READ_OCTETS = 256 * 1024;
const WRITE_OCTETS = 1024 * 1024;
/** A server's greeting comes within this many milliseconds; unasked octets after that are about a slow client. */
const GREETING_MS = 1000;
/** A connection used within this many milliseconds is likely still open. */
const FRESH_MS = 50;

export class NoResponse extends ClientError {
  override name = "ClientError";
}

/**
 * Opens a connection to a server, with TLS if the endpoint asks for it.
 *
 * @throws {ClientError} If no server answers, or TLS is refused.
 */
export async function dial(endpoint: Endpoint, options: DialOptions, cancel?: AbortSignal): Promise<Socket> {
  const { secure, host, port } = endpoint;
  const { timeoutMs, caCerts = [], anyName = false, tap = (conn: Socket) => conn } = options;
  const startTls = options.startTls ?? Deno.startTls;
  const inTime = async <T>(promise: Promise<T>, giveUp: () => void): Promise<T> => {
    try {
      if (await within(promise, timeoutMs, cancel)) return await promise;
      throw timeoutError(timeoutMs);
    } catch (error) {
      giveUp();
      throw error;
    }
  };
  const abort = new AbortController();
  try {
    const tcp = await inTime(Deno.connect({ hostname: host, port, signal: abort.signal }), () => abort.abort());
    // Sends small writes immediately. This must be set before TLS, which has no such option.
    tcp.setNoDelay(true);
    if (!secure) return tap(tcp);
    const started = await startTls(tcp, {
      hostname: withoutZone(host),
      caCerts: [...caCerts],
      alpnProtocols: ["http/1.1"],
      unsafelyDisableHostnameVerification: anyName,
    });
    const tls = tap(started);
    await inTime(tls.handshake!(), () => tls.close());
    return tls;
  } catch (error) {
    const reason = connectError(error, endpoint, options.certificateAdvice);
    if (reason instanceof ClientError) reason.isUnconnected = true;
    throw reason;
  }
}

export class ClientConnection {
  readonly #decoder = new Decoder("response", RESPONSE_LIMITS);
  readonly #encoder = new Encoder();
  readonly #buffer = new Uint8Array(READ_OCTETS);
  /** When the connection was opened, an exchange ended, or one made progress, in milliseconds. */
  #since = performance.now();
  /** How many octets of the request the system has accepted, which may still be on their way. */
  #handedOver = 0;
  /** A read while no exchange is in progress, so that a close by the server is noticed immediately. */
  #reading: Promise<number | null> | undefined;
  #busy = false;
  /**
   * Why no further request can be sent, if so: a clause; whether the user knows, or knows that it was to end; and
   * whether the server spoke as soon as the connection was open, as it would on another one.
   */
  ended: { readonly how: string; readonly isKnown: boolean; readonly isGreeting?: boolean } | undefined;
  /** Why the server closes the connection after its response, if it said so. */
  #announced: string | undefined;
  #isClosed = false;
  /** Whether an exchange has completed on this connection. */
  used = false;

  private constructor(private readonly conn: Socket, private readonly options: ClientOptions) {
    options.connected?.(conn.localAddr as Deno.NetAddr, conn.remoteAddr as Deno.NetAddr);
    this.#reading = this.#read();
  }

  static async open(endpoint: Endpoint, options: ClientOptions, cancel?: AbortSignal): Promise<ClientConnection> {
    return new ClientConnection(await dial(endpoint, options, cancel), options);
  }

  /** Resolves after a turn of the event loop, when unsolicited data or a close by the server is known. */
  news(): Promise<void> {
    // Only a timer lets the runtime poll I/O; setImmediate is ten times as fast, and enough between two immediate
    // requests.
    const isFresh = this.used && performance.now() - this.#since <= FRESH_MS;
    return new Promise((resolve) => void (isFresh ? setImmediate(resolve) : setTimeout(resolve, 0)));
  }

  async *exchange(request: HttpRequest): AsyncGenerator<ClientEvent> {
    // What came since the connection was opened may have ended it.
    if (this.ended !== undefined) throw new ClientError(sentenceOf(this.ended.how));
    // The previous request was sent completely; otherwise the connection would not be reused.
    this.#encoder.clear();
    this.#encoder.request(request);
    this.#decoder.expectResponseTo(request.method);
    this.#busy = true;
    // A server may respond and close before it has read the whole request, so the response is read at the same time. If
    // writing fails, reading reports the reason.
    const octets = this.#encoder.bytes();
    let sent = false;
    this.#handedOver = 0;
    this.#since = performance.now();
    this.#send(octets).then(() => sent = true, () => {});
    const headEnd = octets.length - (request.content?.length ?? 0);
    yield { kind: "sent", head: octets.subarray(0, headEnd), content: octets.subarray(headEnd) };
    let status = 100;
    let interim = 0;
    for (;;) {
      const event = this.#nextEvent();
      if (event === undefined) {
        await this.options.room?.();
        // The head must arrive in time; content may take longer as long as octets arrive.
        if (!isInterim(status)) this.#since = performance.now();
        await this.#receive();
        continue;
      }
      if (event.kind === "request" || event.kind === "closed") throw new NoResponse(NO_RESPONSE);
      yield event;
      if (event.kind === "response") {
        status = event.status;
        this.#since = performance.now();
        // A server that responds to the whole request has it.
        if (sent && !isInterim(status)) this.#handedOver = 0;
        if (isInterim(status) && ++interim > MAX_INTERIM_RESPONSES) throw new ClientError(TOO_MANY_INTERIM);
        if (status !== 101 && (!event.persistent || asksToClose(request))) {
          this.#announced = announcedEnd(event, request);
          this.ended = { how: `the server closes ${this.#announced}`, isKnown: true };
        }
      } else if (event.kind === "end" && (!isInterim(status) || status === 101)) break;
    }
    this.#busy = false;
    this.used = true;
    this.#since = performance.now();
    // After 101 (Switching Protocols) the connection no longer carries HTTP.
    if (status === 101) this.#endNow("after 101, the connection no longer carries HTTP");
    // Otherwise the server would read the next request as content of this one (RFC 9112 §9.3).
    else if (!sent) this.#endNow("the server responded before it received the whole request");
    // Unsolicited data must not be taken for the next response (RFC 9112 §9.2).
    else if (this.ended === undefined && !this.#decoder.idle) this.#noteUnasked(this.#decoder.unread);
    else this.#reading = this.#read();
  }

  /** Lends the connection for unchanged octets. It cannot be used for requests afterwards. */
  lend(): RawConnection {
    this.#busy = true;
    return {
      read: async () => {
        const reading = this.#reading ?? this.conn.read(this.#buffer);
        this.#reading = undefined;
        const count = await reading;
        await this.options.room?.();
        return count === null ? null : this.#buffer.subarray(0, count);
      },
      write: (bytes) => this.conn.write(bytes),
      closeWrite: () => this.conn.closeWrite(),
      close: () => this.close(),
    };
  }

  close(): void {
    this.#isClosed = true;
    try {
      this.conn.close();
    } catch {
      // Already closed.
    }
  }

  /** Starts reading. Between exchanges the end or unsolicited data comes: both make the connection unusable. */
  #read(): Promise<number | null> {
    const reading = this.conn.read(this.#buffer);
    reading.then(
      (count) => count === null ? this.#noteEnd("FIN") : this.#noteUnasked(this.#buffer.subarray(0, count)),
      (error) => this.#noteEnd(endOf(error)),
    );
    return reading;
  }

  #noteEnd(how: string): void {
    if (this.#busy) return;
    const when = this.#announced ??
      `after ${this.#idleSeconds} s idle${this.used ? "" : ", before there was a request"}`;
    this.#endNow(how.includes(" ") ? `the server closed ${when}: ${how}` : `the server closed: ${how} ${when}`);
  }

  #noteUnasked(octets: Uint8Array): void {
    if (this.#busy) return;
    const when = this.used ? `unasked after ${this.#idleSeconds} s idle` : "before there was a request";
    const isGreeting = !this.used && performance.now() - this.#since < GREETING_MS;
    this.#endNow(`the server sent ${counted(octets.length, "octet")} ${when}: ${startOf(octets)}`, isGreeting);
  }

  get #idleSeconds(): number {
    return Math.round((performance.now() - this.#since) / 1000);
  }

  /** Ends the connection between two exchanges, and notes that for the user. */
  #endNow(how: string, isGreeting = false): void {
    const { closed } = this.options;
    // A close by this program is not reported.
    if (this.#isClosed) return;
    this.ended = { how, isKnown: closed !== undefined || this.#announced !== undefined, isGreeting };
    this.close();
    closed?.(how);
  }

  async #receive(): Promise<void> {
    const reading = this.#reading ?? this.#read();
    this.#reading = undefined;
    const count = await this.#inTime(reading).catch((error) => {
      if (error instanceof ClientError) throw error;
      if (this.#decoder.idle) throw new NoResponse(`${NO_RESPONSE}: ${endOf(error)}`);
      throw new ClientError(`The connection broke in the middle of the response: ${endOf(error)}`);
    });
    if (count === null) this.#decoder.close();
    else this.#decoder.receive(this.#buffer.subarray(0, count));
  }

  /** Waits as long as the server has time: what was handed over last may still be on its way. */
  async #inTime<T>(reading: Promise<T>): Promise<T> {
    for (;;) {
      const unseen = unseenMs(this.#handedOver);
      const left = this.#since + this.options.timeoutMs + unseen - performance.now();
      if (await within(reading, Math.max(0, left))) return await reading;
      // Octets of the request may have been accepted meanwhile.
      if (left > 0) continue;
      this.close();
      throw timeoutError(this.options.timeoutMs, unseen);
    }
  }

  /** Sends a request's octets. Each piece that the system accepts gives the server time anew. */
  async #send(octets: Uint8Array): Promise<void> {
    while (this.#handedOver < octets.length) {
      await this.options.room?.();
      this.#handedOver += await this.conn.write(octets.subarray(this.#handedOver, this.#handedOver + WRITE_OCTETS));
      this.#since = performance.now();
    }
  }

  #nextEvent(): HttpEvent | undefined {
    try {
      return this.#decoder.next();
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      const octets = this.#decoder.unread;
      // Octets that start otherwise belong to another protocol.
      const isOther = this.#decoder.consumed === 0 && octets.length > 0 && octets[0] !== LETTER_H;
      const seen = isOther ? `; the server sent: ${startOf(octets)}` : "";
      const about = `${error.message} (${error.rule}, at octet ${error.offset})${seen}`;
      const failure = new ClientError(`The response is not valid HTTP: ${about}`);
      failure.octets = octets.slice(0, MAX_SHOWN_INVALID_OCTETS);
      throw failure;
    }
  }
}

const LETTER_H = 0x48;
const TOO_MANY_INTERIM = `The server sent more than ${MAX_INTERIM_RESPONSES} interim responses`;
const NO_RESPONSE = "The server closed the connection without a response, so what it did with the request is not known";

export function sentenceOf(ended: string): string {
  return `${ended[0].toUpperCase()}${ended.slice(1)}`;
}

/** Whether the request asks to close the connection after the response (RFC 9112 §9.6). */
function asksToClose({ fields }: HttpRequest): boolean {
  return fields.some(([name, value]) => /^connection$/i.test(name) && saysClose(value));
}

/** Returns why the server closes the connection after its response (RFC 9112 §9.3, §6.3). */
function announcedEnd({ fields, minor }: ResponseHead, request: HttpRequest): string {
  if (saysClose(fields.get("connection"))) return "after the response, as its Connection: close said";
  if (asksToClose(request)) return "after the response, as the request's Connection: close asked";
  return minor === 0 ? "after the response, as HTTP/1.0 does" : "ended the content, which had no length";
}
