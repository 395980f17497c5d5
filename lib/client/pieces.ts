/**
 * Sends many rows in several requests to a server that takes fewer at once.
 *
 * Such a server answers 413 with a problem document (RFC 9457) whose extension member `maxRows` says how many rows one
 * request may create.
 */

import { Buffer } from "node:buffer";
import { counted } from "../bytes.ts";
import { type HttpRequest, LF } from "../http_message.ts";
import { isObject, type MemberSpan, memberSpans, parsedJson } from "../json.ts";
import { MAX_DETAIL_CHARACTERS } from "../limits.ts";
import { escapeText } from "../terminal.ts";
import { mediaType } from "./request_content.ts";

/** What is looked at of a final response. */
export interface Answer {
  readonly status: number;
  readonly type: string | undefined;
  /** The content; empty if it is too long, or of no interest. */
  readonly content: string;
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
export async function sendInPieces(
  request: HttpRequest,
  send: (request: HttpRequest) => Promise<Answer>,
  note: (line: string) => Promise<void>,
): Promise<number> {
  const { content, fields } = request;
  let answer = await send(request);
  const isConditional = fields.some(([name]) => CONDITIONS.includes(name.toLowerCase()));
  if (answer.status !== 413 || content === undefined || isConditional) return answer.status;
  const isLines = mediaType(fields) === "application/x-ndjson";
  const rows = (isLines ? lineSpans(content) : memberSpans(content)) ?? [];
  let refusal = refusalIn(answer, rows.length);
  if (refusal === undefined) return answer.status;
  const upTo = (end: number) => `up to ${nameOf(content, rows[end - 1])}`;
  for (let from = 0, size = 0; from < rows.length;) {
    if (refusal !== undefined) {
      size = refusal.maxRows;
      const left = rows.length - from;
      const pieces = `${counted(Math.ceil(left / size), "piece")} of at most ${size}`;
      await note(`${escapeText(refusal.detail)}: ${left} rows are sent in ${pieces}, each created whole or not at all`);
    }
    const piece = rows.slice(from, from + size);
    const noteRows = async (isOpen: boolean) => {
      const created = from === 0 ? "none" : `the first ${from} of ${rows.length}, ${upTo(from)}`;
      const open = isOpen ? `; not known: the next ${piece.length}, ${upTo(from + piece.length)}` : "";
      await note(`Rows created: ${created}${open}`);
    };
    answer = await send({ ...request, content: textOf(content, piece, isLines) }).catch(async (error) => {
      await noteRows(true);
      throw error;
    });
    refusal = refusalIn(answer, piece.length);
    if (refusal !== undefined) continue;
    // Only a server error leaves it open whether the rows were created.
    if (answer.status < 200 || answer.status >= 300) {
      await noteRows(answer.status >= 500);
      break;
    }
    from += size;
  }
  return answer.status;
}

/** Returns how many rows one request may create, and why, if a problem document says that these are too many. */
function refusalIn({ status, type = "", content }: Answer, rows: number) {
  const problem = status === 413 && PROBLEM.test(type) ? parsedJson(content) : undefined;
  if (!isObject(problem)) return undefined;
  const { maxRows, detail } = problem;
  if (typeof maxRows !== "number" || !Number.isSafeInteger(maxRows) || maxRows < 1 || maxRows >= rows) return undefined;
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
