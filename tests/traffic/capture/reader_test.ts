import assert from "node:assert/strict";
import { octetString } from "../../../lib/bytes.ts";
import { CaptureWriter, recordingStart } from "../../../lib/traffic/capture/writer.ts";
import { type CaptureEvent, captureEvents, type OpenedInCapture } from "../../../lib/traffic/capture/reader.ts";
import { ACK, FIN, RST, SYN } from "../../../lib/traffic/capture/link_layers.ts";
import { CaptureError } from "../../../lib/traffic/capture/packet_file.ts";
import { tappedListener } from "../../../lib/traffic/tap.ts";
import type { End, TrafficEvent } from "../../../lib/traffic.ts";
import { TempFolder } from "../../support.ts";
import { TSHARK, tshark, withTshark } from "../../tshark.ts";
import { wireOctets } from "../../wire_cases.ts";
import {
  Blocks,
  capture,
  handshake,
  inShort,
  ipPacket,
  joined,
  readCapture,
  type SegmentSpec,
  SERVER,
  talk,
} from "../captures.ts";

const GET = "GET / HTTP/1.1\r\n\r\n";
const MEGABYTE = new Uint8Array(1024 * 1024).fill(0x78);

/** Returns an event without where it came from, as a tap tells it. */
function tapEventOf(event: Exclude<CaptureEvent, { kind: "missing" }>): TrafficEvent {
  const { origin: _origin, ...told } = event;
  return told;
}

/** What two connections at a time tell at an end. */
function traffic(end: End): TrafficEvent[] {
  const seen = (connection: number, time: number) => ({ end, connection, time });
  const [toServer, toClient] = end === "server" ? ["read", "write"] as const : ["write", "read"] as const;
  const addresses = (port: number) => {
    const [client, server] = [{ hostname: port % 2 === 0 ? "127.0.0.1" : "::1", port }, { ...SERVER }];
    if (port % 2 !== 0) server.hostname = "::1";
    const [local, remote] = end === "server" ? [server, client] : [client, server];
    return { local, remote };
  };
  return [
    { kind: "opened", ...seen(1, 0), ...addresses(50_000), secure: false },
    { kind: "opened", ...seen(2, 10), ...addresses(50_001), secure: true },
    { kind: toServer, ...seen(2, 20), bytes: wireOctets(GET.slice(0, 5)) },
    { kind: toServer, ...seen(1, 30), bytes: wireOctets("x") },
    { kind: toServer, ...seen(2, 40), bytes: wireOctets(GET.slice(5)) },
    { kind: toClient, ...seen(2, 50), bytes: wireOctets("HTTP/1.1 200 OK\r\n\r\n") },
    { kind: "fin", ...seen(1, 60), by: "server" },
    { kind: "fin", ...seen(2, 70), by: "client" },
    { kind: "fin", ...seen(1, 80), by: "client" },
    { kind: "closed", ...seen(1, 80), reason: "by the server", isReset: false },
    { kind: "closed", ...seen(2, 90), reason: "reset", isReset: true },
  ];
}

/** Returns an event as a tap tells it, which sees the start of each connection. */
function withoutStart(
  event: TrafficEvent & Partial<Pick<OpenedInCapture, "startCaptured" | "tcp" | "stream">>,
): TrafficEvent {
  const { startCaptured = true, tcp: _tcp, stream: _stream, ...rest } = event;
  assert(startCaptured);
  return rest;
}

function recorded(events: readonly TrafficEvent[]): Uint8Array {
  const blocks = [recordingStart("wiretable test")];
  const recording = new CaptureWriter((block) => blocks.push(block), undefined, 1_700_000_000_000_000);
  for (const event of events) recording.receive(event);
  return joined(blocks);
}

