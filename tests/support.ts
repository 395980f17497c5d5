/** Helpers of several test files: requests from octets, servers on a free port, and exchanges over a raw connection. */

import assert from "node:assert/strict";
import { join } from "node:path";
import type { Socket } from "../lib/bytes.ts";
import { Decoder } from "../lib/http/decoder.ts";
import { Encoder } from "../lib/http/encoder.ts";
import type {
  ContentStream,
  HttpResponse,
  Requester,
  RequestHead,
  ResponseHead,
  Service,
} from "../lib/http/message.ts";
import { REQUEST_LIMITS, RESPONSE_LIMITS, SERVER_LIMITS, type ServerLimits } from "../lib/limits.ts";
import { Server, type ServerOptions } from "../lib/server.ts";
import { Budget, type Observer, Pool, type ServerContext } from "../lib/server/context.ts";
import { FairTurns } from "../lib/turns.ts";
import { octetString, wireOctets } from "./wire_cases.ts";

/** A temporary folder for the duration of a test. */
export class TempFolder implements Disposable {
  /** Its canonical path: macOS has a symbolic link in that of the system, Windows a short name. */
  readonly path = Deno.realPathSync(Deno.makeTempDirSync());

  /** Returns the path of a file in it. */
  file(name = "table.db"): string {
    return join(this.path, name);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

/** Decodes the head of a complete request. */
export function requestOf(octets: string): RequestHead {
  const decoder = new Decoder("request", REQUEST_LIMITS);
  decoder.receive(wireOctets(octets));
  const head = decoder.next();
  assert(head?.kind === "request");
  return head;
}

/** Reads a response's content as text, including streams. */
export async function textOf(content: HttpResponse["content"]): Promise<string> {
  if (content === undefined || typeof content === "string") return content ?? "";
  if (content instanceof Uint8Array) return new TextDecoder().decode(content);
  let text = "";
  const pieces = (content as ContentStream)[Symbol.asyncIterator]();
  for (let next = await pieces.next(); !next.done; next = await pieces.next()) text += await textOf(next.value);
  await pieces.return?.();
  return text;
}

/** Answers requests in a test. */
export type Handler = Service["answer"];

/** Creates a service that only answers. */
export function serviceOf(answer: Handler, precheck: Service["precheck"] = () => {}): Service {
  return { precheck, answer };
}

/** A client that never disconnects. */
export const REQUESTER: Requester = {
  connection: 1,
  exchange: 1,
  signal: new AbortController().signal,
};

/** Creates the shared state of a connection that is tested without a server. */
export function connectionContext(observer: Observer = {}) {
  return {
    limits: SERVER_LIMITS as ServerLimits,
    observer,
    clock: 0,
    date: "now",
    stopping: false as boolean,
    encoders: new Pool(() => new Encoder(), (encoder) => encoder.clear(), 1),
    decoders: new Pool(() => new Decoder("request", REQUEST_LIMITS), (decoder) => decoder.release(), 1),
    budget: new Budget(SERVER_LIMITS.maxBufferedBytes),
    ended: () => {},
  } satisfies ServerContext;
}

/** A server for the duration of a test. Its errors fail the test. */
export interface TestServer extends AsyncDisposable {
  server: Server;
  port: number;
  /** Advances the server's clock, and checks its timeouts. */
  advance(milliseconds: number): void;
  connect(): Promise<Peer>;
}

export function startServer(
  handler: Handler | Service,
  options: Omit<ServerOptions, "limits"> & { limits?: Partial<ServerLimits> } = {},
): TestServer {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const failures: unknown[] = [];
  const peers: Peer[] = [];
  let offset = 0;
  const server = new Server(listener, typeof handler === "function" ? serviceOf(handler) : handler, {
    monotonicNow: () => performance.now() + offset,
    ...options,
    limits: { ...SERVER_LIMITS, shutdownIdleMs: 0, ...options.limits },
    observer: { failed: (error) => failures.push(error), ...options.observer },
  });
  const { port } = listener.addr as Deno.NetAddr;
  return {
    server,
    port,
    advance(milliseconds) {
      offset += milliseconds;
      server.sweep();
    },
    async connect() {
      const peer = new Peer(await Deno.connect({ hostname: "127.0.0.1", port }));
      peers.push(peer);
      return peer;
    },
    async [Symbol.asyncDispose]() {
      for (const peer of peers) peer.close();
      await server.shutdown();
      assert.deepEqual(failures, []);
    },
  };
}

/** A complete response. */
export interface WholeResponse {
  head: ResponseHead;
  /** One character per octet. */
  content: string;
  trailers: [string, string][];
}

/** The client's end of a raw connection. */
export class Peer {
  readonly conn: Socket;
  readonly #decoder = new Decoder("response", RESPONSE_LIMITS);
  #open = true;

  constructor(conn: Socket) {
    this.conn = conn;
  }

  /** Sends octets, one per character. */
  async send(octets: string | Uint8Array): Promise<void> {
    const bytes = typeof octets === "string" ? wireOctets(octets) : octets;
    for (let sent = 0; sent < bytes.length;) sent += await this.conn.write(bytes.subarray(sent));
  }

  /** Reads one response, interim or final. */
  async receive(method = "GET"): Promise<WholeResponse> {
    this.#decoder.expectResponseTo(method);
    let head: ResponseHead | undefined;
    let content = "";
    for (;;) {
      const event = this.#decoder.next();
      if (event === undefined) await this.#read();
      else if (event.kind === "response") head = event;
      else if (event.kind === "content") content += octetString(event.bytes);
      else if (event.kind === "end") {
        return { head: head!, content, trailers: [...event.trailers] as [string, string][] };
      } else throw new Error(`Expected a response, saw the connection's end after ${JSON.stringify(content)}`);
    }
  }

  /** Sends a request and reads its response. */
  async exchange(octets: string): Promise<WholeResponse> {
    await this.send(octets);
    return await this.receive(octets.slice(0, octets.indexOf(" ")));
  }

  /** Reads until the server closes the connection. Returns all octets, also those of responses read before. */
  async receiveAll(): Promise<string> {
    let text = "";
    const buffer = new Uint8Array(64 * 1024);
    for (;;) {
      const count = await this.conn.read(buffer);
      if (count === null) return text;
      text += octetString(buffer.subarray(0, count));
    }
  }

  async #read(): Promise<void> {
    const buffer = new Uint8Array(64 * 1024);
    const count = await this.conn.read(buffer);
    if (count === null) this.#decoder.close();
    else this.#decoder.receive(buffer.subarray(0, count));
  }

  close(): void {
    if (this.#open) this.conn.close();
    this.#open = false;
  }
}

/** A port of this machine that nothing listens on. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}

/** Resolves once the condition holds, which is checked after every turn of the event loop. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** Turns that are counted and never waited for. */
export class CountedTurns extends FairTurns {
  asked = 0;
  readonly #onTurn: () => void;

  constructor(onTurn: () => void = () => {}) {
    super();
    this.#onTurn = onTurn;
  }

  override yieldIfBusy(): undefined {
    this.asked++;
    this.#onTurn();
  }
}

/** Stops the clock of this process until disposal: no turn of the event loop is over, however slow the machine is. */
export class StoppedClock implements Disposable {
  readonly #now = performance.now;

  constructor() {
    performance.now = () => 0;
  }

  [Symbol.dispose](): void {
    performance.now = this.#now;
  }
}

/**
 * Whether a program that tests need is installed. With CI=true, that it is not is a failure.
 *
 * @param purpose What it is needed for: `to test recordings with`.
 * @param flag Makes it print its version.
 */
export function isInstalled(program: string, purpose: string, flag = "--version"): boolean {
  let isThere = false;
  try {
    isThere = new Deno.Command(program, { args: [flag], stdout: "null", stderr: "null" }).outputSync().success;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  if (!isThere && Deno.env.get("CI") === "true") throw new Error(`There is no ${program} ${purpose}`);
  return isThere;
}
