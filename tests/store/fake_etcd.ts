/**
 * An etcd in memory, as its gateway shows it, for faults that a real one shows only by chance: requests and answers that
 * get lost, come late, or come twice.
 */

import { Buffer } from "node:buffer";
import { setImmediate } from "node:timers";
import type { Written } from "../../lib/store.ts";
import { EtcdStore, type EtcdStoreOptions } from "../../lib/store/etcd.ts";
import type { Fetch } from "../../lib/store/etcd_gateway.ts";

interface Entry {
  value: string;
  create: number;
  mod: number;
  version: number;
}

// deno-lint-ignore no-explicit-any -- requests are JSON
type Json = any;

type Data = Map<string, Entry>;

/** What becomes of a request: answers it, or does something else to it. */
export type Fault = (fake: FakeEtcd, path: string, body: Json) => Response | Promise<Response>;

/** Keys with revisions, and transactions over them. */
export class FakeEtcd {
  revision = 1;
  compacted = 0;
  /** The data at each revision. */
  #history = new Map<number, Data>([[1, new Map()]]);
  /** What becomes of the next requests. */
  readonly faults: Fault[] = [];
  /** What becomes of those after them. */
  otherwise: Fault = answered;
  /** Requests that were seen. */
  readonly requests: { url: string; body: Json; headers: Record<string, string> }[] = [];

  /** Answers requests in the place of `fetch`. */
  readonly fetch: Fetch = async (url, { body, headers, signal }) => {
    const json = JSON.parse(body as string);
    this.requests.push({ url, body: json, headers: headers as Record<string, string> });
    const path = new URL(url).pathname;
    const fault = this.faults.shift() ?? this.otherwise;
    signal!.throwIfAborted();
    return await fault(this, path, json);
  };

