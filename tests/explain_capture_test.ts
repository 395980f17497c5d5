import assert from "node:assert/strict";
import { runProgram, ServeProcess, wiretable } from "./serve_process.ts";
import { gzipSync } from "node:zlib";
import { TempFolder } from "./support.ts";
import { capture, ipPacket, pcap, PCAP_START, talk } from "./traffic/captures.ts";
import { captured, mayCapture, TSHARK, withTshark } from "./tshark.ts";
import { wireOctets } from "./wire_cases.ts";

function run(args: string[], input: string | Uint8Array = "", permissions?: string[]) {
  return runProgram(["explain", ...args], input, permissions);
}

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const CAPTURE = capture([
  ...talk([`> ${GET}`, `< ${OK}`, "> FIN", "< FIN"]),
  ...talk(["> \x16\x03\x01", "< \x16\x03\x03"], 40_001),
  ...talk([`> ${GET}`, "< HTTP/1.1 200 OK\n\n"], 40_002),
]);

Deno.test("a capture is explained connection by connection, from a file or the input", async () => {
  using folder = new TempFolder();
  // The name does not tell the format.
  const file = folder.file("capture.txt");
  await Deno.writeFile(file, CAPTURE);
  const { code, stdout, stderr } = await run([file], "", [`--allow-read=${file}`]);
  assert.deepEqual([code, stderr], [1, ""]);
  assert.match(
    stdout,
    /^first packet at 1970-01-01 00:00:00\.000000 UTC; 17 packets, 3 connections\n\nconnection 1: 127\.0\.0\.1:40000 to 127\.0\.0\.1:9999, tcp\.stream == 0 in Wireshark, handshake in packets 1, 2 and 3, round trip 2\.000 ms, MSS 65495 and 65495\n\nrequest 1 at 0\.003000 s, from packet 4, acknowledged after 1\.000 ms \(packet 5\)\n {4}0 GET [^]*\n\nresponse 1 at 0\.004000 s, 1\.000 ms after the request, from packet 5, acknowledged after 1\.000 ms \(packet 6\)\n {4}0 HTTP\/1\.1 [^]*\nconnection 1: FIN by the client at /,
  );
  assert.match(
    stdout,
    /\nconnection 2: \S+ to \S+, tcp\.stream == 1 in Wireshark: not HTTP\/1 but TLS \(RFC 8446 §5\.1\), 3 octets from the client, /,
  );
  assert.match(stdout, /\nconnection 3: [^]* A bare LF follows/);
  assert.deepEqual(await run(["-"], CAPTURE, []), { code, stdout, stderr });
});

Deno.test("one connection of a capture is explained, and decides the exit code", async () => {
  const codes = await Promise.all(["1", "2", "3"].map(async (number) => {
    const { code, stdout } = await run(["-", "--connection", number], CAPTURE, []);
    assert.match(stdout, new RegExp(`^first packet at .*\n\nconnection ${number}: `));
    assert.doesNotMatch(stdout, new RegExp(`^connection [^${number}]`, "m"));
    return code;
  }));
  assert.deepEqual(codes, [0, 0, 1]);
});

Deno.test("a capture and messages are listed, one line each", async () => {
  const { code, stdout, stderr } = await run(["-", "--list"], CAPTURE, []);
  assert.deepEqual([code, stderr], [1, ""]);
  assert.match(
    stdout,
    /^first packet at 1970-01-01 .*; 17 packets, 3 connections\n\n +time connection +packet +request /,
  );
  assert.match(stdout, /\n +0\.003000 s +1 +4 +GET \/ +200 +2 +1\.000 ms +127\.0\.0\.1:9999\n/);
  assert.match(
    stdout,
    /\n +0\.015000 s +3 +16 +GET \/ +- +- +invalid .*\n1 connection, not HTTP\/1 but TLS \(.*\): 2\n$/,
  );
  const messages = await run(["-", "--list"], `${GET}${OK}${GET}\n`);
  assert.equal(messages.code, 1);
  assert.deepEqual(messages.stdout.split("\n").slice(1, -1).map((line) => line.trim().replaceAll(/ {2,}/g, "|")), [
    "0|request 1|GET /|0 octets",
    `${GET.length}|response 1|200 OK|2 octets`,
    `${GET.length + OK.length}|request 2|GET /|0 octets`,
    `${2 * GET.length + OK.length}|not explained|one line end too many after the request`,
  ]);
  const { stderr: both } = await run(["-", "--list", "--json"], CAPTURE, []);
  assert.equal(both, "wiretable: --list and --json cannot be used together\n");
});

Deno.test("more text than waits for the end stands below a line on the whole capture", async () => {
  using folder = new TempFolder();
  const file = folder.file("many.pcapng");
  await Deno.writeFile(
    file,
    capture(talk(Array.from({ length: 1500 }, () => [`> ${GET}`, `< ${OK}`] as const).flat())),
  );
  const { stdout } = await run([file], "", ["--allow-read"]);
  assert(stdout.length > 1024 * 1024);
  assert.match(stdout, /^first packet at 1970-01-01 00:00:00\.000000 UTC; 3003 packets, 1 connection\n\nconnection 1/);
});

