import assert from "node:assert/strict";
import { runProgram, ServeProcess, wiretable } from "./serve_process.ts";
import { gzipSync } from "node:zlib";
import { TempFolder } from "./support.ts";

function run(args: string[], input: string | Uint8Array = "", permissions?: string[]) {
  return runProgram(["explain", ...args], input, permissions);
}

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

Deno.test("messages on the input are explained, one after the other", async () => {
  const { code, stdout, stderr } = await run(["-"], GET + GET);
  assert.deepEqual([code, stderr], [0, ""]);
  assert.match(stdout, /^ {4}0 GET {33}method: give me a representation;\n/);
  assert.match(stdout, /\n\nrequest 2, from octet 27 on\n {4}0 GET /);
});

Deno.test("responses in a file are read by the methods they answer", async () => {
  using folder = new TempFolder();
  const file = folder.file("responses");
  await Deno.writeTextFile(file, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + "HTTP/1.1 204 No Content\r\n\r\n");
  const { code, stdout } = await run([file, "--answers", "HEAD,GET"], "", [`--allow-read=${file}`]);
  assert.equal(code, 0);
  assert.match(stdout, /=> no content: it answers HEAD/);
  const denied = await run([file], "", []);
  assert.equal(denied.code, 1);
  assert.match(
    denied.stderr,
    /^wiretable: Reading \S+ needs a permission: deno run --allow-net --allow-read=\S+ \S*main\.ts explain \S+\n$/,
  );
});

Deno.test("octets of another protocol after 101 are no fault", async () => {
  const { code, stdout } = await run(["-"], "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n\x81\x02");
  assert.equal(code, 0);
  assert.match(stdout, /\nnot explained, from octet 48 on\n/);
});

Deno.test("a stream of Wireshark is explained: requests and responses in turn", async () => {
  const stream = `${GET}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok${GET}HTTP/1.1 204 No Content\r\n\r\n`;
  const { code, stdout } = await run(["-"], stream);
  assert.equal(code, 0);
  assert.deepEqual(stdout.match(/^\w.* on$/gm), [
    ...["response 1, from octet 27 on", "request 2, from octet 67 on", "response 2, from octet 94 on"],
  ]);
});

Deno.test("Basic credentials and percent-encoding are spelt out", async () => {
  const request = "GET /%ED%95%91 HTTP/1.1\r\nHost: a\r\nAuthorization: Basic dXNlcjpwYXNz\r\n\r\n";
  const { code, stdout } = await run(["-"], request);
  assert.equal(code, 0);
  assert.match(stdout, /\/%ED%95%91 +is \/핑: each %XX one octet of UTF-8\n +\(RFC 3986 §2\.1\)/);
  assert.match(stdout, /dXNlcjpwYXNz +spells user:pass: base64 hides nothing\n +\(RFC 7617 §2\)/);
});

Deno.test("a file with LF is explained, and by --crlf as valid", async () => {
  const lines = GET.replaceAll("\r", "");
  const { code, stdout } = await run(["-"], lines);
  assert.equal(code, 1);
  assert.match(stdout, /!! A bare LF [^]*fix: [^]*--crlf [^]*Host: a\\r\\n +which site/);
  const converted = await run(["-", "--crlf"], lines);
  assert.deepEqual([converted.code, converted.stdout], [0, (await run(["-"], GET)).stdout]);
  // Content and its last line end are apart.
  const content = "POST / HTTP/1.1\nHost: a\nContent-Length: 2\n\nab\n";
  assert.match((await run(["-"], content)).stdout, /one line end too many after the\n? +content/);
});

Deno.test("a file with LF is explained whose first message is long", async () => {
  const { code, stdout } = await run(
    ["-"],
    `POST / HTTP/1.1\nHost: a\nContent-Length: 200000\n\n${"a".repeat(200_000)}`,
  );
  assert.equal(code, 1);
  assert.match(stdout, /!! A bare LF [^]*Host: a\\r\\n +which site[^]* a{10}/);
});

Deno.test("a file without octets of messages is refused by one line, by replay too", async () => {
  using folder = new TempFolder();
  const file = folder.file("page.har");
  await Deno.writeTextFile(file, '{"log":{"version":"1.2"}}');
  const line = new RegExp(
    `^wiretable: ${RegExp.escape(file)} is a HAR file, which has no octets of messages: .*; .*\\n$`,
  );
  for (const command of ["explain", "replay"]) {
    const { code, stdout, stderr } = await runProgram([command, file], "", ["--allow-read"]);
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, line);
  }
});

