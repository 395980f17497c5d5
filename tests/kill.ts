/**
 * Searches for an acknowledged write that is lost when the server is killed: `deno task kill [--kills N] [--seed N]`.
 */

import { parseArgs } from "node:util";
import { Random } from "./fuzzing.ts";
import { killAgainAndAgain } from "./killing.ts";

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "50" },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
  },
});
const folder = await Deno.makeTempDir({ prefix: "wiretable-kill-" });
console.log(`Seed ${values.seed}, ${values.kills} kills, in ${folder}`);
const seen = await killAgainAndAgain(new Random(Number(values.seed)), `${folder}/table.db`, Number(values.kills));
await Deno.remove(folder, { recursive: true });
console.log(`Nothing is lost: ${JSON.stringify(seen)}`);
