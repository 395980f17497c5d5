/**
 * Composes `serve`: a table over a store, behind the access rules and a listener, until a signal ends it.
 *
 * @module
 */

import type { BatchWriter } from "./batch_writer.ts";
import { counted, writeLine } from "./bytes.ts";
import type { EtcdChoice, ServeOptions } from "./cli.ts";
import { linesForOthers } from "./cli/addresses.ts";
import { isLoopback } from "./address.ts";
import type { Identity } from "./cli/certificate.ts";
import { readCertificates, readFlagFile, readTokens, readUser } from "./cli/files.ts";
import { openFile } from "./cli/input.ts";
import { Failure, flagValue, MissingPermission } from "./cli/values.ts";
import { STATUS_MEANINGS } from "./exchange/words.ts";
import { HttpError } from "./http_message.ts";
import { CLUSTER_WAIT_MS, FILE_LOCK_WAIT_MS, type ServerLimits } from "./limits.ts";
import {
  announceAddress,
  anyoneMay,
  type CheckedIdentity,
  columnsOf,
  listen,
  Outputs,
  reachable,
  readIdentity,
  record,
  stopSignal,
  TAPPED_READ_BYTES,
  urlOf,
} from "./listening.ts";
import type { Page, PageOptions } from "./page.ts";
import { Server } from "./server.ts";
import { Access } from "./server/access.ts";
import { CLOSE_REASONS, endedListings, joined, type Observer } from "./server/context.ts";
import { ExchangeLog, type LoggedExchange, logLine } from "./server/exchange_log.ts";
import { requestLog } from "./server/request_log.ts";
import type { TlsRelay } from "./server/tls_relay.ts";
import { type Store, StoreError } from "./store.ts";
import { MemoryStore } from "./store/memory.ts";
import { Table } from "./table.ts";
import { FILTER_OPERATORS, RowSchema } from "./table/row_schema.ts";
import { insertFile, RowsFileError } from "./table/rows_file.ts";
import { wrapMessage } from "./terminal.ts";
import type { TrafficListener } from "./traffic.ts";
import { refusalText } from "./traffic/explain/text.ts";
import { lifeLine } from "./traffic/life.ts";
import { allOf, TappedListener } from "./traffic/tap.ts";

/** How long each kind of store may wait for others: a request may read before it writes. */
const STORE_WAIT_MS = { memory: 0, sqlite: FILE_LOCK_WAIT_MS, etcd: 2 * CLUSTER_WAIT_MS };

/** What the files of `--token-file`, `--cert` and `--key` hold. */
interface Secrets extends CheckedIdentity {
  readonly tokens: readonly string[] | undefined;
}

/** Serves a table until a signal stops it. */
export async function serve(options: ServeOptions): Promise<number> {
  const schema = flagValue("--fields", () => RowSchema.parse(options.fields));
  const secrets = await readSecrets(options);
  // From here on all output uses these: a write that waits for its reader must not block the server.
  const outputs = new Outputs();
  const { report, writer } = outputs;
  const listener = await listen(options, secrets, report);
  // Opened last, because opening a store may create a file.
  const store = await openStore(options, report);
  const addr = listener.addr as Deno.NetAddr;
  const limits = { schema, maxRowBytes: options.messageLimits.maxContentBytes };
  if (options.rowsFile !== undefined) await loadRows(options.rowsFile, { store, limits, options, report });
  const table = new Table(store, { ...limits, readOnly: options.readOnly });
  const access = new Access(table, {
    hosts: isLoopback(addr.hostname) && !options.allowHosts.includes("*") ? options.allowHosts : undefined,
    cors: options.cors,
    tokens: secrets.tokens,
    secure: options.tls !== undefined,
  });
  const recorder = options.recordFile === undefined ? undefined : await record(options.recordFile, report);
  const failed = (error: unknown) => {
    if (!(error instanceof Error)) return report(String(error));
    // A store has reported damage itself.
    if (error instanceof StoreError && error.fault === "damaged") return;
    // The page asks for the table as a client does, and may be refused like one; a listing may end with its store's.
    const isForeseen = error instanceof HttpError || error instanceof StoreError;
    report(isForeseen ? error.message : error.stack ?? error.message);
  };
  const cannotAccept = (reason: string) => report(`Cannot accept a connection now: ${reason}`);
  const caCerts = secrets.identity === undefined ? [] : [secrets.identity.cert];
  const page = await openPage(options, { addr, caCerts, schema, table, failed, cannotAccept });
  const views: TrafficListener[] = [];
  if (page !== undefined) views.push(page.take);
  if (recorder !== undefined) views.push(recorder.take);
  if (options.verbose && options.logFormat === "text") views.push(lifeView(writer));
  const told = allOf(views);
  const log = options.logFormat === "json" ? exchangeLog(writer, options) : undefined;
  const observers = [...log ? [log.observer] : [], ...options.quiet ? [] : [logTo(writer, options)]];
  const server = new Server(told === undefined ? listener : new TappedListener(listener, told), access, {
    messageLimits: options.messageLimits,
    limits: {
      ...options.limits,
      ...delayLimits(options.delayMs),
      storeMs: STORE_WAIT_MS[options.store.kind],
      ...told !== undefined && { minReadBytes: TAPPED_READ_BYTES },
    },
    observer: joined([
      ...observers,
      { closed: (connection, reason) => page?.closed(connection, reason), cannotAccept, failed },
      endedListings(report),
    ]),
  });

  if (store instanceof MemoryStore) store.share(server.budget, report);

  // Signals are handled before the address is printed, because a reader of the address may stop the server immediately.
  const stopped = stopSignal(async () => {
    outputs.tell(
      await renewed(options, ({ tokens, identity }) => {
        if (identity !== undefined) {
          (listener as TlsRelay).renew(identity);
          caCerts.splice(0, 1, identity.cert);
        }
        if (tokens !== undefined) access.renewTokens(tokens);
      }),
    );
  });
  await announce(options, { addr, schema, page, report });
  await stopped;
  const since = performance.now();
  await server.shutdown();
  await page?.close();
  await recorder?.close();
  await store.close();
  if (log !== undefined) {
    log.close(CLOSE_REASONS.stopping);
    const { connections, exchanges } = log;
    writer.print(logLine("stopped", { connections, exchanges }));
  }
  await outputs.flush(since + options.limits.shutdownMs);
  return 0;
}

