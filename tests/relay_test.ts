import assert from "node:assert/strict";
import { readPieces } from "../lib/bytes.ts";
import { ROOT, runProgram, ServeProcess, signalTest } from "./serve_process.ts";
import { freePort, Peer, TempFolder } from "./support.ts";
import { octetString, wireOctets } from "./wire_cases.ts";
import { TSHARK, tshark, withTshark } from "./tshark.ts";

const TLS = `${ROOT}tests/testdata/tls/`;

/** A server that answers each connection's first head with these octets, and closes. */
function answering(octets: string | Uint8Array): Deno.Listener & { port: number } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  (async () => {
    for await (const conn of listener) {
      let came = "";
      for await (const piece of readPieces(conn, 65536)) {
        came += octetString(piece);
        if (/\n\r?\n/.test(came)) break;
      }
      await new Peer(conn).send(octets);
      await conn.closeWrite();
      conn.close();
    }
  })().catch(() => {});
  return Object.assign(listener, { port: (listener.addr as Deno.NetAddr).port });
}

async function relayTo(url: string, args: string[] = [], permissions?: string[]): Promise<ServeProcess> {
  return await ServeProcess.start(args, permissions, ["relay", url, "--port", "0"]);
}

/** Sends octets, and returns all that comes back. */
async function exchange(relay: ServeProcess, octets: string): Promise<string> {
  const peer = await relay.connect();
  await peer.send(octets);
  const answer = await peer.receiveAll();
  peer.close();
  return answer;
}

Deno.test("messages are printed with what was changed in them, and what there is to say", async () => {
  using server = answering(
    "HTTP/1.1 302 Found\r\nLocation: https://api.example/\r\nSet-Cookie: a=b; Domain=api.example\r\nContent-Length: 2\r\n\r\nhi",
  );
  await using relay = await relayTo(`127.0.0.1:${server.port}`, ["-v"]);
  await exchange(
    relay,
    "POST / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret\r\nContent-Length: 3\r\n\r\nabc",
  );
  await relay.printed("connection 1 of");
  const [, listening, rest] = /^(.*)\n([^]*)/.exec(relay.output)!;
  assert.match(
    listening,
    /^Listening on http:\/\/127\.0\.0\.1:\d+\/, passing to http:\/\/127\.0\.0\.1:\d+\/; Ctrl-C stops$/,
  );
  const shown = rest.replaceAll(/:\d{4,5}/g, ":PORT").replace(/[\d.]+ s\n/, "TIME\n");
  assert.equal(
    shown,
    "-----REQUEST-----\n" +
      "POST / HTTP/1.1\r\nHost: localhost -> 127.0.0.1:PORT\r\nAuthorization: Bearer (6 octets)\r\nContent-Length: 3\r\n\r\n" +
      "abc\n-----RESPONSE-----\n" +
      "HTTP/1.1 302 Found\r\nLocation: https://api.example/\r\nSet-Cookie: (23 octets)\r\nContent-Length: 2\r\n\r\n" +
      "hi\n" +
      "=> Location leaves the relay: https://api.example/ is not at http://localhost (RFC 9110 §10.2.2)\n" +
      "=> a browser at localhost refuses the cookie a: its Domain is api.example (RFC 6265 §5.3)\n" +
      "connection 1 of 127.0.0.1:PORT closed by the server after 1 request, 94 octets to the server, 112 back, TIME\n",
  );
});

Deno.test("a broken request passes, and is shown with rule, degree, caret and fix", async () => {
  using server = answering("HTTP/1.1 200 OK\nContent-Length: 2\n\nok");
  await using relay = await relayTo(`127.0.0.1:${server.port}`);
  assert.match(await exchange(relay, "GET / HTTP/1.1\nHost: localhost\n\n"), /^HTTP\/1\.1 200 OK\n/);
  await relay.printed("reason phrase");
  for (
    const line of [
      "    0 GET / HTTP/1.1\\n\n                    ^ octet 14\n",
      "!! A bare LF follows the HTTP version: may be refused, or read as a line end (RFC 9112 §2.2)",
      "fix: end every line with \\r\\n",
      "Host: localhost -> 127.0.0.1:",
      "!! A bare LF follows the reason phrase: may be refused, or read as a line end (RFC 9112 §2.2)",
    ]
  ) await relay.printed(line);
});

