/** Formats explanations as text, in which everything from a peer is escaped: octets, labels, a caret under a fault. */

import { counted, octetString, withRule } from "../../bytes.ts";
import {
  degreeSentence,
  type Direction,
  type Explanation,
  type Fault,
  fixFor,
  type OctetKind,
  type OctetRow,
  readable,
  type Reading,
} from "../../exchange.ts";
import { CAUSES, type Degree, type HttpError, LF, reasonPhrase } from "../../http_message.ts";
import { SHOWN_CONTENT_LINES } from "../../limits.ts";
import { type Credential, credentialsIn, credentialsWithin, maskCredentials, placeInMasked } from "../../masking.ts";
import { displayWidth, escapeText, type Painter, painterFor, type Style, wordsOf, wrapWords } from "../../terminal.ts";
import { aroundCaret, contentLines, textLines } from "./octet_lines.ts";

export interface ExplainTextOptions {
  readonly width: number;
  /** The width of findings and sentences on a fault; by default each is one line. */
  readonly sentenceWidth?: number;
  /** Whether all content is shown, or one screenful, which is also what commands without `--all` show. */
  readonly all?: boolean;
  readonly painter: Painter;
  /** Whether credentials are replaced by their length. */
  readonly masked?: boolean;
}

/** Columns before the octets: the offset and a space. */
const OFFSET_WIDTH = 6;
const INDENT = " ".repeat(OFFSET_WIDTH);
/** The column of labels at 80 columns. Wider terminals give the additional columns to the labels. */
const LABEL_COLUMN = 42;
const USUAL_WIDTH = 80;
const LEAST_WIDTH = 40;
const PLAIN = painterFor(false);
const STYLES: Readonly<Record<OctetKind, Style>> = {
  start: "bold",
  field: "blue",
  end: "dim",
  framing: "cyan",
  content: "green",
  broken: "red",
  unread: "dim",
};

export function explanationText(explanation: Explanation, options: ExplainTextOptions): string {
  const { rows, findings, fault } = explanation;
  const { painter, width, sentenceWidth, masked } = options;
  const lines: string[] = [];
  const credentials = masked ? messageCredentials(rows) : [];
  // The caret is in the row with the octet, or in the last one before it.
  const faulty = fault && (rows.find(({ end }) => fault.offset < end) ?? rows.at(-1));
  for (const row of rows) {
    const found = credentialsWithin(credentials, row.start, row.end);
    const shown = fault !== undefined && row === faulty
      ? [...caretLines(row, fault.offset, found, width, painter), ...faultWords(explanation, fault, options)]
      : rowLines(row, found, options);
    // Large content has more lines than a call can have arguments.
    for (const line of shown) lines.push(line);
  }
  for (const { text, rule } of findings) {
    lines.push(...sentence("=>", withRule(escapeText(text), rule), sentenceWidth));
  }
  return lines.map((line) => `${line.trimEnd()}\n`).join("");
}

/** Formats a line with a caret under an octet. Of a long line only the octets around it are shown. */
function caretLines(
  { start, octets, kind }: Pick<OctetRow, "start" | "octets" | "kind">,
  offset: number,
  found: readonly Credential[],
  width: number,
  painter: Painter,
): string[] {
  // Of long content only the first octets are kept.
  const left = offset > start + octets.length ? "…" : "";
  const at = placeInMasked(octets, found, offset - start);
  const { shown, caret } = aroundCaret(maskCredentials(octets, found), at, width - OFFSET_WIDTH - left.length);
  return [
    `${String(start).padStart(OFFSET_WIDTH - 1)} ${painter(STYLES[kind], shown + left)}`,
    `${INDENT}${" ".repeat(caret + left.length)}${painter("red", "^")} octet ${offset}`,
  ];
}

