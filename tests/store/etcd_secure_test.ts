import assert from "node:assert/strict";
import { EtcdStore, type EtcdStoreOptions } from "../../lib/store/etcd.ts";
import { certificate, EtcdNodes, etcdTest as test } from "./etcd_nodes.ts";

/** Whether a store with these options reads and writes; else what clients are told, and the operator. */
async function works(options: EtcdStoreOptions): Promise<true | { detail: string; reports: string[] }> {
  const reports: string[] = [];
  const store = new EtcdStore({ ...options, note: (line) => reports.push(line) });
  try {
    await store.put({ name: "a", json: "{}" });
    assert.equal((await store.get("a"))?.content, '{"a":{}}');
    return true;
  } catch (error) {
    return { detail: (error as Error).message, reports };
  } finally {
    await store.close();
  }
}

test("127 rows are inserted at once with etcd's own limits; more are refused with the flag that allows them", async () => {
  await using nodes = await EtcdNodes.start({ count: 1, args: [] });
  const store = new EtcdStore({ nodes: nodes.urls });
  const rows = (start: string, count: number) => {
    return Array.from({ length: count }, (_, i) => ({ name: `${start}${i}`, json: "{}" }));
  };
  assert.deepEqual(await store.insert(rows("a", 127)), []);
  await assert.rejects(store.insert(rows("b", 128)), {
    fault: "too-large",
    message: "The table's cluster takes fewer rows at once (etcd's --max-txn-ops)",
  });
  assert.deepEqual((await store.insert(rows("a", 127)))!.length, 127);
  const { revision } = await store.snapshot();
  assert.deepEqual(await store.insert(rows("c", 126), revision), []);
  // As many writes as share a transaction, sure ones and others.
  const writes = [...rows("d", 300).map((row) => store.put(row)), ...rows("e", 300).map((row) => store.put(row, 0))];
  assert((await Promise.all(writes)).every((written) => written!.created));
  const removals = rows("e", 300).map(({ name }) => store.remove(name));
  assert((await Promise.all(removals)).every((removed) => removed));
  assert.equal((await store.snapshot()).total, 127 + 126 + 300);
  const large = { name: "large", json: JSON.stringify({ x: "x".repeat(1_600_000) }) };
  await assert.rejects(store.put(large), {
    fault: "too-large",
    message: "The table's cluster takes fewer octets at once (etcd's --max-request-bytes)",
  });
  await store.close();
});

test("TLS needs the authority, and a certificate where the nodes ask for one", async () => {
  await using nodes = await EtcdNodes.start({ count: 1, args: [], tls: true });
  const [ca, cert, key] = ["ca", "cert", "key"].map((name) => Deno.readTextFileSync(certificate(name)));
  const caCerts = [ca];
  const identity = { cert, key };
  assert.equal(await works({ nodes: nodes.urls, caCerts, identity }), true);
  const [url] = nodes.urls;
  const refusals = [
    // The node's alert may be lost where it closes while the request is still being sent.
    [{ caCerts }, /alert|certificate required|connection closed|broken pipe/i],
    [{ identity }, /invalid peer certificate: UnknownIssuer/],
    [{ caCerts, nodes: [url.replace("https:", "http:")] }, /400|http/i],
  ] as const;
  for (const [options, reason] of refusals) {
    const refused = await works({ nodes: nodes.urls, ...options });
    assert(refused !== true);
    assert.match(refused.detail, /^The table's cluster does not answer/);
    assert.match(refused.reports[0], reason);
  }
});

test("a user logs in, and again when the token is gone; a wrong one is refused, and told to the operator alone", async () => {
  const args = ["--auth-token", "simple", "--auth-token-ttl", "1"];
  await using nodes = await EtcdNodes.start({ count: 1, args });
  const ask = (path: string, body: unknown) => nodes.ask(0, path, body);
  await ask("/v3/auth/user/add", { name: "root", password: "r:t" });
  await ask("/v3/auth/user/grant", { user: "root", role: "root" });
  await ask("/v3/auth/user/add", { name: "snail", password: "s" });
  await ask("/v3/auth/role/add", { name: "table" });
  const perm = { permType: "READWRITE", key: btoa("t/"), range_end: btoa("t0") };
  await ask("/v3/auth/role/grant", { name: "table", perm });
  await ask("/v3/auth/user/grant", { user: "snail", role: "table" });
  // A user is no harm where none is asked for.
  assert.equal(await works({ nodes: nodes.urls, prefix: "t", user: { name: "snail", password: "?" } }), true);
  await ask("/v3/auth/enable", {});

  const root = { name: "root", password: "r:t" };
  assert.equal(await works({ nodes: nodes.urls, user: root }), true);
  const user = { name: "snail", password: "s" };
  assert.equal(await works({ nodes: nodes.urls, prefix: "t", user }), true);
  const [node] = nodes.urls;
  const refusals: [options: Partial<EtcdStoreOptions>, detail: string, report: string][] = [
    [{ user: { name: "snail", password: "wrong" } }, "refuses this server", "etcd refuses the user or the password"],
    [{}, "refuses this server", "etcd requires a user (--etcd-user-file)"],
    [{ user, prefix: "u" }, "does not allow this server to do that", "403 etcdserver: permission denied"],
  ];
  for (const [options, detail, report] of refusals) {
    const seen = await works({ nodes: nodes.urls, prefix: "t", ...options });
    assert.deepEqual(seen, {
      detail: `The table's cluster ${detail}`,
      reports: [`The table's cluster does not answer: ${node}: ${report}; asked again until it does`],
    });
  }

  const store = new EtcdStore({ nodes: nodes.urls, prefix: "t", user });
  await store.put({ name: "b", json: "{}" });
  // A node that was started anew knows no token of before.
  await nodes.signal(0, "SIGKILL");
  nodes.launch(0);
  await nodes.healthy();
  while (await store.put({ name: "b", json: '{"c":1}' }).catch(() => undefined) === undefined);
  assert.equal((await store.get("b"))?.content, '{"b":{"c":1}}');
  await store.close();
});
