/**
 * Sends requests to an etcd cluster through its HTTP/JSON gateway, to one node after another until one answers.
 *
 * A request without an answer may still be executed, now or later. Writers have to know, so they are told.
 */

import { Buffer } from "node:buffer";
import { CLUSTER_ANSWER_BYTES, CLUSTER_ERROR_BYTES, CLUSTER_WAIT_MS } from "../limits.ts";
import type { StoreFault } from "../store.ts";
import { waitFor } from "../turns.ts";

/** Bytes of a request that extend each timeout by one millisecond. */
const BYTES_PER_MS = 1000;
/** How often a cluster that does not answer is asked whether it is there again. */
const PROBE_MS = 500;
/** Pause after every node has failed once. */
const ROUND_PAUSE_MS = 100;
/** How long one node may be silent before the next node is asked. */
const TRY_MS = 2_000;

/**
 * Why a request failed: no node answers; the user is refused, or lacks a permission; the cluster is full; the request is
 * too large; its revision was compacted; what it reads is damaged; or the gateway is closed.
 */
export type EtcdFault = StoreFault | "denied" | "forbidden" | "compacted" | "closed";

/** A failed request, or a failed attempt at one node. The message is for the operator. */
export class EtcdError extends Error {
  override name = "EtcdError";

  /** @param maybeDone Whether the request may have been executed by this attempt, or may be later. */
  constructor(readonly fault: EtcdFault, message: string, readonly maybeDone: boolean = false) {
    super(message);
  }
}

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export interface GatewayOptions {
  /** The nodes' URLs, such as `http://HOST:PORT`. */
  readonly nodes: readonly string[];
  /** The user to log in as; by default none. */
  readonly user?: { readonly name: string; readonly password: string };
  /** Certificates of authorities to trust, in PEM. */
  readonly caCerts?: readonly string[];
  /** The client certificate and its key, in PEM. */
  readonly identity?: { readonly cert: string; readonly key: string };
  readonly fetch?: Fetch;
  readonly now?: () => number;
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>;
}

export interface AskOptions<T> {
  /** Whether to ask each node only once, regardless of the time. */
  readonly once?: boolean;
  /** Whether nodes may need long to make the answer: once all were silent, one may be so for the time that is left. */
  readonly isLong?: boolean;
  /** Reads the content of an answer with status 200; by default JSON with etcd's header. */
  readonly read?: (pieces: AsyncIterable<Uint8Array>) => Promise<T>;
  /** Called after an attempt without an answer, which may have been executed, or may be later. */
  readonly unanswered?: () => void;
}

/** A node gave no answer in time. */
class Silence extends EtcdError {}

/** A node does not know the token, which another one may have given. */
class TokenRefused extends Error {}

/** Attempts of one request that may fail because of the token. */
const MAX_AUTHENTICATIONS = 3;

export class EtcdGateway {
  readonly #fetch: Fetch;
  readonly #now: () => number;
  readonly #client: Deno.HttpClient;
  readonly #closed = new AbortController();
  /** The node that answered last. */
  #node = 0;
  /** The token of the user, which is valid on every node: `undefined` before the login, empty if there are no users. */
  #token: Promise<string> | undefined;

  /** Creates a client. It connects with the first request. */
  constructor(private readonly options: GatewayOptions) {
    const { caCerts = [], identity, now = () => performance.now() } = options;
    this.#client = Deno.createHttpClient({ caCerts: [...caCerts], ...identity });
    const client = this.#client;
    this.#fetch = options.fetch ?? ((url, init) => fetch(url, { ...init, client } as RequestInit));
    this.#now = now;
  }

