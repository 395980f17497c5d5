/**
 * The client: a session with one server over one persistent connection.
 *
 * @module
 */

import type { HttpRequest } from "./http_message.ts";
import { ClientConnection, type ClientEvent, type ClientOptions, NoResponse, sentenceOf } from "./client/connection.ts";
import type { Endpoint } from "./address.ts";
import { ClientError } from "./client/errors.ts";
import { exchangeRaw, type RawOutcome, type RawStep, type RawView } from "./client/raw.ts";
import { EXIT_INTERRUPTED, type RawResult } from "./exit_code.ts";

export type { ClientEvent, ClientOptions, DialOptions } from "./client/connection.ts";
export { dial } from "./client/connection.ts";
export { ClientError, TimeoutError } from "./client/errors.ts";
export type { RawOutcome, RawStep, RawView } from "./client/raw.ts";

/** Methods whose requests may be sent again without a second effect (RFC 9110 §9.2.2). */
const IDEMPOTENT = ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"];

class Cancelled extends ClientError {
  override get exitCode(): number {
    return EXIT_INTERRUPTED;
  }
}

/** A session with one server. Its connection persists, and is opened again after the server has closed it. */
export class Session {
  #connection: ClientConnection | undefined;
  #cancel: AbortController | undefined;

  /** Creates a session with a server; nothing is sent yet. */
  constructor(private readonly endpoint: Endpoint, private readonly options: ClientOptions) {}

  /** Connects, unless a connection is open. Throws a {@linkcode ClientError} if that fails, or is cancelled. */
  async connect(): Promise<void> {
    if (this.#connection !== undefined) return;
    const open = async ({ signal }: AbortController) => {
      this.#connection = await ClientConnection.open(this.endpoint, this.options, signal);
    };
    if (this.#cancel !== undefined) await open(this.#cancel);
    else await this.#cancellable(open, "Cancelled; there is no connection");
  }

  /** Aborts the exchange in progress, or connecting, and closes the connection. Returns whether there was one. */
  cancel(): boolean {
    if (this.#cancel === undefined) return false;
    this.#cancel.abort();
    this.close();
    return true;
  }

  /**
   * Sends a request and yields the events of the exchange. If the server closed a reused connection without a response,
   * an idempotent request is sent again on a new one (RFC 9112 §9.3.1).
   *
   * @throws {ClientError} If no valid response arrives.
   */
  async *exchange(request: HttpRequest): AsyncGenerator<ClientEvent> {
    const cancel = this.#cancel = new AbortController();
    let isComplete = false;
    try {
      const text = await this.#ready();
      if (text !== undefined) yield { kind: "notice", text };
      // Only on a reused connection may the server have closed at the moment the request was sent.
      const mayResend = this.#connection?.used === true && IDEMPOTENT.includes(request.method);
      try {
        yield* this.#connection!.exchange(request);
      } catch (error) {
        if (!(error instanceof NoResponse) || !mayResend || cancel.signal.aborted) throw error;
        this.close();
        await this.connect();
        yield { kind: "notice", text: "The server closed the connection without a response; sent again on a new one" };
        yield* this.#connection!.exchange(request);
      }
      isComplete = true;
    } catch (error) {
      if (!cancel.signal.aborted) throw error;
      throw new Cancelled("Cancelled; the connection is closed, and what the server did with the request is not known");
    } finally {
      this.#cancel = undefined;
      // A connection whose response was not read to its end cannot be used again.
      if (!isComplete) this.close();
    }
  }

  /**
   * Sends octets unchanged, in steps, and receives the answer, over an idle connection if one is open; then closes it.
   *
   * @throws {ClientError} If no server answers, or the user cancels.
   */
  async raw(steps: readonly RawStep[], view: RawView): Promise<RawResult & { readonly outcome: RawOutcome }> {
    return await this.#cancellable(async ({ signal }) => {
      try {
        await this.#ready();
        view.begin();
        const { timeoutMs } = this.options;
        const outcome = await exchangeRaw(this.#connection!.lend(), steps, view, { timeoutMs, signal });
        return { outcome, ...view.end(outcome) };
      } finally {
        this.close();
      }
    }, "Cancelled; the connection is closed");
  }

  /** Runs what {@linkcode cancel} may abort. */
  async #cancellable<T>(run: (cancel: AbortController) => Promise<T>, message: string): Promise<T> {
    const cancel = this.#cancel = new AbortController();
    try {
      return await run(cancel);
    } catch (error) {
      throw cancel.signal.aborted ? new Cancelled(message) : error;
    } finally {
      this.#cancel = undefined;
    }
  }

  /** Ensures a usable connection. Returns what happened to the previous one, if it was not usable and nobody knows. */
  async #ready(isNew = this.#connection === undefined, notice?: string): Promise<string | undefined> {
    await this.connect();
    await this.#connection!.news();
    const ended = this.#connection?.ended;
    if (ended === undefined) return notice;
    this.close();
    const sentence = sentenceOf(ended.how);
    if (isNew || ended.isGreeting && !ended.isKnown) throw new ClientError(sentence);
    return await this.#ready(true, ended.isKnown ? undefined : `${sentence}; this is a new connection`);
  }

  /** Closes the connection; the next request opens a new one. */
  close(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }
}
