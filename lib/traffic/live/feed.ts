/**
 * The stream of events that a page follows: server-sent events (HTML, "Server-sent events").
 *
 * Nothing waits for a page: each has a place in the history, and one that is overtaken by its oldest event misses some
 * and learns how many.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { PAGE_VIEWERS } from "../../limits.ts";
import { within } from "../../turns.ts";
import type { History } from "./history.ts";
import type { FollowedTable } from "../page/followed_table.js";

export interface FeedSource {
  readonly history: History;
  /** The table before the oldest event that is kept. */
  readonly base: FollowedTable;
}

interface FeedOptions {
  /** What a page learns of the server when it starts. */
  readonly about: Record<string, unknown>;
  /** Distinguishes this process from others: the first part of every event's id. */
  readonly process: string;
  /** How long events gather before they are sent, in milliseconds. */
  readonly gatherMs?: number;
  /** How long a stream may be quiet, in milliseconds. */
  readonly heartbeatMs?: number;
}

/** Characters of events that are sent to a page at a time, give or take one event. */
const PIECE_CHARACTERS = 64 * 1024;

export class Feed {
  readonly #options: Required<FeedOptions>;
  /** Aborted once their pages have left; the one that follows for longest first. */
  readonly #viewers = new Set<AbortSignal>();
  /** Ends the waits of those that have been sent all. */
  #more = Promise.withResolvers<void>();
  #stopped = false;

  constructor(private readonly source: FeedSource, options: FeedOptions) {
    this.#options = { gatherMs: 16, heartbeatMs: 15_000, ...options };
    source.history.onMore = () => this.#wake();
  }

  /** Ends all streams, each after the last event. */
  stop(): void {
    this.#stopped = true;
    this.#wake();
  }

  #wake(): void {
    this.#more.resolve();
    this.#more = Promise.withResolvers();
  }

  /**
   * A stream for one more page. It takes the oldest one's place if there are too many: that one may read nothing, which
   * cannot be seen while nothing happens. It gets a message that says so, and its stream ends.
   *
   * @param lastId The id of the last event that the page has, if it was here before.
   * @param signal Aborted once the page has left.
   */
  stream(lastId: string | undefined, signal: AbortSignal): AsyncGenerator<string, void> {
    if (!signal.aborted) this.#viewers.add(signal);
    const [oldest] = this.#viewers;
    if (this.#viewers.size > PAGE_VIEWERS) this.#viewers.delete(oldest);
    signal.addEventListener("abort", () => {
      this.#viewers.delete(signal);
      this.#wake();
    });
    this.#wake();
    return this.#pieces(this.#resumeAt(lastId), signal);
  }

  /** The number of the event to go on with; `undefined` for a page that has to start over. */
  #resumeAt(lastId: string | undefined): number | undefined {
    const [, process, number] = /^(\w+)-(\d{1,15})$/.exec(lastId ?? "") ?? [];
    const { first, last } = this.source.history;
    const next = Number(number) + 1;
    return process === this.#options.process && next >= first && next <= last + 1 ? next : undefined;
  }

  async *#pieces(resumeAt: number | undefined, signal: AbortSignal): AsyncGenerator<string, void> {
    const { history } = this.source;
    let next = resumeAt ?? history.first;
    try {
      // The browser tries again after two seconds.
      yield resumeAt === undefined ? `retry: 2000\n${this.#start(0)}` : `retry: 2000\n\n`;
      while (!signal.aborted) {
        if (!this.#viewers.has(signal)) return yield "event: replaced\ndata: {}\n\n";
        let text = "";
        if (next < history.first) {
          text = this.#start(history.first - next);
          next = history.first;
        }
        while (text.length < PIECE_CHARACTERS && next <= history.last) text += this.#event(next++);
        if (text === "" && this.#stopped) return;
        if (text === "" && !await this.#hasMore()) text = ": still here\n\n";
        if (text !== "") yield text;
      }
    } finally {
      this.#viewers.delete(signal);
    }
  }

  /** What a page starts with: the server, and the table before the oldest event. */
  #start(missed: number): string {
    const { base: { rows, total, large }, history: { first, last } } = this.source;
    const { about, process } = this.#options;
    const table = { rows: [...rows], total, large };
    return message("start", `${process}-${first - 1}`, { ...about, process, first, last, missed, ...table });
  }

  #event(number: number): string {
    return message("", `${this.#options.process}-${number}`, { number, ...this.source.history.at(number)!.event });
  }

  /** Waits for more events, and for those that come right after them. Returns false after a quiet time. */
  async #hasMore(): Promise<boolean> {
    const { gatherMs, heartbeatMs } = this.#options;
    const more = await within(this.#more.promise, heartbeatMs);
    if (more && !this.#stopped) await sleep(gatherMs);
    return more;
  }
}

/** One event of the stream; JSON has no line ends of its own. */
function message(event: string, id: string, data: unknown): string {
  return `${event === "" ? "" : `event: ${event}\n`}id: ${id}\ndata: ${JSON.stringify(data)}\n\n`;
}
