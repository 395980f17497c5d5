import assert from "node:assert/strict";
import { CaptureError, captureFormatOf, otherFormatOf } from "../../../lib/traffic/capture/packet_file.ts";
import { wireOctets } from "../../wire_cases.ts";
import { Blocks, joined, type Option, packetsOf, pcap, PCAP_START } from "../captures.ts";

Deno.test("the format is told by the first four octets", () => {
  const formats = ["0a0d0d0a", "a1b2c3d4", "d4c3b2a1", "a1b23c4d", "4d3cb2a1", "47455420", "0a0d0d"]
    .map((hex) => captureFormatOf(Uint8Array.fromHex(hex)));
  assert.deepEqual(formats, ["pcapng", "pcap", "pcap", "pcap", "pcap", undefined, undefined]);
});

Deno.test("formats that are not read have a name", () => {
  assert.deepEqual(otherFormatOf(wireOctets("snoop\0\0\0")), { name: "a snoop capture (RFC 1761)", tool: "tshark" });
  assert.deepEqual(
    ["PK\x03", "", "GET / HT"].map((start) => otherFormatOf(wireOctets(start))),
    Array(3).fill(undefined),
  );
});

const OCTETS = Uint8Array.of(1, 2, 3, 4, 5);

for (const littleEndian of [true, false]) {
  for (const nanoseconds of [true, false]) {
    const order = littleEndian ? "little-endian" : "big-endian";
    const unit = nanoseconds ? "nanoseconds" : "microseconds";
    Deno.test(`packets of a ${order} file in ${unit} are read in pieces of any size`, () => {
      const times = [0, 1.5, 2500, 2499];
      const options = { littleEndian, nanoseconds, linkType: 1, snapLength: 3, times };
      const file = pcap([OCTETS, OCTETS.subarray(3), OCTETS, new Uint8Array(0)], options);
      for (const pieces of [file.length, 1, 7, 40]) {
        const { packets, reader } = packetsOf(file, pieces);
        const usual = { linkType: 1, comment: "" };
        assert.deepEqual(packets, [
          { ...usual, number: 1, time: 0, bytes: OCTETS.subarray(0, 3), cut: 3 },
          { ...usual, number: 2, time: 1500, bytes: OCTETS.subarray(3) },
          { ...usual, number: 3, time: 2_500_000, bytes: OCTETS.subarray(0, 3), cut: 3 },
          { ...usual, number: 4, time: 2_499_000, bytes: new Uint8Array(0) },
        ]);
        assert.deepEqual([reader.cutOff, reader.start], [false, PCAP_START * 1e6]);
      }
    });
  }
}

Deno.test("a frame check sequence that the header announces is no part of the link type", () => {
  const file = pcap([OCTETS], { linkType: 0x54000001 });
  assert.equal(packetsOf(file).packets[0].linkType, 1);
});

Deno.test("a file may be cut off, and have packets that are too large", () => {
  const file = joined([pcap([OCTETS, new Uint8Array(300_000)], { snapLength: 400_000 }), new Uint8Array(7)]);
  for (const pieces of [1000, file.length]) {
    const { packets, reader } = packetsOf(file, pieces);
    assert.deepEqual([packets.length, reader.packets, reader.tooLarge, reader.cutOff], [1, 2, 1, true]);
  }
});

Deno.test("another version is an error", () => {
  assert.throws(
    () => packetsOf(pcap([OCTETS]).with(4, 3)),
    /^Error: no valid pcap at octet 0: the version is 2, saw 3$/,
  );
});

const seconds = (count: number): Option => [14, [count, 0, 0, 0, 0, 0, 0, 0]];

for (const little of [true, false]) {
  const blocks = new Blocks(little);
  const order = little ? "little-endian" : "big-endian";
  const file = joined([
    blocks.section(),
    blocks.interface(1, [[9, [9]]]),
    blocks.packet(OCTETS, { time: 5_000_000_000n }),
    // A name resolution, secrets and a block that nobody knows.
    blocks.block(4, [1, 2, 3]),
    blocks.block(10, [1, 2, 3]),
    blocks.block(0x7777, [1, 2, 3]),
    blocks.packet(OCTETS.subarray(1), { time: 5_000_001_500n, options: [[2, [0, 0, 0, 1]], [1, [104, 105]]] }),
    blocks.block(3, [2], OCTETS),
  ]);

  for (const pieces of [file.length, 1, 7, 64]) {
    Deno.test(`packets of a ${order} file have number, time, octets and comment, in pieces of ${pieces}`, () => {
      const { packets, reader } = packetsOf(file, pieces);
      assert.deepEqual(packets, [
        { number: 1, time: 0, linkType: 1, bytes: OCTETS, comment: "" },
        { number: 2, time: 1.5, linkType: 1, bytes: OCTETS.subarray(1), comment: "hi" },
        { number: 3, time: 1.5, linkType: 1, bytes: OCTETS.subarray(0, 2), comment: "" },
      ]);
      assert.equal(reader.cutOff, false);
    });
  }
}

const units: [name: string, options: Option[], ticks: bigint, microseconds: number][] = [
  ["microseconds, where nothing is said", [], 7n, 7],
  ["milliseconds", [[9, [3]]], 7n, 7000],
  ["nanoseconds", [[9, [9]]], 7n, 0.007],
  ["seconds", [[9, [0]]], 7n, 7_000_000],
  ["powers of two", [[9, [0x80 | 10]]], 512n, 500_000],
  ["a unit finer than any clock", [[9, [0xff]]], 1n << 63n, 0],
];

