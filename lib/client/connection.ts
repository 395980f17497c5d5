/**
 * One connection of a client: a request out, its responses in, one exchange after the other.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import { writeAll } from "../bytes.ts";
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
import { MAX_INTERIM_RESPONSES, RESPONSE_LIMITS } from "../limits.ts";
import { ClientError, InvalidResponse, TimeoutError } from "./errors.ts";
import type { RawConnection } from "./raw.ts";

/** A server to connect to. */
export interface Endpoint {
  /** Whether to speak TLS. */
  readonly secure: boolean;
  /** Its host name or IP address, the latter without brackets. */
  readonly host: string;
  /** Its port. */
  readonly port: number;
}

/** The endpoint as a Host field names it: a port that the scheme implies is left out (RFC 9110 §7.2). */
export function authorityOf({ secure, host, port }: Endpoint): string {
  const name = host.includes(":") ? `[${host}]` : host;
  return port === (secure ? 443 : 80) ? name : `${name}:${port}`;
}

/** How to reach it. */
export interface ClientOptions {
  /** How long to wait for a connection, and for each part of a response, in milliseconds. */
  readonly timeoutMs: number;
  /** Certificates to trust beside the usual ones, in PEM. */
  readonly caCerts?: readonly string[];
  /** Receives the addresses of each connection that is made. */
  readonly connected?: (local: Deno.NetAddr, remote: Deno.NetAddr) => void;
  /** Wraps each connection, with TLS before its handshake: a tap. */
  readonly tap?: (conn: Deno.Conn) => Deno.Conn;
  /** Receives how the server ended a connection while there was no request. */
  readonly closed?: (how: string) => void;
}

/** Something that happened to the connection, for the user to know. */
export interface Notice {
  /** Tells it from parts of a response. */
  readonly kind: "notice";
  /** One line. */
  readonly text: string;
}

/** A request, as it is sent: for a second time after a notice that says so. */
export interface SentRequest {
  /** Tells it from parts of a response. */
  readonly kind: "sent";
  /** The octets up to the content, including the empty line. */
  readonly head: Uint8Array;
  /** The content's octets. */
  readonly content: Uint8Array;
}

/** What an exchange brings, in order: perhaps a notice, the request, perhaps interim responses, then the response. */
export type ExchangeEvent = Notice | SentRequest | ResponseHead | ContentPiece | MessageEnd;

const READ_BYTES = 64 * 1024;
/** A connection that was used so many milliseconds ago is likely to be in order. */
const FRESH_MS = 50;

/** The connection ended before the first octet of an answer. */
export class NoResponse extends ClientError {}

/** A connection to a server. */
export class ClientConnection {
  readonly #conn: Deno.Conn;
  readonly #timeoutMs: number;
  readonly #closed: ClientOptions["closed"];
  /** Since when no request is under way, in milliseconds. */
  #idleSince = performance.now();
  readonly #decoder = new Decoder("response", RESPONSE_LIMITS);
  readonly #encoder = new Encoder();
  readonly #buffer = new Uint8Array(READ_BYTES);
  /** Until when a read may take, in milliseconds, and what tells that it took longer. */
  #deadline = Infinity;
  #expire: (error: TimeoutError) => void = () => {};
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** The read that is under way while no request is, so that the connection's end is noticed when it comes. */
  #reading: Promise<number | null> | undefined;
  #busy = false;
  #ended: string | undefined;
  /** Whether an exchange was done on it. */
  used = false;
  /** When it was last known to be in order, in milliseconds. */
  #lastUsed = -Infinity;

  private constructor(conn: Deno.Conn, { timeoutMs, connected, closed }: ClientOptions) {
    this.#conn = conn;
    this.#timeoutMs = timeoutMs;
    this.#closed = closed;
    connected?.(conn.localAddr as Deno.NetAddr, conn.remoteAddr as Deno.NetAddr);
    this.#reading = this.#read();
  }

  /**
   * Opens a connection.
   *
   * @throws {ClientError} If no server answers there.
   */
  static async open(endpoint: Endpoint, options: ClientOptions, cancel?: AbortSignal): Promise<ClientConnection> {
    const { secure, host, port } = endpoint;
    const { timeoutMs, caCerts = [], tap = (conn: Deno.Conn) => conn } = options;
    const abort = new AbortController();
    const signal = cancel === undefined ? abort.signal : AbortSignal.any([abort.signal, cancel]);
    try {
      const connecting = Deno.connect({ hostname: host, port, signal });
      const tcp = await withTimeout(connecting, timeoutMs, () => abort.abort());
      // What is written at once is sent at once; TLS has no say in it later.
      tcp.setNoDelay(true);
      if (!secure) return new ClientConnection(tap(tcp), options);
      const alpnProtocols = ["http/1.1"];
      const tls = tap(
        await Deno.startTls(tcp, { hostname: host, caCerts: [...caCerts], alpnProtocols }),
      ) as Deno.TlsConn;
      await withTimeout(tls.handshake(), timeoutMs, () => tls.close());
      return new ClientConnection(tls, options);
    } catch (error) {
      throw connectError(error, authorityOf(endpoint));
    }
  }

  /** Why no further request can be sent, if so. */
  get ended(): string | undefined {
    return this.#ended;
  }

  /** Resolves once it is known what the server has sent unasked, or that it has closed: after a turn of the event loop. */
  news(): Promise<void> {
    // A timer makes the runtime look for I/O; setImmediate is ten times as fast, and enough between two requests that
    // follow one another at once.
    const wait = performance.now() - this.#lastUsed > FRESH_MS ? setTimeout : setImmediate;
    return new Promise((resolve) => void wait(resolve, 0));
  }

