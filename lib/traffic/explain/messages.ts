/** Explains the messages of a file as text, in their order. */

import { counted, octetString } from "../../bytes.ts";
import { explainOctets, type Explanation, type Message, messageKindOf, type Placed, readable } from "../../exchange.ts";
import { type ExplainTextOptions, explanationText } from "./text.ts";

/** Returns the text that is ready with the next explanation; without one, what is left. */
export type MessagesView = (placed?: Placed) => string;

export function messagesText(options: ExplainTextOptions): MessagesView {
  let isFirst = true;
  return (placed) => {
    if (placed === undefined) return "";
    const title = isFirst ? "" : `\n${nameOf(placed.explanation)}, from octet ${placed.at} on\n`;
    isFirst = false;
    return title + explanationText(placed.explanation, options);
  };
}

/** Views messages as a list, one line each. */
export function messagesList(): MessagesView {
  let title = "   octet  message              method and target, or status      content\n";
  return (placed) => {
    if (placed === undefined) return "";
    const { at, explanation } = placed;
    const { message, contentOctets, rows } = explanation;
    const what = message === undefined ? rows[0].label : readable(lineOf(message));
    const cells = [String(at).padStart(8), nameOf(explanation).padEnd(20), what.padEnd(LINE_COLUMNS)];
    if (message !== undefined) cells.push(counted(contentOctets ?? 0, "octet"));
    const line = `${title}${[...cells, endOf(explanation)].join("  ").trimEnd()}\n`;
    title = "";
    return line;
  };
}

const LINE_COLUMNS = 36;

function nameOf({ kind, message }: Explanation): string {
  if (message === undefined) return "not explained";
  return `${message.interim ? "interim " : ""}${kind} ${message.exchange.number}`;
}

/** Returns the method and target of a request, or the status and reason of a response. */
export function lineOf({ head, line, exchange }: Message): string {
  if (head === undefined) return line ?? exchange.method;
  return head.kind === "request" ? `${head.method} ${head.target}` : `${head.status} ${head.reason}`.trimEnd();
}

function endOf({ fault, state }: Explanation): string {
  if (fault !== undefined) return `invalid at octet ${fault.offset}`;
  return state === "incomplete" ? "not whole" : "";
}

/** Returns the explanation of a file's first line if that ends in a bare LF, which is its only fault. */
export function bareFirstLine(start: Uint8Array): Explanation | undefined {
  const [first] = explainOctets(messageKindOf(start), start);
  const { fault, rows } = first ?? {};
  if (fault?.code !== "bare-lf" || fault.offset !== octetString(start).indexOf("\n")) return undefined;
  return { ...first, rows: rows!.filter(({ kind }) => kind !== "unread"), length: fault.offset + 1 };
}

/**
 * Puts the explanation of a first line that ends in a bare LF before that of a file, whose line ends are converted.
 *
 * @param isWhole Whether these are all of the file's messages, so that it is known whether there is content.
 * @param isText Whether a fault of the first message itself is explained apart.
 */
export function afterBareLine(line: Explanation, all: readonly Placed[], isWhole: boolean, isText: boolean): Placed[] {
  const rowsOf = ({ explanation }: Placed) => explanation.rows;
  const hasContent = !isWhole || all.flatMap(rowsOf).some(({ kind }) => kind === "content");
  const [{ explanation: first, at }, ...more] = all;
  const fix = `${line.fault!.fix}: --crlf reads the file so${hasContent ? "" : ", unix2dos converts it"}`;
  const fault = { ...line.fault!, fix };
  // A fault of its own has its own lines.
  if (first.fault !== undefined && isText) return [{ explanation: { ...line, fault }, at }, ...all];
  const rows = [...line.rows, ...first.rows.filter(({ kind }) => kind !== "start")];
  const finding = { text: "the lines after the first are explained as if they ended in \\r\\n" };
  const findings = [finding, ...first.findings];
  return [{ explanation: { ...first, rows, fault, findings, state: "broken" }, at }, ...more];
}
