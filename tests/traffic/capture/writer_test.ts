import assert from "node:assert/strict";
import type { End, SocketAddress, TrafficEvent } from "../../../lib/traffic.ts";
import {
  addressBytes,
  CaptureWriter,
  MAX_SEGMENT_OCTETS,
  packetBlock,
  packetOf,
  recordingStart,
} from "../../../lib/traffic/capture/writer.ts";
import { TempFolder } from "../../support.ts";
import { dissect, TSHARK, tshark, withTshark } from "../../tshark.ts";
import { wireOctets } from "../../wire_cases.ts";
import { ACK, PSH, SYN } from "../../../lib/traffic/capture/link_layers.ts";

/** Events of one connection in short: `< ` a read, `> ` a write, and who sends FIN. */
type Happening = `< ${string}` | `> ${string}` | "FIN client" | "FIN server" | "reset" | "closed";

const SERVER: SocketAddress = { hostname: "127.0.0.1", port: 9999 };
const SERVER6: SocketAddress = { hostname: "::1", port: 9999 };
const GET = "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok";
const MEGABYTE = "x".repeat(1024 * 1024);

/** Exchanges as a server's end sees them. */
const conversations: [name: string, server: SocketAddress, happenings: Happening[]][] = [
  ["split", SERVER, [`< ${GET.slice(0, 8)}`, `< ${GET.slice(8)}`, `> ${OK}`, "FIN client", "FIN server", "closed"]],
  ["pipelined", SERVER, [`< ${GET}${GET}`, `> ${OK}${OK}`, "FIN client", "FIN server", "closed"]],
  ["chunked", SERVER, [
    `< POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`,
    "< 0\r\n\r\n",
    "> HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
    "FIN client",
    "FIN server",
    "closed",
  ]],
  ["of 1 MB", SERVER, [
    `< PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: ${MEGABYTE.length}\r\n\r\n`,
    `< ${MEGABYTE}`,
    `> ${OK}`,
    "FIN client",
    "FIN server",
    "closed",
  ]],
  ["over IPv6", SERVER6, [`< ${GET}`, `> ${OK}`, "FIN client", "FIN server", "closed"]],
  ["that the server ends", SERVER, [`< ${GET}`, `> ${OK}`, "FIN server", "FIN client", "closed"]],
  ["that is refused", SERVER, [
    "< GET / HTTP/1.1\n\n",
    "> HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    "FIN server",
    "closed",
  ]],
  ["with 100 (Continue)", SERVER, [
    "< PUT /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
    "> HTTP/1.1 100 Continue\r\n\r\n",
    "< hi",
    `> ${OK}`,
    "FIN client",
    "FIN server",
    "closed",
  ]],
  ["that is reset", SERVER, [`< ${GET}`, "reset"]],
];

/** The first sends of the conversation, then the second ones, and so on, as of connections at the same time. */
function record(end: End, all: typeof conversations): Uint8Array[] {
  const blocks = [recordingStart("wiretable test")];
  const capture = new CaptureWriter((block) => blocks.push(block), undefined, 1_700_000_000_000_000);
  let time = 0;
  const tell = (connection: number, happening: Happening | SocketAddress) => {
    capture.receive(eventOf({ end, connection, time: time += 100 }, happening));
  };
  all.forEach(([_name, server], i) => tell(i + 1, server));
  for (let step = 0; all.some(([, , happenings]) => step < happenings.length); step++) {
    all.forEach(([, , happenings], i) => happenings[step] !== undefined && tell(i + 1, happenings[step]));
  }
  return blocks;
}

function eventOf(
  seen: { end: End; connection: number; time: number },
  happening: Happening | SocketAddress,
): TrafficEvent {
  if (typeof happening !== "string") {
    const client = { hostname: happening.hostname, port: 20_000 + seen.connection };
    const [local, remote] = seen.end === "server" ? [happening, client] : [client, happening];
    return { ...seen, kind: "opened", local, remote, secure: false };
  }
  if (happening === "reset" || happening === "closed") {
    return { ...seen, kind: "closed", reason: "by the client", isReset: happening === "reset" };
  }
  if (happening.startsWith("FIN ")) return { ...seen, kind: "fin", by: happening.slice(4) as End };
  const isRead = (happening[0] === "<") === (seen.end === "server");
  return { ...seen, kind: isRead ? "read" : "write", bytes: wireOctets(happening.slice(2)) };
}

/** The octets that one side sends in a conversation. */
function sentBy(side: "<" | ">", [, , happenings]: typeof conversations[number]): string {
  return happenings.filter((happening) => happening[0] === side).map((happening) => happening.slice(2)).join("");
}

