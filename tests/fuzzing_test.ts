import { brokenMessages, checkRoundTrip, checkSplits, Random } from "./fuzzing.ts";
import { MemoryStore } from "../lib/store/memory.ts";
import { SqliteStore } from "../lib/store/sqlite.ts";
import { attackServer } from "./fuzz_server.ts";
import { checkCapture, randomCapture } from "./fuzzing_captures.ts";
import { harass, SQLITE_KEPT } from "./hostile.ts";
import { TempFolder } from "./support.ts";

Deno.test("random bytes give the same events in any pieces, or an HttpError", () => {
  const random = new Random(1);
  for (let i = 0; i < 2000; i++) {
    checkSplits(random, random.pick(["request", "response"]), random.octets(random.below(200)));
  }
});

Deno.test("invalid messages give the same events in any pieces, or an HttpError", () => {
  const random = new Random(2);
  for (let i = 0; i < 8000; i++) {
    const kind = random.pick(["request", "response"] as const);
    checkSplits(random, kind, brokenMessages(random, kind));
  }
});

Deno.test("encoding and decoding are inverse for random messages", () => {
  const random = new Random(3);
  for (let i = 0; i < 4000; i++) checkRoundTrip(random);
});

Deno.test("random and broken captures give the same events in any pieces, or a CaptureError", () => {
  const random = new Random(7);
  for (let i = 0; i < 200; i++) checkCapture(random, randomCapture(random));
});

Deno.test("a live server survives any input", async () => {
  await attackServer(new Random(4), (attacks) => attacks < 300);
});

Deno.test("disconnecting clients release everything held in a memory store", async () => {
  await harass(new Random(5), new MemoryStore(), (visits) => visits < 400);
});

Deno.test("disconnecting clients release everything held in a file store", async () => {
  using folder = new TempFolder();
  await harass(new Random(6), await SqliteStore.open(folder.file()), (visits) => visits < 400, SQLITE_KEPT);
});

// What a connection is said to lack, and its late segments, must not depend on what is known by the time of its turn.
for (const seed of [458, 748, 59_285]) {
  Deno.test(`a connection is explained alike at once and after others: capture ${seed}`, () => {
    const random = new Random(seed);
    checkCapture(random, randomCapture(random));
  });
}
