/** Finds what can be replayed; sends what the clients of a recording sent, and reports on the answers. */

import { setTimeout as sleep } from "node:timers/promises";
import type { Endpoint } from "../../address.ts";
import { counted, type RawConnection } from "../../bytes.ts";
import { Beginning } from "../../exchange.ts";
import { MAX_REPLAYED_CONNECTIONS } from "../../limits.ts";
import type { Painter } from "../../terminal.ts";
import type { Octets } from "../../traffic.ts";
import { within } from "../../turns.ts";
import { type CaptureEvent, directionOf, type OpenedInCapture, serverOf } from "../capture/reader.ts";
import { EntityTags } from "./compare.ts";
import { CLOSED_BY_SERVER, Dialogue } from "./dialogue.ts";
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
  /** Connections of which not all requests are in the recording. */
  readonly incomplete?: ReadonlySet<number>;
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

/** Finds the connections of a recording that carry HTTP. */
export class Survey {
  /** The servers of the connections that carry HTTP, by number. */
  readonly servers = new Map<number, Endpoint>();
  /** Connections of which not all requests are in the recording. */
  readonly incomplete = new Set<number>();
  /** The numbers of connections that carry other octets. */
  readonly others: number[] = [];
  /** Those whose first octets do not show yet what they carry. */
  readonly #undecided = new Map<number, { readonly server: Endpoint; readonly beginning: Beginning }>();

  receive(event: CaptureEvent): void {
    const { connection } = event;
    if (event.kind === "opened") {
      // What a relay passed on comes again from the relay that the client's octets are sent to, or needs none.
      if (event.relayed) return;
      if (!event.startCaptured) this.incomplete.add(connection);
      this.#undecided.set(connection, { server: serverOf(event), beginning: new Beginning() });
      return;
    }
    if (event.kind === "missing" && event.by === "client") this.incomplete.add(connection);
    const beginning = this.#undecided.get(connection)?.beginning;
    if (beginning === undefined) return;
    if ("bytes" in event) beginning.receive(directionOf(event), event.bytes);
    if (beginning.isHttp || event.kind === "closed") this.#decide(connection);
  }

  /** Decides on the connections that are open at the end of the recording. */
  finish(): void {
    for (const connection of this.#undecided.keys()) this.#decide(connection);
  }

  #decide(connection: number): void {
    const { server, beginning } = this.#undecided.get(connection)!;
    this.#undecided.delete(connection);
    beginning.end();
    if (beginning.isHttp) this.servers.set(connection, server);
    const hasOctets = beginning.octets.request + beginning.octets.response > 0;
    if (!beginning.isHttp && hasOctets && this.others.length < MAX_REPLAYED_CONNECTIONS) this.others.push(connection);
  }
}

/** Replays the events of a recording one after the other, and reports on each exchange. */
export class Replayer {
  /** Connections whose exchanges are not all reported. */
  readonly #live = new Map<number, Live>();
  readonly #tags = new EntityTags();
  readonly #counts: Record<ReplayVerdict, number> = { same: 0, different: 0, "not compared": 0 };
  /** When the last answer was complete or the last write was made, in milliseconds. */
  #cause = performance.now();
  /** The same in the recording, in microseconds; at first there is none. */
  #recordedCause = Infinity;
  #news = Promise.withResolvers<void>();
  /** Connections that ended before the recorded ones did. */
  readonly #cutShort = new Set<number>();
  /** Whether an answer that was recorded did not come in time. */
  timedOut = false;

  constructor(private readonly options: ReplayerOptions) {}

  /** Whether all answers are the recorded ones. */
  get same(): boolean {
    return this.#counts.different === 0 && this.#counts.same > 0 && this.#cutShort.size === 0;
  }

  /** Replays an event; what it sends follows all answers that were complete before it in the recording. */
  async receive(event: CaptureEvent): Promise<void> {
    if (event.kind === "opened") return await this.#open(event);
    const live = this.#live.get(event.connection);
    if (live === undefined) return;
    const { recorded, unanswered } = live.dialogue;
    switch (event.kind) {
      case "read":
        return await this.#send(live, event);
      case "write":
        if (recorded.receive(event.bytes)) this.#recordedCause = event.time;
        return;
      case "fin":
        if (event.by === "client") return await this.#halfClose(live, unanswered ? this.#pauseBefore(event) : 0);
        if (recorded.end(CLOSED_BY_SERVER)) this.#recordedCause = event.time;
        return;
      case "missing":
        // Octets before the first start line are not replayed.
        if (event.why === "skipped") return;
        recorded.end(
          `${counted(event.octets, "octet")} of the ${event.by} ${event.octets === 1 ? "is" : "are"} missing in it`,
        );
        if (event.by === "server") return;
        for (const { pairing } of [recorded, live.dialogue.now]) pairing.gap("request", event.octets);
        await this.#catchUp();
        live.unsentWhy ??= "what comes before them is missing in the recording";
        return;
      case "closed":
        await this.#end(live, `the connection ${event.isReset ? "was reset" : `ended ${event.reason}`}`);
    }
  }

