import assert from "node:assert/strict";
import { ClientError } from "../lib/client.ts";
import { ClientConnection } from "../lib/client/connection.ts";
import { painterFor } from "../lib/terminal.ts";
import { Replayer, type ReplayerOptions } from "../lib/traffic/replay/replayer.ts";
import { Script } from "../lib/traffic/replay/script.ts";
import type { SocketAddress } from "../lib/traffic.ts";
import { Capture, recordingStart } from "../lib/traffic/capture/writer.ts";
import { ROOT, runProgram, ServeProcess, signalTest } from "./serve_process.ts";
import { TempFolder } from "./support.ts";
import { gzipSync } from "node:zlib";
import { ipPacket, pcap, talk } from "./traffic/captures.ts";
import { eventOf, GET, type Happening, OK } from "./traffic/recorded_events.ts";
import { octetString, wireOctets } from "./wire_cases.ts";

/** A connection at a server, which reads and writes text of one character per octet. */
class Served {
  readonly #conn: Deno.Conn;
  readonly #log: string[];

  constructor(conn: Deno.Conn, log: string[]) {
    this.#conn = conn;
    this.#log = log;
  }

  /** Reads once, and logs what came. */
  async read(): Promise<string> {
    const buffer = new Uint8Array(64 * 1024);
    const count = await this.#conn.read(buffer);
    const text = count === null ? "FIN" : octetString(buffer.subarray(0, count));
    this.#log.push(text);
    return text;
  }

  async write(text: string): Promise<void> {
    await this.#conn.write(wireOctets(text));
  }
}

interface Replayed {
  lines: string[];
  replayer: Replayer;
  /** What the server read, in order. */
  log: string[];
}

/** Replays happenings to a server that does this on each connection, and closes it then. */
async function replayed(
  happenings: readonly Happening[],
  serve: (conn: Served, number: number, log: readonly string[]) => Promise<unknown>,
  options: Partial<ReplayerOptions> = {},
): Promise<Replayed> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const log: string[] = [];
  const serving: Promise<unknown>[] = [];
  const errors: unknown[] = [];
  const accepting = (async () => {
    let number = 0;
    for await (const conn of listener) {
      serving.push(
        serve(new Served(conn, log), ++number, log).catch((e) => errors.push(e)).finally(() => conn.close()),
      );
    }
  })();
  const lines: string[] = [];
  const replayer = new Replayer({
    ...{ fast: false, timeoutMs: 20_000, painter: painterFor(false) },
    open: async (server) => (await ClientConnection.open(server, { timeoutMs: 20_000, caCerts: [] })).lend(),
    print: (line) => Promise.resolve(void lines.push(line)),
    ...options,
  });
  try {
    const script = new Script();
    for (const happening of happenings) {
      const step = script.tell(eventOf("server", happening, { hostname: "127.0.0.1", port }));
      if (step !== undefined) await replayer.take(step);
    }
    for (const step of script.end()) await replayer.take(step);
    await replayer.finish();
  } finally {
    replayer.close();
    listener.close();
    await accepting;
    await Promise.all(serving);
  }
  assert.deepEqual(errors, []);
  return { lines, replayer, log };
}

Deno.test("a replay sends the recorded octets in their pieces, and finds the answers the same", async () => {
  const { lines, replayer, log } = await replayed([
    [1, 0, "open"],
    [1, 1000, `> ${GET.slice(0, 9)}`],
    [1, 41_000, `> ${GET.slice(9)}`],
    [1, 50_000, `< ${OK}`],
    [1, 51_000, "FIN client"],
  ], async (conn) => {
    await conn.read();
    await conn.read();
    await conn.write(OK);
    await conn.read();
  });
  assert.deepEqual(log, [GET.slice(0, 9), GET.slice(9), "FIN"]);
  assert.deepEqual(lines, ["connection 1, exchange 1: GET /a: same, 200 OK", "1 exchange: the same"]);
  assert.deepEqual([replayer.same, replayer.timedOut], [true, false]);
});

Deno.test("exchanges are reported as JSON, apart from what else there is to say", async () => {
  const json: string[] = [];
  const { lines, replayer } = await replayed(
    [[1, 0, "open"], [1, 1, `> ${GET}`], [1, 2, `< ${OK}`], [1, 3, `> ${GET}`], [1, 4, "FIN client"]],
    async (conn) => {
      await conn.read();
      await conn.write(OK);
      await conn.read();
      await conn.read();
    },
    { fast: true, printJson: (line) => Promise.resolve(void json.push(line)) },
  );
  assert.deepEqual(json.map((line) => JSON.parse(line).verdict), ["same", "not compared"]);
  assert.deepEqual(lines, ["2 exchanges: 1 the same, 1 not compared"]);
  assert(replayer.same);
});

