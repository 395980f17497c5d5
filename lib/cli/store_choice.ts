/**
 * The store of `serve`: parses `--store` and its related flags.
 *
 * @module
 */

import { quote, text, UsageError, type Values } from "./values.ts";

/** A cluster, and the files needed to connect to it. */
export interface EtcdChoice {
  /** Distinguishes it from other stores. */
  readonly kind: "etcd";
  /** Each node's URL, without a path. */
  readonly nodes: readonly string[];
  /** The prefix of the table's keys; `undefined` for none. */
  readonly prefix: string | undefined;
  /** A file with the certificates of the nodes' authorities. */
  readonly caFile: string | undefined;
  /** Files with the client certificate and its key. */
  readonly identity: { readonly certFile: string; readonly keyFile: string } | undefined;
  /** A file with the user and password. */
  readonly userFile: string | undefined;
}

/** The store of the rows. */
export type StoreChoice =
  | { readonly kind: "memory" }
  | { readonly kind: "sqlite"; readonly file: string }
  | EtcdChoice;

const EXPECTED = "memory, sqlite:FILE or etcd:URL,URL/PREFIX";

/**
 * Parses `--store` and its related flags.
 *
 * @throws {UsageError} If they are invalid.
 */
export function storeChoice(values: Values): StoreChoice {
  const store = text(values, "store") ?? "memory";
  if (store.startsWith("etcd:")) return etcdChoice(store.slice("etcd:".length), values);
  const stray = ["etcd-cacert", "etcd-cert", "etcd-key", "etcd-user-file"].find((name) => values[name] !== undefined);
  if (stray !== undefined) throw new UsageError(`--${stray} needs --store etcd:URL`);
  if (store === "memory") return { kind: "memory" };
  const file = store.startsWith("sqlite:") ? store.slice("sqlite:".length) : "";
  if (file !== "") return { kind: "sqlite", file };
  throw new UsageError(`--store is ${EXPECTED}, saw ${quote(store)}`);
}

function etcdChoice(list: string, values: Values): EtcdChoice {
  const urls = list.split(",").map(nodeUrl);
  const prefix = urls[urls.length - 1].pathname.replace(/^\/+|\/+$/g, "");
  if (urls.slice(0, -1).some(({ pathname }) => pathname !== "/")) {
    throw new UsageError(`--store etcd: takes one prefix, behind the last URL, saw ${quote(list)}`);
  }
  if (!/^[\w.~-]*(?:\/[\w.~-]+)*$/.test(prefix)) {
    throw new UsageError(`--store etcd: takes letters, digits and ._~-/ in a prefix, saw ${quote(prefix)}`);
  }
  // Within a table's keys, `r` holds the rows and `m` the marks of its servers.
  if (prefix.split("/").some((part) => part === "r" || part === "m")) {
    throw new UsageError(`--store etcd: takes no r and no m as a part of a prefix, saw ${quote(prefix)}`);
  }
  const certFile = text(values, "etcd-cert");
  const keyFile = text(values, "etcd-key");
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new UsageError("--etcd-cert and --etcd-key must be given together");
  }
  const caFile = text(values, "etcd-cacert");
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
    userFile: text(values, "etcd-user-file"),
  };
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
