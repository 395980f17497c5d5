/**
 * One client's connection through a relay: octets to the server, through the gate, and back.
 *
 * Each direction is a loop of one read and one write, so that who does not read is not read from. What the relay answers
 * itself stands for the server's answer, and ends the connection.
 *
 * @module
 */

import { addressText, socketAddress } from "../address.ts";
import { counted, NO_BYTES, writeAll } from "../bytes.ts";
import { ClientError } from "../client.ts";
import { type Direction, type ExchangeEvent, Explainer, Pairing } from "../exchange.ts";
import { HttpError } from "../http_message.ts";
import { REQUEST_LIMITS } from "../limits.ts";
import {
  type AcceptedConnection,
  CLOSE_REASONS,
  closeAll,
  closeReasonOf,
  Deadline,
  isDisconnect,
  overloaded,
  problemResponse,
  Reader,
  Sender,
  type ServerContext,
  textResponse,
  tooSlow,
} from "../server.ts";
import { FAIR_TURNS, type Precedence } from "../turns.ts";
import { Gate } from "./gate.ts";
import type { RelayOptions } from "./options.ts";

/** The limits of messages that pass: content has none. */
const LIMITS = { request: { ...REQUEST_LIMITS, maxContentBytes: Number.MAX_SAFE_INTEGER } };
/** The octet that every handshake of TLS starts with (RFC 8446 §5.1). */
const TLS_START = 0x16;

/** A connection of a client, and the one to the server. */
export class RelayConnection implements AcceptedConnection, Precedence {
  /** A relay answers nothing itself, so that it has no order. */
  readonly halfClosed = false;
  /** A relay sends no listings. */
  readonly pieceEnd: number = Infinity;
  /** The relay lets nobody wait. */
  readonly ownMs: number = 0;

  readonly #id: number;
  readonly #client: Deno.Conn;
  readonly #context: ServerContext;
  readonly #options: RelayOptions;
  readonly #deadline = new Deadline();
  readonly #fromClient: Reader;
  readonly #sender: Sender;
  readonly #pairing: Pairing;
  readonly #explainer?: Explainer;
  readonly #gate: Gate;
  readonly #cancel = new AbortController();
  #dialling: Promise<Deno.Conn> | undefined;
  #server: Deno.Conn | undefined;
  #fromServer: Reader | undefined;
  #passingBack: Promise<void> | undefined;
  /** Continues the requests that wait for an answer. */
  #answerCame = () => {};
  /** What is answered instead of the server. */
  #refusal: HttpError | undefined;
  #answering: Promise<void> | undefined;
  /** Whether octets of the server are being written to the client. */
  #isWriting = false;
  /** Whether the server's connection is gone. */
  #isLost = false;
  /** Which sides have ended. */
  readonly #ended = { request: false, response: false };
  #held = 0;
  #requests = 0;
  #idleOrder = Infinity;
  #closed = false;
  #closeReason: string | undefined;