for (const end of ["server", "client"] as const) {
  for (const pieces of [1, 100, 64 * 1024]) {
    Deno.test(`what the ${end}'s end recorded is read back, in pieces of ${pieces}`, () => {
      const { events, notes, connections } = readCapture(recorded(traffic(end)), { pieces });
      const told = events.map((event) => {
        if (event.kind === "missing") assert.fail("nothing is missing");
        return withoutStart(tapEventOf(event));
      });
      // Captures are read as the server's end sees them.
      assert.deepEqual(told, traffic("server"));
      assert.deepEqual([notes, connections], [[], 2]);
      const calls = events.map(({ origin }) => origin.call).filter((call) => call !== undefined);
      const [toServer, toClient] = end === "server" ? ["read", "write"] : ["write", "read"];
      assert.deepEqual(calls, [`${toServer} 1`, `${toServer} 1`, `${toServer} 2`, `${toClient} 1`]);
    });
  }
}

Deno.test("what a tap told of real connections is read back, octet by octet", async () => {
  const told: TrafficEvent[] = [];
  const listener = tappedListener(Deno.listen({ hostname: "127.0.0.1", port: 0 }), (event) => {
    told.push("bytes" in event ? { ...event, bytes: event.bytes.slice() } : event);
  });
  const { port } = listener.addr as Deno.NetAddr;
  for (const [request, response] of [["GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n"], ["a", "b"]]) {
    const client = await Deno.connect({ port });
    const server = await listener.accept();
    await client.write(wireOctets(request));
    await server.read(new Uint8Array(100));
    await server.write(wireOctets(response));
    client.close();
    while (await server.read(new Uint8Array(100)) !== null);
    server.close();
  }
  listener.close();
  const origin = told[0].time;
  // That a connection is closed has no packet of its own, but follows from the second FIN.
  const comparable = (event: TrafficEvent, start: number) => ({
    ...withoutStart(event),
    time: event.kind === "closed" ? 0 : event.time - start,
  });
  assert.deepEqual(
    readCapture(recorded(told)).events.map((event) => event.kind === "missing" || comparable(tapEventOf(event), 0)),
    told.map((event) => comparable(event, origin)),
  );
});

Deno.test("a read of many octets is several packets that continue one another", () => {
  const events = [...traffic("server").slice(0, 1), { ...traffic("server")[3], bytes: MEGABYTE } as TrafficEvent];
  const read = readCapture(recorded(events)).events.flatMap((event) => event.kind === "read" ? [event] : []);
  assert.equal(read.length, 17);
  assert.deepEqual(read.map(({ origin }) => origin.call), Array(17).fill("read 1"));
  assert.deepEqual(read.map(({ origin }) => origin.continues), [false, ...Array(16).fill(true)]);
  assert.deepEqual(joined(read.map(({ bytes }) => bytes)), MEGABYTE);
});

const AGAIN = [
  ...handshake(0),
  { sequence: 1, acknowledged: 501, octets: "a" },
  ...handshake(77),
  { sequence: 78, acknowledged: 501, octets: "b" },
  { sequence: 79, acknowledged: 501, flags: FIN },
  ...handshake(99),
  { sequence: 100, acknowledged: 501, octets: "c" },
];

Deno.test("the same addresses and ports used again are another connection", () => {
  const { events } = readCapture(capture(AGAIN));
  assert.deepEqual(inShort(events), [
    ...["1 opened by 40000 to 9999", "1 > a", "1 closed by a new one with the same ports"],
    ...["2 opened by 40000 to 9999", "2 > b", "2 FIN client", "2 closed by a new one with the same ports"],
    ...["3 opened by 40000 to 9999", "3 > c"],
  ]);
});

Deno.test("one connection alone has the same number", () => {
  for (const connection of [1, 2, 3, 4]) {
    const { events, connections } = readCapture(capture(AGAIN), { connection });
    assert.equal(connections, 3);
    const octets = inShort(events).filter((line) => line.includes(">"));
    assert.deepEqual(octets, [[], ["1 > a"], ["2 > b"], ["3 > c"], []][connection]);
  }
});

