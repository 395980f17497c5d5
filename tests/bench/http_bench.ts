/**
 * Measures `serve` against its peers, all in one run and in turn: `deno task bench [--rounds N] [--seconds N] [--only TEXT]`.
 *
 * Each row of the result is one kind of work; each round starts every server anew, loads the same table into it and drives
 * it with wrk. Medians over the rounds are compared, as ratios, since machines are noisy and different. The processor
 * time of the main thread for each request swings less than the rate, so it stands beside it.
 *
 * What makes the comparison fair: the peers do the same job, and nothing that only wiretable does. They keep each row as
 * the text that was sent, answer with constant headers, and have no tags, no preconditions, no access rules. But a PUT
 * is checked to be JSON, because a listing is made of what was sent, and a listing is made anew for each request, as
 * wiretable's is, since in between any row may change. The load asks for 200 rows in turn, so that nothing is fast only
 * because a request repeats the one before; a PUT sends the row as wiretable's client does, and each time another value.
 * The raw loop does no job: it is the least that any server over `Deno.listen` could take for the same octets.
 */

import { parseArgs } from "node:util";
import {
  drive,
  fill,
  fillWithMany,
  GET_ALL,
  type Load,
  type Measured,
  median,
  open,
  readListing,
  ROW,
  ServerProcess,
} from "./load.ts";

const HERE = `${import.meta.dirname}/`;
const MAIN = `${HERE}../../main.ts`;

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "3" },
    only: { type: "string", default: "" },
  },
});
const rounds = Number(flags.rounds);
const seconds = Number(flags.seconds);
const folder = await Deno.makeTempDir({ prefix: "wiretable-bench-" });

/** A server to measure: how it is started. The raw loop is given the answer that wiretable gives. */
type Peer = (answer: string) => string[];

const QUIET: Peer = () => [MAIN, "serve", "--quiet", "--port", "0"];
const PRINTING: Peer = () => [MAIN, "serve", "--port", "0"];
const RAW: Peer = (answer) => [`${HERE}raw_peer.ts`, btoa(answer)];
const DENO_SERVE: Peer = () => [`${HERE}deno_serve_peer.ts`];
const NODE_HTTP: Peer = () => [`${HERE}node_http_peer.ts`];
const SQLITE: Peer = () => [MAIN, "serve", "--quiet", "--port", "0", "--store", `sqlite:${freshFile()}`];
const DENO_SERVE_SQLITE: Peer = () => [`${HERE}deno_serve_peer.ts`, freshFile()];

let files = 0;

function freshFile(): string {
  return `${folder}/${++files}.db`;
}

interface Work {
  name: string;
  load: Omit<Load, "seconds">;
  /** The servers; the first is the one whose ratios to the others are told. */
  peers: Record<string, Peer>;
  /** What the ratio to a peer should reach. */
  targets: Record<string, number>;
  /** A load for one peer that differs from the others'. */
  loads?: Record<string, Partial<Load>>;
}

const GET = { path: "/Pingping0", connections: 64, rows: ["GET", "1"] };
const PUT = { ...GET, rows: ["PUT", "1"] };
const ROWS = 200;
const WORKS: Work[] = [
  {
    name: "GET of 200 rows in turn",
    load: GET,
    peers: { wiretable: QUIET, raw: RAW, "Deno.serve": DENO_SERVE, "node:http": NODE_HTTP },
    targets: { raw: 0.75, "Deno.serve": 1 },
  },
  {
    name: "GET, 16 pipelined",
    load: { ...GET, rows: ["GET", "16"] },
    peers: { wiretable: QUIET, "Deno.serve": DENO_SERVE, "node:http": NODE_HTTP },
    targets: { "Deno.serve": 3.5 },
  },
  {
    name: "PUT of 200 rows in turn",
    load: PUT,
    peers: { wiretable: QUIET, raw: RAW, "Deno.serve": DENO_SERVE, "node:http": NODE_HTTP },
    targets: { "Deno.serve": 1 },
  },
  {
    name: "GET of all 200 rows",
    load: { path: "/", connections: 64 },
    peers: { wiretable: QUIET, raw: RAW, "Deno.serve": DENO_SERVE, "node:http": NODE_HTTP },
    targets: { "Deno.serve": 2 },
  },
  {
    name: "GET, printing into a file",
    load: GET,
    peers: { wiretable: PRINTING, "--quiet": QUIET },
    targets: { "--quiet": 0.5 },
  },
  {
    name: "PUT with If-Match",
    load: { ...PUT, rows: ["PUT", "1", "*"] },
    peers: { wiretable: QUIET, "without it": QUIET },
    targets: { "without it": 0.9 },
    loads: { "without it": PUT },
  },
  {
    name: "durable PUT",
    load: PUT,
    peers: { wiretable: SQLITE, "Deno.serve, a commit each": DENO_SERVE_SQLITE },
    targets: { "Deno.serve, a commit each": 8 },
  },
  {
    name: "durable GET",
    load: GET,
    peers: { wiretable: SQLITE, "in memory": QUIET },
    targets: { "in memory": 0.7 },
  },
];

