/** Replays a script: sends what the clients of a recording sent, and reports on the answers. */

import { setTimeout as sleep } from "node:timers/promises";
import type { Endpoint } from "../../address.ts";
import type { RawConnection } from "../../bytes.ts";
import type { Painter } from "../../terminal.ts";
import { within } from "../../turns.ts";
import { EntityTags } from "./compare.ts";
import { CLOSED_BY_SERVER, type Dialogue } from "./dialogue.ts";
import type { Step } from "./script.ts";
import {
  beyondText,
  compareExchange,
  endedText,
  exchangeJson,
  exchangeText,
  type ReplayVerdict,
  sumText,
  unsentText,
} from "./text.ts";

export interface ReplayerOptions {
  /** The server to replay to; by default the one of each connection. */
  readonly to?: Endpoint;
  readonly fast: boolean;
  /** How long to wait for an answer, in milliseconds. */
  readonly timeoutMs: number;
  readonly open: (server: Endpoint) => Promise<RawConnection>;
  readonly painter: Painter;
  readonly print: (line: string) => Promise<void>;
  /** Receives each exchange as JSON; by default it is a part of the report. */
  readonly printJson?: (line: string) => Promise<void>;
}

/** How long to wait for an interim response that was recorded. */
const INTERIM_MS = 1000;
/** The longest wait of one timer, in milliseconds. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** A recorded connection, and the connection that replays it. */
interface Live {
  readonly connection: number;
  readonly dialogue: Dialogue;
  readonly raw: RawConnection;
  /** Octets that were not sent, and why. */
  unsent: number;
  unsentWhy: string | undefined;
  /** Whether the recorded connection has ended. */
  closing: boolean;
  /** Whether an answer did not come in time. */
  late: boolean;
}

/** Runs the steps of a script one after the other, and reports on each exchange. */
export class Replayer {
  readonly #options: ReplayerOptions;
  /** Connections whose exchanges are not all reported. */
  readonly #live = new Map<number, Live>();
  readonly #tags = new EntityTags();
  readonly #counts: Record<ReplayVerdict, number> = { same: 0, different: 0, "not compared": 0 };
  /** When the last answer was complete or the last write was made, in milliseconds. */
  #cause = performance.now();
  #news = Promise.withResolvers<void>();
  /** Connections that ended before the recorded ones did. */
  readonly #cutShort = new Set<number>();
  /** Whether an answer that was recorded did not come in time. */
  timedOut = false;

  constructor(options: ReplayerOptions) {
    this.#options = options;
  }

  /** Whether all answers are the recorded ones. */
  get same(): boolean {
    return this.#counts.different === 0 && this.#counts.same > 0 && this.#cutShort.size === 0;
  }

  /** Runs a step, after all answers are here that were complete before it in the recording. */
  async run(step: Step): Promise<void> {
    await this.#answers();
    await this.#report();
    if (step.kind === "open") return await this.#open(step);
    const live = this.#live.get(step.connection);
    if (live === undefined) return;
    switch (step.kind) {
      case "send":
        await this.#pause(step.pause);
        return await this.#send(live, step.octets);
      case "fin":
        await this.#pause(step.pause);
        // One turn of the event loop shows a FIN that came right after the last answer.
        if (live.unsentWhy === undefined) await sleep(1);
        if (live.dialogue.endsUnsaid) {
          this.#cutShort.add(step.connection);
          await this.#options.print(endedText(step.connection));
        }
        // A connection that is gone needs no end.
        await within(live.raw.closeWrite().catch(() => {}), this.#options.timeoutMs);
        return;
      case "gap":
        live.unsentWhy ??= "what comes before them is missing in the recording";
        return;
      case "close":
        live.closing = true;
    }
  }

  /** Waits for the last answers, and reports on what is left. Nothing can be sent afterwards. */
  async finish(): Promise<void> {
    for (const live of this.#live.values()) live.closing = true;
    await this.#answers();
    await this.#report();
    await this.#options.print(sumText(this.#counts, this.#cutShort.size));
  }

  close(): void {
    for (const { raw } of this.#live.values()) raw.close();
    this.#live.clear();
  }

  async #open({ connection, dialogue, server: { address, secure } }: Step & { kind: "open" }): Promise<void> {
    const { to, open } = this.#options;
    const raw = await open(to ?? { secure, host: address.hostname, port: address.port });
    const live = { connection, dialogue, raw, unsent: 0, unsentWhy: undefined, closing: false, late: false };
    this.#live.set(connection, live);
    this.#read(live);
  }

  async #read({ raw, dialogue }: Live): Promise<void> {
    let why = CLOSED_BY_SERVER;
    try {
      for (let octets = await raw.read(); octets !== null; octets = await raw.read()) {
        if (dialogue.received("now", octets)) this.#wake();
      }
    } catch (error) {
      why = error instanceof Deno.errors.ConnectionReset ? "the server reset the connection" : (error as Error).message;
    }
    dialogue.end("now", why);
    this.#wake();
  }

  #wake(): void {
    this.#cause = performance.now();
    this.#news.resolve();
    this.#news = Promise.withResolvers<void>();
  }

