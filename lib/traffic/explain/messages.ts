/**
 * Explains the messages of a file as text, in their order.
 *
 * @module
 */

import { counted, octetString } from "../../bytes.ts";
import { explainOctets, type Explanation, type Message, messageKindOf, type Placed, readable } from "../../exchange.ts";
import type { MessagesView } from "./json.ts";
import { type ExplainTextOptions, explanationText } from "./text.ts";

/** The text on messages. */
export class MessagesText implements MessagesView {
  readonly #options: ExplainTextOptions;
  #isFirst = true;

  /** Starts with the first message. */
  constructor(options: ExplainTextOptions) {
    this.#options = options;
  }

  /** Returns the text on the next explanation. */
  of({ explanation, at }: Placed): string {
    const { kind, message } = explanation;
    const interim = message?.interim ? "interim " : "";
    const what = kind === "unread" ? "not explained" : `${interim}${kind} ${message!.exchange.number}`;
    const title = this.#isFirst ? "" : `\n${what}, from octet ${at} on\n`;
    this.#isFirst = false;
    return title + explanationText(explanation, this.#options);
  }

  /** Returns nothing more. */
  end(): string {
    return "";
  }
}

/** The list of messages: one line for each. */
export class MessagesList implements MessagesView {
  #isFirst = true;

  /** Returns the line of the next message. */
  of({ explanation, at }: Placed): string {
    const { kind, message, state, contentBytes, rows } = explanation;
    const number = `${message?.interim ? "interim " : ""}${kind} ${message?.exchange.number ?? ""}`;
    const what = message === undefined ? rows[0].label : readable(lineOf(message));
    const cells = [
      String(at).padStart(8),
      (message === undefined ? "not explained" : number).padEnd(20),
      what.padEnd(LINE_COLUMNS),
      ...message === undefined ? [] : [counted(contentBytes ?? 0, "octet")],
      ...state === "whole" ? [] : [endOf(explanation)],
    ];
    const title = this.#isFirst ? "   octet  message              method and target, or status      content\n" : "";
    this.#isFirst = false;
    return `${title}${cells.join("  ").trimEnd()}\n`;
  }

  /** Returns nothing more. */
  end(): string {
    return "";
  }
}

/** Columns of a request or status line. */
const LINE_COLUMNS = 36;

/** Returns the method and target of a request, or the status and reason of a response. */
export function lineOf({ head, line, exchange }: Message): string {
  if (head === undefined) return line ?? exchange.method;
  return head.kind === "request" ? `${head.method} ${head.target}` : `${head.status} ${head.reason}`.trimEnd();
}

function endOf({ kind, fault, state }: Explanation): string {
  if (fault !== undefined) return `invalid at octet ${fault.offset}`;
  return state === "incomplete" ? "not whole" : kind === "unread" ? "" : "invalid";
}

/** Returns the explanation of a file's first line if that ends in a bare LF, and is no worse. */
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
export function afterBareLine(
  line: Explanation,
  placed: readonly Placed[],
  { isWhole, isText }: { readonly isWhole: boolean; readonly isText: boolean },
): Placed[] {
  const hasContent = !isWhole ||
    placed.some(({ explanation }) => explanation.rows.some(({ kind }) => kind === "content"));
  const [{ explanation: first, at }, ...more] = placed;
  const fix = `${line.fault!.fix}: --crlf reads the file so${hasContent ? "" : ", unix2dos converts it"}`;
  const fault = { ...line.fault!, fix };
  // A fault of its own has its own lines.
  if (first.fault !== undefined && isText) return [{ explanation: { ...line, fault }, at }, ...placed];
  const rows = [...line.rows, ...first.rows.filter(({ kind }) => kind !== "start")];
  const rest = { text: "the lines after the first are explained as if they ended in \\r\\n" };
  return [
    { explanation: { ...first, rows, fault, findings: [rest, ...first.findings], state: "broken" }, at },
    ...more,
  ];
}
