/**
 * Composes `serve`: a table over a store, behind the access rules and a listener, until a signal ends it.
 *
 * @module
 */

import type { BatchWriter } from "./batch_writer.ts";
import { counted } from "./bytes.ts";
import type { ServeOptions } from "./cli.ts";
import { isLoopback } from "./address.ts";
import { readCertificates, readTokens, readUser } from "./cli/files.ts";
import { openFile } from "./cli/input.ts";
import { Failure, flagValue } from "./cli/values.ts";
import { STATUS_MEANINGS } from "./exchange/words.ts";
import { CLUSTER_WAIT_MS, FILE_LOCK_WAIT_MS } from "./limits.ts";
import { anyoneMay, columnsOf, Listening, readIdentity, TAPPED_READ_BYTES } from "./listening.ts";
import { Access } from "./server/access.ts";
import { endedListings, joined, type Observer } from "./server/context.ts";
import { ExchangeLog } from "./server/exchange_log.ts";
import { requestLog } from "./server/request_log.ts";
import type { Store } from "./store.ts";
import { MemoryStore } from "./store/memory.ts";
import { Table } from "./table.ts";
import { FILTER_OPERATORS, RowSchema } from "./table/row_schema.ts";
import type { TrafficListener } from "./traffic.ts";
import { refusalText } from "./traffic/explain/text.ts";
import { lifeLine } from "./traffic/tap.ts";

/** How long each kind of store may wait for others: a request may read before it writes. */
const STORE_WAIT_MS = { memory: 0, sqlite: FILE_LOCK_WAIT_MS, etcd: 2 * CLUSTER_WAIT_MS };

type Secrets = Awaited<ReturnType<typeof readSecrets>>;

/** Serves a table until a signal stops it. */
export async function serve(options: ServeOptions): Promise<number> {
  const schema = flagValue("--fields", () => RowSchema.parse(options.fields));
  const secrets = await readSecrets(options);
  const listening = await Listening.open(options, secrets.identity);
  const { addr, outputs: { note, writer } } = listening;
  // Opened last, because opening a store may create a file.
  const store = await openStore(options, note);
  const limits = { schema, maxRowBytes: options.messageLimits.maxContentBytes };
  const unread = options.rowsFile === undefined ? undefined : await loadRows(options.rowsFile, store, limits, options);
  if (unread !== undefined) note(unread);
  const table = new Table(store, { ...limits, readOnly: options.readOnly });
  const access = new Access(table, {
    hosts: isLoopback(addr.hostname) && !options.allowHosts.includes("*") ? options.allowHosts : undefined,
    cors: options.cors,
    tokens: secrets.tokens,
    secure: options.tls !== undefined,
  });
  const words = { fields: schema.fields, filterOperators: FILTER_OPERATORS };
  // The request log prints the end of each connection, with more detail.
  const life: TrafficListener = (event) => {
    if (event.kind !== "closed") writer.print(`${lifeLine(event)}\n`);
  };
  const view = options.verbose && options.logFormat === "text" ? life : undefined;
  await listening.show({ messageLimits: options.messageLimits, words, table }, { view });
  const ruleOf = (status: number) => STATUS_MEANINGS[status]?.[1];
  const log = options.logFormat === "json"
    ? new ExchangeLog(listening.logged, ruleOf, options.showCredentials)
    : undefined;
  const observers = [...log ? [log.observer] : [], ...options.quiet ? [] : [logTo(writer, options)]];
  // One delay, or the least and the most.
  const delays = [options.delayMs].flat();
  const server = listening.serve(access, {
    messageLimits: options.messageLimits,
    limits: {
      ...options.limits,
      delayMs: delays.at(-1)!,
      delaySpreadMs: delays.at(-1)! - delays[0],
      storeMs: STORE_WAIT_MS[options.store.kind],
      ...listening.tap !== undefined && { minReadBytes: TAPPED_READ_BYTES },
    },
    observer: joined([...observers, endedListings(note)]),
  });
  if (store instanceof MemoryStore) store.share(server.budget, note);
  const use = ({ tokens, identity }: Secrets) => {
    if (identity !== undefined) listening.renew(identity);
    if (tokens !== undefined) access.renewTokens(tokens);
  };
  return await listening.run(server, {
    warning: exposureOf(options, addr),
    what: ` with rows of ${schema} in ${placeOf(options)}`,
    renew: () => renewed(options, use),
    stopped: async () => await store.close(),
    log,
  });
}

function logTo(writer: BatchWriter, { verbose, logFormat, showCredentials }: ServeOptions): Observer {
  const columns = columnsOf(Deno.stdout);
  return requestLog(writer, {
    verbose,
    format: logFormat,
    columns,
    showCredentials,
    explain: (error, rest, position) => refusalText(error, rest, position, showCredentials, columns?.()),
  });
}

