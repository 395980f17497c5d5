import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";

import { CaptureWriter, recordingStart } from "../lib/traffic/capture/writer.ts";
import type { SocketAddress } from "../lib/traffic.ts";
import { ROOT, runProgram, ServeProcess, signalTest } from "./serve_process.ts";
import { TempFolder } from "./support.ts";
import { ipPacket, pcap, talk } from "./traffic/captures.ts";
import { eventOf, GET, type Happening, OK } from "./traffic/recorded_events.ts";

/** Runs `replay` with these arguments and permissions to read. */
async function replay(args: string[], ...read: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const permissions = read.length === 0 ? [] : [`--allow-read=${read.join()}`];
  return await runProgram(["replay", ...args], "", ["--allow-net", ...permissions]);
}

signalTest("a recording of either end is replayed to a fresh server, with and without TLS", async () => {
  using folder = new TempFolder();
  const [ofServer, ofClient] = [folder.file("server.pcapng"), folder.file("client.pcapng")];
  const first = await ServeProcess.start(["--quiet", "--record", ofServer], [
    "--allow-net",
    `--allow-write=${ofServer}`,
  ]);
  const commands = "post Momo cat 3 4\nget all\nput Momo cat 4 4 If-Match:'\"1\"'\nhead Momo\ndelete Momo\n";
  await runProgram(["connect", `127.0.0.1:${first.port}`, "--record", ofClient], commands, [
    "--allow-net",
    `--allow-write=${ofClient}`,
  ]);
  await first.stop();
  {
    await using server = await ServeProcess.start(["--quiet"]);
    for (const file of [ofServer, ofClient]) {
      const { code, stdout, stderr } = await replay([file, "--to", `127.0.0.1:${server.port}`], file);
      assert.deepEqual([code, stderr], [0, ""], stdout);
      assert.match(
        stdout,
        /^connection 1, exchange 1: POST \/Momo: same, 201 Created\n[^]*\n5 exchanges: all the same\n$/,
      );
    }
    await runProgram(["connect", `127.0.0.1:${server.port}`, "post", "Momo", "cat", "3", "4"]);
    const { code, stdout } = await replay([ofServer, "--to", `127.0.0.1:${server.port}`, "--fast"], ofServer);
    assert.equal(code, 1);
    assert.match(stdout, /POST \/Momo: differs\n {2}status\n {4}recorded: 201 Created\n {4}now: {6}409 Conflict\n/);
    assert.match(stdout, /\n5 exchanges: 4 the same, 1 different\n$/);
  }
  const tls = (name: string) => `${ROOT}tests/testdata/tls/${name}.pem`;
  const flags = ["--quiet", "--cert", tls("cert"), "--key", tls("key")];
  await using server = await ServeProcess.start(flags, ["--allow-net", "--allow-read"]);
  const to = ["--to", `https://localhost:${server.port}`, "--cacert", tls("ca")];
  const { code, stdout, stderr } = await replay([ofClient, ...to], ofClient, tls("ca"));
  assert.deepEqual([code, stderr], [0, ""], stdout);
});

/** Writes a recording of these happenings at a server's address. */
async function writeRecording(file: string, address: SocketAddress, happenings: readonly Happening[]): Promise<void> {
  const blocks = [recordingStart("test")];
  const capture = new CaptureWriter((block) => blocks.push(block), undefined, 0);
  for (const happening of happenings) {
    const event = eventOf(happening, address);
    if (event.kind !== "missing") capture.receive(event);
  }
  await Deno.writeFile(file, new Blob(blocks as BlobPart[]).stream());
}

Deno.test("a response whose request was not captured is not compared, and not waited for", async () => {
  await using server = await ServeProcess.start();
  using folder = new TempFolder();
  const head = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
  const [first, late] = [folder.file("first.pcap"), folder.file("late.pcap.gz")];
  // Only the server's packets; and a capture that begins after the first request.
  const all = talk([`> ${GET}`, "< HTTP/1.1 100 Continue\r\n\r\n", `< ${head}`, `> ${GET}`, `< ${head}`]);
  await Deno.writeFile(first, pcap(all.filter(({ by }) => by === "server").map(ipPacket)));
  await Deno.writeFile(late, gzipSync(pcap(all.slice(4).map(ipPacket))));
  const args = ["--to", `127.0.0.1:${server.port}`, "--fast", "--timeout", "600"];
  const none = await replay([first, ...args], first);
  assert.match(none.stdout, /exchange 1: no request: not compared: its request was not captured\n/);
  assert.match(none.stdout, /exchange 2: no request: not compared: its request was not captured\n2 exchanges: /);
  const rest = await replay([late, ...args], late);
  assert.match(rest.stdout, /exchange 1: no request: not compared: its request was not captured\n/);
  assert.match(rest.stdout, /exchange 2: GET \/a: differs\n/);
});

Deno.test("octets after a reset are told, and are a failure", async () => {
  await using server = await ServeProcess.start();
  using folder = new TempFolder();
  const file = folder.file("reset.pcap");
  const segments = talk([`> ${GET}`, `< ${OK}`, "> RST", "< more"]);
  await Deno.writeFile(file, pcap(segments.map(ipPacket), { times: segments.map((_, i) => i < 6 ? i : 5000) }));
  const { code, stdout } = await replay([file, "--to", `127.0.0.1:${server.port}`, "--fast"], file);
  assert.equal(code, 1);
  assert.match(stdout, /^connection 1: 4 octets after the reset not explained\n/);
});

Deno.test("what cannot be replayed is one line, and nothing is sent", async () => {
  using folder = new TempFolder();
  const [http, mail, pcap, none] = ["http.pcapng", "mail.pcapng", "old.pcap", "none"].map((name) => folder.file(name));
  const exchange: Happening[] = [[1, 0, "open"], [1, 1, `> ${GET}`], [1, 2, `< ${OK}`]];
  const far = { hostname: "192.0.2.1", port: 80 };
  await writeRecording(http, far, exchange);
  await writeRecording(mail, far, [[1, 0, "open"], [1, 1, "< 220 mail\r\n"], [1, 2, "> EHLO a\r\n"]]);
  await Deno.writeTextFile(pcap, "snoop\0\0\0");
  await Deno.writeTextFile(none, GET);
  const denied = await replay([http]);
  assert.equal(denied.code, 1);
  assert.match(
    denied.stderr,
    /^wiretable: Reading \S+ needs a permission: deno run --allow-net --allow-read=\S+ \S*main\.ts replay \S+\n$/,
  );
  const cases: [args: string[], message: string][] = [
    [[http], "The recorded server 192.0.2.1:80 is not on this machine: --to 192.0.2.1:80 sends to it all the same"],
    [[http, "--connection", "2"], `${http} has 1 connection, so there is no connection 2`],
    [[mail], `${mail} holds no HTTP, so there is nothing to replay`],
    [[mail, "--connection", "1"], `Connection 1 of ${mail} holds no HTTP, so there is nothing to replay`],
    [[none], `${none} is not a capture, expected pcapng or pcap`],
    [["-"], "The input is read twice: expected a file, saw a pipe"],
    [
      [pcap],
      `${pcap} is a snoop capture (RFC 1761), expected pcapng or pcap, or one of them in gzip: ` +
      `tshark -r ${pcap} -w ${pcap}ng converts it`,
    ],
  ];
  for (const [args, message] of cases) {
    const { code, stdout, stderr } = await replay(args, args[0]);
    assert.deepEqual([code, stdout, stderr], [1, "", `wiretable: ${message}\n`]);
  }
});
