import assert from "node:assert/strict";
import { ROOT, runProgram as run, ServeProcess, signalTest, STOPS, wiretable } from "./serve_process.ts";
import { Peer, TempFolder } from "./support.ts";

const GET = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

Deno.test("both ends together: the classroom's program", async () => {
  await using server = await ServeProcess.start();
  assert.match(
    server.output,
    /^Listening on http:\/\/127\.0\.0\.1:\d+\/ with rows of type,age,leg in memory; Ctrl-C stops\n$/,
  );
  const address = `127.0.0.1:${server.port}`;
  const input = "post Pingping\nsnail 1 0\npost 핑핑 달팽이 1 0\nget all\nnonsense\nhead Pingping\nq\n";
  const { code, stdout, stderr } = await run(["connect", address], input);
  const row = '{"Pingping":{"type":"snail","age":"1","leg":"0"}}';
  const korean = '{"핑핑":{"type":"달팽이","age":"1","leg":"0"}}';
  const [shown, head] = stdout.split("HTTP/1.1 ");
  assert.equal(shown, `${row}\n${korean}\n{${row.slice(1, -1)},${korean.slice(1, -1)}}\n`);
  assert.match(head, /^200 OK\r\nContent-Type: application\/json\r\nContent-Length: 49\r\n[^]+\r\n\r\n$/);
  assert.match(stderr, /^line 5: Wrong Input: try again \("nonsense" is not a command: .*\)\n$/);
  assert.equal(code, 1);
  await server.printed("HEAD /Pingping HTTP/1.1\r\n");
  assert.match(
    server.output,
    /-----REQUEST-----\nPOST \/Pingping HTTP\/1\.1\r\nHost: 127\.0\.0\.1:\d+\r\n.*\r\n\r\n\{"Pingping"/s,
  );
  assert.match(server.output, /POST \/%ED%95%91%ED%95%91 HTTP\/1\.1\r\n.*Content-Length: 51\r\n\r\n\{"핑핑"/s);

  assert.deepEqual(await run(["connect", address, "get", "Pingping", "--print", "b"]), {
    code: 0,
    stdout: row,
    stderr: "",
  });
  assert.match((await run(["connect", address, "get", "Nobody", "--print=h"])).stdout, /^HTTP\/1\.1 404 Not Found\r\n/);
  assert.equal((await run(["connect", address, "get", "Nobody"])).code, 4);
  const stopped = await server.stop("SIGINT");
  if (STOPS) assert.deepEqual(stopped, { code: 0, stderr: "" });
});

signalTest("serve stops gracefully and answers received requests", async () => {
  await using server = await ServeProcess.start(["--delay", "200", "--verbose"]);
  const peer = await server.connect();
  await peer.send(GET + GET);
  await server.printed("-----REQUEST-----");
  const stopped = server.stop("SIGTERM");
  assert.equal((await peer.receive()).head.status, 200);
  const last = await peer.receive();
  assert.equal(last.head.fields.get("connection"), "close");
  assert.equal(await peer.receiveAll(), "");
  peer.close();
  assert.deepEqual(await stopped, { code: 0, stderr: "" });
  assert.match(
    server.output,
    /^connection 1 opened by 127\.0\.0\.1:\d+ to 127\.0\.0\.1:\d+\nconnection 1 read of \d+ octets$/m,
  );
  assert.match(server.output, /^connection 1 write of \d+ octets$/m);
  assert.match(server.output, /^connection 1 FIN by the server$/m);
  assert.match(server.output, /-----RESPONSE----- 1, 127\.0\.0\.1:\d+, [\d:.]+\nHTTP\/1\.1 200 OK\r\n/);
  assert.match(server.output, /connection 1 closed by the server \(shutting down\) after 2 requests\n$/);
});

signalTest("quiet prints the address alone", async () => {
  await using server = await ServeProcess.start(["--quiet", "--fields", "*"]);
  const peer = await server.connect();
  await peer.exchange(GET);
  peer.close();
  assert.equal((await server.stop()).code, 0);
  assert.match(server.output, /^Listening on http:\/\/\S+ with rows of \* in memory; Ctrl-C stops\n$/);
});

signalTest("the log can be JSON, a line for each event", async () => {
  await using server = await ServeProcess.start(["--log-format", "json", "-v"]);
  const peer = await server.connect();
  await peer.exchange(GET);
  peer.close();
  await server.stop();
  const events = server.output.trimEnd().split("\n").map((line) => JSON.parse(line).event);
  assert.deepEqual(events, ["listening", "opened", "request", "response", "exchange", "closed", "stopped"]);
});

Deno.test("flags reach the server", async () => {
  await using server = await ServeProcess.start([
    ...["--read-only", "--cors", "*", "--max-body", "10", "--max-connections", "1", "--fields", "a:integer"],
  ]);
  const peer = await server.connect();
  const read = await peer.exchange(GET);
  assert.equal(read.head.fields.get("access-control-allow-origin"), "*");
  const write = "PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
  assert.equal((await peer.exchange(`${write}Content-Length: 7\r\n\r\n{"a":1}`)).head.status, 405);
  const other = await server.connect();
  assert.equal((await other.receive()).head.status, 503);
  other.close();
  const refused = await peer.exchange(`${write}Content-Length: 11\r\n\r\n`);
  assert.equal(refused.head.status, 413);
  assert.match(refused.content, /--max-body/);
  assert.equal(refused.head.fields.get("access-control-allow-origin"), "*");
  peer.close();
});

signalTest("serve warns if others can reach the table, and prints a reachable address", async () => {
  await using server = await ServeProcess.start(["--host", "0.0.0.0"]);
  assert.match(server.output, /^Listening on http:\/\/localhost:\d+\/ /);
  const { stderr } = await server.stop();
  assert.match(
    stderr,
    /^wiretable: Anyone who reaches port \d+ of this machine may read and write the table, and all traffic is unencrypted: .*\n$/,
  );
});

const exposures: [flags: string[], line: RegExp][] = [
  [["--token-file", "token"], /^wiretable: All traffic, the token included, is unencrypted: [^\n]*\n$/],
  [
    ["--cert", "cert", "--key", "key", "--read-only"],
    /^wiretable: Anyone who reaches port \d+ of this machine may read the table: --token-file requires a token\n$/,
  ],
  [["--cert", "cert", "--key", "key", "--token-file", "token"], /^$/],
];

for (const [flags, line] of exposures) {
  signalTest(
    `what is open to whom with ${flags.filter((flag) => flag.startsWith("--")).join(" ") || "no flags"}`,
    async () => {
      using folder = new TempFolder();
      await Deno.writeTextFile(folder.file("token"), "secret");
      const tls = (name: string) => `${ROOT}tests/testdata/tls/${name}.pem`;
      const args = flags.map((flag) => flag.startsWith("--") ? flag : flag === "token" ? folder.file(flag) : tls(flag));
      await using server = await ServeProcess.start(["--host", "0.0.0.0", ...args], ["--allow-net", "--allow-read"]);
      assert.match((await server.stop()).stderr, line);
    },
  );
}

Deno.test("a request for a foreign Host is refused, unless it is allowed", async () => {
  const rebound = GET.replace("localhost", "evil.example");
  {
    await using server = await ServeProcess.start();
    const peer = await server.connect();
    assert.equal((await peer.exchange(rebound)).head.status, 421);
    assert.equal((await peer.exchange(GET.replace(" / ", " https://localhost/ "))).head.status, 421);
    peer.close();
  }
  await using server = await ServeProcess.start(["--allow-host", "*"]);
  const peer = await server.connect();
  assert.equal((await peer.exchange(rebound)).head.status, 200);
  peer.close();
});

Deno.test("a token and TLS, from files", async () => {
  using folder = new TempFolder();
  await Deno.writeTextFile(`${folder.path}/token`, "s3cret\n");
  const tls = `${ROOT}tests/testdata/tls/`;
  const files = ["--cert", `${tls}cert.pem`, "--key", `${tls}key.pem`, "--token-file", `${folder.path}/token`];
  await using server = await ServeProcess.start(files, ["--allow-net", "--allow-read"]);
  assert.match(server.output, /^Listening on https:/);
  const connect = ["connect", `https://localhost:${server.port}`, "get", "all", "--cacert", `${tls}ca.pem`];
  const read = ["--allow-net", "--allow-read"];
  assert.equal((await run(connect, "", read)).code, 4);
  const { code, stdout } = await run([...connect, "--token-file", `${folder.path}/token`], "", read);
  assert.deepEqual([code, stdout], [0, "{}"]);
  assert.match(
    (await run(connect.slice(0, 4))).stderr,
    /^wiretable: Cannot connect to localhost:\d+: .*certificate.*\n$/,
  );
});

signalTest("rows in a file survive a restart and a crash", async () => {
  using folder = new TempFolder();
  const permissions = ["--allow-net", "--allow-read", "--allow-write"];
  const args = ["--quiet", "--store", `sqlite:${folder.path}/table.db`];
  let tag: string | undefined;
  {
    await using server = await ServeProcess.start(args, permissions);
    assert.match(server.output, /with rows of type,age,leg in .+table\.db; Ctrl-C stops\n$/);
    const address = `127.0.0.1:${server.port}`;
    assert.equal((await run(["connect", address, "post", "Pingping", "snail", "1", "0"])).code, 0);
    assert.equal((await run(["connect", address, "patch", "Pingping", "age=2"])).code, 0);
    const second = await run(["serve", "--port", "0", ...args], "", permissions);
    assert.deepEqual([second.code, second.stderr], [
      1,
      `wiretable: ${folder.path}/table.db is in use by another server\n`,
    ]);
    const head = (await run(["connect", address, "head", "Pingping", "--print", "h"])).stdout;
    tag = /ETag: (.*)\r/.exec(head)?.[1];
    assert.deepEqual(await server.stop(), { code: 0, stderr: "" });
  }
  assert.deepEqual([...Deno.readDirSync(folder.path)].map(({ name }) => name).sort(), ["table.db", "table.db-lock"]);
  // The writing thread loads its own modules, which the permission to read the folder does not include.
  const narrow = ["--allow-net", `--allow-read=${folder.path}`, `--allow-write=${folder.path}`];
  assert.match(
    (await run(["serve", "--port", "0", ...args], "", narrow)).stderr,
    /--store needs more permissions: deno run --allow-net --allow-read --allow-write \S*main.ts serve --port 0 --quiet --store/,
  );
  for (const signal of ["SIGKILL", "SIGTERM"] as const) {
    await using server = await ServeProcess.start(args, permissions);
    const address = `127.0.0.1:${server.port}`;
    const { stdout } = await run(["connect", address, "get", "Pingping", "--print", "hb"]);
    assert.equal(/ETag: (.*)\r/.exec(stdout)?.[1], tag);
    assert.match(stdout, /\{"Pingping":\{"type":"snail","age":"2","leg":"0"\}\}$/);
    await server.stop(signal);
  }
});

const failures: [name: string, args: string[], permissions: string[], code: number, stderr: RegExp][] = [
  ["no command", [], [], 1, /^wiretable: Expected serve, connect, relay, explain or replay: see --help\n$/],
  ["a field twice", ["serve", "--fields", "a,a"], [], 1, /^wiretable: --fields: The field "a" is named twice\n$/],
  ["a field twice", ["connect", "--fields", "a,a"], [], 1, /^wiretable: --fields: The field "a" is named twice\n$/],
  [
    "an unknown flag",
    ["serve", "--prot"],
    [],
    1,
    /^wiretable: Unknown option '--prot': did you mean --port\? see --help\n$/,
  ],
  [
    "no permission for the network",
    ["serve", "--port", "0"],
    [],
    1,
    /^wiretable: Requires net access to "[^"]+": deno run --allow-net \S*main.ts .*\n$/,
  ],
  [
    "no permission to connect",
    ["connect", "get", "all"],
    [],
    1,
    /^wiretable: Requires net access to "[^"]+": deno run --allow-net \S*main.ts .*\n$/,
  ],
  [
    "no permission for a file",
    ["serve", "--token-file", "some/token"],
    ["--allow-net"],
    1,
    /^wiretable: --token-file some\/token needs a permission: deno run --allow-net --allow-read=some\/token \S*main.ts serve --token-file some\/token\n$/,
  ],
  [
    "a file that is not there",
    ["serve", "--token-file", "some/token"],
    ["--allow-net", "--allow-read"],
    1,
    /^wiretable: --token-file some\/token: \S[^\n]+\n$/,
  ],
  [
    "no permission for the store",
    ["serve", "--port", "0", "--store", "sqlite:table.db"],
    ["--allow-net"],
    1,
    /^wiretable: --store needs more permissions: deno run --allow-net --allow-read --allow-write \S*main\.ts serve --port 0 --store sqlite:table.db\n$/,
  ],
  [
    "an address of another machine",
    ["serve", "--host", "192.0.2.1"],
    ["--allow-net"],
    1,
    /^wiretable: Cannot listen on 192\.0\.2\.1 port 9999: .*\n$/,
  ],
  [
    "no server",
    ["connect", "127.0.0.1:1", "get", "all"],
    ["--allow-net"],
    1,
    /^wiretable: Cannot connect to 127\.0\.0\.1:1: connection refused \(is a server running there\?\)\n$/,
  ],
];

