/**
 * The page of `serve --page`, put together: a tap on the table's listener, a journal, and a server of its own on
 * loopback, which also sends commands to the table as any client would.
 *
 * @module
 */

import config from "../deno.json" with { type: "json" };
import { authorityOf, type Endpoint, originOf } from "./address.ts";
import { ByteBuffer, counted, octetString } from "./bytes.ts";
import { PAGE_PORT, portProblem } from "./cli/addresses.ts";
import { Failure } from "./cli/values.ts";
import { CommandSender } from "./client/command_sender.ts";
import { curlCommand, type OwnServer } from "./client/curl.ts";
import { defaultFields, describeFields, type NamedField, type TableWords } from "./client/items.ts";
import { degreeSentence, explainOctets, type Finding, readable } from "./exchange.ts";
import { HttpError, type RequestHead } from "./http_message.ts";
import {
  CLIENT_TIMEOUT_MS,
  type MessageLimits,
  PAGE_COMMAND_OCTETS,
  PAGE_HISTORY_EVENTS,
  PAGE_MESSAGE_OCTETS,
  PAGE_ROWS,
  PAGE_TABLE_BYTES,
  REQUEST_LIMITS,
  SERVER_LIMITS,
  type ServerLimits,
} from "./limits.ts";
import { credentialsWithin, starCredentials } from "./masking.ts";
import { Server } from "./server.ts";
import type { Table } from "./table.ts";
import { painterFor } from "./terminal.ts";
import type { TrafficListener } from "./traffic.ts";
import { CaptureReader } from "./traffic/capture/reader.ts";
import { startDate } from "./traffic/capture/words.ts";
import { aroundCaret } from "./traffic/explain/octet_lines.ts";
import { labelOfMasked, maskedReading, messageCredentials, readingLines } from "./traffic/explain/text.ts";
import { Transcript } from "./traffic/explain/transcript.ts";
import { PageAccess } from "./traffic/live/access.ts";
import { Feed, type FeedSource } from "./traffic/live/feed.ts";
import { Journal } from "./traffic/live/journal.ts";
import { RecordedTraffic } from "./traffic/live/recording.ts";
import { type MessageRange, PageService } from "./traffic/live/service.ts";
import { allOf, SINCE_START, tapped } from "./traffic/tap.ts";

export type { NamedField, OwnServer, TableWords };

/** What the page needs to know. */
export interface PageOptions {
  /** Its port; `undefined` for the usual one, or any if that is taken. */
  readonly port: number | undefined;
  /** Events that it keeps. */
  readonly history: number;
  /** Whether credentials are shown. */
  readonly showCredentials: boolean;
  /** The limits that the table's server has on requests; a relay limits no content. */
  readonly messageLimits?: MessageLimits;
  /** Where the table is reached. */
  readonly endpoint: Endpoint;
  /** Certificates to trust when it is reached over TLS. */
  readonly caCerts: readonly string[];
  /** What commands may name. */
  readonly words: Omit<TableWords, "server">;
  /** The table itself, which reports what it does; without one, none is shown. */
  readonly table?: Pick<Table, "contents" | "listener">;
  /** The server behind a relay, of which both sides are shown. */
  readonly relayTo?: Endpoint;
  /** Receives what goes wrong. */
  readonly failed: (error: unknown) => void;
  /** Receives the system's reason when the page cannot accept a connection. */
  readonly cannotAccept?: (reason: string) => void;
  /** The key; by default, a random one. */
  readonly key?: string;
}

/** Columns of the line with the octet that breaks a rule. */
const FAULT_COLUMNS = 64;

/**
 * The page's own server has few clients, all on this machine: one that has left does not keep its place, and one that
 * does not read does not keep the program.
 */
const PAGE_LIMITS: ServerLimits = {
  ...SERVER_LIMITS,
  maxConnections: 64,
  halfClosedMs: 0,
  lingerMs: 250,
  shutdownIdleMs: 0,
  shutdownMs: 500,
};

interface HostOptions
  extends Pick<PageOptions, "port" | "showCredentials" | "messageLimits" | "failed" | "cannotAccept" | "key"> {
  readonly source: FeedSource;
  readonly about: Record<string, unknown>;
  /** The server of a connection, for commands that can be copied. */
  readonly endpointOf: (connection: number) => Endpoint | undefined;
  /** Returns further findings on a message. */
  readonly findingsOf?: (range: MessageRange) => readonly Finding[];
  /** Executes a command, see {@linkcode PageSource.command}; without it there are none. */
  readonly command?: (line: string, signal: AbortSignal) => Promise<string>;
}

/** A page that is served. */
export interface OpenPage {
  /** The address to open, with the key. */
  readonly url: string;
  /** Ends the streams of events, then the page's server. */
  close(): Promise<void>;
}

