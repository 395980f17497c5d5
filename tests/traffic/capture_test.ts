import assert from "node:assert/strict";
import type { End, SocketAddress, TrafficEvent } from "../../lib/traffic.ts";
import { Capture } from "../../lib/traffic/capture.ts";
import { recordingStart } from "../../lib/traffic/pcapng.ts";
import { TempFolder } from "../support.ts";
import { TSHARK, tshark, withTshark } from "../tshark.ts";
import { octetString, wireOctets } from "../wire_cases.ts";

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
  const capture = new Capture((block) => blocks.push(block), 1_700_000_000_000_000);
  let time = 0;
  const tell = (connection: number, happening: Happening | SocketAddress) => {
    capture.tell(eventOf({ end, connection, time: time += 100 }, happening));
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
  if (happening === "reset" || happening === "closed") return { ...seen, kind: "closed", reason: happening };
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
      const fields = ["tcp.stream", "http.request.method", "http.response.code"].flatMap((field) => ["-e", field]);
      const messages = (await tshark(file, [9999], "-Y", "http", "-T", "fields", ...fields)).trim().split("\n");
      const streams = new Map<string, string>();
      for (const line of messages) {
        const [stream, ...what] = line.split("\t");
        streams.set(stream, `${streams.get(stream) ?? ""} ${what.join("")}`.trim());
      }
      assert.deepEqual([...streams.entries()].sort().map(([, seen]) => seen.replaceAll(",", "")), [
        "GET 200",
        "GETGET 200200",
        "POST 201",
        "PUT 200",
        "GET 200",
        "GET 200",
        // Wireshark does not mind the bare LF.
        "GET 400",
        "100 PUT 200",
        "GET",
      ]);
      const follow = conversations.flatMap((_conversation, i) => ["-z", `follow,tcp,raw,${i}`]);
      // That a connection was reset is what Wireshark warns of; nothing else is.
      const report = await tshark(file, [9999], "-q", "-z", "expert,warn,tcp.flags.reset == 0", ...follow);
      const followed = report.split("Follow: tcp,raw").slice(1);
      assert.doesNotMatch(report, /Warns|Errors/);
      followed.forEach((text) => {
        const i = Number(/tcp\.stream eq (\d+)/.exec(text)![1]);
        const sides = { "<": "", ">": "" };
        for (const [, tab, hex] of text.matchAll(/^(\t?)([0-9a-f]+)$/gm)) {
          sides[tab === "" ? "<" : ">"] += octetString(Uint8Array.fromHex(hex));
        }
        assert(sides["<"] === sentBy("<", conversations[i]), `requests of ${i}`);
        assert(sides[">"] === sentBy(">", conversations[i]), `responses of ${i}`);
      });
      assert.equal(followed.length, conversations.length);
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
    const streams = (await tshark(file, [9999], "-Y", "http.response.code == 200", "-T", "fields", "-e", "tcp.stream"))
      .trim().split("\n");
    assert.equal(new Set(streams).size, 100);
  },
});

Deno.test("each packet says what it is, and only the made-up ones say so", () => {
  const text = new TextDecoder();
  const comments = record("server", conversations.slice(0, 1)).slice(1).map((block) => {
    const view = new DataView(block.buffer);
    const at = 28 + Math.ceil(view.getUint32(20, true) / 4) * 4;
    return text.decode(block.subarray(at + 4, at + 4 + view.getUint16(at + 2, true)));
  });
  const MADE_UP = "made up: only the kernel sees it";
  assert.deepEqual(comments, [
    ...[MADE_UP, MADE_UP, MADE_UP],
    ...["read 1: 8 octets", MADE_UP, "read 2: 28 octets", MADE_UP, "write 1: 66 octets", MADE_UP],
    ...["FIN by the client", MADE_UP, "FIN by the server", MADE_UP],
  ]);
});

Deno.test("a packet that is left out shows as a gap in the sequence numbers", () => {
  const sequences: number[] = [];
  let left = 0;
  const capture = new Capture((block) => {
    // The third read is lost.
    if (left++ === 7) return;
    const view = new DataView(block.buffer);
    if (view.getUint8(28 + 33) === 0x18) sequences.push(view.getUint32(28 + 24));
  });
  capture.tell(eventOf({ end: "server", connection: 1, time: 0 }, SERVER));
  for (let i = 0; i < 4; i++) capture.tell(eventOf({ end: "server", connection: 1, time: 0 }, "< 12345"));
  assert.deepEqual(sequences, [1, 6, 16]);
});