for (const [name, args, permissions, code, stderr] of failures) {
  Deno.test(`${name}: one clear line`, async () => {
    const outcome = await run(args, "", permissions);
    assert.match(outcome.stderr, stderr);
    assert.deepEqual([outcome.code, outcome.stdout], [code, ""]);
  });
}

Deno.test({
  name: Deno.build.os === "linux"
    ? "an output that is full: one clear line"
    : "skipped, for /dev/full is Linux's: an output that is full",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    for (const args of [["--version"], ["serve", "--port", "0"]]) {
      const command = `exec "$0" run --no-prompt --allow-net "$@" > /dev/full`;
      const { code, stderr } = await new Deno.Command("sh", {
        args: ["-c", command, Deno.execPath(), `${ROOT}main.ts`, ...args],
      })
        .output();
      assert.deepEqual([code, new TextDecoder().decode(stderr)], [
        1,
        "wiretable: No space left on device (os error 28)\n",
      ]);
    }
  },
});

Deno.test({
  name: Deno.build.os === "windows"
    ? "skipped, for Windows has no FIFOs: serve stops while nobody reads its output"
    : "serve stops while nobody reads its output",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    using folder = new TempFolder();
    const fifo = folder.file("fifo");
    await new Deno.Command("mkfifo", { args: [fifo] }).output();
    const child = new Deno.Command("sh", {
      args: [
        "-c",
        `exec "$0" run --no-prompt --allow-net "$@" > "${fifo}"`,
        Deno.execPath(),
        `${ROOT}main.ts`,
        "serve",
        "--port",
        "0",
        "-v",
      ],
    }).spawn();
    const reader = await Deno.open(fifo);
    const start = new Uint8Array(1000);
    const port = Number(/:(\d+)\//.exec(new TextDecoder().decode(start.subarray(0, (await reader.read(start))!)))![1]);
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    const content = `{"type":"${"x".repeat(500_000)}","age":1,"leg":0}`;
    const put =
      `PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${content.length}\r\n\r\n`;
    const peer = new Peer(conn);
    // More than a pipe holds, so that a write blocks.
    for (let i = 0; i < 3; i++) assert((await peer.exchange(put + content)).head.status < 300);
    child.kill("SIGTERM");
    assert.equal((await child.status).code, 0);
    peer.close();
    reader.close();
  },
});

