import assert from "node:assert/strict";
import { storeChoice } from "../../lib/cli/store_choice.ts";

const NO_FILES = { caFile: undefined, identity: undefined, userFile: undefined };

Deno.test("a store is memory, a file or a cluster", () => {
  assert.deepEqual(storeChoice({}), { kind: "memory" });
  assert.deepEqual(storeChoice({ store: "memory" }), { kind: "memory" });
  assert.deepEqual(storeChoice({ store: "sqlite:a:b.db" }), { kind: "sqlite", file: "a:b.db" });
  const nodes = ["http://a:2379", "http://[::1]:2379", "https://c"];
  assert.deepEqual(storeChoice({ store: `etcd:${nodes.join()}` }), {
    kind: "etcd",
    nodes,
    prefix: undefined,
    ...NO_FILES,
  });
});

const prefixes: [url: string, prefix: string | undefined][] = [
  ["http://a:2379/", undefined],
  ["http://a:2379/animals", "animals"],
  ["http://a:2379/animals/", "animals"],
  ["http://a:2379,http://b:2379/school/animals_1.x~-", "school/animals_1.x~-"],
];

for (const [url, prefix] of prefixes) {
  Deno.test(`etcd:${url} has ${prefix === undefined ? "no prefix" : `the prefix ${prefix}`}`, () => {
    const choice = storeChoice({ store: `etcd:${url}` });
    assert(choice.kind === "etcd");
    assert.equal(choice.prefix, prefix);
    assert.equal(choice.nodes[0], "http://a:2379");
  });
}

Deno.test("a cluster's files are named by flags", () => {
  const files = { etcdCaFile: "ca", etcdCertFile: "c", etcdKeyFile: "k", etcdUserFile: "u" };
  assert.deepEqual(storeChoice({ store: "etcd:https://a:2379", ...files }), {
    kind: "etcd",
    nodes: ["https://a:2379"],
    prefix: undefined,
    caFile: "ca",
    identity: { certFile: "c", keyFile: "k" },
    userFile: "u",
  });
});

const URLS = "--store etcd: takes URLs such as http://127.0.0.1:2379, saw ";
const wrong: [values: Record<string, string>, message: string][] = [
  [{ store: "etcd:" }, `${URLS}""`],
  [{ store: "etcd:127.0.0.1:2379" }, `${URLS}"127.0.0.1:2379"`],
  [{ store: "etcd:http://a:2379," }, `${URLS}""`],
  [{ store: "etcd:http://a:99999" }, `${URLS}"http://a:99999"`],
  [{ store: "etcd:http://a:2379?b" }, `${URLS}"http://a:2379?b"`],
  [
    { store: "etcd:http://u:secret@a:2379" },
    "--store etcd: takes no user in a URL: --etcd-user-file names a file with USER:PASSWORD",
  ],
  [
    { store: "etcd:http://a:2379/x,http://b:2379" },
    '--store etcd: takes one prefix, after the last URL, saw "http://a:2379/x,http://b:2379"',
  ],
  [
    { store: "etcd:http://a:2379/a%20b" },
    '--store etcd: takes letters, digits and ._~-/ in a prefix, saw "a%20b"',
  ],
  [
    { store: "etcd:http://a:2379/school/r" },
    '--store etcd: takes no r and no m as a part of a prefix, saw "school/r"',
  ],
  [{ store: "etcd:http://a:2379/m" }, '--store etcd: takes no r and no m as a part of a prefix, saw "m"'],
  [{ store: "etcd:https://a:2379", etcdKeyFile: "k" }, "--etcd-cert and --etcd-key must be given together"],
  [
    { store: "etcd:https://a:2379,http://b:2379", etcdCaFile: "ca" },
    "--etcd-cacert and --etcd-cert need https URLs in --store etcd:",
  ],
  ...([
    ["//x.db", "--store sqlite:x.db"],
    ["///data/x.db", "--store sqlite:/data/x.db"],
    [":memory:", "in memory: --store memory"],
    ["file::memory:", "in memory: --store memory"],
    ["file:x?mode=memory&cache=shared", "in memory: --store memory"],
    ["file:x.db?mode=ro", "--store sqlite:x.db --read-only"],
    ["file:///data/x.db?immutable=1", "--store sqlite:/data/x.db --read-only"],
    ["FILE:x.db", "--store sqlite:x.db"],
    ["x.db?mode=ro", "--store sqlite:x.db --read-only"],
    ["data/x.db?cache=shared", "--store sqlite:data/x.db"],
    ["//", "--store sqlite:FILE"],
  ] as const).map(([file, form]): [Record<string, string>, string] => [
    { store: `sqlite:${file}` },
    `--store sqlite: takes a file's path (${form}), saw "sqlite:${file}"`,
  ]),
  [{ etcdUserFile: "u" }, "--etcd-user-file needs --store etcd:URL"],
  [{ store: "sqlite:a", etcdCaFile: "ca" }, "--etcd-cacert needs --store etcd:URL"],
];

for (const [values, message] of wrong) {
  Deno.test(`${JSON.stringify(values)} is refused`, () => {
    assert.throws(() => storeChoice(values), { name: "UsageError", message });
  });
}
