/**
 * Composes `relay`: passes octets between clients and a server, and shows them, until a signal ends it.
 *
 * @module
 */

import { authorityOf, type Endpoint, isLoopback, originOf } from "./address.ts";
import type { Socket } from "./bytes.ts";
import type { RelayOptions } from "./cli.ts";
import { readCertificates } from "./cli/files.ts";
import { DEFAULT_FIELDS } from "./cli/flags.ts";
import { UsageError } from "./cli/values.ts";
import { dial } from "./client.ts";
import { FALLBACK_COLUMNS } from "./limits.ts";
import { anyoneMay, columnsOf, Listening, readIdentity, TAPPED_READ_BYTES } from "./listening.ts";
import { RelayConnection, type RelayObserver } from "./relay/connection.ts";
import { HostRule } from "./relay/gate.ts";
import { ExchangeLines, Printer } from "./relay/printer.ts";
import { Server } from "./server.ts";
import { joined } from "./server/context.ts";
import { startTls } from "./server/tls_relay.ts";
import { FILTER_OPERATORS, RowSchema } from "./table/row_schema.ts";
import { isColored, painterFor } from "./terminal.ts";
import { explanationText, refusalText } from "./traffic/explain/text.ts";
import { tapped } from "./traffic/tap.ts";

/** How long connecting may take to an address that may be the relay's own. */
const OWN_ADDRESS_MS = 1000;
/** The names of the interfaces of a recording, by the end of a connection that the relay holds. */
const INTERFACES = { server: "client to relay", client: "relay to server" };

/** Passes octets until a signal stops it. */
export async function relay(options: RelayOptions): Promise<number> {
  const { endpoint, keepHost, verbose, quiet, showCredentials, logFormat, timeoutMs, answerMs, limits, tls } = options;
  const identity = await readIdentity(tls);
  const caCerts = options.caFile === undefined ? [] : [await readCertificates("--cacert", options.caFile)];
  const listening = await Listening.open(options, identity);
  const { addr, outputs } = listening;
  if (await isOwn(endpoint, addr)) {
    const own = `${authorityOf(endpoint)} is the relay's own address`;
    throw new UsageError(`${own}: give the server's, or listen elsewhere with --port 9996`);
  }
  await listening.show({
    words: { fields: RowSchema.parse(DEFAULT_FIELDS).fields, filterOperators: FILTER_OPERATORS },
    relayTo: endpoint,
  }, { interfaces: INTERFACES });
  const { page, room, tap } = listening;
  const lines = logFormat === "json" ? new ExchangeLines(listening.logged, showCredentials) : undefined;
  const columns = columnsOf(Deno.stdout);
  const printer = quiet || lines !== undefined ? undefined : new Printer(outputs.writer, {
    secure: tls !== undefined,
    verbose,
    showCredentials,
    columns,
    explanation: (explanation) =>
      explanationText(explanation, {
        width: columns?.() ?? FALLBACK_COLUMNS,
        sentenceWidth: columns?.(),
        painter: painterFor(isColored("auto")),
        masked: !showCredentials,
      }),
    fault: (error, unread, at, direction) => refusalText(error, unread, at, showCredentials, columns?.(), direction),
  });
  const shared = {
    rule: new HostRule(endpoint, keepHost, !isLoopback(addr.hostname)),
    dial: (connection: number, cancel: AbortSignal) => {
      const tapClient = tap && ((conn: Socket) => tapped(conn, "client", connection, tap));
      const dialOptions = { timeoutMs, caCerts, startTls, tap: tapClient };
      return Server.withDescriptors(() => dial(endpoint, dialOptions, cancel));
    },
    answerMs,
    explains: options.explain && printer !== undefined,
    room,
  };
  const observer = joined<RelayObserver>([...[lines, printer].flatMap((one) => one?.observer ?? []), {
    noted: (connection, line) => {
      if (printer === undefined && !quiet) outputs.say(`connection ${connection} ${line}`);
    },
    changed: (id, { start, from, to }) =>
      page?.find(id, start, { text: `changed on the way: Host: ${from} -> ${to}`, rule: "RFC 9110 §7.2" }),
  }]);
  const server = listening.serve(
    (connection, conn, context) => new RelayConnection(connection, conn, context, shared),
    { limits: { ...limits, minReadBytes: TAPPED_READ_BYTES }, observer },
  );
  const to = `${originOf(endpoint)}/`;
  const unencrypted = tls === undefined ? ", and all traffic is unencrypted: --cert and --key encrypt it" : "";
  const warning = anyoneMay(`send requests to ${to} through this relay${unencrypted}`, addr);
  return await listening.run(server, {
    warning: isLoopback(addr.hostname) ? undefined : warning,
    what: `, passing to ${to}`,
    facts: { server: to },
    renew: () => Promise.resolve("SIGHUP: a relay reads no file again"),
    log: lines,
  });
}

/**
 * Whether a server's address is the one that the relay listens on: then each connection would make another one. It only
 * connects to find out if the ports are equal.
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