/**
 * Formats the fault of a refused message: the line with a caret under the octet, and the fix.
 *
 * @param rest The octets that were not decoded.
 * @param position The offset of the first of them, from the message's start.
 * @param showCredentials Whether the line is shown even if it has a credential.
 * @param columns The width of lines; the one with the octet has at most 80 in any case.
 */
export function refusalText(
  error: HttpError,
  rest: Uint8Array,
  position: number,
  showCredentials: boolean,
  columns = Infinity,
  direction: Direction = "request",
): string {
  const lines: string[] = [];
  const at = error.fault === undefined ? -1 : error.offset! - position;
  if (at >= 0 && at < rest.length) {
    const start = at === 0 ? 0 : rest.lastIndexOf(LF, at - 1) + 1;
    const octets = octetString(rest, start, rest.indexOf(LF, at) + 1 || rest.length);
    const credentials = showCredentials ? [] : credentialsIn(octetString(rest));
    const found = credentialsWithin(credentials, start, start + octets.length);
    const width = Math.max(LEAST_WIDTH, Math.min(USUAL_WIDTH, columns));
    const line = { start: position + start, octets, kind: "broken" } as const;
    lines.push(...caretLines(line, error.offset!, found, width, PLAIN));
  }
  if (error.fault !== undefined) lines.push(...degreeLines(error.seen, CAUSES[error.fault][direction], columns, PLAIN));
  const fix = fixFor(error);
  if (fix !== undefined) lines.push(...sentence("fix:", fix, columns));
  return lines.map((line) => `${line}\n`).join("");
}

function faultWords({ kind }: Explanation, fault: Fault, options: ExplainTextOptions): string[] {
  const { painter, sentenceWidth, masked } = options;
  const { status, detail, degree, fix, readings } = fault;
  const answer = kind === "response"
    ? "a strict client takes no more from this connection"
    : `a strict server answers ${status} ${reasonPhrase(status)}`.trimEnd() + " and closes the connection";
  return [
    ...degreeLines(detail, degree, sentenceWidth, painter),
    ...sentence("fix:", fix, sentenceWidth, (mark) => painter("yellow", mark)),
    ...readingLines(masked ? readings.map(maskedReading) : readings, kind === "response" ? "response" : "request"),
    ...sentence("", answer, sentenceWidth),
  ];
}

function degreeLines(seen: string, degree: Degree, width: number | undefined, painter: Painter): string[] {
  const text = withRule(escapeText(degreeSentence(seen, degree)), degree.rule);
  return sentence("!!", text, width, (mark) => painter("red", mark));
}

export function sentence(mark: string, text: string, width = Infinity, paint = (mark: string) => mark): string[] {
  const indent = mark === "" ? INDENT : `${INDENT}${" ".repeat(mark.length + 1)}`;
  const lines = wrapWords(wordsOf(text), Math.max(width, LEAST_WIDTH) - indent.length);
  return lines.map((line, i) => i === 0 && mark !== "" ? `${INDENT}${paint(mark)} ${line}` : `${indent}${line}`);
}

/** Formats how two kinds of receivers read a message, one line each; nothing if they read the same. */
export function readingLines(readings: readonly Reading[], what: string): string[] {
  if (readings.length === 0) return [];
  const width = Math.max(...readings.map(({ by }) => by.length)) + 1;
  return [
    `${INDENT}two readings, which is how a ${what} is smuggled (RFC 9112 §11.2):`,
    ...readings.map((reading) => `${INDENT}  by ${`${reading.by}:`.padEnd(width)} ${describeReading(reading)}`),
  ];
}

function describeReading({ start, end, next, missing }: Reading): string {
  const content = start === end ? "no content" : `content ${start}-${end - 1}`;
  if (missing === Infinity) return `${content}, and it waits for more chunks`;
  if (missing > 0) return `${content}, and it waits for ${counted(missing, "more octet")}`;
  if (next === "") return `${content}, then nothing`;
  const line = /^(?:\r?\n)*[^\n]*?(?=\r?\n|$)/.exec(next)![0];
  return `${content}, then "${readable(line)}${line.length < next.length ? "…" : ""}"`;
}