for (const end of ["server", "client"] as const) {
  Deno.test({
    name: withTshark(`tshark finds each message, each octet and nothing wrong in a recording of the ${end}'s end`),
    ignore: !TSHARK,
    async fn() {
      using folder = new TempFolder();
      const file = folder.file("r.pcapng");
      await Deno.writeFile(file, new Blob(record(end, conversations) as BlobPart[]).stream());
      // Wireshark does not mind the bare LF of the refused request.
      const messages = [
        "GET 200",
        "GET GET 200 200",
        "POST 201",
        "PUT 200",
        "GET 200",
        "GET 200",
        "GET 400",
        "PUT 100 200",
        "GET",
      ];
      const streams = conversations.map((_conversation, i) => i);
      // That a connection was reset is what Wireshark warns of; nothing else is.
      const found = await dissect(file, [9999], conversations.length, "tcp.flags.reset == 0");
      assert.deepEqual(found.messages, new Map(streams.map((i) => [i, messages[i]])));
      assert.deepEqual(found.faults, []);
      const { followed } = found;
      for (const i of streams) {
        assert(followed.get(i)!.client === sentBy("<", conversations[i]), `requests of ${i}`);
        assert(followed.get(i)!.server === sentBy(">", conversations[i]), `responses of ${i}`);
      }
    },
  });
}

Deno.test({
  name: withTshark("tshark takes 100 connections at the same time apart"),
  ignore: !TSHARK,
  async fn() {
    using folder = new TempFolder();
    const file = folder.file("r.pcapng");
    const all = Array.from({ length: 100 }, () => conversations[0]);
    await Deno.writeFile(file, new Blob(record("server", all) as BlobPart[]).stream());
    const { messages } = await dissect(file, [9999], 0);
    assert.deepEqual([...messages.values()], all.map(() => "GET 200"));
  },
});

Deno.test({
  name: withTshark("tshark takes two connections of one client's port apart"),
  ignore: !TSHARK,
  async fn() {
    using folder = new TempFolder();
    const file = folder.file("r.pcapng");
    const blocks = [recordingStart("wiretable test")];
    const capture = new CaptureWriter((block) => blocks.push(block), undefined, 1_700_000_000_000_000);
    const client = { hostname: "127.0.0.1", port: 50_000 };
    let time = 0;
    for (const connection of [1, 2]) {
      const seen = () => ({ end: "server" as const, connection, time: time += 100 });
      capture.receive({ ...seen(), kind: "opened", local: SERVER, remote: client, secure: false });
      for (const happening of conversations[0][2]) capture.receive(eventOf(seen(), happening));
    }
    await Deno.writeFile(file, new Blob(blocks as BlobPart[]).stream());
    const { messages } = await dissect(file, [9999], 0);
    assert.deepEqual(messages, new Map([[0, "GET 200"], [1, "GET 200"]]));
    assert.doesNotMatch(await tshark(file, [9999], "-q", "-z", "expert"), /Warns|Errors|retransmission/);
  },
});

/** Returns the comments of the packets in a recording of the server's end. */
function comments(all: typeof conversations): string[] {
  const text = new TextDecoder();
  return record("server", all).slice(1).map((block) => {
    const view = new DataView(block.buffer);
    const at = 28 + Math.ceil(view.getUint32(20, true) / 4) * 4;
    return text.decode(block.subarray(at + 4, at + 4 + view.getUint16(at + 2, true)));
  });
}

Deno.test("each packet says what it is, and only the made-up ones say so", () => {
  const MADE_UP = "made up: only the kernel sees it";
  assert.deepEqual(comments(conversations.slice(0, 1)), [
    ...[MADE_UP, MADE_UP, MADE_UP],
    ...["read 1: 8 octets", MADE_UP, "read 2: 28 octets", MADE_UP, "write 1: 66 octets", MADE_UP],
    ...["FIN by the client", MADE_UP, "FIN by the server", MADE_UP],
  ]);
});

Deno.test("a write that is longer than a packet says where each of its packets begins", () => {
  const packets = (octets: number) =>
    comments([["one write", SERVER, [`> ${"x".repeat(octets)}`]]]).filter((comment) => comment.startsWith("write"));
  assert.deepEqual(packets(MAX_SEGMENT_OCTETS), ["write 1: 65495 octets"]);
  assert.deepEqual(packets(MAX_SEGMENT_OCTETS + 1), [
    "write 1: 65496 octets, from octet 0 on",
    "write 1: 65496 octets, from octet 65495 on",
  ]);
});

Deno.test("a packet that is left out shows as a gap in the sequence numbers", () => {
  const sequences: number[] = [];
  let left = 0;
  const capture = new CaptureWriter((block) => {
    // The third read is lost.
    if (left++ === 7) return;
    const view = new DataView(block.buffer);
    if (view.getUint8(28 + 33) === 0x18) sequences.push(view.getUint32(28 + 24));
  });
  capture.receive(eventOf({ end: "server", connection: 1, time: 0 }, SERVER));
  for (let i = 0; i < 4; i++) capture.receive(eventOf({ end: "server", connection: 1, time: 0 }, "< 12345"));
  assert.deepEqual(sequences, [1, 6, 16]);
});

