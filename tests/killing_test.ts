import assert from "node:assert/strict";
import { Random } from "./fuzzing.ts";
import { killAgainAndAgain } from "./killing.ts";

Deno.test("a server that is killed while it writes has every write that it answered", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const seen = await killAgainAndAgain(new Random(1), `${folder}/table.db`, 4);
    assert(seen.answered > 0);
    assert(seen.unansweredDone + seen.unansweredLost > 0, "it was killed while nobody wrote");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