const endings: [what: string, code: number, start: string, shown: RegExp][] = [
  [
    "a broken message",
    1,
    "\0",
    /^ {4}0 \\0.*\n {6}\^ octet 0\n {6}!! Expected a method [^]*\nThe rest of the input is not read\n$/,
  ],
  ["a broken later message", 1, `${GET}GET / HTTP/1.1\n`, /^request 2, [^]*\n {6}!! A bare LF [^]* is not read\n$/m],
  [
    "the last message",
    1,
    "GET / HTTP/1.0\r\n\r\n",
    /not read: the connection ends\n[^]*\nThe rest of the input is not read\n$/,
  ],
  ["another protocol", 0, "HTTP/1.1 101 A\r\n\r\n", /no longer HTTP: [^]*\nThe rest of the input is not read\n$/],
];

for (const [what, code, start, shown] of endings) {
  Deno.test(`an input without an end is explained up to ${what}`, async () => {
    const child = wiretable(["explain", "-"]);
    const writer = child.stdin.getWriter();
    // As /dev/zero: there is more for as long as anyone reads.
    const written = (async () => {
      await writer.write(new TextEncoder().encode(start));
      for (const zeros = new Uint8Array(1 << 16);;) await writer.write(zeros);
    })();
    const [output] = await Promise.all([child.output(), assert.rejects(written)]);
    assert.equal(output.code, code);
    assert.match(new TextDecoder().decode(output.stdout), shown);
  });
}

const failures: [name: string, args: string[], input: string, message: RegExp][] = [
  ["a message that breaks a rule", ["-"], "GET / HTTP/1.1\nHost: a\r\n\r\n", /^$/],
  ["a message that is not whole", ["-"], "GET / HTTP/1.1\r\n", /^$/],
  ["a message after the last one", ["-"], "GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n", /^$/],
  ["no octets", ["-"], "", /^wiretable: The input holds no octets, so there is no message\n$/],
  ["no file", [], "", /^wiretable: explain takes one file, or - for the input, saw ""\n$/],
  [
    "what is no method",
    ["-", "--answers", "get"],
    "",
    /^wiretable: --answers takes methods such as HEAD,GET, saw "get"\n$/,
  ],
];

for (const [name, args, input, message] of failures) {
  Deno.test(`the exit code is 1 for ${name}`, async () => {
    const { code, stderr } = await run(args, input, []);
    assert.equal(code, 1);
    assert.match(stderr, message);
  });
}

Deno.test("messages may be compressed", async () => {
  assert.deepEqual(await run(["-"], gzipSync(GET), []), await run(["-"], GET, []));
});

Deno.test("colours and all content are shown on request", async () => {
  const message = `PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n${"x".repeat(100_000)}`;
  const shown = await run(["-", "--all", "--color", "always"], message);
  assert.equal(shown.stdout.match(/x/g)?.length, 100_000);
  assert(shown.stdout.includes("\x1b[1mPUT"));
  assert.match((await run(["-"], message)).stdout, /… \d+ more octets \(--all shows them\)\n/);
});

Deno.test("connect explains the last exchange on request, or each with --explain", async () => {
  await using server = await ServeProcess.start();
  const address = `127.0.0.1:${server.port}`;
  const session = await runProgram(
    ["connect", address],
    "explain\npost Pingping snail 1 0\nget Pingping\nexplain\nexplain\n",
  );
  assert.match(session.stderr, /^line \d: Wrong Input: try again \(there was no request yet\)\n$/);
  const [, ...explained] = session.stdout.split(/^ {4}0 GET {6}/m);
  assert.equal(explained.length, 2, "it can be asked for again");
  assert.match(
    explained[0],
    /\n {4}4 \/Pingping {2}[^]*\n {4}0 HTTP\/1\.1 {2}[^]*=> 49 octets of content: Content-Length/,
  );
  const each = await runProgram(["connect", address, "get", "Nobody", "X-Y:z", "--explain", "--print", ""], "");
  assert.equal(each.code, 4);
  assert.match(
    each.stdout,
    /^ {4}0 GET [^]* X-Y: z\\r\\n +an extension field[^]* 404 +status: there is nothing at the target/,
  );
});

Deno.test("an exchange that is not HTTP is explained where it breaks", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    using conn = await listener.accept();
    await conn.read(new Uint8Array(1000));
    await conn.write(new TextEncoder().encode("HTTP/1.1 200 OK\nContent-Length: 0\n\n"));
  })();
  const { code, stdout, stderr } = await runProgram(
    ["connect", `127.0.0.1:${(listener.addr as Deno.NetAddr).port}`, "get", "a", "--explain"],
    "",
  );
  await serving;
  assert.equal(code, 1);
  assert.match(stdout, / {4}0 HTTP\/1\.1 200 OK\\n\n {21}\^ octet 15\n {6}!! A bare LF follows the reason phrase/);
  assert.match(stderr, /^The response is not valid HTTP/);
});