  get #data(): Data {
    return this.#history.get(this.revision)!;
  }

  /** What a key has now. */
  entry(key: string): Entry | undefined {
    return this.#data.get(key);
  }

  /** Names of all keys, decoded. */
  get keys(): string[] {
    return [...this.#data.keys()].sort();
  }

  /** Does a request. */
  answer(path: string, body: Json): Response {
    try {
      if (path === "/v3/kv/range") return Response.json({ header: this.#header, ...this.#range(body, this.#data) });
      const before = this.#data;
      const after: Data = new Map(before);
      const written = new Set<string>();
      const answer = this.#transact(body, before, after, written);
      if (written.size > 0) this.#history.set(++this.revision, after);
      return Response.json({ header: this.#header, ...answer });
    } catch (error) {
      if (error instanceof TypeError) throw error;
      return refusal(400, (error as Error).message);
    }
  }

  /** Forgets all, as nodes whose folders were removed. */
  wipe(): void {
    this.revision = 1;
    this.#history = new Map([[1, new Map()]]);
  }

  get #header() {
    return { cluster_id: "1", revision: String(this.revision) };
  }

  #transact({ compare = [], success = [], failure = [] }: Json, before: Data, after: Data, written: Set<string>): Json {
    const succeeded = compare.every((one: Json) => compares(one, before));
    const responses = (succeeded ? success : failure).map((operation: Json) => {
      if (operation.request_range) return { response_range: this.#range(operation.request_range, after) };
      if (operation.request_txn) {
        return { response_txn: this.#transact(operation.request_txn, before, after, written) };
      }
      if (operation.request_put) return { response_put: this.#put(operation.request_put, after, written) };
      return { response_delete_range: this.#remove(operation.request_delete_range, after, written) };
    });
    return { ...succeeded && { succeeded }, ...responses.length > 0 && { responses } };
  }

  #put({ key: encoded, value, prev_kv }: Json, after: Data, written: Set<string>): Json {
    const key = once(text(encoded), written);
    const old = after.get(key);
    const mod = this.revision + 1;
    after.set(key, { value, mod, create: old?.create ?? mod, version: (old?.version ?? 0) + 1 });
    return prev_kv && old ? { prev_kv: keyValue(key, old) } : {};
  }

  #remove({ key: encoded }: Json, after: Data, written: Set<string>): Json {
    const key = text(encoded);
    if (!after.has(key)) return {};
    after.delete(once(key, written));
    return { deleted: "1" };
  }

  #range(request: Json, latest: Data): Json {
    const revision = Number(request.revision ?? 0);
    if (revision > this.revision) throw new Error("etcdserver: mvcc: required revision is a future revision");
    if (revision > 0 && revision < this.compacted) {
      throw new Error("etcdserver: mvcc: required revision has been compacted");
    }
    const data = revision > 0 ? this.#history.get(revision)! : latest;
    let kvs = inRange(request, data).map(([key, entry]) => keyValue(key, entry));
    const count = kvs.length;
    if (request.sort_target === "MOD") kvs.sort((a, b) => Number(b.mod_revision) - Number(a.mod_revision));
    kvs = request.count_only ? [] : kvs.slice(0, request.limit ?? count);
    if (request.keys_only) { for (const kv of kvs) delete kv.value; }
    return { ...kvs.length > 0 && { kvs }, ...count > 0 && { count: String(count) } };
  }
}

function once(key: string, written: Set<string>): string {
  if (written.has(key)) throw new Error("etcdserver: duplicate key given in txn request");
  written.add(key);
  return key;
}

function inRange({ key, range_end }: Json, data: Data): [string, Entry][] {
  const start = text(key);
  const end = range_end === undefined ? undefined : text(range_end);
  return [...data].filter(([name]) => end === undefined ? name === start : name >= start && name < end)
    .sort(([a], [b]) => a < b ? -1 : 1);
}

function compares(compare: Json, data: Data): boolean {
  const found = inRange(compare, data).map(([, entry]) => entry);
  if (found.length === 0) {
    if (compare.target === "VALUE") return false;
    found.push({ value: "", create: 0, mod: 0, version: 0 });
  }
  return found.every((entry) => {
    if (compare.target === "VALUE") return entry.value === compare.value;
    const difference = compare.target === "MOD"
      ? entry.mod - Number(compare.mod_revision)
      : entry.create - Number(compare.create_revision);
    switch (compare.result) {
      case "LESS":
        return difference < 0;
      case "GREATER":
        return difference > 0;
      case "NOT_EQUAL":
        return difference !== 0;
      default:
        return difference === 0;
    }
  });
}

function keyValue(key: string, { value, create, mod, version }: Entry): Json {
  return {
    key: Buffer.from(key, "latin1").toString("base64"),
    create_revision: String(create),
    mod_revision: String(mod),
    version: String(version),
    value,
  };
}

/** A key with one character for each octet, so that keys are in the order of their octets. */
function text(base64: string): string {
  return Buffer.from(base64, "base64").toString("latin1");
}

/** An answer that refuses. */
export function refusal(status: number, message: string, code = 3): Response {
  return Response.json({ error: message, message, code }, { status });
}

/** The request is done, and answered. */
export const answered: Fault = (fake, path, body) => fake.answer(path, body);

/** The request is done, but its answer is lost. */
export const answerLost: Fault = (fake, path, body) => {
  fake.answer(path, body);
  throw new TypeError("fetch failed", { cause: new Error("client error (SendRequest): connection closed") });
};

/** The request is lost, and nobody can know that. */
export const requestLost: Fault = () => {
  throw new TypeError("fetch failed", { cause: new Error("client error (SendRequest): connection reset") });
};

/** There is no connection. */
export const refused: Fault = () => {
  throw new TypeError("fetch failed", {
    cause: new Error("client error (Connect): Connection refused (os error 111)"),
  });
};

/** The request gets no answer now; it is done when `done` is called. */
export function late(): { fault: Fault; done: () => void } {
  let done = () => {};
  const fault: Fault = (fake, path, body) => {
    done = () => void fake.answer(path, body);
    throw new TypeError("fetch failed", { cause: new Error("client error (SendRequest): connection reset") });
  };
  return { fault, done: () => done() };
}

/** Refuses, whatever is asked. */
export function refuses(status: number, message: string, code?: number): Fault {
  return () => refusal(status, message, code);
}

/** A store over an etcd with faults, whose clock is moved on by waiting. */
export class Faulty implements AsyncDisposable {
  readonly etcd = new FakeEtcd();
  readonly reports: string[] = [];
  readonly store: EtcdStore;
  #now = 0;

  constructor(etcd?: FakeEtcd, options: Partial<EtcdStoreOptions> = {}) {
    if (etcd !== undefined) this.etcd = etcd;
    this.store = new EtcdStore({
      nodes: ["http://a:2379", "http://b:2379"],
      fetch: this.etcd.fetch,
      now: () => this.#now,
      wait: (ms) => {
        this.#now += ms;
        return new Promise((resolve) => void setImmediate(resolve));
      },
      note: (line) => this.reports.push(line),
      ...options,
    });
  }

  /** Resolves once the store has found its cluster and tidied up. */
  async ready(): Promise<this> {
    await this.store.get("nobody");
    return this;
  }

  /** Resolves once reading works again. */
  async recovered(): Promise<void> {
    while (await this.store.get("nobody").then(() => false, () => true)) {
      await new Promise((resolve) => void setImmediate(resolve));
    }
  }

  put(name: string, json = "{}", expected?: number): Promise<Written | undefined> {
    return this.store.put({ name, json }, expected);
  }

  /** How often etcd has written the row. */
  writes(name: string): number {
    return this.etcd.entry(`r/${name}`)?.version ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store.close();
  }
}
