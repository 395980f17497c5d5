import assert from "node:assert/strict";
import { quoteForShell } from "../lib/cli/program.ts";
import { ROOT, runProgram, ServeProcess, signalTest, wiretable } from "./serve_process.ts";
import { OK, ScriptedServer } from "./client/scripted_server.ts";
import { TempFolder } from "./support.ts";

const GET = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
/** The exchange of one whole GET, as raw prints it. */
const GET_SHOWN = String.raw`^ {2}\d\.\d{3} > {3}35  GET / HTTP/1\.1\\r\\nHost: localhost\\r\\n\\r\\n
by the rules: a complete request: GET /
 {2}\d\.\d{3} < +\d+ {2}HTTP/1\.1 200 OK\\r\\n
( {16}.*
)+as the rules allow
`;

Deno.test("raw is shown the same way piped, alone, and from a file, whatever --print says", async () => {
  await using server = await ServeProcess.start(["--quiet"]);
  using folder = new TempFolder();
  const file = folder.file("request");
  await Deno.writeTextFile(file, GET);
  const address = `127.0.0.1:${server.port}`;
  const command = String.raw`raw "GET / HTTP/1.1\r\n" "Host: localhost\r\n\r\n"`;
  const runs = [
    await runProgram(["connect", address, "--raw", "-", "--print", ""], GET),
    await runProgram(["connect", address, "--raw", file], "", ["--allow-net", `--allow-read=${file}`]),
    await runProgram(["connect", address, "raw", String.raw`"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"`]),
  ];
  for (const { code, stdout, stderr } of runs) {
    assert.deepEqual([code, stderr], [0, ""]);
    assert.match(stdout, new RegExp(`${GET_SHOWN}$`));
  }
  const piped = await runProgram(["connect", address], `${command}\nget all\n`);
  assert.match(
    piped.stdout,
    / > {3}16 {2}[^]* > {3}19 {2}[^]*by the rules: a complete request: GET \/\n[^]*as the rules allow\n\{\}\n$/,
  );
});

Deno.test("--crlf sends CR LF for each bare LF of a file outside of content", async () => {
  await using server = await ServeProcess.start(["--quiet", "--fields", "*"]);
  using folder = new TempFolder();
  const file = folder.file("request");
  const head = "PUT /a HTTP/1.1\nHost: localhost\nContent-Type: application/json\nContent-Length: 11\n\n";
  await Deno.writeTextFile(file, `${head}{\n"b": "1"\n}`.replace("11", "12"));
  const raw = (...flags: string[]) =>
    runProgram(["connect", `127.0.0.1:${server.port}`, "--raw", file, ...flags], "", ["--allow-net", "--allow-read"]);
  assert.match((await raw()).stdout, /by the rules: may be refused: 400 at octet 15/);
  const { code, stdout } = await raw("--crlf");
  assert.equal(code, 0);
  assert.match(
    stdout,
    /Content-Length: 12\\r\\n\\r\\n\{\\n"b": "1"\\n\}\nby the rules: a complete request[^]*201 Created/,
  );
});

Deno.test("raw's exit code is that of the last response, 1 for wrong steps, 2 for no answer in time", async () => {
  await using server = await ServeProcess.start(["--quiet"]);
  const raw = (...steps: string[]) =>
    runProgram(["connect", `127.0.0.1:${server.port}`, "--timeout", "0.2", "raw", ...steps]);
  assert.equal((await raw(String.raw`"GET / HTTP/1.1\n\n"`)).code, 4);
  assert.equal((await raw(`"GET /"`)).code, 2);
  const wrong = await raw("GET");
  assert.deepEqual([wrong.code, wrong.stdout], [1, ""]);
  assert.match(wrong.stderr, /^Wrong Input: try again \(steps are /);
});

/** A server that answers each read with the same octets. */
class SameAnswer implements Disposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly address = `127.0.0.1:${(this.#listener.addr as Deno.NetAddr).port}`;

  constructor(octets: string) {
    this.#serve(new TextEncoder().encode(octets)).catch(() => {});
  }

  async #serve(octets: Uint8Array): Promise<void> {
    for await (const conn of this.#listener) this.#answer(conn, octets).catch(() => {});
  }

  async #answer(conn: Deno.Conn, octets: Uint8Array): Promise<void> {
    using _ = conn;
    while (await conn.read(new Uint8Array(4096)) !== null) await conn.write(octets);
  }

  [Symbol.dispose](): void {
    this.#listener.close();
  }
}

