import assert from "node:assert/strict";
import { ExplainedConnection } from "../../../lib/traffic/capture/explained_connection.ts";
import { capture, ipPacket, pcap, readCapture, talk, type Turn } from "../captures.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const LAYOUT = { width: 80, all: false, painter: (_style: string, text: string) => text };

/** Returns the text on the only connection of a capture, and whether it is valid. */
function explainedFile(file: Uint8Array): { text: string; valid: boolean } {
  let connection: ExplainedConnection | undefined;
  for (const event of readCapture(file).events) {
    if (event.kind === "opened") connection = new ExplainedConnection(event, LAYOUT);
    else connection!.receive(event);
  }
  connection!.end();
  let text = "";
  connection!.print((bytes) => text += new TextDecoder().decode(bytes));
  return { text, valid: connection!.valid };
}

function explained(turns: Turn[], skip = 0): { text: string; valid: boolean } {
  return explainedFile(capture(talk(turns).slice(skip)));
}

const others: [name: string, turns: Turn[], text: string][] = [
  [
    "no octets",
    ["> FIN", "< FIN"],
    "no octets, FIN by the client at 0.003000 s (packet 4), FIN by the server at 0.004000 s (packet 5)",
  ],
  [
    "TLS",
    ["> \x16\x03\x01a", "< \x16\x03\x03bc"],
    "not HTTP/1 but TLS (RFC 8446 §5.1), 4 octets from the client, 5 from the server",
  ],
  ["as many octets from either side", ["> abc", "< abc"], "not HTTP, 3 octets from the client, 3 from the server"],
  [
    "SMTP",
    ["< 220 hi\r\n", "> EHLO a\r\n", "< 250 a\r\n"],
    "not HTTP/1 but SMTP (RFC 5321 §3.1), 8 octets from the client, 15 from the server",
  ],
  ["less than a line", ["> hel"], "not HTTP, 3 octets from the client, 0 from the server"],
  [
    "a gap and no line",
    ["> a\0", "<x b", "> c"],
    "not HTTP, 3 octets from the client, 0 from the server, 1 octet not captured",
  ],
];

for (const [name, turns, text] of others) {
  Deno.test(`a connection with ${name} is one line, and not invalid`, () => {
    assert.deepEqual(explained(turns), {
      text: `connection 1: 127.0.0.1:40000 to 127.0.0.1:9999, tcp.stream == 0 in Wireshark: ${text}\n`,
      valid: true,
    });
  });
}

Deno.test("without a handshake the start was not captured", () => {
  const { text, valid } = explained(["< rest of content", `> ${GET}`, "< HTTP/1.1 204 No Content\r\n\r\n"], 3);
  assert.match(
    text,
    /^connection 1: 127\.0\.0\.1:40000 to 127\.0\.0\.1:9999, tcp\.stream == 0 in Wireshark, start not captured\n\nrequest 1 /,
  );
  assert.match(text, /-- 15 octets of the server skipped, up to the next start line \(packet 3\)\n\nresponse 1 at/);
  assert.equal(valid, true);
  const other = explained(["< rest", "> more"], 3);
  assert.match(other.text, /: not HTTP, .* 8 octets without a start line, start not captured\n$/);
});

Deno.test("a response to octets that are not HTTP is explained", () => {
  const { text, valid } = explained([
    "> hello\r\n",
    "< HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "< FIN",
  ]);
  assert.match(
    text,
    /\nrequest 1 at [^]*0 hello\\r\\n\n +\^ octet 5\n[^]*\nresponse 1 at 0\.004000 s, 1\.000 ms after the request, /,
  );
  assert.equal(valid, false);
});

function textOf(file: Uint8Array): string {
  return explainedFile(file).text;
}

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

Deno.test("a direction that was not captured, but acknowledged, is named, and nothing is said of responses", () => {
  const all = talk([`> ${GET}`, `< ${OK}`, "> FIN"]);
  const clients = pcap(all.filter(({ by }) => by !== "server").map(ipPacket));
  assert.match(textOf(clients), /-- the server's octets were not captured: the client acknowledged 40\n/);
  assert.doesNotMatch(textOf(clients), /no response/);
  const servers = pcap(
    [...all, { by: "server", sequence: 541, acknowledged: 29 } as const].filter(({ by }) => by === "server").map(
      ipPacket,
    ),
  );
  assert.match(textOf(servers), /\nresponse 1 at .*, to no request here|, to a request that was not captured/);
  assert.match(textOf(servers), /-- the client's octets were not captured: the server acknowledged 28\n/);
});

Deno.test("what was left out between two ends leaves open whether there was a response", () => {
  const packets = talk([`> ${GET}`, `< ${OK}`]).map(ipPacket);
  const fragment = packets[4].with(6, 0x20);
  const text = textOf(pcap([...packets.slice(0, 4), fragment]));
  assert.match(text, /-- response to request 1 not seen: packets of the server are not here\n/);
  assert.match(text, /, tcp\.stream == 0 in Wireshark, handshake in packets 1, 2 and 3, /);
  const before = textOf(pcap([fragment, ...packets]));
  assert.match(
    before,
    /, ip\.addr == 127\.0\.0\.1 && ip\.addr == 127\.0\.0\.1 && tcp\.port == 40000 && tcp\.port == 9999 in Wireshark, handshake /,
  );
});

Deno.test("packets that were cut are named as the cause of what is missing", () => {
  const packets = talk([`> ${GET}`, `< ${OK}`, "> FIN"]).map(ipPacket);
  const text = textOf(pcap(packets, { snapLength: 60 }));
  assert.match(
    text,
    /-- 20 octets of the server not captured \(before packet 6\): packet 5 was cut at 60 octets: tcpdump -s 0\n/,
  );
});
