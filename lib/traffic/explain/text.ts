/**
 * Formats explanations as text: octets on the left, labels on the right, a caret under a fault.
 *
 * Everything from a peer is escaped, so that no octet controls the terminal.
 *
 * @module
 */

import { Buffer, isUtf8 } from "node:buffer";
import { counted, octetString } from "../../bytes.ts";
import { CAUSES, type Degree, type HttpError, LF, reasonPhrase } from "../../http_message.ts";
import { SHOWN_CONTENT_LINES } from "../../limits.ts";
import { type Credential, credentialsIn, credentialsWithin, maskCredentials, placeInMasked } from "../../masking.ts";
import { displayWidth, escapeText, type Painter, type Style, wordsOf, wrapWords } from "../../terminal.ts";
import { aroundCaret } from "./caret.ts";
import { labelOfMasked, maskedReading, messageCredentials } from "./credentials.ts";
import {
  degreeSentence,
  type Direction,
  type Explanation,
  type Fault,
  fixFor,
  octetsOf,
  readable,
  type Reading,
  type Row,
  type RowKind,
  units,
} from "../../exchange.ts";

/** Options of the layout. */
export interface ExplainTextOptions {
  /** The width of the terminal in columns. */
  readonly width: number;
  /** The width of findings and sentences on a fault; by default each is one line. */
  readonly sentenceWidth?: number;
  /** Whether all content is shown; by default one screenful. */
  readonly all: boolean;
  /** Colours octets by their kind. */
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
/** Octets per line of hexadecimal digits. */
const HEX_OCTETS = 8;
/** Octets of the longest character in UTF-8. */
const LONGEST_CHARACTER = 4;
/** Octets of content that are formatted at a time. */
const SLICE_OCTETS = 8192;
const STYLES: Readonly<Record<RowKind, Style>> = {
  start: "bold",
  field: "blue",
  end: "dim",
  framing: "cyan",
  content: "green",
  broken: "red",
  unread: "dim",
};

/** Lines of octets as text. */
export interface Wrapped {
  /** The lines. */
  lines: string[];
  /** The number of octets in the lines. */
  octets: number;
}

/** Formats one explanation as lines with line ends. */
export function explanationText(explanation: Explanation, options: ExplainTextOptions): string {
  const { rows, findings, fault } = explanation;
  const lines: string[] = [];
  const faulty = fault === undefined ? -1 : faultyRow(rows, fault.offset);
  const credentials = options.masked ? messageCredentials(rows) : [];
  rows.forEach((row, index) => {
    const found = credentialsWithin(credentials, row.start, row.end);
    const shown = index === faulty ? faultLines(explanation, row, found, options) : rowLines(row, found, options);
    // Large content has more lines than a call can have arguments.
    for (const line of shown) lines.push(line);
  });
  if (fault !== undefined && rows.length === 0) lines.push(...faultWords(explanation, fault, options));
  for (const { text, rule } of findings) {
    lines.push(...sentence("=>", `${escapeText(text)}${section(rule)}`, options.sentenceWidth));
  }
  return lines.map((line) => `${line.trimEnd()}\n`).join("");
}

/** Returns the row for the caret: the one with the octet, or the last before it. */
function faultyRow(rows: readonly Row[], offset: number): number {
  const index = rows.findIndex(({ end }) => offset < end);
  return index < 0 ? rows.length - 1 : index;
}

/**
 * Formats the line with a fault, a caret under the octet, and the fix. Of a long line only the octets around the fault
 * are shown.
 */
function faultLines(
  explanation: Explanation,
  row: Row,
  found: readonly Credential[],
  options: ExplainTextOptions,
): string[] {
  const { painter } = options;
  const fault = explanation.fault!;
  const line = maskCredentials(row.octets, found);
  const at = placeInMasked(row.octets, found, fault.offset - row.start);
  // Of long content only the first octets are kept.
  const left = fault.offset > row.start + row.octets.length ? "…" : "";
  const { shown, caret } = aroundCaret(line, at, options.width - OFFSET_WIDTH - left.length);
  return [
    `${String(row.start).padStart(OFFSET_WIDTH - 1)} ${painter(STYLES[row.kind], shown + left)}`,
    `${INDENT}${" ".repeat(caret + left.length)}${painter("red", "^")} octet ${fault.offset}`,
    ...faultWords(explanation, fault, options),
  ];
}

/**
 * Formats the fault of a refused message, by default a request: the line with a caret under the octet, and the fix.
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
  const fix = fixFor(error);
  const lines = fix === undefined ? [] : sentence("fix:", fix, columns);
  if (error.fault !== undefined) {
    lines.unshift(...verdictLines(error.seen, CAUSES[error.fault][direction], columns, (mark) => mark));
  }
  const at = error.fault === undefined ? -1 : error.offset! - position;
  if (at >= 0 && at < rest.length) {
    const start = at === 0 ? 0 : rest.lastIndexOf(LF, at - 1) + 1;
    const end = rest.indexOf(LF, at) + 1;
    const line = octetString(rest, start, end > 0 ? end : rest.length);
    const credentials = showCredentials ? [] : credentialsIn(octetString(rest));
    const found = credentialsWithin(credentials, start, start + line.length);
    const place = placeInMasked(line, found, at - start);
    const width = Math.max(LEAST_WIDTH, Math.min(USUAL_WIDTH, columns));
    const { shown, caret } = aroundCaret(maskCredentials(line, found), place, width - OFFSET_WIDTH);
    const number = String(position + start).padStart(OFFSET_WIDTH - 1);
    lines.unshift(`${number} ${shown}`, `${INDENT}${" ".repeat(caret)}^ octet ${error.offset}`);
  }
  return lines.map((line) => `${line}\n`).join("");
}

function faultWords({ kind }: Explanation, fault: Fault, options: ExplainTextOptions): string[] {
  const { painter, sentenceWidth, masked } = options;
  const { status, detail, degree, fix, readings } = fault;
  const answer = kind === "response"
    ? "a strict client takes no more from this connection"
    : `a strict server answers ${status} ${reasonPhrase(status)}`.trimEnd() + " and closes the connection";
  return [
    ...verdictLines(detail, degree, sentenceWidth, (mark) => painter("red", mark)),
    ...sentence("fix:", fix, sentenceWidth, (mark) => painter("yellow", mark)),
    ...readingLines(masked ? readings.map(maskedReading) : readings, kind === "response" ? "response" : "request"),
    ...sentence("", answer, sentenceWidth),
  ];
}

/** Says what was seen, and whether it must or may be refused. */
function verdictLines(
  seen: string,
  degree: Degree,
  width: number | undefined,
  paint: (mark: string) => string,
): string[] {
  return sentence("!!", `${escapeText(degreeSentence(seen, degree))}${section(degree.rule)}`, width, paint);
}

/** Wraps a sentence after a mark to a number of columns. */
export function sentence(
  mark: string,
  text: string,
  width = Infinity,
  paint: (mark: string) => string = (mark) => mark,
): string[] {
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

function section(rule: string | undefined): string {
  return rule === undefined ? "" : ` (${rule})`;
}

/** Formats a row with its credentials masked: wrapped octets on the left, the label on the right, and its parts below. */
function rowLines(row: Row, found: readonly Credential[], options: ExplainTextOptions): string[] {
  if (found.length > 0) {
    const width = leftWidth(options);
    const masked = maskCredentials(row.octets, found);
    const left = row.kind === "unread" ? firstLine(masked, width) : wrapUnits(units(masked), width);
    return twoColumns(row.start, left, labelOfMasked(row), row.rule, row.kind, options);
  }
  const { start, end, kind, octets, label, rule, parts } = row;
  const left = row.kind === "content" || row.kind === "unread"
    ? contentLines(row, options)
    : wrapUnits(units(octets), leftWidth(options));
  const lines = twoColumns(start, left, label, rule, kind, options);
  const hidden = end - start - left.octets;
  if (hidden > 0) {
    lines.push(`${INDENT}… ${counted(hidden, "more octet")}${options.all ? "" : moreHint(kind)}`);
  }
  for (const part of parts ?? []) {
    if (part.label === "") continue;
    const text = octets.substring(part.start - start, part.end - start).trimEnd();
    const indented = wrapUnits(units(text), leftWidth(options) - 2);
    indented.lines = indented.lines.map((line) => `  ${line}`);
    lines.push(...twoColumns(part.start, indented, part.label, undefined, kind, options));
  }
  return lines;
}

function moreHint(kind: RowKind): string {
  return kind === "content" ? " (--all shows them)" : "";
}

function leftWidth({ width }: ExplainTextOptions): number {
  return labelColumn(width) - OFFSET_WIDTH - 1;
}

function labelColumn(width: number): number {
  return Math.min(LABEL_COLUMN, Math.floor(Math.max(width, LEAST_WIDTH) * LABEL_COLUMN / USUAL_WIDTH));
}

function twoColumns(
  offset: number,
  { lines: left }: Wrapped,
  label: string,
  rule: string | undefined,
  kind: RowKind,
  { width, painter }: ExplainTextOptions,
): string[] {
  const column = labelColumn(width);
  const words = [...escapeText(label).split(" "), ...rule === undefined ? [] : [`(${rule})`]];
  const right = label === "" && rule === undefined ? [] : wrapWords(words, Math.max(width, LEAST_WIDTH) - column);
  return Array.from({ length: Math.max(left.length, right.length) }, (_, i) => {
    const octets = (left[i] ?? "").trimEnd();
    const padding = " ".repeat(Math.max(0, column - OFFSET_WIDTH - displayWidth(octets)));
    const number = i === 0 ? String(offset) : "";
    const painted = octets === "" ? "" : painter(STYLES[kind], octets);
    return `${number.padStart(OFFSET_WIDTH - 1)} ${painted}${padding}${right[i] ?? ""}`;
  });
}

/** Formats content or unread octets: as text if they are text, else in hexadecimal digits; one screenful. */
function contentLines({ octets, kind }: Row, options: ExplainTextOptions): Wrapped {
  const width = leftWidth(options);
  const most = options.all ? Infinity : SHOWN_CONTENT_LINES;
  if (kind === "unread" && !options.all) return firstLine(octets, width);
  if (kind === "content" && isBinary(octets)) {
    return hexLines(octets, Math.min(HEX_OCTETS, Math.floor(width / 4)), most);
  }
  const lines: string[] = [];
  let count = 0;
  if (!options.all) {
    // What is shown mostly has a column for each octet.
    const first = wrapUnits(units(octets.substring(0, sliceEnd(octets, 0, most * width))), width, most);
    if (first.lines.length === most) return first;
  }
  for (let at = 0; at < octets.length && lines.length < most;) {
    const end = sliceEnd(octets, at);
    const wrapped = wrapUnits(units(octets.substring(at, end)), width, most - lines.length);
    lines.push(...wrapped.lines);
    count += wrapped.octets;
    at = end;
  }
  return { lines, octets: count };
}

/** Returns the end of a piece of content that is formatted at a time, not inside a UTF-8 character. */
function sliceEnd(octets: string, at: number, most = SLICE_OCTETS): number {
  let end = Math.min(octets.length, at + most);
  for (let i = 0; i < 3 && end < octets.length && (octets.charCodeAt(end) & 0xc0) === 0x80; i++) end--;
  return end;
}

function firstLine(octets: string, width: number): Wrapped {
  let line = "";
  let columns = 0;
  let count = 0;
  for (const unit of units(octets.substring(0, LONGEST_CHARACTER * width))) {
    columns += displayWidth(unit);
    if (columns > width) break;
    line += unit;
    count += octetsOf(unit);
  }
  return { lines: [line], octets: count };
}

/** Whether octets are binary: not UTF-8, or with control characters that text does not have. */
function isBinary(octets: string): boolean {
  // deno-lint-ignore no-control-regex -- these are what text does not have
  if (/[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f]/.test(octets)) return true;
  // deno-lint-ignore no-control-regex -- ASCII needs no look at each character
  if (/^[\x00-\x7f]*$/.test(octets)) return false;
  // The first and the last character may be cut, by a chunk or by the limit of what is kept.
  const inner = octets.replace(/^[\x80-\xbf]{1,3}/, "").replace(/[\xc2-\xf4][\x80-\xbf]{0,2}$/, "");
  return !isUtf8(Buffer.from(inner, "latin1"));
}

function hexLines(octets: string, perLine: number, most: number): Wrapped {
  const lines: string[] = [];
  let at = 0;
  for (; at < octets.length && lines.length < most; at += perLine) {
    const line = octets.substring(at, at + perLine);
    const digits = Array.from(line, (octet) => octet.charCodeAt(0).toString(16).padStart(2, "0")).join(" ");
    lines.push(`${digits.padEnd(3 * perLine)} ${line.replace(/[^ -~]/g, ".")}`);
  }
  return { lines, octets: Math.min(at, octets.length) };
}

/** Fills lines with units. A line end in the text also ends a line. */
export function wrapUnits(all: readonly string[], width: number, most = Infinity): Wrapped {
  const lines: string[] = [];
  let line = "";
  let columns = 0;
  let octets = 0;
  for (let i = 0; i < all.length; i++) {
    const unit = all[i];
    // Units are mostly ASCII, and many.
    const added = unit <= "~" ? unit.length : displayWidth(unit);
    const breaks = line !== "" && (columns + added > width || all[i - 1].endsWith("\\n"));
    if (breaks) {
      lines.push(line);
      line = "";
      columns = 0;
      if (lines.length >= most) return { lines, octets };
    }
    line += unit;
    columns += added;
    octets += octetsOf(unit);
  }
  lines.push(line);
  return { lines, octets };
}