Deno.test("a port in use: one line, with a free port", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const { code, stderr } = await run(["serve", "--port", String(port)]);
  listener.close();
  assert.equal(code, 1);
  const free = new RegExp(
    `^wiretable: Port ${port} on 127\\.0\\.0\\.1 is taken; port (\\d+) is free: --port (\\d+)\\n$`,
  ).exec(stderr);
  assert(free !== null, stderr);
  assert.equal(free[1], free[2]);
});

Deno.test("a server that does not answer in time: exit code 2", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const accepted = listener.accept();
  const { code, stderr } = await run(["connect", `127.0.0.1:${port}`, "get", "all", "--timeout", "0.1"]);
  (await accepted).close();
  listener.close();
  assert.deepEqual([code, stderr], [2, "No response came within 0.1 seconds (--timeout)\n"]);
});

signalTest("Ctrl-C ends the client with 130", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const child = wiretable(["connect", `127.0.0.1:${port}`, "get", "all"]);
  await child.stdin.close();
  const conn = await listener.accept();
  await conn.read(new Uint8Array(1000));
  child.kill("SIGINT");
  assert.equal((await child.output()).code, 130);
  conn.close();
  listener.close();
});

Deno.test("help and version need no permission", async () => {
  for (const args of [["--help"], ["serve", "--help"], ["connect", "--help"]]) {
    const { code, stdout, stderr } = await run(args, "", []);
    assert.deepEqual([code, stderr], [0, ""]);
    assert.match(stdout, /^wiretable/);
  }
  const { version } = JSON.parse(await Deno.readTextFile(`${ROOT}deno.json`));
  assert.match((await run(["--version"], "", [])).stdout, new RegExp(`^wiretable ${version} \\(Deno \\d`));
});

Deno.test("a certificate that cannot be used is refused in one line, with its file", async () => {
  using folder = new TempFolder();
  const file = folder.file("none");
  await Deno.writeTextFile(file, "nothing");
  const args = ["serve", "--port", "0", "--cert", file, "--key", file];
  const { code, stderr } = await run(args, "", ["--allow-net", "--allow-read"]);
  assert.deepEqual([code, stderr], [1, `wiretable: --cert ${file}: expected a certificate in PEM, saw none\n`]);
});

Deno.test("help whose reader has left ends without an error message", async () => {
  const child = wiretable(["--help"]);
  await child.stdin.close();
  await child.stdout.cancel();
  assert.equal(new TextDecoder().decode(await child.stderr.bytes()), "");
  assert.equal((await child.status).code, 1);
});