Deno.test({
  name: withTshark("connections have the numbers of Wireshark's streams, plus one"),
  ignore: !TSHARK,
  async fn() {
    const refused = (acknowledged: number): SegmentSpec[] => [
      { sequence: acknowledged - 1, flags: SYN, server: { ...SERVER, port: 1 } },
      { by: "server", sequence: 0, acknowledged, flags: RST | ACK, server: { ...SERVER, port: 1 } },
    ];
    const segments = [...refused(1), ...refused(1), ...AGAIN, ...refused(9), ...talk(["> a", "< b", "> FIN"], 50_000)];
    using folder = new TempFolder();
    const file = folder.file("r.pcapng");
    await Deno.writeFile(file, capture(segments));
    const fields = await tshark(file, [], "-T", "fields", "-e", "frame.number", "-e", "tcp.stream");
    const streams = new Map(fields.trim().split("\n").map((line) => line.split("\t").map(Number) as [number, number]));
    const { events, connections } = readCapture(capture(segments));
    assert.equal(connections, 1 + Math.max(...streams.values()));
    for (const { kind, connection, origin } of events) {
      if (kind !== "closed") assert.equal(connection, 1 + streams.get(origin.packet)!);
    }
  },
});

Deno.test("what is not read is reported", () => {
  const blocks = new Blocks();
  const packet = ipPacket({ sequence: 1, octets: "a" });
  const file = joined([
    blocks.section(),
    blocks.interface(101),
    blocks.interface(6),
    blocks.packet(packet.with(6, 0x20)),
    blocks.packet(packet.with(6, 0x20)),
    blocks.packet(packet.subarray(0, 30), { sent: 41 }),
    blocks.packet(packet.with(9, 17)),
    blocks.packet(packet, { from: 1 }),
    blocks.packet(new Uint8Array(300_000)),
    blocks.packet(packet.subarray(0, 30)),
    blocks.packet(packet).subarray(0, 30),
  ]);
  assert.deepEqual(readCapture(file).notes, [
    "left out: 2 packets of IP fragments, which are not put together (the first is packet 1)",
    "left out: 1 packet of which not all headers were captured: tcpdump -s 0 (packet 3)",
    "left out: 1 packet of Token Ring (link type 6) (packet 5)",
    "left out: 1 packet of fewer octets than their headers have (packet 7)",
    "left out: 1 packet with more than 262144 octets",
    "the file is cut off in the block after packet 7",
  ]);
});

/** A file that gives so many bytes at a time. */
function sourceOf(bytes: Uint8Array, most: number) {
  let at = 0;
  return {
    read(buffer: Uint8Array): Promise<number | null> {
      const piece = bytes.subarray(at, at + Math.min(most, buffer.length));
      buffer.set(piece);
      at += piece.length;
      return Promise.resolve(piece.length === 0 ? null : piece.length);
    },
  };
}

function recording(): Uint8Array {
  const seen = { end: "server", connection: 1, time: 0 } as const;
  const address = (port: number) => ({ hostname: "127.0.0.1", port });
  return recorded([
    { ...seen, kind: "opened", local: address(80), remote: address(5000), secure: false },
    ...["GET ", "/ HTTP/1.1\r\n"].map((text) => ({ ...seen, kind: "read" as const, bytes: wireOctets(text) })),
  ]);
}

for (const most of [1, 7, 100_000]) {
  Deno.test(`the events of a file that gives ${most} bytes at a time keep their octets`, async () => {
    const events = await Array.fromAsync(captureEvents(sourceOf(recording(), most)));
    const texts = events.map((event) => event.kind === "read" ? octetString(event.bytes) : event.kind);
    assert.deepEqual(texts, ["opened", "GET ", "/ HTTP/1.1\r\n"]);
  });
}

Deno.test("a file that is no pcapng is an error", async () => {
  await assert.rejects(Array.fromAsync(captureEvents(sourceOf(wireOctets("GET / HTTP/1.1\r\n"), 3))), CaptureError);
});