const ODD = "HTTP/1.1 404\r\nA: b\r\n c\r\nContent-Length: 2\r\n\r\n{}";
const FINDINGS = "=> accepted, though a space is missing after the status code (RFC 9112 §4)\n" +
  "=> accepted, though a field is folded over several lines (RFC 9112 §5.2)\n";

Deno.test("a folded field and a missing space are accepted: as they came, and with findings by --explain and -v", async () => {
  using server = new SameAnswer(ODD);
  const plain = await runProgram(["connect", server.address, "--print", "hb", "get", "/"]);
  assert.deepEqual([plain.code, plain.stdout, plain.stderr], [4, ODD, ""]);
  const verbose = await runProgram(["connect", server.address, "-v", "get", "/"]);
  assert.equal(verbose.stdout.endsWith(ODD), true, verbose.stdout);
  assert.equal(verbose.stderr.split("\n").filter((line) => line.startsWith("=>")).join("\n") + "\n", FINDINGS);
  const explained = await runProgram(["connect", server.address, "--explain", "get", "/"]);
  assert(explained.stdout.replace(/^ +/gm, "").includes(FINDINGS), explained.stdout);
});

const BLANK = String.raw`"GET / HTTP/1.1\r\nHost : a\r\n\r\n"`;

Deno.test("an answer against the rules makes the exit code 3, which outranks 4, in piped commands too", async () => {
  using server = new SameAnswer("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
  const alone = await runProgram(["connect", server.address, "raw", BLANK]);
  assert.match(alone.stdout, /^by the rules: must be refused: 400 at octet 20, a blank stands before the colon of a /m);
  assert.match(alone.stdout, /\nagainst the rules: RFC 9112 §5\.1 says 400\n$/);
  assert.equal(alone.code, 3);
  const run = async (...lines: string[]) =>
    (await runProgram(["connect", server.address], `${lines.join("\n")}\n`)).code;
  const codes = [run(`raw ${BLANK}`, "get /"), run("get /", `raw ${BLANK}`, "get /"), run(`raw ${BLANK}`, "grab")];
  assert.deepEqual(await Promise.all(codes), [3, 3, 1]);
});

const failures: [args: string[], input: string, message: RegExp][] = [
  [["--raw", "-"], "", /^wiretable: The input holds no octets to send\n$/],
  [["--crlf", "get", "all"], "", /^wiretable: --crlf needs --raw FILE\n$/],
  [["--raw", "-", "get", "all"], "", /^wiretable: --raw and a command cannot be used together, saw "get"\n$/],
  [
    ["--raw", "some file"],
    "",
    new RegExp(
      `^wiretable: --raw some file needs a permission: deno run --allow-net ${
        quoteForShell("--allow-read=some file")
      } ` +
        `\\S*main\\.ts connect --raw ${quoteForShell("some file")}\\n$`,
    ),
  ],
];

for (const [args, input, message] of failures) {
  Deno.test(`connect ${args.join(" ")} is refused in one line`, async () => {
    const { code, stderr } = await runProgram(["connect", ...args], input);
    assert.equal(code, 1);
    assert.match(stderr, message);
  });
}

Deno.test("connect -v shows the request, and the life of the connection on standard error when piped", async () => {
  await using server = await ServeProcess.start(["--quiet"]);
  const { stdout, stderr } = await runProgram(["connect", "-v", `127.0.0.1:${server.port}`, "get", "all"]);
  assert.match(stdout, /^GET \/ HTTP\/1\.1\r\n[^]*\r\n\r\nHTTP\/1\.1 200 OK\r\n[^]*\{\}$/);
  assert.match(
    stderr,
    new RegExp(
      `^connection 1 opened by 127\\.0\\.0\\.1:\\d+ to 127\\.0\\.0\\.1:${server.port}\n` +
        "connection 1 write of \\d+ octets\nconnection 1 read of \\d+ octets\n" +
        "connection 1 FIN by the client\nconnection 1 closed by the client\n$",
    ),
  );
});

Deno.test("a script is told why its connection is a new one, and what a server said before it was asked", async () => {
  await using server = new ScriptedServer([OK, "close now"], [OK]);
  const closed = await runProgram(["connect", `127.0.0.1:${server.port}`], "get /\nget /\n");
  assert.deepEqual([closed.code, closed.stdout], [0, "ok\nok\n"]);
  // It may have ended before the second request, or while that was sent.
  assert.match(closed.stderr, /^\(The server closed(?:: FIN after 0 s idle; this| the connection without .*) .*\)\n$/);
  await using first = new ScriptedServer(["now SSH-2.0-OpenSSH_9\r\n", "silence"], [
    "now SSH-2.0-OpenSSH_9\r\n",
    "silence",
  ]);
  for (const [args, input] of [[["get", "/"], ""], [[], "get /\n"]] as const) {
    const { code, stderr } = await runProgram(["connect", `127.0.0.1:${first.port}`, ...args], input);
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^(?:line 1: )?The (?:server sent \d+ octets? before there was a request: |response is not valid HTTP: .* sent: )S[^\n]*\n$/,
    );
  }
});

