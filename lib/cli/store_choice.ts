/** The store of `serve`: parses `--store` and its related flags. */

import { type Options, SERVE_FLAGS } from "./flags.ts";
import { quoteForShell } from "./program.ts";
import { quote, UsageError } from "./values.ts";

const ETCD_FILES = ["etcdCaFile", "etcdCertFile", "etcdKeyFile", "etcdUserFile"] as const;

type StoreOptions = Partial<Pick<Options<typeof SERVE_FLAGS>, "store" | typeof ETCD_FILES[number]>>;

/** Parses `--store` and its related flags. */
export function storeChoice({ store = "memory", ...options }: StoreOptions) {
  if (store.startsWith("etcd:")) return etcdChoice(store.slice("etcd:".length), options);
  const stray = ETCD_FILES.find((option) => options[option] !== undefined);
  if (stray !== undefined) throw new UsageError(`--${SERVE_FLAGS[stray].name} needs --store etcd:URL`);
  if (store === "memory") return { kind: "memory" } as const;
  const [, file] = /^sqlite:(.+)$/s.exec(store) ?? [];
  if (file === undefined) {
    throw new UsageError(`--store is memory, sqlite:FILE or etcd:URL,URL/PREFIX, saw ${quote(store)}`);
  }
  // Other programs take these; here they would be the names of files.
  if (/^(?:file:|\/\/|:memory:$)|\?(?:mode|cache|immutable)=/i.test(file)) {
    throw new UsageError(`--store sqlite: takes a file's path (${plainForm(file)}), saw ${quote(store)}`);
  }
  return { kind: "sqlite", file } as const;
}

/** Returns the right form of a URL of an SQLite file, or of SQLite's name for a database in memory. */
function plainForm(url: string): string {
  const [, path, query = ""] = /^(?:file:)?(?:\/\/)?([^?]*)(\?.*)?$/is.exec(url)!;
  if (path === ":memory:" || /[?&]mode=memory\b/.test(query)) return "in memory: --store memory";
  const isReadOnly = /[?&](?:mode=ro|immutable=1)\b/.test(query);
  return `--store ${quoteForShell(`sqlite:${path || "FILE"}`)}${isReadOnly ? " --read-only" : ""}`;
}

function etcdChoice(
  list: string,
  { etcdCaFile: caFile, etcdCertFile: certFile, etcdKeyFile: keyFile, etcdUserFile: userFile }: StoreOptions,
) {
  const urls = list.split(",").map(nodeUrl);
  const prefix = urls[urls.length - 1].pathname.replace(/^\/+|\/+$/g, "");
  if (urls.slice(0, -1).some(({ pathname }) => pathname !== "/")) {
    throw new UsageError(`--store etcd: takes one prefix, after the last URL, saw ${quote(list)}`);
  }
  if (!/^[\w.~-]*(?:\/[\w.~-]+)*$/.test(prefix)) {
    throw new UsageError(`--store etcd: takes letters, digits and ._~-/ in a prefix, saw ${quote(prefix)}`);
  }
  // Within a table's keys, `r` holds the rows and `m` the marks of its servers.
  if (prefix.split("/").some((part) => part === "r" || part === "m")) {
    throw new UsageError(`--store etcd: takes no r and no m as a part of a prefix, saw ${quote(prefix)}`);
  }
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new UsageError("--etcd-cert and --etcd-key must be given together");
  }
  const isSecure = urls.every(({ protocol }) => protocol === "https:");
  if (!isSecure && (caFile !== undefined || certFile !== undefined)) {
    throw new UsageError("--etcd-cacert and --etcd-cert need https URLs in --store etcd:");
  }
  return {
    kind: "etcd",
    nodes: urls.map(({ origin }) => origin),
    prefix: prefix === "" ? undefined : prefix,
    caFile,
    identity: certFile === undefined ? undefined : { certFile, keyFile: keyFile! },
    userFile,
  } as const;
}

function nodeUrl(text: string): URL {
  const url = /^https?:\/\//i.test(text) ? URL.parse(text) : null;
  if (url === null || url.search !== "" || url.hash !== "") {
    throw new UsageError(`--store etcd: takes URLs such as http://127.0.0.1:2379, saw ${quote(text)}`);
  }
  if (url.username !== "" || url.password !== "") {
    // Other users of the machine can see arguments, so the error does not repeat credentials.
    throw new UsageError("--store etcd: takes no user in a URL: --etcd-user-file names a file with USER:PASSWORD");
  }
  return url;
}
