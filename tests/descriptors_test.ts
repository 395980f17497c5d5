/** What a server does when it has no descriptors left: a process of its own, with a low limit. */

import assert from "node:assert/strict";
import { ROOT, ServeProcess } from "./serve_process.ts";
import { Peer } from "./support.ts";

/** Fewer than the connections that a test makes, but more than the program has open when it starts. */
const LIMIT = 64;
const CLIENTS = 48;
const GET = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
const TLS = `${ROOT}tests/testdata/tls/`;

/** Starts `serve`, or another command, with a low limit. Returns the addresses that it prints. */
async function limitedServer(
  args: string[],
  lines: number,
  command = ["serve"],
): Promise<[child: Deno.ChildProcess, urls: URL[]]> {
  const child = new Deno.Command("sh", {
    args: [
      "-c",
      `ulimit -n ${LIMIT} && exec "$0" run --no-prompt --allow-net --allow-read "$@"`,
      Deno.execPath(),
      `${ROOT}main.ts`,
      ...[...command, "--quiet", "--port", "0", ...args],
    ],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let printed = "";
  for await (const piece of child.stdout.pipeThrough(new TextDecoderStream())) {
    printed += piece;
    if (printed.split("\n").length > lines) break;
  }
  return [child, [...printed.matchAll(/https?:\/\/[^\s]+/g)].map(([url]) => new URL(url))];
}

function limitTest(name: string, fn: () => Promise<void>): void {
  if (Deno.build.os !== "windows") Deno.test(name, fn);
  else Deno.test.ignore(`skipped, for Windows has no limit on descriptors: ${name}`, fn);
}

for (const secure of [false, true]) {
  limitTest(
    `at the limit of descriptors every new client is answered, ${secure ? "over TLS" : "over TCP"}`,
    async () => {
      const [child, [{ port }]] = await limitedServer(
        secure ? ["--cert", `${TLS}cert.pem`, "--key", `${TLS}key.pem`] : [],
        1,
      );
      const address = { hostname: "127.0.0.1", port: Number(port) };
      const caCerts = [await Deno.readTextFile(`${TLS}ca.pem`)];
      const peers: Peer[] = [];
      for (let i = 0; i < CLIENTS; i++) {
        const conn = await Deno.connect(address);
        // A request does not wait for what the other end says of the handshake's last octets.
        conn.setNoDelay();
        const { hostname } = address;
        const peer = new Peer(secure ? await Deno.startTls(conn, { hostname, caCerts }) : conn);
        peers.push(peer);
        assert.equal((await peer.exchange(GET)).head.status, 200, `client ${i + 1}`);
      }
      // The first had been idle for longest, the last is still served.
      assert.equal(await peers[0].receiveAll().catch(() => ""), "");
      assert.equal((await peers.at(-1)!.exchange(GET)).head.status, 200);
      for (const peer of peers) peer.close();
      child.kill("SIGTERM");
      assert.deepEqual([(await child.status).code, await child.stderr.text()], [
        0,
        "wiretable: Cannot accept a connection now: Too many open files (os error 24)\n",
      ]);
    },
  );
}

limitTest("at the limit of descriptors the page is served", async () => {
  const [child, [{ port }, page]] = await limitedServer(["--page", "0"], 2);
  const peers: Peer[] = [];
  for (let i = 0; i < LIMIT; i++) {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
    peers.push(new Peer(conn));
  }
  // The last one is accepted only when the others fill all descriptors.
  assert.equal((await peers.at(-1)!.exchange(GET)).head.status, 200);
  const peer = new Peer(await Deno.connect({ hostname: "127.0.0.1", port: Number(page.port) }));
  const { head } = await peer.exchange(`GET /${page.search} HTTP/1.1\r\nHost: ${page.host}\r\n\r\n`);
  assert.equal(head.status, 200);
  for (const { conn } of [...peers, peer]) conn.close();
  child.kill("SIGTERM");
  await Promise.all([child.status, child.stderr.cancel()]);
});

limitTest("at the limit of descriptors a relay still reaches its server for every new client", async () => {
  await using server = await ServeProcess.start(["--quiet"]);
  const [child, [{ port }]] = await limitedServer([], 1, ["relay", `127.0.0.1:${server.port}`]);
  const peers: Peer[] = [];
  for (let i = 0; i < CLIENTS; i++) {
    const peer = new Peer(await Deno.connect({ hostname: "127.0.0.1", port: Number(port) }));
    peers.push(peer);
    assert.equal((await peer.exchange(GET)).head.status, 200, `client ${i + 1}`);
  }
  for (const peer of peers) peer.close();
  child.kill("SIGTERM");
  await Promise.all([child.status, child.stderr.cancel()]);
});
