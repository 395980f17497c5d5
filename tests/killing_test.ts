import assert from "node:assert/strict";
import { Random } from "./fuzzing.ts";
import { killAgainAndAgain } from "./killing.ts";
import { TempFolder } from "./support.ts";

Deno.test("every acknowledged write survives a kill of the server", async () => {
  using folder = new TempFolder();
  const seen = await killAgainAndAgain(new Random(1), folder.file(), 4);
  assert(seen.answered > 0);
  assert(seen.unansweredDone + seen.unansweredLost > 0, "it was killed while nobody wrote");
});