Deno.test("a file of content that cannot be read is wrong input, and names what to do", async () => {
  await using server = await ServeProcess.start(["--quiet"]);
  const post = (...permissions: string[]) =>
    runProgram(["connect", `127.0.0.1:${server.port}`], "post a @no-such-file\n", ["--allow-net", ...permissions]);
  const missing = await post("--allow-read");
  assert.deepEqual([missing.code, missing.stdout], [1, ""]);
  assert.match(missing.stderr, /^line 1: Wrong Input: try again \(@no-such-file: [^\n]+\)\n$/);
  assert.match(
    (await post()).stderr,
    /^line 1: Wrong Input: try again \(@no-such-file needs a permission\): deno run --allow-net --allow-read=no-such-file [^\n]*[^)]\n$/,
  );
  using folder = new TempFolder();
  const token = folder.file("token");
  await Deno.writeTextFile(token, "s3cret");
  const { stderr } = await runProgram(
    ["connect", `127.0.0.1:${server.port}`, "--token-file", token, "post", "a", "@no-such-file"],
    "",
    ["--allow-net", `--allow-read=${token}`],
  );
  assert(stderr.includes(` ${quoteForShell(`--allow-read=${token},no-such-file`)} `), "the command keeps what it had");
});

Deno.test("content that cannot be read is refused before anything is connected", async () => {
  const { code, stderr } = await runProgram(["connect", "127.0.0.1:1", "post", "a", "@no-such-file"], "", [
    "--allow-net",
    "--allow-read",
  ]);
  assert.equal(code, 1);
  assert.match(stderr, /^Wrong Input: try again \(@no-such-file: [^\n]+\)\n$/);
});

Deno.test("a refused certificate is explained, and the printed command accepts it", async () => {
  const pem = (name: string) => `${ROOT}tests/testdata/tls/${name}.pem`;
  const files = ["--cert", pem("cert"), "--key", pem("key"), "--quiet"];
  await using server = await ServeProcess.start(files, ["--allow-net", "--allow-read"]);
  const { code, stderr } = await runProgram(["connect", `https://localhost:${server.port}`, "get", "all"]);
  assert.equal(code, 1);
  const command =
    /^wiretable: Cannot connect to localhost:\d+: its certificate is not signed by a trusted authority; --cacert FILE adds one; to accept any certificate of localhost: (deno run --allow-net --unsafely-ignore-certificate-errors=localhost .*)\n$/
      .exec(stderr)?.[1];
  assert(command, stderr);
  const [, ...words] = command.split(" ");
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: words }).output();
  assert.equal(new TextDecoder().decode(stdout), "{}");
});

Deno.test("an installed command names itself in what to type for another server", async () => {
  const { code, stderr } = await runProgram(["--installed", "connect", "127.0.0.1:1", "get", "http://a:2/b?c"]);
  assert.equal(code, 1);
  assert.match(stderr, /: wiretable connect http:\/\/a:2 get (["'])\/b\?c\1\n$/);
});

for (const [signal, code] of [["SIGINT", 130], ["SIGHUP", 129], ["SIGTERM", 143]] as const) {
  signalTest(`${signal} in a response: what came of it, and how the connection ended, are shown`, async () => {
    await using server = new ScriptedServer(["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart", "silence"]);
    const child = wiretable(["connect", `127.0.0.1:${server.port}`, "-v", "--explain", "get", "/"]);
    const [output, errors] = [child.stdout, child.stderr].map((stream) => stream.pipeThrough(new TextDecoderStream()));
    const told = Array.fromAsync(errors);
    let shown = "";
    for await (const text of output) {
      shown += text;
      if (shown.endsWith("part")) child.kill(signal);
    }
    assert.match(shown, /part\n[^]*=> needs 5 more octets of content\n/);
    const lines = (await told).join("").split("\n");
    assert(lines.includes("connection 1 closed by the client"));
    assert(lines.some((line) => line.startsWith("Cancelled; the connection is closed, ")));
    assert.equal((await child.status).code, code);
  });
}