/** The bytes of the answer to the load's request, to be given by the raw loop; one character an octet. */
async function answerTo({ load: { path, rows } }: Work): Promise<string> {
  await using server = await ServerProcess.start(QUIET(""), `${folder}/output`);
  await fill(server.url, ROWS);
  const conn = await open(server.url);
  const content = rows?.[0] === "PUT" ? `{"Pingping0":${ROW}}` : "";
  const fields = content === "" ? "" : `Content-Type: application/json\r\nContent-Length: ${content.length}\r\n`;
  const head = `${rows?.[0] ?? "GET"} ${path} HTTP/1.1\r\nHost: localhost\r\n${fields}Connection: close\r\n\r\n`;
  await conn.write(new TextEncoder().encode(head + content));
  let answer = "";
  for await (const bytes of conn.readable) answer += String.fromCharCode(...bytes);
  return answer.replace("Connection: close\r\n", "");
}

async function measure(work: Work, peer: string, answer: string): Promise<Measured> {
  const load = { ...work.load, ...work.loads?.[peer] };
  await using server = await ServerProcess.start(work.peers[peer](answer), `${folder}/output`);
  if (work.peers[peer] !== RAW) await fill(server.url, ROWS);
  await drive(server, { ...load, seconds: 1 });
  return await drive(server, { ...load, seconds });
}

/** One work's rows of the table: each server's medians, and what the first one's are to them. */
async function run(work: Work): Promise<string[]> {
  const answer = await answerTo(work);
  const all: Record<string, Measured[]> = Object.fromEntries(Object.keys(work.peers).map((peer) => [peer, []]));
  for (let round = 0; round < rounds; round++) {
    for (const peer of Object.keys(work.peers)) all[peer].push(await measure(work, peer, answer));
  }
  const of = (peer: string, figure: keyof Measured) => median(all[peer].map((measured) => measured[figure]));
  return Object.keys(work.peers).map((peer, i) => {
    // wrk does not time the answers of pipelined requests.
    const p99 = work.load.rows?.[1] === "16" ? "" : of(peer, "p99").toFixed(2);
    const ratio = (figure: keyof Measured) => i === 0 ? "" : (of("wiretable", figure) / of(peer, figure)).toFixed(2);
    const target = work.targets[peer] === undefined ? "" : work.targets[peer].toFixed(2);
    const cells = [
      i === 0 ? work.name : "",
      peer,
      Math.round(of(peer, "requestsPerSecond")),
      p99,
      ratio("requestsPerSecond"),
      target,
      of(peer, "cpu").toFixed(1),
      ratio("cpu"),
    ];
    return `| ${cells.join(" | ")} |`;
  });
}

/** Milliseconds from the start of the process to the end of the first answer. */
async function startToFirstAnswer(): Promise<number[]> {
  const times: number[] = [];
  for (let round = 0; round < rounds + 2; round++) {
    const start = performance.now();
    await using server = await ServerProcess.start(QUIET(""), `${folder}/output`);
    using conn = await open(server.url);
    await conn.write(GET_ALL);
    await conn.read(new Uint8Array(1000));
    times.push(performance.now() - start);
  }
  // The first starts fill the compiler's cache.
  return times.slice(2);
}

