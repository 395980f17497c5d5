/**
 * Measures `serve` with its table in an etcd cluster of three nodes of this machine, beside a server that does one
 * transaction for each PUT and one range for each GET: `deno task bench:etcd [--rounds N] [--seconds N] [--only TEXT]`.
 *
 * Both servers use the same nodes, in turn; medians over the rounds are compared.
 */

import { parseArgs } from "node:util";
import { ETCD_MISSING, EtcdNodes } from "../store/etcd_nodes.ts";
import { drive, fill, fillWithMany, type Measured, median, readListing, ServerProcess } from "./load.ts";

const HERE = `${import.meta.dirname}/`;
const ROWS = 200;
const LISTED_ROWS = 100_000;
/** What the ratio should reach at 64 or at 256 connections. */
const TARGET = 4;
const LISTING_TARGET = 50_000;
const METHODS = ["PUT", "GET"];
const CONNECTIONS = [64, 256];

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "3" },
    only: { type: "string", default: "" },
  },
});
const rounds = Number(flags.rounds);
const seconds = Number(flags.seconds);
if (ETCD_MISSING !== undefined) {
  console.error(`${ETCD_MISSING}: apt-get install etcd-server`);
  Deno.exit(1);
}

/** Starts a server whose table is in the cluster, under this prefix. */
function serve(nodes: EtcdNodes, prefix: string): Promise<ServerProcess> {
  const store = `${nodes.store}/${prefix}`;
  return ServerProcess.start([`${HERE}../../main.ts`, "serve", "--quiet", "--port", "0", "--store", store], output);
}

function peer(nodes: EtcdNodes): Promise<ServerProcess> {
  return ServerProcess.start([`${HERE}etcd_peer.ts`, nodes.urls[0]], output);
}

async function measure(server: ServerProcess, method: string, connections: number): Promise<Measured> {
  const load = { path: "/Pingping0", connections, rows: [method, "1"] };
  await drive(server, { ...load, seconds: 1 });
  return await drive(server, { ...load, seconds });
}

/** One line for each server: a kind of work's medians, and the ratio. */
async function compare(nodes: EtcdNodes, method: string, connections: number): Promise<number> {
  const ours: Measured[] = [];
  const theirs: Measured[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const [start, all] of [[(n: EtcdNodes) => serve(n, "table"), ours], [peer, theirs]] as const) {
      await using server = await start(nodes);
      await fill(server.url, ROWS);
      all.push(await measure(server, method, connections));
    }
  }
  const rate = (all: Measured[]) => median(all.map(({ requestsPerSecond }) => requestsPerSecond));
  const p99 = (all: Measured[]) => median(all.map(({ p99 }) => p99)).toFixed(1);
  const ratio = rate(ours) / rate(theirs);
  console.log(
    `| ${method}, ${connections} connections | ${Math.round(rate(ours))} | ${p99(ours)} | ${
      Math.round(rate(theirs))
    } | ${p99(theirs)} | ${ratio.toFixed(2)} |`,
  );
  return ratio;
}

/** Rows a second of the whole listing on the wire, and how much memory it takes. */
async function list(nodes: EtcdNodes): Promise<string> {
  {
    await using server = await serve(nodes, "list");
    await fillWithMany(server.url, LISTED_ROWS);
  }
  await using server = await serve(nodes, "list");
  const rates: number[] = [];
  const before = await server.memory() ?? NaN;
  for (let round = 0; round < rounds; round++) rates.push(LISTED_ROWS / await readListing(server.url));
  const after = await server.memory() ?? NaN;
  return `${Math.round(median(rates)).toLocaleString("en")} rows/s; memory ${before.toFixed(0)} MB open, ` +
    `${after.toFixed(0)} MB listed`;
}

const output = await Deno.makeTempFile({ prefix: "wiretable-bench-" });
try {
  await using nodes = await EtcdNodes.start({ syncs: true });
  console.log("| work | wiretable/s | p99 ms | one transaction each/s | p99 ms | wiretable to it |");
  console.log("| --- | ---: | ---: | ---: | ---: | ---: |");
  for (const method of METHODS.filter((method) => method.includes(flags.only))) {
    let best = 0;
    for (const connections of CONNECTIONS) best = Math.max(best, await compare(nodes, method, connections));
    console.log(`| ${method}, the better of both | | | | | ${best.toFixed(2)} (to reach: ${TARGET}) |`);
  }
  if ("listing".includes(flags.only)) {
    const target = `${LISTING_TARGET.toLocaleString("en")} rows/s`;
    console.log(`\n- listing of ${LISTED_ROWS.toLocaleString("en")} rows: ${await list(nodes)} (to reach: ${target})`);
  }
} finally {
  await Deno.remove(output);
}
