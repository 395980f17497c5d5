import assert from "node:assert/strict";
import { Origins } from "../../../lib/traffic/capture/origins.ts";

Deno.test("octets that came in one piece have no numbers", () => {
  const origins = new Origins();
  origins.receive(30, { packet: 4 }, 1000);
  assert.deepEqual(origins.take(0, 30), {
    start: 1000,
    end: 1000,
    packets: [4],
    pieces: 1,
    largest: 30,
    isRecorded: false,
    texts: ["packet 4"],
  });
});

Deno.test("each octet of a message has its packet or read, and the time between them", () => {
  const origins = new Origins();
  origins.receive(1, { packet: 4, call: "read 1", continues: false }, 1000);
  origins.receive(9, { packet: 6, call: "read 2", continues: false }, 3500);
  assert.deepEqual(origins.take(0, 10), {
    start: 1000,
    end: 3500,
    packets: [4, 6],
    pieces: 2,
    largest: 9,
    isRecorded: true,
    texts: ["octet 0: read 1 (packet 4)", "octets 1-9: read 2 (packet 6), 2.500 ms later"],
  });
});

Deno.test("messages that came together share a packet, and count their own octets", () => {
  const origins = new Origins();
  origins.receive(10, { packet: 1 }, 1);
  origins.receive(25, { packet: 2 }, 2);
  assert.deepEqual(origins.take(0, 15).texts, ["octets 0-9: packet 1", "octets 10-14: packet 2, 1 µs later"]);
  assert.deepEqual(origins.take(15, 20).texts, ["packet 2"]);
  origins.receive(5, { packet: 3 }, 0);
  assert.deepEqual(origins.take(20, 40), {
    start: 2,
    end: 2,
    packets: [2, 3],
    pieces: 2,
    largest: 25,
    isRecorded: false,
    texts: ["octets 0-14: packet 2", "octets 15-19: packet 3"],
  });
});

Deno.test("a message ends with its last new segment, which may have its first octets", () => {
  const origins = new Origins(1);
  origins.receive(10, { packet: 4 }, 1);
  origins.receive(10, { packet: 9 }, 6);
  origins.receive(10, { packet: 6 }, 3);
  assert.equal(origins.take(0, 30).end, 6);
  origins.receive(10, { packet: 12 }, 9);
  origins.receive(10, { packet: 11 }, 8);
  assert.equal(origins.take(30, 50).end, 9);
});

Deno.test("a read of several packets is one", () => {
  const origins = new Origins();
  origins.receive(10, { packet: 4, call: "read 1", continues: false }, 1);
  origins.receive(10, { packet: 5, call: "read 1", continues: true }, 1);
  origins.receive(10, { packet: 7, call: "read 1", continues: true }, 1);
  const { texts, packets, pieces } = origins.take(0, 30);
  assert.deepEqual([texts, packets, pieces], [["read 1 (packets 4 to 7)"], [4, 5, 7], 1]);
});

Deno.test("of many packets the first and the last are listed", () => {
  const origins = new Origins(2);
  for (let i = 1; i <= 10; i++) origins.receive(10, { packet: i }, i);
  assert.deepEqual(origins.take(0, 95).texts, [
    "octets 0-9: packet 1",
    "octets 10-19: packet 2, 1 µs later",
    "… 7 more",
    "octets 90-94: packet 10",
  ]);
  origins.receive(10, { packet: 11 }, 11);
  assert.deepEqual(origins.take(95, 110).texts, ["octets 0-4: packet 10", "octets 5-14: packet 11, 1 µs later"]);
});
