import assert from "node:assert/strict";
import type { TrafficEvent } from "../lib/traffic.ts";
import { tapped } from "../lib/traffic/tap.ts";
import { ROOT, runProgram, ServeProcess, STOPS } from "./serve_process.ts";
import { Peer, TempFolder } from "./support.ts";
import { dissect, TSHARK, tshark } from "./tshark.ts";
import { octetString } from "./wire_cases.ts";

/** Whether this machine has an address of this kind. */
function hasAddress(hostname: string): boolean {
  try {
    Deno.listen({ hostname, port: 0 }).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    return false;
  }
}

/** Tests a recording that the server ends when it is stopped, where that is possible. */
function recordingTest(name: string, fn: () => Promise<void>, hostname = "127.0.0.1"): void {
  const why = !TSHARK
    ? "tshark is not installed"
    : !STOPS
    ? "on Windows a signal ends a process at once"
    : !hasAddress(hostname)
    ? `this machine has no address ${hostname}`
    : undefined;
  Deno.test({ name: why === undefined ? name : `skipped, for ${why}: ${name}`, ignore: why !== undefined, fn });
}

recordingTest("both ends can be recorded, each in a file that Wireshark opens", async () => {
  using folder = new TempFolder();
  const [ofServer, ofClient] = [folder.file("server.pcapng"), folder.file("client.pcapng")];
  const server = await ServeProcess.start(["--quiet", "--record", ofServer], [
    "--allow-net",
    `--allow-write=${ofServer}`,
  ]);
  const { port } = server;
  const { code, stderr } = await runProgram(
    ["connect", `127.0.0.1:${port}`, "--record", ofClient],
    "post Pingping snail 1 0\nget Pingping\n",
    ["--allow-net", `--allow-write=${ofClient}`],
  );
  assert.equal(code, 0);
  const notice = "it holds all that is sent and received, tokens and passwords included\n";
  assert.equal(stderr, `wiretable: The traffic is recorded in ${ofClient}: ${notice}`);
  const stopped = await server.stop();
  assert.deepEqual(stopped, { code: 0, stderr: `wiretable: The traffic is recorded in ${ofServer}: ${notice}` });
  for (const file of [ofServer, ofClient]) {
    if (Deno.build.os !== "windows") assert.equal((await Deno.stat(file)).mode! & 0o777, 0o600);
    const what = ["-e", "http.request.line", "-e", "http.request.method", "-e", "http.response.code"];
    const messages = await tshark(file, [port], "-Y", "http", "-T", "fields", ...what.slice(2));
    assert.deepEqual(messages.split(/\s+/).filter((word) => word !== ""), ["POST", "201", "GET", "200"]);
  }
});

Deno.test("a recording needs a new file, and the permission to write it", async () => {
  using folder = new TempFolder();
  const file = folder.file("r.pcapng");
  const denied = await runProgram(["connect", "--record", file, "get", "all"]);
  assert.equal(denied.code, 1);
  assert.match(
    denied.stderr,
    /^wiretable: --record \S+ needs a permission: deno run --allow-net --allow-write=\S+ \S*main\.ts connect --record \S+ get all\n$/,
  );
  await Deno.writeTextFile(file, "mine");
  for (const command of [["serve", "--port", "0"], ["connect"]]) {
    const taken = await runProgram([...command, "--record", file], "", ["--allow-net", `--allow-write=${file}`]);
    assert.deepEqual([taken.code, taken.stdout], [1, ""]);
    assert.match(taken.stderr, /^wiretable: --record \S+: the file already exists\n$/);
  }
  assert.equal(await Deno.readTextFile(file), "mine");
});