function delayLimits(delay: ServeOptions["delayMs"]): Pick<ServerLimits, "delayMs" | "delaySpreadMs"> {
  const [leastMs, delayMs] = typeof delay === "number" ? [delay, delay] : delay;
  return { delayMs, delaySpreadMs: delayMs - leastMs };
}

/** Returns an observer that prints requests and responses. */
function logTo(writer: BatchWriter, { verbose, logFormat, showCredentials }: ServeOptions): Observer {
  const columns = columnsOf(Deno.stdout);
  return requestLog(writer, {
    verbose,
    format: logFormat,
    terminal: columns !== undefined,
    columns,
    showCredentials,
    explain: (error, rest, position) => refusalText(error, rest, position, showCredentials, columns?.()),
  });
}

/** Returns a log that prints exchanges, or with `--quiet` only counts them. */
function exchangeLog(writer: BatchWriter, { quiet, showCredentials }: ServeOptions): ExchangeLog {
  const print = (exchange: LoggedExchange) => writer.print(logLine("exchange", exchange));
  return new ExchangeLog(quiet ? () => {} : print, (status) => STATUS_MEANINGS[status]?.[1], showCredentials);
}

/**
 * Writes the rows of a file into the store, unless that has rows. The whole file is checked first.
 *
 * @throws {Failure} If the file or one of its rows is wrong, or the store fails. The store is closed.
 */
async function loadRows(
  name: string,
  { store, limits, options, report }: {
    readonly store: Store;
    readonly limits: { readonly schema: RowSchema; readonly maxRowBytes: number };
    readonly options: ServeOptions;
    readonly report: (line: string) => void;
  },
): Promise<void> {
  try {
    const snapshot = await store.snapshot();
    const { total } = snapshot;
    snapshot.close();
    if (total > 0) {
      return report(`--rows ${name} is not read: ${placeOf(options)} has ${counted(total, "row")} already`);
    }
    using file = await openFile(name);
    await insertFile(store, file, { ...limits, inPieces: options.store.kind === "etcd" });
  } catch (error) {
    await store.close();
    if (error instanceof RowsFileError) throw new Failure(`--rows ${name}: ${error.message}`);
    throw error;
  }
}

/** Opens the page that shows the traffic, if it is asked for. */
async function openPage(
  options: ServeOptions,
  { addr, schema, ...others }:
    & { readonly addr: Deno.NetAddr; readonly schema: RowSchema }
    & Pick<PageOptions, "table" | "failed" | "cannotAccept" | "caCerts">,
): Promise<Page | undefined> {
  if (options.page === undefined) return undefined;
  const { tls } = options;
  // What is not asked for is not loaded: with the page and all stores, the start would take a third longer.
  const { Page } = await import("./page.ts");
  return new Page({
    ...options.page,
    showCredentials: options.showCredentials,
    messageLimits: options.messageLimits,
    endpoint: { secure: tls !== undefined, host: reachable(addr.hostname), port: addr.port },
    words: { fields: schema.fields, filterOperators: FILTER_OPERATORS },
    ...others,
  });
}