  /** Takes over an accepted connection. */
  constructor(id: number, client: Deno.Conn, context: ServerContext, options: RelayOptions) {
    this.#id = id;
    this.#client = client;
    this.#context = context;
    this.#options = options;
    this.#fromClient = new Reader(client, context);
    this.#sender = new Sender(id, client, context, this.#deadline);
    const tell = (event: ExchangeEvent) => this.#told(event);
    if (options.explains) this.#explainer = new Explainer({ tell });
    this.#pairing = this.#explainer?.pairing ?? new Pairing(tell, { limits: LIMITS });
    this.#gate = new Gate({
      pairing: this.#pairing,
      rule: options.rule,
      changed: (change) => options.observer.changed?.(id, change),
    });
    this.#deadline.set("a request", context.clock + context.limits.idleTimeoutMs);
  }

  /** The order of idle connections, by when they became so; `Infinity` if it is not idle. */
  get idleOrder(): number {
    return this.#deadline.waiting === "a request" ? this.#idleOrder : Infinity;
  }

  /** Passes octets until both sides have ended, or only sends this error. Never rejects. */
  async serve(refusal?: HttpError): Promise<void> {
    const { observer } = this.#context;
    observer.opened?.(this.#id, addressText(socketAddress(this.#client.remoteAddr)));
    try {
      if ("handshake" in this.#client) await this.#handshake();
      if (refusal !== undefined) this.#refuse(refusal);
      await this.#passRequests();
      if (this.#refusal === undefined) await this.#passingBack;
      if (this.#refusal !== undefined) await this.#linger();
    } catch (error) {
      this.#fail(error);
    }
    this.#close();
    const reason = (this.#closeReason ?? CLOSE_REASONS.byClient).replace(/^by the server \(/, "by the relay (");
    observer.closed?.(this.#id, reason, this.#requests);
    this.#context.ended(this);
  }

  /** Ends the current wait if its deadline has passed. */
  sweep(): void {
    const { clock, limits } = this.#context;
    if (clock < this.#deadline.at) return;
    this.#deadline.at = Infinity;
    switch (this.#deadline.waiting) {
      case "a head": {
        if (this.#gate.isBroken) return this.cutOff("by the server (a broken head did not end in time)");
        return this.#refuse(tooSlow("head", limits.headTimeoutMs));
      }
      case "the service": {
        const { answerMs } = this.#options;
        if (this.#isOpen && !this.#isAnswering && answerMs !== undefined) {
          const detail = `The server did not answer within ${counted(answerMs / 1000, "second")}`;
          return this.#refuse(new HttpError(504, detail, { rule: "RFC 9110 §15.6.5" }));
        }
        return this.cutOff(CLOSE_REASONS.idle);
      }
      case "the client to read":
        return this.cutOff(CLOSE_REASONS.unread);
      case "the handshake":
        return this.cutOff(CLOSE_REASONS.handshake);
      default:
        return this.cutOff(this.#context.stopping ? CLOSE_REASONS.stopping : CLOSE_REASONS.idle);
    }
  }

  /** Ends the connection soon if it is idle. */
  stop(): void {
    if (this.#deadline.waiting !== "a request") return;
    this.#deadline.at = Math.min(this.#deadline.at, this.#context.clock + this.#context.limits.shutdownIdleMs);
  }

  /** Closes both connections immediately. */
  cutOff(reason: string): void {
    this.#closeReason ??= reason;
    this.#close();
  }

  /** Performs the client's TLS handshake, with the deadline of a head. */
  async #handshake(): Promise<void> {
    this.#deadline.set("the handshake", this.#context.clock + this.#context.limits.headTimeoutMs);
    try {
      await (this.#client as Deno.TlsConn).handshake();
      this.#wait();
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      this.#refuse(error);
    }
  }

  /** Passes on what the client sends, until it ends or is refused. */
  async #passRequests(): Promise<void> {
    for (let isEnd = false; !isEnd && this.#refusal === undefined;) {
      if (this.#options.room !== undefined) await this.#options.room();
      const count = await this.#fromClient.read();
      // A timeout may have refused the request during the read.
      if (this.#refusal !== undefined || this.#closed) return;
      isEnd = count === null;
      const octets = isEnd ? NO_BYTES : this.#fromClient.bytes.subarray(0, count!);
      if (octets[0] === TLS_START && this.#pairing.received("request") === 0 && !("handshake" in this.#client)) {
        this.#note("the client speaks TLS, which this relay does not: use http://, or relay with --cert and --key");
        return this.cutOff(CLOSE_REASONS.noTls);
      }
      if (isEnd && this.#pairing.received("request") === 0) return this.cutOff(CLOSE_REASONS.byClient);
      this.#receive("request", octets, isEnd);
      const passing = this.#gate.pass(octets, isEnd);
      if (this.#gate.refusal === undefined || passing.length > 0) this.#dial();
      this.#fromClient.done(octets.length);
      await this.#passToServer(passing);
      while (this.#gate.awaitsAnswer && this.#refusal === undefined && !this.#ended.response) {
        await new Promise<void>((resolve) => this.#answerCame = resolve);
        await this.#passToServer(this.#gate.pass(NO_BYTES, isEnd));
      }
      if (octets.length >= this.#context.limits.minTurnBytes) await FAIR_TURNS.yieldIfBusy(this);
    }
    if (this.#refusal === undefined) await this.#endToServer();
  }

  async #passToServer(octets: Uint8Array): Promise<void> {
    const { budget } = this.#context;
    const more = this.#gate.held - this.#held;
    if (more > 0 && !budget.has(more)) {
      this.#refuse(overloaded("Too much is waiting at the moment: try again soon"));
    }
    budget.take(more);
    this.#held += more;
    const server = octets.length === 0 ? undefined : this.#server ?? await this.#dialling?.catch(() => undefined);
    if (server !== undefined && !this.#closed) {
      try {
        await writeAll(server, octets);
        this.#options.observer.passed?.(this.#id, "request", octets.length);
      } catch (error) {
        // What the server has sent before it closed is still passed on.
        if (!this.#closed && !isDisconnect(error)) throw error;
      }
    }
    if (this.#gate.refusal !== undefined) this.#refuse(this.#gate.refusal);
    this.#wait();
  }

  /** Passes on the client's end. */
  async #endToServer(): Promise<void> {
    this.#ended.request = true;
    this.#closeReason ??= CLOSE_REASONS.byClient;
    this.#wait();
    const server = await this.#dialling?.catch(() => undefined);
    if (this.#refusal !== undefined) return;
    // A server that has closed needs no end.
    await server?.closeWrite().catch(() => {});
  }

  /** Connects to the server, once. */
  #dial(): void {
    if (this.#dialling !== undefined) return;
    this.#dialling = this.#options.dial(this.#id, this.#cancel.signal).then((server) => {
      if (this.#closed || this.#refusal !== undefined) {
        closeAll(server);
        throw new ClientError("The client has left");
      }
      this.#server = server;
      this.#fromServer = new Reader(server, this.#context);
      this.#passingBack = this.#passResponses(server, this.#fromServer);
      return server;
    });
    this.#dialling.catch((error) => {
      if (this.#closed || this.#refusal !== undefined) return;
      this.#refuse(new HttpError(502, (error as Error).message, { rule: "RFC 9110 §15.6.3" }));
    });
  }

  /** Passes on what the server sends, and its end. Never rejects. */
  async #passResponses(server: Deno.Conn, reader: Reader): Promise<void> {
    try {
      for (let isEnd = false; !isEnd;) {
        if (this.#options.room !== undefined) await this.#options.room();
        const count = await this.#read(reader);
        if (this.#closed || this.#answering !== undefined) return;
        isEnd = count === null;
        const octets = isEnd ? NO_BYTES : reader.bytes.subarray(0, count!);
        this.#receive("response", octets, isEnd);
        reader.done(octets.length);
        this.#isWriting = true;
        await writeAll(this.#client, octets);
        this.#isWriting = false;
        this.#options.observer.passed?.(this.#id, "response", octets.length);
        this.#answerCame();
        if (this.#refusal !== undefined) this.#answer();
        this.#wait();
        if (octets.length >= this.#context.limits.minTurnBytes) await FAIR_TURNS.yieldIfBusy(this);
      }
      this.#ended.response = true;
      this.#closeReason ??= "by the server";
      this.#answerCame();
      if (this.#answering !== undefined) return;
      // Answers that come before the relay's own did not come.
      if (this.#refusal !== undefined) return this.#close();
      await this.#client.closeWrite();
      this.#wait();
    } catch (error) {
      this.#fail(error);
      this.#close();
    } finally {
      if (this.#isLost || this.#answering !== undefined) closeAll(server);
    }
  }

  /** Reads from the server. A reset is told, and passes as an end, as this system has no other. */
  async #read(reader: Reader): Promise<number | null> {
    try {
      return await reader.read();
    } catch (error) {
      if (!this.#closed && this.#answering === undefined) {
        if (!isDisconnect(error)) throw error;
        const how = error instanceof Deno.errors.ConnectionReset ? "reset" : `lost (${(error as Error).message})`;
        this.#note(`${how} by the server; the client saw FIN`);
        this.#isLost = true;
      }
      return null;
    }
  }

  /** Notes that the client's connection has failed. */
  #fail(error: unknown): void {
    if (!isDisconnect(error)) {
      this.#closeReason ??= CLOSE_REASONS.defect;
      if (!this.#closed) this.#context.observer.failed?.(error);
      return;
    }
    const isReset = error instanceof Deno.errors.ConnectionReset;
    if (!this.#closed && isReset && this.#server !== undefined) this.#note("reset by the client; the server saw FIN");
    if (!this.#closed && !this.#ended.request) this.#closeReason = closeReasonOf(error);
    this.#closeReason ??= closeReasonOf(error);
  }

  /** Has octets, or the end of a direction, paired. */
  #receive(direction: Direction, octets: Uint8Array, isEnd: boolean): void {
    (this.#explainer ?? this.#pairing).octets(direction, octets, performance.now());
    if (isEnd) this.#pairing.fin(direction);
    this.#tellExplained();
  }

  #tellExplained(): void {
    const explanations = this.#explainer?.take();
    if (explanations !== undefined && explanations.length > 0) {
      this.#options.observer.explained?.(this.#id, explanations);
    }
  }

  #told(event: ExchangeEvent): void {
    if (event.kind === "ended" && event.direction === "request") this.#requests++;
    this.#gate.tell(event);
    this.#options.observer.exchange?.(this.#id, event);
  }

  /** Whether exchanges are not complete. */
  get #isOpen(): boolean {
    return this.#isAnswering || this.#pairing.unanswered.length > 0;
  }

  /** Whether a response has begun. */
  get #isAnswering(): boolean {
    return this.#pairing.message("response") !== undefined;
  }

  /** Sets the deadline of what is waited for now. */
  #wait(): void {
    if (this.#answering !== undefined || this.#closed) return;
    const { clock, limits, stopping } = this.#context;
    const { waiting } = this.#deadline;
    const stop = this.#pairing.stop("request")?.why;
    const [request, response] = (["request", "response"] as const).map((each) => this.#pairing.message(each));
    const isHead = this.#gate.held > 0 && stop !== "held" ||
      !this.#gate.isBroken && request?.state === "incomplete" && request.head === undefined;
    if (isHead) {
      if (waiting !== "a head") this.#deadline.set("a head", clock + limits.headTimeoutMs);
    } else if (this.#ended.response) {
      const isComing = request?.state === "incomplete" && !this.#isLost;
      this.#deadline.set("the client to close", clock + (isComing ? limits.idleTimeoutMs : limits.lingerMs));
    } else if (stop === "left HTTP" || [request, response].some((message) => message?.state === "broken")) {
      this.#deadline.set("the service", clock + limits.idleTimeoutMs);
    } else if (this.#isOpen) {
      const { answerMs = Infinity } = this.#options;
      const awaits = this.#pairing.unanswered[0]?.request?.state === "whole" && !this.#isAnswering;
      this.#deadline.set("the service", awaits ? clock + answerMs : Infinity);
    } else {
      this.#idleOrder = Deadline.nextIdleOrder();
      this.#deadline.set("a request", clock + (stopping ? limits.shutdownIdleMs : limits.idleTimeoutMs));
    }
  }

  /** Answers instead of the server, and ends the connection. */
  #refuse(error: HttpError): void {
    if (this.#refusal === undefined) {
      this.#note(`answered ${error.status}${error.rule === undefined ? "" : ` (${error.rule})`}: ${error.message}`);
    }
    this.#refusal ??= error;
    this.#answer();
  }

  /** Sends the relay's answer, unless earlier requests have no answer yet. */
  #answer(): void {
    if (this.#answering !== undefined || this.#isWriting) return;
    const error = this.#refusal!;
    const response = this.#pairing.message("response");
    // Nothing can follow a response whose end is not known.
    if (response?.state === "broken") return this.cutOff(`by the server (error ${error.status})`);
    const { unanswered } = this.#pairing;
    const first = unanswered[0]?.request;
    const isEarlier = first?.state === "whole" && first.from < this.#gate.passed;
    if (response !== undefined || isEarlier && [408, 421].includes(error.status)) return;
    const method = unanswered[0]?.method ?? "";
    const minor = first?.head?.minor ?? 1;
    const isPlain = error.status === 400;
    const { encoder } = this.#sender;
    encoder.response(isPlain ? textResponse(error) : problemResponse(error), {
      method,
      minor,
      close: true,
      date: this.#context.date,
    });
    this.#closeReason ??= `by the server (error ${error.status})`;
    closeAll(...this.#server === undefined ? [] : [this.#server]);
    this.#cancel.abort();
    this.#answerCame();
    this.#answering = (async () => {
      if (!isPlain) this.#receive("response", encoder.bytes().slice(), false);
      this.#sender.restart();
      await this.#sender.flush();
      await this.#sender.finish();
    })();
    this.#answering.catch(() => this.#close());
  }

  /** Waits until the relay's answer is sent and the client has closed its side, or is silent. */
  async #linger(): Promise<void> {
    await this.#passingBack;
    await this.#answering;
    if (this.#closed) return;
    const end = this.#context.clock + this.#context.limits.maxLingerMs;
    await this.#fromClient.drain(this.#deadline, end, this);
  }

  #note(line: string): void {
    this.#options.observer.noted?.(this.#id, line);
  }

  /** Closes both connections, and releases all resources. Further calls have no effect. */
  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#explainer?.end();
    this.#tellExplained();
    this.#cancel.abort();
    this.#answerCame();
    this.#sender.end();
    this.#fromClient.end();
    this.#fromServer?.end();
    this.#context.budget.take(-this.#held);
    closeAll(this.#client, ...this.#server === undefined ? [] : [this.#server]);
  }
}
