/**
 * Writes rows of a cluster through several servers at once, and judges what came of each write by etcd's own count of
 * the writes of each key.
 *
 * A store that sends a write again without knowing what came of it passes every simpler check.
 */

import assert from "node:assert/strict";
import type { Random } from "./fuzzing.ts";
import { exchange, requestOf } from "./killing.ts";
import { Peer, type WholeResponse } from "./support.ts";

const CLIENTS = 32;
const ROWS_OF_A_CLIENT = 2;
/** How long a client waits before its next request after one that was refused. */
const PAUSE_MS = 20;

/** What etcd knows of a row: how often its key was written, and the number that was written last. */
export interface Stored {
  readonly writes: number;
  readonly number: number;
}

/** What came of all writes. */
export interface Verdict {
  attempted: number;
  acknowledged: number;
  /** Writes whose outcome the server, or its end, left open. */
  unknown: number;
  /** Writes that are certainly not done, as the server said. */
  refused: number;
  /** Acknowledged writes that are not there. */
  lost: number;
  /** Times a row was written beyond the writes that were attempted. */
  twice: number;
  /** Times a row was written beyond the writes that were acknowledged or of unknown outcome. */
  doneThoughRefused: number;
  /** Acknowledged writes of each server. */
  byServer: number[];
  /** The longest time in which no write was acknowledged, in milliseconds. */
  longestGapMs: number;
}

/** A row that one client alone writes, each time with the next number. */
class OwnRow {
  attempted = 0;
  acknowledged = 0;
  unknown = 0;
  tag: string | undefined;
  /** The numbers that may be there: that of the last acknowledged write, and those of unknown outcome after it. */
  possible = [0];

  constructor(readonly name: string) {}

  /** Returns the next write: unconditional, over the version that was seen last, or a patch. */
  nextWrite(random: Random): string {
    const content = JSON.stringify({ number: ++this.attempted });
    if (this.tag === undefined) return requestOf("PUT", `/${this.name}`, content);
    switch (random.below(3)) {
      case 0:
        return requestOf("PUT", `/${this.name}`, content, this.tag);
      case 1:
        return requestOf("PATCH", `/${this.name}`, content);
      default:
        return requestOf("PUT", `/${this.name}`, content);
    }
  }
}

/** Clients that write as fast as they are answered, one request at a time each, until they are stopped. */
export class WritingClients {
  acknowledged = 0;
  refused = 0;
  readonly #ports: readonly number[];
  readonly #random: Random;
  readonly #rows: OwnRow[] = [];
  readonly #byServer: number[];
  readonly #running: Promise<void>;
  #stopping = false;
  #last: number | undefined;
  #longestGapMs = 0;
  #changed = () => {};

  /** Starts clients, each with one of these servers of this machine, and with the next one if that is away. */
  constructor(ports: readonly number[], random: Random) {
    this.#ports = ports;
    this.#random = random;
    this.#byServer = ports.map(() => 0);
    const clients = Array.from({ length: CLIENTS }, (_, i) => this.#run(i));
    this.#running = Promise.all(clients).then(() => {});
    // An error is thrown where somebody waits for it.
    this.#running.catch(() => this.#changed());
  }

  /** Resolves once so many more writes are acknowledged. */
  async progress(count: number): Promise<void> {
    await this.#until(this.acknowledged + count, () => this.acknowledged);
  }

  /** Resolves once so many more writes are refused. */
  async refusals(count: number): Promise<void> {
    await this.#until(this.refused + count, () => this.refused);
  }

  async #until(count: number, current: () => number): Promise<void> {
    while (current() < count) {
      await Promise.race([new Promise<void>((changed) => this.#changed = changed), this.#running]);
      if (this.#stopping) throw new Error(`The clients stopped at ${current()} of ${count} writes`);
    }
  }

  /** Stops the clients once each has its answer, and judges. */
  async stop(look: (name: string) => Promise<Stored>): Promise<Verdict> {
    this.#stopping = true;
    await this.#running;
    const verdict: Verdict = {
      ...{ attempted: 0, acknowledged: this.acknowledged, unknown: 0, refused: this.refused },
      ...{ lost: 0, twice: 0, doneThoughRefused: 0 },
      ...{ byServer: this.#byServer, longestGapMs: this.#longestGapMs },
    };
    for (const row of this.#rows) {
      const { writes, number } = await look(row.name);
      verdict.attempted += row.attempted;
      verdict.unknown += row.unknown;
      const missing = row.acknowledged - writes;
      verdict.lost += Math.max(missing, row.possible.includes(number) ? 0 : 1);
      verdict.twice += Math.max(0, writes - row.attempted);
      verdict.doneThoughRefused += Math.max(0, writes - row.acknowledged - row.unknown);
    }
    return verdict;
  }

  async #run(client: number): Promise<void> {
    const rows = Array.from({ length: ROWS_OF_A_CLIENT }, (_, i) => new OwnRow(`c${client}-${i}`));
    this.#rows.push(...rows);
    let server = client % this.#ports.length;
    let peer: Peer | undefined;
    try {
      while (!this.#stopping) {
        peer ??= await connect(this.#ports[server]);
        if (peer === undefined) {
          server = (server + 1) % this.#ports.length;
          await pause();
          continue;
        }
        const row = this.#random.pick(rows);
        const response = await exchange(peer, row.nextWrite(this.#random));
        if (response === undefined) {
          row.unknown++;
          row.possible.push(row.attempted);
          peer.close();
          peer = undefined;
        } else if (this.#note(row, response)) {
          this.#byServer[server]++;
          continue;
        }
        await pause();
      }
    } finally {
      peer?.close();
    }
  }

  /** Notes an answer. Returns whether it is an acknowledgement. */
  #note(row: OwnRow, { head: { status, fields }, content }: WholeResponse): boolean {
    row.tag = fields.get("etag");
    if (status === 200 || status === 201) {
      row.acknowledged++;
      row.possible = [row.attempted];
      this.acknowledged++;
      const now = performance.now();
      this.#longestGapMs = Math.max(this.#longestGapMs, now - (this.#last ?? now));
      this.#last = now;
    } else if (status === 503 && content.includes("outcome of this write is unknown")) {
      row.unknown++;
      row.possible.push(row.attempted);
    } else {
      assert([412, 503, 507].includes(status), `${row.name}: ${status} ${content}`);
      if (status === 503) assert.equal(fields.get("retry-after"), "1");
      this.refused++;
    }
    this.#changed();
    return status < 300;
  }
}

/** Connects to a port of this machine; `undefined` if nobody listens there. */
async function connect(port: number): Promise<Peer | undefined> {
  try {
    return new Peer(await Deno.connect({ hostname: "127.0.0.1", port }));
  } catch {
    return undefined;
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}