Deno.test("what a pipe has brought of a capture is shown while it brings nothing more", async () => {
  const child = wiretable(["explain", "-"]);
  const writer = child.stdin.getWriter();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  await writer.write(CAPTURE);
  let text = "";
  while (!text.includes("FIN by the server")) {
    const { value, done } = await reader.read();
    assert(!done);
    text += value;
  }
  assert.match(text, /^first packet at .*; 17 packets, 3 connections so far\n\nconnection 1: /);
  await writer.close();
  while (!(await reader.read()).done);
  await child.stderr.cancel();
  assert.equal((await child.status).code, 1);
});

Deno.test("a capture as JSON: a line an exchange, with addresses, packets and times since 1970", async () => {
  const two = [
    ...talk([`> ${GET}`, "< HTTP/1.1 103 Early Hints\r\n\r\n", `< ${OK}`, `> ${GET}`, "> FIN", "< FIN"]),
    ...talk(["> \x16\x03\x01", "< \x16\x03\x03"], 40_001),
    ...talk(["> GET / HTTP/1.1\r\nHost : a\r\n\r\n"], 40_002),
  ];
  const { code, stdout, stderr } = await run(["-", "--json"], pcap(two.map(ipPacket)), []);
  assert.deepEqual([code, stderr], [1, ""]);
  const lines = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  const findings = [
    "no content: neither Content-Length nor Transfer-Encoding (RFC 9112 §6.3)",
    "stays open: HTTP/1.1 and no Connection: close (RFC 9112 §9.3)",
  ];
  const request = {
    ...{ offset: 0, time: PCAP_START + 0.003, packets: [4], method: "GET", target: "/", version: "HTTP/1.1" },
    ...{ fields: [["Host", "a"]], contentLength: 0, whole: true, findings, fault: null },
  };
  const { tcp: _, ...sent } = lines[0].request;
  assert.deepEqual(sent, request);
  assert.deepEqual(Object.keys(lines[0]).filter((key) => key !== "tcp"), [
    ...["connection", "client", "server", "request", "interim", "response"],
  ]);
  assert.deepEqual(lines.map(({ connection, client, server }) => [connection, client, server]), [
    [1, "127.0.0.1:40000", "127.0.0.1:9999"],
    [1, "127.0.0.1:40000", "127.0.0.1:9999"],
    [3, "127.0.0.1:40002", "127.0.0.1:9999"],
  ]);
  const { interim: [early], response } = lines[0];
  assert.deepEqual([early.status, early.packets, response.packets, response.time], [103, [5], [6], PCAP_START + 0.005]);
  assert.deepEqual([response.offset, response.contentLength], ["HTTP/1.1 103 Early Hints\r\n\r\n".length, 2]);
  assert.deepEqual([lines[1].request.offset, lines[1].response], [GET.length, null]);
  assert.equal(lines[2].request.fault.cause, "blank-before-colon");
  const one = await run(["-", "--json", "--connection", "3", "--all"], pcap(two.map(ipPacket)), []);
  assert.equal(JSON.parse(one.stdout).request.rows.length, 5);
});

const FOREIGN: [name: string, start: string, command: string][] = [
  ["a snoop capture (RFC 1761)", "snoop\0\0\0\0\0\0\x02", "tshark -r FILE -w FILE.pcapng converts it"],
  ["a modified pcap capture", "\x34\xcd\xb2\xa1\x02\0\x04\0", "tshark -r FILE -w FILE.pcapng converts it"],
  ["a Network Monitor 2 capture", "GMBU\0\x02\0\0", "tshark -r FILE -w FILE.pcapng converts it"],
  ["a Sniffer capture", "TRSNIFF data    \x1a", "tshark -r FILE -w FILE.pcapng converts it"],
  ["compressed by xz", "\xfd7zXZ\0\0\x04", "xz -dk FILE expands it"],
  ["compressed by zstd", "\x28\xb5\x2f\xfd\0\0\0\0", "zstd -d FILE expands it"],
  ["compressed by bzip2", "BZh91AY&SY", "bzip2 -dk FILE expands it"],
  ["a zip archive", "PK\x03\x04\x14\0\0\0", "unzip FILE expands it"],
];
const noCaptures: [name: string, args: string[], input: string | Uint8Array, message: RegExp][] = [
  ...FOREIGN.map(([name, start, command]): [string, string[], Uint8Array, RegExp] => [
    name,
    ["-"],
    wireOctets(start),
    new RegExp(`^wiretable: The input is ${RegExp.escape(name)}, expected [^:]*: ${RegExp.escape(command)}\n$`),
  ]),
  [
    "a connection that is not there",
    ["-", "--connection", "4"],
    CAPTURE,
    /^wiretable: The input has 3 connections, so there is no connection 4\n$/,
  ],
  [
    "a connection of messages",
    ["-", "--connection", "1"],
    GET,
    /^wiretable: --connection needs a capture \(pcapng or pcap\): The input has messages\n$/,
  ],
  [
    "what is no number of a connection",
    ["-", "--connection", "0"],
    CAPTURE,
    /^wiretable: --connection takes a whole number from 1 to \d+, saw "0"\n$/,
  ],
  [
    "a capture whose requests are given too",
    ["-", "--answers", "HEAD"],
    CAPTURE,
    /^wiretable: --answers is for responses alone: a capture has their requests\n$/,
  ],
  ["a capture without packets", ["-"], capture([]), /^wiretable: The input has no TCP connection\n$/],
];

