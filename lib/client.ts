/**
 * The client's end: a session with one server, over one connection that is kept.
 *
 * @module
 */

import type { HttpRequest } from "./http_message.ts";
import {
  ClientConnection,
  type ClientOptions,
  type Endpoint,
  type ExchangeEvent,
  NoResponse,
} from "./client/connection.ts";
import { Cancelled, ClientError } from "./client/errors.ts";
import { exchangeRaw, type RawOutcome, type RawResult, type RawView } from "./client/raw.ts";
import type { RawStep } from "./client/raw_steps.ts";

export {
  authorityOf,
  type ClientOptions,
  type Endpoint,
  type ExchangeEvent,
  type Notice,
  type SentRequest,
} from "./client/connection.ts";
export { Cancelled, ClientError, InputError, InvalidResponse, TimeoutError } from "./client/errors.ts";

/** Methods that may be sent a second time without a second effect (RFC 9110 §9.2.2). */
const IDEMPOTENT = ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"];

/** A user's session with one server: one connection that is kept, and opened again when the server has closed it. */
export class Session {
  readonly #endpoint: Endpoint;
  readonly #options: ClientOptions;
  #connection: ClientConnection | undefined;
  /** Ends the exchange that is under way. */
  #cancel: AbortController | undefined;

  /** A session with the server there; nothing is sent yet. */
  constructor(endpoint: Endpoint, options: ClientOptions) {
    this.#endpoint = endpoint;
    this.#options = options;
  }

  /**
   * Connects, unless there is a connection.
   *
   * @throws {ClientError} If no server answers there.
   */
  async connect(): Promise<void> {
    this.#connection ??= await ClientConnection.open(this.#endpoint, this.#options, this.#cancel?.signal);
  }

  /** Ends the exchange that is under way, and with it the connection. Returns whether there was one. */
  cancel(): boolean {
    this.#cancel?.abort();
    if (this.#cancel !== undefined) this.close();
    return this.#cancel !== undefined;
  }

  /**
   * Sends a request and yields what comes of it.
   *
   * If the server closed a kept connection before it answered, the request is sent once more on a new one,
   * if its method is idempotent (RFC 9112 §9.3.1).
   *
   * @throws {ClientError} If no valid answer comes.
   */
  async *exchange(request: HttpRequest): AsyncGenerator<ExchangeEvent> {
    const cancel = this.#cancel = new AbortController();
    try {
      yield* this.#exchange(request);
    } catch (error) {
      if (!cancel.signal.aborted) throw error;
      throw new Cancelled("Cancelled; the connection is closed, and what the server did with the request is not known");
    } finally {
      this.#cancel = undefined;
    }
  }

  /**
   * Sends octets as they are, in steps, on the connection if it is idle, and receives what comes back. The connection
   * ends with it.
   *
   * @throws {ClientError} If no server answers there, or the user cancels it.
   */
  async raw(steps: readonly RawStep[], view: RawView): Promise<RawResult & { readonly outcome: RawOutcome }> {
    const cancel = this.#cancel = new AbortController();
    try {
      await this.#ready();
      view.begin();
      const { timeoutMs } = this.#options;
      const { signal } = cancel;
      const outcome = await exchangeRaw(this.#connection!.lend(), steps, view, { timeoutMs, signal });
      return { outcome, ...view.end(outcome) };
    } catch (error) {
      if (!cancel.signal.aborted) throw error;
      throw new Cancelled("Cancelled; the connection is closed");
    } finally {
      this.#cancel = undefined;
      this.close();
    }
  }

  async *#exchange(request: HttpRequest): AsyncGenerator<ExchangeEvent> {
    const text = await this.#ready();
    if (text !== undefined) yield { kind: "notice", text };
    // On a connection that was kept, and only there, the server may have closed just when the request was sent.
    let resend = this.#connection?.used === true && IDEMPOTENT.includes(request.method);
    for (;;) {
      const connection = this.#connection!;
      let complete = false;
      try {
        yield* connection.exchange(request);
        complete = true;
        return;
      } catch (error) {
        if (!(error instanceof NoResponse) || !resend || this.#cancel?.signal.aborted) throw error;
        resend = false;
      } finally {
        // A connection on which an answer was not read to its end is of no more use.
        if (!complete) this.close();
      }
      await this.connect();
      yield { kind: "notice", text: "The server closed the connection without a response; sent again on a new one" };
    }
  }

  /** Makes sure of a connection that can be used. Returns what became of the one before, if it could not. */
  async #ready(): Promise<string | undefined> {
    let notice: string | undefined;
    for (let isNew = this.#connection === undefined;; isNew = true) {
      await this.connect();
      await this.#connection!.news();
      const ended = this.#connection?.ended;
      if (ended === undefined) return notice;
      this.close();
      if (isNew) throw new ClientError(`${ended} before there was a request`);
      notice = `${ended}; this is a new connection`;
    }
  }

  /** Ends the connection; the next request opens a new one. */
  close(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }
}
