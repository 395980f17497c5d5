import assert from "node:assert/strict";
import { runProgram, ServeProcess } from "./serve_process.ts";
import { TempFolder } from "./support.ts";
import { TSHARK, tshark, withTshark } from "./tshark.ts";

Deno.test({
  name: withTshark("both ends can be recorded, each in a file that Wireshark opens"),
  ignore: !TSHARK,
  async fn() {
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
  },
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