for (const [name, options, ticks, time] of units) {
  Deno.test(`times are read in ${name}`, () => {
    const blocks = new Blocks();
    const { packets } = packetsOf(joined([
      blocks.section(),
      blocks.interface(101, options),
      blocks.packet(OCTETS),
      blocks.packet(OCTETS, { time: ticks }),
    ]));
    assert.equal(packets[1].time, time);
  });
}

Deno.test("times of several interfaces and sections are of one clock", () => {
  const [little, big] = [new Blocks(), new Blocks(false)];
  const { packets } = packetsOf(joined([
    little.section(),
    little.interface(101, [[9, [9]]]),
    little.interface(1, [seconds(2)]),
    little.packet(OCTETS, { time: 1_000_000_000n }),
    little.packet(OCTETS, { time: 500_000n, from: 1 }),
    big.section(),
    big.interface(113),
    big.packet(OCTETS, { time: 500_000n }),
  ]));
  assert.deepEqual(packets.map(({ time, linkType }) => [time, linkType]), [[0, 101], [1_500_000, 1], [-500_000, 113]]);
});

Deno.test("an older packet block has its interface in 16 bits", () => {
  const blocks = new Blocks();
  const { packets } = packetsOf(joined([
    blocks.section(),
    blocks.interface(0),
    blocks.interface(1),
    blocks.block(2, [0xffff0001, 0, 9, OCTETS.length, OCTETS.length], OCTETS, [[1, [120]]]),
  ]));
  assert.deepEqual(packets, [{ number: 1, time: 0, linkType: 1, bytes: OCTETS, comment: "x" }]);
});

Deno.test("a file that is cut off in a block gives all packets before it", () => {
  const blocks = new Blocks();
  const file = joined([blocks.section(), blocks.interface(101), blocks.packet(OCTETS), blocks.packet(OCTETS)]);
  for (const missing of [1, 20, 35, 39]) {
    const { packets, reader } = packetsOf(file.subarray(0, -missing));
    assert.deepEqual([packets.length, reader.cutOff], [1, true]);
  }
  const skipped = packetsOf(joined([blocks.section(), blocks.block(10, [1, 2, 3]).subarray(0, 20)]));
  assert.equal(skipped.reader.cutOff, true);
});

Deno.test("a packet that is too large is skipped and counted", () => {
  const blocks = new Blocks();
  const { packets, reader } = packetsOf(
    joined([
      blocks.section(),
      blocks.interface(101),
      blocks.packet(new Uint8Array(262_145)),
      blocks.packet(new Uint8Array(400_000)),
      blocks.packet(new Uint8Array(262_144)),
    ]),
    1000,
  );
  assert.deepEqual(packets.map(({ number, bytes }) => [number, bytes.length]), [[3, 262_144]]);
  assert.equal(reader.tooLarge, 2);
});

const blocks = new Blocks();
const start = joined([blocks.section(), blocks.interface(101)]);
const broken: [name: string, file: Uint8Array, message: string][] = [
  ["starts with another block", blocks.packet(OCTETS), "octet 0: a pcapng file starts with a section header"],
  [
    "has no byte order",
    blocks.block(0x0a0d0d0a, [1, 1, 0, 0]),
    "octet 0: a section header has no byte-order magic",
  ],
  ["is of version 2", blocks.block(0x0a0d0d0a, [0x1a2b3c4d, 2, 0, 0]), "octet 0: the version is 1, saw 2"],
  ["has a short section header", blocks.block(0x0a0d0d0a, [0x1a2b3c4d]), "octet 0: a section header is too short"],
  [
    "has a block with an odd length",
    joined([start, Uint8Array.of(6, 0, 0, 0, 13, 0, 0, 0, 0, 0, 0, 0)]),
    `octet ${start.length}: a block's length is a multiple of 4, at least 12, saw 13`,
  ],
  [
    "has a block with two lengths",
    joined([start, blocks.packet(OCTETS).with(-4, 8)]),
    `octet ${start.length}: a block's two lengths differ`,
  ],
  [
    "has a packet longer than its block",
    joined([start, blocks.block(6, [0, 0, 0, 99, 99], OCTETS)]),
    `octet ${start.length}: packet 1 is longer than its block`,
  ],
  [
    "has a packet without its header",
    joined([start, blocks.block(6, [0])]),
    `octet ${start.length}: a packet's header is too short`,
  ],
  [
    "has a packet of no interface",
    joined([start, blocks.packet(OCTETS, { from: 1 })]),
    `octet ${start.length}: packet 1 names interface 1, which is not described`,
  ],
  [
    "has too many interfaces",
    joined([blocks.section(), ...Array.from({ length: 1001 }, () => blocks.interface(1))]),
    `octet ${28 + 20 * 1000}: a section has at most 1000 interfaces here`,
  ],
];

for (const [name, file, message] of broken) {
  Deno.test(`a file that ${name} is refused at its octet`, () => {
    assert.throws(() => packetsOf(file), new CaptureError(`no valid pcapng at ${message}`));
  });
}