/** @throws {Failure} If its port is taken. */
function host(options: HostOptions): OpenPage {
  const { source, about, showCredentials, failed, cannotAccept } = options;
  const listener = listen(options.port);
  const { port } = listener.addr as Deno.NetAddr;
  const key = options.key ?? randomText(18);
  const feed = new Feed(source, { about, process: randomText(6) });
  const service = new PageService(new PageAccess(port, key), feed, {
    message: (range) => explainedMessage(range, options),
    find: (text) => source.history.find(text, showCredentials),
    command: options.command ?? (() => Promise.reject(new HttpError(404, "A recording takes no commands"))),
  });
  const server = new Server(listener, service, {
    limits: PAGE_LIMITS,
    messageLimits: { ...REQUEST_LIMITS, maxContentBytes: PAGE_COMMAND_OCTETS },
    observer: { failed, cannotAccept },
  });
  return {
    url: `${originOf({ secure: false, host: "127.0.0.1", port })}/?key=${key}`,
    close: () => {
      feed.stop();
      return server.shutdown();
    },
  };
}

/** Returns a message's octets with their meaning; `undefined` if they are no longer kept. */
function explainedMessage(range: MessageRange, options: HostOptions): unknown {
  const { connection, direction, from, to, method, whole: complete } = range;
  const end = Math.min(to, from + PAGE_MESSAGE_OCTETS);
  const { source: { history }, messageLimits, showCredentials } = options;
  // Credentials are found in whole messages only: the requested octets may begin or end in one.
  const known = history.message(connection, direction, from);
  const whole = known && history.octets(connection, direction, from, Math.min(known.to, from + PAGE_MESSAGE_OCTETS));
  if (known === undefined || whole === undefined || from + whole.length < end) return undefined;
  const octets = whole.subarray(0, end - from);
  const [explained] = explainOctets(direction, octets, {
    gaps: known.gaps?.().filter(({ at }) => at < octets.length || complete && end === to),
    answers: () => method,
    limits: { request: messageLimits },
    closed: complete && end === to,
  });
  const { rows = [], findings = [], fault } = explained ?? {};
  const credentials = showCredentials ? [] : messageCredentials(rows, octetString(whole));
  const shown = starCredentials(octets, credentials);
  return {
    octets: shown.toBase64(),
    leftOut: to - end,
    rows: rows.map((row) => {
      const { start, end, kind, label, rule, parts } = row;
      const isMasked = credentialsWithin(credentials, start, end).length > 0;
      return { start, end, kind, rule, ...isMasked ? { label: labelOfMasked(row) } : { label, parts } };
    }),
    findings: [...options.findingsOf?.(range) ?? [], ...findings],
    fault: fault && {
      detail: degreeSentence(fault.detail, fault.degree),
      rule: fault.degree.rule,
      offset: fault.offset,
      line: lineWithCaret(octetString(shown), fault.offset),
      fix: fault.fix,
      readings: readingLines(showCredentials ? fault.readings : fault.readings.map(maskedReading), direction),
    },
    ...direction === "request" && end === to && known.gaps === undefined && {
      raw: `raw "${readable(octetString(shown)).replaceAll('"', '\\"')}"`,
      ...complete && { curl: curlOf(shown, options.endpointOf(connection)) },
    },
  };
}

function lineWithCaret(octets: string, offset: number): string {
  const start = offset === 0 ? 0 : octets.lastIndexOf("\n", offset - 1) + 1;
  const end = octets.indexOf("\n", offset) + 1 || octets.length;
  const { shown, caret } = aroundCaret(octets.slice(start, end), offset - start, FAULT_COLUMNS);
  return `${shown}\n${" ".repeat(caret)}^ octet ${offset}`;
}

/** Returns a complete request as a command of curl; `undefined` if curl cannot send it. */
function curlOf(octets: Uint8Array, endpoint: Endpoint | undefined): string | undefined {
  let head: RequestHead | undefined;
  const content = new ByteBuffer(0);
  explainOctets("request", octets, {
    listener: (event) => {
      if (event.kind === "head" && event.head.kind === "request") head = event.head;
      if (event.kind === "content") content.append(event.bytes);
    },
  });
  if (head === undefined || endpoint === undefined || !/^\/|^\*$/.test(head.target)) return undefined;
  // curl writes these itself: the content is decoded.
  const fields = [...head.fields].filter(([name]) => !/^(?:content-length|transfer-encoding)$/i.test(name));
  const { method, target } = head;
  return curlCommand({ method, target, fields, ...content.length > 0 && { content: content.view() } }, endpoint);
}

/** The page of `serve` or `relay` while it is open. */
export interface LivePage extends OpenPage {
  /** Receives the events of the table's connections. */
  readonly receive: TrafficListener;
  /** Receives a finding on an octet that a client has sent. */
  find(connection: number, at: number, finding: Finding): void;
}

