/**
 * Searches for bytes that break the decoder, the reader of captures or a live server: `deno task fuzz [--seconds N] [--seed N]`.
 *
 * Ends at the first failure, and prints the seed that reproduces it.
 */

import { parseArgs } from "node:util";
import { attackServer } from "./fuzz_server.ts";
import { MemoryStore } from "../lib/store/memory.ts";
import { SqliteStore } from "../lib/store/sqlite.ts";
import { harass, SQLITE_KEPT } from "./hostile.ts";
import { checkCapture, randomCapture } from "./fuzzing_captures.ts";
import { brokenMessages, checkRoundTrip, checkSplits, Random } from "./fuzzing.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
  },
});
const seed = Number(values.seed);
const end = Date.now() + Number(values.seconds) * 1000;
const random = new Random(seed);
const counts = { splits: 0, roundTrips: 0, captures: 0, attacks: 0, visits: 0 };

console.log(`Seed ${seed}, for ${values.seconds} seconds`);
try {
  while (Date.now() < end) {
    const turn = Math.min(end, Date.now() + 2000);
    while (Date.now() < turn) {
      const kind = random.pick(["request", "response"] as const);
      checkSplits(
        random,
        kind,
        random.below(4) === 0 ? random.octets(random.below(300)) : brokenMessages(random, kind),
      );
      checkRoundTrip(random);
      counts.splits++;
      counts.roundTrips++;
    }
    const captureEnd = Math.min(end, Date.now() + 2000);
    while (Date.now() < captureEnd) {
      checkCapture(random, randomCapture(random));
      counts.captures++;
    }
    const attackEnd = Math.min(end, Date.now() + 2000);
    counts.attacks += await attackServer(random, () => Date.now() < attackEnd);
    const visitEnd = Math.min(end, Date.now() + 2000);
    const folder = await Deno.makeTempDir();
    const store = random.below(2) === 0 ? new MemoryStore() : await SqliteStore.open(`${folder}/table.db`);
    counts.visits += await harass(random, store, () => Date.now() < visitEnd, SQLITE_KEPT);
    await Deno.remove(folder, { recursive: true });
  }
} catch (error) {
  console.error(`Found with seed ${seed}, after ${JSON.stringify(counts)}:`);
  throw error;
}
const { rss } = Deno.memoryUsage();
console.log(`Nothing found in ${JSON.stringify(counts)}; ${Math.round(rss / 1e6)} MB are resident`);
