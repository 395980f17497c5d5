/** A relay between clients and a server of a test, whose octets the test decides on. */

import assert from "node:assert/strict";
import { dial } from "../../lib/client.ts";
import { SERVER_LIMITS, type ServerLimits } from "../../lib/limits.ts";
import { RelayConnection, type RelayConnectionOptions, type RelayObserver } from "../../lib/relay/connection.ts";
import { HostRule } from "../../lib/relay/gate.ts";
import { Server } from "../../lib/server.ts";
import { joined } from "../../lib/server/context.ts";
import type { Endpoint } from "../../lib/address.ts";
import { Peer } from "../support.ts";
import { octetString } from "../wire_cases.ts";

/** The server's end of a connection. */
export class Upstream extends Peer {
  /** Reads until this text has come. Returns all that came with it. */
  async until(text: string): Promise<string> {
    let came = "";
    const buffer = new Uint8Array(64 * 1024);
    while (!came.includes(text)) {
      const count = await this.conn.read(buffer);
      assert(count !== null, `the relay ended after ${JSON.stringify(came)}`);
      came += octetString(buffer.subarray(0, count));
    }
    return came;
  }
}

/** Options of a relay in a test. */
export interface RelayedOptions {
  readonly limits?: Partial<ServerLimits>;
  readonly keepHost?: boolean;
  readonly answerMs?: number;
  readonly explains?: boolean;
  readonly observer?: RelayObserver;
  /** The server's name, for Host; by default `api.example`. */
  readonly server?: Partial<Endpoint>;
  readonly dial?: RelayConnectionOptions["dial"];
}

/** A relay on a free port. */
export class Relayed implements AsyncDisposable {
  /** What the user was told. */
  readonly notes: string[] = [];
  /** Why connections have ended. */
  readonly closed: string[] = [];
  /** The changes of Host, as `from -> to`. */
  readonly changes: string[] = [];
  readonly server: Server;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #upstream = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #peers: Peer[] = [];
  readonly #failures: unknown[] = [];
  #offset = 0;

  constructor(options: RelayedOptions = {}) {
    const server = { secure: false, host: "api.example", port: 80, ...options.server };
    const told = joined<RelayObserver>([{
      noted: (_id, line) => void this.notes.push(line),
      changed: (_id, { from, to }) => void this.changes.push(`${from} -> ${to}`),
      closed: (_id, reason) => void this.closed.push(reason),
      failed: (error) => void this.#failures.push(error),
    }, options.observer ?? {}]);
    const endpoint = { secure: false, host: "127.0.0.1", port: (this.#upstream.addr as Deno.NetAddr).port };
    const shared: RelayConnectionOptions = {
      rule: new HostRule(server, options.keepHost ?? false, false),
      dial: options.dial ?? ((_id, cancel) => dial(endpoint, { timeoutMs: 5000 }, cancel)),
      answerMs: options.answerMs,
      explains: options.explains ?? false,
    };
    this.server = new Server(this.#listener, (id, conn, context) => new RelayConnection(id, conn, context, shared), {
      limits: { ...SERVER_LIMITS, minReadBytes: 16 * 1024, shutdownIdleMs: 0, lingerMs: 100, ...options.limits },
      observer: told,
      monotonicNow: () => performance.now() + this.#offset,
    });
  }

  /** Advances the relay's clock, and checks its timeouts. */
  advance(milliseconds: number): void {
    this.#offset += milliseconds;
    this.server.sweep();
  }

  /** Connects a client. */
  async client(): Promise<Peer> {
    const { port } = this.#listener.addr as Deno.NetAddr;
    return this.#kept(new Peer(await Deno.connect({ hostname: "127.0.0.1", port })));
  }

  /** Accepts the relay's connection. */
  async upstream(): Promise<Upstream> {
    return this.#kept(new Upstream(await this.#upstream.accept()));
  }

  /** Connects a client that sends octets, which the server gets. */
  async sent(octets: string): Promise<{ client: Peer; upstream: Upstream }> {
    const client = await this.client();
    await client.send(octets);
    return { client, upstream: await this.upstream() };
  }

  #kept<P extends Peer>(peer: P): P {
    this.#peers.push(peer);
    return peer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const peer of this.#peers) peer.close();
    await this.server.shutdown();
    this.#upstream.close();
    assert.deepEqual(this.#failures, []);
    assert.equal(this.server.budget.used, 0);
  }
}