/** Prints where the server listens, and before it a warning if others can reach the table. */
async function announce(
  options: ServeOptions,
  { addr, schema, page, report }: {
    readonly addr: Deno.NetAddr;
    readonly schema: RowSchema;
    readonly page: Page | undefined;
    readonly report: (line: string) => void;
  },
): Promise<void> {
  const url = urlOf(options.tls !== undefined, addr);
  const exposure = exposureOf(options, addr);
  if (exposure !== undefined) report(exposure);
  const line = `Listening on ${url} with rows of ${schema} in ${placeOf(options)}; Ctrl-C stops`;
  const { logFormat } = options;
  await announceAddress(logFormat, "listening", { url }, wrapMessage(line, columnsOf(Deno.stdout)?.()));
  const others = logFormat === "text" ? linesForOthers(addr, options.tls !== undefined) : [];
  for (const line of others) await writeLine(Deno.stdout, line);
  if (page === undefined) return;
  await announceAddress(logFormat, "page", { url: page.url }, `The traffic is shown at ${page.url}`);
}

/** Prints the life of each connection except its end, which the request log prints with more detail. */
function lifeView(writer: BatchWriter): TrafficListener {
  return (event) => {
    if (event.kind !== "closed") writer.print(`${lifeLine(event)}\n`);
  };
}

function placeOf({ store }: ServeOptions): string {
  if (store.kind === "etcd") return `etcd at ${store.nodes.join()}${store.prefix ? `/${store.prefix}` : ""}`;
  return store.kind === "memory" ? "memory" : store.file;
}

async function openStore({ store, readOnly }: ServeOptions, report: (line: string) => void): Promise<Store> {
  if (store.kind === "memory") return new MemoryStore();
  if (store.kind === "etcd") return await openCluster(store, report);
  for (const name of readOnly ? ["read"] as const : ["read", "write"] as const) {
    if ((await Deno.permissions.request({ name })).state === "granted") continue;
    throw new MissingPermission("--store needs more permissions");
  }
  const { SqliteStore } = await import("./store/sqlite.ts");
  return await SqliteStore.open(store.file, report, readOnly);
}

async function openCluster(choice: EtcdChoice, report: (line: string) => void): Promise<Store> {
  const { nodes, prefix, caFile, identity, userFile } = choice;
  for (const node of nodes) {
    const { host } = new URL(node);
    if ((await Deno.permissions.request({ name: "net", host })).state === "granted") continue;
    throw new MissingPermission(`--store ${host} needs a permission`);
  }
  const user = userFile === undefined ? undefined : await readUser(userFile);
  if (user !== undefined && nodes.some((node) => !isPrivate(node))) {
    report("The password for etcd can be read on the way: https URLs in --store encrypt it");
  }
  const { EtcdStore } = await import("./store/etcd.ts");
  return new EtcdStore({
    nodes,
    prefix,
    user,
    caCerts: caFile === undefined ? [] : [await readCertificates("--etcd-cacert", caFile)],
    identity: identity && await readEtcdIdentity(identity),
    report,
  });
}

async function readEtcdIdentity(files: { readonly certFile: string; readonly keyFile: string }): Promise<Identity> {
  const cert = await readFlagFile("--etcd-cert", files.certFile);
  const key = await readFlagFile("--etcd-key", files.keyFile);
  const { checkIdentity } = await import("./cli/certificate.ts");
  checkIdentity({ cert, key }, { ...files, prefix: "etcd-" });
  return { cert, key };
}

/** Whether what is sent to this URL cannot be read on the way. */
function isPrivate(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === "https:" || hostname === "localhost" || hostname === "[::1]" || isLoopback(hostname);
}

/**
 * Reads the files of `--token-file`, `--cert` and `--key`.
 *
 * @throws {Failure} If one of them is wrong.
 */
async function readSecrets({ tokenFile, tls }: ServeOptions): Promise<Secrets> {
  const tokens = tokenFile === undefined ? undefined : await readTokens(tokenFile);
  return { tokens, ...await readIdentity(tls) };
}

/** Reads the files again, and uses what they hold if all of it is right. Returns what came of it, one line. */
async function renewed(options: ServeOptions, use: (secrets: Secrets) => void): Promise<string> {
  const flags = [...options.tokenFile ? ["--token-file"] : [], ...options.tls ? ["--cert and --key"] : []];
  if (flags.length === 0) return "SIGHUP: there is no --token-file, --cert or --key to read again";
  try {
    const secrets = await readSecrets(options);
    use(secrets);
    return [`SIGHUP: read ${flags.join(", ")} again`, ...secrets.problems].join("; ");
  } catch (error) {
    return `SIGHUP: nothing has changed: ${(error as Error).message}`;
  }
}

/** Returns a warning if others can reach the table; `undefined` on loopback, or with a token and TLS. */
function exposureOf(
  { tokenFile, tls, readOnly }: ServeOptions,
  addr: Deno.NetAddr,
): string | undefined {
  if (isLoopback(addr.hostname) || tokenFile !== undefined && tls !== undefined) return undefined;
  if (tokenFile !== undefined) {
    return `All traffic, the token included, is unencrypted: --cert and --key encrypt it`;
  }
  const may = anyoneMay(`read${readOnly ? "" : " and write"} the table`, addr);
  return tls === undefined
    ? `${may}, and all traffic is unencrypted: --token-file requires a token, --cert and --key encrypt`
    : `${may}: --token-file requires a token`;
}