Deno.test("a fast replay makes no pauses", async () => {
  const hour = 3_600_000_000;
  const { replayer } = await replayed(
    [[1, 0, "open"], [1, hour, `> ${GET.slice(0, 9)}`], [1, 2 * hour, `> ${GET.slice(9)}`], [1, 3 * hour, `< ${OK}`]],
    async (conn) => {
      let text = "";
      while (!text.endsWith("\r\n\r\n")) text += await conn.read();
      await conn.write(OK);
    },
    { fast: true },
  );
  assert(replayer.same);
});

Deno.test("a replay sends only when the answers are here that were here in the recording, on any connection", async () => {
  const first = Promise.withResolvers<void>();
  const all = await replayed([
    [1, 0, "open"],
    [2, 1, "open"],
    [1, 2, `> ${GET}`],
    [1, 3, `< ${OK}`],
    [2, 4, `> ${GET.replace("/a", "/b")}`],
    [2, 5, `< ${OK}`],
  ], async (conn, number, log) => {
    if (number === 1) {
      await conn.read();
      // Long enough for a request that does not wait.
      await new Promise((resolve) => setTimeout(resolve, 50));
      assert.equal(log.length, 1);
      await conn.write(OK);
      return await first.promise;
    }
    await conn.read();
    first.resolve();
    await conn.write(OK);
  }, { fast: true });
  assert.deepEqual(all.log.map((text) => text.slice(0, 6)), ["GET /a", "GET /b"]);
  assert(all.replayer.same);
});

Deno.test("an answer that differs is shown, and a missing 100 delays the replay only shortly", async () => {
  const head = "PUT /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
  const { lines, replayer } = await replayed([
    [1, 0, "open"],
    [1, 1, `> ${head}`],
    [1, 2, "< HTTP/1.1 100 Continue\r\n\r\n"],
    [1, 3, "> hi"],
    [1, 4, `< ${OK}`],
  ], async (conn) => {
    await conn.read();
    assert.equal(await conn.read(), "hi");
    await conn.write(OK.replace("ok", "no"));
  });
  assert.deepEqual(lines, [
    `connection 1, exchange 1: PUT /a: differs
  100 (Continue)
    recorded: sent before the content
    now:      none
  content
    recorded: ok (2 octets)
    now:      no (2 octets)`,
    "1 exchange: 0 the same, 1 different",
  ]);
  assert.deepEqual([replayer.same, replayer.timedOut], [false, false]);
});

Deno.test("a server that closes early leaves the rest unsent", async () => {
  const { lines, replayer } = await replayed([
    [1, 0, "open"],
    [1, 1, `> ${GET}`],
    [1, 2, `< ${OK}`],
    // By then, the server has closed.
    [1, 50_000, `> ${GET}`],
    [1, 50_001, `< ${OK}`],
  ], async (conn) => {
    await conn.read();
    await conn.write(OK);
  });
  assert.deepEqual(lines, [
    "connection 1, exchange 1: GET /a: same, 200 OK",
    `connection 1, exchange 2: GET /a: differs
    recorded: 200 OK
    now:      no whole response: the server closed the connection`,
    `connection 1: ${GET.length} octets not sent: the server closed the connection`,
    "2 exchanges: 1 the same, 1 different; 1 connection cut short",
  ]);
  assert(!replayer.same);
});

Deno.test("a server that closes a connection unannounced, unlike the recorded one, is reported", async () => {
  const lines: string[] = [];
  const closing = Promise.withResolvers<void>();
  const { replayer } = await replayed(
    [[1, 0, "open"], [1, 1, `> ${GET}`], [1, 2, `< ${OK}`], [1, 3, "FIN client"]],
    async (conn) => {
      await conn.read();
      await conn.write(OK);
      closing.resolve();
    },
    {
      async print(line) {
        lines.push(line);
        await closing.promise;
      },
    },
  );
  assert.deepEqual(lines, [
    "connection 1, exchange 1: GET /a: same, 200 OK",
    "connection 1: differs\n    recorded: stays open\n    now:      ends, without having said so",
    "1 exchange: the same; 1 connection cut short",
  ]);
  assert(!replayer.same);
});

