import assert from "node:assert/strict";
import { ClientError } from "../../../lib/client.ts";
import { ClientConnection } from "../../../lib/client/connection.ts";
import { painterFor } from "../../../lib/terminal.ts";
import { Replayer, type ReplayerOptions, Survey } from "../../../lib/traffic/replay/replayer.ts";
import { freePort } from "../../support.ts";
import { octetString, wireOctets } from "../../wire_cases.ts";
import { eventOf, GET, type Happening, OK } from "../recorded_events.ts";

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
    for (const happening of happenings) await replayer.receive(eventOf(happening, { hostname: "127.0.0.1", port }));
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
    // Long enough that the pieces are read one by one on a busy machine.
    [1, 241_000, `> ${GET.slice(9)}`],
    [1, 250_000, `< ${OK}`],
    [1, 251_000, "FIN client"],
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

Deno.test("pauses are those since the last write or whole answer on any connection, and none where there was none", async () => {
  const hour = 3_600_000_000;
  const pause = 150_000;
  const untilClosed = "HTTP/1.1 200 OK\r\n\r\nall";
  /** When pauses began and ended. */
  const times: number[] = [];
  const note = () => times.push(performance.now());
  const { log, replayer } = await replayed([
    [1, 0, "open"],
    [1, hour, `> ${GET.slice(0, 5)}`],
    [1, hour + pause, `> ${GET.slice(5)}`],
    [1, 2 * hour, `< ${OK.slice(0, 9)}`],
    [1, 3 * hour, `< ${OK.slice(9)}`],
    [2, 3 * hour, "open"],
    [2, 3 * hour + pause, `> ${GET}`],
    [2, 4 * hour, `< ${untilClosed}`],
    [2, 5 * hour, "FIN server"],
    [1, 5 * hour + pause, `> ${GET}`],
    [1, 6 * hour, `< ${OK}`],
    // Nobody waits for this end; the next one comes before the answer.
    [1, 9 * hour, "FIN client"],
    [3, 9 * hour, "open"],
    [3, 6 * hour, `> ${GET}`],
    [3, 6 * hour + pause, "FIN client"],
    [3, 7 * hour, `< ${OK}`],
  ], async (conn, number) => {
    await conn.read();
    note();
    if (number !== 2) await conn.read();
    if (number !== 2) note();
    if (number === 2) return await conn.write(untilClosed);
    await conn.write(OK);
    if (number === 3) return;
    note();
    await conn.read();
    note();
    await conn.write(OK);
    await conn.read();
  });
  assert.deepEqual(log.slice(0, 4), [GET.slice(0, 5), GET.slice(5), GET, GET]);
  assert.deepEqual(log.slice(4).toSorted(), ["FIN", "FIN", GET]);
  assert(replayer.same);
  const sorted = times.toSorted((a, b) => a - b);
  const gaps = sorted.slice(1).map((time, i) => time - sorted[i]);
  // Between the two pieces, after the answers, and before the half-close.
  for (const gap of [0, 2, 3, 5].map((i) => gaps[i])) assert(gap > pause / 3000, gaps.join());
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
    [
      ...[[9, 0, `> ${GET}`], [1, 0, "open"], [1, 0, "skipped client"], [1, 1, `> ${GET}`]] as Happening[],
      ...[[1, 2, `< ${OK}`], [1, 3, "lost client"], [1, 4, `> ${GET}`]] as Happening[],
    ],
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

Deno.test("an answer to a request that is not all in the recording is not compared, and not waited for", async () => {
  const [start, end] = [GET.slice(0, 10), OK];
  const { lines, replayer } = await replayed(
    [
      ...[[9, 0, `> ${GET}`], [1, 0, "open"], [1, 1, `> ${start}`], [1, 2, `< ${end}`]] as Happening[],
      ...[[1, 3, "lost client"], [1, 4, `> ${GET}`], [1, 5, `< ${OK}`]] as Happening[],
    ],
    async (conn) => {
      await conn.read();
      await conn.read();
    },
    { incomplete: new Set([1]), timeoutMs: 600_000 },
  );
  assert.equal(lines[0], "connection 1, exchange 1: GET /a HTT: not compared: not all of its request was captured");
  assert.match(
    lines[1],
    /^connection 1, exchange 2: GET \/a: not compared, .*: 5 octets of the client are missing in it$/,
  );
  assert.match(lines[2], /^connection 1: 28 octets not sent: what comes before them is missing in the recording$/);
  assert.equal(replayer.timedOut, false);
});

Deno.test("without a server there is no replay", async () => {
  const port = freePort();
  const to = { secure: false, host: "127.0.0.1", port };
  await assert.rejects(replayed([[1, 0, "open"]], () => Promise.resolve(), { to }), ClientError);
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

const SERVER = { hostname: "10.1.2.3", port: 80 };

const connections: [what: string, client: string, server: string, isHttp: boolean][] = [
  ["a request and its answer", "GET / HTTP/1.1\r\n", "HTTP/1.1 200 OK\r\n", true],
  ["a request without an answer", "GET / HTTP/1.1\r\n", "", true],
  ["a broken request that is answered", "\x16\x03\x01", "HTTP/1.1 400 Bad Request\r\n", true],
  ["an answer without a request", "", "HTTP/1.1 408 Request Timeout\r\n", true],
  ["TLS", "\x16\x03\x01\x02\0", "\x16\x03\x03\x00\x7a", false],
  ["mail", "EHLO localhost\r\n", "220 mail ESMTP\r\n", false],
  ["no octets", "", "", false],
];

connections.forEach(([what, client, server, isHttp]) => {
  Deno.test(`a survey ${isHttp ? "finds" : "leaves out"} a connection with ${what}`, () => {
    for (const closed of [true, false]) {
      const survey = new Survey();
      const receive = (what: Happening[2]) => survey.receive(eventOf([1, 0, what], SERVER));
      receive("open");
      for (const octet of client) receive(`> ${octet}`);
      if (server !== "") receive(`< ${server}`);
      if (closed) receive("closed");
      survey.finish();
      assert.deepEqual([...survey.servers], isHttp ? [[1, { secure: false, host: "10.1.2.3", port: 80 }]] : []);
      assert.deepEqual(survey.others, isHttp || client + server === "" ? [] : [1]);
    }
  });
});
