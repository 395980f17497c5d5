/**
 * What `serve` prints: each request message, and with more words each answer and each connection's life.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { BatchWriter } from "../batch_writer.ts";
import { type Fields, type HttpError, LF } from "../http_message.ts";
import type { Observer } from "./context.ts";
import { ContentText, escapeJson, escapeText, octetsToText } from "../terminal.ts";

/** How the log is written. */
export interface RequestLogOptions {
  /** Answers and connections too. */
  readonly verbose: boolean;
  /** Text for people, or one JSON object a line for programs. */
  readonly format: "text" | "json";
  /** Whether it goes to a terminal: then what clients sent is escaped, else it is written exactly. */
  readonly terminal: boolean;
  /** The clock, in milliseconds. */
  readonly now?: () => number;
}

const REQUEST_BANNER = "-----REQUEST-----\n";
const RESPONSE_BANNER = "-----RESPONSE-----\n";
const NO_BYTES = new Uint8Array(0);

/** Makes the observer that prints what a server tells. */
export function requestLog(writer: BatchWriter, options: RequestLogOptions): Observer {
  const log = options.format === "json" ? jsonLog(writer, options.now ?? Date.now) : textLog(writer, options.terminal);
  if (options.verbose) return log;
  const { request, refused } = log;
  return { request, refused };
}

function textLog(writer: BatchWriter, terminal: boolean): Observer {
  const message = terminal ? printSafely : printExactly;
  return {
    opened: (id, peer) => writer.print(`connection ${id} opened by ${peer}\n`),
    request: (_id, request, content, trailers) => {
      message(writer, REQUEST_BANNER, request.text, content);
      if (trailers.size > 0) message(writer, "", trailerText(trailers), NO_BYTES);
    },
    refused: (_id, error, head, rest) => {
      message(writer, REQUEST_BANNER, head, rest);
      writer.print(`refused: ${describe(error, terminal)}\n`);
    },
    response: (_id, bytes, status) => message(writer, status === undefined ? "" : RESPONSE_BANNER, "", bytes),
    closed: (id, reason, requests) => {
      writer.print(`connection ${id} closed ${reason} after ${requests} request${requests === 1 ? "" : "s"}\n`);
    },
  };
}

function describe({ status, message, rule, offset }: HttpError, terminal: boolean): string {
  const where = [offset === undefined ? "" : ` at byte ${offset}`, rule === undefined ? "" : ` (${rule})`].join("");
  return `${status}${where}: ${terminal ? escapeText(message) : message}`;
}

/** Byte for byte, with a line end behind what has none. */
function printExactly(writer: BatchWriter, banner: string, head: string, content: Uint8Array): void {
  const end = content.length > 0 && content[content.length - 1] !== LF ? "\n" : "";
  // A head is ASCII but for obs-text, which must not be encoded a second time.
  if (Buffer.byteLength(head) === head.length) writer.print(banner + head, content, end);
  else {
    writer.print(banner, Buffer.from(head, "latin1"));
    if (content.length > 0) writer.print("", content, end);
  }
}

function printSafely(writer: BatchWriter, banner: string, head: string, content: Uint8Array): void {
  const text = new ContentText();
  const shown = escapeText(octetsToText(head)) + text.add(content) + text.end();
  writer.print(banner + shown + (shown === "" || shown.endsWith("\n") ? "" : "\n"));
}

function trailerText(trailers: Fields): string {
  return [...trailers].map(([name, value]) => `${name}: ${value}\r\n`).join("");
}

function jsonLog(writer: BatchWriter, now: () => number): Observer {
  const print = (event: string, connection: number, members: Record<string, unknown>) => {
    const json = JSON.stringify({ time: new Date(now()).toISOString(), event, connection, ...members });
    writer.print(`${escapeJson(json)}\n`);
  };
  return {
    opened: (id, peer) => print("opened", id, { peer }),
    request: (id, { method, target, text }, content, trailers) => {
      print("request", id, {
        method,
        target,
        head: octetsToText(text),
        ...content.length > 0 && contentMember(content),
        ...trailers.size > 0 && { trailers: [...trailers] },
      });
    },
    refused: (id, { status, message, rule, offset }, head, rest) => {
      const unread = contentMember(rest, "unread");
      print("refused", id, { status, detail: message, rule, offset, head: octetsToText(head), ...unread });
    },
    response: (id, bytes, status) => {
      print("response", id, { ...status === undefined ? { continues: true } : { status }, ...contentMember(bytes) });
    },
    closed: (id, reason, requests) => print("closed", id, { reason, requests }),
  };
}

/** Bytes as text if they are UTF-8, else in base 64. */
function contentMember(bytes: Uint8Array, name = "content"): Record<string, string> {
  try {
    return { [name]: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch {
    return { [`${name}Base64`]: bytes.toBase64() };
  }
}
