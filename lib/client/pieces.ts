/**
 * Sends many rows in several requests to a server that takes fewer at once.
 *
 * Such a server answers 413 with a problem document (RFC 9457) whose extension member `maxRows` says how many rows one
 * request may create.
 */

import { Buffer } from "node:buffer";
import { ByteBuffer, counted } from "../bytes.ts";
import type { ClientEvent } from "../client.ts";
import { type HttpRequest, LF } from "../http_message.ts";
import { isObject, type MemberSpan, memberSpans, parsedJson } from "../json.ts";
import { MAX_DETAIL_CHARACTERS, MAX_PROBLEM_OCTETS } from "../limits.ts";
import { escapeText } from "../terminal.ts";
import { mediaType } from "./request_content.ts";

interface PiecesOptions {
  /** Sends a request, passes on the events of the exchange, and returns the status of the response. */
  readonly send: (request: HttpRequest, show: (event: ClientEvent) => Promise<void>) => Promise<number>;
  readonly show: (event: ClientEvent) => Promise<void>;
  readonly note: (line: string) => Promise<void>;
  /** Whether a refusal is shown although its rows are sent in pieces. */
  readonly showsRefusals: () => boolean;
}

/** Fields that make a request depend on the state of the table, which the first piece changes (RFC 9110 §13.1). */
const CONDITIONS = ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"];
const PROBLEM = /^application\/problem\+json\s*(?:;|$)/i;
const UTF8 = new TextDecoder();
const SPACE = 0x20;

/**
 * Sends a request with new rows, in pieces if the server takes fewer at once. Stops at the first piece that fails, and
 * notes which rows are in the table then. Returns the status of the last response.
 */
export async function sendInPieces(request: HttpRequest, options: PiecesOptions): Promise<number> {
  const { content, fields } = request;
  const isConditional = fields.some(([name]) => CONDITIONS.includes(name.toLowerCase()));
  if (content === undefined || isConditional) return await options.send(request, options.show);
  const isLines = mediaType(fields) === "application/x-ndjson";
  // Found only when needed: most requests are not refused.
  let spans: readonly MemberSpan[] | undefined;
  const rows = () => spans ??= (isLines ? lineSpans(content) : memberSpans(content)) ?? [];
  for (let from = 0, size = Infinity;;) {
    const isWhole = size === Infinity;
    const piece = () => rows().slice(from, from + size);
    const upTo = (end: number) => `up to ${nameOf(content, rows()[end - 1])}`;
    const noteRows = async (isOpen: boolean) => {
      if (isWhole) return;
      const created = from === 0 ? "none" : `the first ${from} of ${rows().length}, ${upTo(from)}`;
      const { length } = piece();
      const open = isOpen ? `; not known: the next ${length}, ${upTo(from + length)}` : "";
      await options.note(`Rows created: ${created}${open}`);
    };
    const sent = isWhole ? request : { ...request, content: textOf(content, piece(), isLines) };
    const { status, refusal } = await sendOnce(sent, () => piece().length, options).catch(async (error) => {
      await noteRows(true);
      throw error;
    });
    if (refusal !== undefined) {
      size = refusal.maxRows;
      const left = rows().length - from;
      const pieces = `${counted(Math.ceil(left / size), "piece")} of at most ${size}`;
      await options.note(
        `${escapeText(refusal.detail)}: ${left} rows are sent in ${pieces}, each created whole or not at all`,
      );
      continue;
    }
    // Only a server error leaves it open whether the rows were created.
    if (status < 200 || status >= 300) await noteRows(status >= 500);
    else if (!isWhole && from + size < rows().length) {
      from += size;
      continue;
    }
    return status;
  }
}

/** Sends a request with some rows. Its refusal is returned if fewer rows can be sent instead. */
async function sendOnce(
  request: HttpRequest,
  rows: () => number,
  { send, show, showsRefusals }: PiecesOptions,
) {
  const document = new ByteBuffer(1024);
  let held: ClientEvent[] | undefined;
  let refusal: ReturnType<typeof refusalIn>;
  const release = async () => {
    const events = held ?? [];
    held = undefined;
    for (const event of events) await show(event);
  };
  try {
    const status = await send(request, async (event) => {
      if (event.kind === "response" && event.status === 413 && PROBLEM.test(event.fields.get("content-type") ?? "")) {
        held = [];
      }
      if (held === undefined) return await show(event);
      // The octets of an event are valid only until the next one.
      held.push(event.kind === "content" ? { ...event, bytes: event.bytes.slice() } : event);
      if (event.kind === "content") document.append(event.bytes);
      if (document.length > MAX_PROBLEM_OCTETS) return await release();
      if (event.kind !== "end") return;
      const seen = refusalIn(document.view());
      if (seen !== undefined && seen.maxRows < rows()) refusal = seen;
      if (refusal === undefined || showsRefusals()) await release();
    });
    return { status, refusal };
  } catch (error) {
    await release();
    throw error;
  }
}

/** Returns how many rows one request may create, and why; `undefined` if a problem document is about others. */
function refusalIn(document: Uint8Array) {
  const problem = parsedJson(UTF8.decode(document));
  if (!isObject(problem)) return undefined;
  const { maxRows, detail } = problem;
  if (typeof maxRows !== "number" || !Number.isSafeInteger(maxRows) || maxRows < 1) return undefined;
  const isLine = typeof detail === "string" && detail.length <= MAX_DETAIL_CHARACTERS && !/[\r\n]/.test(detail);
  return { maxRows, detail: isLine ? detail : "The server takes fewer rows at once" };
}

/** Returns content with some rows that follow each other; their text stays as it is. */
function textOf(content: Uint8Array, rows: readonly MemberSpan[], isLines: boolean): Uint8Array {
  const text = content.subarray(rows[0].start, rows.at(-1)!.end);
  // In lines, the first one's opening brace and the last one's closing brace stand outside of the spans, too.
  return Buffer.concat([Buffer.from("{"), text, Buffer.from(isLines ? "}\n" : "}")]);
}

function nameOf(content: Uint8Array, { start, nameEnd }: MemberSpan): string {
  return escapeText(JSON.stringify(JSON.parse(UTF8.decode(content.subarray(start, nameEnd)))));
}

/** Returns the positions of the only member of the object in each line; `undefined` if a line has another form. */
function lineSpans(content: Uint8Array): MemberSpan[] | undefined {
  const spans: MemberSpan[] = [];
  for (let start = 0, end: number; start < content.length; start = end + 1) {
    end = content.indexOf(LF, start);
    if (end < 0) end = content.length;
    const line = content.subarray(start, end);
    if (line.every((octet) => octet <= SPACE)) continue;
    const [span, ...more] = memberSpans(line) ?? [];
    if (span === undefined || more.length > 0) return undefined;
    spans.push({ start: start + span.start, nameEnd: start + span.nameEnd, end: start + span.end });
  }
  return spans;
}
