import assert from "node:assert/strict";
import { ROOT, runProgram, ServeProcess, signalTest } from "./serve_process.ts";
import { Peer, TempFolder } from "./support.ts";
import { Terminal, tmuxTest } from "./tmux.ts";

const pem = (name: string) => `${ROOT}tests/testdata/tls/${name}.pem`;
const READ = ["--allow-net", "--allow-read"];

/** The status of a GET with a token. */
async function statusWith(peer: Peer, token: string): Promise<number> {
  const request = `GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n\r\n`;
  return (await peer.exchange(request)).head.status;
}

signalTest("SIGHUP rotates tokens, for kept connections too; a wrong file changes nothing", async () => {
  using folder = new TempFolder();
  const file = folder.file("tokens");
  await Deno.writeTextFile(file, "old\n");
  await using server = await ServeProcess.start(["--quiet", "--token-file", file], READ);
  const peer = await server.connect();
  assert.deepEqual([await statusWith(peer, "old"), await statusWith(peer, "new")], [200, 401]);
  // Each step, the tokens that are accepted after it, and what is said: every time, the same too.
  const said = "wiretable: SIGHUP: read --token-file again\n";
  const steps: [text: string | undefined, accepted: number[], line: string][] = [
    ["new\nold\n", [200, 200], said],
    ["new\n\n", [401, 200], said],
    ["two words", [401, 200], `wiretable: SIGHUP: nothing has changed: --token-file ${file}: expected one token of `],
    [undefined, [401, 200], `wiretable: SIGHUP: nothing has changed: --token-file ${file}: `],
    ["old", [200, 401], said],
  ];
  for (const [text, accepted, line] of steps) {
    if (text === undefined) await Deno.remove(file);
    else await Deno.writeTextFile(file, text);
    server.errors = "";
    server.signal("SIGHUP");
    await server.printed(line);
    assert.deepEqual([await statusWith(peer, "old"), await statusWith(peer, "new")], accepted);
    assert.match(server.errors, /^[^\n]+\n$/);
  }
  peer.close();
  assert.equal((await server.stop()).code, 0);
});

signalTest("SIGHUP changes the certificate and the tokens together or not at all; connections go on", async () => {
  using folder = new TempFolder();
  const [cert, key, tokens] = ["cert", "key", "tokens"].map((name) => folder.file(name));
  await Deno.copyFile(pem("cert"), cert);
  await Deno.copyFile(pem("key"), key);
  await Deno.writeTextFile(tokens, "a");
  await using server = await ServeProcess.start(
    ["--quiet", "--cert", cert, "--key", key, "--token-file", tokens],
    READ,
  );
  const caCerts = [Deno.readTextFileSync(pem("ca"))];
  const connect = async () => new Peer(await Deno.connectTls({ hostname: "localhost", port: server.port, caCerts }));
  const refused = async (reason: RegExp) => {
    const peer = await connect();
    await assert.rejects(statusWith(peer, "b"), reason);
    peer.close();
  };
  const kept = await connect();
  assert.equal(await statusWith(kept, "a"), 200);

  await Deno.writeTextFile(tokens, "b");
  await Deno.writeTextFile(key, "no key");
  server.signal("SIGHUP");
  await server.printed(`SIGHUP: nothing has changed: --key ${key}: expected a key in PEM, saw none\n`);
  assert.deepEqual([await statusWith(kept, "a"), await statusWith(kept, "b")], [200, 401]);

  await Deno.copyFile(pem("key"), key);
  await Deno.copyFile(pem("other_name"), cert);
  server.signal("SIGHUP");
  await server.printed("SIGHUP: read --token-file, --cert and --key again\n");
  assert.deepEqual([await statusWith(kept, "a"), await statusWith(kept, "b")], [401, 200]);
  await refused(/invalid peer certificate/);

  await Deno.copyFile(pem("expired"), cert);
  server.signal("SIGHUP");
  await server.printed(`--key again; --cert ${cert}: clients will refuse it: it has expired on `);
  await refused(/invalid peer certificate/);
  assert.equal(await statusWith(kept, "b"), 200);
  kept.close();
  assert.equal((await server.stop()).code, 0);
});

