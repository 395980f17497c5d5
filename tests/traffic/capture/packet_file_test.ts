import assert from "node:assert/strict";
import { captureFormatOf, otherFormatOf } from "../../../lib/traffic/capture/packet_file.ts";
import { wireOctets } from "../../wire_cases.ts";

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
