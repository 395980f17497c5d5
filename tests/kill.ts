/**
 * Searches for an acknowledged write that is lost, or one that is done twice: `deno task kill [--kills N] [--seed N]`
 * kills a server with an SQLite table; `deno task kill --store etcd [--kills N] [--seed N] [--only TEXT]` starts etcd
 * clusters of three nodes, and does to each what may happen to one.
 */

import { parseArgs } from "node:util";
import type { Verdict } from "./cluster_killing.ts";
import { type Fault, FAULTS, seeFault } from "./cluster_faults.ts";
import { Random } from "./fuzzing.ts";
import { killAgainAndAgain } from "./killing.ts";
import { ETCD_MISSING } from "./store/etcd_nodes.ts";

const { values } = parseArgs({
  options: {
    store: { type: "string", default: "sqlite" },
    kills: { type: "string" },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
    only: { type: "string", default: "" },
  },
});
const random = new Random(Number(values.seed));
if (values.store === "sqlite") await killServer(Number(values.kills ?? 50));
else if (values.store === "etcd") await killNodes(Number(values.kills ?? 2));
else fail(`--store is sqlite or etcd, saw ${JSON.stringify(values.store)}`);

async function killServer(kills: number): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "wiretable-kill-" });
  console.log(`Seed ${values.seed}, ${kills} kills, in ${folder}`);
  const seen = await killAgainAndAgain(random, `${folder}/table.db`, kills);
  await Deno.remove(folder, { recursive: true });
  console.log(`Nothing is lost: ${JSON.stringify(seen)}`);
}

async function killNodes(times: number): Promise<void> {
  if (ETCD_MISSING !== undefined) fail(`${ETCD_MISSING}: apt-get install etcd-server`);
  console.log(`Seed ${values.seed}, 2 servers, 32 clients; faults that pass happen ${times} times`);
  let failures = 0;
  for (const fault of FAULTS.filter(({ name }) => name.includes(values.only))) {
    const [verdict, told] = await seeFault(fault, random, times);
    console.log(`- ${fault.name}${told && ` (${told})`}:\n  ${textOf(verdict)}`);
    for (const problem of problemsOf(fault, verdict)) {
      failures++;
      console.log(`  WRONG: ${problem}`);
    }
  }
  if (failures > 0) fail(`${failures} things are wrong`);
  console.log("Nothing is lost, and nothing is applied twice");
}

function textOf({ acknowledged, attempted, unknown, refused, lost, twice, longestGapMs }: Verdict): string {
  return `Writes acknowledged: ${acknowledged} of ${attempted} (${unknown} of unknown outcome, ${refused} refused). ` +
    `Lost: ${lost}. Applied twice: ${twice}. Longest gap: ${(longestGapMs / 1000).toFixed(2)} s`;
}

function problemsOf({ longestGapMs = Infinity }: Fault, verdict: Verdict): string[] {
  const problems: string[] = [];
  if (verdict.lost > 0) problems.push(`${verdict.lost} acknowledged writes are not there`);
  if (verdict.twice > 0) problems.push(`rows have ${verdict.twice} writes more than were attempted`);
  if (verdict.doneThoughRefused > 0) problems.push(`${verdict.doneThoughRefused} refused writes are done`);
  if (verdict.longestGapMs > longestGapMs) problems.push(`for more than ${longestGapMs / 1000} s no write was done`);
  return problems;
}

function fail(message: string): never {
  console.error(message);
  Deno.exit(1);
}
