/**
 * Requests to an etcd cluster through its HTTP/JSON gateway: one node after the other until one answers.
 *
 * A request that got no answer may have been done all the same, now or later. Whoever writes has to know that, so every
 * error tells it.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { CLUSTER_ANSWER_BYTES, CLUSTER_ERROR_BYTES, CLUSTER_WAIT_MS } from "../limits.ts";
import { waitFor } from "../turns.ts";

/** Bytes of a request that extend each timeout by one millisecond. */
const CLUSTER_BYTES_PER_MS = 1000;

/** How long to wait after every node has failed once. */
const CLUSTER_ROUND_MS = 100;

/** How long to wait for the first node that answers anything, after another one has not answered in that time. */
const CLUSTER_ALIVE_MS = 500;

/** How long one node of an etcd cluster may take for one request, before the next node is asked. */
const CLUSTER_TRY_MS = 2_000;

/**
 * Why a request was not done: no node answers; the user is refused, or may not do this; the cluster has no room; the
 * request is too large; the revision that it asks for was compacted; or the gateway was closed.
 */
export type EtcdFault = "unavailable" | "denied" | "forbidden" | "full" | "too-large" | "compacted" | "closed";

/** A request to a cluster that failed. Its message is for the operator. */
export class EtcdError extends Error {
  /** Tells this error from others by name. */
  override name = "EtcdError";
  /** Why. */
  readonly fault: EtcdFault;
  /** Whether the request may have been done, or may yet be done, all the same. */
  readonly maybeDone: boolean;

  /** Makes the error. */
  constructor(fault: EtcdFault, message: string, maybeDone: boolean) {
    super(message);
    this.fault = fault;
    this.maybeDone = maybeDone;
  }
}

/** Sends one request; as `fetch`. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** Where a cluster is, and how it is talked to. */
export interface GatewayOptions {
  /** The nodes, each as `http://HOST:PORT`. */
  readonly nodes: readonly string[];
  /** Who asks; left out, nobody. */
  readonly user?: { readonly name: string; readonly password: string };
  /** Certificates of authorities that the nodes' certificates come from, in PEM. */
  readonly caCerts?: readonly string[];
  /** This client's certificate and its key, in PEM. */
  readonly identity?: { readonly cert: string; readonly key: string };
  /** Sends requests; left out, `fetch` does. */
  readonly fetch?: Fetch;
  /** A clock in milliseconds. */
  readonly now?: () => number;
  /** Resolves after so many milliseconds, or when the signal is aborted. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** How long a request may take, and how its answer is read. */
export interface AskOptions<T> {
  /** Milliseconds for all tries together. */
  readonly waitMs?: number;
  /** Whether each node is tried once, instead of until the time is over. */
  readonly once?: boolean;
  /** Milliseconds for one try. */
  readonly tryMs?: number;
  /** Reads the content of an answer with status 200; left out, it is JSON with etcd's header. */
  readonly read?: (response: Response) => Promise<T>;
  /** Called when a try got no answer, and may have been done, or may yet be done, all the same. */
  readonly unanswered?: () => void;
}

/** What came of one try: an answer, a refusal that another node would repeat, or nothing that can be used. */
type Tried<T> =
  | { readonly kind: "answer"; readonly answer: T }
  | { readonly kind: "refused"; readonly fault: EtcdFault; readonly reason: string }
  | { readonly kind: "failed"; readonly reason: string; readonly maybeDone: boolean; readonly silent?: boolean }
  | { readonly kind: "unknown-user"; readonly token: string | undefined };

/** Tries of one request that end because of the token. */
const MAX_AUTHENTICATIONS = 3;

/** The gateway of a cluster's nodes. */
export class EtcdGateway {
  readonly #options: GatewayOptions;
  readonly #fetch: Fetch;
  readonly #now: () => number;
  readonly #wait: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly #client: Deno.HttpClient;
  readonly #closed = new AbortController();
  /** The node that answered last. */
  #node = 0;
  /** What requests carry once the user is known: `undefined` before that, empty where nobody is asked for. */
  #token: string | undefined;
  #authentication: Promise<void> | undefined;