/** Formats a row with its credentials masked: wrapped octets on the left, the label on the right, and its parts below. */
function rowLines(row: OctetRow, found: readonly Credential[], options: ExplainTextOptions): string[] {
  const { start, end, kind, label, rule, parts = [] } = row;
  const { all } = options;
  const isMasked = found.length > 0;
  const octets = isMasked ? maskCredentials(row.octets, found) : row.octets;
  const width = labelColumn(options) - OFFSET_WIDTH - 1;
  const isShort = kind === "unread" && (isMasked || !all);
  const left = kind === "content"
    ? contentLines(octets, width, all ? Infinity : SHOWN_CONTENT_LINES)
    : textLines(octets, width, isShort ? 1 : Infinity, !isShort);
  const lines = twoColumns(row, left.lines, [isMasked ? labelOfMasked(row) : label, rule], options);
  if (isMasked) return lines;
  const hidden = end - start - left.octets;
  if (hidden > 0) {
    const hint = kind === "content" && all === false ? " (--all shows them)" : "";
    lines.push(`${INDENT}… ${counted(hidden, "more octet")}${hint}`);
  }
  for (const part of parts) {
    if (part.label === "") continue;
    const text = octets.substring(part.start - start, part.end - start).trimEnd();
    const indented = textLines(text, width - 2).lines.map((line) => `  ${line}`);
    lines.push(...twoColumns({ start: part.start, kind }, indented, [part.label], options));
  }
  return lines;
}

function labelColumn({ width }: ExplainTextOptions): number {
  return Math.min(LABEL_COLUMN, Math.floor(Math.max(width, LEAST_WIDTH) * LABEL_COLUMN / USUAL_WIDTH));
}

function twoColumns(
  { start, kind }: Pick<OctetRow, "start" | "kind">,
  left: readonly string[],
  [label, rule]: readonly [label: string, rule?: string],
  options: ExplainTextOptions,
): string[] {
  const column = labelColumn(options);
  const words = [...escapeText(label).split(" "), ...rule === undefined ? [] : [`(${rule})`]];
  const width = Math.max(options.width, LEAST_WIDTH) - column;
  const right = label === "" && rule === undefined ? [] : wrapWords(words, width);
  return Array.from({ length: Math.max(left.length, right.length) }, (_, i) => {
    const octets = (left[i] ?? "").trimEnd();
    const padding = " ".repeat(Math.max(0, column - OFFSET_WIDTH - displayWidth(octets)));
    const number = i === 0 ? String(start) : "";
    const painted = octets === "" ? "" : options.painter(STYLES[kind], octets);
    return `${number.padStart(OFFSET_WIDTH - 1)} ${painted}${padding}${right[i] ?? ""}`;
  });
}

/** Finds the credentials of a message outside of content, in more octets than its rows hold if these are given. */
export function messageCredentials(rows: readonly OctetRow[], octets?: string): Credential[] {
  const found: Credential[] = [];
  let run = "";
  let start = 0;
  const endRun = (end: number) => {
    for (const one of credentialsIn(octets?.substring(start, end) ?? run)) {
      found.push({ start: start + one.start, end: start + one.end });
    }
  };
  for (const row of rows) {
    // A row of many chunks holds their content too.
    if (row.kind === "content" || row.kind === "framing" && row.octets.length < row.end - row.start) {
      endRun(row.start);
      run = "";
      start = row.end;
    } else run += row.octets;
  }
  endRun(octets?.length ?? 0);
  return found;
}

/** Returns the label of a row whose value is masked: only what its name means. */
export function labelOfMasked({ label }: OctetRow): string {
  return label.split(";", 1)[0];
}

export function maskedReading(reading: Reading): Reading {
  return { ...reading, next: maskCredentials(reading.next) };
}
