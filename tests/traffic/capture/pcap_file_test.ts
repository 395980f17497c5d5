import assert from "node:assert/strict";
import { joined, packetsOf, pcap, PCAP_START } from "../captures.ts";

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
