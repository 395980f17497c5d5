/**
 * One client's connection through a relay: octets to the server, through the gate, and back.
 *
 * Each direction is a loop of one read and one write, so that a peer that does not read is not read from. An answer by
 * the relay itself replaces the server's, and ends the connection.
 */

import { counted, NO_BYTES, type Socket, withRule, writeAll } from "../bytes.ts";
import { type Direction, type ExchangeEvent, Explainer, type Explanation, Pairing } from "../exchange.ts";
import { HttpError, TLS_START } from "../http_message.ts";
import {
  AcceptedConnection,
  CLOSE_REASONS,
  closeAll,
  isDisconnect,
  type Observer,
  overloaded,
  problemResponse,
  Reader,
  type ServerContext,
  textResponse,
  tooSlow,
  type Wait,
} from "../server.ts";
import { FAIR_TURNS } from "../turns.ts";
import { type HostChange, HostGate, type HostRule } from "./gate.ts";

/** Receives what happens on connections. Octets are valid only during the call. */
export interface RelayObserver extends Observer {
  /** Something happened to a message: the client's, or the server's. */
  exchange?(connection: number, event: ExchangeEvent): void;
  /** Messages are explained: only if that was asked for. */
  explained?(connection: number, explanations: readonly Explanation[]): void;
  changed?(connection: number, change: HostChange): void;
  /** Something that the user should know: one line. */
  noted?(connection: number, line: string): void;
  /** So many octets have passed to the server, or to the client. */
  passed?(connection: number, direction: Direction, octets: number): void;
}

/** What connections of a relay have in common. */
export interface RelayConnectionOptions {
  readonly rule: HostRule;
  /** Opens a connection to the server for this connection of a client. */
  readonly dial: (connection: number, cancel: AbortSignal) => Promise<Socket>;
  /** How long to wait for an answer, in milliseconds; by default without end. */
  readonly answerMs?: number;
  readonly explains: boolean;
  /** Resolves once there is room for a recording; `undefined` if there is. */
  readonly room?: () => Promise<void> | undefined;
}

export class RelayConnection extends AcceptedConnection {
  readonly #observer: RelayObserver;
  readonly #pairing: Pairing;
  readonly #explainer?: Explainer;
  readonly #gate: HostGate;
  readonly #cancel = new AbortController();
  /** The connection to the server, once that is needed; without one if it could not be made. */
  #dialling: Promise<Socket | undefined> | undefined;
  #server: Socket | undefined;
  #fromServer: Reader | undefined;
  #passingBack: Promise<void> | undefined;
  /** Continues the requests that wait for an answer. */
  #answerCame = () => {};
  #refusal: HttpError | undefined;
  #answering: Promise<void> | undefined;
  /** Whether octets of the server are being written to the client. */
  #isWriting = false;
  /** Whether nothing more reaches the server. */
  #isLost = false;
  /** When the connection is closed at the latest, once nothing more can come of it. */
  #lingerEnd: number | undefined;
  readonly #ended = { request: false, response: false };
  /** How many octets of the budget the gate's held octets use. */
  #held = 0;

  constructor(
    connection: number,
    client: Socket,
    context: ServerContext,
    private readonly options: RelayConnectionOptions,
  ) {
    super(connection, client, context);
    this.#observer = context.observer;
    const listener = (event: ExchangeEvent) => {
      if (event.kind === "ended" && event.direction === "request") this.requests++;
      this.#gate.receive(event);
      this.#observer.exchange?.(connection, event);
    };
    if (options.explains) this.#explainer = new Explainer({ listener });
    this.#pairing = this.#explainer?.pairing ?? new Pairing(listener);
    this.#gate = new HostGate(this.#pairing, options.rule, (change) => this.#observer.changed?.(connection, change));
  }

  override async serve(refusal?: HttpError): Promise<void> {
    try {
      if (this.begin()) refusal = await this.handshake() ?? refusal;
      if (refusal !== undefined) this.#refuse(refusal);
      await this.#passRequests();
      await this.#passingBack;
      if (this.#refusal !== undefined) {
        await this.#answering;
        // The client closes its side once it has the relay's answer, or is silent.
        if (!this.closed) await this.linger();
      }
    } catch (error) {
      this.fail(error);
    }
    this.end();
  }

