/**
 * Measures `serve` against its peers, all in one run and in turn: `deno task bench [--rounds N] [--seconds N] [--only TEXT]`.
 *
 * Each row of the result is one kind of work; each round starts every server anew, loads the same table into it and drives
 * it with wrk. Medians over the rounds are compared, as ratios, since machines are noisy and different.
 */

import { parseArgs } from "node:util";
import { drive, type Load, type Measured, median, ServerProcess } from "./load.ts";

const HERE = new URL("./", import.meta.url).pathname;
const MAIN = new URL("../../main.ts", import.meta.url).pathname;
const ROW = '{"type":"snail","age":"1","leg":"0"}';

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
  /** Rows in the table before the load. */
  rows: number;
  load: Omit<Load, "seconds">;
  /** The servers; the first is the one whose ratios to the others are told. */
  peers: Record<string, Peer>;
  /** What the ratio to a peer should reach. */
  targets: Record<string, number>;
  /** A load for one peer that differs from the others'. */
  loads?: Record<string, Partial<Load>>;
}

const ONE = { path: "/Pingping", connections: 64 };
const WORKS: Work[] = [
  {
    name: "GET one row",
    rows: 1,
    load: ONE,
    peers: { wiretable: QUIET, raw: RAW, "Deno.serve": DENO_SERVE, "node:http": NODE_HTTP },
    targets: { raw: 0.9, "Deno.serve": 1 },
  },
  {
    name: "GET one row, 16 pipelined",
    rows: 1,
    load: { ...ONE, script: "pipeline.lua" },
    peers: { wiretable: QUIET, "Deno.serve": DENO_SERVE, "node:http": NODE_HTTP },
    targets: { "Deno.serve": 6 },
  },
  {
    name: "PUT one row",
    rows: 1,
    load: { ...ONE, script: "put.lua" },
    peers: { wiretable: QUIET, raw: RAW, "Deno.serve": DENO_SERVE, "node:http": NODE_HTTP },
    targets: { "Deno.serve": 1 },
  },
  {
    name: "GET all of 200 rows",
    rows: 200,
    load: { path: "/", connections: 64 },
    peers: { wiretable: QUIET, raw: RAW, "Deno.serve": DENO_SERVE, "node:http": NODE_HTTP },
    targets: { "Deno.serve": 2 },
  },
  {
    name: "GET one row, printing into a file",
    rows: 1,
    load: ONE,
    peers: { wiretable: PRINTING, "--quiet": QUIET },
    targets: { "--quiet": 0.5 },
  },
  {
    name: "PUT with If-Match",
    rows: 1,
    load: { ...ONE, script: "put.lua", argument: "*" },
    peers: { wiretable: QUIET, "without it": QUIET },
    targets: { "without it": 0.9 },
    loads: { "without it": { argument: undefined } },
  },
];

const names = (count: number) => Array.from({ length: count }, (_, i) => i === 0 ? "Pingping" : `Pingping${i}`);

/** Puts the rows into a table, a few at a time. The raw loop has no table and answers anything. */
async function fill(url: string, count: number): Promise<void> {
  for (const name of names(count)) {
    const response = await fetch(new URL(name, url), {
      method: "PUT",
      headers: { "Content-Type": "application/json" },
      body: ROW,
    });
    await response.arrayBuffer();
  }
}

/** The bytes of the answer to the load's request, to be given by the raw loop; one character an octet. */
async function answerTo(work: Work): Promise<string> {
  await using server = await ServerProcess.start(QUIET(""), `${folder}/output`);
  await fill(server.url, work.rows);
  const { hostname, port } = new URL(server.url);
  const conn = await Deno.connect({ hostname, port: Number(port) });
  const put = work.load.script === "put.lua";
  const head = put
    ? `PUT ${work.load.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${ROW.length}`
    : `GET ${work.load.path} HTTP/1.1\r\nHost: localhost`;
  await conn.write(new TextEncoder().encode(`${head}\r\nConnection: close\r\n\r\n${put ? ROW : ""}`));
  let answer = "";
  for await (const bytes of conn.readable) answer += String.fromCharCode(...bytes);
  return answer.replace("Connection: close\r\n", "");
}

async function measure(work: Work, peer: string, answer: string): Promise<Measured> {
  const load = { ...work.load, ...work.loads?.[peer] };
  const output = `${folder}/output`;
  await using server = await ServerProcess.start(work.peers[peer](answer), output);
  if (work.peers[peer] !== RAW) await fill(server.url, work.rows);
  await drive(server.url, { ...load, seconds: 1 });
  return await drive(server.url, { ...load, seconds });
}

/** One work's rows of the table: each server's medians, and what the first one's are to them. */
async function run(work: Work): Promise<string[]> {
  const answer = await answerTo(work);
  const all: Record<string, Measured[]> = Object.fromEntries(Object.keys(work.peers).map((peer) => [peer, []]));
  for (let round = 0; round < rounds; round++) {
    for (const peer of Object.keys(work.peers)) all[peer].push(await measure(work, peer, answer));
  }
  const rate = (peer: string) => median(all[peer].map(({ requestsPerSecond }) => requestsPerSecond));
  return Object.keys(work.peers).map((peer, i) => {
    const p99 = median(all[peer].map(({ p99 }) => p99)).toFixed(2);
    const ratio = i === 0 ? "" : (rate("wiretable") / rate(peer)).toFixed(2);
    const target = work.targets[peer] === undefined ? "" : work.targets[peer].toFixed(2);
    return `| ${i === 0 ? work.name : ""} | ${peer} | ${Math.round(rate(peer))} | ${p99} | ${ratio} | ${target} |`;
  });
}

/** Milliseconds from the start of the process to the end of the first answer. */
async function startToFirstAnswer(): Promise<number[]> {
  const times: number[] = [];
  for (let round = 0; round < rounds + 2; round++) {
    const start = performance.now();
    await using server = await ServerProcess.start(QUIET(""), `${folder}/output`);
    const { hostname, port } = new URL(server.url);
    const conn = await Deno.connect({ hostname, port: Number(port) });
    await conn.write(new TextEncoder().encode("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    await conn.read(new Uint8Array(1000));
    times.push(performance.now() - start);
    conn.close();
  }
  // The first starts fill the compiler's cache.
  return times.slice(2);
}

try {
  console.log("| work | server | requests/s | p99 ms | wiretable to it | to reach |");
  console.log("| --- | --- | ---: | ---: | ---: | ---: |");
  for (const work of WORKS) {
    if (!work.name.includes(flags.only)) continue;
    for (const line of await run(work)) console.log(line);
  }
  if ("start".includes(flags.only)) {
    console.log(`\nStart to first answer: ${median(await startToFirstAnswer()).toFixed(0)} ms (to reach: 120)`);
  }
  void [SQLITE, DENO_SERVE_SQLITE];
} finally {
  await Deno.remove(folder, { recursive: true });
}