  /** Nothing is sent before something is asked. */
  constructor(options: GatewayOptions) {
    this.#options = options;
    const { caCerts = [], identity, now = () => performance.now(), wait = waitFor } = options;
    this.#client = Deno.createHttpClient({ caCerts: [...caCerts], ...identity });
    const client = this.#client;
    this.#fetch = options.fetch ?? ((url, init) => fetch(url, { ...init, client } as RequestInit));
    this.#now = now;
    this.#wait = wait;
  }

  /**
   * Asks the nodes, each in its turn, until one answers.
   *
   * @param path As `/v3/kv/txn`.
   * @param body JSON.
   * @throws {EtcdError}
   */
  async ask<T>(path: string, body: string, options: AskOptions<T> = {}): Promise<T> {
    // A large request takes its time.
    const more = Math.floor(body.length / CLUSTER_BYTES_PER_MS);
    const end = this.#now() + (options.waitMs ?? CLUSTER_WAIT_MS) + more;
    const tryMs = (options.tryMs ?? CLUSTER_TRY_MS) + more;
    const { length: count } = this.#options.nodes;
    let maybeDone = false;
    let reason = "";
    let authentications = 0;
    for (let failures = 0;;) {
      if (this.#closed.signal.aborted) throw new EtcdError("closed", "The store is closed", maybeDone);
      const left = end - this.#now();
      if (failures > 0 && (options.once ? failures === count : left <= 0)) {
        throw new EtcdError("unavailable", reason, maybeDone);
      }
      const node = this.#node;
      const ms = options.once ? tryMs : Math.min(tryMs, left);
      const tried = await this.#try(this.#options.nodes[node], path, body, ms, options);
      if (tried.kind === "answer") return tried.answer;
      if (tried.kind === "refused") throw new EtcdError(tried.fault, tried.reason, maybeDone);
      if (tried.kind === "unknown-user") {
        // Another request may have got a new token already.
        if (this.#token === tried.token) this.#token = undefined;
        if (++authentications > MAX_AUTHENTICATIONS) throw new EtcdError("denied", "The token is refused", maybeDone);
        continue;
      }
      if (tried.maybeDone) options.unanswered?.();
      maybeDone ||= tried.maybeDone;
      // A try that was cut short by the end tells nothing.
      if (reason === "" || ms === tryMs) reason = tried.reason;
      // Nodes after a silent one may be silent too, and each would take the time of a try.
      const next = tried.silent && !options.once ? await this.#livingNode(node) : (node + 1) % count;
      // Somebody else may have found a node that answers.
      if (this.#node === node) this.#node = next;
      if (++failures % count === 0 && !options.once) await this.#wait(CLUSTER_ROUND_MS, this.#closed.signal);
    }
  }

  /** Gives up what is under way. */
  close(): void {
    this.#closed.abort();
    this.#client.close();
  }

  /** Returns the first of the other nodes to answer anything at all; the next one if none does. */
  async #livingNode(silent: number): Promise<number> {
    const { nodes } = this.#options;
    const others = nodes.map((_, i) => (silent + 1 + i) % nodes.length).slice(0, -1);
    if (others.length < 2) return others[0] ?? silent;
    const found = new AbortController();
    const timer = setTimeout(() => found.abort(), CLUSTER_ALIVE_MS);
    const signal = AbortSignal.any([found.signal, this.#closed.signal]);
    try {
      return await Promise.any(others.map(async (node) => {
        // A node tells its own state also where it has no leader, and refuses a wrong user at once.
        const response = await this.#send(nodes[node], "/v3/maintenance/status", "{}", signal);
        await response.body?.cancel();
        return node;
      }));
    } catch {
      return others[0];
    } finally {
      clearTimeout(timer);
      found.abort();
    }
  }

  async #try<T>(
    node: string,
    path: string,
    body: string,
    tryMs: number,
    { read = readAnswer }: AskOptions<T>,
  ): Promise<Tried<T>> {
    let sending = false;
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(), tryMs);
    const signal = AbortSignal.any([timeout.signal, this.#closed.signal]);
    try {
      if (this.#token === undefined && this.#options.user !== undefined) await this.#authenticate(node, signal);
      sending = true;
      const token = this.#token;
      const response = await this.#send(node, path, body, signal);
      if (response.status === 200) return { kind: "answer", answer: await read(response) };
      return this.#failure(node, response.status, await textOf(response, CLUSTER_ERROR_BYTES), token);
    } catch (error) {
      if (error instanceof EtcdError) return { kind: "refused", fault: error.fault, reason: error.message };
      if (timeout.signal.aborted) {
        return { kind: "failed", reason: `${node}: no answer within ${tryMs} ms`, maybeDone: sending, silent: true };
      }
      const reason = reasonOf(error);
      // What never had a connection was never sent.
      const maybeDone = sending && !/client error \(Connect\)/.test(reason);
      return { kind: "failed", reason: `${node}: ${reason.replace(/^.*client error \(\w+\): /, "")}`, maybeDone };
    } finally {
      clearTimeout(timer);
    }
  }

  #send(node: string, path: string, body: string, signal: AbortSignal): Promise<Response> {
    const headers: Record<string, string> = { "Content-Type": "application/json" };
    if (this.#token) headers.Authorization = this.#token;
    return this.#fetch(`${node}${path}`, { method: "POST", headers, body, signal, redirect: "manual" });
  }

  /** What an answer with another status than 200 means. */
  #failure<T>(node: string, status: number, text: string, token: string | undefined): Tried<T> {
    const { code, message } = errorIn(text);
    if (status === 401 || /user name is empty|revision of auth store is old/.test(message)) {
      if (this.#options.user !== undefined) return { kind: "unknown-user", token };
      return { kind: "refused", fault: "denied", reason: `${node}: it asks for a user, whom --etcd-user-file names` };
    }
    const fault = faultOf(status, message);
    const reason = `${node}: ${status} ${message}`;
    if (fault !== undefined) return { kind: "refused", fault, reason };
    // A gateway always has a code; a status without one is from something else, as a proxy, or another server.
    return { kind: "failed", reason, maybeDone: code !== undefined || status >= 500 };
  }

  /** Gets a token, which is good on every node; all who need one wait for the same. */
  #authenticate(node: string, signal: AbortSignal): Promise<void> {
    this.#authentication ??= this.#getToken(node, signal).finally(() => this.#authentication = undefined);
    return this.#authentication;
  }

  async #getToken(node: string, signal: AbortSignal): Promise<void> {
    const response = await this.#send(node, AUTHENTICATE, JSON.stringify(this.#options.user), signal);
    const text = await textOf(response, CLUSTER_ERROR_BYTES);
    if (response.status === 200) {
      this.#token = JSON.parse(text).token;
      return;
    }
    const { message } = errorIn(text);
    if (/invalid user ID or password/.test(message)) {
      throw new EtcdError("denied", `${node}: it refuses the user or the password`, false);
    }
    if (!/authentication is not enabled/.test(message)) throw new Error(`${response.status} ${message}`);
    this.#token = "";
  }
}

/** What is said of an answer that etcd would not give. */
export const NO_ETCD: string = "the answer is not one of etcd";
const AUTHENTICATE = "/v3/auth/authenticate";

/** Reads an answer. Another server at that address may answer with anything, of any length. */
async function readAnswer<T>(response: Response): Promise<T> {
  return parseAnswer(await textOf(response, CLUSTER_ANSWER_BYTES));
}

/**
 * Parses an answer.
 *
 * @throws {Error} If it is not JSON with etcd's header.
 */
export function parseAnswer<T>(text: string): T {
  const answer = JSON.parse(text);
  if (typeof answer?.header?.revision !== "string") throw new Error(NO_ETCD);
  return answer;
}

/**
 * Returns the content of an answer as text.
 *
 * @throws {Error} If it is longer than it may be. The rest is not read.
 */
async function textOf(response: Response, mostBytes: number): Promise<string> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of response.body ?? []) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes > mostBytes) throw new Error(`an answer may have ${mostBytes} octets, saw more`);
  }
  return Buffer.concat(pieces).toString();
}

/** What a refusal says, whichever node it comes from; `undefined` if another node may do better. */
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

/** Why a request failed, as far as it is known. */
function reasonOf(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error ? cause.message : message;
}
