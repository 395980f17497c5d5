import assert from "node:assert/strict";
import { runProgram, ServeProcess } from "./serve_process.ts";
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

const failures: [name: string, args: string[], input: string, message: RegExp][] = [
  ["a message that breaks a rule", ["-"], "GET / HTTP/1.1\nHost: a\r\n\r\n", /^$/],
  ["a message that is not whole", ["-"], "GET / HTTP/1.1\r\n", /^$/],
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
  assert.match(session.stderr, /^Wrong Input: try again \(there was no request yet\)\n$/);
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
