/** Connections in memory, whose reads and writes a test controls. */

import assert from "node:assert/strict";
import { counted } from "../../lib/bytes.ts";
import type { HttpError } from "../../lib/http/error.ts";
import { SERVER_LIMITS, type ServerLimits } from "../../lib/limits.ts";
import { ServerConnection } from "../../lib/server/connection.ts";
import type { Observer } from "../../lib/server/context.ts";
import { connectionContext, type Handler, serviceOf } from "../support.ts";
import { octetString, wireOctets } from "../wire_cases.ts";

const DECODER = new TextDecoder();
/** Answers with the method, the target and the content. */
export const ECHO: Handler = ({ method, target }, content) => ({
  status: 200,
  content: `${method} ${target} ${DECODER.decode(content)}`,
});
export const HOST = "Host: a\r\n";
export const get = (target: string, fields = "") => `GET ${target} HTTP/1.1\r\n${HOST}${fields}\r\n`;

/** A connection in memory: the octets of each read, and those passed to each write. */
export class FakeConn {
  readonly writes: string[] = [];
  readonly remoteAddr = { transport: "tcp", hostname: "fake", port: 1 } as const;
  readonly #reads: Uint8Array[];

  constructor(...reads: string[]) {
    this.#reads = reads.map(wireOctets);
  }

  read(buffer: Uint8Array): Promise<number | null> {
    const bytes = this.#reads.shift();
    if (bytes === undefined) return Promise.resolve(null);
    buffer.set(bytes.subarray(0, buffer.length));
    if (bytes.length > buffer.length) this.#reads.unshift(bytes.subarray(buffer.length));
    return Promise.resolve(Math.min(bytes.length, buffer.length));
  }

  write(bytes: Uint8Array): Promise<number> {
    this.writes.push(octetString(bytes));
    return Promise.resolve(bytes.length);
  }

  closeWrite(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {}
}

export async function converse(conn: FakeConn, handler: Handler = ECHO, observer: Observer = {}): Promise<string[]> {
  const context = connectionContext(observer);
  await new ServerConnection(1, conn as unknown as Deno.Conn, context, serviceOf(handler)).serve();
  return conn.writes;
}

/** Returns false until the event loop has had a turn, or until it was called too often. */
export function turnWatch(): { turned: () => boolean; questions: () => number } {
  let turned = false;
  let questions = 0;
  setTimeout(() => turned = true, 0);
  return { turned: () => turned || ++questions >= MANY, questions: () => questions };
}

/** Questions after which nobody else would be served. */
export const MANY = 200_000;

/** A client that sends when the test says so, and reads everything unless it is stalled. */
export class HeldConn {
  readonly remoteAddr = { transport: "tcp", hostname: "held", port: 1 } as const;
  written = "";
  stalled = false;
  /** The octets passed to the last write. */
  offered = 0;
  /** How many of them it accepts at a time. */
  takes = Infinity;
  finished = false;
  isClosed = false;
  reads = 0;
  readonly closed = Promise.withResolvers<void>();
  #read = Promise.withResolvers<number | null>();
  #buffer: Uint8Array | undefined;
  #ended = false;
  #asked = Promise.withResolvers<void>();

  read(buffer: Uint8Array): Promise<number | null> {
    this.reads++;
    if (this.#ended) return Promise.resolve(null);
    this.#buffer = buffer;
    this.#read = Promise.withResolvers();
    this.#asked.resolve();
    return this.#read.promise;
  }

  /** Sends octets, and resolves once the server reads again. */
  async bring(text: string): Promise<void> {
    this.deliver(text);
    await this.#asked.promise;
  }

  /** Sends octets. */
  deliver(text: string): void {
    assert(this.#buffer !== undefined && text.length <= this.#buffer.length);
    this.#asked = Promise.withResolvers();
    this.#buffer.set(wireOctets(text));
    this.#read.resolve(text.length);
  }

  /** Closes its side. */
  end(): void {
    this.#ended = true;
    this.#read.resolve(null);
  }

  write(bytes: Uint8Array): Promise<number> {
    this.offered = bytes.length;
    if (this.stalled) return this.closed.promise.then(() => Promise.reject(new Deno.errors.BadResource()));
    const taken = bytes.subarray(0, Math.min(bytes.length, this.takes));
    this.written += octetString(taken);
    return Promise.resolve(taken.length);
  }

  closeWrite(): Promise<void> {
    this.finished = true;
    return Promise.resolve();
  }

  close(): void {
    this.isClosed = true;
    this.closed.resolve();
    this.#read.promise.catch(() => {});
    this.#read.reject(new Deno.errors.BadResource());
  }
}

/** Serves a connection, or only sends a refusal. */
export function serve(
  answer: Handler = () => ({ status: 200, content: "ok" }),
  conn: HeldConn = new HeldConn(),
  limits: Partial<ServerLimits> = {},
  refusal?: HttpError,
) {
  let reason = "";
  const context = connectionContext({ closed: (_id, why) => reason = why });
  context.limits = { ...SERVER_LIMITS, ...limits };
  const connection = new ServerConnection(1, conn as unknown as Deno.Conn, context, serviceOf(answer));
  return {
    conn,
    ended: connection.serve(refusal),
    reason: () => reason,
    /** Stops the server's connections, as shutdown does. */
    stop(): void {
      context.stopping = true;
      connection.stop();
    },
    /** Advances the clock, checks the timeouts, and runs their effects. */
    async at(milliseconds: number): Promise<void> {
      context.clock = milliseconds;
      connection.sweep();
      await new Promise((resolve) => setTimeout(resolve, 0));
    },
  };
}

/** Asserts that a part of a request was refused because it was too slow. */
export function assertRefused(written: string, part: string, milliseconds: number): void {
  assert.match(written, /^HTTP\/1\.1 408 Request Timeout\r\n(?:.+\r\n)*Connection: close\r\n/);
  assert(
    written.includes(`The request's ${part} was not complete after ${counted(milliseconds / 1000, "second")}`),
    written,
  );
}
