/**
 * A relay in front of a node of etcd that loses requests, and replies to requests that were done: whole, by half, or by
 * staying silent.
 */

import { writeAll } from "../../lib/bytes.ts";
import type { Random } from "../fuzzing.ts";

/** Reads that are passed on for each one that is lost. */
const READS_PER_LOSS = 30;

/** Relays connections to a node, and loses some of what it reads. */
export class LossyGateway implements AsyncDisposable {
  /** Where it listens. */
  readonly url: string;
  /** How often it has lost something. */
  losses = 0;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #random: Random;
  readonly #conns = new Set<Deno.Conn>();
  readonly #relaying: Promise<void>;

  constructor(target: string, random: Random) {
    this.#random = random;
    this.url = `http://127.0.0.1:${(this.#listener.addr as Deno.NetAddr).port}`;
    this.#relaying = this.#accept(Number(new URL(target).port));
  }

  async #accept(port: number): Promise<void> {
    const relays: Promise<void>[] = [];
    for await (const client of this.#listener) relays.push(this.#relay(client, port));
    await Promise.all(relays);
  }

  async #relay(client: Deno.Conn, port: number): Promise<void> {
    this.#conns.add(client);
    try {
      const node = await Deno.connect({ hostname: "127.0.0.1", port });
      this.#conns.add(node);
      await Promise.all([this.#pass(client, node), this.#pass(node, client)]);
    } catch {
      // Without a node there is nothing to relay.
      this.#close(client);
    }
  }

  /** Passes on what one end sends, until something is lost or an end closes. */
  async #pass(from: Deno.Conn, to: Deno.Conn): Promise<void> {
    const buffer = new Uint8Array(64 * 1024);
    try {
      for (let count; (count = await from.read(buffer)) !== null;) {
        const piece = buffer.subarray(0, count);
        if (this.#random.below(READS_PER_LOSS) > 0) {
          await writeAll(to, piece);
          continue;
        }
        this.losses++;
        const kind = this.#random.below(8);
        if (kind === 0) { while (await from.read(buffer) !== null); }
        else if (kind < 4) await writeAll(to, piece.subarray(0, count / 2));
        break;
      }
    } catch {
      // The other direction has closed it.
    }
    this.#close(from);
    this.#close(to);
  }

  #close(conn: Deno.Conn): void {
    if (this.#conns.delete(conn)) conn.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const conn of this.#conns) this.#close(conn);
    await this.#relaying;
  }
}
