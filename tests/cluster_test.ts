import assert from "node:assert/strict";
import { octetString } from "../lib/bytes.ts";
import { certificate, EtcdNodes, etcdTest as test } from "./store/etcd_nodes.ts";
import { ROOT, runProgram, ServeProcess, wiretable } from "./serve_process.ts";
import { type Peer, TempFolder, type WholeResponse } from "./support.ts";

const GET = "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n";

function put(name: string, row: string, fields = ""): string {
  return `PUT /${name} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n` +
    `${fields}Content-Length: ${row.length}\r\n\r\n${row}`;
}

/** The first response that is no 503. */
async function afterRecovery(peer: Peer, request: string): Promise<WholeResponse> {
  for (;;) {
    const response = await peer.exchange(request);
    if (response.head.status !== 503) return response;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

test("serve starts without its cluster, says 503 until it is there, and recovers by itself", async () => {
  await using nodes = await EtcdNodes.start();
  const { store } = nodes;
  for (let i = 0; i < nodes.count; i++) await nodes.signal(i, "SIGKILL");

  // The network is all that it needs.
  await using server = await ServeProcess.start(["--quiet", "--fields", "*", "--store", store], ["--allow-net"]);
  assert.match(server.output, new RegExp(`rows of \\* in etcd at ${nodes.urls.join()}; Ctrl-C stops\n$`));
  const peer = await server.connect();
  for (const request of [GET, put("a", "{}"), "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"]) {
    const { head, content } = await peer.exchange(request);
    assert.equal(head.status, 503);
    assert.equal(head.fields.get("retry-after"), "1");
    assert.equal(JSON.parse(content).detail, "The table's cluster does not answer");
  }
  for (let i = 0; i < nodes.count; i++) nodes.launch(i);
  await nodes.healthy();
  assert.equal((await afterRecovery(peer, put("a", '{"b":1}'))).head.status, 201);
  assert.equal((await peer.exchange(GET)).content, '{"a":{"b":1}}');
  peer.close();
  const { code, stderr } = await server.stop();
  assert.equal(code, 0);
  assert.match(
    stderr,
    /^wiretable: The table's cluster does not answer: http:\/\/127\.0\.0\.1:\d+: .*refused.*; asked again until it does\n(.*\n)*wiretable: The table's cluster answers\n$/,
  );
});

test("two servers share a table: 32 clients that patch one counter under preconditions end at the exact count", async () => {
  await using nodes = await EtcdNodes.start();
  const args = ["--quiet", "--fields", "count:integer", "--store", `${nodes.store}/counters`];
  await using one = await ServeProcess.start(args);
  await using other = await ServeProcess.start(args);
  const first = await one.connect();
  assert.equal((await first.exchange(put("a", '{"count":0}'))).head.status, 201);
  const each = 1;
  await Promise.all(Array.from({ length: 32 }, async (_, i) => {
    const peer = await (i % 2 === 0 ? one : other).connect();
    for (let done = 0; done < each;) {
      const { head, content } = await peer.exchange(GET);
      const row = JSON.stringify({ count: JSON.parse(content).a.count + 1 });
      const { head: { status } } = await peer.exchange(put("a", row, `If-Match: ${head.fields.get("etag")}\r\n`));
      assert([200, 412].includes(status), String(status));
      if (status === 200) done++;
    }
    peer.close();
  }));
  assert.equal((await first.exchange(GET)).content, `{"a":{"count":${32 * each}}}`);
  first.close();
  const { kvs } = await nodes.ask(0, "/v3/kv/range", { key: btoa("counters/r/a") });
  assert.equal(Number(kvs[0].version), 1 + 32 * each);
});

test("a bulk POST beyond what etcd takes is refused with the flag that allows it, and connect sends it in pieces", async () => {
  await using nodes = await EtcdNodes.start({ args: [] });
  await using server = await ServeProcess.start(["--quiet", "--fields", "*", "--store", nodes.store]);
  const peer = await server.connect();
  const rows = (count: number) =>
    JSON.stringify(Object.fromEntries(Array.from({ length: count }, (_, i) => [`n${i}`, {}])));
  const { head, content } = await peer.exchange(put("", rows(128)).replace("PUT", "POST"));
  assert.equal(head.status, 413);
  const { detail, maxRows } = JSON.parse(content);
  assert.equal(detail, "The table's cluster takes fewer rows at once (etcd's --max-txn-ops)");
  assert.equal(maxRows, 127);
  assert.equal((await peer.exchange(put("", rows(127)).replace("PUT", "POST"))).content, '{"created":127}');

  // From a table in memory: in the order of insertion, with numbers as they were sent.
  await using memory = await ServeProcess.start(["--quiet", "--fields", "*"]);
  const source = await memory.connect();
  const members = Array.from(
    { length: 300 },
    (_, i) => `"n${999 - i}":${JSON.stringify({ b: i + 0.5, a: [1e-7, 'ä"}'] })}`,
  );
  const sent = octetString(new TextEncoder().encode(`{${members.join()}}`));
  assert.equal((await source.exchange(put("", sent).replace("PUT", "POST"))).head.status, 201);
  source.close();
  using folder = new TempFolder();
  const file = folder.file("backup.json");
  const backup = await runProgram(["connect", `127.0.0.1:${memory.port}`, "get", "all"]);
  await Deno.writeTextFile(file, backup.stdout);
  const post = ["connect", `127.0.0.1:${server.port}`, "post", "all", `@${file}`];
  const posted = await runProgram(post, "", ["--allow-net", "--allow-read"]);
  assert.deepEqual(posted, {
    code: 0,
    stdout: '{"created":127}\n{"created":127}\n{"created":46}',
    stderr: `${detail}: 300 rows are sent in 3 pieces of at most 127, each created whole or not at all\n`,
  });
  const listed = await peer.exchange("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const rowsIn = (text: string) => text.slice(1, -1).split(/,(?="n)/).sort();
  assert.deepEqual(rowsIn(listed.content), [...rowsIn(rows(127)), ...rowsIn(sent)].sort());
  peer.close();

  const again = await runProgram(post, "", ["--allow-net", "--allow-read"]);
  assert.equal(again.code, 4);
  assert.match(again.stdout, /^\{"type":"about:blank","title":"Conflict"/);
  assert.match(again.stderr, /^The table's .*\nRows created: none\n$/);
});

test("serve speaks TLS with its cluster, and names a file that it cannot use", async () => {
  await using nodes = await EtcdNodes.start({ count: 1, args: [], tls: true });
  const [ca, cert, key] = ["ca", "cert", "key"].map(certificate);
  const args = ["--quiet", "--fields", "*", "--store", nodes.store, "--etcd-cacert", ca];
  const identity = ["--etcd-cert", cert, "--etcd-key", key];
  await using server = await ServeProcess.start([...args, ...identity], ["--allow-net", "--allow-read"]);
  const peer = await server.connect();
  assert.equal((await peer.exchange(put("a", "{}"))).head.status, 201);
  peer.close();

  const [code, stderr] = await ending([...args, "--etcd-cert", key, "--etcd-key", cert], [
    "--allow-net",
    "--allow-read",
  ]);
  assert.equal(code, 1);
  assert.match(stderr, /^wiretable: --etcd-cert .*key\.pem: expected a certificate in PEM, saw a key/);
});

/** Runs a `serve` that must fail. Its exit code, and what it says. */
async function ending(args: string[], permissions?: string[]): Promise<[code: number, stderr: string]> {
  const child = wiretable(["serve", "--port", "0", ...args], permissions);
  await child.stdin.close();
  const { code, stderr } = await child.output();
  return [code, new TextDecoder().decode(stderr)];
}

Deno.test("a store in a cluster needs the network, and its files, by name", async () => {
  using folder = new TempFolder();
  const store = ["--store", "etcd:http://127.0.0.1:2379"];
  const [, net] = await ending(store, ["--allow-net=127.0.0.1:0"]);
  assert.equal(
    net,
    "wiretable: --store 127.0.0.1:2379 needs a permission: " +
      `deno run --allow-net ${main()} serve --port 0 --store etcd:http://127.0.0.1:2379\n`,
  );
  const file = folder.file("user");
  Deno.writeTextFileSync(file, "nobody\n");
  const [, read] = await ending([...store, "--etcd-user-file", file]);
  assert.match(read, /^wiretable: --etcd-user-file .* needs a permission: deno run --allow-net --allow-read=/);
  const [, wrong] = await ending([...store, "--etcd-user-file", file], ["--allow-net", "--allow-read"]);
  assert.equal(wrong, `wiretable: --etcd-user-file ${file}: expected one line, USER:PASSWORD\n`);
});

Deno.test("a password that others can read on its way to etcd is warned of, on this machine and with TLS not", async () => {
  using folder = new TempFolder();
  const file = folder.file("user");
  Deno.writeTextFileSync(file, "user:password\n");
  const warned = async (url: string) => {
    const args = ["--store", `etcd:${url}`, "--etcd-user-file", file];
    await using server = await ServeProcess.start(args, ["--allow-net", "--allow-read"]);
    await server.stop();
    return server.errors.includes("The password for etcd can be read on the way: https URLs in --store encrypt it");
  };
  // Nothing listens there, or answers: 192.0.2.0/24 is for documentation.
  assert(await warned("http://192.0.2.1:1"));
  for (const url of ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "https://192.0.2.1:1"]) {
    assert(!await warned(url), url);
  }
});

/** The program as it names itself in a command to type. */
function main(): string {
  return `${ROOT}main.ts`.slice(Deno.cwd().length + 1);
}
