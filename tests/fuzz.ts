/**
 * Looks for bytes that the decoder or a live server cannot stand: `deno task fuzz [--seconds N] [--seed N]`.
 *
 * It ends with an error at the first one, and says which seed finds it again.
 */

import { parseArgs } from "node:util";
import { attackServer } from "./fuzz_server.ts";
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
const counts = { splits: 0, roundTrips: 0, attacks: 0 };

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
    const attackEnd = Math.min(end, Date.now() + 2000);
    counts.attacks += await attackServer(random, () => Date.now() < attackEnd);
  }
} catch (error) {
  console.error(`Found with seed ${seed}, after ${JSON.stringify(counts)}:`);
  throw error;
}
console.log(`Nothing found in ${JSON.stringify(counts)}`);