Deno.test("a recording starts with a section of this program and an interface of raw IP packets", () => {
  const start = recordingStart("wiretable 1");
  const view = new DataView(start.buffer);
  const section = view.getUint32(4, true);
  assert.deepEqual([view.getUint32(0, true), view.getUint32(8, true)], [0x0a0d0d0a, 0x1a2b3c4d]);
  assert.deepEqual([view.getUint16(12, true), view.getUint16(14, true), view.getBigInt64(16, true)], [1, 0, -1n]);
  assert.deepEqual([view.getUint16(24, true), view.getUint16(26, true)], [4, 11]);
  assert.equal(new TextDecoder().decode(start.subarray(28, 39)), "wiretable 1");
  assert.equal(view.getUint32(section - 4, true), section);
  assert.deepEqual([view.getUint32(section, true), view.getUint32(section + 4, true)], [1, 20]);
  assert.equal(view.getUint16(section + 8, true), 101);
  assert.equal(start.length, section + 20);
});

Deno.test("a packet has its time, its padding and its comment", () => {
  const block = packetBlock(2 ** 33 + 5, Uint8Array.of(7, 8, 9), "né", 0);
  const view = new DataView(block.buffer);
  assert.deepEqual([0, 4, 12, 16, 20, 24].map((at) => view.getUint32(at, true)), [6, block.length, 2, 5, 3, 3]);
  assert.deepEqual([...block.subarray(28, 32)], [7, 8, 9, 0]);
  assert.deepEqual([view.getUint16(32, true), view.getUint16(34, true)], [1, 3]);
  assert.equal(new TextDecoder().decode(block.subarray(36, 39)), "né");
  assert.equal(view.getUint32(40, true), 0, "the options end");
  assert.equal(view.getUint32(block.length - 4, true), block.length);
});

function packetTo(from: SocketAddress, to: SocketAddress, flags: number, octets: Uint8Array): Uint8Array {
  return packetOf({ from, to, sequence: 7, acknowledged: 2 ** 32 - 1, flags }, octets);
}

/** The sum in ones' complement, as a receiver computes it: 0xffff if the checksum is right (RFC 1071). */
function receivedSum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i++) sum += i % 2 === 0 ? bytes[i] << 8 : bytes[i];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

Deno.test("an IPv4 packet has its lengths, ports and checksums", () => {
  const packet = packetTo(
    { hostname: "127.0.0.1", port: 258 },
    { hostname: "10.1.2.3", port: 80 },
    PSH | ACK,
    wireOctets("abc"),
  );
  assert.equal(packet.length, 43);
  assert.deepEqual([...packet.subarray(0, 4)], [0x45, 0, 0, 43]);
  assert.deepEqual([...packet.subarray(12, 24)], [127, 0, 0, 1, 10, 1, 2, 3, 1, 2, 0, 80]);
  assert.deepEqual([...packet.subarray(24, 34)], [0, 0, 0, 7, 255, 255, 255, 255, 0x50, PSH | ACK]);
  assert.equal(receivedSum(packet.subarray(0, 20)), 0xffff);
  const pseudo = [...packet.subarray(12, 20), 0, 6, 0, 23];
  assert.equal(receivedSum(Uint8Array.from([...pseudo, ...packet.subarray(20)])), 0xffff);
});

Deno.test("an IPv6 packet has its lengths and checksum", () => {
  const packet = packetTo({ hostname: "::1", port: 1 }, { hostname: "fe80::2%eth0", port: 2 }, SYN, new Uint8Array());
  assert.equal(packet.length, 64);
  assert.deepEqual([...packet.subarray(0, 8)], [0x60, 0, 0, 0, 0, 24, 6, 64]);
  const pseudo = [...packet.subarray(8, 40), 0, 0, 0, 24, 0, 0, 0, 6];
  assert.equal(receivedSum(Uint8Array.from([...pseudo, ...packet.subarray(40)])), 0xffff);
  assert.deepEqual([...packet.subarray(60)], [2, 4, MAX_SEGMENT_OCTETS >> 8, MAX_SEGMENT_OCTETS & 255]);
});

Deno.test("the largest packet of each kind has a right checksum", () => {
  const octets = new Uint8Array(MAX_SEGMENT_OCTETS).fill(255);
  const packet = packetTo(
    { hostname: "255.255.255.255", port: 65535 },
    { hostname: "255.255.255.255", port: 65535 },
    ACK,
    octets,
  );
  assert.equal(packet.length, 65535);
  const pseudo = [...packet.subarray(12, 20), 0, 6, (65515 >> 8) & 255, 65515 & 255];
  assert.equal(receivedSum(Uint8Array.from([...pseudo, ...packet.subarray(20)])), 0xffff);
});

const addresses: [text: string, hex: string][] = [
  ["127.0.0.1", "7f000001"],
  ["::", "0".repeat(32)],
  ["::1", `${"0".repeat(31)}1`],
  ["1:2::8", "00010002000000000000000000000008"],
  ["1:2:3:4:5:6:7:8", "00010002000300040005000600070008"],
  ["fe80::1%lo0", `fe80${"0".repeat(27)}1`],
  ["64:ff9b::10.1.2.3", `0064ff9b${"0".repeat(16)}0a010203`],
];

for (const [text, hex] of addresses) {
  Deno.test(`the address ${text} in network order`, () => {
    assert.equal(addressBytes({ hostname: text, port: 0 }).toHex(), hex);
  });
}