signalTest("SIGHUP without files to read says so, and the server goes on", async () => {
  await using server = await ServeProcess.start(["--quiet"]);
  const line = "wiretable: SIGHUP: there is no --token-file, --cert or --key to read again\n";
  for (const lines of [line, line.repeat(2)]) {
    server.signal("SIGHUP");
    await server.printed(lines);
  }
  const peer = await server.connect();
  assert.equal(await statusWith(peer, ""), 200);
  peer.close();
  assert.deepEqual(await server.stop(), { code: 0, stderr: line.repeat(2) });
});

tmuxTest("SIGHUP ends a server whose standard input is a terminal, as one that is closed should", async () => {
  const program = `exec ${Deno.execPath()} run --no-check --allow-net ${ROOT}main.ts serve --port 0`;
  await using terminal = await Terminal.start(`sh -c 'echo pid $$; ${program}'`, 120);
  const shown = await terminal.shown(/Listening on /);
  Deno.kill(Number(/^pid (\d+)$/m.exec(shown)![1]), "SIGHUP");
  await terminal.shown(/\[exit 0\]$/);
});

signalTest(
  "the JSON log has one object an exchange, between listening and stopped; --quiet leaves those two",
  async () => {
    for (const quiet of [false, true]) {
      await using server = await ServeProcess.start(["--log-format", "json", ...quiet ? ["-q"] : []]);
      const peer = await server.connect();
      assert.equal(await statusWith(peer, ""), 200);
      const icon = await peer.exchange("GET /favicon.ico HTTP/1.1\r\nHost: localhost\r\n\r\n");
      assert.equal(icon.head.status, 404);
      peer.close();
      await server.stop();
      const [first, ...events] = server.output.trimEnd().split("\n").map((line) => JSON.parse(line));
      const last = events.pop();
      assert.deepEqual([first.event, typeof first.url], ["listening", "string"]);
      assert.deepEqual([last.event, last.connections, last.exchanges], ["stopped", 1, 2]);
      assert.deepEqual(
        events.map(({ event, target, status, rule }) => [event, target, status, rule]),
        quiet ? [] : [["exchange", "/", 200, undefined], ["exchange", "/favicon.ico", 404, "RFC 9110 §15.5.5"]],
      );
    }
  },
);

const ROWS = '{"Momo":{"type":"cat","age":"3","leg":"4"},"Rex":{"type":"dog","age":"10","leg":"4"}}';
const ALL = ["--allow-net", "--allow-read", "--allow-write"];

/** What `get all` prints. */
async function listed(server: ServeProcess): Promise<string> {
  return (await runProgram(["connect", `127.0.0.1:${server.port}`, "get", "all"])).stdout;
}

Deno.test("--rows fills a table in memory, of which only reading is allowed, with the file's permission alone", async () => {
  using folder = new TempFolder();
  const file = folder.file("rows.json");
  await Deno.writeTextFile(file, ROWS);
  const args = ["--quiet", "--read-only", "--rows", file];
  await using server = await ServeProcess.start(args, ["--allow-net", `--allow-read=${file}`]);
  assert.equal(await listed(server), ROWS);
  const refused = await runProgram(["serve", "--port", "0", ...args]);
  assert.equal(refused.code, 1);
  assert.match(
    refused.stderr,
    /^wiretable: Reading .* needs a permission: deno run --allow-net .*--allow-read=.* --rows .*\n$/,
  );
});

