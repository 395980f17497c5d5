import { brokenMessages, checkRoundTrip, checkSplits, Random } from "./fuzzing.ts";
import { attackServer } from "./fuzz_server.ts";

Deno.test("random bytes give the same events however they come, or an HttpError", () => {
  const random = new Random(1);
  for (let i = 0; i < 2000; i++) {
    checkSplits(random, random.pick(["request", "response"]), random.octets(random.below(200)));
  }
});

Deno.test("broken messages give the same events however they come, or an HttpError", () => {
  const random = new Random(2);
  for (let i = 0; i < 8000; i++) {
    const kind = random.pick(["request", "response"] as const);
    checkSplits(random, kind, brokenMessages(random, kind));
  }
});

Deno.test("what is encoded decodes to itself, whatever it is", () => {
  const random = new Random(3);
  for (let i = 0; i < 4000; i++) checkRoundTrip(random);
});

Deno.test("a live server takes whatever comes", async () => {
  await attackServer(new Random(4), (attacks) => attacks < 300);
});
