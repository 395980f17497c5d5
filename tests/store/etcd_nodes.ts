/**
 * An etcd cluster for tests: nodes on free ports of this machine, with their data in a folder of their own.
 */

import { fileURLToPath } from "node:url";
import { TempFolder } from "../support.ts";

/** Why etcd cannot be used; `undefined` if it can. With CI=true, that it is missing is a failure. */
export const ETCD_MISSING: string | undefined = (() => {
  try {
    if (new Deno.Command("etcd", { args: ["--version"] }).outputSync().success) return undefined;
  } catch {
    // It is not installed.
  }
  if (Deno.env.get("CI") === "true") throw new Error("etcd is not installed: apt-get install etcd-server");
  return "etcd is not installed";
})();

/** Tests what needs etcd. */
export function etcdTest(name: string, fn: () => Promise<void>): void {
  const missing = ETCD_MISSING !== undefined;
  Deno.test({ name: missing ? `skipped, for ${ETCD_MISSING}: ${name}` : name, ignore: missing, fn });
}

/** How the nodes are started. */
export interface NodesOptions {
  readonly count?: number;
  /** Flags of etcd, beside what makes the cluster. */
  readonly args?: readonly string[];
  /** Whether the nodes speak TLS, and ask for a certificate, with those of the tests' own. */
  readonly tls?: boolean;
  /** Whether the nodes wait for the disk, as they do outside of tests: none of these survives the loss of power. */
  readonly syncs?: boolean;
}

/** Enough for the tests' insertions. */
const LARGE_TRANSACTIONS = ["--max-txn-ops", "20000", "--max-request-bytes", "8388608"];

/** Where nodes have their ports: below those that the system gives to connections that go out. */
const FIRST_PORT = 20_000;
const PORTS = 12_000;

/** A running cluster. */
export class EtcdNodes implements AsyncDisposable {
  /** The URL of each node. */
  readonly urls: string[] = [];
  readonly #folder = new TempFolder();
  readonly #peers: string[] = [];
  readonly #options: NodesOptions;
  readonly #processes: (Deno.ChildProcess | undefined)[] = [];

  readonly #client: Deno.HttpClient;

  private constructor(options: NodesOptions) {
    this.#options = options;
    const { count = 3, tls } = options;
    const [ca, cert, key] = ["ca", "cert", "key"].map((name) => Deno.readTextFileSync(certificate(name)));
    this.#client = Deno.createHttpClient(tls ? { caCerts: [ca], cert, key } : {});
    const ports = freePorts(2 * count);
    for (let i = 0; i < count; i++) {
      this.urls.push(`${tls ? "https" : "http"}://127.0.0.1:${ports[2 * i]}`);
      this.#peers.push(`http://127.0.0.1:${ports[2 * i + 1]}`);
    }
  }

  /** Starts nodes, and resolves once all are healthy. */
  static async start(options: NodesOptions = {}): Promise<EtcdNodes> {
    const nodes = new EtcdNodes(options);
    for (let i = 0; i < nodes.urls.length; i++) nodes.launch(i);
    await nodes.healthy();
    return nodes;
  }

  /** The number of nodes. */
  get count(): number {
    return this.urls.length;
  }

  /** What `--store` takes for this cluster. */
  get store(): string {
    return `etcd:${this.urls.join(",")}`;
  }

  /** Starts a node that does not run, with the data that it had. */
  launch(i: number): void {
    const { args = LARGE_TRANSACTIONS, tls, syncs = false } = this.#options;
    const secure = !tls ? [] : [
      ...["--cert-file", certificate("cert"), "--key-file", certificate("key")],
      ...["--client-cert-auth", "--trusted-ca-file", certificate("ca")],
    ];
    this.#processes[i] = new Deno.Command("etcd", {
      args: [
        ...["--name", `n${i}`, "--data-dir", `${this.#folder.path}/n${i}`],
        ...["--listen-client-urls", this.urls[i], "--advertise-client-urls", this.urls[i]],
        ...["--listen-peer-urls", this.#peers[i], "--initial-advertise-peer-urls", this.#peers[i]],
        ...["--initial-cluster", this.#peers.map((url, n) => `n${n}=${url}`).join(), "--initial-cluster-state", "new"],
        ...["--log-level", "error", "--logger", "zap"],
        ...(syncs ? [] : ["--unsafe-no-fsync"]),
        ...args,
        ...secure,
      ],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
  }

  /** Resolves once every node that runs serves clients. */
  async healthy(): Promise<void> {
    for (let i = 0; i < this.count; i++) {
      if (this.#processes[i] !== undefined) { while (!await this.#isHealthy(i)) await moment(); }
    }
  }

  async #isHealthy(i: number): Promise<boolean> {
    try {
      const response = await fetch(`${this.urls[i]}/health`, { client: this.#client });
      return (await response.json()).health === "true";
    } catch {
      return false;
    }
  }

  /** Sends a node a signal; a killed one has ended when this resolves. */
  async signal(i: number, signal: Deno.Signal): Promise<void> {
    const process = this.#processes[i];
    if (process === undefined) return;
    process.kill(signal);
    if (signal !== "SIGKILL") return;
    await process.status;
    this.#processes[i] = undefined;
  }

  /** The node that leads. */
  async leader(): Promise<number> {
    for (;;) {
      for (let i = 0; i < this.count; i++) {
        const { header, leader } = await this.ask(i, "/v3/maintenance/status", {}).catch(() => ({ header: {} }));
        if (leader !== undefined && header.member_id === leader) return i;
      }
      await moment();
    }
  }

  /** Asks a node. */
  // deno-lint-ignore no-explicit-any -- etcd's answers are described elsewhere
  async ask(i: number, path: string, body: unknown, headers: HeadersInit = {}): Promise<any> {
    const init = { method: "POST", headers, body: JSON.stringify(body), client: this.#client };
    const response = await fetch(`${this.urls[i]}${path}`, init);
    const answer = await response.json();
    if (response.ok) return answer;
    throw new Error(`${path}: ${response.status} ${answer.message ?? answer.error}`);
  }

  /** Removes a node's data, which does not run. */
  async wipe(i: number): Promise<void> {
    await Deno.remove(`${this.#folder.path}/n${i}`, { recursive: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (let i = 0; i < this.count; i++) await this.signal(i, "SIGKILL");
    this.#client.close();
    this.#folder[Symbol.dispose]();
  }
}

/** A certificate of the tests. */
export function certificate(name: string): string {
  return fileURLToPath(new URL(`../testdata/tls/${name}.pem`, import.meta.url));
}

function freePorts(count: number): number[] {
  const listeners: Deno.Listener[] = [];
  while (listeners.length < count) {
    const port = FIRST_PORT + Math.floor(Math.random() * PORTS);
    try {
      listeners.push(Deno.listen({ hostname: "127.0.0.1", port }));
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
  for (const listener of listeners) listener.close();
  return listeners.map(({ addr }) => (addr as Deno.NetAddr).port);
}

function moment(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 50));
}