  protected override get endReason(): string {
    return super.endReason.replace(/^by the server \(/, "by the relay (");
  }

  protected override timeOut(wait: Wait): void {
    if (wait === "a head") {
      if (this.#gate.isBroken) return this.cutOff("by the server (a broken head did not end in time)");
      return this.#refuse(tooSlow("head", this.context.limits.headTimeoutMs));
    }
    if (wait !== "the service") return super.timeOut(wait);
    const { answerMs } = this.options;
    const isAwaited = this.#pairing.unanswered.length > 0 && this.#pairing.message("response") === undefined;
    if (!isAwaited || answerMs === undefined) return this.cutOff(CLOSE_REASONS.idle);
    const detail = `The server did not answer within ${counted(answerMs / 1000, "second")}`;
    this.#refuse(new HttpError(504, detail, { rule: "RFC 9110 §15.6.5" }));
  }

  /** Passes on what the client sends, until it ends or is refused. */
  async #passRequests(): Promise<void> {
    for (let isEnd = false; !isEnd && this.#refusal === undefined;) {
      if (this.options.room !== undefined) await this.options.room();
      const count = await this.reader.read();
      // A timeout may have refused the request during the read, or ended the connection.
      if (this.#refusal !== undefined || this.isFinishing || this.closed) return;
      isEnd = count === null;
      const octets = isEnd ? NO_BYTES : this.reader.bytes.subarray(0, count!);
      if (octets[0] === TLS_START && this.#pairing.received("request") === 0 && !("handshake" in this.conn)) {
        this.#note("the client speaks TLS, which this relay does not: use http://, or relay with --cert and --key");
        return this.cutOff(CLOSE_REASONS.noTls);
      }
      if (isEnd && this.#pairing.received("request") === 0) return this.cutOff(CLOSE_REASONS.byClient);
      this.#receive("request", octets, isEnd);
      const passing = this.#gate.pass(octets, isEnd);
      if (this.#gate.refusal === undefined || passing.length > 0) this.#dialling ??= this.#dial();
      this.reader.done(octets.length);
      await this.#passToServer(passing);
      while (!this.closed && this.#gate.awaitsAnswer && this.#refusal === undefined && !this.#ended.response) {
        await new Promise<void>((resolve) => this.#answerCame = resolve);
        if (this.closed) return;
        await this.#passToServer(this.#gate.pass(NO_BYTES, isEnd));
      }
      if (octets.length >= this.context.limits.minTurnBytes) await FAIR_TURNS.yieldIfBusy();
    }
    if (this.#refusal !== undefined) return;
    this.#ended.request = true;
    this.closeReason ??= CLOSE_REASONS.byClient;
    this.#wait();
    const server = await this.#dialling;
    // A server that has closed needs no end.
    if (this.#refusal === undefined) await server?.closeWrite().catch(() => {});
  }

  async #passToServer(octets: Uint8Array): Promise<void> {
    const { budget } = this.context;
    const more = this.#gate.held - this.#held;
    const isTooMuch = more > 0 && !budget.has(more);
    budget.take(more);
    this.#held += more;
    // Refusing may close the connection, which gives back all that it holds.
    if (isTooMuch) this.#refuse(overloaded("Too much is waiting at the moment: try again soon"));
    const server = octets.length === 0 ? undefined : await this.#dialling;
    if (server !== undefined && !this.closed) {
      try {
        await writeAll(server, octets);
        this.#observer.passed?.(this.connection, "request", octets.length);
      } catch (error) {
        // What the server has sent before it closed is still passed on.
        if (!this.closed && !isDisconnect(error)) throw error;
        this.#isLost = true;
      }
    }
    if (this.#gate.refusal !== undefined) this.#refuse(this.#gate.refusal);
    this.#wait();
  }

  async #dial(): Promise<Socket | undefined> {
    try {
      const server = await this.options.dial(this.connection, this.#cancel.signal);
      if (this.closed || this.#refusal !== undefined) return void closeAll(server);
      this.#server = server;
      this.#fromServer = new Reader(server, this.context);
      this.#passingBack = this.#passResponses(server, this.#fromServer);
      return server;
    } catch (error) {
      if (this.closed || this.#refusal !== undefined) return;
      const { name, message } = error as Error;
      const [status, section] = name === "TimeoutError" ? [504, 5] : [502, 3];
      this.#refuse(new HttpError(status, message, { rule: `RFC 9110 §15.6.${section}` }));
    }
  }

  /** Passes on what the server sends, and its end. Never rejects. */
  async #passResponses(server: Socket, reader: Reader): Promise<void> {
    try {
      for (let isEnd = false; !isEnd;) {
        if (this.options.room !== undefined) await this.options.room();
        const count = await this.#read(reader);
        if (this.closed || this.#answering !== undefined) return;
        isEnd = count === null;
        const octets = isEnd ? NO_BYTES : reader.bytes.subarray(0, count!);
        this.#receive("response", octets, isEnd);
        reader.done(octets.length);
        await this.#taking(() => writeAll(this.conn, octets));
        this.#observer.passed?.(this.connection, "response", octets.length);
        this.#answerCame();
        if (this.#refusal !== undefined) this.#answer();
        this.#wait();
        if (octets.length >= this.context.limits.minTurnBytes) await FAIR_TURNS.yieldIfBusy();
      }
      this.#ended.response = true;
      this.closeReason ??= "by the server";
      this.#answerCame();
      if (this.#answering !== undefined) return;
      // Earlier answers, which must precede the relay's own, did not come.
      if (this.#refusal !== undefined) return this.close();
      await this.#taking(() => this.conn.closeWrite());
      this.#wait();
    } catch (error) {
      this.fail(error);
      this.close();
    } finally {
      if (this.#isLost || this.#answering !== undefined) closeAll(server);
    }
  }

  /** Waits for the client to take octets, or the end. Meanwhile the server is not read from, so it cannot be late. */
  async #taking(take: () => Promise<void>): Promise<void> {
    this.#isWriting = true;
    this.#wait();
    await take();
    this.#isWriting = false;
  }

  /** Reads from the server. A reset is noted, and passed on as FIN: the runtime cannot send a reset. */
  async #read(reader: Reader): Promise<number | null> {
    try {
      return await reader.read();
    } catch (error) {
      if (!this.closed && this.#answering === undefined) {
        if (!isDisconnect(error)) throw error;
        const how = error instanceof Deno.errors.ConnectionReset ? "reset" : `lost (${(error as Error).message})`;
        this.#note(`${how} by the server; the client saw FIN`);
        this.#isLost = true;
      }
      return null;
    }
  }

  protected override fail(error: unknown): void {
    if (!this.closed && isDisconnect(error)) {
      const isReset = error instanceof Deno.errors.ConnectionReset;
      if (isReset && this.#server !== undefined) this.#note("reset by the client; the server saw FIN");
      if (!this.#ended.request) this.closeReason = undefined;
    }
    super.fail(error);
  }

  #receive(direction: Direction, octets: Uint8Array, isEnd: boolean): void {
    (this.#explainer ?? this.#pairing).octets(direction, octets, performance.now());
    if (isEnd) this.#pairing.fin(direction);
    this.#reportExplained();
  }

  #reportExplained(): void {
    const explanations = this.#explainer?.take() ?? [];
    if (explanations.length > 0) this.#observer.explained?.(this.connection, explanations);
  }

  #wait(): void {
    if (this.#answering !== undefined || this.isFinishing || this.closed) return;
    const { clock, limits } = this.context;
    const { unanswered } = this.#pairing;
    const stop = this.#pairing.stop("request")?.why;
    const [request, response] = (["request", "response"] as const).map((each) => this.#pairing.message(each));
    const isHead = this.#gate.held > 0 && stop !== "held" ||
      !this.#gate.isBroken && request?.state === "incomplete" && request.head === undefined;
    if (isHead) {
      if (this.waitsFor !== "a head") this.wait("a head", clock + limits.headTimeoutMs);
    } else if (this.#isWriting) this.wait("the client to read", Infinity);
    else if (this.#ended.response) {
      const isComing = request?.state === "incomplete" && !this.#isLost;
      if (!isComing) this.#lingerEnd ??= clock + (this.#isLost ? limits.lingerMs : limits.maxLingerMs);
      const end = isComing ? clock + limits.idleTimeoutMs : Math.min(clock + limits.lingerMs, this.#lingerEnd!);
      this.wait("the client to close", end);
    } else if (stop === "left HTTP" || [request, response].some((message) => message?.state === "broken")) {
      this.wait("the service", clock + limits.idleTimeoutMs);
    } else if (response !== undefined || unanswered.length > 0) {
      const { answerMs = Infinity } = this.options;
      const isAwaited = response === undefined && unanswered[0].request?.state === "whole";
      this.wait("the service", isAwaited ? clock + answerMs : Infinity);
    } else this.awaitRequest();
  }

  /** Answers instead of the server, and ends the connection. */
  #refuse(error: HttpError): void {
    if (this.#refusal === undefined) {
      this.#note(`${withRule(`answered ${error.status}`, error.rule)}: ${error.message}`);
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
    const { encoder, isPlain, context: { date } } = this;
    const context = { method: unanswered[0]?.method ?? "", minor: first?.head?.minor ?? 1, close: true, date };
    encoder.response(isPlain ? textResponse(error) : problemResponse(error), context);
    this.closeReason ??= `by the server (error ${error.status})`;
    closeAll(this.#server);
    this.#cancel.abort();
    this.#answerCame();
    this.#answering = (async () => {
      if (!isPlain) this.#receive("response", encoder.bytes().slice(), false);
      await this.flush();
      await this.finish();
    })();
    this.#answering.catch(() => this.close());
  }

  #note(line: string): void {
    this.#observer.noted?.(this.connection, line);
  }

  protected override release(): void {
    this.#explainer?.end();
    this.#reportExplained();
    this.#cancel.abort();
    this.#answerCame();
    this.#fromServer?.end();
    this.context.budget.take(-this.#held);
    closeAll(this.#server);
  }
}