Deno.test("an answer that does not come in time is reported, and the replay goes on", async () => {
  const { lines, replayer } = await replayed([
    ...[[1, 0, "open"], [1, 1, `> ${GET}`], [1, 2, `< ${OK}`]] as Happening[],
    ...[[2, 3, "open"], [2, 4, `> ${GET}`], [2, 5, `< ${OK}`]] as Happening[],
  ], async (conn, number) => {
    await conn.read();
    if (number === 2) await conn.write(OK);
    await conn.read();
  }, { timeoutMs: 100 });
  assert.deepEqual(lines.toSorted(), [
    "2 exchanges: 1 the same, 1 different",
    `connection 1, exchange 1: GET /a: differs
    recorded: 200 OK
    now:      no whole response: nothing more within 0.1 s`,
    "connection 2, exchange 1: GET /a: same, 200 OK",
  ]);
  assert(replayer.timedOut);
});

Deno.test("a half-closed connection still gets its answer", async () => {
  const { replayer, log } = await replayed(
    [[1, 0, "open"], [1, 1, `> ${GET}`], [1, 2, "FIN client"], [1, 3, `< ${OK}`], [1, 4, "FIN server"], [
      1,
      5,
      "closed",
    ]],
    async (conn) => {
      await conn.read();
      await conn.read();
      await conn.write(OK);
    },
  );
  assert.deepEqual(log, [GET, "FIN"]);
  assert(replayer.same);
});

Deno.test("pipelined requests and content that ends with the connection are compared", async () => {
  const untilClosed = "HTTP/1.1 200 OK\r\n\r\nall";
  const { lines, replayer } = await replayed(
    [[1, 0, "open"], [1, 1, `> ${GET}${GET}`], [1, 2, `< ${OK}${untilClosed}`], [1, 3, "FIN server"]],
    async (conn) => {
      await conn.read();
      await conn.write(OK);
      await conn.write(untilClosed);
    },
  );
  assert.equal(lines.at(-1), "2 exchanges: all the same");
  assert(replayer.same);
});

Deno.test("what comes behind octets that the recording lacks is not sent", async () => {
  const { lines, log } = await replayed(
    [[1, 0, "open"], [1, 1, `> ${GET}`], [1, 2, `< ${OK}`], [1, 3, "lost client"], [1, 4, `> ${GET}`]],
    async (conn) => {
      await conn.read();
      await conn.write(OK);
      await conn.read();
    },
  );
  assert.deepEqual(log, [GET, "FIN"]);
  assert.deepEqual(lines.slice(0, 1), ["connection 1, exchange 1: GET /a: same, 200 OK"]);
  assert.match(
    lines[1],
    /^connection 1, exchange 2: GET \/a: not compared, .*: 5 octets of the client are missing in it$/,
  );
  assert.match(lines[2], /^connection 1: 28 octets not sent: what comes before them is missing in the recording$/);
});

Deno.test("without a server there is no replay", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  const to = { secure: false, host: "127.0.0.1", port };
  await assert.rejects(replayed([[1, 0, "open"]], () => Promise.resolve(), { to }), ClientError);
});

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
  const capture = new Capture((block) => blocks.push(block), undefined, 0);
  for (const happening of happenings) {
    const event = eventOf("server", happening, address);
    if (event.kind !== "missing") capture.tell(event);
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
    [[none], `${none} is no capture, expected pcapng or pcap`],
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

Deno.test("a server that takes nothing ends its connection's part of the replay", async () => {
  const head = "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 67108864\r\n\r\n";
  // More than the system holds for a server that does not read.
  const piece = new Uint8Array(8 * 1024 * 1024);
  const pieces = Array.from({ length: 8 }, (_, i): Happening => [1, 2 + i, piece]);
  const lines: string[] = [];
  const done = Promise.withResolvers<void>();
  const { replayer } = await replayed(
    [[1, 0, "open"], [1, 1, `> ${head}`], ...pieces, [1, 20, `< ${OK}`]],
    () => done.promise,
    {
      timeoutMs: 300,
      fast: true,
      print(line) {
        lines.push(line);
        // The server ends once the replay has.
        if (line.startsWith("1 exchange: ")) done.resolve();
        return Promise.resolve();
      },
    },
  );
  assert.match(
    lines[0],
    /^connection 1, exchange 1: PUT \/a: differs\n.*200 OK\n.*: the server took nothing within 0\.3 s$/,
  );
  assert.match(lines[1], /^connection 1: \d+ octets not sent: the server took nothing within 0\.3 s$/);
  assert(replayer.timedOut);
});
