/**
 * The output of `serve`: each request, and with `--verbose` each response and the end of each connection. As JSON, all
 * of it needs `--verbose`: the log of exchanges stands beside it.
 */

import { counted, NO_BYTES, octetsToText, octetString, withRule } from "../bytes.ts";
import { Buffer } from "node:buffer";
import type { BatchWriter } from "../batch_writer.ts";
import { type HttpError, LF, type RequestHead } from "../http_message.ts";
import type { Observer } from "./context.ts";
import { logLine } from "./exchange_log.ts";
import { maskCredentials, maskTarget } from "../masking.ts";
import { escapeOctets, escapeText, wrapMessage } from "../terminal.ts";

export interface RequestLogOptions {
  /** Whether responses and connections are printed too. */
  readonly verbose: boolean;
  readonly format: "text" | "json";
  /** The width of a terminal, where data from clients is escaped; without it, as into a file, it is exact. */
  readonly columns?: () => number;
  /** Whether credentials (Authorization, Cookie and the like) are printed; by default only their length is. */
  readonly showCredentials: boolean;
  /** Shows where an invalid message is broken and how to fix it, as whole lines of safe text. */
  readonly explain?: (error: HttpError, rest: Uint8Array, position: number) => string;
  readonly now?: () => number;
}

type Mask = (text: string) => string;

/** Creates an observer that prints what a server reports. */
export function requestLog(writer: BatchWriter, options: RequestLogOptions): Observer {
  const mask: Mask = options.showCredentials ? (text) => text : maskCredentials;
  const log = options.format === "json" ? jsonLog(writer, options, mask) : textLog(writer, options, mask);
  if (options.verbose) return log;
  if (options.format === "json") return {};
  const { opened, request, refused, closed } = log;
  // Browsers request the icon by themselves: the log omits it.
  const isIcon = ({ method, path }: RequestHead) => method === "GET" && path === "/favicon.ico";
  return { opened, closed, refused, request: (...event) => isIcon(event[1]) ? undefined : request!(...event) };
}

function textLog(writer: BatchWriter, options: RequestLogOptions, mask: Mask): Observer {
  const { verbose, columns, now = Date.now } = options;
  const banners = new Banners(verbose, now);
  const message = (banner: string, head: string, content: Uint8Array) => {
    if (columns === undefined) {
      const end = content.length > 0 && content.at(-1) !== LF ? "\n" : "";
      // A head is ASCII except for obs-text, which must not be encoded a second time.
      const exact = Buffer.byteLength(head) === head.length ? head : Buffer.from(head, "latin1");
      return writer.print(banner, exact, content, end);
    }
    const text = escapeOctets(head + octetString(content));
    writer.print(banner, text, text === "" || text.endsWith("\n") ? "" : "\n");
  };
  return {
    opened: (id, peer) => banners.opened(id, peer),
    request: (id, request, content, trailers) => {
      message(banners.banner("REQUEST", id), mask(request.text), content);
      if (trailers.size > 0) message("-----TRAILERS-----\n", mask(trailers.lines), NO_BYTES);
    },
    refused: (id, error, head, rest, position) => {
      // What is refused before it was read takes one line.
      if (head.length + rest.length > 0) message(banners.banner("REQUEST", id), mask(head), maskBytes(rest, mask));
      const { status, message: detail, rule, offset } = error;
      const where = withRule(offset === undefined ? `${status}` : `${status} at octet ${offset}`, rule);
      const refused = `refused: ${where}: ${columns === undefined ? detail : escapeText(detail)}`;
      writer.print(wrapMessage(refused, columns?.()), "\n", options.explain?.(error, rest, position) ?? "");
    },
    response: (id, octets, status) => {
      message(status === undefined ? "" : banners.banner("RESPONSE", id), "", octets);
    },
    closed: (id, reason, requests) => {
      banners.closed(id);
      if (verbose) writer.print(`connection ${id} closed ${reason} after ${counted(requests, "request")}\n`);
    },
  };
}

/** Formats the lines above messages: plain for a single client, with connection and time once two are connected. */
export class Banners {
  readonly #peers = new Map<number, string>();
  #named: boolean;

  /** Creates plain lines, or with `named` the others at once; `now` is the wall clock in milliseconds. */
  constructor(named: boolean, private readonly now: () => number = Date.now) {
    this.#named = named;
  }

  /** A client has connected from this address. */
  opened(id: number, peer: string): void {
    this.#peers.set(id, peer);
    if (this.#peers.size > 1) this.#named = true;
  }

  /** A connection has ended. */
  closed(id: number): void {
    this.#peers.delete(id);
  }

  /** Returns the line above a message. */
  banner(what: string, id: number): string {
    if (!this.#named) return `-----${what}-----\n`;
    return `-----${what}----- ${id}, ${this.#peers.get(id) ?? "unknown"}, ${timeOfDay(this.now())}\n`;
  }
}

/** Formats the local time as 12:01:02.123. */
function timeOfDay(milliseconds: number): string {
  const offset = new Date(milliseconds).getTimezoneOffset();
  return new Date(milliseconds - offset * 60_000).toISOString().slice(-13, -1);
}

function maskBytes(bytes: Uint8Array, mask: Mask): Uint8Array {
  const text = octetString(bytes);
  const masked = mask(text);
  return masked === text ? bytes : Buffer.from(masked, "latin1");
}

function jsonLog(writer: BatchWriter, { now = Date.now, showCredentials }: RequestLogOptions, mask: Mask): Observer {
  const print = (event: string, connection: number, members: Record<string, unknown>) => {
    writer.print(logLine(event, { connection, ...members }, now()));
  };
  return {
    opened: (id, peer) => print("opened", id, { peer }),
    request: (id, { method, target, text }, content, trailers) => {
      print("request", id, {
        method,
        target: showCredentials ? target : maskTarget(target),
        head: octetsToText(mask(text)),
        ...content.length > 0 && contentMember(content),
        ...trailers.size > 0 && {
          trailers: [...trailers].map(([name, value]) => [name, mask(`${name}: ${value}`).slice(name.length + 2)]),
        },
      });
    },
    refused: (id, { status, message, rule, offset }, head, rest) => {
      const unread = contentMember(maskBytes(rest, mask), "unread");
      print("refused", id, { status, detail: message, rule, offset, head: octetsToText(mask(head)), ...unread });
    },
    response: (id, bytes, status) => {
      print("response", id, { ...status === undefined ? { continues: true } : { status }, ...contentMember(bytes) });
    },
    closed: (id, reason, requests) => print("closed", id, { reason, requests }),
  };
}

/** Returns bytes as text if they are UTF-8, else in base 64. */
function contentMember(bytes: Uint8Array, name = "content"): Record<string, string> {
  try {
    return { [name]: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch {
    return { [`${name}Base64`]: bytes.toBase64() };
  }
}