for (const [name, args, input, message] of noCaptures) {
  Deno.test(`nothing is explained of ${name}`, async () => {
    const { code, stdout, stderr } = await run(args, input, []);
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, message);
  });
}

Deno.test("a capture is explained up to where it is cut off, or not valid", async () => {
  const whole = await run(["-", "--connection", "1"], CAPTURE, []);
  const cut = await run(["-", "--connection", "1"], CAPTURE.subarray(0, -10), []);
  const packets = 5 + 2 + 5 + 5 - 1;
  assert.deepEqual(cut, {
    ...whole,
    stdout: `${
      whole.stdout.replace("17 packets", "16 packets")
    }\nthe file is cut off in the block after packet ${packets}\n`,
  });
  const nothing = await run(["-"], CAPTURE.subarray(0, 50), []);
  assert.deepEqual([nothing.code, nothing.stdout], [1, "the file is cut off in the block after packet 0\n"]);
  assert.equal(nothing.stderr, "wiretable: The input has no TCP connection\n");
  const broken = new Uint8Array(CAPTURE.length + 12);
  broken.set(CAPTURE);
  const { code, stdout, stderr } = await run(["-", "--connection", "1"], broken, []);
  assert.deepEqual([code, stdout], [1, whole.stdout]);
  assert.match(
    stderr,
    /^wiretable: Cannot read The input: no valid pcapng at octet \d+: a block's length is a multiple of 4, at least 12, saw 0\n$/,
  );
});

Deno.test({
  name: withTshark("a capture is explained as the same one in each format that editcap writes, compressed or not"),
  ignore: !TSHARK,
  async fn() {
    using folder = new TempFolder();
    await Deno.writeFile(folder.file("source"), CAPTURE);
    // From files: of an input that pauses on a busy machine, what has come so far is shown, and says so.
    const explainFile = (name: string) => run([folder.file(name)], "", ["--allow-read"]);
    const explained = await explainFile("source");
    for (const format of ["pcap", "nsecpcap", "pcapng"]) {
      const args = ["-F", format, folder.file("source"), folder.file(format)];
      assert((await new Deno.Command("editcap", { args, stderr: "null" }).output()).success);
      await Deno.writeFile(folder.file("gzip"), gzipSync(await Deno.readFile(folder.file(format))));
      for (const name of [format, "gzip"]) assert.deepEqual(await explainFile(name), explained);
    }
  },
});

Deno.test("a compressed capture that is cut off is explained as far as it goes", async () => {
  const { code, stdout } = await run(["-", "--connection", "1"], gzipSync(CAPTURE, { level: 0 }).subarray(0, -20), []);
  assert.equal(code, 0);
  assert.match(
    stdout,
    /^first .*\n\nconnection 1: [^]*\n\nthe file is cut off in the block after packet \d+\nthe gzip file is cut off\n$/,
  );
});

const CAPTURES = mayCapture();

Deno.test({
  name: CAPTURES
    ? "what dumpcap captures on loopback is explained as the recording of the server is"
    : "skipped, for dumpcap may not capture here: what it captures is explained as a recording is",
  ignore: !CAPTURES,
  async fn() {
    using folder = new TempFolder();
    const recording = folder.file("r.pcapng");
    const server = await ServeProcess.start(["--quiet", "--record", recording], [
      "--allow-net",
      `--allow-write=${recording}`,
    ]);
    const capture = await captured(server.port, "DELETE /Momo", async () => {
      const commands = "post Pingping snail 1 0\nhead all\nput Momo cat 3 4\ndelete Momo\n";
      assert.equal((await runProgram(["connect", `127.0.0.1:${server.port}`], commands)).code, 0);
    });
    await server.stop();
    const ofServer = await run([recording], "", [`--allow-read=${recording}`]);
    const ofWireshark = await run(["-"], capture, []);
    assert.equal(ofServer.code, 0);
    // Without the first lines, times, packets and reads, and what came after the last request.
    const messages = ({ stdout }: { stdout: string }) =>
      stdout.split(/^request 4 /m)[0].replace(/^[^]*?(?=\nrequest 1 )/, "").replace(
        /^((?:request|response) \d) .*$/gm,
        "$1",
      );
    assert.match(messages(ofServer), /\nrequest 3\n[^]*\nresponse 3\n/);
    assert.equal(messages(ofWireshark), messages(ofServer));
  },
});