  /** Waits for the last answers, and reports on what is left. Nothing can be sent afterwards. */
  async finish(): Promise<void> {
    for (const live of this.#live.values()) await this.#end(live, "the recording ends");
    await this.#catchUp();
    await this.options.print(sumText(this.#counts, this.#cutShort.size));
  }

  /** Ends a recorded connection. The one that replays it is closed once it has caught up. */
  async #end(live: Live, why: string): Promise<void> {
    live.dialogue.recorded.end(why);
    await this.#catchUp();
    live.closing = true;
  }

  close(): void {
    for (const { raw } of this.#live.values()) raw.close();
    this.#live.clear();
  }

  async #open(event: OpenedInCapture): Promise<void> {
    const { connection } = event;
    const { to, open, incomplete } = this.options;
    await this.#catchUp();
    const dialogue = new Dialogue(incomplete?.has(connection));
    const raw = await open(to ?? serverOf(event));
    const live = { connection, dialogue, raw, unsent: 0, unsentWhy: undefined, closing: false, late: false };
    this.#live.set(connection, live);
    this.#read(live);
  }

  async #read({ raw, dialogue }: Live): Promise<void> {
    let why = CLOSED_BY_SERVER;
    try {
      for (let octets = await raw.read(); octets !== null; octets = await raw.read()) {
        if (dialogue.now.receive(octets)) this.#wake();
      }
    } catch (error) {
      why = error instanceof Deno.errors.ConnectionReset ? "the server reset the connection" : (error as Error).message;
    }
    dialogue.now.end(why);
    this.#wake();
  }

  #wake(): void {
    this.#cause = performance.now();
    this.#news.resolve();
    this.#news = Promise.withResolvers<void>();
  }

  async #catchUp(): Promise<void> {
    await this.#answers();
    await this.#report();
  }

  /** Waits for the answers complete at this point; not long for 100 (Continue), which a server may leave out. */
  async #answers(): Promise<void> {
    const { timeoutMs } = this.options;
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

  /** Returns how long the client had waited, in microseconds. */
  #pauseBefore({ time }: CaptureEvent): number {
    return Math.max(0, time - this.#recordedCause);
  }

  async #pause(microseconds: number): Promise<void> {
    if (this.options.fast) return;
    const left = this.#cause + microseconds / 1000 - performance.now();
    if (left > 0) await sleep(Math.min(left, MAX_TIMER_MS));
  }

  async #halfClose({ connection, dialogue, raw, unsentWhy }: Live, pause: number): Promise<void> {
    await this.#catchUp();
    await this.#pause(pause);
    // One turn of the event loop shows a FIN that came right after the last answer.
    if (unsentWhy === undefined) await sleep(1);
    if (dialogue.endsUnsaid) {
      this.#cutShort.add(connection);
      await this.options.print(endedText(connection));
    }
    // A connection that is gone needs no end.
    await within(raw.closeWrite().catch(() => {}), this.options.timeoutMs);
  }

  async #send(live: Live, event: CaptureEvent & Octets): Promise<void> {
    const { dialogue, raw } = live;
    const octets = event.bytes;
    const pause = this.#pauseBefore(event);
    this.#recordedCause = event.time;
    dialogue.sent(octets);
    await this.#catchUp();
    await this.#pause(pause);
    const hadEnded = dialogue.recorded.ended !== undefined;
    let sent = 0;
    if (!hadEnded) live.unsentWhy ??= dialogue.now.ended;
    try {
      while (live.unsentWhy === undefined && sent < octets.length) {
        const writing = raw.write(octets.subarray(sent)).then((count) => sent += count);
        if (await within(writing, this.options.timeoutMs)) continue;
        live.unsentWhy = `the server took nothing within ${this.options.timeoutMs / 1000} s`;
        live.late = true;
        dialogue.now.end(live.unsentWhy);
        raw.close();
      }
    } catch {
      live.unsentWhy = dialogue.now.ended ?? "the connection is gone";
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
        dialogue.now.end(late ? `nothing more within ${this.options.timeoutMs / 1000} s` : "the replay has ended");
        raw.close();
        this.#live.delete(connection);
      }
      for (const exchange of dialogue.take()) {
        const { painter, print, printJson } = this.options;
        const compared = compareExchange(exchange, this.#tags);
        this.#counts[compared.verdict]++;
        this.timedOut ||= late && compared.verdict === "different" && exchange.now.answer === undefined;
        if (printJson === undefined) await print(exchangeText(connection, compared, painter));
        else await printJson(exchangeJson(connection, compared));
      }
      if (done && dialogue.isBeyondHttp) await this.options.print(beyondText(connection));
      if (done && live.unsent > 0) await this.options.print(unsentText(connection, live.unsent, live.unsentWhy!));
    }
  }
}