/**
 * Writes the rows of a file into the store, unless that has rows: then returns a line that says so. The whole file is
 * checked first.
 *
 * @throws {Failure} If the file or one of its rows is wrong, or the store fails. The store is closed.
 */
async function loadRows(
  name: string,
  store: Store,
  limits: { readonly schema: RowSchema; readonly maxRowBytes: number },
  options: ServeOptions,
): Promise<string | undefined> {
  const { insertFile, RowsFileError } = await import("./table/rows_file.ts");
  try {
    const snapshot = await store.snapshot();
    const { total } = snapshot;
    snapshot.close();
    if (total > 0) return `--rows ${name} is not read: ${placeOf(options)} has ${counted(total, "row")} already`;
    using file = await openFile(name);
    await insertFile(store, file, { ...limits, inPieces: options.store.kind === "etcd" });
  } catch (error) {
    await store.close();
    if (error instanceof RowsFileError) throw new Failure(`--rows ${name}: ${error.message}`);
    throw error;
  }
}

function placeOf({ store }: ServeOptions): string {
  if (store.kind === "etcd") return `etcd at ${store.nodes.join()}${store.prefix ? `/${store.prefix}` : ""}`;
  return store.kind === "memory" ? "memory" : store.file;
}

async function openStore({ store, readOnly }: ServeOptions, note: (line: string) => void): Promise<Store> {
  if (store.kind === "memory") return new MemoryStore();
  if (store.kind === "etcd") return await openCluster(store, note);
  for (const name of readOnly ? ["read"] as const : ["read", "write"] as const) {
    if ((await Deno.permissions.request({ name })).state === "granted") continue;
    throw new Deno.errors.NotCapable("--store needs more permissions");
  }
  const { SqliteStore } = await import("./store/sqlite.ts");
  return await SqliteStore.open(store.file, note, readOnly);
}

async function openCluster(
  { nodes, prefix, caFile, identity, userFile }: Extract<ServeOptions["store"], { kind: "etcd" }>,
  note: (line: string) => void,
): Promise<Store> {
  for (const node of nodes) {
    const { host } = new URL(node);
    if ((await Deno.permissions.request({ name: "net", host })).state === "granted") continue;
    throw new Deno.errors.NotCapable(`--store ${host} needs a permission`);
  }
  const user = userFile === undefined ? undefined : await readUser(userFile);
  if (user !== undefined && nodes.some((node) => !isPrivate(node))) {
    note("The password for etcd can be read on the way: https URLs in --store encrypt it");
  }
  const { EtcdStore } = await import("./store/etcd.ts");
  return new EtcdStore({
    nodes,
    prefix,
    user,
    caCerts: caFile === undefined ? [] : [await readCertificates("--etcd-cacert", caFile)],
    identity: await readIdentity(identity, "etcd-"),
    note,
  });
}

/** Whether what is sent to this URL cannot be read on the way. */
function isPrivate(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === "https:" || hostname === "localhost" || hostname === "[::1]" || isLoopback(hostname);
}

async function readSecrets({ tokenFile, tls }: ServeOptions) {
  const tokens = tokenFile === undefined ? undefined : await readTokens(tokenFile);
  return { tokens, identity: await readIdentity(tls) };
}

/** Reads the files again, and uses what they hold if all of it is right. Returns what came of it, one line. */
async function renewed(options: ServeOptions, use: (secrets: Secrets) => void): Promise<string> {
  const flags = [...options.tokenFile ? ["--token-file"] : [], ...options.tls ? ["--cert and --key"] : []];
  if (flags.length === 0) return "SIGHUP: there is no --token-file, --cert or --key to read again";
  try {
    const secrets = await readSecrets(options);
    use(secrets);
    return [`SIGHUP: read ${flags.join(", ")} again`, ...secrets.identity?.problems ?? []].join("; ");
  } catch (error) {
    return `SIGHUP: nothing has changed: ${(error as Error).message}`;
  }
}

/** Returns a warning if others can reach the table; `undefined` on loopback, or with a token and TLS. */
function exposureOf({ tokenFile, tls, readOnly }: ServeOptions, addr: Deno.NetAddr): string | undefined {
  if (isLoopback(addr.hostname) || tokenFile !== undefined && tls !== undefined) return undefined;
  if (tokenFile !== undefined) return "All traffic, the token included, is unencrypted: --cert and --key encrypt it";
  const may = anyoneMay(`read${readOnly ? "" : " and write"} the table`, addr);
  return tls === undefined
    ? `${may}, and all traffic is unencrypted: --token-file requires a token, --cert and --key encrypt`
    : `${may}: --token-file requires a token`;
}