/** Opens the page on loopback; it is closed after the table's server. Throws a {@linkcode Failure} if its port is taken. */
export function openPage(options: PageOptions): LivePage {
  const { endpoint, history, messageLimits, failed, table, words } = options;
  const relay = options.relayTo && authorityOf(options.relayTo);
  const journal = new Journal({
    maxEvents: history,
    messageLimits,
    askTable: table && (() => table.contents(PAGE_ROWS, PAGE_TABLE_BYTES)),
    relays: relay !== undefined,
    failed,
  });
  let lines = "";
  const transcript = new Transcript({
    write: (text) => void (lines += text),
    painter: painterFor(false),
    timeoutMs: CLIENT_TIMEOUT_MS,
  });
  let connections = 0;
  // A relay's connections at the client's end are those to its server.
  const follow = relay === undefined ? [journal.receive] : [];
  const listener = allOf([...follow, (event) => transcript.receive(event)])!;
  const sender = new CommandSender({
    ...options,
    defaults: defaultFields(endpoint, config.version),
    tap: (conn) => tapped(conn, "client", ++connections, listener),
    raw: transcript,
    takeLines: () => {
      const text = lines;
      lines = "";
      return text;
    },
  });
  /** Findings on octets that clients have sent. */
  const findings: { readonly connection: number; readonly at: number; readonly finding: Finding }[] = [];
  const page = host({
    ...options,
    source: journal,
    about: {
      name: authorityOf(endpoint),
      table: originOf(endpoint),
      keeps: history,
      example: relay !== undefined
        ? 'get / · head / · raw "…" · help'
        : `get all · post NAME ${describeFields(words)} · delete NAME · raw "…" · help`,
      relay,
    },
    findingsOf: ({ connection, direction, from, to }) =>
      findings.filter((one) => {
        return direction === "request" && one.connection === connection && one.at >= from && one.at < to;
      }).map(({ finding }) => finding),
    endpointOf: () => endpoint,
    command: (line, signal) => sender.send(line, signal),
  });
  if (table !== undefined) table.listener = journal.receiveReport;
  const timer = setInterval(() => journal.tick(SINCE_START()), 1000);
  journal.askTable();
  return {
    url: page.url,
    receive: journal.receive,
    find: (connection, at, finding) => {
      findings.push({ connection, at, finding });
      // The events of the oldest ones are no longer kept.
      if (findings.length > 2 * PAGE_HISTORY_EVENTS) findings.splice(0, PAGE_HISTORY_EVENTS);
    },
    close: async () => {
      clearInterval(timer);
      sender.close();
      await page.close();
    },
  };
}

/** What the page of a recording needs to know. */
export interface RecordedPageOptions extends Pick<PageOptions, "port" | "history" | "showCredentials" | "failed"> {
  /** The only connection to show. */
  readonly connection: number | undefined;
  /** The file's name. */
  readonly name: string;
  /** Receives the number of connections in the file before the page is opened. */
  readonly check: (connections: number) => void;
}

/**
 * Reads a capture and opens its page on loopback.
 *
 * @param pieces The bytes of the file, each piece valid until the next one.
 * @throws {CaptureError} If the file is no valid capture.
 * @throws {Failure} If the port is taken.
 */
export async function openRecordedPage(
  pieces: AsyncIterable<Uint8Array>,
  options: RecordedPageOptions,
): Promise<OpenPage> {
  const { connection, name, check } = options;
  const traffic = new RecordedTraffic(options.history);
  const reader = new CaptureReader((event) => traffic.receive(event), { connection });
  for await (const bytes of pieces) reader.receive(bytes);
  const notes = reader.end();
  check(reader.connections);
  traffic.finish();
  const { history, end, missing } = traffic;
  if (missing > 0) {
    const events = `${counted(missing, "more event")} ${missing === 1 ? "is" : "are"} not shown`;
    notes.unshift(`${events}, only the first ${history.last}: --page-history N, --connection N show others`);
  }
  const date = startDate(reader.start)?.toISOString() ?? "";
  return host({
    ...options,
    source: traffic,
    about: {
      keeps: history.last,
      name,
      date: date.replace(/^(.*)T(..:..).*$/, "$1 $2 UTC"),
      recording: { end, notes },
    },
    endpointOf: (number) => traffic.serverOf(number),
  });
}

function listen(port: number | undefined): Deno.Listener {
  const hostname = "127.0.0.1";
  try {
    return Deno.listen({ hostname, port: port ?? PAGE_PORT });
  } catch (error) {
    const problem = portProblem(error, port ?? PAGE_PORT);
    if (problem === undefined) throw error;
    if (port === undefined) return Deno.listen({ hostname, port: 0 });
    throw new Failure(`Port ${port} on ${hostname} is ${problem}: choose another with --page PORT`);
  }
}

/** Text that nobody can guess: so many random octets in hexadecimal digits. */
function randomText(octets: number): string {
  return crypto.getRandomValues(new Uint8Array(octets)).toHex();
}