/** Rows per second of the whole listing on the wire, and the server's memory in MB after it. */
async function listAll(server: ServerProcess, count: number): Promise<{ rate: string; memory: string }> {
  const rates: number[] = [];
  for (let round = 0; round < rounds; round++) rates.push(count / await readListing(server.url));
  return { rate: Math.round(median(rates)).toLocaleString("en"), memory: await memoryOf(server) };
}

async function memoryOf(server: ServerProcess): Promise<string> {
  return `${(await server.memory() ?? NaN).toFixed(0)} MB`;
}

/** A large table in memory. */
async function largeTable(count: number): Promise<string> {
  await using server = await ServerProcess.start(QUIET(""), `${folder}/output`);
  const empty = await memoryOf(server);
  await fillWithMany(server.url, count);
  const loaded = await memoryOf(server);
  const { rate, memory } = await listAll(server, count);
  return `memory ${empty} empty, ${loaded} loaded, ${memory} listed; ${rate} rows/s on the wire`;
}

/** A large table in a file, which a new server opens. */
async function largeFile(count: number): Promise<string> {
  const args = SQLITE("");
  {
    await using server = await ServerProcess.start(args, `${folder}/output`);
    await fillWithMany(server.url, count);
  }
  const start = performance.now();
  await using server = await ServerProcess.start(args, `${folder}/output`);
  const opened = performance.now() - start;
  const empty = await memoryOf(server);
  const { rate, memory } = await listAll(server, count);
  return `open after ${opened.toFixed(0)} ms; memory ${empty} open, ${memory} listed; ${rate} rows/s on the wire`;
}

/** One client that reads a row while 64 others write durably as fast as they can. */
async function readingWhileOthersWrite(): Promise<string> {
  await using server = await ServerProcess.start(SQLITE(""), `${folder}/output`);
  await fill(server.url, ROWS);
  const [writing, reading] = await Promise.all([
    drive(server, { ...PUT, seconds: seconds + 1 }),
    drive(server, { ...GET, seconds, connections: 1 }),
  ]);
  return `99 of 100 reads are answered in ${reading.p99.toFixed(2)} ms, beside ` +
    `${Math.round(writing.requestsPerSecond).toLocaleString("en")} writes a second`;
}

/** Connections that have had one answer and are kept: what they cost, and how soon a new client is answered. */
async function idleConnections(count: number): Promise<string> {
  await using server = await ServerProcess.start(QUIET(""), `${folder}/output`);
  const before = await server.memory() ?? NaN;
  const get = new TextEncoder().encode("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const buffer = new Uint8Array(1000);
  const conns: Deno.Conn[] = [];
  for (let i = 0; i < count; i++) {
    const conn = await open(server.url);
    conns.push(conn);
    await conn.write(get);
    await conn.read(buffer);
  }
  const after = await server.memory() ?? NaN;
  const start = performance.now();
  using conn = await open(server.url);
  await conn.write(get);
  await conn.read(buffer);
  const answered = performance.now() - start;
  for (const conn of conns) conn.close();
  return `${(after - before).toFixed(0)} MB more than the empty server's ${before.toFixed(0)} MB; ` +
    `a new client is answered in ${answered.toFixed(1)} ms`;
}

const MEASURES: [name: string, target: string, measure: () => Promise<string>][] = [
  ["start to first answer", "120 ms", async () => `${median(await startToFirstAnswer()).toFixed(0)} ms`],
  ["10,000 idle connections", "100 MB, 50 ms", () => idleConnections(10_000)],
  ["a durable GET beside durable PUTs", "a few ms", readingWhileOthersWrite],
  ["1,000,000 rows in memory", "300 MB", () => largeTable(1_000_000)],
  ["5,000,000 rows in SQLite", "1 s, 200 MB, 1,000,000 rows/s", () => largeFile(5_000_000)],
];

try {
  console.log("| work | server | requests/s | p99 ms | wiretable to it | to reach | CPU us | wiretable to it |");
  console.log("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |");
  for (const work of WORKS) {
    if (!work.name.includes(flags.only)) continue;
    for (const line of await run(work)) console.log(line);
  }
  console.log("");
  for (const [name, target, measure] of MEASURES) {
    if (name.includes(flags.only)) console.log(`- ${name}: ${await measure()} (to reach: ${target})`);
  }
} finally {
  await Deno.remove(folder, { recursive: true });
}