Deno.test("a recording survives a kill", async () => {
  using folder = new TempFolder();
  const file = folder.file("r.pcapng");
  const server = await ServeProcess.start(["--quiet", "--record", file], ["--allow-net", `--allow-write=${file}`]);
  const peer = await server.connect();
  await peer.exchange("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  // The section, the interface, three packets of the handshake, and four of the exchange.
  while ((await Deno.readFile(file)).length < 900) await new Promise((resolve) => setTimeout(resolve, 10));
  await server.kill();
  peer.close();
  const bytes = await Deno.readFile(file);
  const view = new DataView(bytes.buffer);
  let blocks = 0;
  for (let at = 0; at < bytes.length; at += view.getUint32(at + 4, true)) blocks++;
  assert.equal(blocks, 9);
});

/** A client whose octets are kept, to compare them with a recording of the server's end. */
class Client extends Peer {
  readonly port: number;
  readonly client: string[];
  readonly server: string[];

  constructor(conn: Deno.Conn) {
    const octets = { read: [] as string[], write: [] as string[] };
    super(tapped(conn, "client", 1, (event: TrafficEvent) => {
      if (event.kind === "read" || event.kind === "write") octets[event.kind].push(octetString(event.bytes));
    }));
    this.port = (conn.localAddr as Deno.NetAddr).port;
    this.client = octets.write;
    this.server = octets.read;
  }
}

const HOST = "Host: localhost\r\n";
const GET = `GET /Momo HTTP/1.1\r\n${HOST}\r\n`;
const ROW = '{"type":"cat","age":"3","leg":"4"}';
const PUT = `PUT /Momo HTTP/1.1\r\n${HOST}Content-Type: application/json\r\n`;
const LARGE = `{"type":"${"x".repeat(1024 * 1024 - 40)}","age":"3","leg":"4"}`;

/** What a client does on a connection, and the messages that Wireshark shows for it. */
type Talk = [name: string, messages: string, talk: (client: Client) => Promise<unknown>];

const talks: Talk[] = [
  ["split", "GET 404", async (client) => {
    for (const part of [GET.slice(0, 9), GET.slice(9, 30), GET.slice(30)]) await client.send(part);
    await client.receive();
  }],
  ["pipelined", "GET GET 404 404", async (client) => {
    await client.send(GET + GET);
    for (const _ of [1, 2]) await client.receive();
  }],
  ["chunked", "PUT GET 201 200", async (client) => {
    await client.send(`${PUT}Transfer-Encoding: chunked\r\n\r\n5\r\n${ROW.slice(0, 5)}\r\n`);
    await client.send(`${(ROW.length - 5).toString(16)}\r\n${ROW.slice(5)}\r\n0\r\n\r\n`);
    await client.receive();
    // A filtered listing is held, a whole one is streamed in chunks.
    await client.exchange(`GET / HTTP/1.1\r\n${HOST}\r\n`);
  }],
  ["of 1 MB", "PUT GET 200 200", async (client) => {
    await client.exchange(`${PUT}Content-Length: ${LARGE.length}\r\n\r\n${LARGE}`);
    await client.exchange(GET);
  }],
  ["that the server ends first", "DELETE 204", async (client) => {
    await client.send(`DELETE /Momo HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`);
    await client.receiveAll();
  }],
  ["that is refused", "GET 400", async (client) => {
    await client.send("GET / HTTP/1.1\r\n\r\n");
    await client.receiveAll();
  }],
  ["with 100 (Continue)", "PUT 100 201", async (client) => {
    await client.send(`${PUT}Expect: 100-continue\r\nContent-Length: ${ROW.length}\r\n\r\n`);
    await client.receive();
    await client.send(ROW);
    await client.receive();
  }],
];

/** Talks to a server that records. Returns its port, once it has stopped and all is recorded. */
async function recorded(
  file: string,
  flags: readonly string[],
  connect: (port: number) => Promise<Deno.Conn>,
  talk: (open: () => Promise<Client>) => Promise<void>,
): Promise<number> {
  const permissions = ["--allow-net", "--allow-read", `--allow-write=${file}`];
  const server = await ServeProcess.start(["--quiet", "--record", file, ...flags], permissions);
  await using _server = server;
  const clients: Client[] = [];
  try {
    await talk(async () => {
      const client = new Client(await connect(server.port));
      clients.push(client);
      return client;
    });
  } finally {
    await server.stop();
    for (const client of clients) client.close();
  }
  return server.port;
}

/** Compares each connection of a recording with what its client sent and received. Returns the packets' comments. */
async function compare(file: string, port: number, told: readonly [Client, string][]): Promise<string[][]> {
  const { messages, streams, followed, faults, comments } = await dissect(file, [port], told.length);
  assert.deepEqual(faults, []);
  assert.equal(streams.size, told.length);
  for (const [client, expected] of told) {
    const stream = streams.get(client.port)!;
    assert.equal(messages.get(stream), expected);
    assert(followed.get(stream)!.client === client.client.join(""), `what was sent in ${expected}`);
    assert(followed.get(stream)!.server === client.server.join(""), `what was received in ${expected}`);
  }
  return [...comments.values()];
}

for (const hostname of ["127.0.0.1", "::1"]) {
  recordingTest(
    `a recording at ${hostname} has each octet of what was split, pipelined, chunked, large or refused`,
    async () => {
      using folder = new TempFolder();
      const file = folder.file("r.pcapng");
      const told: [Client, string][] = [];
      const flags = ["--host", hostname, "--max-body", "2m"];
      const connect = async (port: number) => await Deno.connect({ hostname, port });
      const port = await recorded(file, flags, connect, async (open) => {
        for (const [, messages, talk] of talks) {
          const client = await open();
          told.push([client, messages]);
          await talk(client);
          // Every other connection is still open when the server is stopped.
          if (told.length % 2 === 0) client.close();
        }
      });
      for (const comments of await compare(file, port, told)) assert(comments.includes("FIN by the server"));
    },
    hostname,
  );
}

recordingTest("a recording has 100 connections at a time, and those that are too many", async () => {
  using folder = new TempFolder();
  const file = folder.file("r.pcapng");
  const told: [Client, string][] = [];
  const connect = async (port: number) => await Deno.connect({ hostname: "127.0.0.1", port });
  const port = await recorded(file, ["--max-connections", "100"], connect, async (open) => {
    for (let i = 0; i < 100; i++) told.push([await open(), "GET POST 404 201"]);
    await Promise.all(told.map(async ([client], i) => {
      await client.exchange(GET);
      const content = "Content-Type: application/json\r\nContent-Length: ";
      await client.exchange(`POST /Momo${i} HTTP/1.1\r\n${HOST}${content}${ROW.length}\r\n\r\n${ROW}`);
    }));
    const refused = await open();
    // Refused before it sends anything.
    await refused.receiveAll();
    told.push([refused, "503"]);
  });
  await compare(file, port, told);
});

recordingTest("a connection with TLS is recorded in the clear", async () => {
  using folder = new TempFolder();
  const file = folder.file("r.pcapng");
  const pem = (name: string) => `${ROOT}tests/testdata/tls/${name}.pem`;
  const caCerts = [await Deno.readTextFile(pem("ca"))];
  const told: [Client, string][] = [];
  const connect = (port: number) => Deno.connectTls({ hostname: "localhost", port, caCerts });
  const port = await recorded(file, ["--cert", pem("cert"), "--key", pem("key")], connect, async (open) => {
    const client = await open();
    told.push([client, "GET 404"]);
    await client.exchange(GET);
    client.close();
  });
  const [comments] = await compare(file, port, told);
  assert.equal(comments[0], "made up: only the kernel sees it; what follows was encrypted by TLS");
});