  /**
   * Sends a request and yields what comes of it.
   *
   * @throws {ClientError} If no valid answer comes.
   */
  async *exchange(request: HttpRequest): AsyncGenerator<ExchangeEvent> {
    const encoder = this.#encoder;
    // All of the last request was sent, or there would be no further one here.
    encoder.clear();
    encoder.request(request);
    this.#decoder.expectResponseTo(request.method);
    this.#busy = true;
    // A server may answer, and close, before it has read everything, so the answer is read meanwhile;
    // if writing fails, reading tells what became of the connection.
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
        // The head must be there in time; content may take as long as it likes, if it comes.
        await this.#receive(isInterim(status) ? headDeadline : performance.now() + this.#timeoutMs);
        continue;
      }
      if (event.kind === "request" || event.kind === "closed") throw new NoResponse(NO_RESPONSE);
      yield event;
      if (event.kind === "response") {
        status = event.status;
        if (isInterim(status) && ++interim > MAX_INTERIM_RESPONSES) throw new ClientError(TOO_MANY_INTERIM);
        // What follows 101 (Switching Protocols) is no HTTP any more.
        if (!event.persistent || status === 101 || asksToClose(request)) this.#ended = SERVER_CLOSED;
      } else if (event.kind === "end" && (!isInterim(status) || status === 101)) break;
    }
    this.#busy = false;
    this.used = true;
    this.#idleSince = this.#lastUsed = performance.now();
    // Else the server would read the next request as the rest of this one's content (RFC 9112 §9.3).
    if (!sent) this.#ended ??= "The server had answered before it took the whole request";
    // A response to no request at all must not be taken for the next one's (RFC 9112 §9.2).
    if (!this.#decoder.idle) this.#ended ??= UNASKED;
    if (this.#ended === undefined) this.#reading = this.#read();
  }

  /** Lends the connection for octets as they are. It is of no use for requests any more. */
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
    };
  }

  /** Ends the connection. */
  close(): void {
    this.#ended ??= SERVER_CLOSED;
    clearTimeout(this.#timer);
    try {
      this.#conn.close();
    } catch {
      // It is closed already.
    }
  }

  /**
   * Starts to read. What comes while no request is waiting is either the end or unasked for: both end the connection's
   * use.
   */
  #read(): Promise<number | null> {
    const reading = this.#conn.read(this.#buffer);
    reading.then(
      (count) => this.#noteNews(count === null ? SERVER_CLOSED : UNASKED, count === null ? "FIN" : undefined),
      () => this.#noteNews(SERVER_CLOSED, "the connection was reset (RST)"),
    );
    return reading;
  }

  /** Notes what the server did while no request was under way. */
  #noteNews(ended: string, how: string | undefined): void {
    if (this.#busy || this.#ended !== undefined) return;
    this.#ended = ended;
    const seconds = Math.round((performance.now() - this.#idleSince) / 1000);
    if (how !== undefined) this.#closed?.(`the server closed: ${how} after ${seconds} s idle`);
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

  /** Waits for a read, but not for ever. One timer serves all reads: most of them are over long before it. */
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

/** What some errors of TLS mean for the user. */
const CONNECT_REASONS: readonly [pattern: RegExp, reason: string][] = [
  [/UnknownIssuer/, "nobody whom this program trusts has signed its certificate; --cacert FILE trusts another"],
  [/CaUsedAsEndEntity/, "its certificate is that of an authority, which may not be a server's own (basicConstraints)"],
  [/not valid for any names/, "its certificate names no host (subjectAltName)"],
  [/not valid for name|NotValidForName/, "its certificate is for another name"],
  [/not valid yet|NotValidYet/, "its certificate is not valid yet"],
  [/certificate expired|Expired/, "its certificate has expired"],
  [/InvalidContentType/, "it does not speak TLS; try http://"],
];
/** The first octet of a server that speaks TLS to one that does not (RFC 8446 §5.1). */
const TLS_ALERT = 0x15;
const SERVER_CLOSED = "The server had closed the connection";
const UNASKED = "The server had sent what nobody asked for";
const TOO_MANY_INTERIM = `The server sent more than ${MAX_INTERIM_RESPONSES} interim responses`;
const NO_RESPONSE = "The server closed the connection without a response, so what it did with the request is not known";

/** Whether the request says that its connection ends with the response (RFC 9112 §9.6). */
function asksToClose({ fields }: HttpRequest): boolean {
  const values = fields.filter(([name]) => name.toLowerCase() === "connection").map(([, value]) => value);
  return listMembers(values.join().toLowerCase()).includes("close");
}

/** Waits for a promise, but no longer than that. */
async function withTimeout<T>(promise: Promise<T>, timeoutMs: number, giveUp: () => void): Promise<T> {
  let timer;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(timeoutError(timeoutMs));
      giveUp();
    }, timeoutMs);
  });
  // What becomes of the promise after a timeout is of no interest.
  promise.catch(() => {});
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

function timeoutError(timeoutMs: number): TimeoutError {
  return new TimeoutError(`No response came within ${timeoutMs / 1000} seconds`);
}

function connectError(error: unknown, where: string): unknown {
  if (error instanceof ClientError || error instanceof Deno.errors.NotCapable || !(error instanceof Error)) {
    return error;
  }
  const { message } = error;
  const reason = error instanceof Deno.errors.ConnectionRefused
    ? "connection refused (is a server running there?)"
    : CONNECT_REASONS.find(([pattern]) => pattern.test(message))?.[1] ?? message;
  return new ClientError(`Cannot connect to ${where}: ${reason}`);
}
