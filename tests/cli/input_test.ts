import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { inputName, openFile } from "../../lib/cli/input.ts";
import { Random } from "../fuzzing.ts";
import { TempFolder } from "../support.ts";
import { joined } from "../traffic/captures.ts";

Deno.test("a file is read in pieces, and again from its start", async () => {
  using folder = new TempFolder();
  Deno.writeTextFileSync(folder.file("f"), "GET");
  using input = await openFile(folder.file("f"));
  const buffer = new Uint8Array(8);
  assert.deepEqual([await input.read(buffer), await input.read(buffer)], [3, null]);
  await input.rewind!();
  assert.equal(await input.read(buffer), 3);
});

Deno.test("a file that cannot be read is named with the reason alone", async () => {
  using folder = new TempFolder();
  await assert.rejects(openFile(folder.file("none")), /^Error: Cannot read \S+none: [^()]+$/);
  await assert.rejects(openFile(""), /^Error: Cannot read "": [^()]+$/);
  assert.equal(inputName("-"), "The input");
});

const random = new Random(1);
const NOISE = Uint8Array.from({ length: 50_000 }, () => random.below(256));
const MEMBERS = joined([gzipSync(new Uint8Array(100_000).fill(0x61)), gzipSync(NOISE)]);

const compressed: [name: string, file: Uint8Array, octets: number, damage: string | undefined][] = [
  ["of several members", MEMBERS, 150_000, undefined],
  ["of nothing", gzipSync(new Uint8Array(0)), 0, undefined],
  ["with zeros behind it", joined([MEMBERS, new Uint8Array(512)]), 150_000, undefined],
  ["that is cut off in its header", MEMBERS.subarray(0, 5), 0, "the gzip file is cut off"],
  ["that is damaged", MEMBERS.with(-8, MEMBERS.at(-8)! ^ 1), NaN, "the gzip file is damaged: incorrect data check"],
];

for (const [name, file, octets, damage] of compressed) {
  Deno.test(`a gzip file ${name} is expanded, and again from its start`, async () => {
    using folder = new TempFolder();
    Deno.writeFileSync(folder.file("f"), file);
    using input = await openFile(folder.file("f"));
    for (let i = 0; i < 2; i++) {
      const length = (await all(input)).length;
      if (!Number.isNaN(octets)) assert.equal(length, octets);
      assert.equal(input.damage, damage);
      await input.rewind!();
    }
  });
}

Deno.test("a gzip file that is cut off is read as far as it goes", async () => {
  using folder = new TempFolder();
  // What is noise is stored as it is.
  Deno.writeFileSync(folder.file("f"), gzipSync(NOISE).subarray(0, 40_000));
  using input = await openFile(folder.file("f"));
  const octets = await all(input);
  assert(octets.length > 39_000, `${octets.length} octets`);
  assert.deepEqual(octets, NOISE.subarray(0, octets.length));
  assert.equal(input.damage, "the gzip file is cut off");
});

for (
  const [what, damaged] of [
    ["whose sum is wrong", (file: Uint8Array) => file.with(-8, file.at(-8)! ^ 1)],
    ["with other octets behind it", (file: Uint8Array) => joined([file, Uint8Array.from([1, 2, 3])])],
  ] as const
) {
  Deno.test(`a gzip file ${what} is read as far as it goes`, async () => {
    using folder = new TempFolder();
    for (const octets of [NOISE.subarray(0, 1000), NOISE, new Uint8Array(3_000_000)]) {
      Deno.writeFileSync(folder.file("f"), damaged(gzipSync(octets)));
      using input = await openFile(folder.file("f"));
      const read = await all(input);
      const least = Math.max(0.98 * octets.length, octets.length - 16 * 1024);
      assert(read.length > least, `${read.length} octets`);
      assert.deepEqual(read, octets.subarray(0, read.length));
      assert.match(input.damage!, /^the gzip file is damaged: incorrect (?:data|header) check$/);
    }
  });
}

Deno.test("a gzip file that expands to very much is expanded in small pieces", async () => {
  using folder = new TempFolder();
  Deno.writeFileSync(folder.file("f"), gzipSync(new Uint8Array(100 * 1024 * 1024)));
  using input = await openFile(folder.file("f"));
  const buffer = new Uint8Array(1024 * 1024);
  let most = 0;
  for (let count = await input.read(buffer); count !== null; count = await input.read(buffer)) {
    most = Math.max(most, count);
  }
  assert(most <= 4 * 16 * 1024, `${most} octets at once`);
});

async function all(input: { read(buffer: Uint8Array): Promise<number | null> }): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  const buffer = new Uint8Array(10_000);
  for (let count = await input.read(buffer); count !== null; count = await input.read(buffer)) {
    pieces.push(buffer.slice(0, count));
  }
  return joined(pieces);
}
