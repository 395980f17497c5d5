/** Faults of an etcd cluster under two servers and many clients that write: each begins, ends, and is judged. */

import assert from "node:assert/strict";
import { type Stored, type Verdict, WritingClients } from "./cluster_killing.ts";
import type { Random } from "./fuzzing.ts";
import { requestOf } from "./killing.ts";
import { ServeProcess } from "./serve_process.ts";
import { certificate, EtcdNodes, type NodesOptions } from "./store/etcd_nodes.ts";
import { LossyGateway } from "./store/lossy_gateway.ts";
import { Peer, TempFolder } from "./support.ts";

const SERVERS = 2;
/** Acknowledged writes that are waited for between two steps of a fault. */
const SOME = 500;
const NODE = { user: "root", password: "r:t" };

/** What a fault has to do with. */
interface Setting {
  readonly nodes: EtcdNodes;
  readonly servers: readonly ServeProcess[];
  readonly clients: WritingClients;
  readonly gateways: readonly LossyGateway[];
  /** Asks the first node, as the user who may do everything. */
  // deno-lint-ignore no-explicit-any -- etcd's answers are described elsewhere
  readonly ask: (path: string, body: unknown) => Promise<any>;
  /** How often the fault happens. */
  readonly times: number;
}

/** A fault of a cluster. */
export interface Fault {
  readonly name: string;
  readonly nodes?: NodesOptions;
  /** Prepares the nodes, and returns the flags of each server. */
  readonly prepare?: (nodes: EtcdNodes, folder: TempFolder) => Promise<string[][]> | string[][];
  /** Whether requests and replies between servers and nodes are lost. */
  readonly lossy?: boolean;
  /** The longest time without an acknowledged write that is allowed, in milliseconds. */
  readonly longestGapMs?: number;
  /** Lets it happen, and checks what the servers do. Returns what else is to be told. */
  readonly happen: (setting: Setting) => Promise<string | void>;
  /** Checks what came of the writes. */
  readonly check?: (verdict: Verdict) => void;
}

/** Lets a fault happen to a cluster of its own. Returns what came of the writes, and what else is to be told. */
export async function seeFault(fault: Fault, random: Random, times: number): Promise<[Verdict, string]> {
  using folder = new TempFolder();
  await using nodes = await EtcdNodes.start(fault.nodes);
  const flags = await fault.prepare?.(nodes, folder) ?? [[], []];
  await using stack = new AsyncDisposableStack();
  const gateways = fault.lossy ? nodes.urls.map((url) => stack.use(new LossyGateway(url, random))) : [];
  const store = fault.lossy ? `etcd:${gateways.map(({ url }) => url).join()}` : nodes.store;
  const servers: ServeProcess[] = [];
  for (let i = 0; i < SERVERS; i++) {
    const args = ["--quiet", "--fields", "*", "--max-body", "8m", "--store", `${store}/table`, ...flags[i]];
    servers.push(stack.use(await ServeProcess.start(args, ["--allow-net", "--allow-read"])));
  }
  const token = fault.prepare === withUsers ? await tokenOf(nodes) : "";
  const ask = (path: string, body: unknown) => nodes.ask(0, path, body, token === "" ? {} : { Authorization: token });
  const clients = new WritingClients(servers.map(({ port }) => port), random);
  const told = await fault.happen({ nodes, servers, clients, gateways, ask, times });
  const verdict = await clients.stop(async (name): Promise<Stored> => {
    const { kvs } = await ask("/v3/kv/range", { key: btoa(`table/r/${name}`) });
    return kvs === undefined
      ? { writes: 0, number: 0 }
      : { writes: Number(kvs[0].version), number: JSON.parse(atob(kvs[0].value)).number };
  });
  fault.check?.(verdict);
  return [verdict, told ?? ""];
}

