import assert from "node:assert/strict";
import { Flow, type ReassemblyBudget } from "../../../lib/traffic/capture/reassembly.ts";
import { MAX_REASSEMBLED_BYTES } from "../../../lib/limits.ts";
import { Random } from "../../fuzzing.ts";
import { octetString, wireOctets } from "../../wire_cases.ts";

/** A segment: where it starts behind the first octet, its octets; `!` at the end is FIN. Or an acknowledgment. */
type Step = readonly [at: number, octets: string] | readonly [acknowledged: number];

class Log {
  readonly told: string[] = [];
  readonly budget: ReassemblyBudget;
  readonly flow: Flow<number>;
  #packet = 0;
  readonly #start: number;

  constructor(start = 1000, budget: ReassemblyBudget = { used: 0, most: MAX_REASSEMBLED_BYTES }) {
    this.#start = start;
    this.budget = budget;
    this.flow = new Flow<number>({
      octets: (bytes, packet) => this.told.push(`${packet}: ${octetString(bytes)}`),
      missing: (count) => this.told.push(`${count} missing`),
      fin: (packet) => this.told.push(`${packet}: FIN`),
    }, budget);
    this.flow.start(start);
  }

  play(steps: readonly Step[]): this {
    for (const [at, text] of steps) {
      const sequence = this.#start + at >>> 0;
      if (text === undefined) {
        this.flow.acknowledge(sequence, ++this.#packet);
        continue;
      }
      const bytes = wireOctets(text.replace("!", ""));
      // The memory of a packet is used again.
      const lent = bytes.slice();
      this.flow.segment(sequence, lent, bytes.length, text.endsWith("!"), ++this.#packet);
      lent.fill(0x3f);
    }
    return this;
  }
}

const cases: [name: string, steps: Step[], told: string[]][] = [
  ["in order", [[0, "ab"], [2, "cd"], [4, "!"]], ["1: ab", "2: cd", "3: FIN"]],
  ["out of order", [[2, "cd"], [4, "ef"], [0, "ab"]], ["3: ab", "1: cd", "2: ef"]],
  ["repeated", [[0, "ab"], [0, "ab"], [2, "cd"], [0, "abcd"]], ["1: ab", "3: cd"]],
  ["repeated in part", [[0, "ab"], [1, "bcd"]], ["1: ab", "2: cd"]],
  ["repeated while it waits", [[2, "cd"], [2, "cd"], [2, "c"], [0, "ab"]], ["4: ab", "1: cd"]],
  ["overlapping while it waits", [[4, "ef"], [2, "cde"], [0, "abc"]], ["3: abc", "2: de", "1: f"]],
  ["covered by one that waits", [[2, "cdef"], [3, "de"], [0, "ab"]], ["3: ab", "1: cdef"]],
  ["with a gap that is acknowledged", [[0, "ab"], [4, "ef"], [6]], ["1: ab", "2 missing", "2: ef"]],
  ["with a gap that was acknowledged before", [[0, "ab"], [4], [4, "ef"]], ["1: ab", "2 missing", "3: ef"]],
  ["with a gap that is not acknowledged yet", [[0, "ab"], [4, "ef"], [2]], ["1: ab"]],
  ["with two gaps", [[2, "c"], [4, "e"], [5]], ["2 missing", "1: c", "1 missing", "2: e"]],
  ["acknowledged before it was captured", [[2], [0, "ab"]], ["2: ab"]],
  ["with FIN before the octets", [[2, "c!"], [0, "ab"]], ["2: ab", "1: c", "1: FIN"]],
  ["with a gap before FIN", [[0, "a"], [3, "!"], [4]], ["1: a", "2 missing", "2: FIN"]],
  ["with FIN twice, and more behind it", [[0, "a!"], [0, "a!"], [2, "b"]], ["1: a", "1: FIN"]],
  ["with a probe of what was sent", [[0, "ab"], [1, "b"], [2, "c"]], ["1: ab", "3: c"]],
];

for (const start of [1000, 2 ** 32 - 3, 2 ** 31 - 2]) {
  for (const [name, steps, told] of cases) {
    Deno.test(`octets are put in order: ${name}, from sequence number ${start} on`, () => {
      const log = new Log(start).play(steps);
      assert.deepEqual(log.told, told);
    });
  }
}

Deno.test("at the end what waits is given, and what is missing is reported", () => {
  const log = new Log().play([[0, "a"], [2, "c"], [4, "e"]]);
  log.flow.end(9);
  assert.deepEqual(log.told, ["1: a", "1 missing", "2: c", "1 missing", "3: e"]);
  assert.equal(log.budget.used, 0);
  const acknowledged = new Log().play([[0, "a"], [6]]);
  acknowledged.flow.end(9);
  assert.deepEqual(acknowledged.told, ["1: a", "5 missing"]);
});

Deno.test("octets that wait behind FIN are not given", () => {
  const log = new Log().play([[4, "e"], [0, "ab!"], [5]]);
  log.flow.end(9);
  assert.deepEqual([log.told, log.budget.used], [["2: ab", "2: FIN"], 0]);
});

Deno.test("the end of a packet may not be captured", () => {
  const log = new Log();
  log.flow.segment(1000, wireOctets("ab"), 4, false, 1);
  log.flow.segment(1004, wireOctets("ef"), 2, false, 2);
  log.flow.acknowledge(1006, 3);
  assert.deepEqual(log.told, ["1: ab", "2 missing", "2: ef"]);
});

Deno.test("a gap is given up if too much waits behind it, here or in all", () => {
  const shared = { used: 0, most: 3 * 256 };
  const [first, second] = [new Log(0, shared), new Log(0, shared)];
  first.play([[2, "c"], [4, "e"]]);
  assert.deepEqual(first.told, []);
  second.play([[2, "c"]]);
  assert.deepEqual([first.told, second.told], [[], ["2 missing", "1: c"]]);
  first.flow.discard();
  assert.equal(shared.used, 0);

  const one = new Log(0, { used: 0, most: Infinity });
  const large = new Uint8Array(1024 * 1024);
  for (let i = 0; i < 8; i++) one.flow.segment(1 + i * large.length, large, large.length, false, i);
  assert.equal(one.told[0], "1 missing");
  assert.equal(one.budget.used, 0);
});

Deno.test("random segments in any order give the octets, or report what is missing", () => {
  const random = new Random(12);
  const text = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  for (let round = 0; round < 2000; round++) {
    const log = new Log(random.pick([0, 2 ** 32 - 20, 2 ** 31 - 20]), { used: 0, most: random.pick([1e6, 1500]) });
    const seen = new Set<number>();
    const steps = Array.from({ length: random.below(20) }, (): Step => {
      if (random.below(5) === 0) return [random.below(text.length)];
      const at = random.below(text.length);
      const octets = text.substring(at, at + 1 + random.below(12));
      for (let i = 0; i < octets.length; i++) seen.add(at + i);
      return [at, octets];
    });
    log.play(steps).flow.end(0);
    // Every octet stands where it belongs, and none twice.
    let at = 0;
    for (const told of log.told) {
      if (told.endsWith(" missing")) {
        at += parseInt(told);
        continue;
      }
      const octets = told.substring(told.indexOf(": ") + 2);
      assert.equal(octets, text.substring(at, at + octets.length), JSON.stringify(steps));
      at += octets.length;
    }
    assert(at <= text.length && Math.max(-1, ...seen) < at, JSON.stringify(steps));
    assert.equal(log.budget.used, 0);
  }
});
