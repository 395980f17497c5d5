/**
 * Composes `relay`: passes octets between clients and a server, and shows them, until a signal ends it.
 *
 * @module
 */

import { authorityOf, type Endpoint, isLoopback } from "./address.ts";
import type { RelayOptions } from "./cli.ts";
import { readCertificates } from "./cli/files.ts";
import { DEFAULT_FIELDS } from "./cli/flags.ts";
import { UsageError } from "./cli/values.ts";
import { dial } from "./client.ts";
import { HttpError } from "./http_message.ts";
import { FALLBACK_COLUMNS, REQUEST_LIMITS } from "./limits.ts";
import {
  announceAddress,
  anyoneMay,
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
import { RelayConnection } from "./relay/connection.ts";
import { ExchangeLines } from "./relay/exchange_lines.ts";
import { HostRule } from "./relay/host_rule.ts";
import type { RelayObserver } from "./relay/options.ts";
import { Printer } from "./relay/printer.ts";
import { Server } from "./server.ts";
import { joined, type Observer } from "./server/context.ts";
import { logLine } from "./server/exchange_log.ts";
import { startTls } from "./server/tls_relay.ts";
import { FILTER_OPERATORS, RowSchema } from "./table/row_schema.ts";
import { isColored, painterFor, wrapMessage } from "./terminal.ts";
import type { TrafficListener } from "./traffic.ts";
import { explanationText, refusalText } from "./traffic/explain/text.ts";
import { allOf, tapped, TappedListener } from "./traffic/tap.ts";

/** How long connecting to an address may take that may be the relay's own. */
const OWN_ADDRESS_MS = 1000;
/** The names of the interfaces of a recording, by the end of a connection that the relay holds. */
const INTERFACES = { server: "client to relay", client: "relay to server" };

/** Passes octets until a signal stops it. */
export async function relay(options: RelayOptions): Promise<number> {
  const { endpoint, keepHost, verbose, quiet, showCredentials, logFormat, timeoutMs, answerMs, limits } = options;
  const secrets = await readIdentity(options.tls);
  const caCerts = options.caFile === undefined ? [] : [await readCertificates("--cacert", options.caFile)];
  const outputs = new Outputs();
  const { report, writer } = outputs;
  const listener = await listen(options, secrets, report);
  const addr = listener.addr as Deno.NetAddr;
  if (await isOwn(endpoint, addr)) {
    listener.close();
    const server = authorityOf(endpoint);
    throw new UsageError(
      `${server} is the relay's own address: give the server's, or listen elsewhere with --port 9996`,
    );
  }
  const recorder = options.recordFile === undefined ? undefined : await record(options.recordFile, report, INTERFACES);
  const failed = (error: unknown) => {
    if (error instanceof HttpError) return report(error.message);
    report(error instanceof Error ? error.stack ?? error.message : String(error));
  };
  const cannotAccept = (reason: string) => report(`Cannot accept a connection now: ${reason}`);
  const certificates = secrets.identity === undefined ? [] : [secrets.identity.cert];
  const page = await openPage(options, { addr, caCerts: certificates, failed, cannotAccept });
  const views: TrafficListener[] = [];
  if (page !== undefined) views.push(page.take);
  if (recorder !== undefined) views.push(recorder.take);
  const told = allOf(views);
  const lines = logFormat === "json"
    ? new ExchangeLines((exchange) => quiet || writer.print(logLine("exchange", exchange)))
    : undefined;
  const printer = quiet || lines !== undefined ? undefined : new Printer(writer, {
    ...{ secure: options.tls !== undefined, verbose, showCredentials },
    terminal: Deno.stdout.isTerminal(),
    columns: columnsOf(Deno.stdout),
    explanation: (explanation) =>
      explanationText(explanation, {
        width: columnsOf(Deno.stdout)?.() ?? FALLBACK_COLUMNS,
        sentenceWidth: columnsOf(Deno.stdout)?.(),
        all: false,
        painter: painterFor(isColored("auto")),
        masked: !showCredentials,
      }),
    fault: (error, unread, at, direction) =>
      refusalText(error, unread, at, showCredentials, columnsOf(Deno.stdout)?.(), direction),
  });
  const noted = (connection: number, line: string) => {
    if (printer === undefined && !quiet) outputs.tell(`connection ${connection} ${line}`);
  };
  const observers = [lines, printer].filter((one) => one !== undefined).map(({ observer }) => observer);
  const shared = {
    rule: new HostRule(endpoint, keepHost, !isLoopback(addr.hostname)),
    dial: (connection: number, cancel: AbortSignal) =>
      Server.withDescriptors(() =>
        dial(endpoint, {
          timeoutMs,
          caCerts,
          startTls,
          tap: told && ((conn) => tapped(conn, "client", connection, told)),
        }, cancel)
      ),
    answerMs,
    explains: options.explain && printer !== undefined,
    observer: joined<RelayObserver>([...observers, { noted, changed: (id, change) => page?.changed(id, change) }]),
    room: recorder && (() => recorder.room()),
  };
  const server = new Server(
    told === undefined ? listener : new TappedListener(listener, told),
    (id, conn, context) => new RelayConnection(id, conn, context, shared),
    {
      messageLimits: REQUEST_LIMITS,
      limits: { ...limits, minReadBytes: TAPPED_READ_BYTES },
      observer: joined<Observer>([
        ...observers,
        { closed: (connection, reason) => page?.closed(connection, reason), cannotAccept, failed },
      ]),
    },
  );
  const stopped = stopSignal(() => Promise.resolve(outputs.tell("SIGHUP: a relay reads no file again")));
  await announce(options, addr, page, report);
  await stopped;
  const since = performance.now();
  await server.shutdown();
  await page?.close();
  await recorder?.close();
  if (lines !== undefined) {
    const { connections, exchanges } = lines;
    writer.print(logLine("stopped", { connections, exchanges }));
  }
  await outputs.flush(since + limits.shutdownMs);
  return 0;
}

/** Prints where the relay listens, and before it a warning if others can reach it. */
async function announce(
  options: RelayOptions,
  addr: Deno.NetAddr,
  page: Page | undefined,
  report: (line: string) => void,
): Promise<void> {
  const { endpoint, logFormat, tls } = options;
  const server = `${endpoint.secure ? "https" : "http"}://${authorityOf(endpoint)}/`;
  if (!isLoopback(addr.hostname)) {
    const unencrypted = tls === undefined ? ", and all traffic is unencrypted: --cert and --key encrypt it" : "";
    report(anyoneMay(`send requests to ${server} through this relay${unencrypted}`, addr));
  }
  const url = urlOf(tls !== undefined, addr);
  const line = `Listening on ${url}, passing to ${server}; Ctrl-C stops`;
  await announceAddress(logFormat, "listening", { url, server }, wrapMessage(line, columnsOf(Deno.stdout)?.()));
  if (page === undefined) return;
  await announceAddress(logFormat, "page", { url: page.url }, `The traffic is shown at ${page.url}`);
}

/** Opens the page that shows the traffic, if it is asked for. */
async function openPage(
  { page, showCredentials, tls, endpoint }: RelayOptions,
  { addr, ...others }: { readonly addr: Deno.NetAddr } & Pick<PageOptions, "caCerts" | "failed" | "cannotAccept">,
): Promise<Page | undefined> {
  if (page === undefined) return undefined;
  const { Page } = await import("./page.ts");
  return new Page({
    ...page,
    showCredentials,
    messageLimits: { ...REQUEST_LIMITS, maxContentBytes: Number.MAX_SAFE_INTEGER },
    endpoint: { secure: tls !== undefined, host: reachable(addr.hostname), port: addr.port },
    relayTo: endpoint,
    words: { fields: RowSchema.parse(DEFAULT_FIELDS).fields, filterOperators: FILTER_OPERATORS },
    ...others,
  });
}

/**
 * Whether a server's address is the one that is listened on: then each connection would make another. Nobody is connected
 * to whose port is another one.
 */
async function isOwn({ host, port }: Endpoint, addr: Deno.NetAddr): Promise<boolean> {
  if (port !== addr.port) return false;
  try {
    const signal = AbortSignal.timeout(OWN_ADDRESS_MS);
    using conn = await Deno.connect({ hostname: host, port, signal });
    const { localAddr, remoteAddr } = conn as Deno.TcpConn;
    // An address of this machine: the other end has the same.
    return localAddr.hostname === remoteAddr.hostname || remoteAddr.hostname === addr.hostname;
  } catch {
    return false;
  }
}