/** Sends one node a signal, again and again, and each time brings it back. */
function signalled(signal: "SIGKILL" | "SIGSTOP", which: "leader" | "follower"): Fault["happen"] {
  return async ({ nodes, clients, times }) => {
    for (let i = 0; i < times; i++) {
      await clients.progress(SOME);
      const leader = await nodes.leader();
      const node = which === "leader" ? leader : (leader + 1 + i % (nodes.count - 1)) % nodes.count;
      await nodes.signal(node, signal);
      await clients.progress(SOME);
      if (signal === "SIGKILL") nodes.launch(node);
      else await nodes.signal(node, "SIGCONT");
      await nodes.healthy();
    }
    await clients.progress(SOME);
  };
}

/** Kills all nodes, and brings them back once the servers have said that nothing answers. */
async function allDown({ nodes, clients, times }: Setting): Promise<void> {
  for (let i = 0; i < times; i++) {
    await clients.progress(SOME);
    for (let node = 0; node < nodes.count; node++) await nodes.signal(node, "SIGKILL");
    await clients.refusals(SOME);
    for (let node = 0; node < nodes.count; node++) nodes.launch(node);
    await nodes.healthy();
    await clients.progress(SOME);
  }
}

/** Kills a server: its clients go to the other one. */
async function serverKilled({ servers: [server], clients }: Setting): Promise<void> {
  await clients.progress(SOME);
  await server.kill();
  await clients.progress(SOME);
}

const LISTED_ROWS = 16_000;