Deno.test("--rows fills an SQLite file once, and then says that it is not read", async () => {
  using folder = new TempFolder();
  const file = folder.file("rows.ndjson");
  await Deno.writeTextFile(file, ROWS.replace("},", "}}\n{"));
  const args = ["--quiet", "--store", `sqlite:${folder.file()}`, "--rows", file];
  const lines: string[] = [];
  for (const added of [0, 1]) {
    await using server = await ServeProcess.start(args, ALL);
    const rows = await listed(server);
    assert.equal(Object.keys(JSON.parse(rows)).length, 2 + added, rows);
    assert.equal((await runProgram(["connect", `127.0.0.1:${server.port}`, "put", `new`, "a", "1", "2"])).code, 0);
    await server.kill();
    lines.push(server.errors);
  }
  assert.deepEqual(lines, [
    "",
    `wiretable: --rows ${file} is not read: ${folder.file()} has 3 rows already\n`,
  ]);
});

Deno.test("--rows with a wrong row ends in one line with file and row, and the file's table stays empty", async () => {
  using folder = new TempFolder();
  const file = folder.file("rows.json");
  await Deno.writeTextFile(file, ROWS.replace('"age":"10",', ""));
  const args = ["serve", "--port", "0", "--store", `sqlite:${folder.file()}`, "--rows", file];
  const { code, stdout, stderr } = await runProgram(args, "", ALL);
  assert.deepEqual([code, stdout], [1, ""]);
  assert.match(stderr, /^wiretable: --rows \S+rows\.json: .* "Rex": it has a wrong field: age .* \(row 2\)\n$/);
  await using server = await ServeProcess.start(["--store", `sqlite:${folder.file()}`], ALL);
  assert.equal(await listed(server), "{}");
});

signalTest("a server that answers on the same port of another address is told of, and this one serves", async () => {
  using folder = new TempFolder();
  const other = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = other.addr as Deno.NetAddr;
  const answering = (async () => {
    for await (const conn of other) conn.close();
  })();
  // Linux refuses what Windows and macOS allow: there, the second server gets another port instead.
  const preload = folder.file("listen.js");
  await Deno.writeTextFile(
    preload,
    `const { listen } = Deno;
    Deno.listen = (options) => {
      try {
        return listen(options);
      } catch {
        return listen({ ...options, port: 0 });
      }
    };`,
  );
  const args = ["--quiet", "--host", "0.0.0.0", "--port", String(port)];
  await using server = await ServeProcess.start(args, ["--allow-net", `--preload=${preload}`]);
  const { code, stderr } = await server.stop();
  assert.equal(code, 0);
  assert.equal(
    stderr.split("\n")[0],
    `wiretable: Another server answers on port ${port} of 127.0.0.1: clients may reach that one`,
  );
  other.close();
  await answering;
});

/** This machine's IPv4 addresses that others reach, asked by a process that may see them. */
async function othersAddresses(): Promise<string[]> {
  const code = "console.log(JSON.stringify(Deno.networkInterfaces()))";
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["eval", code] }).output();
  const all: Deno.NetworkInterfaceInfo[] = JSON.parse(new TextDecoder().decode(stdout));
  return all.filter(({ family, address }) => family === "IPv4" && !address.startsWith("127."))
    .map(({ address }) => address);
}

Deno.test("on all addresses, what others can type is printed, or how to see it", async () => {
  const relay = ["relay", "http://127.0.0.1:9"];
  const sys = ["--allow-net", "--allow-sys=networkInterfaces"];
  for (const [permissions, command] of [[["--allow-net"]], [["--allow-net"], relay], [sys]]) {
    await using serve = await ServeProcess.start(["--host", "0.0.0.0"], permissions, command);
    if (permissions.length === 1) {
      await serve.printed(`Others reach it at http://ADDRESS-OF-THIS-MACHINE:${serve.port}/`);
      await serve.printed("--allow-sys=networkInterfaces");
      continue;
    }
    for (const address of await othersAddresses()) {
      await serve.printed(`Others reach it at http://${address}:${serve.port}/`);
    }
  }
});