Deno.test("of each content at most 16 KiB is printed, decoded, and the rest counted", async () => {
  const text = new Blob([`{"a":"${"b".repeat(40_000)}"}`]).stream().pipeThrough(new CompressionStream("gzip"));
  const coded = new Uint8Array(await new Response(text).arrayBuffer());
  const head = `HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${coded.length}\r\n\r\n`;
  using server = answering(Uint8Array.from([...wireOctets(head), ...coded]));
  await using relay = await relayTo(`127.0.0.1:${server.port}`);
  const peer = await relay.connect();
  await peer.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await peer.receiveAll();
  peer.close();
  await relay.printed("more characters");
  assert.match(relay.output, /\r\n\{"a":"b{16378}\n… 23\d\d\d more characters\n/);
});

Deno.test("a message that goes on after another one was printed says which one it is", async () => {
  using server = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await using relay = await relayTo(`127.0.0.1:${(server.addr as Deno.NetAddr).port}`);
  const head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\n";
  const [one, other] = [await relay.connect(), await relay.connect()];
  await one.send(`${head}one`);
  await relay.printed("one");
  await other.send(`${head}two`);
  await relay.printed("two");
  await one.send("end");
  await relay.printed("end");
  one.close();
  other.close();
  assert.match(relay.output, /\r\n\r\none\n-----REQUEST----- 2, [^\n]*\n[^]*two\n-----REQUEST----- 1, continued\nend/);
});

Deno.test("--explain labels each exchange, and --quiet prints nothing", async () => {
  using server = answering(`HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n${"ok ".repeat(1000)}`);
  await using relay = await relayTo(`127.0.0.1:${server.port}`, ["--explain"]);
  await exchange(relay, "GET / HTTP/1.1\r\nHost: localhost\r\nCookie: s3cret\r\n\r\n");
  await relay.printed("=> 3000 octets of content: Content-Length (RFC 9112 §6.3)");
  assert.match(relay.output, /Cookie: \(6 octets\)\\r\\n/);
  assert.match(relay.output, /Host: localhost\\r\\n +which site this is for \(RFC 9110 §7\.2\)/);
  // There is no --all as of explain.
  assert.match(relay.output, /\n +… \d+ more octets\n/);
  await using quiet = await relayTo(`127.0.0.1:${server.port}`, ["--quiet"]);
  await exchange(quiet, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await quiet.stop();
  assert.equal(quiet.output.split("\n").length, 2);
});

signalTest("--log-format json prints an object for each exchange", async () => {
  using server = answering("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno");
  await using relay = await relayTo(`127.0.0.1:${server.port}`, ["--log-format", "json"]);
  await exchange(relay, "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await exchange(relay, "GET /| HTTP/1.1\r\nHost: evil.example\r\n\r\n");
  await relay.stop();
  const lines = relay.output.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(lines.map(({ event }) => event), ["listening", "exchange", "exchange", "stopped"]);
  const { time: _, peer, ms, ...first } = lines[1];
  assert.match(peer, /^127\.0\.0\.1:\d+$/);
  assert(ms >= 0);
  assert.deepEqual(first, {
    event: "exchange",
    connection: 1,
    method: "GET",
    target: "/a",
    status: 404,
    requestOctets: 36,
    responseOctets: 47,
  });
  assert.equal(lines[2].status, 421);
  assert.deepEqual({ ...lines[3], time: 0 }, { time: 0, event: "stopped", connections: 2, exchanges: 2 });
});

signalTest("https to the server, and with clients, and every octet through both", async () => {
  const pem = (name: string) => `${TLS}${name}.pem`;
  const read = `--allow-read=${["ca", "cert", "key"].map(pem).join()}`;
  await using server = await ServeProcess.start(["--quiet", "--cert", pem("cert"), "--key", pem("key")], [
    "--allow-net",
    read,
  ]);
  const args = ["--cacert", pem("ca"), "--cert", pem("cert"), "--key", pem("key")];
  await using relay = await relayTo(`https://localhost:${server.port}`, args, ["--allow-net", read]);
  const values = ["post", "Momo", "cat", "3", "4"];
  const { stdout, code } = await runProgram(
    ["connect", `https://localhost:${relay.port}`, ...values, "--cacert", pem("ca")],
    "",
    ["--allow-net", read],
  );
  assert.deepEqual([code, stdout], [0, '{"Momo":{"type":"cat","age":"3","leg":"4"}}']);
  await relay.printed(`Host: localhost:${relay.port} -> localhost:${server.port}\r\n`);
  const plain = await relayTo(`https://localhost:${server.port}`, []);
  const answer = await exchange(plain, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  assert.match(answer, /^HTTP\/1\.1 502 Bad Gateway\r\n[^]*certificate is not signed by a trusted authority/);
  await plain[Symbol.asyncDispose]();
});

Deno.test({
  name: withTshark("both hops are recorded, each with its own interface, and replay takes the client's"),
  ignore: !TSHARK || Deno.build.os === "windows",
  fn: async () => {
    using folder = new TempFolder();
    const file = folder.file("relay.pcapng");
    await using server = await ServeProcess.start(["--quiet"]);
    await using relay = await relayTo(`127.0.0.1:${server.port}`, ["--record", file], [
      "--allow-net",
      `--allow-write=${file}`,
    ]);
    const peer = await relay.connect();
    await peer.exchange("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    peer.close();
    await relay.stop();
    const fields = ["frame.interface_name", "tcp.stream", "http.host", "http.response.code"];
    const found = await tshark(
      file,
      [server.port, relay.port],
      ...["-Y", "http", "-T", "fields", ...fields.flatMap((field) => ["-e", field])],
    );
    assert.deepEqual(found.trimEnd().split("\n").map((line) => line.trimEnd()), [
      "client to relay\t0\tlocalhost",
      `relay to server\t1\t127.0.0.1:${server.port}`,
      "relay to server\t1\t\t200",
      "client to relay\t0\t\t200",
    ]);
    const { stdout, code } = await runProgram(
      ["replay", file, "--to", `127.0.0.1:${server.port}`],
      "",
      ["--allow-net", `--allow-read=${file}`],
    );
    assert.equal(code, 0, stdout);
    assert.match(stdout, /1 exchange: the same/);
  },
});

Deno.test("a server that cannot be reached is told in one line, and its client gets 502", async () => {
  const port = freePort();
  await using relay = await relayTo(`127.0.0.1:${port}`);
  const answer = await exchange(relay, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  assert.match(answer, /^HTTP\/1\.1 502 Bad Gateway\r\n/);
  await relay.printed(
    `connection 1 answered 502 (RFC 9110 §15.6.3): Cannot connect to 127.0.0.1:${port}: connection refused`,
  );
});

Deno.test("its own address is a usage error that says what to type", async () => {
  const port = freePort();
  for (const host of ["localhost", "127.0.0.1", "http://127.0.0.1"]) {
    const { code, stderr } = await runProgram(["relay", `${host}:${port}`, "--port", String(port)]);
    assert.equal(code, 1);
    assert.match(stderr, /is the relay's own address: give the server's, or listen elsewhere with --port \d+\n$/);
  }
});