/** Compacts the revision of a listing that a client has begun to read. */
async function compacted({ clients, servers: [server], ask }: Setting): Promise<string> {
  const peer = await server.connect();
  const long = "x".repeat(1000);
  for (let start = 0; start < LISTED_ROWS; start += 2000) {
    const rows = Array.from({ length: 2000 }, (_, i) => `"n${start + i}":{"long":"${long}"}`);
    const { head, content } = await peer.exchange(requestOf("POST", "/", `{${rows.join()}}`));
    assert.equal(head.status, 201, content);
  }
  peer.close();
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  const listing = new Peer(conn);
  await listing.send("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  await clients.progress(SOME);
  const { header } = await ask("/v3/kv/range", { key: btoa("x") });
  await ask("/v3/kv/compaction", { revision: header.revision, physical: true });
  const octets = await listing.receiveAll();
  listing.close();
  const rows = octets.match(/"n\d+":\{/g)!.length;
  // Chunked content that is whole ends with a chunk of size 0 (RFC 9112 §7.1).
  assert(!octets.endsWith("\r\n0\r\n\r\n"), "the listing ended as if it were whole");
  await clients.progress(SOME);
  return `the listing was cut off after ${rows} of ${LISTED_ROWS} rows, visibly`;
}

/** Fills the nodes beyond their quota, and makes room again as etcd's documentation says. */
async function filled({ clients, nodes, servers: [server], ask }: Setting): Promise<string> {
  await clients.progress(SOME);
  const peer = await server.connect();
  const large = JSON.stringify({ long: "x".repeat(1_000_000) });
  let answer;
  do answer = await peer.exchange(requestOf("PUT", "/large", large)); while (
    answer.head.status === 200 || answer.head.status === 201
  );
  assert.equal(answer.head.status, 507, answer.content);
  await clients.refusals(SOME);
  const { header } = await ask("/v3/kv/range", { key: btoa("x") });
  await ask("/v3/kv/compaction", { revision: header.revision, physical: true });
  for (let i = 0; i < nodes.count; i++) await nodes.ask(i, "/v3/maintenance/defragment", {});
  const { alarms } = await ask("/v3/maintenance/alarm", { action: "GET" });
  for (const alarm of alarms) await ask("/v3/maintenance/alarm", { action: "DEACTIVATE", ...alarm });
  await clients.progress(SOME);
  peer.close();
  return JSON.parse(answer.content).detail;
}

/** Asks for users; the second server is told a wrong password. */
async function withUsers(nodes: EtcdNodes, folder: TempFolder): Promise<string[][]> {
  const ask = (path: string, body: unknown) => nodes.ask(0, path, body);
  await ask("/v3/auth/user/add", { name: NODE.user, password: NODE.password });
  await ask("/v3/auth/user/grant", { user: NODE.user, role: "root" });
  const users = ["slug", "snail"];
  for (const name of users) {
    await ask("/v3/auth/user/add", { name, password: "slug's" });
    await ask("/v3/auth/user/grant", { user: name, role: "root" });
  }
  await ask("/v3/auth/enable", {});
  return users.map((name) => {
    const file = folder.file(name);
    Deno.writeTextFileSync(file, `${name}:${name}'s\n`);
    return ["--etcd-user-file", file];
  });
}

async function tokenOf(nodes: EtcdNodes): Promise<string> {
  const { token } = await nodes.ask(0, "/v3/auth/authenticate", { name: NODE.user, password: NODE.password });
  return token;
}

/** Sees a server that is refused until the password is the one that it was told. */
async function passwordChanged({ clients, servers, ask }: Setting): Promise<string> {
  await clients.progress(SOME);
  await clients.refusals(SOME);
  const detail = await refusalOf(servers[1]);
  await ask("/v3/auth/user/changepw", { name: "snail", password: "snail's" });
  while (await refusalOf(servers[1]) !== undefined) await clients.progress(1);
  await clients.progress(SOME);
  return `until the password was changed: ${detail}`;
}

/** Speaks TLS; the second server has a certificate that the nodes do not accept. */
function withCertificates(): string[][] {
  return ["cert", "expired"].map((cert) => [
    ...["--etcd-cacert", certificate("ca"), "--etcd-cert", certificate(cert), "--etcd-key", certificate("key")],
  ]);
}

async function wrongCertificate({ clients, servers }: Setting): Promise<string> {
  await clients.progress(SOME);
  await clients.refusals(SOME);
  return (await refusalOf(servers[1]))!;
}

/** What a server says instead of reading a row; `undefined` if it reads. */
async function refusalOf(server: ServeProcess): Promise<string | undefined> {
  const peer = await server.connect();
  const { head, content } = await peer.exchange("GET /nobody HTTP/1.1\r\nHost: localhost\r\n\r\n");
  peer.close();
  if (head.status === 404) return undefined;
  assert.equal(head.status, 503, content);
  return JSON.parse(content).detail;
}

async function lossy({ clients, gateways, times }: Setting): Promise<string> {
  await clients.progress(3 * times * SOME);
  return `${gateways.reduce((sum, { losses }) => sum + losses, 0)} requests and replies were lost`;
}

/** All faults. */
export const FAULTS: readonly Fault[] = [
  { name: "the leader is killed", longestGapMs: 3000, happen: signalled("SIGKILL", "leader") },
  { name: "the leader stands still", longestGapMs: 3000, happen: signalled("SIGSTOP", "leader") },
  { name: "a follower is killed", longestGapMs: 3000, happen: signalled("SIGKILL", "follower") },
  { name: "a follower stands still", longestGapMs: 3000, happen: signalled("SIGSTOP", "follower") },
  { name: "a server is killed", longestGapMs: 3000, happen: serverKilled },
  { name: "all nodes are killed, and come back", happen: allDown },
  { name: "a gateway loses requests and replies", lossy: true, happen: lossy },
  { name: "a revision is compacted in the middle of its listing", happen: compacted },
  {
    name: "the nodes are full, and get room again",
    nodes: { args: ["--quota-backend-bytes", String(16 * 1024 * 1024)] },
    happen: filled,
  },
  { name: "one server has a wrong password", prepare: withUsers, happen: passwordChanged },
  {
    name: "one server has a wrong certificate",
    nodes: { tls: true },
    prepare: withCertificates,
    happen: wrongCertificate,
    check: ({ byServer: [, wrong] }) => assert.equal(wrong, 0),
  },
];