  /** Sends a request with JSON to one node after another until one answers, or throws an {@linkcode EtcdError}. */
  async ask<T>(path: string, body: string, options: AskOptions<T> = {}): Promise<T> {
    // A large request takes longer.
    const more = Math.floor(body.length / BYTES_PER_MS);
    const end = this.#now() + CLUSTER_WAIT_MS + more;
    const { length: count } = this.options.nodes;
    let reason = "";
    let authentications = 0;
    let silences = 0;
    for (let failures = 0;;) {
      if (this.isClosed) throw new EtcdError("closed", "The store is closed");
      const left = end - this.#now();
      if (failures > 0 && (options.once ? failures === count : left <= 0)) {
        throw new EtcdError("unavailable", reason);
      }
      const node = this.#node;
      const silentMs = options.isLong && silences >= count ? CLUSTER_WAIT_MS : TRY_MS + more;
      const ms = options.once ? silentMs : Math.min(silentMs, left);
      try {
        return await this.#try(this.options.nodes[node], path, body, { ms, end }, options);
      } catch (error) {
        if (error instanceof TokenRefused) {
          if (++authentications > MAX_AUTHENTICATIONS) throw new EtcdError("denied", error.message);
          continue;
        }
        const { fault, message, maybeDone } = error as EtcdError;
        silences = error instanceof Silence ? silences + 1 : 0;
        if (maybeDone) options.unanswered?.();
        // Another node would refuse it, too.
        if (fault !== "unavailable") throw error;
        // An attempt that the deadline shortened gives no reason.
        if (reason === "" || ms === silentMs) reason = message;
      }
      // Another request may have found a node that answers.
      if (this.#node === node) this.#node = (node + 1) % count;
      if (++failures % count === 0 && !options.once) await this.pause(ROUND_PAUSE_MS);
    }
  }

  get isClosed(): boolean {
    return this.#closed.signal.aborted;
  }

  pause(ms: number = PROBE_MS): Promise<void> {
    return (this.options.wait ?? waitFor)(ms, this.#closed.signal);
  }

  close(): void {
    this.#closed.abort();
    this.#client.close();
  }

  /** Asks one node, which may be silent for so many milliseconds, before the end also between pieces of its answer. */
  async #try<T>(
    node: string,
    path: string,
    body: string,
    { ms, end }: { readonly ms: number; readonly end: number },
    { read = async (pieces) => parseAnswer(await textOf(pieces, CLUSTER_ANSWER_BYTES)) }: AskOptions<T>,
  ): Promise<T> {
    let token: Promise<string> | undefined;
    let sending = false;
    const silence = new AbortController();
    const timer = setTimeout(() => silence.abort(), ms);
    const signal = AbortSignal.any([silence.signal, this.#closed.signal]);
    const heard = () => {
      if (this.#now() < end) timer.refresh();
    };
    try {
      token = this.options.user && (this.#token ??= this.#login(node, signal));
      const authorization = token && await token;
      sending = true;
      const response = await this.#send(node, path, body, signal, authorization);
      if (response.status === 200) return await read(piecesOf(response, heard));
      throw this.#failure(node, response.status, await textOf(piecesOf(response), CLUSTER_ERROR_BYTES), token);
    } catch (error) {
      if (!sending && this.#token === token) this.#token = undefined;
      if (error instanceof EtcdError || error instanceof TokenRefused) throw error;
      if (silence.signal.aborted) {
        throw new Silence("unavailable", `${node}: no answer within ${Math.ceil(ms)} ms`, sending);
      }
      const reason = reasonOf(error);
      // Without a connection nothing was sent.
      const maybeDone = sending && !/client error \(Connect\)/.test(reason);
      throw new EtcdError("unavailable", `${node}: ${reason.replace(/^.*client error \(\w+\): /, "")}`, maybeDone);
    } finally {
      clearTimeout(timer);
    }
  }

  #send(node: string, path: string, body: string, signal: AbortSignal, token?: string): Promise<Response> {
    const headers: Record<string, string> = { "Content-Type": "application/json" };
    if (token) headers.Authorization = token;
    return this.#fetch(`${node}${path}`, { method: "POST", headers, body, signal, redirect: "manual" });
  }

  #failure(node: string, status: number, text: string, token: Promise<string> | undefined): Error {
    const { code, message } = errorIn(text);
    if (status === 401 || /user name is empty|revision of auth store is old/.test(message)) {
      if (this.options.user === undefined) {
        return new EtcdError("denied", `${node}: etcd requires a user (--etcd-user-file)`);
      }
      // Another request may have got a new token already.
      if (this.#token === token) this.#token = undefined;
      return new TokenRefused("The token is refused");
    }
    const fault = faultOf(status, message);
    // The gateway always sends a code. An answer without one is from a proxy or another server.
    const maybeDone = fault === undefined && (code !== undefined || status >= 500);
    return new EtcdError(fault ?? "unavailable", `${node}: ${status} ${message}`, maybeDone);
  }

  /** Gets a token. Requests that need one share the login. */
  async #login(node: string, signal: AbortSignal): Promise<string> {
    const response = await this.#send(node, "/v3/auth/authenticate", JSON.stringify(this.options.user), signal);
    const text = await textOf(piecesOf(response), CLUSTER_ERROR_BYTES);
    if (response.status === 200) return JSON.parse(text).token;
    const { message } = errorIn(text);
    if (/authentication is not enabled/.test(message)) return "";
    if (!/invalid user ID or password/.test(message)) throw new Error(`${response.status} ${message}`);
    throw new EtcdError("denied", `${node}: etcd refuses the user or the password`);
  }
}

/** The reason for an answer that is not from etcd. */
export const NO_ETCD: string = "the answer is not from etcd";

/** Parses an answer, which must be JSON with etcd's header. */
export function parseAnswer<T>(text: string): T {
  const answer = JSON.parse(text);
  if (typeof answer?.header?.revision !== "string") throw new Error(NO_ETCD);
  return answer;
}

async function* piecesOf({ body }: Response, heard: () => void = () => {}): AsyncGenerator<Uint8Array> {
  for await (const piece of body ?? []) {
    heard();
    yield piece;
  }
}

async function textOf(source: AsyncIterable<Uint8Array>, mostBytes: number): Promise<string> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of source) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes > mostBytes) throw new Error(`at most ${mostBytes} octets are allowed in an answer, saw more`);
  }
  return Buffer.concat(pieces).toString();
}

/** Returns the fault that any node would report; `undefined` if another node may succeed. */
function faultOf(status: number, message: string): EtcdFault | undefined {
  if (/too many operations|request is too large|received message larger/.test(message)) return "too-large";
  if (/database space exceeded/.test(message)) return "full";
  if (/has been compacted/.test(message)) return "compacted";
  if (status === 403) return "forbidden";
}

function errorIn(text: string): { code?: number; message: string } {
  try {
    const { code, message, error } = JSON.parse(text);
    return { code, message: String(message ?? error) };
  } catch {
    return { message: text.slice(0, 200).replace(/\s+/g, " ") };
  }
}

function reasonOf(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error ? cause.message : message;
}