  /**
   * Waits for the answers that were complete at this point of the recording; not long for 100 (Continue), which a server
   * may leave out.
   */
  async #answers(): Promise<void> {
    const { timeoutMs } = this.#options;
    const start = performance.now();
    for (;;) {
      const waited = performance.now() - start;
      let limit = Infinity;
      for (const live of this.#live.values()) {
        const lack = live.dialogue.lacks();
        if (lack === undefined) continue;
        const most = lack === "interim" ? Math.min(INTERIM_MS, timeoutMs) : timeoutMs;
        if (waited < most) limit = Math.min(limit, most);
        else {
          live.late ||= lack === "final";
          live.dialogue.excuse();
        }
      }
      if (limit === Infinity) return;
      await within(this.#news.promise, limit - waited);
    }
  }

  async #pause(microseconds: number): Promise<void> {
    if (this.#options.fast) return;
    const until = this.#cause + microseconds / 1000;
    for (let left = until - performance.now(); left > 0; left = until - performance.now()) {
      await sleep(Math.min(left, MAX_TIMER_MS));
    }
  }

  async #send(live: Live, octets: Uint8Array): Promise<void> {
    const { dialogue, raw } = live;
    const hadEnded = dialogue.ended("recorded") !== undefined;
    let sent = 0;
    if (!hadEnded) live.unsentWhy ??= dialogue.ended("now");
    try {
      while (live.unsentWhy === undefined && sent < octets.length) {
        const writing = raw.write(octets.subarray(sent)).then((count) => sent += count);
        if (await within(writing, this.#options.timeoutMs)) continue;
        live.unsentWhy = `the server took nothing within ${this.#options.timeoutMs / 1000} s`;
        live.late = true;
        dialogue.end("now", live.unsentWhy);
        raw.close();
      }
    } catch {
      live.unsentWhy = dialogue.ended("now") ?? "the connection is gone";
    }
    this.#cause = performance.now();
    live.unsent += octets.length - sent;
    if (sent < octets.length && !hadEnded) this.#cutShort.add(live.connection);
  }

  /** Prints the exchanges that are complete, and closes the connections that are. */
  async #report(): Promise<void> {
    for (const live of this.#live.values()) {
      const { connection, dialogue, raw, closing, late } = live;
      const done = closing && dialogue.lacks() === undefined;
      if (done) {
        dialogue.end("now", late ? `nothing more within ${this.#options.timeoutMs / 1000} s` : "the replay has ended");
        raw.close();
        this.#live.delete(connection);
      }
      for (const exchange of dialogue.take()) {
        const { painter, print, printJson } = this.#options;
        const compared = compareExchange(exchange, this.#tags);
        this.#counts[compared.verdict]++;
        this.timedOut ||= late && compared.verdict === "different" && exchange.now.answer === undefined;
        if (printJson === undefined) await print(exchangeText(connection, compared, painter));
        else await printJson(exchangeJson(connection, compared));
      }
      if (done && dialogue.isBeyondHttp) await this.#options.print(beyondText(connection));
      if (done && live.unsent > 0) await this.#options.print(unsentText(connection, live.unsent, live.unsentWhy!));
    }
  }
}
